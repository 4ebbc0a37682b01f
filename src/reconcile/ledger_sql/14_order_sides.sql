-- The order of each coupon: by claim, association or use request, the first that hits. Two live claims are ambiguous and
-- have none; of several claims that are all refunded the one counts that the coupon names.
-- Where nothing hits, or a refunded order does, or one that does not name a coupon which was claimed and not returned
-- since, the live order that left the look-back stays as it was known; so does an ambiguity when claims have left. The
-- lines of an order leave one by one: a claim of an order older than the look-back has left once its own line has,
-- whatever other lines of the order are still there.
-- The payment leaves the look-back before the order does: what was paid stays so. Of refunds what the look-back shows, or
-- what was known (shown_…).
SELECT m.*,
       CASE WHEN m.found_by = 'carried' THEN m.previous_match_pass ELSE m.found_by END AS match_pass,
       CASE WHEN m.found_by = 'carried' THEN m.previous_claim_count
            WHEN m.found_by IN ('claim', 'ambiguous') THEN m.live_claim_count
            ELSE 0 END AS shown_claim_count,
       CASE WHEN m.found_by = 'carried' THEN m.previous_out_trade_no ELSE o.out_trade_no END AS out_trade_no,
       CASE WHEN m.found_by = 'carried' THEN m.previous_transaction_id ELSE o.transaction_id END AS transaction_id,
       CASE WHEN m.found_by = 'carried' THEN m.previous_order_openid ELSE o.openid END AS order_openid,
       CASE WHEN m.found_by = 'carried' THEN m.previous_order_merchant ELSE o.merchant END AS order_merchant,
       CASE WHEN m.found_by = 'carried' THEN m.previous_order_paid_at ELSE o.paid_at END AS order_paid_at,
       CASE WHEN m.found_by = 'carried' THEN m.previous_order_live ELSE o.is_live END AS is_shown_live,
       CASE WHEN m.found_by = 'carried' THEN m.previous_order_fully_refunded
            ELSE o.is_fully_refunded END AS is_shown_refunded,
       CASE WHEN m.found_by = 'carried' THEN m.previous_goods_fen
            WHEN m.found_by = 'claim' THEN COALESCE(m.named_goods_fen, m.claim_goods_fen)
            ELSE l.goods_fen END AS goods_fen,
       CASE WHEN m.found_by = 'carried' THEN m.previous_discount_fen
            WHEN m.found_by = 'claim' THEN COALESCE(m.named_discount_fen, m.claim_discount_fen)
            ELSE l.discount_fen END AS discount_fen,
       CASE WHEN m.found_by = 'carried' THEN m.previous_paid_fen
            WHEN m.found_by = 'claim' THEN COALESCE(m.named_paid_fen, m.claim_paid_fen)
            ELSE l.paid_fen END AS paid_fen,
       CASE WHEN m.found_by = 'carried' THEN m.previous_order_refund_fen ELSE o.refund_fen END AS order_refund_fen,
       CASE WHEN m.found_by = 'carried' THEN m.previous_bill_paid_fen
            WHEN m.previous_out_trade_no = o.out_trade_no THEN COALESCE(o.bill_paid_fen, m.previous_bill_paid_fen)
            ELSE o.bill_paid_fen END AS bill_paid_fen,
       CASE WHEN m.found_by = 'carried' THEN m.previous_refund_fen
            WHEN o.bill_refund_count > 0 THEN o.bill_refund_fen END AS shown_refund_fen,
       CASE WHEN m.found_by = 'carried' THEN m.previous_refunded_at ELSE o.bill_refunded_at END AS shown_refunded_at,
       CASE WHEN m.found_by = 'carried' THEN m.previous_refund_count
            ELSE COALESCE(o.bill_refund_count, 0) END AS shown_refund_count
FROM (SELECT f.*,
             CASE WHEN f.live_claim_count > 1 THEN 'ambiguous'
                  WHEN f.previous_match_pass = 'ambiguous'
                       AND COALESCE(f.paid_claim_count, 0) < f.previous_claim_count THEN 'carried'
                  WHEN (f.has_previous_left OR f.has_claim_left)
                       AND (f.hit IS NULL
                            OR (f.previous_order_live
                                AND (f.hit_live_count = 0
                                     OR (f.hit <> 'claim' AND f.previous_match_pass = 'claim'
                                         AND (f.returned_at IS NULL
                                              OR f.returned_at < f.previous_order_paid_at))))) THEN 'carried'
                  WHEN f.has_claim_left AND f.found_out_trade_no = f.previous_out_trade_no THEN 'carried'
                  ELSE f.hit
             END AS found_by
      FROM (SELECT c.*,
                   n.goods_fen AS named_goods_fen,
                   n.discount_fen AS named_discount_fen,
                   n.paid_fen AS named_paid_fen,
                   CASE WHEN c.claim_out_trade_no IS NOT NULL THEN 'claim'
                        WHEN h.association_out_trade_no IS NOT NULL THEN 'association'
                        WHEN h.use_request_out_trade_no IS NOT NULL THEN 'use_request'
                   END AS hit,
                   CASE WHEN c.claim_out_trade_no IS NOT NULL THEN c.live_claim_count
                        WHEN h.association_out_trade_no IS NOT NULL THEN h.association_live_count
                        ELSE h.use_request_live_count
                   END AS hit_live_count,
                   CASE WHEN COALESCE(c.live_claim_count, 0) < 2
                        THEN COALESCE(n.out_trade_no, c.claim_out_trade_no, h.association_out_trade_no,
                                      h.use_request_out_trade_no)
                   END AS found_out_trade_no,
                   c.previous_out_trade_no IS NOT NULL AND COALESCE(h.is_previous_there, 0) = 0 AS has_previous_left,
                   COALESCE(c.previous_match_pass = 'claim'
                            AND c.previous_out_trade_no IS NOT NULL
                            AND (c.claim_out_trade_no IS NULL
                                 OR (c.paid_claim_count = 1 AND c.claim_out_trade_no <> c.previous_out_trade_no))
                            AND CAST(c.previous_order_paid_at + INTERVAL '8' HOUR AS DATE) < q.lookback_start,
                            FALSE) AS has_claim_left
            FROM coupon_sides c
            CROSS JOIN params q
            LEFT JOIN named_claims n ON n.stock_id = c.stock_id AND n.coupon_code = c.coupon_code
            LEFT JOIN order_hits h ON h.stock_id = c.stock_id AND h.coupon_code = c.coupon_code) f) m
LEFT JOIN order_totals o ON o.out_trade_no = m.found_out_trade_no
LEFT JOIN plain_lines l ON l.out_trade_no = m.found_out_trade_no
