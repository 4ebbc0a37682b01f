-- id: AO02
-- title: A used coupon is associated with an unknown order
-- 标题: 券关联的订单不存在
-- severity: high
-- side: merchant
-- key: c
-- inputs: orders, user_coupons
-- action: Look the order number up in the till; correct the association (disassociate, associate again) or the order export.
-- 处理: 在收银系统中查该订单号；更正关联（解除后重新关联）或订单导出。
-- row: a coupon USED on D whose association names no order of the look-back, and which no order claims; where a bill has a payment of that number, the orders of its day are known, else those of the days around the use (without a day of use of all days), and exports or bill of the day before it
-- why: used on {day} and associated with order {order}, which no export of the look-back has; nearest order of the user that day: {near}
-- 原因: {day} 核销并关联订单 {order}，回溯期内的订单导出中没有该订单；该用户当日最接近的订单：{near}
SELECT l.stock_id AS stock_id,
       l.coupon_code AS coupon_code,
       l.openid AS openid,
       CASE WHEN l.stock_type = 'NORMAL' THEN COALESCE(l.discount_amount_fen, 0) ELSE 0 END AS at_risk_fen,
       'used on ' || COALESCE(CAST(l.used_date AS STRING), '(unknown day)') || ' and associated with order '
         || l.associate_out_trade_no || ', which no export of the look-back has; nearest order of the user that day: '
         || COALESCE(n.out_trade_no, 'none') AS why,
       l.used_date AS event_date,
       b.dt AS oldest_input_date,
       -- A coupon is associated before it is used (reference v3 §2.12): its order may be of an earlier day, which the bill tells.
       CASE WHEN y.trade_time IS NOT NULL
            THEN CASE WHEN h.unknown_dt <= CAST(y.trade_time + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
                      THEN h.unknown_dt END
            WHEN g.unknown_dt <= COALESCE(CAST(l.used_at + INTERVAL '8' HOUR + p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE),
                                      p.business_date)
            THEN g.unknown_dt
            WHEN e.unknown_dt < l.used_date THEN e.unknown_dt END AS unknown_date
FROM coupons l
CROSS JOIN params p
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'orders') k ON k.dt = l.used_date
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'orders') b
  ON b.dt = CAST(l.used_at + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') g ON g.dt = COALESCE(l.used_date, p.lookback_start)
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders and refunds') e
  ON e.dt = CAST(l.used_date - INTERVAL '1' DAY AS DATE)
LEFT JOIN (SELECT out_trade_no, MAX(trade_time) AS trade_time
           FROM bill_payments
           WHERE order_fen IS NOT NULL AND NOT is_revoked
           GROUP BY out_trade_no) y ON y.out_trade_no = l.associate_out_trade_no
LEFT JOIN (SELECT dt, unknown_dt FROM gaps WHERE dataset = 'orders') h
  ON h.dt = CAST(y.trade_time + INTERVAL '8' HOUR - p.use_time_tolerance_seconds * INTERVAL '1' SECOND AS DATE)
LEFT JOIN order_totals a ON a.out_trade_no = l.associate_out_trade_no
LEFT JOIN (SELECT openid, paid_date, MIN(out_trade_no) AS out_trade_no
           FROM order_totals
           WHERE is_paid
           GROUP BY openid, paid_date) n ON n.openid = l.openid AND n.paid_date = l.used_date
WHERE l.state_on_date = 'USED'
  AND (l.used_date IS NULL OR (k.dt IS NOT NULL AND b.dt IS NOT NULL))
  AND l.associate_out_trade_no IS NOT NULL
  AND a.out_trade_no IS NULL
  AND (l.match_pass IS NULL OR l.match_pass = 'use_request')
