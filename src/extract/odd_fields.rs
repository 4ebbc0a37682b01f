//! Counts the objects of a stage of which a field was odd: one that decides nothing and could be passed over
//! (`wechat::oddity`), or an invalid time. Such a field is null and kept in `extra`. It makes nothing
//! incomplete, but somebody should look.

use std::collections::BTreeSet;

use super::harvest::Harvest;
use super::unknown_values::{Known, UnknownValues};
use crate::quantity::{agreeing, counted};
use crate::wechat::lenient::Extra;
use crate::wechat::oddity::Shape;

/// Objects with odd fields.
#[derive(Debug, Default)]
pub(super) struct OddFields {
    objects: usize,
    names: BTreeSet<String>,
    unknown: UnknownValues,
}

impl OddFields {
    /// Counts an object of this shape, by the `extra` of its row: most rows have none.
    pub(super) fn see(&mut self, shape: &Shape, extra: Option<&str>) {
        // Parsing it is dearer than looking for the names.
        let Some(extra) = extra.filter(|extra| shape.names().any(|name| extra.contains(name))) else { return };
        let leftover: Extra = serde_json::from_str(extra).unwrap_or_default();
        let odd = shape.odd_among(&leftover);
        self.objects += usize::from(!odd.is_empty());
        self.names.extend(odd);
    }

    /// Counts an object whose columns have values that this version does not know.
    pub(super) fn see_values<'v>(&mut self, columns: impl IntoIterator<Item = (Known, Option<&'v str>)>) {
        self.unknown.see(columns);
    }

    /// Counts those of `other` too.
    pub(super) fn add(&mut self, other: OddFields) {
        self.objects += other.objects;
        self.unknown.add(other.unknown);
        self.names.extend(other.names);
    }

    /// Tells what was odd, and notes it in the harvest.
    pub(super) fn noted_in<R>(mut self, harvest: Harvest<R>, one: &str, many: &str) -> Harvest<R> {
        let unknown = std::mem::take(&mut self.unknown).tell(one, many);
        harvest.noting("odd_fields", self.tell(one, many)).noting("unknown_values", unknown)
    }

    /// Tells what was odd and returns the number of objects.
    fn tell(self, one: &str, many: &str) -> usize {
        let count = self.objects;
        if count > 0 {
            let names = self.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let (objects, have) = (counted(count, one, many), agreeing(&count, "has", "have"));
            tracing::warn!(
                "{objects} {have} values of an odd shape, which are null in their columns and kept in `extra`: {names}"
            );
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::oddity::Mendable;
    use crate::wechat::pay_v3::busifavor::UserCoupon;

    #[test]
    fn what_was_odd_is_counted_once_an_object_and_what_is_only_unknown_is_not() {
        let mut odd = OddFields::default();
        for extra in [
            None,
            Some(r#"{"loyalty":{"use_time":1},"coupon_use_rule":{"brand_new":{"available_week":1}}}"#),
            Some(r#"{"use_time":"soon","comment":[]}"#),
            Some(r#"{"coupon_use_rule":{"coupon_available_time":{"available_week":7}}}"#),
        ] {
            odd.see(&UserCoupon::<String>::SHAPE, extra);
        }
        let names = ["comment", "coupon_use_rule.coupon_available_time.available_week", "use_time"];
        assert_eq!(odd.names.iter().map(String::as_str).collect::<Vec<_>>(), names);
        let mut all = OddFields::default();
        all.add(odd);
        assert_eq!(all.tell("coupon", "coupons"), 2);
    }
}
