-- The orders of the coupons with used_after_paid_seconds: seconds from the payment to the use, a begun one counted,
-- negative where the use came first. Engines agree neither on the difference of two
-- times nor on a time as a number, so the days are counted from the calendar (the years begin in March),
-- the seconds from the clock, and the fraction by comparing.
SELECT s.*,
       CASE WHEN s.seconds_between >= 0 AND s.used_at > s.order_paid_at + s.seconds_between * INTERVAL '1' SECOND
              THEN s.seconds_between + 1
            WHEN s.seconds_between <= 0 AND s.used_at < s.order_paid_at + s.seconds_between * INTERVAL '1' SECOND
              THEN s.seconds_between - 1
            ELSE s.seconds_between END AS used_after_paid_seconds
FROM (SELECT d.*,
             (d.used_day - d.paid_day) * 86400
             + (CAST(EXTRACT(HOUR FROM d.used_at) AS BIGINT) - CAST(EXTRACT(HOUR FROM d.order_paid_at) AS BIGINT)) * 3600
             + (CAST(EXTRACT(MINUTE FROM d.used_at) AS BIGINT) - CAST(EXTRACT(MINUTE FROM d.order_paid_at) AS BIGINT)) * 60
             + CAST(FLOOR(CAST(EXTRACT(SECOND FROM d.used_at) AS DOUBLE)) AS BIGINT)
             - CAST(FLOOR(CAST(EXTRACT(SECOND FROM d.order_paid_at) AS DOUBLE)) AS BIGINT) AS seconds_between
      FROM (SELECT c.*,
                   c.used_year * 365
                   + CAST(FLOOR(CAST(c.used_year AS DOUBLE) / 4) AS BIGINT)
                   - CAST(FLOOR(CAST(c.used_year AS DOUBLE) / 100) AS BIGINT)
                   + CAST(FLOOR(CAST(c.used_year AS DOUBLE) / 400) AS BIGINT)
                   + CAST(FLOOR(CAST(c.used_month * 153 + 2 AS DOUBLE) / 5) AS BIGINT)
                   + CAST(EXTRACT(DAY FROM c.used_at) AS BIGINT) AS used_day,
                   c.paid_year * 365
                   + CAST(FLOOR(CAST(c.paid_year AS DOUBLE) / 4) AS BIGINT)
                   - CAST(FLOOR(CAST(c.paid_year AS DOUBLE) / 100) AS BIGINT)
                   + CAST(FLOOR(CAST(c.paid_year AS DOUBLE) / 400) AS BIGINT)
                   + CAST(FLOOR(CAST(c.paid_month * 153 + 2 AS DOUBLE) / 5) AS BIGINT)
                   + CAST(EXTRACT(DAY FROM c.order_paid_at) AS BIGINT) AS paid_day
            FROM (SELECT o.*,
                         CAST(EXTRACT(YEAR FROM o.used_at) AS BIGINT)
                           - CASE WHEN EXTRACT(MONTH FROM o.used_at) < 3 THEN 1 ELSE 0 END AS used_year,
                         (CAST(EXTRACT(MONTH FROM o.used_at) AS BIGINT) + 9) % 12 AS used_month,
                         CAST(EXTRACT(YEAR FROM o.order_paid_at) AS BIGINT)
                           - CASE WHEN EXTRACT(MONTH FROM o.order_paid_at) < 3 THEN 1 ELSE 0 END AS paid_year,
                         (CAST(EXTRACT(MONTH FROM o.order_paid_at) AS BIGINT) + 9) % 12 AS paid_month
                  FROM held_orders o) c) d) s
