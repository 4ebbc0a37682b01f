-- Subsidy payment receipts that existed at the end of the day. An unknown status counts as live:
-- money may have moved.
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       r.payer_merchant AS payer_merchant,
       r.payee_merchant AS payee_merchant,
       r.amount_fen AS amount_fen,
       COALESCE(r.status, 'UNKNOWN') AS status,
       r.fail_reason AS fail_reason,
       r.create_time AS create_time,
       r.success_time AS success_time,
       CAST(COALESCE(r.create_time, r.success_time) + INTERVAL '8' HOUR AS DATE) AS receipt_date,
       COALESCE(r.status, 'UNKNOWN') NOT IN ('FAIL', 'FULL_RETURN') AS is_live,
       COALESCE(r.status, 'UNKNOWN') IN ('SUCCESS', 'RETURNING', 'PARTIAL_RETURN', 'FULL_RETURN') AS is_paid
FROM subsidy_payments r
CROSS JOIN params p
WHERE r.create_time IS NULL OR r.create_time < p.day_end_at
