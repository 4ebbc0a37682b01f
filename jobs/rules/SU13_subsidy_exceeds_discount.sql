-- id: SU13
-- title: The subsidy is more than the discount
-- 标题: 补差金额超过优惠金额
-- severity: high
-- side: finance
-- key: s
-- inputs: orders, user_coupons, subsidy_payments
-- action: Return the surplus; check the programme's amount against the stock.
-- 处理: 回退超出部分；核对方案金额与批次。
-- row: a live receipt of more than the coupon's discount, the order's where one is matched, else what the stock gives; the export of the day of the payment is known where it may have the line that claims the coupon
-- why: receipt of {paid} fen, the coupon gave {given} fen off
-- 原因: 补差 {paid} 分，而该券仅优惠 {given} 分
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       l.openid AS openid,
       COALESCE(l.discount_fen, l.expected_discount_fen) AS expected_fen,
       r.amount_fen AS actual_fen,
       r.amount_fen - COALESCE(l.discount_fen, l.expected_discount_fen) AS at_risk_fen,
       'receipt of ' || CAST(r.amount_fen AS STRING) || ' fen, the coupon gave '
         || CAST(COALESCE(l.discount_fen, l.expected_discount_fen) AS STRING) || ' fen off' AS why,
       r.receipt_date AS event_date,
       CASE WHEN k.unknown_dt = l.paid_date AND l.match_pass <> 'claim' THEN k.unknown_dt END AS unknown_date
FROM receipts r
JOIN coupons l ON l.stock_id = r.stock_id AND l.coupon_code = r.coupon_code
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = l.paid_date
WHERE r.is_live
  AND l.subsidy_live_fen > COALESCE(l.discount_fen, l.expected_discount_fen)
  AND r.amount_fen > COALESCE(l.discount_fen, l.expected_discount_fen)
