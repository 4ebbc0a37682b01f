-- Orders of the look-back that coupons without a claim name: by their association, by the request number
-- of their use, both paid orders only, and whether they are live; and whether the order of yesterday's row
-- is still there, where it may tell more than what tonight finds.
SELECT n.stock_id AS stock_id,
       n.coupon_code AS coupon_code,
       MAX(CASE WHEN n.pass = 'association' AND o.is_paid THEN o.out_trade_no END) AS association_out_trade_no,
       MAX(CASE WHEN n.pass = 'use_request' AND o.is_paid THEN o.out_trade_no END) AS use_request_out_trade_no,
       MAX(CASE WHEN n.pass = 'association' AND o.is_live THEN 1 ELSE 0 END) AS association_live_count,
       MAX(CASE WHEN n.pass = 'use_request' AND o.is_live THEN 1 ELSE 0 END) AS use_request_live_count,
       MAX(CASE WHEN n.pass = 'previous' THEN 1 ELSE 0 END) AS is_previous_there
FROM (SELECT stock_id AS stock_id, coupon_code AS coupon_code, 'association' AS pass,
             associate_out_trade_no AS out_trade_no
      FROM coupon_sides
      WHERE claim_out_trade_no IS NULL AND associate_out_trade_no IS NOT NULL
      UNION ALL
      SELECT stock_id AS stock_id, coupon_code AS coupon_code, 'use_request' AS pass,
             use_request_no AS out_trade_no
      FROM coupon_sides
      WHERE claim_out_trade_no IS NULL AND use_request_no IS NOT NULL
      UNION ALL
      SELECT stock_id AS stock_id, coupon_code AS coupon_code, 'previous' AS pass,
             previous_out_trade_no AS out_trade_no
      FROM coupon_sides
      WHERE (claim_out_trade_no IS NULL OR previous_order_live) AND previous_out_trade_no IS NOT NULL) n
JOIN order_totals o ON o.out_trade_no = n.out_trade_no
GROUP BY n.stock_id, n.coupon_code
