//! The workbook library panics when the disk rejects its buffered rows, and reports a zip file that it could not close. Both
//! become the error of the operating system again here; any other panic is passed on.

use std::any::Any;
use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use rust_xlsxwriter::XlsxError;

thread_local! {
    static IS_LISTENED_TO: Cell<bool> = const { Cell::new(false) };
}

/// Runs a library call. After an error, the object it was called on is no longer usable.
pub(super) fn heard<T>(work: impl FnOnce() -> Result<T, XlsxError>) -> Result<T, XlsxError> {
    hush();
    IS_LISTENED_TO.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_LISTENED_TO.set(false);
    done.unwrap_or_else(|panic| match refusal_in(panic.as_ref()) {
        Some(error) => Err(XlsxError::IoError(error)),
        None => panic::resume_unwind(panic),
    })
}

/// Keeps a panic that becomes an error from being printed.
fn hush() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_LISTENED_TO.get() || refusal_in(panic.payload()).is_none() {
                tell(panic);
            }
        }));
    });
}

/// The system's error inside a panic message: `Couldn't write to xml file: Os { code: 28, … }`.
fn refusal_in(panic: &(dyn Any + Send)) -> Option<io::Error> {
    let words = panic.downcast_ref::<String>()?;
    let (_, code) = words.split_once("Os { code: ")?;
    let digits = code.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(io::Error::from_raw_os_error)
}

/// A writer that accepts everything, and keeps the first error of the underlying writer.
pub(super) struct Patient<W> {
    out: W,
    refused: Option<io::Error>,
}

impl<W: Write> Patient<W> {
    pub(super) fn new(out: W) -> Patient<W> {
        Patient { out, refused: None }
    }

    /// The first error, if any.
    pub(super) fn result(self) -> io::Result<()> {
        self.refused.map_or(Ok(()), Err)
    }
}

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.refused.is_none() {
            self.refused = self.out.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.refused.is_none() {
            self.refused = self.out.flush().err();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::BufWriter;

    use super::*;

    /// Panics as the library does.
    fn written(result: io::Result<()>) -> Result<(), XlsxError> {
        result.expect("Couldn't write to xml file");
        Ok(())
    }

    #[test]
    fn a_panic_over_a_full_disk_is_an_error_of_the_disk() {
        let error = heard(|| written(Err(io::Error::from_raw_os_error(28)))).unwrap_err();
        assert!(matches!(&error, XlsxError::IoError(source) if source.raw_os_error() == Some(28)), "{error:?}");
    }

    #[test]
    fn a_panic_over_anything_else_stays_one() {
        assert!(panic::catch_unwind(|| heard(|| -> Result<(), XlsxError> { panic!("a fault") })).is_err());
        assert!(heard(|| Ok(())).is_ok());
    }

    #[test]
    fn what_a_full_file_refuses_is_told_at_the_end() {
        let Ok(full) = File::options().write(true).open("/dev/full") else { return };
        let mut out = Patient::new(BufWriter::new(full));
        out.write_all(&[0; 1 << 16]).unwrap();
        out.flush().unwrap();
        assert_eq!(out.result().unwrap_err().raw_os_error(), Some(28));
        assert!(Patient::new(Vec::new()).result().is_ok());
    }
}
