-- Orders the trade bill must know: paid through a WeChat channel of their source (an export that names
-- no channels has no others) at a merchant of the bills, or simply found in a bill.
SELECT o.*
FROM order_totals o
LEFT JOIN (SELECT DISTINCT source_file FROM wechat_channels) s ON s.source_file = o.source_file
LEFT JOIN (SELECT DISTINCT source_file, channel FROM wechat_channels) w
  ON w.source_file = o.source_file AND w.channel = o.channel
LEFT JOIN (SELECT merchant FROM own_merchants
           UNION SELECT merchant FROM bill_merchants) m ON m.merchant = o.merchant
WHERE o.bill_transaction_id IS NOT NULL
   OR ((s.source_file IS NULL OR w.channel IS NOT NULL) AND (o.merchant IS NULL OR m.merchant IS NOT NULL))
