-- id: ST01
-- title: More coupons of a stock were seen than issued
-- 标题: 发现的券多于批次已发放数
-- severity: high
-- side: marketing
-- key: k
-- inputs: stocks, user_coupons, coupon_codes?
-- action: Ask WeChat Pay for the issue count of the stock; look for codes of another stock.
-- 处理: 向微信支付询问批次发放数；查找其他批次的券码。
-- row: a stock of which more coupons are observed, in wallets or as dispatched codes, than total_send_num
-- why: {seen} coupons observed, total_send_num is {sent}
-- 原因: 发现 {seen} 张券，批次已发放数为 {sent}
SELECT s.stock_id AS stock_id,
       s.total_send_num AS expected_count,
       o.coupon_count AS actual_count,
       0 AS at_risk_fen,
       CAST(o.coupon_count AS STRING) || ' coupons observed, total_send_num is '
         || CAST(s.total_send_num AS STRING) AS why,
       p.business_date AS event_date
FROM stocks s
JOIN (SELECT stock_id, COUNT(*) AS coupon_count FROM observed_coupons GROUP BY stock_id) o ON o.stock_id = s.stock_id
CROSS JOIN params p
WHERE o.coupon_count > s.total_send_num
