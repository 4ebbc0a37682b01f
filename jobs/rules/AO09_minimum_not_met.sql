-- id: AO09
-- title: The order is below the coupon's minimum
-- 标题: 订单金额未达使用门槛
-- severity: medium
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Make the till check the minimum before it redeems.
-- 处理: 让收银系统在核销前检查使用门槛。
-- row: a matched live order whose goods are worth less than the stock's minimum, the export of the day of its payment being known, which may have another claim
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
       CASE WHEN k.unknown_dt = l.paid_date THEN k.unknown_dt END AS unknown_date
FROM coupons l
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = l.paid_date
WHERE l.order_live
  AND l.goods_fen < l.transaction_minimum_fen
