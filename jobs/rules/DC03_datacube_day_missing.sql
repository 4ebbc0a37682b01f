-- id: DC03
-- title: The datacube lacks a day
-- 标题: 卡券统计缺少某日数据
-- severity: low
-- side: wechat
-- key: d
-- inputs: card_account_daily
-- action: Pull the day again by hand; ask WeChat if it stays empty.
-- 处理: 手工重新拉取当日数据；仍为空则询问微信。
-- row: a ref_date without an account row in either cond_source mp.repull_days later, though rows exist within 7 days before and after it; the last pull of the day being known
-- why: no account row for {day}, the nearest are of {before} and {after}
-- 原因: 没有 {day} 的账号数据，前后最近的为 {before} 与 {after}
SELECT d.ref_date AS ref_date,
       'card_account_daily' AS subject,
       0 AS at_risk_fen,
       'no account row for ' || CAST(d.ref_date AS STRING) || ', the nearest are of '
         || CAST(d.before_date AS STRING) || ' and ' || CAST(d.after_date AS STRING) AS why,
       d.ref_date AS event_date
FROM (SELECT c.day AS ref_date,
             MAX(CASE WHEN r.ref_date < c.day THEN r.ref_date END) AS before_date,
             MIN(CASE WHEN r.ref_date > c.day THEN r.ref_date END) AS after_date,
             MAX(CASE WHEN r.ref_date = c.day THEN 1 ELSE 0 END) AS is_there
      FROM lookback_days c
      CROSS JOIN (SELECT DISTINCT ref_date FROM card_account_daily_history) r
      GROUP BY c.day) d
CROSS JOIN params p
JOIN known_days k ON k.dt = CAST(d.ref_date + (p.repull_days - 1) * INTERVAL '1' DAY AS DATE)
WHERE k.dataset = 'card_account_daily'
  AND d.is_there = 0
  AND d.ref_date <= p.datacube_settled_date
  AND d.before_date >= CAST(d.ref_date - INTERVAL '7' DAY AS DATE)
  AND d.after_date <= CAST(d.ref_date + INTERVAL '7' DAY AS DATE)
