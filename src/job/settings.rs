//! The checked job: what a run works with. Dates are resolved, paths absolute, secrets loaded. Only made
//! by `job::load`; reads no files itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use serde_json::Value;
use url::Url;

use super::bucket::BucketSettings;
use super::engine::EngineSettings;
use super::merchant_path::MerchantPath;
use super::pattern::PathPattern;
use super::tar_type::TarType;
use super::watching::{LineageSettings, Webhook};
use crate::api::Api;
use crate::money::Fen;
use crate::secret::{Origin, Secret};

/// A job, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The job file, absolute.
    pub path: PathBuf,
    /// `job.name`.
    pub name: String,
    /// `job.formerly`: the name the job had when it last used its lake.
    pub formerly: Option<String>,
    /// `job.first_date`: earlier days do not belong to this job.
    pub first_date: Option<NaiveDate>,
    /// The folder in which a night works, absolute: `job.lake`, or `job.work_dir` when the lake is in a
    /// bucket.
    pub lake: PathBuf,
    /// The bucket, when `job.lake` is `s3://…`.
    pub bucket: Option<BucketSettings>,
    /// `job.part_bytes`: a partition above this size continues in another file. Changes no row.
    pub part_bytes: u64,
    /// How openids are published.
    pub pii: Pii,
    /// `[pay_v3]`.
    pub pay_v3: Option<PayV3Settings>,
    /// `[pay_v2]`.
    pub pay_v2: Option<PayV2Settings>,
    /// `[mp]`.
    pub mp: Option<MpSettings>,
    /// `stocks.ids`.
    pub stock_ids: Vec<String>,
    /// `[wallets]`.
    pub wallets: Option<WalletSettings>,
    /// `[[orders]]`.
    pub orders: Vec<OrderSource>,
    /// `[bills]`.
    pub bills: Option<BillSource>,
    /// `[sources.<name>]`, by source name: `orders`, `bills`, `datacube`, `subsidies`, …
    pub sources: BTreeMap<String, SourceCalendar>,
    /// `[subsidy_ledger]`.
    pub subsidy_ledger: Option<PathPattern>,
    /// `[[subsidy_programs]]`.
    pub subsidy_programs: Vec<SubsidyProgram>,
    /// `notifications.spool`.
    pub notification_spool: Option<PathBuf>,
    /// `[rules]`.
    pub rules: RuleSettings,
    /// `[engine]`.
    pub engine: EngineSettings,
    /// `decisions.path`.
    pub decisions: Option<PathBuf>,
    /// `[report]`.
    pub report: ReportSettings,
    /// `[openlineage]`.
    pub lineage: LineageSettings,
    /// `metrics.textfile`, absolute.
    pub metrics_textfile: Option<PathBuf>,
    /// `[webhook]`.
    pub webhook: Option<Webhook>,
    /// The job as written, as canonical JSON without secrets, hosts and timeouts: part of
    /// `inputs_sha256`. Writing a default explicitly changes the text and thus the fingerprint.
    pub fingerprint: Value,
    /// Warnings: what is allowed but unwise, such as key files that others can read.
    pub warnings: Vec<String>,
    /// Folders and files of the merchant that the job file names.
    pub merchant_paths: Vec<MerchantPath>,
}

impl Job {
    /// The address and limits of an API; `None` if the job does not have it.
    pub fn limits_of(&self, api: Api) -> Option<&ApiLimits> {
        match api {
            Api::PayV3 => self.pay_v3.as_ref().map(|it| &it.limits),
            Api::PayV2 => self.pay_v2.as_ref().map(|it| &it.limits),
            Api::Mp => self.mp.as_ref().map(|it| &it.limits),
        }
    }

    /// The limits of every API of the job, for changing them.
    pub fn limits_mut(&mut self) -> impl Iterator<Item = &mut ApiLimits> {
        let pay_v3 = self.pay_v3.as_mut().map(|it| &mut it.limits);
        let pay_v2 = self.pay_v2.as_mut().map(|it| &mut it.limits);
        let mp = self.mp.as_mut().map(|it| &mut it.limits);
        [pay_v3, pay_v2, mp].into_iter().flatten()
    }
}

/// Names a `[sources.<name>]` may have.
pub const SOURCE_NAMES: [&str; 10] = [
    "orders",
    "bills",
    "subsidy_ledger",
    "notifications",
    "wallets",
    "stocks",
    "subsidies",
    "datacube",
    "cards",
    "v2_stocks",
];

/// How openids are published.
#[derive(Debug, Clone)]
pub enum Pii {
    /// HMAC-SHA256 under this key, 64 lower-case hex.
    Hmac(Secret),
    /// Unchanged.
    Raw,
}

/// The address and limits of an API.
#[derive(Debug, Clone)]
pub struct ApiLimits {
    /// Scheme, host and port; https unless loopback.
    pub base_url: Url,
    /// Asked when the primary does not answer, or its gateway says 502 to 504.
    pub backup_url: Option<Url>,
    /// Timeout of an attempt.
    pub timeout: Duration,
    /// Time limit of a call, all attempts and waits included.
    pub retry_deadline: Duration,
    /// Requests per second.
    pub rate_per_second: u32,
    /// Maximum number of concurrent requests.
    pub concurrency: usize,
}

/// `[pay_v3]`.
#[derive(Debug, Clone)]
pub struct PayV3Settings {
    /// Address and limits.
    pub limits: ApiLimits,
    /// Merchant number.
    pub mchid: String,
    /// Serial of the merchant API certificate.
    pub serial_no: String,
    /// PEM, PKCS#1 or PKCS#8.
    pub private_key_pem: Secret,
    /// 32 bytes.
    pub api_v3_key: Secret,
    /// Public-key mode when given; platform certificates otherwise.
    pub public_key: Option<PublicKey>,
}

/// WeChat Pay's public key.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// `PUB_KEY_ID_…`
    pub id: String,
    /// `-----BEGIN PUBLIC KEY-----`
    pub pem: String,
    /// Where it was configured.
    pub origin: Origin,
}

/// `[pay_v2]`.
#[derive(Debug, Clone)]
pub struct PayV2Settings {
    /// Address and limits.
    pub limits: ApiLimits,
    /// Merchant number.
    pub mch_id: String,
    /// Appid of an official account.
    pub appid: String,
    /// v2 key.
    pub api_key: Secret,
    /// Stocks to query.
    pub stock_ids: Vec<String>,
    /// CSV `coupon_id,openid,stock_id` for querycouponsinfo.
    pub coupons_file: Option<PathBuf>,
    /// What happens to an answer with an invalid signature.
    pub on_mismatch: OnMismatch,
    /// The merchant's client certificate, which send_coupon needs: PEM of certificate and key in one.
    pub identity_pem: Option<Secret>,
}

/// What happens to a v2 answer with an invalid signature. Live answers are known to have such signatures
/// (reference v2 §A.4), so the job decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMismatch {
    /// Accepted, counted, and marked in its row.
    Record,
    /// Refused.
    Fail,
}

/// `[mp]`.
#[derive(Debug, Clone)]
pub struct MpSettings {
    /// Address and limits.
    pub limits: ApiLimits,
    /// Appid of the official account.
    pub appid: String,
    /// App secret.
    pub secret: Secret,
    /// Number of days requested again each night.
    pub repull_days: u32,
    /// Cards for getcardmembercarddetail.
    pub member_card_ids: Vec<String>,
}

/// `[wallets]`.
#[derive(Debug, Clone)]
pub struct WalletSettings {
    /// Appid the openids belong to.
    pub appid: String,
    /// Filter of the list call.
    pub creator_merchant: Option<String>,
    /// Filter of the list call.
    pub belong_merchant: Option<String>,
    /// Filter of the list call.
    pub sender_merchant: Option<String>,
    /// Which wallets to request.
    pub refresh: Refresh,
    /// Every wallet is requested at least once in this many nights.
    pub audit_days: u32,
    /// CSV with header `openid`.
    pub roster_file: Option<PathPattern>,
    /// Wallets that may stay unsettled without making the night partial.
    pub max_unsettled: usize,
}

/// Which wallets a night requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Those with events, those whose coupons may end an open break, and the audit slice.
    Active,
    /// All known wallets.
    All,
}

/// One `[[orders]]` section.
#[derive(Debug, Clone)]
pub struct OrderSource {
    /// The file of a day; its last component may contain `*`.
    pub path: PathPattern,
    /// File format.
    pub format: FileFormat,
    /// Text encoding, as the Encoding Standard labels it.
    pub encoding: &'static encoding_rs::Encoding,
    /// CSV field separator.
    pub delimiter: u8,
    /// Unit of the amount columns.
    pub amount_unit: AmountUnit,
    /// Whether `1,234.50` is an amount.
    pub thousands_separators: bool,
    /// chrono format of the time columns; a time is Asia/Shanghai unless its text carries an offset.
    pub time_format: String,
    /// What happens when a row is malformed.
    pub on_bad_row: OnBadRow,
    /// Channel values that pay by WeChat; empty means all.
    pub wechat_channels: Vec<String>,
    /// Ours = theirs.
    pub columns: OrderColumns,
}

/// File formats of order exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Delimited text.
    Csv,
    /// Spreadsheet.
    Xlsx,
    /// Parquet.
    Parquet,
}

/// Unit of amounts in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountUnit {
    /// Up to two decimals.
    Yuan,
    /// Whole numbers.
    Fen,
}

/// What happens when a row of an export is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRow {
    /// The stage fails.
    Fail,
    /// The row is quarantined: left out, counted and listed.
    Quarantine,
}

/// `[orders.columns]`: our name = the header text in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderColumns {
    /// Required.
    pub out_trade_no: String,
    /// Optional in the file.
    pub transaction_id: Option<String>,
    /// Optional in the file.
    pub merchant: Option<String>,
    /// Optional in the file.
    pub openid: Option<String>,
    /// Required.
    pub paid_at: String,
    /// Required.
    pub goods: String,
    /// Required.
    pub discount: String,
    /// Required.
    pub paid: String,
    /// Optional: without it nothing was refunded.
    pub refund: Option<String>,
    /// Required.
    pub stock_id: String,
    /// Required.
    pub coupon_code: String,
    /// Optional.
    pub channel: Option<String>,
    /// Optional.
    pub product: Option<String>,
    /// Optional.
    pub remark: Option<String>,
}

/// `[bills]`.
#[derive(Debug, Clone)]
pub enum BillSource {
    /// tradebill and billdownload.
    Api {
        /// How the file shall be packed.
        tar_type: TarType,
    },
    /// Files the merchant downloaded.
    Files(PathPattern),
}

/// `[sources.<name>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceCalendar {
    /// Time of D+1 in Asia/Shanghai at which the source is complete.
    pub ready_at: Option<NaiveTime>,
    /// Days during which a break is `expected`.
    pub grace_days: u32,
}

/// One `[[subsidy_programs]]` section.
#[derive(Debug, Clone)]
pub struct SubsidyProgram {
    /// Stock.
    pub stock_id: String,
    /// Who pays.
    pub payer_merchant: String,
    /// Who receives.
    pub payee_merchant: String,
    /// The amount due per used coupon.
    pub amount: SubsidyAmount,
    /// Days from the use until it is due.
    pub due_days: u32,
}

/// The amount of a programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubsidyAmount {
    /// `amount_fen`.
    Fixed(Fen),
    /// `percent_of_discount`, rounded half up.
    PercentOfDiscount(i64),
}

/// A rule id in the job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleId {
    /// The id as written.
    pub id: String,
    /// Its line in the job file.
    pub line: Option<usize>,
}

/// Coupons of one merchant that are used in orders of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantPair {
    /// The merchant that the coupon belongs to.
    pub belong: String,
    /// The merchant of the order.
    pub order: String,
}

/// Default of `mp.repull_days`.
pub const DEFAULT_REPULL_DAYS: u32 = 3;

/// `[rules]`.
#[derive(Debug, Clone)]
pub struct RuleSettings {
    /// Disabled rule ids.
    pub off: Vec<RuleId>,
    /// Stocks whose coupons must be associated (AO07).
    pub must_associate: Vec<String>,
    /// Merchants that may differ (AO12).
    pub merchant_pairs: Vec<MerchantPair>,
    /// Regex with one group over use_request_no; `None`: the whole value.
    pub use_request_pattern: Option<regex::Regex>,
    /// Folders with the user's own rules.
    pub folders: Vec<PathBuf>,
    /// AO16.
    pub max_coupons_per_order: u32,
    /// AO13.
    pub use_time_tolerance_minutes: u32,
    /// AO08, DISCOUNT stocks only.
    pub discount_tolerance_fen: Fen,
    /// Length of the look-back in days, D included.
    pub lookback_days: u32,
    /// SU09.
    pub stuck_hours: u32,
}

impl RuleSettings {
    /// The first day of the look-back of `date`.
    pub fn lookback_start(&self, date: NaiveDate) -> NaiveDate {
        date - chrono::Days::new(u64::from(self.lookback_days.max(1) - 1))
    }
}

impl Default for RuleSettings {
    /// The defaults (design §11).
    fn default() -> RuleSettings {
        RuleSettings {
            off: Vec::new(),
            must_associate: Vec::new(),
            merchant_pairs: Vec::new(),
            use_request_pattern: None,
            folders: Vec::new(),
            max_coupons_per_order: 1,
            use_time_tolerance_minutes: 10,
            discount_tolerance_fen: Fen(1),
            lookback_days: 30,
            stuck_hours: 24,
        }
    }
}

/// `[report]`.
#[derive(Debug, Clone, Copy)]
pub struct ReportSettings {
    /// Headers and texts.
    pub language: Language,
    /// How CSV cells keep long ids as text.
    pub excel_ids: ExcelIds,
    /// Whether CSVs end with a total line.
    pub trailer: bool,
}

impl Default for ReportSettings {
    /// Chinese, back-ticks, with a total line.
    fn default() -> ReportSettings {
        ReportSettings { language: Language::Zh, excel_ids: ExcelIds::Backtick, trailer: true }
    }
}

/// Language of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// The value for this language.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Language::Zh => zh,
            Language::En => en,
        }
    }
}

/// How CSV cells keep long ids as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExcelIds {
    /// A back-tick in front, as WeChat's own bills.
    Backtick,
    /// A tab in front.
    Tab,
    /// Unchanged.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_back_counts_the_day_itself() {
        let rules = RuleSettings { lookback_days: 30, ..RuleSettings::default() };
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        assert_eq!(rules.lookback_start(date), NaiveDate::from_ymd_opt(2026, 10, 20).unwrap());
    }
}
