//! The rules: one SQL file each, with a comment header that describes a row, and one SELECT. Loads
//! and checks them; `judge` runs them.

mod aggregates;
mod error;
mod expressions;
mod header;
mod joins;
mod misread;
pub(super) mod place;
mod portable;
mod reads;
mod subqueries;
mod tables;
mod wording;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

pub(super) use aggregates::varies;
pub use error::RuleError;
pub(super) use expressions::{is_number, table_name};
pub use header::{Input, Key, Rule};
pub use portable::{Finding, findings};
pub(super) use reads::Reads;
pub(super) use subqueries::{Equated, can_be_joined, equated};
pub(super) use tables::named_by_with;
pub use wording::Wording;

use crate::job::RuleId;
use crate::sha256::Sha256;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/jobs/rules");

/// As some editors put it before the first line.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Every rule of a job and the shared views they read.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: BTreeMap<String, Rule>,
    views: Vec<(String, String)>,
}

impl Rules {
    /// The rules compiled into the program.
    pub fn built_in() -> Rules {
        Rules::load(&[]).expect("the built-in rules are well-formed, a test says so")
    }

    /// The built-in rules and those of the user's own folders (`rules.folders`).
    pub fn load(folders: &[PathBuf]) -> Result<Rules, RuleError> {
        let mut rules = Rules { rules: BTreeMap::new(), views: built_in_files("views").map(view).collect() };
        for (file, sql) in built_in_files("") {
            rules.insert(header::parse(&file, &sql)?)?;
        }
        for folder in folders {
            for rule in rules_in(folder)? {
                refuse_unreadable(&rule)?;
                rules.insert(rule)?;
            }
        }
        Ok(rules)
    }

    /// The built-in rules, with those of a folder replacing or added to them, for testing rules
    /// while they are written.
    pub(super) fn with_folder(folder: &Path) -> Result<Rules, RuleError> {
        let mut rules = Rules::built_in();
        for rule in rules_in(folder)? {
            rules.rules.insert(rule.id.clone(), rule);
        }
        Ok(rules)
    }

    /// The rules that are not built in.
    pub(super) fn own(&self) -> impl Iterator<Item = &Rule> {
        let built_in = Rules::built_in();
        self.rules.values().filter(move |rule| built_in.find(&rule.id).is_none())
    }

    /// Every rule, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The rule of an id.
    pub fn find(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// Keeps only one rule.
    pub(super) fn only(mut self, id: &str) -> Rules {
        self.rules.retain(|other, _| other == id);
        self
    }

    /// Removes the rules that a job disabled; unknown names are an error.
    pub fn without(mut self, off: &[RuleId]) -> Result<Rules, RuleError> {
        let line = |off: &RuleId| off.line.map_or_else(String::new, |line| format!("line {line}: "));
        let unknown: Vec<String> = self.unknown(off).map(|(off, what)| line(off) + &what).collect();
        if !unknown.is_empty() {
            return Err(RuleError::Unknown(unknown));
        }
        self.rules.retain(|id, _| off.iter().all(|off| off.id != *id));
        Ok(self)
    }

    /// Names of `rules.off` that no rule has, and what to say of each.
    pub fn unknown<'o>(&'o self, off: &'o [RuleId]) -> impl Iterator<Item = (&'o RuleId, String)> {
        off.iter().filter(|off| self.find(&off.id).is_none()).map(|off| {
            let nearest =
                self.nearest(&off.id).map_or_else(String::new, |rule| format!(": did you mean `{}`?", rule.id));
            (off, format!("`rules.off` names `{}`, which is not a rule{nearest}", off.id))
        })
    }

    /// The rule with the most similar id, if it is similar enough to be meant.
    pub fn nearest(&self, id: &str) -> Option<&Rule> {
        let likeness = |rule: &Rule| strsim::jaro(&id.to_uppercase(), &rule.id);
        self.iter().filter(|rule| likeness(rule) > 0.7).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    }

    /// SHA-256 over every rule and view, in lower-case hexadecimal: `coupon_recon.rules_sha256`.
    pub fn sha256(&self) -> String {
        let mut digest = Sha256::default();
        let texts = self.rules.values().map(|rule| (&rule.id, &rule.sql));
        for (name, sql) in texts.chain(self.views.iter().map(|(name, sql)| (name, sql))) {
            digest.update(name.as_bytes());
            digest.update(&[0]);
            digest.update(sql.as_bytes());
            digest.update(&[0]);
        }
        digest.finish()
    }

    /// Name and SQL of every shared view.
    pub fn views(&self) -> impl Iterator<Item = (&str, &str)> {
        self.views.iter().map(|(name, sql)| (name.as_str(), sql.as_str()))
    }

    /// The SQL of a shared view.
    pub(super) fn view(&self, name: &str) -> Option<&str> {
        self.views.iter().find(|(view, _)| view == name).map(|(_, sql)| sql.as_str())
    }

    fn insert(&mut self, rule: Rule) -> Result<(), RuleError> {
        if let Some(other) = self.rules.get(&rule.id) {
            return Err(RuleError::Twice { id: rule.id, one: other.file.clone(), other: rule.file });
        }
        self.rules.insert(rule.id.clone(), rule);
        Ok(())
    }
}

#[cfg(test)]
impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Rules {
        let by_id = rules.into_iter().map(|rule| (rule.id.clone(), rule)).collect();
        Rules { rules: by_id, views: Vec::new() }
    }
}

/// Name and text of the built-in SQL files of a folder, by name.
fn built_in_files(folder: &str) -> impl Iterator<Item = (String, String)> {
    let folder = if folder.is_empty() { Some(&BUILT_IN) } else { BUILT_IN.get_dir(folder) };
    let files = folder.into_iter().flat_map(|folder| folder.files());
    let mut texts: Vec<_> = files
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "sql"))
        .map(|file| {
            let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, file.contents_utf8().expect("rule files are UTF-8").to_owned())
        })
        .collect();
    texts.sort();
    texts.into_iter()
}

/// `04_order_totals.sql` is the view `order_totals`; the number only orders them.
fn view((file, sql): (String, String)) -> (String, String) {
    let name = file.trim_end_matches(".sql");
    let name = name.split_once('_').map_or(name, |(_, name)| name);
    (name.to_owned(), sql)
}

/// The rules of a folder, by file name.
pub(super) fn rules_in(folder: &Path) -> Result<Vec<Rule>, RuleError> {
    let read = |path: PathBuf| {
        let sql = std::fs::read_to_string(&path).map_err(read_error(&path))?;
        let sql = sql.trim_start_matches(BYTE_ORDER_MARK);
        header::parse(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy(), sql)
    };
    sql_files(folder)?.into_iter().map(read).collect()
}

/// What is merely not portable is for `rules test` to tell; a rule of which Polars (its SQL crate 0.55) makes something else without
/// a word, or of which it says nothing that helps, is not run.
fn refuse_unreadable(rule: &Rule) -> Result<(), RuleError> {
    match findings(&rule.sql).into_iter().find(|it| it.is_misread) {
        Some(finding) => Err(RuleError::Misread { file: rule.file.clone(), finding }),
        None => Ok(()),
    }
}

fn sql_files(folder: &Path) -> Result<Vec<PathBuf>, RuleError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read_error(folder))? {
        let path = entry.map_err(read_error(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> RuleError + '_ {
    move |source| RuleError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_load_and_their_hash_covers_their_text() {
        let rules = Rules::built_in();
        assert!(rules.find("AO01").is_some());
        let mut changed = rules.clone();
        changed.rules.get_mut("AO01").unwrap().sql.push(' ');
        assert_ne!(rules.sha256(), changed.sha256());
    }

    #[test]
    fn switching_off_rules_that_do_not_exist_is_an_error_that_names_their_lines_and_the_nearest() {
        let off = [("SU99", Some(81)), ("AO01", Some(82)), ("pm02", None)];
        let off = off.map(|(id, line)| RuleId { id: id.to_owned(), line });
        let error = Rules::built_in().without(&off).unwrap_err().to_string();
        let (one, other) = error.split_once("; ").unwrap();
        assert!(one.starts_with("line 81: `rules.off` names `SU99`, which is not a rule: did you mean `SU"), "{one}");
        assert_eq!(other, "`rules.off` names `pm02`, which is not a rule: did you mean `PM02`?");
        assert!(Rules::built_in().without(&off[1..2]).unwrap().find("AO01").is_none());
        assert_eq!(Rules::built_in().nearest("XX01"), None, "nothing is like it");
    }

    #[test]
    fn a_rule_of_ones_own_is_one_file_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let sql = "-- id: XX01\n-- title: t\n-- 标题: 标\n-- severity: low\n-- side: merchant\n-- key: k\n\
                   -- inputs: stocks\n-- action: look\n-- row: a stock\nSELECT stock_id AS stock_id FROM stocks\n";
        std::fs::write(folder.path().join("XX01_mine.sql"), sql).unwrap();
        let rules = Rules::load(&[folder.path().to_owned()]).unwrap();
        assert_eq!(rules.find("XX01").unwrap().name, "mine");
        std::fs::write(folder.path().join("XX01_mine.sql"), format!("\u{feff}{}", sql.replace('\n', "\r\n"))).unwrap();
        assert_eq!(Rules::load(&[folder.path().to_owned()]).unwrap().find("XX01").unwrap().title, "t");
        let comparing =
            sql.replace("FROM stocks", "FROM stocks\nLEFT JOIN orders ON orders.stock_id = stock_id AND paid_fen > 1");
        std::fs::write(folder.path().join("XX01_mine.sql"), comparing).unwrap();
        let error = Rules::load(&[folder.path().to_owned()]).unwrap_err();
        assert!(
            error.to_string().starts_with("rule file `XX01_mine.sql`: line 11: an outer join ON other than"),
            "{error}"
        );
        std::fs::write(folder.path().join("XX01_mine.sql"), sql).unwrap();
        std::fs::write(folder.path().join("AO01_mine.sql"), sql.replace("XX01", "AO01")).unwrap();
        let error = Rules::load(&[folder.path().to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("rule `AO01` is defined in two files"), "{error}");
    }
}
