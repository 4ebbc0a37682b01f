-- The effective order lines of the look-back: per (out_trade_no, stock_id, coupon_code) the line of
-- the latest export file. stock_id and coupon_code are '' on a line that names no coupon.
SELECT o.out_trade_no AS out_trade_no,
       o.stock_id AS stock_id,
       o.coupon_code AS coupon_code,
       o.transaction_id AS transaction_id,
       o.merchant AS merchant,
       o.openid AS openid,
       o.channel AS channel,
       o.paid_at AS paid_at,
       o.goods_fen AS goods_fen,
       o.discount_fen AS discount_fen,
       o.paid_fen AS paid_fen,
       o.refund_fen AS refund_fen,
       o.source_file AS source_file,
       o.dt AS dt
FROM orders_history o
JOIN (SELECT out_trade_no, stock_id, coupon_code, MAX(dt) AS newest_dt
      FROM orders_history
      GROUP BY out_trade_no, stock_id, coupon_code) n
  ON n.out_trade_no = o.out_trade_no
 AND n.stock_id = o.stock_id
 AND n.coupon_code = o.coupon_code
 AND n.newest_dt = o.dt
