//! The four calls that a plan may contain, each with exactly the fields of its request body: a body with another field is
//! refused. Sends nothing.

use serde_json::Value;

use crate::money::Fen;
use crate::wechat::Request;
use crate::wechat::endpoint::{self, Endpoint};
use crate::wechat::pay_v3::busifavor::coupons::{CouponReturn, Redemption, return_coupon, use_coupon};
use crate::wechat::pay_v3::busifavor::subsidy::{Payment, PaymentReturn, pay_subsidy, return_subsidy};

/// The largest subsidy (reference v3 §2.18).
const MOST: Fen = Fen(500_000);

/// A call that a plan may contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    Redeem(Redemption),
    ReturnCoupon(CouponReturn),
    Pay(Payment),
    ReturnPayment(PaymentReturn),
}

impl Operation {
    /// Parses a path and a body; the error says what is wrong with them.
    pub(super) fn parse(path: &str, body: &Value) -> Result<Operation, String> {
        let body = body.clone();
        let read = match path {
            _ if path == endpoint::COUPON_USE.path => serde_json::from_value(body).map(Operation::Redeem),
            _ if path == endpoint::COUPON_RETURN.path => serde_json::from_value(body).map(Operation::ReturnCoupon),
            _ if path == endpoint::SUBSIDY_PAY.path => serde_json::from_value(body).map(Operation::Pay),
            _ if path == endpoint::SUBSIDY_RETURN.path => serde_json::from_value(body).map(Operation::ReturnPayment),
            _ => return Err(format!("`{path}` is not a call of a plan")),
        };
        let operation = read.map_err(|error| format!("the body of `{path}`: {error}"))?;
        operation.check_amount().map(|()| operation)
    }

    /// Whether WeChat accepts its amount.
    pub(super) fn check_amount(&self) -> Result<(), String> {
        match self.amount() {
            Some(amount) if amount <= Fen::ZERO || amount > MOST => {
                Err(format!("an amount of {amount} yuan: WeChat takes 0.01 to {MOST}"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn endpoint(&self) -> &'static Endpoint {
        match self {
            Operation::Redeem(_) => &endpoint::COUPON_USE,
            Operation::ReturnCoupon(_) => &endpoint::COUPON_RETURN,
            Operation::Pay(_) => &endpoint::SUBSIDY_PAY,
            Operation::ReturnPayment(_) => &endpoint::SUBSIDY_RETURN,
        }
    }

    /// The call; its answer is read by [`Operation::said`].
    pub(super) fn request(&self) -> Request<()> {
        match self {
            Operation::Redeem(it) => use_coupon(it).into_unread(),
            Operation::ReturnCoupon(it) => return_coupon(it).into_unread(),
            Operation::Pay(it) => pay_subsidy(it).into_unread(),
            Operation::ReturnPayment(it) => return_subsidy(it).into_unread(),
        }
    }

    pub(super) fn body(&self) -> Value {
        let body = match self {
            Operation::Redeem(it) => serde_json::to_value(it),
            Operation::ReturnCoupon(it) => serde_json::to_value(it),
            Operation::Pay(it) => serde_json::to_value(it),
            Operation::ReturnPayment(it) => serde_json::to_value(it),
        };
        body.expect("texts and amounts are JSON")
    }

    /// The merchant's number, by which WeChat recognises a repeated call.
    pub(super) fn request_no(&self) -> &str {
        match self {
            Operation::Redeem(it) => &it.use_request_no,
            Operation::ReturnCoupon(it) => &it.return_request_no,
            Operation::Pay(it) => &it.out_subsidy_no,
            Operation::ReturnPayment(it) => &it.out_subsidy_return_no,
        }
    }

    /// Stock and code.
    pub(super) fn coupon(&self) -> (&str, &str) {
        match self {
            Operation::Redeem(it) => (&it.stock_id, &it.coupon_code),
            Operation::ReturnCoupon(it) => (&it.stock_id, &it.coupon_code),
            Operation::Pay(it) => (&it.stock_id, &it.coupon_code),
            Operation::ReturnPayment(it) => (&it.stock_id, &it.coupon_code),
        }
    }

    /// The amount paid or returned.
    pub(super) fn amount(&self) -> Option<Fen> {
        match self {
            Operation::Pay(it) => Some(it.amount),
            Operation::ReturnPayment(it) => Some(it.amount),
            Operation::Redeem(_) | Operation::ReturnCoupon(_) => None,
        }
    }

    /// A description for the person who approves it.
    pub(super) fn told(&self) -> String {
        match self {
            Operation::Redeem(it) => format!("redeems coupon {} under {}", it.coupon_code, it.use_request_no),
            Operation::ReturnCoupon(it) => format!("returns coupon {} to its user", it.coupon_code),
            Operation::Pay(it) => {
                let Payment { amount, payer_merchant, payee_merchant, .. } = it;
                format!("{payer_merchant} pays {amount} yuan of subsidy to {payee_merchant}")
            }
            Operation::ReturnPayment(it) => {
                let PaymentReturn { amount, payer_merchant, payee_merchant, .. } = it;
                format!("{payee_merchant} returns {amount} yuan of subsidy to {payer_merchant}")
            }
        }
    }
}
