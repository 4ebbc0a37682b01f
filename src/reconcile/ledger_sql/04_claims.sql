-- The order that claims a coupon: the live one, else the one paid last (but see `named_claims`). live_claim_count tells how many
-- live orders name the coupon: with two the claim is ambiguous. Paid orders only, paid_claim_count of them.
SELECT stock_id AS stock_id,
       coupon_code AS coupon_code,
       out_trade_no AS out_trade_no,
       goods_fen AS goods_fen,
       discount_fen AS discount_fen,
       paid_fen AS paid_fen,
       live_claim_count AS live_claim_count,
       paid_claim_count AS paid_claim_count
FROM (SELECT l.stock_id AS stock_id,
             l.coupon_code AS coupon_code,
             l.out_trade_no AS out_trade_no,
             l.goods_fen AS goods_fen,
             l.discount_fen AS discount_fen,
             l.paid_fen AS paid_fen,
             SUM(CASE WHEN o.is_live THEN 1 ELSE 0 END)
               OVER (PARTITION BY l.stock_id, l.coupon_code) AS live_claim_count,
             SUM(CASE WHEN o.is_paid THEN 1 ELSE 0 END)
               OVER (PARTITION BY l.stock_id, l.coupon_code) AS paid_claim_count,
             ROW_NUMBER() OVER (PARTITION BY l.stock_id, l.coupon_code
                                ORDER BY CASE WHEN o.is_live THEN 1 ELSE 0 END DESC NULLS LAST,
                                         o.paid_at DESC NULLS LAST, o.out_trade_no DESC NULLS LAST) AS place
      FROM order_lines l
      JOIN order_totals o ON o.out_trade_no = l.out_trade_no
      WHERE l.stock_id <> '' AND l.coupon_code <> '' AND o.is_paid) c
WHERE place = 1
