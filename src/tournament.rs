//! Which of many players is the first, while one after the other is replaced: a tree of losers. When the winner is replaced,
//! only the matches on its way are played again, one for every doubling of the players. Knows no row.

/// Players are numbers from zero on; who beats whom is asked of the caller.
#[derive(Debug, Default)]
pub(crate) struct Tournament {
    /// The winner of all stands first, then the loser of every match. Match `m` is that of the winners of `2m` and
    /// `2m + 1`, where from the number of players on the players themselves stand.
    losers: Vec<usize>,
}

impl Tournament {
    /// Plays every match.
    pub(crate) fn of(players: usize, beats: impl Fn(usize, usize) -> bool) -> Tournament {
        let mut losers = vec![0; players];
        if players > 0 {
            losers[0] = play(1, &mut losers, &beats);
        }
        Tournament { losers }
    }

    /// The player nobody beats.
    #[inline]
    pub(crate) fn winner(&self) -> Option<usize> {
        self.losers.first().copied()
    }

    /// Plays the matches of the winner again, after it was replaced.
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

/// The winner of what leads to this place.
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
            let mut tournament = Tournament::of(players.len(), |one, other| players[one] < players[other]);
            for number in later {
                let winner = tournament.winner();
                prop_assert_eq!(winner.map(|it| players[it]), players.iter().min().copied());
                winner.into_iter().for_each(|it| players[it] = number);
                tournament.replay(|one, other| players[one] < players[other]);
            }
        }
    }
}
