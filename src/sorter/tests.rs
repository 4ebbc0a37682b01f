//! Sorting in runs of any size is sorting in memory.

use proptest::prelude::*;

use super::*;

/// A row with a number: which of its key it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Numbered {
    key: (String, String),
    number: i64,
    note: Option<String>,
}

impl Packed for Numbered {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(&self.key.0);
        key.text(&self.key.1);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.integer(self.number);
        cells.maybe_text(self.note.as_ref());
    }
}

fn unpacked(row: PackedRow<'_>) -> Numbered {
    let mut cells = row.unpack();
    let key = (cells.key_text().into_owned(), cells.key_text().into_owned());
    Numbered { key, number: cells.integer(), note: cells.maybe_text().map(str::to_owned) }
}

fn sorted(rows: &[Numbered], memory_bytes: usize) -> (Vec<Numbered>, usize) {
    let scratch = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(&Room { folder: scratch.path().to_owned(), memory_bytes });
    rows.iter().for_each(|row| sorter.push(row).unwrap());
    assert_eq!(sorter.rows(), rows.len() as u64);
    let mut sorted = sorter.finish().unwrap();
    let mut found = Vec::new();
    while let Some(row) = sorted.peek() {
        found.push(unpacked(row));
        sorted.advance().unwrap();
    }
    sorted.advance().unwrap();
    assert_eq!(sorted.peek(), None);
    (found, sorted.runs_on_disk())
}

fn numbered(keys: Vec<(String, String)>, note: Option<&str>) -> Vec<Numbered> {
    let row = |(number, key)| Numbered { key, number, note: note.map(str::to_owned) };
    (0..).zip(keys).map(row).collect()
}

proptest! {
    #[test]
    fn rows_sorted_in_runs_of_any_size_are_rows_sorted_in_memory_and_equal_keys_keep_their_order(
        // Bytes that the key escapes, keys that begin alike, keys that are beginnings of others.
        keys in prop::collection::vec(("(4200)?[a\u{0}\u{1}\u{2}券]{0,3}", "[0-1]{0,20}"), 0..80),
        memory_bytes in 1_usize..4_000,
        note in prop::option::of(".{0,9}"),
    ) {
        let rows = numbered(keys, note.as_deref());
        let mut wanted = rows.clone();
        wanted.sort_by(|one, other| one.key.cmp(&other.key));
        prop_assert_eq!(&sorted(&rows, memory_bytes).0, &wanted);
        prop_assert_eq!(&sorted(&rows, usize::MAX).0, &wanted);
    }

    #[test]
    fn cells_come_back_as_they_were_packed(number: i64, texts: Vec<Option<String>>, micros in -9_000_000_000_000_000_i64..9_000_000_000_000_000) {
        let instant = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        let mut bytes = Vec::new();
        let mut cells = CellPacker(&mut bytes);
        cells.integer(number);
        texts.iter().for_each(|text| cells.maybe_text(text.as_ref()));
        cells.maybe_instant(None);
        cells.maybe_instant(Some(instant));
        cells.date(instant.date_naive());
        let mut cells = PackedRow::of_parts(&[], &bytes).unpack();
        prop_assert_eq!(cells.integer(), number);
        for text in &texts {
            prop_assert_eq!(cells.maybe_text(), text.as_deref());
        }
        prop_assert_eq!(cells.maybe_instant(), None);
        prop_assert_eq!(cells.maybe_instant(), Some(instant));
        prop_assert_eq!(cells.date(), instant.date_naive());
    }
}

#[test]
fn what_fits_is_never_written_and_what_does_not_is_written_in_runs() {
    let rows = numbered((0..1000).rev().map(|number| (format!("{number:028}"), String::new())).collect(), None);
    assert_eq!(sorted(&rows, 1 << 20).1, 0);
    let (found, runs) = sorted(&rows, 4096);
    assert!(runs > 20, "{runs}");
    assert!(found.is_sorted_by(|one, other| one.key < other.key));
}

#[test]
fn a_row_larger_than_the_memory_is_a_run_of_its_own() {
    let long = "x".repeat(100_000);
    let rows = numbered(vec![("b".into(), long.clone()), ("a".into(), String::new()), ("a".into(), long)], Some("n"));
    let (found, runs) = sorted(&rows, 10);
    assert_eq!(found.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 0]);
    assert_eq!(runs, 2);
}

#[test]
fn a_scratch_folder_that_is_gone_is_an_error_not_a_loss() {
    let mut sorter = Sorter::new(&Room { folder: "/nonexistent/scratch".into(), memory_bytes: 1 });
    let [one, two] = &numbered(vec![("a".into(), String::new()), ("b".into(), String::new())], None)[..] else {
        panic!("two rows")
    };
    sorter.push(one).unwrap();
    assert_eq!(sorter.push(two).unwrap_err().kind(), io::ErrorKind::NotFound);
}
