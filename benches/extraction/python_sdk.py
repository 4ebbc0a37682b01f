"""The Python SDK wechatpayv3, as published: asks for wallets page by page, keeps the answers.
Usage: python_sdk.py MERCHANT BASE_URL PAGES"""

import json
import pathlib
import resource
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "tests/peers"))
from python_sdks import Merchant, pay_v3  # noqa: E402


def main(folder: str, base_url: str, pages: int) -> None:
    merchant = Merchant(pathlib.Path(folder))
    sdk = pay_v3(merchant, base_url)
    openids = sorted({coupon["openid"] for coupon in merchant.world["coupons"]})
    before, start, coupons = cpu_seconds(), time.monotonic(), 0
    with tempfile.TemporaryFile("w") as journal:
        for number in range(pages):
            openid = openids[number % len(openids)]
            code, text = sdk.marketing_busifavor_user_coupon(
                openid, creator_merchant=merchant.account["mchid"], offset=0, limit=20
            )
            assert code == 200, text
            coupons += len(json.loads(text)["data"])
            journal.write(text + "\n")
    cpu_s, wall_s = cpu_seconds() - before, time.monotonic() - start
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {"client": "wechatpayv3 (Python)", "pages": pages, "coupons": coupons, "wall_s": wall_s, "cpu_s": cpu_s}
    print(json.dumps(told | {"page_us": cpu_s * 1e6 / pages, "peak_kb": peak_kb}))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
