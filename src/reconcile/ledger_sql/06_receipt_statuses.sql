-- Of coupons with several receipts: their statuses in the order of the receipts, joined by '+', and the
-- transaction of the first live one, else of the first. No engine joins texts in order as another does,
-- so each row takes the text of the row after it, then of the second after it, the fourth …: 256
-- receipts are told, and more would end in '+…'.
WITH told_1 AS (
  SELECT r.stock_id AS stock_id,
         r.coupon_code AS coupon_code,
         r.status AS told_1,
         r.transaction_id AS transaction_id,
         s.receipt_count AS receipt_count,
         ROW_NUMBER() OVER (PARTITION BY r.stock_id, r.coupon_code
                            ORDER BY r.create_time ASC NULLS FIRST, r.out_subsidy_no ASC NULLS FIRST) AS place,
         ROW_NUMBER() OVER (PARTITION BY r.stock_id, r.coupon_code
                            ORDER BY CASE WHEN r.is_live THEN 0 ELSE 1 END ASC NULLS FIRST,
                                     r.create_time ASC NULLS FIRST, r.out_subsidy_no ASC NULLS FIRST) AS live_place
  FROM receipts r
  JOIN receipt_sums s ON s.stock_id = r.stock_id AND s.coupon_code = r.coupon_code
  WHERE s.receipt_count > 1
), told_2 AS (
  SELECT *, told_1 || COALESCE('+' || LEAD(told_1, 1) OVER w, '') AS told_2
  FROM told_1 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
), told_4 AS (
  SELECT *, told_2 || COALESCE('+' || LEAD(told_2, 2) OVER w, '') AS told_4
  FROM told_2 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
), told_8 AS (
  SELECT *, told_4 || COALESCE('+' || LEAD(told_4, 4) OVER w, '') AS told_8
  FROM told_4 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
), told_16 AS (
  SELECT *, told_8 || COALESCE('+' || LEAD(told_8, 8) OVER w, '') AS told_16
  FROM told_8 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
), told_32 AS (
  SELECT *, told_16 || COALESCE('+' || LEAD(told_16, 16) OVER w, '') AS told_32
  FROM told_16 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
), told_64 AS (
  SELECT *, told_32 || COALESCE('+' || LEAD(told_32, 32) OVER w, '') AS told_64
  FROM told_32 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
), told_128 AS (
  SELECT *, told_64 || COALESCE('+' || LEAD(told_64, 64) OVER w, '') AS told_128
  FROM told_64 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
), told_256 AS (
  SELECT *, told_128 || COALESCE('+' || LEAD(told_128, 128) OVER w, '') AS told_256
  FROM told_128 WINDOW w AS (PARTITION BY stock_id, coupon_code ORDER BY place ASC NULLS FIRST)
)
SELECT stock_id AS stock_id,
       coupon_code AS coupon_code,
       MAX(CASE WHEN place = 1 THEN told_256 || CASE WHEN receipt_count > 256 THEN '+…' ELSE '' END END) AS statuses,
       MAX(CASE WHEN live_place = 1 THEN transaction_id END) AS transaction_id
FROM told_256
GROUP BY stock_id, coupon_code
