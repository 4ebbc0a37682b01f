-- id: AO03
-- title: An order claims a coupon that was not used
-- 标题: 订单使用的券未核销
-- severity: high
-- side: merchant
-- key: c o
-- inputs: orders, user_coupons
-- action: Redeem the coupon with the order's use_request_no, or take the discount back from the order.
-- 处理: 用订单的 use_request_no 核销该券，或向订单追回优惠。
-- row: a coupon a live order claims, known but not USED on D (AO04 when unknown, AO15 when returned)
-- why: order paid on {day} took {fen} fen off, the coupon was {state} at the end of the day
-- 原因: {day} 支付的订单用券优惠 {fen} 分，当日结束时该券状态为 {state}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.out_trade_no AS out_trade_no,
       l.openid AS openid,
       l.transaction_id AS transaction_id,
       l.coupon_discount_fen AS at_risk_fen,
       'order paid on ' || CAST(l.paid_date AS STRING) || ' took ' || CAST(l.coupon_discount_fen AS STRING)
         || ' fen off, the coupon was ' || l.state_on_date || ' at the end of the day' AS why,
       l.paid_date AS event_date
FROM coupons l
WHERE l.match_pass = 'claim'
  AND l.claim_count = 1
  AND l.coupon_state IS NOT NULL
  AND l.state_on_date <> 'USED'
  AND (l.returned_at IS NULL OR l.returned_at < l.order_paid_at)
