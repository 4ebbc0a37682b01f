-- id: SU05
-- title: A subsidy names an unknown payment
-- 标题: 补差对应的支付单不存在
-- severity: high
-- side: finance
-- key: s
-- inputs: orders, payments, subsidy_payments, refunds?
-- action: Compare the transaction of the receipt with the order of the coupon; return the subsidy if there is no such payment.
-- 处理: 对照补差单所附支付单与券的订单；确无该支付则回退补差。
-- row: a receipt that did not fail whose transaction_id is in no order and no bill row; of a coupon without a known use while the week before the receipt lies in the look-back and no export or bill up to the receipt is missing
-- why: receipt {status} of {fen} fen for transaction {transaction}, which no order and no bill row has; the order of the coupon has transaction {other}
-- 原因: 补差回执 {status}，{fen} 分，对应支付单 {transaction} 在订单与账单中均不存在；该券订单的支付单为 {other}
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       0 AS expected_fen,
       r.amount_fen AS actual_fen,
       r.amount_fen AS at_risk_fen,
       'receipt ' || r.status || ' of ' || CAST(r.amount_fen AS STRING) || ' fen for transaction '
         || r.transaction_id || ', which no order and no bill row has; the order of the coupon has transaction '
         || COALESCE(l.transaction_id, '(none)') AS why,
       r.receipt_date AS event_date,
       -- Without a use nobody knows the day of the order: it is looked for in the week before the receipt.
       COALESCE(e.dt, CAST(r.receipt_date - INTERVAL '7' DAY AS DATE)) AS oldest_input_date,
       CASE WHEN m.unknown_dt <= COALESCE(CAST(l.used_at + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE),
                                      r.receipt_date, p.business_date)
            THEN m.unknown_dt END AS unknown_date
FROM receipts r
CROSS JOIN params p
LEFT JOIN coupons l ON l.stock_id = r.stock_id AND l.coupon_code = r.coupon_code
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'orders') k ON k.dt = l.used_date
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'payments') d ON d.dt = l.used_date
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'orders') e
  ON e.dt = CAST(l.used_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'payments') g
  ON g.dt = CAST(l.used_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN (SELECT dt, MIN(unknown_dt) AS unknown_dt FROM gaps WHERE dataset IN ('orders', 'payments') GROUP BY dt) m
  ON m.dt = COALESCE(l.used_date, p.lookback_start)
LEFT JOIN (SELECT DISTINCT transaction_id FROM order_totals) o ON o.transaction_id = r.transaction_id
LEFT JOIN bill_payments b ON b.transaction_id = r.transaction_id
LEFT JOIN bill_refunds f ON f.transaction_id = r.transaction_id
WHERE r.status <> 'FAIL'
  AND r.transaction_id IS NOT NULL
  AND o.transaction_id IS NULL
  AND b.out_trade_no IS NULL
  AND f.out_trade_no IS NULL
  AND (l.transaction_id IS NULL OR l.transaction_id <> r.transaction_id)
  AND (l.used_date IS NULL OR (k.dt IS NOT NULL AND d.dt IS NOT NULL AND e.dt IS NOT NULL AND g.dt IS NOT NULL))
