-- id: SU12
-- title: A subsidy is not in the merchant's ledger
-- 标题: 补差未在商户台账中
-- severity: medium
-- side: finance
-- key: s
-- inputs: subsidy_orders, subsidy_payments
-- action: Find out who ordered the subsidy; complete the ledger or return the subsidy.
-- 处理: 查明由谁发起补差；补全台账或回退。
-- row: a receipt whose out_subsidy_no no line of the merchant's subsidy ledger has, nor one that left the look-back after SU11 reported it, created on a day whose ledger is known, that of the day before too within tolerance.use_time_minutes of midnight
-- why: receipt {status} of {fen} fen from {payer} to {payee} created on {day}, the ledger does not have it; line of the coupon without a receipt: {near}
-- 原因: 补差回执 {status}，{fen} 分，由 {payer} 付给 {payee}，创建于 {day}，商户补差台账中没有；该券没有回执的台账行：{near}
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       0 AS expected_fen,
       r.amount_fen AS actual_fen,
       r.amount_fen AS at_risk_fen,
       'receipt ' || r.status || ' of ' || CAST(r.amount_fen AS STRING) || ' fen from '
         || COALESCE(r.payer_merchant, '(none)') || ' to ' || COALESCE(r.payee_merchant, '(none)') || ' created on '
         || COALESCE(CAST(r.receipt_date AS STRING), '(unknown day)')
         || ', the ledger does not have it; line of the coupon without a receipt: '
         || COALESCE(n.out_subsidy_no, 'none') AS why,
       r.receipt_date AS event_date,
       CAST(r.receipt_date - INTERVAL '1' DAY AS DATE) AS oldest_input_date,
       CASE WHEN g.unknown_dt <= COALESCE(r.receipt_date, p.business_date) THEN g.unknown_dt END AS unknown_date
FROM receipts r
CROSS JOIN params p
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'subsidy_orders') k ON k.dt = r.receipt_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'subsidy_orders') g
  ON g.dt = COALESCE(CAST(r.create_time + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE),
                   r.receipt_date, p.lookback_start)
LEFT JOIN (SELECT DISTINCT out_subsidy_no, 1 AS is_known FROM subsidy_orders_history) s
  ON s.out_subsidy_no = r.out_subsidy_no
-- A line that was sent again under its number is older than its receipt; SU11 reported it, and is listed as long as the receipt is judged.
LEFT JOIN (SELECT DISTINCT y.out_subsidy_no AS out_subsidy_no, 1 AS has_left
           FROM breaks_yesterday y
           CROSS JOIN params p
           WHERE y.rule_id = 'SU11' AND y.event_date < p.lookback_start) b ON b.out_subsidy_no = r.out_subsidy_no
LEFT JOIN (SELECT h.stock_id AS stock_id, h.coupon_code AS coupon_code, MIN(h.out_subsidy_no) AS out_subsidy_no
           FROM subsidy_orders_history h
           LEFT JOIN (SELECT out_subsidy_no, 1 AS is_known FROM subsidy_payments) q ON q.out_subsidy_no = h.out_subsidy_no
           WHERE h.subsidy_return_receipt_id = '' AND q.is_known IS NULL
           GROUP BY h.stock_id, h.coupon_code) n ON n.stock_id = r.stock_id AND n.coupon_code = r.coupon_code
WHERE s.is_known IS NULL
  AND b.has_left IS NULL
  AND (r.receipt_date IS NULL OR k.dt IS NOT NULL)
