"""The nightly reconciliation of WeChat merchant coupons as a DAG, for Airflow 3 and 2.11.

One task per group of stages, then the rules, then a gate. Each task runs the same program on the same job
file; the page journal in the lake is what one task hands to the next, so a task may be cleared and run again
at any time and asks only what is missing.

The environment of the workers (and of the DAG processor) says what to run:

    RECON_PROGRAM        command, default `coupon-recon`; may carry options
    RECON_JOB            job file, default /etc/coupon-recon/job.toml
    RECON_GATE           `breaks --fail-on` of the last task, default open_fen>100000
    RECON_RETRIES        how often a task is tried again, default 12
    RECON_RETRY_SECONDS  how long it waits before that, default 900

A backfill runs the same tasks for earlier days, oldest first, because a break's age is counted from night to
night:

    airflow backfill create --dag-id coupon_recon --from-date 2026-11-01 --to-date 2026-11-20 --max-active-runs 1
    airflow dags backfill coupon_recon -s 2026-11-01 -e 2026-11-20          (Airflow 2)

Trap: in Airflow 3 `@daily` gives a data interval that begins where it ends. CronDataIntervalTimetable gives a
real one, in both versions; the program turns it into business dates and refuses an empty one.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import threading
from datetime import timedelta

import pendulum

from airflow.timetables.interval import CronDataIntervalTimetable

try:
    from airflow.sdk import DAG, BaseOperator
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
    from airflow.models.baseoperator import BaseOperator

PROGRAM = shlex.split(os.environ.get("RECON_PROGRAM", "coupon-recon"))
JOB = os.environ.get("RECON_JOB", "/etc/coupon-recon/job.toml")
GATE = os.environ.get("RECON_GATE", "open_fen>100000")
RETRIES = int(os.environ.get("RECON_RETRIES", "12"))
RETRY_DELAY = timedelta(seconds=int(os.environ.get("RECON_RETRY_SECONDS", "900")))

# What the exit codes mean for a scheduler; `coupon-recon --help` has the table.
SKIP = {99}
PERMANENT = {
    2: "the job file or the command line is wrong",
    3: "open breaks exceed the limit of RECON_GATE",
    5: "a contract or control total is violated; nothing was published",
    65: "an export file is malformed",
    77: "credentials, certificate or signature were rejected",
}
RETRYABLE = {
    4: "some stage failed; the rest is published",
    69: "the remote APIs did not answer",
    75: "a source is not ready, a quota is used up, the disk is full, or another run holds the lake",
}


class CouponRecon(BaseOperator):
    """Runs the program once. Its one line of JSON becomes the XCom, its stderr the task's log.

    BashOperator would not do: it mixes stderr into the XCom and tries again whatever the exit code says.
    """

    template_fields = ("arguments",)
    ui_color = "#dff0d8"

    def __init__(self, *, arguments: list[str], **kwargs):
        super().__init__(**kwargs)
        self.arguments = arguments
        self._process: subprocess.Popen | None = None

    def execute(self, context):
        command = [*PROGRAM, *self.arguments]
        self.log.info("running %s", shlex.join(command))
        # AIRFLOW_CTX_* of this task are in the environment: they go into manifest and lineage events.
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Whatever the worker's locale is: a line it could not read would end the thread that empties the pipe.
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        reader = threading.Thread(target=self._log_stderr, daemon=True)
        reader.start()
        lines = self._process.stdout.read().splitlines()
        code = self._process.wait()
        reader.join()
        return self._conclude(code, lines)

    def on_kill(self):
        # The journal is made durable and the program ends at once; the next try goes on from there.
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def _log_stderr(self):
        for line in self._process.stderr:
            self.log.info("%s", line.rstrip())

    @staticmethod
    def _conclude(code: int, lines: list[str]):
        if code == 0:
            return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None
        if code in SKIP:
            raise AirflowSkipException("nothing to do for this interval")
        if code in PERMANENT:
            raise AirflowFailException(f"exit {code}: {PERMANENT[code]}; trying again would not help")
        raise AirflowException(f"exit {code}: {RETRYABLE.get(code, 'the program was cut off')}; trying again is safe")


# A job without a source for the tasks before has nothing to do there (exit 99): that skips them, not the night.
AFTER_SKIPPED = "none_failed"


def stages(*names: str) -> list[str]:
    """The program's arguments for some stages of the days that end in the data interval."""
    return [
        "run",
        JOB,
        "--stage",
        ",".join(names),
        "--interval-start",
        "{{ data_interval_start | ts }}",
        "--interval-end",
        "{{ data_interval_end | ts }}",
    ]


with DAG(
    dag_id="coupon_recon",
    description="Proves every WeChat coupon against orders, payments and subsidies",
    # Bills are complete at 10:00 of the next day.
    schedule=CronDataIntervalTimetable("30 10 * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2026, 11, 1, tz="Asia/Shanghai"),
    catchup=False,
    # One run at a time holds the lake, and breaks live from night to night.
    max_active_runs=1,
    default_args={"retries": RETRIES, "retry_delay": RETRY_DELAY},
    tags=["coupon-recon"],
    doc_md=__doc__,
) as dag:
    files = CouponRecon(
        task_id="exports_and_bill",
        arguments=stages("orders", "bills", "subsidy_ledger", "notifications"),
    )
    wallets = CouponRecon(
        task_id="wallets",
        arguments=stages("roster", "user_coupons", "stocks", "coupon_codes", "subsidies"),
        trigger_rule=AFTER_SKIPPED,
    )
    figures = CouponRecon(
        task_id="figures",
        arguments=stages("datacube", "cards", "v2_stocks"),
        trigger_rule=AFTER_SKIPPED,
    )
    reconcile = CouponRecon(
        task_id="reconcile",
        arguments=stages("reconcile", "report"),
        trigger_rule=AFTER_SKIPPED,
    )
    gate = CouponRecon(
        task_id="gate",
        arguments=[
            "breaks",
            JOB,
            "--date",
            "{{ ti.xcom_pull(task_ids='reconcile')['date'] }}",
            "--fail-on",
            GATE,
        ],
    )
    files >> wallets >> figures >> reconcile >> gate
