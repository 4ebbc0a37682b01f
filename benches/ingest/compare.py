"""Ingest beside DuckDB: the real program reads a bill and an order export, DuckDB reads the same rows; wall,
CPU-seconds, peak memory and the ratios, as Markdown. Makes its files and removes them.

    compare.py PROGRAM GENERATOR FOLDER [--bytes N] [--rounds N] [--only bill|bill.gz|orders] [--json FILE]
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "suite"))
from measure import measured, medians  # noqa: E402

DATE = "2026-11-18"
MEBI = 1 << 20
VERSION = version("duckdb")


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
        """Rows and the sum of the amount column, read back from Parquet: elsewhere, for what this process holds counts as a child's peak."""
        column = "discount_fen" if self.kind == "orders" else "order_fen"
        command = [sys.executable, HERE / "duckdb_ingest.py", "totals", column, *files]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("generator")
    parser.add_argument("folder")
    parser.add_argument("--bytes", type=int, default=200 * MEBI)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["bill", "bill.gz", "orders"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"DuckDB {VERSION}, 2 threads; medians of {arguments.rounds}\n")
    print("| file | MiB | rows | ours: wall s | CPU s | peak MiB | DuckDB: wall s | CPU s | peak MiB | wall | CPU |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    told = {}
    for kind in [arguments.only] if arguments.only else ["bill", "bill.gz", "orders"]:
        size, rows, mine, theirs = Case(arguments, kind).run()
        our, their = medians(mine), medians(theirs)
        told[kind] = {"mib": size / MEBI, "rows": rows, "ours": our, "duckdb": their, "runs": {"ours": mine, "duckdb": theirs}}
        print(
            f"| {kind} | {size / MEBI:.0f} | {rows:,} | {our['wall_s']:.2f} | {our['cpu_s']:.2f} | {our['peak_mb']:.0f} | {their['wall_s']:.2f} |"
            f" {their['cpu_s']:.2f} | {their['peak_mb']:.0f} | {their['wall_s'] / our['wall_s']:.2f}× | {their['cpu_s'] / our['cpu_s']:.2f}× |",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"files": told, "duckdb": VERSION}))


main()
