//! Output: results go to stdout, everything else to stderr, as text for people (in colour on a
//! terminal only) or as one JSON object per line for log collectors. A reader that closes stdout (`|
//! head`) ends the output quietly.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use super::arguments::LogFormat;
use crate::clock::World;
use crate::error::Failure;
use crate::extract::Watcher;
use crate::pipeline::{Bars, Quiet};

static LOOK: OnceLock<Look> = OnceLock::new();
/// The error of the first result line that could not be written.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// The format of stderr, decided once.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    json: bool,
    colour: bool,
}

/// Log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

/// Decides the format of stderr, before the first line.
pub(super) fn decide(format: LogFormat) {
    let json = format == LogFormat::Json;
    let _ = LOOK.set(Look { json, colour: !json && is_colourful() });
}

/// Whether stderr is coloured: on a terminal, unless disabled (no-color.org).
pub(super) fn is_colourful() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether stderr is JSON.
pub(super) fn is_json() -> bool {
    look().json
}

/// Writes one line of results, unless stdout is closed.
pub(super) fn say(line: impl Display) {
    if LOST.get().is_none() {
        keep_loss(writeln!(std::io::stdout(), "{line}"));
    }
}

/// Writes the help or version that was asked for.
pub(super) fn show_help(help: &clap::Error) {
    keep_loss(help.print());
}

fn keep_loss(written: io::Result<()>) {
    if let Err(error) = written {
        let _ = LOST.set(error);
    }
}

/// Why results could not be written completely; `None` if the reader only closed stdout.
pub(super) fn lost() -> Option<&'static io::Error> {
    LOST.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}

/// Prints why the program ends without doing what was requested.
pub(super) fn complain(failure: &Failure) {
    if look().json {
        let Failure { what, causes, .. } = failure;
        let mut fields = json!({"exit_code": failure.code as i32});
        if !causes.is_empty() {
            fields["caused_by"] = json!(causes);
        }
        if let Some(hint) = &failure.hint {
            fields["hint"] = json!(hint);
        }
        return tell_fields(Level::Error, what, fields);
    }
    write(&coloured(&failure.to_string(), look().colour));
}

/// Prints a line that is not a result.
pub(super) fn tell(level: Level, text: impl Display) {
    let text = text.to_string();
    tell_with(level, &text, json!({}), &text);
}

/// The same with fields for collectors; people get `text`, which may have several lines.
pub(super) fn tell_with(level: Level, message: &str, fields: Value, text: &str) {
    match look().json {
        true => tell_fields(level, message, fields),
        false => write(text.trim_end_matches('\n')),
    }
}

/// Prints a line for collectors only, who are there when stderr is JSON.
pub(super) fn tell_fields(level: Level, message: &str, fields: Value) {
    let now = World::real().clock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let level = format!("{level:?}").to_uppercase();
    let mut line = Map::from_iter([
        ("timestamp".to_owned(), json!(now)),
        ("level".to_owned(), json!(level)),
        ("message".to_owned(), json!(message)),
    ]);
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    write(&Value::Object(line).to_string());
}

fn write(text: &str) {
    // If stderr is gone there is nowhere to report it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn look() -> Look {
    LOOK.get().copied().unwrap_or_default()
}

/// `error:` in red, `hint:` in cyan.
fn coloured(text: &str, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let line = |line: &str| {
        let painted = [("error:", "1;31"), ("hint:", "36")].into_iter().find_map(|(word, code)| {
            let at = line.find(word).filter(|at| line[..*at].trim().is_empty())?;
            Some(format!("{}\u{1b}[{code}m{word}\u{1b}[0m{}", &line[..at], &line[at + word.len()..]))
        });
        painted.unwrap_or_else(|| line.to_owned())
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The progress display for people.
pub(super) fn watcher() -> Box<dyn Watcher> {
    if std::io::stderr().is_terminal() && !is_json() { Box::new(Bars::default()) } else { Box::new(Quiet) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_at_the_beginning_of_a_line_are_painted() {
        let text = "error: the hint: of a colour\n  caused by: error: x\nhint: mend it";
        let painted = coloured(text, true);
        assert_eq!(
            painted,
            "\u{1b}[1;31merror:\u{1b}[0m the hint: of a colour\n  caused by: error: x\n\u{1b}[36mhint:\u{1b}[0m mend it"
        );
        assert_eq!(coloured(text, false), text);
    }
}
