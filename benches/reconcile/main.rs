//! Match and rules at scale, from published partitions to breaks: makes a merchant, judges a night.
//!
//! ```text
//! reconcile generate FOLDER --coupons N     a lake of N coupons
//! reconcile night FOLDER [--date D] [--match-only]
//!                                           ledger and breaks of a night, into FOLDER/lake, where `[engine]` of
//!                                           FOLDER/job.toml says: here, or on a cluster (feature `spark`)
//! reconcile script FOLDER FILE [--date D]   the night for `spark-submit`
//! reconcile take FOLDER [--date D]          what the script left, into FOLDER/lake
//! reconcile decode FOLDER [--date D]        what the match reads, decoded and dropped: its floor
//! ```

#![expect(clippy::disallowed_methods, reason = "a benchmark times the program")]

mod merchant;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{Days, NaiveDate};
use clap::{Parser, Subcommand};
use coupon_recon::contract;
use coupon_recon::dataset::Lake;
use coupon_recon::dataset::partition::{PartLimit, Provenance, RowWriter, Writer};
use coupon_recon::job::{self, Job};
use coupon_recon::reconcile::rules::Rules;
use coupon_recon::reconcile::{
    self, Asked, Basis, DayFiles, Decisions, Handover, Place, ReconcileError, Reconciliation, Scratch, Script,
    ScriptResults, Shortfall, Site, Terms,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The allocator of the program, so that figures compare.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Passed by `cargo bench`; it changes nothing.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the partitions of a merchant and the ledger of the night before.
    Generate {
        folder: PathBuf,
        #[arg(long)]
        coupons: u64,
    },
    /// Builds the ledger and judges it.
    Night {
        folder: PathBuf,
        #[arg(long, default_value = merchant::DATE)]
        date: NaiveDate,
        /// Leaves the rules out: ledger and control totals alone.
        #[arg(long)]
        match_only: bool,
    },
    /// Writes the night as a script for Spark.
    Script {
        folder: PathBuf,
        file: PathBuf,
        #[arg(long, default_value = merchant::DATE)]
        date: NaiveDate,
    },
    /// Takes what the script left as ledger and breaks.
    Take {
        folder: PathBuf,
        #[arg(long, default_value = merchant::DATE)]
        date: NaiveDate,
    },
    /// Decodes what the match reads, on one thread.
    Decode {
        folder: PathBuf,
        #[arg(long, default_value = merchant::DATE)]
        date: NaiveDate,
    },
}

fn main() -> Outcome<()> {
    match Arguments::parse().command {
        Command::Generate { folder, coupons } => {
            merchant::generate(&folder, coupons)?;
            let date: NaiveDate = merchant::DATE.parse()?;
            Night::begin(&folder, date - Days::new(1), None)?.match_and_judge()
        }
        Command::Night { folder, date, match_only: true } => Night::begin(&folder, date, None)?.build_ledger(),
        Command::Night { folder, date, match_only: false } => Night::begin(&folder, date, None)?.match_and_judge(),
        Command::Script { folder, file, date } => {
            let script = script(&folder, date)?;
            Ok(std::fs::write(file, script.text)?)
        }
        Command::Take { folder, date } => {
            let script = script(&folder, date)?;
            Night::begin(&folder, date, Some(&script))?.match_and_judge()
        }
        Command::Decode { folder, date } => decode(&folder, date),
    }
}

/// A night that began.
struct Night {
    job: Job,
    rules: Rules,
    terms: Terms,
    date: NaiveDate,
    files: DayFiles,
    began: Instant,
    site: Site,
    scratch: Scratch,
}

impl Night {
    /// On the engine of the job, or by what a script left.
    fn begin(folder: &Path, date: NaiveDate, script: Option<&Script>) -> Outcome<Night> {
        let job = job::load(&folder.join("job.toml"), &|_| None)?;
        let files = day_files(&job, date)?;
        let began = Instant::now();
        let (rules, terms) = (reconcile::rules_of(&job)?, Terms::of(&job));
        let site = match script {
            Some(script) => Site::Script(ScriptResults::open(script, &in_place(&job))?),
            None => Site::open(&job, in_place(&job))?,
        };
        let scratch = Scratch::new_in(&job.lake)?;
        Ok(Night { job, rules, terms, date, files, began, site, scratch })
    }

    fn match_and_judge(mut self) -> Outcome<()> {
        self.build_ledger()?;
        self.judge()
    }

    fn build_ledger(&mut self) -> Outcome<()> {
        let path = place(&self.job, "coupon_ledger", self.date)?;
        let contract = contract::contract("coupon_ledger");
        let mut writer = Writer::create(&path, contract, &Provenance::default(), PartLimit::NONE)?.on_one_thread();
        let mut rows = 0;
        let Night { rules, terms, files, scratch, site, began, .. } = self;
        let basis = Basis { terms, rules, files };
        let footing = Reconciliation { basis, scratch }.build_ledger(site, &Asked::default(), |batch| {
            rows += batch.num_rows();
            writer.write(&batch).map_err(ReconcileError::from)
        })?;
        writer.finish()?;
        if let Some(side) = footing.iter().find(|side| !side.holds()) {
            return Err(format!("the night does not foot: {side:?}").into());
        }
        eprintln!("{rows} coupons, ledger {:.2} s", began.elapsed().as_secs_f64());
        files.day.insert("coupon_ledger".to_owned(), path);
        Ok(())
    }

    fn judge(&mut self) -> Outcome<()> {
        let path = place(&self.job, "breaks", self.date)?;
        let writer = Writer::create(&path, contract::contract("breaks"), &Provenance::default(), PartLimit::NONE)?;
        let mut breaks = RowWriter::new(writer);
        let (shortfall, decisions) = (Shortfall::default(), Decisions::default());
        let Night { rules, terms, files, scratch, site, began, .. } = self;
        let basis = Basis { terms, rules, files };
        let night = Reconciliation { basis, scratch };
        let judgement =
            night.judge(site, &shortfall, &decisions, |row| breaks.push(row).map_err(ReconcileError::from))?;
        let count: u64 = breaks.finish()?.finish()?.iter().sum();
        let found: Vec<_> = judgement.found.iter().filter(|(_, rows)| **rows > 0).collect();
        eprintln!("{count} breaks: {found:?}");
        eprintln!("all {:.2} s", began.elapsed().as_secs_f64());
        Ok(())
    }
}

/// The night as a script; what it reads of D is linked to where a script looks for it.
fn script(folder: &Path, date: NaiveDate) -> Outcome<Script> {
    let job = job::load(&folder.join("job.toml"), &|_| None)?;
    let (rules, files) = (reconcile::rules_of(&job)?, day_files(&job, date)?);
    let handover = Handover { folder: lake_of(&job).handover(&job.name, date), digests: BTreeMap::new() };
    std::fs::create_dir_all(handover.folder.join("inputs"))?;
    for (dataset, path) in &files.day {
        let input = handover.input(dataset);
        std::fs::create_dir_all(input.parent().expect("a partition has a folder"))?;
        let _ = std::fs::remove_file(&input);
        std::fs::hard_link(path, input)?;
    }
    for (_, nobody) in handover.asked() {
        std::fs::write(nobody, "")?;
    }
    let basis = Basis { terms: &Terms::of(&job), rules: &rules, files: &files };
    Ok(reconcile::write_script(&job.name, basis, &Shortfall::default(), &in_place(&job), &handover)?)
}

/// The local lake, not a bucket.
fn in_place(job: &Job) -> Place {
    Place { root: job.lake.clone(), bucket: None }
}

fn decode(folder: &Path, date: NaiveDate) -> Outcome<()> {
    let job = job::load(&folder.join("job.toml"), &|_| None)?;
    let files = day_files(&job, date)?;
    let began = Instant::now();
    let mut rows = 0;
    for (dataset, columns) in reconcile::columns_read() {
        for path in read_of(&files, dataset) {
            let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path)?)?;
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            for batch in builder.with_projection(mask).with_batch_size(8_192).build()? {
                rows += batch?.num_rows();
            }
        }
    }
    eprintln!("{rows} rows decoded {:.2} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// The files of a dataset the match opens: one, or the days of the look-back.
fn read_of<'f>(files: &'f DayFiles, dataset: &str) -> Vec<&'f Path> {
    match dataset {
        "coupon_ledger" => files.latest_before(dataset).into_iter().collect(),
        "orders" | "payments" | "refunds" | "coupon_events" => {
            files.window(dataset, NaiveDate::MIN).into_iter().map(|(_, path)| path).collect()
        }
        _ => files.of_day(dataset).into_iter().collect(),
    }
}

/// Where the night's own partitions go.
fn place(job: &Job, dataset: &str, date: NaiveDate) -> Outcome<PathBuf> {
    let path = lake_of(job).partition(dataset, date);
    std::fs::create_dir_all(path.parent().ok_or("a partition has a folder")?)?;
    Ok(path)
}

fn day_files(job: &Job, date: NaiveDate) -> Outcome<DayFiles> {
    let lake = lake_of(job);
    let mut files = DayFiles::new(date);
    for contract in contract::all() {
        let is_made = ["coupon_ledger", "breaks"].contains(&contract.name.as_str());
        let earlier = lake.partitions(&contract.name, NaiveDate::MIN, date)?;
        let earlier = earlier.into_iter().map(|partition| (partition.date, partition.path)).collect();
        files.history.insert(contract.name.clone(), earlier);
        // Wallets and receipts show the present: the file of D serves the night before it too.
        let of_day = [date, date + Days::new(1)].map(|date| lake.partition(&contract.name, date));
        if let Some(path) = of_day.into_iter().find(|path| !is_made && path.exists()) {
            files.day.insert(contract.name.clone(), path);
        }
    }
    Ok(files)
}

fn lake_of(job: &Job) -> Lake {
    Lake::at(&job.lake)
}
