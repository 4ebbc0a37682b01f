-- id: ST04
-- title: A user received more coupons than allowed
-- 标题: 用户领券超过限额
-- severity: medium
-- side: marketing
-- key: k u
-- inputs: stocks, user_coupons
-- action: Check whether coupons were given to the user by hand; block the user if it is abuse.
-- 处理: 核查是否人工发券；如属滥用则限制该用户。
-- row: a user who ever received more coupons of a stock than max_coupons_per_user
-- why: received {count} coupons of the stock, {allowed} allowed
-- 原因: 该用户领取该批次 {count} 张券，最多允许 {allowed} 张
SELECT s.stock_id AS stock_id,
       c.openid AS openid,
       s.max_coupons_per_user AS expected_count,
       c.coupon_count AS actual_count,
       0 AS at_risk_fen,
       'received ' || CAST(c.coupon_count AS STRING) || ' coupons of the stock, '
         || CAST(s.max_coupons_per_user AS STRING) || ' allowed' AS why,
       p.business_date AS event_date
FROM stocks s
CROSS JOIN params p
JOIN (SELECT stock_id, openid, COUNT(*) AS coupon_count
      FROM coupons
      WHERE openid IS NOT NULL
      GROUP BY stock_id, openid) c ON c.stock_id = s.stock_id
WHERE s.max_coupons_per_user > 0
  AND c.coupon_count > s.max_coupons_per_user
