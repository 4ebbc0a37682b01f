"""Polars' SQL, in memory."""

import datetime
import pathlib
import re

import polars

from night import BOOLEAN, DATE, INSTANT, INTEGER, TEXT, Columns

TYPES = {TEXT: polars.String, INTEGER: polars.Int64, BOOLEAN: polars.Boolean, DATE: polars.Date,
         INSTANT: polars.Datetime("us", "UTC")}


class Engine:
    name = "Polars"

    def __init__(self) -> None:
        self.tables: dict[str, polars.LazyFrame] = {}

    def close(self) -> None:
        self.tables.clear()

    def files(self, name: str, columns: Columns, parts: list[pathlib.Path]) -> None:
        frames = [polars.scan_parquet(part, hive_partitioning=False).select(column for column, _ in columns) for part in parts]
        self.tables[name] = polars.concat(frames) if frames else nothing(columns)

    def dated_files(self, name: str, columns: Columns, parts: list[tuple[datetime.date, pathlib.Path]]) -> None:
        frames = [polars.scan_parquet(part, hive_partitioning=False).select(column for column, _ in columns)
                  .with_columns(dt=polars.lit(date)) for date, part in parts]
        self.tables[name] = polars.concat(frames) if frames else nothing([*columns, ("dt", DATE)])

    def rows(self, name: str, columns: Columns, rows: list[tuple]) -> None:
        schema = {column: TYPES[kind] for column, kind in columns}
        self.tables[name] = polars.DataFrame(rows, schema=schema, orient="row").lazy()

    def define(self, name: str, sql: str, is_shared: bool) -> None:
        try:
            self.tables[name] = self.run(sql).lazy()
        except Exception as error:
            raise SystemExit(f"{name}: {error}")

    def run(self, sql: str) -> polars.DataFrame:
        # A context of its own: Polars leaves the aliases of one query behind as tables of the next.
        sql = re.sub(r"INTERVAL '(\d+)' ([A-Z]+)", r"INTERVAL '\1 \2'", sql)
        return polars.SQLContext(self.tables).execute(sql).collect()

    def query(self, sql: str, columns: Columns) -> list[dict]:
        """The rows in these columns; a column the query does not give is null."""
        answer = self.run(sql)
        cells = [(polars.col(column) if column in answer.columns else polars.lit(None)).cast(TYPES[kind]).alias(column)
                 for column, kind in columns]
        return answer.select(cells).to_dicts()


def nothing(columns: Columns) -> polars.LazyFrame:
    return polars.DataFrame(schema={column: TYPES[kind] for column, kind in columns}).lazy()
