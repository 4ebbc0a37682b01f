//! The cost of a kill: at most one unfinished segment of each stage and the requests in flight are repeated; nothing
//! that is in the journal.

use std::collections::{BTreeMap, BTreeSet};

use coupon_recon::clock::World;
use coupon_recon::journal::{Journal, Page};
use coupon_recon::simulator::NotedCall;
use coupon_recon::simulator::generate::Recipe;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::{Shop, Wechat, day};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];
/// A segment is closed at this number of pages; an open one has fewer.
const SEGMENT_PAGES: usize = 256;
/// The maximum number of questions in flight per stage, from the job file.
const CONCURRENCY: usize = 32;
/// The stages that send requests, and a part of their endpoints' paths; the first match counts.
const STAGES: [(&str, &str); 8] = [
    ("user_coupons", "/busifavor/users/"),
    ("coupon_codes", "/couponcodes"),
    ("stocks", "/busifavor/stocks/"),
    ("subsidies", "/busifavor/subsidy/"),
    ("bills", "/v3/bill"),
    ("datacube", "/datacube/"),
    ("cards", "/card/"),
    ("v2_stocks", "/mmpaymkttransfers/"),
];

#[test]
fn after_a_kill_no_more_is_asked_again_than_an_unfinished_segment_of_each_stage() {
    let shop = Shop::of(&Recipe::new(37, 620, 1, day(18)));
    let everybody: String = shop.openids().iter().map(|openid| format!("{openid}\n")).collect();
    shop.edit("roster.csv", |_| format!("openid\n{everybody}"));
    let calm = calls_of(&shop, |wechat| assert_eq!(shop.run(wechat, &NIGHT).code, 0));
    let calm = by_stage(&calm);
    let wallet_pages = calm["user_coupons"].len();
    assert!(wallet_pages > 2 * SEGMENT_PAGES, "{wallet_pages} pages are too few");
    let mut dice = ChaCha8Rng::seed_from_u64(37);
    // In the first segment of the wallets, in the second, and anywhere.
    let moments = [30..SEGMENT_PAGES, SEGMENT_PAGES + 60..2 * SEGMENT_PAGES, 2 * SEGMENT_PAGES..wallet_pages];
    let mut amid = 0;
    for moment in moments.map(|range| dice.gen_range(range) as u64) {
        shop.forget_lake();
        let before = calls_of(&shop, |wechat| kill_after(&shop, wechat, moment));
        let journalled = journalled(&shop);
        let after = calls_of(&shop, |wechat| assert_eq!(shop.run(wechat, &NIGHT).code, 0));
        assert_bound(&calm, &by_stage(&before), &journalled, &by_stage(&after));
        let wallets = journalled["user_coupons"].len();
        amid += usize::from(0 < wallets && wallets < wallet_pages);
    }
    assert!(amid > 0, "no kill fell between two segments of the wallets");
}

/// Compares, by stage, the requests of both runs with the journal that the first one left.
fn assert_bound(
    calm: &BTreeMap<&str, Vec<NotedCall>>,
    before: &BTreeMap<&str, Vec<NotedCall>>,
    journalled: &BTreeMap<&str, Vec<Page>>,
    after: &BTreeMap<&str, Vec<NotedCall>>,
) {
    for (stage, _) in STAGES {
        let [calm, before, after] = [calm, before, after].map(|calls| calls[stage].as_slice());
        let pages = &journalled[stage];
        // A bill is asked for in two steps, of which the journal keeps the first: the second names a secret.
        let known = if stage == "bills" { pages.len() * 2 } else { pages.len() };
        assert_eq!(after.len(), calm.len() - known, "{stage}: what is not journalled is asked, once");
        let kept: BTreeSet<_> = pages.iter().filter(|page| page.method == "GET").map(|page| &page.target).collect();
        let again: Vec<_> = after.iter().filter(|call| kept.contains(&call.target)).collect();
        assert!(again.is_empty(), "{stage}: journalled and asked again: {again:?}");
        let lost = before.len() - known;
        let under_way = pages_under_way(before.iter().filter(|call| !kept.contains(&call.target)));
        assert!(lost < SEGMENT_PAGES + under_way, "{stage}: {lost} pages lost, of which {under_way} were under way");
    }
}

/// How many of the pages that are not journalled may belong to questions in flight: a question with
/// several pages, such as a wallet, is journalled once it has all of them.
fn pages_under_way<'a>(calls: impl Iterator<Item = &'a NotedCall>) -> usize {
    let mut questions = BTreeMap::<_, usize>::new();
    for call in calls {
        let path = call.target.split('?').next().unwrap_or_default();
        let is_list = path.ends_with("/coupons") || path.ends_with("/couponcodes");
        *questions.entry((if is_list { path } else { call.target.as_str() }, &call.body)).or_default() += 1;
    }
    let mut pages: Vec<_> = questions.into_values().collect();
    pages.sort_unstable_by(|a, b| b.cmp(a));
    pages.into_iter().take(CONCURRENCY).sum()
}

/// Starts a night and kills it once the server has answered this many requests and keeps another one waiting.
fn kill_after(shop: &Shop, wechat: &Wechat, answered: u64) {
    let stall = wechat.stall("/", answered);
    let mut child = shop.run_command(wechat, &NIGHT).spawn().unwrap();
    stall.wait_for(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The requests that a server of its own receives during `work`: what a killed program has sent does not count as asked by
/// the next one, however late it arrives.
fn calls_of(shop: &Shop, work: impl FnOnce(&Wechat)) -> Vec<NotedCall> {
    let wechat = shop.serve(None);
    wechat.running().note_calls();
    work(&wechat);
    wechat.running().noted_calls()
}

fn by_stage(calls: &[NotedCall]) -> BTreeMap<&'static str, Vec<NotedCall>> {
    let mut stages: BTreeMap<_, Vec<_>> = STAGES.iter().map(|(stage, _)| (*stage, Vec::new())).collect();
    for call in calls {
        if let Some((stage, _)) = STAGES.iter().find(|(_, part)| call.target.contains(part)) {
            stages.entry(stage).or_default().push(call.clone());
        }
    }
    stages
}

/// The pages that are in durable segments.
fn journalled(shop: &Shop) -> BTreeMap<&'static str, Vec<Page>> {
    let folder = shop.lake().join("journal/dt=2026-11-18");
    let journal = Journal::replay(&folder, None, World::real()).unwrap();
    let pages = |stage: &str| {
        let entries = journal.stage(stage).unwrap().entries().unwrap();
        entries.into_iter().flat_map(|entry| entry.pages).collect()
    };
    STAGES.iter().map(|(stage, _)| (*stage, pages(stage))).collect()
}
