//! Generates a synthetic merchant with planted breaks: a pure function of a recipe, and the files
//! it is delivered in. Runs no rule and shares no code with the client; the expected breaks follow
//! from how they were planted.
//!
//! Data flow: recipe → shop (histories, traps, plants) → books → files, and the truth.

mod bill;
mod books;
mod calendar;
mod cards;
mod catalog;
mod counts;
mod credentials;
mod files;
mod job_file;
mod lives;
mod merchant;
mod notifications;
mod plants;
mod recipe;
mod shop;
mod traps;
mod truth;
mod vouchers;

use std::path::Path;

use rand::seq::SliceRandom;

use crate::clock::business_date_of;

use shop::{Shop, Stream, chance};

pub(super) use credentials::certificate;
pub use merchant::Merchant;
pub use recipe::{GenerateError, MerchantKind, Recipe};
pub use truth::{Key, Planted};

impl Merchant {
    /// Generates the merchant of a recipe. Time and memory grow with users × nights.
    ///
    /// # Errors
    /// `Users`, `Nights` or `Name` when the recipe could not be consistent.
    pub fn make(recipe: &Recipe) -> Result<Merchant, GenerateError> {
        recipe.check()?;
        let mut shop = Shop::open(recipe);
        lives::live(&mut shop);
        shop.shuffle_turn();
        plants::plant_in_wallets(&mut shop);
        plants::plant_nightly(&mut shop);
        plants::plant_decided(&mut shop);
        traps::set_all(&mut shop);
        lives::fill_pool(&mut shop);
        counts::count(&mut shop);
        cards::issue(&mut shop);
        vouchers::issue(&mut shop.books.world, shop.calendar, &shop.users);
        plants::plant_in_answers(&mut shop);
        Ok(Merchant::close(recipe, shop))
    }

    /// Nothing more happens: the bills are laid out.
    fn close(recipe: &Recipe, shop: Shop) -> Merchant {
        let Shop { calendar, mut books, truth, users, .. } = shop;
        // A bill has no order (reference v3 §4.4).
        books.bill.shuffle(&mut chance(recipe.seed, Stream::BillOrder));
        for row in &books.bill {
            let date = business_date_of(row.time);
            if calendar.holds(date) {
                books.world.bills.insert(date.to_string(), files::bill_name(date));
            }
        }
        Merchant { recipe: recipe.clone(), calendar, users, books, breaks: truth.within(calendar) }
    }

    /// Writes `job.toml`, `secrets/`, the exports, `world/` and `truth/` below `folder`.
    ///
    /// # Errors
    /// `Write` with the path; `Credential` when no key could be made.
    pub fn write(mut self, folder: &Path) -> Result<(), GenerateError> {
        files::write(&mut self, folder)
    }
}

#[cfg(test)]
mod tests;
