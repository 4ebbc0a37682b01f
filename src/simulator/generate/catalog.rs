//! The six stocks of the merchant, their discounts and their answers to GET stocks/{stock_id}
//! (reference v3 §2.2). Every stock type and every code mode occurs.

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::money::Fen;
use crate::simulator::state::wire_time;

use super::calendar::{Calendar, at, earlier, last_second, later};
use super::recipe::MerchantKind;

/// The merchant: caller of every API, creator of every stock.
pub(super) const MCHID: &str = "1900000001";
/// The franchise company: receives the subsidies, owns one stock.
pub(super) const FRANCHISEE: &str = "1900000002";
/// A merchant whose bill this job does not have.
pub(super) const OTHER_MERCHANT: &str = "1900000003";
/// Appid of wallets, v2 and MP.
pub(super) const APPID: &str = "wx5edab3bdfba3dc1c";
/// `stock_send_rule.max_coupons_per_user` of every stock.
pub(super) const MAX_COUPONS_PER_USER: i64 = 20;
/// Days a coupon is usable after receipt.
pub(super) const VALID_DAYS: u64 = 60;

/// A stock.
#[derive(Debug)]
pub(super) struct Stock {
    pub(super) stock_id: &'static str,
    pub(super) name: &'static str,
    pub(super) terms: Terms,
    pub(super) code_mode: CodeMode,
    pub(super) minimum_fen: i64,
    /// The usual price of a basket with such a coupon, inclusive range.
    pub(super) basket_fen: (i64, i64),
    pub(super) belong_merchant: &'static str,
    pub(super) program: Option<Program>,
}

/// The benefit of a coupon.
#[derive(Debug, Clone, Copy)]
pub(super) enum Terms {
    Normal {
        discount_fen: i64,
    },
    /// 88 means pay 88 %.
    Discount {
        percent: i64,
    },
    Exchange {
        price_fen: i64,
    },
}

/// Who generates the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeMode {
    Wechatpay,
    MerchantApi,
    MerchantUpload,
}

/// A subsidy programme from the merchant to the franchisee.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    pub(super) amount: ProgramAmount,
    pub(super) due_days: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ProgramAmount {
    Fixed(i64),
    PercentOfDiscount(i64),
}

/// NORMAL with a fixed subsidy.
pub(super) static FIXED_SUBSIDY: Stock = Stock {
    stock_id: "1288880000000001",
    name: "满30减5券",
    terms: Terms::Normal { discount_fen: 500 },
    code_mode: CodeMode::Wechatpay,
    minimum_fen: 3000,
    basket_fen: (3000, 8800),
    belong_merchant: MCHID,
    program: Some(Program { amount: ProgramAmount::Fixed(100), due_days: 1 }),
};

/// DISCOUNT with a subsidy of half the discount.
pub(super) static SHARED_SUBSIDY: Stock = Stock {
    stock_id: "1288880000000002",
    name: "88折分摊券",
    terms: Terms::Discount { percent: 88 },
    code_mode: CodeMode::Wechatpay,
    minimum_fen: 1000,
    basket_fen: (1500, 9900),
    belong_merchant: MCHID,
    program: Some(Program { amount: ProgramAmount::PercentOfDiscount(50), due_days: 2 }),
};

/// DISCOUNT without a programme; most breaks are planted on it.
pub(super) static DISCOUNT: Stock = Stock {
    stock_id: "1288880000000003",
    name: "新品75折券",
    terms: Terms::Discount { percent: 75 },
    code_mode: CodeMode::MerchantApi,
    minimum_fen: 1000,
    basket_fen: (1200, 7900),
    belong_merchant: MCHID,
    program: None,
};

/// EXCHANGE from a pool of uploaded codes. All its coupons were received before the first night,
/// since its counts are not shown as of a day.
pub(super) static POOL: Stock = Stock {
    stock_id: "1288880000000004",
    name: "9.9元换购券",
    terms: Terms::Exchange { price_fen: 990 },
    code_mode: CodeMode::MerchantUpload,
    minimum_fen: 1000,
    basket_fen: (1600, 3600),
    belong_merchant: MCHID,
    program: None,
};

/// NORMAL whose coupons must be associated with an order (`rules.must_associate`).
pub(super) static ASSOCIATED: Stock = Stock {
    stock_id: "1288880000000005",
    name: "8元无门槛券",
    terms: Terms::Normal { discount_fen: 800 },
    code_mode: CodeMode::MerchantApi,
    minimum_fen: 100,
    basket_fen: (900, 6000),
    belong_merchant: MCHID,
    program: None,
};

/// EXCHANGE of the franchisee, used in the merchant's shops (`rules.merchant_pairs`).
pub(super) static FRANCHISE: Stock = Stock {
    stock_id: "1288880000000006",
    name: "联名1元换购券",
    terms: Terms::Exchange { price_fen: 100 },
    code_mode: CodeMode::Wechatpay,
    minimum_fen: 100,
    basket_fen: (1000, 2500),
    belong_merchant: FRANCHISEE,
    program: None,
};

/// All of them.
pub(super) static CATALOG: [&Stock; 6] = [&FIXED_SUBSIDY, &SHARED_SUBSIDY, &DISCOUNT, &POOL, &ASSOCIATED, &FRANCHISE];

impl Stock {
    /// The discount its terms give on `goods` (design §6), never more than the goods.
    pub(super) fn discount(&self, goods: Fen) -> Fen {
        let discount = match self.terms {
            Terms::Normal { discount_fen } => Fen(discount_fen),
            Terms::Discount { percent } => {
                goods.percent_half_up(100 - percent).expect("baskets are far below the range of amounts")
            }
            Terms::Exchange { price_fen } => (goods - Fen(price_fen)).max(Fen::ZERO),
        };
        discount.min(goods)
    }

    /// The subsidy its programme owes for a discount.
    pub(super) fn subsidy(&self, discount: Fen) -> Option<Fen> {
        match self.program?.amount {
            ProgramAmount::Fixed(fen) => Some(Fen(fen)),
            ProgramAmount::PercentOfDiscount(percent) => discount.percent_half_up(percent),
        }
    }

    fn stock_type(&self) -> &'static str {
        match self.terms {
            Terms::Normal { .. } => "NORMAL",
            Terms::Discount { .. } => "DISCOUNT",
            Terms::Exchange { .. } => "EXCHANGE",
        }
    }

    fn terms_json(&self) -> (&'static str, Value) {
        let minimum = self.minimum_fen;
        match self.terms {
            Terms::Normal { discount_fen } => {
                ("fixed_normal_coupon", json!({"discount_amount": discount_fen, "transaction_minimum": minimum}))
            }
            Terms::Discount { percent } => {
                ("discount_coupon", json!({"discount_percent": percent, "transaction_minimum": minimum}))
            }
            Terms::Exchange { price_fen } => {
                ("exchange_coupon", json!({"exchange_price": price_fen, "transaction_minimum": minimum}))
            }
        }
    }

    fn use_rule(&self, calendar: Calendar) -> Value {
        let mut rule = json!({
            "coupon_available_time": {
                "available_begin_time": wire_time(at(earlier(calendar.first(), 120), 0, 0)),
                "available_end_time": wire_time(last_second(later(calendar.last(), 180))),
                "available_day_after_receive": VALID_DAYS,
            },
            "use_method": "OFF_LINE",
        });
        let (name, terms) = self.terms_json();
        rule[name] = terms;
        rule
    }

    /// The answer of GET stocks/{stock_id} when `issued` coupons were sent.
    pub(super) fn answer(&self, kind: MerchantKind, calendar: Calendar, issued: i64) -> Map<String, Value> {
        let answer = json!({
            "stock_name": self.name,
            "belong_merchant": self.belong_merchant,
            "comment": "全国门店可用",
            "goods_name": kind.brand(),
            "stock_type": self.stock_type(),
            "coupon_use_rule": self.use_rule(calendar),
            "stock_send_rule": {
                "max_coupons": (issued * 2).max(10_000),
                "max_coupons_per_user": MAX_COUPONS_PER_USER,
                "natural_person_limit": false,
                "prevent_api_abuse": false,
                "transferable": false,
                "shareable": false,
            },
            "display_pattern_info": {
                "description": format!("{}门店使用", kind.brand()),
                "merchant_name": kind.brand(),
                "background_color": "Color020",
            },
            "stock_state": "RUNNING",
            "coupon_code_mode": self.code_mode.wire_name(),
            "stock_id": self.stock_id,
            "notify_config": {"notify_appid": APPID},
            "send_count_information": {"total_send_num": issued, "today_send_num": 0},
            "subsidy": self.program.is_some(),
        });
        let Value::Object(answer) = answer else { unreachable!("the literal above is an object") };
        answer
    }
}

impl CodeMode {
    /// The API's name (reference v3 §2.24).
    pub(super) fn wire_name(self) -> &'static str {
        match self {
            CodeMode::Wechatpay => "WECHATPAY_MODE",
            CodeMode::MerchantApi => "MERCHANT_API",
            CodeMode::MerchantUpload => "MERCHANT_UPLOAD",
        }
    }

    /// The `serial`th code. Merchant codes use every character class the API allows
    /// (reference v3 §2.5): they must survive URLs, CSV cells and spreadsheets.
    pub(super) fn code(self, serial: u64, date: NaiveDate) -> String {
        match self {
            CodeMode::Wechatpay => format!("12{}{serial:012}", date.format("%Y%m%d")),
            CodeMode::MerchantApi => match serial % 8 {
                0 => format!("RY/{serial:08}"),
                1 => format!("RY {serial:08}"),
                _ => format!("RY-{serial:08}"),
            },
            CodeMode::MerchantUpload => match serial % 5 {
                0 => format!("=P|{serial:08}"),
                1 => format!("P_{serial:08}\\A"),
                _ => format!("P{serial:08}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_type_and_every_code_mode_occurs() {
        let types: BTreeSet<_> = CATALOG.iter().map(|stock| stock.stock_type()).collect();
        let modes: BTreeSet<_> = CATALOG.iter().map(|stock| stock.code_mode.wire_name()).collect();
        assert_eq!(types, BTreeSet::from(["DISCOUNT", "EXCHANGE", "NORMAL"]));
        assert_eq!(modes, BTreeSet::from(["MERCHANT_API", "MERCHANT_UPLOAD", "WECHATPAY_MODE"]));
    }

    #[test]
    fn discounts_follow_the_terms_and_never_exceed_the_goods() {
        assert_eq!(FIXED_SUBSIDY.discount(Fen(3000)), Fen(500));
        assert_eq!(ASSOCIATED.discount(Fen(650)), Fen(650));
        // 12 % of 45.46 yuan is 5.4552: half up gives 5.46; 25 % of 0.02 is half a fen.
        assert_eq!(SHARED_SUBSIDY.discount(Fen(4546)), Fen(546));
        assert_eq!(DISCOUNT.discount(Fen(2)), Fen(1));
        assert_eq!(POOL.discount(Fen(1990)), Fen(1000));
        assert_eq!(POOL.discount(Fen(500)), Fen(0));
    }

    #[test]
    fn a_percentage_subsidy_takes_the_discount_half_up() {
        assert_eq!(SHARED_SUBSIDY.subsidy(Fen(545)), Some(Fen(273)));
        assert_eq!(FIXED_SUBSIDY.subsidy(Fen(500)), Some(Fen(100)));
        assert_eq!(DISCOUNT.subsidy(Fen(500)), None);
    }

    #[test]
    fn codes_keep_to_the_alphabet_and_length_of_the_api() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        for mode in [CodeMode::Wechatpay, CodeMode::MerchantApi, CodeMode::MerchantUpload] {
            for serial in [0, 1, 5, 8, 99_999_999] {
                let code = mode.code(serial, date);
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" -_\\/=|".contains(&byte);
                assert!(code.len() <= 32 && code.bytes().all(allowed), "{code}");
            }
        }
    }
}
