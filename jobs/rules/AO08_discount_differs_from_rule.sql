-- id: AO08
-- title: The order's discount is not what the coupon gives
-- 标题: 优惠金额与券规则不符
-- severity: high
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Correct the till's discount rule for the stock; settle the difference with the customer or the store.
-- 处理: 更正收银系统中该批次的优惠规则；与顾客或门店结清差额。
-- row: a matched live order whose line discount differs from what the stock's rule gives on its goods, beyond tolerance.discount_fen for DISCOUNT stocks; of a line that several coupons without a claim were used under, from what they give together, where all are NORMAL; the export of the day of its payment is known where it may have the line that claims the coupon, that of the use where nothing but its line ties the coupon to an order that was paid at another time
-- why: the order gave {given} fen off goods of {goods} fen, the {type} stock gives {due} fen
-- 原因: 订单对 {goods} 分的商品优惠了 {given} 分，{type} 批次应优惠 {due} 分
-- why: the order gave {given} fen off goods of {goods} fen, the {count} coupons used under it give {due} fen
-- 原因: 订单对 {goods} 分的商品优惠了 {given} 分，其下核销的 {count} 张券共应优惠 {due} 分
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.openid AS openid,
       l.transaction_id AS transaction_id,
       CASE WHEN s.out_trade_no IS NULL OR l.match_pass = 'claim' THEN l.expected_discount_fen
            ELSE s.expected_fen END AS expected_fen,
       l.discount_fen AS actual_fen,
       ABS(l.discount_fen - CASE WHEN s.out_trade_no IS NULL OR l.match_pass = 'claim' THEN l.expected_discount_fen
                            ELSE s.expected_fen END) AS at_risk_fen,
       'the order gave ' || CAST(l.discount_fen AS STRING) || ' fen off goods of '
         || COALESCE(CAST(l.goods_fen AS STRING), '?') || ' fen, the '
         || CASE WHEN s.out_trade_no IS NULL OR l.match_pass = 'claim' THEN COALESCE(l.stock_type, '?') || ' stock gives '
                   || CAST(l.expected_discount_fen AS STRING) || ' fen'
                 ELSE CAST(s.coupon_count AS STRING) || ' coupons used under it give '
                   || CAST(s.expected_fen AS STRING) || ' fen' END AS why,
       l.paid_date AS event_date,
       CASE WHEN k.unknown_dt = l.paid_date AND l.match_pass <> 'claim' THEN k.unknown_dt
            WHEN u.unknown_dt = l.used_date AND NOT l.is_tied AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
            THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = l.paid_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
LEFT JOIN (SELECT out_trade_no,
                  COUNT(*) AS coupon_count,
                  LEAST(SUM(expected_discount_fen), MAX(goods_fen)) AS expected_fen,
                  SUM(CASE WHEN stock_type = 'NORMAL' AND expected_discount_fen IS NOT NULL THEN 1 ELSE 0 END) AS fixed_count,
                  MIN(CASE WHEN discount_fen <> expected_discount_fen THEN stock_id || ' ' || coupon_code END) AS first_coupon
           FROM coupon_ledger
           WHERE match_pass <> 'claim' AND discount_fen IS NOT NULL
           GROUP BY out_trade_no
           HAVING COUNT(*) > 1) s ON s.out_trade_no = l.out_trade_no
WHERE l.order_live
  AND ABS(l.discount_fen - l.expected_discount_fen)
      > CASE WHEN l.stock_type = 'DISCOUNT' THEN p.discount_tolerance_fen ELSE 0 END
  AND (s.out_trade_no IS NULL OR l.match_pass = 'claim'
       OR (s.fixed_count = s.coupon_count
           AND s.first_coupon = l.stock_id || ' ' || l.coupon_code
           AND s.expected_fen <> l.discount_fen))
