-- id: SU11
-- title: WeChat does not know a subsidy the merchant ordered
-- 标题: 已下单的补差在微信侧不存在
-- severity: high
-- side: finance
-- key: s
-- inputs: subsidy_orders, subsidy_payments
-- action: Send the order again under the same out_subsidy_no (it is idempotent), or correct the ledger.
-- 处理: 用同一 out_subsidy_no 重新提交（幂等），或更正台账。
-- row: a payment line of the merchant's subsidy ledger in the look-back whose out_subsidy_no no receipt of its coupon has
-- why: ordered on {day} with {fen} fen, no receipt of the coupon has this number; its receipt without a line of the ledger: {near}
-- 原因: {day} 发起补差 {fen} 分，该券没有此单号的补差回执；该券台账中没有的补差回执：{near}
SELECT s.out_subsidy_no AS out_subsidy_no,
       s.subsidy_receipt_id AS subsidy_receipt_id,
       s.stock_id AS stock_id,
       s.coupon_code AS coupon_code,
       s.transaction_id AS transaction_id,
       s.amount_fen AS expected_fen,
       0 AS actual_fen,
       s.amount_fen AS at_risk_fen,
       'ordered on ' || CAST(s.dt AS STRING) || ' with ' || CAST(s.amount_fen AS STRING)
         || ' fen, no receipt of the coupon has this number; its receipt without a line of the ledger: '
         || COALESCE(n.out_subsidy_no, 'none') AS why,
       s.dt AS event_date
FROM (SELECT out_subsidy_no,
             MAX(subsidy_receipt_id) AS subsidy_receipt_id,
             MAX(stock_id) AS stock_id,
             MAX(coupon_code) AS coupon_code,
             MAX(transaction_id) AS transaction_id,
             MAX(amount_fen) AS amount_fen,
             MIN(dt) AS dt
      FROM subsidy_orders_history
      WHERE subsidy_return_receipt_id = ''
      GROUP BY out_subsidy_no) s
LEFT JOIN (SELECT out_subsidy_no, stock_id, coupon_code, 1 AS is_known FROM subsidy_payments) r
  ON r.out_subsidy_no = s.out_subsidy_no AND r.stock_id = s.stock_id AND r.coupon_code = s.coupon_code
LEFT JOIN (SELECT q.stock_id AS stock_id, q.coupon_code AS coupon_code, MIN(q.out_subsidy_no) AS out_subsidy_no
           FROM subsidy_payments q
           LEFT JOIN (SELECT DISTINCT out_subsidy_no, 1 AS is_known FROM subsidy_orders_history) h
             ON h.out_subsidy_no = q.out_subsidy_no
           WHERE h.is_known IS NULL
           GROUP BY q.stock_id, q.coupon_code) n ON n.stock_id = s.stock_id AND n.coupon_code = s.coupon_code
WHERE r.is_known IS NULL
