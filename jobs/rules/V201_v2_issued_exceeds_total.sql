-- id: V201
-- title: A v2 stock issued more coupons than it has
-- 标题: v2代金券发放超过总数
-- severity: high
-- side: marketing
-- key: k
-- inputs: v2_stocks
-- action: Stop the stock; ask WeChat Pay how it could be exceeded.
-- 处理: 停止该批次；询问微信支付为何会超发。
-- row: a v2 stock whose is_send_num is above coupon_total
-- why: {sent} sent, coupon_total is {total}
-- 原因: 已发放 {sent} 张，coupon_total 为 {total} 张
SELECT s.coupon_stock_id AS stock_id,
       s.coupon_total AS expected_count,
       s.is_send_num AS actual_count,
       0 AS at_risk_fen,
       CAST(s.is_send_num AS STRING) || ' sent, coupon_total is ' || CAST(s.coupon_total AS STRING) AS why,
       p.business_date AS event_date
FROM v2_stocks s
CROSS JOIN params p
WHERE s.is_send_num > s.coupon_total
