//! What a page costs the client: signed, sent, received, verified, parsed, journalled. Asks a running
//! simulator for wallets and prints one JSON line: CPU-seconds of this process, beside those of a bare
//! RSA-2048 signature.
//!
//! ```text
//! extraction MERCHANT BASE_URL --pages N [--rate R] [--concurrency C]
//! ```

#![expect(clippy::disallowed_methods, reason = "a benchmark times the program, and loads a job as the program does")]

use std::path::PathBuf;
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use clap::Parser;
use coupon_recon::clock::World;
use coupon_recon::extract;
use coupon_recon::job::{self, Job, PayV3Settings};
use coupon_recon::journal::{Entry, Journal, Mode, StageJournal};
use coupon_recon::wechat::pay_v3::PayV3;
use coupon_recon::wechat::pay_v3::busifavor::{self, CouponFilter, UserCouponPage};
use futures_util::{StreamExt, TryStreamExt};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use url::Url;

/// The allocator of the program, so that figures compare.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Enough for a figure that does not wobble.
const SIGNATURES: u32 = 2000;
const PAGE_ROWS: u64 = 20;

#[derive(Parser)]
struct Arguments {
    /// Folder of a generated merchant.
    merchant: PathBuf,
    /// Address of the simulator that serves this merchant.
    base_url: Url,
    /// How many wallets to ask for, one page each.
    #[arg(long)]
    pages: usize,
    /// At most this many requests a second.
    #[arg(long, default_value_t = 5_000)]
    rate: u32,
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// Passed by `cargo bench`; it changes nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let job = job::load(&arguments.merchant.join("job.toml"), &|name| std::env::var(name).ok())?;
    let openids = openids_of(&arguments.merchant)?;
    let signature_us = cost_of_a_signature(&arguments.merchant)?;
    // The kind of runtime the program itself uses.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (cpu_before, start) = (cpu_seconds(), Instant::now());
    let coupons = runtime.block_on(ask(&job, &arguments, &openids))?;
    let (wall_s, cpu_s) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let told = json!({
        "client": "coupon-recon", "pages": arguments.pages, "coupons": coupons, "wall_s": wall_s, "cpu_s": cpu_s,
        "page_us": cpu_s * 1e6 / arguments.pages as f64, "signature_us": signature_us, "peak_kb": peak_kb(),
    });
    println!("{told}");
    Ok(())
}

/// The owners of the simulator's coupons, each once.
fn openids_of(merchant: &std::path::Path) -> Outcome<Vec<String>> {
    let world: Value = serde_json::from_slice(&std::fs::read(merchant.join("world/world.json"))?)?;
    let coupons = world["coupons"].as_array().ok_or("the world has no coupons")?;
    let mut openids: Vec<_> = coupons.iter().filter_map(|it| it["openid"].as_str()).map(str::to_owned).collect();
    openids.sort();
    openids.dedup();
    Ok(openids)
}

/// CPU-microseconds of one RSA-2048 signature by the library the client signs with.
fn cost_of_a_signature(merchant: &std::path::Path) -> Outcome<f64> {
    let pem = PrivateKeyDer::from_pem_file(merchant.join("secrets/apiclient_key.pem"))?;
    let key = KeyPair::from_pkcs8(pem.secret_der())?;
    let (random, mut signature) = (SystemRandom::new(), vec![0; key.public_modulus_len()]);
    // The first signature also waits for the library to seed its random numbers.
    key.sign(&RSA_PKCS1_SHA256, &random, b"", &mut signature)?;
    let before = cpu_seconds();
    for number in 0..SIGNATURES {
        key.sign(&RSA_PKCS1_SHA256, &random, &number.to_le_bytes(), &mut signature)?;
    }
    Ok((cpu_seconds() - before) * 1e6 / f64::from(SIGNATURES))
}

/// Asks for the first page of wallet after wallet; returns how many coupons came.
async fn ask(job: &Job, arguments: &Arguments, openids: &[String]) -> Outcome<usize> {
    let settings = settings_of(job, arguments)?;
    let wallets = job.wallets.as_ref().ok_or("the job asks no wallets")?;
    let filter = CouponFilter {
        appid: wallets.appid.clone(),
        creator_merchant: wallets.creator_merchant.clone(),
        ..CouponFilter::default()
    };
    let client = PayV3::new(&settings, World::real())?;
    let folder = tempfile::tempdir_in(&arguments.merchant)?;
    let journal = Journal::open(folder.path(), Mode::Resume, World::real())?;
    let stage = journal.stage("user_coupons")?;
    let questions = (0..arguments.pages).map(|number| (number, &openids[number % openids.len()]));
    let (client, filter, stage) = (&client, &filter, &*stage);
    let asked = futures_util::stream::iter(questions)
        .map(|(number, openid)| async move { page(client, filter, stage, number, openid).await })
        .buffer_unordered(arguments.concurrency);
    let coupons = asked.try_fold(0, |sum, rows| async move { Ok(sum + rows) }).await?;
    journal.flush()?;
    Ok(coupons)
}

fn settings_of(job: &Job, arguments: &Arguments) -> Outcome<PayV3Settings> {
    let mut settings = job.pay_v3.clone().ok_or("the job asks no v3 API")?;
    settings.limits.base_url = arguments.base_url.clone();
    settings.limits.rate_per_second = arguments.rate;
    settings.limits.concurrency = arguments.concurrency;
    Ok(settings)
}

/// One page, from the request to the journal.
async fn page(
    client: &PayV3,
    filter: &CouponFilter,
    stage: &StageJournal,
    number: usize,
    openid: &str,
) -> Outcome<usize> {
    let request = busifavor::user_coupons(openid, filter, 0, PAGE_ROWS);
    let answer = client.send(&request).await?;
    let rows = UserCouponPage::borrowed_from(&answer.body)?.data.len();
    let page = extract::journal_page(&request, &answer);
    stage.append(Entry { key: number.to_string(), pages: vec![page] })?;
    Ok(rows)
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |index: usize| after_name.split_whitespace().nth(index).and_then(|it| it.parse::<f64>().ok());
    // Fields 14 and 15 of proc(5), a hundred ticks a second.
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// Peak resident memory of this process.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
