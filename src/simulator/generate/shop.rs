//! The merchant's business: users arrive, coupons are received and redeemed, subsidies ordered.
//! Produces consistent facts; to plant a break, one is changed before it is recorded.

use chrono::{DateTime, NaiveDate, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::clock::business_date_of;
use crate::money::Fen;
use crate::simulator::world::{Code, Coupon, Event};

use super::books::{Books, Channel, Grant, GrantReturn, Line, Purchase, Refund};
use super::calendar::{Calendar, at, earlier, last_second, later, minutes, seconds};
use super::catalog::{CodeMode, FRANCHISEE, MCHID, POOL, Stock, VALID_DAYS};
use super::recipe::{MerchantKind, Recipe};
use super::truth::{Planted, Truth};

/// A merchant that is being generated.
pub(super) struct Shop {
    pub(super) calendar: Calendar,
    pub(super) kind: MerchantKind,
    pub(super) books: Books,
    pub(super) truth: Truth,
    pub(super) users: Vec<String>,
    rng: ChaCha20Rng,
    seed: u64,
    serial: u64,
    turn: usize,
}

/// Random streams of one seed: what one part draws never shifts another part.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Shop = 1,
    Keys = 2,
    Notifications = 3,
    BillOrder = 4,
}

/// The generator of one stream.
pub(super) fn chance(seed: u64, stream: Stream) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

impl Shop {
    pub(super) fn open(recipe: &Recipe) -> Shop {
        let mut rng = chance(recipe.seed, Stream::Shop);
        let users = (0..recipe.users).map(|index| openid(&mut rng, index)).collect();
        Shop {
            calendar: Calendar::new(recipe.first_date, recipe.nights),
            kind: recipe.kind,
            books: Books::default(),
            truth: Truth::default(),
            users,
            rng,
            seed: recipe.seed,
            serial: 0,
            turn: 0,
        }
    }

    /// A number between both ends, these included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.gen_range(low..=high)
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn happens(&mut self, percent: u32) -> bool {
        self.rng.gen_range(0..100) < percent
    }

    /// A night of the recipe.
    pub(super) fn any_night(&mut self) -> NaiveDate {
        let index = self.rng.r#gen::<u32>();
        self.calendar.date(u64::from(index))
    }

    /// The next user in turn; the turn spreads planted breaks over all of them.
    pub(super) fn user(&mut self) -> String {
        let openid = self.users[self.turn % self.users.len()].clone();
        self.turn += 1;
        openid
    }

    /// Lets the turn begin at a user of the seed's choice.
    pub(super) fn shuffle_turn(&mut self) {
        self.turn = self.rng.gen_range(0..self.users.len() as u64) as usize;
    }

    /// A moment between 08:00 and 19:59 of `date`; what follows it within hours is the same day.
    pub(super) fn opening_hours(&mut self, date: NaiveDate) -> DateTime<Utc> {
        at(date, 8, 0) + seconds(self.between(0, 12 * 3600 - 1))
    }

    /// A number nothing else in the merchant has.
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Another number of a kind, unique in the merchant.
    pub(super) fn number(&mut self, prefix: &str) -> String {
        format!("{prefix}{:08}", self.next_serial())
    }

    /// A WeChat payment number of 28 digits.
    pub(super) fn transaction_id(&mut self, date: NaiveDate) -> String {
        format!("42000{:05}{}{:010}", self.seed % 100_000, date.format("%Y%m%d"), self.next_serial())
    }

    /// A coupon received at `receive_time`, usable for sixty days to the last second.
    pub(super) fn coupon(&mut self, openid: &str, stock: &Stock, receive_time: DateTime<Utc>) -> Coupon {
        let date = business_date_of(receive_time);
        let coupon_code = stock.code_mode.code(self.next_serial(), date);
        if stock.code_mode == CodeMode::MerchantUpload {
            self.dispatch(stock, &coupon_code, openid, receive_time);
        }
        Coupon {
            openid: openid.to_owned(),
            stock_id: stock.stock_id.to_owned(),
            coupon_code,
            receive_time,
            available_start_time: receive_time,
            expire_time: last_second(later(date, VALID_DAYS)),
            send_request_no: Some(self.number("SEND")),
            ..Coupon::default()
        }
    }

    fn dispatch(&mut self, stock: &Stock, code: &str, openid: &str, dispatched_time: DateTime<Utc>) {
        let upload_time = at(earlier(self.calendar.first(), 90), 10, 0);
        let code = Code {
            code: code.to_owned(),
            upload_time,
            dispatched_time: Some(dispatched_time),
            openid: Some(openid.to_owned()),
        };
        self.books.world.codes.entry(stock.stock_id.to_owned()).or_default().push(code);
    }

    /// A coupon received early enough to be used at `moment`, half an hour or some days before.
    pub(super) fn coupon_for(&mut self, openid: &str, stock: &Stock, moment: DateTime<Utc>) -> Coupon {
        let receive_time = if stock.stock_id == POOL.stock_id {
            self.before_first_night()
        } else if self.happens(30) {
            moment - minutes(self.between(20, 90))
        } else {
            moment - minutes(self.between(24 * 60, 10 * 24 * 60))
        };
        self.coupon(openid, stock, receive_time)
    }

    /// A moment in the ten days before the first night.
    pub(super) fn before_first_night(&mut self) -> DateTime<Utc> {
        let days = self.between(1, 10).unsigned_abs();
        let date = earlier(self.calendar.first(), days);
        self.opening_hours(date)
    }

    /// An order of one line without a coupon, paid by WeChat.
    pub(super) fn order(&mut self, openid: &str, paid_at: DateTime<Utc>, goods: Fen) -> Purchase {
        let date = business_date_of(paid_at);
        let products = self.kind.products();
        let product = products[self.rng.gen_range(0..products.len() as u64) as usize];
        let line = Line { goods_fen: goods, paid_fen: goods, product, ..Line::default() };
        Purchase {
            out_trade_no: self.number(&format!("RY{}", date.format("%Y%m%d"))),
            transaction_id: self.transaction_id(date),
            merchant: MCHID,
            openid: openid.to_owned(),
            channel: Channel::Wechat,
            paid_at,
            unpaid: false,
            lines: vec![line],
            charged_fen: goods,
        }
    }

    /// An order of one line without a coupon and a usual basket.
    pub(super) fn plain_order(&mut self, openid: &str, paid_at: DateTime<Utc>) -> Purchase {
        let goods = Fen(self.between(900, 6800));
        self.order(openid, paid_at, goods)
    }

    /// An order whose only line names the coupon, at the discount of its terms.
    pub(super) fn claim(&mut self, coupon: &Coupon, stock: &Stock, paid_at: DateTime<Utc>) -> Purchase {
        let (low, high) = stock.basket_fen;
        let goods = Fen(self.between(low, high));
        self.claim_of(coupon, stock, paid_at, goods)
    }

    /// As `claim`, for a given basket.
    pub(super) fn claim_of(&mut self, coupon: &Coupon, stock: &Stock, paid_at: DateTime<Utc>, goods: Fen) -> Purchase {
        let mut purchase = self.order(&coupon.openid, paid_at, goods);
        let line = &mut purchase.lines[0];
        line.stock_id.clone_from(&coupon.stock_id);
        line.coupon_code.clone_from(&coupon.coupon_code);
        line.discount_fen = stock.discount(goods);
        line.paid_fen = goods - line.discount_fen;
        purchase.charged_fen = line.paid_fen;
        purchase
    }

    /// The next user comes on `date`: a coupon and the order that claims it, neither entered yet.
    pub(super) fn visit(&mut self, stock: &Stock, date: NaiveDate) -> (Coupon, Purchase) {
        let openid = self.user();
        self.visit_of(&openid, stock, date)
    }

    /// As `visit`, for a given user.
    pub(super) fn visit_of(&mut self, openid: &str, stock: &Stock, date: NaiveDate) -> (Coupon, Purchase) {
        let moment = self.opening_hours(date);
        let coupon = self.coupon_for(openid, stock, moment);
        let purchase = self.claim(&coupon, stock, moment);
        (coupon, purchase)
    }

    /// The next user buys without a coupon on `date`.
    pub(super) fn walk_in(&mut self, date: NaiveDate) -> Purchase {
        let openid = self.user();
        let moment = self.opening_hours(date);
        self.plain_order(&openid, moment)
    }

    /// Adds a line without a coupon, charged too.
    pub(super) fn add_line(&mut self, purchase: &mut Purchase) {
        let extra = Fen(self.between(300, 2500));
        let line = Line { goods_fen: extra, paid_fen: extra, product: "纸袋", ..Line::default() };
        purchase.lines.push(line);
        purchase.charged_fen += extra;
    }

    /// The till redeems the coupon within minutes of the payment, under the order number.
    pub(super) fn redeem(&mut self, coupon: &mut Coupon, purchase: &Purchase) {
        let time = purchase.paid_at + seconds(self.between(-45, 240));
        coupon.redemption = Some(Event { number: purchase.out_trade_no.clone(), time });
    }

    /// The shop ties the coupon to the order, before the redemption (reference v3 §2.12).
    pub(super) fn associate(&mut self, coupon: &mut Coupon, purchase: &Purchase) {
        let time = purchase.paid_at - seconds(self.between(60, 300));
        coupon.association = Some(Event { number: purchase.out_trade_no.clone(), time });
    }

    /// A refund accepted at `accepted_at`.
    pub(super) fn refund(&mut self, amount_fen: Fen, accepted_at: DateTime<Utc>) -> Refund {
        let day = business_date_of(accepted_at).format("%Y%m%d");
        Refund {
            refund_id: format!("50300{:05}{day}{:011}", self.seed % 100_000, self.next_serial()),
            out_refund_no: self.number("RF"),
            amount_fen,
            accepted_at,
            status: "SUCCESS",
        }
    }

    /// The subsidy the stock's programme owes for the purchase, ordered minutes after the use.
    pub(super) fn grant(&mut self, coupon: &Coupon, stock: &Stock, purchase: &Purchase) -> Grant {
        let amount_fen = stock.subsidy(purchase.discount_fen()).unwrap_or(Fen::ZERO);
        let created_at = purchase.paid_at + minutes(self.between(6, 30));
        self.grant_at(coupon, purchase, amount_fen, created_at)
    }

    /// A subsidy of any amount at any time; succeeds within the minute.
    pub(super) fn grant_at(
        &mut self,
        coupon: &Coupon,
        purchase: &Purchase,
        amount_fen: Fen,
        created_at: DateTime<Utc>,
    ) -> Grant {
        let serial = self.next_serial();
        let succeeded_at = created_at + seconds(self.between(1, 55));
        // Both dialects of the wire (reference v3 §2.24).
        let success = if serial.is_multiple_of(4) { "PAY_RECEIPT_SUCCESS" } else { "SUCCESS" };
        Grant {
            out_subsidy_no: format!("SUB{serial:08}"),
            subsidy_receipt_id: format!("1120{}{serial:016}", business_date_of(created_at).format("%Y%m%d")),
            stock_id: coupon.stock_id.clone(),
            coupon_code: coupon.coupon_code.clone(),
            transaction_id: purchase.transaction_id.clone(),
            payer: MCHID,
            payee: FRANCHISEE,
            amount_fen,
            created_at,
            succeeded_at: Some(succeeded_at),
            statuses: vec![(created_at, "ACCEPTED"), (succeeded_at, success)],
            fail_reason: None,
        }
    }

    /// The return of a subsidy after a refund.
    pub(super) fn grant_return(&mut self, refund: &Refund, amount_fen: Fen, at: DateTime<Utc>) -> GrantReturn {
        let serial = self.next_serial();
        GrantReturn {
            out_subsidy_return_no: format!("SUBR{serial:08}"),
            subsidy_return_receipt_id: format!("2120{}{serial:016}", business_date_of(at).format("%Y%m%d")),
            refund_id: refund.refund_id.clone(),
            amount_fen,
            created_at: at,
        }
    }

    /// Notes a planted break.
    pub(super) fn plant(&mut self, planted: Planted) {
        self.truth.plant(planted);
    }
}

/// 28 characters as WeChat makes them; case matters, and no two are alike.
fn openid(rng: &mut ChaCha20Rng, index: u32) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let symbol = |value: u32| char::from(ALPHABET[(value % 64) as usize]);
    let chosen = (0..17).map(|_| symbol(rng.r#gen::<u32>())).collect::<String>();
    let numbered = (0..5).map(|place| symbol(index >> (6 * place))).collect::<String>();
    format!("oRYun8{chosen}{numbered}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::catalog::{DISCOUNT, FIXED_SUBSIDY};
    use super::*;

    fn shop() -> Shop {
        Shop::open(&Recipe::sample())
    }

    #[test]
    fn openids_are_28_characters_and_unique() {
        let shop = shop();
        assert!(shop.users.iter().all(|openid| openid.len() == 28));
        assert_eq!(shop.users.iter().collect::<BTreeSet<_>>().len(), shop.users.len());
    }

    #[test]
    fn numbers_have_the_lengths_of_the_api() {
        let mut shop = shop();
        let date = shop.calendar.first();
        let openid = shop.user();
        let purchase = shop.plain_order(&openid, at(date, 9, 0));
        let refund = shop.refund(Fen(1), at(date, 10, 0));
        assert_eq!(purchase.transaction_id.len(), 28);
        assert!(purchase.out_trade_no.len() <= 32);
        assert!((28..=32).contains(&refund.refund_id.len()));
    }

    #[test]
    fn a_claim_is_consistent_from_the_terms_to_the_bill() {
        let mut shop = shop();
        let moment = at(shop.calendar.first(), 9, 0);
        let openid = shop.user();
        let coupon = shop.coupon_for(&openid, &DISCOUNT, moment);
        let mut purchase = shop.claim(&coupon, &DISCOUNT, moment);
        shop.add_line(&mut purchase);
        assert!(coupon.receive_time < moment && moment < coupon.expire_time);
        let paid: Fen = purchase.lines.iter().map(|line| line.paid_fen).sum();
        assert_eq!((purchase.lines.len(), purchase.charged_fen), (2, paid));
        assert_eq!(purchase.discount_fen(), DISCOUNT.discount(purchase.lines[0].goods_fen));
    }

    #[test]
    fn a_grant_carries_the_amount_of_the_programme_and_the_order_of_the_coupon() {
        let mut shop = shop();
        let moment = at(shop.calendar.first(), 9, 0);
        let openid = shop.user();
        let coupon = shop.coupon_for(&openid, &FIXED_SUBSIDY, moment);
        let purchase = shop.claim(&coupon, &FIXED_SUBSIDY, moment);
        let grant = shop.grant(&coupon, &FIXED_SUBSIDY, &purchase);
        assert_eq!(grant.amount_fen, Fen(100));
        assert_eq!(grant.transaction_id, purchase.transaction_id);
        assert_eq!(business_date_of(grant.created_at), shop.calendar.first());
    }
}
