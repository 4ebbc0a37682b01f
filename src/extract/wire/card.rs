//! Datacube rows and cards (reference MP §D.11, §D.24–D.27).

use chrono::{DateTime, NaiveDate, Utc};

use super::{Leftover, ref_date};
use crate::extract::Issue;
use crate::record::{Card, CardAccountDay, CardDay, MemberCardDay, MemberCardDetailDay};
use crate::wechat::mp::cards::{BaseInfo, CardAnswer};
use crate::wechat::mp::datacube as api;

/// Account totals of a day; the answer does not repeat `cond_source`.
pub(in crate::extract) fn card_account_row(
    wire: &api::CardAccountDay,
    cond_source: i64,
    date: NaiveDate,
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
        extra: Leftover::of(&wire.extra).json(),
        business_date: date,
    })
}

/// Figures of one free coupon on a day.
pub(in crate::extract) fn card_day_row(
    wire: &api::CardDay,
    cond_source: i64,
    date: NaiveDate,
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
        extra: Leftover::of(&wire.extra).json(),
        business_date: date,
    })
}

/// Totals of the member cards on a day.
pub(in crate::extract) fn member_card_row(
    wire: &api::MemberCardDay,
    cond_source: i64,
    date: NaiveDate,
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
        extra: Leftover::of(&wire.extra).json(),
        business_date: date,
    })
}

/// Figures of one member card on a day.
pub(in crate::extract) fn member_detail_row(
    wire: &api::MemberCardDetailDay,
    date: NaiveDate,
) -> Result<MemberCardDetailDay, Issue> {
    Ok(MemberCardDetailDay {
        ref_date: ref_date(&wire.ref_date)?,
        cardid: wire.cardid.clone(),
        // Part of the key: absent is the merchant itself.
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
        extra: Leftover::of(&wire.extra).json(),
        business_date: date,
    })
}

/// A card: the dimension of the figures. What the merchant never set is absent (reference MP §D.11).
pub(in crate::extract) fn card_dimension_row(wire: &CardAnswer, card_id: &str, date: NaiveDate) -> Card {
    let base = wire.card.base_info().unwrap_or_default();
    let mut leftover = Leftover::of(&wire.extra);
    leftover.nested("base_info", Some(&base.extra));
    let BaseInfo { sku, date_info, .. } = &base;
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
        begin_time: date_info.as_ref().and_then(|it| epoch(it.begin_timestamp)),
        end_time: date_info.as_ref().and_then(|it| epoch(it.end_timestamp)),
        create_time: epoch(base.create_time),
        update_time: epoch(base.update_time),
        extra: leftover.json(),
        business_date: date,
    }
}

fn epoch(seconds: Option<i64>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds?, 0)
}
