-- id: DC02
-- title: A figure of the datacube changed between two pulls
-- 标题: 卡券统计数据被修订
-- severity: low
-- side: wechat
-- key: d
-- inputs: card_account_daily, card_daily, member_card_daily?, member_card_detail_daily?
-- action: Use the later figure in reports; accept the change by a decision if it has no consequences.
-- 处理: 报表采用较新的数字；若无影响，以决定认可该变更。
-- row: a figure of a ref_date that differs from the pull before (a row that came late is no restatement)
-- why: {counter} was {before} when pulled for {earlier}, {figure} when pulled for {later}
-- 原因: {counter} 在 {earlier} 拉取时为 {before}，在 {later} 拉取时为 {figure}
SELECT n.ref_date AS ref_date,
       CASE WHEN n.card_id <> '' THEN n.card_id END AS card_id,
       n.dataset || COALESCE(';cond_source=' || CAST(n.cond_source AS STRING), '') || ';' || n.counter AS subject,
       o.figure AS expected_count,
       n.figure AS actual_count,
       0 AS at_risk_fen,
       n.counter || ' was ' || CAST(o.figure AS STRING) || ' when pulled for ' || CAST(o.dt AS STRING) || ', '
         || CAST(n.figure AS STRING) || ' when pulled for ' || CAST(n.dt AS STRING) AS why,
       n.ref_date AS event_date
FROM datacube_pulls n
JOIN datacube_pulls o
  ON o.dataset = n.dataset
 AND o.ref_date = n.ref_date
 AND COALESCE(o.cond_source, -1) = COALESCE(n.cond_source, -1)
 AND o.card_id = n.card_id
 AND o.counter = n.counter
WHERE n.pull_no = 1
  AND o.pull_no = 2
  AND n.figure <> o.figure
