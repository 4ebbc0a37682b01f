-- The subsidy receipts of a coupon summed. status and transaction_id are those of the only receipt;
-- where there are several, receipt_statuses tells.
SELECT stock_id AS stock_id,
       coupon_code AS coupon_code,
       COUNT(*) AS receipt_count,
       SUM(CASE WHEN is_live THEN 1 ELSE 0 END) AS live_count,
       SUM(CASE WHEN is_paid THEN amount_fen ELSE 0 END) AS paid_fen,
       SUM(CASE WHEN is_live THEN amount_fen ELSE 0 END) AS live_fen,
       MAX(status) AS status,
       MAX(transaction_id) AS transaction_id
FROM receipts
GROUP BY stock_id, coupon_code
