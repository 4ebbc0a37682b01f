-- The figures with the place of their pull: pull_no 1 is the latest pull that had the figure, is_last
-- tells whether it was the latest pull of its ref_date at all.
SELECT f.dataset AS dataset,
       f.ref_date AS ref_date,
       f.cond_source AS cond_source,
       f.card_id AS card_id,
       f.counter AS counter,
       f.figure AS figure,
       f.dt AS dt,
       f.pull_no AS pull_no,
       f.dt = f.last_dt AS is_last
FROM (SELECT dataset, ref_date, cond_source, card_id, counter, figure, dt,
             ROW_NUMBER() OVER (PARTITION BY dataset, ref_date, cond_source, card_id, counter
                                ORDER BY dt DESC NULLS LAST) AS pull_no,
             MAX(dt) OVER (PARTITION BY dataset, ref_date, cond_source) AS last_dt
      FROM datacube_figures
      WHERE figure IS NOT NULL) f
