-- id: AO13
-- title: Coupon used and order paid at different times
-- 标题: 核销时间与支付时间不一致
-- severity: low
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Check the clock of the till and when it redeems.
-- 处理: 检查收银机时钟以及核销时点。
-- row: a coupon USED on D with a matched live order, used further from its payment than tolerance.use_time_minutes; where nothing but its line ties the coupon to the order, the export of the day of the use is known, which may have another claim
-- why: used {seconds} seconds before the order was paid, {allowed} are allowed
-- 原因: 核销早于订单支付 {seconds} 秒，允许相差 {allowed} 秒
-- why: used {seconds} seconds after the order was paid, {allowed} are allowed
-- 原因: 核销晚于订单支付 {seconds} 秒，允许相差 {allowed} 秒
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.openid AS openid,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       CASE WHEN l.used_after_paid_seconds < 0 THEN 'used ' || CAST(ABS(l.used_after_paid_seconds) AS STRING)
                                                    || ' seconds before the order was paid, '
            ELSE 'used ' || CAST(l.used_after_paid_seconds AS STRING) || ' seconds after the order was paid, '
       END || CAST(p.use_time_tolerance_seconds AS STRING) || ' are allowed' AS why,
       l.paid_date AS event_date,
       CASE WHEN u.unknown_dt = l.used_date AND NOT l.is_tied THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
WHERE l.order_live
  AND l.state_on_date = 'USED'
  AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
