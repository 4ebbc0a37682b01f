-- id: DC01
-- title: The cards do not add up to the account
-- 标题: 卡券合计与账号统计不符
-- severity: low
-- side: wechat
-- key: d
-- inputs: card_account_daily, card_daily
-- action: Pull the day again; if the figures still differ, the error is WeChat's: use those of the account.
-- 处理: 重新拉取当日数据；仍不一致为微信侧差异，以账号数据为准。
-- row: a counter of a ref_date and cond_source where the sum over the cards is not the account's, both having rows in the last pull of either, which lacks none
-- why: {counter} of the account is {figure}, its {cards} cards sum up to {sum}
-- 原因: 账号的 {counter} 为 {figure}，其 {cards} 张卡券合计为 {sum}
SELECT x.ref_date AS ref_date,
       'card_account_daily;cond_source=' || CAST(x.cond_source AS STRING) || ';' || x.counter AS subject,
       x.figure AS expected_count,
       x.card_figure AS actual_count,
       0 AS at_risk_fen,
       x.counter || ' of the account is ' || CAST(x.figure AS STRING) || ', its '
         || CAST(x.card_count AS STRING) || ' cards sum up to ' || CAST(x.card_figure AS STRING) AS why,
       x.ref_date AS event_date,
       CASE WHEN k.dt IS NULL THEN x.last_dt END AS unknown_date
FROM (SELECT a.ref_date AS ref_date,
             a.cond_source AS cond_source,
             a.counter AS counter,
             a.figure AS figure,
             c.figure AS card_figure,
             c.card_count AS card_count,
             a.dt = c.dt AS is_of_one_pull,
             GREATEST(a.dt, c.dt) AS last_dt
      FROM datacube_pulls a
      JOIN (SELECT ref_date, cond_source, counter, SUM(figure) AS figure, COUNT(*) AS card_count, MAX(dt) AS dt
            FROM datacube_pulls
            WHERE dataset = 'card_daily' AND is_last
            GROUP BY ref_date, cond_source, counter) c
        ON c.ref_date = a.ref_date AND c.cond_source = a.cond_source AND c.counter = a.counter
      WHERE a.dataset = 'card_account_daily' AND a.is_last) x
LEFT JOIN (SELECT dt
           FROM known_days
           WHERE dataset IN ('card_account_daily', 'card_daily')
           GROUP BY dt
           HAVING COUNT(*) = 2) k ON k.dt = x.last_dt
WHERE x.counter LIKE '%_cnt'
  AND x.figure <> x.card_figure
  AND (x.is_of_one_pull OR k.dt IS NULL)
