//! Reads a list to its end although the meaning of `offset` is undocumented and the list may move
//! (reference v3 §2.10): every page is deduplicated by key, the end is "as many different keys as
//! the list says it has", and a list that never gets there is unsettled, never silently short.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Issue;
use crate::journal::Page;

/// Rounds over the possible meanings before a list counts as unsettled.
const ROUNDS: usize = 3;

/// One page of a list.
#[derive(Debug)]
pub(super) struct ListPage {
    /// Keys of its items.
    pub(super) keys: Vec<String>,
    /// How many items the list says it has; none when it does not say, and then nobody knows its end.
    pub(super) total: Option<u64>,
    /// The answer, for the journal.
    pub(super) page: Page,
}

/// What `offset` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Rows,
    PagesFromZero,
    PagesFromOne,
}

/// What this run has learned of `offset`; shared by all lists of a stage.
#[derive(Debug, Default)]
pub(super) struct OffsetMeaning(AtomicU8);

impl OffsetMeaning {
    fn candidates(&self) -> &'static [Meaning] {
        match self.0.load(Ordering::Relaxed) {
            1 => &[Meaning::Rows],
            2 => &[Meaning::PagesFromZero],
            3 => &[Meaning::PagesFromOne],
            _ => &[Meaning::Rows, Meaning::PagesFromZero, Meaning::PagesFromOne],
        }
    }

    fn learn(&self, meaning: Meaning) {
        let learned = match meaning {
            Meaning::Rows => 1,
            Meaning::PagesFromZero => 2,
            Meaning::PagesFromOne => 3,
        };
        self.0.store(learned, Ordering::Relaxed);
    }
}

/// How a list ended.
#[derive(Debug)]
pub(super) enum Listing {
    /// All of it, in order.
    Settled(Vec<Page>),
    /// It would not settle: what it said last.
    Unsettled {
        /// Different keys seen.
        seen: usize,
        /// Items it says it has.
        total: u64,
    },
}

/// What a list says of its length: a count that is negative says nothing.
pub(super) fn stated_total(count: Option<i64>) -> Option<u64> {
    count.and_then(|count| u64::try_from(count).ok())
}

/// Reads a list page by page with `ask(offset)`, and follows none for more than `most_pages`: one
/// without end would hold the night and fill the memory.
pub(super) async fn read_list<A, F>(meaning: &OffsetMeaning, most_pages: usize, ask: A) -> Result<Listing, Issue>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<ListPage, Issue>>,
{
    let mut last = Listing::Unsettled { seen: 0, total: 0 };
    for _ in 0..ROUNDS {
        for candidate in meaning.candidates() {
            match walk_until_still(*candidate, most_pages, &ask).await? {
                Walk::Whole(pages) => {
                    // A single page says nothing of what comes after it.
                    if pages.len() > 1 {
                        meaning.learn(*candidate);
                    }
                    return Ok(Listing::Settled(pages));
                }
                Walk::Endless { seen, total } => return Ok(Listing::Unsettled { seen, total }),
                Walk::Moved { seen, total } | Walk::Gap { seen, total } => last = Listing::Unsettled { seen, total },
            }
        }
    }
    Ok(last)
}

/// How one walk through a list ended.
enum Walk {
    /// As many different keys as the list says it has.
    Whole(Vec<Page>),
    /// The list changed under way.
    Moved { seen: usize, total: u64 },
    /// Pages that repeat items or end too early: `offset` means something else, or the server errs.
    Gap { seen: usize, total: u64 },
    /// More pages than any true list has.
    Endless { seen: usize, total: u64 },
}

/// A list that moved says nothing about `offset`: the same walk again.
async fn walk_until_still<A, F>(meaning: Meaning, most_pages: usize, ask: &A) -> Result<Walk, Issue>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<ListPage, Issue>>,
{
    let mut walked = walk(meaning, most_pages, ask).await?;
    for _ in 1..ROUNDS {
        if !matches!(walked, Walk::Moved { .. }) {
            break;
        }
        walked = walk(meaning, most_pages, ask).await?;
    }
    Ok(walked)
}

async fn walk<A, F>(meaning: Meaning, most_pages: usize, ask: &A) -> Result<Walk, Issue>
where
    A: Fn(u64) -> F,
    F: Future<Output = Result<ListPage, Issue>>,
{
    let mut offset = if meaning == Meaning::PagesFromOne { 1 } else { 0 };
    let mut keys_seen = HashSet::new();
    let mut pages = Vec::new();
    let mut first_total = None;
    loop {
        let ListPage { keys, total, page } = ask(offset).await?;
        let (rows, known) = (keys.len(), keys_seen.len());
        keys_seen.extend(keys);
        pages.push(page);
        let seen = keys_seen.len();
        let Some(total) = total else { return Ok(Walk::Gap { seen, total: 0 }) };
        if *first_total.get_or_insert(total) != total || seen as u64 > total {
            return Ok(Walk::Moved { seen, total });
        }
        let repeats = seen != known + rows;
        if seen as u64 == total && !repeats {
            return Ok(Walk::Whole(pages));
        }
        if repeats || rows == 0 {
            return Ok(Walk::Gap { seen, total });
        }
        if pages.len() >= most_pages {
            return Ok(Walk::Endless { seen, total });
        }
        offset += if meaning == Meaning::Rows { rows as u64 } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    const PAGES: usize = 100;

    /// A server with `total` items of which it shows `limit` a page.
    fn page(items: impl Iterator<Item = u64>, total: u64) -> Result<ListPage, Issue> {
        Ok(ListPage {
            keys: items.map(|item| item.to_string()).collect(),
            total: Some(total),
            page: Page::for_tests(""),
        })
    }

    fn slice(from: u64, total: u64, limit: u64) -> impl Iterator<Item = u64> {
        from.min(total)..(from + limit).min(total)
    }

    async fn pages_read(total: u64, offset_to_row: impl Fn(u64) -> u64) -> (Option<usize>, OffsetMeaning) {
        let meaning = OffsetMeaning::default();
        let listing =
            read_list(&meaning, PAGES, async |offset| page(slice(offset_to_row(offset), total, 20), total)).await;
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
        let listing = read_list(&meaning, PAGES, async |offset| {
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
        let listing = read_list(&meaning, PAGES, async |offset| page(slice(offset, 20, 20), 25));
        assert!(matches!(listing.await.unwrap(), Listing::Unsettled { total: 25, .. }));
    }

    /// A list that changes just before the n-th question, each time by one item more or less.
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
            Ok(ListPage { keys, total: Some(self.items.len() as u64), page })
        }
    }

    fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
        let index = any::<prop::sample::Index>().prop_map(Change::Remove);
        let change = prop_oneof![Just(Change::Front), Just(Change::Back), index];
        prop::collection::btree_map(1usize..8, change, 0..3).prop_map(|changes| changes.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_settled_list_has_every_item_once_whatever_offset_means_and_however_the_list_moved(
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
            let listing = read_list(&meaning, PAGES, async |offset| list.borrow_mut().answer(row(offset), limit));
            let listing = runtime.block_on(listing).unwrap();
            let mut there = list.into_inner().items;
            there.sort();
            let is_distinct = there.windows(2).all(|pair| pair[0] != pair[1]);
            match listing {
                Listing::Settled(pages) => {
                    let rows = pages.iter().flat_map(|page| page.body.split(|byte| *byte == b','));
                    let mut read: Vec<_> = rows.filter(|row| !row.is_empty())
                        .map(|row| String::from_utf8(row.to_vec()).unwrap()).collect();
                    read.sort();
                    prop_assert_eq!(read, there);
                    prop_assert!(is_distinct);
                }
                Listing::Unsettled { .. } => prop_assert!(!is_distinct, "a list of distinct items settles"),
            }
        }
    }

    #[tokio::test]
    async fn a_list_without_end_ends() {
        let asked = Cell::new(0u64);
        let meaning = OffsetMeaning::default();
        let listing = read_list(&meaning, PAGES, async |_| {
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
            let ask =
                async |_| Ok(ListPage { keys: Vec::new(), total: stated_total(count), page: Page::for_tests("{}") });
            assert!(matches!(read_list(&meaning, PAGES, ask).await.unwrap(), Listing::Unsettled { .. }));
        }
    }
}
