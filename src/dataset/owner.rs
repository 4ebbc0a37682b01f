//! The job and the merchant that a lake belongs to. Paths of a lake name neither: another one would take the journal and the
//! books that it finds for its own. So the first run marks the lake with both, before it writes anything else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Lake;
use super::runs::Runs;
use crate::durable::{self, with_path};
use crate::store::{Cause, Put, Store, StoreError};

const MARK: &str = "owner.json";
const LOCK: &str = ".lock";

/// `state/owner.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// `job.name`.
    pub job: String,
    /// `pay_v3.mchid`; `None` of a job without it, and where an older program marked the lake, or none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
}

impl Owner {
    /// A job whose merchant is not known.
    fn of_job(job: &str) -> Owner {
        Owner { job: job.to_owned(), merchant: None }
    }
}

/// Whom the lake belongs to; `None` if it belongs to nobody yet. A lake without a mark, from an older program, belongs
/// to the job that published in it last, or, if none did, to one that has journalled: `job` itself where that is possible.
///
/// # Errors
/// The lake cannot be read.
pub fn of(lake: &Lake, job: &str) -> io::Result<Option<Owner>> {
    match marked(lake)? {
        Some(owner) => Ok(Some(owner)),
        None => Ok(without_mark(lake, job)?.as_deref().map(Owner::of_job)),
    }
}

/// Whose mark is in a bucket.
///
/// # Errors
/// The bucket cannot be read.
pub fn of_bucket(store: &Store) -> Result<Option<Owner>, StoreError> {
    let key = key();
    let Some((bytes, _)) = store.get(&key)? else { return Ok(None) };
    owner_in(&bytes).map(Some).map_err(|why| StoreError::Remote { url: store.url_of(&key), cause: Cause::Other, why })
}

/// Marks the lake as that of `ours`, unless it belongs to another job; returns whom it belongs to. Of several that start
/// at once only one gets it. A mark without a merchant is given that of its job.
///
/// # Errors
/// The lake is not accessible.
pub fn claim(lake: &Lake, ours: &Owner) -> io::Result<Owner> {
    if let Some(owner) = marked(lake)? {
        // A run that died before it removed it.
        durable::remove_file(&beside(lake, &ours.job))?;
        let lacks_merchant = owner.job == ours.job && owner.merchant.is_none() && ours.merchant.is_some();
        return if lacks_merchant { replace(lake, ours).map(|()| ours.clone()) } else { Ok(owner) };
    }
    match without_mark(lake, &ours.job)? {
        Some(owner) if owner != ours.job => Ok(Owner::of_job(&owner)),
        _ if place_new(lake, ours)? => Ok(ours.clone()),
        _ => Ok(marked(lake)?.unwrap_or_else(|| ours.clone())),
    }
}

/// Makes the lake that of `ours`, whose job was called `former`: what is kept of its remedies goes with it. The caller holds
/// the locks of both names.
///
/// # Errors
/// The lake is not accessible; `former` owns it still.
pub fn rename(lake: &Lake, former: &str, ours: &Owner) -> io::Result<()> {
    copy_below(lake, &lake.remedies(former), &lake.remedies(&ours.job))?;
    replace(lake, ours)
}

/// Writes the mark in the place of the one that is there.
fn replace(lake: &Lake, ours: &Owner) -> io::Result<()> {
    let Some(bucket) = lake.bucket() else {
        let path = lake.state(MARK);
        return durable::write_file(&path, &beside(lake, &ours.job), &bytes_of(ours)).map_err(with_path(&path));
    };
    let store = bucket.mirror().store();
    let found = store.get(&key())?;
    let put = found.as_ref().map_or(Put::New, |(_, etag)| Put::Replacing(etag));
    store.put(&key(), bytes_of(ours), put)?;
    Ok(())
}

fn marked(lake: &Lake) -> io::Result<Option<Owner>> {
    if let Some(bucket) = lake.bucket() {
        return Ok(of_bucket(bucket.mirror().store())?);
    }
    let path = lake.state(MARK);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => {
            let of_path = |why| io::Error::new(io::ErrorKind::InvalidData, format!("`{}` {why}", path.display()));
            owner_in(&bytes.map_err(with_path(&path))?).map(Some).map_err(of_path)
        }
    }
}

fn without_mark(lake: &Lake, job: &str) -> io::Result<Option<String>> {
    let published = last_publisher(lake)?;
    if published.is_some() || names_in(&lake.root().join("journal"))?.is_empty() {
        return Ok(published);
    }
    let names = names_in(&lake.state(""))?;
    let mut jobs: Vec<_> = names.iter().filter_map(|name| name.strip_suffix(LOCK)).collect();
    jobs.sort_unstable();
    Ok(jobs.iter().find(|name| **name == job).or(jobs.first()).map(|name| (*name).to_owned()))
}

/// The job of the newest manifest of a run that published.
fn last_publisher(lake: &Lake) -> io::Result<Option<String>> {
    let names = names_in(&lake.root().join("runs"))?;
    let mut days: Vec<NaiveDate> = names.iter().filter_map(|name| name.parse().ok()).collect();
    days.sort_unstable();
    for day in days.into_iter().rev() {
        if let Some(manifest) = Runs::read(lake, day)?.publishing.first() {
            return Ok(Some(manifest.job.clone()));
        }
    }
    Ok(None)
}

/// The names in a folder, none if there is no such folder.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
    }
}

/// Writes the mark where there is none; false if there is one.
fn place_new(lake: &Lake, ours: &Owner) -> io::Result<bool> {
    let Some(bucket) = lake.bucket() else {
        let path = lake.state(MARK);
        return durable::write_new(&path, &beside(lake, &ours.job), &bytes_of(ours)).map_err(with_path(&path));
    };
    match bucket.mirror().store().put(&key(), bytes_of(ours), Put::New) {
        Ok(_) => Ok(true),
        Err(error) if error.cause() == Cause::Conflict => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Copies the files of a folder of the lake, which need not exist, and of those in it.
fn copy_below(lake: &Lake, from: &Path, to: &Path) -> io::Result<()> {
    for name in names_in(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy_below(lake, &from, &to)?;
        } else if !to.exists() {
            let folder = to.parent().expect("it is in a folder of the lake");
            durable::create_private_folder(folder)?;
            durable::write_file(&to, &folder.join("incoming.staged"), &fs::read(&from)?)?;
            lake.put(&to)?;
        }
    }
    Ok(())
}

/// Where a job writes the mark before it is in its place.
fn beside(lake: &Lake, job: &str) -> PathBuf {
    lake.state(&format!("{job}.owner.staged"))
}

fn key() -> String {
    format!("state/{MARK}")
}

fn bytes_of(owner: &Owner) -> Vec<u8> {
    serde_json::to_vec(owner).expect("two texts are JSON")
}

/// Whom a mark names, or what is wrong with it.
fn owner_in(bytes: &[u8]) -> Result<Owner, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        format!("does not say which job the lake belongs to ({error}): write {{\"job\": \"…\"}} with its name")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dataset::bucket::{Bucket, Scope};
    use crate::store::{Mirror, in_memory};

    fn lake(folder: &tempfile::TempDir) -> Lake {
        let lake = Lake::at(folder.path());
        lake.prepare().unwrap();
        lake
    }

    fn bucket(store: &Arc<Store>, folder: &tempfile::TempDir) -> Lake {
        let mirror = Arc::new(Mirror::open(store.clone(), folder.path()).unwrap());
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let lake = Lake::in_bucket(Bucket::bring_in(mirror, &Scope::Night { date, from: date }).unwrap());
        lake.prepare().unwrap();
        lake
    }

    fn owner(job: &str) -> Owner {
        Owner { job: job.to_owned(), merchant: Some("1900000001".to_owned()) }
    }

    /// The job that the lake belongs to, as `job` sees it.
    fn job_of(lake: &Lake, job: &str) -> Option<String> {
        of(lake, job).unwrap().map(|owner| owner.job)
    }

    #[test]
    fn the_first_has_the_lake_and_the_next_is_told_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(&folder);
        assert_eq!(of(&lake, "a").unwrap(), None);
        let owners = ["a", "b", "a"].map(|job| claim(&lake, &owner(job)).unwrap());
        assert_eq!(owners, ["a", "a", "a"].map(owner));
        assert_eq!(of(&lake, "b").unwrap(), Some(owner("a")));
        fs::write(beside(&lake, "a"), "").unwrap();
        assert_eq!(claim(&lake, &owner("a")).unwrap(), owner("a"));
        assert_eq!(names_in(&lake.state("")).unwrap(), ["owner.json"], "nothing is left beside it");
    }

    #[test]
    fn of_many_that_start_at_once_on_an_empty_lake_one_gets_it() {
        let (folder, store) = (tempfile::tempdir().unwrap(), in_memory());
        let folders: Vec<_> = (0..8).map(|_| tempfile::tempdir().unwrap()).collect();
        let local = lake(&folder);
        for lakes in [vec![local; 8], folders.iter().map(|folder| bucket(&store, folder)).collect()] {
            let claim_as = |(number, lake): (usize, Lake)| {
                std::thread::spawn(move || claim(&lake, &owner(&format!("job-{number}"))).unwrap())
            };
            let claims: Vec<_> = lakes.into_iter().enumerate().map(claim_as).collect();
            let mut owners: Vec<_> = claims.into_iter().map(|claim| claim.join().unwrap()).collect();
            owners.dedup();
            assert_eq!(owners.len(), 1, "{owners:?}");
        }
    }

    #[test]
    fn a_lake_that_was_only_journalled_by_an_older_program_belongs_to_who_locked_it() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(&folder);
        fs::write(lake.state("a.lock"), "process 7").unwrap();
        assert_eq!(of(&lake, "b").unwrap(), None, "nothing is in it");
        fs::create_dir(lake.root().join("journal/dt=2026-11-18")).unwrap();
        assert_eq!(claim(&lake, &owner("b")).unwrap().job, "a");
        fs::write(lake.state("c.lock"), "process 8").unwrap();
        assert_eq!(job_of(&lake, "c").as_deref(), Some("c"), "as it was until now");
    }

    #[test]
    fn a_new_name_takes_what_is_kept_of_remedies_with_it() {
        let (folder, store) = (tempfile::tempdir().unwrap(), in_memory());
        let work = tempfile::tempdir().unwrap();
        for lake in [lake(&folder), bucket(&store, &work)] {
            assert_eq!(claim(&lake, &owner("a")).unwrap(), owner("a"));
            let day = lake.remedies("a").join("2026-11-18");
            durable::create_private_folder(&day).unwrap();
            for (name, bytes) in [("one.return", "1120\n"), ("one.sent", "")] {
                fs::write(day.join(name), bytes).unwrap();
            }
            for _ in 0..2 {
                rename(&lake, "a", &owner("b")).unwrap();
            }
            assert_eq!(of(&lake, "a").unwrap(), Some(owner("b")));
            let kept = lake.remedies("b").join("2026-11-18");
            assert_eq!(fs::read_to_string(kept.join("one.return")).unwrap(), "1120\n");
            assert!(kept.join("one.sent").exists());
        }
        let keys: Vec<_> = store.list("state/b.remedies").unwrap().into_iter().map(|object| object.key).collect();
        assert_eq!(keys, ["one.return", "one.sent"].map(|name| format!("state/b.remedies/2026-11-18/{name}")));
    }

    #[test]
    fn a_mark_without_a_merchant_is_given_that_of_its_job_and_of_no_other() {
        let (folder, store) = (tempfile::tempdir().unwrap(), in_memory());
        let work = tempfile::tempdir().unwrap();
        for lake in [lake(&folder), bucket(&store, &work)] {
            assert!(place_new(&lake, &Owner::of_job("a")).unwrap());
            assert_eq!(claim(&lake, &owner("b")).unwrap(), Owner::of_job("a"));
            assert_eq!(claim(&lake, &owner("a")).unwrap(), owner("a"));
            let other = Owner { merchant: Some("1900000109".to_owned()), ..owner("a") };
            assert_eq!(claim(&lake, &other).unwrap(), owner("a"), "another merchant changes nothing");
            assert_eq!(of(&lake, "a").unwrap(), Some(owner("a")));
        }
    }

    #[test]
    fn a_mark_that_says_nothing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(&folder);
        fs::write(lake.state(MARK), "").unwrap();
        let told = of(&lake, "a").unwrap_err().to_string();
        assert!(told.contains("owner.json") && told.contains("does not say which job"), "{told}");
    }
}
