-- id: ST05
-- title: A stopped stock still sends coupons
-- 标题: 批次已停止仍在发券
-- severity: medium
-- side: marketing
-- key: k
-- inputs: stocks, user_coupons
-- action: Find the channel that still sends; if the stock is really stopped, ask WeChat Pay.
-- 处理: 找出仍在发券的渠道；如批次确已停止，询问微信支付。
-- row: a stock STOPED or PAUSED in an earlier partition of which coupons were received on a later day, the stock not running again by that day, whose partition is known and has the stock or lacks none
-- why: {count} coupons received up to {day}, the stock was {state} on {since}
-- 原因: 截至 {day} 又领取了 {count} 张券，批次在 {since} 已为 {state}
SELECT c.stock_id AS stock_id,
       0 AS expected_count,
       SUM(c.coupon_count) AS actual_count,
       0 AS at_risk_fen,
       CAST(SUM(c.coupon_count) AS STRING) || ' coupons received up to ' || CAST(MAX(c.received_date) AS STRING)
         || ', the stock was ' || MAX(b.stock_state) || ' on ' || CAST(MIN(c.stopped_dt) AS STRING) AS why,
       MAX(c.received_date) AS event_date,
       MIN(c.stopped_dt) AS oldest_input_date
FROM (SELECT r.stock_id AS stock_id, r.received_date AS received_date,
             MAX(r.coupon_count) AS coupon_count, MAX(h.dt) AS stopped_dt
      FROM (SELECT stock_id, received_date, COUNT(*) AS coupon_count
            FROM coupons
            WHERE received_date IS NOT NULL
            GROUP BY stock_id, received_date) r
      JOIN stocks_history h ON h.stock_id = r.stock_id
      WHERE h.dt < r.received_date
      GROUP BY r.stock_id, r.received_date) c
JOIN stocks_history b ON b.stock_id = c.stock_id AND b.dt = c.stopped_dt
LEFT JOIN stocks_history a ON a.stock_id = c.stock_id AND a.dt = c.received_date
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'stocks') k ON k.dt = c.received_date
WHERE b.stock_state IN ('STOPED', 'PAUSED')
  AND COALESCE(a.stock_state, b.stock_state) IN ('STOPED', 'PAUSED')
  AND (k.dt IS NOT NULL OR a.stock_state IS NOT NULL)
GROUP BY c.stock_id
