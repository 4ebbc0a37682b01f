//! Tests of a whole merchant: its invariants for every seed, and the committed sample.

mod referee;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::simulator::world::Event;

/// Rules a sample must exercise.
const REQUIRED_RULES: [&str; 20] = [
    "AO01", "AO02", "AO03", "AO04", "AO05", "AO06", "AO07", "AO08", "PM01", "PM02", "PM03", "SU01", "SU02", "SU03",
    "SU04", "SU05", "ST01", "V201", "V202", "DC01",
];

fn small(seed: u64, nights: u32) -> Recipe {
    Recipe { seed, users: 30.max(nights * 10), nights, ..Recipe::sample() }
}

/// Every file below a folder, by its path inside it.
fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn written(recipe: &Recipe) -> (tempfile::TempDir, BTreeMap<PathBuf, Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    Merchant::make(recipe).unwrap().write(folder.path()).unwrap();
    let files = files_below(folder.path());
    (folder, files)
}

/// `UPDATE=1 cargo test committed_sample` makes the sample again.
#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the test says so in its environment")]
fn the_committed_sample_is_what_its_recipe_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data");
    if std::env::var_os("UPDATE").is_some() {
        Merchant::make(&Recipe::sample()).unwrap().write(&folder).unwrap();
    }
    let committed = files_below(&folder);
    let (_folder, made) = written(&Recipe::sample());
    assert_eq!(committed.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
    for (path, content) in made {
        assert!(committed[&path] == content, "`{}` differs: make it again", path.display());
    }
}

#[test]
fn the_same_recipe_makes_the_same_bytes_and_another_seed_others() {
    let one = written(&small(5, 1)).1;
    assert!(one == written(&small(5, 1)).1);
    let other = written(&small(6, 1)).1;
    for name in ["orders/2026-11-18.csv", "truth/2026-11-18.csv", "roster.csv", "secrets/pii.key"] {
        assert!(one[Path::new(name)] != other[Path::new(name)], "{name}");
    }
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, files) = written(&small(5, 1));
    let secrets: Vec<_> = files.keys().filter(|path| path.starts_with("secrets")).collect();
    assert_eq!(secrets.len(), 6);
    for path in secrets {
        let mode = fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn both_job_files_are_toml_and_name_files_that_exist() {
    let (_folder, files) = written(&small(5, 1));
    for name in ["job.toml", "job-certificates.toml"] {
        let text = String::from_utf8(files[Path::new(name)].clone()).unwrap();
        let job: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(job["pay_v3"].as_table().unwrap().contains_key("public_key_id"), name == "job.toml");
        let named = job.iter().flat_map(|(_, section)| section.as_table().into_iter().flatten());
        for (key, value) in named.filter(|(key, _)| key.ends_with("_file")) {
            assert!(files.contains_key(Path::new(value.as_str().unwrap())), "{name}: {key}");
        }
    }
}

#[test]
fn the_sample_plants_every_required_rule_and_every_status() {
    let merchant = Merchant::make(&Recipe::sample()).unwrap();
    let planted: BTreeSet<_> = merchant.breaks().iter().map(|planted| planted.rule_id).collect();
    let missing: Vec<_> = REQUIRED_RULES.iter().filter(|rule| !planted.contains(*rule)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(plants::LASTING_RULES.iter().all(|rule| planted.contains(rule)));

    let statuses: BTreeSet<_> = merchant
        .dates()
        .flat_map(|date| merchant.breaks().iter().filter_map(move |planted| planted.status_on(date)))
        .collect();
    assert_eq!(
        statuses,
        BTreeSet::from(["accepted", "expected", "new", "open", "reopened", "resolved", "written_off"])
    );
}

#[test]
fn an_untouched_merchant_of_another_kind_sells_its_own_goods() {
    let recipe = Recipe { kind: MerchantKind::Bakery, ..small(3, 1) };
    let merchant = Merchant::make(&recipe).unwrap();
    let products: BTreeSet<_> = merchant.books.exports.iter().map(|row| row.line.product).collect();
    assert!(products.contains("肉松贝贝") && !products.contains("澳白 355ml"));
}

#[test]
fn the_trailer_of_a_written_bill_equals_its_details() {
    let (_folder, files) = written(&Recipe::sample());
    let bills: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("world/bills")).collect();
    assert_eq!(bills.len(), 3);
    for (path, bytes) in bills {
        let text = std::str::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
        let details: Vec<Vec<&str>> = lines[1..lines.len() - 2].iter().map(|line| cells(line)).collect();
        assert!(details.iter().all(|cells| cells.len() == 27), "{}", path.display());
        let trailer = cells(lines[lines.len() - 1]);
        assert_eq!(trailer[0], format!("{}.0", details.len()));
        for (sum, column) in trailer[1..].iter().zip([12, 16, 17, 22, 24, 25]) {
            let total: i64 = details.iter().map(|cells| decimal(cells[column])).sum();
            assert_eq!(decimal(sum), total, "{} column {column}", path.display());
        }
        let times: Vec<&str> = details.iter().map(|cells| cells[0]).collect();
        assert!(!times.is_sorted(), "a real bill is not sorted");
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.strip_prefix('`').unwrap().split(",`").collect()
}

fn decimal(text: &str) -> i64 {
    crate::money::parse_decimal(text, 5).unwrap()
}

#[test]
fn one_day_comes_with_a_byte_order_mark() {
    let (_folder, files) = written(&small(9, 3));
    let marked: Vec<_> = files
        .iter()
        .filter(|(path, bytes)| path.starts_with("orders") && bytes.starts_with(&[0xef, 0xbb, 0xbf]))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(marked, ["orders/2026-11-19.csv"]);
}

#[test]
fn callbacks_are_signed_but_for_one_and_some_come_twice() {
    use rsa::pkcs1v15::{Signature, VerifyingKey};
    use rsa::pkcs8::DecodePublicKey;
    use rsa::signature::Verifier;

    let (_folder, files) = written(&Recipe::sample());
    let pem = std::str::from_utf8(&files[Path::new("secrets/wxp_pub.pem")]).unwrap();
    let key = VerifyingKey::<rsa::sha2::Sha256>::new(rsa::RsaPublicKey::from_public_key_pem(pem).unwrap());
    let mut bodies = Vec::new();
    let mut forged = 0;
    for bytes in files.iter().filter(|(path, _)| path.starts_with("notifications")).map(|(_, bytes)| bytes) {
        let file: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let header = |name: &str| file["headers"][name].as_str().unwrap().to_owned();
        let body = file["body"].as_str().unwrap().to_owned();
        let message = format!("{}\n{}\n{body}\n", header("Wechatpay-Timestamp"), header("Wechatpay-Nonce"));
        let engine = &base64::engine::general_purpose::STANDARD;
        let signature = base64::Engine::decode(engine, header("Wechatpay-Signature")).unwrap();
        let signature = Signature::try_from(signature.as_slice()).unwrap();
        forged += usize::from(key.verify(message.as_bytes(), &signature).is_err());
        bodies.push(body);
    }
    assert_eq!(forged, 1);
    let distinct: BTreeSet<_> = bodies.iter().collect();
    assert!(distinct.len() >= 30 && distinct.len() < bodies.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_truth_key_names_a_thing_that_exists(seed: u64, nights in 1u32..6) {
        let merchant = Merchant::make(&small(seed, nights)).unwrap();
        let things = Things::of(&merchant);
        for planted in merchant.breaks() {
            prop_assert!(things.hold(planted), "{planted:?}");
        }
    }

    #[test]
    fn a_second_opinion_finds_what_was_planted_and_nothing_else(seed: u64, nights in 1u32..5) {
        agree(&Merchant::make(&small(seed, nights)).unwrap())?;
    }

    /// Associations have no time on the wire, returns forget the redemption, deletions have no time.
    #[test]
    fn a_later_wire_still_tells_what_was_on_each_day(seed: u64, nights in 1u32..5) {
        let merchant = Merchant::make(&small(seed, nights)).unwrap();
        let world = merchant.world();
        let date = |event: &Option<Event>| event.as_ref().map(|event| business_date_of(event.time));
        for coupon in &world.coupons {
            let used = date(&coupon.redemption);
            prop_assert!(coupon.association.is_none() || date(&coupon.association) == used, "{coupon:?}");
            let is_kept = world.kept_redemptions.contains(&coupon.coupon_code);
            prop_assert!(coupon.coupon_return.is_none() || date(&coupon.coupon_return) == used || is_kept, "{coupon:?}");
            prop_assert!(coupon.second_redemption.is_none() || date(&coupon.second_redemption) == used, "{coupon:?}");
            prop_assert!(coupon.delete_time.is_none() || used.is_none(), "{coupon:?}");
        }
    }

    #[test]
    fn no_two_breaks_share_rule_and_key(seed: u64, nights in 1u32..6) {
        let merchant = Merchant::make(&small(seed, nights)).unwrap();
        let keys: BTreeSet<_> = merchant.breaks().iter().map(|planted| (planted.rule_id, &planted.key)).collect();
        prop_assert_eq!(keys.len(), merchant.breaks().len());
    }

    #[test]
    fn numbers_are_unique_whatever_the_seed(seed: u64) {
        let merchant = Merchant::make(&small(seed, 2)).unwrap();
        let world = merchant.world();
        let codes: BTreeSet<_> = world.coupons.iter().map(|coupon| &coupon.coupon_code).collect();
        prop_assert_eq!(codes.len(), world.coupons.len());
        let receipts: BTreeSet<_> =
            world.pay_receipts.iter().map(|receipt| receipt.body["out_subsidy_no"].as_str()).collect();
        prop_assert_eq!(receipts.len(), world.pay_receipts.len());
    }
}

#[test]
fn the_sample_stands_the_second_opinion() {
    agree(&Merchant::make(&Recipe::sample()).unwrap()).unwrap();
}

#[test]
fn four_weeks_and_five_thousand_users_stand_it_too() {
    agree(&Merchant::make(&small(28, 28)).unwrap()).unwrap();
    agree(&Merchant::make(&Recipe { users: 5_000, ..small(11, 1) }).unwrap()).unwrap();
}

/// Per night: what the referee finds is what the truth lists as not resolved.
fn agree(merchant: &Merchant) -> Result<(), TestCaseError> {
    for date in merchant.dates() {
        let is_listed = |planted: &&Planted| planted.status_on(date).is_some_and(|status| status != "resolved");
        let planted: BTreeSet<referee::Finding> = merchant
            .breaks()
            .iter()
            .filter(is_listed)
            .filter(|planted| !planted.rule_id.starts_with("V2") && !planted.rule_id.starts_with("DC"))
            .map(|planted| (planted.rule_id, planted.key.clone()))
            .collect();
        let found = referee::judge(merchant, date);
        let missed: Vec<_> = planted.difference(&found).collect();
        let invented: Vec<_> = found.difference(&planted).collect();
        prop_assert!(missed.is_empty() && invented.is_empty(), "{date}: missed {missed:#?} invented {invented:#?}");
    }
    Ok(())
}

/// Names of everything in a merchant's books.
struct Things<'a> {
    coupons: BTreeSet<(&'a str, &'a str)>,
    orders: BTreeSet<&'a str>,
    payments: BTreeSet<&'a str>,
    subsidies: BTreeSet<&'a str>,
    stocks: BTreeSet<&'a str>,
}

impl<'a> Things<'a> {
    fn of(merchant: &'a Merchant) -> Things<'a> {
        let books = &merchant.books;
        let lines = books.exports.iter().map(|row| (row.line.stock_id.as_str(), row.line.coupon_code.as_str()));
        let wallets = books.world.coupons.iter().map(|coupon| (coupon.stock_id.as_str(), coupon.coupon_code.as_str()));
        let receipts = books.world.pay_receipts.iter().filter_map(|receipt| receipt.body["out_subsidy_no"].as_str());
        Things {
            coupons: lines.chain(wallets).collect(),
            orders: books.exports.iter().map(|row| row.out_trade_no.as_str()).collect(),
            payments: books.bill.iter().map(|row| row.transaction_id.as_str()).collect(),
            subsidies: receipts.chain(books.subsidies.iter().map(|row| row.out_subsidy_no.as_str())).collect(),
            stocks: books.world.stocks.keys().chain(books.world.v2_stocks.keys()).map(String::as_str).collect(),
        }
    }

    /// Every field of the key is empty or names something; not all are empty.
    fn hold(&self, planted: &Planted) -> bool {
        let key = &planted.key;
        let known = |name: &str, set: &BTreeSet<&str>| name.is_empty() || set.contains(name);
        let coupon = key.coupon_code.is_empty() || self.coupons.contains(&(&key.stock_id, &key.coupon_code));
        coupon
            && known(&key.out_trade_no, &self.orders)
            && known(&key.transaction_id, &self.payments)
            && known(&key.out_subsidy_no, &self.subsidies)
            && known(&key.stock_id, &self.stocks)
            && *key != Key::default()
    }
}
