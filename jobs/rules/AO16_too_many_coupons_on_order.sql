-- id: AO16
-- title: An order uses too many coupons
-- 标题: 单笔订单用券过多
-- severity: medium
-- side: merchant
-- key: o
-- inputs: orders
-- action: Make the till refuse a further coupon, or raise rules.max_coupons_per_order.
-- 处理: 让收银系统拒绝多余的券，或调高 rules.max_coupons_per_order。
-- row: a live order whose lines claim more coupons than rules.max_coupons_per_order
-- why: {count} coupons on one order took {fen} fen off, {allowed} allowed
-- 原因: 一笔订单用了 {count} 张券，共优惠 {fen} 分，最多允许 {allowed} 张
SELECT c.out_trade_no AS out_trade_no,
       c.transaction_id AS transaction_id,
       c.openid AS openid,
       p.max_coupons_per_order AS expected_count,
       c.coupon_count AS actual_count,
       c.discount_fen AS at_risk_fen,
       CAST(c.coupon_count AS STRING) || ' coupons on one order took ' || CAST(c.discount_fen AS STRING)
         || ' fen off, ' || CAST(p.max_coupons_per_order AS STRING) || ' allowed' AS why,
       c.paid_date AS event_date
FROM (SELECT o.out_trade_no AS out_trade_no,
             MAX(t.transaction_id) AS transaction_id,
             MAX(t.openid) AS openid,
             MAX(t.paid_date) AS paid_date,
             COUNT(*) AS coupon_count,
             SUM(o.discount_fen) AS discount_fen
      FROM order_lines o
      JOIN order_totals t ON t.out_trade_no = o.out_trade_no
      WHERE t.is_live AND o.coupon_code <> ''
      GROUP BY o.out_trade_no) c
CROSS JOIN params p
WHERE c.coupon_count > p.max_coupons_per_order
