//! The world in memory, with the look-ups the endpoints need and the numbers of writes already
//! done. Never judges a request.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::state::{CouponView, coupon_as_of, receipt_as_of, stock_as_of};
use super::world::{Coupon, Receipt, World};

/// Takes a lock even when a handler panicked under it: the next request still deserves an answer.
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
    folded_openids: HashSet<String>,
    writes: HashMap<(&'static str, String), Written>,
}

/// A write already done: what was asked under its number, and what was answered.
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
            folded_openids: HashSet::new(),
            writes: HashMap::new(),
            world,
        };
        memory.index_coupons();
        for position in 0..memory.world.pay_receipts.len() {
            memory.index_receipt(position);
        }
        memory
    }

    fn index_coupons(&mut self) {
        for (position, coupon) in self.world.coupons.iter().enumerate() {
            self.by_openid.entry(coupon.openid.clone()).or_default().push(position);
            self.by_code.entry(coupon.coupon_code.clone()).or_default().push(position);
            self.folded_openids.insert(coupon.openid.to_ascii_lowercase());
        }
    }

    fn index_receipt(&mut self, position: usize) {
        let body = &self.world.pay_receipts[position].body;
        let key = (text_of(body, "stock_id"), text_of(body, "coupon_code"));
        self.receipts_by_coupon.entry(key).or_default().push(position);
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

    /// Is this a known openid in the wrong case? Openids are case-sensitive (reference v3 §6.2).
    pub(super) fn is_miscased(&self, openid: &str) -> bool {
        !self.by_openid.contains_key(openid) && self.folded_openids.contains(&openid.to_ascii_lowercase())
    }

    /// Positions of the coupons with this code, of one stock when it is named.
    pub(super) fn positions(&self, stock_id: Option<&str>, coupon_code: &str) -> Vec<usize> {
        let all = self.by_code.get(coupon_code).map(Vec::as_slice).unwrap_or_default();
        let of_stock = |position: &&usize| stock_id.is_none_or(|id| self.world.coupons[**position].stock_id == id);
        all.iter().filter(of_stock).copied().collect()
    }

    /// The coupon at a position of [`Memory::positions`], to be changed by a write.
    pub(super) fn coupon_mut(&mut self, position: usize) -> &mut Coupon {
        &mut self.world.coupons[position]
    }

    /// Subsidy payments of a coupon, as answered at `now`.
    pub(super) fn pay_receipts(
        &self,
        stock_id: &str,
        coupon_code: &str,
        now: DateTime<Utc>,
    ) -> Vec<Map<String, Value>> {
        let key = (stock_id.to_owned(), coupon_code.to_owned());
        let positions = self.receipts_by_coupon.get(&key).map(Vec::as_slice).unwrap_or_default();
        positions.iter().filter_map(|position| receipt_as_of(&self.world.pay_receipts[*position], now)).collect()
    }

    /// Adds a subsidy payment.
    pub(super) fn add_pay_receipt(&mut self, receipt: Receipt) {
        self.world.pay_receipts.push(receipt);
        self.index_receipt(self.world.pay_receipts.len() - 1);
    }

    /// What was done under this number of this endpoint.
    pub(super) fn written(&self, endpoint: &'static str, number: &str) -> Option<&Written> {
        self.writes.get(&(endpoint, number.to_owned()))
    }

    /// Remembers a write.
    pub(super) fn remember(&mut self, endpoint: &'static str, number: &str, written: Written) {
        self.writes.insert((endpoint, number.to_owned()), written);
    }
}

/// A text under a key; empty when absent.
pub(super) fn text_of(map: &Map<String, Value>, key: &str) -> String {
    map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
