//! Tests of the table of endpoints against the typed calls and the documented answers: every row
//! has a call, and an answer that can be parsed and serialised again without loss.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::{Value, json};

use super::*;
use crate::job::TarType;
use crate::secret::Secret;
use mp::{cards, codes, datacube, delivery, members, token};
use pay_v3::{bills, busifavor};

type Reader = Box<dyn Fn(&[u8]) -> Result<Value, ParseError>>;

/// A typed call: its endpoint, its target, and how it parses an answer.
struct Call {
    endpoint: &'static Endpoint,
    target: String,
    read: Reader,
}

/// A call whose parsed answers are serialised again.
fn json_call<T: Serialize + 'static>(request: Request<T>) -> Call {
    let read = |request: &Request<T>, body: &[u8]| Ok(serde_json::to_value(request.parse(body)?).unwrap());
    call(request, read)
}

/// A call whose answers are only parsed: v2 and secrets.
fn shown_call<T: Debug + 'static>(request: Request<T>) -> Call {
    call(request, |request, body| Ok(Value::String(format!("{:?}", request.parse(body)?))))
}

fn call<T: 'static>(
    request: Request<T>,
    read: impl Fn(&Request<T>, &[u8]) -> Result<Value, ParseError> + 'static,
) -> Call {
    let (endpoint, target) = (request.endpoint, request.target.clone());
    Call { endpoint, target, read: Box::new(move |body| read(&request, body)) }
}

fn pay_v3_calls(day: NaiveDate) -> Vec<Call> {
    vec![
        json_call(busifavor::create_stock(&Default::default())),
        json_call(busifavor::stock("S")),
        json_call(busifavor::modify_stock("S", &Default::default())),
        json_call(busifavor::change_budget("S", &Default::default())),
        json_call(busifavor::upload_coupon_codes("S", &Default::default())),
        json_call(busifavor::coupon_codes("S", &Default::default(), 0, 1)),
        json_call(busifavor::coupon_code("S", "C", None)),
        json_call(busifavor::delete_coupon_code("S", "C", "D")),
        json_call(busifavor::use_coupon(&Default::default())),
        json_call(busifavor::user_coupons("O", &Default::default(), 0, 1)),
        json_call(busifavor::user_coupon("O", "C", "A")),
        json_call(busifavor::associate("S", "C", "O", "R")),
        json_call(busifavor::disassociate("S", "C", "O", "R")),
        json_call(busifavor::return_coupon(&Default::default())),
        json_call(busifavor::deactivate("S", "C", "R", None)),
        json_call(busifavor::set_callbacks(None, "https://example.com")),
        json_call(busifavor::callbacks(None)),
        json_call(busifavor::pay_subsidy(&Default::default())),
        json_call(busifavor::pay_receipts("S", "C", None)),
        json_call(busifavor::pay_receipt("R")),
        json_call(busifavor::return_subsidy(&Default::default())),
        json_call(busifavor::return_receipt("R")),
        json_call(pay_v3::certificates()),
        shown_call(bills::trade_bill(day, TarType::Plain)),
        shown_call(bills::fund_flow_bill(day, bills::FundAccount::Basic, TarType::Plain)),
        json_call(pay_v3::echo::echo("x")),
    ]
}

fn pay_v2_calls(day: NaiveDate) -> Vec<Call> {
    vec![
        shown_call(pay_v2::send_coupon("S", "O", "N")),
        shown_call(pay_v2::coupon_stock("S")),
        shown_call(pay_v2::coupon("C", "O", "S")),
        shown_call(pay_v2::bill(day, "ALL", TarType::Plain)),
    ]
}

fn mp_calls(day: NaiveDate) -> Vec<Call> {
    let api = datacube::CondSource::Api;
    vec![
        shown_call(token::token("A", &Secret::new("S"))),
        shown_call(token::stable_token("A", &Secret::new("S"), token::Refresh::IfExpired)),
        json_call(cards::create_card("GIFT", &json!({}))),
        json_call(delivery::create_qrcode(&[], None)),
        json_call(delivery::set_pay_cell("C", true)),
        json_call(delivery::set_self_consume_cell("C", true, true, true)),
        json_call(delivery::set_test_whitelist(&[], &[])),
        json_call(delivery::create_landing_page(&Default::default())),
        json_call(codes::user_card("C", None)),
        json_call(codes::consume_code("C", None)),
        json_call(codes::decrypt_code("C")),
        json_call(codes::user_cards("O", None)),
        json_call(cards::card("C")),
        json_call(cards::delete_card("C")),
        json_call(codes::make_code_unavailable("C", None, None)),
        json_call(cards::cards(0, 50)),
        json_call(cards::update_card("C", "GIFT", &json!({}))),
        json_call(cards::modify_stock("C", 1)),
        json_call(members::activate(&Default::default())),
        json_call(members::set_activation_form(&json!({}))),
        json_call(members::member("C", "1")),
        json_call(members::update_member(&Default::default())),
        json_call(codes::update_code("C", "D", None)),
        json_call(delivery::add_pay_gift_card(&json!({}))),
        json_call(delivery::delete_pay_gift_card(1)),
        json_call(datacube::card_account_days(day, day, api)),
        json_call(datacube::card_days(day, day, api, None)),
        json_call(datacube::member_card_days(day, day, api)),
        json_call(datacube::member_card_detail_days(day, day, "C")),
    ]
}

fn calls() -> BTreeMap<&'static str, Call> {
    let day = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
    let calls = pay_v3_calls(day).into_iter().chain(pay_v2_calls(day)).chain(mp_calls(day));
    calls.map(|call| (call.endpoint.id, call)).collect()
}

/// The URL of a download comes with its application: `PayV3::download`. Its answer is a file.
const NO_TYPED_CALL: [&str; 1] = ["pay_v3_bill_download"];

#[test]
fn every_endpoint_of_the_table_has_a_typed_call_that_goes_there() {
    let calls = calls();
    for (id, call) in &calls {
        assert_eq!(endpoint::find(id).unwrap().path, call.endpoint.path);
        let found = endpoint::matching(call.endpoint.method, &call.target).map(|found| found.id);
        assert_eq!(found, Some(*id), "{}", call.target);
    }
    let silent: Vec<_> = ENDPOINTS.iter().map(|endpoint| endpoint.id).filter(|id| !calls.contains_key(id)).collect();
    assert_eq!(silent, NO_TYPED_CALL);
}

/// The documented answers by file name; the endpoint's id ends at `@` or the ending.
fn answers() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/answers");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named =
        files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()));
    named.filter(|(name, _)| name != "README.md").collect()
}

fn id_of(name: &str) -> &str {
    name.split(['@', '.']).next().unwrap()
}

#[test]
fn every_endpoint_has_a_documented_answer() {
    let answers = answers();
    let answered: BTreeSet<_> = answers.keys().map(|name| id_of(name)).collect();
    let calls = calls();
    assert_eq!(answered, calls.keys().copied().collect());
}

#[test]
fn every_documented_answer_is_read_and_written_again_with_nothing_lost() {
    let calls = calls();
    for (name, body) in answers().iter().filter(|(name, _)| name.ends_with(".json")) {
        let call = &calls[id_of(name)];
        let kept = (call.read)(body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (Ok(sent), Value::Object(_)) = (serde_json::from_slice::<Value>(body), &kept) else { continue };
        let (sent, kept_leaves) = (leaves(&sent), leaves(&kept));
        let lost: Vec<_> = sent.difference(&kept_leaves).collect();
        assert!(lost.is_empty(), "{name} lost {lost:?}");
        let again = (call.read)(&serde_json::to_vec(&kept).unwrap()).unwrap();
        assert_eq!(again, kept, "{name}");
    }
}

#[test]
fn fields_nobody_knows_survive_at_every_depth() {
    let calls = calls();
    let mut seen = 0;
    for (name, body) in answers().iter().filter(|(name, _)| name.ends_with(".json")) {
        let Ok(mut sent) = serde_json::from_slice::<Value>(body) else { continue };
        let added = add_unknown(&mut sent);
        let kept = (calls[id_of(name)].read)(&serde_json::to_vec(&sent).unwrap()).unwrap();
        let Value::Object(_) = &kept else { continue };
        let found = leaves(&kept).iter().filter(|(path, _)| path.ends_with("/field_of_tomorrow")).count();
        assert_eq!(found, added, "{name}: {kept}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
    for (name, body) in answers().iter().filter(|(name, _)| name.ends_with(".xml")) {
        let text = String::from_utf8_lossy(body).replace("</xml>", "<field_of_tomorrow>1</field_of_tomorrow></xml>");
        let kept = (calls[id_of(name)].read)(text.as_bytes()).unwrap();
        assert!(kept.as_str().unwrap().contains(r#""field_of_tomorrow": "1""#), "{name}: {kept}");
    }
}

#[test]
fn every_value_of_a_v2_answer_is_in_a_field_or_kept_beside_them() {
    let calls = calls();
    for (name, body) in answers().iter().filter(|(name, _)| name.ends_with(".xml")) {
        let kept = (calls[id_of(name)].read)(body).unwrap().to_string();
        let sent = pay_v2::xml::read(body).unwrap();
        let own = sent.iter().filter(|(field, value)| field.starts_with("coupon_") && !value.is_empty());
        for (field, value) in own.filter(|(field, _)| !field.ends_with("_time")) {
            assert!(kept.contains(value.as_str()), "{name}: {field} {value} is not in {kept}");
        }
    }
}

/// Every value of a document: its path and its normalised text. Null and empty values need not be
/// serialised again.
fn leaves(value: &Value) -> BTreeSet<(String, String)> {
    fn walk(value: &Value, path: String, into: &mut BTreeSet<(String, String)>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, it)| walk(it, format!("{path}/{name}"), into)),
            Value::Array(items) => items.iter().enumerate().for_each(|(at, it)| walk(it, format!("{path}/{at}"), into)),
            Value::Null => {}
            Value::String(text) => {
                into.insert((path, text.clone()));
            }
            other => {
                into.insert((path, other.to_string()));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(value, String::new(), &mut found);
    found
}

/// Adds a field to every object; returns how many there are.
fn add_unknown(value: &mut Value) -> usize {
    match value {
        Value::Object(fields) => {
            let inside: usize = fields.values_mut().map(add_unknown).sum();
            fields.insert("field_of_tomorrow".to_owned(), json!(1));
            inside + 1
        }
        Value::Array(items) => items.iter_mut().map(add_unknown).sum(),
        _ => 0,
    }
}
