-- Wallets beside orders, bill and subsidies, five sums and ten of the rules, one pass: no look-back, no repetition, no state rolled back, no break
-- written. What a notebook would do, and much less than a night.
SELECT count(*) AS n,
       sum(o.discount_fen) AS discount_fen,
       sum(o.paid_fen) AS paid_fen,
       sum(b.order_fen) AS billed_fen,
       sum(r.amount_fen) AS subsidy_fen,
       sum(CASE WHEN w.coupon_state = 'USED' AND o.out_trade_no IS NULL THEN 1 ELSE 0 END) AS ao01,
       sum(CASE WHEN w.coupon_state <> 'USED' AND o.out_trade_no IS NOT NULL THEN 1 ELSE 0 END) AS ao03,
       sum(CASE WHEN w.associate_out_trade_no <> o.out_trade_no THEN 1 ELSE 0 END) AS ao05,
       sum(CASE WHEN w.stock_type = 'NORMAL' AND o.discount_fen <> w.discount_amount_fen THEN 1 ELSE 0 END) AS ao08,
       sum(CASE WHEN o.goods_fen < w.transaction_minimum_fen THEN 1 ELSE 0 END) AS ao09,
       sum(CASE WHEN w.use_time < w.available_start_time OR w.use_time > w.expire_time THEN 1 ELSE 0 END) AS ao10,
       sum(CASE WHEN w.openid <> o.openid THEN 1 ELSE 0 END) AS ao11,
       sum(CASE WHEN w.use_time > o.paid_at + INTERVAL '10 minutes' THEN 1 ELSE 0 END) AS ao13,
       sum(CASE WHEN b.order_fen <> o.paid_fen THEN 1 ELSE 0 END) AS pm01,
       sum(CASE WHEN r.amount_fen <> 100 THEN 1 ELSE 0 END) AS su02
FROM wallets w
LEFT JOIN orders o ON o.stock_id = w.stock_id AND o.coupon_code = w.coupon_code
LEFT JOIN payments b ON b.transaction_id = o.transaction_id
LEFT JOIN receipts r ON r.stock_id = w.stock_id AND r.coupon_code = w.coupon_code
