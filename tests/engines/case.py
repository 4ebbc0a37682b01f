"""A ledger case of tests/ledger as a night: its CSV files become the partitions of a lake in a scratch folder.
What a cell may be, and what an empty one means, is told in src/reconcile/cases/fixture.rs."""

import csv
import datetime
import pathlib
import tempfile
import tomllib

import pyarrow
import pyarrow.parquet

from night import ARROW, BOOLEAN, CONTRACTS, DATE, DAY, INSTANT, INTEGER, REQUIRED, SHANGHAI, TEXT, UTC, Night

DATE_OF_A_CASE = datetime.date(2026, 11, 20)
KNOWN_DAYS = 3


class Case(Night):
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.job_path = folder, folder
        settings = folder / "case.toml"
        self.settings = tomllib.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
        self.date = datetime.date.fromisoformat(self.settings.get("date", str(DATE_OF_A_CASE)))
        self.rules = {name: self.settings[name] for name in ("must_associate", "merchant_pairs") if name in self.settings}
        self.job = {"subsidy_programs": self.settings.get("subsidy_programs", [])}
        self.lookback_start = self.date - 29 * DAY
        self.scratch = tempfile.TemporaryDirectory()
        self.lake = pathlib.Path(self.scratch.name)
        self.write_partitions()

    def asked(self) -> tuple[list[str], list[tuple[str, str]]]:
        return self.settings.get("asked", []), [tuple(pair) for pair in self.settings.get("unknown_coupons", [])]

    def expected(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of what the ledger must be, sorted."""
        header, rows = read(self.folder / "expected.csv")
        return header, sorted(rows)

    def shown(self, rows: list[dict], header: list[str]) -> list[list[str]]:
        """Ledger rows as expected.csv would show them."""
        return sorted([text(row[column]) for column in header] for row in rows)

    def write_partitions(self) -> None:
        for name in CONTRACTS.keys() - {"coupon_ledger", "breaks"} - set(self.settings.get("without", [])):
            for days_back in range(self.settings.get("known_days", KNOWN_DAYS) + 1):
                self.write(name, self.date - days_back * DAY, [], [])
        for path in sorted(self.folder.glob("*.csv")):
            name, _, day = path.stem.partition("@")
            if name != "expected":
                self.write(name, datetime.date.fromisoformat(day) if day else self.date, *read(path))

    def write(self, name: str, date: datetime.date, header: list[str], rows: list[list[str]]) -> None:
        cells = [dict(zip(header, row)) for row in rows]
        typed = {column: [cell(row.get(column, ""), kind, column in REQUIRED[name], date) for row in cells]
                 for column, kind in CONTRACTS[name]}
        schema = pyarrow.schema([(column, ARROW[kind]) for column, kind in CONTRACTS[name]])
        part = self.lake / f"datasets/{name}/dt={date}/part-0.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(typed, schema=schema), part)


def read(path: pathlib.Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    return header, rows


def cell(written: str, kind: str, is_required: bool, date: datetime.date) -> object:
    if not written:
        start = datetime.datetime.combine(date, datetime.time(), SHANGHAI)
        return {TEXT: "", INTEGER: 0, BOOLEAN: False, DATE: date, INSTANT: start}[kind] if is_required else None
    if kind == INSTANT:
        return datetime.datetime.fromisoformat(written).replace(tzinfo=SHANGHAI)
    return {TEXT: str, INTEGER: int, BOOLEAN: "true".__eq__, DATE: datetime.date.fromisoformat}[kind](written)


def text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        fraction = "auto" if value.microsecond % 1000 or not value.microsecond else "milliseconds"
        return value.astimezone(UTC).isoformat(timespec=fraction).replace("+00:00", "Z")
    return "" if value is None else str(value)
