-- id: SU03
-- title: The subsidy was paid more than once
-- 标题: 重复补差
-- severity: high
-- side: finance
-- key: c
-- inputs: subsidy_payments, user_coupons
-- action: Return the surplus receipt (subsidy/return-receipts).
-- 处理: 回退多付的补差单（subsidy/return-receipts）。
-- row: a coupon with two or more live receipts that sum up to more than the programme owes, or that no programme owes anything; where a share of a discount is owed, the orders around the use are known if its order is not, the export of the day of the payment where it may have the line that claims the coupon
-- why: {count} live receipts ({status}) of {paid} fen, owed: {owed} fen; first {first}, last {last}
-- 原因: {count} 笔有效补差回执（{status}）共 {paid} 分，应补 {owed} 分；最早 {first}，最晚 {last}
-- why: {count} live receipts ({status}) of {paid} fen, owed: nothing; first {first}, last {last}
-- 原因: {count} 笔有效补差回执（{status}）共 {paid} 分，无需补差；最早 {first}，最晚 {last}
-- why: {count} live receipts ({status}) of {paid} fen, owed: not known; first {first}, last {last}
-- 原因: {count} 笔有效补差回执（{status}）共 {paid} 分，订单未知，应补金额无法计算；最早 {first}，最晚 {last}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.out_trade_no AS out_trade_no,
       l.transaction_id AS transaction_id,
       l.subsidy_expected_fen AS expected_fen,
       l.subsidy_live_fen AS actual_fen,
       1 AS expected_count,
       l.subsidy_receipt_count AS actual_count,
       l.subsidy_live_fen - COALESCE(l.subsidy_expected_fen, 0) AS at_risk_fen,
       CAST(l.subsidy_receipt_count AS STRING) || ' live receipts (' || l.subsidy_status || ') of '
         || CAST(l.subsidy_live_fen AS STRING) || ' fen, owed: '
         || COALESCE(CAST(l.subsidy_expected_fen AS STRING) || ' fen',
                     CASE WHEN l.state_on_date = 'USED' AND g.stock_id IS NOT NULL THEN 'not known' ELSE 'nothing' END)
         || '; first '
         || r.first_no || ', last ' || r.last_no AS why,
       r.receipt_date AS event_date,
       CASE WHEN l.state_on_date = 'USED' AND g.percent_of_discount IS NOT NULL
            THEN CASE WHEN l.out_trade_no IS NULL
                           AND u.unknown_dt <= CAST(l.used_at + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
                      THEN u.unknown_dt
                      WHEN k.unknown_dt = l.paid_date AND l.match_pass <> 'claim' THEN k.unknown_dt END END AS unknown_date
FROM coupons l
CROSS JOIN params p
JOIN (SELECT stock_id, coupon_code, MAX(receipt_date) AS receipt_date,
             MIN(out_subsidy_no) AS first_no, MAX(out_subsidy_no) AS last_no
      FROM receipts
      WHERE is_live
      GROUP BY stock_id, coupon_code) r ON r.stock_id = l.stock_id AND r.coupon_code = l.coupon_code
LEFT JOIN subsidy_programs g ON g.stock_id = l.stock_id
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') u
  ON u.dt = CAST(l.used_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') k ON k.dt = l.paid_date
WHERE l.subsidy_receipt_count >= 2
  AND l.subsidy_live_fen > COALESCE(l.subsidy_expected_fen, 0)
