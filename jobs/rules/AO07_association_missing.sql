-- id: AO07
-- title: A used coupon is not associated with its order
-- 标题: 券未关联订单
-- severity: low
-- side: merchant
-- key: c
-- inputs: orders, user_coupons
-- action: Associate the coupon with the order that claims it.
-- 处理: 将券与使用它的订单关联。
-- row: a coupon USED on D that a live order claims, without association, of a stock in rules.must_associate; where nothing but its line ties the coupon to an order that was paid at another time than it was used, the export of the day of the use is known, which may have another claim
-- why: used for order {order} and not associated, its stock must be
-- 原因: 订单 {order} 使用了该券但未关联订单，该批次必须关联
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'used for order ' || l.out_trade_no || ' and not associated, its stock must be' AS why,
       l.paid_date AS event_date,
       CASE WHEN u.unknown_dt = l.used_date AND NOT l.is_tied AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
            THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
JOIN must_associate m ON m.stock_id = l.stock_id
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
WHERE l.state_on_date = 'USED'
  AND l.match_pass = 'claim'
  AND l.claim_count = 1
  AND l.associate_out_trade_no IS NULL
