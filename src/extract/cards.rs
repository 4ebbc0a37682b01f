//! Stage `cards`: card/batchget, then card/get of every id (reference MP §D). Cards are the dimension of the datacube
//! datasets.

use std::collections::BTreeSet;

use super::ask::{Place, ask_all, read_page, require_echo, settle_and_read};
use super::listing::{Items, ListPage, Listing, Measure, OffsetMeaning, read_list, stated_total};
use super::unknown_values::{CARD_STATUS, UnknownValues};
use super::wire::card_dimension_row;
use super::{Harvest, Issue, IssueKind, Night};
use crate::api::Api;
use crate::journal::{Page, StageJournal};
use crate::quantity::{agreeing, counted};
use crate::record::Card;
use crate::stage::Stage;
use crate::wechat::mp::Mp;
use crate::wechat::mp::cards::{self as api, CardAnswer, CardIds};
use crate::wechat::wording::shown;

const STAGE: Stage = Stage::Cards;
const PLACE: Place = Place { stage: STAGE, api: Api::Mp };
/// The largest `count` (reference MP §D.14).
pub(super) const PAGE_ROWS: u64 = 50;
/// A hundred thousand cards: more than any account has.
const MEASURE: Measure = Measure { full_page_rows: PAGE_ROWS, most_pages: 2000 };
pub(super) const LIST: &str = "list";
/// Prefix of the journal keys of the details of a card.
const CARD: &str = "card/";

/// Requests every card of the account, and the cards that the datacube named.
pub async fn extract(night: &Night<'_>, named: &BTreeSet<String>) -> Result<Harvest<Vec<Card>>, Issue> {
    let Some(mp) = &night.apis.mp else {
        return Ok(Harvest::complete(Vec::new()));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let mut issues = ask_all(night, &journal, PLACE, vec![(LIST.to_owned(), ())], async |()| list(mp).await).await?;
    let listed = listed(&journal)?;
    let ids: BTreeSet<&String> = named.union(&listed).collect();
    issues.extend(ask_singly(night, mp, &journal, &ids).await?);
    let (cards, unknown) = read(night, &journal, &ids)?;
    let mut harvest = Harvest::complete(cards);
    harvest.issues = issues;
    let is_used = |key: &str| key == LIST || asked_id(key, &ids).is_some();
    harvest.inputs = vec![(STAGE.to_string(), journal.digest_of(&night.corner(), is_used)?)];
    tell_unknown(&unknown, &listed);
    let mut values = UnknownValues::default();
    harvest.rows.iter().for_each(|card| values.see([(CARD_STATUS, card.status.as_deref())]));
    Ok(harvest.noting("unknown_cards", unknown.len()).noting("unknown_values", values.tell("card", "cards")))
}

/// The cards of the journalled list.
fn listed(journal: &StageJournal) -> Result<BTreeSet<String>, Issue> {
    let mut listed = BTreeSet::new();
    for page in journal.entry(LIST)?.iter().flat_map(|entry| &entry.pages) {
        let list: Option<CardIds> = read_page(&api::cards(0, PAGE_ROWS), page)?;
        listed.extend(list.map(|list| list.card_id_list).unwrap_or_default());
    }
    Ok(listed)
}

async fn ask_singly(
    night: &Night<'_>,
    mp: &Mp,
    journal: &StageJournal,
    ids: &BTreeSet<&String>,
) -> Result<Vec<Issue>, Issue> {
    let questions = ids.iter().map(|id| (format!("{CARD}{id}"), *id)).collect();
    let ask = async |id: &String| {
        let request = api::card(id);
        let (page, told) = settle_and_read(&request, mp.send(&request).await)?;
        told.and_then(|told| id_of(&told)).map_or(Ok(()), |told| require_echo(&request, id, &told))?;
        Ok(Some(vec![page]))
    };
    ask_all(night, journal, PLACE, questions, ask).await
}

/// The cards of the journalled answers, sorted by key, and the ids that card/get does not know.
fn read(night: &Night<'_>, journal: &StageJournal, ids: &BTreeSet<&String>) -> Result<(Vec<Card>, Vec<String>), Issue> {
    let (mut cards, mut unknown) = (Vec::new(), Vec::new());
    for entry in journal.entries()? {
        let Some(id) = asked_id(&entry.key, ids) else { continue };
        for page in &entry.pages {
            match read_page(&api::card(id), page)? {
                Some(info) => cards.push(card_dimension_row(&info, id, night.imprint())),
                None => unknown.push((*id).clone()),
            }
        }
    }
    cards.sort_by(|a: &Card, b| a.card_id.cmp(&b.card_id));
    Ok((cards, unknown))
}

/// The card whose details a key of the journal is about, if it is one of `ids`.
fn asked_id<'a>(key: &str, ids: &BTreeSet<&'a String>) -> Option<&'a String> {
    ids.get(&key.strip_prefix(CARD)?.to_owned()).copied()
}

/// A deleted card has figures for some more days. A card that is listed but unknown to card/get is odd: it is logged,
/// and does not stop the night.
fn tell_unknown(unknown: &[String], listed: &BTreeSet<String>) {
    let odd: BTreeSet<_> = unknown.iter().filter(|id| listed.contains(*id)).collect();
    if let Some(first) = odd.first() {
        tracing::warn!(
            "card/get does not know {} of the cards that card/batchget lists (first: `{}`): `cards` lacks {}",
            odd.len(),
            shown(first),
            agreeing(&odd.len(), "it", "them")
        );
    }
    if unknown.len() > odd.len() {
        let cards = counted(unknown.len() - odd.len(), "card that no longer exists", "cards that no longer exist");
        tracing::info!("the datacube has figures of {cards}");
    }
}

/// The pages that list every card of the account.
async fn list(mp: &Mp) -> Result<Option<Vec<Page>>, Issue> {
    let meaning = OffsetMeaning::default();
    let listing = read_list(&meaning, MEASURE, async |offset| {
        let request = api::cards(offset, PAGE_ROWS);
        let answer = mp.send(&request).await;
        if let Some(declined) = ListPage::declined(&request, &answer) {
            return Ok(declined);
        }
        let (page, ids) = settle_and_read(&request, answer)?;
        let items = |ids: CardIds| Items { total: stated_total(ids.total_num), keys: ids.card_id_list };
        Ok(ListPage::of(page, ids.map(items)))
    });
    match listing.await? {
        Listing::Settled(pages) => Ok(Some(pages)),
        Listing::Unsettled { seen, total } => {
            Err(Issue::new(IssueKind::Incomplete, format!("the card list did not settle: {seen} of {total}")))
        }
    }
}

/// The id that a card states; not all do.
fn id_of(answer: &CardAnswer) -> Option<String> {
    answer.card.base_info().and_then(|info| info.id).filter(|id| !id.is_empty())
}
