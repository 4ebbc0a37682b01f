-- id: V203
-- title: The status of a v2 stock contradicts its dates or its count
-- 标题: v2代金券状态与有效期或发放数矛盾
-- severity: medium
-- side: marketing
-- key: k
-- inputs: v2_stocks
-- action: Invalidate the stock or correct its days; find the channel that still sends.
-- 处理: 作废该批次或更正其有效期；找出仍在发券的渠道。
-- row: a v2 stock activated (4) with D outside its days, or invalidated (8) whose is_send_num grew since the last partition
-- why: activated on {day}, its days are {begin} to {end}
-- 原因: {day} 仍为激活状态，有效日期为 {begin} 至 {end}
-- why: invalidated, yet sent {sent} after {before} on {day}
-- 原因: 已作废，发放数却由 {day} 的 {before} 增至 {sent}
SELECT s.coupon_stock_id AS stock_id,
       b.is_send_num AS expected_count,
       s.is_send_num AS actual_count,
       0 AS at_risk_fen,
       CASE WHEN s.coupon_stock_status = '4'
            THEN 'activated on ' || CAST(p.business_date AS STRING) || ', its days are '
                 || COALESCE(CAST(CAST(s.begin_time + INTERVAL '8' HOUR AS DATE) AS STRING), 'ever') || ' to '
                 || COALESCE(CAST(CAST(s.end_time + INTERVAL '8' HOUR AS DATE) AS STRING), 'ever')
            ELSE 'invalidated, yet sent ' || CAST(s.is_send_num AS STRING) || ' after '
                 || COALESCE(CAST(b.is_send_num AS STRING), '?') || ' on ' || COALESCE(CAST(b.dt AS STRING), '?')
       END AS why,
       p.business_date AS event_date
FROM v2_stocks s
CROSS JOIN params p
LEFT JOIN (SELECT h.coupon_stock_id AS coupon_stock_id, h.is_send_num AS is_send_num, h.dt AS dt
           FROM v2_stocks_history h
           JOIN (SELECT e.coupon_stock_id AS coupon_stock_id, MAX(e.dt) AS dt
                 FROM v2_stocks_history e
                 CROSS JOIN params q
                 WHERE e.dt < q.business_date
                 GROUP BY e.coupon_stock_id) m ON m.coupon_stock_id = h.coupon_stock_id AND m.dt = h.dt) b
  ON b.coupon_stock_id = s.coupon_stock_id
WHERE (s.coupon_stock_status = '4' AND (s.begin_time >= p.day_end_at OR s.end_time < p.day_start_at))
   OR (s.coupon_stock_status = '8' AND s.is_send_num > b.is_send_num)
