-- One row per order of the look-back: its effective lines summed, the bill hung on by transaction_id,
-- else by out_trade_no. "Paid" is paid_at filled; "fully refunded" is refunds of the export or of the
-- bill reaching what was paid; "live" is paid and not fully refunded (design section 7).
SELECT out_trade_no,
       transaction_id,
       merchant,
       openid,
       channel,
       source_file,
       paid_at,
       CAST(paid_at + INTERVAL '8' HOUR AS DATE) AS paid_date,
       changed_date,
       goods_fen,
       discount_fen,
       paid_fen,
       refund_fen,
       bill_transaction_id,
       bill_paid_fen,
       bill_date,
       bill_is_revoked,
       bill_refund_fen,
       bill_refund_count,
       bill_refunded_at,
       bill_refund_date,
       paid_at IS NOT NULL AS is_paid,
       paid_fen > 0 AND GREATEST(refund_fen, bill_refund_fen) >= paid_fen AS is_fully_refunded,
       paid_at IS NOT NULL AND (paid_fen <= 0 OR GREATEST(refund_fen, bill_refund_fen) < paid_fen) AS is_live
FROM (SELECT o.out_trade_no AS out_trade_no,
             o.transaction_id AS transaction_id,
             o.merchant AS merchant,
             o.openid AS openid,
             o.channel AS channel,
             o.source_file AS source_file,
             o.paid_at AS paid_at,
             o.changed_date AS changed_date,
             o.goods_fen AS goods_fen,
             o.discount_fen AS discount_fen,
             o.paid_fen AS paid_fen,
             o.refund_fen AS refund_fen,
             COALESCE(pt.transaction_id, pn.transaction_id) AS bill_transaction_id,
             COALESCE(pt.order_fen, pn.order_fen) AS bill_paid_fen,
             COALESCE(pt.dt, pn.dt) AS bill_date,
             COALESCE(pt.is_revoked, pn.is_revoked, FALSE) AS bill_is_revoked,
             COALESCE(rt.refund_fen, rn.refund_fen, 0) AS bill_refund_fen,
             COALESCE(rt.refund_count, rn.refund_count, 0) AS bill_refund_count,
             COALESCE(rt.refunded_at, rn.refunded_at) AS bill_refunded_at,
             COALESCE(rt.dt, rn.dt) AS bill_refund_date
      FROM (SELECT out_trade_no,
                   MAX(transaction_id) AS transaction_id,
                   MAX(merchant) AS merchant,
                   MAX(openid) AS openid,
                   MAX(channel) AS channel,
                   MAX(source_file) AS source_file,
                   MAX(paid_at) AS paid_at,
                   MAX(dt) AS changed_date,
                   SUM(goods_fen) AS goods_fen,
                   SUM(discount_fen) AS discount_fen,
                   SUM(paid_fen) AS paid_fen,
                   SUM(refund_fen) AS refund_fen
            FROM order_lines
            GROUP BY out_trade_no) o
      LEFT JOIN bill_payments pt ON pt.transaction_id = o.transaction_id
      -- Of several payments of one number a single one, whole: one that stands before a revoked one, then the largest.
      LEFT JOIN (SELECT out_trade_no, transaction_id, order_fen, dt, is_revoked
                 FROM (SELECT out_trade_no,
                              transaction_id,
                              order_fen,
                              dt,
                              is_revoked,
                              ROW_NUMBER() OVER (PARTITION BY out_trade_no
                                                 ORDER BY CASE WHEN is_revoked THEN 0 ELSE 1 END DESC NULLS LAST,
                                                          order_fen DESC NULLS LAST,
                                                          transaction_id DESC NULLS LAST) AS place
                       FROM bill_payments) n
                 WHERE place = 1) pn ON pn.out_trade_no = o.out_trade_no
      LEFT JOIN bill_refunds rt ON rt.transaction_id = o.transaction_id
      LEFT JOIN (SELECT out_trade_no,
                        SUM(refund_fen) AS refund_fen,
                        SUM(refund_count) AS refund_count,
                        MAX(refunded_at) AS refunded_at,
                        MAX(dt) AS dt
                 FROM bill_refunds
                 GROUP BY out_trade_no) rn ON rn.out_trade_no = o.out_trade_no) t
