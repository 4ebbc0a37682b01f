//! The flat XML of v2: one `<xml>` element with text children (reference v2 §A.1). Refuses DTDs,
//! custom entities and nesting; ignores attributes; keeps every field and all white space.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesRef, Event};

use crate::byte_order_mark;
use crate::wechat::request::ParseError;
use crate::wechat::wording::shown;

/// Fields by name, in the order that signatures need.
pub type Fields = BTreeMap<String, String>;

/// Parses a flat document. A byte order mark is tolerated; CDATA is text.
///
/// # Errors
/// Anything but `<xml>` with text children, each name once.
pub fn read(bytes: &[u8]) -> Result<Fields, ParseError> {
    let text = std::str::from_utf8(byte_order_mark::skipped(bytes))
        .map_err(|error| refused(&format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let mut reader = Reader::from_str(text.trim_start());
    let mut document = Document::default();
    loop {
        match reader.read_event().map_err(|error| refused(&error.to_string()))? {
            Event::Eof => return document.finish(),
            event => document.take(event)?,
        }
    }
}

/// Writes a flat document with escaped values.
pub fn write(fields: &Fields) -> String {
    let children = fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escape(value.as_str())));
    format!("<xml>{}</xml>", children.collect::<String>())
}

/// A document that is being parsed.
#[derive(Default)]
struct Document {
    depth: usize,
    closed: bool,
    open: Option<(String, String)>,
    fields: Fields,
}

impl Document {
    fn take(&mut self, event: Event<'_>) -> Result<(), ParseError> {
        match event {
            Event::Start(tag) => self.start(tag.name().as_ref().to_owned()),
            Event::End(_) => self.end(),
            Event::Empty(tag) => {
                self.start(tag.name().as_ref().to_owned())?;
                self.end()
            }
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.text(&resolve(&reference)?),
            Event::DocType(_) => Err(refused("a DTD is not allowed")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, name: String) -> Result<(), ParseError> {
        match self.depth {
            0 if self.closed => return Err(refused("there is more than one document")),
            0 if name != "xml" => return Err(refused(&format!("the document is `<{name}>` instead of `<xml>`"))),
            0 => {}
            1 => self.open = Some((name, String::new())),
            _ => return Err(refused(&format!("`<{name}>` is nested"))),
        }
        self.depth += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), ParseError> {
        self.depth -= 1;
        self.closed = self.depth == 0;
        let Some((name, value)) = self.open.take() else { return Ok(()) };
        match self.fields.insert(name.clone(), value) {
            Some(_) => Err(refused(&format!("`<{name}>` appears twice"))),
            None => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), ParseError> {
        match &mut self.open {
            Some((_, value)) => value.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(refused("there is text outside the fields")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Fields, ParseError> {
        if self.closed { Ok(self.fields) } else { Err(refused("the document does not end")) }
    }
}

/// The five predefined entities and character references; any other would need a DTD.
fn resolve(reference: &BytesRef<'_>) -> Result<String, ParseError> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| refused(&error.to_string()))? {
        return Ok(character.to_string());
    }
    let name = reference.xml10_content();
    match name.as_ref() {
        "amp" => Ok("&".into()),
        "lt" => Ok("<".into()),
        "gt" => Ok(">".into()),
        "quot" => Ok("\"".into()),
        "apos" => Ok("'".into()),
        other => Err(refused(&format!("entity `&{other};` is not allowed"))),
    }
}

fn refused(detail: &str) -> ParseError {
    ParseError::Xml { detail: shown(detail) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cdata_entities_blanks_and_a_byte_order_mark_are_read() {
        let text = "\u{FEFF}<?xml version=\"1.0\"?>\n<xml>\n <a><![CDATA[满<减>&]]></a>\n <b>A&amp;B &#x4E2D;</b><c/><d></d>\n</xml>\n";
        let fields = read(text.as_bytes()).unwrap();
        let expected = [("a", "满<减>&"), ("b", "A&B 中"), ("c", ""), ("d", "")];
        assert_eq!(fields, expected.map(|(name, value)| (name.into(), value.into())).into());
    }

    #[test]
    fn what_could_be_an_attack_or_an_accident_is_refused() {
        let cases = [
            ("<!DOCTYPE xml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><xml><a>&x;</a></xml>", "a DTD is not allowed"),
            ("<xml><a>&x;</a></xml>", "entity `&x;` is not allowed"),
            ("<xml><a><b>1</b></a></xml>", "`<b>` is nested"),
            ("<xml><a>1</a><a>2</a></xml>", "`<a>` appears twice"),
            ("<html></html>", "the document is `<html>` instead of `<xml>`"),
            ("<xml>loose</xml>", "there is text outside the fields"),
            ("<xml></xml><xml></xml>", "there is more than one document"),
            ("<xml><a>1", "the document does not end"),
            ("", "the document does not end"),
        ];
        for (text, why) in cases {
            assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), format!("unexpected XML: {why}"), "{text}");
        }
        assert!(read(b"\xff\xfe").is_err() && read(b"{\"code\":1}").is_err() && read(b"<xml></a></xml>").is_err());
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(values in prop::collection::btree_map("[a-z_]{1,12}", "[^\\x00-\\x1f\\x7f-\\x9f\u{2028}\u{fffe}\u{ffff}]{0,20}", 0..8)) {
            prop_assert_eq!(read(write(&values).as_bytes()).unwrap(), values);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
