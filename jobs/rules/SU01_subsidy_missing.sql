-- id: SU01
-- title: A subsidy of the programme is missing
-- 标题: 应补差未补差
-- severity: high
-- side: finance
-- key: c
-- inputs: orders, user_coupons, subsidy_payments, subsidy_orders?
-- action: Order the subsidy (subsidy/pay-receipts) for the coupon's transaction.
-- 处理: 为该券的支付单发起补差（subsidy/pay-receipts）。
-- row: a coupon of a programme USED on D for a live order, due_days after the use without a receipt, a payment line in the merchant's ledger or a failure (SU10, SU11), all ledgers since the payment being known, and no day since its last export being unknown to exports and bills
-- why: used for order {order}, {fen} fen were due on {day}, no receipt and no order for it
-- 原因: 订单 {order} 用券，应于 {day} 补差 {fen} 分，没有补差回执，也没有补差单
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.subsidy_expected_fen AS expected_fen,
       0 AS actual_fen,
       l.subsidy_expected_fen AS at_risk_fen,
       'used for order ' || l.out_trade_no || ', ' || CAST(l.subsidy_expected_fen AS STRING)
         || ' fen were due on ' || COALESCE(CAST(l.subsidy_due_date AS STRING), '(unknown day)')
         || ', no receipt and no order for it' AS why,
       l.subsidy_due_date AS event_date,
       -- A ledger that is missing may have the line, a day of which neither export nor bill is known the refund of the order.
       COALESCE(k.unknown_dt, g.unknown_dt) AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'subsidy_orders') k ON k.dt = GREATEST(p.lookback_start, l.paid_date)
LEFT JOIN order_totals t ON t.out_trade_no = l.out_trade_no
LEFT JOIN gaps g
  ON g.dataset = CASE WHEN l.bill_paid_fen IS NULL THEN 'orders' ELSE 'orders and refunds' END
 AND g.dt = COALESCE(CAST(t.changed_date + INTERVAL '1' DAY AS DATE), GREATEST(p.lookback_start, l.paid_date))
LEFT JOIN (SELECT DISTINCT stock_id, coupon_code FROM subsidy_orders_history WHERE subsidy_return_receipt_id = '') s
  ON s.stock_id = l.stock_id AND s.coupon_code = l.coupon_code
LEFT JOIN (SELECT DISTINCT y.stock_id AS stock_id, y.coupon_code AS coupon_code
           FROM breaks_yesterday y
           CROSS JOIN params p
           WHERE y.rule_id = 'SU11' AND y.status <> 'resolved' AND y.event_date < p.lookback_start) b
  ON b.stock_id = l.stock_id AND b.coupon_code = l.coupon_code
WHERE l.subsidy_expected_fen > 0
  AND l.order_live
  AND l.subsidy_status IS NULL
  AND s.coupon_code IS NULL
  AND b.coupon_code IS NULL
