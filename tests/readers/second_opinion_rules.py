"""The 45 rules of design §7 in DuckDB SQL, written from the text of §6, §7 and §12.

Tables given: each dataset as `<name>` (the day) and `<name>_h` (the look-back, with `dt`), `p` (parameters),
`program`, `pair`, `must_associate`, `channel`. Instants are Shanghai wall time."""

MATCH = """
-- The latest file of an order line wins; the order's money is the sum over its lines (§11, §12).
create table line as
select * from orders_h
qualify row_number() over (partition by out_trade_no, stock_id, coupon_code order by dt desc) = 1;

create table o1 as
select out_trade_no, max(transaction_id) as transaction_id, max(merchant) as merchant, max(openid) as openid,
       max(channel) as channel, min(paid_at) as paid_at, sum(paid_fen) as paid, sum(refund_fen) as refund
from line group by all;

-- Bill rows hang on the transaction, else on the order number (§6).
create table bill_refund as
select o.out_trade_no, sum(r.applied_refund_fen) as fen, max(r.accepted_time) as accepted_at
from refunds_h r join o1 o
  on o.transaction_id = r.transaction_id
  or (o.out_trade_no = r.out_trade_no and r.transaction_id not in (select transaction_id from o1 where transaction_id is not null))
where r.refund_status is distinct from 'FAIL'
group by all;

create table bill_payment as
select o.out_trade_no, sum(b.order_fen) filter (where b.trade_state = 'SUCCESS') as fen
from payments_h b join o1 o
  on o.transaction_id = b.transaction_id
  or (o.out_trade_no = b.out_trade_no and b.transaction_id not in (select transaction_id from o1 where transaction_id is not null))
group by all;

create table o as
select o1.*, coalesce(r.fen, 0) as bill_refund, r.accepted_at, b.fen as bill_paid, b.out_trade_no is not null as in_bill,
       o1.paid > 0 and greatest(coalesce(o1.refund, 0), coalesce(r.fen, 0)) >= o1.paid as full_refund
from o1 left join bill_refund r using (out_trade_no) left join bill_payment b using (out_trade_no);
alter table o add column live boolean;
update o set live = paid_at is not null and not coalesce(full_refund, false);

create table claim as
select l.stock_id, l.coupon_code, l.out_trade_no, l.goods_fen, l.discount_fen, o.live, o.paid_at
from line l join o using (out_trade_no)
where l.stock_id <> '' and l.coupon_code <> '' and o.paid_at is not null;

create table live_claims as
select stock_id, coupon_code, count(*) filter (where live) as live_claims, count(*) as claims
from claim group by all;

-- Of two wallets the one asked last counts; received after D is not of the day's books.
create table wallet as
select w.* from user_coupons w, p where w.receive_time is null or w.receive_time < p.night
qualify row_number() over (partition by stock_id, coupon_code order by verified_date desc) = 1;

create table memory as
select stock_id, coupon_code, state_on_date, used_at from coupon_ledger_h, p where dt < p.d
qualify row_number() over (partition by stock_id, coupon_code order by dt desc) = 1;

-- The state rolled back to the end of D (§6).
create table c1 as
select w.stock_id, w.coupon_code, w.openid, w.stock_type, w.belong_merchant, w.coupon_state,
       w.available_start_time as starts, w.expire_time as expires, w.receive_time as received,
       w.associate_out_trade_no as association, w.use_request_no,
       w.discount_amount_fen, w.discount_percent, w.exchange_price_fen, w.transaction_minimum_fen as minimum,
       case when w.use_time < p.night then w.use_time when w.use_time is null then m.used_at end as used,
       case when w.return_time < p.night then w.return_time end as returned,
       case when w.coupon_state = 'USED' and w.use_time >= p.night then 'SENDED'
            when w.coupon_state in ('DEACTIVATED', 'EXPIRED')
                 and coalesce(case w.coupon_state when 'EXPIRED' then w.expire_time else w.deactivate_time end >= p.night, false)
            then case when w.return_time >= p.night then 'USED' else 'SENDED' end
            when w.coupon_state <> 'USED' and w.return_time >= p.night
            then case when w.use_time < p.night then 'USED' else coalesce(m.state_on_date, w.coupon_state) end
            when w.coupon_state = 'DELETED' then coalesce(m.state_on_date, 'DELETED')
            else w.coupon_state end as state
from wallet w cross join p left join memory m using (stock_id, coupon_code);

-- Every coupon a wallet or a claim knows, with its order by the passes in their order.
create table known as
select stock_id, coupon_code from c1 union select stock_id, coupon_code from claim;

create table found as
select k.stock_id, k.coupon_code, coalesce(l.live_claims, 0) as live_claims,
       case when l.live_claims > 1 then 'ambiguous'
            when l.live_claims = 1 or l.claims = 1 then 'claim'
            when l.claims > 1 then 'ambiguous'
            when c.state = 'USED' or c.used is not null then case
              when c.association in (select out_trade_no from o) then 'association'
              when c.use_request_no in (select out_trade_no from o) then 'use_request' end
       end as pass,
       case when l.live_claims > 1 then null
            when l.live_claims = 1 then
              (select max(x.out_trade_no) from claim x where x.stock_id = k.stock_id and x.coupon_code = k.coupon_code and x.live)
            when l.claims = 1 then
              (select max(x.out_trade_no) from claim x where x.stock_id = k.stock_id and x.coupon_code = k.coupon_code)
            when l.claims > 1 then null
            when c.association in (select out_trade_no from o) then c.association
            when c.use_request_no in (select out_trade_no from o) then c.use_request_no
       end as out_trade_no
from known k left join c1 c using (stock_id, coupon_code) left join live_claims l using (stock_id, coupon_code);

-- An order found without a claim shows its amounts on its only line that names no coupon.
create table plain as
select out_trade_no, max(goods_fen) as goods_fen, max(discount_fen) as discount_fen
from line where stock_id = '' or coupon_code = '' group by all having count(*) = 1;

create table c2 as
select k.stock_id, k.coupon_code, c.openid, coalesce(c.stock_type, s.stock_type) as stock_type,
       coalesce(c.belong_merchant, s.belong_merchant) as belong_merchant, c.state, c.coupon_state,
       c.starts, c.expires, c.received, c.used, c.returned, nullif(c.association, '') as association,
       c.stock_id is not null as in_wallet, f.live_claims, f.pass, f.out_trade_no,
       o.openid as order_openid, o.merchant as order_merchant, o.paid_at, o.live, o.full_refund,
       coalesce(o.refund, 0) as export_refund, o.bill_refund, o.accepted_at, o.transaction_id,
       coalesce(c.minimum, s.transaction_minimum_fen) as minimum,
       case when f.pass = 'claim' then x.goods_fen else n.goods_fen end as goods,
       case when f.pass = 'claim' then x.discount_fen else n.discount_fen end as discount,
       coalesce(c.discount_amount_fen, s.discount_amount_fen) as off_fen,
       coalesce(c.discount_percent, s.discount_percent) as percent,
       coalesce(c.exchange_price_fen, s.exchange_price_fen) as price,
       l.asked_date
from known k
left join c1 c using (stock_id, coupon_code)
left join found f using (stock_id, coupon_code)
left join stocks s on s.stock_id = k.stock_id
left join o on o.out_trade_no = f.out_trade_no
left join claim x on x.stock_id = k.stock_id and x.coupon_code = k.coupon_code and x.out_trade_no = f.out_trade_no
left join plain n on n.out_trade_no = f.out_trade_no
left join coupon_ledger l on l.stock_id = k.stock_id and l.coupon_code = k.coupon_code;

-- Normal: the amount; discount: half up; exchange: down to the price; never more than the goods (§6).
create table c3 as
select *, least(case stock_type when 'NORMAL' then off_fen
       when 'DISCOUNT' then (goods * (100 - percent) + 50) // 100
       when 'EXCHANGE' then goods - price end, coalesce(goods, case when stock_type = 'NORMAL' then off_fen end)) as expected
from c2;

create table receipt as
select r.* from subsidy_payments r, p where r.create_time is null or r.create_time < p.night;
alter table receipt add column live boolean;
update receipt set live = status is null or status not in ('FAIL', 'FULL_RETURN');

create table giving_back as
select r.* from subsidy_returns r, p where r.return_create_time is null or r.return_create_time < p.night;

create table sums as
select stock_id, coupon_code, count(*) filter (where live) as n, sum(amount_fen) filter (where live) as fen,
       sum(amount_fen) filter (where status in ('SUCCESS', 'RETURNING', 'PARTIAL_RETURN', 'FULL_RETURN')) as paid,
       max(create_time) filter (where live) as latest, bool_or(status = 'RETURNING') as in_flight, max(create_time) as last_at
from receipt group by all;

create table return_sums as
select stock_id, coupon_code, sum(amount_fen) filter (where status = 'SUCCESS') as returned,
       bool_or(status not in ('SUCCESS', 'FAIL')) as in_flight, max(return_create_time) as last_at
from giving_back group by all;

create table ledger_line as
select distinct on (out_subsidy_no, subsidy_return_receipt_id) * from subsidy_orders_h
order by dt desc;

-- A coupon is expected to be subsidised when it is used and its stock has a programme (§12).
create table c as
select c3.*, g.stock_id is not null as has_program, g.days,
       case when c3.state = 'USED' then coalesce(g.amount, (c3.discount * g.percent + 50) // 100) end as subsidy,
       coalesce(u.n, 0) as receipts, coalesce(u.fen, 0) as live_fen, coalesce(u.paid, 0) as subsidy_paid,
       coalesce(t.returned, 0) as subsidy_returned, coalesce(u.in_flight, false) or coalesce(t.in_flight, false) as in_flight,
       u.stock_id is not null as any_receipt, u.last_at as receipt_at
from c3
left join program g on g.stock_id = c3.stock_id
left join sums u on u.stock_id = c3.stock_id and u.coupon_code = c3.coupon_code
left join return_sums t on t.stock_id = c3.stock_id and t.coupon_code = c3.coupon_code;

-- The coupons AO rules speak on: not those many orders claim.
create table a as
select c.*, c.used::date >= p.first_day as used_in_books, c.paid_at::date >= p.first_day as paid_in_books
from c, p where c.live_claims <= 1;
"""

AO = {
    "AO01": "select stock_id, coupon_code from a where state = 'USED' and pass is null and association is null and used_in_books",
    "AO02": "select stock_id, coupon_code from a where state = 'USED' and association is not null and used_in_books "
    "and association not in (select out_trade_no from o) and live_claims = 0 and pass is null",
    "AO03": "select stock_id, coupon_code, out_trade_no from a where live_claims = 1 and in_wallet and state <> 'USED' "
    "and returned is null and paid_in_books",
    "AO04": "select stock_id, coupon_code, out_trade_no from a where live_claims = 1 and not in_wallet "
    "and asked_date is not null and paid_in_books",
    "AO05": "select stock_id, coupon_code from a where live_claims = 1 and association <> out_trade_no and paid_in_books",
    "AO06": "select stock_id, coupon_code from c where live_claims > 1",
    "AO07": "select stock_id, coupon_code from a where state = 'USED' and live_claims = 1 and association is null "
    "and stock_id in (select stock_id from must_associate) and used_in_books",
    "AO08": "select stock_id, coupon_code, out_trade_no from a, p where pass is not null and live and paid_in_books "
    "and abs(discount - expected) > case when stock_type = 'DISCOUNT' then p.discount_tolerance else 0 end",
    "AO09": "select stock_id, coupon_code, out_trade_no from a where pass is not null and live and paid_in_books and goods < minimum",
    "AO10": "select stock_id, coupon_code from a where used_in_books and (used < starts or used > expires)",
    "AO11": "select stock_id, coupon_code, out_trade_no from a where openid <> order_openid and paid_in_books",
    "AO12": "select stock_id, coupon_code, out_trade_no from a where belong_merchant <> order_merchant and paid_in_books "
    "and not exists (select 1 from pair where belong = belong_merchant and ordering = order_merchant)",
    "AO13": "select stock_id, coupon_code, out_trade_no from a, p where used_in_books "
    "and abs(epoch_us(used) - epoch_us(paid_at)) > p.use_minutes * 60000000",
    "AO14": "select stock_id, coupon_code from a where full_refund and state = 'USED' and accepted_at <= expires",
    # A coupon returned and used again is not on the order it was returned from.
    "AO15": "select stock_id, coupon_code from a, p where returned::date >= p.first_day and out_trade_no is not null "
    "and coalesce(returned >= used, true) "
    "and export_refund = 0 and bill_refund = 0",
    "AO16": "select out_trade_no from claim, p where live and paid_at::date >= p.first_day group by out_trade_no "
    "having count(*) > max(p.max_coupons_per_order)",
}

PM = {
    "PM01": "select out_trade_no from o, p where paid_at::date >= p.first_day and bill_paid <> paid",
    "PM02": "select out_trade_no from o, p where live and paid > 0 and paid_at::date >= p.first_day and (not in_bill or not exists "
    "(select 1 from payments_h b where trade_state = 'SUCCESS' "
    "and (b.out_trade_no = o.out_trade_no or b.transaction_id = o.transaction_id) and not exists "
    "(select 1 from payments_h r where r.transaction_id = b.transaction_id and r.trade_state = 'REVOKED'))) "
    "and (channel in (select name from channel) or not exists (select 1 from channel)) "
    "and (merchant is null or merchant = p.mchid or merchant in "
    "(select mchid from payments_h union select sub_mchid from payments_h where sub_mchid is not null))",
    "PM03": "select b.transaction_id from payments_h b, p where trade_state = 'SUCCESS' and b.trade_time::date >= p.first_day "
    "and not exists (select 1 from payments_h r where r.transaction_id = b.transaction_id and r.trade_state = 'REVOKED') "
    "and not exists (select 1 from o where o.transaction_id = b.transaction_id or o.out_trade_no = b.out_trade_no)",
    "PM04": "select out_trade_no from o, p where coalesce(refund, 0) <> bill_refund and coalesce(paid_at, "
    "(select min(b.trade_time) from payments_h b where b.out_trade_no = o.out_trade_no))::date >= p.first_day",
}

SU = {
    "SU01": "select stock_id, coupon_code from c where state = 'USED' and has_program and live and used::date >= (select first_day from p) "
    "and not any_receipt and not exists (select 1 from ledger_line l where l.stock_id = c.stock_id "
    "and l.coupon_code = c.coupon_code and coalesce(l.subsidy_return_receipt_id, '') = '')",
    "SU02": "select stock_id, coupon_code from c where receipts > 0 and live_fen <> subsidy "
    "and not (receipts > 1 and live_fen > subsidy) "
    "and not exists (select 1 from receipt r where r.live and r.stock_id = c.stock_id and r.coupon_code = c.coupon_code "
    "and r.amount_fen > coalesce(c.discount, c.expected))",
    "SU03": "select stock_id, coupon_code from c where receipts > 1 and (not has_program or live_fen > subsidy)",
    "SU04": "select r.out_subsidy_no from receipt r join c using (stock_id, coupon_code) "
    "where r.live and c.in_wallet and c.state <> 'USED' and c.returned is null",
    "SU05": "select out_subsidy_no from receipt where transaction_id is not null "
    "and transaction_id not in (select transaction_id from o where transaction_id is not null) "
    "and transaction_id not in (select transaction_id from payments_h)",
    "SU06": "select out_subsidy_no from receipt join program using (stock_id) where payer_merchant <> payer or payee_merchant <> payee",
    "SU07": "select stock_id, coupon_code from c where full_refund and subsidy_returned < subsidy_paid and not in_flight",
    "SU08": "select r.out_subsidy_no from receipt r join giving_back t on t.subsidy_receipt_id = r.subsidy_receipt_id "
    "where t.status = 'SUCCESS' group by all having sum(t.amount_fen) > any_value(r.amount_fen)",
    "SU09": "select out_subsidy_no from receipt r, p where status in ('ACCEPTED', 'RETURNING') and p.night - "
    "coalesce(case when status = 'RETURNING' then (select max(return_create_time) from giving_back t "
    "where t.subsidy_receipt_id = r.subsidy_receipt_id) end, create_time) > to_hours(p.stuck_hours)",
    "SU10": "select out_subsidy_no from receipt r where status = 'FAIL' and not exists (select 1 from receipt l "
    "where (l.live or l.status = 'FULL_RETURN') and l.stock_id = r.stock_id and l.coupon_code = r.coupon_code and l.create_time > r.create_time)",
    "SU11": "select out_subsidy_no from ledger_line where coalesce(subsidy_return_receipt_id, '') = '' "
    "and not exists (select 1 from receipt r where r.out_subsidy_no = ledger_line.out_subsidy_no "
    "and r.stock_id = ledger_line.stock_id and r.coupon_code = ledger_line.coupon_code)",
    "SU12": "select out_subsidy_no from receipt where out_subsidy_no not in (select out_subsidy_no from ledger_line)",
    "SU13": "select r.out_subsidy_no from receipt r join c using (stock_id, coupon_code) "
    "where r.live and r.amount_fen > coalesce(c.discount, c.expected)",
}

ST = {
    "ST01": "with seen as (select stock_id, coupon_code from c1 union "
    "select stock_id, coupon_code from coupon_codes where code_status = 'DISPATCHED') "
    "select stock_id from seen join stocks s using (stock_id) group by stock_id having count(*) > max(s.total_send_num)",
    "ST02": "select stock_id from stocks where total_send_num > max_coupons",
    "ST03": "select s.stock_id from stocks s join coupon_codes k using (stock_id) group by s.stock_id "
    "having max(s.total_count - s.available_count) <> count(*) filter (where k.code_status = 'DISPATCHED')",
    "ST04": "select c1.stock_id, c1.openid from c1 join stocks s using (stock_id) group by all "
    "having count(*) > max(s.max_coupons_per_user)",
    "ST05": "select distinct w.stock_id from c1 w join stocks_h s on s.stock_id = w.stock_id, p "
    "where s.dt < p.d and s.stock_state in ('STOPED', 'PAUSED') and w.received::date > s.dt "
    "and not exists (select 1 from stocks_h r where r.stock_id = s.stock_id and r.dt > s.dt "
    "and r.dt < w.received::date and r.stock_state not in ('STOPED', 'PAUSED'))",
    "V201": "select coupon_stock_id as stock_id from v2_stocks where is_send_num > coupon_total",
    "V202": "select coupon_stock_id as stock_id from v2_stocks where coupon_budget_fen <> coupon_value_fen * coupon_total",
    # 4 activated, 8 invalidated (reference v2 §: coupon_stock_status).
    "V203": "select v.coupon_stock_id as stock_id from v2_stocks v, p where (v.coupon_stock_status = '4' "
    "and (p.d < v.begin_time::date or p.d > v.end_time::date)) or (v.coupon_stock_status = '8' and v.is_send_num > "
    "(select l.is_send_num from v2_stocks_h l where l.coupon_stock_id = v.coupon_stock_id and l.dt < p.d order by l.dt desc limit 1))",
}

RULES = {**AO, **PM, **SU, **ST}


def latest_pull(dataset: str) -> str:
    """Every ref_date as the last pull that holds it shows it."""
    return f"(select * from {dataset}_h qualify dt = max(dt) over (partition by ref_date))"


def card_totals() -> str:
    """DC01: Σ over cards against the account, counter by counter, only where both exist."""
    counters = ["view_cnt", "receive_cnt", "verify_cnt", "given_cnt", "expire_cnt"]
    parts = [
        f"select a.ref_date, 'card_account_daily;cond_source=' || a.cond_source || ';{it}' as subject "
        f"from {latest_pull('card_account_daily')} a join {latest_pull('card_daily')} k using (ref_date, cond_source) "
        f"group by a.ref_date, a.cond_source having sum(k.{it}) <> max(a.{it})"
        for it in counters
    ]
    return " union all ".join(parts)


def member_totals() -> str:
    """DC04: Σ member detail against Σ member card rows, per shared counter."""
    parts = [
        f"select k.ref_date, 'member_card_detail_daily;{it}' as subject "
        f"from (select ref_date, sum({it}) as n from {latest_pull('member_card_daily')} group by all) k "
        f"join (select ref_date, sum({it}) as n from {latest_pull('member_card_detail_daily')} group by all) t using (ref_date) "
        f"where k.n <> t.n"
        for it in ["view_cnt", "receive_cnt", "verify_cnt", "active_cnt"]
    ]
    return " union all ".join(parts)


def restated() -> str:
    """DC02: a figure of the last pull of a ref_date against the pull before it."""
    shared = ["view", "receive", "verify"]
    figures = {
        "card_account_daily": [*shared, "given", "expire", "view_friends", "receive_friends", "verify_friends"],
        "card_daily": [*shared, "given", "expire", "verify_noself"],
        "member_card_daily": [*shared, "active"],
    }
    extra = {"member_card_daily": ["new_user", "total_user", "total_receive_user"]}
    parts = []
    for dataset, stems in figures.items():
        source = f"{dataset}_h" if dataset == "card_daily" else f"(select *, '' as card_id from {dataset}_h)"
        for it in [f"{stem}_{kind}" for stem in stems for kind in ("cnt", "user")] + extra.get(dataset, []):
            parts.append(
                f"select card_id, ref_date, '{dataset};cond_source=' || cond_source || ';{it}' as subject from ("
                f"select card_id, ref_date, cond_source, {it} as now, lag({it}) over w as before, "
                f"row_number() over (partition by ref_date, cond_source, card_id order by dt desc) as back "
                f"from {source} window w as (partition by ref_date, cond_source, card_id order by dt)) "
                f"where back = 1 and now <> before"
            )
    return " union all ".join(parts)


DATACUBE = {
    "DC01": card_totals(),
    "DC02": restated(),
    "DC03": "with have as (select distinct ref_date as day from card_account_daily_h) "
    "select x.day::date as ref_date, 'card_account_daily' as subject "
    "from (select unnest(generate_series(p.d - 30, p.d - p.repull, interval 1 day)) as day from p) x "
    "where x.day::date not in (select day from have) "
    "and exists (select 1 from have where day < x.day::date and day >= x.day::date - 7) "
    "and exists (select 1 from have where day > x.day::date and day <= x.day::date + 7)",
    "DC04": member_totals(),
}
