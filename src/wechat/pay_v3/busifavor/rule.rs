//! Objects that stocks and coupons share: how a coupon may be used, how it is displayed (reference v3 §2.1, "shared
//! objects"). Plain data; strings are a `T`, owned or borrowed from the body (`lenient::Text`).

use serde::{Deserialize, Serialize};

use crate::money::Fen;
use crate::record::stock_type;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::oddity::{Shape, fits};

/// When and for what a coupon may be used. In practice exactly one of the three discounts is given; samples contain all
/// three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct CouponUseRule<T = String> {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_available_time: Option<AvailableTime<T>>,
    /// NORMAL: a fixed discount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_normal_coupon: Option<FixedNormalCoupon>,
    /// DISCOUNT: a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_coupon: Option<DiscountCoupon>,
    /// EXCHANGE: a fixed price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_coupon: Option<ExchangeCoupon>,
    /// OFF_LINE, MINI_PROGRAMS, SELF_CONSUME, PAYMENT_CODE.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub use_method: Option<T>,
    /// Mini program where it is used.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub mini_programs_appid: Option<T>,
    /// Page of that mini program.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub mini_programs_path: Option<T>,
    /// In older documents; newer ones have it in `coupon_available_time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_week: Option<AvailableWeek>,
    /// As `available_week`: the older place. The spelling is the wire's.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub irregulary_avaliable_time: Vec<TimeSpan<T>>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The discount decides; when and where it may be used does not, since a coupon has its own times.
pub(super) const RULE: Shape = Shape {
    decorative: &[
        "coupon_available_time",
        "use_method",
        "mini_programs_appid",
        "mini_programs_path",
        "available_week",
        "irregulary_avaliable_time",
    ],
    times: &[],
    inner: &[("coupon_available_time", &AVAILABLE_TIME)],
    fits: fits::<CouponUseRule>,
};

const AVAILABLE_TIME: Shape = Shape {
    decorative: &[
        "available_begin_time",
        "available_end_time",
        "available_day_after_receive",
        "available_second_after_receive",
        "wait_days_after_receive",
        "available_week",
        "irregulary_avaliable_time",
    ],
    times: &[],
    inner: &[],
    fits: fits::<AvailableTime>,
};

/// The days and hours of validity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct AvailableTime<T = String> {
    /// From, RFC 3339 as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub available_begin_time: Option<T>,
    /// Until, RFC 3339 as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub available_end_time: Option<T>,
    /// Days usable after receipt.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub available_day_after_receive: Option<i64>,
    /// Seconds usable after receipt.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub available_second_after_receive: Option<i64>,
    /// Days to wait after receipt.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub wait_days_after_receive: Option<i64>,
    /// Days of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_week: Option<AvailableWeek>,
    /// Irregular time spans. The spelling is the API's.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub irregulary_avaliable_time: Vec<TimeSpan<T>>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Days of the week and hours of the day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AvailableWeek {
    /// 0 is Sunday.
    #[serde(default, deserialize_with = "lenient::integers", skip_serializing_if = "Vec::is_empty")]
    pub week_day: Vec<i64>,
    /// Hours.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub available_day_time: Vec<DaySpan>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Hours of a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DaySpan {
    /// Second of the day.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub begin_time: Option<i64>,
    /// Second of the day.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// From and until.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct TimeSpan<T = String> {
    /// RFC 3339 as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub begin_time: Option<T>,
    /// RFC 3339 as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub end_time: Option<T>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// 满减: a fixed amount off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FixedNormalCoupon {
    /// Fen off.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub discount_amount: Option<Fen>,
    /// Minimum spend, fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub transaction_minimum: Option<Fen>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// 折扣: pay a percentage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DiscountCoupon {
    /// 88 means pay 88 %.
    #[serde(default, deserialize_with = "lenient::percent", skip_serializing_if = "Option::is_none")]
    pub discount_percent: Option<i64>,
    /// Minimum spend, fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub transaction_minimum: Option<Fen>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// 换购: pay a fixed price.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExchangeCoupon {
    /// Price, fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub exchange_price: Option<Fen>,
    /// Minimum spend, fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub transaction_minimum: Option<Fen>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where the coupon in the wallet leads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct CustomEntrance<T = String> {
    /// A mini program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mini_programs_info: Option<MiniProgram<T>>,
    /// Official account.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub appid: Option<T>,
    /// Marketing hall.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub hall_id: Option<T>,
    /// Store.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub store_id: Option<T>,
    /// NOT_SHOW, BARCODE, QRCODE.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code_display_mode: Option<T>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A mini program and the words on its button.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct MiniProgram<T = String> {
    /// Appid.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub mini_programs_appid: Option<T>,
    /// Page.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub mini_programs_path: Option<T>,
    /// Words.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub entrance_words: Option<T>,
    /// More words.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub guiding_words: Option<T>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How the coupon is displayed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: lenient::Text<'de>"))]
pub struct DisplayPattern<T = String> {
    /// Instructions.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub description: Option<T>,
    /// Logo.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub merchant_logo_url: Option<T>,
    /// Name shown.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub merchant_name: Option<T>,
    /// Color010 … Color100.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub background_color: Option<T>,
    /// Picture.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub coupon_image_url: Option<T>,
    /// Video channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finder_info: Option<Finder>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A Channels (视频号) account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Finder {
    /// Channel.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub finder_id: Option<String>,
    /// Video.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub finder_video_id: Option<String>,
    /// Its cover.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub finder_video_cover_image_url: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl<T> CouponUseRule<T> {
    /// Its unknown fields, and those of its discounts under their names: a limit that WeChat adds to a discount stands there.
    pub fn unknown_fields(&self) -> Extra {
        let mut unknown = self.extra.clone();
        let discounts = [
            ("fixed_normal_coupon", self.fixed_normal_coupon.as_ref().map(|part| &part.extra)),
            ("discount_coupon", self.discount_coupon.as_ref().map(|part| &part.extra)),
            ("exchange_coupon", self.exchange_coupon.as_ref().map(|part| &part.extra)),
        ];
        for (name, extra) in discounts {
            let extra = extra.filter(|extra| !extra.is_empty()).cloned();
            unknown.extend(extra.map(|extra| (name.to_owned(), extra.into())));
        }
        unknown
    }

    /// Minimum spend of the discount of this type, else of whichever discount states one: samples contain all three.
    pub fn transaction_minimum(&self, stock_type: Option<&str>) -> Option<Fen> {
        let normal = self.fixed_normal_coupon.as_ref().and_then(|part| part.transaction_minimum);
        let discount = self.discount_coupon.as_ref().and_then(|part| part.transaction_minimum);
        let exchange = self.exchange_coupon.as_ref().and_then(|part| part.transaction_minimum);
        let of_type = match stock_type {
            Some(stock_type::NORMAL) => normal,
            Some(stock_type::DISCOUNT) => discount,
            Some(stock_type::EXCHANGE) => exchange,
            _ => None,
        };
        of_type.or(normal).or(discount).or(exchange)
    }

    /// Fen off of a NORMAL coupon.
    pub fn discount_amount(&self) -> Option<Fen> {
        self.fixed_normal_coupon.as_ref().and_then(|part| part.discount_amount)
    }

    /// Percent to pay with a DISCOUNT coupon.
    pub fn discount_percent(&self) -> Option<i64> {
        self.discount_coupon.as_ref().and_then(|part| part.discount_percent)
    }

    /// Price with an EXCHANGE coupon.
    pub fn exchange_price(&self) -> Option<Fen> {
        self.exchange_coupon.as_ref().and_then(|part| part.exchange_price)
    }

    /// Days of the week, from the newer or the older place.
    pub fn week(&self) -> Option<&AvailableWeek> {
        self.coupon_available_time
            .as_ref()
            .and_then(|time| time.available_week.as_ref())
            .or(self.available_week.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn week_days_are_read_as_numbers_and_strings_in_both_places() {
        for body in [
            r#"{"coupon_available_time":{"available_week":{"week_day":[1,2]}}}"#,
            r#"{"coupon_available_time":{"available_week":{"week_day":["1","2"]}}}"#,
            r#"{"available_week":{"week_day":["1",2]}}"#,
        ] {
            let rule: CouponUseRule = serde_json::from_str(body).unwrap();
            assert_eq!(rule.week().unwrap().week_day, [1, 2], "{body}");
        }
    }

    #[test]
    fn the_minimum_is_that_of_the_type_where_a_rule_holds_all_three_discounts() {
        let rule: CouponUseRule = serde_json::from_str(
            r#"{"fixed_normal_coupon":{"transaction_minimum":1},"discount_coupon":{"transaction_minimum":2},
                "exchange_coupon":{"transaction_minimum":3}}"#,
        )
        .unwrap();
        for (stock_type, minimum) in [("NORMAL", 1), ("DISCOUNT", 2), ("EXCHANGE", 3), ("HOLOGRAM", 1)] {
            assert_eq!(rule.transaction_minimum(Some(stock_type)), Some(Fen(minimum)), "{stock_type}");
        }
        let only: CouponUseRule = serde_json::from_str(r#"{"discount_coupon":{"transaction_minimum":2}}"#).unwrap();
        assert_eq!([Some("NORMAL"), None].map(|it| only.transaction_minimum(it)), [Some(Fen(2)); 2]);
    }

    #[test]
    fn a_day_time_that_is_an_object_is_refused_with_its_path() {
        // The API has an array here; a model with an object loses it (reference v3 §6 no. 17).
        let body = br#"{"available_week":{"available_day_time":{"begin_time":1}}}"#;
        let error = crate::wechat::request::read_json::<CouponUseRule>(body).unwrap_err();
        assert!(error.to_string().contains("available_week"), "{error}");
    }
}
