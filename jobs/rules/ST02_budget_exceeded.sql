-- id: ST02
-- title: More coupons were issued than the stock has
-- 标题: 批次发放超过上限
-- severity: high
-- side: marketing
-- key: k
-- inputs: stocks
-- action: Stop the stock; ask WeChat Pay how it could be exceeded.
-- 处理: 停止该批次；询问微信支付为何会超发。
-- row: a stock whose total_send_num is above max_coupons
-- why: {sent} sent, max_coupons is {most}
-- 原因: 已发放 {sent} 张，批次上限为 {most} 张
SELECT s.stock_id AS stock_id,
       s.max_coupons AS expected_count,
       s.total_send_num AS actual_count,
       0 AS at_risk_fen,
       CAST(s.total_send_num AS STRING) || ' sent, max_coupons is ' || CAST(s.max_coupons AS STRING) AS why,
       p.business_date AS event_date
FROM stocks s
CROSS JOIN params p
WHERE s.total_send_num > s.max_coupons
