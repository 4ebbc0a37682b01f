//! WeChat Pay v2: XML with a keyed digest (reference v2 §A). Every attempt gets a fresh nonce and
//! signature. The signature of an answer is always checked and reported, and fatal only if the job says so.

pub mod coupons;
pub mod sign;
pub mod xml;

mod judge;

use chrono::{DateTime, Utc};

use judge::{Expected, Judgement, hides_its_outcome, judge};
use xml::Fields;

pub use coupons::{Coupon, CouponStock, Sent, bill, coupon, coupon_stock, send_coupon};
pub use sign::{SignType, SignatureCheck};

use crate::clock::World;
use crate::http::{Exchange, HttpClient, Outgoing, Received, Verdict};
use crate::job::{OnMismatch, PayV2Settings};
use crate::secret::Secret;
use crate::wechat::answer::{Answer, Evidence};
use crate::wechat::endpoint::{self, Endpoint};
use crate::wechat::error::{ApiError, FailureKind, Problem, Refusal, SetupError, SignatureError};
use crate::wechat::request::Request;
use crate::wechat::wording::shown;

/// A v2 client of one merchant.
pub struct PayV2 {
    http: HttpClient,
    account: Account,
    on_mismatch: OnMismatch,
}

/// The common fields of every call, and the signing key.
struct Account {
    mch_id: String,
    appid: String,
    api_key: Secret,
}

impl PayV2 {
    /// A client with the limits of the job, and its client certificate if configured. Sends nothing yet.
    pub fn new(settings: &PayV2Settings, world: World) -> Result<PayV2, SetupError> {
        let http = match &settings.identity_pem {
            Some(pem) => HttpClient::with_identity(&settings.limits, world, pem)?,
            None => HttpClient::new(&settings.limits, world)?,
        };
        let account = Account {
            mch_id: settings.mch_id.clone(),
            appid: settings.appid.clone(),
            api_key: settings.api_key.clone(),
        };
        Ok(PayV2 { http, account, on_mismatch: settings.on_mismatch })
    }

    /// Makes a call and returns the judged answer. `check_signature` reports the result for its signature.
    pub async fn send<T>(&self, request: &Request<T>) -> Result<Answer, ApiError> {
        let own = xml::read(&request.body).unwrap_or_default();
        let call = Call { client: self, endpoint: request.endpoint, own };
        match self.http.call(request.endpoint.method.as_str(), request.endpoint.path, &call).await {
            Ok(settled) => Ok(settled.into()),
            Err(error) => {
                let error = ApiError::from(error);
                let hint = self.hint(error.problem(), request.endpoint);
                Err(error.with_hint(hint))
            }
        }
    }

    /// The key of the job file to check.
    fn hint(&self, problem: &Problem, endpoint: &Endpoint) -> Option<String> {
        let spell = |hint| self.account.api_key.origin().spell(hint);
        problem.hint_of_a_stranger("pay_v2").or_else(|| hint(problem, endpoint).map(spell))
    }

    /// The result of checking the signature of an answer; `Absent` for files.
    pub fn check_signature(&self, body: &[u8]) -> SignatureCheck {
        check_signature(body, &self.account.api_key)
    }
}

/// The result of checking the signature of an answer with an API key; `Absent` for files. Needs no client,
/// so the journal can be re-verified.
pub fn check_signature(body: &[u8], api_key: &Secret) -> SignatureCheck {
    match xml::read(body) {
        Ok(fields) => sign::check(&fields, api_key),
        Err(_) => SignatureCheck::Absent,
    }
}

/// The failure that a journalled answer means, if any; a pure function.
pub fn failure_of(status: u16, body: &[u8]) -> Option<FailureKind> {
    match judge(status, body, Expected::File) {
        Judgement::Good(_) | Judgement::File => None,
        Judgement::Later(problem) | Judgement::Final(problem) => Some(problem.kind()),
    }
}

impl std::fmt::Debug for PayV2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayV2").field("mch_id", &self.account.mch_id).finish_non_exhaustive()
    }
}

/// A call in progress.
struct Call<'a> {
    client: &'a PayV2,
    endpoint: &'static Endpoint,
    own: Fields,
}

impl Call<'_> {
    fn signed_fields(&self) -> Fields {
        let account = &self.client.account;
        let mut fields = self.own.clone();
        fields.insert("appid".into(), account.appid.clone());
        fields.insert("mch_id".into(), account.mch_id.clone());
        fields.insert("nonce_str".into(), self.client.http.world().nonce());
        let signature = sign::sign(&fields, &account.api_key, SignType::Md5);
        fields.insert("sign".into(), signature);
        fields
    }

    /// What is wrong with an answer that says it is for somebody else: journalled it would stay. A signature that holds
    /// says more than the fields: nobody else has the key.
    fn misdirected(&self, body: &[u8]) -> Option<Problem> {
        if self.client.check_signature(body) == SignatureCheck::Verified {
            return None;
        }
        let (fields, account) = (xml::read(body).ok()?, &self.client.account);
        let ours = [("mch_id", &account.mch_id), ("appid", &account.appid)];
        ours.into_iter().find_map(|(name, own)| {
            let told = fields.get(name).filter(|told| !told.is_empty() && *told != own)?;
            Some(Problem::Unexpected { detail: format!("it is for {name} `{}`, not for `pay_v2.{name}`", shown(told)) })
        })
    }

    /// A coupon that may have been sent is not sent again.
    fn may_be_sent(&self, body: &[u8]) -> bool {
        *self.endpoint == endpoint::V2_SEND_COUPON && hides_its_outcome(body)
    }
}

impl Exchange for Call<'_> {
    type Accepted = Answer;
    type Refusal = Refusal;

    async fn build(&self) -> Result<Outgoing, Refusal> {
        Ok(Outgoing {
            method: self.endpoint.method.into(),
            target: self.endpoint.path.to_owned(),
            headers: vec![("content-type", "text/xml; charset=utf-8".to_owned())],
            body: xml::write(&self.signed_fields()).into(),
        })
    }

    async fn judge(&self, received: Received) -> Verdict<Answer, Refusal> {
        let expected = if *self.endpoint == endpoint::V2_BILL { Expected::File } else { Expected::Xml };
        let judgement = judge(received.status, &received.body, expected);
        let answer = answer_of(received, self.client.http.world().clock.now(), &judgement);
        // A final answer must come from WeChat: "unknown" goes to the journal just as a stock does.
        let is_forged = || self.client.check_signature(&answer.body) == SignatureCheck::Mismatch;
        match judgement {
            Judgement::Good(_) | Judgement::Final(_) if self.client.on_mismatch == OnMismatch::Fail && is_forged() => {
                Verdict::Refuse(Refusal::bare(mismatch()))
            }
            Judgement::Good(_) | Judgement::Final(_) if let Some(problem) = self.misdirected(&answer.body) => {
                Verdict::Refuse(Refusal::bare(problem))
            }
            Judgement::Good(_) | Judgement::File => Verdict::Accept(answer),
            Judgement::Later(problem) if self.may_be_sent(&answer.body) => {
                Verdict::Refuse(Refusal::with(problem, answer))
            }
            Judgement::Later(problem) => Verdict::retry(Refusal::with(problem, answer)),
            Judgement::Final(problem) => Verdict::Refuse(Refusal::with(problem, answer)),
        }
    }
}

fn mismatch() -> SignatureError {
    SignatureError::Mismatch { serial: "v2 key".to_owned() }
}

fn answer_of(received: Received, fetched_at: DateTime<Utc>, judgement: &Judgement) -> Answer {
    let field = |name: &str| match judgement {
        Judgement::Good(fields) => fields.get(name).filter(|value| !value.is_empty()).cloned(),
        Judgement::File | Judgement::Later(_) | Judgement::Final(_) => None,
    };
    let evidence = Evidence { nonce: field("nonce_str"), signature: field("sign"), ..Evidence::unsigned(&received) };
    Answer::new(received, evidence, fetched_at)
}

/// The key of the job file to check, as if every secret were given by an environment variable.
fn hint(problem: &Problem, endpoint: &Endpoint) -> Option<&'static str> {
    match problem {
        Problem::Refused { kind: FailureKind::Credentials, .. } => {
            Some("`pay_v2.api_key_env` must name the v2 key of merchant `pay_v2.mch_id` (not the APIv3 key)")
        }
        Problem::Refused { code, .. } if code == "268495045" => {
            Some("WeChat has retired the v2 coupon API for this merchant: remove `[pay_v2]`")
        }
        Problem::Refused { code, .. } if code == "270077956" => {
            Some("`pay_v2.mch_id` must be the creator of every stock in `pay_v2.stock_ids`")
        }
        Problem::Transport(_) if *endpoint == endpoint::V2_SEND_COUPON => Some(
            "is `pay_v2.base_url` reachable from this machine? send_coupon also wants \
             `pay_v2.client_certificate_file` with a certificate WeChat Pay knows",
        ),
        Problem::Transport(_) => Some("is `pay_v2.base_url` reachable from this machine?"),
        Problem::Signature(_) => Some(
            "is `pay_v2.base_url` really WeChat Pay, and `pay_v2.api_key_env` its v2 key? \
             `pay_v2.on_signature_mismatch = \"record\"` accepts and marks such answers",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::scripted::{FakeWorld, Reply, Script};
    use crate::job::{ApiLimits, TarType};

    const STOCK: &str = include_str!("../../../tests/fixtures/answers/pay_v2_stock.xml");

    fn client(script: &Script) -> PayV2 {
        client_that(OnMismatch::Record, script)
    }

    fn client_that(on_mismatch: OnMismatch, script: &Script) -> PayV2 {
        let settings = PayV2Settings {
            limits: script.limits(),
            mch_id: "10000098".into(),
            appid: "wx5edab3bdfba3dc1c".into(),
            api_key: Secret::new("192006250b4c09247ec02edce69f6a2d"),
            stock_ids: vec![],
            coupons_file: None,
            on_mismatch,
            identity_pem: None,
        };
        PayV2::new(&settings, FakeWorld::new().world()).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_signed_over_all_its_fields_with_a_fresh_nonce_each_time() {
        let busy = "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code><err_code>NETWORK ERROR</err_code></xml>";
        let script = Script::serve(vec![Reply::status(200, busy), Reply::status(200, STOCK)]).await;
        let client = client(&script);
        let answer = client.send(&coupon_stock("9728595")).await.unwrap();
        assert_eq!((answer.attempts, answer.evidence.nonce.as_deref()), (2, Some("1417583379")));
        let sent: Vec<Fields> = script.requests().iter().map(|seen| xml::read(&seen.body).unwrap()).collect();
        assert_ne!(sent[0]["nonce_str"], sent[1]["nonce_str"]);
        for fields in sent {
            assert_eq!(sign::check(&fields, &client.account.api_key), SignatureCheck::Verified);
            assert_eq!(fields.keys().collect::<Vec<_>>(), ["appid", "coupon_stock_id", "mch_id", "nonce_str", "sign"]);
        }
    }

    #[tokio::test]
    async fn the_signature_is_told_and_fatal_only_on_request() {
        let forged = STOCK.replace("<coupon_total>10<", "<coupon_total>11<");
        let script = Script::always(Reply::status(200, &forged)).await;
        let answer = client(&script).send(&coupon_stock("9728595")).await.unwrap();
        assert_eq!(client(&script).check_signature(&answer.body), SignatureCheck::Mismatch);
        let error = client_that(OnMismatch::Fail, &script).send(&coupon_stock("9728595")).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::SignatureInvalid);
    }

    #[tokio::test]
    async fn a_refusal_whose_signature_does_not_hold_is_no_more_believed_than_a_success() {
        let unknown = "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code>\
                       <err_code>COUPON_STOCK_ID_NOT_VALID</err_code><sign>00000000000000000000000000000000</sign></xml>";
        for (on_mismatch, kind) in
            [(OnMismatch::Record, FailureKind::NotFound), (OnMismatch::Fail, FailureKind::SignatureInvalid)]
        {
            let script = Script::always(Reply::status(200, unknown)).await;
            let error = client_that(on_mismatch, &script).send(&coupon_stock("1")).await.unwrap_err();
            assert_eq!((error.kind(), error.answer().is_some()), (kind, on_mismatch == OnMismatch::Record));
        }
    }

    #[tokio::test]
    async fn an_answer_without_signature_is_accepted_as_live_answers_have_none() {
        let unsigned = STOCK.replace("<sign><![CDATA[745CC14AF7EB7F9657CF71F33C7AE775]]></sign>", "");
        let script = Script::always(Reply::status(200, &unsigned)).await;
        let client = client_that(OnMismatch::Fail, &script);
        let answer = client.send(&coupon_stock("9728595")).await.unwrap();
        assert_eq!(client.check_signature(&answer.body), SignatureCheck::Absent);
    }

    #[tokio::test]
    async fn an_answer_to_another_merchant_or_appid_is_not_kept_unless_our_key_signed_it() {
        let unsigned = STOCK.replace("<sign><![CDATA[745CC14AF7EB7F9657CF71F33C7AE775]]></sign>", "");
        for (ours, theirs) in [("10000098", "10000099"), ("wx5edab3bdfba3dc1c", "wx0000000000000000")] {
            let script = Script::always(Reply::status(200, &unsigned.replace(ours, theirs))).await;
            let error = client(&script).send(&coupon_stock("9728595")).await.unwrap_err();
            assert!(error.answer().is_none() && script.requests().len() == 1, "{error:?}");
            assert!(error.problem().to_string().contains(theirs), "{}", error.problem());
            let silent = Script::always(Reply::status(200, &unsigned.replace(ours, ""))).await;
            assert!(client(&silent).send(&coupon_stock("9728595")).await.is_ok());
            let mut signed = xml::read(unsigned.replace(ours, theirs).as_bytes()).unwrap();
            let signature = sign::sign(&signed, &client(&script).account.api_key, SignType::Md5);
            signed.insert("sign".into(), signature);
            let signed = Script::always(Reply::status(200, &xml::write(&signed))).await;
            assert!(client(&signed).send(&coupon_stock("9728595")).await.is_ok());
        }
    }

    #[tokio::test]
    async fn what_another_merchant_does_not_know_is_not_unknown_to_us() {
        let unknown = "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code><mch_id>10000099</mch_id>\
                       <err_code>COUPON_STOCK_ID_NOT_VALID</err_code></xml>";
        for (mch_id, kind, is_kept) in
            [("10000098", FailureKind::NotFound, true), ("10000099", FailureKind::Unavailable, false)]
        {
            let script = Script::always(Reply::status(200, &unknown.replace("10000099", mch_id))).await;
            let error = client(&script).send(&coupon_stock("1")).await.unwrap_err();
            assert_eq!((error.kind(), error.answer().is_some()), (kind, is_kept), "{mch_id}");
        }
    }

    #[tokio::test]
    async fn a_number_in_the_text_has_a_query_made_again_but_no_coupon_sent_again() {
        let body = "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code>\
                    <err_code>INVALID_REQUEST</err_code><err_code_des>272888874</err_code_des></xml>";
        let script = Script::serve(vec![Reply::status(200, body), Reply::status(200, STOCK)]).await;
        assert_eq!(client(&script).send(&coupon_stock("9728595")).await.unwrap().attempts, 2);
        let script = Script::always(Reply::status(200, body)).await;
        let error = client(&script).send(&send_coupon("1757", "oA", "1")).await.unwrap_err();
        assert_eq!((error.kind(), script.requests().len()), (FailureKind::Unavailable, 1));
    }

    #[tokio::test]
    async fn only_a_coupon_that_cannot_be_sent_is_told_of_the_client_certificate() {
        let script = Script::always(Reply::status(200, STOCK)).await;
        let base_url = "http://127.0.0.1:9/".parse().unwrap();
        let limits = ApiLimits { base_url, ..script.limits() };
        let client = PayV2 { http: HttpClient::new(&limits, FakeWorld::new().world()).unwrap(), ..client(&script) };
        let unanswered = client.send(&coupon_stock("1")).await.unwrap_err();
        assert_eq!(unanswered.hint(), Some("is `pay_v2.base_url` reachable from this machine?"));
        let unsent = client.send(&send_coupon("1757", "oA", "1")).await.unwrap_err();
        assert!(unsent.hint().unwrap().contains("`pay_v2.client_certificate_file`"));
    }

    #[tokio::test]
    async fn a_wrong_key_is_a_matter_of_credentials_with_a_hint_and_the_answer_kept() {
        let body = "<xml><return_code>FAIL</return_code><return_msg>签名错误</return_msg></xml>";
        let script = Script::always(Reply::status(200, body)).await;
        let error = client(&script).send(&coupon_stock("1")).await.unwrap_err();
        assert_eq!((error.kind(), script.requests().len()), (FailureKind::Credentials, 1));
        assert!(error.hint().unwrap().contains("pay_v2.api_key_env"));
        assert_eq!(failure_of(200, &error.answer().unwrap().body), Some(FailureKind::Credentials));
    }

    #[tokio::test]
    async fn a_bill_comes_as_bytes_and_its_absence_is_no_failure_of_ours() {
        let script = Script::always(Reply::bytes(200, &[0x1f, 0x8b, 0, 1])).await;
        let date = chrono::NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let answer = client(&script).send(&bill(date, "ALL", TarType::Gzip)).await.unwrap();
        assert_eq!(answer.body.as_ref(), [0x1f, 0x8b, 0, 1]);
        let none = "<xml><return_code>FAIL</return_code><return_msg>No Bill Exist</return_msg><error_code>20002</error_code></xml>";
        let script = Script::always(Reply::status(200, none)).await;
        let error = client(&script).send(&bill(date, "ALL", TarType::Gzip)).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::NoStatement);
    }

    #[test]
    fn a_client_certificate_is_taken_and_what_is_none_refused_at_once() {
        let limits = crate::job::ApiLimits {
            base_url: url::Url::parse("https://api.mch.weixin.qq.com").unwrap(),
            backup_url: None,
            timeout: Duration::from_secs(1),
            retry_deadline: Duration::from_secs(1),
            rate_per_second: 1,
            concurrency: 1,
        };
        let identity = |pem: &str| HttpClient::with_identity(&limits, FakeWorld::new().world(), &Secret::new(pem));
        assert!(matches!(identity("no pem"), Err(crate::http::HttpSetupError::Identity(_))));
        let made = rcgen::generate_simple_self_signed(["merchant".to_owned()]).unwrap();
        assert!(identity(&format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem())).is_ok());
    }
}
