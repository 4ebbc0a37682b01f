//! Files of the merchant at scale, for `compare.py`: a bill of any size, the same rows as a CSV without WeChat's
//! back-ticks, an order export, and the job files that read them. Written as a stream: memory does not grow with the size.
//!
//! ```text
//! ingest bill FOLDER --bytes N [--gzip]     FOLDER/bill/20261118.csv and its job; N counts unpacked bytes
//! ingest rows FOLDER --bytes N              FOLDER/rows.csv: the rows of the same bill, in the form other tools read
//! ingest orders FOLDER --bytes N            FOLDER/orders/2026-11-18.csv and its job
//! ```

mod bill;
mod dice;
mod orders;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use flate2::Compression;
use flate2::write::GzEncoder;

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
    /// A trade bill and a job that reads it.
    Bill {
        folder: PathBuf,
        #[arg(long)]
        bytes: u64,
        #[arg(long)]
        gzip: bool,
    },
    /// The rows of that bill as a plain CSV.
    Rows {
        folder: PathBuf,
        #[arg(long)]
        bytes: u64,
    },
    /// An order export and a job that reads it.
    Orders {
        folder: PathBuf,
        #[arg(long)]
        bytes: u64,
    },
}

fn main() -> io::Result<()> {
    match Arguments::parse().command {
        Command::Bill { folder, bytes, gzip } => {
            write_job(&folder, "bill.toml", bill::JOB)?;
            let file = create(&folder.join("bill/20261118.csv"))?;
            if !gzip {
                return bill::write_bill(file, bytes)?.flush();
            }
            bill::write_bill(GzEncoder::new(file, Compression::fast()), bytes)?.finish()?.flush()
        }
        Command::Rows { folder, bytes } => bill::write_rows(create(&folder.join("rows.csv"))?, bytes)?.flush(),
        Command::Orders { folder, bytes } => {
            write_job(&folder, "orders.toml", orders::JOB)?;
            orders::write(create(&folder.join("orders/2026-11-18.csv"))?, bytes)?.flush()
        }
    }
}

fn write_job(folder: &Path, name: &str, job: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name), job)
}

fn create(path: &Path) -> io::Result<BufWriter<File>> {
    fs::create_dir_all(path.parent().expect("files lie in a folder"))?;
    Ok(BufWriter::with_capacity(1 << 20, File::create(path)?))
}
