//! SIGKILL: at every commit point of a night, at random moments, between the files of a restatement.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::rows::{Files, differences};
use crate::support::{Shop, Wechat};
use crate::{Line, setting};

const NIGHT: [&str; 2] = ["--date", "2026-11-18"];

/// Dies at the first commit point, at the second, and so on until there is none left.
pub fn at_every_commit_point() -> Line {
    let desk = Desk::open();
    let mut line = Line { what: "SIGKILL at every commit point".into(), ..Line::default() };
    for number in 1.. {
        desk.shop.forget_lake();
        if !desk.shop.run_dying(&desk.wechat, &number.to_string(), &NIGHT) {
            break;
        }
        desk.take_up(&mut line);
    }
    desk.note_requests(&mut line);
    line
}

/// Dies somewhere, `TORTURE_KILLS` times.
pub fn at_random_moments() -> Line {
    let desk = Desk::open();
    let mut line = Line { what: "SIGKILL at random moments".into(), ..Line::default() };
    let mut dice = ChaCha8Rng::seed_from_u64(20_261_118);
    for _ in 0..setting("TORTURE_KILLS", 200) {
        desk.shop.forget_lake();
        let url = desk.wechat.running().base_url();
        let mut child =
            desk.shop.command(&["run", "job.toml", "--base-url", &url, NIGHT[0], NIGHT[1]]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(dice.gen_range(10..desk.night_ms)));
        let _ = child.kill();
        child.wait().unwrap();
        desk.take_up(&mut line);
    }
    desk.note_requests(&mut line);
    line
}

/// A published day is restated and the program dies at each commit point of the publication; another
/// date runs first.
pub fn while_restating() -> Line {
    let mut desk = Desk::open();
    let mut line = Line { what: "SIGKILL while restating a day".into(), ..Line::default() };
    let before = std::fs::read_to_string(desk.shop.path("orders/2026-11-18.csv")).unwrap();
    let mut after: Vec<&str> = before.lines().collect();
    after.pop();
    let versions = [after.join("\r\n"), before.clone()];
    let write = |desk: &Desk, version: &str| std::fs::write(desk.shop.path("orders/2026-11-18.csv"), version).unwrap();
    for round in 0.. {
        // From one version to the other and back; each time one commit point later.
        let calm = desk.calm.clone();
        write(&desk, &versions[round % 2]);
        let points = desk.shop.run_dying(&desk.wechat, &(30 + round * 3).to_string(), &NIGHT);
        if !points && round > 2 {
            break;
        }
        let next = desk.shop.run(&desk.wechat, &["--date", "2026-11-19"]);
        let ended = desk.shop.run(&desk.wechat, &NIGHT);
        desk.calm = of_the_night(&desk.shop);
        line.tried += 1;
        let is_other = desk.calm != calm;
        let verified = desk.shop.program(&["verify", "job.toml", NIGHT[0], NIGHT[1]]);
        line.survived += u64::from(next.code == 0 && ended.code == 0 && verified.code == 0 && is_other);
    }
    line
}

/// A shop, its server, and what a night without a kill publishes.
struct Desk {
    shop: Shop,
    wechat: Wechat,
    calm: Files,
    calm_requests: u64,
    night_ms: u64,
}

impl Desk {
    fn open() -> Desk {
        let shop = Shop::of_seed(21);
        let wechat = shop.serve(None);
        let start = std::time::Instant::now();
        let ending = shop.run(&wechat, &NIGHT);
        let night_ms = u64::try_from(start.elapsed().as_millis()).unwrap();
        assert_eq!(ending.code, 0, "{}", ending.stderr);
        let (calm, calm_requests) = (of_the_night(&shop), wechat.counts().total);
        wechat.running().reset_counts();
        Desk { shop, wechat, calm, calm_requests, night_ms }
    }

    /// The next run, held against the calm night.
    fn take_up(&self, line: &mut Line) {
        let ending = self.shop.run(&self.wechat, &NIGHT);
        let found = of_the_night(&self.shop);
        let (lost, doubled) = differences(&self.calm, &found);
        let verified = self.shop.verify(crate::support::day(18));
        line.tried += 1;
        line.survived += u64::from(ending.code == 0 && verified.code == 0 && found == self.calm);
        line.lost += lost;
        line.doubled += doubled;
        if ending.code != 0 || verified.code != 0 {
            eprintln!("{}{}", ending.stderr, verified.stdout);
        }
    }

    /// How much more than undisturbed nights was asked, a night.
    fn note_requests(&self, line: &mut Line) {
        let asked = self.wechat.counts().total;
        let share = asked * 100 / (self.calm_requests * line.tried.max(1));
        line.note = format!(
            "{} requests a night undisturbed, {share} % of that over a kill and the run after",
            self.calm_requests
        );
    }
}

fn of_the_night(shop: &Shop) -> Files {
    shop.published().into_iter().filter(|(name, _)| name.contains("dt=2026-11-18")).collect()
}
