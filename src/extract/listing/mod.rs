//! Reads a list to its end although the meaning of `offset` is undocumented and the list may change meanwhile (reference v3
//! §2.10). Pages are deduplicated by key; the end is reached with "as many different keys as the list says it has"; a list
//! that never gets there is reported as unsettled, never silently cut short.

use std::cell::Cell;
use std::collections::HashSet;
use std::mem;

use super::Issue;
use super::answered::page;
use crate::journal::Page;
use crate::wechat::{Answer, ApiError, FailureKind, Problem, Request};

/// Rounds over the possible meanings before a list counts as unsettled.
const ROUNDS: usize = 3;

/// One page of a list.
#[derive(Debug)]
pub(super) struct ListPage {
    pub(super) told: Told,
    /// The answer, for the journal.
    pub(super) page: Page,
}

/// What a page tells.
#[derive(Debug)]
pub(super) enum Told {
    /// A part of the list.
    Items(Items),
    /// The API does not know the list.
    Unknown,
    /// The API does not accept the offset.
    Refused(Issue),
}

/// A part of a list.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) keys: Vec<String>,
    /// The total that the list states; `None` if it states none, and then its end cannot be known.
    pub(super) total: Option<u64>,
}

impl ListPage {
    /// The page of an answer; one without `items` is that of a list which the API does not know.
    pub(super) fn of(page: Page, items: Option<Items>) -> ListPage {
        ListPage { told: items.map_or(Told::Unknown, Told::Items), page }
    }

    /// A page that APIv3 refuses: some endpoints answer an offset out of range with a parameter error (reference v3
    /// §1.9), and the meaning of `offset` has to be found out.
    pub(super) fn refused<T>(request: &Request<T>, answer: &Result<Answer, ApiError>) -> Option<ListPage> {
        let error = answer.as_ref().err()?;
        let refused = error.answer().filter(|answer| answer.status == 400)?;
        let is_parameter = matches!(error.problem(), Problem::Refused { code, .. } if code == "PARAM_ERROR");
        is_parameter.then(|| ListPage::without_items(request, refused, error))
    }

    /// A page that the official account platform refuses; the error code is not documented.
    pub(super) fn declined<T>(request: &Request<T>, answer: &Result<Answer, ApiError>) -> Option<ListPage> {
        let error = answer.as_ref().err().filter(|error| error.kind() == FailureKind::Refused)?;
        Some(ListPage::without_items(request, error.answer()?, error))
    }

    fn without_items<T>(request: &Request<T>, answer: &Answer, error: &ApiError) -> ListPage {
        ListPage { told: Told::Refused(Issue::from(error)), page: page(request, answer) }
    }
}

/// Limits for reading a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Items from which on a page counts as full, at most as many as are asked for: a full page may not be the last one,
    /// whatever total the list states.
    pub(super) full_page_rows: u64,
    /// More pages than any real list has.
    pub(super) most_pages: usize,
}

/// What `offset` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Rows,
    PagesFromZero,
    PagesFromOne,
}

impl Meaning {
    fn first_offset(self) -> u64 {
        if self == Meaning::PagesFromOne { 1 } else { 0 }
    }

    /// The offset that follows so many items on so many pages.
    fn offset_after(self, rows: usize, pages: usize) -> u64 {
        self.first_offset() + if self == Meaning::Rows { rows as u64 } else { pages as u64 }
    }
}

/// What this run has learned about `offset`; shared by all lists of a stage, which one thread reads.
#[derive(Debug, Default)]
pub(super) struct OffsetMeaning {
    learned: Cell<Option<Meaning>>,
    /// Whether some list was known to the API when read from offset 0.
    begins_at_zero: Cell<bool>,
}

impl OffsetMeaning {
    fn candidates(&self) -> &'static [Meaning] {
        match self.learned.get() {
            Some(Meaning::Rows) => &[Meaning::Rows],
            Some(Meaning::PagesFromZero) => &[Meaning::PagesFromZero],
            Some(Meaning::PagesFromOne) => &[Meaning::PagesFromOne],
            None => &[Meaning::Rows, Meaning::PagesFromZero, Meaning::PagesFromOne],
        }
    }

    fn learn(&self, meaning: Meaning) {
        self.learned.set(Some(meaning));
    }

    /// Whether a list that is unknown at this meaning's first offset may be known from offset 1 on.
    fn may_begin_later(&self, meaning: Meaning) -> bool {
        meaning.first_offset() == 0 && self.candidates().len() > 1 && !self.begins_at_zero.get()
    }
}

/// The result of reading a list.
#[derive(Debug)]
pub(super) enum Listing {
    /// The complete list, in order.
    Settled(Vec<Page>),
    /// The list kept changing or contradicting itself; its last state.
    Unsettled {
        /// Distinct keys seen.
        seen: usize,
        /// Items it states.
        total: u64,
    },
}

/// The total that a list states; a negative count counts as none.
pub(super) fn stated_total(count: Option<i64>) -> Option<u64> {
    count.and_then(|count| u64::try_from(count).ok())
}

/// Reads a list page by page with `ask(offset)`, at most `measure.most_pages` of them: an endless list would block the
/// night and fill the memory. A list that once showed items counts neither as empty nor as unknown, and it is not whole
/// under one meaning without an item that it showed under another: its total is wrong.
pub(super) async fn read_list(
    meaning: &OffsetMeaning,
    measure: Measure,
    ask: impl AsyncFn(u64) -> Result<ListPage, Issue>,
) -> Result<Listing, Issue> {
    let mut search = Search { meaning, most_seen: 0, last_total: 0, round: Round::default() };
    for _ in 0..ROUNDS {
        search.round = Round::default();
        for candidate in meaning.candidates() {
            if search.round.may_try(*candidate) {
                let walk = walk_until_stable(*candidate, measure, meaning, &ask).await?;
                if let Some(listing) = search.take(*candidate, walk)? {
                    return Ok(listing);
                }
            }
        }
    }
    Ok(Listing::Unsettled { seen: search.most_seen, total: search.last_total })
}

/// What the walks through a list have shown so far.
struct Search<'m> {
    meaning: &'m OffsetMeaning,
    /// The most different keys of a walk that came to no end; 0 as long as nothing speaks against an empty list.
    most_seen: usize,
    last_total: u64,
    round: Round,
}

/// What one round over the possible meanings has shown.
#[derive(Default)]
struct Round {
    /// The answer that the list is unknown, from offset 0.
    unknown: Option<Vec<Page>>,
    /// Whether offset 0 is refused.
    is_refused: bool,
    /// Every key that was shown without the list coming to its end.
    shown: HashSet<String>,
}

impl Round {
    /// Whether a meaning may tell more: offset 0 is not asked again if it was refused or led nowhere.
    fn may_try(&self, candidate: Meaning) -> bool {
        candidate.first_offset() != 0 || (self.unknown.is_none() && !self.is_refused)
    }
}

impl Search<'_> {
    /// What a walk under a meaning says of the list; `None` if another meaning, or another round, has to say more.
    fn take(&mut self, candidate: Meaning, walk: Walk) -> Result<Option<Listing>, Issue> {
        match walk {
            Walk::Whole { pages, keys, repeats } => {
                let is_whole = keys.is_superset(&self.round.shown) && (!keys.is_empty() || self.most_seen == 0);
                Ok(is_whole.then(|| self.settle(candidate, pages, repeats)))
            }
            Walk::Unknown(pages) => Ok(self.take_unknown(candidate, pages)),
            Walk::Refused(issue) => self.take_refused(candidate, *issue),
            Walk::Endless { seen, total } => Ok(Some(Listing::Unsettled { seen, total })),
            Walk::Moved { keys, total } | Walk::Gap { keys, total } | Walk::Repeating { keys, total, .. } => {
                (self.most_seen, self.last_total) = (self.most_seen.max(keys.len()), total);
                self.round.shown.extend(keys);
                Ok(None)
            }
        }
    }

    /// A single page says nothing about the next offset, and overlapping pages may indicate another meaning.
    fn settle(&self, candidate: Meaning, pages: Vec<Page>, repeats: bool) -> Listing {
        if pages.len() > 1 && !repeats {
            self.meaning.learn(candidate);
        }
        Listing::Settled(pages)
    }

    fn take_unknown(&mut self, candidate: Meaning, pages: Vec<Page>) -> Option<Listing> {
        if self.most_seen > 0 {
            return None;
        }
        if self.meaning.may_begin_later(candidate) {
            self.round.unknown = Some(pages);
            return None;
        }
        Some(Listing::Settled(self.round.unknown.take().unwrap_or(pages)))
    }

    fn take_refused(&mut self, candidate: Meaning, issue: Issue) -> Result<Option<Listing>, Issue> {
        if self.meaning.may_begin_later(candidate) {
            self.round.is_refused = true;
            return Ok(None);
        }
        if self.most_seen > 0 {
            return Ok(None);
        }
        self.round.unknown.take().map(Listing::Settled).map(Some).ok_or(issue)
    }
}

/// The result of one walk through a list.
enum Walk {
    /// As many distinct keys as the list states; with `repeats`, some come twice in every walk.
    Whole { pages: Vec<Page>, keys: HashSet<String>, repeats: bool },
    /// The same, but some keys came twice, or past its end the list claims to be empty: it changed meanwhile, or always
    /// does so.
    Repeating { pages: Vec<Page>, keys: HashSet<String>, total: u64 },
    /// The API does not know the list.
    Unknown(Vec<Page>),
    /// The list changed while it was read.
    Moved { keys: HashSet<String>, total: u64 },
    /// The API does not accept the first offset: `offset` means something else, or the request is wrong.
    Refused(Box<Issue>),
    /// Pages that repeat items or end too early: `offset` means something else, or the server is wrong.
    Gap { keys: HashSet<String>, total: u64 },
    /// More pages than any real list has.
    Endless { seen: usize, total: u64 },
}

impl Walk {
    /// Combines two consecutive walks: a list with the same items and oddities both times is always like that, hence
    /// complete.
    fn then(self, again: Walk) -> Walk {
        match (self, again) {
            (Walk::Repeating { keys: before, .. }, Walk::Repeating { pages, keys, .. }) if before == keys => {
                Walk::Whole { pages, keys, repeats: true }
            }
            (_, again) => again,
        }
    }
}

/// Repeats a walk while the list changes: a list that changed says nothing about `offset`.
async fn walk_until_stable(
    candidate: Meaning,
    measure: Measure,
    meaning: &OffsetMeaning,
    ask: &impl AsyncFn(u64) -> Result<ListPage, Issue>,
) -> Result<Walk, Issue> {
    let mut walked = walk(candidate, measure, meaning, ask).await?;
    for _ in 1..ROUNDS {
        if !matches!(walked, Walk::Moved { .. } | Walk::Repeating { .. }) {
            break;
        }
        walked = walked.then(walk(candidate, measure, meaning, ask).await?);
    }
    Ok(walked)
}

async fn walk(
    candidate: Meaning,
    measure: Measure,
    meaning: &OffsetMeaning,
    ask: &impl AsyncFn(u64) -> Result<ListPage, Issue>,
) -> Result<Walk, Issue> {
    let mut progress = Progress::at_first_offset(candidate, measure, meaning);
    loop {
        match progress.take(ask(progress.offset).await?) {
            Step::Next => {}
            Step::Ended(walk) => return Ok(walk),
            Step::AllSeen { total, is_full: false } => return Ok(progress.end(total, PastEnd::Nothing)),
            Step::AllSeen { total, is_full: true } => {
                let past_end = probe_past_end(&mut progress, total, ask).await?;
                return Ok(progress.end(total, past_end));
            }
        }
    }
}

/// How far a walk has come.
struct Progress<'m> {
    candidate: Meaning,
    measure: Measure,
    meaning: &'m OffsetMeaning,
    /// What is asked for next.
    offset: u64,
    /// The different keys seen.
    keys: HashSet<String>,
    pages: Vec<Page>,
    /// How many items the first page said there are.
    first_total: Option<u64>,
    /// The items of the longest page so far.
    longest_page: usize,
    /// Whether any item came twice.
    has_repeated: bool,
    /// Whether an item was told otherwise after the end was reached.
    is_retold: bool,
}

/// What a page means for the walk.
enum Step {
    /// There is another page to ask for.
    Next,
    /// As many different keys as the list says it has; a full page may not be its last one.
    AllSeen { total: u64, is_full: bool },
    /// It ends here.
    Ended(Walk),
}

impl<'m> Progress<'m> {
    fn at_first_offset(candidate: Meaning, measure: Measure, meaning: &'m OffsetMeaning) -> Progress<'m> {
        Progress {
            candidate,
            measure,
            meaning,
            offset: candidate.first_offset(),
            keys: HashSet::new(),
            pages: Vec::new(),
            first_total: None,
            longest_page: 0,
            has_repeated: false,
            is_retold: false,
        }
    }

    fn take(&mut self, ListPage { told, page }: ListPage) -> Step {
        match told {
            Told::Items(items) => {
                self.pages.push(page);
                if self.offset == 0 {
                    self.meaning.begins_at_zero.set(true);
                }
                self.count(items)
            }
            Told::Unknown => {
                self.pages.push(page);
                let early_end = self.early_end();
                Step::Ended(early_end.unwrap_or_else(|| Walk::Unknown(mem::take(&mut self.pages))))
            }
            Told::Refused(issue) => Step::Ended(self.early_end().unwrap_or_else(|| Walk::Refused(Box::new(issue)))),
        }
    }

    /// After a first page the list is neither refused nor unknown any more: it only ends too early.
    fn early_end(&mut self) -> Option<Walk> {
        self.first_total.map(|total| self.gap(total))
    }

    fn count(&mut self, Items { keys, total }: Items) -> Step {
        let (rows, known) = (keys.len(), self.keys.len());
        // An item that a page shows twice may stand beyond the length of the page: it counts as one row.
        let distinct_rows = keys.iter().collect::<HashSet<_>>().len();
        self.keys.extend(keys);
        let seen = self.keys.len();
        let Some(total) = total else { return Step::Ended(self.gap(0)) };
        if *self.first_total.get_or_insert(total) != total || seen as u64 > total {
            return Step::Ended(Walk::Moved { keys: mem::take(&mut self.keys), total });
        }
        let repeats = seen != known + rows;
        self.has_repeated |= repeats;
        let is_full =
            rows as u64 >= self.measure.full_page_rows || (self.longest_page > 0 && rows >= self.longest_page);
        self.longest_page = self.longest_page.max(rows);
        if seen as u64 == total {
            return Step::AllSeen { total, is_full };
        }
        // `Rows` is tried first, so pages that go on overlapping belong to another meaning.
        if seen == known || (repeats && self.candidate != Meaning::Rows) {
            return Step::Ended(self.gap(total));
        }
        self.go_on(distinct_rows, total)
    }

    fn gap(&mut self, total: u64) -> Walk {
        Walk::Gap { keys: mem::take(&mut self.keys), total }
    }

    fn go_on(&mut self, rows: usize, total: u64) -> Step {
        if self.pages.len() >= self.measure.most_pages {
            return Step::Ended(Walk::Endless { seen: self.keys.len(), total });
        }
        self.offset += if self.candidate == Meaning::Rows { rows as u64 } else { 1 };
        Step::Next
    }

    /// The walk that saw every item, by what came past the end of the list.
    fn end(self, total: u64, past_end: PastEnd) -> Walk {
        let Progress { pages, keys, has_repeated, is_retold, .. } = self;
        match past_end {
            PastEnd::More => Walk::Moved { keys, total },
            PastEnd::Nothing if !has_repeated => Walk::Whole { pages, keys, repeats: is_retold },
            PastEnd::Nothing | PastEnd::ClaimsEmpty => Walk::Repeating { pages, keys, total },
        }
    }
}

/// What the server answers past the last page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PastEnd {
    Nothing,
    /// The list is longer than stated, or has changed.
    More,
    /// No items and a total of 0: the list was emptied, or the server answers so past every end.
    ClaimsEmpty,
}

/// Requests the page after a full last page: if the stated total counted only the items shown, or at most a page of
/// them, every list would seem to end there. Under another meaning of `offset` that page shows known items again; one that
/// has changed since is newer than what the walk has of it, so the page joins the list.
async fn probe_past_end(
    progress: &mut Progress<'_>,
    total: u64,
    ask: &impl AsyncFn(u64) -> Result<ListPage, Issue>,
) -> Result<PastEnd, Issue> {
    let (mut past_end, pages_read) = (PastEnd::Nothing, progress.pages.len());
    for candidate in progress.meaning.candidates() {
        let ListPage { told, page } = ask(candidate.offset_after(progress.keys.len(), pages_read)).await?;
        let Told::Items(items) = told else { continue };
        let is_new = items.keys.iter().any(|key| !progress.keys.contains(key));
        match items.total {
            Some(0) if items.keys.is_empty() => past_end = PastEnd::ClaimsEmpty,
            Some(told) if told != total => return Ok(PastEnd::More),
            _ if is_new => return Ok(PastEnd::More),
            _ if tells_anew(&progress.pages, &page) => {
                progress.is_retold = true;
                progress.pages.push(page);
            }
            _ => {}
        }
    }
    Ok(past_end)
}

/// Whether a page tells an item as none of `told` does.
fn tells_anew(told: &[Page], again: &Page) -> bool {
    let mut unfamiliar = items(again);
    for page in told.iter().rev() {
        if unfamiliar.is_empty() {
            return false;
        }
        let told = items(page);
        unfamiliar.retain(|item| !told.contains(item));
    }
    !unfamiliar.is_empty()
}

/// The items of a page of APIv3; none of another, which lists nothing but keys.
fn items(page: &Page) -> Vec<serde_json::Value> {
    #[derive(Default, serde::Deserialize)]
    struct Listed {
        #[serde(default)]
        data: Vec<serde_json::Value>,
    }
    serde_json::from_slice::<Listed>(&page.body).unwrap_or_default().data
}

#[cfg(test)]
mod tests;
