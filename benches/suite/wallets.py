"""What memory does while wallets are asked: nights of a merchant with ever more wallets of one coupon, each a page of its own, from the simulator.

    wallets.py measure [--wallets 10000,100000,1000000]     points into out/bench/wallets.json
    wallets.py ask SHOP BASE_URL                            what `simulate` runs for a point: the program, watched

Only the stages that ask wallets run, so the peak is theirs: the match has a table of its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from journal import DATE, NOW, grow
from measure import OUT, PROGRAM, machine, measured, save, say

STAGES = "orders,roster,stocks,user_coupons"
SAMPLE_S = 0.5
# The simulator signs some 700 answers a second.
PATIENCE_S = 7200


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("measure").add_argument("--wallets", default="10000,100000,1000000")
    asking = commands.add_parser("ask")
    asking.add_argument("shop", type=Path)
    asking.add_argument("base_url")
    arguments = parser.parse_args()
    if arguments.command == "ask":
        return ask(arguments.shop, arguments.base_url)
    points = [point(int(wallets)) for wallets in arguments.wallets.split(",")]
    save("wallets", {"points": points})


def point(wallets):
    """One merchant, one night; each step a process of its own, since what a parent held counts as the peak of its children."""
    folder = OUT / "wallets"
    shutil.rmtree(folder, ignore_errors=True)
    shop = folder / "shop"
    subprocess.run([PROGRAM, "generate", shop, "--users", "300", "--seed", "7"], check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run([sys.executable, "-c", MAKE, shop, str(wallets)], cwd=Path(__file__).parent, check=True, capture_output=True, text=True)
    say(f"  {wallets:,} wallets are being asked")
    try:
        measured(
            [PROGRAM, "--now", NOW, "simulate", shop, "--listen", "127.0.0.1:0", "--", sys.executable, __file__, "ask", shop, "{base_url}"],
            PATIENCE_S, stdout=subprocess.DEVNULL, stderr=open(folder / "simulate.log", "w"),
        )  # fmt: skip
        told = json.loads((folder / "asked.json").read_text()) | {"size": json.loads(made.stdout), "wallets": wallets}
    finally:
        shutil.rmtree(folder)
    say(f"  {told['requests']:,} requests in {told['wall_s']:.0f} s, {told['peak_mb']:.0f} MB")
    return told | {"commit": machine()["commit"]}


MAKE = "import json, sys; from pathlib import Path; from journal import grow; print(json.dumps(grow(Path(sys.argv[1]), int(sys.argv[2]), 1)))"


def ask(shop, base_url):
    """Runs the night and samples its resident memory; tells what it took, and the peak as the kernel kept it: what rises between two samples counts."""
    samples, said = [], shop.parent / "said.json"
    command = [PROGRAM, "--now", NOW, "run", shop / "job.toml", "--date", DATE, "--base-url", base_url, "--stage", STAGES]
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=said.open("w"))
    watcher = threading.Thread(target=watch, args=(process, began, samples))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    night = next(json.loads(line) for line in reversed(said.read_text().splitlines()) if line.startswith('{"date"'))
    told = {"code": process.returncode, "wall_s": wall, "requests": night["requests"], "peak_mb": usage.ru_maxrss / 1024, "samples": samples}
    (shop.parent / "asked.json").write_text(json.dumps(told))


def watch(process, began, samples):
    status = Path(f"/proc/{process.pid}/status")
    while process.returncode is None:
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except FileNotFoundError:
            return
        if "VmRSS" in lines:
            samples.append([round(time.monotonic() - began, 1), int(lines["VmRSS"].split()[0]) / 1024])
        time.sleep(SAMPLE_S)


if __name__ == "__main__":
    main()
