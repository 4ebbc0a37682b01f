//! An answer before it is sent: status, headers, body. Signs nothing.

use serde::Serialize;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// A v3 answer that WeChat signs: every 2xx but the bill file (reference v3 §1.3).
    pub(super) is_signable: bool,
}

impl Answer {
    /// Status only.
    pub(super) fn empty(status: u16) -> Answer {
        Answer {
            status,
            content_type: None,
            headers: Vec::new(),
            body: Vec::new(),
            is_signable: (200..300).contains(&status),
        }
    }

    /// A JSON body; the serializer of `Value`s and plain structs cannot fail.
    pub(super) fn json(status: u16, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).expect("maps with text keys serialize");
        Answer { content_type: Some("application/json"), body, ..Answer::empty(status) }
    }

    /// Any other body, never signed.
    pub(super) fn bytes(status: u16, content_type: &'static str, body: Vec<u8>) -> Answer {
        Answer { content_type: Some(content_type), body, is_signable: false, ..Answer::empty(status) }
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Answer {
        self.headers.push((name, value));
        self
    }

    /// A 2xx.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_successes_with_a_document_are_signable() {
        assert!(Answer::json(200, &json!({})).is_signable);
        assert!(Answer::empty(204).is_signable);
        assert!(!Answer::json(404, &json!({})).is_signable);
        assert!(!Answer::bytes(200, "text/plain", vec![1]).is_signable);
    }

    #[test]
    fn json_keeps_the_order_of_its_keys() {
        assert_eq!(Answer::json(200, &json!({"b": 1, "a": 2})).body, br#"{"b":1,"a":2}"#);
    }
}
