-- The figures of the datacube datasets, by column name.
SELECT 'view_cnt' AS counter
UNION ALL SELECT 'view_user' AS counter
UNION ALL SELECT 'receive_cnt' AS counter
UNION ALL SELECT 'receive_user' AS counter
UNION ALL SELECT 'verify_cnt' AS counter
UNION ALL SELECT 'verify_user' AS counter
UNION ALL SELECT 'given_cnt' AS counter
UNION ALL SELECT 'given_user' AS counter
UNION ALL SELECT 'expire_cnt' AS counter
UNION ALL SELECT 'expire_user' AS counter
UNION ALL SELECT 'active_cnt' AS counter
UNION ALL SELECT 'active_user' AS counter
