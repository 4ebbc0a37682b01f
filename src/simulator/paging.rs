//! Cuts pages out of lists, under every interpretation of `offset`, and wrongly if a fault says so.
//! Knows no row type.

use super::faults::Kind;

/// Rows of a page that a fault clamps.
const CLAMPED_ROWS: usize = 20;

/// What `offset` counts: the documentation leaves it open (reference v3 §2.10).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OffsetMeaning {
    /// Rows to skip.
    #[default]
    Rows,
    /// Pages, the first is 0.
    Pages0,
    /// Pages, the first is 1 (0 is read as 1).
    Pages1,
}

/// The requested window, after clamping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Asked {
    fn start(self, meaning: OffsetMeaning) -> usize {
        match meaning {
            OffsetMeaning::Rows => self.offset,
            OffsetMeaning::Pages0 => self.offset.saturating_mul(self.limit),
            OffsetMeaning::Pages1 => self.offset.saturating_sub(1).saturating_mul(self.limit),
        }
    }
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    pub(super) total: usize,
}

/// Cuts a page.
pub(super) fn cut<T: Clone>(all: &[T], asked: Asked, meaning: OffsetMeaning, fault: Option<Kind>) -> Page<T> {
    let start = asked.start(meaning);
    let from = |start: usize| all.iter().skip(start).take(asked.limit).cloned().collect::<Vec<T>>();
    let total = all.len();
    match fault {
        Some(Kind::ShiftedPage) => Page { rows: from(start.saturating_add(1)), total },
        Some(Kind::DuplicatePage) => Page { rows: from(start.saturating_sub(asked.limit)), total },
        Some(Kind::WrongTotal) => Page { rows: from(start), total: total + 1 },
        Some(Kind::ClampedPage) => {
            Page { rows: from(start).into_iter().take(CLAMPED_ROWS).collect(), total: total.min(CLAMPED_ROWS) }
        }
        Some(Kind::MissingData) => Page { rows: Vec::new(), total },
        Some(Kind::Endless | Kind::EverNew) if total > 0 => endless(all, start, asked.limit),
        _ => Page { rows: from(start), total },
    }
}

/// Repeats the rows for ever, and always promises one more.
fn endless<T: Clone>(all: &[T], start: usize, limit: usize) -> Page<T> {
    let rows = all.iter().cycle().skip(start % all.len()).take(limit).cloned().collect();
    Page { rows, total: start.saturating_add(limit).saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [u8; 5] = [1, 2, 3, 4, 5];

    fn rows(offset: usize, limit: usize, meaning: OffsetMeaning, fault: Option<Kind>) -> (Vec<u8>, usize) {
        let page = cut(&ALL, Asked { offset, limit }, meaning, fault);
        (page.rows, page.total)
    }

    #[test]
    fn the_three_meanings_of_offset_give_different_pages() {
        assert_eq!(rows(1, 2, OffsetMeaning::Rows, None).0, [2, 3]);
        assert_eq!(rows(1, 2, OffsetMeaning::Pages0, None).0, [3, 4]);
        assert_eq!(rows(1, 2, OffsetMeaning::Pages1, None).0, [1, 2]);
        assert_eq!(rows(0, 2, OffsetMeaning::Pages1, None).0, [1, 2]);
    }

    #[test]
    fn past_the_end_is_an_empty_page_with_the_true_total() {
        assert_eq!(rows(5, 2, OffsetMeaning::Rows, None), (vec![], 5));
        assert_eq!(rows(usize::MAX, 2, OffsetMeaning::Pages0, None), (vec![], 5));
    }

    #[test]
    fn page_faults_do_what_they_say() {
        let page = |kind| rows(2, 2, OffsetMeaning::Rows, Some(kind));
        assert_eq!(page(Kind::ShiftedPage), (vec![4, 5], 5));
        assert_eq!(page(Kind::DuplicatePage), (vec![1, 2], 5));
        assert_eq!(page(Kind::WrongTotal), (vec![3, 4], 6));
        assert_eq!(page(Kind::MissingData), (vec![], 5));
        assert_eq!(page(Kind::Slow), (vec![3, 4], 5));
        let all: Vec<usize> = (0..50).collect();
        let page = cut(&all, Asked { offset: 10, limit: 100 }, OffsetMeaning::Rows, Some(Kind::ClampedPage));
        assert_eq!((page.rows, page.total), ((10..30).collect(), 20));
    }

    #[test]
    fn endless_pages_are_always_full_and_promise_more() {
        let (page, total) = rows(104, 2, OffsetMeaning::Rows, Some(Kind::Endless));
        assert_eq!((page, total), (vec![5, 1], 107));
        let nothing: Page<u8> = cut(&[], Asked { offset: 0, limit: 2 }, OffsetMeaning::Rows, Some(Kind::Endless));
        assert_eq!(nothing.total, 0);
    }

    proptest! {
        #[test]
        fn pages_put_together_are_the_list(length in 0usize..60, limit in 1usize..21) {
            let all: Vec<usize> = (0..length).collect();
            for (meaning, first, step) in
                [(OffsetMeaning::Rows, 0, limit), (OffsetMeaning::Pages0, 0, 1), (OffsetMeaning::Pages1, 1, 1)]
            {
                let pages = (0..=length / limit).map(|n| Asked { offset: first + n * step, limit });
                let together: Vec<usize> = pages.flat_map(|asked| cut(&all, asked, meaning, None).rows).collect();
                prop_assert_eq!(&together, &all);
            }
        }
    }
}
