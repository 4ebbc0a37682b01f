//! The world as of a moment: the state of a coupon, a code, a receipt or a stock at a given time.
//! Pure functions; answers no request.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::world::{CardCode, Code, Coupon, Event, Receipt, StockRevision};
use crate::clock::beijing;

/// `coupon_state` of the API (reference v3 §2.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CouponState {
    Sended,
    Used,
    Expired,
    Deleted,
    Deactivated,
}

impl CouponState {
    /// The API's spelling.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            CouponState::Sended => "SENDED",
            CouponState::Used => "USED",
            CouponState::Expired => "EXPIRED",
            CouponState::Deleted => "DELETED",
            CouponState::Deactivated => "DEACTIVATED",
        }
    }

    /// Parses the API's spelling.
    pub(super) fn from_wire(word: &str) -> Option<CouponState> {
        use CouponState::*;
        [Sended, Used, Expired, Deleted, Deactivated].into_iter().find(|state| state.as_str() == word)
    }
}

/// A coupon and those of its events that have happened.
#[derive(Debug)]
pub(super) struct CouponView<'a> {
    pub(super) coupon: &'a Coupon,
    pub(super) state: CouponState,
    pub(super) association: Option<&'a Event>,
    /// The effective redemption; a returned one is not.
    pub(super) redemption: Option<&'a Event>,
    pub(super) coupon_return: Option<&'a Event>,
    pub(super) deactivation: Option<&'a Event>,
}

/// The coupon at `now`; `None` when it was received later.
///
/// A return removes the redemption, and the coupon is usable again until it expires (reference v3
/// §2.14). Of several states the first of these counts: deleted, used, deactivated, expired.
pub(super) fn coupon_as_of(coupon: &Coupon, now: DateTime<Utc>) -> Option<CouponView<'_>> {
    if coupon.receive_time > now {
        return None;
    }
    let coupon_return = happened(&coupon.coupon_return, now);
    let redemption = match coupon_return {
        Some(_) => happened(&coupon.second_redemption, now),
        None => happened(&coupon.redemption, now),
    };
    let deactivation = happened(&coupon.deactivation, now);
    let association = happened(&coupon.association, now);
    let state = state_of(coupon, redemption.is_some(), deactivation.is_some(), now);
    Some(CouponView { coupon, state, association, redemption, coupon_return, deactivation })
}

fn state_of(coupon: &Coupon, used: bool, deactivated: bool, now: DateTime<Utc>) -> CouponState {
    if coupon.delete_time.is_some_and(|time| time <= now) {
        CouponState::Deleted
    } else if used {
        CouponState::Used
    } else if deactivated {
        CouponState::Deactivated
    } else if now > coupon.expire_time {
        CouponState::Expired
    } else {
        CouponState::Sended
    }
}

fn happened(event: &Option<Event>, now: DateTime<Utc>) -> Option<&Event> {
    event.as_ref().filter(|event| event.time <= now)
}

/// When a code of a pool was dispatched, as of `now`; `None` when it was uploaded later.
pub(super) fn code_as_of(code: &Code, now: DateTime<Utc>) -> Option<Option<DateTime<Utc>>> {
    (code.upload_time <= now).then(|| code.dispatched_time.filter(|time| *time <= now))
}

/// The receipt's answer at `now`: unknown before its creation; the last status that has begun; no
/// finish time in the future, and no reason of a failure that has not happened yet.
pub(super) fn receipt_as_of(receipt: &Receipt, now: DateTime<Utc>) -> Option<Map<String, Value>> {
    if receipt.create_time > now {
        return None;
    }
    let status = last_begun(&receipt.statuses, now)?;
    let mut body = receipt.body.clone();
    for key in ["success_time", "return_done_time"] {
        if is_ahead(body.get(key), now) {
            body.shift_remove(key);
        }
    }
    if !status.ends_with("FAIL") {
        body.shift_remove("fail_reason");
    }
    body.insert("status".into(), status.into());
    Some(body)
}

fn last_begun(statuses: &[(DateTime<Utc>, String)], now: DateTime<Utc>) -> Option<&str> {
    statuses.iter().rev().find(|(from, _)| *from <= now).map(|(_, status)| status.as_str())
}

fn is_ahead(time: Option<&Value>, now: DateTime<Utc>) -> bool {
    let parsed = time.and_then(Value::as_str).and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    parsed.is_some_and(|time| time > now)
}

/// A stock's answer, with the revisions that have begun applied.
pub(super) fn stock_as_of(
    stock: &Map<String, Value>,
    revisions: &[StockRevision],
    now: DateTime<Utc>,
) -> Map<String, Value> {
    let mut answer = stock.clone();
    for revision in revisions.iter().filter(|revision| revision.from <= now) {
        answer.extend(revision.fields.clone());
    }
    answer
}

/// `user_card_status` of a card code, or nothing when it was received later (reference MP §D.7).
pub(super) fn card_status_as_of(code: &CardCode, now: DateTime<Utc>) -> Option<&str> {
    if code.receive_time > now {
        return None;
    }
    let status = last_begun(&code.statuses, now);
    let over = now.timestamp() > code.end_time;
    Some(status.unwrap_or(if over { "EXPIRE" } else { "NORMAL" }))
}

/// An instant as v3 writes it: `2019-12-30T13:29:35+08:00` (reference v3 §1.8).
pub(super) fn wire_time(instant: DateTime<Utc>) -> String {
    instant.with_timezone(&beijing()).to_rfc3339_opts(SecondsFormat::Secs, false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-{text}:00+08:00").parse().unwrap()
    }

    fn event(number: &str, time: &str) -> Option<Event> {
        Some(Event { number: number.into(), time: at(time) })
    }

    fn coupon() -> Coupon {
        Coupon {
            openid: "oA".into(),
            stock_id: "1".into(),
            coupon_code: "C1".into(),
            receive_time: at("10T08:00"),
            available_start_time: at("10T08:00"),
            expire_time: at("20T23:59"),
            ..Coupon::default()
        }
    }

    fn state(coupon: &Coupon, time: &str) -> Option<CouponState> {
        coupon_as_of(coupon, at(time)).map(|view| view.state)
    }

    #[test]
    fn a_coupon_does_not_exist_before_it_is_received() {
        assert_eq!(state(&coupon(), "10T07:59"), None);
        assert_eq!(state(&coupon(), "10T08:00"), Some(CouponState::Sended));
    }

    #[test]
    fn a_coupon_expires_after_its_last_usable_instant() {
        assert_eq!(state(&coupon(), "20T23:59"), Some(CouponState::Sended));
        assert_eq!(state(&coupon(), "21T00:00"), Some(CouponState::Expired));
    }

    #[test]
    fn a_redemption_counts_from_its_time_on() {
        let used = Coupon { redemption: event("U1", "18T10:00"), ..coupon() };
        assert_eq!(state(&used, "18T09:59"), Some(CouponState::Sended));
        assert_eq!(state(&used, "18T10:00"), Some(CouponState::Used));
        assert_eq!(state(&used, "25T00:00"), Some(CouponState::Used));
    }

    #[test]
    fn a_returned_coupon_is_sended_without_use_and_with_return() {
        let returned =
            Coupon { redemption: event("U1", "18T10:00"), coupon_return: event("R1", "19T10:00"), ..coupon() };
        let view = coupon_as_of(&returned, at("19T10:00")).unwrap();
        assert_eq!(view.state, CouponState::Sended);
        assert!(view.redemption.is_none());
        assert_eq!(view.coupon_return.unwrap().number, "R1");
        assert_eq!(state(&returned, "19T09:59"), Some(CouponState::Used));
    }

    #[test]
    fn a_returned_coupon_past_its_expiry_is_expired() {
        let returned =
            Coupon { redemption: event("U1", "18T10:00"), coupon_return: event("R1", "19T10:00"), ..coupon() };
        assert_eq!(state(&returned, "21T00:00"), Some(CouponState::Expired));
    }

    #[test]
    fn a_second_redemption_is_the_one_that_stands() {
        let twice = Coupon {
            redemption: event("U1", "18T10:00"),
            coupon_return: event("R1", "18T12:00"),
            second_redemption: event("U2", "18T14:00"),
            ..coupon()
        };
        let number = |time| coupon_as_of(&twice, at(time)).unwrap().redemption.map(|event| event.number.clone());
        assert_eq!(number("18T11:00").as_deref(), Some("U1"));
        assert_eq!(number("18T13:00"), None);
        assert_eq!(number("18T14:00").as_deref(), Some("U2"));
    }

    #[test]
    fn deletion_hides_every_other_state_but_not_before_its_time() {
        let deleted = Coupon { redemption: event("U1", "18T10:00"), delete_time: Some(at("19T10:00")), ..coupon() };
        assert_eq!(state(&deleted, "19T09:59"), Some(CouponState::Used));
        let view = coupon_as_of(&deleted, at("19T10:00")).unwrap();
        assert_eq!(view.state, CouponState::Deleted);
        assert!(view.redemption.is_some(), "the wire keeps use_time of a deleted coupon");
    }

    #[test]
    fn deactivation_outlives_expiry() {
        let dead = Coupon { deactivation: event("D1", "18T10:00"), ..coupon() };
        assert_eq!(state(&dead, "18T09:59"), Some(CouponState::Sended));
        assert_eq!(state(&dead, "18T10:00"), Some(CouponState::Deactivated));
        assert_eq!(state(&dead, "25T00:00"), Some(CouponState::Deactivated));
    }

    #[test]
    fn an_association_ahead_is_not_shown() {
        let linked = Coupon { association: event("T1", "18T10:00"), ..coupon() };
        assert!(coupon_as_of(&linked, at("18T09:59")).unwrap().association.is_none());
        assert!(coupon_as_of(&linked, at("18T10:00")).unwrap().association.is_some());
    }

    #[test]
    fn a_code_is_available_until_it_is_dispatched() {
        let code = Code {
            code: "K".into(),
            upload_time: at("10T00:00"),
            dispatched_time: Some(at("18T00:00")),
            openid: Some("oA".into()),
        };
        assert_eq!(code_as_of(&code, at("09T00:00")), None);
        assert_eq!(code_as_of(&code, at("17T00:00")), Some(None));
        assert_eq!(code_as_of(&code, at("18T00:00")), Some(Some(at("18T00:00"))));
    }

    #[test]
    fn a_receipt_shows_the_last_status_begun_and_nothing_from_the_future() {
        let body = json!({"out_subsidy_no": "S1", "success_time": "2026-11-18T12:00:00+08:00", "fail_reason": "OTHER"});
        let receipt = Receipt {
            create_time: at("18T10:00"),
            statuses: vec![(at("18T10:00"), "ACCEPTED".into()), (at("18T12:00"), "PAY_RECEIPT_SUCCESS".into())],
            body: body.as_object().unwrap().clone(),
        };
        assert_eq!(receipt_as_of(&receipt, at("18T09:59")), None);
        let early = Value::from(receipt_as_of(&receipt, at("18T11:00")).unwrap());
        assert_eq!(early, json!({"out_subsidy_no": "S1", "status": "ACCEPTED"}));
        let late = receipt_as_of(&receipt, at("18T12:00")).unwrap();
        assert_eq!(late["status"], "PAY_RECEIPT_SUCCESS");
        assert_eq!(late["success_time"], "2026-11-18T12:00:00+08:00");
    }

    #[test]
    fn a_failed_receipt_says_why() {
        let body = json!({"fail_reason": "INSUFFICIENT_BALANCE"});
        let receipt = Receipt {
            create_time: at("18T10:00"),
            statuses: vec![(at("18T10:00"), "FAIL".into())],
            body: body.as_object().unwrap().clone(),
        };
        assert_eq!(receipt_as_of(&receipt, at("18T10:00")).unwrap()["fail_reason"], "INSUFFICIENT_BALANCE");
    }

    #[test]
    fn a_stock_revision_replaces_keys_from_its_time_on() {
        let stock = json!({"stock_state": "RUNNING", "stock_id": "1"}).as_object().unwrap().clone();
        let fields = json!({"stock_state": "STOPED"}).as_object().unwrap().clone();
        let revisions = [StockRevision { from: at("18T00:00"), fields }];
        assert_eq!(stock_as_of(&stock, &revisions, at("17T23:59"))["stock_state"], "RUNNING");
        assert_eq!(stock_as_of(&stock, &revisions, at("18T00:00"))["stock_state"], "STOPED");
    }

    #[test]
    fn a_card_code_is_normal_until_something_else_begins_or_its_end_passes() {
        let code = CardCode {
            openid: "oA".into(),
            card_id: "p1".into(),
            code: "1".into(),
            receive_time: at("10T00:00"),
            begin_time: at("10T00:00").timestamp(),
            end_time: at("20T00:00").timestamp(),
            statuses: vec![(at("18T00:00"), "CONSUMED".into())],
        };
        assert_eq!(card_status_as_of(&code, at("09T00:00")), None);
        assert_eq!(card_status_as_of(&code, at("17T00:00")), Some("NORMAL"));
        assert_eq!(card_status_as_of(&code, at("18T00:00")), Some("CONSUMED"));
        let unused = CardCode { statuses: Vec::new(), ..code };
        assert_eq!(card_status_as_of(&unused, at("21T00:00")), Some("EXPIRE"));
    }

    #[test]
    fn times_are_written_in_china_standard_time() {
        assert_eq!(wire_time(at("18T10:00")), "2026-11-18T10:00:00+08:00");
        let later = at("18T10:00") + chrono::TimeDelta::nanoseconds(388_086_647);
        assert_eq!(wire_time(later), "2026-11-18T10:00:00+08:00", "v3 knows no fractions");
    }
}
