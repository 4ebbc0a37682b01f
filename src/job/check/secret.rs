//! Loads secrets from environment variables or files, never from the job file itself. Never puts one into a
//! message.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Checker;
use super::given::Given;
use crate::job::problem::Place;
use crate::job::value::Written;
use crate::secret::{Origin, Secret};

/// A kind of PEM block that a setting may require.
#[derive(Debug, Clone, Copy)]
pub(super) struct PemBlock {
    /// How its BEGIN line ends.
    label: &'static str,
    /// Which file has it.
    hint: &'static str,
}

impl PemBlock {
    pub(super) const PRIVATE_KEY: PemBlock =
        PemBlock { label: "PRIVATE KEY-----", hint: "take `apiclient_key.pem`, not `apiclient_cert.pem`" };
    pub(super) const PUBLIC_KEY: PemBlock =
        PemBlock { label: "PUBLIC KEY-----", hint: "download 微信支付公钥 from the merchant platform" };
    pub(super) const CERTIFICATE: PemBlock =
        PemBlock { label: "CERTIFICATE-----", hint: "take `apiclient_cert.pem`, not `apiclient_key.pem`" };
}

impl Checker<'_> {
    /// The secret `name` of a section, given as `<name>_env` or `<name>_file`.
    pub(super) fn required_secret(&mut self, name: &str, section: &Place, given: Given<'_>) -> Option<Secret> {
        match (given.env, given.file) {
            (Some(_), Some(file)) => {
                let (place, key) = (&file.place, section.child(name, None).key);
                self.problems.add(place, format!("`{key}_env` and `{key}_file` are both given: keep one"));
                None
            }
            (Some(env), None) => self.secret_of_environment(env),
            (None, Some(file)) => self.secret_of_file(file),
            (None, None) => self.missing_secret(name, section),
        }
    }

    /// The same, of exactly `length` bytes.
    pub(super) fn sized_secret(
        &mut self,
        name: &str,
        section: &Place,
        given: Given<'_>,
        length: usize,
    ) -> Option<Secret> {
        let secret = self.required_secret(name, section, given)?;
        let found = secret.expose().len();
        if found != length {
            let text = format!("the secret has {found} bytes, it must have {length}{}", secret.origin());
            let hint = without_mark(secret.expose(), "copy it again from the merchant platform: 账户中心 → API安全");
            self.problems.add_with_hint(given.place(section), text, hint);
        }
        Some(secret)
    }

    /// A PEM block of a private key, given as `<name>_env` or `<name>_file`.
    pub(super) fn private_key(&mut self, name: &str, section: &Place, given: Given<'_>) -> Option<Secret> {
        let secret = self.required_secret(name, section, given)?;
        self.pem(given.place(section), secret.origin(), secret.expose(), PemBlock::PRIVATE_KEY);
        Some(secret)
    }

    /// Reports a text that is not the expected PEM block.
    pub(super) fn pem(&mut self, place: &Place, origin: &Origin, text: &str, expected: PemBlock) {
        let PemBlock { label, hint } = expected;
        let found = text.lines().find(|line| line.trim_start().starts_with("-----BEGIN "));
        let problem = match found {
            Some(line) if line.trim_end().ends_with(label) && !has_passphrase(text) => return,
            Some(line) if line.trim_end().ends_with(label) => {
                let problem = format!("`{}`: `{}` is protected by a passphrase", origin.key, origin.place);
                let hint =
                    "`openssl pkey -in apiclient_key.pem -out plain.pem` takes it away; give the new file mode 600";
                return self.problems.add_with_hint(place, problem, hint);
            }
            // A BEGIN line names the kind of block and is not secret.
            Some(line) => {
                format!("`{}`: `{}` holds `{}`, not a `{label}` block", origin.key, origin.place, line.trim())
            }
            None => format!("`{}`: `{}` holds no PEM block", origin.key, origin.place),
        };
        self.problems.add_with_hint(place, problem, without_mark(text, hint));
    }

    fn secret_of_environment(&mut self, env: &Written<String>) -> Option<Secret> {
        let name = env.value.trim();
        if name.is_empty() {
            let hint = "name the variable, as in `WXPAY_API_V3_KEY`";
            self.problems.add_with_hint(&env.place, format!("`{}` is empty", env.place.key), hint);
            return None;
        }
        let secret = (self.env)(name).filter(|secret| !secret.trim().is_empty());
        if secret.is_none() && !is_name(name) {
            let text =
                format!("`{}` is not the name of an environment variable; it may be the secret itself", env.place.key);
            let hint = "name the variable, as in `WXPAY_API_V3_KEY`; if it was the secret, change the secret";
            self.problems.add_with_hint(&env.place, text, hint);
        } else if secret.is_none() {
            let text = format!("`{}`: the environment variable `{name}` is not set", env.place.key);
            self.problems.add_with_hint(&env.place, text, format!("export {name}=… before the run"));
        }
        let origin = Origin { key: env.place.key.clone(), place: name.to_owned() };
        secret.map(|secret| Secret::new(without_newline(&secret)).given_at(origin))
    }

    fn secret_of_file(&mut self, file: &Written<String>) -> Option<Secret> {
        if self.refuse_unusable(&file.place, file.value.trim()) {
            return None;
        }
        let path = self.absolute(file.value.trim());
        let text = self.file_text(&file.place, &path)?;
        if text.trim().is_empty() {
            self.problems.add(&file.place, format!("`{}`: `{}` is empty", file.place.key, path.display()));
            return None;
        }
        self.warn_if_open(&path);
        Some(Secret::new(without_newline(&text)).given_at(origin_of(file, &path)))
    }

    /// `name` itself is told of when the secret stands in the job file.
    fn missing_secret(&mut self, name: &str, section: &Place) -> Option<Secret> {
        if !self.problems.is_told(section, &[name, &format!("{name}_env"), &format!("{name}_file")]) {
            let place = section.child(name, None);
            let hint = format!("write `{name}_env = \"NAME\"` or `{name}_file = \"path\"`");
            self.problems.add_with_hint(&place, format!("the secret `{}` is missing", place.key), hint);
        }
        None
    }

    fn warn_if_open(&mut self, path: &Path) {
        let Ok(metadata) = fs::metadata(path) else { return };
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            self.warnings.push(format!("`{path}` can be read by others (mode {mode:o}): chmod 600 {path}"));
        }
    }
}

/// The origin of a secret in a file.
pub(super) fn origin_of(file: &Written<String>, path: &Path) -> Origin {
    Origin { key: file.place.key.clone(), place: path.display().to_string() }
}

/// The name of a variable for messages. A word without `_` that is as long as a key is probably a key and is
/// not repeated.
fn is_name(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word && !text.starts_with(|c: char| c.is_ascii_digit()) && (text.contains('_') || text.len() < 24)
}

/// Both forms of PEM say in plain text that they are encrypted.
fn has_passphrase(pem: &str) -> bool {
    pem.contains("-----BEGIN ENCRYPTED ") || pem.contains("Proc-Type: 4,ENCRYPTED")
}

/// Some editors put an invisible mark before the first letter.
fn without_mark<'h>(text: &str, hint: &'h str) -> &'h str {
    if text.starts_with('\u{feff}') { "it begins with a byte order mark: save it as UTF-8 without one" } else { hint }
}

/// Editors and `echo` end a file with a newline, which is not part of the secret.
fn without_newline(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_newline_is_no_part_of_a_secret() {
        for text in ["key", "key\n", "key\r\n"] {
            assert_eq!(without_newline(text), "key");
        }
        assert_eq!(without_newline("key \n"), "key ");
    }
}
