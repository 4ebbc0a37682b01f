//! Stage `roster`: chooses the wallets to request tonight (design §5), including those whose coupons may end an open
//! break. Its state is not published: raw openids in `state/wallets/`, one file per night with the openids first seen
//! that night. Openids are sorted in bounded memory.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use aws_lc_rs::digest;
use chrono::{Datelike, NaiveDate};

use super::lookback::keep;
use super::orders::{digests, from_export};
use super::{Harvest, Issue, IssueKind, Night};
use crate::clock::business_day;
use crate::dataset::columns::row_type;
use crate::dataset::partition::each_row;
use crate::durable;
use crate::exports::roster_file::{Openid, read};
use crate::exports::{Export, ExportError};
use crate::job::{Refresh, WalletSettings};
use crate::journal::Mode;
use crate::quantity::counted;
use crate::record::{Break, BreakStatus, CouponEvent, Record, UserCoupon, coupon_state};
use crate::sorter::{CellPacker, JoinSide, Jotting, Kept, Mark, PackedRow, Sorted, Sorter};

/// Tonight's wallets.
#[derive(Debug, Default)]
pub struct Roster {
    /// Raw openids of the wallets to request, sorted.
    pub(super) ask: Kept,
    /// Every openid known up to D, keyed by its published form; the value is the raw one.
    pub(super) by_published: Kept,
}

/// The users named by tonight's files.
#[derive(Debug)]
pub struct RosterInput<'a> {
    /// Users in the order lines of D, raw.
    pub buyers: Buyers,
    /// The callbacks of D, with raw openids.
    pub events: &'a [CouponEvent],
    /// Whether both could be read completely.
    pub is_whole: bool,
}

/// Collects the raw openids that the night meets.
#[derive(Debug)]
pub struct Buyers(Sorter);

/// When an openid was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    EarlierNight,
    Tonight,
}

impl Mark for Met {
    fn pack(self, cells: &mut CellPacker<'_>) {
        cells.flag(self == Met::Tonight);
    }
}

impl Buyers {
    /// Empty.
    pub fn new(night: &Night<'_>) -> Buyers {
        Buyers(Sorter::new(&night.corner()))
    }

    /// Adds an openid.
    ///
    /// # Errors
    /// The scratch folder is full.
    pub fn add(&mut self, openid: &str) -> Result<(), Issue> {
        self.meet(openid, Met::Tonight).map_err(Issue::unsorted)
    }

    fn meet(&mut self, openid: &str, met: Met) -> io::Result<()> {
        self.0.push(&Jotting::of(&[openid]).marked(met))
    }
}

/// Chooses tonight's wallets from tonight's exports and the state of earlier nights.
pub fn extract(night: &Night<'_>, input: RosterInput<'_>) -> Result<Harvest<Roster>, Issue> {
    let Some(wallets) = &night.job.wallets else { return Ok(Harvest::complete(Roster::default())) };
    let mut harvest = Harvest::complete(Roster::default());
    let mut users = input.buyers;
    for openid in input.events.iter().filter_map(|event| event.openid.as_deref()) {
        users.add(openid)?;
    }
    if let Some(pattern) = &wallets.roster_file {
        let of_file = |error: ExportError| from_export("wallets.roster_file", error);
        let roster = read(pattern, night.date, &night.corner()).map_err(of_file)?;
        harvest.inputs = digests("roster", &roster.files);
        add_listed(roster, &mut users).map_err(of_file)?;
    }
    let folder = night.lake.state("wallets");
    add_known(&folder, night.date, &mut users)?;
    let chosen = Choice::of(night, wallets, users).map_err(Issue::unsorted)?;
    if night.journal.mode() != Mode::Peek {
        remember(&folder, night.date, chosen.first_seen, input.is_whole)?;
    }
    let by_published = keep(chosen.by_published, &night.corner()).map_err(Issue::unsorted)?;
    let lost = count_lost(night, &by_published)?;
    harvest.issues.extend((lost > 0).then(|| unaskable(lost, &folder)));
    let mut ask = chosen.ask;
    if wallets.refresh == Refresh::Active {
        add_changing(night, &by_published, &mut ask)?;
    }
    let ask = keep(ask, &night.corner()).map_err(Issue::unsorted)?;
    harvest.rows = Roster { ask, by_published };
    Ok(harvest)
}

/// Adds the users of the roster file.
fn add_listed(mut roster: Export<Openid<'static>>, users: &mut Buyers) -> Result<(), ExportError> {
    while let Some(row) = roster.peek() {
        users.meet(&row.unpack().key_text(), Met::Tonight).map_err(ExportError::Scratch)?;
        roster.advance()?;
    }
    roster.finish().map(drop)
}

/// The known openids, sorted out for tonight.
struct Choice {
    first_seen: Sorter,
    by_published: Sorter,
    ask: Sorter,
}

/// An openid, and when it was met.
#[derive(Default)]
struct User {
    openid: String,
    is_known: bool,
    is_tonight: bool,
}

impl User {
    /// Takes in a row of `Buyers` about this user.
    fn meet(&mut self, row: PackedRow<'_>) {
        let mut cells = row.unpack();
        self.openid = cells.key_text().into_owned();
        match cells.flag() {
            true => self.is_tonight = true,
            false => self.is_known = true,
        }
    }
}

impl Choice {
    fn of(night: &Night<'_>, wallets: &WalletSettings, users: Buyers) -> io::Result<Choice> {
        let sorter = || Sorter::new(&night.corner());
        let mut choice = Choice { first_seen: sorter(), by_published: sorter(), ask: sorter() };
        let (mut users, mut user) = (users.0.finish()?, User::default());
        while users.next_group(1, |row| user.meet(row))? {
            choice.add(night, wallets, &std::mem::take(&mut user))?;
        }
        Ok(choice)
    }

    fn add(&mut self, night: &Night<'_>, wallets: &WalletSettings, user: &User) -> io::Result<()> {
        let User { openid, is_known, is_tonight } = user;
        let key = [openid.as_str()];
        let of_openid = Jotting::of(&key);
        if !is_known {
            self.first_seen.push(&of_openid)?;
        }
        if *is_tonight || wallets.refresh == Refresh::All || is_audited(openid, night.date, wallets.audit_days) {
            self.ask.push(&of_openid)?;
        }
        let published = night.pseudonyms.publish(openid);
        self.by_published.push(&Jotting::of(&[&published]).with(&[openid]))
    }
}

/// The raw openid of a row of `by_published`.
pub(super) fn raw_openid(row: PackedRow<'_>) -> &str {
    let mut cells = row.unpack();
    cells.key_text();
    cells.text()
}

row_type! {
    /// Whether and until when a coupon is usable, and when it was last verified.
    Usable of UsableColumns {
        openid: text,
        coupon_state: maybe_text,
        expire_time: maybe_instant,
        verified_date: date,
    }
}

/// Whether a coupon changed by date alone since it was verified: it expires tonight, or expired on a night that was not
/// run or on which its wallet did not settle.
fn has_expired(coupon: &Usable<'_>, date: NaiveDate) -> bool {
    let expires = coupon.expire_time.map(business_day);
    let is_due = |day| day == date.to_epoch_days() || (coupon.verified_date < day && day < date.to_epoch_days());
    coupon.coupon_state == Some(coupon_state::SENDED) && expires.is_some_and(is_due)
}

row_type! {
    /// The status of a break, and the holder of its coupon.
    Standing of StandingColumns {
        rule_id: text,
        status: text,
        openid: maybe_text,
    }
}

/// Rules whose breaks end once the coupon is used or returned, whenever that happens. Associations are verified by the
/// single query anyway (design §12); a fault of an order or a receipt is not corrected in a wallet.
const ENDED_BY_A_WALLET: [&str; 5] = ["AO01", "AO03", "AO14", "AO15", "SU04"];

/// Whether tonight's wallet decides if a break of the last night is still open.
fn is_ended_by_a_wallet(it: &Standing<'_>) -> bool {
    let status = BreakStatus::of(it.status);
    ENDED_BY_A_WALLET.contains(&it.rule_id) && (status.is_open() || status == BreakStatus::Expected)
}

/// Adds the wallets whose coupons change without an order: one expires, or a call resolves a break of the last night.
fn add_changing(night: &Night<'_>, by_published: &Kept, ask: &mut Sorter) -> Result<(), Issue> {
    let mut holders = Sorter::new(&night.corner());
    let mut add = |openid: &str| holders.push(&Jotting::of(&[openid])).map_err(Issue::unsorted);
    if let Some(path) = night.latest::<UserCoupon>()? {
        each_row::<UsableColumns, Issue>(&path, UserCoupon::DATASET, |coupon| {
            if has_expired(&coupon, night.date) { add(coupon.openid) } else { Ok(()) }
        })?;
    }
    if let Some(path) = night.latest::<Break>()? {
        each_row::<StandingColumns, Issue>(&path, Break::DATASET, |it| {
            it.openid.filter(|_| is_ended_by_a_wallet(&it)).map_or(Ok(()), &mut add)
        })?;
    }
    holders.finish().and_then(|holders| add_raw(holders, by_published, ask)).map_err(Issue::unsorted)
}

fn add_raw(holders: Sorted, by_published: &Kept, ask: &mut Sorter) -> io::Result<()> {
    let mut known = JoinSide::new(by_published.rows()?, 1);
    holders.each(|holder| {
        let raw = known.find(holder.key())?.last().map(raw_openid);
        raw.map_or(Ok(()), |openid| ask.push(&Jotting::of(&[openid])))
    })
}

row_type! {
    /// Whose coupon it is.
    Held of HeldColumns {
        openid: text,
    }
}

/// How many users hold coupons of the last night although their raw openid is not kept: nobody could ask for them again, and
/// their coupons would stay as they are for ever.
fn count_lost(night: &Night<'_>, by_published: &Kept) -> Result<u64, Issue> {
    let Some(path) = night.latest::<UserCoupon>()? else { return Ok(0) };
    let mut holders = Sorter::new(&night.corner());
    each_row::<HeldColumns, Issue>(&path, UserCoupon::DATASET, |coupon| {
        holders.push(&Jotting::of(&[coupon.openid])).map_err(Issue::unsorted)
    })?;
    holders.finish().and_then(|holders| count_absent(holders, by_published)).map_err(Issue::unsorted)
}

fn count_absent(holders: Sorted, by_published: &Kept) -> io::Result<u64> {
    let (mut known, mut absent) = (JoinSide::new(by_published.rows()?, 1), 0);
    let count = |holder: PackedRow<'_>| {
        absent += u64::from(known.find(holder.key())?.next().is_none());
        Ok(())
    };
    holders.last_of_each(|_| {}, count)?;
    Ok(absent)
}

fn unaskable(lost: u64, folder: &Path) -> Issue {
    let users = counted(lost, "user holds coupons, whose openid is", "users hold coupons, whose openids are");
    let what = format!("{users} not kept in `{}`: nobody can request these coupons", folder.display());
    Issue::new(IssueKind::Incomplete, what).hinting(
        "restore this folder, or run again, oldest first, the days whose file in it is missing or was changed (what is \
         journalled is not requested again), or name all users in `wallets.roster_file`",
    )
}

/// The rotating audit slice: every wallet is due once in `audit_days` nights.
fn is_audited(openid: &str, date: NaiveDate, audit_days: u32) -> bool {
    let digest = digest::digest(&digest::SHA256, openid.as_bytes());
    let number = u64::from_be_bytes(digest.as_ref()[..8].try_into().expect("eight bytes"));
    let days = u64::from(audit_days.max(1));
    number % days == u64::from(date.num_days_from_ce().unsigned_abs()) % days
}

/// Adds the openids first seen on days before `date`.
fn add_known(folder: &Path, date: NaiveDate, users: &mut Buyers) -> Result<(), Issue> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| Issue::io(folder, &error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| Issue::io(folder, &error))?.path();
        let day = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".txt")?.parse::<NaiveDate>().ok());
        if day.is_some_and(|day| day < date) {
            each_openid(&path, |openid| users.meet(openid, Met::EarlierNight))?;
        }
    }
    Ok(())
}

/// Passes on the openids that a night kept.
fn each_openid(path: &Path, mut see: impl FnMut(&str) -> io::Result<()>) -> Result<(), Issue> {
    let file = File::open(path).map_err(|error| Issue::io(path, &error))?;
    for openid in BufReader::new(file).lines() {
        see(&openid.map_err(|error| Issue::io(path, &error))?).map_err(Issue::unsorted)?;
    }
    Ok(())
}

/// Keeps the openids first seen on `date`. If not all exports could be read, the openids that an earlier run of this
/// night kept stay.
fn remember(folder: &Path, date: NaiveDate, mut first_seen: Sorter, is_whole: bool) -> Result<(), Issue> {
    let path = folder.join(format!("{date}.txt"));
    if !is_whole && path.exists() {
        let see = |openid: &str| first_seen.push(&Jotting::of(&[openid]));
        each_openid(&path, see)?;
    }
    let openids = first_seen.finish().map_err(Issue::unsorted)?;
    durable::create_private_folder(folder)
        .and_then(|()| {
            durable::write_with(&path, &folder.join("incoming.staged"), |file| {
                openids.last_of_each(|_| {}, |row| writeln!(file, "{}", row.unpack().key_text()))
            })
        })
        .map_err(|error| Issue::storage(format!("`{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sorter::Room;

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
    fn a_coupon_that_expired_on_a_night_that_never_was_is_asked_for_on_the_next() {
        let day = |day: u32| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let noon = day(19).and_hms_opt(4, 0, 0).unwrap().and_utc().timestamp_micros();
        let asked = |state, verified: u32, date: u32| {
            let (coupon_state, expire_time) = (Some(state), Some(noon));
            let verified_date = day(verified).to_epoch_days();
            has_expired(&Usable { openid: "o", coupon_state, expire_time, verified_date }, day(date))
        };
        assert!(asked("SENDED", 17, 19) && asked("SENDED", 18, 20) && asked("SENDED", 18, 25));
        assert!(!asked("SENDED", 17, 18), "it can still be used");
        assert!(!asked("SENDED", 19, 20), "it was asked for when it expired");
        assert!(!asked("USED", 17, 19) && !asked("EXPIRED", 18, 20));
    }

    #[test]
    fn a_wallet_is_asked_for_a_break_that_its_coupon_can_end_and_for_no_other() {
        let is_asked = |rule_id, status| is_ended_by_a_wallet(&Standing { rule_id, status, openid: Some("o") });
        assert!(["AO01", "AO03", "AO14", "AO15", "SU04"].into_iter().all(|rule_id| is_asked(rule_id, "open")));
        assert!(["new", "reopened", "expected"].into_iter().all(|status| is_asked("AO03", status)));
        assert!(!["resolved", "accepted", "written_off"].into_iter().any(|status| is_asked("AO03", status)));
        assert!(!["AO08", "PM04", "SU01", "ST04"].into_iter().any(|rule_id| is_asked(rule_id, "open")));
    }

    fn room() -> Room {
        Room { folder: std::env::temp_dir(), memory_bytes: 1 }
    }

    /// The users known to the nights before `date`.
    fn known_before(folder: &Path, date: NaiveDate) -> Vec<String> {
        let mut users = Buyers(Sorter::new(&room()));
        add_known(folder, date, &mut users).unwrap();
        let own = |row: PackedRow<'_>| row.unpack().key_text().into_owned();
        users.0.finish().unwrap().map(own).map(Result::unwrap).collect()
    }

    #[test]
    fn a_night_knows_only_wallets_of_earlier_nights_however_often_it_is_rerun() {
        let folder = tempfile::tempdir().unwrap();
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let remember = |date, ids: &[&str], is_whole| {
            let mut seen = Sorter::new(&room());
            ids.iter().for_each(|id| seen.push(&Jotting::of(&[id])).unwrap());
            remember(folder.path(), date, seen, is_whole).unwrap();
        };
        remember(day(18), &["b", "a"], true);
        remember(day(19), &["c"], true);
        assert_eq!(fs::read_to_string(folder.path().join("2026-11-18.txt")).unwrap(), "a\nb\n");
        assert_eq!(known_before(folder.path(), day(19)), ["a", "b"]);
        assert_eq!(known_before(folder.path(), day(20)), ["a", "b", "c"]);
        assert!(known_before(folder.path(), day(18)).is_empty());
        remember(day(18), &[], false);
        assert_eq!(known_before(folder.path(), day(19)), ["a", "b"], "an export is missing tonight");
        remember(day(18), &["b"], true);
        assert_eq!(known_before(folder.path(), day(19)), ["b"], "the export was corrected");
    }
}
