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
SELECT m.ref_date AS ref_date,
       'member_card_detail_daily;' || m.counter AS subject,
       m.figure AS expected_count,
       d.figure AS actual_count,
       0 AS at_risk_fen,
       m.counter || ' of the member cards is ' || CAST(m.figure AS STRING) || ', the details sum up to '
         || CAST(d.figure AS STRING) AS why,
       m.ref_date AS event_date,
       CASE WHEN m.first_dt <> m.dt OR d.dt <> m.dt OR k.dt IS NULL OR e.dt IS NULL THEN GREATEST(m.dt, d.dt) END AS unknown_date
FROM (SELECT ref_date, counter, SUM(figure) AS figure, MIN(dt) AS first_dt, MAX(dt) AS dt
      FROM datacube_pulls
      WHERE dataset = 'member_card_daily' AND is_last
      GROUP BY ref_date, counter) m
JOIN (SELECT ref_date, counter, SUM(figure) AS figure, MAX(dt) AS dt
      FROM datacube_pulls
      WHERE dataset = 'member_card_detail_daily' AND is_last
      GROUP BY ref_date, counter) d ON d.ref_date = m.ref_date AND d.counter = m.counter
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'member_card_daily') k ON k.dt = m.dt
LEFT JOIN (SELECT dt FROM known_days WHERE dataset = 'member_card_detail_daily') e ON e.dt = d.dt
WHERE m.counter LIKE '%_cnt'
  AND m.figure <> d.figure
