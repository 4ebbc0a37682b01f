//! The program is killed at its commit points: the next run publishes what an undisturbed one would,
//! and no reader ever sees half of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use coupon_recon::dataset::partition::read_rows;
use coupon_recon::record::Break;

use crate::parts::shop_of_parts;
use crate::support::{Ending, Shop, Wechat, day};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];

/// One of each kind of commit point. `make torture` goes through every single one.
const KINDS: [&str; 16] = [
    "folder:journal/dt=",
    "staged:journal/dt=",
    "renamed:journal/dt=",
    "renamed:bills/files/",
    "staged:state/wallets",
    "renamed:state/wallets",
    "staged:publishing.json$",
    "renamed:publishing.json$",
    "staged:datasets/breaks",
    "renamed:datasets/coupon_ledger",
    "renamed:_SUCCESS$",
    "staged:reports/dt=",
    "renamed:summary",
    "staged:manifest.json.sha256$",
    "staged:manifest.json$",
    "removed:publishing.json$",
];

/// The points between which a published day has files of two versions.
const WHILE_PUBLISHING: [&str; 4] =
    ["renamed:publishing.json$", "renamed:datasets/coupon_ledger", "staged:datasets/orders", "staged:manifest.json$"];

#[test]
fn a_night_killed_at_each_kind_of_commit_point_is_taken_up_again_byte_for_byte() {
    let shop = Shop::of_seed(21);
    let wechat = shop.serve(None);
    let calm = calm_night(&shop, &wechat);
    for at in KINDS {
        shop.forget_lake();
        assert!(shop.run_dying(&wechat, at, &NIGHT), "no night reaches {at}");
        assert_complete(&shop, &shop.run(&wechat, &NIGHT), &calm, at);
    }
}

#[test]
fn the_certificate_that_proves_an_answer_is_journalled_no_later_than_the_answer() {
    let shop = Shop::of_seed(21);
    let wechat = shop.serve(None);
    std::fs::copy(shop.path("job-certificates.toml"), shop.path("job.toml")).unwrap();
    assert!(shop.run_dying(&wechat, "renamed:gen-001/user_coupons/", &NIGHT), "no wallet is journalled");
    // When the night continues, another certificate may sign, and this one may not be available any more.
    let kept = std::fs::read_dir(shop.lake().join("journal/dt=2026-11-18/gen-001/certificates")).unwrap();
    assert_eq!(kept.filter(|it| it.as_ref().unwrap().path().extension().is_some_and(|it| it == "parquet")).count(), 1);
}

#[test]
fn a_restatement_killed_between_two_files_is_completed_by_the_next_run_of_any_date() {
    let shop = Shop::of_seed(21);
    let wechat = shop.serve(None);
    let before = calm_night(&shop, &wechat);
    assert_eq!(shop.run(&wechat, &["--date", "2026-11-19"]).code, 0);
    let orders = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    shop.edit("orders/2026-11-18.csv", without_last_line);
    let after = calm_night(&shop, &wechat);
    assert_ne!(before, after);
    for at in WHILE_PUBLISHING {
        std::fs::write(shop.path("orders/2026-11-18.csv"), &orders).unwrap();
        assert_eq!(calm_night(&shop, &wechat), before, "{at}");
        shop.edit("orders/2026-11-18.csv", without_last_line);
        assert!(shop.run_dying(&wechat, at, &NIGHT), "no night reaches {at}");
        let verified = shop.verify(day(18));
        assert_eq!(verified.code, 5, "{at}: {}", verified.stdout);
        assert!(verified.stdout.contains("the next run completes it"), "{at}: {}", verified.stdout);
        // The next night runs first.
        let next = shop.run(&wechat, &["--date", "2026-11-19"]);
        assert_eq!(next.code, 0, "{at}: {}", next.stderr);
        assert!(next.stderr.contains("while publishing 2026-11-18"), "{at}: {}", next.stderr);
        assert_eq!(of_the_night(&shop), after, "{at}");
        assert_eq!(shop.verify(day(18)).code, 0, "{at}: {}", shop.verify(day(18)).stdout);
    }
}

#[test]
fn readers_see_one_version_of_a_partition_while_the_day_is_published_again_and_again() {
    look_while_publishing(&Shop::of_seed(24));
}

#[test]
fn readers_see_one_version_of_a_partition_of_many_parts_too() {
    let shop = shop_of_parts(24);
    look_while_publishing(&shop);
    assert!(shop.lake().join("datasets/breaks/dt=2026-11-18/part-2.parquet").is_file());
}

/// Publishes two versions alternately while a reader reads the breaks.
fn look_while_publishing(shop: &Shop) {
    let wechat = shop.serve(None);
    let full = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    let versions = [full.clone(), without_last_line(full)];
    let mut published = Vec::new();
    for version in &versions {
        std::fs::write(shop.path("orders/2026-11-18.csv"), version).unwrap();
        calm_night(shop, &wechat);
        published.push(read_breaks(shop));
    }
    let (done, looks) = (AtomicBool::new(false), std::sync::Mutex::new(BTreeMap::<usize, u64>::new()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let seen = read_breaks(shop);
                let version = published.iter().position(|it| *it == seen).expect("a version that was published");
                *looks.lock().unwrap().entry(version).or_default() += 1;
            }
        });
        for round in 0..4 {
            std::fs::write(shop.path("orders/2026-11-18.csv"), &versions[round % 2]).unwrap();
            calm_night(shop, &wechat);
        }
        done.store(true, Ordering::Relaxed);
    });
    let looks = looks.into_inner().unwrap();
    assert_eq!(looks.len(), 2, "both versions were seen: {looks:?}");
}

/// The points at which a day of many parts replaces another.
const WHILE_FOLDERS_ARE_EXCHANGED: [&str; 4] = [
    "renamed:orders/_SUCCESS$",
    "staged:datasets/orders/dt=2026-11-18$",
    "renamed:datasets/orders/dt=2026-11-18$",
    "renamed:datasets/coupon_ledger/dt=2026-11-18$",
];

#[test]
fn a_day_of_many_parts_killed_while_it_takes_its_place_is_completed_by_the_next_run_of_any_date() {
    let shop = shop_of_parts(21);
    let wechat = shop.serve(None);
    let before = calm_night(&shop, &wechat);
    let orders = std::fs::read_to_string(shop.path("orders/2026-11-18.csv")).unwrap();
    shop.edit("orders/2026-11-18.csv", without_last_line);
    let after = calm_night(&shop, &wechat);
    assert!(before != after && after.keys().filter(|name| name.contains("datasets/orders/")).count() > 3);
    shop.forget_lake();
    for at in WHILE_FOLDERS_ARE_EXCHANGED {
        assert!(shop.run_dying(&wechat, at, &NIGHT), "no first night reaches {at}");
        assert_complete(&shop, &shop.run(&wechat, &NIGHT), &after, at);
        std::fs::write(shop.path("orders/2026-11-18.csv"), &orders).unwrap();
        assert!(calm_night(&shop, &wechat) == before, "{at}");
        shop.edit("orders/2026-11-18.csv", without_last_line);
        assert!(shop.run_dying(&wechat, at, &NIGHT), "no restatement reaches {at}");
        let verified = shop.verify(day(18));
        assert!(verified.stdout.contains("the next run completes it"), "{at}: {}", verified.stdout);
        let next = shop.run(&wechat, &["--date", "2026-11-19"]);
        assert_eq!(next.code, 0, "{at}: {}", next.stderr);
        assert!(of_the_night(&shop) == after, "{at}");
        assert_eq!(shop.verify(day(18)).code, 0, "{at}: {}", shop.verify(day(18)).stdout);
        shop.forget_lake();
    }
}

#[test]
fn what_was_journalled_before_a_kill_is_not_asked_again() {
    let shop = Shop::of_seed(23);
    let wechat = shop.serve(None);
    calm_night(&shop, &wechat);
    let undisturbed = wechat.counts().total;
    shop.forget_lake();
    wechat.running().reset_counts();
    // Everything is journalled when the publication begins.
    assert!(shop.run_dying(&wechat, "staged:publishing.json$", &NIGHT));
    assert_eq!(wechat.counts().total, undisturbed);
    wechat.running().reset_counts();
    assert_eq!(shop.run(&wechat, &NIGHT).code, 0);
    assert_eq!(wechat.counts().total, 0, "{:?}", wechat.counts());
}

#[test]
fn a_disk_that_is_full_ends_with_a_clear_error_and_nothing_half_published() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let calm = calm_night(&shop, &wechat);
    // The last limits are enough for the pages, but not for what is computed from them.
    for kilobytes in [1, 4, 8, 40] {
        shop.forget_lake();
        let ending = run_with_file_limit(&shop, &wechat, kilobytes);
        assert_eq!(ending.code, 75, "{kilobytes} kB: {}", ending.stderr);
        for word in ["File too large", "make room on the disk of `job.lake`", "nothing was published"] {
            assert!(ending.stderr.contains(word), "{kilobytes} kB: {}", ending.stderr);
        }
        assert!(shop.published().is_empty(), "{kilobytes} kB");
        assert_complete(&shop, &shop.run(&wechat, &NIGHT), &calm, "after a full disk");
    }
}

#[test]
fn a_night_that_may_not_open_enough_files_says_which_limit_to_raise_and_not_to_make_room() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let calm = calm_night(&shop, &wechat);
    for files in [20, 32] {
        shop.forget_lake();
        let ending = run_with_limit(&shop, &wechat, &format!("-n {files}"));
        assert_eq!(ending.code, 75, "{files}: {}", ending.stderr);
        for word in ["Too many open files", "raise the limit of open files (`ulimit -n`", "nothing was published"] {
            assert!(ending.stderr.contains(word), "{files}: {}", ending.stderr);
        }
        assert!(!ending.stderr.contains("make room"), "{files}: {}", ending.stderr);
        assert!(shop.published().is_empty(), "{files}");
        assert_complete(&shop, &shop.run(&wechat, &NIGHT), &calm, "after too few files");
    }
}

#[test]
fn a_process_that_may_open_hardly_a_file_says_so_before_anything_is_asked() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    for files in [8, 10, 12, 14] {
        let ending = run_with_limit(&shop, &wechat, &format!("-n {files}"));
        assert_eq!((ending.code, wechat.counts().total), (75, 0), "{files}: {}", ending.stderr);
        for word in ["Too many open files", "raise the limit of open files (`ulimit -n`"] {
            assert!(ending.stderr.contains(word), "{files}: {}", ending.stderr);
        }
        assert!(!ending.stderr.contains("panicked"), "{files}: {}", ending.stderr);
    }
}

#[test]
fn what_may_not_be_opened_is_told_as_that_and_not_as_damage_of_what_is_published() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    calm_night(&shop, &wechat);
    for command in ["verify", "breaks", "plan"] {
        let mut codes = Vec::new();
        for files in (4..16).chain([64]) {
            let ending = with_limit(&shop.command(&[command, "job.toml", NIGHT[0], NIGHT[1]]), &format!("-n {files}"));
            // The system opens the program's libraries before it starts.
            if ending.code == 127 {
                continue;
            }
            assert!([0, 75].contains(&ending.code), "{command}, {files}: {}{}", ending.stdout, ending.stderr);
            assert!(ending.code == 0 || ending.stderr.contains("`ulimit -n`"), "{command}: {}", ending.stderr);
            codes.push(ending.code);
        }
        assert_eq!((codes.first(), codes.last()), (Some(&75), Some(&0)), "{command}: {codes:?}");
    }
}

#[test]
fn a_lake_on_a_file_system_without_room_publishes_nothing() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let lake = shop.lake();
    // From the first page to the workbook, whose library panics where it cannot write.
    for size in ["64k", "160k", "200k", "400k", "520k", "600k", "700k", "800k"] {
        std::fs::create_dir_all(&lake).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&lake);
        // Only root may mount; everybody else has the test above.
        if !mount.output().is_ok_and(|it| it.status.success()) {
            return;
        }
        let ending = shop.run(&wechat, &NIGHT);
        let published = shop.published();
        assert!(std::process::Command::new("umount").arg(&lake).status().unwrap().success());
        assert_eq!(ending.code, 75, "{size}: {}", ending.stderr);
        for word in ["No space left on device", "make room on the disk of `job.lake`"] {
            assert!(ending.stderr.contains(word), "{size}: {}", ending.stderr);
        }
        assert!(!ending.stderr.contains("panicked"), "{size}: {}", ending.stderr);
        assert!(published.is_empty(), "{size}: {:?}", published.keys());
    }
}

#[test]
fn a_lake_without_room_for_its_first_files_names_the_one_that_cannot_be_written() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    let lake = shop.lake();
    // Folders take no room there; a page is enough for the lock, but not for the mark of the owner.
    std::fs::create_dir_all(&lake).unwrap();
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"]).arg(&lake);
    if !mount.output().is_ok_and(|it| it.status.success()) {
        return;
    }
    let ending = shop.run(&wechat, &NIGHT);
    assert!(std::process::Command::new("umount").arg(&lake).status().unwrap().success());
    assert_eq!((ending.code, wechat.counts().total), (75, 0), "{}", ending.stderr);
    let named = format!("caused by: `{}`: No space left", lake.join("state/owner.json").display());
    assert!(ending.stderr.contains(&named), "{}", ending.stderr);
}

#[test]
fn a_lake_where_nobody_may_write_is_the_job_files_fault_and_nobody_is_asked() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    std::fs::create_dir_all(shop.lake().parent().unwrap()).unwrap();
    std::fs::write(shop.lake(), "a file").unwrap();
    assert_refused(&shop, &wechat, "job.lake");
    std::fs::remove_file(shop.lake()).unwrap();
    // Root may write wherever a file system does not forbid it.
    let reports = shop.lake().join("reports");
    std::fs::create_dir_all(&reports).unwrap();
    std::fs::set_permissions(&reports, std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    let is_root = std::fs::write(reports.join("probe"), "").is_ok();
    let mount = |arguments: &[&str]| {
        let mounted = std::process::Command::new("mount").args(arguments).arg(&reports).output();
        mounted.is_ok_and(|it| it.status.success())
    };
    if is_root && !mount(&["-t", "tmpfs", "-o", "ro", "tmpfs"]) {
        return;
    }
    assert_refused(&shop, &wechat, "lake/reports`");
    if is_root {
        assert!(std::process::Command::new("umount").arg(&reports).status().unwrap().success());
    }
}

#[test]
fn a_lake_behind_a_link_that_leads_nowhere_is_named_and_no_room_is_asked_for() {
    let shop = Shop::of_seed(25);
    let wechat = shop.serve(None);
    std::os::unix::fs::symlink(shop.path("no-such-disk"), shop.lake().parent().unwrap()).unwrap();
    let ending = shop.run(&wechat, &NIGHT);
    assert_eq!((ending.code, wechat.counts().total), (75, 0), "{}", ending.stderr);
    let named = format!("cannot make the folders of the lake `{}`", shop.lake().display());
    assert!(ending.stderr.contains(&named) && ending.stderr.contains("is the disk mounted?"), "{}", ending.stderr);
}

fn assert_refused(shop: &Shop, wechat: &Wechat, word: &str) {
    let ending = shop.run(wechat, &NIGHT);
    assert_eq!((ending.code, wechat.counts().total), (2, 0), "{}", ending.stderr);
    assert!(ending.stderr.contains(word) && ending.stderr.contains("hint: `job.lake`"), "{}", ending.stderr);
    let check = shop.program(&["check", "job.toml", "--base-url", &wechat.running().base_url()]);
    assert!(check.stdout.contains("is not writable; `job.lake` names it"), "{}", check.stdout);
    wechat.running().reset_counts();
}

/// The program under `ulimit -f`, a quota that needs no root.
fn run_with_file_limit(shop: &Shop, wechat: &Wechat, kilobytes: u32) -> Ending {
    run_with_limit(shop, wechat, &format!("-f {kilobytes}"))
}

fn run_with_limit(shop: &Shop, wechat: &Wechat, limit: &str) -> Ending {
    with_limit(&shop.run_command(wechat, &NIGHT), limit)
}

fn with_limit(run: &std::process::Command, limit: &str) -> Ending {
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]);
    command.arg(run.get_program()).args(run.get_args()).current_dir(run.get_current_dir().unwrap());
    Ending::of(command.output().unwrap())
}

fn calm_night(shop: &Shop, wechat: &Wechat) -> BTreeMap<String, Vec<u8>> {
    let ending = shop.run(wechat, &NIGHT);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    of_the_night(shop)
}

/// What is published of the first night.
fn of_the_night(shop: &Shop) -> BTreeMap<String, Vec<u8>> {
    shop.published().into_iter().filter(|(name, _)| name.contains("dt=2026-11-18")).collect()
}

fn assert_complete(shop: &Shop, ending: &Ending, calm: &BTreeMap<String, Vec<u8>>, at: &str) {
    assert_eq!(ending.code, 0, "{at}: {}", ending.stderr);
    assert!(of_the_night(shop) == *calm, "{at}: the published bytes differ");
    let verified = shop.verify(day(18));
    assert_eq!(verified.code, 0, "{at}: {}", verified.stdout);
}

fn read_breaks(shop: &Shop) -> Vec<Break> {
    read_rows(&shop.lake().join("datasets/breaks/dt=2026-11-18/part-0.parquet")).unwrap()
}

fn without_last_line(text: String) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.pop();
    lines.join("\r\n")
}
