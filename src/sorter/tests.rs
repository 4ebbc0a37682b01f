//! Tests that sorting with runs of any size equals sorting in memory.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// A row with its position among the rows of its key.
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
    let mut sorted = pushed(rows, scratch.path(), memory_bytes, None).finish().unwrap();
    let mut found = Vec::new();
    while let Some(row) = sorted.peek() {
        found.push(unpacked(row));
        sorted.advance().unwrap();
    }
    sorted.advance().unwrap();
    assert_eq!(sorted.peek(), None);
    (found, sorted.runs_on_disk())
}

fn pushed(rows: &[Numbered], scratch: &Path, memory_bytes: usize, loose_bytes: Option<u64>) -> Sorter {
    let mut sorter = Sorter::new(&Room { folder: scratch.to_owned(), memory_bytes });
    if let Some(bytes) = loose_bytes {
        sorter = sorter.compressing_from(bytes);
    }
    rows.iter().for_each(|row| sorter.push(row).unwrap());
    assert_eq!(sorter.rows(), rows.len() as u64);
    sorter
}

fn merged_ahead(sorter: Sorter) -> Vec<Numbered> {
    let (mut rows, mut found) = (sorter.finish().unwrap().ahead().unwrap(), Vec::new());
    while let Some(row) = rows.peek() {
        found.push(unpacked(row));
        rows.advance().unwrap();
    }
    found
}

fn numbered(keys: Vec<(String, String)>, note: Option<&str>) -> Vec<Numbered> {
    let row = |(number, key)| Numbered { key, number, note: note.map(str::to_owned) };
    (0..).zip(keys).map(row).collect()
}

proptest! {
    #[test]
    fn rows_sorted_in_runs_of_any_size_are_rows_sorted_in_memory_and_equal_keys_keep_their_order(
        // Bytes that are escaped in keys, keys with common prefixes, keys that are prefixes of others.
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
    fn rows_come_back_the_same_from_compressed_runs_and_from_a_thread_that_is_ahead(
        keys in prop::collection::vec(("(4200)?[a\u{0}\u{1}券]{0,3}", "[0-1]{0,20}"), 0..80),
        memory_bytes in 1_usize..4_000,
        loose_bytes in prop_oneof![Just(0), 1_u64..1_000],
        note in prop::option::of(".{0,9}"),
    ) {
        let rows = numbered(keys, note.as_deref());
        let mut wanted = rows.clone();
        wanted.sort_by(|one, other| one.key.cmp(&other.key));
        let scratch = tempfile::tempdir().unwrap();
        for loose_bytes in [None, Some(loose_bytes)] {
            let sorter = || pushed(&rows, scratch.path(), memory_bytes, loose_bytes);
            let found: Vec<_> = sorter().finish().unwrap().map(unpacked).map(Result::unwrap).collect();
            prop_assert_eq!(&found, &wanted);
            prop_assert_eq!(&merged_ahead(sorter()), &wanted);
        }
    }

    #[test]
    fn cells_come_back_as_they_were_packed(number: i64, texts: Vec<Option<String>>, micros in -9_000_000_000_000_000_i64..9_000_000_000_000_000) {
        let instant = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        let mut bytes = Vec::new();
        let mut cells = CellPacker::behind(&mut bytes);
        cells.integer(number);
        texts.iter().for_each(|text| cells.maybe_text(text.as_ref()));
        cells.maybe_instant(None);
        cells.maybe_instant(Some(instant));
        [None, Some(number)].into_iter().for_each(|number| cells.maybe_integer(number));
        [None, Some(instant.date_naive())].into_iter().for_each(|date| cells.maybe_date(date));
        [None, Some(false), Some(true)].into_iter().for_each(|flag| cells.maybe_flag(flag));
        cells.flag(true);
        cells.flag(false);
        cells.count(texts.len());
        cells.integer(number >> 40);
        cells.bytes(b"raw");
        cells.date(instant.date_naive());
        let mut cells = PackedRow::of_parts(&[], &bytes).unpack();
        prop_assert_eq!(cells.integer(), number);
        for text in &texts {
            prop_assert_eq!(cells.maybe_text(), text.as_deref());
        }
        prop_assert_eq!(cells.maybe_instant(), None);
        prop_assert_eq!(cells.maybe_instant(), Some(instant));
        prop_assert_eq!([cells.maybe_integer(), cells.maybe_integer()], [None, Some(number)]);
        prop_assert_eq!([cells.maybe_date(), cells.maybe_date()], [None, Some(instant.date_naive())]);
        prop_assert_eq!([(); 3].map(|()| cells.maybe_flag()), [None, Some(false), Some(true)]);
        prop_assert_eq!([cells.flag(), cells.flag()], [true, false]);
        prop_assert_eq!((cells.count(), cells.integer()), (texts.len(), number >> 40));
        prop_assert_eq!(cells.bytes(3), b"raw");
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
fn rows_that_are_set_aside_lie_on_the_disk_and_come_back_in_order_with_those_after_them() {
    let scratch = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(&Room { folder: scratch.path().to_owned(), memory_bytes: 1 << 20 });
    let rows = numbered(["b", "a", "b", "a"].map(|key| (key.to_owned(), String::new())).to_vec(), None);
    rows[..2].iter().for_each(|row| sorter.push(row).unwrap());
    sorter.set_aside().unwrap();
    sorter.set_aside().unwrap();
    assert_eq!((sorter.filling.bytes(), sorter.spare.bytes(), sorter.runs.len()), (0, 0, 1));
    rows[2..].iter().for_each(|row| sorter.push(row).unwrap());
    let found: Vec<_> = sorter.finish().unwrap().map(unpacked).map(Result::unwrap).collect();
    assert_eq!(found.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 3, 0, 2]);
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

/// Keys of a few letters, so that many agree.
fn few_keys() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[a\u{0}b]{0,2}", "[0-1]{0,1}"), 0..40)
}

fn finished(rows: &[Numbered], room: &Room) -> Sorted {
    let mut sorter = Sorter::new(room);
    rows.iter().for_each(|row| sorter.push(row).unwrap());
    sorter.finish().unwrap()
}

proptest! {
    #[test]
    fn rows_are_kept_and_read_again_joined_and_grouped_as_if_they_were_held(
        one in few_keys(), two in few_keys(), memory_bytes in 1_usize..2_000
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let room = Room { folder: scratch.path().to_owned(), memory_bytes };
        let (one, two) = (numbered(one, None), numbered(two, Some("later")));
        let mut keeper = Keeper::new(&room);
        finished(&[&one[..], &two].concat(), &room).each(|row| keeper.push(&row)).unwrap();
        let kept = keeper.finish().unwrap();
        let mut wanted: Vec<_> = one.iter().chain(&two).cloned().collect();
        wanted.sort_by(|one, other| one.key.cmp(&other.key));
        for _ in 0..2 {
            let rows: Vec<_> = kept.rows().unwrap().map(unpacked).map(Result::unwrap).collect();
            prop_assert_eq!(&rows, &wanted);
        }
        prop_assert_eq!((kept.len(), kept.is_empty()), (wanted.len() as u64, wanted.is_empty()));

        let (mut earlier, mut last) = (Vec::new(), Vec::new());
        let keep_last = |row: PackedRow<'_>| {
            last.push(unpacked(row));
            Ok(())
        };
        kept.rows().unwrap().last_of_each(|row| earlier.push(unpacked(row)), keep_last).unwrap();
        let is_last = |row: &&Numbered| wanted.iter().rfind(|it| it.key == row.key) == Some(*row);
        prop_assert_eq!(last, wanted.iter().filter(is_last).cloned().collect::<Vec<_>>());
        prop_assert_eq!(earlier, wanted.iter().filter(|row| !is_last(row)).cloned().collect::<Vec<_>>());

        let (mut rows, mut groups) = (kept.rows().unwrap(), Vec::new());
        loop {
            let mut group = Vec::new();
            if !rows.next_group(1, |row| group.push(unpacked(row))).unwrap() {
                break;
            }
            groups.push(group);
        }
        let by_first = wanted.chunk_by(|one, other| one.key.0 == other.key.0);
        prop_assert_eq!(groups, by_first.map(<[Numbered]>::to_vec).collect::<Vec<_>>());

        let mut side = JoinSide::new(finished(&two, &room), 1);
        let mut asked = finished(&one, &room);
        while let Some(row) = asked.peek() {
            let found: Vec<_> = side.find(row.beginning(1)).unwrap().map(unpacked).collect();
            let first = unpacked(row).key.0;
            let mut there: Vec<_> = two.iter().filter(|it| it.key.0 == first).cloned().collect();
            there.sort_by(|one, other| one.key.cmp(&other.key));
            prop_assert_eq!(found, there);
            asked.advance().unwrap();
        }
    }
}

/// The last row of every key, in order.
fn last_of_each(rows: &[Numbered]) -> BTreeMap<(String, String), Numbered> {
    rows.iter().map(|row| (row.key.clone(), row.clone())).collect()
}

fn kept(rows: &[Numbered], room: &Room) -> Kept {
    let mut keeper = Keeper::new(room);
    last_of_each(rows).values().for_each(|row| keeper.push(row).unwrap());
    keeper.finish().unwrap()
}

proptest! {
    #[test]
    fn later_rows_take_the_place_of_kept_ones_wherever_they_lie(
        layers in prop::collection::vec(few_keys(), 1..5), memory_bytes in 1_usize..2_000
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let room = Room { folder: scratch.path().to_owned(), memory_bytes };
        let (mut found, mut wanted) = (Kept::default(), BTreeMap::new());
        for (number, layer) in layers.into_iter().enumerate() {
            let later = last_of_each(&numbered(layer, Some(&number.to_string())));
            let (mut replaced, rows) = (Vec::new(), later.values().cloned().collect::<Vec<_>>());
            found = found.replaced_by(&kept(&rows, &room), |row| replaced.push(unpacked(row))).unwrap();
            let gone = later.keys().filter_map(|key| wanted.get(key).cloned());
            prop_assert_eq!(replaced, gone.collect::<Vec<Numbered>>());
            wanted.extend(later);
        }
        let rows: Vec<_> = found.rows().unwrap().map(unpacked).map(Result::unwrap).collect();
        prop_assert_eq!(found.len(), rows.len() as u64);
        prop_assert_eq!(rows, wanted.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn nothing_kept_is_no_file_and_no_rows() {
    let room = Room { folder: "/nonexistent/scratch".into(), memory_bytes: 1 };
    let kept = Keeper::new(&room).finish().unwrap();
    assert!(kept.is_empty() && kept.rows().unwrap().peek().is_none());
}
