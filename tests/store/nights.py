"""The nights of one merchant, once with the lake in a folder and then in a bucket: the same bytes, whatever
happens on the way. Usage: nights.py PROGRAM MERCHANT BASE_URL ENDPOINT [--checks-signatures]

Every request of the program goes through a gate (gate.py), so that it is known in which order objects are
put, and a run can be ended or held at a certain put and not at some moment."""

import datetime
import email.utils
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse

import boto3

import readers
from gate import Gate

# Longer than the lease of a run that was killed, and less than WeChat refuses.
LATER_SECONDS = 240
DATES = ["2026-11-18", "2026-11-19", "2026-11-20"]
BUCKET = "coupons"
KEY_ID, SECRET = "recon-key-id", "recon-secret-key-that-nobody-may-see"


class Desk:
    """The merchant, the program, the bucket."""

    def __init__(self, program: str, merchant: str, base_url: str, endpoint: str):
        self.program, self.base_url, self.endpoint = program, base_url, endpoint
        self.merchant = pathlib.Path(merchant).resolve()
        self.lake = self.merchant.parent / "out/lake"
        self.gate = Gate(endpoint)
        self.s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            config=boto3.session.Config(s3={"addressing_style": "path"}),
        )
        self.said: list[str] = []
        self.simulator_ahead = date_of(base_url) - datetime.datetime.now(datetime.timezone.utc)

    def clock(self, ahead_seconds: float = 0) -> str:
        """What the clock of the simulator shows, which goes on: WeChat refuses who is five minutes off."""
        ahead = self.simulator_ahead + datetime.timedelta(seconds=ahead_seconds)
        return (datetime.datetime.now(datetime.timezone.utc) + ahead).isoformat()

    def later(self) -> str:
        """When the lease of a run that was killed just now has run out."""
        return self.clock(LATER_SECONDS)

    def job(self, prefix: str, work: str, endpoint: str | None = None, bucket: str = BUCKET) -> pathlib.Path:
        """The merchant's job file with its lake in the bucket."""
        text = (self.merchant / "job.toml").read_text(encoding="utf-8")
        place = f'lake = "s3://{bucket}/{prefix}"\nwork_dir = "../work/{work}"'
        text = text.replace('lake = "../out/lake"', place)
        store = f'[store]\nendpoint = "{endpoint or self.gate.url}"\n\n[pay_v3]'
        path = self.merchant / f"{bucket}-{prefix}-{work}.toml"
        path.write_text(text.replace("[pay_v3]", store, 1), encoding="utf-8")
        return path

    def work(self, name: str) -> pathlib.Path:
        return self.merchant.parent / "work" / name

    def start(self, *arguments, now: str | None = None, secret: str = SECRET) -> subprocess.Popen:
        env = os.environ | {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": secret, "COUPON_RECON_LOG": "debug"}
        command = [self.program, "--now", now or self.clock(), *map(str, arguments)]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, process: subprocess.Popen) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=300)
        self.said += [out, err]
        return process.returncode, out, err

    def call(self, *arguments, **how) -> tuple[int, str, str]:
        return self.end(self.start(*arguments, **how))

    def run(self, job: pathlib.Path, *arguments, **how) -> list[dict]:
        """A run that must be complete; its result lines."""
        code, out, err = self.call("run", job, *arguments, "--base-url", self.base_url, **how)
        assert code == 0, f"exit {code}\n{out}\n{err[-4000:]}"
        return [json.loads(line) for line in out.splitlines()]

    def objects(self, prefix: str) -> dict[str, dict]:
        found = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
            found |= {it["Key"]: it for it in page.get("Contents", [])}
        return found

    def body(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def published(self, prefix: str) -> dict[str, bytes]:
        """Datasets and reports below a prefix, by their path in a lake."""
        keys = [key for part in ("datasets", "reports") for key in self.objects(f"{prefix}/{part}/")]
        return {key.removeprefix(f"{prefix}/"): self.body(key) for key in keys}

    def in_folder(self) -> dict[str, bytes]:
        """The same of the lake in a folder."""
        files = [it for part in ("datasets", "reports") for it in (self.lake / part).rglob("*") if it.is_file()]
        return {str(it.relative_to(self.lake)): it.read_bytes() for it in files}


def date_of(url: str) -> datetime.datetime:
    """What the clock of a server shows."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    connection.request("GET", "/")
    return email.utils.parsedate_to_datetime(connection.getresponse().headers["Date"])


def main() -> int:
    program, merchant, base_url, endpoint, *options = sys.argv[1:]
    desk = Desk(program, merchant, base_url, endpoint)
    desk.s3.create_bucket(Bucket=BUCKET)
    tests = [
        the_same_bytes_as_in_a_folder,
        manifests_name_what_stands_in_the_bucket_and_come_last,
        analysts_read_the_lake_from_the_bucket,
        a_wiped_work_folder_costs_no_question_and_rewrites_nothing,
        the_published_day_is_verified_in_the_bucket,
        another_key_for_openids_is_told_before_a_night,
        a_run_killed_while_it_asks_goes_on_in_another_folder,
        a_run_killed_while_it_publishes_leaves_old_or_new_and_is_completed,
        of_two_runs_that_want_the_lock_at_once_one_gets_it,
        what_is_wrong_is_told_with_its_exit_code,
    ]
    if "--checks-signatures" in options:
        tests.append(a_wrong_secret_is_rejected)
    tests += [an_approved_plan_is_carried_out_once_from_whichever_machine, no_secret_was_shown]
    for test in tests:
        test(desk)
        print(f"ok {test.__name__}", flush=True)
    print(f"{len(tests)} passed, 0 failed")
    return 0


def the_same_bytes_as_in_a_folder(desk: Desk) -> None:
    desk.run(desk.merchant / "job.toml", "--from", DATES[0], "--to", DATES[-1])
    code, out, err = desk.call("check", desk.job("prod", "one"), "--base-url", desk.base_url)
    assert code == 0 and "ok   lake `s3://coupons/prod`: bucket, keys and conditional puts" in out, out + err
    assert not desk.objects("prod"), "a check leaves nothing behind"
    lines = desk.run(desk.job("prod", "one"), "--from", DATES[0], "--to", DATES[-1])
    for date, line in zip(DATES, lines, strict=True):
        assert line["manifest"].startswith(f"s3://coupons/prod/runs/{date}/"), line
    same(desk.published("prod"), desk.in_folder())


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    other = [key for key in found if found[key] != expected[key]]
    assert not other, f"other bytes: {other}"


def manifests_name_what_stands_in_the_bucket_and_come_last(desk: Desk) -> None:
    puts = [key.removeprefix("prod/") for key in desk.gate.puts()]
    for date in DATES:
        keys = [key for key in desk.objects(f"prod/runs/{date}/") if key.endswith("/manifest.json")]
        assert len(keys) == 1, keys
        manifest = json.loads(desk.body(keys[0]))
        last = puts.index(keys[0].removeprefix("prod/"))
        for file in manifest["files"]:
            folder = f"reports/dt={date}" if file["dataset"] == "reports" else f"datasets/{file['dataset']}/dt={date}"
            key = f"{folder}/{file['name']}"
            assert hashlib.sha256(desk.body(f"prod/{key}")).hexdigest() == file["sha256"], key
            assert puts.index(key) < last, f"{key} was put after the manifest"
            if folder.startswith("datasets"):
                assert puts.index(key) < puts.index(f"{folder}/_SUCCESS") < last, key
        first = min(place for place, key in enumerate(puts) if key.startswith("datasets/") and f"dt={date}" in key)
        bodies = [place for place, key in enumerate(puts) if f"journal/dt={date}/gen-001/user_coupons/" in key]
        assert bodies and max(bodies) < first, "what is published can be replayed"


def analysts_read_the_lake_from_the_bucket(desk: Desk) -> None:
    readers.check(desk.endpoint, KEY_ID, SECRET, f"{BUCKET}/prod", desk.lake)


def a_wiped_work_folder_costs_no_question_and_rewrites_nothing(desk: Desk) -> None:
    before = {part: desk.objects(f"prod/{part}/") for part in ("datasets", "reports", "journal")}
    for how in ([], ["--replay"]):
        shutil.rmtree(desk.work("one"))
        for date in DATES:
            [line] = desk.run(desk.job("prod", "one"), "--date", date, *how)
            assert line["requests"] == 0, line
    for part, objects in before.items():
        now = desk.objects(f"prod/{part}/")
        if part == "journal":
            assert objects.keys() <= now.keys()
            continue
        changed = [key for key in objects if (objects[key]["ETag"], objects[key]["LastModified"]) != (now[key]["ETag"], now[key]["LastModified"])]
        assert not changed and objects.keys() == now.keys(), f"rewritten: {changed}"


def an_approved_plan_is_carried_out_once_from_whichever_machine(desk: Desk) -> None:
    """Last but one: what it changes at WeChat, a night that asks anew would see."""
    one, other, date = desk.job("prod", "one"), desk.job("prod", "other"), DATES[-1]
    plan = desk.merchant / "plan.json"
    code, _, err = desk.call("plan", one, "--date", date, "--out", plan)
    calls = json.loads(plan.read_text(encoding="utf-8"))["calls"]
    assert code == 0 and calls, err
    sha256 = hashlib.sha256(plan.read_bytes()).hexdigest()
    for job, told in ((one, "done"), (other, "before")):
        code, out, err = desk.call("apply", plan, "--approve", sha256, "--job", job, "--base-url", desk.base_url)
        assert code == 0 and json.loads(out)[told] == len(calls), out + err
    state = desk.objects(f"prod/state/{json.loads(plan.read_text(encoding='utf-8'))['job']}.remedies/")
    returns = [call for call in calls if call["path"].endswith("/subsidy/return-receipts")]
    assert returns, "a plan without a subsidy that is asked back"
    for kind, expected in ((".sent", calls), (".return", returns)):
        kept = [key for key in state if key.endswith(kind)]
        assert len(kept) == len(expected), f"{len(kept)} `{kind}` of {len(expected)} calls"
    assert len(state) == len(calls) + len(returns), state


def the_published_day_is_verified_in_the_bucket(desk: Desk) -> None:
    job, date = desk.job("prod", "reader"), DATES[1]
    code, out, err = desk.call("verify", job, "--date", date, "--signatures")
    assert code == 0 and "signatures are valid" in out, out + err
    assert not desk.work("reader").exists(), "a reader needs no work folder"
    _, expected, _ = desk.call("breaks", desk.merchant / "job.toml", "--date", date)
    code, out, _ = desk.call("breaks", job, "--date", date)
    assert code == 0 and out == expected
    code, _, err = desk.call("breaks", job, "--date", "2026-11-25")
    assert code == 75, err
    key = f"prod/datasets/orders/dt={date}/part-0.parquet"
    right = desk.body(key)
    wrong = bytearray(right)
    wrong[len(wrong) // 2] ^= 1
    desk.s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(wrong))
    code, out, _ = desk.call("verify", job, "--date", date)
    assert code == 5 and f"s3://coupons/{key}" in out, out
    desk.s3.put_object(Bucket=BUCKET, Key=key, Body=right)
    assert desk.call("verify", job, "--date", date)[0] == 0


def another_key_for_openids_is_told_before_a_night(desk: Desk) -> None:
    job = desk.job("prod", "one")
    key = desk.merchant / "secrets/other.key"
    key.write_text("another key for the openids, of the same length or not", encoding="utf-8")
    key.chmod(0o600)
    other = job.with_name("other-key.toml")
    other.write_text(job.read_text(encoding="utf-8").replace("secrets/pii.key", "secrets/other.key"), encoding="utf-8")
    code, out, err = desk.call("check", other, "--base-url", desk.base_url)
    assert code == 2 and "FAIL `job.pii`: the openids of `s3://coupons/prod/datasets/" in out, out + err
    code, out, err = desk.call("check", job, "--base-url", desk.base_url)
    assert code == 0 and "job.pii" not in out, out + err


def a_run_killed_while_it_asks_goes_on_in_another_folder(desk: Desk) -> None:
    job, journal = desk.job("killed", "first"), "killed/journal/"
    arguments = ["run", job, "--date", DATES[0], "--base-url", desk.base_url]
    # The clock of the second run shows what that of the first showed: the lease has not run out, however slow this machine is.
    began = desk.clock()
    kill_at(desk, arguments, lambda method, key: key.startswith(journal) and len(desk.objects(journal)) > 1, now=began)
    kept = desk.objects(journal)
    assert kept and not desk.objects("killed/datasets/")
    elsewhere = desk.job("killed", "second")
    code, _, err = desk.call("run", elsewhere, "--date", DATES[0], "--base-url", desk.base_url, now=began)
    assert code == 75 and "another run holds the lake: process" in err and "if it died" in err, err
    [line] = desk.run(elsewhere, "--date", DATES[0], now=desk.later())
    taken = sum(stage["from_journal"] for stage in manifest_of(desk, line)["stages"])
    assert taken > 0, "what was journalled is not asked again"
    of_date = {key: body for key, body in desk.in_folder().items() if f"dt={DATES[0]}" in key}
    same(desk.published("killed"), of_date)


def a_run_killed_while_it_publishes_leaves_old_or_new_and_is_completed(desk: Desk) -> None:
    job = desk.job("killed", "third")
    expected = desk.in_folder()
    for number in (1, 4, 9):
        arguments = ["run", job, "--date", DATES[1], "--base-url", desk.base_url]
        seen = []

        def at_the_put(method: str, key: str, seen=seen, number=number) -> bool:
            if method == "PUT" and key.startswith("killed/datasets/") and f"dt={DATES[1]}" in key:
                seen.append(key)
            return len(seen) == number

        # The lease of the killed run belongs to this work folder: nobody waits for it to run out.
        kill_at(desk, arguments, at_the_put, now=desk.later())
        for key, body in desk.published("killed").items():
            assert expected[key] == body, f"{key} is neither old nor new"
        assert not [key for key in desk.objects(f"killed/runs/{DATES[1]}/") if key.endswith("manifest.json")]
    [line] = desk.run(job, "--date", DATES[1], now=desk.later())
    assert line["requests"] == 0, line
    same(desk.published("killed"), {key: body for key, body in expected.items() if f"dt={DATES[2]}" not in key})


def of_two_runs_that_want_the_lock_at_once_one_gets_it(desk: Desk) -> None:
    both = threading.Barrier(2, timeout=120)
    asked = threading.Semaphore(2)

    def together(method: str, key: str) -> None:
        if method == "PUT" and key.startswith("race/state/") and key.endswith(".lock") and asked.acquire(blocking=False):
            both.wait()

    desk.gate.watch = together
    jobs = [desk.job("race", name) for name in ("left", "right")]
    runs = [desk.start("run", job, "--date", DATES[0], "--base-url", desk.base_url) for job in jobs]
    ends = [desk.end(run) for run in runs]
    desk.gate.watch = lambda method, key: None
    assert sorted(code for code, _, _ in ends) == [0, 75], ends
    [told] = [err for code, _, err in ends if code == 75]
    assert "another run holds the lake" in told and "hint:" in told, told
    same(desk.published("race"), {key: body for key, body in desk.in_folder().items() if f"dt={DATES[0]}" in key})


def what_is_wrong_is_told_with_its_exit_code(desk: Desk) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    unreachable = desk.job("p", "nonet", endpoint=closed)
    text = unreachable.read_text(encoding="utf-8")
    assert "retry_deadline_seconds = 120" in text, text
    # Nobody ever answers there, so nobody can be late.
    unreachable.write_text(text.replace("retry_deadline_seconds = 120", "retry_deadline_seconds = 5"), encoding="utf-8")
    cases = [
        (desk.job("p", "nobucket", bucket="not-there"), 2, "there is no such bucket"),
        (unreachable, 69, "cannot be reached"),
    ]
    foreign = desk.work("foreign")
    foreign.mkdir(parents=True)
    (foreign / "precious").write_text("x")
    cases.append((desk.job("p", "foreign"), 2, "is not the work folder"))
    for job, expected, why in cases:
        code, _, err = desk.call("run", job, "--date", DATES[0], "--base-url", desk.base_url)
        assert code == expected and why in err and "hint:" in err, f"{code}: {err}"
    code, out, _ = desk.call("check", cases[0][0], "--base-url", desk.base_url)
    assert code == 2 and "FAIL lake `s3://not-there/p`" in out, out
    assert (foreign / "precious").exists()


def a_wrong_secret_is_rejected(desk: Desk) -> None:
    job = desk.job("prod", "wrong")
    for command in (["run", job, "--date", DATES[0], "--base-url", desk.base_url], ["check", job, "--base-url", desk.base_url], ["breaks", job, "--date", DATES[0]]):
        code, out, err = desk.call(*command, secret="another-secret-key-than-the-right-one")
        assert code == 77 and "SignatureDoesNotMatch" in out + err, f"{code}: {out}{err}"
        assert "hint:" in out + err, out + err


def no_secret_was_shown(desk: Desk) -> None:
    for text in desk.said:
        assert SECRET not in text and "X-Amz-Signature" not in text
        assert KEY_ID not in text, "an access key id needs no telling"
    for folder in desk.merchant.parent.glob("work/*"):
        for file in folder.rglob("*"):
            assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def kill_at(desk: Desk, arguments: list, is_here, now: str | None = None) -> None:
    """Ends the program without a word before the request passes at which `is_here` says so."""
    process = desk.start(*arguments, now=now)
    killed = threading.Event()

    def watch(method: str, key: str) -> None:
        if killed.is_set() or is_here(method, key):
            killed.set()
            process.send_signal(signal.SIGKILL)

    desk.gate.watch = watch
    code, _, err = desk.end(process)
    desk.gate.watch = lambda method, key: None
    assert code == -signal.SIGKILL, f"it ended by itself, exit {code}: {err[-2000:]}"


def manifest_of(desk: Desk, line: dict) -> dict:
    return json.loads(desk.body(line["manifest"].removeprefix(f"s3://{BUCKET}/")))


if __name__ == "__main__":
    sys.exit(main())
