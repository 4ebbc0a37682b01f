"""A server of Spark Connect, asked by the Python client of Spark. Every schema is declared, partition columns
too; shared views are written out once, as a cluster would. Starts no server."""

import datetime
import pathlib
import tempfile
import warnings

import pyarrow

from night import ARROW, BOOLEAN, DATE, INSTANT, INTEGER, TEXT, Columns

warnings.simplefilter("ignore")
from pyspark.sql import SparkSession  # noqa: E402

TYPES = {TEXT: "STRING", INTEGER: "BIGINT", BOOLEAN: "BOOLEAN", DATE: "DATE", INSTANT: "TIMESTAMP"}
SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.sql.session.timeZone": "UTC",
}


class Engine:
    name = "Spark"

    def __init__(self, remote: str) -> None:
        self.spark = SparkSession.builder.remote(remote).create()
        for key, value in SETTINGS.items():
            self.spark.conf.set(key, value)
        self.scratch = tempfile.TemporaryDirectory()

    def close(self) -> None:
        self.spark.stop()
        self.scratch.cleanup()

    def files(self, name: str, columns: Columns, parts: list[pathlib.Path]) -> None:
        if not parts:
            return self.rows(name, columns, [])
        frame = self.spark.read.schema(declared(columns)).parquet(*[str(part) for part in parts])
        frame.createOrReplaceTempView(name)

    def dated_files(self, name: str, columns: Columns, parts: list[tuple[datetime.date, pathlib.Path]]) -> None:
        """The folder of the dataset, of which the window is taken."""
        columns = [*columns, ("dt", DATE)]
        if not parts:
            return self.rows(name, columns, [])
        folder = parts[0][1].parents[1]
        self.spark.read.schema(declared(columns)).parquet(str(folder)).createOrReplaceTempView(f"{name}_and_more")
        cells = ", ".join("CAST(dt AS DATE) AS dt" if column == "dt" else column for column, _ in columns)
        window = f"dt >= DATE '{parts[0][0]}' AND dt <= DATE '{parts[-1][0]}'"
        self.spark.sql(f"SELECT {cells} FROM {name}_and_more WHERE {window}").createOrReplaceTempView(name)

    def rows(self, name: str, columns: Columns, rows: list[tuple]) -> None:
        if not rows:
            cells = ", ".join(f"CAST(NULL AS {TYPES[kind]}) AS {column}" for column, kind in columns)
            return self.spark.sql(f"SELECT {cells} LIMIT 0").createOrReplaceTempView(name)
        schema = pyarrow.schema([(column, ARROW[kind]) for column, kind in columns])
        table = pyarrow.Table.from_pylist([dict(zip(schema.names, row)) for row in rows], schema=schema)
        self.spark.createDataFrame(table).createOrReplaceTempView(name)

    def define(self, name: str, sql: str, is_shared: bool) -> None:
        frame = self.spark.sql(sql)
        if is_shared:
            path = f"{self.scratch.name}/{name}"
            frame.write.parquet(path)
            frame = self.spark.read.schema(frame.schema).parquet(path)
        frame.createOrReplaceTempView(name)

    def query(self, sql: str, columns: Columns) -> list[dict]:
        """The rows in these columns; a column the query does not give is null."""
        answer = self.spark.sql(sql)
        given = set(answer.columns)
        cells = [f"CAST({column if column in given else 'NULL'} AS {TYPES[kind]}) AS {column}" for column, kind in columns]
        return answer.selectExpr(*cells).toArrow().to_pylist()


def declared(columns: Columns) -> str:
    return ", ".join(f"{column} {TYPES[kind]}" for column, kind in columns)
