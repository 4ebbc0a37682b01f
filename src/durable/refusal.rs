//! Whether an operation failed because of the disk: no space, a quota or limit, an I/O error, a read-only file system. Then
//! neither the rows nor whoever supplied them are to blame.

use std::error::Error;
use std::io;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use rustix::io::Errno;

use super::with_path::WithPath;

/// The disk's error in an error or its causes, if there is one.
pub fn refusal(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let causes = std::iter::successors(Some(error), |error| cause_of(*error));
    causes.filter_map(code_of).find(is_refusal).map(io::Error::from)
}

/// The next error of the chain; an `io::Error` that wraps another does not return it as its `source`.
fn cause_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(WithPath { error, .. }) = error.downcast_ref() {
        return Some(error);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn code_of(error: &(dyn Error + 'static)) -> Option<Errno> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => Errno::from_io_error(error),
        None if error.is::<ArrowError>() || error.is::<ParquetError>() => os_code_in(&error.to_string()),
        None => None,
    }
}

/// Arrow and Parquet keep only the text of errors from each other and their causes; the code is parsed from it.
fn os_code_in(text: &str) -> Option<Errno> {
    let (_, code) = text.rsplit_once("(os error ")?;
    Some(Errno::from_raw_os_error(code.split_once(')')?.0.parse().ok()?))
}

/// The advice for a disk error quoted in a message: free space, unless too many files are open or the disk fails.
pub fn advice_for(message: &str) -> &'static str {
    match os_code_in(message) {
        Some(Errno::IO) => "see in the system's log what ails the disk of `job.lake`",
        code => code.and_then(advice_by_code).unwrap_or("make room on the disk of `job.lake`"),
    }
}

/// The advice when too many files are open.
pub fn advice_for_open_files(error: &io::Error) -> Option<&'static str> {
    Errno::from_io_error(error).and_then(advice_by_code)
}

fn advice_by_code(code: Errno) -> Option<&'static str> {
    match code {
        Errno::MFILE => Some("raise the limit of open files (`ulimit -n`, in a systemd unit `LimitNOFILE=`) to 1024"),
        Errno::NFILE => Some("raise the machine's limit of open files (`fs.file-max`)"),
        _ => None,
    }
}

fn is_refusal(code: &Errno) -> bool {
    use Errno as E;
    [E::NOSPC, E::DQUOT, E::FBIG, E::ROFS, E::IO, E::MFILE, E::NFILE].contains(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::with_path;

    #[test]
    fn a_full_disk_is_found_however_deep_it_lies() {
        let full = || io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        assert!(refusal(&full()).is_some());
        assert!(refusal(&io::Error::other(ParquetError::from(full()))).is_some());
        assert!(refusal(&io::Error::other(io::Error::other(full()))).is_some());
    }

    #[test]
    fn a_full_disk_is_found_where_only_the_text_of_it_was_taken_over() {
        let full = || io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        let in_arrow = || ArrowError::from(ParquetError::from(full()));
        assert_eq!(refusal(&in_arrow()).map(|error| error.kind()), Some(full().kind()));
        assert!(refusal(&ParquetError::from(in_arrow())).is_some());
        assert!(refusal(&ArrowError::ParquetError("(os error ".into())).is_none());
        assert!(refusal(&ArrowError::ParquetError("No such file or directory (os error 2)".into())).is_none());
    }

    #[test]
    fn a_full_disk_is_found_behind_the_name_of_the_folder_it_was_told_of() {
        let full = io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        let told = with_path("/lake/datasets".as_ref())(full);
        assert!(told.to_string().starts_with("`/lake/datasets`: No space left"), "{told}");
        assert!(told.get_ref().is_some_and(|said| said.source().is_none()), "told once");
        assert_eq!(
            refusal(&io::Error::other(told)).and_then(|no| no.raw_os_error()),
            Some(Errno::NOSPC.raw_os_error())
        );
    }

    #[test]
    fn a_file_too_many_and_a_failing_disk_are_refusals_that_no_room_helps_against() {
        let told = |code: Errno| {
            let error = io::Error::other(ParquetError::from(io::Error::from(code)));
            assert!(refusal(&error).is_some(), "{code}");
            advice_for(&format!("`part-0.parquet`: {error}"))
        };
        assert!(told(Errno::MFILE).contains("`ulimit -n`") && told(Errno::NFILE).contains("`fs.file-max`"));
        assert!(told(Errno::NOSPC).starts_with("make room") && advice_for("torn").starts_with("make room"));
        let failing = told(Errno::IO);
        assert!(failing.contains("system's log") && !failing.contains("make room"), "{failing}");
    }

    #[test]
    fn a_torn_file_and_a_missing_one_are_not_the_disks() {
        assert!(refusal(&io::Error::from(io::ErrorKind::UnexpectedEof)).is_none());
        assert!(refusal(&io::Error::from_raw_os_error(Errno::NOENT.raw_os_error())).is_none());
        assert!(refusal(&ParquetError::General("torn".into())).is_none());
    }
}
