-- The order sides with what is fully refunded. The lines of an order older than the look-back leave one by
-- one, and those that are left may look fully refunded: its payment in the bill, where that is known, must
-- be refunded too. A claim counts while its order is live.
SELECT h.*,
       CASE WHEN h.is_live_after_all THEN FALSE ELSE h.is_shown_refunded END AS order_fully_refunded,
       CASE WHEN h.is_live_after_all THEN TRUE ELSE h.is_shown_live END AS order_live,
       CASE WHEN h.is_live_after_all AND h.match_pass = 'claim' THEN 1 ELSE h.shown_claim_count END AS claim_count
FROM (SELECT s.*,
             COALESCE(s.is_shown_refunded
                      AND CAST(s.order_paid_at + INTERVAL '8' HOUR AS DATE) < q.lookback_start
                      AND GREATEST(COALESCE(s.order_refund_fen, 0), COALESCE(s.refund_fen, 0)) < s.bill_paid_fen,
                      FALSE) AS is_live_after_all
      FROM order_sides s
      CROSS JOIN params q) h
