"""DuckDB, in memory."""

import datetime
import pathlib

import duckdb

from night import BOOLEAN, DATE, INSTANT, INTEGER, TEXT, UTC, Columns

TYPES = {TEXT: "VARCHAR", INTEGER: "BIGINT", BOOLEAN: "BOOLEAN", DATE: "DATE", INSTANT: "TIMESTAMP"}


class Engine:
    name = "DuckDB"

    def __init__(self) -> None:
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")

    def close(self) -> None:
        self.db.close()

    def files(self, name: str, columns: Columns, parts: list[pathlib.Path]) -> None:
        self.dated_files(name, columns, [(None, part) for part in parts])

    def dated_files(self, name: str, columns: Columns, parts: list[tuple[datetime.date | None, pathlib.Path]]) -> None:
        is_dated = any(date for date, _ in parts) or name.endswith("_history")
        selects = [self.select(columns, part, date) for date, part in parts]
        nothing = ", ".join(f"CAST(NULL AS {TYPES[kind]}) AS {column}" for column, kind in columns)
        dt = ", CAST(NULL AS DATE) AS dt" if is_dated else ""
        self.db.execute(f"CREATE VIEW {name} AS " + " UNION ALL ".join(selects or [f"SELECT {nothing}{dt} LIMIT 0"]))

    def select(self, columns: Columns, part: pathlib.Path, date: datetime.date | None) -> str:
        cells = ", ".join(self.cell(column, kind) for column, kind in columns)
        dt = f", DATE '{date}' AS dt" if date else ""
        return f"SELECT {cells}{dt} FROM read_parquet('{part}', hive_partitioning = false)"

    @staticmethod
    def cell(column: str, kind: str) -> str:
        """An instant loses its zone, which is UTC: DuckDB then needs no time zones to count with it."""
        return f"make_timestamp(epoch_us({column})) AS {column}" if kind == INSTANT else column

    def rows(self, name: str, columns: Columns, rows: list[tuple]) -> None:
        self.db.execute(f"CREATE TABLE {name} ({', '.join(f'{column} {TYPES[kind]}' for column, kind in columns)})")
        plain = [tuple(naive(cell) for cell in row) for row in rows]
        if plain:
            self.db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", plain)

    def define(self, name: str, sql: str, is_shared: bool) -> None:
        self.db.execute(f"CREATE {'TABLE' if is_shared else 'VIEW'} {name} AS {sql}")

    def query(self, sql: str, columns: Columns) -> list[dict]:
        """The rows in these columns; a column the query does not give is null."""
        given = {name for name, *_ in self.db.sql(sql).description}
        cells = [f"CAST({column if column in given else 'NULL'} AS {TYPES[kind]}) AS {column}" for column, kind in columns]
        rows = self.db.sql(f"SELECT {', '.join(cells)} FROM (\n{sql}\n) answer").fetchall()
        return [{name: zoned(cell) for (name, _), cell in zip(columns, row)} for row in rows]


def naive(cell: object) -> object:
    return cell.astimezone(UTC).replace(tzinfo=None) if isinstance(cell, datetime.datetime) else cell


def zoned(cell: object) -> object:
    return cell.replace(tzinfo=UTC) if isinstance(cell, datetime.datetime) else cell
