//! Rows of subsidy receipts (reference v3 §2.18–2.22); statuses lose their prefixes.

use super::{Imprint, Leftover, required_amount};
use crate::extract::Issue;
use crate::record::{SubsidyPayment, SubsidyReturn};
use crate::wechat::pay_v3::busifavor::{self as api, plain_status};

/// A payment receipt as requested on a night.
pub(in crate::extract) fn subsidy_payment_row(
    wire: &api::PayReceipt,
    imprint: Imprint<'_>,
) -> Result<SubsidyPayment, Issue> {
    let mut leftover = Leftover::of(&wire.extra);
    Ok(SubsidyPayment {
        amount_fen: required_amount(&format!("subsidy receipt `{}`", wire.out_subsidy_no), wire.amount)?,
        success_time: leftover.time("success_time", wire.success_time.as_deref()),
        create_time: leftover.time("create_time", wire.create_time.as_deref()),
        out_subsidy_no: wire.out_subsidy_no.clone(),
        subsidy_receipt_id: given(wire.subsidy_receipt_id.as_ref()),
        stock_id: wire.stock_id.clone(),
        coupon_code: wire.coupon_code.clone(),
        transaction_id: given(wire.transaction_id.as_ref()),
        payer_merchant: given(wire.payer_merchant.as_ref()),
        payee_merchant: given(wire.payee_merchant.as_ref()),
        description: wire.description.clone(),
        status: wire.status.as_deref().map(|status| plain_status(status).to_owned()),
        fail_reason: given(wire.fail_reason.as_ref()).map(|reason| plain_status(&reason).to_owned()),
        verified_date: imprint.date,
        extra: leftover.json(imprint),
        business_date: imprint.date,
    })
}

/// A return receipt as requested on a night.
pub(in crate::extract) fn subsidy_return_row(
    wire: &api::ReturnReceipt,
    imprint: Imprint<'_>,
) -> Result<SubsidyReturn, Issue> {
    let mut leftover = Leftover::of(&wire.extra);
    Ok(SubsidyReturn {
        amount_fen: required_amount(&format!("subsidy return `{}`", wire.out_subsidy_return_no), wire.amount)?,
        return_done_time: leftover.time("return_done_time", wire.return_done_time.as_deref()),
        return_create_time: leftover.time("return_create_time", wire.return_create_time.as_deref()),
        out_subsidy_return_no: wire.out_subsidy_return_no.clone(),
        subsidy_return_receipt_id: given(wire.subsidy_return_receipt_id.as_ref()),
        subsidy_receipt_id: given(wire.subsidy_receipt_id.as_ref()),
        stock_id: wire.stock_id.clone(),
        coupon_code: wire.coupon_code.clone(),
        transaction_id: given(wire.transaction_id.as_ref()),
        refund_id: given(wire.refund_id.as_ref()),
        payer_merchant: given(wire.payer_merchant.as_ref()),
        payee_merchant: given(wire.payee_merchant.as_ref()),
        description: wire.description.clone(),
        status: wire.status.as_deref().map(|status| plain_status(status).to_owned()),
        fail_reason: given(wire.fail_reason.as_ref()).map(|reason| plain_status(&reason).to_owned()),
        verified_date: imprint.date,
        extra: leftover.json(imprint),
        business_date: imprint.date,
    })
}

/// A non-empty string: an empty one means that the id, merchant or reason is absent, and no rule may compare it.
fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn an_empty_receipt_id_and_an_empty_reason_are_none() {
        let wire = r#"{"out_subsidy_no":"N","stock_id":"S","coupon_code":"C","amount":100,"status":"ACCEPTED",
          "subsidy_receipt_id":"","fail_reason":""}"#;
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let row = subsidy_payment_row(&serde_json::from_str(wire).unwrap(), Imprint::raw(date)).unwrap();
        assert_eq!((row.subsidy_receipt_id, row.fail_reason), (None, None));
    }

    #[test]
    fn an_empty_order_or_merchant_is_none_and_compared_with_nothing() {
        let wire = r#"{"out_subsidy_no":"N","out_subsidy_return_no":"R","stock_id":"S","coupon_code":"C","amount":100,
          "transaction_id":"","payer_merchant":"","payee_merchant":"","refund_id":"","subsidy_return_receipt_id":""}"#;
        let imprint = Imprint::raw(NaiveDate::from_ymd_opt(2026, 11, 18).unwrap());
        let paid = subsidy_payment_row(&serde_json::from_str(wire).unwrap(), imprint).unwrap();
        assert_eq!([paid.transaction_id, paid.payer_merchant, paid.payee_merchant], [None, None, None]);
        let returned = subsidy_return_row(&serde_json::from_str(wire).unwrap(), imprint).unwrap();
        assert_eq!([returned.transaction_id, returned.payer_merchant, returned.payee_merchant], [None, None, None]);
        assert_eq!([returned.refund_id, returned.subsidy_return_receipt_id], [None, None]);
    }
}
