-- id: ST03
-- title: The code pool does not add up
-- 标题: 券码池数量不符
-- severity: medium
-- side: marketing
-- key: k
-- inputs: stocks, coupon_codes
-- action: Compare the uploaded codes with the pool; upload or delete what differs.
-- 处理: 对照已上传券码与券码池；补传或删除差异。
-- row: a stock with uploaded codes whose total_count − available_count is not the number of dispatched codes
-- why: {total} codes uploaded, {available} available, {dispatched} seen dispatched
-- 原因: 已上传券码 {total} 个，剩余 {available} 个，实际发放 {dispatched} 个
SELECT s.stock_id AS stock_id,
       s.total_count - s.available_count AS expected_count,
       COALESCE(c.dispatched_count, 0) AS actual_count,
       0 AS at_risk_fen,
       CAST(s.total_count AS STRING) || ' codes uploaded, ' || CAST(s.available_count AS STRING)
         || ' available, ' || CAST(COALESCE(c.dispatched_count, 0) AS STRING) || ' seen dispatched' AS why,
       p.business_date AS event_date
FROM stocks s
CROSS JOIN params p
LEFT JOIN (SELECT stock_id, COUNT(*) AS dispatched_count
           FROM coupon_codes
           WHERE code_status = 'DISPATCHED'
           GROUP BY stock_id) c ON c.stock_id = s.stock_id
WHERE s.total_count - s.available_count <> COALESCE(c.dispatched_count, 0)
