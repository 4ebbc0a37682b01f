//! Tests that a night over partitions with many parts equals the night over the same partitions as
//! single files.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use super::fixture::{Fixture, folders, name_of};
use crate::contract;
use crate::dataset::batches::Batches;
use crate::dataset::partition::{self, PartLimit, Provenance, Writer};
use crate::dataset::parts;
use crate::reconcile::basis::decisions::Decisions;
use crate::reconcile::basis::files::{DayFiles, Shortfall};
use crate::reconcile::ledger::footing::Footing;
use crate::reconcile::rules::Rules;
use crate::record::{Break, LedgerRow, Record};

/// The files of a night, each split into parts of a number of rows below `folder`.
pub(in crate::reconcile) fn in_parts(files: &DayFiles, folder: &Path, rows: usize) -> DayFiles {
    let mut cut = files.clone();
    let day = cut.day.iter_mut().map(|(dataset, path)| (dataset.clone(), files.date, path));
    let earlier = cut
        .history
        .iter_mut()
        .flat_map(|(dataset, days)| days.iter_mut().map(|(date, path)| (dataset.clone(), *date, path)));
    for (dataset, date, path) in day.chain(earlier) {
        *path = recut(&dataset, path, &folder.join(format!("{dataset}/dt={date}")), rows);
    }
    cut
}

/// The first of the parts of a file; the file itself if it has too few rows for two.
fn recut(dataset: &str, file: &Path, folder: &Path, rows: usize) -> PathBuf {
    let batches: Vec<_> = Batches::open(file, None, partition::ROWS_PER_BATCH).unwrap().map(Result::unwrap).collect();
    if batches.iter().map(RecordBatch::num_rows).sum::<usize>() <= rows {
        return file.to_owned();
    }
    std::fs::create_dir_all(folder).unwrap();
    let first = folder.join(parts::FIRST);
    let limit = PartLimit::of_rows(rows);
    let mut writer = Writer::create(&first, contract::contract(dataset), &Provenance::default(), limit).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let written = writer.finish().unwrap();
    assert!(written.len() > 1 && parts::of(&first).unwrap().len() == written.len());
    first
}

/// Ledger, totals and breaks of a case under these rules, its files and then its ledger split by
/// `cut`.
fn night(
    case: &Path,
    rules: &Rules,
    cut: impl Fn(&DayFiles, &Path) -> DayFiles,
) -> (Vec<LedgerRow>, Vec<Footing>, Vec<Break>) {
    let mut night = Fixture::read(case).unwrap();
    let folder = tempfile::tempdir().unwrap();
    night.files = cut(&night.files, &folder.path().join("before"));
    let footing = match night.files.day.contains_key(LedgerRow::DATASET) {
        true => Vec::new(),
        false => night.put_ledger(rules).unwrap(),
    };
    night.files = cut(&night.files, &folder.path().join("after"));
    let ledger = partition::read_rows(night.files.of_day(LedgerRow::DATASET).unwrap()).unwrap();
    let (breaks, _) = night.judge(rules, &Shortfall::new(), &Decisions::default()).unwrap();
    (ledger, footing, breaks)
}

#[test]
fn every_case_gives_ledger_totals_and_breaks_alike_in_one_file_and_in_many_parts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut cases: Vec<_> =
        folders(&root.join("ledger")).unwrap().into_iter().map(|case| (case, Rules::built_in())).collect();
    for rule in folders(&root.join("rules")).unwrap() {
        let rules = Rules::built_in().only(&name_of(&rule));
        cases.extend(folders(&rule).unwrap().into_iter().map(|case| (case, rules.clone())));
    }
    let (mut rows, mut found) = (0, 0);
    for (number, (case, rules)) in cases.iter().enumerate() {
        let one = night(case, rules, |files, _| files.clone());
        let many = night(case, rules, |files, folder| in_parts(files, folder, 1 + number % 2));
        assert!(one == many, "{}", case.display());
        (rows, found) = (rows + one.0.len(), found + one.2.len());
    }
    assert!(rows > 200 && found > 50, "{rows} rows and {found} breaks show little");
}
