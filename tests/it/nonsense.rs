//! Malformed job files and exports: an error with its position, never a panic; and no message shows a
//! secret.

use std::panic::{AssertUnwindSafe, catch_unwind};

use coupon_recon::job::{self, Job};
use coupon_recon::sorter::Room;
use coupon_recon::{exports, journal};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::{ClosedPort, Ending, Shop, day};

const MUTATIONS: usize = 1500;
const TOKENS: [&str; 16] = [
    "[[orders]]",
    "[job]",
    "=",
    "\"",
    "{date}",
    "{",
    "../",
    "-1",
    "1e9",
    "\0",
    "\u{feff}",
    "\n",
    ",",
    "'",
    "true",
    "瑞",
];

fn load(shop: &Shop) -> Result<Job, String> {
    let load = || job::load(&shop.path("mutated.toml"), &|_| None).map_err(|problems| problems.to_string());
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| {
        panic!("a panic over\n{}", String::from_utf8_lossy(&std::fs::read(shop.path("mutated.toml")).unwrap()))
    })
}

#[test]
fn no_mutated_job_file_panics_and_every_problem_has_a_line() {
    let shop = Shop::of_seed(1);
    let seed = std::fs::read(shop.path("job.toml")).unwrap();
    let mut dice = ChaCha8Rng::seed_from_u64(20_261_118);
    let mut refused = 0;
    for _ in 0..MUTATIONS {
        std::fs::write(shop.path("mutated.toml"), mutated(&seed, &mut dice)).unwrap();
        let Err(problems) = load(&shop) else { continue };
        refused += 1;
        let has_place = problems.contains("line ") || problems.contains("mutated.toml");
        assert!(has_place && problems.len() > 30, "{problems}");
    }
    assert!(refused > MUTATIONS / 4, "{refused} of {MUTATIONS} refused");
}

#[test]
fn no_mutated_export_panics_and_every_refusal_names_the_file() {
    let shop = Shop::of_seed(1);
    std::fs::copy(shop.path("job.toml"), shop.path("mutated.toml")).unwrap();
    let job = load(&shop).unwrap();
    let mut dice = ChaCha8Rng::seed_from_u64(20_261_119);
    let (orders, ledger, roster) =
        (shop.path("orders/2026-11-18.csv"), shop.path("subsidy-orders/2026-11-18.csv"), shop.path("roster.csv"));
    let room = Room { folder: shop.path("."), memory_bytes: 1 << 12 };
    let read = |path: &std::path::Path| -> Result<(), exports::ExportError> {
        if path == orders {
            exports::orders::read(&job.orders[0], day(18), &room)?.finish().map(drop)
        } else if path == ledger {
            exports::subsidy_ledger::read(job.subsidy_ledger.as_ref().unwrap(), day(18), &room)?.finish().map(drop)
        } else {
            let pattern = job.wallets.as_ref().unwrap().roster_file.as_ref().unwrap();
            exports::roster_file::read(pattern, day(18), &room)?.finish().map(drop)
        }
    };
    for path in [&orders, &ledger, &roster] {
        let seed = std::fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut refused = 0;
        for _ in 0..MUTATIONS / 3 {
            let bytes = mutated(&seed, &mut dice);
            std::fs::write(path, &bytes).unwrap();
            let outcome = catch_unwind(AssertUnwindSafe(|| read(path)));
            let outcome = outcome.unwrap_or_else(|_| panic!("a panic over\n{}", String::from_utf8_lossy(&bytes)));
            let Err(error) = outcome else { continue };
            refused += 1;
            assert!(error.to_string().contains(&name), "{error}");
        }
        assert!(refused > 20, "{name}: {refused} refused");
    }
}

#[test]
fn a_job_name_that_leads_out_of_the_lake_is_refused_with_its_line() {
    let shop = Shop::of_seed(1);
    shop.edit("job.toml", |text| text.replace("name = \"ruiyun-coffee\"", "name = \"../../elsewhere\""));
    let ending = shop.program(&["run", "job.toml", "--date", "2026-11-18"]);
    assert_eq!(ending.code, 2, "{}", ending.stderr);
    assert!(ending.stderr.contains("job.name") && ending.stderr.contains("line "), "{}", ending.stderr);
}

#[test]
fn key_files_that_others_may_read_are_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Shop::of_seed(1);
    std::fs::set_permissions(shop.path("secrets/v2.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ending = shop.program(&["run", "job.toml", "--date", "2026-11-18", "--replay"]);
    assert!(ending.stderr.contains("v2.key` can be read by others"), "{}", ending.stderr);
}

#[test]
fn no_secret_stands_in_logs_errors_manifests_journal_reports_or_the_output_of_check() {
    let shop = Shop::of_seed(2);
    let wechat = shop.serve(None);
    wechat.play(
        "[[fault]]\npath = \"/\"\nkind = \"500\"\nevery = 9\n[[fault]]\npath = \"/v3/\"\nkind = \"reset\"\nevery = 7\n",
    );
    let url = wechat.running().base_url();
    let mut said = String::new();
    shop.shorten_waits();
    let closed = ClosedPort::reserve();
    for arguments in [
        &["run", "job.toml", "--base-url", &url, "--date", "2026-11-18", "--summary"][..],
        &["run", "job-certificates.toml", "--base-url", &url, "--date", "2026-11-19"],
        &["check", "job.toml", "--base-url", &url],
        &["verify", "job.toml", "--date", "2026-11-18", "--signatures"],
        &["run", "job.toml", "--base-url", &closed.url(), "--date", "2026-11-20", "--stage", "stocks,cards,bills"],
    ] {
        let mut command = shop.command(arguments);
        let ending = Ending::of(command.env("COUPON_RECON_LOG", "trace").output().unwrap());
        said.extend([ending.stdout, ending.stderr]);
    }
    assert!(said.contains("TRACE") && said.contains("DEBUG"), "the log must be on");
    let kept = everything_kept(&shop);
    for (name, secret) in shop.secrets() {
        assert!(!said.contains(&secret), "{name} stands in the output");
        let holder = kept.iter().find(|(_, bytes)| bytes.windows(secret.len()).any(|it| it == secret.as_bytes()));
        assert!(holder.is_none(), "{name} stands in {:?}", holder.map(|(file, _)| file));
    }
    for word in ["access_token=", "billdownload/file?token"] {
        assert!(!said.contains(word), "{word} stands in the output");
        assert!(!kept.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(word)), "{word} is kept");
    }
}

/// Every file of the lake, and what the journal has in its segments.
fn everything_kept(shop: &Shop) -> Vec<(String, Vec<u8>)> {
    let mut kept: Vec<(String, Vec<u8>)> = shop.files("").into_iter().collect();
    for date in ["2026-11-18", "2026-11-19"] {
        let folder = shop.lake().join(format!("journal/dt={date}"));
        let journal = journal::Journal::replay(&folder, None, coupon_recon::clock::World::real()).unwrap();
        for stage in std::fs::read_dir(folder.join("gen-001")).unwrap() {
            let stage = stage.unwrap().file_name().to_string_lossy().into_owned();
            for entry in journal.stage(&stage).unwrap().entries().unwrap() {
                kept.push((format!("{stage}/{}", entry.key), format!("{:?}", entry.pages).into_bytes()));
                kept.extend(entry.pages.into_iter().map(|page| (stage.clone(), page.body.to_vec())));
            }
        }
    }
    kept
}

/// One to three changes: a byte, a cut, a repeat, a token.
fn mutated(seed: &[u8], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..dice.gen_range(1..=3) {
        let at = dice.gen_range(0..=bytes.len());
        let span = dice.gen_range(0..=(bytes.len() - at).min(30));
        match dice.gen_range(0..5) {
            0 if at < bytes.len() => bytes[at] = dice.gen_range(0..=255),
            1 => bytes.truncate(at.max(40)),
            2 => drop(bytes.drain(at..at + span)),
            3 => insert(&mut bytes, at, &seed[..seed.len().min(span)]),
            _ => insert(&mut bytes, at, TOKENS[dice.gen_range(0..TOKENS.len())].as_bytes()),
        }
    }
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}
