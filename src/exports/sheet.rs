//! A table with a header, from delimited text or typed cells: rows with their physical lines, one at a time.
//! Knows no meaning of a column.

use std::fs::File;
use std::io;

use encoding_rs::Encoding;

use super::bad_row::BadRow;
use super::cell;
use super::error::{ExportError, MissingColumn};
use super::found::{self, Found};
use super::hashing::{ExportFile, Hashing};
use super::quotes::{self, Flaw};
use super::row::{Fault, Row, TypedRow};
use super::rows_ahead::{Broken, RowsAhead};
use super::text::{Decoded, line_ends};

/// An export file that is being read.
pub(super) struct Sheet {
    /// Name of the file.
    pub(super) name: String,
    /// Header texts, trimmed.
    pub(super) header: Vec<String>,
    /// Of a workbook: this worksheet, then the others.
    worksheets: Vec<String>,
    body: Body,
}

enum Body {
    /// Delimited text after its header, what separates its cells, and its file.
    Text { rows: Box<RowsAhead<Decoded<Hashing<File>>>>, delimiter: u8, found: Found },
    /// Cells of a typed format after the header, the line of the next row, and the file.
    Cells { cells: Cells, line: u64, file: ExportFile },
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").field("name", &self.name).field("header", &self.header).finish_non_exhaustive()
    }
}

/// The rows of a typed format.
pub(super) type Cells = Box<dyn Iterator<Item = Result<TypedRow, ExportError>>>;

/// A search for columns by their headers. Notes what is wrong, so that everything missing is reported at once.
pub(super) struct Search<'s> {
    sheet: &'s Sheet,
    missing: Vec<MissingColumn>,
    /// The first header that occurs twice.
    ambiguous: Option<String>,
}

impl Search<'_> {
    /// The position of the column that is `ours` under its header, which the file must have; `None` if the job does not
    /// map it.
    pub(super) fn place<'h>(&mut self, ours: &'static str, header: impl Into<Option<&'h str>>) -> Option<usize> {
        let header = header.into()?;
        let wanted = header_text(header);
        let mut places = (0..).zip(&self.sheet.header).filter(|(_, found)| *found == wanted).map(|(place, _)| place);
        let first = places.next();
        if places.next().is_some() {
            self.ambiguous.get_or_insert_with(|| header.to_owned());
        }
        if first.is_none() {
            self.missing.push(self.sheet.missing(ours, header));
        }
        first
    }
}

impl Sheet {
    /// Opens delimited text.
    pub(super) fn delimited(found: &Found, encoding: &'static Encoding, delimiter: u8) -> Result<Sheet, ExportError> {
        let file = File::open(&found.path).map_err(|source| found::refused(&found.path, source))?;
        let damaged = |source| unreadable(found, Broken { line: 0, source });
        let text = Decoded::new(&found.name, Hashing::new(file), encoding).map_err(damaged)?;
        let mut rows = Box::new(RowsAhead::start(text, delimiter));
        let mut first = Row::default();
        if !rows.next(&mut first).map_err(|broken| damaged(broken.source))? {
            let why = "is empty: it does not even have a header".to_owned();
            return Err(ExportError::Format { file: found.name.clone(), why });
        }
        let header = first.cells.iter().map(|cell| header_text(cell).to_owned()).collect();
        let body = Body::Text { rows, delimiter, found: found.clone() };
        let sheet = Sheet { name: found.name.clone(), header, worksheets: Vec::new(), body };
        match sheet.flaw(&first) {
            Some(flaw) => Err(sheet.torn(&first, &flaw)),
            None => Ok(sheet),
        }
    }

    /// A sheet of cells of a typed format; `first_line` is the line of the first row after the header.
    pub(super) fn of_cells(file: ExportFile, header: Vec<String>, cells: Cells, first_line: u64) -> Sheet {
        let (name, body) = (file.name.clone(), Body::Cells { cells, line: first_line, file });
        Sheet { name, header, worksheets: Vec::new(), body }
    }

    /// The same, one of these worksheets; the first was read.
    #[must_use]
    pub(super) fn of_worksheets(self, worksheets: Vec<String>) -> Sheet {
        Sheet { worksheets, ..self }
    }

    /// The positions of columns, which `find` looks for.
    ///
    /// # Errors
    /// Columns that are missing, or whose header occurs twice.
    pub(super) fn locate<T>(&self, find: impl FnOnce(&mut Search<'_>) -> T) -> Result<T, ExportError> {
        let mut search = Search { sheet: self, missing: Vec::new(), ambiguous: None };
        let places = find(&mut search);
        let Search { missing, ambiguous, .. } = search;
        if let Some(header) = ambiguous {
            return Err(ExportError::DuplicateHeader { file: self.name.clone(), header });
        }
        if missing.is_empty() {
            return Ok(places);
        }
        self.refuse_another_delimiter()?;
        Err(ExportError::MissingColumns {
            file: self.name.clone(),
            columns: missing,
            found: self.header.clone(),
            worksheets: self.worksheets.clone(),
        })
    }

    /// Reads the next row that is not blank into `row`; `None` at the end. A row of the wrong width, or with text
    /// after a closing quote, is bad.
    ///
    /// # Errors
    /// A quote that may have swallowed rows: valid rows would be lost with the bad one, unnoticed.
    pub(super) fn next(&mut self, row: &mut Row) -> Result<Option<Result<(), Box<BadRow>>>, ExportError> {
        loop {
            if !self.body.next(row)? {
                return Ok(None);
            }
            if let Some(flaw) = self.flaw(row) {
                return if flaw.swallows {
                    Err(self.torn(row, &flaw))
                } else {
                    Ok(Some(Err(self.misquoted(row, &flaw))))
                };
            }
            if !row.is_blank() {
                return Ok(Some(self.check(row)));
            }
        }
    }

    /// The identity of the file, once its rows are read.
    pub(super) fn finish(self) -> Result<ExportFile, ExportError> {
        match self.body {
            Body::Cells { file, .. } => Ok(file),
            Body::Text { rows, found, .. } => {
                let file = rows.into_text().into_source().finish(&self.name);
                file.map_err(|source| found::refused(&found.path, source))
            }
        }
    }

    /// A bad row of this sheet.
    pub(super) fn bad_row(&self, row: &Row, fault: Fault) -> Box<BadRow> {
        let column = fault.place.and_then(|place| self.header.get(place)).cloned().unwrap_or_default();
        Box::new(BadRow {
            file: self.name.clone(),
            line: row.line,
            column,
            value: shortened(&fault.value),
            why: fault.why,
            raw: row.raw().into_owned(),
        })
    }

    /// Reports a single column that contains all headers as the wrong delimiter it is.
    fn refuse_another_delimiter(&self) -> Result<(), ExportError> {
        let (Body::Text { .. }, [header]) = (&self.body, self.header.as_slice()) else { return Ok(()) };
        let Some(delimiter) = header.chars().find(|sign| matches!(sign, '\t' | ';' | '|' | ',')) else { return Ok(()) };
        let shown = delimiter.escape_default();
        let what = format!("has a single column; its headers seem to be separated by `{shown}`");
        let advice =
            format!("set `delimiter = \"{shown}\"` of its source, or save it with the delimiter that is expected");
        Err(ExportError::OtherKind { file: self.name.clone(), what, advice })
    }

    fn missing(&self, ours: &'static str, header: &str) -> MissingColumn {
        let reach = (header.chars().count() / 2).max(1);
        let near = self.header.iter().map(|found| (strsim::damerau_levenshtein(header, found), found));
        let nearest = near.filter(|(distance, _)| *distance <= reach).min().map(|(_, found)| found.clone());
        MissingColumn { ours, header: header.to_owned(), nearest }
    }

    fn flaw(&self, row: &Row) -> Option<Flaw> {
        match &self.body {
            Body::Text { delimiter, .. } => quotes::flaw(&row.raw, *delimiter),
            Body::Cells { .. } => None,
        }
    }

    /// A row with text after a closing quote. The text is not shown: it may be an openid.
    fn misquoted(&self, row: &Row, flaw: &Flaw) -> Box<BadRow> {
        let why = "text after a closing quote: a `\"` inside a quoted value must be written twice";
        self.bad_row(row, Fault { place: Some(flaw.place), ..Fault::of_row(why) })
    }

    /// An error of the whole file, when a quote makes its rows ambiguous.
    fn torn(&self, row: &Row, flaw: &Flaw) -> ExportError {
        let column = self.header.get(flaw.place).map(|header| format!(", column `{header}`")).unwrap_or_default();
        let line_of = |at: usize| row.line + line_ends(&row.raw[..at], None);
        let end = match flaw.closed {
            Some(closed) => format!("is closed in line {} before more text", line_of(closed)),
            None => "is never closed".to_owned(),
        };
        let why = format!(
            "line {}{column}: the quote opened here {end}, so the rows of the file cannot be told apart: the file is cut off, or a `\"` inside a quoted value is not written twice; export it again",
            line_of(flaw.opened)
        );
        ExportError::Format { file: self.name.clone(), why }
    }

    /// Checks the width of a row of text; spreadsheets tend to append blank cells.
    fn check(&self, row: &mut Row) -> Result<(), Box<BadRow>> {
        let Body::Text { .. } = &self.body else { return Ok(()) };
        let (width, wanted) = (row.cells.len(), self.header.len());
        if width < wanted || row.cells.iter().skip(wanted).any(|cell| !cell.trim().is_empty()) {
            let why = format!(
                "{width} columns where the header has {wanted}: is a value with a delimiter or a line break not quoted?"
            );
            return Err(self.bad_row(row, Fault::of_row(why)));
        }
        row.cells.truncate(wanted);
        Ok(())
    }
}

impl Body {
    fn next(&mut self, row: &mut Row) -> Result<bool, ExportError> {
        match self {
            Body::Text { rows, found, .. } => rows.next(row).map_err(|broken| unreadable(found, broken)),
            Body::Cells { cells, line, .. } => {
                let Some(cells) = cells.next() else { return Ok(false) };
                row.fill(*line, cells?);
                *line += 1;
                Ok(true)
            }
        }
    }
}

/// Errors of decoding pass through readers as an `io::Error`, and so does a row without an end after `line`; the
/// rest is from the system.
fn unreadable(found: &Found, Broken { line, source }: Broken) -> ExportError {
    match source.downcast::<ExportError>() {
        Ok(told) => told,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            ExportError::Format { file: found.name.clone(), why: format!("has, after line {line}, {error}") }
        }
        Err(source) => found::refused(&found.path, source),
    }
}

/// A header without surrounding spaces and invisible characters.
pub(super) fn header_text(cell: &str) -> &str {
    cell.trim_matches(|sign: char| sign.is_whitespace() || cell::is_invisible(sign))
}

fn shortened(value: &str) -> String {
    const MOST: usize = 60;
    match value.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &value[..cut]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::UTF_8;
    use proptest::prelude::*;

    use super::*;

    fn open_in(folder: &tempfile::TempDir, text: &str) -> Result<Sheet, ExportError> {
        let path = folder.path().join("f.csv");
        std::fs::write(&path, text).unwrap();
        Sheet::delimited(&Found { path, name: "f.csv".into() }, UTF_8, b',')
    }

    fn sheet(text: &str) -> Sheet {
        open_in(&tempfile::tempdir().unwrap(), text).unwrap()
    }

    /// Why the file as a whole cannot be read.
    fn first_error(text: &str) -> String {
        let (mut sheet, mut row) = (sheet(text), Row::default());
        loop {
            match sheet.next(&mut row) {
                Ok(next) => assert!(next.is_some(), "the file reads"),
                Err(error) => return error.to_string(),
            }
        }
    }

    /// The line number of a row and its cells, or the problem with it.
    type Told = Result<(u64, Vec<String>), Box<BadRow>>;

    fn rows(text: &str) -> Vec<Told> {
        rows_of(&mut sheet(text))
    }

    fn rows_of(sheet: &mut Sheet) -> Vec<Told> {
        let (mut row, mut rows) = (Row::default(), Vec::new());
        while let Some(read) = sheet.next(&mut row).unwrap() {
            rows.push(read.map(|()| (row.line, row.cells.iter().map(str::to_owned).collect())));
        }
        rows
    }

    fn lines(text: &str) -> Vec<(u64, Vec<String>)> {
        rows(text).into_iter().map(Result::unwrap).collect()
    }

    fn only_fault(text: &str) -> BadRow {
        let mut faults: Vec<_> = rows(text).into_iter().filter_map(Result::err).collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
        *faults.remove(0)
    }

    fn strings(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn lines_are_physical_whatever_ends_them() {
        let expected = vec![(2, strings(&["1", "x\ny"])), (5, strings(&["2", "z"])), (6, strings(&["3", "w"]))];
        let unix = "a,b\n1,\"x\ny\"\n\n2,z\n3,w";
        assert_eq!(lines(unix), expected);
        let windows: Vec<_> = lines(&unix.replace('\n', "\r\n"));
        assert_eq!(windows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5, 6]);
        assert_eq!(lines("a,b\r1,2\r3,4\r").iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn marks_that_nobody_sees_are_no_part_of_a_header() {
        let sheet = sheet("\u{feff}\u{feff}a\u{200b}, \u{3000}b\t\n1,2\n");
        assert_eq!(sheet.header, ["a", "b"]);
        let places = sheet.locate(|search| ["a", "b\u{200b}"].map(|header| search.place("goods", header)));
        assert_eq!(places.unwrap(), [Some(0), Some(1)]);
    }

    #[test]
    fn a_file_with_another_delimiter_names_the_one_to_set() {
        for (text, delimiter) in [("a;b\n1;2\n", ";"), ("a\tb\n1\t2\n", "\\t"), ("a|b\n", "|")] {
            let error = sheet(text).locate(|search| search.place("goods", "b")).unwrap_err().to_string();
            assert!(error.contains(&format!("`delimiter = \"{delimiter}\"`")), "{error}");
        }
    }

    #[test]
    fn a_row_without_an_end_is_told_with_the_line_behind_which_it_begins() {
        let text = format!("a,b\n1,2\n{},4\n", "x".repeat(17 << 20));
        let error = first_error(&text);
        assert!(error.starts_with("`f.csv` has, after line 2, a row longer than 16 MiB"), "{error}");
    }

    #[test]
    fn blank_rows_and_blank_cells_beyond_the_header_are_passed_over() {
        assert_eq!(lines("a,b\n,\n1,2,,\n  ,\n"), vec![(3, strings(&["1", "2"]))]);
    }

    #[test]
    fn a_row_of_the_wrong_width_is_bad_and_kept_raw() {
        let bad = only_fault("a,b\n1\n");
        assert_eq!((bad.line, bad.raw.as_str()), (2, "1"));
        assert!(bad.why.starts_with("1 columns where the header has 2"), "{bad}");
        assert!(only_fault("a,b\r\n1,2,3\r\n").why.starts_with("3 columns"));
    }

    #[test]
    fn a_quote_left_open_fails_the_file_from_where_it_is_opened() {
        let error = first_error("a,b\n\"x\ny\",\"z\n2,y\n3,z\n");
        assert!(
            error.starts_with("`f.csv` line 3, column `b`: the quote") && error.contains("never closed"),
            "{error}"
        );
        assert!(first_error("a,b\n1,2\n\"\n\n").contains("line 3, column `a`"));
        assert_eq!(lines("a,b\n1,\"x \"\"q\"\" y\"\n2,5\" pipe\n").len(), 2);
        assert_eq!(lines("a,b\n1,\"\"\"\"").len(), 1);
    }

    #[test]
    fn two_quotes_that_are_not_doubled_do_not_hide_the_rows_between_them() {
        let error = first_error("no,code,remark\nM1,C1,\"oSecret\nM2,C2,\"y\nM3,C3,z\n");
        let told = "`f.csv` line 2, column `remark`: the quote opened here is closed in line 3 before more text";
        assert!(error.starts_with(told) && !error.contains("oSecret"), "{error}");
        let error = first_error("no,code\r\nM1,\"C1\r\n\"M2\",\"C2\"\r\n");
        assert!(error.contains("line 2, column `code`") && error.contains("closed in line 3"), "{error}");
    }

    #[test]
    fn text_behind_a_closing_quote_is_a_bad_row_and_the_rows_around_it_are_read() {
        let text = "a,b\n\"1\",x\n\"oSecret\"9,y\n3,\"z\"\n";
        let bad = only_fault(text);
        assert_eq!((bad.line, bad.column.as_str(), bad.raw.as_str()), (3, "a", "\"oSecret\"9,y"));
        assert!(bad.why.contains("written twice") && !bad.to_string().contains("oSecret"), "{bad}");
        assert_eq!(rows(text).into_iter().flatten().map(|(line, _)| line).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn a_header_with_wrong_quotes_is_no_header() {
        for text in ["a,\"b\"c\n1,2\n", "a,\"b\n1,2\n"] {
            let folder = tempfile::tempdir().unwrap();
            let error = open_in(&folder, text).unwrap_err().to_string();
            assert!(error.starts_with("`f.csv` line 1, column `b"), "{error}");
        }
    }

    #[test]
    fn missing_columns_are_named_together_with_what_is_there() {
        let wanted =
            [("paid", Some("实付金额")), ("goods", Some("原价")), ("remark", None), ("out_trade_no", Some("单号"))];
        let locate = |text| sheet(text).locate(|search| wanted.map(|(ours, header)| search.place(ours, header)));
        let error = locate("单号,实付金額,x\n").unwrap_err().to_string();
        let expected = "`f.csv` lacks the column `实付金额` for `paid` (did you mean `实付金額`?), \
                        the column `原价` for `goods`; its headers are `单号`, `实付金額`, `x`";
        assert_eq!(error, expected);
        let places = locate("x, 单号 ,原价,实付金额\n").unwrap();
        assert_eq!(places, [Some(3), Some(2), None, Some(1)]);
    }

    #[test]
    fn a_needed_header_that_stands_twice_is_refused() {
        let locate = |text| sheet(text).locate(|search| search.place("paid", "p"));
        assert!(locate("p,q,p\n").unwrap_err().to_string().contains("header `p` twice"));
        assert!(locate("p,q,q\n").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_as_csv_is_read_back_with_its_lines(
            rows in prop::collection::vec(prop::collection::vec("[a-z,\"\n 券]{0,6}", 3), 1..12)
        ) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let mut line = 2;
            let mut expected = Vec::new();
            for row in &rows {
                if row.iter().any(|cell| !cell.trim().is_empty()) {
                    expected.push((line, row.clone()));
                }
                line += 1 + row.iter().map(|cell| cell.matches('\n').count() as u64).sum::<u64>();
            }
            prop_assert_eq!(lines(&text), expected);
        }

        #[test]
        fn one_quote_too_many_never_takes_a_row_away_without_a_word(
            rows in prop::collection::vec(prop::collection::vec("[a\"]{0,4}", 2), 1..8),
            at in any::<prop::sample::Index>(),
        ) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let mut text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            text.insert(at.index(text.len()), '"');
            let (mut sheet, mut row) = (sheet(&format!("a,b\n{text}")), Row::default());
            let mut is_told = false;
            while let Ok(Some(read)) = sheet.next(&mut row).inspect_err(|_| is_told = true) {
                is_told |= read.is_err();
            }
            prop_assert!(is_told, "{:?}", text);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[a\",\r\n]{1,40}") {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f.csv");
            std::fs::write(&path, &text).unwrap();
            if let Ok(mut sheet) = Sheet::delimited(&Found { path, name: "f".into() }, UTF_8, b',') {
                let mut row = Row::default();
                while let Ok(Some(read)) = sheet.next(&mut row) {
                    prop_assert!(read.is_err() || row.cells.len() == sheet.header.len());
                }
            }
        }
    }
}
