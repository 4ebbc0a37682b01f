//! `coupon-recon completions` and `man`: shell completions and manual pages, generated from the
//! definition of the command line.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::arguments::Arguments;
use super::terminal::say;
use crate::durable;
use crate::error::{ExitCode, Failure};

const NAME: &str = "coupon-recon";

/// The completion script of `shell`.
pub(super) fn complete(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    ExitCode::Complete
}

/// Writes one page per command to `folder`.
pub(super) fn write_pages(folder: &Path) -> Result<ExitCode, Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::caused_by(ExitCode::Usage, format!("cannot write man pages into `{}`", folder.display()), &error)
    };
    let absolute = std::path::absolute(folder).map_err(unwritable)?;
    durable::create_folder(&absolute).map_err(unwritable)?;
    for (name, page) in pages() {
        let beside = absolute.join(format!("{name}.staged"));
        durable::write_file(&absolute.join(&name), &beside, &page).map_err(unwritable)?;
        say(folder.join(&name).display());
    }
    Ok(ExitCode::Complete)
}

/// File name and text of every page.
fn pages() -> Vec<(String, Vec<u8>)> {
    // `help` has no page of its own, so that none may refer to it.
    let top = Arguments::command().disable_help_subcommand(true);
    let mut top = top.mut_subcommands(|command| command.disable_help_subcommand(true));
    top.build();
    let mut pages = Vec::new();
    collect(&top, NAME, &mut pages);
    pages
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) {
    let mut page = Vec::new();
    // Page names have no spaces; clap requires a static lifetime.
    let named = command.clone().name(String::leak(name.to_owned()) as &'static str);
    clap_mangen::Man::new(named).render(&mut page).expect("memory takes a page");
    pages.push((format!("{name}.1"), with_lines_kept(&String::from_utf8_lossy(&page)).into_bytes()));
    for child in command.get_subcommands() {
        collect(child, &format!("{name}-{}", child.get_name()), pages);
    }
}

/// A page whose examples and exit codes keep their lines and blanks, as commands to be copied need, each under a heading of
/// its own; clap lets them flow, under the heading `EXTRA`.
fn with_lines_kept(page: &str) -> String {
    let Some((before, after)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let (extra, behind) = after.split_at(after.find(".SH ").unwrap_or(after.len()));
    let (examples, codes) = extra.split_once("\n\nExit codes:\n").unwrap_or((extra, ""));
    let examples = examples.strip_prefix("Examples:\n").unwrap_or(examples);
    let sections = [("EXAMPLES", examples), ("EXIT STATUS", codes)].into_iter().filter(|(_, text)| !text.is_empty());
    let sections: String =
        sections.map(|(name, text)| format!(".SH {name}\n.nf\n{}\n.fi\n", text.trim_end())).collect();
    format!("{before}{sections}{behind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_examples_and_exit_codes_stand_on_the_first() {
        let pages = pages();
        let page = |name: &str| {
            let found = pages.iter().find(|(it, _)| it == name).unwrap_or_else(|| panic!("no page {name}"));
            String::from_utf8(found.1.clone()).unwrap()
        };
        assert!(page("coupon-recon.1").contains(".SH EXIT STATUS\n.nf\n  0    complete"), "{}", page("coupon-recon.1"));
        for command in Arguments::command().get_subcommands() {
            let text = page(&format!("coupon-recon-{}.1", command.get_name()));
            let examples = text.split_once(".SH EXAMPLES\n.nf\n  coupon\\-recon ").map(|(_, examples)| examples);
            assert!(examples.is_some_and(|it| it.contains("\n.fi\n")), "{}", command.get_name());
            assert!(!text.contains("EXTRA") && !text.contains("help(1)"), "{}", command.get_name());
        }
        let copied = "\\-\\-interval\\-start 2026\\-11\\-20T12:00:00+08:00 \\\\\n                            \\-\\-interval\\-end";
        assert!(page("coupon-recon-run.1").contains(copied), "{}", page("coupon-recon-run.1"));
        assert!(page("coupon-recon-rules-show.1").contains("header and SQL"));
    }
}
