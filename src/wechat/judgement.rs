//! The meaning of an answer of any API, from status and body alone, so that journalled answers can be judged
//! again. Checks no signature.

use super::error::FailureKind;
use super::{mp, pay_v2, pay_v3};
use crate::api::Api;

impl Api {
    /// The failure that a journalled answer of this API means, if any; a pure function.
    pub fn failure_of(self, status: u16, body: &[u8]) -> Option<FailureKind> {
        match self {
            Api::PayV3 => pay_v3::failure_of(status, body),
            Api::PayV2 => pay_v2::failure_of(status, body),
            Api::Mp => mp::failure_of(status, body),
        }
    }
}
