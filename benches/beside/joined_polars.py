"""joined.sql by Polars' own SQL. Usage: joined_polars.py LAKE"""

import json
import os
import sys
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "2"
import polars as pl  # noqa: E402

from columns import files  # noqa: E402

lake = sys.argv[1]
tables = {"wallets": "user_coupons", "orders": "orders", "payments": "payments", "receipts": "subsidy_payments"}
context = pl.SQLContext({name: pl.scan_parquet(files(lake, dataset), hive_partitioning=False) for name, dataset in tables.items()})
found = context.execute((Path(__file__).parent / "joined.sql").read_text()).collect(engine="streaming")
print(json.dumps({name: int(value) for name, value in found.row(0, named=True).items()}))
