"""Builds the ledger of every published night with another engine from the SQL of this repository, judges
every rule over it, and compares with what the program published: every column of every ledger row, the
control totals, every break found. Beforehand the cases of tests/ledger: what they expect, the engine must give.
Usage: compare.py duckdb|polars|sail|spark JOB.toml…"""

import datetime
import importlib
import json
import pathlib
import sys

from case import Case
from night import CANDIDATE, CONTRACTS, FOOTED, FOOTING, ROOT, UTC, Night, Rule, nights, views

LEDGER = "SELECT * FROM coupon_ledger"
# A row with an unknown_date is not judged, so no break has one.
VALUES = [name for name, _ in CANDIDATE if name != "unknown_date"]


def main(engine: str, jobs: list[str]) -> int:
    module = importlib.import_module(f"on_{engine}")
    problems, counted = 0, {"cases": 0, "nights": 0, "ledger rows": 0, "breaks": 0}
    for folder in sorted(path for path in (ROOT / "tests/ledger").iterdir() if path.is_dir()):
        for line in case_differences(module, Case(folder), counted):
            problems += 1
            print(f"{folder.name}: {line}")
    for night in [night for job in jobs for night in nights(pathlib.Path(job))]:
        for line in differences(module, night, counted):
            problems += 1
            print(f"{night.job_path} {night.date} {line}")
    told = ", ".join(f"{count} {what}" for what, count in counted.items())
    print(f"{module.Engine.name}: {told}, {problems} differences")
    return 1 if problems or not all(counted.values()) else 0


def case_differences(module: object, case: Case, counted: dict[str, int]) -> list[str]:
    engine = module.Engine()
    try:
        open_night(engine, case)
        header, expected = case.expected()
        made = case.shown(engine.query(LEDGER, CONTRACTS["coupon_ledger"]), header)
        unfooted = [row for row in engine.query("SELECT * FROM footing", FOOTING) if not foots(row)]
    finally:
        engine.close()
    counted["cases"] += 1
    lines = [f"{dict(zip(header, row))} is not expected" for row in made if row not in expected]
    lines += [f"{dict(zip(header, row))} is missing" for row in expected if row not in made]
    lines += [f"{len(made)} rows, {len(expected)} expected"] if len(made) != len(expected) else []
    return lines + [f"does not foot: {row}" for row in unfooted]


def foots(side: dict) -> bool:
    return all(side[f"total_{of}"] == sum(side[f"{part}_{of}"] for part in FOOTED[1:]) for of in ("rows", "fen"))


def differences(module: object, night: Night, counted: dict[str, int]) -> list[str]:
    engine = module.Engine()
    try:
        open_night(engine, night)
        lines = ledger_differences(engine, night, counted)
        lines += footing_differences(engine, night)
        lines += break_differences(engine, night, counted)
    finally:
        engine.close()
    counted["nights"] += 1
    return lines


def open_night(engine: object, night: Night) -> None:
    for name, (columns, parts) in night.files().items():
        engine.files(name, columns, parts)
    for name, (columns, parts) in night.small_tables().items():
        engine.rows(name, columns, parts)
    for name, (columns, parts) in night.histories().items():
        engine.dated_files(name, columns, parts)
    for name, sql, is_shared in views():
        engine.define(name, sql, is_shared)


def ledger_differences(engine: object, night: Night, counted: dict[str, int]) -> list[str]:
    made = by_key(engine.query(LEDGER, CONTRACTS["coupon_ledger"]))
    published = by_key(night.published("coupon_ledger"))
    counted["ledger rows"] += len(published)
    lines = [f"ledger: only {engine.name} has {key}" for key in sorted(made.keys() - published.keys())]
    lines += [f"ledger: only the program has {key}" for key in sorted(published.keys() - made.keys())]
    for key in sorted(made.keys() & published.keys()):
        lines += [f"ledger {key}: {line}" for line in unequal(published[key], made[key], published[key])]
    return lines


def footing_differences(engine: object, night: Night) -> list[str]:
    made = {row["side"]: row for row in engine.query("SELECT * FROM footing", FOOTING)}
    summary = json.loads((night.lake / f"reports/dt={night.date}/summary.json").read_text(encoding="utf-8"))
    lines = []
    for side in summary["footing"]:
        told = {f"{part}_{of}": side[part][of] for part in FOOTED for of in ("rows", "fen")}
        lines += [f"footing {side['side']}: {line}" for line in unequal(told, made[side["side"]], told)]
    return lines


def break_differences(engine: object, night: Night, counted: dict[str, int]) -> list[str]:
    published = [row for row in night.published("breaks") if row["last_seen_date"] == night.date]
    lines = []
    for rule in night.judged_rules():
        made = candidates(engine, night, rule)
        told = {row["break_id"]: row for row in published if row["rule_id"] == rule.id}
        counted["breaks"] += len(told)
        lines += [f"{rule.id}: only {engine.name}: {made[key]}" for key in sorted(made.keys() - told.keys())]
        lines += [f"{rule.id}: only the program: {told[key]}" for key in sorted(told.keys() - made.keys())]
        for key in sorted(made.keys() & told.keys()):
            lines += [f"{rule.id} {key}: {line}" for line in unequal(told[key], made[key], VALUES)]
    return lines


def candidates(engine: object, night: Night, rule: Rule) -> dict[str, dict]:
    """By break id; a key given twice speaks once, with the row that has more at risk."""
    rows = engine.query(rule.sql, CANDIDATE)
    rows = [row for row in rows if night.judges(rule, row)]
    order = lambda row: [row["at_risk_fen"] or 0] + [(row[name] is not None, str(row[name])) for name in VALUES]
    found = {rule.break_id(row): row for row in sorted(rows, key=order)}
    for row in found.values():
        row["at_risk_fen"] = row["at_risk_fen"] or 0
        row["why"] = rule.row if row["why"] is None else row["why"]
    return found


def by_key(rows: list[dict]) -> dict[tuple[str, str], dict]:
    found = {(row["stock_id"], row["coupon_code"]): row for row in rows}
    assert len(found) == len(rows), "a coupon stands in the ledger twice"
    return found


def unequal(wanted: dict, made: dict, columns: object) -> list[str]:
    pairs = [(column, plain(wanted[column]), plain(made[column])) for column in columns]
    return [f"{column} is {two!r}, published {one!r}" for column, one, two in pairs if one != two]


def plain(cell: object) -> object:
    return cell.astimezone(UTC) if isinstance(cell, datetime.datetime) else cell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
