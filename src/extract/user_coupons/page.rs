//! A page of a wallet: as documented, or with odd fields that decide nothing. Requests none.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::extract::listing::{Items, stated_total};
use crate::wechat::ParseError;
use crate::wechat::pay_v3::busifavor::{UserCoupon, UserCouponPage};

/// A page as it was answered.
pub(super) enum WalletPage<'b> {
    /// As documented, its strings borrowed from the body.
    Plain(UserCouponPage<Cow<'b, str>>),
    /// With odd fields that decide nothing.
    Mended(UserCouponPage),
}

impl<'b> WalletPage<'b> {
    pub(super) fn read(body: &'b [u8]) -> Result<WalletPage<'b>, ParseError> {
        UserCouponPage::borrowed_from(body)
            .map(WalletPage::Plain)
            .or_else(|strict| UserCouponPage::mended_from(body).map(WalletPage::Mended).ok_or(strict))
    }
}

/// The items of a page, as the list that they are a part of needs them.
pub(super) fn read_items(body: &[u8]) -> Result<Items, ParseError> {
    match WalletPage::read(body)? {
        WalletPage::Plain(page) => items_of(&page),
        WalletPage::Mended(page) => items_of(&page),
    }
}

/// Refuses a page that lists a coupon twice with different values: which of the two is right would be a guess.
fn items_of<T: AsRef<str> + PartialEq>(page: &UserCouponPage<T>) -> Result<Items, ParseError> {
    let key = |it: &UserCoupon<T>| format!("{}/{}", it.stock_id.as_ref(), it.coupon_code.as_ref());
    let keys: Vec<_> = page.data.iter().map(key).collect();
    let mut first = HashMap::new();
    for (at, (key, coupon)) in keys.iter().zip(&page.data).enumerate() {
        if *first.entry(key).or_insert(coupon) != coupon {
            let detail = "lists a coupon of this page again, with different values".to_owned();
            return Err(ParseError::Json { at: format!("data[{at}]"), detail });
        }
    }
    Ok(Items { total: stated_total(page.total_count), keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_tell_a_coupon_twice_if_it_tells_it_alike() {
        let read = |states: [&str; 2]| {
            let data = states.map(|state| format!(r#"{{"stock_id":"1","coupon_code":"A","coupon_state":"{state}"}}"#));
            read_items(format!(r#"{{"data":[{}],"total_count":1}}"#, data.join(",")).as_bytes())
        };
        assert_eq!(read(["USED", "USED"]).unwrap().keys, ["1/A", "1/A"]);
        assert!(
            read(["USED", "SENDED"])
                .err()
                .unwrap()
                .to_string()
                .contains("`data[1]`: lists a coupon of this page again")
        );
    }
}
