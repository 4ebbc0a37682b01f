//! A merchant in a temporary folder, a simulator in this process, and the real program.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use chrono::{DateTime, NaiveDate, Utc};
use coupon_recon::clock::{Clock, World};
use coupon_recon::dataset::partition::read_rows;
use coupon_recon::pseudonyms::Pseudonyms;
use coupon_recon::record::Break;
use coupon_recon::simulator::generate::{Merchant, Recipe};
use coupon_recon::simulator::{Counts, Options, Running, Scenario, Simulator};
use tokio::runtime::Runtime;

/// Noon after the last sample night.
pub const NOW: &str = "2026-11-21T12:00:00+08:00";

/// Enough for any answer of the simulator, and a few attempts where none comes.
const DEADLINE_SECONDS: u64 = 30;
/// Longer than any test.
const STALL_MS: u64 = 3_600_000;

/// A merchant on disk, ready to be run.
pub struct Shop {
    folder: tempfile::TempDir,
    clock: Arc<ShopClock>,
    has_short_waits: AtomicBool,
    pub dates: Vec<NaiveDate>,
}

/// From `NOW` on, time passes in a shop as in reality, except for skipped nights: a server that has been running for
/// minutes and a program that is restarted must agree on the time.
struct ShopClock {
    opened: std::time::Instant,
    skipped_seconds: AtomicI64,
}

impl ShopClock {
    fn begin() -> Arc<ShopClock> {
        Arc::new(ShopClock { opened: std::time::Instant::now(), skipped_seconds: AtomicI64::new(0) })
    }
}

impl Clock for ShopClock {
    fn now(&self) -> DateTime<Utc> {
        let skipped = chrono::TimeDelta::seconds(self.skipped_seconds.load(Ordering::Relaxed));
        NOW.parse::<DateTime<Utc>>().unwrap() + self.opened.elapsed() + skipped
    }
}

/// A simulator that serves a shop as long as it lives.
pub struct Wechat {
    runtime: Runtime,
    running: Option<Running>,
}

/// A server that keeps requests waiting.
pub struct Stall<'a> {
    wechat: &'a Wechat,
    /// The number of delayed answers beyond which one is kept waiting.
    delayed: u64,
}

/// A port of this machine at which nobody listens, nor can as long as this lives: tests beside this one open ports too.
pub struct ClosedPort(tokio::net::TcpSocket);

/// How the program ended.
#[derive(Debug)]
pub struct Ending {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Shop {
    /// A small generated merchant.
    pub fn of_seed(seed: u64) -> Shop {
        Shop::of(&Recipe::new(seed, 60, 3, day(18)))
    }

    /// The merchant of a recipe.
    pub fn of(recipe: &Recipe) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let merchant = Merchant::make(recipe).unwrap();
        let dates = merchant.dates().collect();
        merchant.write(&folder.path().join("merchant")).unwrap();
        Shop { folder, clock: ShopClock::begin(), has_short_waits: AtomicBool::default(), dates }
    }

    /// The committed sample merchant, copied.
    pub fn sample() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data");
        let merchant = folder.path().join("merchant");
        copy_folder(&sample, &merchant);
        // A checkout gives keys to everybody to read, and the program warns of that.
        for key in std::fs::read_dir(merchant.join("secrets")).unwrap() {
            std::fs::set_permissions(key.unwrap().path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let dates = vec![day(18), day(19), day(20)];
        Shop { folder, clock: ShopClock::begin(), has_short_waits: AtomicBool::default(), dates }
    }

    /// What the clock of this shop shows.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Moves to the same time on the next day, here and in the simulator.
    pub fn sleep_a_night(&self) {
        self.clock.skipped_seconds.fetch_add(24 * 3600, Ordering::Relaxed);
    }

    /// From now on the program waits only a thousandth of what it should before it asks again (`COUPON_RECON_SHORT_WAITS`),
    /// and gives a call up after `DEADLINE_SECONDS`: what never answers is soon given up, and what does may take as long.
    pub fn shorten_waits(&self) {
        self.edit("job.toml", |text| {
            assert!(text.contains("\nretry_deadline_seconds = 120\n"), "{text}");
            let deadline = format!("\nretry_deadline_seconds = {DEADLINE_SECONDS}\n");
            text.replace("\nretry_deadline_seconds = 120\n", &deadline)
        });
        self.has_short_waits.store(true, Ordering::Relaxed);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("merchant").join(name)
    }

    pub fn lake(&self) -> PathBuf {
        self.folder.path().join("out/lake")
    }

    /// Changes a text file of the merchant.
    pub fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(text)).unwrap();
    }

    /// Serves the merchant's world; `world_now` none shows the present.
    pub fn serve(&self, world_now: Option<DateTime<Utc>>) -> Wechat {
        let runtime = Runtime::new().unwrap();
        let simulator = Simulator::load(&self.folder.path().join("merchant")).unwrap();
        let running = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut options = Options::new(&World::at(self.now()));
            options.clock = self.clock.clone();
            options.world_now = world_now;
            simulator.serve(listener, options).unwrap()
        });
        Wechat { runtime, running: Some(running) }
    }

    /// `coupon-recon run JOB ARGUMENTS` against `wechat`.
    pub fn run(&self, wechat: &Wechat, arguments: &[&str]) -> Ending {
        Ending::of(self.run_command(wechat, arguments).output().unwrap())
    }

    /// The command itself, for tests that start it without waiting or change its environment.
    pub fn run_command(&self, wechat: &Wechat, arguments: &[&str]) -> Command {
        let url = wechat.running().base_url();
        self.command(&[&["run", "job.toml", "--base-url", &url], arguments].concat())
    }

    /// Removes what is published and makes it again from the journals, without a network.
    pub fn replay_from_nothing(&self) {
        for tree in ["datasets", "reports"] {
            std::fs::remove_dir_all(self.lake().join(tree)).unwrap();
        }
        for date in &self.dates {
            let ending = self.program(&["run", "job.toml", "--replay", "--date", &date.to_string()]);
            assert_eq!(ending.code, 0, "{}", ending.stderr);
        }
    }

    /// Runs all nights, each of which must be complete.
    pub fn run_nights(&self, wechat: &Wechat) {
        for date in &self.dates {
            let ending = self.run(wechat, &["--date", &date.to_string()]);
            assert_eq!(ending.code, 0, "{date}: {}", ending.stderr);
        }
    }

    /// Runs a night in which the program is killed at a commit point; whether it was.
    pub fn run_dying(&self, wechat: &Wechat, at: &str, arguments: &[&str]) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let output = self.run_command(wechat, arguments).env("COUPON_RECON_DIE_AT", at).output().unwrap();
        output.status.signal() == Some(9)
    }

    /// Removes everything that the program wrote.
    pub fn forget_lake(&self) {
        let _ = std::fs::remove_dir_all(self.folder.path().join("out"));
    }

    /// Keeps the lake as it is now under `name`.
    #[allow(dead_code, reason = "only the torture calls it")]
    pub fn keep_lake(&self, name: &str) {
        let _ = std::fs::remove_dir_all(self.folder.path().join(name));
        copy_folder(&self.folder.path().join("out"), &self.folder.path().join(name));
    }

    /// The lake as it was kept.
    #[allow(dead_code, reason = "only the torture calls it")]
    pub fn restore_lake(&self, name: &str) {
        self.forget_lake();
        copy_folder(&self.folder.path().join(name), &self.folder.path().join("out"));
    }

    /// What `verify` says of a date.
    pub fn verify(&self, date: NaiveDate) -> Ending {
        self.program(&["verify", "job.toml", "--date", &date.to_string(), "--signatures"])
    }

    /// The program, in the merchant's folder.
    pub fn program(&self, arguments: &[&str]) -> Ending {
        Ending::of(self.command(arguments).output().unwrap())
    }

    /// As `program`, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.now().to_rfc3339(), arguments)
    }

    /// The command under a clock of its own.
    pub fn command_at(&self, now: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coupon-recon"));
        command.args(["--now", now]).args(arguments).current_dir(self.folder.path().join("merchant"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.has_short_waits.load(Ordering::Relaxed) {
            command.env("COUPON_RECON_SHORT_WAITS", "1");
        }
        command
    }

    /// Every published byte, by path below the lake: datasets and reports.
    pub fn published(&self) -> BTreeMap<String, Vec<u8>> {
        ["datasets", "reports"].into_iter().flat_map(|tree| self.files(tree)).collect()
    }

    /// Every byte below a folder of the lake, by path below the lake.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.lake(), &self.lake().join(folder), &mut files);
        files
    }

    /// The breaks of a night: id and status, then the rule for people.
    pub fn found(&self, date: NaiveDate) -> BTreeSet<String> {
        let breaks = self.breaks(date);
        breaks.iter().map(|it| format!("{} {} {}", it.break_id, it.status, it.rule_id)).collect()
    }

    pub fn breaks(&self, date: NaiveDate) -> Vec<Break> {
        read_rows::<Break>(&self.lake().join(format!("datasets/breaks/dt={date}/part-0.parquet"))).unwrap()
    }

    /// Every line of every secret of the merchant, with the name of its file: whole files would hardly be found in a log.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let mut secrets = Vec::new();
        for entry in std::fs::read_dir(self.path("secrets")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            // The platform's public key is no secret.
            let is_secret = |line: &&str| line.len() > 20 && !line.starts_with("-----") && !name.contains("pub");
            secrets.extend(text.lines().filter(is_secret).map(|line| (name.clone(), line.to_owned())));
        }
        assert!(secrets.len() > 10);
        secrets
    }

    /// Every raw openid of the merchant.
    pub fn openids(&self) -> BTreeSet<String> {
        let world = std::fs::read_to_string(self.path("world/world.json")).unwrap();
        let world: serde_json::Value = serde_json::from_str(&world).unwrap();
        let coupons = world["coupons"].as_array().unwrap();
        coupons.iter().map(|coupon| coupon["openid"].as_str().unwrap().to_owned()).collect()
    }

    /// Every text value of a published partition.
    pub fn texts_of(&self, name: &str) -> String {
        use arrow::array::AsArray;
        let mut texts = String::new();
        let file = std::fs::File::open(self.lake().join(name)).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for batch in reader.build().unwrap() {
            for column in batch.unwrap().columns() {
                let values = column.as_string_opt::<i32>().into_iter().flatten().flatten();
                values.for_each(|value| texts.extend([value, "\n"]));
            }
        }
        texts
    }

    /// The planted truth of a night in the same form.
    pub fn truth(&self, date: NaiveDate) -> BTreeSet<String> {
        let key = std::fs::read_to_string(self.path("secrets/pii.key")).unwrap();
        let pseudonyms = Pseudonyms::hmac(key.trim_end_matches(['\r', '\n']).as_bytes());
        let mut reader = csv::Reader::from_path(self.path(&format!("truth/{date}.csv"))).unwrap();
        let lines = reader.records().map(|record| {
            let mut cells: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
            let status = cells.pop().unwrap();
            if !cells[3].is_empty() {
                cells[3] = pseudonyms.publish(&cells[3]);
            }
            format!("{} {status} {}", break_id(&cells), cells[0])
        });
        lines.collect()
    }
}

/// The id of a break, from the design and not from the program: SHA-256 over its key.
fn break_id(key: &[String]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(key.join("\n").as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Wechat {
    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn counts(&self) -> Counts {
        self.running().counts()
    }

    /// Drives `future` on the runtime of the simulator.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Lets `future` run as long as the simulator does.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    pub fn play(&self, scenario: &str) {
        self.running().play(scenario.parse::<Scenario>().unwrap());
    }

    /// Answers so many requests to paths that begin like this, and keeps all others waiting until another scenario is
    /// played: a program cannot end by itself meanwhile, however slow or fast this machine is.
    pub fn stall(&self, path: &str, answered: u64) -> Stall<'_> {
        let fault = format!("[[fault]]\npath = \"{path}\"\nkind = \"slow\"\n");
        let at_once = format!("{fault}delay_ms = 1\nfirst = {answered}\n");
        let delayed_before = self.delayed();
        self.play(&format!("{}{fault}delay_ms = {STALL_MS}\n", if answered > 0 { &at_once } else { "" }));
        Stall { wechat: self, delayed: delayed_before + answered }
    }

    /// How many answers were delayed so far.
    fn delayed(&self) -> u64 {
        self.counts().faults.get("slow").copied().unwrap_or(0)
    }
}

impl ClosedPort {
    pub fn reserve() -> ClosedPort {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        ClosedPort(socket)
    }

    /// Its URL, where every connection is refused.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
}

impl Stall<'_> {
    /// Waits until a request of this program is kept waiting.
    pub fn wait_for(&self, program: &mut Child) {
        while self.wechat.delayed() <= self.delayed {
            assert!(program.try_wait().unwrap().is_none(), "the program ended before it had to wait");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Answers everything, what was kept waiting at once.
    pub fn end(self) {
        self.wechat.play("");
    }
}

impl Drop for Wechat {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

impl Ending {
    pub fn of(output: Output) -> Ending {
        Ending {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one line of JSON.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "{}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The manifest that the line names.
    pub fn manifest(&self) -> serde_json::Value {
        let path = self.json()["manifest"].as_str().unwrap().to_owned();
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }
}

/// What a manifest, or a dry run, says of a stage.
pub fn stage_of<'a>(told: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    told["stages"].as_array().unwrap().iter().find(|it| it["stage"] == name).unwrap()
}

pub fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
