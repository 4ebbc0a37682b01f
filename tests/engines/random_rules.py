"""Random rules of the portable subset over a random day of orders and coupons: the program must find what DuckDB finds, or
say that it cannot run the rule. Rules of other people have no second opinion, so none may be read as another one.
Usage: random_rules.py PROGRAM FOLDER [--seed 1] [--rules 200]"""

import argparse
import csv
import io
import pathlib
import random
import re
import shutil
import subprocess
import sys

import duckdb

# A value that is not there is NULL, in the files an empty cell.
TEXTS = {
    "orders": {"openid": [None, "u1", "u2", "u4"], "merchant": [None, "m1", "m2"], "channel": [None, "wx", "alipay"],
               "product": [None, "x", "VIP-1", "vip", "50%", "a_b"]},
    "user_coupons": {"openid": ["u1", "u2", "u3"], "coupon_state": ["SENDED", "USED", "EXPIRED"],
                     "use_request_no": [None, "A1", "B%", "b_2"], "comment": [None, "x", "VIP-1"]},
}  # fmt: skip
AMOUNTS = {
    "orders": {"goods_fen": [500, 1000, 1500], "discount_fen": [0, 100, 200], "paid_fen": [300, 500, 1000, 1400], "refund_fen": [0, 100]},
    "user_coupons": {"discount_amount_fen": [None, 100, 200, 500], "exchange_price_fen": [None, 100, 300],
                     "transaction_minimum_fen": [None, 0, 500, 1000]},
}  # fmt: skip
CONSTANTS = {"text": ["'u1'", "'m1'", "'x'", "'VIP-1'", "'USED'", "'C3'", "'wx'"], "amount": ["0", "100", "500", "1000"]}
PATTERNS = ["'VIP%'", "'%x%'", "'u_'", "'%'"]
COMPARISONS = ["=", "<>", "<", "<=", ">", ">="]
# The tables of a rule by the names it gives them; `d` and `e` are groups.
ORIGIN = {"a": "orders", "y": "orders", "b": "user_coupons", "x": "user_coupons"}
DEPTH = 2

HEADER = """\
-- id: {id}
-- title: random
-- 标题: 随机
-- severity: low
-- side: merchant
-- key: o
-- inputs: orders, user_coupons
-- action: look
-- row: an order
"""


class Dice(random.Random):
    """Parts of a query, each more often plain than nested."""

    def may(self, share: float) -> bool:
        return self.random() < share

    def column(self, table: str, kind: str) -> str:
        if table not in ORIGIN:
            return f"{table}.{self.choice(['n', 'total', 'least'] if kind == 'amount' else ['some'])}"
        columns = (AMOUNTS if kind == "amount" else TEXTS)[ORIGIN[table]]
        return f"{table}.{self.choice([*columns, *(['stock_id', 'coupon_code'] if kind == 'text' else [])])}"

    def value(self, tables: list[str], kind: str, depth: int = 0) -> str:
        inner = lambda: self.value(tables, kind, depth + 1)  # noqa: E731
        plain = [lambda: self.column(self.choice(tables), kind)] * 8 + [lambda: self.choice(CONSTANTS[kind])] * 2
        nested = [
            lambda: f"COALESCE({inner()}, {self.choice(CONSTANTS[kind])})",
            lambda: f"NULLIF({inner()}, {self.choice(CONSTANTS[kind])})",
            lambda: f"CASE WHEN {self.condition(tables, depth + 1)} THEN {inner()}{f' ELSE {inner()}' if self.may(0.6) else ''} END",
        ] + [lambda: f"({inner()} {self.choice('+-*')} {inner()})"] * (kind == "amount")
        return self.choice(plain + nested * (depth < DEPTH))()

    def condition(self, tables: list[str], depth: int = 0) -> str:
        kind, no = self.choice(["text", "amount"]), self.choice(["", "NOT "])
        value = lambda kind=kind: self.value(tables, kind, depth + 1)  # noqa: E731
        plain = [lambda: f"{value()} {self.choice(COMPARISONS)} {value()}"] * 4 + [
            lambda: f"{value()} IS {no}NULL",
            lambda: f"{value()} {no}IN ({', '.join(self.sample(CONSTANTS[kind], 2))})",
            lambda: f"{value('amount')} {no}BETWEEN {self.choice(CONSTANTS['amount'])} AND {value('amount')}",
            lambda: f"{self.column(self.choice(tables), 'text')} {no}LIKE {self.choice(PATTERNS)}",
            lambda: f"({value()} IS {no}DISTINCT FROM {value()})",
        ]
        inner = lambda: self.condition(tables, depth + 1)  # noqa: E731
        nested = [lambda: f"({inner()} {self.choice(['AND', 'OR'])} {inner()})"] * 3 + [lambda: f"NOT ({inner()})"]
        return self.choice(plain + nested * (depth < DEPTH))()

    def members(self) -> str:
        """A condition on another table."""
        key = self.choice(["openid", "coupon_code"])
        if self.may(0.4):
            return f"a.{key} IN (SELECT x.{key} AS {key} FROM user_coupons x WHERE {self.condition(['x'], 1)})"
        more = f" AND {self.condition(['x'], DEPTH)}" if self.may(0.4) else ""
        return f"{self.choice(['', 'NOT '])}EXISTS (SELECT 1 FROM user_coupons x WHERE x.{key} = a.{key}{more})"

    def group(self, key: str) -> str:
        table = self.choice("xy")
        amount, only = self.column(table, "amount"), self.condition([table], DEPTH)
        # Polars counts in 32 bits without a sign, so that a count less something larger is four thousand million: counts are cast here.
        total = self.choice([f"SUM({amount})", f"SUM(CASE WHEN {only} THEN {amount} END)", f"CAST(COUNT(DISTINCT {amount}) AS BIGINT)"])
        where = f" WHERE {self.condition([table], 1)}" if self.may(0.4) else ""
        having = " HAVING COUNT(*) > 1" if self.may(0.25) else ""
        return (
            f"(SELECT {table}.{key} AS {key}, CAST(COUNT(*) AS BIGINT) AS n, {total} AS total, MIN({amount}) AS least, MAX({self.column(table, 'text')}) AS some"
            f" FROM {ORIGIN[table]} {table}{where} GROUP BY {table}.{key}{having})"
        )

    def rule(self) -> str:
        tables, joins = ["a"], ["orders a"]
        if self.may(0.75):
            kind = self.choice(["JOIN", "LEFT JOIN"])
            more = f" AND {self.column('b', 'amount')} {self.choice(COMPARISONS)} {self.column('a', 'amount')}" if kind == "JOIN" and self.may(0.5) else ""
            joins.append(f"{kind} user_coupons b ON b.stock_id = a.stock_id AND a.coupon_code = b.coupon_code{more}")
            tables.append("b")
        for name, key in (("d", "openid"), ("e", "coupon_code")):
            if self.may(0.4):
                sides = [f"{name}.{key}", f"{self.choice([it for it in tables if it in ORIGIN])}.{key}"]
                self.shuffle(sides)
                joins.append(f"{self.choice(['JOIN', 'LEFT JOIN'])} {self.group(key)} {name} ON {' = '.join(sides)}")
                tables.append(name)
        conditions = [self.condition(tables) for _ in range(self.randrange(3))] + ([self.members()] if self.may(0.35) else [])
        shown = [f"COALESCE({self.value(tables, 'text')}, 'NULL')", f"COALESCE(CAST({self.value(tables, 'amount')} AS STRING), 'NULL')"]
        where = f"\nWHERE {f'{chr(10)}  AND '.join(conditions)}" if conditions else ""
        return f"SELECT a.out_trade_no AS out_trade_no,\n       {' || '.join(shown)} AS why,\n       1 AS at_risk_fen\nFROM {f'{chr(10)}'.join(joins)}{where}\n"

    def day(self) -> dict[str, list[dict]]:
        """A night's orders and coupons: some claim the same coupon, some one that is not there."""
        of = lambda table: {name: self.choice(values) for name, values in (TEXTS[table] | AMOUNTS[table]).items()}  # noqa: E731
        keys = [(stock, f"C{number}") for stock in ("S1", "S2") for number in range(14) if self.may(0.7)]
        coupons = [{"stock_id": stock, "coupon_code": code, "stock_type": "NORMAL"} | of("user_coupons") for stock, code in keys]
        orders = [
            {"out_trade_no": f"T{number:02}", "stock_id": self.choice(["S1", "S2"]), "coupon_code": f"C{self.randrange(16)}",
             "paid_at": f"2026-11-20 {self.randrange(24):02}:00:00"} | of("orders")
            for number in range(30)
        ]  # fmt: skip
        return {"orders": orders, "user_coupons": coupons}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", type=int, default=200)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    write(Dice(arguments.seed), arguments.folder, arguments.rules)
    told = subprocess.run([arguments.program, "rules", "test", arguments.folder / "jobs/rules"], capture_output=True, text=True)
    alike, refused, other = sorted_out(told.stdout)
    for block in other:
        print(block, (arguments.folder / f"jobs/rules/{block[:5]}_random.sql").read_text(), sep="\n")
    print(f"seed {arguments.seed}: {alike} rules found what DuckDB finds, {refused} cannot be run and say so, {len(other)} found something else")
    return 1 if other or alike < arguments.rules / 2 else 0


def write(dice: Dice, folder: pathlib.Path, count: int) -> None:
    """Rules and, as their cases, what DuckDB makes of them. An order that would come twice makes no rule."""
    day, made = dice.day(), 0
    duck = loaded(day)
    while made < count:
        sql = dice.rule()
        rows = duck.execute(sql).fetchall()
        if len({order for order, _, _ in rows}) < len(rows):
            continue
        rule_id, made = f"XX{made:03}", made + 1
        put(folder / f"jobs/rules/{rule_id}_random.sql", HEADER.format(id=rule_id) + sql)
        found = [{"out_trade_no": order, "why": why} for order, why, _ in sorted(rows)]
        cases = {"finds_what_duckdb_finds": (day, found), "quiet_without_orders": (day | {"orders": []}, [])}
        for name, (inputs, expected) in cases.items():
            case = folder / "tests/rules" / rule_id / name
            for table, lines in inputs.items():
                put(case / f"{table}.csv", written(day[table][0].keys(), lines))
            put(case / "expected.csv", written(["out_trade_no", "why"], expected))


def loaded(day: dict[str, list[dict]]) -> duckdb.DuckDBPyConnection:
    duck = duckdb.connect()
    for table, lines in day.items():
        columns = [f"{name} {'BIGINT' if name.endswith('_fen') else 'VARCHAR'}" for name in lines[0]]
        duck.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        duck.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", [list(line.values()) for line in lines])
    return duck


def put(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def written(columns: list[str], lines: list[dict]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def sorted_out(told: str) -> tuple[int, int, list[str]]:
    """How many rules agree and how many the program refuses to run, and what it says of the others."""
    alike, refused, other = 0, 0, []
    for block in re.split(r"^(?=XX\d{3}$)", told, flags=re.MULTILINE):
        if not block.startswith("XX"):
            continue
        if "FAIL" not in block:
            alike += 1
        elif "\n  found" not in block and "not portable" not in block:
            refused += 1
        else:
            other.append(block)
    return alike, refused, other


if __name__ == "__main__":
    sys.exit(main())
