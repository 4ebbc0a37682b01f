"""Runs the Python of README.md as it stands there, on the lake of the sample, and holds the recipes against each other:
each reads the same ledger and the same breaks of one night. The summary that README.md shows is that of a run of this lake.
Usage: readme.py LAKE"""

import pathlib
import re
import sys

README = pathlib.Path(__file__).parents[2] / "README.md"
READERS = {"pandas", "polars", "duckdb", "pyarrow"}


def main(lake: pathlib.Path) -> int:
    text = README.read_text(encoding="utf-8")
    recipes = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    # What reads a bucket is tried where there is one (tests/store/readers.py).
    recipes = [recipe for recipe in recipes if "s3://" not in recipe]
    found = {}
    for recipe in recipes:
        assert "out/lake" in recipe, f"a recipe reads no lake:\n{recipe}"
        names = {}
        exec(compile(recipe.replace("out/lake", str(lake)), "README.md", "exec"), names)
        (reader,) = READERS & names.keys()
        found[reader] = (count(names["ledger"]), sum_of(names["breaks"], "at_risk_fen"))
    assert found.keys() == READERS, f"recipes for {sorted(found)}"
    assert len(set(found.values())) == 1, found
    (rows, at_risk) = found["duckdb"]
    assert rows > 0 and at_risk > 0, found
    shown = stale_lines(text, lake)
    assert not shown, "README.md shows what the sample no longer prints:\n" + "\n".join(shown)
    print(f"ok README.md: {len(recipes)} recipes, {rows} rows, {at_risk} fen at risk")
    print(f"{len(recipes)} passed, 0 failed")
    return 0


def stale_lines(text: str, lake: pathlib.Path) -> list[str]:
    """Lines of the summary in README.md that no log of a run has. Where it is cut short it has an ellipsis; paths are shortened."""
    (summary,) = re.findall(r"^(\S+ · \d{4}-\d\d-\d\d · complete\n.*?)^  datasets", text, flags=re.MULTILINE | re.DOTALL)
    printed = {line for log in lake.glob("runs/*/*/log") for line in log.read_text(encoding="utf-8").splitlines()}
    lines = [line for line in summary.splitlines() if line.strip() != "…"]
    assert len(lines) > 30, f"a summary of {len(lines)} lines"
    return [line for line in lines if line not in printed]


def count(table) -> int:
    """Rows, whichever reader's table it is."""
    shape = table.shape
    return shape[0]


def sum_of(table, column: str) -> int:
    if hasattr(table, "to_arrow_table"):
        table = table.to_arrow_table()
    values = table[column].to_pylist() if hasattr(table[column], "to_pylist") else list(table[column])
    return sum(values)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
