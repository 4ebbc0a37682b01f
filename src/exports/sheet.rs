//! A table with a header, from delimited text or from typed cells: rows with their physical lines.
//! Knows nothing of what a column means.

use std::ops::Range;

use csv::StringRecord;
use encoding_rs::Encoding;

use super::found::{self, Found};
use super::{BadRow, ExportError, ExportFile, MissingColumn, text};

/// An export file in memory.
#[derive(Debug)]
pub(super) struct Sheet {
    /// What it is known by.
    pub(super) file: ExportFile,
    /// Header texts, trimmed.
    pub(super) header: Vec<String>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Delimited text, header included.
    Text { text: String, delimiter: u8 },
    /// Cells of a typed format, header excluded, and the line of the first of them.
    Cells { cells: Vec<StringRecord>, first_line: u64 },
}

/// One row after the header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Physical line, 1-based.
    pub(super) line: u64,
    /// Its cells, as many as the header has.
    pub(super) cells: StringRecord,
    /// Where it stands in the sheet, for `Sheet::raw`.
    pub(super) span: Range<usize>,
}

/// A column looked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'c> {
    /// Our name.
    pub(super) ours: &'static str,
    /// Header text; `None` when the job maps nothing to it.
    pub(super) header: Option<&'c str>,
    /// Whether the file must have it.
    pub(super) required: bool,
}

impl Sheet {
    /// Reads delimited text.
    pub(super) fn delimited(found: &Found, encoding: &'static Encoding, delimiter: u8) -> Result<Sheet, ExportError> {
        let (bytes, file) = found::load(found)?;
        let text = text::decode(&file.name, &bytes, encoding)?;
        drop(bytes);
        let mut sheet = Sheet { file, header: Vec::new(), body: Body::Text { text, delimiter } };
        sheet.header = sheet.text_header()?;
        Ok(sheet)
    }

    /// Takes over the cells of a typed format; `first_line` is that of the first row after the header.
    pub(super) fn of_cells(file: ExportFile, header: Vec<String>, cells: Vec<StringRecord>, first_line: u64) -> Sheet {
        Sheet { file, header, body: Body::Cells { cells, first_line } }
    }

    /// Where the wanted columns stand; a `None` is one that was not wanted or need not be there.
    pub(super) fn locate(&self, wanted: &[Wanted]) -> Result<Vec<Option<usize>>, ExportError> {
        let mut missing = Vec::new();
        let mut places = Vec::new();
        for column in wanted {
            let place = column.header.map(|header| self.place_of(header)).transpose()?.flatten();
            if let (None, true, Some(header)) = (place, column.required, column.header) {
                missing.push(self.missing(column.ours, header));
            }
            places.push(place);
        }
        if missing.is_empty() {
            return Ok(places);
        }
        let found = self.header.clone();
        Err(ExportError::MissingColumns { file: self.file.name.clone(), columns: missing, found })
    }

    /// Every row that is not blank; one of the wrong width, or with a quote left open, is bad.
    pub(super) fn rows(&self) -> Box<dyn Iterator<Item = Result<Row, Box<BadRow>>> + '_> {
        let filled = |row: &Row| row.cells.iter().any(|cell| !cell.trim().is_empty());
        match &self.body {
            Body::Text { text, delimiter } => {
                let lines = Lines::new(text, *delimiter);
                Box::new(lines.skip(1).filter(move |row| filled(row)).map(|row| self.checked(row)))
            }
            Body::Cells { cells, first_line } => {
                let row = move |(index, cells): (usize, &StringRecord)| Row {
                    line: first_line + index as u64,
                    cells: cells.clone(),
                    span: index..index + 1,
                };
                Box::new(cells.iter().enumerate().map(row).filter(move |row| filled(row)).map(Ok))
            }
        }
    }

    /// A row as it stood in the file.
    pub(super) fn raw(&self, span: &Range<usize>) -> String {
        match &self.body {
            Body::Text { text, .. } => text[span.clone()].trim_end_matches(['\r', '\n']).to_owned(),
            Body::Cells { cells, .. } => cells[span.start].iter().collect::<Vec<_>>().join("\t"),
        }
    }

    /// A bad row of this sheet.
    pub(super) fn bad_row(&self, row: &Row, fault: Fault) -> Box<BadRow> {
        let column = fault.place.and_then(|place| self.header.get(place)).cloned().unwrap_or_default();
        Box::new(BadRow {
            file: self.file.name.clone(),
            line: row.line,
            column,
            value: shortened(&fault.value),
            why: fault.why,
            raw: self.raw(&row.span),
        })
    }

    fn text_header(&self) -> Result<Vec<String>, ExportError> {
        let Body::Text { text, delimiter } = &self.body else { return Ok(self.header.clone()) };
        let first = Lines::new(text, *delimiter).next().ok_or_else(|| ExportError::Format {
            file: self.file.name.clone(),
            why: "is empty: not even a header stands in it".to_owned(),
        })?;
        Ok(first.cells.iter().map(|cell| cell.trim().to_owned()).collect())
    }

    fn place_of(&self, header: &str) -> Result<Option<usize>, ExportError> {
        let mut places = self.header.iter().enumerate().filter(|(_, found)| *found == header).map(|(place, _)| place);
        let first = places.next();
        if places.next().is_some() {
            return Err(ExportError::DuplicateHeader { file: self.file.name.clone(), header: header.to_owned() });
        }
        Ok(first)
    }

    fn missing(&self, ours: &'static str, header: &str) -> MissingColumn {
        let reach = (header.chars().count() / 2).max(1);
        let near = self.header.iter().map(|found| (strsim::damerau_levenshtein(header, found), found));
        let nearest = near.filter(|(distance, _)| *distance <= reach).min().map(|(_, found)| found.clone());
        MissingColumn { ours, header: header.to_owned(), nearest }
    }

    /// Holds a row of text against the header; blank cells beyond it are a habit of spreadsheets.
    fn checked(&self, mut row: Row) -> Result<Row, Box<BadRow>> {
        let (width, wanted) = (row.cells.len(), self.header.len());
        if self.is_left_open(&row) {
            let why = "a quote that is opened here is never closed: the file is cut off, or a `\"` is not doubled";
            return Err(self.bad_row(&row, Fault::of_row(why)));
        }
        if width < wanted || row.cells.iter().skip(wanted).any(|cell| !cell.trim().is_empty()) {
            let why = format!(
                "{width} columns where the header has {wanted}: is a value with a delimiter or a line break not quoted?"
            );
            return Err(self.bad_row(&row, Fault::of_row(why)));
        }
        row.cells.truncate(wanted);
        Ok(row)
    }

    /// Whether the last row runs to the end of the file inside a quoted value.
    fn is_left_open(&self, row: &Row) -> bool {
        let Body::Text { text, delimiter } = &self.body else { return false };
        let raw = &text[row.span.clone()];
        row.span.end == text.len() && ends_inside_quotes(raw, *delimiter)
    }
}

/// Whether a record, read by the rules of RFC 4180, ends with a quote still open.
fn ends_inside_quotes(raw: &str, delimiter: u8) -> bool {
    let (mut at_start, mut inside) = (true, false);
    for byte in raw.bytes() {
        match byte {
            // A doubled quote closes and opens again, which comes to the same.
            b'"' if inside => inside = false,
            b'"' if at_start => inside = true,
            _ => {}
        }
        // After a closing quote only another quote may open the value again.
        at_start = byte == delimiter || byte == b'"';
    }
    inside
}

/// What is wrong with a cell or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Column of the sheet; `None` for the row as a whole.
    pub(super) place: Option<usize>,
    /// What stood there; empty when it must not be shown.
    pub(super) value: String,
    /// What is wrong and what to do.
    pub(super) why: String,
}

impl Fault {
    /// A fault of the row as a whole.
    pub(super) fn of_row(why: impl Into<String>) -> Fault {
        Fault { place: None, value: String::new(), why: why.into() }
    }
}

fn shortened(value: &str) -> String {
    const MOST: usize = 60;
    match value.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &value[..cut]),
        None => value.to_owned(),
    }
}

/// Records of delimited text with the physical lines they begin on: the reader of the csv crate counts
/// blank lines and carriage returns differently, so lines are counted here.
struct Lines<'t> {
    text: &'t str,
    reader: csv::Reader<&'t [u8]>,
    line: u64,
    counted: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str, delimiter: u8) -> Lines<'t> {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        Lines { text, reader, line: 1, counted: 0 }
    }

    /// The line of a byte after the last one asked for.
    fn line_of(&mut self, byte: usize) -> u64 {
        let between = &self.text.as_bytes()[self.counted..byte];
        let next = |index: usize| self.text.as_bytes().get(self.counted + index + 1);
        let ends = |(index, byte): (usize, &u8)| *byte == b'\n' || (*byte == b'\r' && next(index) != Some(&b'\n'));
        self.line += between.iter().enumerate().filter(|place| ends(*place)).count() as u64;
        self.counted = byte;
        self.line
    }

    fn offset(&self) -> usize {
        usize::try_from(self.reader.position().byte()).unwrap_or(self.text.len()).min(self.text.len())
    }
}

impl Iterator for Lines<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let before = self.offset();
        let mut cells = StringRecord::new();
        let more = self.reader.read_record(&mut cells).expect("text in memory of any width reads as CSV");
        let blank = self.text[before..].len() - self.text[before..].trim_start_matches(['\r', '\n']).len();
        let start = before + blank;
        let end = self.offset().max(start);
        more.then(|| Row { line: self.line_of(start), cells, span: start..end })
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::UTF_8;
    use proptest::prelude::*;

    use super::*;

    fn sheet(text: &str) -> Sheet {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.csv");
        std::fs::write(&path, text).unwrap();
        Sheet::delimited(&Found { path, name: "f.csv".into() }, UTF_8, b',').unwrap()
    }

    fn lines(text: &str) -> Vec<(u64, Vec<String>)> {
        let cells = |row: Row| (row.line, row.cells.iter().map(str::to_owned).collect());
        sheet(text).rows().map(|row| cells(row.unwrap())).collect()
    }

    fn only_fault(text: &str) -> BadRow {
        let mut faults: Vec<_> = sheet(text).rows().filter_map(Result::err).collect();
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
    fn a_quote_left_open_is_not_swallowed() {
        let bad = only_fault("a,b\n1,\"x\n2,y\n3,z\n");
        assert_eq!(bad.line, 2);
        assert!(bad.why.contains("never closed"), "{bad}");
        assert_eq!(lines("a,b\n1,\"x \"\"q\"\" y\"\n2,5\" pipe\n").len(), 2);
        assert_eq!(lines("a,b\n1,\"\"\"\"").len(), 1);
    }

    #[test]
    fn missing_columns_are_named_together_with_what_is_there() {
        let wanted = [
            Wanted { ours: "paid", header: Some("实付金额"), required: true },
            Wanted { ours: "goods", header: Some("原价"), required: true },
            Wanted { ours: "remark", header: None, required: false },
            Wanted { ours: "out_trade_no", header: Some("单号"), required: true },
        ];
        let error = sheet("单号,实付金額,x\n").locate(&wanted).unwrap_err().to_string();
        let expected = "`f.csv` lacks the column `实付金额` for `paid` (did you mean `实付金額`?), \
                        the column `原价` for `goods`; its headers are `单号`, `实付金額`, `x`";
        assert_eq!(error, expected);
        let places = sheet("x, 单号 ,原价,实付金额\n").locate(&wanted).unwrap();
        assert_eq!(places, [Some(3), Some(2), None, Some(1)]);
    }

    #[test]
    fn a_needed_header_that_stands_twice_is_refused() {
        let wanted = [Wanted { ours: "paid", header: Some("p"), required: true }];
        assert!(sheet("p,q,p\n").locate(&wanted).unwrap_err().to_string().contains("header `p` twice"));
        assert!(sheet("p,q,q\n").locate(&wanted).is_ok());
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
        fn no_text_makes_the_reader_panic(text in "[a\",\r\n]{1,40}") {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f.csv");
            std::fs::write(&path, &text).unwrap();
            if let Ok(sheet) = Sheet::delimited(&Found { path, name: "f".into() }, UTF_8, b',') {
                for row in sheet.rows().flatten() {
                    prop_assert_eq!(row.cells.len(), sheet.header.len());
                }
            }
        }
    }
}
