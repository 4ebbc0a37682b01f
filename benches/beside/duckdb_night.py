"""A night of the bench's merchant by DuckDB alone: the ledger, the rules, the breaks as Parquet. Two threads.

    duckdb_night.py LAKE DATE BREAKS.parquet SCRATCH [--ledger LEDGER.parquet] [--explain]

With --ledger the ledger is written as well, sorted, and judged from the file. Says on standard error how long each statement took.
"""

import argparse
import datetime
import re
import string
import sys
import time
import tomllib
from pathlib import Path

import duckdb

HERE = Path(__file__).parent
LOOKBACK_DAYS = 30
# As the program writes its partitions.
PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 1048576)"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lake", type=Path)
    parser.add_argument("date", type=datetime.date.fromisoformat)
    parser.add_argument("breaks", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--ledger", type=Path)
    arguments = parser.parse_args()
    names = words(arguments)
    db = duckdb.connect(config={"threads": 2, "temp_directory": str(arguments.scratch)})
    run(db, (HERE / "duckdb_ledger.sql").read_text(), names)
    if arguments.ledger:
        run(db, f"COPY (FROM ledger_row ORDER BY stock_id, coupon_code) TO '{arguments.ledger}' {PARQUET};", names)
        run(db, f"CREATE TEMP VIEW ledger AS FROM read_parquet('{arguments.ledger}');", names)
    else:
        run(db, "CREATE TEMP VIEW ledger AS FROM ledger_row;", names)
    run(db, (HERE / "duckdb_rules.sql").read_text(), names)


def words(arguments: argparse.Namespace) -> dict[str, str]:
    """What the script does not know by itself."""
    job = tomllib.loads((arguments.lake.parent / "job.toml").read_text())
    ledgers = sorted(path.name[3:] for path in (arguments.lake / "datasets/coupon_ledger").iterdir())
    programs = [
        f"('{it['stock_id']}', '{it['payer_merchant']}', '{it['payee_merchant']}', {it.get('amount_fen', 'NULL')}::BIGINT,"
        f" {it.get('percent_of_discount', 'NULL')}::BIGINT, {it.get('due_days', 0)})"
        for it in job["subsidy_programs"]
    ]
    return {
        "lake": str(arguments.lake),
        "date": arguments.date.isoformat(),
        "previous": max(date for date in ledgers if date < arguments.date.isoformat()),
        "lookback": str(LOOKBACK_DAYS),
        "night": f"{arguments.date + datetime.timedelta(days=1)} 00:00:00+08",
        "programs": ", ".join(programs),
        "breaks": str(arguments.breaks),
    }


def run(db: duckdb.DuckDBPyConnection, script: str, names: dict[str, str]) -> None:
    script = string.Template(re.sub(r"^--.*$", "", script, flags=re.MULTILINE)).substitute(names)
    for statement in filter(None, map(str.strip, script.split(";"))):
        began = time.monotonic()
        db.execute(statement)
        title = " ".join(statement.split()[:5])
        print(f"{time.monotonic() - began:7.3f} {title}", file=sys.stderr)


main()
