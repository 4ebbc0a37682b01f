"""Opens every published dataset the way analysts do, with four readers, by folder and by glob,
and compares rows and types. Usage: check.py LAKE"""

import pathlib
import sys

import duckdb
import pandas
import polars
import pyarrow.parquet


def main(lake: pathlib.Path) -> int:
    datasets = sorted(path for path in (lake / "datasets").iterdir() if path.is_dir())
    checked = 0
    for dataset in datasets:
        checked += check(dataset)
    print(f"{checked} passed, 0 failed")
    return 0 if checked else 1


def check(dataset: pathlib.Path) -> int:
    glob = f"{dataset}/dt=*/*.parquet"
    names = {path.name for path in dataset.glob("dt=*/*")}
    assert names == {"part-0.parquet", "_SUCCESS"}, f"{dataset.name}: foreign files {names}"
    by_pandas = pandas.read_parquet(dataset)
    by_polars = polars.scan_parquet(glob, hive_partitioning=True).collect()
    by_polars_folder = polars.read_parquet(dataset, hive_partitioning=True)
    by_duckdb = duckdb.sql(f"select * from '{glob}'")
    by_arrow = pyarrow.parquet.read_table(dataset)
    counts = {
        "pandas": len(by_pandas),
        "polars": by_polars.height,
        "polars folder": by_polars_folder.height,
        "duckdb": duckdb.sql(f"select count(*) from '{glob}'").fetchall()[0][0],
        "pyarrow": by_arrow.num_rows,
    }
    assert len(set(counts.values())) == 1, f"{dataset.name}: {counts}"
    duck_types = dict(zip(by_duckdb.columns, map(str, by_duckdb.types)))
    for column in by_polars.columns:
        if column.endswith("_fen"):
            assert by_polars.schema[column] == polars.Int64, f"{dataset.name}.{column}"
            assert duck_types[column] == "BIGINT", f"{dataset.name}.{column}"
            total = duckdb.sql(f'select sum("{column}") from \'{glob}\'').fetchall()[0][0]
            assert (by_polars[column].sum() or 0) == int(total or 0), f"{dataset.name}.{column}"
        if column.endswith(("_id", "_no", "_code", "openid")):
            assert by_polars.schema[column] == polars.String, f"{dataset.name}.{column}"
    assert duck_types["business_date"] == "DATE"
    assert duck_types["dt"] == "DATE"
    print(f"ok {dataset.name}: {by_polars.height} rows, {len(by_arrow.schema)} columns")
    return 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
