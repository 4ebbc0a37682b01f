//! A loser tree (tournament tree): which of many sources comes first, while the first is replaced again and again. After a
//! replacement only the matches on the winner's path are played again, log2(n) of them. Knows nothing about rows.

/// Players are numbered from zero; the caller decides who beats whom.
#[derive(Debug, Default)]
pub(crate) struct LoserTree {
    /// The overall winner at 0, then the loser of every match. Match `m` is played by the winners of `2m` and `2m + 1`;
    /// indices from the number of players on are the players themselves.
    losers: Vec<usize>,
}

impl LoserTree {
    /// Plays every match.
    pub(crate) fn new(players: usize, beats: impl Fn(usize, usize) -> bool) -> LoserTree {
        let mut losers = vec![0; players];
        if players > 0 {
            losers[0] = play(1, &mut losers, &beats);
        }
        LoserTree { losers }
    }

    /// The player that nobody beats.
    #[inline]
    pub(crate) fn winner(&self) -> Option<usize> {
        self.losers.first().copied()
    }

    /// Plays the winner's matches again after it was replaced.
    #[inline]
    pub(crate) fn replay(&mut self, beats: impl Fn(usize, usize) -> bool) {
        let Some(mut winner) = self.winner() else { return };
        let mut at = (self.losers.len() + winner) / 2;
        while at > 0 {
            if beats(self.losers[at], winner) {
                std::mem::swap(&mut self.losers[at], &mut winner);
            }
            at /= 2;
        }
        self.losers[0] = winner;
    }
}

/// Whether one sorted source comes before another: by the beginning of its next key, which decides nearly every comparison
/// without reading the key; then by the key; then by their order. At its end a source has no beginning and comes last.
#[inline]
pub(crate) fn precedes<K: Ord>(
    beginnings: &[Option<u128>],
    key: impl Fn(usize) -> K,
    one: usize,
    other: usize,
) -> bool {
    match (beginnings[one], beginnings[other]) {
        (Some(mine), Some(of_other)) if mine == of_other => (key(one), one) < (key(other), other),
        (Some(mine), Some(of_other)) => mine < of_other,
        (mine, _) => mine.is_some(),
    }
}

/// Plays the subtree at `at` and returns its winner.
fn play(at: usize, losers: &mut [usize], beats: &impl Fn(usize, usize) -> bool) -> usize {
    if at >= losers.len() {
        return at - losers.len();
    }
    let (one, other) = (play(2 * at, losers, beats), play(2 * at + 1, losers, beats));
    let (winner, loser) = if beats(other, one) { (other, one) } else { (one, other) };
    losers[at] = loser;
    winner
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_least_wins_whoever_is_replaced(
            mut players in proptest::collection::vec(0_u8..20, 0..20), later in proptest::collection::vec(0_u8..20, 0..40)
        ) {
            let mut tree = LoserTree::new(players.len(), |one, other| players[one] < players[other]);
            for number in later {
                let winner = tree.winner();
                prop_assert_eq!(winner.map(|it| players[it]), players.iter().min().copied());
                winner.into_iter().for_each(|it| players[it] = number);
                tree.replay(|one, other| players[one] < players[other]);
            }
        }
    }
}
