"""One night of a made merchant on this machine, then on a Spark of this machine: a master, two workers of one core each, a Connect
server. The published bytes must be equal before any figure is printed. The cluster's CPU and memory are those of all its processes.

    spark.py FOLDER --here RECONCILE --client RECONCILE [--rounds 2] [--executor-mb 900] [--partitions 2]

RECONCILE is the program of `benches/reconcile`; the client's is built with the feature `spark`. Run by a Python that has pyspark.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "suite"), str(HERE.parents[1] / "tests/engines")]

from cluster import Cluster, session_of  # noqa: E402
from measure import OUT, measured, save, say  # noqa: E402

DATE = "2026-11-20"
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
MADE = ("coupon_ledger", "breaks")


class Meter:
    """CPU-seconds and resident memory of the processes of a cluster, of those too that ended meanwhile."""

    def __init__(self, cluster: Cluster):
        self.sessions = set(cluster.started.values())
        self.cpu_s: dict[int, float] = {}
        self.peak_mb = 0.0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def look(self) -> None:
        resident = 0
        for pid in [int(it.name) for it in pathlib.Path("/proc").iterdir() if it.name.isdigit()]:
            if session_of(pid) not in self.sessions:
                continue
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            self.cpu_s[pid] = (int(fields[11]) + int(fields[12])) / TICKS
            resident += int(fields[21]) * PAGE
        self.peak_mb = max(self.peak_mb, resident / (1 << 20))

    def watch(self) -> None:
        while not self.is_over.wait(0.5):
            self.look()

    def __enter__(self) -> "Meter":
        self.look()
        self.before, self.peak_mb = dict(self.cpu_s), 0.0
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.is_over.set()
        self.thread.join()
        self.look()
        self.spent_s = sum(self.cpu_s.values()) - sum(self.before.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--here", type=pathlib.Path, required=True)
    parser.add_argument("--client", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--executor-mb", type=int, default=900)
    parser.add_argument("--partitions", type=int, default=2)
    asked = parser.parse_args()
    here = measured([asked.here, "night", asked.folder])
    expected = published(asked.folder)
    cluster = Cluster(OUT / "spark", asked.executor_mb, asked.partitions)
    remote = cluster.up()
    try:
        runs = [on_cluster(asked, cluster, remote, expected) for _ in range(asked.rounds)]
    finally:
        cluster.down()
    told = {"folder": asked.folder.name, "executor_mb": asked.executor_mb, "here": here, "spark": runs}
    save(f"spark-{asked.folder.name}", told)
    print(json.dumps(told, indent=1))


def on_cluster(asked: argparse.Namespace, cluster: Cluster, remote: str, expected: dict[str, str]) -> dict:
    """A night in a session of its own; the first finds the cluster cold."""
    job = asked.folder / "job.toml"
    text = job.read_text(encoding="utf-8")
    job.write_text(f'{text}\n[engine]\nkind = "spark"\nremote = "{remote}"\nquery_timeout_seconds = 7200\n', encoding="utf-8")
    try:
        began = time.monotonic()
        with Meter(cluster) as meter:
            client = measured([asked.client, "night", asked.folder], limit_s=7200)
    finally:
        job.write_text(text, encoding="utf-8")
    say(f"  {time.monotonic() - began:.1f} s; client {client['cpu_s']:.0f} CPU s; cluster {meter.spent_s:.0f} CPU s, {meter.peak_mb:.0f} MB")
    found = published(asked.folder)
    if found != expected:
        sys.exit(f"other bytes: {[name for name in MADE if found[name] != expected[name]]}")
    return {"client": client, "cluster": {"cpu_s": meter.spent_s, "peak_mb": meter.peak_mb}}


def published(folder: pathlib.Path) -> dict[str, str]:
    part = lambda name: folder / f"lake/datasets/{name}/dt={DATE}/part-0.parquet"
    return {name: hashlib.sha256(part(name).read_bytes()).hexdigest() for name in MADE}


if __name__ == "__main__":
    main()
