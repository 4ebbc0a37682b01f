-- id: AO05
-- title: Association and claim name different orders
-- 标题: 券关联的订单与使用的订单不一致
-- severity: medium
-- side: merchant
-- key: c
-- inputs: orders, user_coupons
-- action: Find out which order had the discount; correct the association or the order line.
-- 处理: 查明哪个订单享受了优惠；更正关联或订单行。
-- row: a coupon that exactly one live order claims, associated with another order number; where the order was paid at another time than the coupon was used, the export of the day of the use is known, which may have another claim
-- why: claimed by order {order}, associated with order {other}
-- 原因: 订单 {order} 使用了该券，券却关联到订单 {other}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'claimed by order ' || l.out_trade_no || ', associated with order ' || l.associate_out_trade_no AS why,
       l.paid_date AS event_date,
       CASE WHEN u.unknown_dt = l.used_date AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
            THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
WHERE l.match_pass = 'claim'
  AND l.claim_count = 1
  AND l.associate_out_trade_no <> l.out_trade_no
