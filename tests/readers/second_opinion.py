"""A second opinion: every rule of design §7 evaluated once more, by DuckDB over the published datasets,
written from the design and never from `jobs/rules`. It matches coupons to orders itself and takes from
the published ledger only what no dataset of the day tells: who was asked, and yesterday's memory.

Usage: second_opinion.py JOB.toml
"""

import hashlib
import pathlib
import sys
import tomllib

import duckdb

from second_opinion_rules import DATACUBE, MATCH, RULES

KEY = ["stock_id", "coupon_code", "openid", "out_trade_no", "transaction_id", "out_subsidy_no", "card_id", "ref_date"]
# What the night's own queries said: everything that is neither gone nor decided.
CANDIDATES = {"expected", "new", "open", "reopened"}


def main(job_path: pathlib.Path) -> int:
    job = tomllib.loads(job_path.read_text(encoding="utf-8"))
    lake = (job_path.parent / job["job"]["lake"]).resolve()
    dates = sorted(path.name.removeprefix("dt=") for path in (lake / "datasets/breaks").iterdir())
    failed, compared = 0, 0
    for date in dates:
        opinion, published = evaluate(job, lake, date), published_breaks(lake, date)
        compared += len(opinion)
        for line in differences(opinion, published):
            failed += 1
            print(f"{date} {line}")
    rules = len(RULES) + len(DATACUBE)
    print(f"second opinion: {rules} rules, {len(dates)} nights, {compared} breaks compared, {failed} differences")
    return 1 if failed or not compared else 0


def differences(opinion: dict[str, str], published: dict[str, tuple[str, str]]) -> list[str]:
    found = {key: text for key, (text, status) in published.items() if status in CANDIDATES}
    decided = {key for key, (_, status) in published.items() if status in {"accepted", "written_off"}}
    missed = [f"only the second opinion: {opinion[key]}" for key in opinion.keys() - found.keys() - decided]
    invented = [f"only the program: {found[key]}" for key in found.keys() - opinion.keys()]
    return sorted(missed) + sorted(invented)


def published_breaks(lake: pathlib.Path, date: str) -> dict[str, tuple[str, str]]:
    part = lake / f"datasets/breaks/dt={date}/part-0.parquet"
    columns = ", ".join(["rule_id", *KEY, "subject"])
    rows = duckdb.connect().sql(f"select break_id, status, {columns}, why from '{part}'").fetchall()
    return {row[0]: (" ".join(str(cell) for cell in row[2:] if cell is not None), row[1]) for row in rows}


def evaluate(job: dict, lake: pathlib.Path, date: str) -> dict[str, str]:
    """break_id → key in words, of every candidate of the night."""
    db = duckdb.connect()
    open_datasets(db, lake, date, job)
    open_parameters(db, job, date)
    db.execute(MATCH)
    found = {}
    for rule, sql in {**RULES, **DATACUBE}.items():
        if rule in job.get("rules", {}).get("off", []):
            continue
        try:
            relation = db.sql(sql)
        except duckdb.Error as error:
            raise SystemExit(f"{rule}: {error}") from error
        names = relation.columns
        for row in relation.fetchall():
            cells = dict(zip(names, row))
            parts = [rule, *(text(cells.get(name)) for name in KEY), text(cells.get("subject"))]
            digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
            found[digest] = " ".join(part for part in parts if part)
    return found


def text(cell: object) -> str:
    return "" if cell is None else str(cell)


def open_datasets(db: duckdb.DuckDBPyConnection, lake: pathlib.Path, date: str, job: dict) -> None:
    """`<name>_h`: the look-back with `dt`; `<name>`: the day. Instants become Shanghai wall time."""
    lookback = job.get("rules", {}).get("lookback_days", 30)
    for folder in sorted((lake / "datasets").iterdir()):
        source = f"read_parquet('{folder}/dt=*/*.parquet', hive_partitioning = true)"
        schema = db.sql(f"describe select * from {source}").fetchall()
        columns = ", ".join(local(name, kind) for name, kind, *_ in schema)
        db.execute(
            f"create table {folder.name}_h as select {columns} from {source} "
            f"where dt <= date '{date}' and dt > date '{date}' - {lookback}"
        )
        db.execute(f"create view {folder.name} as select * from {folder.name}_h where dt = date '{date}'")


def local(name: str, kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return f'make_timestamp(epoch_us("{name}") + 28800000000) as "{name}"'
    return f'"{name}"'


def open_parameters(db: duckdb.DuckDBPyConnection, job: dict, date: str) -> None:
    rules = job.get("rules", {})
    tolerance = rules.get("tolerance", {})
    db.execute(
        "create table p as select ?::date as d, ?::date + interval 1 day as night, ?::int as use_minutes, "
        "?::int as discount_tolerance, ?::int as max_coupons_per_order, ?::int as stuck_hours, ?::int as repull, "
        "?::varchar as mchid, (select min(dt) from orders_h) as first_day",
        [
            date,
            date,
            tolerance.get("use_time_minutes", 10),
            tolerance.get("discount_fen", 1),
            rules.get("max_coupons_per_order", 1),
            rules.get("stuck_hours", 24),
            job.get("mp", {}).get("repull_days", 3),
            job["pay_v3"]["mchid"],
        ],
    )
    db.execute(
        "create table program (stock_id varchar, payer varchar, payee varchar, amount bigint, percent int, days int)"
    )
    for it in job.get("subsidy_programs", []):
        row = [it["stock_id"], it["payer_merchant"], it["payee_merchant"]]
        row += [it.get("amount_fen"), it.get("percent_of_discount"), it.get("due_days", 0)]
        db.execute("insert into program values (?, ?, ?, ?, ?, ?)", row)
    db.execute("create table pair (belong varchar, ordering varchar)")
    for pair in rules.get("merchant_pairs", []):
        db.execute("insert into pair values (?, ?)", pair)
    db.execute("create table must_associate (stock_id varchar)")
    for stock in rules.get("must_associate", []):
        db.execute("insert into must_associate values (?)", [stock])
    db.execute("create table channel (name varchar)")
    for source in job.get("orders", []):
        for name in source.get("wechat_channels", []):
            db.execute("insert into channel values (?)", [name])


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
