"""joined.sql by DuckDB, two threads. Usage: joined_duckdb.py LAKE"""

import json
import sys
from pathlib import Path

import duckdb

from columns import files

lake = sys.argv[1]
db = duckdb.connect(config={"threads": 2})
for name, dataset in {"wallets": "user_coupons", "orders": "orders", "payments": "payments", "receipts": "subsidy_payments"}.items():
    db.execute(f"CREATE VIEW {name} AS FROM read_parquet({files(lake, dataset)}, hive_partitioning = false)")
found = db.sql((Path(__file__).parent / "joined.sql").read_text())
print(json.dumps({name: int(value) for name, value in zip(found.columns, found.fetchall()[0])}))
