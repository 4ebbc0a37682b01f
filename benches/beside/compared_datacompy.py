"""What datacompy is for: two frames held against each other by a key. Orders against the bill, by transaction, on the amount paid; no coupon,
no subsidy. Usage: compared_datacompy.py LAKE"""

import json
import sys

import datacompy
import polars as pl

from columns import files

lake = sys.argv[1]
orders = pl.read_parquet(files(lake, "orders"), columns=["transaction_id", "paid_fen"], hive_partitioning=False)
bill = pl.read_parquet(files(lake, "payments"), columns=["transaction_id", "order_fen"], hive_partitioning=False)
compare = datacompy.PolarsCompare(
    orders.drop_nulls("transaction_id"), bill.rename({"order_fen": "paid_fen"}), join_columns="transaction_id", df1_name="orders", df2_name="bill"
)
print(
    json.dumps(
        {
            "only_orders": compare.df1_unq_rows.height,
            "only_bill": compare.df2_unq_rows.height,
            "differ": compare.intersect_rows.height - compare.count_matching_rows(),
        }
    )
)
