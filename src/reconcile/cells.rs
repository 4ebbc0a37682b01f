//! The cells of a row packed into bytes, one after the other, for scratch files: texts, whole numbers, yes or no, each of
//! which may be absent. Whoever unpacks must ask in the order of packing; nothing in the bytes says what a cell is.

/// Instead of a length: nothing is there.
const NULL: u8 = u8::MAX;
/// Instead of a length: it follows in four bytes.
const LONG: u8 = NULL - 1;

/// Writes the cells of a row.
pub(super) struct Packer<'a>(&'a mut Vec<u8>);

/// Reads the cells of rows in the order they were written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacker<'a>(&'a [u8]);

impl<'a> Packer<'a> {
    /// Packs behind what `bytes` has.
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Packer<'a> {
        Packer(bytes)
    }

    pub(super) fn text(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(length) if length < LONG => self.0.push(length),
            _ => {
                self.0.push(LONG);
                let length = u32::try_from(text.len()).expect("a cell is shorter than 4 GiB");
                self.0.extend_from_slice(&length.to_le_bytes());
            }
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn maybe_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.0.push(NULL),
        }
    }

    /// In as many bytes as it needs, after their number: what is written to the disk is mostly small or nothing.
    pub(super) fn integer(&mut self, number: i64) {
        let folded = (number << 1) ^ (number >> 63);
        let length = (u64::BITS - folded.leading_zeros()).div_ceil(8) as usize;
        let mut bytes = [0; 9];
        bytes[0] = length as u8;
        bytes[1..].copy_from_slice(&folded.to_le_bytes());
        self.0.extend_from_slice(&bytes);
        self.0.truncate(self.0.len() - (8 - length));
    }

    pub(super) fn maybe_integer(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.integer(number),
            None => self.0.push(NULL),
        }
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    /// Cells that were packed elsewhere.
    pub(super) fn packed(&mut self, cells: &[u8]) {
        self.0.extend_from_slice(cells);
    }

    /// How many cells or rows follow.
    pub(super) fn count(&mut self, count: usize) {
        self.integer(i64::try_from(count).expect("fewer than 2⁶³"));
    }
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Unpacker<'a> {
        Unpacker(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// The length of a text; `None` for one that is not there.
    fn length(&mut self) -> Option<usize> {
        match self.byte() {
            NULL => None,
            LONG => Some(u32::from_le_bytes(self.take(4).try_into().expect("four bytes")) as usize),
            length => Some(usize::from(length)),
        }
    }

    /// A text that is only compared.
    pub(super) fn text_bytes(&mut self) -> &'a [u8] {
        let length = self.length().expect("a text that must be there was packed");
        self.take(length)
    }

    pub(super) fn text(&mut self) -> &'a str {
        self.maybe_text().expect("a text that must be there was packed")
    }

    pub(super) fn maybe_text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        Some(std::str::from_utf8(self.take(length)).expect("what was packed as text is text"))
    }

    pub(super) fn integer(&mut self) -> i64 {
        self.maybe_integer().expect("a number that must be there was packed")
    }

    pub(super) fn maybe_integer(&mut self) -> Option<i64> {
        let length = match self.byte() {
            NULL => return None,
            length => usize::from(length),
        };
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(self.take(length));
        let folded = u64::from_le_bytes(bytes);
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() != 0
    }

    pub(super) fn count(&mut self) -> usize {
        usize::try_from(self.integer()).expect("a packed count")
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cells_come_back_as_they_were_packed(
            cells in proptest::collection::vec(
                (proptest::option::of("[a券]{0,300}"), proptest::option::of(any::<i64>()), any::<bool>(), 0_u32..64),
                0..20,
            )
        ) {
            let cells: Vec<_> =
                cells.into_iter().map(|(text, number, flag, bits)| (text, number.map(|it| it >> bits), flag)).collect();
            let mut bytes = Vec::new();
            let mut packer = Packer::new(&mut bytes);
            for (text, number, flag) in &cells {
                packer.maybe_text(text.as_deref());
                packer.maybe_integer(*number);
                packer.flag(*flag);
                packer.text(text.as_deref().unwrap_or_default());
                packer.integer(number.unwrap_or_default());
            }
            let mut unpacker = Unpacker::new(&bytes);
            for (text, number, flag) in &cells {
                prop_assert_eq!(unpacker.maybe_text(), text.as_deref());
                prop_assert_eq!(unpacker.maybe_integer(), *number);
                prop_assert_eq!(unpacker.flag(), *flag);
                prop_assert_eq!(unpacker.text(), text.as_deref().unwrap_or_default());
                prop_assert_eq!(unpacker.integer(), number.unwrap_or_default());
            }
            prop_assert!(unpacker.is_empty());
        }
    }
}
