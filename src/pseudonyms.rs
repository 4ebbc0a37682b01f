//! Pseudonyms of openids: a keyed HMAC, so that published rows can be joined without identifying
//! people.

use aws_lc_rs::hmac;

/// Converts raw openids to their published form.
#[derive(Clone)]
pub struct Pseudonyms(Option<hmac::Key>);

impl Pseudonyms {
    /// HMAC-SHA256 under `key`, as 64 lower-case hexadecimal digits.
    pub fn hmac(key: &[u8]) -> Pseudonyms {
        Pseudonyms(Some(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// Publishes openids unchanged.
    pub const fn raw() -> Pseudonyms {
        Pseudonyms(None)
    }

    /// The published form of `openid`.
    pub fn publish(&self, openid: &str) -> String {
        match &self.0 {
            Some(key) => {
                let mut published = [0; 64];
                let tag = hmac::sign(key, openid.as_bytes());
                hex::encode_to_slice(tag, &mut published).expect("SHA-256 has 32 bytes");
                String::from_utf8_lossy(&published).into_owned()
            }
            None => openid.to_owned(),
        }
    }

    /// What tells two ways of publishing apart without telling the key: as much as any published openid says of it.
    pub fn mark(&self) -> String {
        self.publish("openids of this lake")
    }
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Pseudonyms(hmac)" } else { "Pseudonyms(raw)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_published_form_is_hmac_sha256_in_lower_case_hex() {
        let published = Pseudonyms::hmac(b"Jefe").publish("what do ya want for nothing?");
        assert_eq!(published, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(Pseudonyms::raw().publish("o1"), "o1");
    }

    #[test]
    fn another_key_has_another_mark() {
        let marks = [Pseudonyms::hmac(b"Jefe").mark(), Pseudonyms::hmac(b"Jeff").mark(), Pseudonyms::raw().mark()];
        assert_eq!(marks[0], Pseudonyms::hmac(b"Jefe").mark());
        assert!(marks[0] != marks[1] && marks[0] != marks[2] && marks[1] != marks[2], "{marks:?}");
    }
}
