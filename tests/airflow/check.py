"""The DAG in a real Airflow against the simulator: a night that succeeds, one that must wait for a file, a
gate that fails, an interval with nothing to do, a merchant with nothing for one task, credentials that are rejected.

usage: check.py PROGRAM WORK_FOLDER        (with Airflow's bin folder first on PATH)
"""

import datetime
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

# The check begins at this time, and its clock goes on, for the simulator and for every task: WeChat refuses who is five minutes off.
NOON = datetime.datetime.fromisoformat("2026-11-21T12:00:00+08:00")
BEHIND_SECONDS = int(time.time() - NOON.timestamp())
CLOCKED = f'"$0" --now "$(date --iso-8601=seconds --date="@$(($(date +%s) - {BEHIND_SECONDS}))")" "$@"'
ROOT = Path(__file__).resolve().parents[2]
TASKS = ["exports_and_bill", "wallets", "figures", "reconcile", "gate"]


def main():
    program, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    airflow = Airflow(program, work / "airflow")
    shop = Shop(program, work / "merchant")
    with shop.served():
        succeeds(airflow, shop)
        waits_for_a_file(airflow, shop)
        fails_at_the_gate(airflow, shop)
        skips(airflow, shop)
        judges_without_figures(airflow, shop)
        rejects(airflow, shop)
    print("airflow", airflow.version, "ok")


def succeeds(airflow, shop):
    code, states, log = airflow.test("2026-11-19", shop.job)
    assert code == 0, log
    assert states == {task: ("success", 1) for task in TASKS}, (states, log)
    manifest = shop.manifest("2026-11-18", stage="reconcile")
    caller = manifest["caller"]
    assert caller["AIRFLOW_CTX_DAG_ID"] == "coupon_recon" and caller["AIRFLOW_CTX_TASK_ID"] == "reconcile", caller
    assert (shop.lake / "datasets/breaks/dt=2026-11-18/part-0.parquet").is_file()
    pulled = airflow.xcom("reconcile")
    assert pulled["date"] == "2026-11-18" and pulled["open_breaks"] > 0, pulled
    assert Path(pulled["manifest"]).is_file(), pulled
    events = (Path(pulled["manifest"]).parent / "events.ndjson").read_text().splitlines()
    parent = json.loads(events[-1])["run"]["facets"]["parent"]
    assert parent["job"]["name"] == "coupon_recon.reconcile", parent


def waits_for_a_file(airflow, shop):
    """Exit 75: the task is tried again and completes, because the export comes when the first try has ended."""
    export = shop.folder / "orders/2026-11-19.csv"
    late = export.with_suffix(".late")
    export.rename(late)
    arrive = f"; code=$?; mv {shlex.quote(str(late))} {shlex.quote(str(export))} 2>/dev/null; exit $code"
    code, states, log = airflow.test("2026-11-20", shop.job, RECON_PROGRAM=airflow.command(arrive))
    assert code == 0, log
    assert states["exports_and_bill"] == ("success", 2), (states, log)
    assert "exit 75" in log, log
    assert [states[task] for task in TASKS[1:]] == [("success", 1)] * 4, (states, log)


def fails_at_the_gate(airflow, shop):
    """The night is published, the gate says no, and is not asked twice."""
    code, states, log = airflow.test("2026-11-21", shop.job, RECON_GATE="open_fen>0")
    assert code != 0, log
    assert states == {**{task: ("success", 1) for task in TASKS[:4]}, "gate": ("failed", 1)}, (states, log)
    assert "exceeds the limit" in log and "exit 3" in log, log


def skips(airflow, shop):
    """Exit 99: the days before the job's first are nobody's failure."""
    text = shop.job.read_text()
    later = shop.job.with_name("job-later.toml")
    later.write_text(text.replace('first_date = "2026-11-18"', 'first_date = "2026-11-19"'))
    code, states, log = airflow.test("2026-11-19", later)
    assert code == 0, log
    assert {state for state, _ in states.values()} == {"skipped"}, (states, log)


def judges_without_figures(airflow, shop):
    """A merchant without official account and v2 stocks: that task has nothing to do, the night is judged all the same."""
    text = shop.job.read_text()
    text = text[: text.index("[pay_v2]")] + text[text.index("[stocks]") :]
    plain = shop.job.with_name("job-plain.toml")
    plain.write_text(text.replace('lake = "../out/lake"', 'lake = "../out/plain"'))
    code, states, log = airflow.test("2026-11-19", plain)
    assert code == 0, log
    assert states == {**{task: ("success", 1) for task in TASKS}, "figures": ("skipped", 1)}, (states, log)


def rejects(airflow, shop):
    """Exit 77: trying again would not help, so it is not tried again."""
    text = shop.job.read_text()
    wrong = shop.job.with_name("job-wrong.toml")
    serial = "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C"
    text = re.sub(r'serial_no = ".*"', f'serial_no = "{serial}"', text)
    wrong.write_text(text.replace('lake = "../out/lake"', 'lake = "../out/other"'))
    code, states, log = airflow.test("2026-11-19", wrong)
    assert code != 0, log
    assert states["exports_and_bill"] == ("failed", 1), (states, log)
    assert states["reconcile"][0] == "upstream_failed", (states, log)
    assert "exit 77" in log, log


class Airflow:
    """One Airflow with a database of its own."""

    def __init__(self, program, home):
        self.home, self.program = home, program
        self.version = self.run("version").stdout.strip().splitlines()[-1]
        migrated = self.run("db", "migrate")
        assert migrated.returncode == 0, migrated.stderr

    def run(self, *arguments, **environment):
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "jobs/airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "RECON_PROGRAM": self.command(),
            "RECON_RETRIES": "3",
            "RECON_RETRY_SECONDS": "1",
            **environment,
        }
        return subprocess.run(["airflow", *arguments], env=environment, capture_output=True, text=True)

    def command(self, afterwards=""):
        """The program as a task is to run it, and what else happens when it has ended."""
        return shlex.join(["sh", "-c", CLOCKED + afterwards, str(self.program)])

    def test(self, day, job, **environment):
        """`airflow dags test` at noon of `day`; exit code, state and tries per task, log."""
        environment = {"RECON_GATE": "open_fen>100000000", "RECON_JOB": str(job), **environment}
        done = self.run("dags", "test", "coupon_recon", f"{day}T12:00:00+08:00", **environment)
        query = """select task_id, state, try_number from task_instance where run_id =
                   (select run_id from dag_run where dag_id = 'coupon_recon' order by id desc limit 1)"""
        states = {task: (state, tries) for task, state, tries in self.query(query)}
        return done.returncode, states, done.stdout + done.stderr

    def xcom(self, task):
        query = "select value from xcom where task_id = ? and key = 'return_value' order by rowid desc limit 1"
        value = self.query(query, task)[0][0]
        value = json.loads(value)
        return json.loads(value) if isinstance(value, str) else value

    def query(self, text, *values):
        with sqlite3.connect(self.home / "airflow.db") as database:
            return database.execute(text, values).fetchall()


class Shop:
    """A generated merchant whose job asks the simulator."""

    def __init__(self, program, folder):
        self.program, self.folder, self.job = program, folder, folder / "job.toml"
        self.lake = folder.parent / "out/lake"
        subprocess.run([program, "generate", folder, "--users", "60", "--seed", "7"], check=True, stdout=subprocess.DEVNULL)

    def served(self):
        return Served(self)

    def manifest(self, date, stage):
        """The manifest of the last run of `date` that ended with `stage` complete."""
        runs = sorted((self.lake / "runs" / date).glob("*/manifest.json"), key=lambda path: path.stat().st_mtime)
        manifests = [json.loads(path.read_text()) for path in runs]
        return [it for it in manifests if any(entry["stage"] == stage for entry in it["stages"])][-1]


class Served:
    def __init__(self, shop):
        self.shop = shop

    def __enter__(self):
        simulate = ["simulate", self.shop.folder, "--listen", "127.0.0.1:0"]
        # In its own place, so that the signal that ends it does not end a shell instead.
        command = ["sh", "-c", f"exec {CLOCKED}", self.shop.program, *simulate]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        url = re.search(r"http://127\.0\.0\.1:\d+", self.process.stderr.readline())[0]
        text = self.shop.job.read_text()
        self.shop.job.write_text(re.sub(r'base_url = ".*"', f'base_url = "{url}"', text))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


if __name__ == "__main__":
    main()
