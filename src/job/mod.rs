//! The job file: as written (`file`), checked (`settings`), with all problems at once. The only
//! module that loads secrets; uses neither the network nor the clock.

mod bucket;
mod check;
mod engine;
mod file;
mod host;
mod merchant_path;
mod pattern;
mod problem;
mod settings;
mod tar_type;
mod value;
mod watching;

use std::path::Path;

use toml_edit::Document;

use check::Checker;
use file::JobFile;
use problem::{Place, Problems};
use value::Section;

pub use bucket::*;
pub use engine::*;
pub use host::{is_loopback, url_problem};
pub use merchant_path::MerchantPath;
pub use pattern::PathPattern;
pub use problem::{JobProblems, Problem};
pub use settings::*;
pub use tar_type::TarType;
pub use watching::*;

/// Parses and checks a job file.
///
/// `env` stands for the environment (`std::env::var` in the program). Secrets are loaded; relative
/// paths start at the folder of the job file. Every problem is reported at once, except that a file
/// that is not TOML gives only that one.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Job, JobProblems> {
    let unreadable = |error: std::io::Error| JobProblems::unreadable(path, &error);
    let absolute = std::fs::canonicalize(path).map_err(unreadable)?;
    let text = std::fs::read_to_string(&absolute).map_err(unreadable)?;
    let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let mut problems = Problems::new(&text);
    let file = read(&text, &mut problems);
    Checker::new(folder, env, problems)
        .finish(&absolute, file)
        .map_err(|problems| JobProblems { path: path.to_owned(), ..problems })
}

/// The file as written; `None` when it is not TOML.
fn read(text: &str, problems: &mut Problems) -> Option<JobFile> {
    match Document::parse(text) {
        Ok(document) => Some(JobFile::from_table(document.as_table(), &Place::default(), problems)),
        Err(error) => {
            // The parser's own message repeats the line, which may contain a secret.
            let place = Place { byte: error.span().map(|span| span.start), ..Place::default() };
            problems.add(&place, format!("not TOML: {}", error.message().trim().replace('\n', ", ")));
            None
        }
    }
}

#[cfg(test)]
mod tests;
