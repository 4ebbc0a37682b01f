//! A shop, its server, saved states of its lake, and what must be published in the end.

use std::time::{Duration, Instant};

use crate::points;
use crate::rows::{Files, differences};
use crate::support::{Ending, Shop, Wechat, day};

const FIRST: &str = "2026-11-18";
const SECOND: &str = "2026-11-19";
/// The export that a restatement changes.
const ORDERS: &str = "orders/2026-11-18.csv";
/// In the middle of the files of a publication.
const HALF_PUBLISHED: &str = "renamed:datasets/coupon_ledger/*part-0.parquet$";

/// What there was before the run that is killed, and which night that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Night {
    /// No lake at all: the first night.
    First,
    /// The first night is published: the second.
    Second,
    /// The run of the second was killed between two of its files: its next run, until that is mended.
    Recovery,
    /// Both are published and an order of the first is gone since: the first again, from where it
    /// begins to be published.
    Restated,
}

/// How a run is killed.
#[derive(Debug, Clone)]
pub enum Death {
    /// At a commit point.
    At(String),
    /// After so much of the time that the night takes when nobody kills it.
    After(f64),
}

/// A run that is killed, perhaps more than once.
#[derive(Debug, Clone)]
pub struct Trial {
    pub night: Night,
    pub deaths: Vec<Death>,
}

/// The result of a trial.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Why not every byte is right.
    pub wrong: Option<String>,
    pub lost: u64,
    pub doubled: u64,
}

/// Everything a lane of the torture needs.
pub struct Desk {
    shop: Shop,
    wechat: Wechat,
    /// `ORDERS` as it was and as it is restated.
    orders: [String; 2],
    /// What is published after the first night, after both, after both restated.
    calm: [Files; 3],
    /// How long the first night takes, beside the other lanes.
    night: Duration,
}

impl Night {
    fn date(self) -> &'static str {
        if matches!(self, Night::First | Night::Restated) { FIRST } else { SECOND }
    }

    /// Under which name the lake before it is kept.
    fn lake(self) -> &'static str {
        match self {
            Night::First => "nothing",
            Night::Second => "one-night",
            Night::Recovery => "half-published",
            Night::Restated => "two-nights",
        }
    }
}

impl Desk {
    /// Runs the undisturbed nights for comparison.
    pub fn open() -> Desk {
        let shop = Shop::of_seed(21);
        // The defaults of 20 requests a second are most of the night otherwise.
        for section in ["[pay_v2]", "[mp]"] {
            shop.edit("job.toml", |text| text.replace(section, &format!("{section}\nrate_per_second = 500")));
        }
        // The world stands still: what happens in it meanwhile is no fault of the night.
        let wechat = shop.serve(Some(shop.now()));
        let before = std::fs::read_to_string(shop.path(ORDERS)).unwrap();
        let after = before.lines().take(before.lines().count() - 1).collect::<Vec<_>>().join("\r\n");
        let (orders, calm) = ([before, after], Default::default());
        let mut desk = Desk { shop, wechat, orders, calm, night: Duration::ZERO };
        desk.run_calm_nights();
        desk
    }

    fn run_calm_nights(&mut self) {
        std::fs::create_dir_all(self.shop.lake()).unwrap();
        std::fs::remove_dir(self.shop.lake()).unwrap();
        self.shop.keep_lake(Night::First.lake());
        let begun = Instant::now();
        self.calm[0] = self.published_after(&[FIRST]);
        self.night = begun.elapsed();
        self.shop.keep_lake(Night::Second.lake());
        assert!(self.shop.run_dying(&self.wechat, HALF_PUBLISHED, &["--date", SECOND]), "{HALF_PUBLISHED} is no point");
        self.shop.keep_lake(Night::Recovery.lake());
        self.calm[1] = self.published_after(&[SECOND]);
        self.shop.keep_lake(Night::Restated.lake());
        self.write_orders(Night::Restated);
        self.calm[2] = self.published_after(&[FIRST, SECOND]);
        assert!(self.calm[1] != self.calm[2], "the restatement changes nothing");
    }

    /// The commit points of a night.
    pub fn points(&self, night: Night) -> Vec<String> {
        self.begin(night);
        let mut points = points::of_a_run(&self.shop, &self.wechat, &["--date", night.date()]);
        let place = |what: &str| points.iter().position(|point| point.contains(what)).unwrap();
        match night {
            Night::First | Night::Second => points,
            Night::Recovery => points.drain(..=place("removed:/lake/state/ruiyun-coffee.publishing.json")).collect(),
            Night::Restated => points.split_off(place("staged:/lake/state/ruiyun-coffee.publishing.json")),
        }
    }

    /// Kills the night, runs the following ones, and compares what is published with undisturbed nights.
    pub fn put_to_death(&self, trial: &Trial) -> Outcome {
        self.begin(trial.night);
        for death in &trial.deaths {
            if !self.die(trial.night, death) {
                return Outcome { wrong: Some(format!("{death:?} was never reached")), ..Outcome::default() };
            }
        }
        self.judge(trial.night)
    }

    /// The lake and the exports before a night.
    fn begin(&self, night: Night) {
        self.write_orders(night);
        self.shop.restore_lake(night.lake());
    }

    fn write_orders(&self, night: Night) {
        let version = usize::from(night == Night::Restated);
        std::fs::write(self.shop.path(ORDERS), &self.orders[version]).unwrap();
    }

    /// Whether the run of a night was killed.
    fn die(&self, night: Night, death: &Death) -> bool {
        match death {
            Death::At(point) => self.shop.run_dying(&self.wechat, point, &["--date", night.date()]),
            Death::After(part) => self.die_after(night, *part),
        }
    }

    /// A run that ends before it was killed is killed earlier next time.
    fn die_after(&self, night: Night, part: f64) -> bool {
        use std::os::unix::process::ExitStatusExt;
        (0..20).any(|earlier| {
            let mut child = self.shop.run_command(&self.wechat, &["--date", night.date()]).spawn().unwrap();
            std::thread::sleep(self.night.mul_f64(part * 0.8_f64.powi(earlier)));
            child.kill().unwrap();
            child.wait_with_output().unwrap().status.signal() == Some(9)
        })
    }

    /// What the runs after a kill publish. A restated day is not the first that is run then: another one
    /// finds what was left behind, and is made of the day as it stood or as it stands.
    fn judge(&self, night: Night) -> Outcome {
        let (dates, verified): (&[&str], &[u32]) = match night {
            Night::First => (&[FIRST], &[18]),
            Night::Second | Night::Recovery => (&[SECOND], &[18, 19]),
            Night::Restated => (&[SECOND, FIRST], &[18]),
        };
        let endings = dates.iter().map(|date| self.shop.run(&self.wechat, &["--date", date]));
        let endings: Vec<Ending> = endings.collect();
        let verdicts = verified.iter().map(|date| self.shop.verify(day(*date)));
        let unwell: Vec<Ending> = endings.into_iter().chain(verdicts).filter(|ending| ending.code != 0).collect();
        let found = self.shop.published();
        let right = self.right(night).into_iter().find(|right| *right == found);
        let (lost, doubled) = match right {
            Some(_) => (0, 0),
            None => differences(&self.right(night)[0], &found),
        };
        let is_wrong = !unwell.is_empty() || right.is_none();
        Outcome { wrong: is_wrong.then(|| format!("{lost} lost, {doubled} doubled; {unwell:#?}")), lost, doubled }
    }

    /// What may be published after the runs of `judge`.
    fn right(&self, night: Night) -> Vec<Files> {
        let [first, second, restated] = &self.calm;
        match night {
            Night::First => vec![first.clone()],
            Night::Second | Night::Recovery => vec![second.clone()],
            Night::Restated => {
                let mut of_the_day_as_it_stood = second.clone();
                let anew = restated.iter().filter(|(name, _)| name.contains(FIRST));
                of_the_day_as_it_stood.extend(anew.map(|(name, bytes)| (name.clone(), bytes.clone())));
                vec![restated.clone(), of_the_day_as_it_stood]
            }
        }
    }

    fn published_after(&self, dates: &[&str]) -> Files {
        for date in dates {
            let ending = self.shop.run(&self.wechat, &["--date", date]);
            assert_eq!(ending.code, 0, "{}", ending.stderr);
        }
        self.shop.published()
    }
}
