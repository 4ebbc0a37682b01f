-- The ledger of D with its instants as business dates, and coupon_discount_fen: what the coupon is worth,
-- by the order line, else by its stock, else 0. is_tied tells whether the coupon itself names its order, by association or
-- by the request it was used under.
SELECT l.*,
       CAST(l.received_at + INTERVAL '8' HOUR AS DATE) AS received_date,
       CAST(l.used_at + INTERVAL '8' HOUR AS DATE) AS used_date,
       CAST(l.returned_at + INTERVAL '8' HOUR AS DATE) AS returned_date,
       CAST(l.order_paid_at + INTERVAL '8' HOUR AS DATE) AS paid_date,
       CAST(l.refunded_at + INTERVAL '8' HOUR AS DATE) AS refunded_date,
       COALESCE(l.discount_fen, l.expected_discount_fen, 0) AS coupon_discount_fen,
       COALESCE(l.match_pass <> 'claim'
                OR l.associate_out_trade_no = l.out_trade_no
                OR l.use_request_no = l.out_trade_no, FALSE) AS is_tied
FROM coupon_ledger l
