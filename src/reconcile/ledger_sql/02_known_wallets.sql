-- The wallet's row of each coupon. One received after D is not known on D.
SELECT w.stock_id AS stock_id,
       w.coupon_code AS coupon_code,
       w.openid AS openid,
       w.belong_merchant AS belong_merchant,
       w.stock_type AS stock_type,
       w.coupon_state AS coupon_state,
       w.discount_amount_fen AS discount_amount_fen,
       w.discount_percent AS discount_percent,
       w.exchange_price_fen AS exchange_price_fen,
       w.transaction_minimum_fen AS transaction_minimum_fen,
       w.available_start_time AS available_start_time,
       w.expire_time AS expire_time,
       w.receive_time AS receive_time,
       w.use_request_no AS use_request_no,
       w.use_time AS use_time,
       w.associate_out_trade_no AS associate_out_trade_no,
       w.return_request_no AS return_request_no,
       w.return_time AS return_time,
       w.deactivate_time AS deactivate_time,
       w.verified_date AS verified_date
FROM user_coupons w
CROSS JOIN params q
LEFT JOIN second_wallets s
  ON s.stock_id = w.stock_id AND s.coupon_code = w.coupon_code AND s.openid = w.openid
WHERE s.openid IS NULL
  AND (w.receive_time IS NULL OR w.receive_time < q.day_end_at)
