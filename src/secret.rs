//! A secret that cannot be printed by accident: no `Display`, a `Debug` that hides it, wiped on drop. Where it
//! was configured may be printed.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Where a secret was configured; empty where that is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The key of the job file, `pay_v3.api_v3_key_file`.
    pub key: String,
    /// The file or variable it names.
    pub place: String,
}

impl fmt::Display for Origin {
    /// ` (`key`: `place`)`, to be appended to a sentence; nothing where the origin is unknown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { Ok(()) } else { write!(f, " (`{}`: `{}`)", self.key, self.place) }
    }
}

impl Origin {
    /// Rewrites a sentence that names the `_env` or `_file` form of a key so that it names the form used in the
    /// job file.
    pub fn spell(&self, sentence: &str) -> String {
        let stem = self.key.strip_suffix("_env").or(self.key.strip_suffix("_file")).filter(|stem| !stem.is_empty());
        let Some(stem) = stem else { return sentence.to_owned() };
        ["env", "file"].iter().fold(sentence.to_owned(), |sentence, form| {
            sentence.replace(&format!("`{stem}_{form}`"), &format!("`{}`", self.key))
        })
    }
}

/// A key, token or password.
///
/// ```compile_fail
/// let secret = coupon_recon::secret::Secret::new("k");
/// println!("{secret}");
/// ```
#[derive(Clone)]
pub struct Secret {
    text: Zeroizing<String>,
    origin: Arc<Origin>,
}

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret { text: Zeroizing::new(text.into()), origin: Arc::default() }
    }

    /// The same secret with its origin.
    #[must_use]
    pub fn given_at(self, origin: Origin) -> Secret {
        Secret { origin: Arc::new(origin), ..self }
    }

    /// Where it was configured.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The plain text, for the one place that signs, decrypts or sends it.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn a_key_is_named_in_the_form_the_job_file_has() {
        let origin = Origin { key: "mp.secret_file".into(), place: "/srv/secret".into() };
        assert_eq!(origin.spell("`mp.secret_env` and `mp.appid`"), "`mp.secret_file` and `mp.appid`");
        assert_eq!(origin.spell("`mp.secret_file`, no `xmp.secret_env`"), "`mp.secret_file`, no `xmp.secret_env`");
        assert_eq!(Origin::default().spell("`mp.secret_env`"), "`mp.secret_env`");
        assert_eq!(format!("no key{origin}"), "no key (`mp.secret_file`: `/srv/secret`)");
    }
}
