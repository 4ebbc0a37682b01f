"""The nights of one merchant on this machine and then on a cluster: the same bytes are published.
Usage: nights.py PROGRAM MERCHANT BASE_URL REMOTE [CLUSTER]

CLUSTER is the folder of a cluster of cluster.py: one of its executors is killed in the middle of a night."""

import concurrent.futures
import contextlib
import datetime
import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

from cluster import TOKEN as TOKEN_VARIABLE
from cluster import Cluster

# The simulator was started with this instant, and its clock goes on: WeChat refuses who is five minutes off.
NOW, BEGAN = datetime.datetime.fromisoformat("2026-11-21T12:00:00+08:00"), time.monotonic()
DATES = ["2026-11-18", "2026-11-19", "2026-11-20"]
# What the generated job says of engines.
ENGINE = 'kind = "polars"\nremote = "sc://127.0.0.1:15002"'
TOKEN = "spark-token-that-nobody-may-see"


class Desk:
    """The merchant, the program, the cluster."""

    def __init__(self, program: str, merchant: str, base_url: str, remote: str):
        self.program, self.base_url, self.remote = program, base_url, remote
        self.merchant = pathlib.Path(merchant).resolve()
        self.said: list[str] = []

    def job(self, name: str, engine: str, lake: str | None = None) -> pathlib.Path:
        """The merchant's job file with another lake and engine."""
        text = (self.merchant / "job.toml").read_text(encoding="utf-8")
        text = text.replace('lake = "../out/lake"', f'lake = "{lake or f"../out/{name}"}"')
        path = self.merchant / f"{name}.toml"
        path.write_text(text.replace(ENGINE, engine), encoding="utf-8")
        return path

    def call(self, *arguments, **environment) -> tuple[int, str, str]:
        command = [self.program, "--now", now(), *map(str, arguments)]
        env = os.environ | {"COUPON_RECON_LOG": "info,coupon_recon=debug"} | environment
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1800)
        self.said += [done.stdout, done.stderr]
        return done.returncode, done.stdout, done.stderr

    def run(self, job: pathlib.Path, *arguments, **environment) -> None:
        began = time.monotonic()
        code, out, err = self.call(
            "run", job, "--from", DATES[0], "--to", DATES[-1], "--base-url", self.base_url, *arguments, **environment
        )
        assert code == 0, f"exit {code}\n{out}\n{err[-6000:]}"
        print(f"   {job.stem}: {time.monotonic() - began:.1f} s", flush=True)

    def published(self, name: str) -> dict[str, bytes]:
        lake = self.merchant.parent / "out" / name
        files = [it for part in ("datasets", "reports") for it in (lake / part).rglob("*") if it.is_file()]
        return {str(it.relative_to(lake)): it.read_bytes() for it in files}

    def manifests(self, name: str) -> list[dict]:
        lake = self.merchant.parent / "out" / name
        return [json.loads(it.read_bytes()) for it in sorted((lake / "runs").rglob("manifest.json"))]


def now() -> str:
    return (NOW + datetime.timedelta(seconds=time.monotonic() - BEGAN)).isoformat()


def main() -> int:
    desk = Desk(*sys.argv[1:5])
    tests = [
        the_cluster_publishes_the_same_bytes,
        it_foots_alike_and_is_verified_here,
        a_lake_of_small_parts_has_the_same_bytes_too,
        the_engine_of_the_command_line_wins,
        what_is_wrong_is_told_with_its_exit_code,
        who_does_not_answer_as_spark_is_given_up_in_bounded_time,
    ]
    if len(sys.argv) > 5:
        cluster = Cluster(pathlib.Path(sys.argv[5]))
        tests.append(a_wrong_token_is_denied)
        tests += [functools.partial(test, cluster=cluster) for test in
                  (an_executor_killed_in_the_middle_changes_nothing, a_script_publishes_the_same_bytes)]
    tests.append(no_token_was_shown)
    for test in tests:
        test(desk)
        print(f"ok {getattr(test, 'func', test).__name__}", flush=True)
    print(f"{len(tests)} passed, 0 failed")
    return 0


def the_cluster_publishes_the_same_bytes(desk: Desk) -> None:
    desk.run(desk.job("here", 'kind = "polars"'))
    desk.run(desk.job("cluster", f'kind = "spark"\nremote = "{desk.remote}"'))
    same(desk.published("cluster"), desk.published("here"))


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    other = [key for key in found if found[key] != expected[key]]
    assert not other, f"other bytes: {other}"
    assert sum(key.startswith("datasets/breaks/") for key in found) == 2 * len(DATES), sorted(found)


def it_foots_alike_and_is_verified_here(desk: Desk) -> None:
    pairs = zip(desk.manifests("here"), desk.manifests("cluster"), strict=True)
    for here, cluster in pairs:
        for key in ("footing", "intake", "unjudged_rules", "inputs_sha256", "status"):
            assert here[key] == cluster[key], key
    code, out, err = desk.call("verify", desk.merchant / "cluster.toml", "--date", DATES[-1])
    assert code == 0, out + err


def a_lake_of_small_parts_has_the_same_bytes_too(desk: Desk) -> None:
    """From the second night on the cluster reads days of many files."""
    for name, engine in (("here-parts", 'kind = "polars"'), ("cluster-parts", f'kind = "spark"\nremote = "{desk.remote}"')):
        job = desk.job(name, engine)
        text = job.read_text(encoding="utf-8")
        job.write_text(text.replace("\nlake = ", "\npart_bytes = 4096\nlake = ", 1), encoding="utf-8")
        desk.run(job)
    here, cluster = desk.published("here-parts"), desk.published("cluster-parts")
    assert here.keys() == cluster.keys(), here.keys() ^ cluster.keys()
    assert not [key for key in here if here[key] != cluster[key]]
    for dataset in ("coupon_ledger", "orders"):
        assert f"datasets/{dataset}/dt={DATES[-1]}/part-2.parquet" in here, sorted(here)


def the_engine_of_the_command_line_wins(desk: Desk) -> None:
    job = desk.job("either", f'kind = "polars"\nremote = "{desk.remote}"')
    desk.run(job, "--engine", "spark")
    assert "the night is matched and judged on" in desk.said[-1], desk.said[-1][-2000:]
    same(desk.published("either"), desk.published("here"))
    nowhere = desk.job("nowhere", 'kind = "spark"\nremote = "sc://127.0.0.1:9"')
    desk.run(nowhere, "--engine", "polars")
    same(desk.published("nowhere"), desk.published("here"))


def what_is_wrong_is_told_with_its_exit_code(desk: Desk) -> None:
    def run(engine: str, *arguments, **environment):
        job = desk.job("wrong", engine)
        return desk.call(
            "run", job, "--date", DATES[0], "--base-url", desk.base_url, *arguments, **environment
        )

    began = time.monotonic()
    code, _, err = run('kind = "spark"\nremote = "sc://127.0.0.1:9"')
    assert code == 69 and "nobody answers at sc://127.0.0.1:9" in err, (code, err[-2000:])
    assert time.monotonic() - began < 60, "a dead server is told at once"
    code, _, err = run('kind = "polars"', "--engine", "spark")
    assert code == 2 and "`engine.remote` is missing" in err, (code, err)
    # A token of the environment would be refused before.
    code, _, err = run('kind = "spark"\nremote = "sc://spark.example:15002"', **{TOKEN_VARIABLE: ""})
    assert code == 2 and "a remote cluster does not see" in err, (code, err)
    exposed = {"SPARK_CONNECT_AUTHENTICATE_TOKEN": TOKEN}
    code, _, err = run('kind = "spark"\nremote = "sc://spark.example:15002"\nshared_mount = true', **exposed)
    assert code == 2 and "must not travel in clear text" in err, (code, err)
    code, out, _ = desk.call("check", desk.job("wrong", 'kind = "spark"\nremote = "sc://127.0.0.1:9"'),
                             "--base-url", desk.base_url, **exposed)
    assert code == 69 and "FAIL cluster `sc://127.0.0.1:9`: " in out, out


def who_does_not_answer_as_spark_is_given_up_in_bounded_time(desk: Desk) -> None:
    """TLS where nobody speaks it, and a port that is open and silent."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        cases = {
            "tls": (f"{desk.remote}/;use_ssl=true;token={TOKEN}", "does that port speak TLS?"),
            "silent": (f"sc://127.0.0.1:{silent.getsockname()[1]}/;token={TOKEN}", "the address must say `use_ssl=true`"),
        }

        def run(name: str, remote: str) -> tuple[float, tuple[int, str, str]]:
            began = time.monotonic()
            job = desk.job(name, f'kind = "spark"\nremote = "{remote}"')
            ended = desk.call("run", job, "--date", DATES[0], "--base-url", desk.base_url)
            return time.monotonic() - began, ended

        with concurrent.futures.ThreadPoolExecutor() as both:
            runs = {name: both.submit(run, name, remote) for name, (remote, _) in cases.items()}
        for name, (_, advice) in cases.items():
            seconds, (code, _, err) = runs[name].result()
            assert code == 69 and "no Spark Connect server answered" in err and advice in err, (name, code, err[-2000:])
            assert seconds < 300, f"{name}: {seconds} s"


def a_wrong_token_is_denied(desk: Desk) -> None:
    right = os.environ[TOKEN_VARIABLE]
    for wrong in (TOKEN, ""):
        job = desk.job("denied", f'kind = "spark"\nremote = "{desk.remote}"')
        command = ["--date", DATES[0], "--base-url", desk.base_url]
        code, _, err = desk.call("run", job, *command, **{TOKEN_VARIABLE: wrong})
        assert code == 77 and "refuses access" in err, (code, err[-2000:])
        code, out, err = desk.call("check", job, "--base-url", desk.base_url, **{TOKEN_VARIABLE: wrong})
        assert code == 77 and "refuses access" in out, (code, out, err[-2000:])
    assert not any(right in text for text in desk.said)


def a_script_publishes_the_same_bytes(desk: Desk, cluster: Cluster) -> None:
    """Two nights, so that the second reads what the first published."""
    job = desk.job("script", 'kind = "polars"')
    script = job.with_suffix(".py")
    lake = desk.merchant.parent / "out/script"

    def call(date: str, *arguments) -> tuple[int, str, str]:
        return desk.call("run", job, "--date", date, "--base-url", desk.base_url, "--engine", "spark", *arguments)

    for date in DATES[:2]:
        code, out, err = call(date, "--emit-script", script)
        assert code == 0 and not (lake / f"datasets/breaks/dt={date}").exists(), (code, out, err[-4000:])
        code, _, err = call(date, "--take-script")
        assert code == 75 and "has not run to its end" in err, (code, err[-2000:])
        began = time.monotonic()
        code, said = cluster.submit(script)
        assert code == 0, said[-6000:]
        print(f"   spark-submit: {time.monotonic() - began:.1f} s", flush=True)
        code, out, err = call(date, "--take-script")
        assert code == 0, (code, out, err[-4000:])
        assert json.loads(out)["requests"] == 0, "what was journalled is not asked again"
        assert not any((lake / "handover").rglob("*.parquet")), "what was handed over is removed"
    expected = {key: value for key, value in desk.published("here").items() if DATES[-1] not in key}
    assert desk.published("script") == expected, "other bytes"
    code, out, err = call(DATES[-1], "--emit-script", script)
    assert code == 0, (code, out, err[-4000:])
    changed = script.with_name("changed.py")
    changed.write_text(script.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    code, said = cluster.submit(changed)
    assert code == 0, said[-6000:]
    code, _, err = call(DATES[-1], "--take-script")
    assert code == 2 and "those of another script" in err, (code, err[-2000:])


def an_executor_killed_in_the_middle_changes_nothing(desk: Desk, cluster: Cluster) -> None:
    job = desk.job("killed", f'kind = "spark"\nremote = "{desk.remote}"')
    command = [desk.program, "--now", now(), "run", str(job), "--date", DATES[0], "--base-url", desk.base_url]
    night = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    staging = desk.merchant.parent / "out/killed/staging"
    while not any(staging.glob("*/*/cluster/order_lines")):
        assert night.poll() is None, "the night ended before the cluster began to write"
        time.sleep(0.05)
    before = cluster.executors()
    os.kill(before[0], signal.SIGKILL)
    assert night.poll() is None, "the night was over before its executor was killed"
    said, _ = night.communicate(timeout=1800)
    assert night.returncode == 0, said[-6000:]
    assert before[0] not in cluster.executors(), before
    first = {key: value for key, value in desk.published("here").items() if f"dt={DATES[0]}" in key}
    assert desk.published("killed") == first, "other bytes"


def no_token_was_shown(desk: Desk) -> None:
    assert not any(TOKEN in text for text in desk.said)


if __name__ == "__main__":
    sys.exit(main())
