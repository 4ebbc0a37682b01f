//! A Parquet file encoded on a thread of its own, so that who makes the rows does not wait for their
//! compression. Batches are written in the order they came: the bytes do not depend on the threads.

use std::fs::File;
use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

/// Batches that may wait to be encoded: bounds the memory.
const BATCHES_AHEAD: usize = 2;

/// A Parquet file under construction.
pub struct Encoder {
    batches: Option<SyncSender<RecordBatch>>,
    thread: Option<JoinHandle<Result<File, ParquetError>>>,
}

impl Encoder {
    /// Goes on with a file that was begun.
    pub fn start(mut file: ArrowWriter<File>) -> Encoder {
        let (batches, received) = sync_channel::<RecordBatch>(BATCHES_AHEAD);
        let thread = std::thread::spawn(move || {
            received.into_iter().try_for_each(|batch| file.write(&batch))?;
            file.into_inner()
        });
        Encoder { batches: Some(batches), thread: Some(thread) }
    }

    /// Adds rows. An error may be that of a batch before.
    pub fn write(&mut self, batch: RecordBatch) -> Result<(), ParquetError> {
        let is_taken = self.batches.as_ref().is_some_and(|batches| batches.send(batch).is_ok());
        if is_taken { Ok(()) } else { self.end().map(drop) }
    }

    /// Encodes what is left and ends the file, which is not synced yet.
    pub fn finish(mut self) -> Result<File, ParquetError> {
        self.end()
    }

    fn end(&mut self) -> Result<File, ParquetError> {
        self.batches = None;
        let Some(thread) = self.thread.take() else {
            return Err(ParquetError::General("the file failed before".to_owned()));
        };
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Nothing is written to the file any more when its encoder is gone.
impl Drop for Encoder {
    fn drop(&mut self) {
        self.batches = None;
        self.thread.take().map(JoinHandle::join);
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}
