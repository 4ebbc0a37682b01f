//! A second opinion on the truth: reads the records as of a night and judges coupons, orders and
//! subsidies by design §7 in the simplest way. Only for tests; the generator never uses it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;

use super::super::books::{BillEntry, Channel, ExportRow};
use super::super::catalog::{
    ASSOCIATED, CATALOG, DISCOUNT, FRANCHISEE, MAX_COUPONS_PER_USER, MCHID, SHARED_SUBSIDY, Stock,
};
use super::super::{Key, Merchant};
use crate::clock::{business_date_of, end_of};
use crate::money::Fen;
use crate::simulator::world::{Coupon, Event};

/// A rule and a key it speaks on.
pub(super) type Finding = (&'static str, Key);

/// Everything but counts of vouchers and cards, at the end of `date`; SU01 with `expected` ones.
pub(super) fn judge(merchant: &Merchant, date: NaiveDate) -> BTreeSet<Finding> {
    let night = Night::of(merchant, date);
    let mut findings = BTreeSet::new();
    night.judge_coupons(&mut findings);
    night.judge_unknown_claims(&mut findings);
    night.judge_orders(&mut findings);
    night.judge_receipts(&mut findings);
    night.judge_stocks(&mut findings);
    findings
}

/// An order with its lines as last exported, and its side of the bill.
struct Order<'a> {
    lines: Vec<&'a ExportRow>,
    refund: Fen,
    paid: Fen,
    billed: Option<Fen>,
    bill_refund: Fen,
    refunded_at: Option<DateTime<Utc>>,
}

impl Order<'_> {
    fn is_paid(&self) -> bool {
        self.lines[0].paid_at.is_some()
    }

    fn is_refunded(&self) -> bool {
        self.paid > Fen::ZERO && self.refund.max(self.bill_refund) >= self.paid
    }

    fn is_live(&self) -> bool {
        self.is_paid() && !self.is_refunded()
    }
}

/// A receipt as of the night.
struct Receipt<'a> {
    out_subsidy_no: &'a str,
    transaction_id: &'a str,
    payee: &'a str,
    amount: Fen,
    status: String,
    created_at: DateTime<Utc>,
}

impl Receipt<'_> {
    fn is_live(&self) -> bool {
        !matches!(self.status.as_str(), "FAIL" | "FULL_RETURN")
    }

    fn is_paid(&self) -> bool {
        matches!(self.status.as_str(), "SUCCESS" | "RETURNING" | "PARTIAL_RETURN" | "FULL_RETURN")
    }
}

type CouponId<'a> = (&'a str, &'a str);

/// The books as of the end of a date.
struct Night<'a> {
    merchant: &'a Merchant,
    end: DateTime<Utc>,
    orders: BTreeMap<&'a str, Order<'a>>,
    claims: BTreeMap<CouponId<'a>, BTreeSet<&'a str>>,
    receipts: BTreeMap<CouponId<'a>, Vec<Receipt<'a>>>,
    returned: BTreeMap<CouponId<'a>, Fen>,
    ledger: BTreeMap<&'a str, CouponId<'a>>,
    payments: BTreeSet<&'a str>,
}

impl<'a> Night<'a> {
    fn of(merchant: &'a Merchant, date: NaiveDate) -> Night<'a> {
        let mut night = Night {
            merchant,
            end: end_of(date),
            orders: orders(merchant, date),
            claims: BTreeMap::new(),
            receipts: BTreeMap::new(),
            returned: BTreeMap::new(),
            ledger: BTreeMap::new(),
            payments: BTreeSet::new(),
        };
        night.read_bill(date);
        night.read_claims();
        night.read_subsidies(date);
        night
    }

    fn read_bill(&mut self, date: NaiveDate) {
        let first = self.merchant.calendar.first();
        let rows = self.merchant.books.bill.iter().filter(|row| {
            let day = business_date_of(row.time);
            day >= first && day <= date
        });
        for row in rows {
            if matches!(row.entry, BillEntry::Payment { .. }) {
                self.payments.insert(&row.transaction_id);
            }
            let Some(order) = self.orders.get_mut(row.out_trade_no.as_str()) else { continue };
            match &row.entry {
                BillEntry::Payment { order_fen, .. } => order.billed = Some(*order_fen),
                BillEntry::Refund { applied_fen, status, .. } if *status != "FAIL" => {
                    order.bill_refund += *applied_fen;
                    order.refunded_at = order.refunded_at.max(Some(row.time));
                }
                _ => {}
            }
        }
        // The bill is shuffled: a revocation may stand before its payment.
        for row in &self.merchant.books.bill {
            if matches!(row.entry, BillEntry::Revoked) {
                self.payments.remove(row.transaction_id.as_str());
            }
        }
    }

    fn read_claims(&mut self) {
        for (number, order) in self.orders.iter().filter(|(_, order)| order.is_live()) {
            for row in order.lines.iter().filter(|row| !row.line.coupon_code.is_empty()) {
                let coupon = (row.line.stock_id.as_str(), row.line.coupon_code.as_str());
                self.claims.entry(coupon).or_default().insert(number);
            }
        }
    }

    fn read_subsidies(&mut self, date: NaiveDate) {
        let world = &self.merchant.books.world;
        let text = |body: &'a serde_json::Map<String, Value>, name: &str| body[name].as_str().unwrap();
        for receipt in world.pay_receipts.iter().filter(|receipt| receipt.create_time < self.end) {
            let body = &receipt.body;
            let status = receipt.statuses.iter().rev().find(|(from, _)| *from < self.end).unwrap().1.as_str();
            let coupon = (text(body, "stock_id"), text(body, "coupon_code"));
            self.receipts.entry(coupon).or_default().push(Receipt {
                out_subsidy_no: text(body, "out_subsidy_no"),
                transaction_id: text(body, "transaction_id"),
                payee: text(body, "payee_merchant"),
                amount: Fen(body["amount"].as_i64().unwrap()),
                status: status.trim_start_matches("PAY_RECEIPT_").to_owned(),
                created_at: receipt.create_time,
            });
        }
        for receipt in world.return_receipts.iter().filter(|receipt| receipt.create_time < self.end) {
            let body = &receipt.body;
            let sum = self.returned.entry((text(body, "stock_id"), text(body, "coupon_code"))).or_default();
            *sum += Fen(body["amount"].as_i64().unwrap());
        }
        for row in self.merchant.books.subsidies.iter().filter(|row| row.file_date <= date) {
            self.ledger.insert(&row.out_subsidy_no, (&row.stock_id, &row.coupon_code));
        }
    }

    fn happened(&self, event: &'a Option<Event>) -> Option<&'a Event> {
        event.as_ref().filter(|event| event.time < self.end)
    }

    /// The redemption that stands.
    fn redemption(&self, coupon: &'a Coupon) -> Option<&'a Event> {
        match self.happened(&coupon.coupon_return) {
            Some(_) => self.happened(&coupon.second_redemption),
            None => self.happened(&coupon.redemption),
        }
    }

    /// The order of a coupon by the three passes, unless its claims are ambiguous.
    fn find(&self, coupon: &'a Coupon) -> Option<(&'a str, &Order<'a>)> {
        let id = (coupon.stock_id.as_str(), coupon.coupon_code.as_str());
        let live = self.claims.get(&id).and_then(|numbers| numbers.first().copied());
        let refunded = || {
            let names = |order: &Order| {
                order.lines.iter().any(|row| (row.line.stock_id.as_str(), row.line.coupon_code.as_str()) == id)
            };
            self.orders.iter().find(|(_, order)| order.is_paid() && names(order)).map(|(number, _)| *number)
        };
        let by_number = |event: Option<&'a Event>| {
            event.map(|event| event.number.as_str()).filter(|number| self.orders.contains_key(number))
        };
        let number = live
            .or_else(refunded)
            .or_else(|| by_number(self.happened(&coupon.association)))
            .or_else(|| by_number(self.happened(&coupon.redemption)))?;
        self.orders.get_key_value(number).map(|(number, order)| (*number, order))
    }

    fn judge_coupons(&self, findings: &mut BTreeSet<Finding>) {
        let first = crate::clock::start_of(self.merchant.calendar.first());
        for coupon in self.merchant.books.world.coupons.iter().filter(|coupon| coupon.receive_time < self.end) {
            if self.redemption(coupon).is_some_and(|used| used.time < first) {
                continue;
            }
            let claims = self.claims.get(&(coupon.stock_id.as_str(), coupon.coupon_code.as_str()));
            let mut say = |rule: &'static str| findings.insert((rule, Key::coupon(coupon)));
            match claims.map_or(0, BTreeSet::len) {
                0 => self.judge_unclaimed(coupon, &mut say),
                1 => self.judge_claimed(coupon, &mut say),
                _ => drop(say("AO06")),
            }
            if claims.is_none_or(|claims| claims.len() < 2) {
                self.judge_matched(coupon, findings);
            }
            self.judge_subsidy(coupon, findings);
        }
    }

    fn judge_unclaimed(&self, coupon: &'a Coupon, say: &mut impl FnMut(&'static str) -> bool) {
        if self.redemption(coupon).is_none() {
            return;
        }
        let association = self.happened(&coupon.association);
        if association.is_some_and(|association| !self.orders.contains_key(association.number.as_str())) {
            say("AO02");
        } else if self.find(coupon).is_none() {
            say("AO01");
        }
    }

    fn judge_claimed(&self, coupon: &'a Coupon, say: &mut impl FnMut(&'static str) -> bool) {
        let Some((number, _)) = self.find(coupon) else { return };
        let association = self.happened(&coupon.association);
        if self.redemption(coupon).is_some() {
            if association.is_some_and(|association| association.number != number) {
                say("AO05");
            }
            if association.is_none() && coupon.stock_id == ASSOCIATED.stock_id {
                say("AO07");
            }
        }
    }

    /// Rules on a coupon and the one order it belongs to.
    fn judge_matched(&self, coupon: &'a Coupon, findings: &mut BTreeSet<Finding>) {
        let Some((number, order)) = self.find(coupon) else { return };
        let stock = stock(coupon);
        let line = line_of(coupon, order);
        let used = self.redemption(coupon);
        let returned = self.happened(&coupon.coupon_return).is_some() && used.is_none();
        let claimed = order.is_live() && !line.line.coupon_code.is_empty();
        let both = Key { out_trade_no: number.to_owned(), ..Key::coupon(coupon) };
        let tolerance =
            if stock.stock_id == DISCOUNT.stock_id || stock.stock_id == SHARED_SUBSIDY.stock_id { 1 } else { 0 };
        let off = (line.line.discount_fen - stock.discount(line.line.goods_fen)).abs();
        let paid_at = line.paid_at.unwrap();
        let pair = (stock.belong_merchant, line.merchant);
        let late = used.is_some_and(|used| (used.time - paid_at).abs() > TimeDelta::minutes(10));
        let outside =
            used.is_some_and(|used| used.time < coupon.available_start_time || used.time > coupon.expire_time);
        let kept =
            used.is_some() && order.is_refunded() && order.refunded_at.is_some_and(|at| at <= coupon.expire_time);
        let unrefunded = order.refund.max(order.bill_refund) == Fen::ZERO;
        let verdicts = [
            ("AO03", claimed && used.is_none() && !returned, &both),
            ("AO08", order.is_live() && off > Fen(tolerance), &both),
            ("AO09", order.is_live() && line.line.goods_fen < Fen(stock.minimum_fen), &both),
            ("AO10", outside, &Key::coupon(coupon)),
            ("AO11", line.openid != coupon.openid, &both),
            ("AO12", pair.0 != pair.1 && pair != (FRANCHISEE, MCHID), &both),
            ("AO13", late, &both),
            ("AO14", kept, &Key::coupon(coupon)),
            ("AO15", returned && unrefunded, &Key::coupon(coupon)),
        ];
        findings.extend(verdicts.into_iter().filter(|(_, holds, _)| *holds).map(|(rule, _, key)| (rule, key.clone())));
    }

    /// Claims of coupons no wallet has.
    fn judge_unknown_claims(&self, findings: &mut BTreeSet<Finding>) {
        let coupons = self.merchant.books.world.coupons.iter().filter(|coupon| coupon.receive_time < self.end);
        let known: BTreeSet<CouponId> =
            coupons.map(|coupon| (coupon.stock_id.as_str(), coupon.coupon_code.as_str())).collect();
        for ((stock_id, coupon_code), numbers) in self.claims.iter().filter(|(id, _)| !known.contains(*id)) {
            let key = Key {
                stock_id: (*stock_id).to_owned(),
                coupon_code: (*coupon_code).to_owned(),
                out_trade_no: numbers.first().copied().unwrap_or_default().to_owned(),
                ..Key::default()
            };
            findings.insert(("AO04", key));
        }
    }

    fn judge_orders(&self, findings: &mut BTreeSet<Finding>) {
        for (number, order) in &self.orders {
            let key = || Key { out_trade_no: (*number).to_owned(), ..Key::default() };
            let head = order.lines[0];
            let coupons = order.lines.iter().filter(|row| !row.line.coupon_code.is_empty()).count();
            let owed =
                order.is_live() && order.paid > Fen::ZERO && head.channel == Channel::Wechat && head.merchant == MCHID;
            let verdicts = [
                ("AO16", order.is_live() && coupons > 1),
                ("PM01", order.billed.is_some_and(|billed| billed != order.paid)),
                ("PM02", owed && order.billed.is_none()),
                ("PM04", head.channel == Channel::Wechat && order.refund != order.bill_refund),
            ];
            findings.extend(verdicts.into_iter().filter(|(_, holds)| *holds).map(|(rule, _)| (rule, key())));
        }
        let ordered: BTreeSet<&str> =
            self.orders.values().map(|order| order.lines[0].transaction_id.as_str()).collect();
        for transaction_id in self.payments.difference(&ordered) {
            findings.insert(("PM03", Key { transaction_id: (*transaction_id).to_owned(), ..Key::default() }));
        }
    }

    fn judge_subsidy(&self, coupon: &'a Coupon, findings: &mut BTreeSet<Finding>) {
        let id = (coupon.stock_id.as_str(), coupon.coupon_code.as_str());
        let receipts = self.receipts.get(&id).map_or(&[][..], Vec::as_slice);
        let order = self.find(coupon).map(|(_, order)| order);
        let discount = order.map(|order| line_of(coupon, order).line.discount_fen);
        let used = self.redemption(coupon).is_some();
        let expected = discount.and_then(|discount| stock(coupon).subsidy(discount)).filter(|_| used);
        let live: Vec<&Receipt> = receipts.iter().filter(|receipt| receipt.is_live()).collect();
        let live_sum: Fen = live.iter().map(|receipt| receipt.amount).sum();
        let paid: Fen = receipts.iter().filter(|receipt| receipt.is_paid()).map(|receipt| receipt.amount).sum();
        let returned = self.returned.get(&id).copied().unwrap_or_default();
        let twice = live.len() > 1 && expected.is_none_or(|expected| live_sum > expected);
        let too_large = discount.is_some_and(|discount| live.iter().any(|receipt| receipt.amount > discount));
        let ordered = self.ledger.values().any(|ordered| *ordered == id);
        let is_live = order.is_some_and(Order::is_live);
        let verdicts = [
            ("SU01", expected.is_some() && is_live && receipts.is_empty() && !ordered),
            ("SU02", expected.is_some_and(|expected| live_sum != expected) && !live.is_empty() && !twice && !too_large),
            ("SU03", twice),
            ("SU07", order.is_some_and(Order::is_refunded) && returned < paid),
        ];
        findings.extend(verdicts.into_iter().filter(|(_, holds)| *holds).map(|(rule, _)| (rule, Key::coupon(coupon))));
        let ever_returned = self.happened(&coupon.coupon_return).is_some();
        for receipt in receipts {
            let again = live.iter().any(|other| other.created_at > receipt.created_at);
            let verdicts = [
                ("SU04", receipt.is_live() && !used && !ever_returned),
                ("SU08", returned > receipt.amount),
                ("SU10", receipt.status == "FAIL" && !again),
                ("SU13", discount.is_some_and(|discount| receipt.amount > discount)),
            ];
            let key = Key { out_subsidy_no: receipt.out_subsidy_no.to_owned(), ..Key::default() };
            findings.extend(verdicts.into_iter().filter(|(_, holds)| *holds).map(|(rule, _)| (rule, key.clone())));
        }
    }

    fn judge_receipts(&self, findings: &mut BTreeSet<Finding>) {
        let mut known: BTreeSet<&str> = self.payments.clone();
        known.extend(self.orders.values().map(|order| order.lines[0].transaction_id.as_str()));
        let mut received = BTreeSet::new();
        for receipt in self.receipts.values().flatten() {
            received.insert(receipt.out_subsidy_no);
            let stuck = receipt.status == "ACCEPTED" && self.end - receipt.created_at > TimeDelta::hours(24);
            let verdicts = [
                ("SU05", !known.contains(receipt.transaction_id)),
                ("SU06", receipt.payee != FRANCHISEE),
                ("SU09", stuck),
                ("SU12", !self.ledger.contains_key(receipt.out_subsidy_no)),
            ];
            let key = Key { out_subsidy_no: receipt.out_subsidy_no.to_owned(), ..Key::default() };
            findings.extend(verdicts.into_iter().filter(|(_, holds)| *holds).map(|(rule, _)| (rule, key.clone())));
        }
        for number in self.ledger.keys().filter(|number| !received.contains(**number)) {
            findings.insert(("SU11", Key { out_subsidy_no: (*number).to_owned(), ..Key::default() }));
        }
    }

    fn judge_stocks(&self, findings: &mut BTreeSet<Finding>) {
        let mut observed: BTreeMap<&str, i64> = BTreeMap::new();
        let mut held: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for coupon in self.merchant.books.world.coupons.iter().filter(|coupon| coupon.receive_time < self.end) {
            *observed.entry(&coupon.stock_id).or_default() += 1;
            *held.entry((&coupon.stock_id, &coupon.openid)).or_default() += 1;
        }
        for ((stock_id, openid), _) in held.into_iter().filter(|(_, count)| *count > MAX_COUPONS_PER_USER) {
            findings.insert(("ST04", Key { openid: openid.to_owned(), ..Key::stock(stock_id) }));
        }
        for stock in CATALOG {
            let answer = Value::Object(self.merchant.books.world.stocks[stock.stock_id].clone());
            let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_i64);
            let sent = number("/send_count_information/total_send_num").unwrap();
            let of_pool = number("/coupon_code_count/total_count")
                .zip(number("/coupon_code_count/available_count"))
                .map(|(total, available)| total - available);
            let seen = observed.get(stock.stock_id).copied().unwrap_or_default();
            let verdicts = [
                ("ST01", seen > sent),
                ("ST02", sent > number("/stock_send_rule/max_coupons").unwrap()),
                ("ST03", of_pool.is_some_and(|dispatched| dispatched != seen)),
            ];
            let spoken = verdicts.into_iter().filter(|(_, holds)| *holds);
            findings.extend(spoken.map(|(rule, _)| (rule, Key::stock(stock.stock_id))));
        }
    }
}

/// Orders by number, each line as the latest file up to `date` has it.
fn orders(merchant: &Merchant, date: NaiveDate) -> BTreeMap<&str, Order<'_>> {
    let first = merchant.calendar.first();
    let mut lines: BTreeMap<(&str, &str, &str), &ExportRow> = BTreeMap::new();
    for row in merchant.books.exports.iter().filter(|row| row.file_date >= first && row.file_date <= date) {
        let line = lines.entry((&row.out_trade_no, &row.line.stock_id, &row.line.coupon_code)).or_insert(row);
        if row.file_date >= line.file_date {
            *line = row;
        }
    }
    let mut orders: BTreeMap<&str, Order> = BTreeMap::new();
    for ((number, ..), row) in lines {
        let order = orders.entry(number).or_insert(Order {
            lines: Vec::new(),
            refund: Fen::ZERO,
            paid: Fen::ZERO,
            billed: None,
            bill_refund: Fen::ZERO,
            refunded_at: None,
        });
        order.refund += row.line.refund_fen;
        order.paid += row.line.paid_fen;
        order.lines.push(row);
    }
    orders
}

fn stock(coupon: &Coupon) -> &'static Stock {
    CATALOG.into_iter().find(|stock| stock.stock_id == coupon.stock_id).unwrap()
}

/// The line that names the coupon, else the only one.
fn line_of<'o>(coupon: &Coupon, order: &'o Order<'_>) -> &'o ExportRow {
    let names = |row: &&&ExportRow| row.line.coupon_code == coupon.coupon_code;
    order.lines.iter().find(names).unwrap_or(&order.lines[0])
}
