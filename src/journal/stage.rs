//! The journal of one stage: which keys are answered, appending, reading back. Shared between tasks.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use aws_lc_rs::digest;
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{JournalError, io_error};
use super::mode::Mode;
use super::page::Entry;
use super::segment::{self, Segment};
use crate::clock::World;
use crate::fingerprints::Fingerprints;
use crate::sorter::{CellPacker, KeyPacker, Packed, PackedRow, Room, Sorter};
use crate::threads::prefetch;

/// A segment is closed at this many pages …
const SEGMENT_PAGES: usize = 256;
/// … or when its first entry is this old.
const SEGMENT_AGE: TimeDelta = TimeDelta::seconds(5);
/// Threads that read segments.
const READERS: usize = 2;

/// The journal of one stage; may be shared between tasks.
#[derive(Debug)]
pub struct StageJournal {
    folder: PathBuf,
    world: World,
    state: Mutex<State>,
}

/// What a stage requested and what it found in the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Entries fetched by this run.
    pub fetched: u64,
    /// Entries that were there already.
    pub found: u64,
}

#[derive(Debug, Default)]
struct State {
    segments: Vec<Segment>,
    /// The keys that are answered.
    keys: Fingerprints,
    /// What is not durable yet.
    open: Option<OpenSegment>,
    flow: Flow,
    /// The digest over everything, as long as nothing is added.
    digest: Option<String>,
}

/// The entries of the next segment.
#[derive(Debug)]
struct OpenSegment {
    entries: Vec<Entry>,
    pages: usize,
    opened_at: DateTime<Utc>,
}

impl OpenSegment {
    fn at(now: DateTime<Utc>) -> OpenSegment {
        OpenSegment { entries: Vec::new(), pages: 0, opened_at: now }
    }

    fn add(&mut self, entry: Entry) {
        self.pages += entry.pages.len();
        self.entries.push(entry);
    }

    fn is_full(&self, now: DateTime<Utc>) -> bool {
        self.pages >= SEGMENT_PAGES || now - self.opened_at >= SEGMENT_AGE
    }
}

impl StageJournal {
    /// Opens it as it was before segment `below` was written; `None` means all of it.
    pub(super) fn open(
        folder: &Path,
        mode: Mode,
        world: World,
        below: Option<u32>,
    ) -> Result<StageJournal, JournalError> {
        let mut segments = segment::list(folder, mode.is_read_only())?;
        segments.retain(|segment| below.is_none_or(|below| segment.number < below));
        let mut keys = Fingerprints::default();
        for segment in &segments {
            for key in segment::read_keys(segment)? {
                keys.insert(&[&key]);
            }
        }
        let flow = Flow { fetched: 0, found: keys.len() as u64 };
        let state = State { segments, keys, flow, ..State::default() };
        Ok(StageJournal { folder: folder.to_path_buf(), world, state: Mutex::new(state) })
    }

    /// Whether `key` is answered.
    pub fn contains(&self, key: &str) -> bool {
        self.lock().keys.contains(&[key])
    }

    /// How much was requested tonight and how much was found.
    pub fn flow(&self) -> Flow {
        self.lock().flow
    }

    /// Appends an answered entry. If its key is already there, nothing changes.
    ///
    /// # Errors
    /// The segment that became full cannot be written.
    pub fn append(&self, entry: Entry) -> Result<(), JournalError> {
        let mut state = self.lock();
        if !state.keys.insert(&[&entry.key]) {
            return Ok(());
        }
        state.digest = None;
        state.flow.fetched += 1;
        let now = self.world.clock.now();
        let open = state.open.get_or_insert_with(|| OpenSegment::at(now));
        open.add(entry);
        if open.is_full(now) { self.close_segment(&mut state) } else { Ok(()) }
    }

    /// Allows `key` to be requested again, because its answer is no longer usable. The last answer counts.
    pub fn forget(&self, key: &str) {
        self.lock().keys.remove(&[key]);
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// The segment cannot be written.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.close_segment(&mut self.lock())
    }

    /// Visits every entry, durable or pending, in the order of the segments. Only a few segments are in memory at
    /// a time: threads read ahead.
    ///
    /// # Errors
    /// A segment cannot be read; what `visit` returns.
    pub fn visit<E: From<JournalError> + Send>(&self, visit: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        self.visit_read("", Ok, visit)
    }

    /// As `visit`, for every entry whose key starts with `prefix`; the reading threads apply `read` to each. Of
    /// segments without such a key only the keys are read.
    ///
    /// # Errors
    /// As `visit`; what `read` returns.
    pub fn visit_read<T: Send, E: From<JournalError> + Send>(
        &self,
        prefix: &str,
        read: impl Fn(Entry) -> Result<T, E> + Sync,
        mut visit: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.flush()?;
        let segments = self.lock().segments.clone();
        let part =
            |segment: &Segment| -> Result<Vec<T>, E> { read_below(prefix, segment)?.into_iter().map(&read).collect() };
        prefetch::map_in_turns(&segments, READERS, part, |part| part?.into_iter().try_for_each(&mut visit))
    }

    /// All entries at once, for stages that have few.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        self.visit(|entry| {
            entries.push(entry);
            Ok::<(), JournalError>(())
        })?;
        Ok(entries)
    }

    /// The entry of a key; the last one if it was requested again.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn entry(&self, key: &str) -> Result<Option<Entry>, JournalError> {
        if !self.contains(key) {
            return Ok(None);
        }
        let mut last = None;
        self.visit_read(key, Ok, |entry| {
            last = Some(entry).filter(|entry| entry.key == key).or(last.take());
            Ok::<(), JournalError>(())
        })?;
        Ok(last)
    }

    /// The number of the next segment: everything durable now is in the segments below it.
    pub fn next_segment(&self) -> u32 {
        next_number(&self.lock().segments)
    }

    /// Whether nothing is answered.
    pub fn is_empty(&self) -> bool {
        self.lock().keys.is_empty()
    }

    /// SHA-256 over keys, statuses and bodies in key order, without arrival times and nonces. Sorts in `room`.
    ///
    /// # Errors
    /// A segment cannot be read; the scratch folder is full.
    pub fn digest(&self, room: &Room) -> Result<String, JournalError> {
        let known = self.lock().digest.clone();
        known.map_or_else(|| self.digest_of(room, |_| true), Ok)
    }

    /// As `digest`, over the answers of the keys that `is_used`. A night that was short of something may have asked what
    /// a whole one does not: those answers stay in the journal and change nothing.
    ///
    /// # Errors
    /// As `digest`.
    pub fn digest_of(&self, room: &Room, is_used: impl Fn(&str) -> bool) -> Result<String, JournalError> {
        let unsorted = |error| io_error(&room.folder, error);
        let mut sums = Sorter::new(room);
        let sum_of = |entry: Entry| -> Result<_, JournalError> { Ok((digest_of(&entry), entry.key)) };
        self.visit_read("", sum_of, |(sum, key)| sums.push(&Sum { key: &key, sum: &sum }).map_err(unsorted))?;
        let [mut all, mut used] = [(); 2].map(|()| digest::Context::new(&digest::SHA256));
        let add = |row: PackedRow<'_>| {
            let mut cells = row.unpack();
            let (key, sum) = (cells.key_text(), cells.bytes(digest::SHA256_OUTPUT_LEN));
            add_sum(&mut all, &key, sum);
            if is_used(&key) {
                add_sum(&mut used, &key, sum);
            }
            Ok(())
        };
        // If a key was answered again, the last answer counts.
        sums.finish().and_then(|sums| sums.last_of_each(|_| {}, add)).map_err(unsorted)?;
        self.lock().digest = Some(hex::encode(all.finish()));
        Ok(hex::encode(used.finish()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn close_segment(&self, state: &mut State) -> Result<(), JournalError> {
        let Some(open) = &state.open else { return Ok(()) };
        // Entries that cannot be written stay: the next segment is their second chance.
        let segment = segment::write(&self.folder, next_number(&state.segments), &open.entries)?;
        state.segments.push(segment);
        state.open = None;
        Ok(())
    }
}

fn read_below(prefix: &str, segment: &Segment) -> Result<Vec<Entry>, JournalError> {
    if !prefix.is_empty() && !segment::read_keys(segment)?.iter().any(|key| key.starts_with(prefix)) {
        return Ok(Vec::new());
    }
    let mut entries = segment::read_entries(segment)?;
    entries.retain(|entry| entry.key.starts_with(prefix));
    Ok(entries)
}

/// The contribution of an entry to the digest.
struct Sum<'e> {
    key: &'e str,
    sum: &'e digest::Digest,
}

impl Packed for Sum<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(self.key);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.bytes(self.sum.as_ref());
    }
}

fn add_sum(context: &mut digest::Context, key: &str, sum: &[u8]) {
    context.update(&(key.len() as u64).to_be_bytes());
    context.update(key.as_bytes());
    context.update(sum);
}

fn next_number(segments: &[Segment]) -> u32 {
    segments.last().map_or(0, |segment| segment.number + 1)
}

fn digest_of(entry: &Entry) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for page in &entry.pages {
        context.update(&page.status.to_be_bytes());
        context.update(&(page.body.len() as u64).to_be_bytes());
        context.update(&page.body);
    }
    context.finish()
}
