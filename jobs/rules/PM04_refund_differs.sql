-- id: PM04
-- title: The order's refund is not the bill's
-- 标题: 订单退款金额与账单不符
-- severity: high
-- side: finance
-- key: o
-- inputs: orders, payments, refunds
-- action: Compare the refunds of the order with the bill; correct the export or complete the refund.
-- 处理: 对照订单退款与账单；更正导出或完成退款。
-- row: an order paid in the look-back whose refund by the export differs from the sum of 申请退款金额 in the bills, failed refunds left out; the bills from its payment to its last export are known, and so is the export of its last refund
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
       o.paid_date AS oldest_input_date,
       -- What the other side of a refund was never told to say.
       CASE WHEN c.dt IS NULL THEN o.changed_date
            WHEN g.unknown_dt <= o.changed_date THEN g.unknown_dt
            WHEN e.dt IS NULL THEN o.bill_refund_date END AS unknown_date
FROM wechat_orders o
JOIN known_days k ON k.dt = o.paid_date
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'refunds') c ON c.dt = o.changed_date
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'orders') e ON e.dt = o.bill_refund_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'refunds') g ON g.dt = o.paid_date
CROSS JOIN params p
WHERE k.dataset = 'payments'
  AND o.paid_date >= p.known_from
  AND o.refund_fen <> o.bill_refund_fen
