//! The files of one partition: `part-0.parquet`, and above a size limit `part-1.parquet`, `part-2.parquet`, … in the
//! order of their rows. The first one represents the partition everywhere. Only finds them; knows no Parquet.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::durable::with_path;
use crate::sha256::{sha256_of, sha256_of_file};

/// The name of the first part, which every partition has.
pub const FIRST: &str = "part-0.parquet";

/// The file name of a part.
pub fn name(number: usize) -> String {
    format!("part-{number}.parquet")
}

/// The number of a part, by its file name; `None` for any other file.
pub fn number(file: &str) -> Option<usize> {
    let number = file.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()?;
    (name(number) == file).then_some(number)
}

/// The path of a part of the partition `first`. A file with another name is the only one of its partition.
pub fn path(first: &Path, number: usize) -> PathBuf {
    if number == 0 { first.to_owned() } else { first.with_file_name(name(number)) }
}

/// The numbers of the parts in a folder, which need not exist.
pub fn present(folder: &Path) -> io::Result<BTreeSet<usize>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut numbers = BTreeSet::new();
    for entry in entries {
        numbers.extend(entry?.file_name().to_str().and_then(number));
    }
    Ok(numbers)
}

/// The files of the partition `first` in order; only `first` if none exists.
///
/// # Errors
/// The folder cannot be listed, or a part in the middle is missing, which would silently lose rows.
pub fn of(first: &Path) -> io::Result<Vec<PathBuf>> {
    let numbers = numbers_of(first)?;
    let gone = |(expected, number): &(usize, usize)| expected != number;
    match numbers.iter().copied().enumerate().find(gone) {
        Some((number, _)) => Err(is_gone(&path(first, number))),
        None => Ok(numbers.iter().map(|number| path(first, *number)).collect()),
    }
}

/// The same files, opened: all of one version, whatever is published meanwhile.
///
/// # Errors
/// As `of`; a file that cannot be opened.
pub fn open(first: &Path) -> io::Result<Vec<(PathBuf, File)>> {
    if !is_numbered(first) {
        return Ok(vec![(first.to_owned(), File::open(first)?)]);
    }
    let folder = folder_of(first);
    loop {
        // While it is open, no other folder can get its identity.
        let listed = File::open(folder)?;
        let parts = of(first).and_then(|paths| paths.into_iter().map(opened).collect());
        if is_at(&listed, folder)? {
            return parts;
        }
    }
}

/// The digest of the parts of the partition `first` that exist (`digest`).
///
/// # Errors
/// A file that cannot be read.
pub fn sha256(first: &Path) -> io::Result<String> {
    let mut parts = Vec::new();
    for number in numbers_of(first)? {
        let part = path(first, number);
        parts.push((name(number), sha256_of_file(&part).map_err(with_path(&part))?));
    }
    Ok(digest(parts.iter().map(|(name, sha256)| (name.as_str(), sha256.as_str()))))
}

/// The digest of a partition, from the names and SHA-256 of its parts: of a single file its own, of several that of the
/// lines that `sha256sum` writes for them.
pub fn digest<'a>(parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let parts: Vec<_> = parts.into_iter().collect();
    if let [(_, sha256)] = parts.as_slice() {
        return (*sha256).to_owned();
    }
    let lines: String = parts.iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect();
    sha256_of(lines.as_bytes())
}

fn numbers_of(first: &Path) -> io::Result<Vec<usize>> {
    let numbers = if is_numbered(first) { present(folder_of(first))? } else { BTreeSet::new() };
    Ok(if numbers.is_empty() { vec![0] } else { numbers.into_iter().collect() })
}

fn is_numbered(first: &Path) -> bool {
    first.file_name().is_some_and(|name| name == FIRST)
}

/// The parent of a bare file name is an empty path.
fn folder_of(first: &Path) -> &Path {
    first.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn opened(path: PathBuf) -> io::Result<(PathBuf, File)> {
    File::open(&path).map(|file| (path, file))
}

/// Whether a folder that was opened is still the one at its path.
fn is_at(folder: &File, place: &Path) -> io::Result<bool> {
    let (ours, theirs) = (folder.metadata()?, fs::metadata(place)?);
    Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()))
}

fn is_gone(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("`{}` is missing, although a later part exists", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files; each contains its own name.
    fn folder_of_files(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(folder.path().join(name), name).unwrap());
        folder
    }

    #[test]
    fn parts_come_in_the_order_of_their_numbers_and_nothing_else_is_one() {
        let folder = folder_of_files(&["_SUCCESS", "part-01.parquet", "part-.parquet", "part-2.parquet.crc"]);
        let first = folder.path().join(FIRST);
        assert_eq!(of(&first).unwrap().as_slice(), std::slice::from_ref(&first), "whoever opens it says so");
        for number in (0..12).rev() {
            fs::write(folder.path().join(name(number)), name(number)).unwrap();
        }
        assert_eq!(of(&first).unwrap(), (0..12).map(|number| folder.path().join(name(number))).collect::<Vec<_>>());
        let other = folder.path().join("orders.parquet");
        assert_eq!(of(&other).unwrap(), [other], "a file of another name has no followers");
    }

    #[test]
    fn a_part_that_is_gone_is_named_wherever_it_stood_but_at_the_end() {
        let folder = folder_of_files(&[FIRST, "part-1.parquet", "part-2.parquet"]);
        let first = folder.path().join(FIRST);
        for gone in [1, 0] {
            fs::remove_file(folder.path().join(name(gone))).unwrap();
            let error = open(&first).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(error.to_string().contains(&format!("{}` is missing", name(gone))), "{error}");
        }
    }

    #[test]
    fn a_partition_is_known_by_all_its_parts_and_one_file_by_its_own_hash() {
        let folder = folder_of_files(&[FIRST]);
        let first = folder.path().join(FIRST);
        assert_eq!(sha256(&first).unwrap(), sha256_of_file(&first).unwrap());
        fs::write(folder.path().join(name(1)), "more").unwrap();
        let two = sha256(&first).unwrap();
        let lines = [&first, &folder.path().join(name(1))].map(|path| sha256_of_file(path).unwrap());
        assert_eq!(two, sha256_of(format!("{}  {FIRST}\n{}  part-1.parquet\n", lines[0], lines[1]).as_bytes()));
        fs::rename(folder.path().join(name(1)), folder.path().join(name(2))).unwrap();
        assert_ne!(sha256(&first).unwrap(), two, "a part that bears another number is another partition");
    }

    #[test]
    fn files_are_opened_in_one_version_while_folders_are_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let [place, staged] = ["place", "staged"].map(|name| folder.path().join(name));
        let write = |folder: &Path, parts: usize| {
            let _ = fs::remove_dir_all(folder);
            fs::create_dir(folder).unwrap();
            (0..parts).for_each(|number| fs::write(folder.join(name(number)), parts.to_string()).unwrap());
        };
        write(&place, 3);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..300 {
                    write(&staged, 1 + round % 4);
                    assert!(crate::durable::place_folder(&staged, &place).unwrap());
                }
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let parts = open(&place.join(FIRST)).unwrap();
                let texts: Vec<_> = parts.into_iter().map(|(_, file)| io::read_to_string(file).unwrap()).collect();
                assert!(texts.iter().all(|text| *text == texts.len().to_string()), "{texts:?}");
            }
        });
    }
}
