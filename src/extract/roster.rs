//! Stage `roster`: which wallets to ask tonight (design §5). State, not published: raw openids,
//! in `state/wallets/`, one file per night with the openids first seen that night.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use aws_lc_rs::digest;
use chrono::{Datelike, NaiveDate};

use super::orders::{digests, from_export};
use super::{Harvest, Issue, Night};
use crate::clock;
use crate::durable;
use crate::exports::ExportError;
use crate::exports::roster_file::read;
use crate::job::{PathPattern, Refresh};
use crate::journal::Mode;
use crate::record::{CouponEvent, UserCoupon};

/// Tonight's wallets.
#[derive(Debug, Default)]
pub struct Roster {
    /// Raw openids to ask.
    pub ask: BTreeSet<String>,
    /// Every raw openid known up to D, by its published form.
    pub raw_by_published: BTreeMap<String, String>,
}

/// What tonight's exports tell of users.
#[derive(Debug)]
pub struct RosterInput<'a> {
    /// Users in the order lines of D, raw.
    pub buyers: &'a HashSet<String>,
    /// The callbacks of D, raw.
    pub events: &'a [CouponEvent],
    /// Whether both could be read.
    pub is_whole: bool,
}

/// Chooses tonight's wallets from tonight's exports and what earlier nights knew.
pub fn extract(night: &Night<'_>, input: &RosterInput<'_>) -> Result<Harvest<Roster>, Issue> {
    let Some(wallets) = &night.job.wallets else { return Ok(Harvest::complete(Roster::default())) };
    let mut harvest = Harvest::complete(Roster::default());
    let mut ask: BTreeSet<String> = input.buyers.iter().cloned().collect();
    ask.extend(input.events.iter().filter_map(|event| event.openid.clone()));
    if let Some(pattern) = &wallets.roster_file {
        harvest.inputs =
            add_listed(night, pattern, &mut ask).map_err(|error| from_export("wallets.roster_file", &error))?;
    }
    let mut known = known_before(&night.lake.state("wallets"), night.date)?;
    let first_seen: BTreeSet<String> = ask.difference(&known).cloned().collect();
    if night.journal.mode() != Mode::Peek {
        remember(&night.lake.state("wallets"), night.date, &first_seen, input.is_whole)?;
    }
    known.extend(first_seen);
    let raw_by_published: BTreeMap<_, _> =
        known.iter().map(|openid| (night.persona.publish(openid), openid.clone())).collect();
    match wallets.refresh {
        Refresh::All => ask.extend(known),
        Refresh::Active => {
            ask.extend(known.into_iter().filter(|openid| is_audited(openid, night.date, wallets.audit_days)));
            ask.extend(expiring(night, &raw_by_published)?);
        }
    }
    harvest.rows = Roster { ask, raw_by_published };
    Ok(harvest)
}

/// Adds the users of the roster file; gives the digests of what was read.
fn add_listed(
    night: &Night<'_>,
    pattern: &PathPattern,
    ask: &mut BTreeSet<String>,
) -> Result<Vec<(String, String)>, ExportError> {
    let roster = read(pattern, night.date, night.room)?;
    let inputs = digests("roster", &roster.files);
    ask.extend(roster.collect(|user| user.0.into_owned())?);
    Ok(inputs)
}

/// Wallets with a usable coupon that expires on D: its state changes by the calendar.
fn expiring(night: &Night<'_>, raw_by_published: &BTreeMap<String, String>) -> Result<Vec<String>, Issue> {
    let coupons = night.yesterday::<UserCoupon>()?;
    let expires = |coupon: &&UserCoupon| {
        coupon.coupon_state.as_deref() == Some("SENDED")
            && coupon.expire_time.is_some_and(|time| clock::business_date_of(time) == night.date)
    };
    let wallets = coupons.iter().filter(expires).filter_map(|coupon| raw_by_published.get(&coupon.openid));
    Ok(wallets.cloned().collect())
}

/// The rotating slice: every wallet comes round once in `audit_days` nights.
fn is_audited(openid: &str, date: NaiveDate, audit_days: u32) -> bool {
    let digest = digest::digest(&digest::SHA256, openid.as_bytes());
    let number = u64::from_be_bytes(digest.as_ref()[..8].try_into().expect("eight bytes"));
    let days = u64::from(audit_days.max(1));
    number % days == u64::from(date.num_days_from_ce().unsigned_abs()) % days
}

/// Openids first seen on days before `date`.
fn known_before(folder: &Path, date: NaiveDate) -> Result<BTreeSet<String>, Issue> {
    let mut known = BTreeSet::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(known),
        entries => entries.map_err(|error| Issue::io(folder, &error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| Issue::io(folder, &error))?.path();
        let day = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".txt")?.parse::<NaiveDate>().ok());
        if day.is_some_and(|day| day < date) {
            let text = fs::read_to_string(&path).map_err(|error| Issue::io(&path, &error))?;
            known.extend(text.lines().map(str::to_owned));
        }
    }
    Ok(known)
}

/// Keeps the openids first seen on `date`. A night that could not read all its exports forgets nobody
/// that an earlier run of it knew.
fn remember(folder: &Path, date: NaiveDate, first_seen: &BTreeSet<String>, is_whole: bool) -> Result<(), Issue> {
    let path = folder.join(format!("{date}.txt"));
    let before = match fs::read_to_string(&path) {
        Ok(text) if !is_whole => text,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Issue::io(&path, &error)),
        _ => String::new(),
    };
    let openids: BTreeSet<&str> = before.lines().chain(first_seen.iter().map(String::as_str)).collect();
    let text: String = openids.iter().map(|openid| format!("{openid}\n")).collect();
    durable::create_private_folder(folder)
        .and_then(|()| durable::write_file(&path, &folder.join("incoming.staged"), text.as_bytes()))
        .map_err(|error| Issue::storage(format!("`{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wallet_comes_round_exactly_once_in_the_audit_period() {
        let first = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        for wallet in 0..200 {
            let openid = format!("o{wallet}");
            let nights = (0..30).filter(|days| is_audited(&openid, first + chrono::Days::new(*days), 30));
            assert_eq!(nights.count(), 1, "{openid}");
        }
    }

    #[test]
    fn a_night_knows_only_wallets_of_earlier_nights_however_often_it_is_rerun() {
        let folder = tempfile::tempdir().unwrap();
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let remember = |date, ids: &[&str], is_whole| remember(folder.path(), date, &set(ids), is_whole).unwrap();
        remember(day(18), &["a", "b"], true);
        remember(day(19), &["c"], true);
        assert_eq!(known_before(folder.path(), day(19)).unwrap(), set(&["a", "b"]));
        assert_eq!(known_before(folder.path(), day(20)).unwrap(), set(&["a", "b", "c"]));
        assert_eq!(known_before(folder.path(), day(18)).unwrap(), set(&[]));
        remember(day(18), &[], false);
        assert_eq!(known_before(folder.path(), day(19)).unwrap(), set(&["a", "b"]), "an export is missing tonight");
        remember(day(18), &["b"], true);
        assert_eq!(known_before(folder.path(), day(19)).unwrap(), set(&["b"]), "the export was corrected");
    }
}
