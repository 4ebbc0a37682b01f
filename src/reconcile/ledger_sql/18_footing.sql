-- The control totals of the match, a row per side: what went in is counted where it lies, where it went by
-- the ledger, so that a row the match lost makes the two differ. Coupons and receipts are matched when
-- their ledger row has an order, order lines when it has theirs, bill rows when an order has their
-- transaction or their number.
SELECT side AS side,
       SUM(CASE WHEN part = 'total' THEN 1 ELSE 0 END) AS total_rows,
       SUM(CASE WHEN part = 'total' THEN fen ELSE 0 END) AS total_fen,
       SUM(CASE WHEN part = 'matched' THEN 1 ELSE 0 END) AS matched_rows,
       SUM(CASE WHEN part = 'matched' THEN fen ELSE 0 END) AS matched_fen,
       SUM(CASE WHEN part = 'unmatched' THEN 1 ELSE 0 END) AS unmatched_rows,
       SUM(CASE WHEN part = 'unmatched' THEN fen ELSE 0 END) AS unmatched_fen,
       SUM(CASE WHEN part = 'left_out' THEN 1 ELSE 0 END) AS left_out_rows,
       SUM(CASE WHEN part = 'left_out' THEN fen ELSE 0 END) AS left_out_fen
FROM (
  -- A side without rows still has its line.
  SELECT 'user_coupons' AS side, 'none' AS part, CAST(0 AS BIGINT) AS fen
  UNION ALL SELECT 'orders' AS side, 'none' AS part, CAST(0 AS BIGINT) AS fen
  UNION ALL SELECT 'subsidy_payments' AS side, 'none' AS part, CAST(0 AS BIGINT) AS fen
  UNION ALL SELECT 'payments' AS side, 'none' AS part, CAST(0 AS BIGINT) AS fen
  UNION ALL SELECT 'refunds' AS side, 'none' AS part, CAST(0 AS BIGINT) AS fen

  UNION ALL
  SELECT 'user_coupons' AS side, 'total' AS part, COALESCE(discount_amount_fen, 0) AS fen
  FROM user_coupons
  UNION ALL
  SELECT 'user_coupons' AS side,
         CASE WHEN g.out_trade_no IS NOT NULL THEN 'matched' ELSE 'unmatched' END AS part,
         COALESCE(w.discount_amount_fen, 0) AS fen
  FROM known_wallets w
  JOIN coupon_ledger g ON g.stock_id = w.stock_id AND g.coupon_code = w.coupon_code
  UNION ALL
  SELECT 'user_coupons' AS side, 'left_out' AS part, COALESCE(w.discount_amount_fen, 0) AS fen
  FROM user_coupons w
  CROSS JOIN params q
  LEFT JOIN second_wallets s
    ON s.stock_id = w.stock_id AND s.coupon_code = w.coupon_code AND s.openid = w.openid
  WHERE s.openid IS NOT NULL OR w.receive_time >= q.day_end_at

  UNION ALL
  SELECT 'orders' AS side, 'total' AS part, discount_fen AS fen
  FROM order_lines
  WHERE stock_id <> '' AND coupon_code <> ''
  UNION ALL
  SELECT 'orders' AS side,
         CASE WHEN g.out_trade_no = l.out_trade_no THEN 'matched' ELSE 'unmatched' END AS part,
         l.discount_fen AS fen
  FROM order_lines l
  JOIN coupon_ledger g ON g.stock_id = l.stock_id AND g.coupon_code = l.coupon_code
  WHERE l.stock_id <> '' AND l.coupon_code <> ''

  UNION ALL
  SELECT 'subsidy_payments' AS side, 'total' AS part, amount_fen AS fen
  FROM subsidy_payments
  UNION ALL
  SELECT 'subsidy_payments' AS side,
         CASE WHEN g.out_trade_no IS NOT NULL THEN 'matched' ELSE 'unmatched' END AS part,
         r.amount_fen AS fen
  FROM receipts r
  JOIN coupon_ledger g ON g.stock_id = r.stock_id AND g.coupon_code = r.coupon_code
  UNION ALL
  SELECT 'subsidy_payments' AS side, 'left_out' AS part, r.amount_fen AS fen
  FROM subsidy_payments r
  CROSS JOIN params q
  WHERE r.create_time >= q.day_end_at

  UNION ALL
  SELECT 'payments' AS side, 'total' AS part, order_fen AS fen
  FROM payments_history
  UNION ALL
  SELECT 'payments' AS side,
         CASE WHEN t.transaction_id IS NOT NULL OR o.out_trade_no IS NOT NULL THEN 'matched' ELSE 'unmatched' END AS part,
         p.order_fen AS fen
  FROM payments_history p
  LEFT JOIN (SELECT DISTINCT transaction_id FROM order_totals) t ON t.transaction_id = p.transaction_id
  LEFT JOIN order_totals o ON o.out_trade_no = p.out_trade_no

  UNION ALL
  SELECT 'refunds' AS side, 'total' AS part, applied_refund_fen AS fen
  FROM refunds_history
  UNION ALL
  SELECT 'refunds' AS side,
         CASE WHEN t.transaction_id IS NOT NULL OR o.out_trade_no IS NOT NULL THEN 'matched' ELSE 'unmatched' END AS part,
         r.applied_refund_fen AS fen
  FROM refunds_history r
  LEFT JOIN (SELECT DISTINCT transaction_id FROM order_totals) t ON t.transaction_id = r.transaction_id
  LEFT JOIN order_totals o ON o.out_trade_no = r.out_trade_no) f
GROUP BY side
