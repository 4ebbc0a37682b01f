-- Subsidy return receipts that existed at the end of the day.
SELECT r.out_subsidy_return_no AS out_subsidy_return_no,
       r.subsidy_return_receipt_id AS subsidy_return_receipt_id,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       r.refund_id AS refund_id,
       r.amount_fen AS amount_fen,
       COALESCE(r.status, 'UNKNOWN') AS status,
       r.return_create_time AS return_create_time,
       CAST(COALESCE(r.return_create_time, r.return_done_time) + INTERVAL '8' HOUR AS DATE) AS return_date,
       COALESCE(r.status, 'UNKNOWN') = 'SUCCESS' AS is_done,
       COALESCE(r.status, 'UNKNOWN') NOT IN ('SUCCESS', 'FAIL') AS is_in_flight
FROM subsidy_returns r
CROSS JOIN params p
WHERE r.return_create_time IS NULL OR r.return_create_time < p.day_end_at
