-- Codes dispatched by the end of D and notifications of the look-back, taken together by coupon.
SELECT stock_id AS stock_id,
       coupon_code AS coupon_code,
       MAX(openid) AS openid,
       MIN(dispatched_at) AS dispatched_at
FROM (SELECT c.stock_id AS stock_id,
             c.coupon_code AS coupon_code,
             c.openid AS openid,
             c.dispatched_time AS dispatched_at
      FROM coupon_codes c
      CROSS JOIN params q
      WHERE (c.code_status = 'DISPATCHED' OR c.dispatched_time IS NOT NULL)
        AND (c.dispatched_time IS NULL OR c.dispatched_time < q.day_end_at)
      UNION ALL
      SELECT e.stock_id AS stock_id,
             e.coupon_code AS coupon_code,
             e.openid AS openid,
             e.send_time AS dispatched_at
      FROM coupon_events_history e) d
GROUP BY stock_id, coupon_code
