//! Separates the rows of delimited text on a thread of its own, some batches ahead of the caller, who types them meanwhile.
//! Passes on every row in its order, and what ended the text after the last of them.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};

use super::records::Records;
use super::row::Row;
use crate::threads::prefetch::Prefetch;

/// A batch ends with the row that reaches this size.
const BATCH_BYTES: usize = 128 << 10;
/// Batches separated ahead: enough that neither side waits for single steps of the other.
const BATCHES_AHEAD: usize = 4;

/// The rows of a text `R` that a thread reads.
#[derive(Debug)]
pub(super) struct RowsAhead<R> {
    batches: Prefetch<Batch, R>,
    batch: Batch,
    /// The index of the next row in the batch.
    at: usize,
    /// Takes batches back, so that their memory is used again.
    emptied: Sender<Vec<Row>>,
}

#[derive(Debug)]
struct Batch {
    rows: Vec<Row>,
    /// Whether rows may follow, or what broke the text off.
    rest: Result<bool, Broken>,
}

/// The text cannot be read any further.
#[derive(Debug)]
pub(super) struct Broken {
    /// The line up to which it was read.
    pub(super) line: u64,
    /// Why.
    pub(super) source: io::Error,
}

impl<R: Read + Send + 'static> RowsAhead<R> {
    /// Starts to separate the rows of `text`.
    pub(super) fn start(text: R, delimiter: u8) -> RowsAhead<R> {
        let (emptied, spare) = channel();
        let records = Records::new(text, delimiter);
        let batches = Prefetch::producing(BATCHES_AHEAD, move |taker| separate_all(records, &taker, &spare));
        RowsAhead { batches, batch: Batch { rows: Vec::new(), rest: Ok(true) }, at: 0, emptied }
    }

    /// Moves the next row into `row`; `false` at the end.
    pub(super) fn next(&mut self, row: &mut Row) -> Result<bool, Broken> {
        while self.at == self.batch.rows.len() {
            match std::mem::replace(&mut self.batch.rest, Ok(false)) {
                Ok(true) => self.load(),
                ended => return ended,
            }
        }
        std::mem::swap(row, &mut self.batch.rows[self.at]);
        self.at += 1;
        Ok(true)
    }

    /// The text, of which all rows were read.
    pub(super) fn into_text(mut self) -> R {
        self.batches.by_ref().for_each(drop);
        self.batches.finish()
    }

    fn load(&mut self) {
        let next = self.batches.next().expect("a batch says whether it is the last");
        let read = std::mem::replace(&mut self.batch, next);
        self.at = 0;
        // Nobody needs the memory once the thread has read everything.
        let _ = self.emptied.send(read.rows);
    }
}

/// Sends the rows of a text batch by batch, up to its end or until nobody takes them; returns the text.
fn separate_all<R: Read>(mut records: Records<R>, taker: &SyncSender<Batch>, spare: &Receiver<Vec<Row>>) -> R {
    loop {
        let mut rows = spare.try_recv().unwrap_or_default();
        let rest = fill(&mut records, &mut rows);
        let is_last = !matches!(rest, Ok(true));
        if taker.send(Batch { rows, rest }).is_err() || is_last {
            return records.into_text();
        }
    }
}

/// Replaces `rows` by the next ones, in the memory of those before; returns whether there may be more.
fn fill<R: Read>(records: &mut Records<R>, rows: &mut Vec<Row>) -> Result<bool, Broken> {
    let (mut filled, mut bytes) = (0, 0);
    let read = loop {
        if filled == rows.len() {
            rows.push(Row::default());
        }
        match records.next(&mut rows[filled]) {
            Ok(true) => bytes += rows[filled].raw.len(),
            ended => break ended,
        }
        filled += 1;
        if bytes >= BATCH_BYTES {
            break Ok(true);
        }
    };
    rows.truncate(filled);
    read.map_err(|source| Broken { line: records.line(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_of(text: impl Read + Send + 'static) -> (Vec<(u64, String)>, Option<Broken>) {
        let (mut ahead, mut row, mut rows) = (RowsAhead::start(text, b','), Row::default(), Vec::new());
        let ended = loop {
            match ahead.next(&mut row) {
                Ok(true) => rows.push((row.line, row.cells[0].to_owned())),
                Ok(false) => break None,
                Err(broken) => break Some(broken),
            }
        };
        assert!(matches!(ahead.next(&mut row), Ok(false)), "the end stays the end");
        (rows, ended)
    }

    #[test]
    fn rows_come_in_order_with_their_lines_whatever_the_batches() {
        for rows in [0, 1, 7, 20_000] {
            let text: String = (1..=rows).map(|row| format!("{row},{}\n", "x".repeat(row % 90))).collect();
            let (read, broken) = rows_of(io::Cursor::new(text));
            assert!(broken.is_none() && read.into_iter().eq((1..=rows).map(|row| (row as u64, row.to_string()))));
        }
    }

    #[test]
    fn an_error_comes_after_the_rows_before_it_and_tells_their_line() {
        struct Torn;
        impl Read for Torn {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let text = "a,b\n".repeat(50_000);
        let (read, broken) = rows_of(io::Cursor::new(text).chain(Torn));
        let broken = broken.unwrap();
        assert_eq!((read.len(), broken.line, broken.source.to_string()), (50_000, 50_000, "torn".to_owned()));
    }

    #[test]
    fn the_text_comes_back_once_all_of_it_was_read() {
        let text = "a,b\n".repeat(100_000);
        let length = text.len() as u64;
        let mut ahead = RowsAhead::start(io::Cursor::new(text), b',');
        ahead.next(&mut Row::default()).unwrap();
        assert_eq!(ahead.into_text().position(), length);
    }
}
