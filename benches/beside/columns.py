"""What the libraries of `joined_*.py` have to be told to read; a query planner finds it by itself."""

import os

WALLETS = [
    "stock_id", "coupon_code", "openid", "stock_type", "coupon_state", "discount_amount_fen", "transaction_minimum_fen",
    "available_start_time", "expire_time", "use_time", "associate_out_trade_no",
]
ORDERS = ["stock_id", "coupon_code", "out_trade_no", "transaction_id", "openid", "paid_at", "goods_fen", "discount_fen", "paid_fen"]
PAYMENTS = ["transaction_id", "order_fen"]
RECEIPTS = ["stock_id", "coupon_code", "amount_fen"]


def files(lake, dataset):
    """The partitions of a dataset, oldest first."""
    folder = f"{lake}/datasets/{dataset}"
    return [f"{folder}/{day}/part-0.parquet" for day in sorted(os.listdir(folder))]
