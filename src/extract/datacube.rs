//! Stage `datacube`: the four MP statistics of the last nights, for both `cond_source`s (reference MP §D.24). Rows
//! that contradict each other are left out and make the stage partial; none of them is preferred.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use chrono::{Days, NaiveDate};

use super::ask::{Place, ask_all, read_page, read_page_by, settle};
use super::night::Imprint;
use super::wire;
use super::{Harvest, Issue, IssueKind, Night};
use crate::api::Api;
use crate::journal::{Page, StageJournal};
use crate::quantity::{agreeing, counted};
use crate::record::{CardAccountDay, CardDay, MemberCardDay, MemberCardDetailDay, Record};
use crate::stage::Stage;
use crate::wechat::mp::datacube::{self, CondSource};
use crate::wechat::wording::shown;
use crate::wechat::{Request, mp::Mp};

const STAGE: Stage = Stage::Datacube;
const PLACE: Place = Place { stage: STAGE, api: Api::Mp };

/// The four datasets, each sorted by key.
#[derive(Debug, Default)]
pub struct Datacube {
    /// `card_account_daily`.
    pub account: Vec<CardAccountDay>,
    /// `card_daily`.
    pub cards: Vec<CardDay>,
    /// `member_card_daily`.
    pub members: Vec<MemberCardDay>,
    /// `member_card_detail_daily`.
    pub member_details: Vec<MemberCardDetailDay>,
    /// The datasets with rows missing: a call was not answered, or rows contradict each other.
    pub partial: BTreeSet<&'static str>,
}

/// Parses the pages of an answer and adds their rows to the datasets.
type Read = fn(&[Page], &Asked<'_>, &mut Datacube) -> Result<(), Issue>;

/// The parameters of a call, which answers do not echo.
struct Asked<'a> {
    window: (NaiveDate, NaiveDate),
    cond_source: CondSource,
    card_id: &'a str,
    imprint: Imprint<'a>,
}

/// Requests the days D−(repull_days−1) … D, in as many calls as the platform requires (reference MP §D.24).
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Datacube>, Issue> {
    let (Some(mp), Some(settings)) = (&night.apis.mp, &night.job.mp) else {
        return Ok(Harvest::complete(Datacube::default()));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let calls = calls(night, &settings.member_card_ids, settings.repull_days);
    if calls.keys().any(|key| !journal.contains(key)) {
        night.require_ready(STAGE)?;
    }
    let questions = calls.iter().map(|(key, (asked, call))| (key.clone(), (asked, *call))).collect();
    let ask = async |(asked, call): (&Asked<'_>, Call)| {
        let pages = vec![call.ask(mp, asked).await?];
        call.check(&pages, asked).map(|()| Some(pages))
    };
    let issues = ask_all(night, &journal, PLACE, questions, ask).await?;
    let (mut rows, unknown) = read_answers(&journal, &calls)?;
    let unanswered = calls.iter().filter(|(key, _)| !journal.contains(key));
    rows.partial.extend(unanswered.map(|(_, (_, call))| call.dataset()));
    let (repeated, contradicted) = rows.settle();
    let mut harvest = Harvest::complete(rows);
    harvest.issues = issues;
    harvest.issues.extend(contradiction(&contradicted));
    harvest.issues.extend(unknown.into_iter().map(unknown_card));
    harvest.inputs = vec![(STAGE.to_string(), journal.digest_of(&night.corner(), |key| calls.contains_key(key))?)];
    Ok(harvest.noting("repeated_rows", repeated).noting("contradicting_rows", contradicted.len()))
}

/// The rows of the answers, and the cards that the platform does not know.
fn read_answers<'a>(
    journal: &StageJournal,
    calls: &BTreeMap<String, (Asked<'a>, Call)>,
) -> Result<(Datacube, BTreeSet<&'a str>), Issue> {
    let (mut rows, mut unknown) = (Datacube::default(), BTreeSet::new());
    for entry in journal.entries()? {
        let Some((asked, call)) = calls.get(&entry.key) else { continue };
        call.read()(&entry.pages, asked, &mut rows)?;
        if !is_known(&entry.pages, asked)? {
            unknown.insert(asked.card_id);
            rows.partial.insert(call.dataset());
        }
    }
    Ok((rows, unknown))
}

/// The journal keys of a night's calls.
pub(super) fn keys(night: &Night<'_>) -> Vec<String> {
    let calls = night.job.mp.as_ref().map(|mp| calls(night, &mp.member_card_ids, mp.repull_days));
    calls.into_iter().flatten().map(|(key, _)| key).collect()
}

/// The four calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Account,
    Cards,
    Members,
    MemberDetails,
}

fn calls<'a>(night: &'a Night<'_>, member_cards: &'a [String], days: u32) -> BTreeMap<String, (Asked<'a>, Call)> {
    let mut calls = BTreeMap::new();
    let mut add = |call: Call, name: String, cond_source, card_id| {
        for window in windows(night.date, days, call.longest_span()) {
            let asked = Asked { window, cond_source, card_id, imprint: night.imprint() };
            calls.insert(format!("{name}/{}", window.0), (asked, call));
        }
    };
    for (call, name) in [(Call::Account, "account"), (Call::Cards, "cards"), (Call::Members, "members")] {
        for source in CondSource::ALL {
            add(call, format!("{name}/{}", source.code()), source, "");
        }
    }
    for card_id in member_cards {
        add(Call::MemberDetails, format!("member_details/{card_id}"), CondSource::Api, card_id);
    }
    calls
}

/// The last `days` days up to `date` in windows of at most `longest` days (inclusive), oldest first; a single window
/// if they fit.
fn windows(date: NaiveDate, days: u32, longest: u32) -> Vec<(NaiveDate, NaiveDate)> {
    let ago = |days: u32| date - Days::new(u64::from(days));
    let begins = (0..days.max(1)).step_by(longest as usize).map(|done| days.max(1) - 1 - done);
    begins.map(|begin| (ago(begin), ago(begin.saturating_sub(longest - 1)))).collect()
}

impl Call {
    fn dataset(self) -> &'static str {
        match self {
            Call::Account => CardAccountDay::DATASET,
            Call::Cards => CardDay::DATASET,
            Call::Members => MemberCardDay::DATASET,
            Call::MemberDetails => MemberCardDetailDay::DATASET,
        }
    }

    /// The days that one call may span; the platform refuses more with 61501.
    fn longest_span(self) -> u32 {
        match self {
            Call::Account | Call::Cards | Call::Members => datacube::LONGEST_SPAN_DAYS,
            Call::MemberDetails => datacube::LONGEST_DETAIL_SPAN_DAYS,
        }
    }

    async fn ask(self, mp: &Mp, asked: &Asked<'_>) -> Result<Page, Issue> {
        match self {
            Call::Account => send(mp, &account(asked)).await,
            Call::Cards => send(mp, &cards(asked)).await,
            Call::Members => send(mp, &members(asked)).await,
            Call::MemberDetails => send(mp, &member_details(asked)).await,
        }
    }

    /// Refuses an answer that cannot be parsed, or with rows of days or of a card that were not requested: once
    /// journalled, it would stay.
    fn check(self, pages: &[Page], asked: &Asked<'_>) -> Result<(), Issue> {
        let mut rows = Datacube::default();
        self.read()(pages, asked, &mut rows)?;
        let unasked = |what: &str| {
            let what = format!("the datacube answers about {what}, which was not requested");
            Err(Issue::new(IssueKind::Garbled, what))
        };
        if let Some(day) = rows.ref_dates().find(|day| !(asked.window.0..=asked.window.1).contains(day)) {
            return unasked(&day.to_string());
        }
        match rows.member_details.iter().find(|row| row.cardid != asked.card_id) {
            Some(row) => unasked(&format!("card `{}`", shown(&row.cardid))),
            None => Ok(()),
        }
    }

    fn read(self) -> Read {
        match self {
            Call::Account => |pages, asked, rows| {
                let row = |it: &_| wire::card_account_row(it, asked.cond_source.code(), asked.imprint);
                collect(pages, &account(asked), |list| &list.list, row, &mut rows.account)
            },
            Call::Cards => |pages, asked, rows| {
                let row = |it: &_| wire::card_day_row(it, asked.cond_source.code(), asked.imprint);
                collect(pages, &cards(asked), |list| &list.list, row, &mut rows.cards)
            },
            Call::Members => |pages, asked, rows| {
                let row = |it: &_| wire::member_card_row(it, asked.cond_source.code(), asked.imprint);
                collect(pages, &members(asked), |list| &list.list, row, &mut rows.members)
            },
            Call::MemberDetails => |pages, asked, rows| {
                let row = |it: &_| wire::member_detail_row(it, asked.imprint);
                collect(pages, &member_details(asked), |list| &list.list, row, &mut rows.member_details)
            },
        }
    }
}

/// Whether the platform knows what was asked for.
fn is_known(pages: &[Page], asked: &Asked<'_>) -> Result<bool, Issue> {
    let request = member_details(asked);
    for page in pages {
        if read_page_by(&request, page, |_| Ok(()))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A card of the job file that the platform does not know has no figures, which looks like a card nobody used.
fn unknown_card(card_id: &str) -> Issue {
    if card_id.is_empty() {
        return Issue::new(IssueKind::Incomplete, "the datacube says that it does not know what was requested");
    }
    Issue::new(IssueKind::Incomplete, format!("WeChat does not know the member card `{}`", shown(card_id)))
        .hinting("`mp.member_card_ids` must be member cards of `mp.appid`; `--refetch` requests them again")
}

async fn send<T>(mp: &Mp, request: &Request<T>) -> Result<Page, Issue> {
    settle(request, mp.send(request).await)
}

fn account(asked: &Asked<'_>) -> Request<datacube::Rows<datacube::CardAccountDay>> {
    datacube::card_account_days(asked.window.0, asked.window.1, asked.cond_source)
}

fn cards(asked: &Asked<'_>) -> Request<datacube::Rows<datacube::CardDay>> {
    datacube::card_days(asked.window.0, asked.window.1, asked.cond_source, None)
}

fn members(asked: &Asked<'_>) -> Request<datacube::Rows<datacube::MemberCardDay>> {
    datacube::member_card_days(asked.window.0, asked.window.1, asked.cond_source)
}

fn member_details(asked: &Asked<'_>) -> Request<datacube::Rows<datacube::MemberCardDetailDay>> {
    datacube::member_card_detail_days(asked.window.0, asked.window.1, asked.card_id)
}

fn collect<L, W, R>(
    pages: &[Page],
    request: &Request<L>,
    list: impl Fn(&L) -> &Vec<W>,
    row: impl Fn(&W) -> Result<R, Issue>,
    rows: &mut Vec<R>,
) -> Result<(), Issue> {
    for page in pages {
        if let Some(answer) = read_page(request, page)? {
            for it in list(&answer) {
                rows.push(row(it)?);
            }
        }
    }
    Ok(())
}

impl Datacube {
    /// The days of the rows.
    fn ref_dates(&self) -> impl Iterator<Item = NaiveDate> {
        let account = self.account.iter().map(|row| row.ref_date);
        let cards = self.cards.iter().map(|row| row.ref_date);
        let members = self.members.iter().map(|row| row.ref_date);
        account.chain(cards).chain(members).chain(self.member_details.iter().map(|row| row.ref_date))
    }

    /// Sorts the rows and keeps one per key. Returns the number of repeated rows, and the keys left out because their
    /// rows contradict each other: which of them is right is not guessed (design §6).
    fn settle(&mut self) -> (usize, Vec<String>) {
        let mut settled = Settled::default();
        settled.settle(&mut self.account, |row| (row.ref_date, row.cond_source));
        settled.settle(&mut self.cards, |row| (row.ref_date, row.cond_source, row.card_id.clone()));
        settled.settle(&mut self.members, |row| (row.ref_date, row.cond_source));
        settled.settle(&mut self.member_details, |row| {
            (row.ref_date, row.cardid.clone(), row.merchanttype, row.submerchantid.clone())
        });
        self.partial.extend(settled.contradictory);
        (settled.repeated, settled.contradicted)
    }
}

/// Why a stage with such rows is partial. They are in the journal: a resumed night would read the same.
fn contradiction(contradicted: &[String]) -> Option<Issue> {
    let first = contradicted.first()?;
    let count = contradicted.len();
    let rows = counted(count, "row", "rows");
    let left_out = agreeing(&count, "it is", "they are");
    let what =
        format!("the datacube gives {rows} twice with different values (first: {}); {left_out} left out", shown(first));
    Some(Issue::new(IssueKind::Incomplete, what).hinting("run again with `--refetch` to request them again"))
}

/// The outcome of merging rows of one key.
#[derive(Default)]
struct Settled {
    repeated: usize,
    contradicted: Vec<String>,
    /// The datasets of these keys.
    contradictory: BTreeSet<&'static str>,
}

impl Settled {
    fn settle<R: Record + PartialEq, K: Ord + Debug>(&mut self, rows: &mut Vec<R>, key: impl Fn(&R) -> K) {
        rows.sort_by_key(&key);
        let read = rows.len();
        rows.dedup();
        self.repeated += read - rows.len();
        let twice: BTreeSet<K> =
            rows.windows(2).filter(|pair| key(&pair[0]) == key(&pair[1])).map(|pair| key(&pair[0])).collect();
        rows.retain(|row| !twice.contains(&key(row)));
        self.contradictory.extend((!twice.is_empty()).then_some(R::DATASET));
        self.contradicted.extend(twice.iter().map(|key| format!("`{}` {key:?}", R::DATASET)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(card_id: &str, view_cnt: i64) -> CardDay {
        let json = format!(r#"{{"ref_date":"2026-11-18","card_id":"{card_id}","view_cnt":{view_cnt}}}"#);
        let wire = serde_json::from_str(&json).unwrap();
        wire::card_day_row(&wire, 1, Imprint::raw("2026-11-18".parse().unwrap())).unwrap()
    }

    #[test]
    fn what_is_told_twice_alike_counts_once_and_what_is_told_differently_is_left_out() {
        let mut rows = Datacube {
            cards: [("c", 1), ("a", 1), ("b", 1), ("a", 1), ("b", 2), ("b", 1), ("b", 1)]
                .map(|(id, count)| figure(id, count))
                .into(),
            ..Datacube::default()
        };
        let (repeated, contradicted) = rows.settle();
        assert_eq!(rows.cards, [figure("a", 1), figure("c", 1)]);
        assert_eq!(repeated, 2);
        assert_eq!(contradicted, ["`card_daily` (2026-11-18, 1, \"b\")"]);
        assert_eq!(rows.partial, ["card_daily"].into());
        let issue = contradiction(&contradicted).unwrap();
        assert_eq!(issue.kind, IssueKind::Incomplete);
        assert_eq!(
            issue.what,
            "the datacube gives 1 row twice with different values (first: `card_daily` (2026-11-18, 1, \"b\")); it is left out"
        );
        assert_eq!(contradiction(&[]), None);
    }

    #[test]
    fn an_answer_with_days_nobody_asked_for_or_that_are_none_is_not_kept() {
        let [from, to] = ["2026-11-18", "2026-11-20"].map(|day| day.parse().unwrap());
        let asked = Asked { window: (from, to), cond_source: CondSource::Api, card_id: "", imprint: Imprint::raw(to) };
        let told = |day: &str| {
            let body = format!(r#"{{"list":[{{"ref_date":"2026-11-19"}},{{"ref_date":"{day}"}}]}}"#);
            let pages = [crate::journal::Page::for_tests(&body)];
            Call::Account.check(&pages, &asked).map_err(|issue| (issue.kind, issue.what))
        };
        assert_eq!((told("2026-11-18"), told("2026-11-20")), (Ok(()), Ok(())));
        for (day, word) in [("2026-11-17", "not requested"), ("2026-11-21", "not requested"), ("20261119", "ref_date")]
        {
            let (kind, what) = told(day).unwrap_err();
            assert!(kind == IssueKind::Garbled && what.contains(day) && what.contains(word), "{what}");
        }
    }

    #[test]
    fn a_member_card_that_wechat_does_not_know_is_named() {
        let day: NaiveDate = "2026-11-18".parse().unwrap();
        let asked =
            Asked { window: (day, day), cond_source: CondSource::Api, card_id: "pMine", imprint: Imprint::raw(day) };
        let knows = |body: &str| {
            let pages = [crate::journal::Page::for_tests(body)];
            is_known(&pages, &asked).unwrap()
        };
        assert!(knows(r#"{"list":[]}"#));
        assert!(!knows(r#"{"errcode":40073,"errmsg":"invalid card id hint: [x]"}"#));
        let issue = unknown_card("pMine");
        assert_eq!(
            (issue.kind, issue.what.as_str()),
            (IssueKind::Incomplete, "WeChat does not know the member card `pMine`")
        );
    }

    #[test]
    fn an_answer_about_another_member_card_is_not_kept() {
        let day: NaiveDate = "2026-11-18".parse().unwrap();
        let asked =
            Asked { window: (day, day), cond_source: CondSource::Api, card_id: "pMine", imprint: Imprint::raw(day) };
        let told = |card_id: &str| {
            let body = format!(r#"{{"list":[{{"ref_date":"2026-11-18","cardid":"{card_id}"}}]}}"#);
            let pages = [crate::journal::Page::for_tests(&body)];
            Call::MemberDetails.check(&pages, &asked).map_err(|issue| issue.what)
        };
        assert_eq!(told("pMine"), Ok(()));
        assert_eq!(told("pOther"), Err("the datacube answers about card `pOther`, which was not requested".to_owned()));
    }

    #[test]
    fn no_call_spans_more_days_than_its_endpoint_answers() {
        let date: NaiveDate = "2026-11-20".parse().unwrap();
        let told = |days, longest| -> Vec<String> {
            windows(date, days, longest).iter().map(|(from, to)| format!("{from}..{to}")).collect()
        };
        assert_eq!(told(0, 30), ["2026-11-20..2026-11-20"]);
        assert_eq!(told(3, 30), ["2026-11-18..2026-11-20"]);
        assert_eq!(told(30, 30), ["2026-10-22..2026-11-20"]);
        assert_eq!(told(31, 30), ["2026-10-21..2026-11-19", "2026-11-20..2026-11-20"]);
        for (days, longest) in [(62, 62), (63, 62), (100, 62), (100, 30), (366, 30)] {
            let mut next = date - Days::new(days - 1);
            for (from, to) in windows(date, days as u32, longest) {
                assert_eq!(from, next);
                assert!(((to - from).num_days() as u32) < longest && to <= date);
                next = to + Days::new(1);
            }
            assert_eq!(next, date + Days::new(1));
        }
    }
}
