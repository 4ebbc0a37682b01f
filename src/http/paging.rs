//! Where a walk over pages stands. The meaning of an offset is the walker's affair.

/// State of a walk whose position is a `P`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging<P> {
    /// Nothing was asked yet.
    Start,
    /// The next page begins here.
    HasMore(P),
    /// The last page was seen.
    Done,
}

impl<P: Copy> Paging<P> {
    /// The position to ask next, `first` at the start, none at the end.
    pub fn next(&self, first: P) -> Option<P> {
        match self {
            Paging::Start => Some(first),
            Paging::HasMore(position) => Some(*position),
            Paging::Done => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_begins_at_the_first_position_and_ends_with_none() {
        assert_eq!(Paging::Start.next(0), Some(0));
        assert_eq!(Paging::HasMore(20).next(0), Some(20));
        assert_eq!(Paging::Done.next(0), None);
    }
}
