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
TIME = {"orders": "paid_at", "user_coupons": "use_time"}
TIMES = [None, "2026-11-19 23:30:00", "2026-11-20 00:00:00", "2026-11-20 07:59:59", "2026-11-20 08:00:00", "2026-11-20 21:40:07"]
# The tables of a rule by the names it gives them; `d` and `e` are groups, `f` has windows.
ORIGIN = {"a": "orders", "o": "orders", "y": "orders", "b": "user_coupons", "x": "user_coupons"}
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
        inner = lambda kind=kind: self.value(tables, kind, depth + 1)  # noqa: E731
        plain = [lambda: self.column(self.choice(tables), kind)] * 8 + [lambda: self.choice(CONSTANTS[kind])] * 2
        nested = [
            lambda: f"COALESCE({inner()}, {self.choice(CONSTANTS[kind])})",
            lambda: f"NULLIF({inner()}, {self.choice(CONSTANTS[kind])})",
            lambda: f"IFNULL({inner()}, {inner()})",
            lambda: f"CASE WHEN {self.condition(tables, depth + 1)} THEN {inner()}{f' ELSE {inner()}' if self.may(0.6) else ''} END",
            lambda: f"{self.choice(['GREATEST', 'LEAST'])}({inner()}, {inner()})",
        ] + (self.amounts(inner, tables) if kind == "amount" else self.texts(inner))
        return self.choice(plain + nested * (depth < DEPTH))()

    def amounts(self, inner, tables: list[str]) -> list:
        part = lambda: self.choice(["YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE"])  # noqa: E731
        return [lambda: f"EXTRACT({part()} FROM {self.time(tables)})"] * any(it in ORIGIN for it in tables) + [lambda: f"({inner()} {self.choice('+-*')} {inner()})"] * 3 + [
            lambda: f"ABS({inner()})",
            lambda: f"(-{inner()})",
            lambda: f"({inner()} % 7)",
            lambda: f"LENGTH({inner('text')})",
            lambda: f"CAST({self.choice(['FLOOR', 'CEIL'])}(CAST({inner()} AS DOUBLE) / 100) AS BIGINT)",
        ]

    def texts(self, inner) -> list:
        return [
            lambda: f"({inner()} || {inner()})",
            lambda: f"{self.choice(['LOWER', 'UPPER', 'TRIM'])}({inner()})",
            lambda: f"REPLACE({inner()}, '1', '22')",
            lambda: f"SUBSTR({inner()}, {self.choice('12')}, {self.choice('13')})",
            lambda: f"LEFT({inner()}, 1)",
            lambda: f"SPLIT_PART({inner()}, '-', {self.choice('12')})",
            lambda: f"CONCAT_WS('-', {inner()}, {inner()})",
            lambda: f"CAST({inner('amount')} AS STRING)",
        ]

    def time(self, tables: list[str]) -> str:
        table = self.choice([it for it in tables if it in ORIGIN])
        moved = self.choice([" + INTERVAL '8' HOUR", " - INTERVAL '1' DAY", " + INTERVAL '90' MINUTE", ""])
        return f"{table}.{TIME[ORIGIN[table]]}{moved}"

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
        if any(it in ORIGIN for it in tables):
            plain += [lambda: f"{self.time(tables)} {self.choice(COMPARISONS)} {self.time(tables)}"]
            plain += [lambda: f"CAST({self.time(tables)} AS DATE) {self.choice(COMPARISONS)} CAST({self.time(tables)} AS DATE)"]
        inner = lambda: self.condition(tables, depth + 1)  # noqa: E731
        nested = [lambda: f"({inner()} {self.choice(['AND', 'OR'])} {inner()})"] * 3 + [lambda: f"NOT ({inner()})"] * 2 + [lambda: f"({inner()}) IS {self.choice(['TRUE', 'FALSE', 'NULL'])}"]
        return self.choice(plain + nested * (depth < DEPTH))()

    def members(self, tables: list[str]) -> str:
        """A condition on another table."""
        key, around = self.choice(["openid", "coupon_code"]), self.choice([it for it in tables if it in ORIGIN])
        if self.may(0.3):
            return f"{around}.{key} IN (SELECT x.{key} AS {key} FROM user_coupons x WHERE {self.condition(['x'], 1)})"
        asked = [f"x.{key} = {around}.{key}", *[f"{self.choice([it for it in tables if it in ORIGIN])}.stock_id = x.stock_id"] * self.may(0.4)]
        asked += [self.condition(["x"], DEPTH) for _ in range(self.randrange(3))]
        self.shuffle(asked)
        return f"{self.choice(['', 'NOT '])}EXISTS (SELECT 1 FROM user_coupons x WHERE {' AND '.join(asked)})"

    def source(self, origin: str) -> str:
        """A table, or a query of some of its rows."""
        table, key = ("y", "y.out_trade_no") if origin == "orders" else ("x", "x.stock_id NULLS FIRST, x.coupon_code")
        some = lambda: f"SELECT {table}.* FROM {origin} {table} WHERE {self.condition([table], DEPTH)}"  # noqa: E731
        order = f"{self.column(table, self.choice(['amount', 'text']))} {self.choice(['', 'DESC '])}NULLS {self.choice(['FIRST', 'LAST'])}"
        queries = [f"({some()})", f"({some()} UNION ALL {some()})", f"({some()} ORDER BY {order}, {key} NULLS LAST LIMIT 9)"]
        return self.choice([origin] * 6 + queries)

    def group(self, key: str) -> str:
        table = self.choice("xy")
        amount, only = self.column(table, "amount"), self.condition([table], DEPTH)
        total = self.choice([f"SUM({amount})", f"SUM(CASE WHEN {only} THEN {amount} END)", f"COUNT(DISTINCT {amount})", f"COUNT({amount})"])
        where = f" WHERE {self.condition([table], 1)}" if self.may(0.4) else ""
        having = " HAVING COUNT(*) > 1" if self.may(0.25) else ""
        return (
            f"(SELECT {table}.{key} AS {key}, COUNT(*) AS n, {total} AS total, MIN({amount}) AS least, MAX({self.column(table, 'text')}) AS some"
            f" FROM {self.source(ORIGIN[table])} {table}{where} GROUP BY {table}.{key}{having})"
        )

    def windows(self) -> str:
        """Orders with what windows over them say."""
        parts = self.choice(["", "PARTITION BY y.openid ", "PARTITION BY y.merchant, y.channel "])
        # By several keys NULL is the least value, by one it is where the rule wants it.
        direction, key = self.choice(["ASC NULLS FIRST", "DESC NULLS LAST"]), self.column("y", self.choice(["amount", "text"]))
        whole, ordered = f"OVER ({parts})", f"OVER ({parts}ORDER BY {key} {direction}, y.out_trade_no {direction})"
        tied = f"OVER ({parts}ORDER BY {key} {self.choice(['', 'DESC '])}NULLS {self.choice(['FIRST', 'LAST'])})"
        running = ordered.replace(")", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)")
        amount, text = self.column("y", "amount"), self.column("y", "text")
        columns = {
            "row": [f"ROW_NUMBER() {ordered}"],
            "n": [f"RANK() {tied}", f"DENSE_RANK() {tied}", f"RANK() {ordered}", f"COUNT(*) {whole}", f"COUNT({text}) {whole}", f"COUNT(*) {running}"],
            "total": [f"SUM({amount}) {whole}", f"SUM({amount}) {running}", f"LAG({amount}) {ordered}", f"LEAD({amount}, 2) {ordered}"],
            "least": [f"MIN({amount}) {whole}", f"MAX({amount}) {running}", f"FIRST_VALUE({amount}) {ordered}", f"LAST_VALUE({amount}) {ordered}"],
            "some": [f"MAX({text}) {whole}", f"LAG({text}) {ordered}", f"FIRST_VALUE({text}) {ordered}", f"LEAD({text}) {ordered}"],
        }  # fmt: skip
        shown = ", ".join(f"{self.choice(said)} AS {name}" for name, said in columns.items())
        return f"(SELECT y.out_trade_no AS out_trade_no, {shown} FROM orders y)"

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
        if self.may(0.3):
            joins.append(f"{self.choice(['JOIN', 'LEFT JOIN'])} {self.windows()} f ON f.{self.choice(['out_trade_no = a.out_trade_no', 'row = LENGTH(a.product)'])}")
            tables.append("f")
        conditions = [self.condition(tables) for _ in range(self.randrange(3))] + ([self.members(tables)] if self.may(0.35) else [])
        if self.may(0.1):
            conditions.append(f"({self.members(tables)} OR {self.condition(tables, 1)})")
        shown = [f"COALESCE({self.value(tables, 'text')}, 'NULL')", f"COALESCE(CAST({self.value(tables, 'amount')} AS STRING), 'NULL')"]
        where = f"\nWHERE {f'{chr(10)}  AND '.join(conditions)}" if conditions else ""
        named = f"WITH part AS (SELECT o.* FROM orders o WHERE {self.condition(['o'], DEPTH)})\n" if self.may(0.15) else ""
        if named:
            joins[0] = "part a"
        return f"{named}SELECT a.out_trade_no AS out_trade_no,\n       {' || '.join(shown)} AS why,\n       1 AS at_risk_fen\nFROM {f'{chr(10)}'.join(joins)}{where}\n"

    def day(self) -> dict[str, list[dict]]:
        """A night's orders and coupons: some claim the same coupon, some one that is not there."""
        of = lambda table: {name: self.choice(values) for name, values in (TEXTS[table] | AMOUNTS[table]).items()}  # noqa: E731
        keys = [(stock, f"C{number}") for stock in ("S1", "S2") for number in range(14) if self.may(0.7)]
        coupons = [{"stock_id": stock, "coupon_code": code, "stock_type": "NORMAL", "use_time": self.choice(TIMES)} | of("user_coupons") for stock, code in keys]
        orders = [
            {"out_trade_no": f"T{number:02}", "stock_id": self.choice(["S1", "S2"]), "coupon_code": f"C{self.randrange(16)}",
             "paid_at": f"2026-11-{self.randrange(17, 21)} {self.randrange(24):02}:{self.randrange(60):02}:00"} | of("orders")
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
        columns = [f"{name} {kind_of(name)}" for name in lines[0]]
        duck.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        duck.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", [list(line.values()) for line in lines])
        # The files tell the time of Shanghai, datasets that of UTC.
        duck.execute(f"UPDATE {table} SET {TIME[table]} = {TIME[table]} - INTERVAL 8 HOUR")
    return duck


def kind_of(column: str) -> str:
    return "BIGINT" if column.endswith("_fen") else "TIMESTAMP" if column in TIME.values() else "VARCHAR"


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
