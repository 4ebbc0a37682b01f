import datetime
import hashlib
import sys

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col
from pyspark.sql.types import NullType

READ = {"DATE": datetime.date.fromisoformat, "TIMESTAMP": datetime.datetime.fromisoformat}

lake = (sys.argv[1] if len(sys.argv) > 1 else LAKE).rstrip("/")
spark = SparkSession.builder.appName(NAME).getOrCreate()
for key, value in SETTINGS.items():
    spark.conf.set(key, value)


def file(name: str, *paths: str) -> None:
    """A partition of the lake in its parts; a column of its contract that it lacks is null."""
    dataset = name.rsplit("__", 1)[0]
    parts = [f"{lake}/{path}" for path in paths]
    spark.read.schema(COLUMNS[dataset]).parquet(*parts).createOrReplaceTempView(name)


def lines(name: str, path: str) -> None:
    """The lines of a text."""
    spark.read.text(f"{lake}/{path}").createOrReplaceTempView(name)


def rows(name: str, columns: str, values: list) -> None:
    """A small table."""
    kinds = [column.split(" ")[1] for column in columns.split(", ")]
    read = lambda cell, kind: cell if cell is None else READ.get(kind, lambda same: same)(cell)
    typed = [tuple(map(read, cells, kinds)) for cells in values]
    spark.createDataFrame(typed, columns).createOrReplaceTempView(name)


def view(name: str, sql: str) -> None:
    """A name for a query."""
    spark.sql(sql).createOrReplaceTempView(name)


def store(name: str, sql: str) -> None:
    """A query that several others read: it is computed once."""
    frame = spark.sql(sql)
    write(frame, f"stored/{name}")
    spark.read.schema(frame.schema).parquet(f"{lake}/{FOLDER}/stored/{name}").createOrReplaceTempView(name)


def answer(name: str, sql: str) -> None:
    """What coupon-recon wants to see. A column of nothing but NULL has no type of its own: it is text."""
    frame = spark.sql(sql)
    cells = [col(field.name).cast("STRING") if isinstance(field.dataType, NullType) else col(field.name)
             for field in frame.schema.fields]
    write(frame.select(cells), f"answers/{name}")


def write(frame: DataFrame, path: str) -> None:
    print(f"coupon-recon: {path}", flush=True)
    frame.write.mode("overwrite").parquet(f"{lake}/{FOLDER}/{path}")


def end(*cells: str) -> None:
    """Whether the script has ended, and which one: no row, or one."""
    told = spark.createDataFrame([cells] if cells else [], "script_sha256 STRING, spark_version STRING")
    write(told.coalesce(1), "answers/end")


def refuse_elsewhere() -> None:
    """What one machine of the cluster writes all others must see, and this one."""
    write(spark.range(0, 64, 1, 16), "stored/probe")
    seen = spark.read.schema("id BIGINT").parquet(f"{lake}/{FOLDER}/stored/probe").count()
    if seen != 64:
        sys.exit(f"of 64 rows that the cluster wrote below {lake}/{FOLDER}, {seen} are there: "
                 "the lake must be a bucket, or a folder that every machine of the cluster has mounted at that path")


end()
refuse_elsewhere()
