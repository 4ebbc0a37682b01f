//! The job is killed, interrupted and run again: what is published is exactly right.

use std::process::{Child, Command, Stdio};

use crate::support::{Ending, Shop, Wechat};

const WALLETS: &str = "/v3/marketing/busifavor/users/";
/// More pages of wallets than are in flight at once: the journal has some when the next is asked for.
const SOME_PAGES: u64 = 40;

/// Ignores that its terminal hangs up from the start, as with `nohup`.
const IGNORING: [&str; 3] = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
/// Does not, even if whoever runs these tests does (`nohup make test`), which a shell could not undo.
const HEEDING: [&str; 3] = [
    "python3",
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])",
];

/// Starts a night as a program that becomes it.
fn start_by([program, arguments @ ..]: &[&str; 3], shop: &Shop, wechat: &Wechat) -> Child {
    let night = shop.run_command(wechat, &["--date", "2026-11-18"]);
    let mut command = Command::new(program);
    command.args(arguments).arg(night.get_program()).args(night.get_args());
    command.current_dir(night.get_current_dir().unwrap()).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn start(shop: &Shop, wechat: &Wechat) -> Child {
    shop.run_command(wechat, &["--date", "2026-11-18"]).spawn().unwrap()
}

#[test]
fn a_killed_night_run_again_publishes_what_an_undisturbed_one_does() {
    let (shop, calm) = (Shop::of_seed(21), Shop::of_seed(21));
    let undisturbed = calm.run(&calm.serve(None), &["--date", "2026-11-18"]);
    assert_eq!(undisturbed.code, 0, "{}", undisturbed.stderr);
    let wechat = shop.serve(None);
    for answered in [0, 5, 20, 35, SOME_PAGES] {
        let stall = wechat.stall(WALLETS, answered);
        let mut child = start(&shop, &wechat);
        stall.wait_for(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    wechat.play("");
    let ending = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(shop.published() == calm.published(), "the published bytes differ");
}

/// Every third wallet is refused, and so is every third single query.
const SOME_WALLETS_REFUSED: &str =
    "[[fault]]\npath = \"/v3/marketing/busifavor/users/\"\nkind = \"errcode\"\nvalue = \"PARAM_ERROR\"\nevery = 3\n";

#[test]
fn a_night_that_lacked_wallets_publishes_in_the_end_what_one_without_faults_does() {
    let (shop, calm) = (Shop::of_seed(23), Shop::of_seed(23));
    let other = calm.serve(None);
    assert_eq!(calm.run(&other, &["--date", "2026-11-18"]).code, 0);
    let wechat = shop.serve(None);
    wechat.play(SOME_WALLETS_REFUSED);
    let partial = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(partial.code, 4, "{}", partial.stderr);
    wechat.play("");
    let ending = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    assert!(shop.published() == calm.published(), "the published bytes differ");
    assert_eq!(shop.verify(shop.dates[0]).code, 0, "{}", shop.verify(shop.dates[0]).stdout);
}

#[test]
fn an_interrupt_ends_the_night_at_once_and_the_next_run_goes_on() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 143)] {
        let shop = Shop::of_seed(22);
        let wechat = shop.serve(None);
        let stall = wechat.stall(WALLETS, SOME_PAGES);
        let mut child = start_by(&HEEDING, &shop, &wechat);
        stall.wait_for(&mut child);
        send(signal, &child);
        let ending = Ending::of(child.wait_with_output().unwrap());
        assert_eq!(ending.code, code, "{}", ending.stderr);
        assert!(ending.stderr.contains("the journal is kept"), "{}", ending.stderr);
        assert_eq!(event_kinds(&shop), ["START", "ABORT"]);
        assert!(beside_the_manifest(&shop, "log").ends_with("interrupted; the journal is kept\n"));
        stall.end();
        // A server of its own: what the interrupted run has sent may still arrive at the first.
        let wechat = shop.serve(None);
        let ending = shop.run(&wechat, &["--date", "2026-11-18"]);
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        let calm = Shop::of_seed(22);
        let other = calm.serve(None);
        assert_eq!(calm.run(&other, &["--date", "2026-11-18"]).code, 0);
        assert!(wechat.counts().total < other.counts().total, "what was journalled is not asked again");
        assert!(shop.published() == calm.published(), "the published bytes differ");
    }
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_night_that_is_to_outlive_its_terminal_does() {
    let shop = Shop::of_seed(22);
    let wechat = shop.serve(None);
    let stall = wechat.stall(WALLETS, SOME_PAGES);
    let mut child = start_by(&IGNORING, &shop, &wechat);
    stall.wait_for(&mut child);
    send("HUP", &child);
    stall.end();
    let ending = Ending::of(child.wait_with_output().unwrap());
    assert_eq!((ending.code, ending.stderr.as_str()), (0, ""));
}

/// The kinds of the lineage events of the only run there was.
fn event_kinds(shop: &Shop) -> Vec<String> {
    let events = beside_the_manifest(shop, "events.ndjson");
    let kind =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["eventType"].as_str().unwrap().to_owned();
    events.lines().map(kind).collect()
}

/// A file of the only run there was.
fn beside_the_manifest(shop: &Shop, name: &str) -> String {
    let run = std::fs::read_dir(shop.lake().join("runs/2026-11-18")).unwrap().next().unwrap().unwrap().path();
    std::fs::read_to_string(run.join(name)).unwrap()
}
