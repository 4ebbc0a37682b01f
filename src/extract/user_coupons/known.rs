//! What is known of coupons, one row a coupon: the row that came last. Rows are sorted on the disk; which of
//! them stand for others is counted.

use std::collections::BTreeSet;
use std::io;

use crate::dataset::manifest::Intake;
use crate::record::{Record, UserCoupon};
use crate::sorter::{Keeper, Kept, PackedRow, Room, Sorted, Sorter};

/// One row a coupon, and where the rows came from.
#[derive(Debug)]
pub(super) struct Known {
    /// Sorted by key.
    pub(super) coupons: Kept,
    /// Their stocks.
    pub(super) stocks: BTreeSet<String>,
    /// The control totals.
    pub(super) intake: Intake,
}

/// Rows as they come.
pub(super) struct Gathered {
    room: Room,
    rows: Sorter,
    pub(super) intake: Intake,
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(room: &Room) -> Gathered {
        Gathered::after(Intake::of(UserCoupon::DATASET), room)
    }

    /// Nothing after what `intake` counts.
    pub(super) fn after(intake: Intake, room: &Room) -> Gathered {
        Gathered { room: room.clone(), rows: Sorter::new(room), intake }
    }

    /// A row of an answer.
    pub(super) fn put(&mut self, coupon: &UserCoupon) -> io::Result<()> {
        self.intake.read(coupon.amount());
        self.rows.push(coupon)
    }

    /// A row of an earlier night.
    pub(super) fn carry(&mut self, coupon: &UserCoupon) -> io::Result<()> {
        self.intake.carry(coupon.amount());
        self.rows.push(coupon)
    }

    /// Of every coupon the row that came last.
    pub(super) fn settle(self) -> io::Result<Known> {
        last_of_each(self.rows.finish()?, self.intake, &self.room)
    }

    /// What is known after these rows took the place of those of `known`.
    pub(super) fn replace(self, known: Known) -> io::Result<Known> {
        if self.rows.rows() == 0 {
            return Ok(Known { intake: self.intake, ..known });
        }
        last_of_each(known.coupons.rows()?.and(self.rows.finish()?), self.intake, &self.room)
    }
}

fn last_of_each(rows: Sorted, mut intake: Intake, room: &Room) -> io::Result<Known> {
    let (mut keeper, mut stocks) = (Keeper::new(room), BTreeSet::<String>::new());
    let keep = |row: PackedRow<'_>| {
        let stock_id = row.unpack().key_text();
        if stocks.last().is_none_or(|last| *last != stock_id) {
            stocks.insert(stock_id.into_owned());
        }
        keeper.push(&row)
    };
    rows.last_of_each(|earlier| intake.repeat(UserCoupon::unpack(&mut earlier.unpack()).amount()), keep)?;
    Ok(Known { coupons: keeper.finish()?, stocks, intake })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;
    use crate::money::Fen;

    /// The same, held in a map: what a night did before it sorted.
    #[derive(Default)]
    struct Model {
        coupons: BTreeMap<(String, String, String), UserCoupon>,
        intake: Intake,
    }

    impl Model {
        fn keep(&mut self, coupon: UserCoupon) {
            let key = (coupon.stock_id.clone(), coupon.coupon_code.clone(), coupon.openid.clone());
            if let Some(earlier) = self.coupons.insert(key, coupon) {
                self.intake.repeat(Record::amount(&earlier));
            }
        }
    }

    /// A row that came: from an answer or an earlier night, and whether after the single queries.
    #[derive(Debug, Clone)]
    struct Step {
        coupon: UserCoupon,
        is_carried: bool,
    }

    fn coupon(key: (u8, u8, u8), fen: Option<i64>, comment: Option<String>) -> UserCoupon {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let wire = serde_json::from_str(&format!(r#"{{"stock_id":"{}","coupon_code":"C{}"}}"#, key.0, key.1)).unwrap();
        let row = super::super::user_coupon_row(&wire, &format!("o{}", key.2), date);
        UserCoupon { discount_amount_fen: fen.map(Fen), comment, ..row }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = (9_u8..12, 0_u8..6, 0_u8..3);
        let step = (key, prop::option::of(-9_i64..1000), prop::option::of("[a-c]{0,40}"), any::<bool>());
        let step =
            step.prop_map(|(key, fen, comment, is_carried)| Step { coupon: coupon(key, fen, comment), is_carried });
        prop::collection::vec(step, 0..60)
    }

    fn take(gathered: &mut Gathered, model: &mut Model, steps: &[Step]) {
        for Step { coupon, is_carried } in steps {
            let amount = Record::amount(coupon);
            match is_carried {
                true => {
                    gathered.carry(coupon).unwrap();
                    model.intake.carry(amount);
                }
                false => {
                    gathered.put(coupon).unwrap();
                    model.intake.read(amount);
                }
            }
            model.keep(coupon.clone());
        }
    }

    proptest! {
        #[test]
        fn any_answers_and_carried_rows_give_what_a_map_of_them_held(
            first in steps(), second in steps(), memory_bytes in prop_oneof![1_usize..4_000, Just(usize::MAX)]
        ) {
            let folder = tempfile::tempdir().unwrap();
            let room = Room { folder: folder.path().to_owned(), memory_bytes };
            let mut model = Model { intake: Intake::of(UserCoupon::DATASET), ..Model::default() };
            let mut gathered = Gathered::new(&room);
            take(&mut gathered, &mut model, &first);
            let known = gathered.settle().unwrap();
            prop_assert_eq!(&known.intake, &model.intake);
            let mut gathered = Gathered::after(known.intake.clone(), &room);
            take(&mut gathered, &mut model, &second);
            let known = gathered.replace(known).unwrap();
            let own = |row: PackedRow<'_>| UserCoupon::unpack(&mut row.unpack()).into_owned();
            let rows: Vec<_> = known.coupons.rows().unwrap().map(own).map(Result::unwrap).collect();
            let stocks: BTreeSet<_> = model.coupons.keys().map(|key| key.0.clone()).collect();
            prop_assert_eq!(known.coupons.len(), model.coupons.len() as u64);
            prop_assert_eq!(rows, model.coupons.into_values().collect::<Vec<_>>());
            prop_assert_eq!((known.intake, known.stocks), (model.intake, stocks));
        }
    }
}
