"""The nights of one merchant with the lake in a bucket, matched and judged on Sail, which reads the bucket with
keys of its own: the bytes of the folder of this machine. Usage: bucket.py PROGRAM MERCHANT BASE_URL REMOTE ENDPOINT"""

import sys

import boto3

from nights import Desk, same

BUCKET, PREFIX = "coupons", "lake"
KEY_ID, SECRET = "recon-key-id", "recon-secret-key-that-nobody-may-see"


def main(program: str, merchant: str, base_url: str, remote: str, endpoint: str) -> int:
    desk = Desk(program, merchant, base_url, remote)
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY_ID,
                      aws_secret_access_key=SECRET, config=boto3.session.Config(s3={"addressing_style": "path"}))
    s3.create_bucket(Bucket=BUCKET)
    desk.run(desk.job("here", 'kind = "polars"'))
    job = desk.job("bucket", f'kind = "spark"\nremote = "{remote}"', lake=f"s3://{BUCKET}/{PREFIX}")
    text = job.read_text(encoding="utf-8").replace("lake = ", 'work_dir = "../work"\nlake = ', 1)
    job.write_text(text.replace("[pay_v3]", f'[store]\nendpoint = "{endpoint}"\n\n[pay_v3]', 1), encoding="utf-8")
    desk.run(job, **keys)
    objects = [it["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for it in page["Contents"]]
    published = [key for key in objects if key.startswith((f"{PREFIX}/datasets/", f"{PREFIX}/reports/"))]
    body = lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    same({key.removeprefix(f"{PREFIX}/"): body(key) for key in published}, desk.published("here"))
    assert not [key for key in objects if "/staging/" in key], "what the cluster was given is removed again"
    assert not any(SECRET in text for text in desk.said)
    print("ok a_lake_in_a_bucket_is_the_same")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
