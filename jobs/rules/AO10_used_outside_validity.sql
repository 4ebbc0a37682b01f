-- id: AO10
-- title: The coupon was used outside its validity
-- 标题: 券在有效期外核销
-- severity: medium
-- side: wechat
-- key: c
-- inputs: user_coupons
-- action: Compare the redemption request with the coupon's validity; report it to WeChat Pay if the redemption was accepted.
-- 处理: 对照核销请求与券有效期；如核销被受理，报告微信支付。
-- row: a coupon USED on D at an instant before available_start_at or after expire_at, the bounds themselves are inside
-- why: used on {day}, valid from {begin} to {end}
-- 原因: {day} 核销，有效期 {begin} 至 {end}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.coupon_discount_fen AS at_risk_fen,
       'used on ' || CAST(l.used_date AS STRING) || ', valid from '
         || COALESCE(CAST(CAST(l.available_start_at + INTERVAL '8' HOUR AS DATE) AS STRING), 'ever') || ' to '
         || COALESCE(CAST(CAST(l.expire_at + INTERVAL '8' HOUR AS DATE) AS STRING), 'ever') AS why,
       l.used_date AS event_date
FROM coupons l
WHERE l.state_on_date = 'USED'
  AND (l.match_pass IS NULL OR l.match_pass <> 'ambiguous')
  AND (l.used_at < l.available_start_at OR l.used_at > l.expire_at)
