//! Generations of a day's journal: numbered folders, of which the latest counts.

use std::io;
use std::path::Path;

/// The number of the latest generation below `folder` (`journal/dt=D`), if there is one.
pub(super) fn latest_generation(folder: &Path) -> io::Result<Option<u32>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut latest = None;
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("gen-")?.parse().ok());
        latest = latest.max(number);
    }
    Ok(latest)
}

/// The folder of a generation.
pub(super) fn generation_name(number: u32) -> String {
    format!("gen-{number:03}")
}
