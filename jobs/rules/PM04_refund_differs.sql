-- id: PM04
-- title: The order's refund is not the bill's
-- 标题: 订单退款金额与账单不符
-- severity: high
-- side: finance
-- key: o
-- inputs: orders, payments, refunds
-- action: Compare the refunds of the order with the bill; correct the export or complete the refund.
-- 处理: 对照订单退款与账单；更正导出或完成退款。
-- row: an order paid in the look-back, by its bill where the export has no time of payment, whose refund by the export differs from the sum of 申请退款金额 in the bills, failed refunds left out; where the export says more, the bills from its payment to the day after its last export are known, unless it says more than was paid; where the bills do, the export of their last refund or a later one of the order, within tolerance.use_time_minutes of midnight that of the day before or after too
-- why: the export says {export} fen refunded, the bills say {bill} fen in {count} refunds
-- 原因: 订单导出退款 {export} 分，账单 {count} 笔退款共 {bill} 分
SELECT o.out_trade_no AS out_trade_no,
       COALESCE(o.transaction_id, o.bill_transaction_id) AS transaction_id,
       o.openid AS openid,
       o.refund_fen AS expected_fen,
       o.bill_refund_fen AS actual_fen,
       ABS(o.bill_refund_fen - o.refund_fen) AS at_risk_fen,
       'the export says ' || CAST(o.refund_fen AS STRING) || ' fen refunded, the bills say '
         || CAST(o.bill_refund_fen AS STRING) || ' fen in ' || CAST(o.bill_refund_count AS STRING) || ' refunds' AS why,
       COALESCE(o.bill_refund_date, o.changed_date) AS event_date,
       COALESCE(o.paid_date, o.bill_date) AS oldest_input_date,
       -- What the other side of a refund was never told to say; an export that tells the order later has told it. A refund that
       -- the export has before midnight may be accepted after it. No bill refunds more than the payment.
       CASE WHEN o.refund_fen > o.bill_refund_fen
            THEN CASE WHEN g.unknown_dt <= CAST(o.changed_date + INTERVAL '1' DAY AS DATE)
                           AND NOT COALESCE(o.refund_fen > o.bill_paid_fen, FALSE)
                      THEN g.unknown_dt END
            WHEN e.unknown_dt > o.changed_date
                 AND e.unknown_dt <= CAST(o.bill_refunded_at + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
            THEN e.unknown_dt END AS unknown_date
FROM wechat_orders o
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'refunds') g
  ON g.dt = COALESCE(o.paid_date, o.bill_date)
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') e
  ON e.dt = CAST(o.bill_refunded_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
WHERE COALESCE(o.paid_date, o.bill_date) >= p.known_from
  AND o.refund_fen <> o.bill_refund_fen
