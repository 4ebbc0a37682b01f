//! Rows of stocks, coupons and codes (reference v3 §2.2, §2.6, §2.11).

use super::{Imprint, Leftover};
use crate::extract::{Issue, IssueKind};
use crate::record::{CouponCode, Stock, UserCoupon};
use crate::wechat::pay_v3::busifavor as api;

/// A coupon as requested on a night; `openid` is the published one.
pub(in crate::extract) fn user_coupon_row<T: AsRef<str> + Clone + From<String>>(
    wire: api::UserCoupon<T>,
    openid: T,
    imprint: Imprint<'_>,
) -> UserCoupon<T> {
    let mut leftover = Leftover::of(&wire.extra);
    let rule = wire.coupon_use_rule.as_deref();
    leftover.nested("coupon_use_rule", rule.map(api::CouponUseRule::unknown_fields).as_ref());
    let mut time = |name: &str, raw: &Option<T>| leftover.time(name, raw.as_ref().map(T::as_ref));
    let stock_type = wire.stock_type.as_ref().map(T::as_ref);
    let transaction_minimum_fen = rule.and_then(|rule| rule.transaction_minimum(stock_type));
    // An empty string means "absent": it must not take precedence over the number that yesterday's ledger has.
    let given = |text: Option<T>| text.filter(|text| !text.as_ref().is_empty());
    UserCoupon {
        available_start_time: time("available_start_time", &wire.available_start_time),
        expire_time: time("expire_time", &wire.expire_time),
        receive_time: time("receive_time", &wire.receive_time),
        use_time: time("use_time", &wire.use_time),
        return_time: time("return_time", &wire.return_time),
        deactivate_time: time("deactivate_time", &wire.deactivate_time),
        stock_id: wire.stock_id,
        coupon_code: wire.coupon_code,
        openid,
        belong_merchant: wire.belong_merchant,
        stock_name: wire.stock_name,
        comment: wire.comment,
        goods_name: wire.goods_name,
        stock_type: wire.stock_type,
        transferable: wire.transferable,
        shareable: wire.shareable,
        coupon_state: wire.coupon_state,
        discount_amount_fen: rule.and_then(api::CouponUseRule::discount_amount),
        discount_percent: rule.and_then(api::CouponUseRule::discount_percent),
        exchange_price_fen: rule.and_then(api::CouponUseRule::exchange_price),
        transaction_minimum_fen,
        use_method: rule.and_then(|rule| rule.use_method.clone()),
        send_request_no: wire.send_request_no,
        use_request_no: given(wire.use_request_no),
        associate_out_trade_no: given(wire.associate_out_trade_no),
        return_request_no: given(wire.return_request_no),
        deactivate_request_no: given(wire.deactivate_request_no),
        deactivate_reason: given(wire.deactivate_reason),
        verified_date: imprint.date,
        extra: leftover.json(imprint).map(T::from),
        business_date: imprint.date,
    }
}

/// A stock as requested on a night.
pub(in crate::extract) fn stock_row(wire: &api::Stock, imprint: Imprint<'_>) -> Stock {
    let mut leftover = Leftover::of(&wire.extra);
    let rule = wire.coupon_use_rule.as_ref();
    let send = wire.stock_send_rule.as_ref();
    let sent = wire.send_count_information.as_ref();
    leftover.nested("coupon_use_rule", rule.map(api::CouponUseRule::unknown_fields).as_ref());
    leftover.nested("coupon_code_count", wire.coupon_code_count.as_ref().map(|count| &count.extra));
    leftover.nested("stock_send_rule", send.map(|send| &send.extra));
    leftover.nested("send_count_information", sent.map(|sent| &sent.extra));
    let valid = rule.and_then(|rule| rule.coupon_available_time.as_ref());
    let mut time = |name, raw: Option<&String>| leftover.time(name, raw.map(String::as_str));
    Stock {
        available_begin_time: time("available_begin_time", valid.and_then(|it| it.available_begin_time.as_ref())),
        available_end_time: time("available_end_time", valid.and_then(|it| it.available_end_time.as_ref())),
        stock_id: wire.stock_id.clone(),
        stock_name: wire.stock_name.clone(),
        belong_merchant: wire.belong_merchant.clone(),
        comment: wire.comment.clone(),
        goods_name: wire.goods_name.clone(),
        stock_type: wire.stock_type.clone(),
        stock_state: wire.stock_state.clone(),
        coupon_code_mode: wire.coupon_code_mode.clone(),
        available_day_after_receive: valid.and_then(|it| it.available_day_after_receive),
        wait_days_after_receive: valid.and_then(|it| it.wait_days_after_receive),
        discount_amount_fen: rule.and_then(api::CouponUseRule::discount_amount),
        discount_percent: rule.and_then(api::CouponUseRule::discount_percent),
        exchange_price_fen: rule.and_then(api::CouponUseRule::exchange_price),
        transaction_minimum_fen: rule.and_then(|rule| rule.transaction_minimum(wire.stock_type.as_deref())),
        use_method: rule.and_then(|rule| rule.use_method.clone()),
        max_coupons: send.and_then(|it| it.max_coupons),
        max_coupons_per_user: send.and_then(|it| it.max_coupons_per_user),
        max_coupons_by_day: send.and_then(|it| it.max_coupons_by_day),
        max_amount_fen: send.and_then(|it| it.max_amount),
        max_amount_by_day_fen: send.and_then(|it| it.max_amount_by_day),
        total_count: wire.coupon_code_count.as_ref().and_then(|it| it.total_count),
        available_count: wire.coupon_code_count.as_ref().and_then(|it| it.available_count),
        total_send_num: sent.and_then(|it| it.total_send_num),
        total_send_amount_fen: sent.and_then(|it| it.total_send_amount),
        today_send_num: sent.and_then(|it| it.today_send_num),
        today_send_amount_fen: sent.and_then(|it| it.today_send_amount),
        subsidy: wire.subsidy,
        notify_appid: wire.notify_config.as_ref().and_then(|it| it.notify_appid.clone()),
        extra: leftover.json(imprint),
        business_date: imprint.date,
    }
}

/// The code of an item of the pool of `stock_id`.
pub(in crate::extract) fn code_of<'w>(wire: &'w api::CodeInformation, stock_id: &str) -> Result<&'w str, Issue> {
    let what = || format!("the code pool of stock `{stock_id}` lists an item without a code");
    wire.code().ok_or_else(|| Issue::new(IssueKind::Garbled, what()))
}

/// A code of the pool of `stock_id` as requested on a night; openids are raw.
pub(in crate::extract) fn coupon_code_row(
    wire: &api::CodeInformation,
    stock_id: &str,
    imprint: Imprint<'_>,
) -> Result<CouponCode, Issue> {
    let imprint = imprint.about(wire.openid.as_deref());
    let mut leftover = Leftover::of(&wire.extra);
    let code = code_of(wire, stock_id)?;
    let user = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    Ok(CouponCode {
        stock_id: stock_id.to_owned(),
        coupon_code: code.to_owned(),
        code_status: wire.code_status.clone(),
        upload_time: leftover.time("upload_time", wire.upload_time.as_deref()),
        dispatched_time: leftover.time("dispatched_time", wire.dispatched_time.as_deref()),
        openid: user(&wire.openid),
        unionid: user(&wire.unionid),
        extra: leftover.json(imprint),
        business_date: imprint.date,
    })
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::money::Fen;

    /// Values of reference v3 §2.11.
    const COUPON: &str = r#"{"belong_merchant":"100000222","stock_name":"商家券","stock_type":"NORMAL",
      "transferable":"false","coupon_state":"SENDED","coupon_use_rule":{"fixed_normal_coupon":
      {"discount_amount":5,"transaction_minimum":100},"use_method":"OFF_LINE"},"coupon_code":"123446565767",
      "stock_id":"1002323","expire_time":"2019-12-31T13:29:35+08:00","use_time":"soon",
      "associate_out_trade_no":"","loyalty":{"tier":3}}"#;

    #[test]
    fn a_coupon_keeps_names_and_what_the_columns_do_not_hold() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let row = user_coupon_row(serde_json::from_str(COUPON).unwrap(), "hash".to_owned(), Imprint::raw(date));
        assert_eq!((row.discount_amount_fen, row.transaction_minimum_fen), (Some(Fen(5)), Some(Fen(100))));
        assert_eq!(row.expire_time.unwrap().to_rfc3339(), "2019-12-31T05:29:35+00:00");
        assert_eq!((row.transferable, row.associate_out_trade_no, row.use_time), (Some(false), None, None));
        assert_eq!(row.extra.as_deref(), Some(r#"{"loyalty":{"tier":3},"use_time":"soon"}"#));
        assert_eq!((row.openid.as_str(), row.verified_date), ("hash", date));
    }

    #[test]
    fn what_wechat_adds_to_a_discount_or_a_count_is_kept() {
        let imprint = Imprint::raw(NaiveDate::from_ymd_opt(2026, 11, 18).unwrap());
        let rule = r#""coupon_use_rule":{"new":1,"discount_coupon":{"discount_percent":88,"most_off":500}}"#;
        let coupon = serde_json::from_str(&format!(r#"{{"stock_id":"S","coupon_code":"C",{rule}}}"#)).unwrap();
        let kept = r#""coupon_use_rule":{"discount_coupon":{"most_off":500},"new":1}"#;
        let row = user_coupon_row(coupon, "hash".to_owned(), imprint);
        assert_eq!(row.extra, Some(format!("{{{kept}}}")));
        let count = r#""coupon_code_count":{"total_count":9,"locked_count":2}"#;
        let stock = serde_json::from_str(&format!(r#"{{"stock_id":"S",{count},{rule}}}"#)).unwrap();
        let kept = format!(r#"{{"coupon_code_count":{{"locked_count":2}},{kept}}}"#);
        assert_eq!(stock_row(&stock, imprint).extra, Some(kept));
    }

    #[test]
    fn an_openid_among_unknown_fields_is_published_like_any_other() {
        let keys = crate::pseudonyms::Pseudonyms::hmac(b"key");
        let imprint = Imprint { pseudonyms: &keys, ..Imprint::raw(NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()) };
        let wire = r#"{"stock_id":"S","coupon_code":"C","openid":"o1","use_time":"odXnH1CJjeQoWTld48db-pnxs-Wg"}"#;
        let row = user_coupon_row(serde_json::from_str(wire).unwrap(), "hash".to_owned(), imprint);
        let [by_name, by_shape] = ["o1", "odXnH1CJjeQoWTld48db-pnxs-Wg"].map(|openid| keys.publish(openid));
        assert_eq!(row.extra, Some(format!(r#"{{"openid":"{by_name}","use_time":"{by_shape}"}}"#)));
    }

    #[test]
    fn an_empty_number_is_none_and_does_not_stand_before_what_is_known() {
        let wire = r#"{"stock_id":"S","coupon_code":"C","use_request_no":"","return_request_no":"",
          "deactivate_request_no":"","deactivate_reason":""}"#;
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let row = user_coupon_row(serde_json::from_str(wire).unwrap(), "hash".to_owned(), Imprint::raw(date));
        assert_eq!([row.use_request_no, row.return_request_no], [None, None]);
        assert_eq!([row.deactivate_request_no, row.deactivate_reason], [None, None]);
    }
}
