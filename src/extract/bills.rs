//! Stage `bills`: the trade bill of the day, applied for and downloaded (reference v3 §4), or a local file
//! of the merchant. The file is kept in the journal unchanged; its digest is checked before it is read, its
//! trailer afterwards. Its rows are sorted in bounded memory on a thread of their own, in parallel with the
//! requests for wallets.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::issue::IssueKind;
use super::unknown_values::{REFUND_STATUS, TRADE_STATE, UnknownValues};
use super::{Harvest, Issue, Night};
use crate::api::Api;
use crate::clock;
use crate::dataset::manifest::Intake;
use crate::exports::trade_bill::{
    BillError, Entry as BillEntry, LocalBill, TradeBill, find_rows, read_file, read_local,
};
use crate::http::counting_retries;
use crate::job::{BillSource, PathPattern, TarType};
use crate::journal::{Entry, Journal, Page, StageJournal};
use crate::money::Fen;
use crate::record::{Payment, Record, Refund};
use crate::sorter::{Room, Sorter};
use crate::stage::Stage;
use crate::wechat::error::Problem;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::{Evidence, FailureKind};

const STAGE: Stage = Stage::Bills;
/// How long WeChat keeps bills (reference v3 §4.1).
const KEPT_MONTHS: u32 = 3;

/// The bill of one day, with raw openids.
#[derive(Debug, Default)]
pub struct Bills {
    /// `payments`, sorted on disk.
    pub payments: Sorter,
    /// `refunds`, sorted on disk.
    pub refunds: Sorter,
    /// The bill files the rows came from.
    pub files: BillFiles,
    unknown: UnknownValues,
}

/// The bill files of a day, which are read again if something is wrong with their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillFiles {
    date: NaiveDate,
    /// Name and path of each.
    files: Vec<(String, PathBuf)>,
}

impl BillFiles {
    fn of(date: NaiveDate, bills: &[LocalBill]) -> BillFiles {
        BillFiles { date, files: bills.iter().map(|it| (it.file.name.clone(), it.path.clone())).collect() }
    }

    /// An issue that names the lines of a row that `dataset` would hold twice; `None` if it does not.
    pub fn stands_twice(&self, dataset: &str, key: &str) -> Option<Issue> {
        let rows = find_rows(&self.files, self.date, |entry| entry.key() == (dataset, key.to_owned())).ok()?;
        if rows.len() < 2 {
            return None;
        }
        let what = match dataset {
            Refund::DATASET => "the refund",
            _ => "the payment",
        };
        let lines: Vec<_> = rows.iter().map(|(file, line)| format!("`{file}` line {line}")).collect();
        let issue = Issue::violation(format!("{what} {key} is in the bills of the day twice: {}", lines.join(", ")));
        Some(issue.hinting(
            "one bill may be a copy or a part of another: `bills.path` must match each row once; a downloaded bill that \
             repeats a row is fetched again with `--refetch`",
        ))
    }
}

/// The journal entry of a bill: its file, or that there is none. The download URL is a secret and is not
/// kept.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    /// File in the journal; `None` when WeChat has no statement for the day.
    file: Option<String>,
    /// SHA-1 of the unzipped bytes, as announced and verified.
    sha1: Option<String>,
}

impl Receipt {
    /// The digest of what the bill says: two downloads of one bill may be zipped differently.
    fn content_digest(&self) -> String {
        self.sha1.clone().unwrap_or_default()
    }
}

/// The bill of the day.
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Bills>, Issue> {
    match &night.job.bills {
        None => Ok(Harvest::complete(Bills::default())),
        Some(BillSource::Files(pattern)) => {
            night.require_ready(STAGE)?;
            from_files(night, pattern).await
        }
        Some(BillSource::Api { tar_type }) => from_api(night, *tar_type).await,
    }
}

async fn from_files(night: &Night<'_>, pattern: &PathPattern) -> Result<Harvest<Bills>, Issue> {
    let (pattern, date) = (pattern.clone(), night.date);
    let read = move |book: &mut Book| read_local(&pattern, date, &mut |entry, _| book.take(entry));
    let (bills, local) = booked(night.room, read).await?;
    let inputs = local.iter().map(|it| (format!("{STAGE}/{}", it.file.name), it.file.sha256.clone())).collect();
    let bills = Bills { files: BillFiles::of(date, &local), ..bills };
    let stated: Vec<_> = local.into_iter().map(|it| it.bill).collect();
    Ok(Harvest { inputs, ..harvest(bills, &stated) })
}

async fn from_api(night: &Night<'_>, tar_type: TarType) -> Result<Harvest<Bills>, Issue> {
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Err(Issue::new(IssueKind::Incomplete, "bills by API need `[pay_v3]`"));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let asked = AskedBill { night, pay_v3, tar_type, journal, key: night.date.to_string() };
    if asked.journal.contains(&asked.key) {
        night.apis.health.answered(Api::PayV3);
    } else {
        // Lets a task that reads local files start first, so that no answer has to wait for it.
        tokio::task::yield_now().await;
        asked.fetch().await?;
    }
    let (receipt, file) = asked.mended().await?;
    let harvest = match file {
        KeptFile::Nothing => harvest(Bills::default(), &[]),
        KeptFile::File(path) => from_kept(night, path).await?,
        KeptFile::Damaged => return Err(Issue::io(night.lake.root(), &io::Error::other("a kept bill is damaged"))),
    };
    Ok(Harvest { inputs: vec![(STAGE.to_string(), receipt.content_digest())], ..harvest })
}

async fn from_kept(night: &Night<'_>, path: PathBuf) -> Result<Harvest<Bills>, Issue> {
    let date = night.date;
    let read = move |book: &mut Book| read_bill(&path, date, book);
    let (bills, local) = booked(night.room, read).await?;
    let bills = Bills { files: BillFiles::of(date, std::slice::from_ref(&local)), ..bills };
    Ok(harvest(bills, &[local.bill]))
}

fn read_bill(path: &Path, date: NaiveDate, book: &mut Book) -> Result<LocalBill, BillError> {
    read_file(path, &format!("trade bill of {date}"), date, &mut |entry, _| book.take(entry))
}

/// The state of a bill in the journal.
enum KeptFile {
    /// WeChat has no statement for the day.
    Nothing,
    /// The unchanged file.
    File(PathBuf),
    /// The file is missing, or its bytes do not match its name.
    Damaged,
}

fn receipt_of(journal: &StageJournal, key: &str) -> Result<Receipt, Issue> {
    let entry = journal.entry(key)?.ok_or_else(|| Issue::not_journalled(1))?;
    serde_json::from_slice(&entry.pages[0].body)
        .map_err(|error| Issue::violation(format!("the journalled receipt of a bill is not readable: {error}")))
}

/// The place of the bill that the journal of a day says was kept, if it is not there.
///
/// # Errors
/// The journal cannot be read.
pub fn missing_bill(journal: &Journal, date: NaiveDate) -> Result<Option<PathBuf>, Issue> {
    let (stage, key) = (journal.stage(STAGE.as_str())?, date.to_string());
    if !stage.contains(&key) {
        return Ok(None);
    }
    let file = receipt_of(&stage, &key)?.file.map(|name| journal.place_of(STAGE.as_str(), &name));
    Ok(file.filter(|path| !path.exists()))
}

/// The bill that WeChat is asked for.
struct AskedBill<'n> {
    night: &'n Night<'n>,
    pay_v3: &'n PayV3,
    tar_type: TarType,
    journal: Arc<StageJournal>,
    /// Its key in the journal.
    key: String,
}

impl AskedBill<'_> {
    /// The kept bill and its receipt. A damaged one is downloaded again, once.
    async fn mended(&self) -> Result<(Receipt, KeptFile), Issue> {
        let (receipt, file) = self.kept()?;
        if !matches!(file, KeptFile::Damaged) {
            return Ok((receipt, file));
        }
        tracing::warn!("the kept bill of {} is damaged; it is downloaded again", self.key);
        self.journal.forget(&self.key);
        self.fetch().await?;
        // It has another name if it is zipped otherwise now.
        receipt.file.map_or(Ok(()), |damaged| self.night.journal.set_damaged_aside(STAGE.as_str(), &damaged))?;
        self.kept()
    }

    fn kept(&self) -> Result<(Receipt, KeptFile), Issue> {
        let receipt = receipt_of(&self.journal, &self.key)?;
        let file = match &receipt.file {
            None => KeptFile::Nothing,
            Some(name) => {
                let sound = self.night.journal.kept_file(STAGE.as_str(), name)?;
                sound.map_or(KeptFile::Damaged, KeptFile::File)
            }
        };
        Ok((receipt, file))
    }

    /// Downloads the bill and journals its receipt.
    async fn fetch(&self) -> Result<(), Issue> {
        let night = self.night;
        if !night.may_ask(STAGE) {
            return Err(Issue::not_journalled(1));
        }
        require_kept(night)?;
        night.require_ready(STAGE)?;
        let receipt = self.download().await?;
        night.apis.health.answered(Api::PayV3);
        night.watcher.advance(STAGE);
        let body = serde_json::to_vec(&receipt).map_err(|error| Issue::violation(error.to_string()))?;
        self.journal.append(Entry { key: self.key.clone(), pages: vec![receipt_page(night, body)] })?;
        self.journal.flush()?;
        Ok(())
    }

    /// Keeps the bill of the day as it comes; the journal must say so before it counts.
    async fn download(&self) -> Result<Receipt, Issue> {
        let night = self.night;
        let standing = night.apis.health.standing(Api::PayV3, STAGE);
        let retries = night.apis.retries.counter(STAGE);
        night.watcher.expect(STAGE, 1, &retries);
        let mut blob = night.journal.blob(STAGE.as_str())?;
        let download = self.pay_v3.fetch_trade_bill(night.date, self.tar_type, &mut blob);
        match counting_retries(&retries, standing.try_calls(download)).await {
            Ok(download) => {
                let file = blob.keep(if download.is_gzip { "csv.gz" } else { "csv" })?;
                Ok(Receipt { file: Some(file), sha1: Some(download.sha1_hex) })
            }
            // After the ready time, "no statement" means an empty day (design §12).
            Err(error) if error.kind() == FailureKind::NoStatement => Ok(Receipt { file: None, sha1: None }),
            // The API answers: what it announced is not what came.
            Err(error) if matches!(error.problem(), Problem::Digest { .. }) => {
                night.apis.health.answered(Api::PayV3);
                Err(Issue { kind: IssueKind::Incomplete, ..Issue::from(&error) })
            }
            Err(error) => {
                let issue = Issue::from(&error);
                night.apis.health.failed(Api::PayV3, &issue);
                Err(issue)
            }
        }
    }
}

fn receipt_page(night: &Night<'_>, body: Vec<u8>) -> Page {
    Page {
        fetched_at: super::answered::micros(night.world.clock.now()),
        method: "GET".into(),
        target: "/v3/bill/tradebill".into(),
        status: 200,
        body: body.into(),
        evidence: Evidence::default(),
    }
}

/// The oldest day whose bill WeChat still provides.
pub fn oldest_kept(now: DateTime<Utc>) -> NaiveDate {
    let today = clock::business_date_of(now);
    today.checked_sub_months(Months::new(KEPT_MONTHS)).unwrap_or(NaiveDate::MIN)
}

/// Fails at once for a bill that WeChat no longer keeps.
fn require_kept(night: &Night<'_>) -> Result<(), Issue> {
    if night.date >= oldest_kept(night.world.clock.now()) {
        return Ok(());
    }
    let what = format!("WeChat keeps bills for {KEPT_MONTHS} months; that of {} is gone", night.date);
    Err(Issue::new(IssueKind::Incomplete, what).hinting("use `bills.source = \"files\"` with a bill you kept"))
}

/// Sorts the rows of bills.
#[derive(Debug)]
struct Book {
    payments: Sorter,
    refunds: Sorter,
    unknown: UnknownValues,
}

impl Book {
    fn take(&mut self, entry: BillEntry<'_>) -> io::Result<()> {
        match entry {
            BillEntry::Payment(row) => {
                self.unknown.see([(TRADE_STATE, Some(row.trade_state))]);
                self.payments.push(&row)
            }
            BillEntry::Refund(row) => {
                self.unknown.see([(REFUND_STATUS, row.refund_status)]);
                self.refunds.push(&row)
            }
        }
    }

    /// Moves the rows out of memory: they wait until the wallets have been requested.
    fn set_aside(self) -> io::Result<Bills> {
        let Book { mut payments, mut refunds, unknown } = self;
        payments.set_aside()?;
        refunds.set_aside()?;
        Ok(Bills { payments, refunds, files: BillFiles::default(), unknown })
    }
}

/// Reads bills on a thread of its own: a large one takes minutes, in which requests must go on.
async fn booked<T: Send + 'static>(
    room: &Room,
    read: impl FnOnce(&mut Book) -> Result<T, BillError> + Send + 'static,
) -> Result<(Bills, T), Issue> {
    let mut book = Book { payments: Sorter::new(room), refunds: Sorter::new(room), unknown: UnknownValues::default() };
    let reading = tokio::task::spawn_blocking(move || {
        let read = read(&mut book).map_err(from_bill)?;
        Ok((book.set_aside().map_err(Issue::unsorted)?, read))
    });
    reading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// The rows of bills that agree with their trailers, and their control totals.
fn harvest(mut bills: Bills, stated: &[TradeBill]) -> Harvest<Bills> {
    let intake = |dataset, rows: fn(&TradeBill) -> u64, fen: fn(&TradeBill) -> Fen| Intake {
        pages: stated.len() as u64,
        read: stated.iter().map(rows).sum(),
        read_fen: stated.iter().map(fen).sum(),
        ..Intake::of(dataset)
    };
    let payments = intake(Payment::DATASET, |bill| bill.payments, |bill| bill.payments_fen);
    let refunds = intake(Refund::DATASET, |bill| bill.refunds, |bill| bill.refunds_fen);
    let unknown = std::mem::take(&mut bills.unknown).tell("row of the bill", "rows of the bill");
    Harvest { intake: vec![payments, refunds], ..Harvest::complete(bills) }.noting("unknown_values", unknown)
}

/// A trailer that differs from its details stops the night (design §12); a missing file has not arrived yet;
/// any other fault stops the stage.
fn from_bill(error: BillError) -> Issue {
    match error {
        BillError::TrailerDiffers { .. } => Issue::violation(error.to_string()).hinting(
            "the bill contradicts itself; download it again: with `--refetch`, or by hand where `bills.path` names it",
        ),
        BillError::Scratch { source, .. } => Issue::unsorted(source),
        BillError::Missing { .. } => Issue::new(IssueKind::NotReady, error.to_string())
            .hinting("put the downloaded bill there and run again; `bills.path` names it"),
        BillError::Read { source: ref cause, .. } => {
            Issue::new(IssueKind::Malformed, format!("{error}: {cause}")).hinting(
                "download it again: with `--refetch`, or by hand where `bills.path` names it; the user of this program must \
                 be allowed to read it",
            )
        }
        _ => Issue::new(IssueKind::Malformed, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "交易时间,微信订单号,商户订单号,交易状态,应结订单金额,微信退款单号,退款金额,订单金额,申请退款金额,手续费\n";
    const PAYMENT: &str = "`2026-11-18 08:00:00,`4200,`A1,`SUCCESS,`0.00,`0,`0.00,`0.00,`0.00,`0.00000\n";
    const REFUND: &str = "`2026-11-18 09:00:00,`4200,`A1,`REFUND,`0.00,`500,`0.00,`0.00,`0.00,`0.00000\n";

    fn bill(rows: &[&str]) -> String {
        let trailer = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
        format!("{HEADER}{}{trailer}\n`{},`0.00,`0.00,`0.00,`0.00,`0.00,`0.00\n", rows.concat(), rows.len())
    }

    #[test]
    fn a_row_that_stands_twice_is_named_by_bill_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let other = PAYMENT.replace("`4200,", "`4201,");
        let bills = [("a.csv", bill(&[PAYMENT, REFUND, PAYMENT])), ("b.csv", bill(&[&other, REFUND]))];
        let files = bills.map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            (name.to_owned(), path)
        });
        let files = BillFiles { date: "2026-11-18".parse().unwrap(), files: files.into() };
        let told = |dataset, key| files.stands_twice(dataset, key).map(|issue| (issue.kind, issue.what));
        let twice = |what: &str| Some((IssueKind::Violation, what.to_owned()));
        let payment = "the payment 4200, SUCCESS is in the bills of the day twice: `a.csv` line 2, `a.csv` line 4";
        assert_eq!(told("payments", "4200, SUCCESS"), twice(payment));
        let refund = "the refund 500 is in the bills of the day twice: `a.csv` line 3, `b.csv` line 3";
        assert_eq!(told("refunds", "500"), twice(refund));
        assert_eq!(told("payments", "4201, SUCCESS"), None);
    }
}
