-- Every coupon as it was at the end of D: what its wallet answered later, rolled back by the event times
-- on the wire; what the wire forgets comes from yesterday's row (previous_…), what no wallet shows from
-- yesterday, the dispatch and the stock. With it the claim, if a paid order names the coupon.
SELECT k.stock_id AS stock_id,
       k.coupon_code AS coupon_code,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.openid ELSE y.openid END, d.openid) AS openid,
       CASE WHEN w.stock_id IS NOT NULL THEN w.coupon_state ELSE y.coupon_state END AS coupon_state,
       CASE
         WHEN w.stock_id IS NULL AND y.state_on_date = 'SENDED' AND y.expire_at < q.day_end_at THEN 'EXPIRED'
         WHEN w.stock_id IS NULL THEN y.state_on_date
         WHEN w.coupon_state IS NULL THEN NULL
         -- Returned after D: it was used on D, if a use before the end of D is known.
         WHEN w.return_time >= q.day_end_at
              AND (w.use_time < q.day_end_at OR y.state_on_date = 'USED') THEN 'USED'
         -- What happened after D had not happened on D. A use after D proves that it was not deleted either.
         WHEN w.coupon_state = 'SENDED'
              OR (w.coupon_state IN ('USED', 'DELETED') AND w.use_time >= q.day_end_at)
              OR (w.coupon_state = 'DEACTIVATED' AND w.deactivate_time >= q.day_end_at)
              OR (w.coupon_state = 'EXPIRED' AND w.expire_time >= q.day_end_at)
           THEN CASE WHEN w.expire_time < q.day_end_at THEN 'EXPIRED' ELSE 'SENDED' END
         -- A deletion has no time: a use that was not taken back tells more.
         WHEN w.coupon_state = 'DELETED'
              AND (w.return_time IS NULL OR w.return_time < w.use_time)
              AND (w.use_time < q.day_end_at OR y.state_on_date = 'USED') THEN 'USED'
         ELSE w.coupon_state
       END AS state_on_date,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.stock_type ELSE y.stock_type END, s.stock_type) AS stock_type,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.belong_merchant ELSE y.belong_merchant END,
                s.belong_merchant) AS belong_merchant,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.discount_amount_fen ELSE y.discount_amount_fen END,
                s.discount_amount_fen) AS discount_amount_fen,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.discount_percent ELSE y.discount_percent END,
                s.discount_percent) AS discount_percent,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.exchange_price_fen ELSE y.exchange_price_fen END,
                s.exchange_price_fen) AS exchange_price_fen,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.transaction_minimum_fen ELSE y.transaction_minimum_fen END,
                s.transaction_minimum_fen) AS transaction_minimum_fen,
       CASE WHEN w.stock_id IS NOT NULL THEN w.available_start_time ELSE y.available_start_at END AS available_start_at,
       CASE WHEN w.stock_id IS NOT NULL THEN w.expire_time ELSE y.expire_at END AS expire_at,
       COALESCE(CASE WHEN w.stock_id IS NOT NULL THEN w.receive_time ELSE y.received_at END,
                d.dispatched_at) AS received_at,
       COALESCE(CASE WHEN w.use_time < q.day_end_at THEN w.use_time END, y.used_at) AS used_at,
       COALESCE(CASE WHEN w.return_time < q.day_end_at THEN w.return_time END, y.returned_at) AS returned_at,
       COALESCE(CASE WHEN w.deactivate_time < q.day_end_at THEN w.deactivate_time END, y.deactivated_at) AS deactivated_at,
       COALESCE(CASE WHEN w.use_time IS NULL OR w.use_time < q.day_end_at THEN w.use_request_no END,
                y.use_request_no) AS use_request_no,
       COALESCE(CASE WHEN w.return_time < q.day_end_at THEN w.return_request_no END,
                y.return_request_no) AS return_request_no,
       -- An association may be taken back; one that went with a return is only forgotten.
       COALESCE(CASE WHEN w.use_time IS NULL OR w.use_time < q.day_end_at THEN w.associate_out_trade_no END,
                CASE WHEN w.stock_id IS NULL OR w.use_time >= q.day_end_at OR w.return_time IS NOT NULL
                     THEN y.associate_out_trade_no END) AS associate_out_trade_no,
       CASE WHEN w.stock_id IS NOT NULL THEN w.verified_date ELSE y.verified_date END AS verified_date,
       c.out_trade_no AS claim_out_trade_no,
       c.live_claim_count AS live_claim_count,
       c.paid_claim_count AS paid_claim_count,
       c.goods_fen AS claim_goods_fen,
       c.discount_fen AS claim_discount_fen,
       c.paid_fen AS claim_paid_fen,
       y.match_pass AS previous_match_pass,
       y.claim_count AS previous_claim_count,
       y.out_trade_no AS previous_out_trade_no,
       y.transaction_id AS previous_transaction_id,
       y.order_openid AS previous_order_openid,
       y.order_merchant AS previous_order_merchant,
       y.order_paid_at AS previous_order_paid_at,
       y.order_live AS previous_order_live,
       y.order_fully_refunded AS previous_order_fully_refunded,
       y.goods_fen AS previous_goods_fen,
       y.discount_fen AS previous_discount_fen,
       y.paid_fen AS previous_paid_fen,
       y.order_refund_fen AS previous_order_refund_fen,
       y.bill_paid_fen AS previous_bill_paid_fen,
       y.refund_fen AS previous_refund_fen,
       y.refunded_at AS previous_refunded_at,
       y.refund_count AS previous_refund_count,
       y.asked_date AS previous_asked_date
FROM known_coupons k
CROSS JOIN params q
LEFT JOIN known_wallets w ON w.stock_id = k.stock_id AND w.coupon_code = k.coupon_code
LEFT JOIN coupon_ledger_yesterday y ON y.stock_id = k.stock_id AND y.coupon_code = k.coupon_code
LEFT JOIN dispatches d ON d.stock_id = k.stock_id AND d.coupon_code = k.coupon_code
LEFT JOIN claims c ON c.stock_id = k.stock_id AND c.coupon_code = k.coupon_code
LEFT JOIN latest_stocks s ON s.stock_id = k.stock_id
