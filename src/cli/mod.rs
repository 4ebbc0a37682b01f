//! The command line: what was typed becomes a call, its result goes to stdout, everything else to
//! stderr. Decides nothing about data.

mod arguments;
mod breaks;
mod check;
mod interrupt;
mod rules;
mod run;
mod sample;
mod screen;
mod verify;

use std::io::IsTerminal;
use std::process;

use clap::Parser;

use crate::error::{ExitCode, Failure};
use arguments::{Arguments, Command};

/// Parses the command line, does what it says and ends the process with a documented exit code.
pub fn main() -> ! {
    let arguments = Arguments::parse();
    start_log(&arguments);
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
    let code = match runtime.block_on(dispatch(arguments)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code
        }
    };
    process::exit(code as i32)
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let world = arguments.world();
    match arguments.command {
        Command::Run(command) => run::run(command, &world).await,
        Command::Breaks(command) => breaks::run(&command),
        Command::Verify(command) => verify::run(&command),
        Command::Rules(command) => rules::run(&command),
        Command::Check(command) => check::run(&command, &world).await,
        Command::Generate(command) => sample::generate(&command),
        Command::Simulate(command) => sample::simulate(command, &world).await,
    }
}

fn start_log(arguments: &Arguments) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("COUPON_RECON_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("coupon_recon=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    match arguments.log_format {
        arguments::LogFormat::Text => log.with_target(false).init(),
        arguments::LogFormat::Json => log.json().init(),
    }
}
