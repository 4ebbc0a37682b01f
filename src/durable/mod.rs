//! How a file is created durably: written beside its place, fsynced, renamed, its folder fsynced. Every durable file of the
//! program, including the journal's, goes through here.

mod commit;
mod refusal;
mod with_path;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use commit::{Step, reached};
pub use refusal::{advice_for, advice_for_open_files, refusal};
pub use with_path::with_path;

/// Writes `bytes` to `path` so that a reader, or a crash, sees all of them or nothing.
///
/// `path` must not be inside a dataset folder unless `beside` is outside it: readers of a dataset
/// would see the unfinished file.
pub fn write_file(path: &Path, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, beside, |file| file.write_all(bytes))
}

/// Writes a file that a person asked for, at a place they chose. A regular file is replaced as a whole; anything else
/// (`/dev/stdout`, a pipe, a link) is written through, since a rename would replace it by a file.
pub fn write_out(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    if fs::symlink_metadata(&path).is_ok_and(|it| !it.is_file()) {
        return fs::write(&path, bytes);
    }
    let mut beside = path.clone().into_os_string();
    beside.push(".staged");
    write_file(&path, Path::new(&beside), bytes)
}

/// `write_file` where no file may be yet: false if there is one, which is left alone. Of several that write at once one does.
pub fn write_new(path: &Path, beside: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut file = create(beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    reached(Step::Staged, path);
    let is_new = name_if_free(beside, path)?;
    reached(Step::Renamed, path);
    remove_file(beside)?;
    sync_folder(path.parent().expect("a file has a folder"))?;
    Ok(is_new)
}

/// Gives a file that is already synced the name `to`, perhaps beside its own; false if a file has it.
fn name_if_free(from: &Path, to: &Path) -> io::Result<bool> {
    let mut named = NAMING.iter().map(|name| name(from, to));
    let is_known = |named: &rustix::io::Result<()>| {
        !matches!(named, Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL))
    };
    match named.find(is_known).unwrap_or(Err(Errno::OPNOTSUPP)) {
        Err(Errno::EXIST) => Ok(false),
        named => Ok(named.map(|()| true)?),
    }
}

/// Ways to name a file that replace none, the next for a file system that lacks the former: a link; a rename that does not
/// replace; and where there is neither, a look before the rename, which two at once may both pass.
const NAMING: [fn(&Path, &Path) -> rustix::io::Result<()>; 3] = [
    |from, to| rustix::fs::link(from, to),
    |from, to| rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE),
    |from, to| if to.exists() { Err(Errno::EXIST) } else { rustix::fs::rename(from, to) },
];

/// `write_file` for contents that are not held in memory: `write` writes all of them.
pub fn write_with(
    path: &Path,
    beside: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufWriter::new(create(beside)?);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    drop(file);
    move_file(beside, path)
}

/// Opens a file for writing and truncates it. A symbolic link in its place is refused: its target is not ours to
/// overwrite.
pub fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
    File::options().write(true).create(true).truncate(true).custom_flags(no_link).open(path)
}

/// Renames a file that is already synced, and makes the rename durable.
pub fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    reached(Step::Staged, to);
    fs::rename(from, to)?;
    reached(Step::Renamed, to);
    sync_folder(to.parent().expect("a file has a folder"))
}

/// Moves a folder whose files are synced to `to`, whether or not a folder exists there: who lists the place finds one
/// or the other, whole. The former folder is at `from` afterwards. False where the file system cannot exchange two
/// names atomically.
pub fn place_folder(from: &Path, to: &Path) -> io::Result<bool> {
    sync_folder(from)?;
    reached(Step::Staged, to);
    let placed = match to.exists() {
        true => rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE),
        false => rustix::fs::rename(from, to),
    };
    match placed {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return Ok(false),
        placed => placed?,
    }
    reached(Step::Renamed, to);
    sync_folder(to.parent().expect("a folder is in one"))?;
    sync_folder(from.parent().expect("a folder is in one"))?;
    Ok(true)
}

/// Creates an empty file at `path` and makes it durable.
pub fn mark(path: &Path) -> io::Result<()> {
    create(path)?.sync_all()?;
    reached(Step::Renamed, path);
    sync_folder(path.parent().expect("a file has a folder"))
}

/// Removes a file if it exists, and makes the removal durable.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    reached(Step::Removed, path);
    sync_folder(path.parent().expect("a file has a folder"))
}

/// Makes the entries of a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // The parent of a bare file name is an empty path.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Creates a folder and its parents durably.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            reached(Step::Folder, folder);
            folder.parent().map_or(Ok(()), sync_folder)
        }
    }
}

/// Creates a folder that only its owner may enter: raw pages hold openids.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    create_folder(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_must_be_new_leaves_another_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = (folder.path().join("a"), folder.path().join("a.staged"));
        let written = [b"one", b"two"].map(|bytes| write_new(&path, &beside, bytes).unwrap());
        assert_eq!((written, fs::read(&path).unwrap()), ([true, false], b"one".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn no_way_to_name_a_file_takes_the_name_of_another() {
        for name in NAMING {
            let folder = tempfile::tempdir().unwrap();
            let [one, two, place] = ["one", "two", "place"].map(|name| folder.path().join(name));
            [&one, &two].into_iter().for_each(|path| fs::write(path, path.to_str().unwrap()).unwrap());
            assert_eq!([name(&one, &place), name(&two, &place)], [Ok(()), Err(Errno::EXIST)]);
            assert_eq!(fs::read_to_string(&place).unwrap(), one.to_str().unwrap());
        }
    }

    #[test]
    fn what_a_person_asked_for_goes_through_links_and_pipes_and_leaves_no_file_in_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, link) = (folder.path().join("a"), folder.path().join("link"));
        std::os::unix::fs::symlink("a", &link).unwrap();
        for bytes in [b"one", b"two"] {
            write_out(&link, bytes).unwrap();
            assert_eq!((fs::read(&plain).unwrap(), fs::read_link(&link).unwrap()), (bytes.to_vec(), "a".into()));
        }
        write_out(&plain, b"three").unwrap();
        write_out(Path::new("/dev/null"), b"four").unwrap();
        assert_eq!(fs::read("/dev/null").unwrap(), b"");
        let error = write_out(folder.path(), b"five").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert!(!folder.path().with_extension("staged").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
    }

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = (folder.path().join("a"), folder.path().join("a.staged"));
        write_file(&path, &beside, b"one").unwrap();
        write_file(&path, &beside, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!beside.exists());
    }

    #[test]
    fn a_folder_takes_the_place_of_another_which_stands_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let [staged, place] = ["staged", "place"].map(|name| folder.path().join(name));
        let stage = |text: &str| {
            fs::create_dir_all(&staged).unwrap();
            fs::write(staged.join("a"), text).unwrap();
        };
        stage("one");
        assert!(place_folder(&staged, &place).unwrap());
        assert!(!staged.exists(), "where nothing stood nothing is left");
        stage("two");
        assert!(place_folder(&staged, &place).unwrap());
        assert_eq!([&place, &staged].map(|it| fs::read_to_string(it.join("a")).unwrap()), ["two", "one"]);
    }

    #[test]
    fn a_mark_is_empty_and_what_is_removed_may_be_gone_already() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("_SUCCESS");
        mark(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        remove_file(&path).unwrap();
        remove_file(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join("a.staged"));
        fs::write(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        assert!(write_file(&folder.path().join("a"), &link, b"mine").is_err());
        assert!(mark(&link).is_err());
        assert_eq!(fs::read(victim).unwrap(), b"precious");
    }

    #[test]
    fn private_folders_are_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("a/b");
        create_private_folder(&private).unwrap();
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
