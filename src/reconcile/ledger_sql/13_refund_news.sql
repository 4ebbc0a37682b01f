-- What the bills of the look-back refunded of each payment, as bill_refunds has it, and what of it was first
-- listed after yesterday's ledger: the sums of that ledger do not have it.
SELECT r.transaction_id AS transaction_id,
       MAX(r.out_trade_no) AS out_trade_no,
       SUM(r.applied_refund_fen) AS seen_fen,
       COUNT(*) AS seen_count,
       MAX(r.accepted_time) AS seen_at,
       SUM(CASE WHEN r.first_dt > y.previous_date THEN r.applied_refund_fen ELSE 0 END) AS fresh_fen,
       SUM(CASE WHEN r.first_dt > y.previous_date THEN 1 ELSE 0 END) AS fresh_count
FROM (SELECT refund_id,
             MAX(transaction_id) AS transaction_id,
             MAX(out_trade_no) AS out_trade_no,
             MAX(applied_refund_fen) AS applied_refund_fen,
             MAX(accepted_time) AS accepted_time,
             MIN(dt) AS first_dt,
             MAX(CASE WHEN refund_status = 'FAIL' THEN 1 ELSE 0 END) AS has_failed
      FROM refunds_history
      GROUP BY refund_id) r
CROSS JOIN (SELECT MAX(business_date) AS previous_date FROM coupon_ledger_yesterday) y
WHERE r.has_failed = 0
GROUP BY r.transaction_id
