//! Orders and payments of one part brought together, and at the end those whose transaction lies in
//! another part. The definition is the outer part of `jobs/rules/views/04_order_totals.sql`.

use std::collections::HashSet;
use std::path::Path;

use super::bill::{BilledOrder, OddRow, Refunded, Refunds};
use super::lookup::Filter;
use super::order::{Line, Orders, Totals, lines};
use super::output::{self, Output};
use super::seen::Seen;
use super::{LineAmounts, Order, OrderBook, spilled};
use crate::money::Fen;
use crate::reconcile::columns::DayNumber;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::footing::{BillRows, Tally};
use crate::reconcile::spill::{Packer, Part, Unpacker};
use crate::reconcile::text_hash::{TextMap, hash};

/// What the bills say about an order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BillSide<'a> {
    pub(super) transaction_id: Option<&'a str>,
    pub(super) paid: Option<Fen>,
    pub(super) day: Option<DayNumber>,
    pub(super) is_revoked: bool,
    pub(super) refunded: Option<&'a Refunded>,
}

/// The payments that name one order number, taken together: the view's `pn`.
#[derive(Debug, Clone, Copy)]
struct OfNumber<'a> {
    transaction_id: &'a str,
    order_fen: Option<Fen>,
    day: DayNumber,
    is_revoked: bool,
}

/// An order with its lines and its bill.
pub(super) struct Joined<'a> {
    pub(super) totals: Totals<'a>,
    pub(super) lines: &'a [Line<'a>],
    pub(super) bill: BillSide<'a>,
}

/// An order whose transaction no payment of its own part has, though one elsewhere may.
struct FarOrder {
    lines: Vec<u8>,
    /// The payments of its number, packed.
    payments: Vec<u8>,
}

/// Where the payments of an order number stand.
struct ByNumber<'a> {
    last: TextMap<&'a str, usize>,
    /// For each payment the one before it of the same number.
    before: Vec<Option<usize>>,
}

/// What the bills say, for all orders; and what of it an order was found for.
pub(super) struct Bills {
    pub(super) refunds: Refunds,
    transactions: Filter,
    /// Rows of payments that name several orders.
    odd_rows: Vec<OddRow>,
    seen_odd: Seen,
    pub(super) seen_refunds: Seen,
}

/// The join of one share of the parts.
pub(super) struct Join<'n> {
    bills: &'n Bills,
    output: Output,
    far: Vec<FarOrder>,
}

impl<'a> Joined<'a> {
    fn of(
        lines: &'a [Line<'a>],
        by_id: Option<BilledOrder<'a>>,
        by_number: Option<OfNumber<'a>>,
        refunds: &'a Refunds,
    ) -> Joined<'a> {
        let totals = Totals::of(lines);
        let fallback = |of: fn(OfNumber<'a>) -> Option<Fen>| by_number.and_then(of);
        let bill = BillSide {
            transaction_id: by_id.map(|it| it.transaction_id).or(by_number.map(|it| it.transaction_id)),
            paid: by_id.and_then(|it| it.order_fen).or_else(|| fallback(|it| it.order_fen)),
            day: by_id.map(|it| it.day).or(by_number.map(|it| it.day)),
            is_revoked: by_id.map(|it| it.is_revoked).or(by_number.map(|it| it.is_revoked)).unwrap_or(false),
            refunded: refunds.of(totals.transaction_id, totals.out_trade_no),
        };
        Joined { totals, lines, bill }
    }

    pub(super) fn bill_refund(&self) -> Fen {
        self.bill.refunded.map_or(Fen::ZERO, |refunded| refunded.fen)
    }

    pub(super) fn is_fully_refunded(&self) -> bool {
        self.totals.paid > Fen::ZERO && self.totals.refund.max(self.bill_refund()) >= self.totals.paid
    }

    pub(super) fn is_live(&self) -> bool {
        self.totals.paid_at.is_some() && !self.is_fully_refunded()
    }

    /// What the match needs of it.
    pub(super) fn order(&self) -> Order<'a> {
        let totals = &self.totals;
        Order {
            out_trade_no: totals.out_trade_no,
            transaction_id: totals.transaction_id,
            merchant: totals.merchant,
            openid: totals.openid,
            paid_at: totals.paid_at,
            refund: totals.refund,
            bill_paid: self.bill.paid,
            bill_refund: self.bill_refund(),
            bill_refund_count: self.bill.refunded.map_or(0, |refunded| refunded.count),
            bill_refunded_at: self.bill.refunded.and_then(|refunded| refunded.last_at),
            is_fully_refunded: self.is_fully_refunded(),
            is_live: self.is_live(),
            plain_line: self.plain_line(),
        }
    }

    fn plain_line(&self) -> Option<LineAmounts> {
        let mut plain = self.lines.iter().filter(|line| line.row.coupon_code.is_empty());
        let only = plain.next()?;
        plain.next().is_none().then(|| LineAmounts::of(only))
    }
}

impl LineAmounts {
    pub(super) fn of(line: &Line<'_>) -> LineAmounts {
        LineAmounts { goods: line.row.goods_fen, discount: line.row.discount_fen, paid: line.row.paid_fen }
    }
}

impl<'a> OfNumber<'a> {
    fn of(payments: impl Iterator<Item = BilledOrder<'a>>) -> Option<OfNumber<'a>> {
        let one = |it: BilledOrder<'a>| OfNumber {
            transaction_id: it.transaction_id,
            order_fen: it.order_fen,
            day: it.day,
            is_revoked: it.is_revoked,
        };
        payments.map(one).reduce(|one, other| OfNumber {
            transaction_id: one.transaction_id.max(other.transaction_id),
            order_fen: one.order_fen.max(other.order_fen),
            day: one.day.max(other.day),
            is_revoked: one.is_revoked && other.is_revoked,
        })
    }
}

impl<'a> ByNumber<'a> {
    fn of(payments: &[BilledOrder<'a>]) -> ByNumber<'a> {
        let mut last = TextMap::with_capacity_and_hasher(payments.len(), Default::default());
        let before = payments.iter().enumerate().map(|(place, it)| last.insert(it.out_trade_no, place)).collect();
        ByNumber { last, before }
    }

    fn places(&self, number: &str) -> impl Iterator<Item = usize> {
        std::iter::successors(self.last.get(number).copied(), |place| self.before[*place])
    }
}

impl Bills {
    pub(super) fn new(refunds: Refunds, transactions: Filter, odd_rows: Vec<OddRow>) -> Bills {
        let seen_odd =
            Seen::none_of(odd_rows.iter().map(|row| (row.transaction_id.as_str(), row.out_trade_no.as_str())));
        let seen_refunds = Seen::none_of(refunds.rows.keys().map(|(id, number)| (id.as_str(), number.as_str())));
        Bills { refunds, transactions, odd_rows, seen_odd, seen_refunds }
    }

    fn see(&self, order: &Totals<'_>) {
        self.seen_odd.see(order);
        self.seen_refunds.see(order);
    }

    /// The rows of payments that name several orders, counted one by one.
    pub(super) fn odd_counted(&self) -> BillRows {
        let mut rows = BillRows::default();
        for row in &self.odd_rows {
            let is_matched = self.seen_odd.has(&row.transaction_id, &row.out_trade_no);
            rows.count(Tally { rows: 1, fen: row.fen }, is_matched);
        }
        rows
    }
}

impl<'n> Join<'n> {
    /// Starts the join of a share; its results go to `output`.
    pub(super) fn new(bills: &'n Bills, output: Output) -> Join<'n> {
        Join { bills, output, far: Vec::new() }
    }

    /// Joins the orders and payments of one part.
    pub(super) fn part(&mut self, part: usize, orders: &[u8], payments: &[u8]) -> Result<(), ReconcileError> {
        let payments = BilledOrder::all_in(payments);
        let by_id: TextMap<&str, usize> =
            payments.iter().enumerate().map(|(place, it)| (it.transaction_id, place)).collect();
        let by_number = ByNumber::of(&payments);
        let mut has_order = vec![false; payments.len()];
        let (mut orders, mut order_lines) = (Orders::in_bytes(orders), Vec::new());
        while orders.next_into(&mut order_lines) {
            let totals = Totals::of(&order_lines);
            let same_number = || by_number.places(totals.out_trade_no);
            same_number().for_each(|place| has_order[place] = true);
            let found = totals.transaction_id.and_then(|id| by_id.get(id)).copied();
            let is_far = |id: &str| found.is_none() && self.bills.transactions.may_hold(hash(id));
            if totals.transaction_id.is_some_and(is_far) {
                self.far.push(FarOrder::new(&order_lines, same_number().map(|place| &payments[place])));
                continue;
            }
            let of_number = OfNumber::of(same_number().map(|place| payments[place]));
            let joined = Joined::of(&order_lines, found.map(|place| payments[place]), of_number, &self.bills.refunds);
            found.into_iter().for_each(|place| has_order[place] = true);
            self.bills.see(&joined.totals);
            self.output.order(&joined)?;
        }
        for (payment, has_order) in payments.iter().zip(has_order) {
            self.output.payment(payment, has_order)?;
        }
        self.output.end_part(part)
    }
}

/// Joins what lies far apart and closes everything. `parts` are the payments once more, `payments` what they sum
/// up to.
pub(super) fn finish(
    joins: Vec<Join<'_>>,
    bills: &Bills,
    parts: &mut [Part],
    payments: Tally,
    scratch: &Path,
) -> Result<OrderBook, ReconcileError> {
    let (mut outputs, mut far) = (Vec::new(), Vec::new());
    for join in joins {
        outputs.push(join.output);
        far.extend(join.far);
    }
    let unpacked: Vec<_> =
        far.iter().map(|order| (lines(&order.lines), BilledOrder::all_in(&order.payments))).collect();
    let wanted = unpacked.iter().filter_map(|(lines, _)| Totals::of(lines).transaction_id);
    let wanted: HashSet<&str> = wanted.collect();
    let found = find_payments(parts, &wanted)?;
    for (lines, same_number) in &unpacked {
        let id = Totals::of(lines).transaction_id.unwrap_or_default();
        let payment = found.get(id).map(|bytes| BilledOrder::unpack(&mut Unpacker::new(bytes)));
        let joined = Joined::of(lines, payment, OfNumber::of(same_number.iter().copied()), &bills.refunds);
        bills.see(&joined.totals);
        outputs[0].late_order(&joined)?;
    }
    let parts = parts.len() as u64;
    output::finish(outputs, (bills, parts), payments, scratch, |payment| wanted.contains(payment.transaction_id))
}

/// The payments of these transactions, packed.
fn find_payments(parts: &mut [Part], wanted: &HashSet<&str>) -> Result<TextMap<String, Vec<u8>>, ReconcileError> {
    let mut found = TextMap::default();
    for part in parts.iter_mut().filter(|_| !wanted.is_empty()) {
        let bytes = part.read().map_err(spilled)?;
        for payment in BilledOrder::all_in(&bytes).iter().filter(|it| wanted.contains(it.transaction_id)) {
            let mut packed = Vec::new();
            payment.pack(&mut Packer::new(&mut packed));
            found.insert(payment.transaction_id.to_owned(), packed);
        }
    }
    Ok(found)
}

impl FarOrder {
    fn new<'a>(lines: &[Line<'_>], payments: impl Iterator<Item = &'a BilledOrder<'a>>) -> FarOrder {
        let mut order = FarOrder { lines: Vec::new(), payments: Vec::new() };
        lines.iter().for_each(|line| line.pack(&mut Packer::new(&mut order.lines)));
        payments.for_each(|payment| payment.pack(&mut Packer::new(&mut order.payments)));
        order
    }
}
