-- Merchants the bills of the look-back name, as merchant or as sub-merchant.
SELECT mchid AS merchant FROM bill_payments WHERE mchid IS NOT NULL
UNION
SELECT sub_mchid AS merchant FROM bill_payments WHERE sub_mchid IS NOT NULL
