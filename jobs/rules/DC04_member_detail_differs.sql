-- id: DC04
-- title: The member card details do not add up to the member cards
-- 标题: 会员卡明细合计与会员卡统计不符
-- severity: low
-- side: wechat
-- key: d
-- inputs: member_card_daily, member_card_detail_daily
-- action: Check that mp.member_card_ids lists every member card; pull the day again.
-- 处理: 检查 mp.member_card_ids 是否列全会员卡；重新拉取当日数据。
-- row: a shared counter of a ref_date where the sum of the member card details is not the sum of the member card rows, both having rows in the last pull of either, which lacks none
-- why: {counter} of the member cards is {figure}, the details sum up to {sum}
-- 原因: 会员卡的 {counter} 为 {figure}，明细合计为 {sum}
SELECT x.ref_date AS ref_date,
       'member_card_detail_daily;' || x.counter AS subject,
       x.figure AS expected_count,
       x.detail_figure AS actual_count,
       0 AS at_risk_fen,
       x.counter || ' of the member cards is ' || CAST(x.figure AS STRING) || ', the details sum up to '
         || CAST(x.detail_figure AS STRING) AS why,
       x.ref_date AS event_date,
       CASE WHEN k.dt IS NULL THEN x.last_dt END AS unknown_date
FROM (SELECT m.ref_date AS ref_date,
             m.counter AS counter,
             m.figure AS figure,
             d.figure AS detail_figure,
             m.dt = d.dt AS is_of_one_pull,
             GREATEST(m.dt, d.dt) AS last_dt
      -- What the last pull has no longer is gone, though it told it before under one value of cond_source.
      FROM (SELECT ref_date, counter, dt, SUM(figure) AS figure
            FROM (SELECT ref_date, counter, figure, dt, MAX(dt) OVER (PARTITION BY ref_date) AS last_dt
                  FROM datacube_pulls
                  WHERE dataset = 'member_card_daily' AND is_last) c
            WHERE dt = last_dt
            GROUP BY ref_date, counter, dt) m
      JOIN (SELECT ref_date, counter, SUM(figure) AS figure, MAX(dt) AS dt
            FROM datacube_pulls
            WHERE dataset = 'member_card_detail_daily' AND is_last
            GROUP BY ref_date, counter) d ON d.ref_date = m.ref_date AND d.counter = m.counter) x
LEFT JOIN (SELECT dt
           FROM known_days
           WHERE dataset IN ('member_card_daily', 'member_card_detail_daily')
           GROUP BY dt
           HAVING COUNT(*) = 2) k ON k.dt = x.last_dt
WHERE x.counter LIKE '%_cnt'
  AND x.figure <> x.detail_figure
  AND (x.is_of_one_pull OR k.dt IS NULL)
