-- id: SU02
-- title: The subsidy is not what the programme owes
-- 标题: 补差金额与方案不符
-- severity: high
-- side: finance
-- key: c
-- inputs: orders, user_coupons, subsidy_payments, subsidy_returns?
-- action: Compare the receipt with the programme; return or add the difference.
-- 处理: 对照补差单与补差方案；退回或补足差额。
-- row: a coupon whose live receipts sum up to another amount than the programme owes (SU03 and SU13 take precedence); of a live order also one whose receipts were returned in full, which leaves none, no day since it was exported last being unknown to exports and bills, nor the export of the day of the use where no order is known; where a share of a discount is owed, the export of the day of the payment is known where it may have the line that claims the coupon
-- why: live receipts of {paid} fen, the programme owes {owed} fen
-- 原因: 有效补差回执共 {paid} 分，按补差方案应为 {owed} 分
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.subsidy_expected_fen AS expected_fen,
       l.subsidy_live_fen AS actual_fen,
       ABS(l.subsidy_live_fen - l.subsidy_expected_fen) AS at_risk_fen,
       'live receipts of ' || CAST(l.subsidy_live_fen AS STRING) || ' fen, the programme owes '
         || CAST(l.subsidy_expected_fen AS STRING) || ' fen' AS why,
       CASE WHEN l.subsidy_receipt_count > 0 THEN r.receipt_date
            ELSE COALESCE(t.return_date, r.returned_receipt_date) END AS event_date,
       -- A day of which neither export nor bill is known may have the refund of the order; the day of its payment the line
       -- that claims the coupon, and with it the discount that a share is of; the day of the use the order itself.
       CASE WHEN l.subsidy_receipt_count = 0 AND l.match_pass IS NULL THEN u.unknown_dt
            WHEN l.subsidy_receipt_count = 0 AND g.unknown_dt IS NOT NULL THEN g.unknown_dt
            WHEN k.unknown_dt = l.paid_date AND l.match_pass <> 'claim' AND s.percent_of_discount IS NOT NULL
            THEN k.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
JOIN (SELECT stock_id,
             coupon_code,
             MAX(CASE WHEN is_live THEN receipt_date END) AS receipt_date,
             MAX(receipt_date) AS returned_receipt_date,
             MAX(CASE WHEN is_live THEN amount_fen END) AS largest_fen
      FROM receipts
      WHERE is_live OR is_paid
      GROUP BY stock_id, coupon_code) r ON r.stock_id = l.stock_id AND r.coupon_code = l.coupon_code
LEFT JOIN (SELECT stock_id, coupon_code, MAX(return_date) AS return_date
           FROM returns
           WHERE is_done
           GROUP BY stock_id, coupon_code) t ON t.stock_id = l.stock_id AND t.coupon_code = l.coupon_code
LEFT JOIN order_totals o ON o.out_trade_no = l.out_trade_no
LEFT JOIN subsidy_programs s ON s.stock_id = l.stock_id
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = l.paid_date
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u
  ON u.dt = CAST(l.used_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN gaps g
  ON g.dataset = CASE WHEN l.bill_paid_fen IS NULL THEN 'orders' ELSE 'orders and refunds' END
 AND g.dt = COALESCE(CAST(o.changed_date + INTERVAL '1' DAY AS DATE), GREATEST(p.lookback_start, l.paid_date))
WHERE l.subsidy_live_fen <> l.subsidy_expected_fen
  AND (l.subsidy_receipt_count > 0 OR l.order_live
       OR (l.match_pass IS NULL
           AND u.unknown_dt <= CAST(l.used_at + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)))
  AND NOT (l.subsidy_receipt_count >= 2 AND l.subsidy_live_fen > l.subsidy_expected_fen)
  AND NOT COALESCE(r.largest_fen > COALESCE(l.discount_fen, l.expected_discount_fen), FALSE)
