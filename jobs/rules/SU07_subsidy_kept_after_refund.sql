-- id: SU07
-- title: Order refunded, subsidy not returned
-- 标题: 订单已退款但补差未退回
-- severity: high
-- side: finance
-- key: c
-- inputs: orders, subsidy_payments, subsidy_returns, subsidy_orders?, refunds?
-- action: Return the subsidy (subsidy/return-receipts) with the refund's id.
-- 处理: 用退款单号回退补差（subsidy/return-receipts）。
-- row: a coupon whose order is fully refunded and whose subsidies returned are less than those paid, no return being under way; only a ledger names a return, so where a receipt says that some of it was returned, those since the refund are known, or since the payment where there were several refunds
-- why: order {order} was fully refunded, {paid} fen of subsidy were paid, {returned} fen returned
-- 原因: 订单 {order} 已全额退款，已补差 {paid} 分，仅退回 {returned} 分
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.subsidy_paid_fen AS expected_fen,
       COALESCE(l.subsidy_returned_fen, 0) AS actual_fen,
       l.subsidy_paid_fen - COALESCE(l.subsidy_returned_fen, 0) AS at_risk_fen,
       'order ' || l.out_trade_no || ' was fully refunded, ' || CAST(l.subsidy_paid_fen AS STRING)
         || ' fen of subsidy were paid, '
         || CAST(COALESCE(l.subsidy_returned_fen, 0) AS STRING)
         || ' fen returned' AS why,
       CASE WHEN r.paid_date > COALESCE(l.refunded_date, o.changed_date) THEN r.paid_date
            ELSE COALESCE(l.refunded_date, o.changed_date) END AS event_date,
       -- Of a receipt that is still SUCCESS nothing was returned. The day of the payment may have more lines of the order,
       -- unless the bill tells its whole amount.
       CASE WHEN r.returned_count > 0 AND g.unknown_dt IS NOT NULL THEN g.unknown_dt
            WHEN k.unknown_dt = l.paid_date AND NOT COALESCE(l.refund_fen >= l.bill_paid_fen, FALSE) THEN k.unknown_dt
       END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN order_totals o ON o.out_trade_no = l.out_trade_no
LEFT JOIN (SELECT stock_id, coupon_code,
                  SUM(CASE WHEN status = 'RETURNING' THEN 1 ELSE 0 END) AS returning_count,
                  SUM(CASE WHEN is_paid AND status <> 'SUCCESS' THEN 1 ELSE 0 END) AS returned_count,
                  MIN(CASE WHEN is_paid THEN receipt_date END) AS first_paid_date,
                  MAX(CASE WHEN is_paid THEN receipt_date END) AS paid_date
           FROM receipts
           GROUP BY stock_id, coupon_code) r ON r.stock_id = l.stock_id AND r.coupon_code = l.coupon_code
LEFT JOIN (SELECT stock_id, coupon_code, COUNT(*) AS under_way_count
           FROM returns
           WHERE is_in_flight
           GROUP BY stock_id, coupon_code) f ON f.stock_id = l.stock_id AND f.coupon_code = l.coupon_code
-- A return follows its refund (reference v3 §2.21).
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'subsidy_orders') g
  ON g.dt = GREATEST(p.lookback_start,
                     CASE WHEN l.refund_count = 1 AND l.refund_fen >= l.bill_paid_fen AND l.refunded_date > r.first_paid_date
                          THEN l.refunded_date ELSE r.first_paid_date END)
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = l.paid_date
WHERE l.order_fully_refunded
  AND l.subsidy_paid_fen > COALESCE(l.subsidy_returned_fen, 0)
  AND COALESCE(r.returning_count, 0) = 0
  AND COALESCE(f.under_way_count, 0) = 0
