"""What we tell others, read by their own code: every OpenLineage event becomes an event of the official
client's models (whose constructors check), each facet under its own schema; the metrics parse as Prometheus
text and have the families that docs and alerts name.

usage: check.py LAKE METRICS_FILE
"""

import json
import sys
from pathlib import Path

from openlineage.client import event_v2, facet_v2
from prometheus_client.parser import text_string_to_metric_families

RUN = {
    "nominalTime": facet_v2.nominal_time_run.NominalTimeRunFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "tags": facet_v2.tags_run.TagsRunFacet,
}
JOB = {"jobType": facet_v2.job_type_job.JobTypeJobFacet}
DATASET = {
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
}
INPUT = {"dataQualityAssertions": facet_v2.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet}
OUTPUT = {"outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet}
NESTED = {
    "assertions": facet_v2.data_quality_assertions_dataset.Assertion,
    "fields": facet_v2.schema_dataset.SchemaDatasetFacetFields,
    "tags": facet_v2.tags_run.TagsRunFacetFields,
}
FAMILIES = {
    "last_run_timestamp_seconds", "last_run_duration_seconds", "last_run_exit_code",
    "last_success_timestamp_seconds", "last_success_business_date_seconds", "last_run_requests",
    "last_run_journal_answers", "last_run_retries", "dataset_rows", "open_breaks", "open_fen",
    "wallet_coverage_ratio",
}


def model(kind, fields):
    """An object of the client's class: an unknown or missing field is an error."""
    fields = dict(fields)
    producer, schema = fields.pop("_producer", None), fields.pop("_schemaURL", None)
    for name, nested in NESTED.items():
        if isinstance(fields.get(name), list):
            fields[name] = [nested(**item) for item in fields[name]]
    if kind is RUN["parent"]:
        parent = facet_v2.parent_run
        fields["run"], fields["job"] = parent.Run(**fields["run"]), parent.Job(**fields["job"])
    made = kind(**fields)
    assert schema == kind._get_schema(), (schema, kind._get_schema())
    assert producer and producer.startswith("urn:coupon-recon:"), producer
    return made


def models(kinds, facets):
    return {name: model(kinds[name], fields) for name, fields in facets.items()}


def event_of(raw):
    raw = dict(raw)
    schema = raw.pop("schemaURL")
    run, job = raw["run"], raw["job"]
    inputs = [
        event_v2.InputDataset(
            it["namespace"], it["name"], facets=models(DATASET, it["facets"]),
            inputFacets=models(INPUT, it.get("inputFacets", {})),
        )
        for it in raw.pop("inputs")
    ]
    outputs = [
        event_v2.OutputDataset(
            it["namespace"], it["name"], facets=models(DATASET, it["facets"]),
            outputFacets=models(OUTPUT, it.get("outputFacets", {})),
        )
        for it in raw.pop("outputs")
    ]
    event = event_v2.RunEvent(
        eventType=event_v2.RunState(raw["eventType"]),
        eventTime=raw["eventTime"],
        producer=raw["producer"],
        run=event_v2.Run(run["runId"], models(RUN, run["facets"])),
        job=event_v2.Job(job["namespace"], job["name"], models(JOB, job["facets"])),
        inputs=inputs,
        outputs=outputs,
    )
    assert schema == event.schemaURL, (schema, event.schemaURL)
    return event


def check_events(lake):
    seen = {}
    for path in sorted(lake.glob("runs/*/*/events.ndjson")):
        events = [event_of(json.loads(line)) for line in path.read_text().splitlines()]
        kinds = [event.eventType.value for event in events]
        assert kinds in (["START", "COMPLETE"], ["START", "FAIL"]), (path, kinds)
        assert len({event.run.runId for event in events}) == 1, path
        for event in events:
            seen[event.eventType.value] = seen.get(event.eventType.value, 0) + 1
            seen["parent"] = seen.get("parent", 0) + ("parent" in event.run.facets)
            assertions = [it for it in event.inputs if it.inputFacets]
            seen["assertions"] = seen.get("assertions", 0) + len(assertions)
    for wanted in ("START", "COMPLETE", "FAIL", "parent", "assertions"):
        assert seen.get(wanted), f"no {wanted} among the events: {seen}"
    return seen


def check_metrics(path):
    text = path.read_text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) == {f"coupon_recon_{name}" for name in FAMILIES}, sorted(families)
    for family in families.values():
        assert family.type == "gauge" and family.documentation, family
        keys = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(keys) == len(set(keys)), f"{family.name} has a series twice"
        assert all("job" in sample.labels for sample in family.samples), family.name
    open_fen = families["coupon_recon_open_fen"].samples
    assert sum(sample.value for sample in open_fen) > 0
    assert all(sample.labels["severity"] in ("high", "medium", "low") for sample in open_fen)
    assert 0 <= families["coupon_recon_wallet_coverage_ratio"].samples[0].value <= 1
    return len(families)


if __name__ == "__main__":
    lake, metrics = Path(sys.argv[1]), Path(sys.argv[2])
    print("events:", check_events(lake))
    print("metric families:", check_metrics(metrics))
