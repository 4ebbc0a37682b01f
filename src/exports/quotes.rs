//! Checks that the quotes of a row separate its cells as RFC 4180 says. The csv crate accepts any text after a closing
//! quote, so an undoubled quote inside a cell would swallow the rows up to the next one. Judges rows; never corrects one.

use memchr::memchr_iter;

/// A fault in the quotes of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The index of the cell, from 0.
    pub(super) place: usize,
    /// The offset of the opening quote in the row.
    pub(super) opened: usize,
    /// The offset of the closing quote that is followed by more text; `None` if there is none.
    pub(super) closed: Option<usize>,
    /// Whether other rows may be inside, so that the rows of the file are ambiguous.
    pub(super) swallows: bool,
}

/// The first fault of a row; an unclosed quote takes precedence.
pub(super) fn flaw(row: &[u8], delimiter: u8) -> Option<Flaw> {
    spans(row, delimiter).find(|span| span.is_flawed(row, delimiter))?;
    let open = spans(row, delimiter).find(|span| span.closed.is_none());
    let span = open.or_else(|| spans(row, delimiter).find(|span| span.is_flawed(row, delimiter)))?;
    let swallows = span.closed.is_none() || has_inner_line_end(row);
    Some(Flaw { place: place(row, delimiter, &span), opened: span.opened, closed: span.closed, swallows })
}

/// Whether a line ends before the end of the row.
fn has_inner_line_end(row: &[u8]) -> bool {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    row.iter().rev().skip_while(|byte| is_end(byte)).any(is_end)
}

/// A quoted span of a row.
struct Span {
    opened: usize,
    closed: Option<usize>,
}

impl Span {
    /// After a closing quote only a delimiter or the end of the row is allowed.
    fn is_flawed(&self, row: &[u8], delimiter: u8) -> bool {
        let Some(closed) = self.closed else { return true };
        row.get(closed + 1).is_some_and(|next| *next != delimiter && !matches!(next, b'\r' | b'\n'))
    }
}

/// The quoted spans of a row. A quote only opens one at the start of a cell; elsewhere it is text.
fn spans(row: &[u8], delimiter: u8) -> impl Iterator<Item = Span> {
    let mut quotes = memchr_iter(b'"', row).peekable();
    std::iter::from_fn(move || {
        let opened = quotes.find(|at| *at == 0 || row[*at - 1] == delimiter)?;
        let mut closed = quotes.next();
        // A doubled quote is text.
        while closed.is_some_and(|at| quotes.next_if_eq(&(at + 1)).is_some()) {
            closed = quotes.next();
        }
        Some(Span { opened, closed })
    })
}

/// The index of the cell of a span: delimiters inside earlier spans are text.
fn place(row: &[u8], delimiter: u8, span: &Span) -> usize {
    let delimiters = |text: &[u8]| memchr_iter(delimiter, text).count();
    let earlier = spans(row, delimiter).take_while(|earlier| earlier.opened < span.opened);
    let quoted: usize = earlier.map(|it| delimiters(&row[it.opened..it.closed.unwrap_or(it.opened)])).sum();
    delimiters(&row[..span.opened]) - quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flaw_of(raw: &str) -> Option<(usize, usize, Option<usize>, bool)> {
        flaw(raw.as_bytes(), b',').map(|flaw| (flaw.place, flaw.opened, flaw.closed, flaw.swallows))
    }

    #[test]
    fn cells_quoted_as_they_should_be_have_no_flaw() {
        for raw in
            ["", "a,b\n", "\"a\",\"b\"\r\n", "\"a,\n\"\"b\"\"\",c", "\"\",\"\"\"\"", "5\" pipe,a\"b\"", "\"a\"\r"]
        {
            assert_eq!(flaw_of(raw), None, "{raw:?}");
        }
        assert_eq!(flaw(b"a;\"b\";c", b';'), None);
    }

    #[test]
    fn text_behind_a_closing_quote_is_a_flaw_of_its_cell() {
        assert_eq!(flaw_of("\"C1\"9,b\n"), Some((0, 0, Some(3), false)));
        assert_eq!(flaw_of("\"a,b\",5\",\"c\" ,d"), Some((2, 9, Some(11), false)));
        assert_eq!(flaw_of("M1,\"x\nM2,\"y\n"), Some((1, 3, Some(9), true)));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_before_any_other_flaw() {
        assert_eq!(flaw_of("a,\"x\nb,y\n"), Some((1, 2, None, true)));
        assert_eq!(flaw_of("\"a\"b,\"c"), Some((1, 5, None, true)));
        assert_eq!(flaw_of("\"a\"\""), Some((0, 0, None, true)));
    }

    proptest! {
        /// The output of a system that does not double one of the quotes.
        #[test]
        fn one_quote_too_many_is_never_without_a_flaw(
            cells in prop::collection::vec("[a\"]{0,4}", 1..8),
            at in any::<prop::sample::Index>(),
        ) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            let mut text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(flaw(text.as_bytes(), b','), None);
            text.insert(at.index(text.len() - 1), '"');
            prop_assert!(flaw(text.as_bytes(), b',').is_some(), "{}", text);
        }

        /// The cells are those of the csv crate: written back they give the same text, if there is no flaw.
        #[test]
        fn cells_without_a_flaw_are_read_to_the_letter(raw in "[a,\n\"]{1,20}") {
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(raw.as_bytes());
            let mut record = csv::StringRecord::new();
            let mut start = 0;
            while reader.read_record(&mut record).unwrap() {
                let end = usize::try_from(reader.position().byte()).unwrap();
                let text = raw[start..end].trim_start_matches('\n');
                start = end;
                if flaw(text.as_bytes(), b',').is_none() {
                    let quoted = text.matches('"').count();
                    let kept: usize = record.iter().map(|cell| cell.matches('"').count()).sum();
                    let stretches = spans(text.as_bytes(), b',').count();
                    prop_assert!(quoted >= kept + 2 * stretches, "{:?} {:?}", text, record);
                    let width = place(text.as_bytes(), b',', &Span { opened: text.len(), closed: None }) + 1;
                    prop_assert_eq!(record.len(), width, "{:?}", text);
                }
            }
        }
    }
}
