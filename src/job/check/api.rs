//! Checks the sections of the three APIs: hosts, limits, identities and keys. Never connects to anything.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Checker;
use super::given::Given;
use super::secret::{PemBlock, origin_of};
use crate::job::file::{JobSection, MpSection, PayV2Section, PayV3Section};
use crate::job::host::url_problem;
use crate::job::settings::{
    ApiLimits, DEFAULT_REPULL_DAYS, MpSettings, OnMismatch, PayV2Settings, PayV3Settings, PublicKey,
};
use crate::job::value::{Section, Written};
use crate::secret::Secret;

const PAY_URL: &str = "https://api.mch.weixin.qq.com";
/// Reference v3 §1.11.
const PAY_BACKUP_URL: &str = "https://api2.mch.weixin.qq.com";
const MP_URL: &str = "https://api.weixin.qq.com";
/// More than any machine opens, and far below what the runtime can count.
const MOST_CONCURRENCY: i64 = 10_000;
/// Far above what WeChat allows: the pace holds a place for each request of a second, and billions of them are a slip of
/// the pen that would take all memory.
const MOST_RATE_PER_SECOND: i64 = 100_000;
/// The most days of datacube figures that are pulled again each night: more than a year is a slip of the pen.
const MOST_REPULL_DAYS: i64 = 366;

/// The keys of a client certificate.
const IDENTITY: [&str; 3] = ["client_certificate_file", "client_key_env", "client_key_file"];

/// How long an attempt may take, if neither its section nor `[job]` says so.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call is retried, likewise.
pub(super) const RETRY_DEADLINE: Duration = Duration::from_secs(120);

/// The keys that every API section has.
struct WrittenLimits<'w> {
    base_url: &'w Option<Written<String>>,
    backup_url: &'w Option<Written<String>>,
    timeout_seconds: &'w Option<Written<i64>>,
    retry_deadline_seconds: &'w Option<Written<i64>>,
    rate_per_second: &'w Option<Written<i64>>,
    concurrency: &'w Option<Written<i64>>,
}

macro_rules! limits_of {
    ($section:expr) => {
        WrittenLimits {
            base_url: &$section.base_url,
            backup_url: &$section.backup_url,
            timeout_seconds: &$section.timeout_seconds,
            retry_deadline_seconds: &$section.retry_deadline_seconds,
            rate_per_second: &$section.rate_per_second,
            concurrency: &$section.concurrency,
        }
    };
}

/// The defaults of an API.
struct DefaultLimits {
    base_url: &'static str,
    backup_url: Option<&'static str>,
    rate_per_second: u32,
    concurrency: usize,
}

impl Checker<'_> {
    /// `[pay_v3]`.
    pub(super) fn pay_v3(&mut self, section: &PayV3Section, job: Option<&JobSection>) -> Option<PayV3Settings> {
        let defaults = DefaultLimits {
            base_url: PAY_URL,
            backup_url: Some(PAY_BACKUP_URL),
            rate_per_second: 100,
            concurrency: 32,
        };
        let limits = self.limits(&limits_of!(section), job, &defaults);
        let mchid = self.digits(&section.mchid);
        let serial_no = self.serial_no(&section.serial_no);
        let given = Given::by(&section.private_key_env, &section.private_key_file);
        let private_key_pem = self.private_key("private_key", section.place(), given);
        let given = Given::by(&section.api_v3_key_env, &section.api_v3_key_file);
        let api_v3_key = self.sized_secret("api_v3_key", section.place(), given, 32);
        let public_key = self.public_key(section);
        Some(PayV3Settings {
            limits: limits?,
            mchid: mchid?,
            serial_no: serial_no?,
            private_key_pem: private_key_pem?,
            api_v3_key: api_v3_key?,
            public_key,
        })
    }

    /// `[pay_v2]`.
    pub(super) fn pay_v2(&mut self, section: &PayV2Section, job: Option<&JobSection>) -> Option<PayV2Settings> {
        let defaults =
            DefaultLimits { base_url: PAY_URL, backup_url: Some(PAY_BACKUP_URL), rate_per_second: 20, concurrency: 8 };
        let limits = self.limits(&limits_of!(section), job, &defaults);
        let mch_id = self.digits(&section.mch_id);
        let appid = self.text(&section.appid);
        let given = Given::by(&section.api_key_env, &section.api_key_file);
        let api_key = self.sized_secret("api_key", section.place(), given, 32);
        let stock_ids = self.ids(&section.stock_ids);
        let coupons_file = self.existing_file(&section.coupons_file);
        let actions = [("record", OnMismatch::Record), ("fail", OnMismatch::Fail)];
        let on_mismatch = self.choice(&section.on_signature_mismatch, OnMismatch::Record, &actions);
        let identity_pem = self.client_identity(section);
        let (limits, mch_id, appid, api_key) = (limits?, mch_id?, appid?, api_key?);
        Some(PayV2Settings { limits, mch_id, appid, api_key, stock_ids, coupons_file, on_mismatch, identity_pem })
    }

    /// `[mp]`.
    pub(super) fn mp(&mut self, section: &MpSection, job: Option<&JobSection>) -> Option<MpSettings> {
        let defaults = DefaultLimits { base_url: MP_URL, backup_url: None, rate_per_second: 20, concurrency: 8 };
        let limits = self.limits(&limits_of!(section), job, &defaults);
        let appid = self.text(&section.appid);
        let secret =
            self.required_secret("secret", section.place(), Given::by(&section.secret_env, &section.secret_file));
        let repull_days = self.number_within(&section.repull_days, DEFAULT_REPULL_DAYS, 1..=MOST_REPULL_DAYS);
        let member_card_ids = self.ids(&section.member_card_ids);
        Some(MpSettings { limits: limits?, appid: appid?, secret: secret?, repull_days, member_card_ids })
    }

    fn limits(
        &mut self,
        written: &WrittenLimits,
        job: Option<&JobSection>,
        defaults: &DefaultLimits,
    ) -> Option<ApiLimits> {
        let timeout = self.patience(written.timeout_seconds, job.map(|job| &job.timeout_seconds), TIMEOUT);
        let of_job = job.map(|job| &job.retry_deadline_seconds);
        let retry_deadline = self.patience(written.retry_deadline_seconds, of_job, RETRY_DEADLINE);
        let rate_per_second =
            self.number_within(written.rate_per_second, defaults.rate_per_second, 1..=MOST_RATE_PER_SECOND);
        let concurrency = self.number_within(written.concurrency, defaults.concurrency, 1..=MOST_CONCURRENCY);
        let backup_url = match (written.backup_url, written.base_url) {
            (Some(backup), _) => self.url(backup),
            // WeChat's backup host is no backup for another host.
            (None, Some(_)) => None,
            (None, None) => defaults.backup_url.map(known_url),
        };
        let base_url = match written.base_url {
            Some(base) => self.url(base)?,
            None => known_url(defaults.base_url),
        };
        Some(ApiLimits { base_url, backup_url, timeout, retry_deadline, rate_per_second, concurrency })
    }

    /// The seconds given in the section, else in `[job]`, else the default.
    fn patience(
        &mut self,
        section: &Option<Written<i64>>,
        job: Option<&Option<Written<i64>>>,
        fallback: Duration,
    ) -> Duration {
        match (section, job) {
            (Some(_), _) => self.seconds(section, fallback),
            // Checked once, with `[job]` itself: otherwise every section would report the same problem.
            (None, Some(Some(job))) => u64::try_from(job.value).map_or(fallback, Duration::from_secs),
            (None, _) => fallback,
        }
    }

    pub(super) fn url(&mut self, written: &Written<String>) -> Option<Url> {
        let (place, text) = (&written.place, written.value.trim());
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(_) => {
                let hint = "scheme and host, and the port if it is not the usual one: `https://host:8443`";
                self.problems.add_with_hint(place, format!("`{}` is no URL", place.key), hint);
                return None;
            }
        };
        match url_problem(&url) {
            None => Some(url),
            Some(problem) => {
                self.problems.add(place, format!("`{}` {problem}", place.key));
                None
            }
        }
    }

    fn serial_no(&mut self, written: &Option<Written<String>>) -> Option<String> {
        let text = self.text(written)?;
        let place = &written.as_ref()?.place;
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let problem = format!("`{}` is `{}`: a serial is hexadecimal", place.key, text.escape_debug());
            let hint = "`openssl x509 -in apiclient_cert.pem -noout -serial` prints it, after `serial=`";
            self.problems.add_with_hint(place, problem, hint);
        }
        Some(text)
    }

    fn public_key(&mut self, section: &PayV3Section) -> Option<PublicKey> {
        let file = match (&section.public_key_id, &section.public_key_file) {
            (None, None) => return None,
            (Some(_), Some(file)) => file,
            _ if self.problems.is_told(section.place(), &["public_key_id", "public_key_file"]) => return None,
            (Some(lone), None) | (None, Some(lone)) => {
                let text = "`public_key_id` and `public_key_file` go together: one of them is missing";
                self.problems.add_with_hint(&lone.place, text, "leave both out to use platform certificates");
                return None;
            }
        };
        let key_id = self.text(&section.public_key_id);
        if self.refuse_unusable(&file.place, file.value.trim()) {
            return None;
        }
        let path = self.absolute(file.value.trim());
        let pem = self.file_text(&file.place, &path)?;
        let origin = origin_of(file, &path);
        self.pem(&file.place, &origin, &pem, PemBlock::PUBLIC_KEY);
        Some(PublicKey { id: key_id?, pem, origin })
    }

    /// Certificate and key for mutual TLS, in one PEM.
    fn client_identity(&mut self, section: &PayV2Section) -> Option<Secret> {
        let key = section.client_key_env.as_ref().or(section.client_key_file.as_ref());
        let certificate = match (&section.client_certificate_file, key) {
            (None, None) => return None,
            (Some(certificate), Some(_)) => certificate,
            _ if self.problems.is_told(section.place(), &IDENTITY) => return None,
            (Some(lone), None) | (None, Some(lone)) => {
                let text = "`client_certificate_file` and `client_key_file` go together: one of them is missing";
                let hint = "they are apiclient_cert.pem and apiclient_key.pem of the merchant API certificate";
                self.problems.add_with_hint(&lone.place, text, hint);
                return None;
            }
        };
        if self.refuse_unusable(&certificate.place, certificate.value.trim()) {
            return None;
        }
        let path = self.absolute(certificate.value.trim());
        let pem = self.file_text(&certificate.place, &path)?;
        self.pem(&certificate.place, &origin_of(certificate, &path), &pem, PemBlock::CERTIFICATE);
        let given = Given::by(&section.client_key_env, &section.client_key_file);
        let key = self.private_key("client_key", section.place(), given)?;
        Some(Secret::new(format!("{}\n{}\n", pem.trim_end(), key.expose())))
    }

    /// A file that must exist if it is named; an empty name means none.
    fn existing_file(&mut self, written: &Option<Written<String>>) -> Option<PathBuf> {
        let text = self.text_or_none(written)?;
        let place = &written.as_ref()?.place;
        if self.refuse_unusable(place, &text) {
            return None;
        }
        let path = self.absolute(&text);
        if !path.is_file() {
            self.problems.add(place, format!("`{}`: there is no file `{}`", place.key, path.display()));
        }
        Some(path)
    }

    /// The two keys of `[job]` that every API section may override.
    pub(super) fn job_patience(&mut self, job: &JobSection) {
        self.seconds(&job.timeout_seconds, TIMEOUT);
        self.seconds(&job.retry_deadline_seconds, RETRY_DEADLINE);
    }
}

fn known_url(text: &str) -> Url {
    Url::parse(text).expect("a URL of this file is a URL")
}
