//! Planted breaks: one function per fault, each with the expected break. A function changes one
//! fact of otherwise consistent records, and what must be found follows from that change alone.

mod claims;
mod decided;
mod figures;
mod payments;
mod plant;
mod refunds;
mod subsidies;

use super::shop::Shop;
use plant::Plant;

pub(super) use decided::plant_decided;
pub(super) use figures::{plant_in_answers, plant_in_wallets};

/// Large merchants get one more of each per so many users.
const USERS_PER_COPY: usize = 5_000;

/// Every nightly plant.
fn nightly() -> impl Iterator<Item = &'static Plant> {
    [claims::PLANTS, payments::PLANTS, refunds::PLANTS, subsidies::PLANTS].into_iter().flatten()
}

/// Plants every fault on every night.
pub(super) fn plant_nightly(shop: &mut Shop) {
    let copies = 1 + shop.users.len() / USERS_PER_COPY;
    for date in shop.calendar.dates() {
        for plant in nightly() {
            for _ in 0..copies {
                (plant.plant)(shop, date);
            }
        }
    }
}

/// Rules of the plants that are not nightly.
#[cfg(test)]
pub(super) const LASTING_RULES: &[&str] = figures::RULES;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::recipe::Recipe;
    use super::*;

    #[test]
    fn a_plant_makes_truth_for_its_rules_and_for_no_other() {
        for plant in nightly() {
            let mut shop = Shop::open(&Recipe::sample());
            (plant.plant)(&mut shop, Recipe::sample().first_date);
            let found: BTreeSet<_> = shop.truth.within(shop.calendar).iter().map(|planted| planted.rule_id).collect();
            assert_eq!(found, plant.rules.iter().copied().collect(), "{}", plant.name);
        }
    }

    #[test]
    fn plants_have_names_of_their_own() {
        let names: BTreeSet<_> = nightly().map(|plant| plant.name).collect();
        assert_eq!(names.len(), nightly().count());
    }
}
