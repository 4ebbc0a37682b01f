//! Compares what the manifests of a day record with what is there: files, rows, control totals, earlier
//! partitions, journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::finding::Inspection;
use crate::causes::in_one_line;
use crate::clock::World;
use crate::dataset::manifest::{FootingEntry, MANIFEST_FILE, Manifest};
use crate::dataset::publication;
use crate::dataset::runs::Runs;
use crate::dataset::staged::{REPORTS, StagedFile, digest_of};
use crate::dataset::{Lake, parts};
use crate::durable::{refusal, with_path};
use crate::journal::audit;
use crate::quantity::counted;
use crate::record::{LedgerRow, Record};
use crate::sha256::sha256_of_file;
use crate::sorter::Room;
use crate::stage::Stage;

/// Memory for sorting the keys of a journal.
const SORTING_BYTES: usize = 32 << 20;

/// A day, and the runs that recorded publishing it.
#[derive(Clone, Copy)]
pub(super) struct Day<'a> {
    pub(super) lake: &'a Lake,
    pub(super) date: NaiveDate,
    pub(super) runs: &'a Runs,
}

impl Day<'_> {
    /// `rows` has the rows of each part of the readable partitions.
    pub(super) fn inspect_record(self, rows: &BTreeMap<&str, Vec<u64>>, it: &mut Inspection) -> io::Result<()> {
        let Day { lake, date, runs } = self;
        for (path, what) in &runs.damaged {
            it.find(path, what);
        }
        for (path, manifest) in publication::interrupted(lake, date).map_err(with_path(&lake.state("")))? {
            let what = format!("run {} was cut off while publishing; the next run completes it", manifest.run_id);
            it.find(path, what);
        }
        let Some(newest) = runs.publishing.first() else {
            it.is_of_nothing = it.files == 0 && it.findings.is_empty();
            if !it.is_of_nothing {
                it.find(lake.runs(date), "no manifest records that this day was published");
            }
            return Ok(());
        };
        self.inspect_files(rows, it)?;
        let makers = makers(runs);
        makers.iter().for_each(|manifest| self.inspect_totals(manifest, it));
        self.inspect_earlier(&makers, it)?;
        self.inspect_sources(it);
        self.inspect_makings(it);
        self.inspect_journal(newest, it)
    }

    /// Every file as recorded by the last run that published it.
    fn inspect_files(self, rows: &BTreeMap<&str, Vec<u64>>, it: &mut Inspection) -> io::Result<()> {
        let Day { lake, date, runs } = self;
        let files = runs.publishing.iter().flat_map(|manifest| &manifest.files);
        let places: BTreeSet<_> = files.map(|file| (file.dataset.as_str(), file.name.as_str())).collect();
        for (dataset, name) in places {
            match dataset {
                REPORTS => runs.report(name).map(|file| inspect_file(lake.reports(date).join(name), file, None, it)),
                dataset => runs.part(dataset, name).map(|file| {
                    let path = lake.partition(dataset, date).with_file_name(name);
                    let read = parts::number(name).and_then(|number| rows.get(dataset)?.get(number));
                    inspect_file(path, file, read.copied(), it)
                }),
            }
            .transpose()?;
        }
        Ok(())
    }

    /// The control totals of the night.
    fn inspect_totals(self, manifest: &Manifest, it: &mut Inspection) {
        let path = self.lake.run(manifest.business_date, &manifest.run_id).join(MANIFEST_FILE);
        for side in manifest.footing.iter().filter(|side| !foots(side)) {
            it.find(&path, format!("does not foot: {side:?}"));
        }
        for intake in &manifest.intake {
            let parts = manifest.files.iter().filter(|file| file.dataset == intake.dataset);
            let published = parts.map(|file| file.rows).reduce(|one, other| one + other);
            if !intake.holds() || published.is_some_and(|rows| rows != intake.published) {
                it.find(&path, format!("what was read is not what was published: {intake:?}"));
            }
        }
    }

    /// A day is stale when an earlier day it was made from was restated.
    fn inspect_earlier(self, makers: &[&Manifest], it: &mut Inspection) -> io::Result<()> {
        let reads = makers
            .iter()
            .flat_map(|manifest| manifest.read_partitions.iter().map(|read| (read, manifest.business_date)));
        let reads: BTreeSet<_> = reads.collect();
        let mut restated = BTreeSet::new();
        for (read, date) in reads {
            let path = self.lake.partition(&read.dataset, read.date);
            let is_there = path.try_exists().map_err(with_path(&path))?;
            let is_same = is_there && parts::sha256(&path).map_err(with_path(&path))? == read.sha256;
            if !is_same && restated.insert(path.clone()) {
                it.find(path, format!("was restated after {date} was made from it; run that day again"));
            }
        }
        Ok(())
    }

    /// Ledger and breaks go by the sources of their day as they were when they were made: a run of some stages may have
    /// put others there since.
    fn inspect_sources(self, it: &mut Inspection) {
        let Day { lake, date, runs } = self;
        let made = runs.publishing.iter().position(|run| parts_in(run, LedgerRow::DATASET).is_some());
        let (later, known) = runs.publishing.split_at(made.unwrap_or_default());
        let files = later.iter().flat_map(|run| &run.files);
        let datasets: BTreeSet<_> = files.map(|file| file.dataset.as_str()).filter(|name| *name != REPORTS).collect();
        for dataset in datasets {
            let last_of = |runs: &[Manifest]| runs.iter().find_map(|run| parts_in(run, dataset));
            if last_of(later) != last_of(known) {
                let what = "was published after the ledger and breaks of its day were made; run that day again";
                it.find(lake.partition(dataset, date), what);
            }
        }
    }

    /// A run of `reconcile` alone reads every source anew, and by older programs it published none: an export that was changed
    /// since its partition was published is in ledger and breaks all the same. Still older ones did not say what each source was
    /// made from.
    fn inspect_makings(self, it: &mut Inspection) {
        let Day { lake, date, runs } = self;
        let Some(made) = runs.publishing.iter().position(|run| parts_in(run, LedgerRow::DATASET).is_some()) else {
            return;
        };
        let known = &runs.publishing[made..];
        for stage in known[0].source_sha256.keys().filter_map(|name| Stage::find(name)) {
            for dataset in stage.datasets() {
                let published = known.iter().find(|run| parts_in(run, dataset).is_some());
                let told = published.filter(|run| run.source_sha256.contains_key(stage.as_str()));
                if told.is_some_and(|run| !known[0].has_source_of(run, stage)) {
                    let what = format!(
                        "is not what the ledger and breaks of its day were made from: the source `{stage}` had changed; run that day again"
                    );
                    it.find(lake.partition(dataset, date), what);
                }
            }
        }
    }

    /// The answers the day was made from, as they were.
    fn inspect_journal(self, manifest: &Manifest, it: &mut Inspection) -> io::Result<()> {
        let Day { lake, runs, .. } = self;
        let folder = lake.journal(manifest.business_date);
        let damages = audit(&folder, manifest.generation).map_err(with_path(&folder))?;
        let damaged: BTreeSet<_> = damages.iter().map(|damage| damage.stage.clone()).collect();
        for damage in damages {
            it.find(damage.path, damage.what);
        }
        let sound = manifest.journal_sha256.iter().filter(|(stage, _)| !damaged.contains(*stage));
        // What is inspected stays unchanged, including its folder.
        let room = Room { folder: std::env::temp_dir(), memory_bytes: SORTING_BYTES };
        for (stage, sha256) in sound {
            let journal = runs.journal(lake, manifest.business_date, World::real());
            match journal.and_then(|journal| journal.stage(stage)?.digest(&room)) {
                Ok(digest) if digest == *sha256 => {}
                Ok(_) => it.find(
                    folder.join(stage),
                    "the journalled answers are not those the day was made from; run that day again",
                ),
                Err(error) => match refusal(&error) {
                    // Answers that cannot be sorted or opened for a reason of the system are not damaged.
                    Some(no) => return Err(with_path(&folder.join(stage))(no)),
                    None => it.find(folder.join(stage), in_one_line(&error)),
                },
            }
        }
        Ok(())
    }
}

/// The runs that made the ledger and the reports, and the newest run: a run of some stages keeps what others
/// made.
fn makers(runs: &Runs) -> Vec<&Manifest> {
    let of = |dataset: &str| runs.publishing.iter().find(|it| it.files.iter().any(|file| file.dataset == dataset));
    let makers = runs.publishing.first().into_iter().chain(of(LedgerRow::DATASET)).chain(of(REPORTS));
    let mut seen = BTreeSet::new();
    makers.filter(|manifest| seen.insert(&manifest.run_id)).collect()
}

/// `read` is the number of rows, if the file is readable.
fn inspect_file(path: PathBuf, file: &StagedFile, read: Option<u64>, it: &mut Inspection) -> io::Result<()> {
    match sha256_of_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            it.find(path, "is missing, although the manifest lists it")
        }
        Err(error) => return Err(with_path(&path)(error)),
        Ok(sha256) if sha256 != file.sha256 => it.find(path, "is not the file that was published: its hash differs"),
        Ok(_) => {
            if let Some(read) = read.filter(|read| *read != file.rows) {
                let rows = counted(read, "row", "rows");
                it.find(path, format!("has {rows}; the manifest says {}", file.rows));
            }
        }
    }
    Ok(())
}

fn foots(side: &FootingEntry) -> bool {
    let parts = [side.matched, side.unmatched, side.left_out];
    let rows = parts.iter().map(|part| i128::from(part.rows)).sum::<i128>();
    let fen = parts.iter().map(|part| i128::from(part.fen.0)).sum::<i128>();
    (i128::from(side.total.rows), i128::from(side.total.fen.0)) == (rows, fen)
}

/// What identifies the partition of a dataset that a run published.
fn parts_in(run: &Manifest, dataset: &str) -> Option<String> {
    let mut parts = run.files.iter().filter(|file| file.dataset == dataset).peekable();
    parts.peek()?;
    Some(digest_of(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::inspect::inspect;
    use crate::dataset::manifest::SOURCE_DIGESTS;
    use crate::dataset::partition::Provenance;
    use crate::dataset::publish::Staging;
    use crate::record::CouponCode;

    /// What a run says that its code pools were made from.
    fn made_from(source_digests: u32, source: &str, answers: &str) -> Manifest {
        let digest = |sha256: &str| BTreeMap::from([(Stage::CouponCodes.to_string(), sha256.to_owned())]);
        let (source_sha256, journal_sha256) = (digest(source), digest(answers));
        let day = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        Manifest { source_digests, source_sha256, journal_sha256, ..Manifest::for_tests("j", day, Vec::new()) }
    }

    /// Whether the code pools of a day are said to be of another source than its ledger, which a later run made.
    fn is_told(published: Manifest, judged: Manifest) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        let date = published.business_date;
        let publish = |run_id: &str, sequence, is_judged: bool, manifest: Manifest| {
            let staging = Staging::open(&lake, run_id, date).unwrap();
            let files = match is_judged {
                true => staging.write::<LedgerRow>(&[], &Provenance::default()).unwrap(),
                false => staging.write::<CouponCode>(&[], &Provenance::default()).unwrap(),
            };
            staging.publish(&files).unwrap();
            let manifest = Manifest { run_id: run_id.to_owned(), sequence, files, ..manifest };
            manifest.write(&lake.run(date, run_id)).unwrap();
        };
        publish("r1", 1, false, published);
        publish("r2", 2, true, judged);
        let findings = inspect(&lake, date).unwrap().findings;
        findings.iter().any(|it| it.what.contains("the source `coupon_codes` had changed"))
    }

    #[test]
    fn digests_that_two_programs_mean_otherwise_tell_of_another_source_only_where_the_answers_are_others() {
        let now = |source: &str, answers: &str| made_from(SOURCE_DIGESTS, source, answers);
        let before = |source: &str, answers: &str| made_from(0, source, answers);
        assert!(!is_told(before("all", "j"), now("used", "j")));
        assert!(is_told(before("all", "j"), now("used", "k")));
        assert!(is_told(before("all", "j"), before("others", "j")) && is_told(now("used", "j"), now("others", "j")));
        assert!(!is_told(before("all", "j"), before("all", "j")));
    }

    #[test]
    fn a_source_without_answers_is_compared_by_its_digest_whichever_program_made_it() {
        let of_files = |source_digests, source: &str| Manifest {
            journal_sha256: BTreeMap::new(),
            ..made_from(source_digests, source, "")
        };
        assert!(is_told(of_files(0, "one"), of_files(SOURCE_DIGESTS, "another")));
        assert!(!is_told(of_files(0, "one"), of_files(SOURCE_DIGESTS, "one")));
    }
}
