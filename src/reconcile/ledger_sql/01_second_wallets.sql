-- The wallet rows that lost: of a coupon given away, which may stand in two wallets, the one asked last
-- knows better, then the one that received it last. Few, whatever the number of wallets.
SELECT stock_id AS stock_id, coupon_code AS coupon_code, openid AS openid
FROM (SELECT stock_id AS stock_id,
             coupon_code AS coupon_code,
             openid AS openid,
             MIN(CASE WHEN place = 1 THEN openid END) OVER (PARTITION BY stock_id, coupon_code) AS last_openid
      FROM (SELECT w.stock_id AS stock_id,
                   w.coupon_code AS coupon_code,
                   w.openid AS openid,
                   RANK() OVER (PARTITION BY w.stock_id, w.coupon_code
                                ORDER BY w.verified_date DESC NULLS LAST, w.receive_time DESC NULLS LAST) AS place
            FROM user_coupons w
            CROSS JOIN params q
            JOIN (SELECT stock_id, coupon_code FROM user_coupons GROUP BY stock_id, coupon_code HAVING COUNT(*) > 1) t
              ON t.stock_id = w.stock_id AND t.coupon_code = w.coupon_code
            WHERE w.receive_time IS NULL OR w.receive_time < q.day_end_at) r) l
WHERE openid <> last_openid
