-- id: AO15
-- title: Coupon returned, order not refunded
-- 标题: 券已退回但订单未退款
-- severity: high
-- side: merchant
-- key: c
-- inputs: orders, user_coupons, refunds
-- action: Refund the order, or find out who returned the coupon while the order kept its discount.
-- 处理: 为订单退款，或查明为何券已退回而订单仍享优惠。
-- row: a coupon returned by the end of D whose order has no refund at all, by export or bill, no day since it was exported last being unknown on both sides
-- why: returned on {day}, order {order} has no refund in the export or the bill
-- 原因: 券于 {day} 退回，订单 {order} 在导出与账单中均无退款
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'returned on ' || CAST(l.returned_date AS STRING) || ', order ' || l.out_trade_no
         || ' has no refund in the export or the bill' AS why,
       l.returned_date AS event_date,
       g.unknown_dt AS unknown_date
FROM coupons l
CROSS JOIN params p
-- A refund is told by the export and, of an order that is in the bill, by the bill: a day may have it of which neither is known.
LEFT JOIN order_totals t ON t.out_trade_no = l.out_trade_no
LEFT JOIN gaps g
  ON g.dataset = CASE WHEN l.bill_paid_fen IS NULL THEN 'orders' ELSE 'orders and refunds' END
 AND g.dt = COALESCE(CAST(t.changed_date + INTERVAL '1' DAY AS DATE), GREATEST(p.lookback_start, l.paid_date))
WHERE l.returned_at IS NOT NULL
  AND (l.order_paid_at IS NULL OR l.returned_at >= l.order_paid_at)
  AND l.state_on_date <> 'USED'
  AND l.out_trade_no IS NOT NULL
  AND COALESCE(l.order_refund_fen, 0) = 0
  AND COALESCE(l.refund_fen, 0) = 0
