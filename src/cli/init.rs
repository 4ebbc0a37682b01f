//! `coupon-recon init`: creates a commented job file and the key for its openids. Overwrites nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::arguments::Init;
use super::shell;
use super::terminal::{self, Level, say};
use crate::clock::World;
use crate::durable;
use crate::error::{ExitCode, Failure};

/// The example of the repository; its paths start in a folder beside its own.
const EXAMPLE: &str = include_str!("../../jobs/nightly.toml");

pub(super) fn run(command: &Init, world: &World) -> Result<ExitCode, Failure> {
    let folder = &command.folder;
    let job = folder.join("job.toml");
    if job.exists() {
        let failure = Failure::new(ExitCode::Usage, format!("`{}` already exists", job.display()));
        return Err(failure.hinting("`coupon-recon check` shows what it lacks; for a new job, use another folder"));
    }
    let absolute = std::path::absolute(folder);
    absolute.and_then(|folder| write(&folder, world)).map_err(|error| {
        Failure::caused_by(ExitCode::Usage, format!("cannot write into `{}`", folder.display()), &error)
    })?;
    say(job.display());
    terminal::tell(Level::Info, next_steps(&job));
    Ok(ExitCode::Complete)
}

fn write(folder: &Path, world: &World) -> std::io::Result<()> {
    let secrets = folder.join("secrets");
    durable::create_folder(folder)?;
    durable::create_private_folder(&secrets)?;
    let key = secrets.join("pii.key");
    // Another key would give other pseudonyms: an existing one is kept.
    if !key.exists() {
        let mut bytes = [0u8; 32];
        world.random.fill(&mut bytes);
        let beside = secrets.join("pii.key.staged");
        durable::write_file(&key, &beside, format!("{}\n", hex::encode(bytes)).as_bytes())?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    }
    durable::write_file(&folder.join("job.toml"), &folder.join("job.toml.staged"), job_file().as_bytes())
}

/// The example, with all paths inside the folder of the job.
fn job_file() -> String {
    // The schema only exists beside the example.
    let lines = EXAMPLE.lines().filter(|line| !line.starts_with("#:schema"));
    let text: String = lines.map(|line| format!("{}\n", inside(line))).collect();
    text.replace("coupon-recon check jobs/nightly.toml", "coupon-recon check job.toml")
}

/// A line with its path inside the folder of the job. The comment behind it stays in its column.
fn inside(line: &str) -> String {
    let inside = line.replace("\"../", "\"");
    match inside.split_once("  #") {
        Some((value, comment)) => format!("{value}{}  #{comment}", " ".repeat(line.len() - inside.len())),
        None => inside,
    }
}

fn next_steps(job: &Path) -> String {
    let job = shell::word(job);
    format!(
        "next:\n  1. put your values into {job}; remove the sections you do not need\n  \
         2. coupon-recon check {job}\n  \
         3. coupon-recon run {job} --dry-run\n  \
         4. coupon-recon run {job} --summary"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_file_keeps_to_its_folder() {
        let text = job_file();
        assert!(!text.contains("../"), "{text}");
        assert!(text.contains("lake = \"out/lake\"") && text.contains("check job.toml"));
        let column = |of: &str| text.lines().find(|line| line.starts_with(of)).and_then(|line| line.find(" # "));
        assert!(column("lake = ").is_some() && column("lake = ") == column("pii = "), "{text}");
    }

    #[test]
    fn a_key_that_is_there_is_kept_and_a_new_one_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("secrets/pii.key");
        write(folder.path(), &World::real()).unwrap();
        let first = std::fs::read_to_string(&key).unwrap();
        assert_eq!(first.trim().len(), 64);
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        write(folder.path(), &World::real()).unwrap();
        assert_eq!(std::fs::read_to_string(&key).unwrap(), first);
    }
}
