//! `coupon-recon generate` and `simulate`: a synthetic merchant, and a simulator of WeChat for it.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use super::arguments::{Generate, Simulate};
use super::terminal::{self, Level, say};
use crate::clock::World;
use crate::error::{ExitCode, Failure};
use crate::simulator::generate::{GenerateError, Merchant, Recipe};
use crate::simulator::{Options, Running, Scenario, Simulator, SimulatorError};

/// In a command this is replaced by the address of the simulator.
const BASE_URL: &str = "{base_url}";

pub(super) fn generate(command: &Generate) -> Result<ExitCode, Failure> {
    let recipe = Recipe::new(command.seed, command.users, command.nights, command.first_date);
    let wrong = |error: GenerateError| Failure::caused_by(ExitCode::Usage, "cannot generate the merchant", &error);
    refuse_a_real_job(&command.folder)?;
    Merchant::make(&recipe).map_err(wrong)?.write(&command.folder).map_err(wrong)?;
    say(command.folder.join("job.toml").display());
    Ok(ExitCode::Complete)
}

/// A folder with a job that was not generated contains real keys: nothing is overwritten there.
fn refuse_a_real_job(folder: &Path) -> Result<(), Failure> {
    let has = |name: &str| folder.join(name).exists();
    if has("world") || !(has("job.toml") || has("secrets")) {
        return Ok(());
    }
    let failure = Failure::new(ExitCode::Usage, format!("`{}` holds a job that was not generated", folder.display()));
    Err(failure.hinting("generate into another folder: the keys in this one would be lost"))
}

pub(super) async fn simulate(command: Simulate, world: &World) -> Result<ExitCode, Failure> {
    let running = start(&command, world).await?;
    let code = match command.command.split_first() {
        Some((program, arguments)) => run_beside(&running, program, arguments).await?,
        None => {
            let folder = command.folder.display();
            terminal::tell(Level::Info, format_args!("serving {folder} at {}; Ctrl-C ends it", running.base_url()));
            let _ = tokio::signal::ctrl_c().await;
            ExitCode::Complete as i32
        }
    };
    running.stop().await;
    std::process::exit(code)
}

async fn start(command: &Simulate, world: &World) -> Result<Running, Failure> {
    let usage = |what: String, error: &dyn std::error::Error| Failure::caused_by(ExitCode::Usage, what, error);
    let simulator = Simulator::load(&command.folder)
        .map_err(|error| usage(format!("cannot serve `{}`", command.folder.display()), &error))
        .map_err(|failure| failure.hinting("`coupon-recon generate DIR` makes a merchant that can be served"))?;
    let mut options = Options::new(world);
    options.world_now = command.world_now;
    if let Some(path) = &command.scenario {
        options.scenario =
            Scenario::read(path).map_err(|error| usage(format!("cannot play `{}`", path.display()), &error))?;
    }
    simulator.serve_at(command.listen, options).await.map_err(|error| match &error {
        SimulatorError::Listen(source) => {
            usage(format!("cannot listen on {}", command.listen), source).hinting("`--listen` sets the address")
        }
        error => usage("cannot serve".to_owned(), error),
    })
}

/// Runs a command while the simulator is serving; returns its exit code.
async fn run_beside(running: &Running, program: &OsString, arguments: &[OsString]) -> Result<i32, Failure> {
    let base_url = running.base_url();
    let arguments = arguments.iter().map(|it| OsString::from(it.to_string_lossy().replace(BASE_URL, &base_url)));
    let status = tokio::process::Command::new(program).args(arguments).status().await.map_err(|error| {
        Failure::caused_by(ExitCode::Usage, format!("cannot run `{}`", program.to_string_lossy()), &error)
    })?;
    Ok(code_of(status))
}

/// The exit code as a shell tells it: of a command that a signal ended, 128 and the number of the signal.
fn code_of(status: ExitStatus) -> i32 {
    let of_signal = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(of_signal).expect("a command ends by itself or by a signal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_a_signal_ended_has_the_exit_code_a_shell_would_give_it() {
        for (status, code) in [(0, 0), (3 << 8, 3), (2, 130), (9, 137), (15, 143)] {
            assert_eq!(code_of(ExitStatus::from_raw(status)), code);
        }
    }
}
