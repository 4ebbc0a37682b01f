-- id: AO09
-- title: The order is below the coupon's minimum
-- 标题: 订单金额未达使用门槛
-- severity: medium
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Make the till check the minimum before it redeems.
-- 处理: 让收银系统在核销前检查使用门槛。
-- row: a matched live order whose goods are worth less than the stock's minimum; the export of the day of its payment is known where it may have the line that claims the coupon, that of the use where nothing but its line ties the coupon to an order that was paid at another time
-- why: goods of {goods} fen, the stock asks for at least {least} fen
-- 原因: 商品金额 {goods} 分，批次门槛为 {least} 分
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.openid AS openid,
       l.transaction_id AS transaction_id,
       l.transaction_minimum_fen AS expected_fen,
       l.goods_fen AS actual_fen,
       l.transaction_minimum_fen - l.goods_fen AS at_risk_fen,
       'goods of ' || CAST(l.goods_fen AS STRING) || ' fen, the stock asks for at least '
         || CAST(l.transaction_minimum_fen AS STRING) || ' fen' AS why,
       l.paid_date AS event_date,
       CASE WHEN k.unknown_dt = l.paid_date AND l.match_pass <> 'claim' THEN k.unknown_dt
            WHEN u.unknown_dt = l.used_date AND NOT l.is_tied AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
            THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = l.paid_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
WHERE l.order_live
  AND l.goods_fen < l.transaction_minimum_fen
