//! The flat XML documents of v2: one `<xml>` element with text children; no DTD, no nesting, no
//! custom entities (reference v2 §A.1).

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// Fields of a document by name.
pub(super) type Fields = BTreeMap<String, String>;

/// Reads a document; nothing when it is not a flat `<xml>` with distinct children.
pub(super) fn parse(text: &str) -> Option<Fields> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut state = State::default();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => state.open(tag.name().as_ref().to_owned())?,
            Event::Empty(tag) => {
                state.open(tag.name().as_ref().to_owned())?;
                state.close();
            }
            Event::End(_) => state.close(),
            Event::Text(text) => state.add(&text.xml10_content()),
            Event::CData(text) => state.add(&text.xml10_content()),
            Event::GeneralRef(reference) => state.add(&resolve(&reference)?),
            Event::DocType(_) => return None,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => (),
            Event::Eof => return state.is_done.then_some(state.fields),
        }
    }
}

#[derive(Default)]
struct State {
    is_inside: bool,
    is_done: bool,
    open: Option<(String, String)>,
    fields: Fields,
}

impl State {
    fn open(&mut self, name: String) -> Option<()> {
        if self.open.is_some() || self.is_done || self.fields.contains_key(&name) {
            return None;
        }
        if self.is_inside {
            self.open = Some((name, String::new()));
        } else if name == "xml" {
            self.is_inside = true;
        } else {
            return None;
        }
        Some(())
    }

    fn add(&mut self, text: &str) {
        if let Some((_, value)) = &mut self.open {
            value.push_str(text);
        }
    }

    fn close(&mut self) {
        match self.open.take() {
            Some((name, value)) => {
                self.fields.insert(name, value);
            }
            None => self.is_done = true,
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character.to_string());
    }
    let name: &str = &reference.xml10_content();
    let text = match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Writes a document: numbers plain, everything else in CDATA, as WeChat does.
pub(super) fn write<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut document = String::from("<xml>\n");
    for (name, value) in fields {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let content = match is_number || value.is_empty() {
            true => value.to_owned(),
            false => format!("<![CDATA[{}]]>", value.replace("]]>", "]]]]><![CDATA[>")),
        };
        document.push_str(&format!("  <{name}>{content}</{name}>\n"));
    }
    document.push_str("</xml>");
    document
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_request_of_the_reference_is_read() {
        let fields = parse(
            "<xml>\n  <appid>wx5edab3bdfba3dc1c</appid>\n  <coupon_stock_id>1757</coupon_stock_id>\n  <device_info/></xml>",
        )
        .unwrap();
        assert_eq!(fields["appid"], "wx5edab3bdfba3dc1c");
        assert_eq!(fields["coupon_stock_id"], "1757");
        assert_eq!(fields["device_info"], "");
    }

    #[test]
    fn entities_and_cdata_are_the_same_text() {
        let fields = parse("<xml><a>A&amp;B &lt;&#49;0%&gt;</a><b><![CDATA[A&B <10%>]]></b></xml>").unwrap();
        assert_eq!(fields["a"], "A&B <10%>");
        assert_eq!(fields["a"], fields["b"]);
    }

    #[test]
    fn documents_that_are_not_flat_are_refused() {
        let refused = [
            "",
            "{}",
            "<xml>",
            "<html><a>1</a></html>",
            "<xml><a><b>1</b></a></xml>",
            "<xml><a>1</a><a>2</a></xml>",
            "<xml><a>&evil;</a></xml>",
            "<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>1</a></xml>",
            "<xml></xml><xml></xml>",
        ];
        for text in refused {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(value in "[ -~一-龥]{0,40}") {
            let document = write([("a", value.as_str())].into_iter());
            prop_assert_eq!(&parse(&document).unwrap()["a"], &value);
        }
    }
}
