"""The same ingest by DuckDB: read_csv with the types given, sorted by the key, COPY to zstd Parquet, two threads.

    duckdb_ingest.py bill|orders FROM.csv TO.parquet SCRATCH
    duckdb_ingest.py totals COLUMN FILE.parquet …           rows and the sum of a column, as JSON
"""

import json
import sys

import duckdb

BILL = """
SELECT transaction_id, trade_state, trade_time - INTERVAL 8 HOUR AS trade_time, appid, mchid,
       nullif(sub_mchid, '0') AS sub_mchid, device_info, out_trade_no, openid, trade_type, bank_type, fee_type,
       (settled * 100)::BIGINT AS settled_fen, (coupon_fee * 100)::BIGINT AS coupon_fee_fen,
       nullif(refund_id, '0') AS refund_id, nullif(out_refund_no, '0') AS out_refund_no,
       (refund * 100)::BIGINT AS refund_fen, (coupon_refund * 100)::BIGINT AS coupon_refund_fen,
       refund_type, refund_status, body, attach, (service_fee * 100000)::BIGINT AS service_fee_millifen, rate,
       ("order" * 100)::BIGINT AS order_fen, (applied_refund * 100)::BIGINT AS applied_refund_fen, rate_remark,
       DATE '2026-11-18' AS business_date
FROM read_csv('{source}', header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', columns = {{
       'trade_time': 'TIMESTAMP', 'appid': 'VARCHAR', 'mchid': 'VARCHAR', 'sub_mchid': 'VARCHAR',
       'device_info': 'VARCHAR', 'transaction_id': 'VARCHAR', 'out_trade_no': 'VARCHAR', 'openid': 'VARCHAR',
       'trade_type': 'VARCHAR', 'trade_state': 'VARCHAR', 'bank_type': 'VARCHAR', 'fee_type': 'VARCHAR',
       'settled': 'DECIMAL(18,2)', 'coupon_fee': 'DECIMAL(18,2)', 'refund_id': 'VARCHAR',
       'out_refund_no': 'VARCHAR', 'refund': 'DECIMAL(18,2)', 'coupon_refund': 'DECIMAL(18,2)',
       'refund_type': 'VARCHAR', 'refund_status': 'VARCHAR', 'body': 'VARCHAR', 'attach': 'VARCHAR',
       'service_fee': 'DECIMAL(18,5)', 'rate': 'VARCHAR', 'order': 'DECIMAL(18,2)',
       'applied_refund': 'DECIMAL(18,2)', 'rate_remark': 'VARCHAR'}})
ORDER BY transaction_id, trade_state
"""

ORDERS = """
SELECT out_trade_no, coalesce(stock_id, '') AS stock_id, coalesce(coupon_code, '') AS coupon_code, transaction_id,
       merchant, openid, channel, product, remark, paid_at - INTERVAL 8 HOUR AS paid_at,
       (goods * 100)::BIGINT AS goods_fen, (discount * 100)::BIGINT AS discount_fen, (paid * 100)::BIGINT AS paid_fen,
       (refund * 100)::BIGINT AS refund_fen, DATE '2026-11-18' AS business_date
FROM read_csv('{source}', header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', columns = {{
       'out_trade_no': 'VARCHAR', 'transaction_id': 'VARCHAR', 'merchant': 'VARCHAR', 'openid': 'VARCHAR',
       'paid_at': 'TIMESTAMP', 'goods': 'DECIMAL(18,2)', 'discount': 'DECIMAL(18,2)', 'paid': 'DECIMAL(18,2)',
       'refund': 'DECIMAL(18,2)', 'stock_id': 'VARCHAR', 'coupon_code': 'VARCHAR', 'channel': 'VARCHAR',
       'product': 'VARCHAR', 'remark': 'VARCHAR'}})
ORDER BY out_trade_no, stock_id, coupon_code
"""


def ingest(kind, source, target, scratch):
    connection = duckdb.connect(config={"threads": 2, "temp_directory": scratch})
    select = {"bill": BILL, "orders": ORDERS}[kind].format(source=source)
    connection.execute(f"COPY ({select}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1048576)")


def totals(column, *files):
    rows = total = 0
    for file in files:
        names = [row[0] for row in duckdb.execute(f"DESCRIBE FROM '{file}'").fetchall()]
        found = duckdb.execute(f"SELECT count(*), {f'sum({column})' if column in names else '0'} FROM '{file}'").fetchall()[0]
        rows, total = rows + found[0], total + int(found[1] or 0)
    print(json.dumps([rows, total]))


if sys.argv[1] == "totals":
    totals(*sys.argv[2:])
else:
    ingest(*sys.argv[1:])
