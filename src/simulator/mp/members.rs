//! Member cards, and the rules that give cards for payments: activate, form, userinfo, updateuser,
//! paygiftcard (reference MP §D.17–§D.20, §D.22, §D.23). Knows only those data of a member that were
//! written.

use serde_json::{Value, json};

use super::body::{Fields, integer, object, read_body, text};
use super::card_changes;
use super::code_changes::known;
use super::errcode::{done, refuse};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;
use crate::simulator::memory::held;
use crate::simulator::state::card_status_as_of;

/// Makes the holder of a code a member.
pub(super) fn activate(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let number = text(&body, "membership_number");
    if number.is_empty() {
        return Err(refuse(exchange, 40097, "invalid args: membership_number"));
    }
    let mut memory = held(&exchange.office.memory);
    let code = known(exchange, &mut memory, &body)?.code.clone();
    let member = json!({
        "membership_number": number,
        "bonus": integer(&body, "init_bonus"),
        "balance": integer(&body, "init_balance"),
    });
    memory.members.insert(code, member);
    Ok(done(&json!({})))
}

/// Which questions a new member is asked; kept on the card.
pub(super) fn set_form(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let card = card_changes::known(exchange, &mut memory, text(&body, "card_id"))?;
    if text(card, "card_type") != "MEMBER_CARD" {
        return Err(refuse(exchange, 40073, "invalid card id"));
    }
    card.insert("activate_user_form".into(), Value::Object(body));
    Ok(done(&json!({})))
}

/// A member as written; without activation numbers are zero.
pub(super) fn user_info(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let code = known(exchange, &mut memory, &body)?.clone();
    let member = memory.members.get(&code.code);
    let of = |key: &str, default: Value| member.and_then(|member| member.get(key)).cloned().unwrap_or(default);
    Ok(done(&json!({
        "openid": code.openid, "nickname": "", "sex": "UNKNOWN",
        "membership_number": of("membership_number", code.code.as_str().into()),
        "bonus": of("bonus", 0.into()), "balance": of("balance", 0.into()),
        "user_info": {"common_field_list": [], "custom_field_list": []},
        "user_card_status": card_status_as_of(&code, exchange.world_now),
        "has_active": member.is_some(),
    })))
}

/// New bonus and balance: absolute, or by what they change.
pub(super) fn update(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let mut memory = held(&exchange.office.memory);
    let code = known(exchange, &mut memory, &body)?.clone();
    let member = memory.members.get_mut(&code.code).and_then(Value::as_object_mut);
    let member = member.ok_or_else(|| refuse(exchange, 40127, "invalid user-card status!"))?;
    let mut result = |key: &str, added: &str| {
        let before = body.get(key).and_then(Value::as_i64).unwrap_or_else(|| integer(member, key));
        let after = before + integer(&body, added);
        member.insert(key.to_owned(), after.into());
        after
    };
    let (bonus, balance) = (result("bonus", "add_bonus"), result("balance", "add_balance"));
    Ok(done(&json!({"result_bonus": bonus, "result_balance": balance, "openid": code.openid})))
}

/// A rule that gives a card to who pays. Foreign merchants are refused one by one, inside a success.
pub(super) fn add_gift_rule(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let rule = object(&body, "rule_info");
    let merchants = rule.and_then(|rule| object(rule, "base_info")?.get("mchid_list")?.as_array());
    let merchants = merchants.ok_or_else(|| refuse(exchange, 40097, "invalid args: mchid_list"))?;
    let own = Value::from(exchange.office.account.mchid.as_str());
    let (succeeded, failed): (Vec<&Value>, Vec<&Value>) = merchants.iter().partition(|mchid| **mchid == own);
    let failed: Vec<_> =
        failed.iter().map(|mchid| json!({"mchid": mchid, "errcode": 40097, "errmsg": "invalid mchid"})).collect();
    held(&exchange.office.memory).gift_rules.insert(exchange.serial.to_string());
    Ok(done(&json!({"rule_id": exchange.serial, "fail_mchid_list": failed, "succ_mchid_list": succeeded})))
}

/// Ends a rule; its number comes as a number or as text.
pub(super) fn delete_gift_rule(exchange: &Exchange<'_>) -> Result<Answer, Answer> {
    let body: Fields = read_body(exchange)?;
    let id = body.get("rule_id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    let is_known = id.is_some_and(|id| held(&exchange.office.memory).gift_rules.remove(&id));
    if is_known { Ok(done(&json!({}))) } else { Err(refuse(exchange, 40097, "invalid args: rule_id")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::probe::{Probe, account};

    const CODE: &str = "819679186876";

    #[tokio::test]
    async fn a_member_is_what_was_written() {
        let probe = Probe::start("").await;
        let ask = json!({"card_id": "p1", "code": CODE});
        assert_eq!(probe.mp("/card/membercard/userinfo/get", ask.clone()).await.json()["has_active"], false);
        assert_eq!(probe.mp("/card/membercard/updateuser", ask.clone()).await.json()["errcode"], 40127);
        let activation = json!({"membership_number": "M1", "code": CODE, "init_bonus": 10});
        assert_eq!(probe.mp("/card/membercard/activate", activation).await.json()["errcode"], 0);
        let change = json!({"card_id": "p1", "code": CODE, "add_bonus": -3, "balance": 500});
        let result = probe.mp("/card/membercard/updateuser", change).await.json();
        assert_eq!((&result["result_bonus"], &result["result_balance"]), (&7.into(), &500.into()));
        let member = probe.mp("/card/membercard/userinfo/get", ask).await.json();
        assert_eq!(
            (&member["membership_number"], &member["bonus"], &member["has_active"]),
            (&"M1".into(), &7.into(), &true.into())
        );
    }

    #[tokio::test]
    async fn a_gift_rule_succeeds_with_failures_inside_and_ends_once() {
        let probe = Probe::start("").await;
        let rule = json!({"rule_info": {"base_info": {"mchid_list": [account().mchid, "1"]}}});
        let added = probe.mp("/card/paygiftcard/add", rule).await.json();
        assert_eq!(added["succ_mchid_list"], json!([account().mchid]));
        assert_eq!(added["fail_mchid_list"][0]["mchid"], "1");
        let end = json!({"rule_id": added["rule_id"]});
        assert_eq!(probe.mp("/card/paygiftcard/delete", end.clone()).await.json()["errcode"], 0);
        assert_eq!(probe.mp("/card/paygiftcard/delete", end).await.json()["errcode"], 40097);
    }

    #[tokio::test]
    async fn wrong_members_are_refused_with_their_codes() {
        let probe = Probe::start("").await;
        let cases = [
            ("/card/membercard/activate", json!({"membership_number": "M", "code": "0"}), 40056),
            ("/card/membercard/activate", json!({"code": CODE}), 40097),
            ("/card/membercard/activateuserform/set", json!({"card_id": "p1"}), 40073),
            ("/card/membercard/userinfo/get", json!({"card_id": "p1", "code": "0"}), 40056),
            ("/card/paygiftcard/add", json!({}), 40097),
        ];
        for (path, body, errcode) in cases {
            assert_eq!(probe.mp(path, body).await.json()["errcode"], errcode, "{path}");
        }
    }
}
