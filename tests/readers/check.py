"""Opens every published dataset the way analysts do, with four readers, by folder and by glob,
and compares rows and types down to the value. Usage: check.py LAKE"""

import glob
import pathlib
import sys

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

# What a column may be in the file; each reader must show the same.
TYPES = {
    pyarrow.string(),
    pyarrow.int64(),
    pyarrow.bool_(),
    pyarrow.date32(),
    pyarrow.timestamp("us", tz="UTC"),
}


def main(lake: pathlib.Path) -> int:
    duckdb.sql("set TimeZone = 'UTC'")
    datasets = sorted(path for path in (lake / "datasets").iterdir() if path.is_dir())
    for dataset in datasets:
        check(dataset)
    print(f"{len(datasets)} passed, 0 failed")
    return 0 if datasets else 1


def check(dataset: pathlib.Path) -> None:
    names = {path.name for path in dataset.glob("dt=*/*")}
    assert names == {"part-0.parquet", "_SUCCESS"}, f"{dataset.name}: foreign files {names}"
    files = sorted(dataset.glob("dt=*/*.parquet"))
    right = pyarrow.concat_tables([pyarrow.parquet.ParquetFile(file).read() for file in files])
    assert set(right.schema.types) <= TYPES, f"{dataset.name}: {right.schema}"
    check_money_and_ids(dataset.name, right.schema)
    found = {name: as_arrow(read) for name, read in readers(dataset).items()}
    for name, table in found.items():
        assert_dt(f"{dataset.name} by {name}", table)
        table = table.select(right.column_names)
        assert table.schema.equals(plain(right.schema)), f"{dataset.name} by {name}: {difference(table.schema, right.schema)}"
        assert ordered(table).equals(ordered(right)), f"{dataset.name} by {name}: other rows"
    print(f"ok {dataset.name}: {right.num_rows} rows, {right.num_columns} columns, {len(found)} ways")


def readers(dataset: pathlib.Path) -> dict:
    """Every way of opening a dataset. `dtype_backend` keeps whole numbers with nulls whole in pandas."""
    pattern = f"{dataset}/dt=*/*.parquet"
    files = sorted(glob.glob(pattern))
    return {
        "pandas folder": pandas.read_parquet(dataset, dtype_backend="pyarrow"),
        "pandas glob": pandas.read_parquet(files, dtype_backend="pyarrow"),
        "polars folder": polars.read_parquet(dataset, hive_partitioning=True),
        "polars glob": polars.scan_parquet(pattern, hive_partitioning=True).collect(),
        "duckdb folder": duckdb.sql(f"from read_parquet('{dataset}/**/*.parquet', hive_partitioning = true)"),
        "duckdb glob": duckdb.sql(f"from '{pattern}'"),
        "pyarrow folder": pyarrow.parquet.read_table(dataset),
        "pyarrow glob": pyarrow.dataset.dataset(files, format="parquet", partitioning="hive").to_table(),
    }


def as_arrow(read) -> pyarrow.Table:
    if isinstance(read, pandas.DataFrame):
        table = pyarrow.Table.from_pandas(read, preserve_index=False)
    elif isinstance(read, polars.DataFrame):
        table = read.to_arrow()
    elif isinstance(read, pyarrow.Table):
        table = read
    else:
        table = read.to_arrow_table()
    return table.cast(plain(table.schema))


def plain(schema: pyarrow.Schema) -> pyarrow.Schema:
    """Arrow has several layouts of text and of repeated values; they are one type to an analyst."""

    def plain_type(kind):
        if pyarrow.types.is_dictionary(kind):
            kind = kind.value_type
        is_text = pyarrow.types.is_large_string(kind) or pyarrow.types.is_string_view(kind)
        return pyarrow.string() if is_text else kind

    return pyarrow.schema([(field.name, plain_type(field.type)) for field in schema])


def ordered(table: pyarrow.Table) -> pyarrow.Table:
    """Without metadata, in one order whatever the reader's."""
    table = table.cast(plain(table.schema)).combine_chunks()
    return table.sort_by([(name, "ascending") for name in table.column_names])


def assert_dt(where: str, table: pyarrow.Table) -> None:
    """The partition stands in the path and in `business_date`; they say one day."""
    assert "dt" in table.column_names, f"{where}: no dt"
    days = [str(day) for day in table["dt"].to_pylist()]
    assert days == [str(day) for day in table["business_date"].to_pylist()], f"{where}: dt is not business_date"


def check_money_and_ids(dataset: str, schema: pyarrow.Schema) -> None:
    for field in schema:
        if field.name.endswith(("_fen", "_cnt", "_count")):
            assert field.type == pyarrow.int64(), f"{dataset}.{field.name}"
        if field.name.endswith(("_id", "_no", "_code", "openid")):
            assert field.type == pyarrow.string(), f"{dataset}.{field.name}"


def difference(found: pyarrow.Schema, right: pyarrow.Schema) -> list:
    return [(one, other) for one, other in zip(found, plain(right)) if not one.equals(other)]


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
