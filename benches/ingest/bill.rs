//! A trade bill of one day in the 27 columns of today, rows by time, keys in no order; one row in 30 a refund.

use std::io::{self, Write};

use crate::dice::{Dice, scattered};

/// A job whose only source is the bill.
pub(super) const JOB: &str = r#"[job]
name = "bench-bill"
lake = "lake"
pii = "raw"

[bills]
source = "files"
path = "bill/{yyyymmdd}.csv"
"#;

const COLUMNS: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const TOTALS: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const NAMES: [&str; 6] = [
    "瑞云咖啡-拿铁（大杯,热）",
    "瑞云咖啡-美式咖啡",
    "生椰拿铁",
    "燕麦拿铁 少冰",
    "瑞云咖啡-早餐组合",
    "抹茶拿铁,加浓",
];
const BANKS: [&str; 6] = ["OTHERS", "CMB_DEBIT", "ICBC_DEBIT", "CCB_CREDIT", "ABC_DEBIT", "BOC_DEBIT"];

/// One row before it is written.
struct Row {
    second: u64,
    store: u64,
    transaction_id: String,
    out_trade_no: String,
    openid: String,
    is_refund: bool,
    bank: &'static str,
    name: &'static str,
    fen: u64,
    fee_millifen: u64,
}

/// Rows of the day, without end.
struct Rows {
    dice: Dice,
    number: u64,
}

impl Rows {
    fn new() -> Rows {
        Rows { dice: Dice::new(20_261_118), number: 0 }
    }

    fn next(&mut self) -> Row {
        let dice = &mut self.dice;
        self.number += 1;
        let fen = 900 + dice.below(9_000);
        Row {
            second: (self.number / 300) % 86_400,
            store: dice.below(800),
            transaction_id: format!("4200{:06}20261118{:010}", 2_000 + dice.below(900), scattered(self.number)),
            out_trade_no: format!("WX20261118{:06}{:010}", dice.below(800), self.number),
            openid: dice.openid(),
            is_refund: dice.below(30) == 0,
            bank: dice.pick(&BANKS),
            name: dice.pick(&NAMES),
            fen,
            fee_millifen: fen * 6,
        }
    }
}

/// The cells of a row, in the order of the columns.
fn cells(row: &Row, number: u64) -> [String; 27] {
    let time = format!("2026-11-18 {:02}:{:02}:{:02}", row.second / 3600, row.second / 60 % 60, row.second % 60);
    let yuan = |fen: u64| format!("{}.{:02}", fen / 100, fen % 100);
    let (paid, back) = if row.is_refund { (0, row.fen) } else { (row.fen, 0) };
    let only_refund = |text: &str| if row.is_refund { text.to_owned() } else { String::new() };
    let refund_id = |prefix: &str| if row.is_refund { format!("{prefix}{number:020}") } else { "0".to_owned() };
    let sign = if row.is_refund { "-" } else { "" };
    [
        time,
        "wx2421b1c4370ec43b".into(),
        "1900000001".into(),
        "0".into(),
        format!("S{:04}", row.store),
        row.transaction_id.clone(),
        row.out_trade_no.clone(),
        row.openid.clone(),
        "JSAPI".into(),
        if row.is_refund { "REFUND" } else { "SUCCESS" }.into(),
        row.bank.into(),
        "CNY".into(),
        yuan(paid),
        "0.00".into(),
        refund_id("50300"),
        refund_id("RF"),
        yuan(back),
        "0.00".into(),
        only_refund("ORIGINAL"),
        only_refund("SUCCESS"),
        row.name.into(),
        format!("store={};shift=1", row.store),
        format!("{sign}{}.{:05}", row.fee_millifen / 100_000, row.fee_millifen % 100_000),
        "0.60%".into(),
        yuan(paid),
        yuan(back),
        String::new(),
    ]
}

/// Counts the bytes that pass through.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a bill of about `bytes` bytes.
pub(super) fn write_bill<W: Write>(to: W, bytes: u64) -> io::Result<W> {
    let mut to = Counted { inner: to, bytes: 0 };
    write!(to, "\u{feff}{COLUMNS}\r\n")?;
    let (mut rows, mut paid, mut back, mut fees) = (Rows::new(), 0, 0, 0_i64);
    while to.bytes < bytes {
        let row = rows.next();
        let line: String = cells(&row, rows.number).iter().flat_map(|cell| [",`", cell.as_str()]).collect();
        write!(to, "{}\r\n", &line[1..])?;
        let fee = i64::try_from(row.fee_millifen).expect("a fee");
        (paid, back, fees) = match row.is_refund {
            true => (paid, back + row.fen, fees - fee),
            false => (paid + row.fen, back, fees + fee),
        };
    }
    let yuan = |fen: u64| format!("{}.{:02}", fen / 100, fen % 100);
    let (paid, back, fees) = (yuan(paid), yuan(back), format!("{}.{:05}", fees / 100_000, fees % 100_000));
    write!(to, "{TOTALS}\r\n`{}.0,`{paid},`{back},`0.00,`{fees},`{paid},`{back}\r\n", rows.number)?;
    Ok(to.inner)
}

/// Writes the rows of a bill of `bytes` bytes: a header, commas, quotes where they are needed, no trailer.
pub(super) fn write_rows<W: Write>(mut to: W, bytes: u64) -> io::Result<W> {
    let (mut rows, mut bill_bytes) = (Rows::new(), COLUMNS.len() as u64 + 5);
    writeln!(to, "{COLUMNS}")?;
    while bill_bytes < bytes {
        let row = rows.next();
        let cells = cells(&row, rows.number);
        bill_bytes += cells.iter().map(|cell| cell.len() as u64 + 2).sum::<u64>() + 1;
        let quoted = cells.map(|cell| if cell.contains(',') { format!("\"{cell}\"") } else { cell });
        writeln!(to, "{}", quoted.join(","))?;
    }
    Ok(to)
}
