-- Every figure of the datacube in the look-back, one per row: dataset, ref_date, cond_source (null for
-- member card details, which have none), card_id ('' for totals), counter, figure, and dt of the pull.
SELECT 'card_account_daily' AS dataset,
       a.ref_date AS ref_date,
       a.cond_source AS cond_source,
       '' AS card_id,
       c.counter AS counter,
       CASE c.counter
         WHEN 'view_cnt' THEN a.view_cnt WHEN 'view_user' THEN a.view_user
         WHEN 'receive_cnt' THEN a.receive_cnt WHEN 'receive_user' THEN a.receive_user
         WHEN 'verify_cnt' THEN a.verify_cnt WHEN 'verify_user' THEN a.verify_user
         WHEN 'given_cnt' THEN a.given_cnt WHEN 'given_user' THEN a.given_user
         WHEN 'expire_cnt' THEN a.expire_cnt WHEN 'expire_user' THEN a.expire_user
       END AS figure,
       a.dt AS dt
FROM card_account_daily_history a
CROSS JOIN counters c
UNION ALL
SELECT 'card_daily' AS dataset,
       a.ref_date AS ref_date,
       a.cond_source AS cond_source,
       a.card_id AS card_id,
       c.counter AS counter,
       CASE c.counter
         WHEN 'view_cnt' THEN a.view_cnt WHEN 'view_user' THEN a.view_user
         WHEN 'receive_cnt' THEN a.receive_cnt WHEN 'receive_user' THEN a.receive_user
         WHEN 'verify_cnt' THEN a.verify_cnt WHEN 'verify_user' THEN a.verify_user
         WHEN 'given_cnt' THEN a.given_cnt WHEN 'given_user' THEN a.given_user
         WHEN 'expire_cnt' THEN a.expire_cnt WHEN 'expire_user' THEN a.expire_user
       END AS figure,
       a.dt AS dt
FROM card_daily_history a
CROSS JOIN counters c
UNION ALL
SELECT 'member_card_daily' AS dataset,
       a.ref_date AS ref_date,
       a.cond_source AS cond_source,
       '' AS card_id,
       c.counter AS counter,
       CASE c.counter
         WHEN 'view_cnt' THEN a.view_cnt WHEN 'view_user' THEN a.view_user
         WHEN 'receive_cnt' THEN a.receive_cnt WHEN 'receive_user' THEN a.receive_user
         WHEN 'verify_cnt' THEN a.verify_cnt WHEN 'verify_user' THEN a.verify_user
         WHEN 'active_cnt' THEN a.active_cnt WHEN 'active_user' THEN a.active_user
       END AS figure,
       a.dt AS dt
FROM member_card_daily_history a
CROSS JOIN counters c
UNION ALL
SELECT 'member_card_detail_daily' AS dataset,
       a.ref_date AS ref_date,
       CAST(NULL AS BIGINT) AS cond_source,
       a.card_id AS card_id,
       c.counter AS counter,
       CASE c.counter
         WHEN 'view_cnt' THEN a.view_cnt WHEN 'view_user' THEN a.view_user
         WHEN 'receive_cnt' THEN a.receive_cnt WHEN 'receive_user' THEN a.receive_user
         WHEN 'verify_cnt' THEN a.verify_cnt WHEN 'verify_user' THEN a.verify_user
         WHEN 'active_cnt' THEN a.active_cnt WHEN 'active_user' THEN a.active_user
       END AS figure,
       a.dt AS dt
FROM (SELECT ref_date,
             cardid AS card_id,
             dt,
             SUM(view_cnt) AS view_cnt, SUM(view_user) AS view_user,
             SUM(receive_cnt) AS receive_cnt, SUM(receive_user) AS receive_user,
             SUM(verify_cnt) AS verify_cnt, SUM(verify_user) AS verify_user,
             SUM(active_cnt) AS active_cnt, SUM(active_user) AS active_user
      FROM member_card_detail_daily_history
      GROUP BY ref_date, cardid, dt) a
CROSS JOIN counters c
