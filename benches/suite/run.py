"""`make bench`: everything that is timed, side by side in one run, unattended. Raw numbers go to out/bench/*.json, the tables to benches/RESULTS.md.

    run.py [--coupons N] [--small N] [--rounds N] [--wallets N] [--only SECTION,…]

Sections: night (match and rules beside DuckDB, and the decoding), libraries (pandas, Polars, DuckDB, datacompy on a smaller merchant), ingest,
extraction, journal (from the journal to the finance pack), start (start-up and size), tables.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
import traceback

import journal
import paper
import tables
from measure import OUT, PROGRAM, ROOT, VENV, bench, free_gb, measured, medians, rounds, save, say

DATE = "2026-11-20"
HERE = ROOT / "benches"
DATACOMPY = ROOT / ".venv-datacompy/bin/python"
BYTES_A_COUPON = 1000
NIGHT_BUDGET_S = 420


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--coupons", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wallets", type=int, default=55_556)
    parser.add_argument("--only", default="night,libraries,ingest,extraction,journal,start,tables")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in arguments.only.split(","):
        say(f"{name} …")
        began = time.monotonic()
        try:
            SECTIONS[name](arguments)
        except (Exception, SystemExit):
            # One section that fails does not cost the others their figures.
            traceback.print_exc()
            failed.append(name)
        say(f"{name}: {time.monotonic() - began:.0f} s")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def merchant(coupons):
    """A made merchant, once; its lake is removed by whoever asked for it."""
    folder = OUT / f"merchant-{coupons}"
    needed = coupons * BYTES_A_COUPON / 1e9
    if free_gb(OUT) < needed:
        sys.exit(f"{coupons:,} coupons need {needed:.0f} GB in out/bench, {free_gb(OUT):.0f} GB are free")
    shutil.rmtree(folder, ignore_errors=True)
    run = measured([bench("reconcile"), "generate", folder, "--coupons", coupons], stderr=subprocess.DEVNULL)
    say(f"  {coupons:,} coupons made in {run['wall_s']:.0f} s")
    return folder


def night(arguments):
    """Match and all rules, ours and DuckDB's in turn; equal breaks and ledgers before any ratio."""
    folder = merchant(arguments.coupons)
    try:
        save("night", {"coupons": arguments.coupons} | nights(folder, arguments.rounds, NIGHT_BUDGET_S))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def nights(folder, count, budget_s=float("inf")):
    ours, lake, work = bench("reconcile"), folder / "lake", folder / "duckdb"
    work.mkdir(exist_ok=True)
    theirs = [VENV, HERE / "beside/duckdb_night.py", lake, DATE]
    log = {name: open(work / f"{name}.log", "w+") for name in ("ours", "ours_decode", "duckdb_breaks", "duckdb_ledger")}
    contenders = {
        "ours": lambda: measured([ours, "night", folder], stderr=log["ours"]),
        "duckdb_breaks": lambda: measured([*theirs, work / "breaks.parquet", work], stderr=log["duckdb_breaks"]),
        "duckdb_ledger": lambda: measured(
            [*theirs, work / "breaks-of-ledger.parquet", work, "--ledger", work / "ledger.parquet"], stderr=log["duckdb_ledger"]
        ),
        "ours_decode": lambda: measured([ours, "decode", folder], stderr=log["ours_decode"]),
    }
    if without_ledger(ours):
        contenders |= {"ours_breaks": lambda: measured([ours, "night", folder, "--breaks-only"], stderr=subprocess.DEVNULL)}
        # The rules read the ledger of the other variant: the one that writes goes last.
        contenders = {name: contenders[name] for name in ("ours_breaks", "ours", "duckdb_breaks", "duckdb_ledger", "ours_decode")}
    runs = rounds(contenders, count, budget_s)
    same = [VENV, HERE / "beside/same.py", lake, DATE]
    found = [
        subprocess.run([*same, work / breaks, work, *ledger], capture_output=True, text=True)
        for breaks, ledger in (("breaks.parquet", []), ("breaks-of-ledger.parquet", [work / "ledger.parquet"]))
    ]
    for check in found:
        if check.returncode:
            sys.exit(f"not the same night: {check.stderr}")
    sizes = {"ours": lake / f"datasets/coupon_ledger/dt={DATE}/part-0.parquet", "duckdb": work / "ledger.parquet"}
    return {
        "runs": runs,
        "medians": {name: medians(of) for name, of in runs.items()},
        "breaks": json.loads(found[0].stdout),
        "ledger_mb": {name: path.stat().st_size / 1e6 for name, path in sizes.items()},
        "lake_mb": sum(path.stat().st_size for path in lake.rglob("*.parquet")) / 1e6,
        "stages": {name: stages(file) for name, file in log.items()},
    }


def without_ledger(ours):
    """Whether the bench can leave the ledger unwritten."""
    return "--breaks-only" in subprocess.run([ours, "night", "--help"], capture_output=True, text=True).stdout


def stages(file):
    """What a program said about itself in its last round."""
    file.seek(0)
    lines = file.read().splitlines()
    timed = [line.split(None, 1) for line in lines if re.match(r"\s+\d+\.\d{3} ", line)]
    if not timed:
        return lines[-4:]
    last = timed[max(number for number, (_, title) in enumerate(timed) if title.startswith("CREATE TEMP TABLE program")) :]
    return sorted(([float(seconds), title] for seconds, title in last), reverse=True)[:12]


def libraries(arguments):
    """The bare join with five sums and ten of the rules, in several libraries, beside our whole night."""
    folder = merchant(arguments.small)
    lake, answers = folder / "lake", {}

    def told(name, python, script):
        with open(folder / "answer", "w+") as answer:
            run = measured([python, HERE / "beside" / script, lake], stdout=answer)
            answer.seek(0)
            answers[name] = json.loads(answer.read())
        return run

    contenders = {
        "ours": lambda: measured([bench("reconcile"), "night", folder], stderr=subprocess.DEVNULL),
        "duckdb": lambda: told("duckdb", VENV, "joined_duckdb.py"),
        "polars": lambda: told("polars", VENV, "joined_polars.py"),
        "pandas": lambda: told("pandas", VENV, "joined_pandas.py"),
        "datacompy": lambda: told("datacompy", DATACOMPY, "compared_datacompy.py"),
    }
    try:
        runs = rounds(contenders, arguments.rounds)
        if not answers["duckdb"] == answers["polars"] == answers["pandas"]:
            sys.exit(f"the libraries disagree: {answers}")
        save(
            "libraries",
            {
                "coupons": arguments.small,
                "runs": runs,
                "medians": {name: medians(of) for name, of in runs.items()},
                "answers": answers,
                "versions": versions(VENV) | {"datacompy": versions(DATACOMPY)["datacompy"]},
            },
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def versions(python):
    lines = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout.split()
    return dict(line.split("==") for line in lines if "==" in line)


def ingest(arguments):
    """Bill and order export to Parquet, beside DuckDB: benches/ingest/compare.py."""
    command = [VENV, HERE / "ingest/compare.py", PROGRAM, bench("ingest"), OUT / "ingest", "--json", OUT / "ingest.raw"]
    subprocess.run([*command, "--rounds", str(min(arguments.rounds, 2))], check=True)
    save("ingest", json.loads((OUT / "ingest.raw").read_text()))


def extraction(_):
    """CPU a page beside a bare signature and two SDKs: benches/extraction/compare.py."""
    (OUT / "extraction.raw").unlink(missing_ok=True)
    subprocess.run(["make", "--no-print-directory", "bench-extraction", f"BENCH_JSON={OUT / 'extraction.raw'}"], cwd=ROOT, check=True)
    save("extraction", json.loads((OUT / "extraction.raw").read_text()))


def from_journal(arguments):
    """From the journal to the finance pack: benches/suite/journal.py."""
    save("journal", journal.measure(arguments.wallets, arguments.rounds))


def start(_):
    """Start-up of `--help` and the size of the program."""
    command = [PROGRAM, "--help"]
    for _ in range(5):
        measured(command, stdout=subprocess.DEVNULL)
    runs = [measured(command, stdout=subprocess.DEVNULL) for _ in range(50)]
    sizes = {"release": PROGRAM.stat().st_size}
    if (ROOT / "target/dist/coupon-recon").exists():
        sizes["dist"] = (ROOT / "target/dist/coupon-recon").stat().st_size
    save("start", {"median": medians(runs), "runs": runs, "bytes": sizes})


def write_tables(_):
    """What was measured, as benches/RESULTS.md, and what follows from it, as docs/one-billion.md."""
    tables.write()
    paper.write()


SECTIONS = {
    "night": night,
    "libraries": libraries,
    "ingest": ingest,
    "extraction": extraction,
    "journal": from_journal,
    "start": start,
    "tables": write_tables,
}

if __name__ == "__main__":
    main()
