//! A merchant of any size as published partitions, without a network and without a night: the same
//! number of coupons gives the same bytes. Codes, numbers and openids are as long as real ones; one
//! coupon in 200 is broken in one of the ways the rules look for.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::DataType;
use chrono::{Days, NaiveDate};
use coupon_recon::contract::{self, Contract};
use coupon_recon::dataset::Lake;
use coupon_recon::dataset::partition::{self, Provenance};

/// The measured night.
pub const DATE: &str = "2026-11-20";
/// Days of orders and bills the look-back holds.
const DAYS: u64 = 7;
const STOCKS: u64 = 20;
const ROWS_PER_BATCH: usize = 16_384;
const DAY_MICROS: i64 = 86_400_000_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How a coupon is broken. One in `RARITY` is broken in each way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    UsedWithoutOrder,
    ClaimedNotUsed,
    ClaimedTwice,
    AssociatedElsewhere,
    AssociatedToNobody,
    WrongDiscount,
    OtherUser,
    UsedLate,
    UsedAtOtherTime,
    WrongPayment,
    NotInBill,
    BillWithoutOrder,
    RefundNotReturned,
    RefundNotInBill,
    WrongSubsidy,
    SubsidyTwice,
    NoSubsidy,
    SubsidyForUnused,
    SubsidyStuck,
    UnknownCoupon,
}

const FAULTS: [Fault; 20] = {
    use Fault::*;
    [
        UsedWithoutOrder,
        ClaimedNotUsed,
        ClaimedTwice,
        AssociatedElsewhere,
        AssociatedToNobody,
        WrongDiscount,
        OtherUser,
        UsedLate,
        UsedAtOtherTime,
        WrongPayment,
        NotInBill,
        BillWithoutOrder,
        RefundNotReturned,
        RefundNotInBill,
        WrongSubsidy,
        SubsidyTwice,
        NoSubsidy,
        SubsidyForUnused,
        SubsidyStuck,
        UnknownCoupon,
    ]
};
const RARITY: u64 = 4_000;

/// What becomes of one coupon; all of it follows from the coupon's number.
#[derive(Clone, Copy)]
struct Life {
    number: u64,
    stock: u64,
    is_used: bool,
    is_returned: bool,
    fault: Option<Fault>,
    /// Counted from the first day of the look-back that has orders, which is 0.
    day: u64,
}

/// A table under construction.
struct Table {
    contract: &'static Contract,
    date: NaiveDate,
}

/// Writes the lake of a merchant with `coupons` coupons and the job file for it.
pub fn generate(folder: &Path, coupons: u64) -> Outcome<()> {
    let lake = Lake::at(folder.join("lake"));
    lake.prepare()?;
    std::fs::write(folder.join("job.toml"), job())?;
    let merchant = Merchant { lake, coupons, date: DATE.parse()? };
    merchant.write_wallets()?;
    merchant.write_receipts()?;
    for day in 0..DAYS {
        merchant.write_orders(day)?;
        merchant.write_bill(day)?;
        merchant.write_refunds(day)?;
        merchant.write_stocks(day)?;
    }
    merchant.write_empty_days()
}

/// The job of the merchant: every second stock has a subsidy programme.
fn job() -> String {
    let mut job = "[job]\nname = \"bench\"\nlake = \"lake\"\npii = \"raw\"\n".to_owned();
    for stock in (0..STOCKS).step_by(2) {
        let program = format!(
            "\n[[subsidy_programs]]\nstock_id = \"{}\"\npayer_merchant = \"1900000001\"\n\
             payee_merchant = \"1900000002\"\namount_fen = 100\n",
            stock_id(stock)
        );
        job.push_str(&program);
    }
    job
}

struct Merchant {
    lake: Lake,
    coupons: u64,
    date: NaiveDate,
}

impl Merchant {
    fn life(&self, number: u64) -> Life {
        let chance = mix(number, 1);
        let fault = usize::try_from(mix(number, 2) % RARITY).ok().and_then(|kind| FAULTS.get(kind).copied());
        let must_be_used = !matches!(
            fault,
            None | Some(
                Fault::ClaimedNotUsed | Fault::SubsidyForUnused | Fault::BillWithoutOrder | Fault::UnknownCoupon
            )
        );
        let is_used = match fault {
            None => chance % 10 < 6,
            Some(_) => must_be_used,
        };
        Life {
            number,
            stock: number * STOCKS / self.coupons,
            is_used,
            is_returned: is_used && fault.is_none() && chance % 1_000 < 10,
            fault,
            day: mix(number, 3) % DAYS,
        }
    }

    fn lives(&self) -> impl Iterator<Item = Life> + '_ {
        (0..self.coupons).map(|number| self.life(number))
    }

    fn write(&self, dataset: &str, date: NaiveDate, batches: impl Iterator<Item = RecordBatch>) -> Outcome<()> {
        let path = self.lake.partition(dataset, date);
        std::fs::create_dir_all(path.parent().expect("a partition has a folder"))?;
        let contract = contract::contract(dataset);
        partition::write_batches(&path, contract, &Provenance::default(), batches.map(Ok))?;
        std::fs::write(path.with_file_name("_SUCCESS"), "")?;
        Ok(())
    }

    fn day(&self, day: u64) -> NaiveDate {
        self.date - Days::new(DAYS - 1 - day)
    }

    fn openid(&self, user: u64) -> String {
        (0..4).map(|part| format!("{:016x}", mix(user, 100 + part))).collect()
    }

    fn user_of(&self, life: &Life) -> u64 {
        mix(life.number, 4) % (self.coupons / 5 + 1)
    }

    /// Micros of an instant `second` seconds into a day of the look-back, Shanghai.
    fn instant(&self, day: u64, second: u64) -> i64 {
        i64::from(days(self.day(day))) * DAY_MICROS - 8 * 3_600_000_000 + i64::try_from(second).unwrap() * 1_000_000
    }

    fn paid_at(&self, life: &Life) -> i64 {
        self.instant(life.day, 28_800 + mix(life.number, 5) % 43_200)
    }

    fn write_wallets(&self) -> Outcome<()> {
        // A coupon nobody knows is only ever claimed.
        let known = self.lives().filter(|life| life.fault != Some(Fault::UnknownCoupon));
        self.write("user_coupons", self.date, batches(known).map(|lives| self.wallets(&lives)))
    }

    fn wallets(&self, lives: &[Life]) -> RecordBatch {
        let table = Table { contract: contract::contract("user_coupons"), date: self.date };
        let used_at = |life: &Life| life.is_used.then(|| self.used_at(life));
        let is_expired = |life: &Life| !life.is_used && mix(life.number, 1) % 10 == 9;
        let state = |life: &Life| match life {
            life if life.is_returned => "SENDED",
            life if life.is_used => "USED",
            life if is_expired(life) => "EXPIRED",
            _ => "SENDED",
        };
        let expire = |life: &Life| match life.fault {
            Some(Fault::UsedLate) => self.used_at(life) - 3_600_000_000,
            _ if is_expired(life) => self.instant(0, 0),
            _ => self.instant(DAYS - 1, 86_400 * 20),
        };
        table.batch(
            lives.len(),
            vec![
                ("stock_id", text(lives, |life| Some(stock_id(life.stock)))),
                ("coupon_code", text(lives, |life| Some(self.code(life)))),
                ("openid", text(lives, |life| Some(self.openid(self.user_of(life))))),
                ("belong_merchant", text(lives, |_| Some("1900000001".to_owned()))),
                ("stock_name", text(lives, |life| Some(format!("满减券第{}批", life.stock)))),
                ("stock_type", text(lives, |life| Some(stock_type(life.stock).to_owned()))),
                ("coupon_state", text(lives, |life| Some(state(life).to_owned()))),
                ("discount_amount_fen", integer(lives, |life| (stock_type(life.stock) == "NORMAL").then_some(500))),
                ("discount_percent", integer(lives, |life| (stock_type(life.stock) == "DISCOUNT").then_some(80))),
                ("exchange_price_fen", integer(lives, |life| (stock_type(life.stock) == "EXCHANGE").then_some(990))),
                ("transaction_minimum_fen", integer(lives, |_| Some(1_000))),
                ("available_start_time", instant(lives, |_| Some(self.instant(0, 0) - 40 * DAY_MICROS))),
                ("expire_time", instant(lives, |life| Some(expire(life)))),
                ("receive_time", instant(lives, |life| Some(self.received_at(life)))),
                ("send_request_no", text(lives, |life| Some(format!("SEND{:024}", scatter(life.number, 9))))),
                (
                    "use_request_no",
                    text(lives, |life| life.is_used.then(|| format!("USE{:025}", scatter(life.number, 8)))),
                ),
                ("use_time", instant(lives, used_at)),
                ("associate_out_trade_no", text(lives, |life| self.association(life))),
                ("return_request_no", text(lives, |life| life.is_returned.then(|| format!("RET{:025}", life.number)))),
                ("return_time", instant(lives, |life| life.is_returned.then(|| self.used_at(life) + 60_000_000))),
                ("verified_date", self.dates(lives)),
            ],
        )
    }

    fn code(&self, life: &Life) -> String {
        const STEP: u64 = 97_000_000_007;
        format!("1{:019}", life.number * STEP + mix(life.number, 6) % STEP)
    }

    fn received_at(&self, life: &Life) -> i64 {
        self.instant(0, mix(life.number, 7) % 86_400)
            - (1 + i64::try_from(mix(life.number, 7) % 30).unwrap()) * DAY_MICROS
    }

    fn used_at(&self, life: &Life) -> i64 {
        let later = if life.fault == Some(Fault::UsedAtOtherTime) { 3_600_000_000 } else { 20_000_000 };
        self.paid_at(life) + later
    }

    fn association(&self, life: &Life) -> Option<String> {
        match life.fault {
            Some(Fault::AssociatedElsewhere | Fault::AssociatedToNobody) => {
                Some(format!("WX{:022}", scatter(life.number, 77)))
            }
            _ if life.is_used && life.fault.is_none() && mix(life.number, 10).is_multiple_of(3) => {
                Some(self.out_trade_no(life))
            }
            _ => None,
        }
    }

    fn out_trade_no(&self, life: &Life) -> String {
        out_trade_no(self.day(life.day), scatter(life.number, 0))
    }

    fn transaction_id(&self, life: &Life) -> String {
        format!("4200{}{:016}", self.day(life.day).format("%Y%m%d"), scatter(life.number, 1))
    }

    fn dates(&self, lives: &[Life]) -> ArrayRef {
        Arc::new(Date32Array::from_value(days(self.date), lives.len()))
    }

    fn goods(life: &Life) -> i64 {
        1_500 + i64::try_from(mix(life.number, 11) % 60).unwrap() * 100
    }

    fn discount(life: &Life) -> i64 {
        let goods = Self::goods(life);
        let right = match stock_type(life.stock) {
            "NORMAL" => 500,
            "DISCOUNT" => (goods * 20 + 50) / 100,
            _ => goods - 990,
        };
        if life.fault == Some(Fault::WrongDiscount) { right - 100 } else { right }
    }

    fn has_order(life: &Life) -> bool {
        match life.fault {
            None => life.is_used,
            Some(
                Fault::UsedWithoutOrder | Fault::BillWithoutOrder | Fault::AssociatedToNobody | Fault::SubsidyForUnused,
            ) => false,
            Some(_) => true,
        }
    }

    fn is_refunded(life: &Life) -> bool {
        life.is_returned || matches!(life.fault, Some(Fault::RefundNotReturned | Fault::RefundNotInBill))
    }

    /// The lives of a day, ordered by a number unrelated to the order of the coupons.
    fn by_number(&self, day: u64, number: u64, is_wanted: impl Fn(&Life) -> bool) -> Vec<u64> {
        let wanted = self.lives().filter(|life| life.day == day && is_wanted(life));
        let mut numbers: Vec<_> = wanted.map(|life| (scatter(life.number, number), life.number)).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|(_, life)| life).collect()
    }

    fn write_orders(&self, day: u64) -> Outcome<()> {
        let lives = self.by_number(day, 0, Self::has_order);
        let lines = lives.into_iter().flat_map(|number| {
            let life = self.life(number);
            let copies = if life.fault == Some(Fault::ClaimedTwice) { 2 } else { 1 };
            (0..copies).map(move |copy| (life, copy))
        });
        self.write("orders", self.day(day), batches(lines).map(|lines| self.orders(day, &lines)))
    }

    fn orders(&self, day: u64, lines: &[(Life, u64)]) -> RecordBatch {
        let table = Table { contract: contract::contract("orders"), date: self.day(day) };
        let user = |life: &Life| self.user_of(life) + u64::from(life.fault == Some(Fault::OtherUser));
        let refund = |life: &Life| if Self::is_refunded(life) { Self::goods(life) - Self::discount(life) } else { 0 };
        let number =
            |(life, copy): &(Life, u64)| format!("{}{}", self.out_trade_no(life), if *copy > 0 { "B" } else { "" });
        let transaction = |(life, copy): &(Life, u64)| (*copy == 0).then(|| self.transaction_id(life));
        table.batch(
            lines.len(),
            vec![
                ("out_trade_no", text(lines, |line| Some(number(line)))),
                ("stock_id", text(lines, |(life, _)| Some(stock_id(life.stock)))),
                ("coupon_code", text(lines, |(life, _)| Some(self.code(life)))),
                ("transaction_id", text(lines, transaction)),
                ("merchant", text(lines, |_| Some("1900000001".to_owned()))),
                ("openid", text(lines, |(life, _)| Some(self.openid(user(life))))),
                ("product", text(lines, |_| Some("拿铁, 大杯".to_owned()))),
                ("paid_at", instant(lines, |(life, _)| Some(self.paid_at(life)))),
                ("goods_fen", integer(lines, |(life, _)| Some(Self::goods(life)))),
                ("discount_fen", integer(lines, |(life, _)| Some(Self::discount(life)))),
                ("paid_fen", integer(lines, |(life, _)| Some(Self::goods(life) - Self::discount(life)))),
                ("refund_fen", integer(lines, |(life, _)| Some(refund(life)))),
                ("source_file", text(lines, |_| Some(format!("orders/{}.csv", self.day(day))))),
                ("source_line", integer(lines, |(life, _)| i64::try_from(life.number).ok())),
            ],
        )
    }

    fn write_bill(&self, day: u64) -> Outcome<()> {
        let is_billed = |life: &Life| {
            Self::has_order(life) && life.fault != Some(Fault::NotInBill) || life.fault == Some(Fault::BillWithoutOrder)
        };
        let lives = self.by_number(day, 1, is_billed).into_iter().map(|number| self.life(number));
        self.write("payments", self.day(day), batches(lives).map(|lives| self.payments(day, &lives)))
    }

    fn payments(&self, day: u64, lives: &[Life]) -> RecordBatch {
        let table = Table { contract: contract::contract("payments"), date: self.day(day) };
        let paid =
            |life: &Life| Self::goods(life) - Self::discount(life) + i64::from(life.fault == Some(Fault::WrongPayment));
        table.batch(
            lives.len(),
            vec![
                ("transaction_id", text(lives, |life| Some(self.transaction_id(life)))),
                ("trade_state", text(lives, |_| Some("SUCCESS".to_owned()))),
                ("trade_time", instant(lives, |life| Some(self.paid_at(life)))),
                ("appid", text(lives, |_| Some("wx5edab3bdfba3dc1c".to_owned()))),
                ("mchid", text(lives, |_| Some("1900000001".to_owned()))),
                ("out_trade_no", text(lives, |life| Some(self.out_trade_no(life)))),
                ("openid", text(lives, |life| Some(self.openid(self.user_of(life))))),
                ("trade_type", text(lives, |_| Some("JSAPI".to_owned()))),
                ("settled_fen", integer(lives, |life| Some(paid(life)))),
                ("order_fen", integer(lives, |life| Some(paid(life)))),
            ],
        )
    }

    fn write_refunds(&self, day: u64) -> Outcome<()> {
        let is_listed = |life: &Life| {
            Self::has_order(life) && Self::is_refunded(life) && life.fault != Some(Fault::RefundNotInBill)
        };
        let lives = self.by_number(day, 2, is_listed).into_iter().map(|number| self.life(number));
        self.write("refunds", self.day(day), batches(lives).map(|lives| self.refunds(day, &lives)))
    }

    fn refunds(&self, day: u64, lives: &[Life]) -> RecordBatch {
        let table = Table { contract: contract::contract("refunds"), date: self.day(day) };
        let paid = |life: &Life| Some(Self::goods(life) - Self::discount(life));
        table.batch(
            lives.len(),
            vec![
                ("refund_id", text(lives, |life| Some(format!("5030{:024}", scatter(life.number, 2))))),
                ("transaction_id", text(lives, |life| Some(self.transaction_id(life)))),
                ("out_trade_no", text(lives, |life| Some(self.out_trade_no(life)))),
                ("accepted_time", instant(lives, |life| Some(self.paid_at(life) + 600_000_000))),
                ("refund_status", text(lives, |_| Some("SUCCESS".to_owned()))),
                ("refund_fen", integer(lives, paid)),
                ("applied_refund_fen", integer(lives, paid)),
            ],
        )
    }

    fn write_receipts(&self) -> Outcome<()> {
        let mut receipts: Vec<(u64, u64)> = Vec::new();
        for life in self.lives().filter(Self::is_subsidised) {
            receipts.push((scatter(life.number, 3), life.number));
            if life.fault == Some(Fault::SubsidyTwice) {
                receipts.push((scatter(life.number + self.coupons, 3), life.number));
            }
        }
        receipts.sort_unstable();
        let receipts = receipts.into_iter().map(|(number, life)| (number, self.life(life)));
        self.write("subsidy_payments", self.date, batches(receipts).map(|receipts| self.receipts(&receipts)))
    }

    fn is_subsidised(life: &Life) -> bool {
        let is_used = life.is_used && !life.is_returned && life.fault != Some(Fault::NoSubsidy);
        life.stock.is_multiple_of(2) && (is_used || life.fault == Some(Fault::SubsidyForUnused))
    }

    fn receipts(&self, receipts: &[(u64, Life)]) -> RecordBatch {
        let table = Table { contract: contract::contract("subsidy_payments"), date: self.date };
        let amount = |life: &Life| 100 - i64::from(life.fault == Some(Fault::WrongSubsidy)) * 20;
        let status = |life: &Life| if life.fault == Some(Fault::SubsidyStuck) { "ACCEPTED" } else { "SUCCESS" };
        table.batch(
            receipts.len(),
            vec![
                ("out_subsidy_no", text(receipts, |(number, _)| Some(format!("SUB{number:025}")))),
                ("subsidy_receipt_id", text(receipts, |(number, _)| Some(format!("1119{number:024}")))),
                ("stock_id", text(receipts, |(_, life)| Some(stock_id(life.stock)))),
                ("coupon_code", text(receipts, |(_, life)| Some(self.code(life)))),
                ("transaction_id", text(receipts, |(_, life)| Some(self.transaction_id(life)))),
                ("payer_merchant", text(receipts, |_| Some("1900000001".to_owned()))),
                ("payee_merchant", text(receipts, |_| Some("1900000002".to_owned()))),
                ("amount_fen", integer(receipts, |(_, life)| Some(amount(life)))),
                ("status", text(receipts, |(_, life)| Some(status(life).to_owned()))),
                ("create_time", instant(receipts, |(_, life)| Some(self.paid_at(life) + 3_600_000_000))),
                ("success_time", instant(receipts, |(_, life)| Some(self.paid_at(life) + 3_601_000_000))),
                ("verified_date", Arc::new(Date32Array::from_value(days(self.date), receipts.len()))),
            ],
        )
    }

    fn write_stocks(&self, day: u64) -> Outcome<()> {
        let table = Table { contract: contract::contract("stocks"), date: self.day(day) };
        let stocks: Vec<u64> = (0..STOCKS).collect();
        let sent = i64::try_from(self.coupons / STOCKS + 1)?;
        let batch = table.batch(
            stocks.len(),
            vec![
                ("stock_id", text(&stocks, |stock| Some(stock_id(*stock)))),
                ("belong_merchant", text(&stocks, |_| Some("1900000001".to_owned()))),
                ("stock_type", text(&stocks, |stock| Some(stock_type(*stock).to_owned()))),
                ("stock_state", text(&stocks, |_| Some("RUNNING".to_owned()))),
                ("discount_amount_fen", integer(&stocks, |stock| (stock_type(*stock) == "NORMAL").then_some(500))),
                ("transaction_minimum_fen", integer(&stocks, |_| Some(1_000))),
                ("max_coupons", integer(&stocks, |_| Some(sent))),
                ("max_coupons_per_user", integer(&stocks, |_| Some(5))),
                ("total_send_num", integer(&stocks, |_| Some(sent))),
            ],
        );
        self.write("stocks", self.day(day), std::iter::once(batch))
    }

    /// Every source is there, most of them empty; the merchant keeps no subsidy ledger. Wallets and
    /// receipts show the present: the file of D serves the night before it too.
    fn write_empty_days(&self) -> Outcome<()> {
        let made_elsewhere = ["coupon_ledger", "breaks", "subsidy_orders", "user_coupons", "subsidy_payments"];
        for contract in contract::all().filter(|contract| !made_elsewhere.contains(&contract.name.as_str())) {
            for day in 0..DAYS {
                if !self.lake.partition(&contract.name, self.day(day)).exists() {
                    self.write(&contract.name, self.day(day), std::iter::empty())?;
                }
            }
        }
        Ok(())
    }
}

impl Table {
    /// A batch in the contract's schema: a column not given is null, or the zero of its type.
    fn batch(&self, rows: usize, given: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let schema = self.contract.arrow();
        let column = |field: &Arc<arrow::datatypes::Field>| -> ArrayRef {
            if let Some((_, array)) = given.iter().find(|(name, _)| name == field.name()) {
                return array.clone();
            }
            match field.data_type() {
                DataType::Date32 if field.name() == "business_date" => {
                    Arc::new(Date32Array::from_value(days(self.date), rows))
                }
                DataType::Int64 if !field.is_nullable() => Arc::new(Int64Array::from_value(0, rows)),
                kind => arrow::array::new_null_array(kind, rows),
            }
        };
        let columns = schema.fields().iter().map(column).collect();
        RecordBatch::try_new(schema, columns).expect("the columns are the contract's")
    }
}

fn text<T>(rows: &[T], cell: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(cell).collect::<StringArray>())
}

fn integer<T>(rows: &[T], cell: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(cell).collect::<Int64Array>())
}

fn instant<T>(rows: &[T], cell: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(cell).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn batches<T>(mut rows: impl Iterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let batch: Vec<T> = rows.by_ref().take(ROWS_PER_BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    })
}

fn stock_id(stock: u64) -> String {
    format!("12888800000{stock:05}")
}

fn stock_type(stock: u64) -> &'static str {
    match stock % 10 {
        8 => "DISCOUNT",
        9 => "EXCHANGE",
        _ => "NORMAL",
    }
}

fn out_trade_no(day: NaiveDate, number: u64) -> String {
    format!("WX{}{number:014}", day.format("%Y%m%d"))
}

fn days(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).expect("a day of this century")
}

/// A number that looks random, the same for the same input (splitmix64).
fn mix(number: u64, salt: u64) -> u64 {
    let mut value = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(salt.wrapping_mul(0xD1B5_4A32_D192_ED03));
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A number below 2⁴⁰ that no other input gives: an odd multiplier and a shift are bijections.
fn scatter(number: u64, salt: u64) -> u64 {
    const MASK: u64 = (1 << 40) - 1;
    let mut value = (number ^ (salt << 33)) & MASK;
    for multiplier in [0x5851_F42D_4C95_7F2D_u64, 0x1405_7B7E_F767_814F] {
        value = value.wrapping_mul(multiplier) & MASK;
        value ^= value >> 19;
    }
    value
}
