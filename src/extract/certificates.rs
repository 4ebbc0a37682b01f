//! Keeps the platform certificates of a night in its journal, no later than the answers they verify: even after a kill
//! everything in the journal can still be verified. Requests none.

use super::answered::page;
use crate::journal::{Entry, Journal, JournalError};
use crate::sha256::sha256_of;
use crate::wechat::pay_v3::{PayV3, certificates};

/// The journal stage that holds the platform certificates of a night.
pub const CERTIFICATES: &str = "certificates";

/// Durably keeps what the client, if there is one, has learnt since the last call.
///
/// # Errors
/// The journal cannot be written.
pub fn keep_certificates(pay_v3: Option<&PayV3>, journal: &Journal) -> Result<(), JournalError> {
    let Some(pay_v3) = pay_v3.filter(|_| !journal.mode().is_read_only()) else { return Ok(()) };
    let answers = pay_v3.take_certificate_answers();
    if answers.is_empty() {
        return Ok(());
    }
    let stage = journal.stage(CERTIFICATES)?;
    for answer in &answers {
        stage.append(Entry { key: sha256_of(&answer.body), pages: vec![page(&certificates(), answer)] })?;
    }
    stage.flush()
}
