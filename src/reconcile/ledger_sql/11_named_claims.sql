-- Of coupons that only fully refunded orders claim, and several: the claim of the order that the coupon itself names,
-- by its association, else by the request number of its use. Where it names none of them, `claims` has the last.
SELECT stock_id AS stock_id,
       coupon_code AS coupon_code,
       out_trade_no AS out_trade_no,
       goods_fen AS goods_fen,
       discount_fen AS discount_fen,
       paid_fen AS paid_fen
FROM (SELECT c.stock_id AS stock_id,
             c.coupon_code AS coupon_code,
             l.out_trade_no AS out_trade_no,
             l.goods_fen AS goods_fen,
             l.discount_fen AS discount_fen,
             l.paid_fen AS paid_fen,
             ROW_NUMBER() OVER (PARTITION BY c.stock_id, c.coupon_code
                                ORDER BY CASE WHEN l.out_trade_no = c.associate_out_trade_no THEN 1 ELSE 0 END DESC NULLS LAST,
                                         l.out_trade_no DESC NULLS LAST) AS place
      FROM coupon_sides c
      JOIN order_lines l ON l.stock_id = c.stock_id AND l.coupon_code = c.coupon_code
      JOIN order_totals o ON o.out_trade_no = l.out_trade_no
      WHERE c.live_claim_count = 0
        AND c.paid_claim_count > 1
        AND o.is_paid
        AND (l.out_trade_no = c.associate_out_trade_no OR l.out_trade_no = c.use_request_no)) n
WHERE place = 1
