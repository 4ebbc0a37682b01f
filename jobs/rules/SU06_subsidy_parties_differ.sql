-- id: SU06
-- title: The payer or payee of the subsidy is not the programme's
-- 标题: 补差收付方与方案不符
-- severity: high
-- side: finance
-- key: s
-- inputs: subsidy_payments
-- action: Return the subsidy and order it again between the right merchants.
-- 处理: 回退补差，并在正确的商户之间重新发起。
-- row: a receipt that did not fail, of a stock with a programme, whose payer or payee no programme of the stock has
-- why: paid by {payer} to {payee}, the programme says by {due_payer} to {due_payee}
-- 原因: 由 {payer} 补给 {payee}，补差方案规定由 {due_payer} 补给 {due_payee}
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       r.amount_fen AS at_risk_fen,
       'paid by ' || COALESCE(r.payer_merchant, '(nobody)') || ' to ' || COALESCE(r.payee_merchant, '(nobody)')
         || ', the programme says by ' || g.payer_merchant || ' to ' || g.payee_merchant AS why,
       r.receipt_date AS event_date
FROM receipts r
JOIN (SELECT stock_id, MIN(payer_merchant) AS payer_merchant, MIN(payee_merchant) AS payee_merchant
      FROM subsidy_programs
      GROUP BY stock_id) g ON g.stock_id = r.stock_id
LEFT JOIN (SELECT DISTINCT stock_id, payer_merchant, payee_merchant, 1 AS is_right FROM subsidy_programs) q
  ON q.stock_id = r.stock_id AND q.payer_merchant = r.payer_merchant AND q.payee_merchant = r.payee_merchant
WHERE r.status <> 'FAIL'
  AND q.is_right IS NULL
