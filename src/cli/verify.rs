//! `coupon-recon verify`: what is published, held against contracts, keys, manifest and signatures.

use super::arguments::Verify;
use super::run::load_job;
use super::screen::say;
use crate::dataset::Lake;
use crate::dataset::inspect::inspect;
use crate::error::{ExitCode, Failure};
use crate::pipeline;

pub(super) fn run(command: &Verify) -> Result<ExitCode, Failure> {
    let job = load_job(&command.job)?;
    let lake = Lake::at(&job.lake);
    let inspection = inspect(&lake, command.date)
        .map_err(|error| Failure::caused_by(ExitCode::Violation, "cannot read what is published", &error))?;
    let mut findings: Vec<String> =
        inspection.findings.iter().map(|it| format!("{}: {}", it.path.display(), it.what)).collect();
    say(format_args!("{} files, {} rows read", inspection.files, inspection.rows));
    if command.signatures {
        let proof = pipeline::verify_signatures(&job, command.date)?;
        say(format_args!("{} signatures hold, {} answers carry none", proof.verified, proof.unsigned));
        if proof.mismatched > 0 {
            let count = proof.mismatched;
            say(format_args!("{count} v2 signatures do not hold; `pay_v2.on_signature_mismatch` lets them pass"));
        }
        findings.extend(proof.findings);
    }
    for finding in &findings {
        say(format_args!("{finding}"));
    }
    Ok(if findings.is_empty() { ExitCode::Complete } else { ExitCode::Violation })
}
