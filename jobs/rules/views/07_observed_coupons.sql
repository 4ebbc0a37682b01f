-- The coupons of each stock somebody is known to have received by the end of the day: those of the
-- wallets and the dispatched codes, each coupon once.
SELECT w.stock_id AS stock_id, w.coupon_code AS coupon_code
FROM user_coupons w
CROSS JOIN params p
WHERE w.receive_time IS NULL OR w.receive_time < p.day_end_at
UNION
SELECT c.stock_id AS stock_id, c.coupon_code AS coupon_code
FROM coupon_codes c
CROSS JOIN params p
WHERE (c.code_status = 'DISPATCHED' OR c.dispatched_time IS NOT NULL)
  AND (c.dispatched_time IS NULL OR c.dispatched_time < p.day_end_at)
