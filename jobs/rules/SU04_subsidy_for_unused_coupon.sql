-- id: SU04
-- title: A subsidy was paid for a coupon that was never used
-- 标题: 未核销的券已补差
-- severity: high
-- side: finance
-- key: s
-- inputs: subsidy_payments, user_coupons
-- action: Return the subsidy, or find out why the redemption is missing.
-- 处理: 回退补差，或查明为何缺少核销。
-- row: a live receipt whose coupon was neither USED on D nor ever returned
-- why: receipt {status} of {fen} fen, the coupon was {state} at the end of the day
-- 原因: 补差回执 {status}，{fen} 分，当日结束时该券状态为 {state}
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       l.openid AS openid,
       0 AS expected_fen,
       r.amount_fen AS actual_fen,
       r.amount_fen AS at_risk_fen,
       'receipt ' || r.status || ' of ' || CAST(r.amount_fen AS STRING) || ' fen, the coupon was '
         || l.state_on_date || ' at the end of the day' AS why,
       r.receipt_date AS event_date
FROM receipts r
JOIN coupons l ON l.stock_id = r.stock_id AND l.coupon_code = r.coupon_code
WHERE r.is_live
  AND l.state_on_date <> 'USED'
  AND l.returned_at IS NULL
