//! Checks paths of the job file: relative ones start at its folder, `{date}` is the business date. Creates nothing.

use std::path::{Path, PathBuf};

use super::Checker;
use crate::job::merchant_path::MerchantPath;
use crate::job::pattern::{PathPattern, tidy};
use crate::job::problem::Place;
use crate::job::value::{Texts, Written};

impl Checker<'_> {
    /// An absolute path; the file need not exist yet.
    pub(super) fn path(&mut self, written: &Option<Written<String>>) -> Option<PathBuf> {
        let text = self.text(written)?;
        let place = &written.as_ref()?.place;
        Some(self.one_for_all_days(place, &text))
    }

    /// An absolute path. What stands for the files of many days elsewhere is refused: a file of that very name would be
    /// looked for or made, and decisions that are not found are none.
    pub(super) fn one_for_all_days(&mut self, place: &Place, text: &str) -> PathBuf {
        if !self.refuse_unusable(place, text) && text.contains(['{', '}', '*']) {
            let problem =
                format!("`{}` is `{text}`: it must be one path for all days, without `{{…}}` or `*`", place.key);
            self.problems.add(place, problem);
        }
        self.absolute(text)
    }

    /// A text that also names files of the lake: no path separators, not hidden.
    pub(super) fn file_name(&mut self, written: &Option<Written<String>>) -> Option<String> {
        let text = self.text(written)?;
        let place = &written.as_ref()?.place;
        if is_file_name(&text) {
            return Some(text);
        }
        let problem = format!("`{}` is `{}`: it names files of the lake", place.key, text.escape_debug());
        let advice = "use letters, digits, `-` and `_`, as in `ruiyun-coffee`";
        self.problems.add_with_hint(place, problem, advice);
        None
    }

    /// A path that may contain `{date}` or `{yyyymmdd}`.
    pub(super) fn dated_path(&mut self, written: &Option<Written<String>>) -> Option<PathPattern> {
        let pattern = self.dated_glob(written)?;
        if pattern.written().contains('*') {
            let place = &written.as_ref()?.place;
            self.problems.add(place, format!("`{}` must name one file: `*` is not allowed here", place.key));
        }
        Some(pattern)
    }

    /// The same, and its last component may contain `*`.
    pub(super) fn dated_glob(&mut self, written: &Option<Written<String>>) -> Option<PathPattern> {
        let text = self.text(written)?;
        let place = &written.as_ref()?.place;
        self.refuse_unusable(place, &text);
        if let Some(unknown) = unknown_placeholder(&text) {
            let problem = format!("`{}` holds `{unknown}`: only `{{date}}` and `{{yyyymmdd}}` are known", place.key);
            self.problems.add(place, problem);
        }
        if Path::new(&text).parent().is_some_and(|folder| folder.to_string_lossy().contains('*')) {
            self.problems.add(place, format!("`{}` has `*` in a folder: only the file name may hold one", place.key));
        }
        let pattern = PathPattern::new(&self.folder, text);
        let (path, is_folder) = pattern.fixed();
        self.note_merchant_path(place, path, is_folder);
        Some(pattern)
    }

    /// Warns of a path that is the same file every night. That is useful if the file is rewritten each day, and wrong
    /// for every other day.
    pub(super) fn warn_if_undated(&mut self, written: Option<&Written<String>>, rows: &str) {
        let Some(Written { value, place, .. }) = written else { return };
        if !["{date}", "{yyyymmdd}"].iter().any(|date| value.contains(date)) {
            self.warnings.push(format!(
                "`{}` is `{value}`, without `{{date}}` or `{{yyyymmdd}}`: every night takes whatever stands there for the \
                 {rows} of its own day, a rerun of an earlier day too",
                place.key
            ));
        }
    }

    /// A folder of the merchant, which should exist by the night.
    pub(super) fn merchant_folder(&mut self, written: &Option<Written<String>>) -> Option<PathBuf> {
        let path = self.path(written)?;
        self.note_merchant_path(&written.as_ref()?.place, path.clone(), true);
        Some(path)
    }

    fn note_merchant_path(&mut self, place: &Place, path: PathBuf, is_folder: bool) {
        let line = self.problems.line_of(place);
        self.merchant_paths.push(MerchantPath { key: place.key.clone(), line, path, is_folder });
    }

    /// Folders that must exist.
    pub(super) fn folders(&mut self, written: &Option<Written<Texts>>) -> Vec<PathBuf> {
        let texts = written.as_ref().map_or(&[][..], |written| &written.value.0);
        let mut folders = Vec::new();
        for text in texts {
            if self.refuse_unusable(&text.place, &text.value) {
                continue;
            }
            let folder = self.absolute(&text.value);
            if !folder.is_dir() {
                self.problems.add(&text.place, format!("`{}`: `{}` is not a folder", text.place.key, folder.display()));
            }
            folders.push(folder);
        }
        folders
    }

    /// The text of a file that must exist; problems are recorded.
    pub(super) fn file_text(&mut self, place: &Place, path: &Path) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) => {
                let text = format!("`{}`: `{}` cannot be read: {error}", place.key, path.display());
                let hint = match error.kind() {
                    std::io::ErrorKind::InvalidData => "it must be text: save it as UTF-8",
                    std::io::ErrorKind::PermissionDenied => "the user who runs this must be allowed to read it",
                    _ => "relative paths start at the folder of the job file",
                };
                self.problems.add_with_hint(place, text, hint);
                None
            }
        }
    }

    /// Refuses what cannot be a path: an empty text, which would be the folder of the job file; a NUL; and `~`, `~user` or
    /// `$HOME`, which a shell would expand, while here a folder of that name would be created. True if the text is one of these.
    pub(super) fn refuse_unusable(&mut self, place: &Place, text: &str) -> bool {
        let problem = match text {
            "" => format!("`{}` is empty", place.key),
            _ if text.contains('\0') => format!("`{}` is `{}`: a path holds no NUL", place.key, text.escape_debug()),
            _ if text.starts_with(['~', '$']) => {
                format!("`{}` is `{text}`: only a shell knows what that stands for", place.key)
            }
            _ => return false,
        };
        self.problems.add_with_hint(
            place,
            problem,
            "write the path in full, or relative to the folder of the job file",
        );
        true
    }

    /// `text` as an absolute path relative to the folder of the job file, without `.` and `..`.
    pub(super) fn absolute(&self, text: &str) -> PathBuf {
        tidy(&self.folder.join(text))
    }
}

fn is_file_name(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '/' | '\\' | ':');
    !text.starts_with('.') && text.len() <= 100 && text.chars().all(is_plain)
}

fn unknown_placeholder(text: &str) -> Option<String> {
    let rest = text.replace("{date}", "").replace("{yyyymmdd}", "");
    let open = rest.find(['{', '}'])?;
    let end = rest[open..].find('}').map_or(rest.len(), |close| open + close + 1);
    Some(rest[open..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_no_file_name() {
        assert!(is_file_name("ruiyun-coffee") && is_file_name("瑞云咖啡_2") && is_file_name("v1.2"));
        for text in ["../x", "a/b", "a\\b", ".hidden", "..", "a b", "a\0b", "c:x"] {
            assert!(!is_file_name(text), "{text:?}");
        }
        assert!(!is_file_name(&"x".repeat(101)));
    }

    #[test]
    fn an_unknown_placeholder_is_found_whole() {
        assert_eq!(unknown_placeholder("o/{date}-{yyyymmdd}.csv"), None);
        assert_eq!(unknown_placeholder("o/{day}.csv").as_deref(), Some("{day}"));
        assert_eq!(unknown_placeholder("o/{day.csv").as_deref(), Some("{day.csv"));
    }
}
