-- id: PM01
-- title: The order's amount is not the bill's
-- 标题: 订单实付金额与账单不符
-- severity: high
-- side: finance
-- key: o
-- inputs: orders, payments
-- action: Compare the order with the bill row; correct the export or the till's amounts.
-- 处理: 对照订单与账单行；更正导出或收银金额。
-- row: an order whose paid_fen, summed over its lines, differs from 订单金额 of its bill row (a revoked payment is none); where it is less, the export of the day of its payment is known, which may have lines of it that no later one repeats
-- why: the export says {export} fen paid, the bill of {day} says {bill} fen
-- 原因: 订单导出实付 {export} 分，{day} 的账单为 {bill} 分
SELECT o.out_trade_no AS out_trade_no,
       o.bill_transaction_id AS transaction_id,
       o.openid AS openid,
       o.paid_fen AS expected_fen,
       o.bill_paid_fen AS actual_fen,
       ABS(o.bill_paid_fen - o.paid_fen) AS at_risk_fen,
       'the export says ' || CAST(o.paid_fen AS STRING) || ' fen paid, the bill of '
         || CAST(o.bill_date AS STRING) || ' says ' || CAST(o.bill_paid_fen AS STRING) || ' fen' AS why,
       o.bill_date AS event_date,
       -- Of an order exported again in parts, the lines of the day of its payment leave the look-back first.
       LEAST(o.changed_date, o.bill_date, COALESCE(o.paid_date, o.bill_date)) AS oldest_input_date,
       CASE WHEN k.unknown_dt = o.paid_date AND o.paid_fen < o.bill_paid_fen THEN k.unknown_dt END AS unknown_date
FROM order_totals o
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = o.paid_date
WHERE NOT o.bill_is_revoked
  AND o.bill_paid_fen <> o.paid_fen
