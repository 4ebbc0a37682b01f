//! Builds the manifest of a night from what it did. Decides nothing.

use super::entries::footing_entry;
use super::failure::{disk, unjournalled};
use super::finished_night::FinishedNight;
use super::run::Run;
use super::staleness::stale_after;
use super::work::Work;
use crate::dataset::manifest::{MANIFEST_VERSION, Manifest, SOURCE_DIGESTS, StageEntry};
use crate::error::Failure;
use crate::reconcile::Unjudged;
use crate::stage::Stage;

/// The manifest of a finished night.
pub(super) fn of(work: &Work<'_>, done: &FinishedNight, run: &Run) -> Result<Manifest, Failure> {
    let journal = work.night.journal;
    let stale = stale_after(&work.night.job.rules, work.lake, work.runs, work.plan.date, &done.files);
    let judged = done.judged.as_ref();
    let stale_dates = stale.map_err(|error| disk(&error, "cannot read later manifests"))?;
    Ok(Manifest {
        manifest_version: MANIFEST_VERSION,
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        job: work.night.job.name.clone(),
        business_date: work.plan.date,
        run_id: run.id.clone(),
        sequence: work.runs.next_sequence(),
        generation: journal.generation(),
        started_at: run.started_at,
        finished_at: work.night.world.clock.now(),
        status: done.status(),
        exit_code: done.verdict.code as i32,
        stages: in_order(done.sources.entries.clone()),
        files: done.files.clone(),
        read_partitions: done.read_partitions.clone(),
        inputs_sha256: done.provenance.inputs_sha256.clone(),
        source_sha256: done.sources.digests.clone(),
        source_digests: SOURCE_DIGESTS,
        openid_mark: work.night.pseudonyms.mark(),
        journal_extent: journal.extent(),
        journal_sha256: journal.digests(&work.night.corner()).map_err(|error| unjournalled(&error))?,
        rules_sha256: done.provenance.rules_sha256.clone(),
        unjudged_rules: judged.iter().flat_map(|it| &it.judgement.unjudged).map(unjudged).collect(),
        stale_dates,
        footing: done.footing.iter().map(footing_entry).collect(),
        intake: done.sources.intake.clone(),
        coverage: done.sources.coverage.clone(),
        restated: judged.and_then(|it| it.restated.clone()),
        missing_dates: done.missing_dates,
        early_decisions: judged.map_or(0, |it| it.breaks.early_decisions),
        caller: work.plan.caller.airflow.clone(),
    })
}

/// Stages in the order of the design, not in the order in which they ended.
fn in_order(mut entries: Vec<StageEntry>) -> Vec<StageEntry> {
    entries.sort_by_key(|entry| Stage::find(&entry.stage));
    entries
}

fn unjudged(it: &Unjudged) -> (String, String) {
    (it.rule_id.clone(), format!("{}: {}", it.dataset, it.why))
}
