//! Coupons in wallets: list, query, redeem, associate, return, deactivate (reference v3 §2.9–2.15).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::rule::{CouponUseRule, CustomEntrance, DisplayPattern, RULE};
use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::oddity::{Mendable, Shape, fits, mended};
use crate::wechat::pay_v3::target::Target;
use crate::wechat::request::{ParseError, Request, read_json};

/// A coupon in a wallet, its strings owned or borrowed from the body (`lenient::Text`). The fields from
/// `use_request_no` on appear with their event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct UserCoupon<T = String> {
    /// Merchant the stock belongs to.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub belong_merchant: Option<T>,
    /// Name of the stock.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_name: Option<T>,
    /// Remark.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub comment: Option<T>,
    /// Goods.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub goods_name: Option<T>,
    /// NORMAL, DISCOUNT, EXCHANGE.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_type: Option<T>,
    /// May be given away.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub transferable: Option<bool>,
    /// May be shared.
    #[serde(default, deserialize_with = "lenient::boolean", skip_serializing_if = "Option::is_none")]
    pub shareable: Option<bool>,
    /// SENDED, USED, EXPIRED, DELETED, DEACTIVATED; the single query has more (reference v3 §2.11).
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub coupon_state: Option<T>,
    /// Its appearance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_pattern_info: Option<Box<DisplayPattern<T>>>,
    /// How it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_use_rule: Option<Box<CouponUseRule<T>>>,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_entrance: Option<Box<CustomEntrance<T>>>,
    /// Code.
    #[serde(deserialize_with = "lenient::key")]
    pub coupon_code: T,
    /// Stock.
    #[serde(deserialize_with = "lenient::key")]
    pub stock_id: T,
    /// Usable from, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub available_start_time: Option<T>,
    /// Usable until, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<T>,
    /// Received, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub receive_time: Option<T>,
    /// Number of the sender.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub send_request_no: Option<T>,
    /// Number of the redemption.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub use_request_no: Option<T>,
    /// Redeemed, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub use_time: Option<T>,
    /// Order the merchant associated.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub associate_out_trade_no: Option<T>,
    /// Number of the return.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub return_request_no: Option<T>,
    /// Returned, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub return_time: Option<T>,
    /// Number of the deactivation.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub deactivate_request_no: Option<T>,
    /// Deactivated, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub deactivate_time: Option<T>,
    /// Why.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub deactivate_reason: Option<T>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A page of a wallet. What `offset` counts is not documented (reference v3 §2.10).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct UserCouponPage<T = String> {
    /// Coupons; absent when empty.
    #[serde(default, deserialize_with = "lenient::list")]
    pub data: Vec<UserCoupon<T>>,
    /// Coupons in all.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub total_count: Option<i64>,
    /// As requested, or the number returned.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// As requested.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Neither a rule nor the ledger reads the decorative fields. Request numbers are ids, even those that nothing reads.
impl Mendable for UserCoupon {
    const SHAPE: Shape = Shape {
        decorative: &[
            "stock_name",
            "comment",
            "goods_name",
            "transferable",
            "shareable",
            "display_pattern_info",
            "custom_entrance",
            "deactivate_reason",
        ],
        times: &["available_start_time", "expire_time", "receive_time", "use_time", "return_time", "deactivate_time"],
        inner: &[("coupon_use_rule", &RULE)],
        fits: fits::<UserCoupon>,
    };

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl Mendable for UserCouponPage {
    const SHAPE: Shape =
        Shape { decorative: &["limit", "offset"], times: &[], inner: &[], fits: fits::<UserCouponPage> };
    const ITEMS: Option<(&'static str, &'static Shape)> = Some(("data", &UserCoupon::<String>::SHAPE));

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }

    fn extra_of_items(&mut self) -> impl Iterator<Item = &mut Extra> {
        self.data.iter_mut().map(|coupon| &mut coupon.extra)
    }
}

impl UserCouponPage {
    /// Parses a page of which `borrowed_from` says that it does not have the documented shape.
    pub fn mended_from(body: &[u8]) -> Option<UserCouponPage> {
        mended(body)
    }
}

impl<'b> UserCouponPage<Cow<'b, str>> {
    /// Parses a page with strings borrowed from the body: a night reads many pages and keeps little of each.
    ///
    /// # Errors
    /// The body does not have the documented shape.
    pub fn borrowed_from(body: &'b [u8]) -> Result<UserCouponPage<Cow<'b, str>>, ParseError> {
        read_json(body)
    }
}

/// The body of `POST coupons/use` (reference v3 §2.9), without its optional fields. Also read from plans, where a field
/// too many is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// Stock.
    pub stock_id: String,
    /// Code.
    pub coupon_code: String,
    /// Appid of the user's openid.
    pub appid: String,
    /// RFC 3339.
    pub use_time: String,
    /// Number of the redemption.
    pub use_request_no: String,
}

/// The body of `POST coupons/return` (reference v3 §2.14). Also read from plans, where a field too many is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[serde(deny_unknown_fields)]
pub struct CouponReturn {
    /// Stock.
    pub stock_id: String,
    /// Code.
    pub coupon_code: String,
    /// Number of the return.
    pub return_request_no: String,
}

/// A coupon redeemed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Stock.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_id: Option<String>,
    /// User under the appid of the call.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub wechatpay_use_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An association made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Associated {
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub wechatpay_associate_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An association undone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Disassociated {
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub wechatpay_disassociate_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A coupon returned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub wechatpay_return_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A coupon deactivated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Deactivated {
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub wechatpay_deactivate_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The filter for listing a wallet. The caller must name itself in every role it has (reference v3 §2.10), otherwise
/// the answer is NO_AUTH or an empty list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CouponFilter {
    /// Appid the openid belongs to.
    pub appid: String,
    /// Only this stock.
    pub stock_id: Option<String>,
    /// Only this state.
    pub coupon_state: Option<String>,
    /// The caller, if it created the stocks.
    pub creator_merchant: Option<String>,
    /// The caller, if the stocks belong to it.
    pub belong_merchant: Option<String>,
    /// The caller, if it sent the coupons.
    pub sender_merchant: Option<String>,
}

/// A page of the coupons of a user (reference v3 §2.10).
pub fn user_coupons(openid: &str, filter: &CouponFilter, offset: u64, limit: u64) -> Request<UserCouponPage> {
    let target = Target::new(endpoint::USER_COUPONS.path, &[openid])
        .query("appid", &filter.appid)
        .maybe("stock_id", filter.stock_id.as_deref())
        .maybe("coupon_state", filter.coupon_state.as_deref())
        .maybe("creator_merchant", filter.creator_merchant.as_deref())
        .maybe("belong_merchant", filter.belong_merchant.as_deref())
        .maybe("sender_merchant", filter.sender_merchant.as_deref())
        .query("offset", &offset.to_string())
        .query("limit", &limit.to_string());
    Request::mending(&endpoint::USER_COUPONS, target.finish())
}

/// One coupon of a user (reference v3 §2.11). NotFound when WeChat knows no such coupon.
pub fn user_coupon(openid: &str, coupon_code: &str, appid: &str) -> Request<UserCoupon> {
    let target = Target::new(endpoint::USER_COUPON.path, &[openid, coupon_code, appid]);
    Request::mending(&endpoint::USER_COUPON, target.finish())
}

/// Redeems a coupon (reference v3 §2.9).
pub fn use_coupon(redemption: &Redemption) -> Request<Used> {
    Request::post(&endpoint::COUPON_USE, redemption)
}

/// Associates an unused coupon with an order (reference v3 §2.12).
pub fn associate(stock_id: &str, coupon_code: &str, out_trade_no: &str, out_request_no: &str) -> Request<Associated> {
    Request::post(&endpoint::COUPON_ASSOCIATE, &Association { stock_id, coupon_code, out_trade_no, out_request_no })
}

/// Removes the association (reference v3 §2.13).
pub fn disassociate(
    stock_id: &str,
    coupon_code: &str,
    out_trade_no: &str,
    out_request_no: &str,
) -> Request<Disassociated> {
    Request::post(&endpoint::COUPON_DISASSOCIATE, &Association { stock_id, coupon_code, out_trade_no, out_request_no })
}

/// Makes a used coupon usable again after a refund (reference v3 §2.14).
pub fn return_coupon(coupon: &CouponReturn) -> Request<Returned> {
    Request::post(&endpoint::COUPON_RETURN, coupon)
}

/// Makes an unused coupon permanently unusable (reference v3 §2.15).
pub fn deactivate(
    stock_id: &str,
    coupon_code: &str,
    deactivate_request_no: &str,
    reason: Option<&str>,
) -> Request<Deactivated> {
    let body = Deactivation { coupon_code, stock_id, deactivate_request_no, deactivate_reason: reason };
    Request::post(&endpoint::COUPON_DEACTIVATE, &body)
}

#[derive(Serialize)]
struct Association<'a> {
    stock_id: &'a str,
    coupon_code: &'a str,
    out_trade_no: &'a str,
    out_request_no: &'a str,
}

#[derive(Serialize)]
struct Deactivation<'a> {
    coupon_code: &'a str,
    stock_id: &'a str,
    deactivate_request_no: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deactivate_reason: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::parse_time;

    const PAGE: &str = include_str!("../../../../tests/fixtures/answers/pay_v3_user_coupons.json");
    const COUPON: &str = include_str!("../../../../tests/fixtures/answers/pay_v3_user_coupon.json");

    fn filter() -> CouponFilter {
        CouponFilter { appid: "wx233544546545989".into(), ..CouponFilter::default() }
    }

    #[test]
    fn the_list_target_is_the_one_of_the_frozen_signature() {
        let filter = CouponFilter {
            stock_id: Some("100088".into()),
            coupon_state: Some("SENDED".into()),
            creator_merchant: Some("1000000001".into()),
            ..filter()
        };
        assert_eq!(
            user_coupons("2323dfsdf342342", &filter, 0, 20).target,
            "/v3/marketing/busifavor/users/2323dfsdf342342/coupons?appid=wx233544546545989&stock_id=100088&coupon_state=SENDED&creator_merchant=1000000001&offset=0&limit=20"
        );
    }

    #[test]
    fn the_documented_page_parses_without_a_field_left_over() {
        let page = user_coupons("o", &filter(), 0, 20).parse(PAGE.as_bytes()).unwrap();
        let coupon = &page.data[0];
        assert_eq!((page.total_count, page.limit, page.offset), (Some(100), Some(10), Some(1)));
        assert_eq!((coupon.coupon_code.as_str(), coupon.stock_id.as_str()), ("123446565767", "1002323"));
        assert_eq!(coupon.coupon_use_rule.as_ref().unwrap().week().unwrap().week_day, [1, 2]);
        assert!(coupon.extra.is_empty() && page.extra.is_empty());
        let again: UserCouponPage = serde_json::from_str(&serde_json::to_string(&page).unwrap()).unwrap();
        assert_eq!(again, page);
    }

    #[test]
    fn the_documented_coupon_parses_with_every_event() {
        let coupon = user_coupon("oA", "123446565767", "wx1").parse(COUPON.as_bytes()).unwrap();
        assert_eq!(coupon.associate_out_trade_no.as_deref(), Some("MCH_102233445"));
        assert!(parse_time(coupon.return_time.as_deref().unwrap()).is_some());
        assert!(coupon.extra.is_empty());
        assert_eq!(serde_json::to_value(&coupon).unwrap(), serde_json::from_str::<serde_json::Value>(COUPON).unwrap());
    }

    #[test]
    fn the_old_dialect_with_booleans_as_strings_is_read() {
        let body = br#"{"data":[{"stock_id":"1","coupon_code":"A","transferable":"false","shareable":"true","coupon_state":"REDEEM_CONFIRMING"}],"total_count":"1"}"#;
        let page = user_coupons("o", &filter(), 0, 20).parse(body).unwrap();
        assert_eq!(
            (page.data[0].transferable, page.data[0].shareable, page.total_count),
            (Some(false), Some(true), Some(1))
        );
        assert_eq!(page.data[0].coupon_state.as_deref(), Some("REDEEM_CONFIRMING"));
    }

    #[test]
    fn a_borrowed_page_says_what_an_owned_one_says() {
        let odd = r#"{"data":[{"stock_id":17,"coupon_code":"A\u0042","stock_name":"满\"减\"","comment":null,"goods_name":"茶",
          "coupon_use_rule":{"coupon_available_time":{"available_begin_time":"2026-01-01T00:00:00+08:00"},"x":["\n",1.5]},
          "send_request_no":true,"tier":{"name":"g\\"}}],"total_count":"1"}"#;
        for body in [PAGE, odd] {
            let owned = user_coupons("o", &filter(), 0, 20).parse(body.as_bytes()).unwrap();
            let borrowed = UserCouponPage::borrowed_from(body.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&borrowed).unwrap(), serde_json::to_string(&owned).unwrap());
        }
        let page = UserCouponPage::borrowed_from(odd.as_bytes()).unwrap();
        let UserCoupon { stock_id, coupon_code, stock_name, goods_name, .. } = &page.data[0];
        assert_eq!((stock_id.as_ref(), coupon_code.as_ref()), ("17", "AB"));
        assert!(matches!((stock_name, goods_name), (Some(Cow::Owned(_)), Some(Cow::Borrowed("茶")))));
    }

    #[test]
    fn a_page_that_does_not_fit_is_the_same_error_borrowed_and_owned() {
        for body in [&br#"{"data":[{"stock_id":"1","coupon_code":"A"},{"stock_id":""}]}"#[..], b"{\"data\":7}", b"\xff"]
        {
            let owned = user_coupons("o", &filter(), 0, 20).parse(body).unwrap_err().to_string();
            assert_eq!(UserCouponPage::borrowed_from(body).unwrap_err().to_string(), owned);
        }
    }

    #[test]
    fn an_empty_wallet_may_have_no_data_at_all() {
        for body in [&br#"{"total_count":0,"limit":20,"offset":0}"#[..], br#"{"data":null,"total_count":0}"#] {
            assert!(user_coupons("o", &filter(), 0, 20).parse(body).unwrap().data.is_empty());
        }
    }

    #[test]
    fn the_place_of_a_bad_coupon_is_named_without_its_neighbours() {
        let body = br#"{"data":[{"stock_id":"1","coupon_code":"A"},{"stock_id":"1"}]}"#;
        let error = user_coupons("o", &filter(), 0, 20).parse(body).unwrap_err().to_string();
        assert!(error.contains("coupon_code"), "{error}");
    }

    #[test]
    fn the_write_bodies_are_those_of_the_reference() {
        let request = associate("100088", "sxxe34343434", "MCH_102233445", "1002600620019090123143254435");
        assert_eq!(
            request.body.as_ref(),
            br#"{"stock_id":"100088","coupon_code":"sxxe34343434","out_trade_no":"MCH_102233445","out_request_no":"1002600620019090123143254435"}"#
        );
        let done = request.parse(br#"{"wechatpay_associate_time":"2015-05-20T13:29:35+08:00"}"#).unwrap();
        assert_eq!(done.wechatpay_associate_time.as_deref(), Some("2015-05-20T13:29:35+08:00"));
        let undone =
            disassociate("1", "A", "O", "R").parse(br#"{"wechatpay_disassociate_time":"2015-05-20T13:29:35.+08:00"}"#);
        assert!(parse_time(undone.unwrap().wechatpay_disassociate_time.as_deref().unwrap()).is_some());
        let returned = CouponReturn { stock_id: "1".into(), coupon_code: "A".into(), return_request_no: "R".into() };
        let request = return_coupon(&returned);
        assert_eq!(request.body.as_ref(), br#"{"stock_id":"1","coupon_code":"A","return_request_no":"R"}"#);
        assert!(request.parse(br#"{"wechatpay_return_time":"2020-05-20T13:29:35.08:00"}"#).is_ok());
        assert_eq!(
            deactivate("1", "A", "D", None).body.as_ref(),
            br#"{"coupon_code":"A","stock_id":"1","deactivate_request_no":"D"}"#
        );
        assert!(
            deactivate("1", "A", "D", Some("错误"))
                .parse(br#"{"wechatpay_deactivate_time":"2020-05-20T13:29:35+08:00"}"#)
                .is_ok()
        );
        let redemption = Redemption {
            stock_id: "1".into(),
            coupon_code: "A".into(),
            appid: "wx1".into(),
            use_time: "2015-05-20T13:29:35+08:00".into(),
            use_request_no: "U".into(),
        };
        let request = use_coupon(&redemption);
        assert_eq!(
            request.body.as_ref(),
            br#"{"stock_id":"1","coupon_code":"A","appid":"wx1","use_time":"2015-05-20T13:29:35+08:00","use_request_no":"U"}"#
        );
        let used = request.parse(br#"{"stock_id":"1","openid":"o","wechatpay_use_time":"2015-05-20T13:29:35+08:00"}"#);
        assert_eq!(used.unwrap().openid.as_deref(), Some("o"));
    }
}
