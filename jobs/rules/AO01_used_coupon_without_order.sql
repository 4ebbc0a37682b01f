-- id: AO01
-- title: A used coupon has no order
-- 标题: 已核销的券找不到订单
-- severity: high
-- side: merchant
-- key: c
-- inputs: orders, user_coupons
-- action: Find the order in the till by user and time, or have the store explain the redemption; correct the order export.
-- 处理: 按用户和时间在收银系统中查找订单，或请门店说明核销原因；更正订单导出。
-- row: a coupon that was USED on D and no pass finds a paid order, the orders of the day it was used on being known, those of the day before or after too within tolerance.use_time_minutes of midnight (AO02 reports it when its association names an unknown order)
-- why: used on {day} under request {no}, no order claims it; nearest order of the user that day: {order}
-- 原因: {day} 核销，核销请求单号 {no}，没有订单使用该券；该用户当日最接近的订单：{order}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       l.coupon_discount_fen AS at_risk_fen,
       'used on ' || CAST(l.used_date AS STRING) || ' under request ' || COALESCE(l.use_request_no, '(none)')
         || ', no order claims it; nearest order of the user that day: ' || COALESCE(n.out_trade_no, 'none') AS why,
       l.used_date AS event_date,
       b.dt AS oldest_input_date,
       CASE WHEN g.unknown_dt <= CAST(l.used_at + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
            THEN g.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
JOIN known_days k ON k.dt = l.used_date
JOIN known_days b ON b.dt = CAST(l.used_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') g ON g.dt = l.used_date
LEFT JOIN order_totals a ON a.out_trade_no = l.associate_out_trade_no
LEFT JOIN (SELECT openid, paid_date, MIN(out_trade_no) AS out_trade_no
           FROM order_totals
           WHERE is_paid
           GROUP BY openid, paid_date) n ON n.openid = l.openid AND n.paid_date = l.used_date
WHERE k.dataset = 'orders'
  AND b.dataset = 'orders'
  AND l.state_on_date = 'USED'
  AND l.match_pass IS NULL
  AND l.used_at IS NOT NULL
  AND (l.associate_out_trade_no IS NULL OR a.out_trade_no IS NOT NULL)
