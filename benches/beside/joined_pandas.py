"""joined.sql as one writes it in pandas: three merges, then masks. Usage: joined_pandas.py LAKE"""

import json
import sys

import pandas as pd

from columns import ORDERS, PAYMENTS, RECEIPTS, WALLETS, files

lake = sys.argv[1]


def read(dataset, columns):
    return pd.concat([pd.read_parquet(path, columns=columns, partitioning=None) for path in files(lake, dataset)], ignore_index=True)


coupon = ["stock_id", "coupon_code"]
all_of_it = read("user_coupons", WALLETS).merge(read("orders", ORDERS), how="left", on=coupon, suffixes=("", "_order"))
all_of_it = all_of_it.merge(read("payments", PAYMENTS), how="left", on="transaction_id")
all_of_it = all_of_it.merge(read("subsidy_payments", RECEIPTS), how="left", on=coupon)
has_order = all_of_it.out_trade_no.notna()


def both(one, other):
    """Where both are there and differ."""
    return one.notna() & other.notna() & (one != other)


masks = {
    "ao01": (all_of_it.coupon_state == "USED") & ~has_order,
    "ao03": (all_of_it.coupon_state != "USED") & has_order,
    "ao05": both(all_of_it.associate_out_trade_no, all_of_it.out_trade_no),
    "ao08": (all_of_it.stock_type == "NORMAL") & both(all_of_it.discount_fen, all_of_it.discount_amount_fen),
    "ao09": all_of_it.goods_fen < all_of_it.transaction_minimum_fen,
    "ao10": (all_of_it.use_time < all_of_it.available_start_time) | (all_of_it.use_time > all_of_it.expire_time),
    "ao11": both(all_of_it.openid, all_of_it.openid_order),
    "ao13": all_of_it.use_time > all_of_it.paid_at + pd.Timedelta(minutes=10),
    "pm01": both(all_of_it.order_fen, all_of_it.paid_fen),
    "su02": all_of_it.amount_fen.notna() & (all_of_it.amount_fen != 100),
}
sums = {"discount_fen": "discount_fen", "paid_fen": "paid_fen", "billed_fen": "order_fen", "subsidy_fen": "amount_fen"}
found = {"n": len(all_of_it)} | {name: int(all_of_it[column].sum()) for name, column in sums.items()}
print(json.dumps(found | {name: int(mask.sum()) for name, mask in masks.items()}))
