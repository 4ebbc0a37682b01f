-- id: AO04
-- title: An order claims a coupon that WeChat does not know
-- 标题: 订单使用的券在微信侧不存在
-- severity: high
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Check stock and code of the order line (typing error, code of another merchant); take the discount back if there is no coupon.
-- 处理: 核对订单行的批次与券码（录入错误或他商户券码）；确无此券则追回优惠。
-- row: a coupon a live order claims; the order's user was asked, and neither the pages nor the single query know it
-- why: order paid on {day} took {fen} fen off with a coupon that was not in the wallet of its user when asked for {asked}; nearest coupon of the user in that stock: {near}
-- 原因: {day} 支付的订单用券优惠 {fen} 分，但查询 {asked} 的券包时该用户没有此券；该用户在该批次中最接近的券：{near}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.order_openid AS openid,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'order paid on ' || CAST(l.paid_date AS STRING) || ' took ' || CAST(l.coupon_discount_fen AS STRING)
         || ' fen off with a coupon that was not in the wallet of its user when asked for '
         || CAST(l.asked_date AS STRING) || '; nearest coupon of the user in that stock: '
         || COALESCE(n.coupon_code, 'none') AS why,
       l.paid_date AS event_date
FROM coupons l
LEFT JOIN (SELECT stock_id, openid, MIN(coupon_code) AS coupon_code
           FROM coupon_ledger
           WHERE coupon_state IS NOT NULL AND match_pass IS NULL
           GROUP BY stock_id, openid) n ON n.stock_id = l.stock_id AND n.openid = l.order_openid
WHERE l.match_pass = 'claim'
  AND l.claim_count = 1
  AND l.coupon_state IS NULL
  AND l.asked_date IS NOT NULL
