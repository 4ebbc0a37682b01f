-- id: AO11
-- title: Coupon and order of different users
-- 标题: 券的用户与订单用户不一致
-- severity: medium
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Check whether the coupon was given away or shown on another phone; block the pair if it repeats.
-- 处理: 核查券是否转赠或在他人手机上出示；反复出现则限制该组用户。
-- row: a matched live order whose openid is not the coupon's; where nothing but its line ties a coupon to an order that was paid at another time than it was used, the export of the day of the use is known, which may have another claim
-- why: the coupon is in the wallet of {owner}, the order is of {user}
-- 原因: 券属于用户 {owner}，订单属于用户 {user}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.openid AS openid,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'the coupon is in the wallet of ' || l.openid || ', the order is of ' || l.order_openid AS why,
       l.paid_date AS event_date,
       CASE WHEN u.unknown_dt = l.used_date AND NOT l.is_tied AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
            THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
WHERE l.order_live
  AND l.openid <> l.order_openid
