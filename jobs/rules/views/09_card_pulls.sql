-- Every card row of the datacube the look-back holds; pull_no 1 is the latest pull of a ref_date.
SELECT c.ref_date AS ref_date,
       c.cond_source AS cond_source,
       c.card_id AS card_id,
       c.view_cnt AS view_cnt, c.view_user AS view_user,
       c.receive_cnt AS receive_cnt, c.receive_user AS receive_user,
       c.verify_cnt AS verify_cnt, c.verify_user AS verify_user,
       c.given_cnt AS given_cnt, c.given_user AS given_user,
       c.expire_cnt AS expire_cnt, c.expire_user AS expire_user,
       c.dt AS dt,
       ROW_NUMBER() OVER (PARTITION BY c.ref_date, c.cond_source, c.card_id
                          ORDER BY c.dt DESC NULLS LAST) AS pull_no
FROM card_daily_history c
