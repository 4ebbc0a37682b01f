"""Holds the data contracts against those who know the standards better than we do.

`datacontract lint` reads every schemas/*.odcs.yaml, `datacontract test` runs its quality rules over the
lake the demo leaves, frictionless validates every finance CSV against its Table Schema. Both are shown to
find planted faults: a gate that never closes is none. Usage: check.py LAKE MORE_LAKES…"""

import csv
import json
import logging
import pathlib
import re
import sys
import tempfile
from decimal import Decimal

import duckdb
import yaml
from datacontract.data_contract import DataContract
from frictionless import Dialect, Resource, Schema

ROOT = pathlib.Path(__file__).parents[2]
CONTRACTS = sorted((ROOT / "schemas").glob("*.odcs.yaml"))


def main(*lakes: pathlib.Path) -> int:
    """The contracts are tested on the first lake, the reports of all of them are validated."""
    logging.disable(logging.WARNING)
    passed = sum([lint_all(), test_all(lakes[0]), planted_faults_are_found(lakes[0]), validate_reports(lakes)])
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


def validate_reports(lakes) -> int:
    """Every CSV of every night; a file without a schema, or a schema without a file, is a fault."""
    reports = sorted(report for lake in lakes for report in (lake / "reports").glob("dt=*/*.csv"))
    for report in reports:
        faults = validate(report)
        assert not faults, f"{report}: {faults}"
        broken = plant_a_word_in_an_amount(report)
        assert not broken or "type-error" in str(validate(broken, foots=False)), f"{report.name}: a word for an amount went unseen"
    schemas = {path.name.removesuffix(".tableschema.json") for path in (ROOT / "schemas").glob("*.tableschema.json")}
    found = {report.stem for report in reports}
    assert found | {"decisions"} == schemas, f"{found} against {schemas}"
    print(f"ok frictionless: {len(reports)} files, {', '.join(sorted(found))}")
    return len(found)


def validate(report: pathlib.Path, foots: bool = True) -> list:
    """frictionless on the file as it is. The header of a Chinese report has the titles of the fields, and its
    last line, which the dialect takes for a comment, must say what the rows come to (`foots`)."""
    fields = json.loads((ROOT / f"schemas/{report.stem}.tableschema.json").read_text())
    with report.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    is_chinese = header == [field["title"] for field in fields["fields"]]
    if is_chinese:
        fields["fields"] = [field | {"name": field["title"]} for field in fields["fields"]]
    total = "合计" if is_chinese else "Total"
    if foots and rows and rows[-1][0] == total:
        check_total(report, fields["fields"], rows)
    resource = Resource(
        path=report.name,
        basepath=str(report.parent),
        schema=Schema.from_descriptor(fields),
        dialect=Dialect(comment_char=total),
    )
    return resource.validate().flatten(["type", "rowNumber", "fieldName", "note"])


def check_total(report: pathlib.Path, fields: list, rows: list) -> None:
    *rows, total = rows
    for place, field in enumerate(fields):
        if field.get("summed"):
            right = sum(Decimal(row[place] or 0) for row in rows)
            assert Decimal(total[place]) == right, f"{report}: {field['name']} is {total[place]}, its rows come to {right}"


def plant_a_word_in_an_amount(report: pathlib.Path) -> pathlib.Path | None:
    """The same report with `much` for an amount of its first row."""
    lines = report.read_bytes().decode("utf-8-sig").split("\r\n")
    amount = re.search(r",-?\d+\.\d\d,", lines[1])
    if not amount:
        return None
    lines[1] = lines[1].replace(amount.group(), ",much,", 1)
    broken = pathlib.Path(tempfile.mkdtemp(), report.name)
    broken.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return broken


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
    sys.exit(main(*map(pathlib.Path, sys.argv[1:])))
