-- id: AO08
-- title: The order's discount is not what the coupon gives
-- 标题: 优惠金额与券规则不符
-- severity: high
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Correct the till's discount rule for the stock; settle the difference with the customer or the store.
-- 处理: 更正收银系统中该批次的优惠规则；与顾客或门店结清差额。
-- row: a matched live order whose line discount differs from what the stock's rule gives on its goods, beyond tolerance.discount_fen for DISCOUNT stocks
-- why: the order gave {given} fen off goods of {goods} fen, the {type} stock gives {due} fen
-- 原因: 订单对 {goods} 分的商品优惠了 {given} 分，{type} 批次应优惠 {due} 分
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.openid AS openid,
       l.transaction_id AS transaction_id,
       l.expected_discount_fen AS expected_fen,
       l.discount_fen AS actual_fen,
       ABS(l.discount_fen - l.expected_discount_fen) AS at_risk_fen,
       'the order gave ' || CAST(l.discount_fen AS STRING) || ' fen off goods of '
         || COALESCE(CAST(l.goods_fen AS STRING), '?') || ' fen, the ' || COALESCE(l.stock_type, '?')
         || ' stock gives ' || CAST(l.expected_discount_fen AS STRING) || ' fen' AS why,
       l.paid_date AS event_date
FROM coupons l
CROSS JOIN params p
WHERE l.order_live
  AND ABS(l.discount_fen - l.expected_discount_fen)
      > CASE WHEN l.stock_type = 'DISCOUNT' THEN p.discount_tolerance_fen ELSE 0 END
