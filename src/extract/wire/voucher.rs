//! Rows of v2 stocks and coupons (reference v2 §B.2, §B.3).

use super::Imprint;
use crate::extract::unknown_users::published_text;
use crate::record::{V2Coupon, V2Stock};
use crate::wechat::pay_v2::xml::Fields;
use crate::wechat::pay_v2::{Coupon, CouponStock, SignatureCheck};

/// A stock as requested on a night.
pub(in crate::extract) fn v2_stock_row(wire: &CouponStock, signature: SignatureCheck, imprint: Imprint<'_>) -> V2Stock {
    V2Stock {
        coupon_stock_id: wire.coupon_stock_id.clone(),
        coupon_name: wire.coupon_name.clone(),
        coupon_value_fen: wire.coupon_value,
        coupon_mininumn_fen: wire.coupon_minimum,
        coupon_type: wire.coupon_type.clone(),
        coupon_stock_status: wire.coupon_stock_status.clone(),
        coupon_total: wire.coupon_total,
        max_quota: wire.max_quota,
        locked_num: wire.locked_num,
        used_num: wire.used_num,
        is_send_num: wire.is_send_num,
        begin_time: wire.begin_time,
        end_time: wire.end_time,
        create_time: wire.create_time,
        coupon_budget_fen: wire.coupon_budget,
        signature: signature.as_str().to_owned(),
        extra: extra(&wire.extra, imprint),
        business_date: imprint.date,
    }
}

/// A coupon as requested on a night; `openid` is the published one.
pub(in crate::extract) fn v2_coupon_row(
    wire: &Coupon,
    openid: &str,
    signature: SignatureCheck,
    imprint: Imprint<'_>,
) -> V2Coupon {
    V2Coupon {
        coupon_stock_id: wire.coupon_stock_id.clone(),
        coupon_id: wire.coupon_id.clone(),
        openid: openid.to_owned(),
        coupon_name: wire.coupon_name.clone(),
        coupon_state: wire.coupon_state.clone(),
        coupon_desc: wire.coupon_desc.clone(),
        coupon_value_fen: wire.coupon_value,
        coupon_minimum_fen: wire.coupon_minimum,
        coupon_use_value_fen: wire.coupon_use_value,
        coupon_remain_value_fen: wire.coupon_remain_value,
        begin_time: wire.begin_time,
        end_time: wire.end_time,
        send_time: wire.send_time,
        use_time: wire.use_time,
        trade_no: wire.trade_no.clone(),
        send_source: wire.send_source.clone(),
        consumer_mch_id: wire.consumer_mch_id.clone(),
        is_partial_use: wire.is_partial_use.clone(),
        signature: signature.as_str().to_owned(),
        extra: extra(&wire.extra, imprint),
        business_date: imprint.date,
    }
}

fn extra(fields: &Fields, imprint: Imprint<'_>) -> Option<String> {
    let publish = |(name, text): (&String, &String)| (name.clone(), published_text(name, text, imprint));
    let fields: Fields = fields.iter().map(publish).collect();
    (!fields.is_empty()).then(|| serde_json::to_string(&fields).expect("text fields are JSON"))
}
