-- The order sides with what was refunded of the order, and whether all of it. Refunds leave the look-back one by
-- one, and of an order that left nobody has told of those that came since: what yesterday's row knew and what
-- was first listed after it (refund_news) are all of them. Of a refund it did not know for another reason, as one
-- of a bill that was late, the look-back may show more.
-- The lines of an order older than the look-back leave one by one too, and those that are left may look fully
-- refunded: its payment in the bill, where that is known, must be refunded too. One that was paid just after
-- midnight may have left before it is that old, in the export of the day before. And its refunds may come together
-- only here, those that left and those of tonight, though neither what the look-back shows nor what was known of
-- it reaches the payment. A claim counts while its order is live.
SELECT h.*,
       CASE WHEN h.is_live_after_all THEN FALSE WHEN h.is_refunded_after_all THEN TRUE
            ELSE h.is_shown_refunded END AS order_fully_refunded,
       CASE WHEN h.is_live_after_all THEN TRUE WHEN h.is_refunded_after_all THEN FALSE
            ELSE h.is_shown_live END AS order_live,
       CASE WHEN h.match_pass = 'claim' AND h.is_live_after_all THEN CAST(1 AS BIGINT)
            WHEN h.match_pass = 'claim' AND h.is_refunded_after_all THEN CAST(0 AS BIGINT)
            ELSE h.shown_claim_count END AS claim_count
FROM (SELECT g.*,
             COALESCE((g.is_old OR g.is_remembered) AND g.is_shown_refunded
                      AND GREATEST(COALESCE(g.order_refund_fen, 0), COALESCE(g.refund_fen, 0)) < g.bill_paid_fen,
                      FALSE) AS is_live_after_all,
             COALESCE((g.is_old OR g.is_remembered) AND NOT COALESCE(g.is_shown_refunded, FALSE)
                      AND g.bill_paid_fen > 0
                      AND GREATEST(COALESCE(g.order_refund_fen, 0), COALESCE(g.shown_refund_fen, 0)) < g.bill_paid_fen
                      AND g.refund_fen >= g.bill_paid_fen,
                      FALSE) AS is_refunded_after_all
      FROM (SELECT r.*,
                   CASE WHEN NOT r.is_remembered THEN r.shown_refund_fen
                        WHEN r.is_more_seen THEN r.seen_fen
                        ELSE r.all_fen END AS refund_fen,
                   CASE WHEN NOT r.is_remembered THEN r.shown_refund_count
                        WHEN r.is_more_seen THEN r.seen_count
                        ELSE r.previous_refund_count + r.fresh_count END AS refund_count,
                   CASE WHEN NOT r.is_remembered THEN r.shown_refunded_at
                        WHEN r.previous_refunded_at IS NULL OR r.seen_at > r.previous_refunded_at THEN r.seen_at
                        ELSE r.previous_refunded_at END AS refunded_at
            FROM (SELECT a.*, a.seen_fen IS NOT NULL AND (a.all_fen IS NULL OR a.seen_fen > a.all_fen) AS is_more_seen
                  FROM (SELECT n.*,
                               COALESCE(n.previous_out_trade_no = n.out_trade_no
                                        AND (n.found_by = 'carried' OR n.is_old), FALSE) AS is_remembered,
                               CASE WHEN n.previous_refund_fen IS NOT NULL OR n.fresh_count > 0
                                    THEN COALESCE(n.previous_refund_fen, 0) + n.fresh_fen END AS all_fen
                        FROM (SELECT s.*,
                                     COALESCE(CAST(s.order_paid_at + INTERVAL '8' HOUR AS DATE) < q.lookback_start, FALSE)
                                       AS is_old,
                                     COALESCE(t.seen_fen, u.seen_fen) AS seen_fen,
                                     COALESCE(t.seen_count, u.seen_count) AS seen_count,
                                     COALESCE(t.seen_at, u.seen_at) AS seen_at,
                                     COALESCE(t.fresh_fen, u.fresh_fen, 0) AS fresh_fen,
                                     COALESCE(t.fresh_count, u.fresh_count, 0) AS fresh_count
                              FROM order_sides s
                              CROSS JOIN params q
                              LEFT JOIN refund_news t ON t.transaction_id = s.transaction_id
                              LEFT JOIN (SELECT out_trade_no,
                                                SUM(seen_fen) AS seen_fen,
                                                SUM(seen_count) AS seen_count,
                                                MAX(seen_at) AS seen_at,
                                                SUM(fresh_fen) AS fresh_fen,
                                                SUM(fresh_count) AS fresh_count
                                         FROM refund_news
                                         GROUP BY out_trade_no) u ON u.out_trade_no = s.out_trade_no) n) a) r) g) h
