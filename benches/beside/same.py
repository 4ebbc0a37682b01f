"""Whether DuckDB's night is ours: the same breaks by break_id with the same amounts, and the same ledger row for row in the same order.
Prints the number of breaks by rule as JSON; ends with 1 and a word about the first differences otherwise.

    same.py LAKE DATE BREAKS.parquet SCRATCH [LEDGER.parquet]
"""

import json
import sys

import duckdb

lake, date, breaks, scratch, *ledger = sys.argv[1:]
db = duckdb.connect(config={"threads": 2, "temp_directory": scratch})
db.execute(
    f"""
    CREATE TABLE ours AS SELECT rule_id, break_id, expected_fen, actual_fen
    FROM read_parquet('{lake}/datasets/breaks/dt={date}/part-0.parquet') WHERE status IN ('new', 'open', 'reopened');
    CREATE TABLE theirs AS SELECT rule_id, break_id, expected_fen, actual_fen FROM read_parquet('{breaks}');
    """
)
different = db.sql(
    """
    SELECT coalesce(o.rule_id, t.rule_id), o.break_id, t.break_id, o.expected_fen, t.expected_fen, o.actual_fen, t.actual_fen
    FROM ours o FULL JOIN theirs t ON t.break_id = o.break_id
    WHERE o.break_id IS NULL OR t.break_id IS NULL OR o.expected_fen <> t.expected_fen OR o.actual_fen <> t.actual_fen
    """
).fetchall()
twice = db.sql("SELECT break_id FROM theirs GROUP BY ALL HAVING count(*) > 1").fetchall()
if different or twice:
    sys.exit(f"{len(different)} breaks differ: {different[:5]}, {len(twice)} twice")


def digest(path):
    """Rows, their contents in any order, and their keys in this one."""
    of = f"read_parquet('{path}', hive_partitioning = false, file_row_number = true)"
    columns = [row[0] for row in db.sql(f"DESCRIBE FROM {of}").fetchall() if row[0] != "file_row_number"]
    content = f"bit_xor(hash({', '.join(columns)}))"
    order = "sum((hash(stock_id, coupon_code) % 1000003)::HUGEINT * file_row_number)"
    return columns, db.sql(f"SELECT count(*), {content}, {order} FROM {of}").fetchall()


if ledger:
    mine, other = digest(f"{lake}/datasets/coupon_ledger/dt={date}/part-0.parquet"), digest(ledger[0])
    if mine != other:
        sys.exit(f"the ledgers differ: {mine[1]} {other[1]}")
print(json.dumps(dict(db.sql("SELECT rule_id, count(*) FROM ours GROUP BY ALL ORDER BY ALL").fetchall())))
