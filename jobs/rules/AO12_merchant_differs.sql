-- id: AO12
-- title: Coupon and order of different merchants
-- 标题: 券归属商户与订单商户不一致
-- severity: medium
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Add the pair to rules.merchant_pairs if it is allowed; else find out why the store redeems coupons of other merchants.
-- 处理: 若允许，将该商户对加入 rules.merchant_pairs；否则查明门店为何核销他店的券。
-- row: a matched live order of another merchant than belong_merchant, the pair not in rules.merchant_pairs; where nothing but its line ties a coupon to an order that was paid at another time than it was used, the export of the day of the use is known, which may have another claim
-- why: the coupon belongs to merchant {owner}, the order to {merchant}
-- 原因: 券归属商户 {owner}，订单归属商户 {merchant}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.openid AS openid,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'the coupon belongs to merchant ' || l.belong_merchant || ', the order to ' || l.order_merchant AS why,
       l.paid_date AS event_date,
       CASE WHEN u.unknown_dt = l.used_date AND NOT l.is_tied AND ABS(l.used_after_paid_seconds) > p.use_time_tolerance_seconds
            THEN u.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u ON u.dt = l.used_date
LEFT JOIN merchant_pairs m ON m.belong_merchant = l.belong_merchant AND m.order_merchant = l.order_merchant
WHERE l.order_live
  AND l.belong_merchant <> l.order_merchant
  AND m.order_merchant IS NULL
