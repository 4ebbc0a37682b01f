"""From the journal to the finance pack: a generated merchant is given many more wallets, one night of it is fetched once from the simulator, and then
rebuilt from the journal by `run --replay`, which is what is timed. `measure(wallets, rounds)` is called by run.py.

Every wallet added holds 18 coupons, one page; 60 % of them were used on the night's day, each by an order line with its bill row; one coupon in 60 is
subsidised. So it is a first night, with all its orders on one day. The night after it knows all these coupons and asks for few of them: what it does is
carry them.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from measure import OUT, PROGRAM, measured, medians, say

DATE = "2026-11-18"
NOW = "2026-11-19T12:00:00+08:00"
DATE_AFTER, NOW_AFTER = "2026-11-19", "2026-11-20T12:00:00+08:00"
COUPONS_A_WALLET = 18
PLAIN_STOCK, PROGRAM_STOCK = "1288880000000007", "1288880000000001"
DISCOUNT_FEN, GOODS_FEN, SUBSIDY_FEN = 500, 3_600, 100
FEE_MILLIFEN_A_FEN = 6
NAME = "拿铁(大杯)"


def measure(wallets, count):
    folder = OUT / "journal"
    shutil.rmtree(folder, ignore_errors=True)
    shop = folder / "shop"
    subprocess.run([PROGRAM, "generate", shop, "--users", "300", "--seed", "7"], check=True, stdout=subprocess.DEVNULL)
    # A process of its own: what it held would count as the peak of every child.
    size = json.loads(subprocess.run([sys.executable, __file__, shop, str(wallets)], check=True, capture_output=True, text=True).stdout)
    say(f"  {size['coupons']:,} coupons, {size['orders']:,} orders, {size['receipts']:,} receipts are being fetched")
    fetched, _ = fetch(shop, DATE, NOW)
    lake = folder / "out/lake"
    runs, parts = [], []
    for _ in range(count):
        began = time.time()
        runs.append(replay(shop, DATE, NOW))
        parts.append(written(lake, began))
    told = {"size": size, "fetch": fetched, "runs": runs, "median": medians(runs), "written": parts, "journal_mb": weight(lake / "journal"),
            "lake_mb": weight(lake / "datasets"), "reports_mb": weight(lake / "reports"), "after": after(shop, count)}  # fmt: skip
    shutil.rmtree(folder)
    return told


def after(shop, count):
    """The night after: who is on the roster file is asked every night, so it goes without one."""
    job = shop / "job.toml"
    job.write_text(re.sub(r"roster_file = .*\n", "", job.read_text()))
    _, said = fetch(shop, DATE_AFTER, NOW_AFTER)
    return {"requests": said["requests"], "median": medians([replay(shop, DATE_AFTER, NOW_AFTER) for _ in range(count)])}


def fetch(shop, date, now):
    """Runs a night against the simulator; gives what it took and what it said."""
    said = shop.parent / "said.json"
    took = measured(
        [PROGRAM, "--now", now, "simulate", shop, "--listen", "127.0.0.1:0", "--", PROGRAM, "--now", now, "run", shop / "job.toml",
         "--date", date, "--base-url", "{base_url}"],
        stdout=said.open("w"), stderr=open(shop.parent / "fetch.log", "w"),
    )  # fmt: skip
    return took, next(json.loads(line) for line in reversed(said.read_text().splitlines()) if line.startswith('{"date"'))


def replay(shop, date, now):
    """Rebuilds a night of which nothing is left but its journal."""
    lake = shop.parent / "out/lake"
    for gone in (*lake.glob(f"datasets/*/dt={date}"), *lake.glob(f"reports/dt={date}"), *lake.glob(f"runs/{date}")):
        shutil.rmtree(gone)
    run = measured(
        [PROGRAM, "--now", now, "run", shop / "job.toml", "--date", date, "--replay"],
        stdout=subprocess.DEVNULL, stderr=open(shop.parent / "replay.log", "w"),
    )  # fmt: skip
    say(f"  replayed in {run['wall_s']:.2f} s, {run['cpu_s']:.2f} CPU s, {run['peak_mb']:.0f} MB")
    return run


def written(lake, began):
    """When each file of the night was finished, in seconds since the program began: what it works on at a time, nobody else tells."""
    files = [*lake.glob(f"datasets/*/dt={DATE}/part-0.parquet"), *lake.glob(f"reports/dt={DATE}/*")]
    moments = {f"{path.parts[-3]}" if path.suffix == ".parquet" else path.name: path.stat().st_mtime - began for path in files}
    return {name: round(at, 2) for name, at in sorted(moments.items(), key=lambda it: it[1]) if at > 0}


def weight(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def grow(shop, wallets, coupons_a_wallet=COUPONS_A_WALLET):
    """Gives the merchant so many more wallets. Returns how much the night has to do."""
    world_path = shop / "world/world.json"
    world = json.loads(world_path.read_text())
    job = (shop / "job.toml").read_text()
    job = re.sub(r"rate_per_second = \d+", "rate_per_second = 5000", job).replace(f'"{PROGRAM_STOCK}", ', f'"{PLAIN_STOCK}", "{PROGRAM_STOCK}", ', 1)
    (shop / "job.toml").write_text(job)
    stocks = world["stocks"]
    stocks[PLAIN_STOCK] = json.loads(json.dumps(stocks[PROGRAM_STOCK])) | {"stock_id": PLAIN_STOCK, "subsidy": False}
    for stock in (PLAIN_STOCK, PROGRAM_STOCK):
        stocks[stock]["stock_send_rule"] |= {"max_coupons": 100_000_000, "max_coupons_per_user": 100}
        stocks[stock]["send_count_information"]["total_send_num"] += wallets * coupons_a_wallet
    bill_path = shop / "world" / world["bills"][DATE]
    bill = Bill(bill_path)
    orders = (shop / f"orders/{DATE}.csv").open("a", newline="")
    ledger = (shop / f"subsidy-orders/{DATE}.csv").open("a", newline="")
    order_rows, ledger_rows = csv.writer(orders, lineterminator="\n"), csv.writer(ledger, lineterminator="\n")
    roster = (shop / "roster.csv").open("a")
    used = subsidised = 0
    for wallet in range(wallets):
        openid = f"oRYun8Zz{wallet:020}"
        roster.write(openid + "\n")
        for place in range(coupons_a_wallet):
            number = wallet * coupons_a_wallet + place
            is_used = number % 5 < 3
            has_subsidy = number % 60 == 0
            stock = PROGRAM_STOCK if has_subsidy else PLAIN_STOCK
            coupon = {
                "openid": openid, "stock_id": stock, "coupon_code": f"9{number:021}", "receive_time": "2026-11-11T04:00:00Z",
                "available_start_time": "2026-11-11T04:00:00Z", "expire_time": "2027-01-10T15:59:59Z", "send_request_no": f"SENDZ{number:012}",
            }  # fmt: skip
            if is_used:
                used += 1
                clock = f"{9 + number % 12:02}:{number // 12 % 60:02}:{number // 720 % 60:02}"
                order_no, transaction = f"RZ20261118{number:012}", f"4200000009{'20261118'}{number:010}"
                coupon["redemption"] = {"number": order_no, "time": f"{DATE}T{int(clock[:2]) - 8:02}{clock[2:]}Z"}
                paid = GOODS_FEN - DISCOUNT_FEN
                order_rows.writerow(
                    [order_no, transaction, "1900000001", openid, f"{DATE} {clock}", yuan(GOODS_FEN), yuan(DISCOUNT_FEN), yuan(paid), "0.00", stock,
                     coupon["coupon_code"], "微信支付", NAME, ""]
                )  # fmt: skip
                bill.add(clock, transaction, order_no, openid, paid)
                if has_subsidy:
                    subsidised += 1
                    receipt = receipt_of(number, coupon, transaction, clock)
                    world["pay_receipts"].append(receipt)
                    body = receipt["body"]
                    ledger_rows.writerow(
                        [body["out_subsidy_no"], body["subsidy_receipt_id"], "", stock, coupon["coupon_code"], transaction, body["payer_merchant"],
                         body["payee_merchant"], SUBSIDY_FEN]
                    )  # fmt: skip
            world["coupons"].append(coupon)
    for file in (orders, ledger, roster):
        file.close()
    bill.write()
    world_path.write_text(json.dumps(world, ensure_ascii=False))
    for secret in (shop / "secrets").iterdir():
        secret.chmod(0o600)
    return {"wallets": wallets, "coupons": len(world["coupons"]), "orders": used, "receipts": subsidised}


def yuan(fen):
    return f"{fen // 100}.{fen % 100:02}"


def fen_of(yuan_text):
    return round(float(yuan_text) * 100)


def receipt_of(number, coupon, transaction, clock):
    hour = int(clock[:2])
    at, done = f"{DATE}T{hour - 8:02}{clock[2:]}Z", f"{DATE}T{hour:02}{clock[2:]}+08:00"
    body = {
        "stock_id": coupon["stock_id"], "coupon_code": coupon["coupon_code"], "transaction_id": transaction, "payer_merchant": "1900000001",
        "payee_merchant": "1900000002", "amount": SUBSIDY_FEN, "description": "商家券补差", "out_subsidy_no": f"SUBZ{number:012}",
        "create_time": done, "subsidy_receipt_id": f"112120261118{number:016}", "success_time": done,
    }  # fmt: skip
    return {"create_time": at, "statuses": [[at, "SUCCESS"]], "body": body}


class Bill:
    """A trade bill that is added to; its trailer goes along."""

    def __init__(self, path):
        self.path = path
        *self.lines, self.names, totals = path.read_bytes().decode().rstrip("\r\n").split("\r\n")
        self.totals = totals.replace("`", "").split(",")
        self.rows = self.fen = 0

    def add(self, clock, transaction, order_no, openid, fen):
        self.rows, self.fen = self.rows + 1, self.fen + fen
        fee = fen * FEE_MILLIFEN_A_FEN
        cells = [
            f"{DATE} {clock}", "wx5edab3bdfba3dc1c", "1900000001", "0", "", transaction, order_no, openid, "JSAPI", "SUCCESS", "OTHERS", "CNY", yuan(fen),
            "0.00", "0", "0", "0.00", "0.00", "", "", NAME, "store=12,till=3", f"{fee // 100_000}.{fee % 100_000:05}", "0.60%", yuan(fen), "0.00", "",
        ]  # fmt: skip
        self.lines.append(",".join("`" + cell for cell in cells))

    def write(self):
        rows, settled, back, coupons, fees, total, applied = self.totals
        millifen = round(float(fees) * 100_000) + self.fen * FEE_MILLIFEN_A_FEN
        new = [
            f"{int(float(rows)) + self.rows}.0", yuan(fen_of(settled) + self.fen), back, coupons, f"{millifen // 100_000}.{millifen % 100_000:05}",
            yuan(fen_of(total) + self.fen), applied,
        ]  # fmt: skip
        trailer = ",".join("`" + cell for cell in new)
        self.path.write_bytes(("\r\n".join([*self.lines, self.names, trailer]) + "\r\n").encode())


if __name__ == "__main__":
    print(json.dumps(grow(Path(sys.argv[1]), int(sys.argv[2]))))
