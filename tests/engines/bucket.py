"""The nights of one merchant with the lake in a bucket, matched and judged on Sail, which reads the bucket with
keys of its own: the bytes of the folder of this machine. Then nights as scripts, whose answers another machine takes.
Usage: bucket.py PROGRAM MERCHANT BASE_URL REMOTE ENDPOINT PYTHON

PYTHON has the client of Spark, which a script wants."""

import io
import os
import pathlib
import subprocess
import sys
import time

import boto3
import pyarrow
import pyarrow.parquet

from nights import DATES, Desk, same

BUCKET = "coupons"
KEY_ID, SECRET = "recon-key-id", "recon-secret-key-that-nobody-may-see"
KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}


class Bucket:
    """What lies in it, below a prefix."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        config = boto3.session.Config(s3={"addressing_style": "path"})
        self.s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY_ID,
                               aws_secret_access_key=SECRET, config=config)
        self.s3.create_bucket(Bucket=BUCKET)

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        return [it["Key"].removeprefix(f"{prefix}/") for page in pages for it in page.get("Contents", [])]

    def body(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def remove(self, prefix: str, part: str) -> None:
        for key in self.keys(prefix.rstrip("/")):
            if part in f"/{key}":
                self.s3.delete_object(Bucket=BUCKET, Key=f"{prefix}{key}")

    def published(self, prefix: str) -> dict[str, bytes]:
        published = [key for key in self.keys(prefix) if key.startswith(("datasets/", "reports/"))]
        return {key: self.body(f"{prefix}/{key}") for key in published}

    def job(self, desk: Desk, name: str, engine: str, prefix: str) -> pathlib.Path:
        """A job whose lake is here; each name has a work folder of its own, as on a machine of its own."""
        job = desk.job(name, engine, lake=f"s3://{BUCKET}/{prefix}")
        text = job.read_text(encoding="utf-8").replace("lake = ", f'work_dir = "../work-{name}"\nlake = ', 1)
        job.write_text(text.replace("[pay_v3]", f'[store]\nendpoint = "{self.endpoint}"\n\n[pay_v3]', 1), encoding="utf-8")
        return job


def a_lake_in_a_bucket_is_the_same(desk: Desk, bucket: Bucket) -> None:
    desk.run(desk.job("here", 'kind = "polars"'))
    desk.run(bucket.job(desk, "bucket", f'kind = "spark"\nremote = "{desk.remote}"', "lake"), **KEYS)
    same(bucket.published("lake"), desk.published("here"))
    assert not [key for key in bucket.keys("lake") if "staging/" in key], "what the cluster was given is removed again"


def a_script_reads_the_bucket_and_another_machine_takes_what_it_left(desk: Desk, bucket: Bucket, python: str) -> None:
    """Two nights: the second reads what the first published."""
    prefix = "scripted"
    writing, taking = (bucket.job(desk, name, 'kind = "polars"', prefix) for name in ("writes", "takes"))
    script = writing.with_suffix(".py")

    def call(job: pathlib.Path, date: str, *arguments) -> tuple[int, str, str]:
        command = ["run", job, "--date", date, "--base-url", desk.base_url, "--engine", "spark", *arguments]
        return desk.call(*command, **KEYS)

    for date in DATES[:2]:
        code, out, err = call(writing, date, "--emit-script", script)
        assert code == 0, (code, out, err[-4000:])
        text = script.read_text(encoding="utf-8")
        assert f'LAKE = "s3a://{BUCKET}/{prefix}"' in text and SECRET not in text and KEY_ID not in text
        assert any(f"dt={date}/inputs/orders/part-0.parquet" in key for key in bucket.keys(prefix)), bucket.keys(prefix)
        began = time.monotonic()
        submit(python, script, desk.remote)
        answer_where_nothing_was_found(bucket, prefix, text)
        # As if it had died before its last line: it is run again, and writes parts of other names.
        bucket.remove(f"{prefix}/handover/", "/answers/end/")
        early, _, err = call(taking, date, "--take-script")
        assert early == 75 and "has not run to its end" in err, (early, err[-2000:])
        submit(python, script, desk.remote)
        answer_where_nothing_was_found(bucket, prefix, text)
        print(f"   the script, twice: {time.monotonic() - began:.1f} s", flush=True)
        code, out, err = call(taking, date, "--take-script")
        assert code == 0, (code, out, err[-4000:])
        assert not [key for key in bucket.keys(prefix) if key.startswith(("handover/", "staging/"))], bucket.keys(prefix)
    expected = {key: value for key, value in desk.published("here").items() if DATES[-1] not in key}
    found = bucket.published(prefix)
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    assert not [key for key in found if found[key] != expected[key]]


def what_a_script_was_given_goes_with_the_night_of_another_machine(desk: Desk, bucket: Bucket) -> None:
    date, prefix = DATES[0], "given-up"
    writing, running = (bucket.job(desk, name, 'kind = "polars"', prefix) for name in ("gives", "runs"))
    command = ["--date", date, "--base-url", desk.base_url]
    code, out, err = desk.call("run", writing, *command, "--engine", "spark", "--emit-script",
                               writing.with_suffix(".py"), **KEYS)
    assert code == 0 and any(key.startswith("handover/") for key in bucket.keys(prefix)), (code, out, err[-4000:])
    code, out, err = desk.call("run", running, *command, **KEYS)
    assert code == 0, (code, out, err[-4000:])
    assert not any(key.startswith("handover/") for key in bucket.keys(prefix)), bucket.keys(prefix)


def submit(python: str, script: pathlib.Path, remote: str) -> None:
    done = subprocess.run([python, script], env=os.environ | {"SPARK_REMOTE": remote}, capture_output=True, text=True,
                          timeout=1800)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def answer_where_nothing_was_found(bucket: Bucket, prefix: str, script: str) -> None:
    """Spark writes a part without a row where a rule found nothing; Sail writes none."""
    folder = script.split('FOLDER = "')[1].split('"')[0]
    answered = {key.split("/answers/")[1].split("/")[0] for key in bucket.keys(prefix) if "/answers/" in key}
    names = [call.split('"')[0] for call in script.split('\nanswer("')[1:]]
    body = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"stock_id": pyarrow.array([], pyarrow.string())}), body)
    for name in names:
        if name not in answered:
            key = f"{prefix}/{folder}/answers/{name}/part-00000.parquet"
            bucket.s3.put_object(Bucket=BUCKET, Key=key, Body=body.getvalue())


def main(program: str, merchant: str, base_url: str, remote: str, endpoint: str, python: str) -> int:
    desk, bucket = Desk(program, merchant, base_url, remote), Bucket(endpoint)
    a_lake_in_a_bucket_is_the_same(desk, bucket)
    print("ok a_lake_in_a_bucket_is_the_same", flush=True)
    a_script_reads_the_bucket_and_another_machine_takes_what_it_left(desk, bucket, python)
    print("ok a_script_reads_the_bucket_and_another_machine_takes_what_it_left", flush=True)
    what_a_script_was_given_goes_with_the_night_of_another_machine(desk, bucket)
    print("ok what_a_script_was_given_goes_with_the_night_of_another_machine", flush=True)
    assert not any(SECRET in text for text in desk.said)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
