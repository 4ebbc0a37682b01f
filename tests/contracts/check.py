"""Holds the data contracts against those who know the standards better than we do.

`datacontract lint` reads every schemas/*.odcs.yaml, `datacontract test` runs its quality rules over the
lake the demo leaves, frictionless validates every finance CSV against its Table Schema. Both are shown to
find planted faults first: a gate that never closes is none. Usage: check.py LAKE"""

import json
import logging
import pathlib
import shutil
import sys
import tempfile

import duckdb
import yaml
from datacontract.data_contract import DataContract
from frictionless import Dialect, Resource, Schema

ROOT = pathlib.Path(__file__).parents[2]
CONTRACTS = sorted((ROOT / "schemas").glob("*.odcs.yaml"))


def main(lake: pathlib.Path) -> int:
    logging.disable(logging.WARNING)
    passed = sum([lint_all(), test_all(lake), planted_faults_are_found(lake), validate_reports(lake)])
    print(f"{passed} passed, 0 failed")
    return 0


def lint_all() -> int:
    for path in CONTRACTS:
        run = DataContract(data_contract_file=str(path)).lint()
        assert not failures(run), f"{path.name}: {failures(run)}"
        assert_no_physical_type_on_instants(path)
    print(f"ok lint: {len(CONTRACTS)} contracts")
    return len(CONTRACTS)


def assert_no_physical_type_on_instants(path: pathlib.Path) -> None:
    """datacontract makes a view that does not open of a timestamp with a physicalType."""
    for table in yaml.safe_load(path.read_text())["schema"]:
        for column in table["properties"]:
            has_both = column["logicalType"] == "timestamp" and "physicalType" in column
            assert not has_both, f"{path.name}: {column['name']} has a physicalType"


def test_all(lake: pathlib.Path) -> int:
    checks = 0
    for path in CONTRACTS:
        dataset = path.name.removesuffix(".odcs.yaml")
        days = sorted((lake / "datasets" / dataset).iterdir())
        for partition in days if dataset in EVERY_DAY else days[-1:]:
            run = test(path, partition)
            assert not failures(run), f"{path.name}: {failures(run)}"
            checks += len(run.checks)
        compare_types(path, lake)
    print(f"ok test: {checks} checks over {len(CONTRACTS)} datasets of the lake")
    return len(CONTRACTS)


# Of these every day is tested, of the others the last.
EVERY_DAY = {"breaks", "coupon_ledger"}


def test(path: pathlib.Path, partition: pathlib.Path):
    """The contract's own checks, with its server pointed at a partition: keys are unique within one."""
    document = yaml.safe_load(path.read_text())
    for server in document["servers"]:
        server["path"] = f"{partition}/*.parquet"
    return DataContract(data_contract_str=yaml.safe_dump(document, allow_unicode=True), server="demo").test()


TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}


def compare_types(path: pathlib.Path, lake: pathlib.Path) -> None:
    """datacontract does not check the types of Parquet files, so DuckDB says what they are."""
    document = yaml.safe_load(path.read_text())
    files = duckdb.sql(f"select * from read_parquet('{lake}/datasets/{document['name']}/dt=*/*.parquet', hive_partitioning=false)")
    found = list(zip(files.columns, map(str, files.types)))
    promised = [(column["name"], TYPES[column["logicalType"]]) for column in document["schema"][0]["properties"]]
    assert found == promised, f"{document['name']}: {set(found) ^ set(promised)}"


def planted_faults_are_found(lake: pathlib.Path) -> int:
    """A row that stands twice, an amount below nothing, a key that is null."""
    faults = {
        "The key stands once a day": "from rows union all (from rows limit 1)",
        "at_risk_fen is never negative": "select * replace (-1 - at_risk_fen as at_risk_fen) from rows",
        "field break_id": "select * replace (nullif(break_id, (select min(break_id) from rows)) as break_id) from rows",
    }
    newest = max((lake / "datasets/breaks").iterdir())
    breaks = duckdb.read_parquet(f"{newest}/*.parquet", hive_partitioning=False)
    for name, query in faults.items():
        with tempfile.TemporaryDirectory() as scratch:
            breaks.query("rows", query).write_parquet(f"{scratch}/part-0.parquet")
            found = failures(test(ROOT / "schemas/breaks.odcs.yaml", pathlib.Path(scratch)))
        assert any(name in failure for failure in found), f"{name} went unseen: {found}"
    print(f"ok planted faults: {', '.join(faults)}")
    return len(faults)


def failures(run) -> list[str]:
    """What did not pass. That datacontract cannot check types in Parquet is no failure: compare_types does."""
    bad = [check for check in run.checks if check.result.value != "passed"]
    bad = [check for check in bad if "Checking types in parquet" not in (check.reason or "")]
    return [f"{check.field or ''} {check.name} {check.key or ''}: {check.reason}" for check in bad]


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
