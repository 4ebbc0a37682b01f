//! A call of a plan, as it is written in the file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::operation::Operation;
use crate::money::Fen;
use crate::record::Break;

/// One call and the reason for it. What is sent is `body`, to `path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The merchant's request number, which is in the body too.
    pub request_no: String,
    /// The break it is for.
    pub break_id: String,
    /// Its rule.
    pub rule_id: String,
    /// Fen at risk.
    pub at_risk_fen: Fen,
    /// Why there is a break.
    pub why: String,
    /// What the call does.
    pub does: String,
    /// Path of the endpoint; the method is POST.
    pub path: String,
    /// JSON body.
    pub body: Value,
}

impl Call {
    pub(super) fn of(it: &Break, operation: &Operation) -> Call {
        Call {
            request_no: operation.request_no().to_owned(),
            break_id: it.break_id.clone(),
            rule_id: it.rule_id.clone(),
            at_risk_fen: it.at_risk_fen,
            why: it.why.clone(),
            does: operation.told(),
            path: operation.endpoint().path.to_owned(),
            body: operation.body(),
        }
    }

    /// The parsed call; the error says what is wrong with it.
    pub(super) fn operation(&self) -> Result<Operation, String> {
        let operation = Operation::parse(&self.path, &self.body)?;
        if operation.request_no() != self.request_no {
            return Err(format!("`request_no` is `{}`, the body says `{}`", self.request_no, operation.request_no()));
        }
        if operation.told() != self.does {
            return Err(format!("`does` says `{}`, the body {}", self.does, operation.told()));
        }
        Ok(operation)
    }
}
