//! The problems of a job file: each with its place, and a hint if there is one. Never shows the
//! value of a key that may be a secret.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::settings::RuleSettings;
use crate::quantity::counted;

/// One problem of the job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, 1-based; `None` if something is missing altogether.
    pub line: Option<usize>,
    /// Column in characters, 1-based.
    pub column: Option<usize>,
    /// What is wrong, naming the key.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: {}", self.text)?,
            (Some(line), None) => write!(f, "line {line}: {}", self.text)?,
            _ => f.write_str(&self.text)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All problems of a job file.
#[derive(Debug, Clone)]
pub struct JobProblems {
    /// The job file as given by the caller.
    pub path: PathBuf,
    /// In the order of the file; never empty.
    pub problems: Vec<Problem>,
    /// `[rules]` as far as it could be read: which rules exist is known elsewhere.
    pub rules: Box<RuleSettings>,
}

impl JobProblems {
    /// A file that could not be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> JobProblems {
        let hint = match error.kind() {
            std::io::ErrorKind::InvalidData => "save it as UTF-8".to_owned(),
            std::io::ErrorKind::PermissionDenied => "the user who runs this must be allowed to read it".to_owned(),
            std::io::ErrorKind::IsADirectory => {
                format!("give the file in that folder, such as `{}`", path.join("job.toml").display())
            }
            _ => "give the path of a job file such as `jobs/nightly.toml`".to_owned(),
        };
        let text = format!("the job file cannot be read: {error}");
        let problem = Problem { line: None, column: None, text, hint: Some(hint) };
        JobProblems { path: path.to_owned(), problems: vec![problem], rules: Box::default() }
    }

    /// Adds a problem of a line, in the order of the file.
    pub fn add(&mut self, line: Option<usize>, text: String) {
        let is_later = |it: &Problem| line.is_some_and(|line| it.line.is_none_or(|other| other > line));
        let at = self.problems.iter().position(is_later).unwrap_or(self.problems.len());
        self.problems.insert(at, Problem { line, column: None, text, hint: None });
    }
}

impl fmt::Display for JobProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = counted(self.problems.len(), "problem", "problems");
        write!(f, "error: {problems} in {}", self.path.display())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for JobProblems {}

/// The place of a value: its key and its offset in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Dotted key, `pay_v3.mchid`; empty for the file itself.
    pub(super) key: String,
    /// Byte offset; `None` for the file itself.
    pub(super) byte: Option<usize>,
    /// Which `[[section]]` of its name it belongs to, counted from 0.
    pub(super) entry: usize,
}

impl Place {
    /// The place of key `name` in this section.
    pub(super) fn child(&self, name: &str, byte: Option<usize>) -> Place {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        Place { key, byte: byte.or(self.byte), entry: self.entry }
    }

    /// What it is called, wherever it stands.
    fn name(&self) -> (String, usize) {
        (self.key.clone(), self.entry)
    }
}

/// Collects problems while a file is parsed and checked.
#[derive(Debug)]
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<(usize, Problem)>,
    told: BTreeSet<(String, usize)>,
}

impl<'t> Problems<'t> {
    /// Empty, for a file with this text.
    pub(super) fn new(text: &'t str) -> Problems<'t> {
        Problems { text, found: Vec::new(), told: BTreeSet::new() }
    }

    /// Adds a problem.
    pub(super) fn add(&mut self, place: &Place, text: impl Into<String>) {
        self.push(place, text.into(), None);
    }

    /// Adds a problem with a hint.
    pub(super) fn add_with_hint(&mut self, place: &Place, text: impl Into<String>, hint: impl Into<String>) {
        self.push(place, text.into(), Some(hint.into()));
    }

    /// Notes that the problem of a key is told under another name.
    pub(super) fn note(&mut self, section: &Place, name: &str) {
        self.told.insert(section.child(name, None).name());
    }

    /// Whether a problem of one of these keys of a section was added: what seems to follow from its absence is no
    /// second problem.
    pub(super) fn is_told(&self, section: &Place, names: &[&str]) -> bool {
        names.iter().any(|name| self.told.contains(&section.child(name, None).name()))
    }

    /// The line of a place, 1-based.
    pub(super) fn line_of(&self, place: &Place) -> Option<usize> {
        place.byte.map(|byte| line_and_column(self.text, byte).0)
    }

    /// The problems in file order; `None` if there are none.
    pub(super) fn into_sorted(mut self) -> Option<Vec<Problem>> {
        self.found.sort_by_key(|(byte, _)| *byte);
        let problems: Vec<_> = self.found.into_iter().map(|(_, problem)| problem).collect();
        (!problems.is_empty()).then_some(problems)
    }

    fn push(&mut self, place: &Place, text: String, hint: Option<String>) {
        let (line, column) = place.byte.map(|byte| line_and_column(self.text, byte)).unzip();
        self.told.insert(place.name());
        self.found.push((place.byte.unwrap_or(usize::MAX), Problem { line, column, text, hint }));
    }
}

/// Line and column (in characters, both 1-based) of an offset in `text`.
fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The most similar candidate, if it is similar enough to be a typing error.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // If two of two letters differ it is no typing error: `cn` is not `en`.
    let reach = match name.chars().count() {
        ..=2 => 0,
        letters => (letters / 3).max(2),
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let text = "a = 1\n中文 = 2";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find('2').unwrap()), (2, 6));
    }

    #[test]
    fn problems_come_in_the_order_of_the_file_and_placeless_ones_last() {
        let mut problems = Problems::new("a\nb\n");
        problems.add(&Place::default(), "whole");
        problems.add_with_hint(&Place { key: "b".into(), byte: Some(2), entry: 0 }, "second", "mend it");
        problems.add(&Place { key: "a".into(), byte: Some(0), entry: 0 }, "first");
        let problems = problems.into_sorted().unwrap();
        let mut problems = JobProblems { path: "job.toml".into(), problems, rules: Box::default() };
        let expected = "error: 3 problems in job.toml\n  line 1, column 1: first\n  line 2, column 1: second\n    \
                        hint: mend it\n  whole";
        assert_eq!(problems.to_string(), expected);
        problems.add(Some(1), "also first".to_owned());
        problems.add(None, "also whole".to_owned());
        let expected = "error: 5 problems in job.toml\n  line 1, column 1: first\n  line 1: also first\n  \
                        line 2, column 1: second\n    hint: mend it\n  whole\n  also whole";
        assert_eq!(problems.to_string(), expected);
    }

    #[test]
    fn a_file_that_may_not_be_read_is_not_called_a_wrong_path() {
        let told = |kind: std::io::ErrorKind| JobProblems::unreadable(Path::new("job.toml"), &kind.into()).to_string();
        assert!(
            told(std::io::ErrorKind::PermissionDenied)
                .ends_with("hint: the user who runs this must be allowed to read it")
        );
        assert!(
            told(std::io::ErrorKind::NotFound)
                .ends_with("hint: give the path of a job file such as `jobs/nightly.toml`")
        );
        let folder = JobProblems::unreadable(Path::new("my-shop"), &std::io::ErrorKind::IsADirectory.into());
        assert!(folder.to_string().ends_with("hint: give the file in that folder, such as `my-shop/job.toml`"));
    }

    #[test]
    fn only_a_near_name_is_offered() {
        assert_eq!(nearest("mchidd", ["mchid", "serial_no"]), Some("mchid"));
        assert_eq!(nearest("tiemout_seconds", ["timeout_seconds", "retry_deadline_seconds"]), Some("timeout_seconds"));
        assert_eq!(nearest("colour", ["mchid", "serial_no"]), None);
        assert_eq!(nearest("cn", ["zh", "en"]), None);
    }
}
