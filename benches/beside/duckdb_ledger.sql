-- One night of a merchant by DuckDB: the ledger of one row per coupon, every side joined. Takes the same partitions and gives
-- the same rows as the program; a second file judges them.
--
-- $lake, $date, $previous (the latest ledger before), $lookback, $night (the first instant after the date) and $programs (VALUES of stock,
-- payer, payee, amount, percent, due days) are put in by duckdb_night.py.
--
-- What repeats is rare, so what repeats is found first by a 64-bit hash of the key (GROUP BY of integers), and only those rows are grouped
-- by their texts; all others are taken as they stand. That is exact, and half the time of grouping everything.

CREATE TEMP TABLE program AS SELECT * FROM (VALUES $programs) AS t (stock_id, payer, payee, amount_fen, percent, due_days);

CREATE TEMP TABLE known AS
SELECT split_part(file, '/', -3) AS dataset, substr(split_part(file, '/', -2), 4)::DATE AS dt
FROM glob('$lake/datasets/*/dt=*/part-0.parquet')
WHERE dt <= DATE '$date' AND dt > DATE '$date' - $lookback;

-- ── Orders: the latest file of a line counts, an order is the sum over its lines ──

CREATE TEMP VIEW order_file AS
SELECT * FROM read_parquet('$lake/datasets/orders/dt=*/part-0.parquet', hive_partitioning = true)
WHERE dt <= DATE '$date' AND dt > DATE '$date' - $lookback;

CREATE TEMP TABLE odd_number AS SELECT hash(out_trade_no) AS h FROM order_file GROUP BY h HAVING count(*) > 1;

CREATE TEMP TABLE odd_line AS
SELECT * FROM order_file WHERE hash(out_trade_no) IN (FROM odd_number)
QUALIFY dt = max(dt) OVER (PARTITION BY out_trade_no, stock_id, coupon_code);

CREATE TEMP VIEW one_order AS
SELECT out_trade_no, transaction_id, merchant, openid, channel, source_file, paid_at, dt AS changed, goods_fen, discount_fen, paid_fen,
       refund_fen, stock_id, coupon_code
FROM order_file ANTI JOIN odd_number ON hash(out_trade_no) = h
UNION ALL
SELECT out_trade_no, max(transaction_id), max(merchant), max(openid), max(channel), max(source_file), max(paid_at), max(dt),
       sum(goods_fen)::BIGINT, sum(discount_fen)::BIGINT, sum(paid_fen)::BIGINT, sum(refund_fen)::BIGINT, NULL, NULL
FROM odd_line GROUP BY out_trade_no;

-- ── The bills ──

CREATE TEMP VIEW payment_file AS
SELECT * FROM read_parquet('$lake/datasets/payments/dt=*/part-0.parquet', hive_partitioning = true)
WHERE dt <= DATE '$date' AND dt > DATE '$date' - $lookback;

CREATE TEMP TABLE odd_payment AS SELECT hash(transaction_id) AS h FROM payment_file GROUP BY h HAVING count(*) > 1;

CREATE TEMP VIEW one_payment AS
SELECT transaction_id, out_trade_no, CASE WHEN trade_state = 'SUCCESS' THEN order_fen END AS order_fen, dt,
       trade_state = 'REVOKED' AS is_revoked
FROM payment_file ANTI JOIN odd_payment ON hash(transaction_id) = h
UNION ALL
SELECT transaction_id, max(out_trade_no), max(CASE WHEN trade_state = 'SUCCESS' THEN order_fen END), min(dt),
       bool_or(trade_state = 'REVOKED')
FROM payment_file WHERE hash(transaction_id) IN (FROM odd_payment) GROUP BY transaction_id;

CREATE TEMP TABLE billed_merchant AS
SELECT mchid AS merchant FROM payment_file UNION SELECT sub_mchid FROM payment_file;

CREATE TEMP TABLE refund AS
SELECT transaction_id, max(out_trade_no) AS out_trade_no, sum(fen)::BIGINT AS fen, count(*) AS n, max(accepted_time) AS last_at,
       max(dt) AS dt
FROM (SELECT max(transaction_id) AS transaction_id, max(out_trade_no) AS out_trade_no, max(applied_refund_fen) AS fen,
             max(accepted_time) AS accepted_time, max(dt) AS dt
      FROM read_parquet('$lake/datasets/refunds/dt=*/part-0.parquet', hive_partitioning = true)
      WHERE dt <= DATE '$date' AND dt > DATE '$date' - $lookback
      GROUP BY refund_id HAVING NOT bool_or(coalesce(refund_status = 'FAIL', false)))
GROUP BY transaction_id;

CREATE TEMP TABLE refund_of_number AS
SELECT out_trade_no, sum(fen)::BIGINT AS fen, sum(n)::BIGINT AS n, max(last_at) AS last_at, max(dt) AS dt FROM refund GROUP BY out_trade_no;

-- Orders beside payments by the transaction; who has no partner stands alone.
CREATE TEMP TABLE book AS
SELECT o.*, p.transaction_id AS bill_id, nullif(p.out_trade_no, o.out_trade_no) AS bill_number, p.order_fen AS bill_fen,
       p.dt AS bill_day, p.is_revoked AS is_revoked, coalesce(t.fen, n.fen) AS bill_refund_fen, coalesce(t.n, n.n, 0) AS bill_refund_count,
       coalesce(t.last_at, n.last_at) AS bill_refunded_at
FROM one_order o
FULL JOIN one_payment p ON p.transaction_id = o.transaction_id
LEFT JOIN refund t ON t.transaction_id = o.transaction_id
LEFT JOIN refund_of_number n ON n.out_trade_no = o.out_trade_no;

-- The second key only where the first found nothing.
CREATE TEMP TABLE by_number AS
SELECT coalesce(bill_number, out_trade_no) AS number, max(bill_id) AS bill_id, max(bill_fen) AS bill_fen, max(bill_day) AS bill_day,
       bool_and(is_revoked) AS is_revoked
FROM book
WHERE bill_id IS NOT NULL
  AND coalesce(bill_number, out_trade_no) IN (SELECT out_trade_no FROM book WHERE out_trade_no IS NOT NULL AND bill_fen IS NULL)
GROUP BY number;

UPDATE book SET bill_id = coalesce(book.bill_id, n.bill_id), bill_fen = n.bill_fen, bill_day = coalesce(book.bill_day, n.bill_day),
                is_revoked = coalesce(book.is_revoked, n.is_revoked)
FROM by_number n WHERE n.number = book.out_trade_no AND book.bill_fen IS NULL;

CREATE TEMP MACRO is_full(paid, refund, bill_refund) AS paid > 0 AND greatest(refund, coalesce(bill_refund, 0)) >= paid;

-- ── Which order a coupon was used on: claim, association, use request ──

CREATE TEMP VIEW claim_line AS
SELECT stock_id, coupon_code, goods_fen, discount_fen, paid_fen, out_trade_no, transaction_id, openid, merchant, paid_at,
       is_full(paid_fen, refund_fen, bill_refund_fen) AS is_full, refund_fen AS order_refund_fen, bill_fen, bill_refund_fen, bill_refund_count,
       bill_refunded_at
FROM book WHERE stock_id <> '' AND coupon_code <> '' AND paid_at IS NOT NULL
UNION ALL
SELECT l.stock_id, l.coupon_code, l.goods_fen, l.discount_fen, l.paid_fen, b.out_trade_no, b.transaction_id, b.openid, b.merchant,
       b.paid_at, is_full(b.paid_fen, b.refund_fen, b.bill_refund_fen), b.refund_fen, b.bill_fen, b.bill_refund_fen, b.bill_refund_count,
       b.bill_refunded_at
FROM odd_line l JOIN book b ON b.out_trade_no = l.out_trade_no
WHERE l.stock_id <> '' AND l.coupon_code <> '' AND b.paid_at IS NOT NULL;

CREATE TEMP TABLE odd_claim AS SELECT hash(stock_id, coupon_code) AS h FROM claim_line GROUP BY h HAVING count(*) > 1;

CREATE TEMP TABLE claims_of_odd AS
SELECT * FROM claim_line WHERE hash(stock_id, coupon_code) IN (FROM odd_claim);

CREATE TEMP VIEW claim AS
SELECT 'claim' AS match_pass, (NOT is_full)::BIGINT AS claim_count, c.*
FROM claim_line c ANTI JOIN odd_claim ON hash(stock_id, coupon_code) = h
UNION ALL
SELECT CASE WHEN live > 1 THEN 'ambiguous' ELSE 'claim' END, live, stock_id, coupon_code,
       CASE WHEN live < 2 THEN goods_fen END, CASE WHEN live < 2 THEN discount_fen END, CASE WHEN live < 2 THEN paid_fen END,
       CASE WHEN live < 2 THEN out_trade_no END, CASE WHEN live < 2 THEN transaction_id END, CASE WHEN live < 2 THEN openid END,
       CASE WHEN live < 2 THEN merchant END, CASE WHEN live < 2 THEN paid_at END, CASE WHEN live < 2 THEN is_full END,
       CASE WHEN live < 2 THEN order_refund_fen END, CASE WHEN live < 2 THEN bill_fen END, CASE WHEN live < 2 THEN bill_refund_fen END,
       CASE WHEN live < 2 THEN bill_refund_count ELSE 0 END, CASE WHEN live < 2 THEN bill_refunded_at END
FROM (SELECT *, count(*) FILTER (WHERE NOT is_full) OVER (PARTITION BY stock_id, coupon_code) AS live
      FROM claims_of_odd
      QUALIFY row_number() OVER (PARTITION BY stock_id, coupon_code ORDER BY is_full, paid_at DESC, out_trade_no DESC) = 1);

CREATE TEMP VIEW wallet_file AS
SELECT * FROM read_parquet('$lake/datasets/user_coupons/dt=$date/part-0.parquet')
WHERE receive_time IS NULL OR receive_time < TIMESTAMPTZ '$night';

CREATE TEMP TABLE odd_wallet AS SELECT hash(stock_id, coupon_code) AS h FROM wallet_file GROUP BY h HAVING count(*) > 1;

CREATE TEMP VIEW wallet AS
SELECT * FROM wallet_file ANTI JOIN odd_wallet ON hash(stock_id, coupon_code) = h
UNION ALL
SELECT * FROM wallet_file WHERE hash(stock_id, coupon_code) IN (FROM odd_wallet)
QUALIFY row_number() OVER (PARTITION BY stock_id, coupon_code ORDER BY verified_date DESC, receive_time DESC NULLS LAST, openid) = 1;

CREATE TEMP VIEW previous AS
SELECT * FROM read_parquet('$lake/datasets/coupon_ledger/dt=$previous/part-0.parquet');

-- Coupons that no order claims and that were used or had an order yesterday: few, so the other passes only see those.
CREATE TEMP TABLE unclaimed AS
SELECT w.stock_id, w.coupon_code, w.use_time, w.return_time, w.associate_out_trade_no, w.use_request_no
FROM wallet w ANTI JOIN claim_line c ON c.stock_id = w.stock_id AND c.coupon_code = w.coupon_code
WHERE w.associate_out_trade_no IS NOT NULL OR w.use_request_no IS NOT NULL;

CREATE TEMP TABLE had_order AS
SELECT m.stock_id, m.coupon_code, m.out_trade_no, m.used_at, m.associate_out_trade_no, m.use_request_no
FROM previous m ANTI JOIN claim_line c ON c.stock_id = m.stock_id AND c.coupon_code = m.coupon_code
WHERE m.out_trade_no IS NOT NULL OR m.associate_out_trade_no IS NOT NULL OR m.use_request_no IS NOT NULL;

CREATE TEMP TABLE trace AS
SELECT coalesce(w.stock_id, m.stock_id) AS stock_id, coalesce(w.coupon_code, m.coupon_code) AS coupon_code, m.out_trade_no AS yesterday,
       coalesce(CASE WHEN NOT coalesce(w.use_time >= TIMESTAMPTZ '$night', false) THEN w.associate_out_trade_no END,
                CASE WHEN w.stock_id IS NULL OR w.use_time >= TIMESTAMPTZ '$night' OR w.return_time IS NOT NULL
                     THEN m.associate_out_trade_no END) AS association,
       coalesce(CASE WHEN NOT coalesce(w.use_time >= TIMESTAMPTZ '$night', false) THEN w.use_request_no END, m.use_request_no) AS request
FROM unclaimed w FULL JOIN had_order m ON m.stock_id = w.stock_id AND m.coupon_code = w.coupon_code;

CREATE TEMP TABLE named AS
SELECT * FROM book
WHERE out_trade_no IN (SELECT association FROM trace UNION SELECT request FROM trace UNION SELECT yesterday FROM trace);

CREATE TEMP TABLE plain AS
SELECT out_trade_no, max(goods_fen) AS goods_fen, max(discount_fen) AS discount_fen, max(paid_fen) AS paid_fen
FROM (SELECT out_trade_no, goods_fen, discount_fen, paid_fen FROM named WHERE stock_id = '' OR coupon_code = ''
      UNION ALL
      SELECT out_trade_no, goods_fen, discount_fen, paid_fen FROM odd_line WHERE stock_id = '' OR coupon_code = '')
GROUP BY out_trade_no HAVING count(*) = 1;

CREATE TEMP TABLE traced AS
SELECT CASE WHEN a.out_trade_no IS NOT NULL THEN 'association' ELSE 'use_request' END AS match_pass, 0::BIGINT AS claim_count,
       t.stock_id, t.coupon_code, l.goods_fen, l.discount_fen, l.paid_fen, o.out_trade_no, o.transaction_id, o.openid, o.merchant, o.paid_at,
       is_full(o.paid_fen, o.refund_fen, o.bill_refund_fen) AS is_full, o.refund_fen AS order_refund_fen, o.bill_fen, o.bill_refund_fen,
       o.bill_refund_count, o.bill_refunded_at
FROM trace t
LEFT JOIN named a ON a.out_trade_no = t.association AND a.paid_at IS NOT NULL
LEFT JOIN named r ON r.out_trade_no = t.request AND r.paid_at IS NOT NULL
JOIN named o ON o.out_trade_no = coalesce(a.out_trade_no, r.out_trade_no)
LEFT JOIN plain l ON l.out_trade_no = o.out_trade_no;

-- An order that left the look-back is carried.
CREATE TEMP TABLE carried AS
SELECT t.stock_id, t.coupon_code, true AS is_carried FROM trace t ANTI JOIN named n ON n.out_trade_no = t.yesterday
WHERE t.yesterday IS NOT NULL AND (t.stock_id, t.coupon_code) NOT IN (SELECT (stock_id, coupon_code) FROM traced);

CREATE TEMP VIEW matched AS FROM claim UNION ALL FROM traced;

-- ── Subsidies and dispatches ──

CREATE TEMP TABLE receipt AS
SELECT r.out_subsidy_no, r.stock_id, r.coupon_code, r.transaction_id, r.payer_merchant, r.payee_merchant, r.amount_fen,
       r.subsidy_receipt_id, r.create_time, coalesce(r.status, 'UNKNOWN') AS status,
       coalesce(r.status NOT IN ('FAIL', 'FULL_RETURN'), true) AS is_live
FROM read_parquet('$lake/datasets/subsidy_payments/dt=$date/part-0.parquet') r
WHERE r.create_time IS NULL OR r.create_time < TIMESTAMPTZ '$night';

CREATE TEMP TABLE giving_back AS
SELECT *, coalesce(status, 'UNKNOWN') AS state FROM read_parquet('$lake/datasets/subsidy_returns/dt=$date/part-0.parquet')
WHERE return_create_time IS NULL OR return_create_time < TIMESTAMPTZ '$night';

CREATE TEMP TABLE odd_receipt AS SELECT hash(stock_id, coupon_code) AS h FROM receipt GROUP BY h HAVING count(*) > 1;

CREATE TEMP VIEW subsidy AS
SELECT stock_id, coupon_code,
       CASE WHEN status IN ('SUCCESS', 'RETURNING', 'PARTIAL_RETURN', 'FULL_RETURN') THEN amount_fen ELSE 0 END AS paid,
       CASE WHEN is_live THEN amount_fen ELSE 0 END AS live, is_live::BIGINT AS n, status, transaction_id
FROM receipt ANTI JOIN odd_receipt ON hash(stock_id, coupon_code) = h
UNION ALL
SELECT stock_id, coupon_code,
       coalesce(sum(amount_fen) FILTER (WHERE status IN ('SUCCESS', 'RETURNING', 'PARTIAL_RETURN', 'FULL_RETURN')), 0)::BIGINT,
       coalesce(sum(amount_fen) FILTER (WHERE is_live), 0)::BIGINT, count(*) FILTER (WHERE is_live),
       string_agg(status, '+' ORDER BY create_time NULLS FIRST, out_subsidy_no),
       first(transaction_id ORDER BY NOT is_live, create_time NULLS FIRST, out_subsidy_no)
FROM receipt WHERE hash(stock_id, coupon_code) IN (FROM odd_receipt) GROUP BY stock_id, coupon_code;

CREATE TEMP TABLE returned AS
SELECT stock_id, coupon_code, sum(amount_fen)::BIGINT AS fen FROM giving_back WHERE state = 'SUCCESS' GROUP BY stock_id, coupon_code;

CREATE TEMP TABLE dispatch AS
SELECT stock_id, coupon_code, max(openid) AS openid, min(seen) AS seen
FROM (SELECT stock_id, coupon_code, openid, dispatched_time AS seen
      FROM read_parquet('$lake/datasets/coupon_codes/dt=$date/part-0.parquet')
      WHERE (code_status = 'DISPATCHED' OR dispatched_time IS NOT NULL)
        AND (dispatched_time IS NULL OR dispatched_time < TIMESTAMPTZ '$night')
      UNION ALL
      SELECT stock_id, coupon_code, openid, send_time
      FROM read_parquet('$lake/datasets/coupon_events/dt=*/part-0.parquet', hive_partitioning = true)
      WHERE dt <= DATE '$date' AND dt > DATE '$date' - $lookback)
GROUP BY stock_id, coupon_code;

CREATE TEMP TABLE owed AS
SELECT stock_id, sum(amount_fen)::BIGINT AS fixed, list(percent) FILTER (WHERE percent IS NOT NULL) AS percents,
       max(due_days) AS due_days
FROM program GROUP BY stock_id;

-- ── The ledger ──

CREATE TEMP TABLE stock AS SELECT * FROM read_parquet('$lake/datasets/stocks/dt=$date/part-0.parquet');

-- Receipts for a payment that neither the orders nor the bills know: few, and SU05 has to see the coupon of each.
CREATE TEMP TABLE strange AS
SELECT r.* FROM receipt r
ANTI JOIN book b ON coalesce(b.transaction_id, b.bill_id) = r.transaction_id
ANTI JOIN refund f ON f.transaction_id = r.transaction_id
WHERE r.status <> 'FAIL' AND r.transaction_id IS NOT NULL;

CREATE TEMP MACRO business_day(instant) AS DATE '1970-01-01' + ((epoch_us(instant) + 28800000000) // 86400000000)::INTEGER;

CREATE TEMP VIEW ledger_row AS
SELECT stock_id, coupon_code, openid, coupon_state, state_on_date, stock_type, belong_merchant, discount_amount_fen, discount_percent,
       exchange_price_fen, transaction_minimum_fen, available_start_at, expire_at, received_at, used_at, returned_at, deactivated_at,
       use_request_no, return_request_no, associate_out_trade_no, match_pass, claim_count, out_trade_no, transaction_id, order_openid,
       order_merchant, order_paid_at, order_live, order_fully_refunded, goods_fen, discount_fen, paid_fen,
       CASE WHEN stock_type = 'NORMAL' AND goods_fen IS NULL THEN discount_amount_fen
            WHEN stock_type = 'NORMAL' AND discount_amount_fen IS NOT NULL THEN least(discount_amount_fen, goods_fen)
            WHEN stock_type = 'DISCOUNT' AND discount_percent IS NOT NULL THEN (goods_fen * (100 - discount_percent) + 50) // 100
            WHEN stock_type = 'EXCHANGE' AND goods_fen IS NOT NULL AND exchange_price_fen IS NOT NULL
            THEN greatest(goods_fen - exchange_price_fen, 0) END AS expected_discount_fen,
       order_refund_fen, bill_paid_fen, refund_fen, refunded_at, refund_count,
       CASE WHEN state_on_date = 'USED' THEN
         CASE WHEN percents IS NULL THEN fixed
              ELSE coalesce(fixed, 0) + list_sum(list_transform(percents, lambda x: (discount_fen * x + 50) // 100))::BIGINT END
       END AS subsidy_expected_fen,
       subsidy_paid_fen, subsidy_returned_fen, subsidy_receipt_count, subsidy_status, subsidy_transaction_id, asked_date, verified_date,
       (epoch_us(used_at) - epoch_us(order_paid_at)) // 1000000 AS used_after_paid_seconds, subsidy_live_fen,
       CASE WHEN state_on_date = 'USED' THEN business_day(used_at) + due_days END AS subsidy_due_date, DATE '$date' AS business_date
FROM (
SELECT stock_id, coupon_code,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.openid ELSE m.openid END, d.openid) AS openid,
       CASE WHEN w.verified_date IS NOT NULL THEN w.coupon_state ELSE m.coupon_state END AS coupon_state,
       CASE WHEN w.verified_date IS NULL
            THEN CASE WHEN m.state_on_date = 'SENDED' AND m.expire_at < TIMESTAMPTZ '$night' THEN 'EXPIRED' ELSE m.state_on_date END
            WHEN w.return_time >= TIMESTAMPTZ '$night' AND (w.use_time < TIMESTAMPTZ '$night' OR m.state_on_date = 'USED') THEN 'USED'
            WHEN w.coupon_state IN ('USED', 'DELETED') AND w.use_time >= TIMESTAMPTZ '$night'
            THEN CASE WHEN w.expire_time < TIMESTAMPTZ '$night' THEN 'EXPIRED' ELSE 'SENDED' END
            WHEN w.coupon_state = 'DELETED'
                 AND NOT (w.return_time IS NOT NULL AND coalesce(w.return_time >= w.use_time, true))
                 AND (w.use_time < TIMESTAMPTZ '$night' OR m.state_on_date = 'USED') THEN 'USED'
            WHEN w.coupon_state = 'DEACTIVATED' AND w.deactivate_time >= TIMESTAMPTZ '$night'
            THEN CASE WHEN w.expire_time < TIMESTAMPTZ '$night' THEN 'EXPIRED' ELSE 'SENDED' END
            WHEN w.coupon_state = 'EXPIRED' AND w.expire_time >= TIMESTAMPTZ '$night' THEN 'SENDED'
            WHEN w.coupon_state = 'SENDED'
            THEN CASE WHEN w.expire_time < TIMESTAMPTZ '$night' THEN 'EXPIRED' ELSE 'SENDED' END
            ELSE w.coupon_state END AS state_on_date,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.stock_type ELSE m.stock_type END, k.stock_type) AS stock_type,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.belong_merchant ELSE m.belong_merchant END, k.belong_merchant)
         AS belong_merchant,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.discount_amount_fen ELSE m.discount_amount_fen END, k.discount_amount_fen)
         AS discount_amount_fen,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.discount_percent ELSE m.discount_percent END, k.discount_percent)
         AS discount_percent,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.exchange_price_fen ELSE m.exchange_price_fen END, k.exchange_price_fen)
         AS exchange_price_fen,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.transaction_minimum_fen ELSE m.transaction_minimum_fen END,
                k.transaction_minimum_fen) AS transaction_minimum_fen,
       CASE WHEN w.verified_date IS NOT NULL THEN w.available_start_time ELSE m.available_start_at END AS available_start_at,
       CASE WHEN w.verified_date IS NOT NULL THEN w.expire_time ELSE m.expire_at END AS expire_at,
       coalesce(CASE WHEN w.verified_date IS NOT NULL THEN w.receive_time ELSE m.received_at END, d.seen) AS received_at,
       coalesce(CASE WHEN w.use_time < TIMESTAMPTZ '$night' THEN w.use_time END, m.used_at) AS used_at,
       coalesce(CASE WHEN w.return_time < TIMESTAMPTZ '$night' THEN w.return_time END, m.returned_at) AS returned_at,
       coalesce(CASE WHEN w.deactivate_time < TIMESTAMPTZ '$night' THEN w.deactivate_time END, m.deactivated_at) AS deactivated_at,
       coalesce(CASE WHEN NOT coalesce(w.use_time >= TIMESTAMPTZ '$night', false) THEN w.use_request_no END, m.use_request_no)
         AS use_request_no,
       coalesce(CASE WHEN w.return_time < TIMESTAMPTZ '$night' THEN w.return_request_no END, m.return_request_no) AS return_request_no,
       coalesce(CASE WHEN NOT coalesce(w.use_time >= TIMESTAMPTZ '$night', false) THEN w.associate_out_trade_no END,
                CASE WHEN w.verified_date IS NULL OR w.use_time >= TIMESTAMPTZ '$night' OR w.return_time IS NOT NULL
                     THEN m.associate_out_trade_no END) AS associate_out_trade_no,
       CASE WHEN c.is_carried THEN m.match_pass ELSE q.match_pass END AS match_pass,
       CASE WHEN c.is_carried THEN m.claim_count ELSE coalesce(q.claim_count, 0) END AS claim_count,
       CASE WHEN c.is_carried THEN m.out_trade_no ELSE q.out_trade_no END AS out_trade_no,
       CASE WHEN c.is_carried THEN m.transaction_id ELSE q.transaction_id END AS transaction_id,
       CASE WHEN c.is_carried THEN m.order_openid ELSE q.openid END AS order_openid,
       CASE WHEN c.is_carried THEN m.order_merchant ELSE q.merchant END AS order_merchant,
       CASE WHEN c.is_carried THEN m.order_paid_at ELSE q.paid_at END AS order_paid_at,
       CASE WHEN c.is_carried THEN m.order_live ELSE NOT q.is_full END AS order_live,
       CASE WHEN c.is_carried THEN m.order_fully_refunded ELSE q.is_full END AS order_fully_refunded,
       CASE WHEN c.is_carried THEN m.goods_fen ELSE q.goods_fen END AS goods_fen,
       CASE WHEN c.is_carried THEN m.discount_fen ELSE q.discount_fen END AS discount_fen,
       CASE WHEN c.is_carried THEN m.paid_fen ELSE q.paid_fen END AS paid_fen,
       CASE WHEN c.is_carried THEN m.order_refund_fen ELSE q.order_refund_fen END AS order_refund_fen,
       CASE WHEN c.is_carried THEN m.bill_paid_fen
            ELSE coalesce(q.bill_fen, CASE WHEN m.out_trade_no = q.out_trade_no THEN m.bill_paid_fen END) END AS bill_paid_fen,
       CASE WHEN c.is_carried OR (m.out_trade_no = q.out_trade_no AND coalesce(m.refund_fen > q.bill_refund_fen, m.refund_fen IS NOT NULL AND q.bill_refund_fen IS NULL))
            THEN m.refund_fen ELSE q.bill_refund_fen END AS refund_fen,
       CASE WHEN c.is_carried OR (m.out_trade_no = q.out_trade_no AND coalesce(m.refund_fen > q.bill_refund_fen, m.refund_fen IS NOT NULL AND q.bill_refund_fen IS NULL))
            THEN m.refunded_at ELSE q.bill_refunded_at END AS refunded_at,
       CASE WHEN c.is_carried OR (m.out_trade_no = q.out_trade_no AND coalesce(m.refund_fen > q.bill_refund_fen, m.refund_fen IS NOT NULL AND q.bill_refund_fen IS NULL))
            THEN m.refund_count ELSE coalesce(q.bill_refund_count, 0) END AS refund_count,
       s.paid AS subsidy_paid_fen, s.live AS subsidy_live_fen,
       CASE WHEN s.status IS NOT NULL OR t.fen IS NOT NULL THEN coalesce(t.fen, 0) END AS subsidy_returned_fen,
       coalesce(s.n, 0) AS subsidy_receipt_count, s.status AS subsidy_status, s.transaction_id AS subsidy_transaction_id,
       m.asked_date AS asked_date, coalesce(w.verified_date, m.verified_date) AS verified_date, o.fixed, o.percents, o.due_days
FROM wallet w
FULL JOIN previous m USING (stock_id, coupon_code)
FULL JOIN matched q USING (stock_id, coupon_code)
FULL JOIN subsidy s USING (stock_id, coupon_code)
FULL JOIN returned t USING (stock_id, coupon_code)
FULL JOIN dispatch d USING (stock_id, coupon_code)
LEFT JOIN carried c USING (stock_id, coupon_code)
LEFT JOIN stock k USING (stock_id)
LEFT JOIN owed o USING (stock_id));
