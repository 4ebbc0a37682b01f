-- Every rule the bench's merchant is judged by, over `ledger` (a view: the rows as they are joined, or the file just written) and the tables of
-- duckdb_ledger.sql. One pass finds the coupons that break a rule; what a rule has to know besides is asked for those alone.

CREATE TEMP TABLE stopped AS
SELECT DISTINCT stock_id FROM read_parquet('$lake/datasets/stocks/dt=*/part-0.parquet', hive_partitioning = true)
WHERE stock_state IN ('STOPED', 'PAUSED') AND dt < DATE '$date' AND dt > DATE '$date' - $lookback;

CREATE TEMP TABLE strange_coupon AS SELECT DISTINCT stock_id, coupon_code, true AS is_strange FROM strange;

CREATE TEMP TABLE judged AS
SELECT stock_id, openid, flags, hash(stock_id, openid) AS user_hash,
       CASE WHEN x.stock_id IS NOT NULL THEN received_at END AS received_at,
       CASE WHEN flags <> 0 THEN coupon_code END AS coupon_code, CASE WHEN flags <> 0 THEN out_trade_no END AS out_trade_no,
       CASE WHEN flags <> 0 THEN transaction_id END AS transaction_id,
       CASE WHEN flags <> 0 THEN associate_out_trade_no END AS associate_out_trade_no, CASE WHEN flags <> 0 THEN match_pass END AS match_pass,
       CASE WHEN flags <> 0 THEN used_at END AS used_at, CASE WHEN flags <> 0 THEN returned_at END AS returned_at,
       CASE WHEN flags <> 0 THEN refunded_at END AS refunded_at, CASE WHEN flags <> 0 THEN order_paid_at END AS paid_at,
       CASE WHEN flags <> 0 THEN claim_count END AS claim_count,
       CASE WHEN flags <> 0 THEN discount_fen END AS discount_fen, CASE WHEN flags <> 0 THEN goods_fen END AS goods_fen,
       CASE WHEN flags <> 0 THEN expected_discount_fen END AS expected_discount_fen,
       CASE WHEN flags <> 0 THEN transaction_minimum_fen END AS transaction_minimum_fen,
       CASE WHEN flags <> 0 THEN subsidy_expected_fen END AS subsidy_expected_fen,
       CASE WHEN flags <> 0 THEN subsidy_live_fen END AS subsidy_live_fen, CASE WHEN flags <> 0 THEN subsidy_paid_fen END AS subsidy_paid_fen,
       CASE WHEN flags <> 0 THEN subsidy_returned_fen END AS subsidy_returned_fen,
       CASE WHEN flags <> 0 THEN subsidy_receipt_count END AS subsidy_receipt_count,
       CASE WHEN flags <> 0 THEN subsidy_due_date END AS subsidy_due_date
FROM (SELECT *,
        CASE WHEN state_on_date = 'USED' AND match_pass IS NULL AND used_at IS NOT NULL THEN 1 ELSE 0 END
      | CASE WHEN state_on_date = 'USED' AND associate_out_trade_no IS NOT NULL AND (match_pass IS NULL OR match_pass = 'use_request')
             THEN 2 ELSE 0 END
      | CASE WHEN match_pass = 'claim' AND claim_count = 1 AND coupon_state IS NOT NULL AND state_on_date <> 'USED' AND returned_at IS NULL
             THEN 4 ELSE 0 END
      | CASE WHEN match_pass = 'claim' AND claim_count = 1 AND coupon_state IS NULL AND asked_date IS NOT NULL THEN 8 ELSE 0 END
      | CASE WHEN match_pass = 'claim' AND claim_count = 1 AND associate_out_trade_no <> out_trade_no THEN 16 ELSE 0 END
      | CASE WHEN match_pass = 'ambiguous' THEN 32 ELSE 0 END
      | CASE WHEN order_live AND abs(discount_fen - expected_discount_fen) > CASE WHEN stock_type = 'DISCOUNT' THEN 1 ELSE 0 END
             THEN 64 ELSE 0 END
      | CASE WHEN order_live AND goods_fen < transaction_minimum_fen THEN 128 ELSE 0 END
      | CASE WHEN state_on_date = 'USED' AND (match_pass IS NULL OR match_pass <> 'ambiguous')
                  AND (used_at < available_start_at OR used_at > expire_at) THEN 256 ELSE 0 END
      | CASE WHEN order_live AND openid <> order_openid THEN 512 ELSE 0 END
      | CASE WHEN order_live AND belong_merchant <> order_merchant THEN 1024 ELSE 0 END
      | CASE WHEN order_live AND state_on_date = 'USED' AND abs(used_after_paid_seconds) > 600 THEN 2048 ELSE 0 END
      | CASE WHEN order_fully_refunded AND state_on_date = 'USED' AND refunded_at IS NOT NULL
                  AND (expire_at IS NULL OR refunded_at <= expire_at) THEN 4096 ELSE 0 END
      | CASE WHEN returned_at IS NOT NULL AND state_on_date <> 'USED' AND out_trade_no IS NOT NULL AND coalesce(order_refund_fen, 0) = 0
                  AND coalesce(refund_fen, 0) = 0 THEN 8192 ELSE 0 END
      | CASE WHEN subsidy_expected_fen > 0 AND order_live AND subsidy_status IS NULL THEN 16384 ELSE 0 END
      | CASE WHEN subsidy_receipt_count > 0 AND subsidy_live_fen <> subsidy_expected_fen
                  AND NOT (subsidy_receipt_count >= 2 AND subsidy_live_fen > subsidy_expected_fen) THEN 32768 ELSE 0 END
      | CASE WHEN subsidy_receipt_count >= 2 AND subsidy_live_fen > coalesce(subsidy_expected_fen, 0) THEN 65536 ELSE 0 END
      | CASE WHEN subsidy_receipt_count > 0 AND state_on_date <> 'USED' AND returned_at IS NULL THEN 131072 ELSE 0 END
      | CASE WHEN order_fully_refunded AND subsidy_paid_fen > coalesce(subsidy_returned_fen, 0) THEN 262144 ELSE 0 END
      | CASE WHEN subsidy_live_fen > coalesce(discount_fen, expected_discount_fen) THEN 524288 ELSE 0 END
      | CASE WHEN is_strange THEN 1048576 ELSE 0 END AS flags
      FROM ledger LEFT JOIN strange_coupon USING (stock_id, coupon_code)) l
LEFT JOIN stopped x USING (stock_id);

CREATE TEMP TABLE suspect AS
SELECT *, business_day(used_at) AS used_day, business_day(paid_at) AS paid_day, business_day(returned_at) AS returned_day,
       business_day(refunded_at) AS refunded_day
FROM judged WHERE flags <> 0;

-- Numbers an association names, where it matters.
CREATE TEMP TABLE named_order AS
SELECT out_trade_no FROM book WHERE out_trade_no IN (SELECT associate_out_trade_no FROM suspect WHERE flags & 3 <> 0);

CREATE TEMP TABLE suspect_receipt AS
SELECT r.*, s.flags, s.discount_fen, s.expected_discount_fen, s.transaction_id AS order_transaction, s.used_day
FROM receipt r JOIN suspect s ON s.stock_id = r.stock_id AND s.coupon_code = r.coupon_code;

CREATE TEMP TABLE largest AS
SELECT stock_id, coupon_code, max(amount_fen) AS fen FROM suspect_receipt WHERE is_live GROUP BY stock_id, coupon_code;

CREATE TEMP TABLE under_way AS
SELECT stock_id, coupon_code FROM suspect_receipt WHERE status = 'RETURNING'
UNION SELECT stock_id, coupon_code FROM giving_back WHERE state NOT IN ('SUCCESS', 'FAIL');

CREATE TEMP TABLE first_day AS SELECT min(dt) AS day FROM known WHERE dataset = 'orders';

CREATE TEMP VIEW wechat_order AS
SELECT * FROM book
WHERE out_trade_no IS NOT NULL
  AND (bill_id IS NOT NULL OR merchant IS NULL OR merchant IN (SELECT merchant FROM billed_merchant WHERE merchant IS NOT NULL));

CREATE TEMP TABLE break AS
WITH found (rule_id, event, stock_id, coupon_code, openid, out_trade_no, transaction_id, out_subsidy_no, expected_fen, actual_fen) AS (
SELECT 'AO01', used_day, stock_id, coupon_code, NULL, NULL, NULL, NULL, NULL::BIGINT, NULL::BIGINT FROM suspect
WHERE flags & 1 <> 0 AND (associate_out_trade_no IS NULL OR associate_out_trade_no IN (FROM named_order))
UNION ALL
SELECT 'AO02', used_day, stock_id, coupon_code, NULL, NULL, NULL, NULL, NULL, NULL FROM suspect
WHERE flags & 2 <> 0 AND associate_out_trade_no NOT IN (FROM named_order)
UNION ALL
SELECT 'AO03', paid_day, stock_id, coupon_code, NULL, out_trade_no, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 4 <> 0
UNION ALL
SELECT 'AO04', paid_day, stock_id, coupon_code, NULL, out_trade_no, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 8 <> 0
UNION ALL
SELECT 'AO05', paid_day, stock_id, coupon_code, NULL, NULL, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 16 <> 0
UNION ALL
SELECT 'AO06', (SELECT business_day(max(c.paid_at)) FROM claims_of_odd c WHERE NOT c.is_full AND c.stock_id = s.stock_id AND c.coupon_code = s.coupon_code),
       stock_id, coupon_code, NULL, NULL, NULL, NULL, NULL, NULL FROM suspect s WHERE flags & 32 <> 0
UNION ALL
-- AO07: the merchant lists no stock that must be associated.
SELECT 'AO08', paid_day, stock_id, coupon_code, NULL, out_trade_no, NULL, NULL, expected_discount_fen, discount_fen FROM suspect
WHERE flags & 64 <> 0
UNION ALL
SELECT 'AO09', paid_day, stock_id, coupon_code, NULL, out_trade_no, NULL, NULL, transaction_minimum_fen, goods_fen FROM suspect
WHERE flags & 128 <> 0
UNION ALL
SELECT 'AO10', used_day, stock_id, coupon_code, NULL, NULL, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 256 <> 0
UNION ALL
SELECT 'AO11', paid_day, stock_id, coupon_code, NULL, out_trade_no, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 512 <> 0
UNION ALL
SELECT 'AO12', paid_day, stock_id, coupon_code, NULL, out_trade_no, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 1024 <> 0
UNION ALL
SELECT 'AO13', paid_day, stock_id, coupon_code, NULL, out_trade_no, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 2048 <> 0
UNION ALL
SELECT 'AO14', refunded_day, stock_id, coupon_code, NULL, NULL, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 4096 <> 0
UNION ALL
SELECT 'AO15', returned_day, stock_id, coupon_code, NULL, NULL, NULL, NULL, NULL, NULL FROM suspect WHERE flags & 8192 <> 0
UNION ALL
SELECT 'AO16', business_day(max(b.paid_at)), NULL, NULL, NULL, out_trade_no, NULL, NULL, NULL, NULL
FROM odd_line l JOIN book b USING (out_trade_no)
WHERE l.coupon_code <> '' AND b.paid_at IS NOT NULL AND NOT is_full(b.paid_fen, b.refund_fen, b.bill_refund_fen)
GROUP BY out_trade_no HAVING count(*) > 1
UNION ALL
SELECT 'PM01', bill_day, NULL, NULL, NULL, out_trade_no, NULL, NULL, paid_fen, bill_fen FROM book
WHERE bill_fen <> paid_fen AND NOT coalesce(is_revoked, false)
UNION ALL
SELECT 'PM02', business_day(paid_at), NULL, NULL, NULL, out_trade_no, NULL, NULL, paid_fen, 0 FROM wechat_order
WHERE bill_id IS NULL AND paid_fen > 0 AND paid_at IS NOT NULL AND NOT is_full(paid_fen, refund_fen, bill_refund_fen)
  AND business_day(paid_at) IN (SELECT dt FROM known WHERE dataset = 'payments')
UNION ALL
SELECT 'PM03', bill_day, NULL, NULL, NULL, NULL, bill_id, NULL, 0, bill_fen FROM book
WHERE out_trade_no IS NULL AND bill_fen IS NOT NULL AND NOT is_revoked
  AND bill_day IN (SELECT dt FROM known WHERE dataset = 'orders')
  AND bill_number NOT IN (SELECT out_trade_no FROM book WHERE out_trade_no IN (SELECT bill_number FROM book WHERE out_trade_no IS NULL))
UNION ALL
SELECT 'PM04', business_day(coalesce(bill_refunded_at, paid_at)), NULL, NULL, NULL, out_trade_no, NULL, NULL, refund_fen, coalesce(bill_refund_fen, 0)
FROM wechat_order
WHERE refund_fen <> coalesce(bill_refund_fen, 0) AND business_day(paid_at) IN (SELECT dt FROM known WHERE dataset = 'payments')
  AND changed IN (SELECT dt FROM known WHERE dataset = 'refunds') AND business_day(paid_at) >= (SELECT day FROM first_day)
UNION ALL
-- SU01: the merchant keeps no subsidy ledger.
SELECT 'SU01', subsidy_due_date, stock_id, coupon_code, NULL, NULL, NULL, NULL, subsidy_expected_fen, 0 FROM suspect WHERE flags & 16384 <> 0
UNION ALL
SELECT 'SU02', NULL, stock_id, coupon_code, NULL, NULL, NULL, NULL, subsidy_expected_fen, subsidy_live_fen
FROM suspect s JOIN largest g USING (stock_id, coupon_code)
WHERE flags & 32768 <> 0 AND NOT coalesce(g.fen > coalesce(discount_fen, expected_discount_fen), false)
UNION ALL
SELECT 'SU03', NULL, stock_id, coupon_code, NULL, NULL, NULL, NULL, subsidy_expected_fen, subsidy_live_fen FROM suspect WHERE flags & 65536 <> 0
UNION ALL
SELECT 'SU04', NULL, NULL, NULL, NULL, NULL, NULL, out_subsidy_no, 0, amount_fen FROM suspect_receipt WHERE flags & 131072 <> 0 AND is_live
UNION ALL
SELECT 'SU05', business_day(r.create_time), NULL, NULL, NULL, NULL, NULL, r.out_subsidy_no, 0, r.amount_fen
FROM strange r JOIN suspect_receipt s ON s.out_subsidy_no = r.out_subsidy_no
WHERE (s.order_transaction IS NULL OR s.order_transaction <> r.transaction_id)
  AND (s.used_day IS NULL OR s.used_day >= (SELECT day FROM first_day))
UNION ALL
SELECT 'SU06', business_day(create_time), NULL, NULL, NULL, NULL, NULL, out_subsidy_no, NULL, NULL FROM receipt r
WHERE status <> 'FAIL' AND stock_id IN (SELECT stock_id FROM program)
  AND NOT EXISTS (SELECT 1 FROM program g WHERE g.stock_id = r.stock_id AND g.payer = r.payer_merchant AND g.payee = r.payee_merchant)
UNION ALL
SELECT 'SU07', NULL, stock_id, coupon_code, NULL, NULL, NULL, NULL, subsidy_paid_fen, coalesce(subsidy_returned_fen, 0)
FROM suspect ANTI JOIN under_way USING (stock_id, coupon_code) WHERE flags & 262144 <> 0
UNION ALL
SELECT 'SU08', NULL, NULL, NULL, NULL, NULL, NULL, r.out_subsidy_no, NULL, NULL
FROM receipt r JOIN (SELECT subsidy_receipt_id, sum(amount_fen) AS fen FROM giving_back WHERE state = 'SUCCESS' GROUP BY ALL) t
  ON t.subsidy_receipt_id = r.subsidy_receipt_id
WHERE t.fen > CASE WHEN r.status IN ('SUCCESS', 'RETURNING', 'PARTIAL_RETURN', 'FULL_RETURN') THEN r.amount_fen ELSE 0 END
UNION ALL
SELECT 'SU09', business_day(create_time), NULL, NULL, NULL, NULL, NULL, out_subsidy_no, NULL, NULL FROM receipt
WHERE status = 'ACCEPTED' AND create_time < TIMESTAMPTZ '$night' - INTERVAL 24 HOUR
UNION ALL
SELECT 'SU09', NULL, NULL, NULL, NULL, NULL, NULL, r.out_subsidy_no, NULL, NULL
FROM receipt r JOIN (SELECT subsidy_receipt_id, min(return_create_time) AS began FROM giving_back
                     WHERE state NOT IN ('SUCCESS', 'FAIL') GROUP BY ALL) f ON f.subsidy_receipt_id = r.subsidy_receipt_id
WHERE r.status = 'RETURNING' AND f.began < TIMESTAMPTZ '$night' - INTERVAL 24 HOUR
UNION ALL
SELECT 'SU10', business_day(r.create_time), NULL, NULL, NULL, NULL, NULL, r.out_subsidy_no, r.amount_fen, 0 FROM receipt r
WHERE r.status = 'FAIL' AND NOT EXISTS (SELECT 1 FROM receipt l WHERE l.is_live AND l.stock_id = r.stock_id
                                          AND l.coupon_code = r.coupon_code AND l.create_time > r.create_time)
UNION ALL
SELECT 'SU13', NULL, NULL, NULL, NULL, NULL, NULL, out_subsidy_no, coalesce(discount_fen, expected_discount_fen), amount_fen
FROM suspect_receipt
WHERE flags & 524288 <> 0 AND is_live AND amount_fen > coalesce(discount_fen, expected_discount_fen)
UNION ALL
-- More rows than coupons may be of a stock: only where there are enough rows at all are coupons counted.
SELECT 'ST01', NULL, stock_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM (SELECT stock_id, coupon_code FROM wallet WHERE stock_id IN (
        SELECT stock_id FROM (SELECT stock_id, count(*) AS n FROM (
            SELECT stock_id FROM wallet_file
            UNION ALL SELECT stock_id FROM read_parquet('$lake/datasets/coupon_codes/dt=$date/part-0.parquet')) GROUP BY stock_id)
        JOIN stock USING (stock_id) WHERE n > total_send_num)
      UNION
      SELECT stock_id, coupon_code FROM read_parquet('$lake/datasets/coupon_codes/dt=$date/part-0.parquet')
      WHERE (code_status = 'DISPATCHED' OR dispatched_time IS NOT NULL)
        AND (dispatched_time IS NULL OR dispatched_time < TIMESTAMPTZ '$night'))
JOIN stock USING (stock_id) GROUP BY stock_id HAVING count(*) > max(total_send_num)
UNION ALL
SELECT 'ST02', NULL, stock_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM stock WHERE total_send_num > max_coupons
UNION ALL
SELECT 'ST03', NULL, stock_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM stock LEFT JOIN (SELECT stock_id, count(*) AS n FROM read_parquet('$lake/datasets/coupon_codes/dt=$date/part-0.parquet')
                      WHERE code_status = 'DISPATCHED' GROUP BY stock_id) c USING (stock_id)
WHERE total_count - available_count <> coalesce(n, 0)
UNION ALL
SELECT 'ST04', NULL, stock_id, NULL, openid, NULL, NULL, NULL, NULL, NULL
FROM judged JOIN stock USING (stock_id)
WHERE openid IS NOT NULL
  AND user_hash IN (SELECT user_hash FROM judged GROUP BY user_hash
                    HAVING count(*) > (SELECT min(max_coupons_per_user) FROM stock WHERE max_coupons_per_user > 0))
GROUP BY stock_id, openid HAVING count(*) > max(CASE WHEN max_coupons_per_user > 0 THEN max_coupons_per_user END)
UNION ALL
SELECT 'ST05', NULL, stock_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM (SELECT c.stock_id, c.day, max(h.dt) AS since
      FROM (SELECT stock_id, business_day(received_at) AS day FROM judged WHERE received_at IS NOT NULL GROUP BY ALL) c
      JOIN read_parquet('$lake/datasets/stocks/dt=*/part-0.parquet', hive_partitioning = true) h
        ON h.stock_id = c.stock_id AND h.dt < c.day
      GROUP BY ALL) c
JOIN read_parquet('$lake/datasets/stocks/dt=*/part-0.parquet', hive_partitioning = true) b USING (stock_id)
LEFT JOIN read_parquet('$lake/datasets/stocks/dt=*/part-0.parquet', hive_partitioning = true) a ON a.stock_id = c.stock_id AND a.dt = c.day
WHERE b.dt = c.since AND b.stock_state IN ('STOPED', 'PAUSED') AND coalesce(a.stock_state, b.stock_state) IN ('STOPED', 'PAUSED')
GROUP BY stock_id
UNION ALL
SELECT 'V201', NULL, coupon_stock_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM read_parquet('$lake/datasets/v2_stocks/dt=$date/part-0.parquet') WHERE is_send_num > coupon_total
UNION ALL
SELECT 'V202', NULL, coupon_stock_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM read_parquet('$lake/datasets/v2_stocks/dt=$date/part-0.parquet') WHERE coupon_budget_fen <> coupon_value_fen * coupon_total
)
SELECT rule_id, stock_id, coupon_code, openid, out_trade_no, transaction_id, out_subsidy_no, expected_fen, actual_fen,
       left(sha256(concat_ws(chr(10), rule_id, coalesce(stock_id, ''), coalesce(coupon_code, ''), coalesce(openid, ''),
                             coalesce(out_trade_no, ''), coalesce(transaction_id, ''), coalesce(out_subsidy_no, ''), '', '', '')), 16) AS break_id
FROM found WHERE event IS NULL OR event >= (SELECT day FROM first_day) OR rule_id IN ('ST01', 'ST02', 'ST03', 'ST04', 'ST05');

COPY (FROM break ORDER BY break_id) TO '$breaks' (FORMAT parquet, COMPRESSION zstd);
