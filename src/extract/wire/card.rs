//! Rows of the datacube and of cards (reference MP §D.11, §D.24–D.27).

use super::{Imprint, Leftover, ref_date};
use crate::extract::Issue;
use crate::record::{Card, CardAccountDay, CardDay, MemberCardDay, MemberCardDetailDay};
use crate::wechat::lenient::Extra;
use crate::wechat::mp::cards::{BaseInfo, CardAnswer};
use crate::wechat::mp::datacube as api;

/// Account totals of a day; the answer does not repeat `cond_source`.
pub(in crate::extract) fn card_account_row(
    wire: &api::CardAccountDay,
    cond_source: i64,
    imprint: Imprint<'_>,
) -> Result<CardAccountDay, Issue> {
    Ok(CardAccountDay {
        ref_date: ref_date(&wire.ref_date)?,
        cond_source,
        view_cnt: wire.view_cnt,
        view_user: wire.view_user,
        receive_cnt: wire.receive_cnt,
        receive_user: wire.receive_user,
        verify_cnt: wire.verify_cnt,
        verify_user: wire.verify_user,
        given_cnt: wire.given_cnt,
        given_user: wire.given_user,
        expire_cnt: wire.expire_cnt,
        expire_user: wire.expire_user,
        view_friends_cnt: wire.view_friends_cnt,
        view_friends_user: wire.view_friends_user,
        receive_friends_cnt: wire.receive_friends_cnt,
        receive_friends_user: wire.receive_friends_user,
        verify_friends_cnt: wire.verify_friends_cnt,
        verify_friends_user: wire.verify_friends_user,
        extra: Leftover::of(&wire.extra).json(imprint),
        business_date: imprint.date,
    })
}

/// Figures of one free coupon on a day.
pub(in crate::extract) fn card_day_row(
    wire: &api::CardDay,
    cond_source: i64,
    imprint: Imprint<'_>,
) -> Result<CardDay, Issue> {
    Ok(CardDay {
        ref_date: ref_date(&wire.ref_date)?,
        cond_source,
        card_id: wire.card_id.clone(),
        card_type: wire.card_type,
        is_pay: wire.is_pay,
        view_cnt: wire.view_cnt,
        view_user: wire.view_user,
        receive_cnt: wire.receive_cnt,
        receive_user: wire.receive_user,
        verify_cnt: wire.verify_cnt,
        verify_user: wire.verify_user,
        given_cnt: wire.given_cnt,
        given_user: wire.given_user,
        expire_cnt: wire.expire_cnt,
        expire_user: wire.expire_user,
        verify_noself_cnt: wire.verify_noself_cnt,
        verify_noself_user: wire.verify_noself_user,
        isfriendscard: wire.isfriendscard,
        extra: Leftover::of(&wire.extra).json(imprint),
        business_date: imprint.date,
    })
}

/// Totals of the member cards on a day.
pub(in crate::extract) fn member_card_row(
    wire: &api::MemberCardDay,
    cond_source: i64,
    imprint: Imprint<'_>,
) -> Result<MemberCardDay, Issue> {
    Ok(MemberCardDay {
        ref_date: ref_date(&wire.ref_date)?,
        cond_source,
        view_cnt: wire.view_cnt,
        view_user: wire.view_user,
        receive_cnt: wire.receive_cnt,
        receive_user: wire.receive_user,
        verify_cnt: wire.verify_cnt,
        verify_user: wire.verify_user,
        active_cnt: wire.active_cnt,
        active_user: wire.active_user,
        new_user: wire.new_user,
        total_user: wire.total_user,
        total_receive_user: wire.total_receive_user,
        extra: Leftover::of(&wire.extra).json(imprint),
        business_date: imprint.date,
    })
}

/// Figures of one member card on a day.
pub(in crate::extract) fn member_detail_row(
    wire: &api::MemberCardDetailDay,
    imprint: Imprint<'_>,
) -> Result<MemberCardDetailDay, Issue> {
    Ok(MemberCardDetailDay {
        ref_date: ref_date(&wire.ref_date)?,
        cardid: wire.cardid.clone(),
        // Part of the key: absent means the merchant itself.
        merchanttype: wire.merchanttype.unwrap_or(0),
        submerchantid: wire.submerchantid.clone().unwrap_or_default(),
        view_cnt: wire.view_cnt,
        view_user: wire.view_user,
        receive_cnt: wire.receive_cnt,
        receive_user: wire.receive_user,
        verify_cnt: wire.verify_cnt,
        verify_user: wire.verify_user,
        active_cnt: wire.active_cnt,
        active_user: wire.active_user,
        new_user: wire.new_user,
        total_user: wire.total_user,
        total_receive_user: wire.total_receive_user,
        pay_original_fee: wire.pay_original_fee.clone(),
        fee: wire.fee.clone(),
        extra: Leftover::of(&wire.extra).json(imprint),
        business_date: imprint.date,
    })
}

/// A card, the dimension of the statistics. What the merchant never set is absent (reference MP
/// §D.11).
pub(in crate::extract) fn card_dimension_row(wire: &CardAnswer, card_id: &str, imprint: Imprint<'_>) -> Card {
    let base = wire.card.base_info();
    let mut leftover = Leftover::of_mp_answer(&wire.extra);
    if base.is_none() {
        leftover.nested("card", Some(&wire.card.parts));
    }
    let base = base.unwrap_or_default();
    let BaseInfo { sku, date_info, .. } = &base;
    let mut inner = Leftover::of(&base.extra);
    let mut validity = Leftover::of(date_info.as_ref().map_or(&Extra::new(), |it| &it.extra));
    let begin_time = validity.epoch("begin_timestamp", date_info.as_ref().and_then(|it| it.begin_timestamp));
    let end_time = validity.epoch("end_timestamp", date_info.as_ref().and_then(|it| it.end_timestamp));
    let create_time = inner.epoch("create_time", base.create_time);
    let update_time = inner.epoch("update_time", base.update_time);
    inner.nested("date_info", Some(&validity.0));
    inner.nested("sku", sku.as_ref().map(|sku| &sku.extra));
    leftover.nested("base_info", Some(&inner.0));
    Card {
        card_id: card_id.to_owned(),
        card_type: Some(wire.card.card_type.clone()),
        title: base.title.clone(),
        brand_name: base.brand_name.clone(),
        status: base.status.clone(),
        code_type: base.code_type.clone(),
        quantity: sku.as_ref().and_then(|sku| sku.quantity),
        total_quantity: sku.as_ref().and_then(|sku| sku.total_quantity),
        date_type: date_info.as_ref().and_then(|it| it.type_.clone()),
        begin_time,
        end_time,
        create_time,
        update_time,
        extra: leftover.json(imprint),
        business_date: imprint.date,
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::wechat::mp::cards::card as api_card;

    fn row(card: &str) -> Card {
        let answer = api_card("p1").parse(format!(r#"{{"card":{card}}}"#).as_bytes()).unwrap();
        card_dimension_row(&answer, "p1", Imprint::raw("2026-11-18".parse().unwrap()))
    }

    #[test]
    fn what_does_not_fit_a_card_is_null_and_kept_and_the_rest_is_there() {
        let row = row(r#"{"card_type":"GIFT","gift":{"base_info":{"title":"x","sku":[],"create_time":1457452800,
            "update_time":900000000000000,"date_info":{"type":1,"begin_timestamp":"soon","end_timestamp":1463155199}}}}"#);
        assert_eq!((row.title.as_deref(), row.quantity, row.date_type.as_deref()), (Some("x"), None, Some("1")));
        assert_eq!((row.begin_time, row.end_time.map(|it| it.timestamp())), (None, Some(1_463_155_199)));
        assert_eq!((row.create_time.map(|it| it.timestamp()), row.update_time), (Some(1_457_452_800), None));
        let kept = r#"{"base_info":{"date_info":{"begin_timestamp":"soon"},"sku":[],"update_time":900000000000000}}"#;
        assert_eq!(row.extra.as_deref(), Some(kept));
    }

    #[test]
    fn the_ok_of_the_answer_is_no_unknown_field() {
        let body =
            br#"{"errcode":0,"errmsg":"ok rid: 1-2","beside":1,"card":{"card_type":"GIFT","gift":{"base_info":{}}}}"#;
        let answer = api_card("p1").parse(body).unwrap();
        let row = card_dimension_row(&answer, "p1", Imprint::raw(NaiveDate::MIN));
        assert_eq!(row.extra.as_deref(), Some(r#"{"beside":1}"#));
    }

    #[test]
    fn a_card_without_a_readable_base_is_kept_whole() {
        let row = row(r#"{"card_type":"GIFT","gift":{"base_info":[]}}"#);
        assert_eq!((row.card_type.as_deref(), row.title.as_deref()), (Some("GIFT"), None));
        assert_eq!(row.extra.as_deref(), Some(r#"{"card":{"gift":{"base_info":[]}}}"#));
    }
}
