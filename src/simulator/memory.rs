//! The world in memory, with the indexes that endpoints need, and the writes done so far. Judges no
//! request.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::state::{CouponView, coupon_as_of, receipt_as_of, stock_as_of};
use super::world::{Coupon, Receipt, World};

/// Locks even if a handler panicked while holding the lock: later requests should still be
/// answered.
pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A world and its indexes.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) world: World,
    by_openid: HashMap<String, Vec<usize>>,
    by_code: HashMap<String, Vec<usize>>,
    receipts_by_coupon: HashMap<(String, String), Vec<usize>>,
    payments_by_id: HashMap<String, usize>,
    returns_by_id: HashMap<String, usize>,
    folded_openids: HashSet<String>,
    writes: HashMap<(&'static str, String), Written>,
    /// Activated member cards by code.
    pub(super) members: HashMap<String, Value>,
    /// Ids of the rules that give cards for payments.
    pub(super) gift_rules: BTreeSet<String>,
}

/// A completed write: its request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) request: Value,
    pub(super) answer: Value,
}

impl Memory {
    /// Indexes a world.
    pub(super) fn new(world: World) -> Memory {
        let mut memory = Memory {
            by_openid: HashMap::new(),
            by_code: HashMap::new(),
            receipts_by_coupon: HashMap::new(),
            payments_by_id: HashMap::new(),
            returns_by_id: HashMap::new(),
            folded_openids: HashSet::new(),
            writes: HashMap::new(),
            members: HashMap::new(),
            gift_rules: BTreeSet::new(),
            world,
        };
        for position in 0..memory.world.coupons.len() {
            memory.index_coupon(position);
        }
        for position in 0..memory.world.pay_receipts.len() {
            memory.index_payment(position);
        }
        for position in 0..memory.world.return_receipts.len() {
            memory.index_return(position);
        }
        memory
    }

    fn index_coupon(&mut self, position: usize) {
        let coupon = &self.world.coupons[position];
        self.by_openid.entry(coupon.openid.clone()).or_default().push(position);
        self.by_code.entry(coupon.coupon_code.clone()).or_default().push(position);
        self.folded_openids.insert(coupon.openid.to_ascii_lowercase());
    }

    fn index_payment(&mut self, position: usize) {
        let body = &self.world.pay_receipts[position].body;
        let key = (text_of(body, "stock_id"), text_of(body, "coupon_code"));
        self.payments_by_id.insert(text_of(body, "subsidy_receipt_id"), position);
        self.receipts_by_coupon.entry(key).or_default().push(position);
    }

    fn index_return(&mut self, position: usize) {
        let id = text_of(&self.world.return_receipts[position].body, "subsidy_return_receipt_id");
        self.returns_by_id.insert(id, position);
    }

    /// The stock's answer at `now`.
    pub(super) fn stock(&self, stock_id: &str, now: DateTime<Utc>) -> Option<Map<String, Value>> {
        let stock = self.world.stocks.get(stock_id)?;
        let revisions = self.world.stock_revisions.get(stock_id).map(Vec::as_slice).unwrap_or_default();
        Some(stock_as_of(stock, revisions, now))
    }

    /// The coupons of a wallet at `now`, in the order of the world.
    pub(super) fn wallet(&self, openid: &str, now: DateTime<Utc>) -> Vec<CouponView<'_>> {
        let positions = self.by_openid.get(openid).map(Vec::as_slice).unwrap_or_default();
        positions.iter().filter_map(|position| coupon_as_of(&self.world.coupons[*position], now)).collect()
    }

    /// Whether this is a known openid in the wrong case. Openids are case-sensitive (reference v3
    /// §6.2).
    pub(super) fn is_miscased(&self, openid: &str) -> bool {
        !self.by_openid.contains_key(openid) && self.folded_openids.contains(&openid.to_ascii_lowercase())
    }

    /// Positions of the coupons with this code, within one stock if it is given.
    pub(super) fn positions(&self, stock_id: Option<&str>, coupon_code: &str) -> Vec<usize> {
        let all = self.by_code.get(coupon_code).map(Vec::as_slice).unwrap_or_default();
        let of_stock = |position: &&usize| stock_id.is_none_or(|id| self.world.coupons[**position].stock_id == id);
        all.iter().filter(of_stock).copied().collect()
    }

    /// The coupon at a position of [`Memory::positions`], for a write to change.
    pub(super) fn coupon_mut(&mut self, position: usize) -> &mut Coupon {
        &mut self.world.coupons[position]
    }

    /// The coupon at such a position as of `now`.
    pub(super) fn view(&self, position: usize, now: DateTime<Utc>) -> Option<CouponView<'_>> {
        coupon_as_of(&self.world.coupons[position], now)
    }

    /// Adds a coupon to a wallet.
    pub(super) fn add_coupon(&mut self, coupon: Coupon) {
        self.world.coupons.push(coupon);
        self.index_coupon(self.world.coupons.len() - 1);
    }

    /// Positions of the subsidy payments of a coupon.
    pub(super) fn pay_receipt_positions(&self, stock_id: &str, coupon_code: &str) -> Vec<usize> {
        let key = (stock_id.to_owned(), coupon_code.to_owned());
        self.receipts_by_coupon.get(&key).cloned().unwrap_or_default()
    }

    /// Subsidy payments of a coupon, as answered at `now`.
    pub(super) fn pay_receipts(
        &self,
        stock_id: &str,
        coupon_code: &str,
        now: DateTime<Utc>,
    ) -> Vec<Map<String, Value>> {
        let positions = self.pay_receipt_positions(stock_id, coupon_code);
        positions.iter().filter_map(|position| receipt_as_of(&self.world.pay_receipts[*position], now)).collect()
    }

    /// The subsidy payment with this id.
    pub(super) fn pay_receipt(&self, id: &str) -> Option<&Receipt> {
        self.payments_by_id.get(id).map(|position| &self.world.pay_receipts[*position])
    }

    /// The subsidy return with this id.
    pub(super) fn return_receipt(&self, id: &str) -> Option<&Receipt> {
        self.returns_by_id.get(id).map(|position| &self.world.return_receipts[*position])
    }

    /// Adds a subsidy payment.
    pub(super) fn add_pay_receipt(&mut self, receipt: Receipt) {
        self.world.pay_receipts.push(receipt);
        self.index_payment(self.world.pay_receipts.len() - 1);
    }

    /// Adds a subsidy return.
    pub(super) fn add_return_receipt(&mut self, receipt: Receipt) {
        self.world.return_receipts.push(receipt);
        self.index_return(self.world.return_receipts.len() - 1);
    }

    /// The write with this number at this endpoint.
    pub(super) fn written(&self, endpoint: &'static str, number: &str) -> Option<&Written> {
        self.writes.get(&(endpoint, number.to_owned()))
    }

    /// Records a write.
    pub(super) fn remember(&mut self, endpoint: &'static str, number: &str, written: Written) {
        self.writes.insert((endpoint, number.to_owned()), written);
    }
}

/// A string under a key; empty when absent.
pub(super) fn text_of(map: &Map<String, Value>, key: &str) -> String {
    map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::probe::{OPENID, POOL, STOCK, at, coupon, world};

    fn codes(memory: &Memory, openid: &str) -> Vec<String> {
        memory.wallet(openid, at("18T20:00")).iter().map(|view| view.coupon.coupon_code.clone()).collect()
    }

    #[test]
    fn a_wallet_holds_the_coupons_of_its_user_in_the_order_of_the_world() {
        let mut memory = Memory::new(world());
        assert_eq!(codes(&memory, OPENID), ["C1", "C2", "K1"]);
        assert!(codes(&memory, "oNobody").is_empty());
        memory.add_coupon(coupon("C0"));
        assert_eq!(codes(&memory, OPENID), ["C1", "C2", "K1", "C0"]);
    }

    #[test]
    fn a_code_of_two_stocks_is_found_twice_without_its_stock() {
        let mut memory = Memory::new(world());
        memory.add_coupon(coupon("K1"));
        assert_eq!(memory.positions(None, "K1").len(), 2);
        assert_eq!(memory.positions(Some(POOL), "K1").len(), 1);
        assert_eq!(memory.positions(Some("1"), "K1").len(), 0);
    }

    #[test]
    fn an_openid_in_the_wrong_case_is_noticed() {
        let memory = Memory::new(world());
        assert!(memory.is_miscased(&OPENID.to_ascii_lowercase()));
        assert!(!memory.is_miscased(OPENID));
        assert!(!memory.is_miscased("oNobody"));
    }

    #[test]
    fn receipts_are_found_by_stock_and_code() {
        let memory = Memory::new(world());
        assert_eq!(memory.pay_receipts(STOCK, "C2", at("18T20:00")).len(), 1);
        assert_eq!(memory.pay_receipts(POOL, "C2", at("18T20:00")).len(), 0);
        assert_eq!(memory.pay_receipts(STOCK, "C2", at("18T10:00")).len(), 0);
    }

    #[test]
    fn a_lock_is_held_even_after_a_panic() {
        let lock = std::sync::Arc::new(Mutex::new(1));
        let poisoned = lock.clone();
        let panicked = std::thread::spawn(move || {
            let _held = held(&poisoned);
            panic!("under the lock");
        });
        assert!(panicked.join().is_err());
        assert_eq!(*held(&lock), 1);
    }

    #[test]
    fn worlds_written_before_a_field_existed_are_read() {
        let mut old = serde_json::to_value(World::default()).unwrap();
        for key in ["kept_redemptions", "v2_unsigned_stocks", "stock_revisions", "card_codes", "notify_url"] {
            assert_eq!(old.as_object_mut().unwrap().remove(key), None, "an empty field is not written");
        }
        assert!(serde_json::from_value::<World>(old).unwrap().card_codes.is_empty());
    }
}
