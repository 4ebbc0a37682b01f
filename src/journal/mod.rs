//! The page journal (design §1): every answer of a remote API, durable before anything is computed from it. It
//! is the checkpoint (what it holds is not requested again), the replay source (a day is rebuilt from it
//! without a network) and the evidence (the signature over each body can still be verified). Stores bytes and
//! never interprets them.
//!
//! ```text
//! journal/dt=2026-11-18/gen-001/user_coupons/00000-18211-9f86d081884c7d65.parquet
//!                       │       │            └ number, length in bytes and checksum of the segment
//!                       │       └ stage
//!                       └ generation: `--refetch` starts the next one
//! ```

mod audit;
mod blob;
mod carry;
mod error;
mod generation;
mod mode;
mod page;
mod segment;
mod stage;
mod torn;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::World;
use crate::durable;
use crate::sorter::Room;
use crate::store::Mirror;

use error::io_error;
use generation::{generation_name, latest_generation};

pub use audit::{Damage, audit};
pub use blob::Blob;
pub use error::JournalError;
pub use mode::Mode;
pub use page::{Entry, Page};
pub use stage::{Flow, StageJournal};

/// The journal of one business date.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    generation: PathBuf,
    number: u32,
    mode: Mode,
    world: World,
    mirror: Option<Arc<Mirror>>,
    /// Per stage, the first segment that is not read; `None` means that all are.
    extent: Option<BTreeMap<String, u32>>,
    stages: Mutex<BTreeMap<String, Arc<StageJournal>>>,
}

impl Journal {
    /// Opens the journal below `folder` (`journal/dt=D`).
    ///
    /// # Errors
    /// The folder cannot be used, or there is nothing to replay.
    pub fn open(folder: &Path, mode: Mode, world: World) -> Result<Journal, JournalError> {
        if mode == Mode::Replay {
            return Journal::replay(folder, None, world);
        }
        let latest = latest_generation(folder).map_err(|source| io_error(folder, source))?;
        let number = match mode {
            Mode::Refetch => latest.unwrap_or(0) + 1,
            _ => latest.unwrap_or(1),
        };
        let generation = folder.join(generation_name(number));
        if mode != Mode::Peek {
            for private in [folder, &generation] {
                durable::create_private_folder(private).map_err(|source| io_error(private, source))?;
            }
        }
        Ok(Journal::at(folder, number, mode, world))
    }

    /// Opens a new generation that keeps the stages accepted by `is_kept`, so that only the others are
    /// requested again. It is built at `beside`, on the same file system.
    ///
    /// # Errors
    /// The folders cannot be used.
    pub fn refetch_some(
        folder: &Path,
        is_kept: &dyn Fn(&str) -> bool,
        beside: &Path,
        world: World,
    ) -> Result<Journal, JournalError> {
        let Some(latest) = latest_generation(folder).map_err(|source| io_error(folder, source))? else {
            return Journal::open(folder, Mode::Refetch, world);
        };
        let [from, to] = [latest, latest + 1].map(|number| folder.join(generation_name(number)));
        carry::carry(&from, &to, beside, is_kept).map_err(|source| io_error(&to, source))?;
        Ok(Journal::at(folder, latest + 1, Mode::Refetch, world))
    }

    /// A generation of the journal below `folder`.
    fn at(folder: &Path, number: u32, mode: Mode, world: World) -> Journal {
        let (folder, generation) = (folder.to_owned(), folder.join(generation_name(number)));
        Journal { folder, generation, number, mode, world, mirror: None, extent: None, stages: Mutex::default() }
    }

    /// The same journal, in the work folder of a lake in a bucket: only what is in the bucket counts as
    /// durable.
    #[must_use]
    pub fn mirrored(self, mirror: Option<Arc<Mirror>>) -> Journal {
        Journal { mirror, ..self }
    }

    /// Opens one generation, by default the latest, for reading only.
    ///
    /// # Errors
    /// It does not exist.
    pub fn replay(folder: &Path, generation: Option<u32>, world: World) -> Result<Journal, JournalError> {
        let latest = latest_generation(folder).map_err(|source| io_error(folder, source))?;
        let nothing = || JournalError::NothingToReplay(folder_name(folder));
        let number = generation.or(latest).ok_or_else(nothing)?;
        if !folder.join(generation_name(number)).is_dir() {
            return Err(nothing());
        }
        Ok(Journal::at(folder, number, Mode::Replay, world))
    }

    /// The same journal at the time it had this `extent`: what later runs added is not read.
    #[must_use]
    pub fn as_of(self, extent: BTreeMap<String, u32>) -> Journal {
        Journal { extent: Some(extent), ..self }
    }

    /// The number of this generation.
    pub fn generation(&self) -> u32 {
        self.number
    }

    /// How this run uses the journal.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The journal of one stage; all callers share it.
    ///
    /// # Errors
    /// Its segments cannot be read.
    pub fn stage(&self, name: &str) -> Result<Arc<StageJournal>, JournalError> {
        let mut stages = self.opened();
        if let Some(stage) = stages.get(name) {
            return Ok(Arc::clone(stage));
        }
        let below = self.extent.as_ref().map(|extent| extent.get(name).copied().unwrap_or(0));
        let stage = StageJournal::open(&self.generation.join(name), self.mode, self.world.clone(), below)?;
        let stage = Arc::new(stage);
        stages.insert(name.to_owned(), Arc::clone(&stage));
        Ok(stage)
    }

    /// The stages that were opened.
    fn opened(&self) -> MutexGuard<'_, BTreeMap<String, Arc<StageJournal>>> {
        self.stages.lock().expect("no holder of this lock panics")
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// A segment cannot be written.
    pub fn flush(&self) -> Result<(), JournalError> {
        let stages: Vec<_> = self.opened().values().cloned().collect();
        stages.iter().try_for_each(|stage| stage.flush())?;
        let Some(mirror) = &self.mirror else { return Ok(()) };
        mirror.put_folder(&self.folder).map_err(|error| io_error(&self.folder, error.into()))
    }

    /// The digest of every stage that has answers; sorts in `room`.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn digests(&self, room: &Room) -> Result<BTreeMap<String, String>, JournalError> {
        let stages = self.opened().clone();
        let answered = stages.into_iter().filter(|(_, stage)| !stage.is_empty());
        answered.map(|(name, stage)| Ok((name, stage.digest(room)?))).collect()
    }

    /// The extent of the journal: for every stage that has answers, the number of the next segment.
    pub fn extent(&self) -> BTreeMap<String, u32> {
        let stages = self.opened();
        let answered = stages.iter().filter(|(_, stage)| !stage.is_empty());
        answered.map(|(name, stage)| (name.clone(), stage.next_segment())).collect()
    }

    /// Starts a file that is kept unchanged: streamed to disk and named by its digest.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn blob(&self, stage: &str) -> Result<Blob, JournalError> {
        Blob::create(&self.generation.join(stage).join("files"))
    }

    /// The path of a kept file; `None` when it is missing or its bytes do not match its name.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn kept_file(&self, stage: &str, name: &str) -> Result<Option<PathBuf>, JournalError> {
        let path = self.place_of(stage, name);
        let is_sound = blob::is_sound(&path).map_err(|source| io_error(&path, source))?;
        Ok(is_sound.then_some(path))
    }

    /// Where a kept file belongs.
    pub fn place_of(&self, stage: &str, name: &str) -> PathBuf {
        self.generation.join(stage).join("files").join(name)
    }

    /// Sets a kept file aside if it is there and its bytes do not match its name.
    ///
    /// # Errors
    /// It cannot be read or moved.
    pub fn set_damaged_aside(&self, stage: &str, name: &str) -> Result<(), JournalError> {
        let path = self.place_of(stage, name);
        if path.is_file() && self.kept_file(stage, name)?.is_none() {
            torn::set_aside(&self.generation.join(stage), &path)?;
        }
        Ok(())
    }
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().trim_start_matches("dt=").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, bodies: &[&str]) -> Entry {
        let pages = bodies.iter().map(|body| Page::for_tests(body)).collect();
        Entry { key: key.to_owned(), pages }
    }

    /// Memory for a row or two.
    fn room() -> Room {
        Room { folder: std::env::temp_dir(), memory_bytes: 100 }
    }

    fn open(folder: &Path, mode: Mode) -> Journal {
        Journal::open(&folder.join("dt=2026-11-18"), mode, World::real()).unwrap()
    }

    #[test]
    fn what_is_flushed_is_there_after_reopening_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        let stage = journal.stage("user_coupons").unwrap();
        stage.append(entry("u1", &["a", "b"])).unwrap();
        stage.append(entry("u2", &["c"])).unwrap();
        journal.flush().unwrap();
        stage.append(entry("u3", &["lost"])).unwrap();
        drop((stage, journal));
        let stage = open(folder.path(), Mode::Resume).stage("user_coupons").unwrap();
        assert!(stage.contains("u1") && stage.contains("u2") && !stage.contains("u3"));
        assert_eq!(stage.entries().unwrap(), [entry("u1", &["a", "b"]), entry("u2", &["c"])]);
    }

    #[test]
    fn what_is_read_below_a_prefix_comes_in_order_and_an_error_ends_the_visit() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        let stage = journal.stage("user_coupons").unwrap();
        for key in ["single/a", "wallet/b", "wallet/c", "wallet/d", "single/e", "single/f"] {
            stage.append(entry(key, &["x"])).unwrap();
            if key > "wallet" {
                journal.flush().unwrap();
            }
        }
        let fault = || JournalError::NothingToReplay("a test".to_owned());
        let mut seen = Vec::new();
        let note = |key| {
            seen.push(key);
            Ok::<(), JournalError>(())
        };
        stage.visit_read("single/", |entry| Ok(entry.key), note).unwrap();
        assert_eq!(seen, ["single/a", "single/e", "single/f"]);
        let read_nothing = |()| -> Result<(), JournalError> { panic!("nothing could be read") };
        assert!(stage.visit_read("wallet/", |_| Err(fault()), read_nothing).is_err());
        let mut visited = 0;
        let stop = |_| {
            visited += 1;
            Err(fault())
        };
        assert!(stage.visit(stop).is_err() && visited == 1);
    }

    #[test]
    fn a_refetch_opens_a_new_generation_and_a_resume_stays_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        journal.stage("stocks").unwrap().append(entry("s1", &["old"])).unwrap();
        journal.flush().unwrap();
        let refetch = open(folder.path(), Mode::Refetch);
        assert!(!refetch.stage("stocks").unwrap().contains("s1"));
        refetch.stage("stocks").unwrap().append(entry("s1", &["new"])).unwrap();
        refetch.flush().unwrap();
        let resumed = open(folder.path(), Mode::Resume).stage("stocks").unwrap();
        assert_eq!(resumed.entries().unwrap(), [entry("s1", &["new"])]);
    }

    #[test]
    fn a_refetch_of_some_stages_has_the_others_as_they_were_and_leaves_the_generation_before_alone() {
        let folder = tempfile::tempdir().unwrap();
        let refetch = |beside: &str| {
            let (day, beside) = (folder.path().join("dt=2026-11-18"), folder.path().join(beside));
            Journal::refetch_some(&day, &|stage| stage != "datacube", &beside, World::real()).unwrap()
        };
        assert_eq!(refetch("first").generation(), 1, "nothing is there to be kept");
        let journal = open(folder.path(), Mode::Resume);
        for stage in ["bills", "datacube"] {
            journal.stage(stage).unwrap().append(entry("k", &["old"])).unwrap();
        }
        std::io::Write::write_all(&mut journal.blob("bills").unwrap(), b"cut off").unwrap();
        let mut bill = journal.blob("bills").unwrap();
        std::io::Write::write_all(&mut bill, b"a bill").unwrap();
        let name = bill.keep("csv").unwrap();
        journal.flush().unwrap();

        std::fs::create_dir_all(folder.path().join("beside/left/by/a/crash")).unwrap();
        let refetched = refetch("beside");
        assert_eq!((refetched.generation(), refetched.mode()), (2, Mode::Refetch));
        assert!(!refetched.stage("datacube").unwrap().contains("k"));
        assert_eq!(refetched.stage("bills").unwrap().entries().unwrap(), [entry("k", &["old"])]);
        assert_eq!(std::fs::read(refetched.kept_file("bills", &name).unwrap().unwrap()).unwrap(), b"a bill");
        refetched.stage("bills").unwrap().append(entry("l", &["new"])).unwrap();
        refetched.flush().unwrap();
        let day = folder.path().join("dt=2026-11-18");
        let before = Journal::replay(&day, Some(1), World::real()).unwrap();
        assert!(before.stage("datacube").unwrap().contains("k") && !before.stage("bills").unwrap().contains("l"));
        assert_eq!(audit(&day, 2).unwrap(), []);
        assert!(!folder.path().join("beside").exists());
    }

    #[test]
    fn a_torn_segment_is_set_aside_and_its_entries_are_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        let stage = journal.stage("stocks").unwrap();
        for key in ["s1", "s2"] {
            stage.append(entry(key, &["x"])).unwrap();
            journal.flush().unwrap();
        }
        let stage_folder = folder.path().join("dt=2026-11-18/gen-001/stocks");
        let mut segments: Vec<_> = std::fs::read_dir(&stage_folder).unwrap().map(|it| it.unwrap().path()).collect();
        segments.sort();
        let bytes = std::fs::read(&segments[1]).unwrap();
        std::fs::write(&segments[1], &bytes[..bytes.len() / 2]).unwrap();
        let stage = open(folder.path(), Mode::Resume).stage("stocks").unwrap();
        assert!(stage.contains("s1") && !stage.contains("s2"));
        assert!(stage_folder.join("torn").join(segments[1].file_name().unwrap()).exists());
    }

    #[test]
    fn a_peek_sees_what_is_journalled_and_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = open(folder.path(), Mode::Peek);
        assert!(!nothing.stage("stocks").unwrap().contains("s1"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let journal = open(folder.path(), Mode::Resume);
        journal.stage("stocks").unwrap().append(entry("s1", &["x"])).unwrap();
        journal.flush().unwrap();
        let stage_folder = folder.path().join("dt=2026-11-18/gen-001/stocks");
        std::fs::write(stage_folder.join("00001-9-0000000000000000.parquet"), b"torn").unwrap();
        let peek = open(folder.path(), Mode::Peek);
        assert!(peek.stage("stocks").unwrap().contains("s1"));
        peek.stage("cards").unwrap();
        assert!(!stage_folder.join("torn").exists() && !stage_folder.with_file_name("cards").exists());
    }

    #[test]
    fn a_replay_of_a_night_that_never_was_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Journal::open(&folder.path().join("dt=2026-11-18"), Mode::Replay, World::real()).unwrap_err();
        assert!(refused.to_string().contains("2026-11-18"), "{refused}");
    }

    #[test]
    fn the_digest_of_a_stage_does_not_depend_on_the_order_of_arrival() {
        let digest = |keys: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(folder.path(), Mode::Resume);
            let stage = journal.stage("s").unwrap();
            for key in keys {
                stage.append(entry(key, &[key])).unwrap();
            }
            journal.flush().unwrap();
            stage.digest(&room()).unwrap()
        };
        assert_eq!(digest(&["a", "b", "c"]), digest(&["c", "a", "b"]));
        assert_ne!(digest(&["a", "b"]), digest(&["a", "c"]));
    }

    #[test]
    fn the_digest_of_what_is_used_is_that_of_a_journal_without_the_rest() {
        let stage_of = |keys: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let stage = open(folder.path(), Mode::Resume).stage("s").unwrap();
            keys.iter().for_each(|key| stage.append(entry(key, &[key])).unwrap());
            (folder, stage)
        };
        let ((_folder, more), (_other, less)) = (stage_of(&["a", "late", "c"]), stage_of(&["c", "a"]));
        assert_eq!(more.digest_of(&room(), |key| key != "late").unwrap(), less.digest(&room()).unwrap());
        assert_eq!(more.digest(&room()).unwrap(), more.digest_of(&room(), |_| true).unwrap(), "of all, as before");
        assert_ne!(more.digest(&room()).unwrap(), less.digest(&room()).unwrap());
    }

    #[test]
    fn every_folder_of_a_night_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), Mode::Resume).stage("stocks").unwrap().append(entry("s1", &["a"])).unwrap();
        open(folder.path(), Mode::Resume).blob("bills").unwrap();
        for name in ["dt=2026-11-18", "dt=2026-11-18/gen-001", "dt=2026-11-18/gen-001/bills/files"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{name}");
        }
    }

    #[test]
    fn a_kept_file_is_named_by_its_digest() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        let mut blob = journal.blob("bills").unwrap();
        blob.write_all(b"hello").unwrap();
        let name = blob.keep("csv").unwrap();
        assert_eq!(name, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.csv");
        let path = journal.kept_file("bills", &name).unwrap().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        std::fs::write(&path, b"hallo").unwrap();
        assert_eq!(journal.kept_file("bills", &name).unwrap(), None, "a kept file that changed is not the file");
        assert_eq!(journal.kept_file("bills", "../../stocks/x.csv").unwrap(), None, "a name is no path");
    }

    #[test]
    fn a_replay_changes_nothing_and_reads_the_generation_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), Mode::Resume);
        first.stage("stocks").unwrap().append(entry("s1", &["old"])).unwrap();
        first.flush().unwrap();
        open(folder.path(), Mode::Refetch);
        let replay = Journal::replay(&folder.path().join("dt=2026-11-18"), Some(1), World::real()).unwrap();
        assert_eq!(replay.stage("stocks").unwrap().entries().unwrap(), [entry("s1", &["old"])]);
        replay.stage("never").unwrap();
        assert!(!folder.path().join("dt=2026-11-18/gen-001/never").exists());
        assert!(Journal::replay(&folder.path().join("dt=2026-11-18"), Some(7), World::real()).is_err());
    }

    #[test]
    fn a_journal_as_of_an_earlier_extent_knows_nothing_of_what_came_later() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        let stage = journal.stage("stocks").unwrap();
        stage.append(entry("s1", &["old"])).unwrap();
        journal.flush().unwrap();
        let (extent, digest) = (journal.extent(), stage.digest(&room()).unwrap());
        assert_eq!(extent, BTreeMap::from([("stocks".to_owned(), 1)]));
        for (stage, key) in [("stocks", "s2"), ("cards", "c1")] {
            journal.stage(stage).unwrap().append(entry(key, &["late"])).unwrap();
        }
        journal.flush().unwrap();
        let replay = || Journal::replay(&folder.path().join("dt=2026-11-18"), Some(1), World::real()).unwrap();
        assert_ne!(replay().stage("stocks").unwrap().digest(&room()).unwrap(), digest);
        let earlier = replay().as_of(extent);
        assert_eq!(earlier.stage("stocks").unwrap().digest(&room()).unwrap(), digest);
        assert!(earlier.stage("cards").unwrap().is_empty());
    }

    #[test]
    fn what_is_forgotten_may_be_answered_again_and_the_last_answer_counts() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        let stage = journal.stage("bills").unwrap();
        stage.append(entry("2026-11-18", &["old"])).unwrap();
        journal.flush().unwrap();
        stage.forget("2026-11-18");
        stage.append(entry("2026-11-18", &["new"])).unwrap();
        journal.flush().unwrap();
        let stage = open(folder.path(), Mode::Resume).stage("bills").unwrap();
        assert_eq!(stage.entry("2026-11-18").unwrap(), Some(entry("2026-11-18", &["new"])));
    }

    #[test]
    fn an_entry_is_found_among_keys_that_begin_as_its_own_does() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Mode::Resume);
        let stage = journal.stage("cards").unwrap();
        for key in ["card", "card/1", "card/2"] {
            stage.append(entry(key, &[key])).unwrap();
            stage.flush().unwrap();
        }
        assert_eq!(stage.entry("card").unwrap(), Some(entry("card", &["card"])));
        assert_eq!(stage.entry("card/2").unwrap(), Some(entry("card/2", &["card/2"])));
        assert_eq!(stage.entry("car").unwrap(), None);
    }
}
