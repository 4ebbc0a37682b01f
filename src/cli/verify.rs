//! `coupon-recon verify`: checks what is published against contracts, keys, manifests and
//! signatures.

use std::io;

use super::arguments::Verify;
use super::run::load_job;
use super::terminal::say;
use crate::clock::World;
use crate::dataset::bucket::Scope;
use crate::dataset::inspect::inspect;
use crate::error::{ExitCode, Failure};
use crate::pipeline::{self, Proof, ReadableLake, nothing_published};
use crate::quantity::counted;

pub(super) fn run(command: &Verify, world: &World) -> Result<ExitCode, Failure> {
    let date = command.date.or_yesterday(world);
    let job = load_job(&command.job)?;
    let scope = Scope::Audit { date, from: job.rules.lookback_start(date) };
    let reading = ReadableLake::open(&job, &scope)?;
    let lake = &reading.lake;
    let inspection = inspect(lake, date).map_err(|error| unread(&error))?;
    if inspection.is_of_nothing {
        return Err(nothing_published(&job, lake, date));
    }
    let mut findings: Vec<String> =
        inspection.findings.iter().map(|it| format!("{}: {}", lake.shown(&it.path), it.what)).collect();
    let (files, rows) = (counted(inspection.files, "file", "files"), counted(inspection.rows, "row", "rows"));
    say(format_args!("{files}, {rows} read"));
    // What the journal says can be relied on if it is sound.
    if findings.is_empty() {
        findings.extend(pipeline::missing_bill(lake, date)?);
    }
    // Only rows that are unchanged since their publication can be compared with the totals of their
    // night.
    if findings.is_empty() {
        findings.extend(pipeline::refoot(&job, lake, date)?);
    }
    if command.signatures {
        match pipeline::verify_signatures(&job, lake, date) {
            Ok(proof) => findings.extend(told(proof)),
            // Other findings are reported all the same.
            Err(failure) if failure.code == ExitCode::Violation => findings.push(failure.in_one_line()),
            Err(failure) => return Err(failure),
        }
    }
    for finding in &findings {
        say(format_args!("{finding}"));
    }
    Ok(if findings.is_empty() { ExitCode::Complete } else { ExitCode::Violation })
}

/// What cannot be read for a reason of the system is not a violation.
fn unread(error: &io::Error) -> Failure {
    let what = "cannot read what is published";
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::caused_by(ExitCode::Usage, what, error)
            .hinting("the lake also holds raw pages: run this as the user who runs the nights"),
        _ => pipeline::unread(error, what),
    }
}

/// Reports the number of valid signatures, and what is wrong with the others.
fn told(proof: Proof) -> Vec<String> {
    let valid = counted(proof.verified, "signature is", "signatures are");
    let unsigned = counted(proof.unsigned, "answer carries", "answers carry");
    say(format_args!("{valid} valid, {unsigned} none"));
    if proof.mismatched > 0 {
        let mismatched = counted(proof.mismatched, "v2 signature is", "v2 signatures are");
        say(format_args!("{mismatched} not valid; `pay_v2.on_signature_mismatch` lets them pass"));
    }
    proof.findings
}
