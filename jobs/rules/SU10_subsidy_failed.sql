-- id: SU10
-- title: A subsidy failed and was not ordered again
-- 标题: 补差失败未重新发起
-- severity: high
-- side: finance
-- key: s
-- inputs: subsidy_payments
-- action: Remove the cause named in fail_reason, then order the subsidy under a new out_subsidy_no.
-- 处理: 消除 fail_reason 所述原因，再用新的 out_subsidy_no 发起补差。
-- row: a receipt FAIL without a later live receipt for its coupon, one that was paid and returned in full standing for a live one: the failure was put right before
-- why: {fen} fen failed with {reason}, no later receipt is live
-- 原因: 补差 {fen} 分失败：{reason}，之后没有有效的补差回执
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       r.amount_fen AS expected_fen,
       0 AS actual_fen,
       r.amount_fen AS at_risk_fen,
       CAST(r.amount_fen AS STRING) || ' fen failed with ' || COALESCE(r.fail_reason, '(no reason)')
         || ', no later receipt is live' AS why,
       r.receipt_date AS event_date
FROM receipts r
LEFT JOIN (SELECT stock_id, coupon_code, COUNT(*) AS live_count, MAX(create_time) AS last_at
           FROM receipts
           WHERE is_live OR is_paid
           GROUP BY stock_id, coupon_code) n ON n.stock_id = r.stock_id AND n.coupon_code = r.coupon_code
WHERE r.status = 'FAIL'
  AND (n.live_count IS NULL OR n.last_at <= r.create_time)
