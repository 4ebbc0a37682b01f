//! Reads a list to its end although the meaning of `offset` is undocumented and the list may change meanwhile (reference v3
//! §2.10). Pages are deduplicated by key; the end is reached with "as many different keys as the list says it has"; a list
//! that never gets there is reported as unsettled, never silently cut short.

use std::cell::Cell;
use std::collections::HashSet;
use std::future::Future;
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
    /// Keys of its items.
    pub(super) keys: Vec<String>,
    /// The total that the list states; `None` if it states none, and then its end cannot be known.
    pub(super) total: Option<u64>,
    /// Whether the API knows the list.
    pub(super) is_known: bool,
    /// The error of the API if it does not accept the offset.
    pub(super) refusal: Option<Issue>,
    /// The answer, for the journal.
    pub(super) page: Page,
}

impl ListPage {
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
        let refusal = Some(Issue::from(error));
        ListPage { keys: Vec::new(), total: None, is_known: false, refusal, page: page(request, answer) }
    }
}

/// Limits for reading a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Items per page: a full page may not be the last one, whatever total the list states.
    pub(super) page_rows: u64,
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
pub(super) async fn read_list<A, F>(meaning: &OffsetMeaning, measure: Measure, ask: A) -> Result<Listing, Issue>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<ListPage, Issue>>,
{
    let (mut most_seen, mut last_total) = (0, 0);
    for _ in 0..ROUNDS {
        let (mut unknown, mut is_refused_at_zero, mut shown) = (None, false, HashSet::new());
        for candidate in meaning.candidates() {
            if (unknown.is_some() || is_refused_at_zero) && candidate.first_offset() == 0 {
                continue;
            }
            match walk_until_stable(*candidate, measure, meaning, &ask).await? {
                Walk::Whole { pages, keys, repeats }
                    if keys.is_superset(&shown) && (!keys.is_empty() || most_seen == 0) =>
                {
                    // A single page says nothing about the next offset, and overlapping pages may indicate another
                    // meaning.
                    if pages.len() > 1 && !repeats {
                        meaning.learn(*candidate);
                    }
                    return Ok(Listing::Settled(pages));
                }
                Walk::Unknown(pages) if most_seen == 0 && meaning.may_begin_later(*candidate) => unknown = Some(pages),
                Walk::Unknown(pages) if most_seen == 0 => return Ok(Listing::Settled(unknown.unwrap_or(pages))),
                Walk::Refused(_) if meaning.may_begin_later(*candidate) => is_refused_at_zero = true,
                Walk::Refused(issue) if most_seen == 0 => return unknown.map(Listing::Settled).ok_or(*issue),
                Walk::Endless { seen, total } => return Ok(Listing::Unsettled { seen, total }),
                Walk::Moved { keys, total } | Walk::Gap { keys, total } | Walk::Repeating { keys, total, .. } => {
                    (most_seen, last_total) = (most_seen.max(keys.len()), total);
                    shown.extend(keys);
                }
                Walk::Whole { .. } | Walk::Unknown(_) | Walk::Refused(_) => {}
            }
        }
    }
    Ok(Listing::Unsettled { seen: most_seen, total: last_total })
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
async fn walk_until_stable<A, F>(
    candidate: Meaning,
    measure: Measure,
    meaning: &OffsetMeaning,
    ask: &A,
) -> Result<Walk, Issue>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<ListPage, Issue>>,
{
    let mut walked = walk(candidate, measure, meaning, ask).await?;
    for _ in 1..ROUNDS {
        if !matches!(walked, Walk::Moved { .. } | Walk::Repeating { .. }) {
            break;
        }
        walked = walked.then(walk(candidate, measure, meaning, ask).await?);
    }
    Ok(walked)
}

async fn walk<A, F>(candidate: Meaning, measure: Measure, meaning: &OffsetMeaning, ask: &A) -> Result<Walk, Issue>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<ListPage, Issue>>,
{
    let mut progress = Progress::at_first_offset(candidate, measure, meaning);
    loop {
        match progress.take(ask(progress.offset).await?) {
            Step::Next => {}
            Step::Ended(walk) => return Ok(walk),
            Step::AllSeen { total, is_full: false } => return Ok(progress.end(total, PastEnd::Nothing)),
            Step::AllSeen { total, is_full: true } => {
                let past_end = probe_past_end(&progress.keys, total, progress.pages.len(), meaning, ask).await?;
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
    /// Whether any item came twice.
    has_repeated: bool,
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
            has_repeated: false,
        }
    }

    fn take(&mut self, listed: ListPage) -> Step {
        let ListPage { keys, total, page, is_known, refusal } = listed;
        if let Some(issue) = refusal {
            return Step::Ended(self.early_end().unwrap_or_else(|| Walk::Refused(Box::new(issue))));
        }
        self.pages.push(page);
        if !is_known {
            let early_end = self.early_end();
            return Step::Ended(early_end.unwrap_or_else(|| Walk::Unknown(mem::take(&mut self.pages))));
        }
        if self.offset == 0 {
            self.meaning.begins_at_zero.set(true);
        }
        self.count(keys, total)
    }

    /// After a first page the list is neither refused nor unknown any more: it only ends too early.
    fn early_end(&mut self) -> Option<Walk> {
        self.first_total.map(|total| self.gap(total))
    }

    fn count(&mut self, keys: Vec<String>, total: Option<u64>) -> Step {
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
        if seen as u64 == total {
            return Step::AllSeen { total, is_full: rows as u64 >= self.measure.page_rows };
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
        let Progress { pages, keys, has_repeated, .. } = self;
        match past_end {
            PastEnd::More => Walk::Moved { keys, total },
            PastEnd::Nothing if !has_repeated => Walk::Whole { pages, keys, repeats: false },
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
/// them, every list would seem to end there.
async fn probe_past_end<A, F>(
    keys_seen: &HashSet<String>,
    total: u64,
    pages: usize,
    meaning: &OffsetMeaning,
    ask: &A,
) -> Result<PastEnd, Issue>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<ListPage, Issue>>,
{
    let mut past_end = PastEnd::Nothing;
    for candidate in meaning.candidates() {
        let page = ask(candidate.offset_after(keys_seen.len(), pages)).await?;
        let is_new = page.keys.iter().any(|key| !keys_seen.contains(key));
        match page.total {
            Some(0) if page.keys.is_empty() => past_end = PastEnd::ClaimsEmpty,
            Some(told) if told != total => return Ok(PastEnd::More),
            _ if is_new => return Ok(PastEnd::More),
            _ => {}
        }
    }
    Ok(past_end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::extract::IssueKind;

    const PAGES: usize = 100;
    const MEASURE: Measure = Measure { page_rows: 20, most_pages: PAGES };

    /// A server with `total` items that returns `limit` per page.
    fn page(items: impl Iterator<Item = u64>, total: u64) -> Result<ListPage, Issue> {
        Ok(ListPage {
            keys: items.map(|item| item.to_string()).collect(),
            total: Some(total),
            is_known: true,
            refusal: None,
            page: Page::for_tests(""),
        })
    }

    fn slice(from: u64, total: u64, limit: u64) -> std::ops::Range<u64> {
        from.min(total)..(from + limit).min(total)
    }

    async fn pages_read(total: u64, offset_to_row: impl Fn(u64) -> u64) -> (Option<usize>, OffsetMeaning) {
        let meaning = OffsetMeaning::default();
        let listing =
            read_list(&meaning, MEASURE, async |offset| page(slice(offset_to_row(offset), total, 20), total)).await;
        let pages = match listing.unwrap() {
            Listing::Settled(pages) => Some(pages.len()),
            Listing::Unsettled { .. } => None,
        };
        (pages, meaning)
    }

    #[tokio::test]
    async fn whatever_offset_means_the_whole_list_is_read() {
        for total in [0, 1, 19, 20, 21, 40, 45, 400, 401] {
            let expected = Some((total as usize).div_ceil(20).max(1));
            assert_eq!(pages_read(total, |offset| offset).await.0, expected, "rows, {total}");
            assert_eq!(pages_read(total, |offset| offset * 20).await.0, expected, "pages from 0, {total}");
            assert_eq!(
                pages_read(total, |offset| offset.saturating_sub(1) * 20).await.0,
                expected,
                "pages from 1, {total}"
            );
        }
    }

    #[tokio::test]
    async fn the_meaning_is_learned_from_the_first_list_that_shows_it() {
        let (_, meaning) = pages_read(45, |offset| offset * 20).await;
        assert_eq!(meaning.candidates(), [Meaning::PagesFromZero]);
        let (_, meaning) = pages_read(20, |offset| offset * 20).await;
        assert_eq!(meaning.candidates().len(), 3, "one page teaches nothing");
    }

    #[tokio::test]
    async fn a_list_that_grows_while_it_is_read_is_read_again() {
        let asked = Cell::new(0);
        let meaning = OffsetMeaning::default();
        let listing = read_list(&meaning, MEASURE, async |offset| {
            asked.set(asked.get() + 1);
            let total = if asked.get() == 1 { 40 } else { 41 };
            page(slice(offset, total, 20), total)
        });
        let Listing::Settled(pages) = listing.await.unwrap() else { panic!("must settle") };
        assert_eq!(pages.len(), 3);
    }

    #[tokio::test]
    async fn a_total_that_never_comes_true_is_unsettled_not_short() {
        let meaning = OffsetMeaning::default();
        let listing = read_list(&meaning, MEASURE, async |offset| page(slice(offset, 20, 20), 25));
        assert!(matches!(listing.await.unwrap(), Listing::Unsettled { total: 25, .. }));
    }

    #[tokio::test]
    async fn a_list_whose_total_is_wrong_never_settles_without_one_of_its_items() {
        let row_of: [fn(u64) -> u64; 3] =
            [|offset| offset, |offset| offset * 20, |offset| offset.saturating_sub(1) * 20];
        for (size, told) in (0..45).flat_map(|size| (0..48).map(move |told| (size, told))) {
            for (counts, row_of) in row_of.iter().enumerate() {
                let meaning = OffsetMeaning::default();
                let listing = read_list(&meaning, MEASURE, async |offset| {
                    let items = slice(row_of(offset), size, 20);
                    let keys: Vec<_> = items.map(|item| item.to_string()).collect();
                    let page = Page::for_tests(&keys.join(","));
                    Ok(ListPage { keys, total: Some(told), is_known: true, refusal: None, page })
                });
                if let Listing::Settled(pages) = listing.await.unwrap() {
                    let rows = pages.iter().flat_map(|page| page.body.split(|byte| *byte == b','));
                    let read: HashSet<_> = rows.filter(|row| !row.is_empty()).collect();
                    assert_eq!(read.len() as u64, size, "{size} items, {told} told, meaning {counts}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_full_page_is_not_believed_to_be_the_last_because_the_length_says_so() {
        let row_of: [fn(u64) -> u64; 3] =
            [|offset| offset, |offset| offset * 20, |offset| offset.saturating_sub(1) * 20];
        for row_of in row_of {
            // A total that counts only the page, and one that never exceeds a page.
            for shown in [false, true] {
                let meaning = OffsetMeaning::default();
                let listing = read_list(&meaning, MEASURE, async |offset| {
                    let items = slice(row_of(offset), 45, 20);
                    let told = if shown { items.clone().count() as u64 } else { 20 };
                    page(items, told)
                });
                assert!(matches!(listing.await.unwrap(), Listing::Unsettled { .. }), "{shown}");
            }
            let asked = Cell::new(0);
            let meaning = OffsetMeaning::default();
            let listing = read_list(&meaning, MEASURE, async |offset| {
                asked.set(asked.get() + 1);
                page(slice(row_of(offset), 20, 20), 20)
            });
            assert!(matches!(listing.await.unwrap(), Listing::Settled(pages) if pages.len() == 1));
            assert_eq!(asked.get(), 4, "once for each meaning that offset may have");
        }
    }

    #[tokio::test]
    async fn a_list_that_says_0_behind_its_last_full_page_settles() {
        for total in [20, 40] {
            let meaning = OffsetMeaning::default();
            let listing = read_list(&meaning, MEASURE, async |offset| {
                page(slice(offset, total, 20), if offset < total { total } else { 0 })
            });
            assert!(matches!(listing.await.unwrap(), Listing::Settled(pages) if pages.len() as u64 == total / 20));
        }
    }

    #[tokio::test]
    async fn a_page_that_shows_an_item_once_more_than_it_has_room_for_hides_none_behind_it() {
        for total in [21, 45, 100] {
            let meaning = OffsetMeaning::default();
            let listing = read_list(&meaning, MEASURE, async |offset| {
                let items = slice(offset, total, 20);
                page(items.clone().chain(items.take(1)), total)
            });
            assert!(matches!(listing.await.unwrap(), Listing::Settled(_)), "{total}");
        }
    }

    fn unknown() -> Result<ListPage, Issue> {
        let page = Page::for_tests("unknown");
        Ok(ListPage { keys: Vec::new(), total: None, is_known: false, refusal: None, page })
    }

    #[tokio::test]
    async fn a_list_that_showed_items_is_neither_unknown_nor_empty_at_a_later_page() {
        for is_known in [false, true] {
            let meaning = OffsetMeaning::default();
            let listing = read_list(&meaning, MEASURE, async |offset| match offset {
                0 => page(0..20, 45),
                _ if is_known => page(0..0, 0),
                _ => unknown(),
            });
            assert!(matches!(listing.await.unwrap(), Listing::Unsettled { seen: 20, .. }), "{is_known}");
        }
    }

    #[tokio::test]
    async fn a_list_that_is_unknown_at_zero_is_asked_for_from_one_until_some_list_began_at_zero() {
        let (meaning, asked) = (OffsetMeaning::default(), Cell::new(0));
        let from_one = async |offset: u64| {
            asked.set(asked.get() + 1);
            if offset == 0 { unknown() } else { page(slice((offset - 1) * 20, 45, 20), 45) }
        };
        let Listing::Settled(pages) = read_list(&meaning, MEASURE, from_one).await.unwrap() else {
            panic!("must settle")
        };
        assert_eq!((pages.len(), asked.take()), (3, 4));

        let meaning = OffsetMeaning::default();
        let nobody = async |_| {
            asked.set(asked.get() + 1);
            unknown()
        };
        assert!(
            matches!(read_list(&meaning, MEASURE, nobody).await.unwrap(), Listing::Settled(pages) if pages.len() == 1)
        );
        assert_eq!(asked.take(), 2);
        read_list(&meaning, MEASURE, async |offset| page(slice(offset, 3, 20), 3)).await.unwrap();
        assert!(
            matches!(read_list(&meaning, MEASURE, nobody).await.unwrap(), Listing::Settled(pages) if pages.len() == 1)
        );
        assert_eq!(asked.take(), 1);
    }

    fn refused() -> Result<ListPage, Issue> {
        let refusal = Some(Issue::new(IssueKind::Incomplete, "PARAM_ERROR"));
        Ok(ListPage { refusal, ..unknown()? })
    }

    #[tokio::test]
    async fn an_api_that_refuses_offsets_without_a_page_is_read_whatever_offset_means() {
        for (total, first) in [20_u64, 45, 100].into_iter().flat_map(|total| [(total, 0), (total, 1)]) {
            let meaning = OffsetMeaning::default();
            let listing = read_list(&meaning, MEASURE, async |offset| {
                let is_there = (first..first + total.div_ceil(20)).contains(&offset);
                if is_there { page(slice((offset - first) * 20, total, 20), total) } else { refused() }
            });
            let Listing::Settled(pages) = listing.await.unwrap() else { panic!("{total} from {first}") };
            assert_eq!(pages.len() as u64, total.div_ceil(20), "{total} from {first}");
        }
    }

    #[tokio::test]
    async fn a_question_that_is_refused_at_any_offset_is_refused_after_two_and_after_one_once_lists_begin_at_zero() {
        let (meaning, asked) = (OffsetMeaning::default(), Cell::new(0));
        let nobody = async |_| {
            asked.set(asked.get() + 1);
            refused()
        };
        assert_eq!(read_list(&meaning, MEASURE, nobody).await.unwrap_err().what, "PARAM_ERROR");
        assert_eq!(asked.take(), 2);
        read_list(&meaning, MEASURE, async |offset| page(slice(offset, 3, 20), 3)).await.unwrap();
        assert_eq!(read_list(&meaning, MEASURE, nobody).await.unwrap_err().what, "PARAM_ERROR");
        assert_eq!(asked.take(), 1);
    }

    #[tokio::test]
    async fn a_list_that_shows_an_item_twice_whenever_it_is_read_settles() {
        let (meaning, asked) = (OffsetMeaning::default(), Cell::new(0));
        let listing = read_list(&meaning, MEASURE, async |offset| {
            asked.set(asked.get() + 1);
            // The second page begins with the last item of the first.
            page(if offset == 0 { 0..20 } else { 19..25 }, 25)
        });
        let Listing::Settled(pages) = listing.await.unwrap() else { panic!("must settle") };
        assert_eq!((pages.len(), asked.get()), (2, 4), "it was read twice to make sure");
        assert_eq!(meaning.candidates().len(), 3, "pages that overlap teach nothing");
    }

    /// A list that grows or shrinks by one item just before the n-th request.
    struct Moving {
        items: Vec<String>,
        changes: Vec<(usize, Change)>,
        asked: usize,
    }

    #[derive(Debug, Clone)]
    enum Change {
        Front,
        Back,
        Remove(prop::sample::Index),
    }

    impl Moving {
        fn answer(&mut self, row: u64, limit: usize) -> Result<ListPage, Issue> {
            self.asked += 1;
            if let Some((_, change)) = self.changes.iter().find(|(at, _)| *at == self.asked) {
                let new = format!("new{}", self.asked);
                match change {
                    Change::Front => self.items.insert(0, new),
                    Change::Back => self.items.push(new),
                    Change::Remove(_) if self.items.is_empty() => self.items.push(new),
                    Change::Remove(index) => drop(self.items.remove(index.index(self.items.len()))),
                }
            }
            let keys: Vec<_> = self.items.iter().skip(row as usize).take(limit).cloned().collect();
            let page = Page { body: keys.join(",").into(), ..Page::for_tests("") };
            Ok(ListPage { keys, total: Some(self.items.len() as u64), is_known: true, refusal: None, page })
        }
    }

    fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
        let index = any::<prop::sample::Index>().prop_map(Change::Remove);
        let change = prop_oneof![Just(Change::Front), Just(Change::Back), index];
        prop::collection::btree_map(1usize..8, change, 0..3).prop_map(|changes| changes.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_settled_list_has_every_item_and_no_other_whatever_offset_means_and_however_the_list_moved(
            size in 0usize..60, limit in 1usize..8, counts in 0u64..3, changes in changes(), repeated in any::<bool>()
        ) {
            let mut items: Vec<String> = (0..size).map(|item| item.to_string()).collect();
            if repeated && size > 0 {
                items.push("0".to_owned());
            }
            let list = std::cell::RefCell::new(Moving { items, changes, asked: 0 });
            let row = |offset: u64| match counts {
                0 => offset,
                1 => offset * limit as u64,
                _ => offset.saturating_sub(1) * limit as u64,
            };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let meaning = OffsetMeaning::default();
            let listing = read_list(&meaning, Measure { page_rows: limit as u64, most_pages: PAGES }, async |offset| list.borrow_mut().answer(row(offset), limit));
            let listing = runtime.block_on(listing).unwrap();
            let mut there = list.into_inner().items;
            there.sort();
            let is_distinct = there.windows(2).all(|pair| pair[0] != pair[1]);
            match listing {
                Listing::Settled(pages) => {
                    let rows = pages.iter().flat_map(|page| page.body.split(|byte| *byte == b','));
                    let mut read: Vec<_> = rows.filter(|row| !row.is_empty())
                        .map(|row| String::from_utf8(row.to_vec()).unwrap()).collect();
                    // The consumer keeps each key once: pages may overlap when `offset` turns out to mean something else.
                    read.sort();
                    read.dedup();
                    prop_assert_eq!(read, there);
                    prop_assert!(is_distinct);
                }
                // A list that had items before is not trusted when it is empty now.
                Listing::Unsettled { seen, .. } => {
                    prop_assert!(!is_distinct || (there.is_empty() && seen > 0), "a list of distinct items settles")
                }
            }
        }
    }

    #[tokio::test]
    async fn a_list_without_end_ends() {
        let asked = Cell::new(0u64);
        let meaning = OffsetMeaning::default();
        let listing = read_list(&meaning, MEASURE, async |_| {
            asked.set(asked.get() + 1);
            page(asked.get() * 20..asked.get() * 20 + 20, u64::MAX)
        });
        assert!(matches!(listing.await.unwrap(), Listing::Unsettled { .. }));
        assert_eq!(asked.get(), PAGES as u64, "it is not begun again under another meaning of offset");
    }

    #[tokio::test]
    async fn a_list_that_does_not_say_its_length_is_unsettled_not_empty() {
        for count in [None, Some(-1)] {
            let meaning = OffsetMeaning::default();
            let total = stated_total(count);
            let ask = async |_| {
                Ok(ListPage { keys: Vec::new(), total, is_known: true, refusal: None, page: Page::for_tests("{}") })
            };
            assert!(matches!(read_list(&meaning, MEASURE, ask).await.unwrap(), Listing::Unsettled { .. }));
        }
    }
}
