"""Opens every published dataset from the bucket as analysts do, by hive glob, with three readers, and
compares rows with the same dataset in a folder."""

import pathlib
import urllib.parse

import duckdb
import duckdb_extensions
import polars
import pyarrow.dataset
import pyarrow.fs


def check(endpoint: str, key_id: str, secret: str, root: str, lake: pathlib.Path) -> None:
    options = {
        "aws_endpoint_url": endpoint,
        "aws_access_key_id": key_id,
        "aws_secret_access_key": secret,
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }
    arrow = pyarrow.fs.S3FileSystem(
        access_key=key_id, secret_key=secret, endpoint_override=endpoint, region="us-east-1", scheme="http"
    )
    duck = duckdb.connect()
    duckdb_extensions.import_extension("httpfs", con=duck)
    duck.load_extension("httpfs")
    host = urllib.parse.urlsplit(endpoint).netloc
    duck.execute(
        f"create secret (type s3, key_id '{key_id}', secret '{secret}', region 'us-east-1',"
        f" endpoint '{host}', url_style 'path', use_ssl false)"
    )
    names = sorted(path.name for path in (lake / "datasets").iterdir())
    assert names
    for name in names:
        expected = polars.scan_parquet(f"{lake}/datasets/{name}/dt=*/*.parquet", hive_partitioning=True).collect()
        glob = f"s3://{root}/datasets/{name}/dt=*/*.parquet"
        found = polars.scan_parquet(glob, hive_partitioning=True, storage_options=options).collect()
        assert found.equals(expected), f"polars reads {name} otherwise from the bucket"
        by_duck = duck.sql(f"select * from read_parquet('{glob}', hive_partitioning = true)")
        assert len(by_duck.fetchall()) == expected.height and set(by_duck.columns) == set(expected.columns), name
        table = pyarrow.dataset.dataset(f"{root}/datasets/{name}", partitioning="hive", filesystem=arrow)
        assert table.count_rows() == expected.height, f"pyarrow reads {name} otherwise"
