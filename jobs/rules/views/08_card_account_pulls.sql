-- Every account row of the datacube the look-back holds; pull_no 1 is the latest pull of a ref_date.
SELECT a.ref_date AS ref_date,
       a.cond_source AS cond_source,
       a.view_cnt AS view_cnt, a.view_user AS view_user,
       a.receive_cnt AS receive_cnt, a.receive_user AS receive_user,
       a.verify_cnt AS verify_cnt, a.verify_user AS verify_user,
       a.given_cnt AS given_cnt, a.given_user AS given_user,
       a.expire_cnt AS expire_cnt, a.expire_user AS expire_user,
       a.dt AS dt,
       ROW_NUMBER() OVER (PARTITION BY a.ref_date, a.cond_source ORDER BY a.dt DESC NULLS LAST) AS pull_no
FROM card_account_daily_history a
