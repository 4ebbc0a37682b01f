//! The key of a coupon as the merge compares it: the first bytes as one number, and the whole string only where those are
//! equal. The order is exactly that of the strings; nothing is hashed.

use std::cmp::Ordering;
use std::fmt;

use crate::sorter::beginning;

/// A string that sorts by its bytes.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    /// The first 16 bytes, padded with zeros: sorts as they do.
    prefix: u128,
    bytes: &'a [u8],
}

/// Stock and code; sorts as the pair of strings does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::reconcile) struct CouponKey<'a> {
    stock_id: Text<'a>,
    coupon_code: Text<'a>,
}

/// Stock and code of a coupon, owned.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct CouponId {
    pub(in crate::reconcile) stock_id: String,
    pub(in crate::reconcile) coupon_code: String,
}

impl CouponId {
    /// Takes these values, reusing its memory.
    #[inline]
    pub(in crate::reconcile) fn become_texts(&mut self, stock_id: &str, coupon_code: &str) {
        for (text, now) in [(&mut self.stock_id, stock_id), (&mut self.coupon_code, coupon_code)] {
            text.clear();
            text.push_str(now);
        }
    }

    #[inline]
    pub(in crate::reconcile) fn key(&self) -> CouponKey<'_> {
        CouponKey::new(self.stock_id.as_bytes(), self.coupon_code.as_bytes())
    }
}

impl<'a> CouponKey<'a> {
    #[inline]
    pub(in crate::reconcile) fn new(stock_id: &'a [u8], coupon_code: &'a [u8]) -> CouponKey<'a> {
        CouponKey { stock_id: Text::of(stock_id), coupon_code: Text::of(coupon_code) }
    }

    /// Stock and code.
    pub(in crate::reconcile) fn texts(&self) -> [&'a [u8]; 2] {
        [self.stock_id.bytes, self.coupon_code.bytes]
    }
}

impl fmt::Display for CouponKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stock_id, coupon_code] = self.texts().map(String::from_utf8_lossy);
        write!(f, "{stock_id}/{coupon_code}")
    }
}

impl<'a> Text<'a> {
    #[inline]
    fn of(bytes: &'a [u8]) -> Text<'a> {
        Text { prefix: beginning(bytes), bytes }
    }
}

impl PartialEq for Text<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let rest = || {
            let (one, other) = (self.bytes, other.bytes);
            // Two short strings with the same prefix can only differ by trailing zero bytes.
            if one.len() <= 16 && other.len() <= 16 { one.len().cmp(&other.len()) } else { one.cmp(other) }
        };
        self.prefix.cmp(&other.prefix).then_with(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that often share their first 16 bytes, and some that end in zeros.
    fn text() -> impl Strategy<Value = String> {
        ("[ab]{0,2}", 0_usize..20, "[a\0券]{0,2}").prop_map(|(first, same, last)| first + &"s".repeat(same) + &last)
    }

    proptest! {
        #[test]
        fn keys_sort_as_the_pair_of_texts_whatever_prefix_they_share(
            one in (text(), text()), other in (text(), text()), shares_stock in any::<bool>()
        ) {
            let other = if shares_stock { (one.0.clone(), other.1) } else { other };
            let key = |it: &(String, String)| (it.0.clone().into_bytes(), it.1.clone().into_bytes());
            let ((stock, code), (other_stock, other_code)) = (key(&one), key(&other));
            let (key, other_key) = (CouponKey::new(&stock, &code), CouponKey::new(&other_stock, &other_code));
            prop_assert_eq!(key.cmp(&other_key), one.cmp(&other));
            prop_assert_eq!(key == other_key, one == other);
        }
    }
}
