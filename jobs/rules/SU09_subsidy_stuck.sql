-- id: SU09
-- title: A subsidy is stuck
-- 标题: 补差长时间处理中
-- severity: medium
-- side: finance
-- key: s
-- inputs: subsidy_payments, subsidy_returns?
-- action: Query the receipt; ask WeChat Pay if its status does not change.
-- 处理: 查询补差单；长时间不变则询问微信支付。
-- row: a receipt ACCEPTED, or RETURNING, for longer than rules.stuck_hours at the end of D
-- why: {status} since {day}, {fen} fen
-- 原因: 自 {day} 起一直为 {status}，{fen} 分
SELECT r.out_subsidy_no AS out_subsidy_no,
       r.subsidy_receipt_id AS subsidy_receipt_id,
       r.stock_id AS stock_id,
       r.coupon_code AS coupon_code,
       r.transaction_id AS transaction_id,
       r.amount_fen AS at_risk_fen,
       r.status || ' since '
         || COALESCE(CAST(CASE WHEN r.status = 'ACCEPTED' THEN r.receipt_date
                               ELSE COALESCE(f.return_date, h.first_dt) END AS STRING), '(unknown day)')
         || ', ' || CAST(r.amount_fen AS STRING) || ' fen' AS why,
       CASE WHEN r.status = 'ACCEPTED' THEN r.receipt_date ELSE COALESCE(f.return_date, h.first_dt) END AS event_date
FROM receipts r
CROSS JOIN params p
LEFT JOIN (SELECT subsidy_receipt_id,
                  MIN(return_create_time) AS began_at,
                  MIN(return_date) AS return_date
           FROM returns
           WHERE is_in_flight
           GROUP BY subsidy_receipt_id) f ON f.subsidy_receipt_id = r.subsidy_receipt_id
LEFT JOIN (SELECT n.out_subsidy_no AS out_subsidy_no, MIN(n.dt) AS first_dt
           FROM subsidy_payments_history n
           LEFT JOIN (SELECT o.out_subsidy_no AS out_subsidy_no, MAX(o.dt) AS last_dt
                      FROM subsidy_payments_history o
                      JOIN subsidy_payments t ON t.out_subsidy_no = o.out_subsidy_no
                      WHERE t.status = 'RETURNING'
                        AND COALESCE(o.status, '') <> 'RETURNING'
                      GROUP BY o.out_subsidy_no) e ON e.out_subsidy_no = n.out_subsidy_no
           WHERE n.status = 'RETURNING'
             AND (e.last_dt IS NULL OR n.dt > e.last_dt)
           GROUP BY n.out_subsidy_no) h ON h.out_subsidy_no = r.out_subsidy_no
WHERE (r.status = 'ACCEPTED' AND r.create_time < p.stuck_before_at)
   OR (r.status = 'RETURNING' AND f.began_at < p.stuck_before_at)
   OR (r.status = 'RETURNING' AND f.began_at IS NULL
       AND h.first_dt < CAST(p.stuck_before_at + INTERVAL '8' HOUR AS DATE))
