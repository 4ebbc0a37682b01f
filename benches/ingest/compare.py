"""Ingest beside DuckDB: the real program reads a bill and an order export, DuckDB reads the same rows; wall,
CPU-seconds, peak memory and the ratios, as Markdown. Makes its files and removes them.

    compare.py PROGRAM GENERATOR FOLDER [--bytes N] [--rounds N] [--only bill|bill.gz|orders]
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import duckdb

HERE = Path(__file__).parent
DATE = "2026-11-18"
MEBI = 1 << 20


def measured(command, **more):
    """Wall seconds, CPU-seconds and peak MiB of a command."""
    began = time.monotonic()
    process = subprocess.Popen(command, **more)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command} failed")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Case:
    """One kind of file, for both programs."""

    def __init__(self, arguments, kind):
        self.arguments, self.kind = arguments, kind
        self.folder = Path(arguments.folder).resolve() / kind
        self.folder.mkdir(parents=True, exist_ok=True)

    def generate(self, what, *more):
        size = str(self.arguments.bytes)
        subprocess.run([self.arguments.generator, what, self.folder, "--bytes", size, *more], check=True)

    def ours(self):
        shutil.rmtree(self.folder / "lake", ignore_errors=True)
        job, stage = ("orders.toml", "orders") if self.kind == "orders" else ("bill.toml", "bills")
        command = [self.arguments.program, "run", self.folder / job, "--date", DATE, "--stage", stage]
        return measured(command, stdout=subprocess.DEVNULL)

    def theirs(self, source):
        kind = "orders" if self.kind == "orders" else "bill"
        scratch = self.folder / "scratch"
        command = [sys.executable, HERE / "duckdb_ingest.py", kind, source, self.folder / "duckdb.parquet", scratch]
        return measured(command)

    def totals(self, *files):
        """Rows and the sum of the amount column, read back from Parquet."""
        column = "discount_fen" if self.kind == "orders" else "order_fen"
        rows = total = 0
        for file in files:
            names = [row[0] for row in duckdb.execute(f"DESCRIBE FROM '{file}'").fetchall()]
            found = duckdb.execute(f"SELECT count(*), {f'sum({column})' if column in names else '0'} FROM '{file}'").fetchall()[0]
            rows, total = rows + found[0], total + int(found[1] or 0)
        return rows, total

    def ours_totals(self):
        names = ["orders"] if self.kind == "orders" else ["payments", "refunds"]
        return self.totals(*(self.folder / f"lake/datasets/{name}/dt={DATE}/part-0.parquet" for name in names))

    def run(self):
        """Both programs, each on its own file; one file lies there at a time."""
        if self.kind == "orders":
            self.generate("orders")
            source = self.folder / "orders" / f"{DATE}.csv"
        else:
            self.generate("bill", *(["--gzip"] if self.kind == "bill.gz" else []))
            source = self.folder / "bill/20261118.csv"
        size = source.stat().st_size
        mine = [self.ours() for _ in range(self.arguments.rounds)]
        rows = self.ours_totals()
        shutil.rmtree(self.folder / "lake")
        if self.kind != "orders":
            source.unlink()
            self.generate("rows")
            source = self.folder / "rows.csv"
            if self.kind == "bill.gz":
                subprocess.run(["gzip", "-1", source], check=True)
                source = self.folder / "rows.csv.gz"
        theirs = [self.theirs(source) for _ in range(self.arguments.rounds)]
        assert rows == self.totals(self.folder / "duckdb.parquet"), "the two did not read the same"
        shutil.rmtree(self.folder)
        return size, rows[0], mine, theirs


def median(runs):
    return [statistics.median(run[index] for run in runs) for index in range(3)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("generator")
    parser.add_argument("folder")
    parser.add_argument("--bytes", type=int, default=200 * MEBI)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["bill", "bill.gz", "orders"])
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"DuckDB {duckdb.__version__}, 2 threads; medians of {arguments.rounds}\n")
    print("| file | MiB | rows | ours: wall s | CPU s | peak MiB | DuckDB: wall s | CPU s | peak MiB | wall | CPU |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for kind in [arguments.only] if arguments.only else ["bill", "bill.gz", "orders"]:
        size, rows, mine, theirs = Case(arguments, kind).run()
        (wall, cpu, peak), (their_wall, their_cpu, their_peak) = median(mine), median(theirs)
        print(
            f"| {kind} | {size / MEBI:.0f} | {rows:,} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {their_wall:.2f} |"
            f" {their_cpu:.2f} | {their_peak:.0f} | {their_wall / wall:.2f}× | {their_cpu / cpu:.2f}× |",
            flush=True,
        )


main()
