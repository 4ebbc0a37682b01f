//! What a file was made of, as one digest: contents only, never arrival times, nonces or run ids
//! (design §12), so that the same inputs give the same file.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use super::pack;
use crate::contract;
use crate::dataset::Lake;
use crate::dataset::manifest::ReadPartition;
use crate::dataset::publish::{sha256_of, sha256_of_file};
use crate::job::Job;
use crate::record::{Break, Record};

/// Digest over named parts, in name order.
pub(super) fn digest_parts(parts: &BTreeMap<String, String>) -> String {
    let text: String = parts.iter().map(|(name, digest)| format!("{name}\t{digest}\n")).collect();
    sha256_of(text.as_bytes())
}

/// The earlier partitions a night of `date` reads: the look-back of every dataset, and the latest
/// before it where an older one is the memory. Of the breaks also what the trend shows.
pub(super) fn earlier_partitions(job: &Job, lake: &Lake, date: NaiveDate) -> std::io::Result<Vec<ReadPartition>> {
    let from = job.rules.lookback_start(date);
    let mut read = Vec::new();
    for contract in contract::all() {
        let from = if contract.name == Break::DATASET { from.min(pack::trend_start(date)) } else { from };
        let mut partitions = lake.partitions(&contract.name, from, date)?;
        if partitions.is_empty() {
            partitions.extend(lake.latest_before(&contract.name, date)?);
        }
        for partition in partitions {
            let sha256 = sha256_of_file(&partition.path)?;
            read.push(ReadPartition { dataset: contract.name.clone(), date: partition.date, sha256 });
        }
    }
    Ok(read)
}

/// The digest of a file that may not exist.
pub(super) fn digest_if_there(path: Option<&Path>) -> std::io::Result<String> {
    match path {
        Some(path) if path.is_file() => sha256_of_file(path),
        _ => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_names_and_contents_only() {
        let parts = |list: &[(&str, &str)]| {
            digest_parts(&list.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect())
        };
        assert_eq!(parts(&[("a", "1"), ("b", "2")]), parts(&[("b", "2"), ("a", "1")]));
        assert_ne!(parts(&[("a", "1")]), parts(&[("a", "2")]));
    }
}
