//! Reads spooled COUPON.SEND callbacks (reference v3 §3): verified, decrypted, of one business date, distinct. Their
//! age is not checked, as the receiver did that; keys are a parameter. Openids stay raw.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ExportError;
use super::found::{self, Found};
use super::hashing::ExportFile;
use crate::byte_order_mark;
use crate::clock::business_date_of;
use crate::record::CouponEvent;
use crate::wechat::pay_v3::{Keyring, Sealed, SignatureHeaders};
use crate::wechat::time::parse_time;

/// Verifies and decrypts callbacks. Neither function may panic on foreign bytes; neither error may contain a secret.
pub trait CallbackKeys {
    /// Whether the signature is WeChat's, by the key that the headers name (reference v3 §1.3). A probe
    /// `WECHATPAY/SIGNTEST/…` is an error like any other.
    fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), String>;

    /// The plaintext of an AEAD_AES_256_GCM resource (reference v3 §1.6).
    fn decrypt(&self, sealed: Sealed<'_>) -> Result<Vec<u8>, String>;
}

impl CallbackKeys for Keyring {
    fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), String> {
        Keyring::verify(self, headers, body).map_err(|error| error.to_string())
    }

    fn decrypt(&self, sealed: Sealed<'_>) -> Result<Vec<u8>, String> {
        self.decrypt_resource(sealed).map_err(|error| error.to_string())
    }
}

/// The callbacks of a spool folder for a business date.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notifications {
    /// The events of the date by send_time, one per (stock_id, coupon_code), in key order.
    pub events: Vec<CouponEvent>,
    /// Rejected callbacks of any date, by file name: their date is unknown.
    pub dead_letters: Vec<DeadLetter>,
    /// Events of the date that repeated another one: WeChat sends up to eleven times.
    pub duplicates: usize,
    /// Genuine callbacks of other types.
    pub foreign: usize,
    /// The files that gave events of the date, including duplicates, for `inputs_sha256`.
    pub files: Vec<ExportFile>,
}

/// A rejected callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Name of the file in the spool.
    pub file: String,
    /// Why.
    pub why: String,
    /// Signed by WeChat, of the date as far as it says, but not decrypted by the APIv3 key.
    pub is_sealed: bool,
}

/// Why a callback is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// One sentence.
    pub why: String,
    /// For one with a valid signature whose content the APIv3 key does not decrypt: its creation date.
    sealed: Option<Made>,
}

/// The creation date of a callback, if it states one.
type Made = Option<NaiveDate>;

impl From<String> for Unopened {
    fn from(why: String) -> Unopened {
        Unopened { why, sealed: None }
    }
}

/// Reads the events of `date` from every `*.json` in the folder `spool`.
///
/// A callback that cannot be verified or decrypted is a dead letter, not an error; a missing folder is
/// `ExportError::Missing`. A file that is gone when it is to be read may have another name now, so the folder is listed
/// again; what is in it no more was not spooled.
pub fn read(spool: &Path, date: NaiveDate, keys: &dyn CallbackKeys) -> Result<Notifications, ExportError> {
    let mut reading = Reading { date, keys, read: BTreeSet::new(), events: BTreeMap::new(), found: Default::default() };
    let mut listings = 1;
    while let Err(error) = reading.read_listed(spooled(spool)?) {
        let is_gone = matches!(error, ExportError::Missing { .. });
        if !is_gone || listings == MOST_LISTINGS {
            return Err(error);
        }
        listings += 1;
    }
    Ok(reading.finish())
}

/// Listings of a folder in which files keep vanishing.
const MOST_LISTINGS: usize = 100;

/// A spool that is being read.
struct Reading<'k> {
    date: NaiveDate,
    keys: &'k dyn CallbackKeys,
    /// The files that were read.
    read: BTreeSet<PathBuf>,
    events: BTreeMap<(String, String), CouponEvent>,
    found: Notifications,
}

impl Reading<'_> {
    /// Reads the listed files that were not read before. One that is missing is told after the others are read.
    fn read_listed(&mut self, paths: Vec<PathBuf>) -> Result<(), ExportError> {
        let mut missing = Ok(());
        for path in paths {
            if self.read.contains(&path) {
                continue;
            }
            match found::load(&Found { name: name_of(&path), path: path.clone() }) {
                Err(error @ ExportError::Missing { .. }) => missing = Err(error),
                loaded => {
                    let (bytes, file) = loaded?;
                    self.take(&bytes, file);
                    self.read.insert(path);
                }
            }
        }
        missing
    }

    fn take(&mut self, bytes: &[u8], file: ExportFile) {
        match open(bytes, self.keys) {
            Err(Unopened { why, sealed }) => {
                let is_sealed = sealed.is_some_and(|made| made.is_none_or(|made| made == self.date));
                self.found.dead_letters.push(DeadLetter { file: file.name, why, is_sealed });
            }
            Ok(None) => self.found.foreign += 1,
            Ok(Some(event)) if event.business_date != self.date => {}
            Ok(Some(event)) => {
                self.found.files.push(file);
                self.found.duplicates += usize::from(!keep_earliest(&mut self.events, event));
            }
        }
    }

    /// In the order of the names, however often the folder was listed.
    fn finish(mut self) -> Notifications {
        self.found.files.sort_by(|one, other| one.name.cmp(&other.name));
        self.found.dead_letters.sort_by(|one, other| one.file.cmp(&other.file));
        self.found.events = self.events.into_values().collect();
        self.found
    }
}

/// Whether the APIv3 key decrypts the newest callback with a valid signature among the `most` spooled last; `None`
/// if there is none.
pub fn opens_newest(spool: &Path, most: usize, keys: &dyn CallbackKeys) -> Result<Option<bool>, ExportError> {
    let age = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let mut paths = spooled(spool)?;
    paths.sort_by_cached_key(|path| std::cmp::Reverse(age(path)));
    for path in paths.into_iter().take(most) {
        let bytes = match fs::read(&path) {
            // Removed since the folder was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            bytes => bytes.map_err(|error| found::refused(&path, error))?,
        };
        match open(&bytes, keys) {
            Ok(Some(_)) => return Ok(Some(true)),
            Err(Unopened { sealed: Some(_), .. }) => return Ok(Some(false)),
            _ => {}
        }
    }
    Ok(None)
}

/// Whether the event is the first of its coupon. The choice does not depend on file names.
fn keep_earliest(events: &mut BTreeMap<(String, String), CouponEvent>, event: CouponEvent) -> bool {
    let key = (event.stock_id.clone(), event.coupon_code.clone());
    let rank = |event: &CouponEvent| (event.send_time, event.event_id.clone());
    match events.get_mut(&key) {
        None => events.insert(key, event).is_none(),
        Some(kept) => {
            if rank(&event) < rank(kept) {
                *kept = event;
            }
            false
        }
    }
}

/// The name of a spooled file; bytes that are not text are escaped, so that names stay distinct.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_str().map_or_else(|| name.as_encoded_bytes().escape_ascii().to_string(), str::to_owned)
}

fn spooled(spool: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let refused = |error| found::refused(spool, error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(spool).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// A callback as spooled by the merchant's web server.
#[derive(Deserialize)]
struct Spooled {
    headers: BTreeMap<String, Value>,
    body: String,
}

/// The body of a callback.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    #[serde(default)]
    create_time: Option<String>,
    resource: Resource,
}

impl Envelope {
    fn made(&self) -> Made {
        let made = self.create_time.as_deref().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
        made.map(|made| business_date_of(made.to_utc()))
    }
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    #[serde(default)]
    associated_data: Option<String>,
    nonce: String,
}

impl Resource {
    fn sealed(&self) -> Sealed<'_> {
        Sealed {
            algorithm: &self.algorithm,
            nonce: &self.nonce,
            associated_data: self.associated_data.as_deref().unwrap_or_default(),
            ciphertext: &self.ciphertext,
        }
    }
}

/// The event of a spooled callback; `None` for a genuine callback of another kind.
///
/// # Errors
/// Why it is a dead letter.
pub fn open(bytes: &[u8], keys: &dyn CallbackKeys) -> Result<Option<CouponEvent>, Unopened> {
    // Some servers write a byte order mark before any text; it is not part of the callback.
    let spooled: Spooled = serde_json::from_slice(byte_order_mark::skipped(bytes))
        .map_err(|error| format!("not a spooled callback `{{\"headers\":{{…}},\"body\":\"…\"}}`: {}", at(&error)))?;
    verify(&spooled, keys)?;
    let envelope: Envelope = serde_json::from_str(&spooled.body)
        .map_err(|error| format!("the body is not a callback of WeChat Pay: {}", at(&error)))?;
    if envelope.event_type != "COUPON.SEND" {
        return Ok(None);
    }
    let resource = &envelope.resource;
    if resource.algorithm != "AEAD_AES_256_GCM" {
        let why = format!("the resource is encrypted by `{}`, which is not supported", resource.algorithm);
        return Err(why.into());
    }
    let plaintext = keys.decrypt(resource.sealed());
    let plaintext = plaintext.map_err(|why| Unopened { why, sealed: Some(envelope.made()) })?;
    Ok(Some(event(&envelope.id, &plaintext)?))
}

fn verify(spooled: &Spooled, keys: &dyn CallbackKeys) -> Result<(), String> {
    let timestamp = header(spooled, "Wechatpay-Timestamp")?;
    let nonce = header(spooled, "Wechatpay-Nonce")?;
    let signature = header(spooled, "Wechatpay-Signature")?;
    let serial = header(spooled, "Wechatpay-Serial")?;
    let (timestamp, nonce, signature, serial) = (&*timestamp, &*nonce, &*signature, &*serial);
    keys.verify(&SignatureHeaders { timestamp, nonce, signature, serial }, spooled.body.as_bytes())
}

/// A header, case-insensitive; servers write the value as a string, a number or a list of one. White space around it is
/// not part of it (RFC 9110 §5.5): some keep what stood behind the colon.
fn header<'s>(spooled: &'s Spooled, name: &str) -> Result<Cow<'s, str>, String> {
    let found =
        spooled.headers.iter().find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let value = match found {
        Some(Value::Array(values)) if values.len() == 1 => values.first(),
        found => found,
    };
    match value {
        Some(Value::String(text)) => Ok(Cow::Borrowed(text.trim())),
        Some(Value::Number(number)) if !number.is_f64() => Ok(Cow::Owned(number.to_string())),
        Some(_) => Err(format!("the header `{name}` is neither text nor a whole number of 64 bits: spool it as text")),
        None => Err(format!("the header `{name}` is missing")),
    }
}

/// What the decrypted resource of a COUPON.SEND calls itself (reference v3 §3).
const SENT: &str = "EVENT_TYPE_BUSICOUPON_SEND";

/// The event of a decrypted resource. What has no column is kept in `extra`.
fn event(event_id: &str, plaintext: &[u8]) -> Result<CouponEvent, String> {
    let mut fields =
        object(plaintext).map_err(|error| format!("the decrypted resource is not a JSON object: {}", at(&error)))?;
    let send_time = send_time(&mut fields)?;
    let mut attached = attached(&mut fields);
    if fields.get("event_type").is_some_and(|told| told == SENT) {
        fields.remove("event_type");
    }
    Ok(CouponEvent {
        stock_id: required(&mut fields, "stock_id")?,
        coupon_code: required(&mut fields, "coupon_code")?,
        event_id: event_id.to_owned(),
        send_time,
        openid: optional(&mut fields, "openid")?,
        unionid: optional(&mut fields, "unionid")?,
        send_channel: optional(&mut fields, "send_channel")?,
        send_merchant: optional(&mut fields, "send_merchant")?,
        transaction_id: optional(&mut attached, "transaction_id")?,
        act_code: optional(&mut attached, "act_code")?,
        extra: extra(fields, attached),
        business_date: business_date_of(send_time),
    })
}

/// An object whose integers keep all digits: codes of up to 32 digits may come as numbers, and beyond 64 bits only
/// the text keeps them.
fn object(text: &[u8]) -> serde_json::Result<Map<String, Value>> {
    let mut fields = serde_json::from_slice(text)?;
    let exact: BTreeMap<String, &RawValue> = serde_json::from_slice(text)?;
    keep_digits(&mut fields, &exact)?;
    Ok(fields)
}

/// Recurses no deeper than the JSON parser that made `fields`.
fn keep_digits(fields: &mut Map<String, Value>, exact: &BTreeMap<String, &RawValue>) -> serde_json::Result<()> {
    for (name, value) in fields {
        let Some(written) = exact.get(name).map(|raw| raw.get()) else { continue };
        match value {
            Value::Object(fields) => keep_digits(fields, &serde_json::from_str(written)?)?,
            Value::Number(number) if number.is_f64() && written.bytes().all(|byte| byte.is_ascii_digit()) => {
                *value = Value::String(written.to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The time, in any of WeChat's formats (reference v3 §1.8); unusual text stays in `fields`.
fn send_time(fields: &mut Map<String, Value>) -> Result<DateTime<Utc>, String> {
    let text = required(fields, "send_time")?;
    let time =
        parse_time(&text).ok_or_else(|| "`send_time` is not a time such as `2019-12-17T10:35:53+08:00`".to_owned())?;
    if DateTime::parse_from_rfc3339(&text).is_err() {
        fields.insert("send_time".to_owned(), Value::String(text));
    }
    Ok(time)
}

/// The attachment, an object or its JSON text; anything else stays in `fields`, and is no reason to lose the event.
fn attached(fields: &mut Map<String, Value>) -> Map<String, Value> {
    match fields.remove("attach_info") {
        Some(Value::Object(attached)) => return attached,
        Some(Value::String(text)) => match object(text.as_bytes()) {
            Ok(attached) => return attached,
            Err(_) if text.trim().is_empty() => {}
            Err(_) => drop(fields.insert("attach_info".to_owned(), Value::String(text))),
        },
        Some(Value::Array(list)) if list.is_empty() => {}
        Some(other) => drop(fields.insert("attach_info".to_owned(), other)),
        None => {}
    }
    Map::new()
}

fn required(fields: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    optional(fields, name)?.ok_or_else(|| format!("the decrypted resource lacks `{name}`"))
}

/// A string; null and empty are `None`, an integer becomes its digits. What is neither stays in `fields`.
fn optional(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) if number.is_f64() => {
            Err(format!("`{name}` is a number with a fraction or an exponent: the digits of the id are lost"))
        }
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(odd @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
            fields.insert(name.to_owned(), odd);
            Ok(None)
        }
        Some(Value::Null) | None => Ok(None),
    }
}

/// Fields without a column as canonical JSON (sorted keys); merchant numbers are strings even if they came as
/// numbers (`hall_belong_mch_id` comes as both).
fn extra(mut fields: Map<String, Value>, mut attached: Map<String, Value>) -> Option<String> {
    if let Some(number @ Value::Number(_)) = attached.get_mut("hall_belong_mch_id") {
        *number = Value::String(number.to_string());
    }
    attached.retain(|_, value| !value.is_null() && *value != "");
    if !attached.is_empty() {
        fields.insert("attach_info".to_owned(), Value::Object(attached));
    }
    fields.retain(|_, value| !value.is_null());
    fields.sort_keys();
    fields.values_mut().for_each(Value::sort_all_objects);
    (!fields.is_empty()).then(|| Value::Object(fields).to_string())
}

/// Where the JSON is invalid. The parser's own message may repeat values, which may be openids.
fn at(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests;
