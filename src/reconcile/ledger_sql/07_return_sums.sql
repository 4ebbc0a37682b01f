-- The successful subsidy returns of a coupon summed.
SELECT stock_id AS stock_id, coupon_code AS coupon_code, SUM(amount_fen) AS returned_fen
FROM returns
WHERE is_done
GROUP BY stock_id, coupon_code
