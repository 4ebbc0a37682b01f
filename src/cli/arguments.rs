//! The definition of the command line. The doc comments are the help texts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::dates::{Dates, PublishedDate, parse_day, parse_instant};
use super::examples;
use crate::clock::World;
use crate::error::EXIT_CODE_TABLE;
use crate::stage::Stage;
use crate::wechat::endpoint::Verb;

/// Where the help lists the options that every command has: behind its own.
const LAST: usize = 900;

/// Proves every WeChat merchant coupon against the orders, payments and subsidies it touched.
#[derive(Debug, Parser)]
#[command(name = "coupon-recon", version, about, after_help = format!("{}{EXIT_CODE_TABLE}", examples::TOP))]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,

    /// Format of log lines on stderr; COUPON_RECON_LOG sets the level
    #[arg(long, global = true, value_enum, default_value = "text", display_order = LAST)]
    pub(super) log_format: LogFormat,

    /// Pretend it is this instant (RFC 3339): for demos and rehearsals
    #[arg(long, global = true, value_name = "INSTANT", value_parser = parse_instant, display_order = LAST)]
    now: Option<DateTime<Utc>>,
}

impl Arguments {
    pub(super) fn world(&self) -> World {
        self.now.map_or_else(World::real, World::at)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run one business date, or several
    #[command(after_help = examples::RUN)]
    Run(Run),
    /// Show the open breaks of a published date
    #[command(after_help = examples::BREAKS)]
    Breaks(Breaks),
    /// Re-read what is published: contracts, keys, hashes, signatures
    #[command(after_help = examples::VERIFY)]
    Verify(Verify),
    /// The rules: list them, show one, test a folder of cases
    #[command(after_help = examples::RULES)]
    Rules(RulesCommand),
    /// Check the job file, keys, clock and hosts before a night
    #[command(after_help = examples::CHECK)]
    Check(Check),
    /// Propose the calls that would resolve open breaks; changes nothing
    #[command(after_help = examples::PLAN)]
    Plan(Plan),
    /// Make the calls of an approved plan
    #[command(after_help = examples::APPLY)]
    Apply(Apply),
    /// Make one signed and verified call to one endpoint
    #[command(after_help = examples::API)]
    Api(ApiCall),
    /// Make a synthetic merchant with planted breaks
    #[command(after_help = examples::GENERATE)]
    Generate(Generate),
    /// Serve a generated merchant as WeChat would
    #[command(after_help = examples::SIMULATE)]
    Simulate(Simulate),
    /// Write a commented job file to start from
    #[command(after_help = examples::INIT)]
    Init(Init),
    /// Print the completion script of a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: Shell,
    },
    /// Write man pages, one per command, into a folder
    #[command(after_help = examples::MAN)]
    Man {
        /// Folder, such as ~/.local/share/man/man1
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The job file
    pub(super) job: PathBuf,
    #[command(flatten)]
    pub(super) dates: Dates,
    #[arg(long, value_name = "STAGE", value_delimiter = ',', value_parser = parse_stage, help = about_stages())]
    pub(super) stage: Vec<Stage>,
    /// Rebuild from the journal; send no request
    #[arg(long, conflicts_with = "refetch")]
    pub(super) replay: bool,
    /// Request everything again, into a new generation of the journal
    #[arg(long)]
    pub(super) refetch: bool,
    /// Show what would be requested and written, and do neither
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Wait up to this long for sources that are not ready and for the lock
    #[arg(long, value_name = "90s|10m|2h", value_parser = parse_wait)]
    pub(super) wait: Option<Duration>,
    /// Exit 3 when open breaks exceed this, e.g. `open_fen>100000,rule:SU01.count>0`
    #[arg(long, value_name = "EXPR")]
    pub(super) fail_on: Option<String>,
    /// Call this host instead of those of the job file: a simulator
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<url::Url>,
    /// Match and judge on this machine or on the cluster of `engine.remote`, whatever `engine.kind` says
    #[arg(long, value_enum)]
    pub(super) engine: Option<Engine>,
    /// Request everything, then write the match and the rules of one date as a script for spark-submit
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stage", "dry_run", "fail_on", "summary"])]
    pub(super) emit_script: Option<PathBuf>,
    /// Publish the results of the script that `--emit-script` wrote
    #[arg(long, conflicts_with_all = ["stage", "dry_run", "emit_script"])]
    pub(super) take_script: bool,
    /// Print a summary of each night on stderr; without it, only on a terminal or when a night is not complete
    #[arg(long)]
    pub(super) summary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    Polars,
    Spark,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The job file
    pub(super) job: PathBuf,
    #[command(flatten)]
    pub(super) date: PublishedDate,
    /// Only breaks of these rules, including those a person has to look at
    #[arg(long = "rule", value_name = "ID", value_delimiter = ',')]
    pub(super) rules: Vec<String>,
    /// Write the plan here instead of to stdout
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The plan, as `coupon-recon plan` wrote it or with calls removed
    pub(super) plan: PathBuf,
    /// The SHA-256 of the plan that was read and approved
    #[arg(long, value_name = "SHA256")]
    pub(super) approve: String,
    /// The job file, if it is not the one the plan names
    #[arg(long, value_name = "JOB")]
    pub(super) job: Option<PathBuf>,
    /// Call this host instead of those of the job file: a simulator
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<url::Url>,
}

#[derive(Debug, Args)]
pub(super) struct Breaks {
    /// The job file
    pub(super) job: PathBuf,
    #[command(flatten)]
    pub(super) date: PublishedDate,
    /// Exit 3 when open breaks exceed this, e.g. `open_fen>100000`
    #[arg(long, value_name = "EXPR")]
    pub(super) fail_on: Option<String>,
    /// Show the history of the breaks of `--date` since this date instead: one line per sequence of statuses
    #[arg(long, value_parser = parse_day, value_name = "DATE", conflicts_with = "fail_on")]
    pub(super) since: Option<NaiveDate>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The job file
    pub(super) job: PathBuf,
    #[command(flatten)]
    pub(super) date: PublishedDate,
    /// Also check the signature of every journalled answer
    #[arg(long)]
    pub(super) signatures: bool,
}

#[derive(Debug, Args)]
pub(super) struct RulesCommand {
    /// What to do; without a subcommand, all rules are listed
    #[command(subcommand)]
    pub(super) of: Option<Rules>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Rules {
    /// Every rule with its title
    List,
    /// One rule: header and SQL
    Show {
        /// Its id, e.g. AO08
        id: String,
    },
    /// Run the cases of a folder
    Test {
        /// Folder of rule files, or of cases with one folder per rule id
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The job file
    pub(super) job: PathBuf,
    /// Call this host instead of those of the job file: a simulator
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<url::Url>,
}

#[derive(Debug, Args)]
pub(super) struct ApiCall {
    /// GET, POST, PATCH or DELETE
    #[arg(value_parser = parse_verb, required_unless_present = "list")]
    pub(super) method: Option<Verb>,
    /// Path as sent, e.g. /v3/marketing/busifavor/stocks/1212; characters that a path cannot hold
    /// are encoded
    #[arg(required_unless_present = "list")]
    pub(super) path: Option<String>,
    /// A field of the body, or of the query of GET and DELETE. Dots nest; numbers, true, false,
    /// objects and arrays are sent as such, anything else as text. `key="12"` is text too
    #[arg(short = 'f', long = "field", value_name = "KEY=VALUE", value_parser = parse_field)]
    pub(super) fields: Vec<(String, String)>,
    /// The job file the credentials come from
    #[arg(long, value_name = "JOB", required_unless_present = "list")]
    pub(super) job: Option<PathBuf>,
    /// Call this host instead of those of the job file: a simulator
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<url::Url>,
    /// Allow calls that change something at WeChat
    #[arg(long)]
    pub(super) write: bool,
    /// Client certificate and its key in one PEM file: send_coupon needs it
    #[arg(long, value_name = "PEM")]
    pub(super) client_certificate: Option<PathBuf>,
    /// List every endpoint instead
    #[arg(long)]
    pub(super) list: bool,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Folder of the job; created if missing
    #[arg(default_value = ".")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Generate {
    /// Folder to write the merchant into
    pub(super) folder: PathBuf,
    /// Another seed, another merchant
    #[arg(long, default_value_t = 20_261_118)]
    pub(super) seed: u64,
    /// Users
    #[arg(long, default_value_t = 300)]
    pub(super) users: u32,
    /// Business nights
    #[arg(long, default_value_t = 3)]
    pub(super) nights: u32,
    /// First business date
    #[arg(long, value_parser = parse_day, default_value = "2026-11-18")]
    pub(super) first_date: NaiveDate,
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Folder of a generated merchant
    pub(super) folder: PathBuf,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:18080")]
    pub(super) listen: std::net::SocketAddr,
    /// Faults to inject, a TOML file
    #[arg(long)]
    pub(super) scenario: Option<PathBuf>,
    /// Show the merchant as of this instant
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    pub(super) world_now: Option<DateTime<Utc>>,
    /// Serve only while this command runs, and end with its exit code; `{base_url}` in it is
    /// replaced with the address
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<std::ffi::OsString>,
}

impl Run {
    pub(super) fn stages(&self) -> Option<BTreeSet<Stage>> {
        (!self.stage.is_empty()).then(|| self.stage.iter().copied().collect())
    }
}

fn about_stages() -> String {
    let names = Stage::ALL.map(Stage::as_str).join(", ");
    format!(
        "Only these stages send requests and publish; the others work from the journal. With commas between them: {names}"
    )
}

fn parse_stage(text: &str) -> Result<Stage, String> {
    if let Some(stage) = Stage::find(text) {
        return Ok(stage);
    }
    let names = Stage::ALL.map(Stage::as_str);
    let near = names.iter().map(|name| (strsim::jaro(text, name), name)).filter(|(likeness, _)| *likeness > 0.7);
    let nearest = near.max_by(|(one, _), (other, _)| one.total_cmp(other));
    let meant = nearest.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"));
    Err(format!("no such stage{meant} (stages: {})", names.join(", ")))
}

fn parse_verb(text: &str) -> Result<Verb, String> {
    let all = [Verb::Get, Verb::Post, Verb::Patch, Verb::Delete];
    let named = all.into_iter().find(|verb| verb.as_str().eq_ignore_ascii_case(text));
    named.ok_or_else(|| "expected GET, POST, PATCH or DELETE".to_owned())
}

fn parse_field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.split('.').all(|part| !part.is_empty()) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected key=value, with dots between the keys of nested objects".to_owned()),
    }
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and s, m or h, as in 90s, 10m or 2h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(number.saturating_mul(factor)))
}

#[cfg(test)]
mod tests {
    use std::iter;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn waits_are_read_and_nonsense_is_refused() {
        assert_eq!(parse_wait("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_wait("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_wait("2h"), Ok(Duration::from_secs(7200)));
        for text in ["", "m", "10", "1.5h", "-1s", "10分"] {
            assert!(parse_wait(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_has_a_year_of_four_digits_that_can_be_meant() {
        assert_eq!(parse_day("2026-11-18").unwrap().to_string(), "2026-11-18");
        for text in ["26-11-18", "0026-11-18", "1999-12-31", "2200-01-01", "2026-02-29", "20261118"] {
            assert!(parse_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn verbs_are_read_in_any_case_and_fields_need_a_key() {
        assert_eq!(parse_verb("post"), Ok(Verb::Post));
        assert!(parse_verb("PUT").is_err());
        assert_eq!(parse_field("a.b=c=d"), Ok(("a.b".into(), "c=d".into())));
        for text in ["a", "=1", "a.=1", ".a=1", "a..b=1"] {
            assert!(parse_field(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_that_can_be_meant_is_told_what_an_instant_looks_like() {
        let options = ["--now", "--interval-start"];
        let texts = ["2026-11-21", "+262142-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0026-11-21T12:00:00+08:00"];
        for (option, text) in options.iter().flat_map(|option| texts.map(|text| (*option, text))) {
            let told = Arguments::try_parse_from(["coupon-recon", "run", "job.toml", option, text]).unwrap_err();
            let told = told.to_string();
            assert!(told.contains("expected an instant with its offset, as in 2026-11-19T12:00:00+08:00"), "{told}");
        }
    }

    #[test]
    fn what_every_command_takes_is_listed_behind_its_own_options() {
        let mut command = Arguments::command();
        command.build();
        let help = command.find_subcommand_mut("run").unwrap().render_help().to_string();
        let at = |option: &str| help.find(option).unwrap_or_else(|| panic!("{option} in {help}"));
        assert!(at("--take-script ") < at("--log-format ") && at("--summary ") < at("--now "), "{help}");
    }

    #[test]
    fn the_help_of_run_names_every_stage_that_may_be_chosen() {
        let mut command = Arguments::command();
        let help = command.find_subcommand_mut("run").unwrap().render_help().to_string();
        let line = help.lines().find(|line| line.contains("--stage <STAGE>")).unwrap();
        for stage in Stage::ALL {
            assert!(line.contains(stage.as_str()), "{}: {line}", stage.as_str());
        }
    }

    #[test]
    fn the_command_lines_of_our_own_schedules_and_examples_are_understood() {
        let schedules = [include_str!("../../jobs/crontab"), include_str!("../../jobs/systemd/coupon-recon.service")];
        let command = Arguments::command();
        let helps: Vec<_> = iter::once(&command)
            .chain(command.get_subcommands())
            .map(|it| it.get_after_help().unwrap_or_else(|| panic!("`{}` has no examples", it.get_name())).to_string())
            .collect();
        for text in schedules.into_iter().chain(helps.iter().map(String::as_str)) {
            let text = text.split("\\\n").map(str::trim_start).collect::<Vec<_>>().join(" ");
            let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            let calls: Vec<_> = lines.filter_map(typed).collect();
            assert!(!calls.is_empty(), "{text}");
            for words in calls {
                let parsed = Arguments::try_parse_from(&words);
                assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
            }
        }
    }

    /// The arguments in a line that calls the program, up to a redirection, a pipe or a remark after three spaces.
    fn typed(line: &str) -> Option<Vec<String>> {
        let start = line.find("coupon-recon ").filter(|at| !line[..*at].contains("Description"))?;
        let call = line[start..].trim();
        let call = call.replace("\"$(sha256sum < plan.json | cut -d' ' -f1)\"", "SHA256");
        let end = [" >", " |", "   "].iter().filter_map(|mark| call.find(mark)).min().unwrap_or(call.len());
        let call = &call[..end];
        Some(call.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect())
    }

    #[test]
    fn an_unknown_stage_is_told_the_nearest_one() {
        assert!(parse_stage("user_coupon").unwrap_err().contains("did you mean `user_coupons`"));
        let nothing_like_it = parse_stage("foo").unwrap_err();
        assert!(nothing_like_it.starts_with("no such stage (stages: orders, "), "{nothing_like_it}");
    }
}
