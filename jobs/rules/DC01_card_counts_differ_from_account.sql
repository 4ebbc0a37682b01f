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
SELECT a.ref_date AS ref_date,
       'card_account_daily;cond_source=' || CAST(a.cond_source AS STRING) || ';' || a.counter AS subject,
       a.figure AS expected_count,
       c.figure AS actual_count,
       0 AS at_risk_fen,
       a.counter || ' of the account is ' || CAST(a.figure AS STRING) || ', its '
         || CAST(c.card_count AS STRING) || ' cards sum up to ' || CAST(c.figure AS STRING) AS why,
       a.ref_date AS event_date,
       CASE WHEN c.dt <> a.dt OR k.dt IS NULL THEN GREATEST(a.dt, c.dt) END AS unknown_date
FROM datacube_pulls a
JOIN (SELECT ref_date, cond_source, counter, SUM(figure) AS figure, COUNT(*) AS card_count, MAX(dt) AS dt
      FROM datacube_pulls
      WHERE dataset = 'card_daily' AND is_last
      GROUP BY ref_date, cond_source, counter) c
  ON c.ref_date = a.ref_date AND c.cond_source = a.cond_source AND c.counter = a.counter
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'card_daily') k ON k.dt = c.dt
WHERE a.dataset = 'card_account_daily'
  AND a.is_last
  AND a.counter LIKE '%_cnt'
  AND a.figure <> c.figure
