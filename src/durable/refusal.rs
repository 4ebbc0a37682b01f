//! Whether it was the disk that said no: without room, at a limit, broken or closed to writing. Then neither the
//! rows are to blame nor whoever brought them.

use std::error::Error;
use std::io;

use rustix::io::Errno;

/// The disk's no among an error and its causes.
pub fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    let causes = std::iter::successors(Some(error), |error| cause_of(*error));
    causes.filter_map(|cause| cause.downcast_ref()).find(|error| is_refusal(error))
}

/// An error that stands for another does not name that one as its cause.
fn cause_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::ROFS, Errno::IO];
    Errno::from_io_error(error).is_some_and(|code| refusals.contains(&code))
}

#[cfg(test)]
mod tests {
    use parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn a_full_disk_is_found_however_deep_it_lies() {
        let full = || io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        assert!(refusal(&full()).is_some());
        assert!(refusal(&io::Error::other(ParquetError::from(full()))).is_some());
        assert!(refusal(&io::Error::other(io::Error::other(full()))).is_some());
    }

    #[test]
    fn a_torn_file_and_a_missing_one_are_not_the_disks() {
        assert!(refusal(&io::Error::from(io::ErrorKind::UnexpectedEof)).is_none());
        assert!(refusal(&io::Error::from_raw_os_error(Errno::NOENT.raw_os_error())).is_none());
        assert!(refusal(&ParquetError::General("torn".into())).is_none());
    }
}
