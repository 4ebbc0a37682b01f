"""Extraction side by side, one server: this client, the Python SDK wechatpayv3, the npm SDK wechatpay-axios-plugin.

    compare.py prepare MERCHANT                       fills every wallet of a generated merchant up to a page of 20
    compare.py run MERCHANT BASE_URL BENCH PAGES      asks PAGES pages with each, prints the table; BENCH_JSON takes the raw numbers
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PAGE_ROWS = 20
ROUNDS = 3
# A limit far below what the client can do: how close to it the wall stays.
LIMIT, LIMITED_S = 300, 20


def prepare(merchant: pathlib.Path) -> None:
    path = merchant / "world/world.json"
    world = json.loads(path.read_text())
    # One coupon that nothing happens to, in as many copies as fill a page.
    plain = min(world["coupons"], key=lambda coupon: (len(coupon), coupon["receive_time"]))
    openids = sorted({coupon["openid"] for coupon in world["coupons"]})
    world["coupons"] = [
        plain | {"openid": openid, "coupon_code": f"{openid[-12:]}{number:04}"}
        for openid in openids
        for number in range(PAGE_ROWS)
    ]
    path.write_text(json.dumps(world, ensure_ascii=False))


def ask(command: list[str]) -> dict:
    """The JSON line a client prints last."""
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"UV_THREADPOOL_SIZE": "2"})
    if done.returncode:
        sys.exit(f"{command[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run(merchant: str, base_url: str, bench: str, pages: int) -> None:
    clients = [
        [bench, merchant, base_url, "--pages", str(pages), "--rate", "5000"],
        [sys.executable, str(HERE / "python_sdk.py"), merchant, base_url, str(pages // 10)],
        ["node", str(HERE / "node_sdk.js"), merchant, base_url, str(pages // 10)],
    ]
    rounds = [[ask(command) for command in clients] for _ in range(ROUNDS)]
    limited = ask([bench, merchant, base_url, "--pages", str(LIMIT * LIMITED_S), "--rate", str(LIMIT)])
    for told in rounds[0]:
        assert told["coupons"] == told["pages"] * PAGE_ROWS, told
    page_us = [statistics.median(told[index]["page_us"] for told in rounds) for index in range(len(clients))]
    print("| client | pages | CPU µs a page | pages a CPU-second | beside ours | peak MB |")
    print("|---|---|---|---|---|---|")
    for told, cost in zip(rounds[0], page_us):
        print(
            f"| {told['client']} | {told['pages']} | {cost:.0f} | {1e6 / cost:.0f} | {cost / page_us[0]:.1f} ×"
            f" | {told['peak_kb'] / 1024:.0f} |"
        )
    signature = statistics.median(told[0]["signature_us"] for told in rounds)
    spread = [told[0]["page_us"] for told in rounds]
    print(f"\none RSA-2048 signature: {signature:.0f} µs; a page of ours: {page_us[0] / signature:.2f} signatures")
    print(f"spread of ours over {ROUNDS} rounds: {min(spread):.0f} to {max(spread):.0f} µs")
    excess = limited["wall_s"] * LIMIT / limited["pages"] - 1
    print(f"at a limit of {LIMIT} a second: {limited['pages']} pages in {limited['wall_s']:.2f} s, {excess:+.1%} of what the limit takes")
    if raw := os.environ.get("BENCH_JSON"):
        told = {"rounds": rounds, "page_us": page_us, "signature_us": signature, "limited": limited | {"rate": LIMIT, "excess": excess}}
        pathlib.Path(raw).write_text(json.dumps(told))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", merchant]:
            prepare(pathlib.Path(merchant))
        case ["run", merchant, base_url, bench, pages]:
            run(merchant, base_url, bench, int(pages))
        case _:
            sys.exit(__doc__)
