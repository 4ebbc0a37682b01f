-- The coupon ledger of D in the columns of its contract. expected_discount_fen: the stock's rule on these
-- goods, half up, never more than the goods; without goods only a fixed discount is known. A stock has one
-- subsidy programme at most (the job file is refused otherwise), and it owes used coupons only.
SELECT e.stock_id AS stock_id,
       e.coupon_code AS coupon_code,
       e.openid AS openid,
       e.coupon_state AS coupon_state,
       e.state_on_date AS state_on_date,
       e.stock_type AS stock_type,
       e.belong_merchant AS belong_merchant,
       e.discount_amount_fen AS discount_amount_fen,
       e.discount_percent AS discount_percent,
       e.exchange_price_fen AS exchange_price_fen,
       e.transaction_minimum_fen AS transaction_minimum_fen,
       e.available_start_at AS available_start_at,
       e.expire_at AS expire_at,
       e.received_at AS received_at,
       e.used_at AS used_at,
       e.returned_at AS returned_at,
       e.deactivated_at AS deactivated_at,
       e.use_request_no AS use_request_no,
       e.return_request_no AS return_request_no,
       e.associate_out_trade_no AS associate_out_trade_no,
       e.match_pass AS match_pass,
       e.claim_count AS claim_count,
       e.out_trade_no AS out_trade_no,
       e.transaction_id AS transaction_id,
       e.order_openid AS order_openid,
       e.order_merchant AS order_merchant,
       e.order_paid_at AS order_paid_at,
       e.order_live AS order_live,
       e.order_fully_refunded AS order_fully_refunded,
       e.goods_fen AS goods_fen,
       e.discount_fen AS discount_fen,
       e.paid_fen AS paid_fen,
       CASE WHEN e.rule_discount_fen IS NOT NULL
            THEN GREATEST(LEAST(e.rule_discount_fen, COALESCE(e.goods_fen, e.rule_discount_fen)), 0)
       END AS expected_discount_fen,
       e.order_refund_fen AS order_refund_fen,
       e.bill_paid_fen AS bill_paid_fen,
       e.refund_fen AS refund_fen,
       e.refunded_at AS refunded_at,
       e.refund_count AS refund_count,
       CASE WHEN e.state_on_date = 'USED'
            THEN COALESCE(g.amount_fen,
                          CASE WHEN e.discount_fen * g.percent_of_discount < 0 THEN -1 ELSE 1 END
                          * CAST(FLOOR(CAST(ABS(e.discount_fen * g.percent_of_discount) + 50 AS DOUBLE) / 100) AS BIGINT))
       END AS subsidy_expected_fen,
       r.paid_fen AS subsidy_paid_fen,
       CASE WHEN r.stock_id IS NOT NULL OR b.stock_id IS NOT NULL THEN COALESCE(b.returned_fen, 0)
       END AS subsidy_returned_fen,
       COALESCE(r.live_count, 0) AS subsidy_receipt_count,
       CASE WHEN r.receipt_count > 1 THEN t.statuses ELSE r.status END AS subsidy_status,
       CASE WHEN r.receipt_count > 1 THEN t.transaction_id ELSE r.transaction_id END AS subsidy_transaction_id,
       CASE WHEN a.openid IS NOT NULL OR u.openid IS NOT NULL THEN q.business_date
            ELSE e.previous_asked_date END AS asked_date,
       e.verified_date AS verified_date,
       e.used_after_paid_seconds AS used_after_paid_seconds,
       r.live_fen AS subsidy_live_fen,
       CASE WHEN e.state_on_date = 'USED'
            THEN CAST(CAST(e.used_at + INTERVAL '8' HOUR AS DATE) + g.due_days * INTERVAL '1' DAY AS DATE)
       END AS subsidy_due_date,
       q.business_date AS business_date
FROM (SELECT d.*,
             CASE d.stock_type
               WHEN 'NORMAL' THEN d.discount_amount_fen
               WHEN 'DISCOUNT'
                 THEN CAST(FLOOR(CAST(d.goods_fen * (100 - d.discount_percent) + 50 AS DOUBLE) / 100) AS BIGINT)
               WHEN 'EXCHANGE' THEN d.goods_fen - d.exchange_price_fen
             END AS rule_discount_fen
      FROM use_delays d) e
CROSS JOIN params q
LEFT JOIN subsidy_programs g ON g.stock_id = e.stock_id
LEFT JOIN receipt_sums r ON r.stock_id = e.stock_id AND r.coupon_code = e.coupon_code
LEFT JOIN receipt_statuses t ON t.stock_id = e.stock_id AND t.coupon_code = e.coupon_code
LEFT JOIN return_sums b ON b.stock_id = e.stock_id AND b.coupon_code = e.coupon_code
LEFT JOIN asked_wallets a ON a.openid = e.order_openid
LEFT JOIN unknown_coupons u ON u.openid = e.order_openid AND u.coupon_code = e.coupon_code
