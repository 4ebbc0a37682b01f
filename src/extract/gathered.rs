//! Collects rows of one dataset and keeps the last one per key. They are sorted on disk; replaced rows are counted.

use std::io;
use std::marker::PhantomData;

use super::{Issue, Night};
use crate::dataset::manifest::Intake;
use crate::money::Fen;
use crate::record::{Record, SubsidyPayment, SubsidyReturn, UserCoupon};
use crate::sorter::{Keeper, Kept, Packed, PackedRow, PackedRows, Room, Sorted, Sorter};

/// A row that can be collected.
pub(super) trait Gatherable: Record + Packed {
    /// The amount of a packed row, for the control total.
    fn amount_of(row: PackedRow<'_>) -> Fen;
}

impl Gatherable for UserCoupon {
    fn amount_of(row: PackedRow<'_>) -> Fen {
        UserCoupon::unpack(&mut row.unpack()).discount_amount_fen.unwrap_or_default()
    }
}

impl Gatherable for SubsidyPayment {
    fn amount_of(row: PackedRow<'_>) -> Fen {
        SubsidyPayment::unpack(&mut row.unpack()).amount_fen
    }
}

impl Gatherable for SubsidyReturn {
    fn amount_of(row: PackedRow<'_>) -> Fen {
        SubsidyReturn::unpack(&mut row.unpack()).amount_fen
    }
}

/// One row per key, and the control totals of the rows they came from.
#[derive(Debug)]
pub(super) struct Known<R> {
    /// Sorted by key.
    pub(super) rows: Kept,
    /// The control totals.
    pub(super) intake: Intake,
    kind: PhantomData<R>,
}

/// Packed rows of some answers, prepared on another thread.
#[derive(Debug)]
pub(super) struct Handful<R> {
    rows: PackedRows,
    intake: Intake,
    kind: PhantomData<R>,
}

/// Collects rows in the order in which they come.
pub(super) struct Gathered<R> {
    room: Room,
    rows: Sorter,
    pub(super) intake: Intake,
    kind: PhantomData<R>,
}

impl<R: Gatherable> Handful<R> {
    /// Empty, for a number of pages.
    pub(super) fn of_pages(pages: usize) -> Handful<R> {
        let intake = Intake { pages: pages as u64, ..Intake::default() };
        Handful { rows: PackedRows::default(), intake, kind: PhantomData }
    }

    /// Adds a row of an answer, packed as `R` is; it may borrow its strings.
    pub(super) fn put(&mut self, row: &impl Packed, amount: Fen) {
        self.intake.read(amount);
        self.rows.push(row);
    }
}

impl<R: Gatherable> Gathered<R> {
    /// Empty.
    pub(super) fn new(room: &Room) -> Gathered<R> {
        Gathered::after(Intake::of(R::DATASET), room)
    }

    /// Empty, with counts that continue `intake`.
    pub(super) fn after(intake: Intake, room: &Room) -> Gathered<R> {
        Gathered { room: room.clone(), rows: Sorter::new(room), intake, kind: PhantomData }
    }

    /// Adds a row of an answer.
    pub(super) fn put(&mut self, row: &R) -> io::Result<()> {
        self.intake.read(row.amount());
        self.rows.push(row)
    }

    /// Adds rows of answers.
    pub(super) fn add(&mut self, handful: &Handful<R>) -> io::Result<()> {
        self.intake.pages += handful.intake.pages;
        self.intake.read += handful.intake.read;
        self.intake.read_fen += handful.intake.read_fen;
        handful.rows.iter().try_for_each(|row| self.rows.push(&row))
    }

    /// Adds a row of an earlier night.
    pub(super) fn carry(&mut self, row: PackedRow<'_>, amount: Fen) -> io::Result<()> {
        self.intake.carry(amount);
        self.rows.push(&row)
    }

    /// Keeps the last row of each key.
    pub(super) fn settle(self) -> io::Result<Known<R>> {
        let Gathered { room, rows, mut intake, .. } = self;
        let rows = last_of_each(rows.finish()?, &room, |earlier| intake.repeat(R::amount_of(earlier)))?;
        Ok(Known { rows, intake, kind: PhantomData })
    }

    /// Puts these rows in place of those of `known` with the same keys.
    pub(super) fn replace(self, known: &Kept) -> io::Result<Known<R>> {
        self.settle()?.over(known)
    }
}

impl<R: Gatherable> Known<R> {
    /// Adds those rows of the last night whose keys tonight's answers do not have, as tonight's.
    pub(super) fn carrying(mut self, night: &Night<'_>) -> Result<Known<R>, Issue> {
        let mut carried = Keeper::new(&night.corner());
        night.each_yesterday::<R>(|row| {
            self.intake.carry(R::amount_of(row));
            carried.push(&row).map_err(Issue::unsorted)
        })?;
        let superseded = |earlier: PackedRow<'_>| {
            self.intake.carried -= 1;
            self.intake.carried_fen = self.intake.carried_fen - R::amount_of(earlier);
        };
        let rows = carried.finish().and_then(|carried| carried.replaced_by(&self.rows, superseded));
        self.rows = rows.map_err(Issue::unsorted)?;
        Ok(self)
    }

    /// These rows in place of those of `earlier` with the same keys, which count as repeated.
    fn over(mut self, earlier: &Kept) -> io::Result<Known<R>> {
        self.rows = earlier.replaced_by(&self.rows, |row| self.intake.repeat(R::amount_of(row)))?;
        Ok(self)
    }
}

fn last_of_each(rows: Sorted, room: &Room, earlier: impl FnMut(PackedRow<'_>)) -> io::Result<Kept> {
    let mut keeper = Keeper::new(room);
    rows.last_of_each(earlier, |row| keeper.push(&row))?;
    keeper.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;
    use crate::extract::night::Imprint;
    use crate::sorter::HeldRow;

    /// The same with a map in memory, as a reference.
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

    /// A row that was received, from an answer or carried over from an earlier night.
    #[derive(Debug, Clone)]
    struct Step {
        coupon: UserCoupon,
        is_carried: bool,
    }

    fn coupon(key: (u8, u8, u8), fen: Option<i64>, comment: Option<String>) -> UserCoupon {
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let wire = serde_json::from_str(&format!(r#"{{"stock_id":"{}","coupon_code":"C{}"}}"#, key.0, key.1)).unwrap();
        let row = crate::extract::wire::user_coupon_row(wire, format!("o{}", key.2), Imprint::raw(date));
        UserCoupon { discount_amount_fen: fen.map(Fen), comment, ..row }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = (9_u8..12, 0_u8..6, 0_u8..3);
        let step = (key, prop::option::of(-9_i64..1000), prop::option::of("[a-c]{0,40}"), any::<bool>());
        let step =
            step.prop_map(|(key, fen, comment, is_carried)| Step { coupon: coupon(key, fen, comment), is_carried });
        prop::collection::vec(step, 0..60)
    }

    fn take(gathered: &mut Gathered<UserCoupon>, model: &mut Model, steps: &[Step]) {
        for Step { coupon, is_carried } in steps {
            let amount = Record::amount(coupon);
            match is_carried {
                true => {
                    let mut packed = HeldRow::default();
                    packed.pack(coupon);
                    gathered.carry(packed.row(), amount).unwrap();
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
            let known = gathered.replace(&known.rows).unwrap();
            let own = |row: PackedRow<'_>| UserCoupon::unpack(&mut row.unpack()).into_owned();
            let rows: Vec<_> = known.rows.rows().unwrap().map(own).map(Result::unwrap).collect();
            prop_assert_eq!(known.rows.len(), model.coupons.len() as u64);
            prop_assert_eq!(rows, model.coupons.into_values().collect::<Vec<_>>());
            prop_assert_eq!(known.intake, model.intake);
        }
    }
}
