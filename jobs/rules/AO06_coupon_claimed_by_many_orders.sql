-- id: AO06
-- title: More than one order claims the coupon
-- 标题: 一张券被多个订单使用
-- severity: high
-- side: merchant
-- key: c
-- inputs: orders, user_coupons
-- action: Keep the order the coupon was redeemed for; take the discount back from the others.
-- 处理: 保留券实际核销的订单；向其余订单追回优惠。
-- row: a coupon that more than one live order claims; no other AO rule reports it; no day since one of them was exported last is unknown to exports and bills, for a refund takes the claim back
-- why: {count} live orders claim it, the first is {first}, the last {last}
-- 原因: {count} 笔有效订单使用了该券，最早为 {first}，最晚为 {last}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       1 AS expected_count,
       l.claim_count AS actual_count,
       c.discount_fen AS at_risk_fen,
       CAST(l.claim_count AS STRING) || ' live orders claim it, the first is ' || c.first_order
         || ', the last ' || c.last_order AS why,
       c.paid_date AS event_date,
       c.oldest_dt AS oldest_input_date,
       g.unknown_dt AS unknown_date
FROM coupons l
JOIN (SELECT o.stock_id AS stock_id,
             o.coupon_code AS coupon_code,
             MIN(o.out_trade_no) AS first_order,
             MAX(o.out_trade_no) AS last_order,
             MAX(o.discount_fen) AS discount_fen,
             MAX(t.paid_date) AS paid_date,
             MIN(t.changed_date) AS oldest_dt,
             SUM(CASE WHEN t.bill_paid_fen IS NULL THEN 1 ELSE 0 END) AS unbilled_count,
             COUNT(*) AS order_count
      FROM order_lines o
      JOIN order_totals t ON t.out_trade_no = o.out_trade_no
      WHERE t.is_live AND o.coupon_code <> ''
      GROUP BY o.stock_id, o.coupon_code) c ON c.stock_id = l.stock_id AND c.coupon_code = l.coupon_code
LEFT JOIN gaps g
  ON g.dataset = CASE WHEN c.unbilled_count > 0 THEN 'orders' ELSE 'orders and refunds' END
 AND g.dt = CAST(c.oldest_dt + INTERVAL '1' DAY AS DATE)
WHERE l.match_pass = 'ambiguous'
  AND l.claim_count = c.order_count
