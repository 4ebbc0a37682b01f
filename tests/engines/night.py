"""A published night as any SQL engine may be given it: the files of the lake under the names the ledger and
the rules read them by, the small tables, the SQL in its order. Knows no engine.

Whom a night asked is published in one place only, the ledger's `asked_date`: it is taken from there."""

import dataclasses
import datetime
import hashlib
import json
import pathlib
import re
import tomllib

import pyarrow.compute
import pyarrow.parquet
import yaml

ROOT = pathlib.Path(__file__).parents[2]
UTC = datetime.timezone.utc
SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
DAY = datetime.timedelta(days=1)

TEXT, INTEGER, BOOLEAN, DATE, INSTANT = "text", "integer", "boolean", "date", "instant"
KINDS = {"string": TEXT, "integer": INTEGER, "boolean": BOOLEAN, "date": DATE, "timestamp": INSTANT}
ARROW = {TEXT: pyarrow.string(), INTEGER: pyarrow.int64(), BOOLEAN: pyarrow.bool_(), DATE: pyarrow.date32(),
         INSTANT: pyarrow.timestamp("us", tz="UTC")}
Columns = list[tuple[str, str]]

FOOTED = ["total", "matched", "unmatched", "left_out"]
FOOTING: Columns = [("side", TEXT)] + [(f"{part}_{of}", INTEGER) for part in FOOTED for of in ("rows", "fen")]
# What a rule's query may give; the first ones make the break's id.
BREAK_KEY = ["stock_id", "coupon_code", "openid", "out_trade_no", "transaction_id", "out_subsidy_no", "card_id",
             "ref_date", "subject"]
KEY_COLUMNS = {"c": ["stock_id", "coupon_code"], "o": ["out_trade_no"], "t": ["transaction_id"], "s": ["out_subsidy_no"],
               "k": ["stock_id"], "u": ["openid"], "d": ["card_id", "ref_date", "subject"]}
CANDIDATE: Columns = [(name, DATE if name.endswith("_date") else TEXT) for name in BREAK_KEY] + [
    ("subsidy_receipt_id", TEXT), ("expected_fen", INTEGER), ("actual_fen", INTEGER), ("expected_count", INTEGER),
    ("actual_count", INTEGER), ("at_risk_fen", INTEGER), ("why", TEXT), ("event_date", DATE),
    ("oldest_input_date", DATE), ("unknown_date", DATE)]
# Rules on these are judged from the first known day of the orders on.
TRANSACTIONS = {"orders", "payments", "refunds", "user_coupons", "subsidy_payments", "subsidy_returns", "subsidy_orders"}


def properties(path: pathlib.Path) -> list[dict]:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["schema"][0]["properties"]


PROPERTIES = {path.name.split(".")[0]: properties(path) for path in sorted((ROOT / "schemas").glob("*.odcs.yaml"))}
CONTRACTS = {name: [(it["name"], KINDS[it["logicalType"]]) for it in columns] for name, columns in PROPERTIES.items()}
REQUIRED = {name: {it["name"] for it in columns if it["required"]} for name, columns in PROPERTIES.items()}


def views() -> list[tuple[str, str, bool]]:
    """Name, text and whether to compute it once: the ledger's views as its registry lists them, then the rules'
    other ones."""
    folder = ROOT / "src/reconcile/ledger_sql"
    listed = re.findall(r'view!\("(\w+)", "([^"]+)", (\w+)\)', (folder / "mod.rs").read_text(encoding="utf-8"))
    of_ledger = [(name, (folder / path).resolve(), is_shared == "true") for name, path, is_shared in listed]
    there = {path for _, path, _ in of_ledger}
    of_rules = [path for path in sorted((ROOT / "jobs/rules/views").glob("*.sql")) if path not in there]
    rest = [(path.stem.split("_", 1)[1], path, False) for path in of_rules]
    return [(name, path.read_text(encoding="utf-8"), is_shared) for name, path, is_shared in of_ledger + rest]


@dataclasses.dataclass
class Rule:
    id: str
    keys: list[str]
    inputs: list[str]
    row: str
    sql: str

    @classmethod
    def read(cls, path: pathlib.Path) -> "Rule":
        sql = path.read_text(encoding="utf-8")
        header = dict(re.findall(r"^-- (\w+): (.*)$", sql, re.MULTILINE))
        keys = [column for letter in header["key"].split() for column in KEY_COLUMNS[letter]]
        return cls(header["id"], keys, [name.strip() for name in header["inputs"].split(",")], header["row"], sql)

    def datasets(self) -> list[str]:
        return [name.removesuffix("?") for name in self.inputs]

    def break_id(self, row: dict) -> str:
        values = [str(row[name]) if name in self.keys and row[name] is not None else "" for name in BREAK_KEY]
        return hashlib.sha256("\n".join([self.id, *values]).encode()).hexdigest()[:16]


@dataclasses.dataclass
class Night:
    """The night of a date, read from the lake of a job."""

    job_path: pathlib.Path
    date: datetime.date

    def __post_init__(self) -> None:
        self.job = tomllib.loads(self.job_path.read_text(encoding="utf-8"))
        self.rules = self.job.get("rules", {})
        self.lake = (self.job_path.parent / self.job["job"]["lake"]).resolve()
        self.lookback_start = self.date - (self.rules.get("lookback_days", 30) - 1) * DAY

    def days(self, dataset: str) -> list[tuple[datetime.date, pathlib.Path]]:
        parts = sorted((self.lake / "datasets" / dataset).glob("dt=*/part-0.parquet"))
        dated = [(datetime.date.fromisoformat(part.parent.name.removeprefix("dt=")), part) for part in parts]
        return [(date, part) for date, part in dated if date <= self.date]

    def window(self, dataset: str) -> list[tuple[datetime.date, pathlib.Path]]:
        return [(date, part) for date, part in self.days(dataset) if date >= self.lookback_start]

    def before(self, dataset: str) -> list[pathlib.Path]:
        return [part for date, part in self.days(dataset) if date < self.date][-1:]

    def files(self) -> dict[str, tuple[Columns, list[pathlib.Path]]]:
        """The tables that are files: columns and where they lie."""
        made_here = {"coupon_ledger", "breaks"}
        tables = {}
        for name, columns in CONTRACTS.items():
            of_day = [part for date, part in self.days(name) if date == self.date]
            if name not in made_here:
                tables[name] = (columns, of_day)
            if name == "stocks":
                tables["latest_stocks"] = (columns, of_day or self.before(name))
        tables["coupon_ledger_yesterday"] = (CONTRACTS["coupon_ledger"], self.before("coupon_ledger"))
        tables["breaks_yesterday"] = (CONTRACTS["breaks"], self.before("breaks"))
        return tables

    def histories(self) -> dict[str, tuple[Columns, list[tuple[datetime.date, pathlib.Path]]]]:
        """The tables that are the look-back of a dataset. A night is judged before its breaks are published."""
        tables = {f"{name}_history": (columns, self.window(name)) for name, columns in CONTRACTS.items()}
        columns, parts = tables["breaks_history"]
        tables["breaks_history"] = (columns, [(date, part) for date, part in parts if date < self.date])
        return tables

    def small_tables(self) -> dict[str, tuple[Columns, list[tuple]]]:
        wallets, coupons = self.asked()
        return {
            "params": self.params(),
            "lookback_days": ([("day", DATE)], [(day,) for day in self.lookback_days()]),
            "known_days": ([("dataset", TEXT), ("dt", DATE)],
                           [(name, date) for name in CONTRACTS for date, _ in self.window(name)]),
            "gaps": ([("dataset", TEXT), ("dt", DATE), ("unknown_dt", DATE)], self.gaps()),
            "subsidy_programs": self.subsidy_programs(),
            "must_associate": ([("stock_id", TEXT)], [(stock,) for stock in self.rules.get("must_associate", [])]),
            "merchant_pairs": ([("belong_merchant", TEXT), ("order_merchant", TEXT)],
                               [tuple(pair) for pair in self.rules.get("merchant_pairs", [])]),
            "own_merchants": ([("merchant", TEXT)], [(pay["mchid"],) for pay in [self.job.get("pay_v3")] if pay]),
            "wechat_channels": ([("source_file", TEXT), ("channel", TEXT)], self.wechat_channels()),
            "asked_wallets": ([("openid", TEXT)], [(openid,) for openid in wallets]),
            "unknown_coupons": ([("openid", TEXT), ("coupon_code", TEXT)], coupons),
        }

    def lookback_days(self) -> list[datetime.date]:
        count = (self.date - self.lookback_start).days + 1
        return [self.lookback_start + place * DAY for place in range(count)]

    def gaps(self) -> list[tuple]:
        """Of every dataset the job has: each day with the first one from it on that is not known. A refund is told by the
        orders or the refunds: of both together, the days on which neither is known."""
        sources = [name for name in CONTRACTS if name not in ("coupon_ledger", "breaks")]
        known = {name: {date for date, _ in self.window(name)} for name in sources}
        first_night = min((date for dates in known.values() for date in dates), default=self.date)
        if known["orders"]:
            known["orders and refunds"] = known["orders"] | known["refunds"]
        rows = []
        for name, dates in known.items():
            unknown = [day for day in self.lookback_days() if day >= first_night and day not in dates] if dates else []
            rows += [(name, day, next(it for it in unknown if it >= day))
                     for day in self.lookback_days() if unknown and day <= unknown[-1]]
        return rows

    def first_known_order_day(self) -> datetime.date:
        return next((date for date, _ in self.window("orders")), self.lookback_start)

    def params(self) -> tuple[Columns, list[tuple]]:
        start = datetime.datetime.combine(self.date, datetime.time(), SHANGHAI).astimezone(UTC)
        tolerance = self.rules.get("tolerance", {})
        values = {
            "business_date": (DATE, self.date),
            "lookback_start": (DATE, self.lookback_start),
            "known_from": (DATE, self.first_known_order_day()),
            "datacube_settled_date": (DATE, self.date - self.job.get("mp", {}).get("repull_days", 3) * DAY),
            "day_start_at": (INSTANT, start),
            "day_end_at": (INSTANT, start + DAY),
            "stuck_before_at": (INSTANT, start + DAY - datetime.timedelta(hours=self.rules.get("stuck_hours", 24))),
            "discount_tolerance_fen": (INTEGER, tolerance.get("discount_fen", 1)),
            "use_time_tolerance_seconds": (INTEGER, 60 * tolerance.get("use_time_minutes", 10)),
            "repull_days": (INTEGER, self.job.get("mp", {}).get("repull_days", 3)),
            "max_coupons_per_order": (INTEGER, self.rules.get("max_coupons_per_order", 1)),
        }
        return [(name, kind) for name, (kind, _) in values.items()], [tuple(value for _, value in values.values())]

    def subsidy_programs(self) -> tuple[Columns, list[tuple]]:
        columns = [("stock_id", TEXT), ("payer_merchant", TEXT), ("payee_merchant", TEXT), ("amount_fen", INTEGER),
                   ("percent_of_discount", INTEGER), ("due_days", INTEGER)]
        programs = self.job.get("subsidy_programs", [])
        return columns, [tuple(it.get(name, 0 if name == "due_days" else None) for name, _ in columns) for it in programs]

    def wechat_channels(self) -> list[tuple]:
        """The made merchants have one source of orders: every file is its."""
        files = {name for _, part in self.window("orders") for name in column(part, "source_file")}
        channels = [name for source in self.job.get("orders", []) for name in source.get("wechat_channels", [])]
        return [(file, channel) for file in sorted(files) for channel in channels]

    def asked(self) -> tuple[list[str], list[tuple[str, str]]]:
        """Wallets all of whose ordered coupons were asked for on D, and the coupons asked for one by one."""
        rows = [row for row in self.published("coupon_ledger") if row["order_openid"] is not None]
        not_asked = {row["order_openid"] for row in rows if row["asked_date"] != self.date}
        asked = [row for row in rows if row["asked_date"] == self.date]
        wallets = {row["order_openid"] for row in asked} - not_asked
        single = {(row["order_openid"], row["coupon_code"]) for row in asked if row["order_openid"] in not_asked}
        return sorted(wallets), sorted(single)

    def published(self, dataset: str) -> list[dict]:
        parts = [part for date, part in self.days(dataset) if date == self.date]
        return [row for part in parts for row in pyarrow.parquet.ParquetFile(part).read().to_pylist()]

    def judged_rules(self) -> list[Rule]:
        """The rules none of whose inputs is missing or fell short."""
        rules = [Rule.read(path) for path in sorted((ROOT / "jobs/rules").glob("*.sql"))]
        left_out = {*self.rules.get("off", []), *self.manifest()["unjudged_rules"]}
        return [rule for rule in rules if rule.id not in left_out]

    def manifest(self) -> dict:
        """That of the run which published the ledger."""
        manifests = [json.loads(path.read_text(encoding="utf-8"))
                     for path in (self.lake / "runs" / str(self.date)).glob("*/manifest.json")]
        published = [it for it in manifests if any(file["dataset"] == "coupon_ledger" for file in it["files"])]
        return max(published, key=lambda it: it["sequence"])

    def judges(self, rule: Rule, row: dict) -> bool:
        """Whether a row's event and all it hangs on lie in the look-back, and no day it hangs on is unknown; an event of
        the night is judged even if something older left."""
        event, oldest_input = row["event_date"], row["oldest_input_date"]
        start = self.first_known_order_day() if TRANSACTIONS & set(rule.datasets()) else self.lookback_start
        is_known = oldest_input is None or oldest_input >= self.lookback_start
        is_within = (event is None or event >= start) and (is_known or event == self.date)
        return is_within and row["unknown_date"] is None


def column(part: pathlib.Path, name: str) -> list:
    return pyarrow.compute.unique(pyarrow.parquet.ParquetFile(part).read(columns=[name])[name]).to_pylist()


def nights(job_path: pathlib.Path) -> list[Night]:
    job = tomllib.loads(job_path.read_text(encoding="utf-8"))
    lake = (job_path.parent / job["job"]["lake"]).resolve()
    dates = sorted(path.name.removeprefix("dt=") for path in (lake / "datasets/coupon_ledger").glob("dt=*"))
    return [Night(job_path, datetime.date.fromisoformat(date)) for date in dates]
