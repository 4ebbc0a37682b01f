//! A fault that can be planted on any night, with its rules.

use chrono::NaiveDate;

use crate::simulator::generate::shop::Shop;

/// A fault that is planted on every night.
pub(super) struct Plant {
    /// The name of its function.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold what is found against it"))]
    pub(super) name: &'static str,
    /// Rules that find it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold what is found against it"))]
    pub(super) rules: &'static [&'static str],
    /// Plants it on a date.
    pub(super) plant: fn(&mut Shop, NaiveDate),
}
