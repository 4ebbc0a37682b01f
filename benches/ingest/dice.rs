//! Random numbers that are the same in every run (SplitMix64).

/// A sequence of throws.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of several.
    pub(super) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.next() % of.len() as u64).expect("an index")]
    }

    /// An openid: 28 characters, the first of them the same for all users of an account.
    pub(super) fn openid(&mut self) -> String {
        // Users come back: a large day has ten rows for each of them.
        let mut user = Dice(self.below(1_000_000));
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let letters = (0..19).map(|_| char::from(alphabet[usize::try_from(user.next() % 64).expect("an index")]));
        ["oUpF8uMuA"].into_iter().flat_map(str::chars).chain(letters).collect()
    }
}

/// Ten digits that look random and never repeat: a large day has no two payments with one number.
pub(super) fn scattered(number: u64) -> u64 {
    number.wrapping_mul(7_393_913_117) % 10_000_000_000
}
