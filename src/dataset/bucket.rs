//! The lake in a bucket: which objects a night or a reader downloads into the work folder, and which
//! days are published, whether downloaded or not. Uploads nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use super::parts;
use crate::record::{Break, Record, SubsidyOrder};
use crate::store::{Mirror, StoreError};

/// What to download.
#[derive(Debug, Clone)]
pub enum Scope {
    /// All that a night of `date` reads: the look-back since `from`, the latest day before it where that
    /// is the memory, the day itself, its journal, every manifest and the state.
    Night {
        /// Business date.
        date: NaiveDate,
        /// First day of the look-back.
        from: NaiveDate,
    },
    /// What `verify` reads: the same, without the wallets in the state.
    Audit {
        /// Business date.
        date: NaiveDate,
        /// First day of the look-back.
        from: NaiveDate,
    },
    /// The journal of one day.
    Journal {
        /// Business date.
        date: NaiveDate,
    },
    /// The manifests: which run published what, and how.
    Manifests,
    /// Some days of one dataset.
    Days {
        /// Dataset.
        dataset: &'static str,
        /// First day.
        from: NaiveDate,
        /// Last day.
        to: NaiveDate,
    },
}

/// The bucket behind a work folder, as listed when it was downloaded.
#[derive(Debug)]
pub struct Bucket {
    mirror: Arc<Mirror>,
    published: BTreeMap<String, BTreeSet<NaiveDate>>,
}

impl Bucket {
    /// Downloads what `scope` needs. Of other days of the datasets only the names are known.
    ///
    /// # Errors
    /// The bucket or the work folder is not accessible.
    pub fn bring_in(mirror: Arc<Mirror>, scope: &Scope) -> Result<Bucket, StoreError> {
        let folders = scope.folders();
        let mut listed = Vec::new();
        for folder in &folders {
            listed.extend(mirror.store().list(folder)?);
        }
        let published = published(listed.iter().map(|object| object.key.as_str()));
        let days: BTreeMap<&str, BTreeSet<NaiveDate>> =
            published.iter().map(|(dataset, days)| (dataset.as_str(), scope.days(dataset, days))).collect();
        let is_wanted = |key: &str| match day_of(key) {
            Some((dataset, day)) => days.get(dataset).is_some_and(|days| days.contains(&day)),
            None => scope.wants(key),
        };
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        mirror.bring_in(&listed, &folders, &is_wanted)?;
        Ok(Bucket { mirror, published })
    }

    /// The work folder and its store.
    pub fn mirror(&self) -> &Arc<Mirror> {
        &self.mirror
    }

    /// The days of `dataset` that are published, oldest first.
    pub fn published(&self, dataset: &str) -> impl Iterator<Item = NaiveDate> {
        self.published.get(dataset).into_iter().flatten().copied()
    }
}

impl Scope {
    fn folders(&self) -> Vec<String> {
        match self {
            Scope::Night { date, .. } | Scope::Audit { date, .. } => {
                let of_day = ["journal", "reports"].map(|folder| format!("{folder}/dt={date}"));
                ["datasets", "runs", "state"].map(str::to_owned).into_iter().chain(of_day).collect()
            }
            Scope::Journal { date } => vec![format!("journal/dt={date}")],
            Scope::Manifests => ["datasets", "runs"].map(str::to_owned).into(),
            Scope::Days { dataset, .. } => vec![format!("datasets/{dataset}")],
        }
    }

    /// Whether to read an object that belongs to no day of a dataset.
    fn wants(&self, key: &str) -> bool {
        if key.starts_with("runs/") {
            return key.contains("/manifest.json");
        }
        match self {
            Scope::Audit { .. } if key.starts_with("state/") => key.ends_with(".json"),
            _ => !key.ends_with(".lock"),
        }
    }

    /// Those published days whose files are read.
    fn days(&self, dataset: &str, published: &BTreeSet<NaiveDate>) -> BTreeSet<NaiveDate> {
        let (date, from) = match self {
            Scope::Journal { .. } | Scope::Manifests => return BTreeSet::new(),
            Scope::Days { from, to, .. } => return published.range(from.min(to)..=to).copied().collect(),
            Scope::Night { date, from } | Scope::Audit { date, from, .. } => (*date, *from),
        };
        let mut days: BTreeSet<NaiveDate> = published.range(from.min(date)..=date).copied().collect();
        let earlier = published.range(..date);
        match dataset {
            // A subsidy order of any age may still lack its receipt.
            SubsidyOrder::DATASET => days.extend(earlier),
            // A decision may refer to a break of any day.
            Break::DATASET => days.extend(published),
            _ => days.extend(earlier.last()),
        }
        days
    }
}

/// `datasets/orders/dt=2026-11-18/…` → `orders`, the day.
fn day_of(key: &str) -> Option<(&str, NaiveDate)> {
    let mut parts = key.strip_prefix("datasets/")?.split('/');
    let (dataset, day) = (parts.next()?, parts.next()?.strip_prefix("dt=")?.parse().ok()?);
    parts.next().map(|_| (dataset, day))
}

fn published<'a>(keys: impl Iterator<Item = &'a str>) -> BTreeMap<String, BTreeSet<NaiveDate>> {
    let mut published: BTreeMap<String, BTreeSet<NaiveDate>> = BTreeMap::new();
    for (dataset, day) in keys.filter(|key| key.rsplit('/').next() == Some(parts::FIRST)).filter_map(day_of) {
        published.entry(dataset.to_owned()).or_default().insert(day);
    }
    published
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Lake;
    use crate::dataset::partition::{PartLimit, Provenance};
    use crate::dataset::publish::Staging;
    use crate::record::CouponCode;
    use crate::store::{Put, in_memory};

    fn day(month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, month, day).unwrap()
    }

    fn night(date: NaiveDate) -> Scope {
        Scope::Night { date, from: date - chrono::Days::new(29) }
    }

    #[test]
    fn the_look_back_comes_in_and_the_memory_and_nothing_else() {
        let days = BTreeSet::from([day(8, 1), day(9, 1), day(11, 1), day(11, 18), day(11, 19)]);
        let scope = night(day(11, 18));
        let of = |dataset| scope.days(dataset, &days).into_iter().collect::<Vec<_>>();
        assert_eq!(of("orders"), [day(11, 1), day(11, 18)]);
        assert_eq!(of("breaks"), [day(8, 1), day(9, 1), day(11, 1), day(11, 18), day(11, 19)]);
        assert_eq!(of("subsidy_orders"), [day(8, 1), day(9, 1), day(11, 1), day(11, 18)]);
        assert_eq!(night(day(10, 30)).days("orders", &days).into_iter().collect::<Vec<_>>(), [day(9, 1)]);
    }

    #[test]
    fn a_day_that_was_not_brought_in_is_known_and_its_file_is_not_there() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        for date in ["2026-08-01", "2026-09-01", "2026-11-17"] {
            store.put(&format!("datasets/orders/dt={date}/part-0.parquet"), b"p".to_vec(), Put::New).unwrap();
        }
        store.put("datasets/orders/dt=2026-11-16/_SUCCESS", Vec::new(), Put::New).unwrap();
        let mirror = Arc::new(Mirror::open(store, folder.path()).unwrap());
        let lake = Lake::in_bucket(Bucket::bring_in(mirror, &night(day(11, 18))).unwrap());
        let known = lake.partitions("orders", NaiveDate::MIN, day(11, 18)).unwrap();
        let there: Vec<_> = known.iter().map(|it| (it.date, it.path.is_file())).collect();
        assert_eq!(there, [(day(8, 1), false), (day(9, 1), false), (day(11, 17), true)]);
    }

    #[test]
    fn manifests_come_in_without_a_day_of_the_datasets() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let run = "runs/2026-11-17/20261118T040000Z-6b554b17";
        let keys = ["datasets/orders/dt=2026-11-17/part-0.parquet", "journal/dt=2026-11-17/x", "state/j.json"];
        for key in keys.map(str::to_owned).into_iter().chain(["log", "manifest.json"].map(|it| format!("{run}/{it}"))) {
            store.put(&key, b"p".to_vec(), Put::New).unwrap();
        }
        let mirror = Arc::new(Mirror::open(store, folder.path()).unwrap());
        let lake = Lake::in_bucket(Bucket::bring_in(mirror, &Scope::Manifests).unwrap());
        let days = lake.partitions("orders", NaiveDate::MIN, day(11, 18)).unwrap();
        assert_eq!(days.iter().map(|it| (it.date, it.path.is_file())).collect::<Vec<_>>(), [(day(11, 17), false)]);
        assert!(folder.path().join(run).join("manifest.json").is_file());
        for key in ["journal", "state", "datasets"].into_iter().chain([format!("{run}/log").as_str()]) {
            assert!(
                !folder.path().join(key).is_file() && !folder.path().join(key).join("dt=2026-11-17").exists(),
                "{key}"
            );
        }
    }

    #[test]
    fn a_published_day_stands_in_the_bucket_marker_after_partition_and_the_same_bytes_are_put_once() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let publish = || {
            let mirror = Arc::new(Mirror::open(store.clone(), folder.path()).unwrap());
            let lake = Lake::in_bucket(Bucket::bring_in(mirror, &night(day(11, 18))).unwrap());
            lake.prepare().unwrap();
            let staging = Staging::open(&lake, "r", day(11, 18)).unwrap();
            let files = staging.write::<CouponCode>(&[], &Provenance::default()).unwrap();
            staging.publish(&files).unwrap();
            assert_eq!(lake.shown(&lake.reports(day(11, 18))), "s3://bucket/prefix/reports/dt=2026-11-18");
            store.list("datasets").unwrap()
        };
        let first = publish();
        let keys: Vec<_> = first.iter().map(|object| object.key.as_str()).collect();
        let place = "datasets/coupon_codes/dt=2026-11-18";
        assert_eq!(keys, [format!("{place}/_SUCCESS"), format!("{place}/part-0.parquet")]);
        assert_eq!(publish(), first);
    }

    #[test]
    fn parts_are_put_before_the_marker_and_those_there_are_no_more_of_are_removed() {
        let (store, folder) = (in_memory(), tempfile::tempdir().unwrap());
        let publish = |parts: usize| {
            let mirror = Arc::new(Mirror::open(store.clone(), folder.path()).unwrap());
            let lake = Lake::in_bucket(Bucket::bring_in(mirror, &night(day(11, 18))).unwrap());
            lake.prepare().unwrap();
            let limit = PartLimit::of_rows(1);
            let staging = Staging::open(&lake, "r", day(11, 18)).unwrap().in_parts(limit);
            let code = |number: usize| serde_json::json!({"stock_id": "S", "coupon_code": number.to_string(), "business_date": "2026-11-18"});
            let rows: Vec<CouponCode> =
                (0..parts).map(|number| serde_json::from_value(code(number)).unwrap()).collect();
            let files = staging.write(&rows, &Provenance::default()).unwrap();
            staging.publish(&files).unwrap();
            assert_eq!(parts::of(&lake.partition("coupon_codes", day(11, 18))).unwrap().len(), parts);
            let keys = store.list("datasets").unwrap().into_iter().map(|object| object.key);
            keys.map(|key| key.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(publish(3), ["_SUCCESS", "part-0.parquet", "part-1.parquet", "part-2.parquet"]);
        assert_eq!(publish(2), ["_SUCCESS", "part-0.parquet", "part-1.parquet"]);
        assert_eq!(publish(1), ["_SUCCESS", "part-0.parquet"]);
    }
}
