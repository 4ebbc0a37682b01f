-- Every coupon known from any side up to D, each once.
SELECT stock_id AS stock_id, coupon_code AS coupon_code FROM known_wallets
UNION
SELECT stock_id AS stock_id, coupon_code AS coupon_code FROM coupon_ledger_yesterday
UNION
SELECT stock_id AS stock_id, coupon_code AS coupon_code FROM order_lines WHERE stock_id <> '' AND coupon_code <> ''
UNION
SELECT stock_id AS stock_id, coupon_code AS coupon_code FROM dispatches
UNION
SELECT stock_id AS stock_id, coupon_code AS coupon_code FROM receipt_sums
UNION
SELECT stock_id AS stock_id, coupon_code AS coupon_code FROM return_sums
