"""Holds our JSON against its schemas in schemas/: manifests and summaries of complete, partial and failed
nights, and every job file of the repository. The published schemas are open, so that fields may be added;
here they are closed first, so that none is added without being described. Usage: check_json.py LAKES…"""

import copy
import json
import pathlib
import sys
import tomllib

from jsonschema import Draft202012Validator, FormatChecker

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ["manifest", "summary", "decisions", "job"]


def main(lakes: list) -> int:
    for name in NAMES:
        check_schema(name)
    manifests = [json.loads(path.read_text()) for lake in lakes for path in sorted(lake.glob("runs/*/*/manifest.json"))]
    summaries = [json.loads(path.read_text()) for lake in lakes for path in sorted(lake.glob("reports/*/summary.json"))]
    passed = [check_manifests(manifests), check_summaries(summaries), check_jobs(lakes), check_decisions()]
    print(f"{len(NAMES) + sum(passed)} passed, 0 failed")
    return 0


def schema(name: str) -> dict:
    return json.loads((ROOT / f"schemas/{name}.schema.json").read_text())


def validator(document: dict) -> Draft202012Validator:
    return Draft202012Validator(document, format_checker=FormatChecker())


def problems(document: dict, instance) -> list:
    return [f"{error.json_path}: {error.message}" for error in validator(document).iter_errors(instance)]


def closed(node):
    """The schema with every described object closed: what is not described is a problem."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: closed(value) for key, value in node.items()}
    if node.get("type") == "object" and "properties" in node:
        node.setdefault("additionalProperties", False)
    return node


def check_schema(name: str) -> None:
    """It is one, describes each of its properties, and its own examples and defaults are right by it."""
    document = schema(name)
    Draft202012Validator.check_schema(document)
    for path, node in nodes(name, document):
        if node.get("type") == "object":
            for key, property in node.get("properties", {}).items():
                assert "description" in property or "$ref" in property, f"{path}.{key} has no description"
        if isinstance(node.get("type"), str):
            told = list(node["examples"]) if isinstance(node.get("examples"), list) else []
            told += [node["default"]] if "default" in node else []
            for example in told:
                assert not problems(node | {"$defs": document.get("$defs", {})}, example), f"{path}: {example}"


def nodes(path: str, node):
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from nodes(f"{path}.{key}", child)


def check_manifests(manifests: list) -> int:
    document = closed(schema("manifest"))
    for manifest in manifests:
        assert not problems(document, manifest), f"{manifest['run_id']}: {problems(document, manifest)}"
    kinds = {manifest["status"] for manifest in manifests}
    assert kinds == {"complete", "partial", "failed"}, f"only nights that were {kinds}"
    for field in ["coverage", "restated", "missing_dates"]:
        assert any(field in manifest for manifest in manifests), f"no night has {field}"
    lies = {
        "status": "fine",
        "files": [],
        "business_date": "18.11.2026",
        "inputs_sha256": "0",
        "coverage": {"audit_days": 30},
        "exit_code": "0",
        "undescribed": 1,
    }
    right = next(manifest for manifest in manifests if manifest["status"] == "complete")
    for field, lie in lies.items():
        assert problems(document, right | {field: lie}), f"a manifest with {field} = {lie} passes"
    print(f"ok manifests: {len(manifests)}, {', '.join(sorted(kinds))}")
    return len(manifests)


def check_summaries(summaries: list) -> int:
    document = closed(schema("summary"))
    for summary in summaries:
        assert not problems(document, summary), f"{summary['business_date']}: {problems(document, summary)}"
    wrong = copy.deepcopy(summaries[0])
    wrong["open"]["at_risk_fen"] = 1.5
    assert problems(document, wrong), "a summary with half a fen passes"
    kinds = {summary["status"] for summary in summaries}
    assert kinds == {"complete", "partial"}, f"only summaries that are {kinds}"
    print(f"ok summaries: {len(summaries)}, {', '.join(sorted(kinds))}")
    return len(summaries)


def check_jobs(lakes: list) -> int:
    files = [ROOT / "jobs/nightly.toml", *sorted((ROOT / "sample-data").glob("job*.toml"))]
    files += [job for lake in lakes for job in sorted((lake.parents[1] / "merchant").glob("job*.toml"))]
    for file in files:
        job = tomllib.loads(file.read_text(encoding="utf-8"))
        assert not problems(schema("job"), job), f"{file}: {problems(schema('job'), job)}"
        job["wallets"]["refesh"] = "all"
        assert problems(schema("job"), job), f"{file}: a mistyped key passes"
    print(f"ok job files: {len(files)}")
    return len(files)


def check_decisions() -> int:
    right = {"break_id": "0123456789abcdef", "decision": "accepted", "reason": "agreed", "approver": "李雷", "expires_on": ""}
    document = closed(schema("decisions"))
    assert not problems(document, [right, right | {"expires_on": "2026-12-31"}])
    for field, lie in {"decision": "ok", "expires_on": "soon", "break_id": "AO01", "reason": "", "why": "x"}.items():
        assert problems(document, [right | {field: lie}]), f"a decision with {field} = {lie} passes"
    print("ok decisions")
    return 1


if __name__ == "__main__":
    sys.exit(main([pathlib.Path(lake) for lake in sys.argv[1:]]))
