-- id: SU08
-- title: More subsidy was returned than was paid
-- 标题: 补差退回超过付款
-- severity: high
-- side: finance
-- key: s
-- inputs: subsidy_payments, subsidy_returns
-- action: Compare the return receipts with the payment; settle the surplus with the other merchant.
-- 处理: 对照回退单与补差付款；与对方商户结清超退部分。
-- row: a receipt whose successful returns sum up to more than it paid
-- why: {returned} fen returned, {paid} fen paid ({status})
-- 原因: 已退回 {returned} 分，仅补差 {paid} 分（{status}）
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       CASE WHEN r.is_paid THEN r.amount_fen ELSE 0 END AS expected_fen,
       t.returned_fen AS actual_fen,
       t.returned_fen - CASE WHEN r.is_paid THEN r.amount_fen ELSE 0 END AS at_risk_fen,
       CAST(t.returned_fen AS STRING) || ' fen returned, '
         || CAST(CASE WHEN r.is_paid THEN r.amount_fen ELSE 0 END AS STRING) || ' fen paid (' || r.status || ')' AS why,
       t.return_date AS event_date
FROM receipts r
JOIN (SELECT subsidy_receipt_id, SUM(amount_fen) AS returned_fen, MAX(return_date) AS return_date
      FROM returns
      WHERE is_done
      GROUP BY subsidy_receipt_id) t ON t.subsidy_receipt_id = r.subsidy_receipt_id
WHERE t.returned_fen > CASE WHEN r.is_paid THEN r.amount_fen ELSE 0 END
