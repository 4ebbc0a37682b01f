//! The command line: parses it, makes the call, prints its result to stdout and everything else to
//! stderr. Decides nothing about data.

#![expect(clippy::disallowed_methods, reason = "the one place that asks the environment and ends the process")]

mod api;
mod apply;
mod arguments;
mod breaks;
mod check;
mod dates;
mod examples;
mod forecast;
mod init;
mod interrupt;
mod manual;
mod outcome;
mod plan;
mod rules;
mod run;
mod runtime;
mod sample;
mod script;
mod shell;
mod terminal;
mod verify;
mod wait;

use std::process;

use clap::Parser;
use clap::error::ErrorKind;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt::layer, registry};

use crate::error::{ExitCode, Failure};
use crate::watch::logbook;
use arguments::{Arguments, Command, LogFormat};
use runtime::{many_threads, one_thread};

/// Parses the command line, executes it and ends the process with a documented exit code.
pub fn main() -> ! {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| refuse(&error));
    start_log(&arguments);
    end(dispatch(arguments))
}

fn end(outcome: Result<ExitCode, Failure>) -> ! {
    let code = outcome.and_then(heard).unwrap_or_else(|failure| {
        terminal::complain(&failure);
        failure.code
    });
    process::exit(code as i32)
}

/// The exit code; no success if results could not be written to stdout. Another code stays: it says more.
fn heard(code: ExitCode) -> Result<ExitCode, Failure> {
    terminal::lost().map_or(Ok(code), |error| Err(unheard(code, error)))
}

fn unheard(code: ExitCode, error: &std::io::Error) -> Failure {
    let code = match (code, error.kind()) {
        (ExitCode::Complete, std::io::ErrorKind::StorageFull) => ExitCode::TryLater,
        (ExitCode::Complete, _) => ExitCode::Usage,
        (code, _) => code,
    };
    let failure = Failure::caused_by(code, "cannot write the results to stdout", error);
    failure.hinting("make room where stdout is written to, and run the same command again")
}

fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let world = arguments.world();
    match arguments.command {
        Command::Run(command) => one_thread()?.block_on(run::run(command, &world)),
        Command::Breaks(command) => breaks::run(&command, &world),
        Command::Verify(command) => verify::run(&command, &world),
        Command::Rules(command) => rules::run(&command),
        Command::Check(command) => one_thread()?.block_on(check::run(&command, &world)),
        Command::Plan(command) => plan::run(&command, &world),
        Command::Apply(command) => one_thread()?.block_on(apply::run(&command, &world)),
        Command::Api(command) => one_thread()?.block_on(api::run(&command, &world)),
        Command::Generate(command) => sample::generate(&command),
        Command::Simulate(command) => many_threads()?.block_on(sample::simulate(command, &world)),
        Command::Init(command) => init::run(&command, &world),
        Command::Completions { shell } => Ok(manual::complete(shell)),
        Command::Man { folder } => manual::write_pages(&folder),
    }
}

/// Ends the process because of an invalid command line, in the log's format; help is a result.
fn refuse(error: &clap::Error) -> ! {
    let typed: Vec<String> = std::env::args_os().map(|it| it.to_string_lossy().into_owned()).collect();
    let is_json =
        typed.iter().any(|it| it == "--log-format=json") || typed.windows(2).any(|it| it == ["--log-format", "json"]);
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_help {
        terminal::show_help(error);
        end(Ok(ExitCode::Complete))
    }
    if !is_json {
        error.exit()
    }
    terminal::decide(LogFormat::Json);
    let text = error.render().to_string();
    terminal::complain(&Failure::new(ExitCode::Usage, text.trim().trim_start_matches("error: ")));
    process::exit(ExitCode::Usage as i32)
}

fn start_log(arguments: &Arguments) {
    let is_json = arguments.log_format == LogFormat::Json;
    terminal::decide(arguments.log_format);
    let filter = EnvFilter::try_from_env("COUPON_RECON_LOG").unwrap_or_else(|_| EnvFilter::new("coupon_recon=warn"));
    let kept = layer().with_ansi(false).with_target(false).with_writer(logbook::Scribe::default);
    let log = registry().with(kept.with_filter(EnvFilter::new("coupon_recon=info")));
    let shown = layer().with_writer(std::io::stderr);
    match is_json {
        false => log.with(shown.with_ansi(terminal::is_colourful()).with_target(false).with_filter(filter)).init(),
        true => {
            let shown = shown.json().flatten_event(true).with_current_span(false).with_span_list(false);
            log.with(shown.with_filter(filter)).init();
            std::panic::set_hook(Box::new(|panic| terminal::tell(terminal::Level::Error, panic)));
        }
    }
}
