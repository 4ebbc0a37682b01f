//! The parameters of a synthetic merchant. The same recipe always gives the same bytes.

use std::path::PathBuf;

use chrono::NaiveDate;

/// The parameters of a merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The seed of all randomness in it.
    pub seed: u64,
    /// `job.name`.
    pub name: String,
    /// Wallets.
    pub users: u32,
    /// Business dates a job can be run for.
    pub nights: u32,
    /// The first of them.
    pub first_date: NaiveDate,
    /// What it sells.
    pub kind: MerchantKind,
}

/// What a merchant sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MerchantKind {
    /// 瑞云咖啡, a coffee chain.
    Coffee,
    /// 麦香面包房, a bakery.
    Bakery,
}

/// Why no merchant could be generated or written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Too few wallets to hide the planted breaks in, or too many to number.
    #[error("`{users}` users are not between `{least}` (for `{nights}` nights) and `{MOST_USERS}`")]
    Users {
        /// Requested.
        users: u32,
        /// Minimum for this number of nights.
        least: u32,
        /// Requested nights.
        nights: u32,
    },
    /// All nights must be within one look-back.
    #[error("`{0}` nights are not between 1 and `{MOST_NIGHTS}`")]
    Nights(u32),
    /// The job name must fit into a quoted TOML string.
    #[error("the name `{0}` must be made of letters, digits, `-` and `_`")]
    Name(String),
    /// A key or certificate could not be made.
    #[error("cannot make the `{what}`: {reason}")]
    Credential {
        /// Which one.
        what: &'static str,
        /// The reason given by the library.
        reason: String,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// All planted breaks stay inside the look-back of 30 days.
const MOST_NIGHTS: u32 = 28;
const LEAST_USERS: u32 = 20;
/// Serial numbers have eight digits in an order number.
const MOST_USERS: u32 = 5_000_000;
/// So that no user gets more of a stock than the stock allows.
const USERS_PER_NIGHT: u32 = 10;

impl Recipe {
    /// A coffee chain.
    pub fn new(seed: u64, users: u32, nights: u32, first_date: NaiveDate) -> Recipe {
        Recipe { seed, name: "ruiyun-coffee".to_owned(), users, nights, first_date, kind: MerchantKind::Coffee }
    }

    /// The recipe of the committed `sample-data/`.
    pub fn sample() -> Recipe {
        let first_date = NaiveDate::from_ymd_opt(2026, 11, 18).expect("the 18th of November exists");
        Recipe::new(20_261_118, 300, 3, first_date)
    }

    /// Refuses what would not give a consistent merchant.
    pub(super) fn check(&self) -> Result<(), GenerateError> {
        if !(1..=MOST_NIGHTS).contains(&self.nights) {
            return Err(GenerateError::Nights(self.nights));
        }
        let least = LEAST_USERS.max(self.nights * USERS_PER_NIGHT);
        if !(least..=MOST_USERS).contains(&self.users) {
            return Err(GenerateError::Users { users: self.users, least, nights: self.nights });
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if self.name.is_empty() || !self.name.bytes().all(plain) {
            return Err(GenerateError::Name(self.name.clone()));
        }
        Ok(())
    }
}

impl MerchantKind {
    /// The name of the shop.
    pub(super) fn brand(self) -> &'static str {
        match self {
            MerchantKind::Coffee => "瑞云咖啡",
            MerchantKind::Bakery => "麦香面包房",
        }
    }

    /// Product texts as tills write them: commas, quotes, backticks and a formula among them.
    /// None holds comma + backtick, the separator of a bill (reference v3 §4.3).
    pub(super) fn products(self) -> &'static [&'static str] {
        match self {
            MerchantKind::Coffee => &[
                "拿铁(大杯)",
                "生椰拿铁, 少冰, 去糖",
                "\"手冲\"耶加雪菲",
                "美式`加浓`",
                "=1+1 第二杯半价",
                "澳白 355ml",
                "抹茶拿铁;燕麦奶",
                "冰博克'限定'",
            ],
            MerchantKind::Bakery => &[
                "牛角包×2",
                "全麦吐司, 切片",
                "\"老面\"馒头",
                "奶油`手撕`包",
                "=1+1 买一送一",
                "肉松贝贝",
                "提拉米苏;小份",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_recipe_is_three_november_nights_of_three_hundred_users() {
        let sample = Recipe::sample();
        assert_eq!((sample.seed, sample.users, sample.nights), (20_261_118, 300, 3));
        assert_eq!(sample.first_date.to_string(), "2026-11-18");
        assert!(sample.check().is_ok());
    }

    #[test]
    fn recipes_that_cannot_be_consistent_are_refused_with_the_value() {
        let sample = Recipe::sample();
        let messages: Vec<String> = [
            Recipe { users: 29, ..sample.clone() },
            Recipe { nights: 0, ..sample.clone() },
            Recipe { nights: 29, ..sample.clone() },
            Recipe { name: "a\"b".to_owned(), ..sample },
        ]
        .iter()
        .map(|recipe| recipe.check().unwrap_err().to_string())
        .collect();
        assert_eq!(
            messages,
            [
                "`29` users are not between `30` (for `3` nights) and `5000000`",
                "`0` nights are not between 1 and `28`",
                "`29` nights are not between 1 and `28`",
                "the name `a\"b` must be made of letters, digits, `-` and `_`",
            ]
        );
    }

    #[test]
    fn no_product_holds_the_separator_of_a_bill() {
        for kind in [MerchantKind::Coffee, MerchantKind::Bakery] {
            assert!(kind.products().iter().all(|product| !product.contains(",`") && !product.ends_with(',')));
        }
    }
}
