-- One row per payment of the trade bills of the look-back. order_fen is null when no SUCCESS row was
-- seen; is_revoked when a REVOKED row took the payment back.
SELECT transaction_id AS transaction_id,
       MAX(out_trade_no) AS out_trade_no,
       MAX(openid) AS openid,
       MAX(mchid) AS mchid,
       MAX(sub_mchid) AS sub_mchid,
       MAX(CASE WHEN trade_state = 'SUCCESS' THEN order_fen END) AS order_fen,
       MIN(trade_time) AS trade_time,
       MIN(dt) AS dt,
       MAX(CASE WHEN trade_state = 'REVOKED' THEN 1 ELSE 0 END) = 1 AS is_revoked
FROM payments_history
GROUP BY transaction_id
