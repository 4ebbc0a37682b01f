-- id: PM02
-- title: A paid order is not in the bill
-- 标题: 订单在微信账单中不存在
-- severity: high
-- side: finance
-- key: o
-- inputs: orders, payments
-- action: Query the order at WeChat Pay; if it was never paid, correct the till; if it was, ask for the bill.
-- 处理: 向微信支付查询订单；未支付则更正收银，已支付则索取账单。
-- row: a live order with paid > 0 of a WeChat channel and a billed merchant, no bill row by transaction_id or out_trade_no, the bill of its day being known, that of the day before or after too within tolerance.use_time_minutes of midnight; a payment that a REVOKED row cancels is none, unless another one of its number stands
-- why: paid {fen} fen on {day} as transaction {transaction}, no bill row; nearest unclaimed payment of that day and amount: {near}
-- 原因: {day} 支付 {fen} 分，微信支付订单号 {transaction}，账单中没有；同日同额且无订单的支付：{near}
-- why: paid {fen} fen on {day} as transaction {transaction}, which the bill revokes
-- 原因: {day} 支付 {fen} 分，微信支付订单号 {transaction}，账单显示该支付已撤销
SELECT o.out_trade_no AS out_trade_no,
       COALESCE(o.transaction_id, o.bill_transaction_id) AS transaction_id,
       o.openid AS openid,
       o.paid_fen AS expected_fen,
       0 AS actual_fen,
       o.paid_fen AS at_risk_fen,
       'paid ' || CAST(o.paid_fen AS STRING) || ' fen on ' || CAST(o.paid_date AS STRING)
         || ' as transaction ' || COALESCE(o.transaction_id, o.bill_transaction_id, '(none)')
         || CASE WHEN o.bill_transaction_id IS NOT NULL THEN ', which the bill revokes'
                 ELSE ', no bill row; nearest unclaimed payment of that day and amount: '
                      || COALESCE(n.transaction_id, 'none') END AS why,
       o.paid_date AS event_date,
       CASE WHEN g.unknown_dt <= CAST(o.paid_at + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
            THEN g.unknown_dt END AS unknown_date
FROM wechat_orders o
CROSS JOIN params p
JOIN known_days k ON k.dt = o.paid_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'payments') g
  ON g.dt = CAST(o.paid_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN (SELECT b.dt AS dt, b.order_fen AS order_fen, MIN(b.transaction_id) AS transaction_id
           FROM bill_payments b
           LEFT JOIN order_totals t ON t.bill_transaction_id = b.transaction_id
           WHERE t.out_trade_no IS NULL
           GROUP BY b.dt, b.order_fen) n ON n.dt = o.paid_date AND n.order_fen = o.paid_fen
LEFT JOIN (SELECT out_trade_no, COUNT(*) AS payment_count
           FROM bill_payments
           WHERE NOT is_revoked AND order_fen IS NOT NULL
           GROUP BY out_trade_no) y ON y.out_trade_no = o.out_trade_no
WHERE k.dataset = 'payments'
  AND o.is_live
  AND o.paid_fen > 0
  AND (o.bill_transaction_id IS NULL OR o.bill_is_revoked)
  AND y.payment_count IS NULL
