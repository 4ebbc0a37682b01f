//! Stage `datacube`: the four MP calls of the last nights, both `cond_source`s (reference MP §D.24).

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::ask::{Place, ask_all, read_page, settle};
use super::wire;
use super::{Api, Harvest, Issue, Night};
use crate::journal::Entry;
use crate::record::{CardAccountDay, CardDay, MemberCardDay, MemberCardDetailDay};
use crate::wechat::mp::datacube::{self, CondSource};
use crate::wechat::{Request, mp::Mp};

const STAGE: &str = "datacube";
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
}

/// One call: what to ask, and how its rows join the rest.
type Read = fn(&Entry, &Asked<'_>, &mut Datacube) -> Result<(), Issue>;

/// What a call was asked with; answers do not echo it.
struct Asked<'a> {
    window: (NaiveDate, NaiveDate),
    cond_source: CondSource,
    card_id: &'a str,
    night: NaiveDate,
}

/// Asks for the days D−(repull_days−1) … D.
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Datacube>, Issue> {
    let (Some(mp), Some(settings)) = (&night.apis.mp, &night.job.mp) else {
        return Ok(Harvest::complete(Datacube::default()));
    };
    let journal = night.journal.stage(STAGE)?;
    let calls = calls(night, &settings.member_card_ids, settings.repull_days);
    if calls.keys().any(|key| !journal.contains(key)) {
        night.require_ready(STAGE)?;
    }
    let questions = calls.iter().map(|(key, (asked, call))| (key.clone(), (asked, *call))).collect();
    let ask = async |(asked, call): (&Asked<'_>, Call)| call.ask(mp, asked).await.map(|page| Some(vec![page]));
    let issues = ask_all(night, &journal, PLACE, settings.limits.concurrency, questions, ask).await?;
    let mut rows = Datacube::default();
    for entry in journal.entries()? {
        if let Some((asked, call)) = calls.get(&entry.key) {
            call.read()(&entry, asked, &mut rows)?;
        }
    }
    rows.sort();
    let mut harvest = Harvest::complete(rows);
    harvest.issues = issues;
    harvest.inputs = vec![(STAGE.to_owned(), journal.digest(&night.corner())?)];
    Ok(harvest)
}

/// The keys of a night's calls.
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

fn calls<'a>(night: &Night<'_>, member_cards: &'a [String], days: u32) -> BTreeMap<String, (Asked<'a>, Call)> {
    let from = night.date - Days::new(u64::from(days.max(1) - 1));
    let asked = |cond_source, card_id| Asked { window: (from, night.date), cond_source, card_id, night: night.date };
    let mut calls = BTreeMap::new();
    for (call, name) in [(Call::Account, "account"), (Call::Cards, "cards"), (Call::Members, "members")] {
        for source in CondSource::ALL {
            calls.insert(format!("{name}/{}/{from}", source.code()), (asked(source, ""), call));
        }
    }
    for card_id in member_cards {
        calls
            .insert(format!("member_details/{card_id}/{from}"), (asked(CondSource::Api, card_id), Call::MemberDetails));
    }
    calls
}

impl Call {
    async fn ask(self, mp: &Mp, asked: &Asked<'_>) -> Result<crate::journal::Page, Issue> {
        match self {
            Call::Account => send(mp, &account(asked)).await,
            Call::Cards => send(mp, &cards(asked)).await,
            Call::Members => send(mp, &members(asked)).await,
            Call::MemberDetails => send(mp, &member_details(asked)).await,
        }
    }

    fn read(self) -> Read {
        match self {
            Call::Account => |entry, asked, rows| {
                let row = |it: &_| wire::card_account_row(it, asked.cond_source.code(), asked.night);
                collect(entry, &account(asked), |list| &list.list, row, &mut rows.account)
            },
            Call::Cards => |entry, asked, rows| {
                let row = |it: &_| wire::card_day_row(it, asked.cond_source.code(), asked.night);
                collect(entry, &cards(asked), |list| &list.list, row, &mut rows.cards)
            },
            Call::Members => |entry, asked, rows| {
                let row = |it: &_| wire::member_card_row(it, asked.cond_source.code(), asked.night);
                collect(entry, &members(asked), |list| &list.list, row, &mut rows.members)
            },
            Call::MemberDetails => |entry, asked, rows| {
                let row = |it: &_| wire::member_detail_row(it, asked.night);
                collect(entry, &member_details(asked), |list| &list.list, row, &mut rows.member_details)
            },
        }
    }
}

async fn send<T>(mp: &Mp, request: &Request<T>) -> Result<crate::journal::Page, Issue> {
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
    entry: &Entry,
    request: &Request<L>,
    list: impl Fn(&L) -> &Vec<W>,
    row: impl Fn(&W) -> Result<R, Issue>,
    rows: &mut Vec<R>,
) -> Result<(), Issue> {
    for page in &entry.pages {
        if let Some(answer) = read_page(request, page)? {
            for it in list(&answer) {
                rows.push(row(it)?);
            }
        }
    }
    Ok(())
}

impl Datacube {
    fn sort(&mut self) {
        self.account.sort_by_key(|row| (row.ref_date, row.cond_source));
        self.cards
            .sort_by(|a, b| (a.ref_date, a.cond_source, &a.card_id).cmp(&(b.ref_date, b.cond_source, &b.card_id)));
        self.members.sort_by_key(|row| (row.ref_date, row.cond_source));
        let key =
            |row: &MemberCardDetailDay| (row.ref_date, row.cardid.clone(), row.merchanttype, row.submerchantid.clone());
        self.member_details.sort_by_key(key);
    }
}
