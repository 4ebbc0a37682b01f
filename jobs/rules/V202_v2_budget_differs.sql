-- id: V202
-- title: The budget of a v2 stock is not value times total
-- 标题: v2代金券预算不等于面额乘总数
-- severity: medium
-- side: marketing
-- key: k
-- inputs: v2_stocks
-- action: Compare the stock's settings in the merchant platform; correct the budget.
-- 处理: 核对商户平台中的批次设置；更正预算。
-- row: a v2 stock whose coupon_budget differs from coupon_value × coupon_total
-- why: budget {budget} fen, {count} coupons of {value} fen make {due} fen
-- 原因: 预算 {budget} 分，{count} 张面额 {value} 分的券合计 {due} 分
SELECT s.coupon_stock_id AS stock_id,
       s.due_fen AS expected_fen,
       s.coupon_budget_fen AS actual_fen,
       0 AS at_risk_fen,
       'budget ' || CAST(s.coupon_budget_fen AS STRING) || ' fen, ' || CAST(s.coupon_total AS STRING)
         || ' coupons of ' || CAST(s.coupon_value_fen AS STRING) || ' fen make '
         || CAST(s.due_fen AS STRING) || ' fen' AS why,
       p.business_date AS event_date
FROM (SELECT coupon_stock_id,
             coupon_value_fen,
             coupon_total,
             coupon_budget_fen,
             -- A product beyond 64 bits would be another number: it ends at ten trillion yuan.
             CASE WHEN CAST(coupon_value_fen AS DOUBLE) * CAST(coupon_total AS DOUBLE) > CAST(1000000000000000 AS DOUBLE)
                  THEN 1000000000000000
                  ELSE coupon_value_fen * coupon_total END AS due_fen
      FROM v2_stocks) s
CROSS JOIN params p
WHERE s.coupon_budget_fen <> s.due_fen
