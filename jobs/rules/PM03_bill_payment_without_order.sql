-- id: PM03
-- title: A payment of the bill has no order
-- 标题: 账单支付找不到订单
-- severity: high
-- side: finance
-- key: t
-- inputs: orders, payments
-- action: Find the order in the till by amount and time; complete the export.
-- 处理: 按金额和时间在收银系统中查找订单；补全导出。
-- row: a SUCCESS row of the bill that no REVOKED row cancels and no order of the look-back names, the orders of its day being known, those of the day before or after too within tolerance.use_time_minutes of midnight
-- why: the bill of {day} has {fen} fen for order {order}, no export has it; nearest order of that day and amount without a bill row: {near}
-- 原因: {day} 的账单有订单 {order} 的 {fen} 分，订单导出中没有；同日同额且账单中没有的订单：{near}
SELECT b.transaction_id AS transaction_id,
       b.out_trade_no AS out_trade_no,
       b.openid AS openid,
       0 AS expected_fen,
       b.order_fen AS actual_fen,
       b.order_fen AS at_risk_fen,
       'the bill of ' || CAST(b.dt AS STRING) || ' has ' || CAST(b.order_fen AS STRING) || ' fen for order '
         || b.out_trade_no || ', no export has it; nearest order of that day and amount without a bill row: '
         || COALESCE(c.out_trade_no, 'none') AS why,
       b.dt AS event_date,
       -- Its order is told on the day it was paid, however late a bill lists the payment.
       CAST(LEAST(b.dt, CAST(b.trade_time + INTERVAL '8' HOUR AS DATE)) - INTERVAL '1' DAY AS DATE) AS oldest_input_date,
       CASE WHEN g.unknown_dt <= CAST(b.trade_time + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
            THEN g.unknown_dt END AS unknown_date
FROM bill_payments b
CROSS JOIN params p
JOIN known_days k ON k.dt = b.dt
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') g
  ON g.dt = CAST(b.trade_time + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN order_totals t ON t.transaction_id = b.transaction_id
LEFT JOIN order_totals n ON n.out_trade_no = b.out_trade_no
LEFT JOIN (SELECT paid_date, paid_fen, MIN(out_trade_no) AS out_trade_no
           FROM order_totals
           WHERE bill_transaction_id IS NULL
           GROUP BY paid_date, paid_fen) c ON c.paid_date = b.dt AND c.paid_fen = b.order_fen
WHERE k.dataset = 'orders'
  AND b.order_fen IS NOT NULL
  AND NOT b.is_revoked
  AND t.out_trade_no IS NULL
  AND n.out_trade_no IS NULL
