-- What the trade bills of the look-back refunded, per payment: applied amounts, failed refunds left
-- out, a refund listed by two bills counted once.
SELECT transaction_id AS transaction_id,
       MAX(out_trade_no) AS out_trade_no,
       SUM(applied_refund_fen) AS refund_fen,
       COUNT(*) AS refund_count,
       MAX(accepted_time) AS refunded_at,
       MAX(dt) AS dt
FROM (SELECT refund_id,
             MAX(transaction_id) AS transaction_id,
             MAX(out_trade_no) AS out_trade_no,
             MAX(applied_refund_fen) AS applied_refund_fen,
             MAX(accepted_time) AS accepted_time,
             MAX(dt) AS dt,
             MAX(CASE WHEN refund_status = 'FAIL' THEN 1 ELSE 0 END) AS has_failed
      FROM refunds_history
      GROUP BY refund_id) r
WHERE has_failed = 0
GROUP BY transaction_id
