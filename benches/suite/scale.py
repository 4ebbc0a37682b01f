"""How time and memory grow with the coupons: one merchant after the other, made, judged, removed; then the picture.

    scale.py [--millions 1,3,10,30] [--rounds N]       points into out/bench/scale.json, docs/scaling.svg drawn anew
    scale.py --large COUPONS                           one point, told beside the one of ten million

A point that the disk has no room for is left out, and said so.
"""

import argparse
import json
import shutil
import subprocess
import sys

import plot
from measure import OUT, ROOT, bench, free_gb, load, machine, measured, medians, save, say

# Lake and yesterday's ledger 230, tonight's ledger and scratch files 600 at most (seen at 10 M).
BYTES_A_COUPON = 830
# From here on scratch files are compressed: 230 and 370 (seen at 20 M).
LARGE_COUPONS, BYTES_A_COUPON_OF_MANY = 15_000_000, 600
LARGE_TIME, LARGE_MEMORY = 11, 0.25


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--millions", default="1,3,10,30")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--large", type=int)
    arguments = parser.parse_args()
    counts = [arguments.large] if arguments.large else [round(float(it) * 1e6) for it in arguments.millions.split(",")]
    OUT.mkdir(parents=True, exist_ok=True)
    for coupons in counts:
        needed = coupons * (BYTES_A_COUPON if coupons < LARGE_COUPONS else BYTES_A_COUPON_OF_MANY) / 1e9
        say(f"{coupons:,} coupons: {needed:.0f} GB of disk are needed, {free_gb(OUT):.0f} GB are free")
        if needed > free_gb(OUT):
            if arguments.large:
                sys.exit("not enough: free some, or ask for fewer with COUPONS=…")
            continue
        keep(point(coupons, arguments.rounds))
    plot.draw(points(), ROOT / "docs/scaling.svg")
    if arguments.large:
        told(arguments.large)


def point(coupons, count):
    folder, night, patience = OUT / "scale", bench("reconcile"), max(1200, coupons / 20_000)
    commit = machine()["commit"]
    shutil.rmtree(folder, ignore_errors=True)
    try:
        made = measured([night, "generate", folder, "--coupons", coupons], patience, stderr=subprocess.DEVNULL)
        say(f"  made in {made['wall_s']:.0f} s")
        runs, decoded = [], []
        for _ in range(count):
            runs.append(measured([night, "night", folder], patience, stderr=subprocess.DEVNULL))
            decoded.append(measured([night, "decode", folder], patience, stderr=subprocess.DEVNULL))
            say(f"  {runs[-1]['wall_s']:.1f} s, {runs[-1]['cpu_s']:.1f} CPU s, {runs[-1]['peak_mb']:.0f} MB")
        bytes_ = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return {"coupons": coupons, "commit": commit, "night": medians(runs), "decode": medians(decoded), "lake_mb": bytes_ / 1e6, "made": made}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(new):
    """The latest measurement of every size counts; each is kept as soon as it is there."""
    others = [old for old in points() if old["coupons"] != new["coupons"]]
    save("scale", {"points": sorted([*others, new], key=lambda it: it["coupons"])})


def points():
    return (load("scale") or {"points": []})["points"]


def told(coupons):
    """The large one beside ten million: eleven times the time at most, the same memory within a quarter."""
    by_size = {it["coupons"]: it["night"] for it in points()}
    small, large = by_size.get(10_000_000), by_size[coupons]
    print(json.dumps(large))
    if small and coupons > 10_000_000:
        times, memory = large["wall_s"] / small["wall_s"], large["peak_mb"] / small["peak_mb"] - 1
        limit = LARGE_TIME * coupons / 100_000_000
        print(f"{times:.1f} times the time of ten million (at most {limit:.1f}), {memory:+.0%} memory (± {LARGE_MEMORY:.0%})")


main()
