-- The ledger of D with its instants as business dates, and coupon_discount_fen: what the coupon is worth,
-- by the order line, else by its stock, else 0.
SELECT l.*,
       CAST(l.received_at + INTERVAL '8' HOUR AS DATE) AS received_date,
       CAST(l.used_at + INTERVAL '8' HOUR AS DATE) AS used_date,
       CAST(l.returned_at + INTERVAL '8' HOUR AS DATE) AS returned_date,
       CAST(l.order_paid_at + INTERVAL '8' HOUR AS DATE) AS paid_date,
       CAST(l.refunded_at + INTERVAL '8' HOUR AS DATE) AS refunded_date,
       COALESCE(l.discount_fen, l.expected_discount_fen, 0) AS coupon_discount_fen
FROM coupon_ledger l
