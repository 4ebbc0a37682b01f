//! Tests of lists that are short, long, wrong about their length, or changing, whatever `offset` means.

use proptest::prelude::*;

use super::*;
use crate::extract::IssueKind;

const PAGES: usize = 100;
const MEASURE: Measure = Measure { full_page_rows: 20, most_pages: PAGES };

/// A server with `total` items that returns `limit` per page.
fn page(items: impl Iterator<Item = u64>, total: u64) -> Result<ListPage, Issue> {
    Ok(listed(items.map(|item| item.to_string()).collect(), Some(total), Page::for_tests("")))
}

fn listed(keys: Vec<String>, total: Option<u64>, page: Page) -> ListPage {
    ListPage::of(page, Some(Items { keys, total }))
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
    let row_of: [fn(u64) -> u64; 3] = [|offset| offset, |offset| offset * 20, |offset| offset.saturating_sub(1) * 20];
    for (size, told) in (0..45).flat_map(|size| (0..48).map(move |told| (size, told))) {
        for (counts, row_of) in row_of.iter().enumerate() {
            let meaning = OffsetMeaning::default();
            let listing = read_list(&meaning, MEASURE, async |offset| {
                let items = slice(row_of(offset), size, 20);
                let keys: Vec<_> = items.map(|item| item.to_string()).collect();
                let page = Page::for_tests(&keys.join(","));
                Ok(listed(keys, Some(told), page))
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
    let row_of: [fn(u64) -> u64; 3] = [|offset| offset, |offset| offset * 20, |offset| offset.saturating_sub(1) * 20];
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
async fn a_page_as_long_as_the_others_is_full_although_more_was_asked_for() {
    for (size, told, is_whole) in [(45, 40, false), (45, 30, false), (45, 45, true), (40, 40, true), (30, 30, true)] {
        let meaning = OffsetMeaning::default();
        let listing = read_list(&meaning, MEASURE, async |offset| page(slice(offset, size, 10), told)).await.unwrap();
        assert_eq!(matches!(listing, Listing::Settled(_)), is_whole, "{size} items, {told} told");
    }
}

#[tokio::test]
async fn an_item_that_changes_before_the_end_is_certain_is_as_it_was_told_last() {
    let row_of: [fn(u64) -> u64; 3] = [|offset| offset, |offset| offset * 20, |offset| offset.saturating_sub(1) * 20];
    for (row_of, changes_after) in row_of.iter().flat_map(|row_of| (1..5).map(move |asked| (row_of, asked))) {
        let (meaning, asked, told_last) = (OffsetMeaning::default(), Cell::new(0), Cell::new("SENDED"));
        let listing = read_list(&meaning, MEASURE, async |offset| {
            let state = if asked.replace(asked.get() + 1) < changes_after { "SENDED" } else { "USED" };
            let items = slice(row_of(offset), 20, 20);
            let state_of = |item| if item == 7 { state } else { "SENDED" };
            if items.contains(&7) {
                told_last.set(state);
            }
            let data: Vec<_> = items.clone().map(|item| serde_json::json!([item, state_of(item)])).collect();
            let body = serde_json::json!({ "data": data, "total_count": 20 }).to_string();
            Ok(ListPage { page: Page::for_tests(&body), ..page(items, 20)? })
        });
        let Listing::Settled(pages) = listing.await.unwrap() else { panic!("must settle") };
        let told: Vec<_> = pages.iter().flat_map(super::items).filter(|item| item[0] == 7).collect();
        assert_eq!(told.last().unwrap()[1], told_last.get(), "changed after {changes_after} pages");
        assert_eq!(meaning.candidates().len(), 3, "one page teaches nothing");
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
    Ok(ListPage::of(Page::for_tests("unknown"), None))
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
    let Listing::Settled(pages) = read_list(&meaning, MEASURE, from_one).await.unwrap() else { panic!("must settle") };
    assert_eq!((pages.len(), asked.take()), (3, 4));

    let meaning = OffsetMeaning::default();
    let nobody = async |_| {
        asked.set(asked.get() + 1);
        unknown()
    };
    assert!(matches!(read_list(&meaning, MEASURE, nobody).await.unwrap(), Listing::Settled(pages) if pages.len() == 1));
    assert_eq!(asked.take(), 2);
    read_list(&meaning, MEASURE, async |offset| page(slice(offset, 3, 20), 3)).await.unwrap();
    assert!(matches!(read_list(&meaning, MEASURE, nobody).await.unwrap(), Listing::Settled(pages) if pages.len() == 1));
    assert_eq!(asked.take(), 1);
}

fn refused() -> Result<ListPage, Issue> {
    let told = Told::Refused(Issue::new(IssueKind::Incomplete, "PARAM_ERROR"));
    Ok(ListPage { told, page: Page::for_tests("refused") })
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
        Ok(listed(keys, Some(self.items.len() as u64), page))
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
        let listing = read_list(&meaning, Measure { full_page_rows: limit as u64, most_pages: PAGES }, async |offset| list.borrow_mut().answer(row(offset), limit));
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
        let ask = async |_| Ok(listed(Vec::new(), total, Page::for_tests("{}")));
        assert!(matches!(read_list(&meaning, MEASURE, ask).await.unwrap(), Listing::Unsettled { .. }));
    }
}
