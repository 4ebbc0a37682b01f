//! Stage `notifications`: spooled COUPON.SEND callbacks, verified, decrypted, deduplicated.

use super::orders::digests;
use super::{Harvest, Issue, IssueKind, Night};
use crate::exports::notifications::read;
use crate::record::CouponEvent;

/// Reads the spool; openids stay raw. What cannot be verified is a dead letter, counted and named
/// in the log, and the stage is complete (design §12).
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Vec<CouponEvent>>, Issue> {
    let Some(spool) = &night.job.notification_spool else { return Ok(Harvest::complete(Vec::new())) };
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Err(Issue::new(IssueKind::Incomplete, "callbacks cannot be verified without `[pay_v3]`"));
    };
    let keyring = pay_v3.keyring().await.map_err(|error| Issue::from(&error))?;
    let spooled = read(spool, night.date, &*keyring)
        .map_err(|error| Issue::new(IssueKind::Malformed, error.to_string()))?;
    for letter in &spooled.dead_letters {
        tracing::warn!(file = %letter.file, why = %letter.why, "a spooled callback is a dead letter");
    }
    let mut harvest = Harvest::complete(spooled.events);
    harvest.inputs = digests("notifications", &spooled.files);
    harvest.rows.sort_by(|a, b| (&a.stock_id, &a.coupon_code).cmp(&(&b.stock_id, &b.coupon_code)));
    Ok(harvest.noting("duplicates", spooled.duplicates).noting("dead_letters", spooled.dead_letters.len()))
}
