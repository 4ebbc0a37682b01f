//! Tests of the v2 API over the wire.

use super::xml::{self, Fields};
use crate::simulator::probe::{BILL, OPENID, Probe, Reply, account, at};
use crate::simulator::signature::md5_signature;

const STOCK: &str = "/mmpaymkttransfers/query_coupon_stock";
const COUPON: &str = "/mmpaymkttransfers/querycouponsinfo";
const BILL_CALL: &str = "/pay/downloadbill";

fn fields(reply: &Reply) -> Fields {
    assert_eq!(reply.status, 200, "v2 answers 200 even to errors");
    xml::parse(&reply.text()).unwrap_or_else(|| panic!("no XML: {}", reply.text()))
}

fn is_signed(fields: &Fields) -> bool {
    let parameters = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    fields.get("sign") == Some(&md5_signature(parameters, &account().v2_key))
}

#[tokio::test]
async fn a_stock_is_answered_signed_over_every_field() {
    let probe = Probe::start("").await;
    let fields = fields(&probe.v2(STOCK, &[("coupon_stock_id", "9728595")]).await);
    assert!(is_signed(&fields));
    assert_eq!((fields["return_code"].as_str(), fields["result_code"].as_str()), ("SUCCESS", "SUCCESS"));
    assert_eq!((fields["coupon_name"].as_str(), fields["coupon_value"].as_str()), ("测试代金券", "200"));
    assert_eq!(fields["coupon_stock_id"], "9728595");
}

#[tokio::test]
async fn some_stocks_are_answered_without_sign() {
    let probe = Probe::start("").await;
    let fields = fields(&probe.v2(STOCK, &[("coupon_stock_id", "9728596")]).await);
    assert_eq!(fields["result_code"], "SUCCESS");
    assert!(!fields.contains_key("sign"));
}

#[tokio::test]
async fn a_wrong_signature_is_a_communication_failure() {
    let probe = Probe::start("").await;
    let account = account();
    let body = format!(
        "<xml><appid>{}</appid><mch_id>{}</mch_id><nonce_str>1</nonce_str><coupon_stock_id>1</coupon_stock_id><sign>X</sign></xml>",
        account.appid, account.mchid
    );
    let refused = fields(&probe.send("POST", STOCK, &[], &body).await);
    assert_eq!((refused["return_code"].as_str(), refused["return_msg"].as_str()), ("FAIL", "签名错误"));
    assert!(!refused.contains_key("result_code") && !refused.contains_key("sign"));
    let refused = fields(&probe.send("POST", BILL_CALL, &[], &body).await);
    assert_eq!(refused["error_code"], "20001");
    assert_eq!(probe.counts().rejected, 2);
}

#[tokio::test]
async fn documents_and_accounts_that_are_wrong_are_named() {
    let probe = Probe::start("").await;
    let of = |appid: &str, mchid: &str| {
        format!("<xml><appid>{appid}</appid><mch_id>{mchid}</mch_id><nonce_str>1</nonce_str><sign>X</sign></xml>")
    };
    let cases = [
        ("{}".to_owned(), "XML格式错误"),
        ("<!DOCTYPE xml><xml><a>1</a></xml>".to_owned(), "XML格式错误"),
        (of(&account().appid, "1"), "商户号mch_id不存在"),
        (of("wx0", &account().mchid), "appid和mch_id不匹配"),
        ("<xml><mch_id>1</mch_id></xml>".to_owned(), "nonce_str参数错误"),
    ];
    for (body, message) in cases {
        assert_eq!(fields(&probe.send("POST", STOCK, &[], &body).await)["return_msg"], message, "{body}");
    }
}

#[tokio::test]
async fn business_errors_have_the_documented_codes() {
    let probe = Probe::start("").await;
    let coupon = |id: &'static str, openid: &'static str, stock: &'static str| {
        vec![("coupon_id", id), ("openid", openid), ("stock_id", stock)]
    };
    let cases = [
        (STOCK, vec![("coupon_stock_id", "1")], "COUPON_STOCK_ID_NOT_VALID"),
        (STOCK, vec![], "COUPON_STOCK_ID_EMPTY"),
        (COUPON, coupon("1", OPENID, "9728595"), "COUPON_NOT_FOUND"),
        (COUPON, coupon("4242", "oSomebody", "9728595"), "COUPON_NOT_FOUND"),
        (COUPON, coupon("4242", OPENID, "1"), "COUPON_STOCK_ID_NOT_VALID"),
        (COUPON, coupon("4242", "", "1"), "OPEN_ID_EMPTY"),
    ];
    for (path, asked, code) in cases {
        let answer = fields(&probe.v2(path, &asked).await);
        assert_eq!((answer["return_code"].as_str(), answer["result_code"].as_str()), ("SUCCESS", "FAIL"));
        assert_eq!(answer["err_code"], code, "{asked:?}");
        assert!(is_signed(&answer));
    }
    assert_eq!(probe.counts().rejected, 0);
}

#[tokio::test]
async fn a_coupon_is_answered_without_its_holder() {
    let probe = Probe::start("").await;
    let asked = [("coupon_id", "4242"), ("openid", OPENID), ("stock_id", "9728595")];
    let answer = fields(&probe.v2(COUPON, &asked).await);
    assert_eq!((answer["coupon_id"].as_str(), answer["coupon_state"].as_str()), ("4242", "SENDED"));
    assert!(!answer.contains_key("openid") && is_signed(&answer));
}

#[tokio::test]
async fn a_bill_is_text_gzip_or_an_xml_refusal() {
    use std::io::Read;
    let probe = Probe::start_with("", |_, options| options.world_now = Some(at("19T10:00"))).await;
    let reply = probe.v2(BILL_CALL, &[("bill_date", "20261118"), ("bill_type", "ALL")]).await;
    assert_eq!(reply.text(), BILL);
    let reply = probe.v2(BILL_CALL, &[("bill_date", "20261118"), ("tar_type", "GZIP")]).await;
    let mut text = String::new();
    flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, BILL);
    let none = fields(&probe.v2(BILL_CALL, &[("bill_date", "20261117")]).await);
    assert_eq!((none["return_msg"].as_str(), none["error_code"].as_str()), ("No Bill Exist", "20002"));
    assert!(!none.contains_key("sign"));
    for wrong in ["2026-11-18", "20260801"] {
        assert_eq!(fields(&probe.v2(BILL_CALL, &[("bill_date", wrong)]).await)["error_code"], "20001");
    }
}

#[tokio::test]
async fn faults_speak_the_dialect_of_v2() {
    let ask = async |fault: &str| {
        let probe = Probe::start(&format!("[[fault]]\npath='/mmpaymkttransfers/'\n{fault}")).await;
        fields(&probe.v2(STOCK, &[("coupon_stock_id", "9728595")]).await)
    };
    assert_eq!(ask("kind='errcode'\nvalue='GET_COUPON_STOCK_FAIL'").await["err_code"], "GET_COUPON_STOCK_FAIL");
    assert!(!is_signed(&ask("kind='wrong_signature'").await));
    assert!(!ask("kind='missing_signature'").await.contains_key("sign"));
    let unknown = ask("kind='unknown_state'").await;
    assert!(unknown["coupon_stock_status"] == "512" && is_signed(&unknown));
}
