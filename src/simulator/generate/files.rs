//! Writes a merchant as files: job, secrets, exports, spool, world and truth. Writes below one
//! folder only; reads nothing.

use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::clock::beijing;

use super::books::{BillRow, ExportRow, SubsidyRow};
use super::credentials::Credentials;
use super::job_file::{self, KeyMode};
use super::merchant::Merchant;
use super::recipe::GenerateError;
use super::vouchers::VOUCHERS;
use super::{bill, notifications, truth};

const ORDER_COLUMNS: [&str; 14] = [
    "商户订单号",
    "微信支付订单号",
    "商户号",
    "用户标识",
    "支付时间",
    "商品金额",
    "券优惠金额",
    "实付金额",
    "退款金额",
    "批次号",
    "券码",
    "支付渠道",
    "商品名称",
    "备注",
];
const SUBSIDY_COLUMNS: [&str; 9] = [
    "out_subsidy_no",
    "subsidy_receipt_id",
    "subsidy_return_receipt_id",
    "stock_id",
    "coupon_code",
    "transaction_id",
    "payer_merchant",
    "payee_merchant",
    "amount",
];
const DECISION_COLUMNS: [&str; 5] = ["break_id", "decision", "reason", "approver", "expires_on"];

/// Name of a day's bill inside the world folder.
pub(super) fn bill_name(date: NaiveDate) -> String {
    format!("bills/{}.csv", date.format("%Y%m%d"))
}

/// Writes everything below `folder`.
pub(super) fn write(merchant: &mut Merchant, folder: &Path) -> Result<(), GenerateError> {
    let credentials = Credentials::forge(merchant.recipe.seed)?;
    merchant.books.world.account = credentials.account.clone();
    let folder = Folder { path: folder.to_path_buf() };
    write_job(merchant, &credentials, &folder)?;
    write_secrets(&credentials, &folder)?;
    write_notifications(merchant, &credentials, &folder)?;
    for date in merchant.calendar.dates() {
        write_orders(merchant, date, &folder)?;
        write_subsidies(merchant, date, &folder)?;
        write_bill(merchant, date, &folder)?;
        folder.csv(&format!("truth/{date}.csv"), &truth::COLUMNS, truth::rows(&merchant.breaks, date))?;
    }
    write_rosters(merchant, &folder)?;
    folder.json_lines("world/world.json", &merchant.books.world)
}

fn write_job(merchant: &Merchant, credentials: &Credentials, folder: &Folder) -> Result<(), GenerateError> {
    for (name, mode) in [("job.toml", KeyMode::PublicKey), ("job-certificates.toml", KeyMode::Certificates)] {
        folder.text(name, &job_file::render(merchant, credentials, mode))?;
    }
    folder.csv("decisions.csv", &DECISION_COLUMNS, truth::decisions(&merchant.breaks))
}

fn write_secrets(credentials: &Credentials, folder: &Folder) -> Result<(), GenerateError> {
    let account = &credentials.account;
    let secrets = [
        ("secrets/apiclient_key.pem", &credentials.merchant_key_pem),
        ("secrets/wxp_pub.pem", &credentials.platform_public_key_pem),
        ("secrets/pii.key", &credentials.pii_key),
        ("secrets/api_v3.key", &account.api_v3_key),
        ("secrets/v2.key", &account.v2_key),
        ("secrets/mp.secret", &account.mp_secret),
    ];
    secrets.into_iter().try_for_each(|(name, content)| folder.secret(name, content))
}

fn write_notifications(merchant: &Merchant, credentials: &Credentials, folder: &Folder) -> Result<(), GenerateError> {
    let coupons = &merchant.books.world.coupons;
    let files = notifications::spool(coupons, merchant.calendar, credentials, merchant.recipe.seed)?;
    for file in files {
        folder.text(&format!("notifications/{}", file.name), &format!("{:#}\n", file.content))?;
    }
    Ok(())
}

/// How spreadsheets begin a file.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// One of the days comes with a byte order mark.
fn write_orders(merchant: &Merchant, date: NaiveDate, folder: &Folder) -> Result<(), GenerateError> {
    let mut lines: Vec<&ExportRow> = merchant.books.exports.iter().filter(|row| row.file_date == date).collect();
    lines.sort_by(|left, right| (left.paid_at, &left.out_trade_no).cmp(&(right.paid_at, &right.out_trade_no)));
    let start = if date == merchant.calendar.date(1) { BYTE_ORDER_MARK } else { "" };
    let rows = lines.into_iter().map(order_cells);
    folder.csv_after(start, &format!("orders/{date}.csv"), &ORDER_COLUMNS, rows)
}

fn order_cells(row: &ExportRow) -> [String; 14] {
    let line = &row.line;
    let paid_at = row.paid_at.map(|time| time.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S").to_string());
    [
        row.out_trade_no.clone(),
        row.transaction_id.clone(),
        row.merchant.to_owned(),
        row.openid.clone(),
        paid_at.unwrap_or_default(),
        line.goods_fen.to_string(),
        line.discount_fen.to_string(),
        line.paid_fen.to_string(),
        line.refund_fen.to_string(),
        line.stock_id.clone(),
        line.coupon_code.clone(),
        row.channel.name().to_owned(),
        line.product.to_owned(),
        line.remark.to_owned(),
    ]
}

fn write_subsidies(merchant: &Merchant, date: NaiveDate, folder: &Folder) -> Result<(), GenerateError> {
    let mut lines: Vec<&SubsidyRow> = merchant.books.subsidies.iter().filter(|row| row.file_date == date).collect();
    lines.sort_by_key(|row| (&row.out_subsidy_no, &row.subsidy_return_receipt_id));
    folder.csv(&format!("subsidy-orders/{date}.csv"), &SUBSIDY_COLUMNS, lines.into_iter().map(subsidy_cells))
}

fn subsidy_cells(row: &SubsidyRow) -> [String; 9] {
    [
        row.out_subsidy_no.clone(),
        row.subsidy_receipt_id.clone(),
        row.subsidy_return_receipt_id.clone(),
        row.stock_id.clone(),
        row.coupon_code.clone(),
        row.transaction_id.clone(),
        row.payer.to_owned(),
        row.payee.to_owned(),
        row.amount_fen.0.to_string(),
    ]
}

fn write_bill(merchant: &Merchant, date: NaiveDate, folder: &Folder) -> Result<(), GenerateError> {
    let Some(name) = merchant.books.world.bills.get(&date.to_string()) else { return Ok(()) };
    let rows: Vec<&BillRow> = merchant.bill_rows(date).collect();
    folder.text(&format!("world/{name}"), &bill::render(&rows))
}

fn write_rosters(merchant: &Merchant, folder: &Folder) -> Result<(), GenerateError> {
    folder.csv("roster.csv", &["openid"], merchant.users.iter().map(|openid| [openid]))?;
    let vouchers =
        VOUCHERS.iter().map(|voucher| [voucher.coupon_id, merchant.users[voucher.user].as_str(), voucher.stock_id]);
    folder.csv("v2-coupons.csv", &["coupon_id", "openid", "stock_id"], vouchers)
}

/// The folder everything goes to.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn text(&self, name: &str, content: &str) -> Result<(), GenerateError> {
        self.make(name, |path| fs::write(path, content))
    }

    /// Only for its owner, in a folder only for its owner; no newline is added.
    fn secret(&self, name: &str, content: &str) -> Result<(), GenerateError> {
        self.make(name, |path| {
            if let Some(parent) = path.parent() {
                fs::set_permissions(parent, fs::Permissions::from_mode(0o700))?;
            }
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
            file.write_all(content.as_bytes())
        })
    }

    fn csv<Row, Cell>(
        &self,
        name: &str,
        header: &[&str],
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), GenerateError>
    where
        Row: IntoIterator<Item = Cell>,
        Cell: AsRef<[u8]>,
    {
        self.csv_after("", name, header, rows)
    }

    /// The same after the bytes of `start`.
    fn csv_after<Row, Cell>(
        &self,
        start: &str,
        name: &str,
        header: &[&str],
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), GenerateError>
    where
        Row: IntoIterator<Item = Cell>,
        Cell: AsRef<[u8]>,
    {
        self.make(name, |path| {
            let mut file = BufWriter::new(fs::File::create(path)?);
            file.write_all(start.as_bytes())?;
            let mut writer = csv::Writer::from_writer(file);
            writer.write_record(header)?;
            rows.into_iter().try_for_each(|row| writer.write_record(row))?;
            writer.flush()
        })
    }

    /// JSON with one line per entry of its members, so that a difference can be read.
    fn json_lines(&self, name: &str, content: &impl Serialize) -> Result<(), GenerateError> {
        self.make(name, |path| {
            let mut file = BufWriter::new(fs::File::create(path)?);
            content.serialize(&mut serde_json::Serializer::with_formatter(&mut file, EntryLines::default()))?;
            file.write_all(b"\n")?;
            file.flush()
        })
    }

    /// Has a file written, in a folder that exists.
    fn make(&self, name: &str, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), GenerateError> {
        let path = self.path.join(name);
        let parent = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(parent).map_err(|source| GenerateError::Write { path: parent.to_owned(), source })?;
        write(&path).map_err(|source| GenerateError::Write { path, source })
    }
}

/// Breaks lines between members and between their entries, not deeper.
#[derive(Default)]
struct EntryLines {
    depth: usize,
}

impl EntryLines {
    const DEEPEST: usize = 2;

    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> std::io::Result<()> {
        self.depth += 1;
        writer.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> std::io::Result<()> {
        self.depth -= 1;
        writer.write_all(bracket)
    }

    fn separate<W: ?Sized + Write>(&self, writer: &mut W, is_first: bool) -> std::io::Result<()> {
        if !is_first {
            writer.write_all(b",")?;
        }
        if self.depth <= Self::DEEPEST { writer.write_all(b"\n") } else { Ok(()) }
    }
}

impl Formatter for EntryLines {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        self.separate(writer, first)
    }
}
