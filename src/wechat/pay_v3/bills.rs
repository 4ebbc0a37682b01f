//! Trade and fund-flow bills: apply, download as a stream, compare the digest (reference v3 §4.1). Parses no line of
//! them.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer};
use url::{Position, Url};

use super::PayV3;
use super::judge::{Judgement, judge};
use super::target::Target;
use super::unzip::UnzippedDigest;
use crate::http::{CallError, Cause, Incoming, Trace};
use crate::job::TarType;
use crate::secret::Secret;
use crate::wechat::answer::Answer;
use crate::wechat::endpoint;
use crate::wechat::error::{ApiError, FailureKind, Problem};
use crate::wechat::lenient;
use crate::wechat::request::Request;

/// A failed download is applied for again: the URL is valid for minutes and perhaps for one use. At least this many
/// rounds, however long they take …
const DOWNLOAD_ROUNDS: u32 = 3;

/// A download that takes longer is given up, even if data keeps arriving.
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// Upper limit for an unzipped bill …
const LARGEST_BILL_BYTES: u64 = 16 << 30;
/// … and above `SMALL_BILL_BYTES`, for the ratio of its unzipped to its received size.
const LARGEST_RATIO: u64 = 200;
const SMALL_BILL_BYTES: u64 = 64 << 20;

/// The hosts of WeChat Pay (reference v3 §1.11). An answer names one of them even where `base_url` is another of them, or a
/// gateway in front of them.
const OFFICIAL_HOSTS: [&str; 4] =
    ["api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "api.wechatpay.cn", "api2.wechatpay.cn"];

/// Larger error bodies contain nothing more of use.
const MAX_ERROR_BODY_BYTES: usize = 1 << 16;

/// The download location of a bill, valid for minutes. Never journalled: the URL is a bearer token.
#[derive(Debug, Clone, Deserialize)]
pub struct BillLocation {
    /// `SHA1`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub hash_type: Option<String>,
    /// Hex digest of the unzipped file.
    pub hash_value: String,
    /// The URL; the documentation's sample has a leading space.
    #[serde(deserialize_with = "trimmed_secret")]
    pub download_url: Secret,
}

/// A downloaded bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Bytes as received, written to the sink.
    pub received_bytes: u64,
    /// Unzipped bytes; the same if it was plain.
    pub unzipped_bytes: u64,
    /// Hex digest of the unzipped bytes.
    pub sha1_hex: String,
    /// Whether the received file is gzip.
    pub is_gzip: bool,
}

/// The destination of a download, rewritten after a failure.
pub trait BillSink: Write + Send {
    /// Discards everything written so far.
    fn restart(&mut self) -> io::Result<()>;
}

impl BillSink for Vec<u8> {
    fn restart(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }
}

impl BillSink for File {
    fn restart(&mut self) -> io::Result<()> {
        self.set_len(0)?;
        self.rewind()
    }
}

/// A fund account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundAccount {
    /// BASIC
    Basic,
    /// OPERATION
    Operation,
    /// FEES
    Fees,
}

/// Applies for the trade bill (`ALL`) of a day.
///
/// Answers 400 NO_STATEMENT_EXIST (`NoStatement`) for a day without payments or before about
/// 10:00 of the next day, 400 STATEMENT_CREATING (`NotReady`) while it is made.
pub fn trade_bill(date: NaiveDate, tar_type: TarType) -> Request<BillLocation> {
    let target = Target::new(endpoint::TRADE_BILL.path, &[])
        .query("bill_date", &date.to_string())
        .query("bill_type", "ALL")
        .maybe("tar_type", tar_type.parameter());
    Request::without_body(&endpoint::TRADE_BILL, target.finish())
}

/// Applies for the fund-flow bill of an account and day.
pub fn fund_flow_bill(date: NaiveDate, account: FundAccount, tar_type: TarType) -> Request<BillLocation> {
    let account_type = match account {
        FundAccount::Basic => "BASIC",
        FundAccount::Operation => "OPERATION",
        FundAccount::Fees => "FEES",
    };
    let target = Target::new(endpoint::FUND_FLOW_BILL.path, &[])
        .query("bill_date", &date.to_string())
        .query("account_type", account_type)
        .maybe("tar_type", tar_type.parameter());
    Request::without_body(&endpoint::FUND_FLOW_BILL, target.finish())
}

impl PayV3 {
    /// Applies for the trade bill of a day and downloads it into `sink`. A failed download is applied for again: three
    /// rounds in all when the digest differs or it is refused, as many as the retry policy allows when the server or
    /// the connection fails.
    pub async fn fetch_trade_bill(
        &self,
        date: NaiveDate,
        tar_type: TarType,
        sink: &mut impl BillSink,
    ) -> Result<Downloaded, ApiError> {
        self.fetch_bill(&trade_bill(date, tar_type), sink).await
    }

    /// The same for any bill that is applied for.
    pub async fn fetch_bill(
        &self,
        application: &Request<BillLocation>,
        sink: &mut impl BillSink,
    ) -> Result<Downloaded, ApiError> {
        let started_at = self.http.world().clock.now();
        let mut rounds = 0;
        loop {
            let error = match self.apply_and_download(application, sink).await {
                Ok(downloaded) => return Ok(downloaded),
                Err(error) => error,
            };
            rounds += 1;
            if !self.begins_another_round(&error, rounds, started_at).await {
                return Err(error);
            }
        }
    }

    /// Waits for the next round; false if there is none.
    async fn begins_another_round(&self, error: &ApiError, rounds: u32, started_at: DateTime<Utc>) -> bool {
        let is_short = rounds < DOWNLOAD_ROUNDS;
        if !may_be_applied_for_again(error) || !(is_short || is_illness(error)) {
            return false;
        }
        // A large file may break for the first time after the deadline.
        self.http.pause(rounds, started_at).await || is_short
    }

    /// Downloads a bill into `sink`, once, and compares its digest. Download answers are not signed (reference v3
    /// §4.1); the signed application guarantees the digest.
    ///
    /// # Errors
    /// `Refused` when the URL is not on `base_url` or `backup_url`, or the sink fails; `Unavailable` when the
    /// connection breaks, the gzip is damaged or the digest differs.
    pub async fn download(&self, location: &BillLocation, sink: &mut impl Write) -> Result<Downloaded, ApiError> {
        let request = self.download_request(location)?;
        let outgoing = self.signed(&request).sign();
        let (mut incoming, trace) = self.http.open(request.endpoint.path, &outgoing).await.map_err(transport)?;
        if incoming.status() != 200 {
            return Err(refused(incoming, trace).await);
        }
        let poured = tokio::time::timeout(DOWNLOAD_DEADLINE, pour(&mut incoming, sink)).await;
        let late = || Problem::Digest { detail: format!("it is incomplete after {} s", DOWNLOAD_DEADLINE.as_secs()) };
        let problem = match poured.unwrap_or_else(|_| Err(late())) {
            Ok(downloaded) if downloaded.sha1_hex.eq_ignore_ascii_case(&location.hash_value) => return Ok(downloaded),
            Ok(downloaded) => Problem::Digest {
                detail: format!("SHA-1 `{}` instead of `{}`", downloaded.sha1_hex, location.hash_value),
            },
            Err(problem) => problem,
        };
        Err(ApiError::new(trace, problem))
    }

    async fn apply_and_download(
        &self,
        application: &Request<BillLocation>,
        sink: &mut impl BillSink,
    ) -> Result<Downloaded, ApiError> {
        let answer = self.send(application).await?;
        let location = application.parse(&answer.body).map_err(|error| {
            ApiError::new(
                call_of(application.endpoint.path, &answer),
                Problem::Unexpected { detail: error.to_string() },
            )
        })?;
        sink.restart().map_err(|error| ApiError::new(no_call(application.endpoint.path), Problem::Sink(error)))?;
        self.download(&location, sink).await
    }

    /// The signed request for a download URL. Only configured hosts are contacted, whichever official host the URL names: it
    /// came from outside, and the request carries a signature.
    fn download_request(&self, location: &BillLocation) -> Result<Request<()>, ApiError> {
        let refuse = |message: String| {
            let problem = Problem::Refused { kind: FailureKind::Refused, code: "download_url".into(), message };
            ApiError::new(no_call(endpoint::BILL_DOWNLOAD.path), problem).with_hint(Some(
                "`pay_v3.base_url` or `pay_v3.backup_url` must be the host bills are downloaded from".into(),
            ))
        };
        let url = Url::parse(location.download_url.expose()).map_err(|_| refuse("it is not a URL".into()))?;
        if !self.http.hosts().serves(&url) && !is_official(&url) {
            return Err(refuse(format!("host `{}` is not one of ours", url.host_str().unwrap_or_default())));
        }
        let target = url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Request::unread(&endpoint::BILL_DOWNLOAD, target, Bytes::new()))
    }
}

fn is_official(url: &Url) -> bool {
    url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(|host| OFFICIAL_HOSTS.contains(&host))
}

async fn pour(incoming: &mut Incoming, sink: &mut impl Write) -> Result<Downloaded, Problem> {
    let torn = |error: io::Error| Problem::Digest { detail: format!("the gzip stream is broken: {error}") };
    let mut digest = UnzippedDigest::new();
    let mut received_bytes = 0;
    while let Some(piece) = incoming.chunk().await? {
        sink.write_all(&piece).map_err(Problem::Sink)?;
        digest.update(&piece).map_err(torn)?;
        received_bytes += piece.len() as u64;
        refuse_bomb(received_bytes, digest.unzipped_bytes())?;
    }
    sink.flush().map_err(Problem::Sink)?;
    let unzipped = digest.finish().map_err(torn)?;
    Ok(Downloaded {
        received_bytes,
        unzipped_bytes: unzipped.bytes,
        sha1_hex: unzipped.sha1_hex,
        is_gzip: unzipped.was_gzip,
    })
}

/// A small file that unzips without end would fill the disk or block the night.
fn refuse_bomb(received_bytes: u64, unzipped_bytes: u64) -> Result<(), Problem> {
    let is_bomb = unzipped_bytes > SMALL_BILL_BYTES && unzipped_bytes / received_bytes.max(1) > LARGEST_RATIO;
    if !is_bomb && unzipped_bytes <= LARGEST_BILL_BYTES {
        return Ok(());
    }
    let detail = format!("{received_bytes} bytes unzip to at least {unzipped_bytes} bytes: no bill does");
    Err(Problem::Digest { detail })
}

async fn refused(incoming: Incoming, trace: Trace) -> ApiError {
    let status = incoming.status();
    let problem = match incoming.read(MAX_ERROR_BODY_BYTES).await {
        Ok(received) => match judge(status, &received.body) {
            // A download is not signed: only the signed application may say that there is no statement (reference v3
            // §4.1).
            Judgement::Final(Problem::Refused { kind: FailureKind::NoStatement, code, message }) => {
                Problem::Refused { kind: FailureKind::Refused, code, message }
            }
            Judgement::Later(problem) | Judgement::Final(problem) => problem,
            Judgement::Good => Problem::Unexpected { detail: format!("status {status} instead of a file") },
        },
        Err(error) => error.into(),
    };
    ApiError::new(trace, problem)
}

/// A refused application is final, one whose answer cannot be read is not; a refused download may be due to a used-up
/// URL.
fn may_be_applied_for_again(error: &ApiError) -> bool {
    let is_download = error.trace().path == endpoint::BILL_DOWNLOAD.path;
    let is_of_the_disk = matches!(error.problem(), Problem::Sink(_));
    (is_download && !is_of_the_disk && error.trace().attempts > 0)
        || matches!(error.problem(), Problem::Unexpected { .. })
}

/// … and more while server or connection fail, which is temporary; a wrong digest is not.
fn is_illness(error: &ApiError) -> bool {
    let is_of_the_content = matches!(error.problem(), Problem::Digest { .. } | Problem::Unexpected { .. });
    error.kind() == FailureKind::Unavailable && !is_of_the_content
}

fn transport(error: CallError<std::convert::Infallible>) -> ApiError {
    match error.cause {
        Cause::Transport(cause) => ApiError::new(error.trace, cause.into()),
        Cause::Refused(never) => match never {},
    }
}

/// The trace of the call that returned an answer.
fn call_of(path: &str, answer: &Answer) -> Trace {
    let request_id = answer.evidence.request_id.clone();
    Trace { attempts: answer.attempts, status: Some(answer.status), request_id, ..no_call(path) }
}

fn no_call(path: &str) -> Trace {
    Trace::of_none("GET", path)
}

fn trimmed_secret<'de, D: Deserializer<'de>>(json: D) -> Result<Secret, D::Error> {
    Ok(Secret::new(String::deserialize(json)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    #[test]
    fn applications_leave_out_what_is_not_asked_for() {
        assert_eq!(trade_bill(date(), TarType::Plain).target, "/v3/bill/tradebill?bill_date=2026-11-18&bill_type=ALL");
        assert!(trade_bill(date(), TarType::Gzip).target.ends_with("&tar_type=GZIP"));
        assert_eq!(
            fund_flow_bill(date(), FundAccount::Basic, TarType::Plain).target,
            "/v3/bill/fundflowbill?bill_date=2026-11-18&account_type=BASIC"
        );
    }

    #[test]
    fn the_blank_of_the_sample_is_trimmed_and_the_url_is_not_shown() {
        let body = br#"{"hash_type":"SHA1","hash_value":"79bb0f45fc4c42234a918000b2668d689e2bde04","download_url":" https://api.mch.weixin.qq.com/v3/billdownload/file?token=xxx"}"#;
        let location = trade_bill(date(), TarType::Plain).parse(body).unwrap();
        assert_eq!(location.download_url.expose(), "https://api.mch.weixin.qq.com/v3/billdownload/file?token=xxx");
        assert!(!format!("{location:?}").contains("token"));
    }

    #[test]
    fn a_digest_type_of_null_is_no_reason_to_refuse_a_bill() {
        let body = br#"{"hash_type":null,"hash_value":"79bb","download_url":"https://api.mch.weixin.qq.com/v3/x"}"#;
        assert_eq!(trade_bill(date(), TarType::Plain).parse(body).unwrap().hash_type, None);
    }

    #[test]
    fn official_hosts_are_four_and_nothing_that_only_looks_like_them_is_one() {
        let is_one = |url: &str| is_official(&Url::parse(url).unwrap());
        for host in OFFICIAL_HOSTS {
            assert!(is_one(&format!("https://{host}/v3/billdownload/file?token=x")), "{host}");
            for odd in
                [format!("http://{host}/"), format!("https://{host}:8443/"), format!("https://{host}.evil.example/")]
            {
                assert!(!is_one(&odd), "{odd}");
            }
        }
        assert!(!is_one("https://api.mch.weixin.qq.com@evil.example/"));
    }

    #[test]
    fn what_unzips_without_end_is_no_bill_and_what_merely_zips_well_is_one() {
        assert!(refuse_bomb(1 << 20, 10 << 20).is_ok());
        assert!(refuse_bomb(20, 20_000).is_ok(), "a day without trade is mostly header");
        assert!(refuse_bomb(1 << 30, 10 << 30).is_ok());
        assert!(refuse_bomb(1 << 20, 900 << 20).is_err());
        assert!(refuse_bomb(4 << 30, 17 << 30).is_err());
    }

    #[test]
    fn sinks_forget_what_was_written() {
        let mut memory = b"old".to_vec();
        memory.restart().unwrap();
        memory.write_all(b"new").unwrap();
        assert_eq!(memory, b"new");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a longer text").unwrap();
        file.restart().unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);
    }
}
