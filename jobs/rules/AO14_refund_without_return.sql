-- id: AO14
-- title: Order refunded, coupon not returned
-- 标题: 订单已退款但券未退回
-- severity: medium
-- side: merchant
-- key: c
-- inputs: orders, user_coupons, refunds
-- action: Return the coupon (coupons/return) with a return_request_no; tell the user.
-- 处理: 用 return_request_no 退券（coupons/return）；告知用户。
-- row: a coupon still USED on D whose order is fully refunded, and which had not expired when the bill accepted the refund, the last of several (one that only the export tells has no such time, and PM04 reports it); without the export of that day, which has the user's wallet requested, one seen since; the exports of the payment and of the use are known where they may tell another amount of the order, or another order
-- why: order {order} was fully refunded on {day}, the coupon is still USED
-- 原因: 订单 {order} 已于 {day} 全额退款，券仍为已核销
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'order ' || l.out_trade_no || ' was fully refunded on ' || CAST(l.refunded_date AS STRING)
         || ', the coupon is still USED' AS why,
       l.refunded_date AS event_date,
       -- The day of the payment may have more lines of the order, unless the bill tells its whole amount; the day of the use
       -- the order the coupon was used for, where nothing but its line ties it to this one, paid at another time.
       CASE WHEN k.dt IS NULL AND l.verified_date < l.refunded_date THEN l.refunded_date
            WHEN g.unknown_dt = l.paid_date AND NOT COALESCE(l.refund_fen >= l.bill_paid_fen, FALSE) THEN g.unknown_dt
            WHEN u.unknown_dt = l.used_date AND NOT l.is_tied AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
            THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'orders') k ON k.dt = l.refunded_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') g ON g.dt = l.paid_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
WHERE l.order_fully_refunded
  AND l.state_on_date = 'USED'
  AND l.refunded_at IS NOT NULL
  AND (l.expire_at IS NULL OR l.refunded_at <= l.expire_at)
