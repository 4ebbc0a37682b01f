-- The amounts of an order found without a claim: those of its only line that names no coupon. Where there
-- are more it is not known which line the coupon was used on, and nothing is guessed.
SELECT l.out_trade_no AS out_trade_no,
       MAX(l.goods_fen) AS goods_fen,
       MAX(l.discount_fen) AS discount_fen,
       MAX(l.paid_fen) AS paid_fen
FROM order_lines l
JOIN (SELECT DISTINCT COALESCE(association_out_trade_no, use_request_out_trade_no) AS out_trade_no
      FROM order_hits) h ON h.out_trade_no = l.out_trade_no
WHERE l.coupon_code = ''
GROUP BY l.out_trade_no
HAVING COUNT(*) = 1
