//! Subsidies (营销补差): pay, return, query (reference v3 §2.18–2.22).

use serde::{Deserialize, Serialize};

use crate::money::Fen;
use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::oddity::{Mendable, Shape, fits};
use crate::wechat::pay_v3::target::Target;
use crate::wechat::request::Request;

/// A subsidy payment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PayReceipt {
    /// WeChat's id; absent until the payment succeeded.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub subsidy_receipt_id: Option<String>,
    /// Stock.
    #[serde(deserialize_with = "lenient::key")]
    pub stock_id: String,
    /// Code.
    #[serde(deserialize_with = "lenient::key")]
    pub coupon_code: String,
    /// WeChat's order id: the only answer that has it together with a coupon code.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// Who pays.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub payer_merchant: Option<String>,
    /// Who receives.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub payee_merchant: Option<String>,
    /// Fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub amount: Option<Fen>,
    /// What for.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// ACCEPTED, SUCCESS, FAIL, RETURNING, PARTIAL_RETURN, FULL_RETURN, with or without `PAY_RECEIPT_`.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why it failed, with or without `PAY_RECEIPT_`.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub success_time: Option<String>,
    /// The merchant's number.
    #[serde(deserialize_with = "lenient::key")]
    pub out_subsidy_no: String,
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub create_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The receipts of one coupon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PayReceiptList {
    /// Receipts; all of them, there are no pages.
    #[serde(default, deserialize_with = "lenient::list")]
    pub pay_receipt_list: Vec<PayReceipt>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A subsidy returned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReturnReceipt {
    /// WeChat's id.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub subsidy_return_receipt_id: Option<String>,
    /// Stock.
    #[serde(deserialize_with = "lenient::key")]
    pub stock_id: String,
    /// Code.
    #[serde(deserialize_with = "lenient::key")]
    pub coupon_code: String,
    /// WeChat's order id.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// WeChat's refund id.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<String>,
    /// Who paid.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub payer_merchant: Option<String>,
    /// Who received.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub payee_merchant: Option<String>,
    /// Fen.
    #[serde(default, deserialize_with = "lenient::fen", skip_serializing_if = "Option::is_none")]
    pub amount: Option<Fen>,
    /// What for.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// ACCEPTED, SUCCESS, FAIL, with or without `RETURN_RECEIPT_`.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why it failed.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub return_done_time: Option<String>,
    /// The payment it returns.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub subsidy_receipt_id: Option<String>,
    /// The merchant's number.
    #[serde(deserialize_with = "lenient::key")]
    pub out_subsidy_return_no: String,
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub return_create_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Of a receipt nothing but its description is there for people only.
impl Mendable for PayReceipt {
    const SHAPE: Shape = Shape {
        decorative: &["description"],
        times: &["success_time", "create_time"],
        inner: &[],
        fits: fits::<PayReceipt>,
    };

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl Mendable for PayReceiptList {
    const SHAPE: Shape = Shape { decorative: &[], times: &[], inner: &[], fits: fits::<PayReceiptList> };
    const ITEMS: Option<(&'static str, &'static Shape)> = Some(("pay_receipt_list", &PayReceipt::SHAPE));

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }

    fn extra_of_items(&mut self) -> impl Iterator<Item = &mut Extra> {
        self.pay_receipt_list.iter_mut().map(|receipt| &mut receipt.extra)
    }
}

impl Mendable for ReturnReceipt {
    const SHAPE: Shape = Shape {
        decorative: &["description"],
        times: &["return_done_time", "return_create_time"],
        inner: &[],
        fits: fits::<ReturnReceipt>,
    };

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

/// The body of `POST pay-receipts` (reference v3 §2.18). Also read from plans, where a field too many is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// Stock.
    pub stock_id: String,
    /// Code of a USED coupon.
    pub coupon_code: String,
    /// The order, paid by WeChat Pay and flagged for profit sharing.
    pub transaction_id: String,
    /// Creator or owner of the stock.
    pub payer_merchant: String,
    /// Who receives.
    pub payee_merchant: String,
    /// At most the coupon's discount.
    pub amount: Fen,
    /// What for.
    pub description: String,
    /// Idempotency: the same number pays once.
    pub out_subsidy_no: String,
}

/// The body of `POST return-receipts` (reference v3 §2.21). Also read from plans, where a field too many is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[serde(deny_unknown_fields)]
pub struct PaymentReturn {
    /// Stock.
    pub stock_id: String,
    /// Code.
    pub coupon_code: String,
    /// The order.
    pub transaction_id: String,
    /// Its refund.
    pub refund_id: String,
    /// Who paid.
    pub payer_merchant: String,
    /// Who received.
    pub payee_merchant: String,
    /// At most what was paid and not returned yet.
    pub amount: Fen,
    /// What for.
    pub description: String,
    /// Idempotency: the same number returns once.
    pub out_subsidy_return_no: String,
}

/// A receipt status or fail reason without the prefix that some versions of the API add (reference v3
/// §2.24): `PAY_RECEIPT_SUCCESS` and `SUCCESS` are the same.
pub fn plain_status(status: &str) -> &str {
    ["PAY_RECEIPT_", "RETURN_RECEIPT_"].iter().find_map(|prefix| status.strip_prefix(prefix)).unwrap_or(status)
}

/// The subsidy payments of a coupon (reference v3 §2.19).
pub fn pay_receipts(stock_id: &str, coupon_code: &str, out_subsidy_no: Option<&str>) -> Request<PayReceiptList> {
    let target = Target::new(endpoint::PAY_RECEIPTS.path, &[])
        .query("stock_id", stock_id)
        .query("coupon_code", coupon_code)
        .maybe("out_subsidy_no", out_subsidy_no);
    Request::mending(&endpoint::PAY_RECEIPTS, target.finish())
}

/// One subsidy payment (reference v3 §2.20).
pub fn pay_receipt(subsidy_receipt_id: &str) -> Request<PayReceipt> {
    Request::mending(&endpoint::PAY_RECEIPT, Target::new(endpoint::PAY_RECEIPT.path, &[subsidy_receipt_id]).finish())
}

/// One returned subsidy (reference v3 §2.22).
pub fn return_receipt(subsidy_return_receipt_id: &str) -> Request<ReturnReceipt> {
    let target = Target::new(endpoint::RETURN_RECEIPT.path, &[subsidy_return_receipt_id]);
    Request::mending(&endpoint::RETURN_RECEIPT, target.finish())
}

/// Pays a subsidy (reference v3 §2.18).
pub fn pay_subsidy(payment: &Payment) -> Request<PayReceipt> {
    Request::post(&endpoint::SUBSIDY_PAY, payment)
}

/// Returns a subsidy (reference v3 §2.21).
pub fn return_subsidy(returned: &PaymentReturn) -> Request<ReturnReceipt> {
    Request::post(&endpoint::SUBSIDY_RETURN, returned)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const PAID: &str = include_str!("../../../../tests/fixtures/answers/pay_v3_pay_receipt.json");
    const RETURNED: &str = include_str!("../../../../tests/fixtures/answers/pay_v3_return_receipt.json");

    #[test]
    fn the_documented_receipts_parse_and_survive_a_round_trip() {
        let paid = pay_receipt("1").parse(PAID.as_bytes()).unwrap();
        assert_eq!((paid.amount, paid.out_subsidy_no.as_str()), (Some(Fen(100)), "subsidy-abcd-12345678"));
        assert_eq!(serde_json::to_value(&paid).unwrap(), serde_json::from_str::<Value>(PAID).unwrap());
        let returned = return_receipt("1").parse(RETURNED.as_bytes()).unwrap();
        assert_eq!(returned.subsidy_receipt_id.as_deref(), Some("1120200119165100000000000001"));
        assert_eq!(serde_json::to_value(&returned).unwrap(), serde_json::from_str::<Value>(RETURNED).unwrap());
        let list = format!(r#"{{"pay_receipt_list":[{PAID}]}}"#);
        assert_eq!(pay_receipts("1", "A", None).parse(list.as_bytes()).unwrap().pay_receipt_list, [paid]);
        assert!(pay_receipts("1", "A", None).parse(b"{}").unwrap().pay_receipt_list.is_empty());
    }

    #[test]
    fn statuses_are_the_same_with_and_without_prefix() {
        for status in ["PAY_RECEIPT_SUCCESS", "RETURN_RECEIPT_SUCCESS", "SUCCESS"] {
            assert_eq!(plain_status(status), "SUCCESS");
        }
        assert_eq!(plain_status("PAY_RECEIPT_PARTIAL_RETURN"), "PARTIAL_RETURN");
        assert_eq!(plain_status("SOMETHING_NEW"), "SOMETHING_NEW");
    }

    #[test]
    fn queries_name_stock_and_code() {
        assert_eq!(
            pay_receipts("128888000000001", "AB/1", Some("S1")).target,
            "/v3/marketing/busifavor/subsidy/pay-receipts?stock_id=128888000000001&coupon_code=AB%2F1&out_subsidy_no=S1"
        );
        assert!(return_subsidy(&PaymentReturn::default()).parse(RETURNED.as_bytes()).is_ok());
    }

    #[test]
    fn the_body_of_a_payment_has_every_field() {
        let payment = Payment {
            stock_id: "1".into(),
            coupon_code: "A".into(),
            transaction_id: "4200".into(),
            payer_merchant: "1900000001".into(),
            payee_merchant: "1900000002".into(),
            amount: Fen(100),
            description: "补差".into(),
            out_subsidy_no: "S".into(),
        };
        assert_eq!(
            pay_subsidy(&payment).body.as_ref(),
            r#"{"stock_id":"1","coupon_code":"A","transaction_id":"4200","payer_merchant":"1900000001","payee_merchant":"1900000002","amount":100,"description":"补差","out_subsidy_no":"S"}"#.as_bytes()
        );
    }
}
