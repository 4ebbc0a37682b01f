//! The life cycle of breaks: yesterday's partition and tonight's findings are merged by break id. No database, no clock, no
//! query; holds one break of each side at a time.

use chrono::{Days, NaiveDate};

use super::candidate::Candidate;
use crate::money::Fen;
use crate::reconcile::basis::decisions::Decisions;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::rules::Rule;
use crate::record::{Break, BreakStatus};

/// Nights for which a resolved break stays listed after the night of its resolution.
const RESOLVED_LISTED_DAYS: u64 = 30;

/// What tonight says about a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// The rule's query found it.
    Seen {
        /// Whether every source it depends on has had its grace.
        is_due: bool,
    },
    /// The rule was judged and its query did not find it.
    Gone,
    /// The rule could not be judged tonight.
    NotJudged,
    /// The event, or something it depends on, left the window: no later night judges it either.
    Left {
        /// Whether every source it depends on has had its grace.
        is_due: bool,
    },
}

/// A candidate of tonight with what its break takes from the rule.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Finding<'a> {
    pub(in crate::reconcile) rule: &'a Rule,
    pub(in crate::reconcile) candidate: Candidate,
    pub(super) is_due: bool,
}

/// The status of a break yesterday. One that is expected again keeps its night of resolution.
#[derive(Debug, Clone, Copy)]
struct Standing {
    status: BreakStatus,
    has_resolved: bool,
}

impl Standing {
    fn of(row: &Break) -> Standing {
        Standing { status: row.status, has_resolved: row.resolved_date.is_some() }
    }
}

/// The status of tonight; `None` if the break is no longer listed.
fn next_status(yesterday: Option<Standing>, sight: Sight, decision: Option<BreakStatus>) -> Option<BreakStatus> {
    use BreakStatus::{Expected, New, Open, Reopened, Resolved};
    let has_resolved = yesterday.is_some_and(|standing| standing.has_resolved);
    let undecided = match (yesterday.map(|standing| standing.status), sight) {
        (None | Some(Expected), Sight::Gone) if !has_resolved => return None,
        (None, Sight::Gone | Sight::NotJudged | Sight::Left { .. }) => return None,
        (Some(Expected | Resolved), Sight::Seen { is_due: true }) if has_resolved => Reopened,
        // What it waited for did not come while it could be judged, and it will not be judged again.
        (Some(Expected), Sight::Left { is_due: true }) if has_resolved => Reopened,
        (Some(Expected), Sight::Left { is_due: true }) => New,
        (None | Some(Expected | Resolved), Sight::Seen { is_due: true }) => New,
        (None | Some(Expected | Resolved), Sight::Seen { is_due: false }) => Expected,
        (Some(Expected), Sight::NotJudged | Sight::Left { .. }) => Expected,
        (Some(Resolved), Sight::NotJudged | Sight::Left { .. }) | (Some(_), Sight::Gone) => Resolved,
        (Some(_), _) => Open,
    };
    Some(if undecided == Resolved { Resolved } else { decision.unwrap_or(undecided) })
}

/// What tonight knows of yesterday's breaks.
pub(super) struct Tonight<'a> {
    pub(super) date: NaiveDate,
    pub(super) decisions: &'a Decisions,
    /// What it means for a break that it was not found.
    pub(super) sight_of_unseen: &'a dyn Fn(&Break) -> Sight,
    /// How long a break waits if it describes a state, which is found again every night, rather than an event.
    pub(super) grace_of_state: &'a dyn Fn(&Break) -> Option<Days>,
}

impl Tonight<'_> {
    /// Tonight's breaks in the order of their ids: yesterday's rows, updated, and new ones. `yesterday` and `found` (breaks
    /// as first seen) come in that order; one of each is in memory.
    pub(super) fn advance<E: From<ReconcileError>>(
        &self,
        yesterday: impl Iterator<Item = Result<Break, ReconcileError>>,
        found: impl Iterator<Item = Result<Break, ReconcileError>>,
        mut sink: impl FnMut(Break) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut found = found.peekable();
        for row in yesterday {
            let row = row?;
            while let Some(found) = found.next_if(|found| is_before(found, &row.break_id)) {
                sink(first_seen(found?, self.decisions))?;
            }
            let again = found.next_if(|found| found.as_ref().is_ok_and(|found| found.break_id == row.break_id));
            self.continued(row, again.transpose()?).map_or(Ok(()), &mut sink)?;
        }
        found.try_for_each(|found| sink(first_seen(found?, self.decisions)))
    }

    /// A break of yesterday as it is tonight, `again` if it was found; `None` if it is no longer listed.
    fn continued(&self, row: Break, again: Option<Break>) -> Option<Break> {
        let decision = self.decisions.status_of(&row.break_id, self.date);
        match again {
            Some(found) => {
                let found = since_yesterday(&row, found, (self.grace_of_state)(&row));
                seen_again(&row, found, decision)
            }
            None => {
                let sight = (self.sight_of_unseen)(&row);
                not_seen(self.date, row, sight, decision)
            }
        }
    }
}

/// Whether a finding comes before an id; an error comes first.
fn is_before(found: &Result<Break, ReconcileError>, break_id: &str) -> bool {
    found.as_ref().map_or(true, |found| found.break_id.as_str() < break_id)
}

/// The break of a new finding, before decisions: `new` when it is due, else `expected`.
pub(super) fn break_of(date: NaiveDate, break_id: String, finding: Finding<'_>) -> Break {
    let Finding { rule, candidate, is_due } = finding;
    let status = if is_due { BreakStatus::New } else { BreakStatus::Expected };
    let difference = |(expected, actual): (Fen, Fen)| actual - expected;
    Break {
        break_id,
        rule_id: rule.id.clone(),
        severity: rule.severity,
        side: rule.side.clone(),
        status,
        first_seen_date: date,
        last_seen_date: date,
        resolved_date: None,
        age_days: 0,
        stock_id: candidate.stock_id,
        coupon_code: candidate.coupon_code,
        openid: candidate.openid,
        out_trade_no: candidate.out_trade_no,
        transaction_id: candidate.transaction_id,
        out_subsidy_no: candidate.out_subsidy_no,
        subsidy_receipt_id: candidate.subsidy_receipt_id,
        card_id: candidate.card_id,
        ref_date: candidate.ref_date,
        subject: candidate.subject,
        expected_fen: candidate.expected_fen,
        actual_fen: candidate.actual_fen,
        difference_fen: candidate.expected_fen.zip(candidate.actual_fen).map(difference),
        expected_count: candidate.expected_count,
        actual_count: candidate.actual_count,
        at_risk_fen: candidate.at_risk_fen.unwrap_or_default(),
        // A sentence with a null in it is null: the rule's description is better than nothing.
        why: candidate.why.unwrap_or_else(|| rule.row.clone()),
        action: rule.action.clone(),
        event_date: candidate.event_date,
        oldest_input_date: candidate.oldest_input_date,
        business_date: date,
    }
}

/// What a break made by `break_of` says about itself.
fn sight_of(found: &Break) -> Sight {
    Sight::Seen { is_due: found.status == BreakStatus::New }
}

fn first_seen(found: Break, decisions: &Decisions) -> Break {
    let decision = decisions.status_of(&found.break_id, found.business_date);
    let status = next_status(None, sight_of(&found), decision).expect("what is seen is listed");
    Break { status, ..found }
}

/// A state that was expected already has started on its recorded night, however often it is seen again: counted from
/// tonight, its grace would never end.
fn since_yesterday(row: &Break, found: Break, grace_of_state: Option<Days>) -> Break {
    let began = row.event_date.filter(|_| row.status == BreakStatus::Expected);
    let Some((began, grace)) = began.zip(grace_of_state) else { return found };
    let status = if began + grace <= found.business_date { BreakStatus::New } else { found.status };
    Break { status, event_date: Some(began), ..found }
}

fn seen_again(row: &Break, found: Break, decision: Option<BreakStatus>) -> Option<Break> {
    let status = next_status(Some(Standing::of(row)), sight_of(&found), decision)?;
    Some(Break {
        status,
        resolved_date: row.resolved_date.filter(|_| status == BreakStatus::Expected),
        first_seen_date: row.first_seen_date,
        age_days: age_days(row.first_seen_date, found.business_date),
        ..found
    })
}

fn not_seen(date: NaiveDate, row: Break, sight: Sight, decision: Option<BreakStatus>) -> Option<Break> {
    let status = next_status(Some(Standing::of(&row)), sight, decision)?;
    let resolved_date = match status {
        BreakStatus::Resolved => Some(row.resolved_date.unwrap_or(date)),
        BreakStatus::Expected => row.resolved_date,
        _ => None,
    };
    if resolved_date.is_some_and(|resolved| date > resolved + Days::new(RESOLVED_LISTED_DAYS)) {
        return None;
    }
    Some(Break { status, resolved_date, age_days: age_days(row.first_seen_date, date), business_date: date, ..row })
}

fn age_days(first_seen: NaiveDate, date: NaiveDate) -> i64 {
    date.signed_duration_since(first_seen).num_days()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::reconcile::rules::Rules;

    fn day(number: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 1).unwrap() + Days::new(number)
    }

    /// One night of one break.
    fn night(
        rules: &Rules,
        number: u64,
        yesterday: Option<&Break>,
        sight: Sight,
        decisions: &Decisions,
    ) -> Option<Break> {
        let rule = rules.find("AO01").unwrap();
        let found = match sight {
            Sight::Seen { is_due } => {
                vec![break_of(day(number), "b".to_owned(), Finding { rule, candidate: Candidate::default(), is_due })]
            }
            _ => Vec::new(),
        };
        let memory = yesterday.cloned().into_iter().collect();
        let mut breaks = tonight(day(number), memory, found, sight, decisions);
        assert!(breaks.len() <= 1);
        breaks.pop()
    }

    fn tonight(
        date: NaiveDate,
        yesterday: Vec<Break>,
        found: Vec<Break>,
        sight_of_unseen: Sight,
        decisions: &Decisions,
    ) -> Vec<Break> {
        let (yesterday, found) = (yesterday.into_iter().map(Ok), found.into_iter().map(Ok));
        let mut breaks = Vec::new();
        let keep = |row| -> Result<(), ReconcileError> {
            breaks.extend([row]);
            Ok(())
        };
        let tonight = Tonight { date, decisions, sight_of_unseen: &|_| sight_of_unseen, grace_of_state: &|_| None };
        tonight.advance(yesterday, found, keep).unwrap();
        breaks
    }

    fn life(sights: &[Sight]) -> Vec<&'static str> {
        let rules = Rules::built_in();
        let mut row: Option<Break> = None;
        let statuses = sights.iter().zip(0..).map(|(sight, number)| {
            row = night(&rules, number, row.as_ref(), *sight, &Decisions::default());
            row.as_ref().map_or("-", |row| row.status.as_str())
        });
        statuses.collect()
    }

    const SEEN: Sight = Sight::Seen { is_due: true };
    const EARLY: Sight = Sight::Seen { is_due: false };
    const LEFT: Sight = Sight::Left { is_due: true };
    const LEFT_EARLY: Sight = Sight::Left { is_due: false };

    #[test]
    fn a_break_is_new_then_open_then_resolved_then_reopened() {
        assert_eq!(
            life(&[SEEN, SEEN, Sight::Gone, Sight::Gone, SEEN, SEEN]),
            ["new", "open", "resolved", "resolved", "reopened", "open"]
        );
    }

    #[test]
    fn before_it_is_due_it_is_expected_and_may_vanish_without_a_trace() {
        assert_eq!(life(&[EARLY, EARLY, SEEN]), ["expected", "expected", "new"]);
        assert_eq!(life(&[EARLY, Sight::Gone]), ["expected", "-"]);
    }

    #[test]
    fn a_resolved_break_seen_again_before_it_is_due_is_expected_and_remembers_that_it_was_resolved() {
        let again = [SEEN, Sight::Gone, EARLY, Sight::NotJudged];
        let told = ["new", "resolved", "expected", "expected"];
        for (last, status) in [(SEEN, "reopened"), (Sight::Gone, "resolved"), (EARLY, "expected")] {
            assert_eq!(life(&[again.as_slice(), &[last]].concat()), [told.as_slice(), &[status]].concat());
        }
    }

    #[test]
    fn nothing_resolves_and_nothing_appears_on_a_night_that_could_not_judge() {
        assert_eq!(life(&[SEEN, Sight::NotJudged, Sight::Gone]), ["new", "open", "resolved"]);
        assert_eq!(life(&[EARLY, Sight::NotJudged, SEEN]), ["expected", "expected", "new"]);
        assert_eq!(life(&[SEEN, Sight::Gone, Sight::NotJudged]), ["new", "resolved", "resolved"]);
    }

    #[test]
    fn what_leaves_the_window_while_it_is_expected_is_new_once_it_is_due_and_stays_open() {
        assert_eq!(life(&[EARLY, LEFT_EARLY, LEFT, LEFT]), ["expected", "expected", "new", "open"]);
        assert_eq!(life(&[SEEN, Sight::Gone, EARLY, LEFT]), ["new", "resolved", "expected", "reopened"]);
        assert_eq!(life(&[SEEN, LEFT, LEFT]), ["new", "open", "open"]);
        assert_eq!(life(&[SEEN, Sight::Gone, LEFT]), ["new", "resolved", "resolved"]);
    }

    #[test]
    fn a_carried_break_keeps_the_night_it_was_last_seen_and_grows_older() {
        let rules = Rules::built_in();
        let first = night(&rules, 0, None, SEEN, &Decisions::default());
        let carried = night(&rules, 2, first.as_ref(), Sight::NotJudged, &Decisions::default()).unwrap();
        assert_eq!((carried.first_seen_date, carried.last_seen_date), (day(0), day(0)));
        assert_eq!((carried.age_days, carried.business_date), (2, day(2)));
        let again = night(&rules, 3, Some(&carried), SEEN, &Decisions::default()).unwrap();
        assert_eq!((again.first_seen_date, again.last_seen_date, again.age_days), (day(0), day(3), 3));
    }

    #[test]
    fn a_resolved_break_is_listed_through_the_thirtieth_day_after() {
        let rules = Rules::built_in();
        let first = night(&rules, 0, None, SEEN, &Decisions::default());
        let resolved = night(&rules, 1, first.as_ref(), Sight::Gone, &Decisions::default()).unwrap();
        assert_eq!(resolved.resolved_date, Some(day(1)));
        let last = night(&rules, 31, Some(&resolved), Sight::Gone, &Decisions::default()).unwrap();
        assert_eq!(last.resolved_date, Some(day(1)));
        assert_eq!(night(&rules, 32, Some(&last), Sight::Gone, &Decisions::default()), None);
    }

    #[test]
    fn a_decision_holds_through_its_last_day_and_then_the_break_is_open_again() {
        let rules = Rules::built_in();
        let csv = format!("break_id,decision,reason,approver,expires_on\nb,accepted,known,Li,{}\n", day(2));
        let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
        let mut row = None;
        let statuses: Vec<_> = (0..5)
            .map(|number| {
                row = night(&rules, number, row.as_ref(), SEEN, &decisions);
                row.as_ref().unwrap().status.as_str()
            })
            .collect();
        assert_eq!(statuses, ["accepted", "accepted", "accepted", "open", "open"]);
    }

    #[test]
    fn a_decided_break_still_resolves_by_itself() {
        let rules = Rules::built_in();
        let csv = "break_id,decision,reason,approver,expires_on\nb,written_off,small,Li,\n";
        let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
        let row = night(&rules, 0, None, SEEN, &decisions);
        assert_eq!(row.as_ref().unwrap().status, BreakStatus::WrittenOff);
        let row = night(&rules, 1, row.as_ref(), Sight::Gone, &decisions).unwrap();
        assert_eq!((row.status, row.resolved_date), (BreakStatus::Resolved, Some(day(1))));
    }

    /// Design §7: expected breaks may vanish without a trace, decided ones do not, and are open once the decision is over.
    #[test]
    fn a_break_that_was_decided_while_it_was_expected_ends_as_every_decided_one() {
        let rules = Rules::built_in();
        let csv = format!("break_id,decision,reason,approver,expires_on\nb,accepted,known,Li,{}\n", day(1));
        let decisions = Decisions::parse("decisions.csv", csv.as_bytes()).unwrap();
        let life = |sights: &[Sight]| {
            let mut row = None;
            let nights = sights.iter().zip(0..).map(|(sight, number)| {
                row = night(&rules, number, row.as_ref(), *sight, &decisions);
                row.as_ref().map_or("-", |row| row.status.as_str())
            });
            nights.collect::<Vec<_>>()
        };
        assert_eq!(life(&[EARLY, EARLY, EARLY, SEEN]), ["accepted", "accepted", "open", "open"]);
        assert_eq!(life(&[EARLY, Sight::Gone, Sight::Gone]), ["accepted", "resolved", "resolved"]);
    }

    fn sights() -> impl Strategy<Value = Vec<Sight>> {
        let sight = prop_oneof![
            Just(SEEN),
            Just(EARLY),
            Just(Sight::Gone),
            Just(Sight::NotJudged),
            Just(LEFT),
            Just(LEFT_EARLY)
        ];
        proptest::collection::vec(sight, 1..60)
    }

    fn of_ids(number: u64, ids: &BTreeSet<u8>) -> Vec<Break> {
        let rules = Rules::built_in();
        let rule = rules.find("AO01").unwrap();
        let row = |id: &u8| {
            break_of(day(number), format!("{id:02x}"), Finding { rule, candidate: Candidate::default(), is_due: true })
        };
        ids.iter().map(row).collect()
    }

    proptest! {
        #[test]
        fn two_nights_side_by_side_list_every_break_once_and_in_order(
            before in prop::collection::btree_set(any::<u8>(), 0..40),
            now in prop::collection::btree_set(any::<u8>(), 0..40),
        ) {
            let breaks = tonight(day(1), of_ids(0, &before), of_ids(1, &now), Sight::Gone, &Decisions::default());
            let listed: Vec<_> = breaks.iter().map(|row| (row.break_id.clone(), row.status.as_str())).collect();
            let status = |id| match (before.contains(id), now.contains(id)) {
                (true, true) => "open",
                (true, false) => "resolved",
                _ => "new",
            };
            let wanted: Vec<_> = before.union(&now).map(|id| (format!("{id:02x}"), status(id))).collect();
            prop_assert_eq!(listed, wanted);
        }

        #[test]
        fn over_any_nights_the_statuses_follow_the_state_machine(sights in sights()) {
            let rules = Rules::built_in();
            let mut yesterday: Option<Break> = None;
            for (sight, number) in sights.into_iter().zip(0..) {
                let row = night(&rules, number, yesterday.as_ref(), sight, &Decisions::default());
                let from = yesterday.as_ref().map_or("-", |row| row.status.as_str());
                let to = row.as_ref().map_or("-", |row| row.status.as_str());
                prop_assert!(ALLOWED.contains(&(from, to)), "{from} → {to}");
                if let Some(row) = &row {
                    prop_assert!(row.status != BreakStatus::Resolved || row.resolved_date.is_some());
                    prop_assert!(row.resolved_date.is_none() || [BreakStatus::Resolved, BreakStatus::Expected].contains(&row.status));
                    prop_assert!(row.first_seen_date <= row.last_seen_date && row.last_seen_date <= day(number));
                    prop_assert_eq!(row.last_seen_date == day(number), matches!(sight, Sight::Seen { .. }));
                    prop_assert_eq!(row.age_days, age_days(row.first_seen_date, day(number)));
                }
                yesterday = row;
            }
        }
    }

    /// From yesterday to tonight; `-` means not listed.
    const ALLOWED: [(&str, &str); 20] = [
        ("-", "-"),
        ("-", "expected"),
        ("-", "new"),
        ("expected", "-"),
        ("expected", "expected"),
        ("expected", "new"),
        ("expected", "reopened"),
        ("expected", "resolved"),
        ("new", "open"),
        ("new", "resolved"),
        ("open", "open"),
        ("open", "resolved"),
        ("resolved", "-"),
        ("resolved", "resolved"),
        ("resolved", "expected"),
        ("resolved", "reopened"),
        ("reopened", "open"),
        ("reopened", "resolved"),
        ("accepted", "open"),
        ("written_off", "open"),
    ];
}
