//! A night as OpenLineage run events (spec 2-0-2): START, then COMPLETE or FAIL. JSON derived from the
//! manifest; names no person and contains no secret.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::caller::{Ancestor, Caller, static_uuid};
use crate::clock;
use crate::contract::{self, ColumnKind};
use crate::dataset::manifest::Manifest;
use crate::dataset::staged::{REPORTS, StagedFile, digest_of, partitions};
use crate::dataset::status::RunStatus;
use crate::job::Job;
use crate::reconcile::BreakFigures;
use crate::reconcile::rules::{Rule, Rules};
use crate::record::{LedgerRow, Record, Severity};
use crate::stage::Stage;

const SPEC: &str = "https://openlineage.io/spec";
/// The namespace of datasets in the local file system, by the naming rules of OpenLineage.
const FILES: &str = "file";

/// The events of one run.
#[derive(Debug)]
pub struct Lineage<'a> {
    job: &'a Job,
    caller: &'a Caller,
    date: NaiveDate,
    run_id: &'a str,
    started_at: DateTime<Utc>,
}

/// What a night did, for its last event.
#[derive(Debug, Clone, Copy)]
pub struct NightBooks<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The rules of the night.
    pub rules: &'a Rules,
    /// The breaks of the day, counted; none when no rules were run.
    pub breaks: &'a BreakFigures,
}

/// What a run read and wrote; nothing while that is not known.
#[derive(Default)]
struct Datasets {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

impl<'a> Lineage<'a> {
    /// The events of run `run_id`, which started at `started_at`.
    pub fn new(
        job: &'a Job,
        caller: &'a Caller,
        date: NaiveDate,
        run_id: &'a str,
        started_at: DateTime<Utc>,
    ) -> Lineage<'a> {
        Lineage { job, caller, date, run_id, started_at }
    }

    /// The first event.
    pub fn start(&self) -> Value {
        self.event("START", self.started_at, self.run_facets(), Datasets::default())
    }

    /// The last event of an interrupted run; its time is set later.
    pub fn abort(&self) -> Value {
        self.event("ABORT", self.started_at, self.run_facets(), Datasets::default())
    }

    /// The last event. A run that published anything is COMPLETE; tags contain status and exit code. `books` is `None` if
    /// the run ended before it had a manifest; `why` says what is missing.
    pub fn end(&self, at: DateTime<Utc>, books: Option<NightBooks<'_>>, why: Option<&str>) -> Value {
        let mut facets = self.run_facets();
        if let Some(why) = why {
            facets.insert(
                "errorMessage".into(),
                facet("1-0-1/ErrorMessageRunFacet", json!({"message": why, "programmingLanguage": "RUST"})),
            );
        }
        if let Some(NightBooks { manifest, .. }) = books {
            let tag = |key: &str, value: String| json!({"key": key, "value": value, "source": "COUPON_RECON"});
            let tags = [tag("status", manifest.status.to_string()), tag("exit_code", manifest.exit_code.to_string())];
            facets.insert("tags".into(), facet("1-0-0/TagsRunFacet", json!({"tags": tags})));
        }
        match books.filter(|books| books.manifest.status != RunStatus::Failed) {
            Some(books) => {
                let datasets = Datasets { inputs: self.inputs(books), outputs: self.outputs(books.manifest) };
                self.event("COMPLETE", at, facets, datasets)
            }
            None => self.event("FAIL", at, facets, Datasets::default()),
        }
    }

    fn event(&self, kind: &str, at: DateTime<Utc>, facets: Map<String, Value>, datasets: Datasets) -> Value {
        let Datasets { inputs, outputs } = datasets;
        let run_id = static_uuid(self.started_at, &format!("{} {}", self.job.name, self.run_id));
        let job_type = json!({"processingType": "BATCH", "integration": "COUPON_RECON", "jobType": "JOB"});
        json!({
            "eventType": kind,
            "eventTime": event_time(at),
            "run": {"runId": run_id, "facets": facets},
            "job": {
                "namespace": self.job.lineage.namespace,
                "name": self.job.name,
                "facets": {"jobType": facet("2-0-4/JobTypeJobFacet", job_type)},
            },
            "inputs": inputs,
            "outputs": outputs,
            "producer": producer(),
            "schemaURL": format!("{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"),
        })
    }

    fn run_facets(&self) -> Map<String, Value> {
        let day = json!({
            "nominalStartTime": event_time(clock::start_of(self.date)),
            "nominalEndTime": event_time(clock::end_of(self.date)),
        });
        let engine = json!({"name": "coupon-recon", "version": env!("CARGO_PKG_VERSION")});
        let mut facets = Map::new();
        facets.insert("nominalTime".into(), facet("1-0-1/NominalTimeRunFacet", day));
        facets.insert("processing_engine".into(), facet("1-1-1/ProcessingEngineRunFacet", engine));
        if let Some(parent) = &self.caller.parent {
            let mut fields = ancestor(parent);
            if let Some(root) = &self.caller.root {
                fields["root"] = ancestor(root);
            }
            facets.insert("parent".into(), facet("1-2-0/ParentRunFacet", fields));
        }
        facets
    }

    /// The inputs: exports, APIs, earlier partitions. Judged rules are assertions on the dataset they
    /// read first.
    fn inputs(&self, books: NightBooks<'_>) -> Vec<Value> {
        let (manifest, mut assertions) = (books.manifest, assertions(books));
        let read = manifest.read_partitions.iter().map(|it| it.dataset.clone());
        let names: BTreeSet<String> = read.chain(assertions.keys().cloned()).collect();
        let mut inputs: Vec<Value> = self.sources(manifest);
        inputs.extend(names.into_iter().map(|name| {
            let mut input = self.dataset(&name);
            if let Some(assertions) = assertions.remove(&name) {
                let judged = facet("1-1-0/DataQualityAssertionsDatasetFacet", json!({"assertions": assertions}));
                input["inputFacets"] = json!({"dataQualityAssertions": judged});
            }
            input
        }));
        inputs
    }

    fn sources(&self, manifest: &Manifest) -> Vec<Value> {
        let brought = |stage| manifest.stages.iter().any(|it| it.is(stage) && !it.rows.is_empty());
        let mut sources = Vec::new();
        if brought(Stage::Orders) {
            let paths = self.job.orders.iter().map(|source| source.path.of(self.date));
            sources.extend(paths.map(|path| named(FILES, &path.display().to_string())));
        }
        if let (true, Some(pattern)) = (brought(Stage::SubsidyLedger), &self.job.subsidy_ledger) {
            sources.push(named(FILES, &pattern.of(self.date).display().to_string()));
        }
        for stage in manifest.stages.iter().filter(|stage| stage.requests + stage.from_journal > 0) {
            if let Some(host) = self.host_of(&stage.stage) {
                sources.push(named(&host, &stage.stage));
            }
        }
        sources
    }

    /// Scheme, host and port of the API of a stage.
    fn host_of(&self, stage: &str) -> Option<String> {
        let limits = self.job.limits_of(Stage::find(stage)?.api()?)?;
        Some(limits.base_url.origin().ascii_serialization())
    }

    fn outputs(&self, manifest: &Manifest) -> Vec<Value> {
        let datasets = partitions(&manifest.files).filter(|parts| !parts[0].is_report());
        let mut outputs: Vec<Value> = datasets.map(|parts| self.output(parts)).collect();
        let reports: Vec<_> = manifest.files.iter().filter(|file| file.is_report()).collect();
        if !reports.is_empty() {
            let mut output = self.in_lake(REPORTS);
            let size: u64 = reports.iter().map(|file| file.bytes).sum();
            output["outputFacets"] = json!({"outputStatistics": statistics(None, size, reports.len())});
            outputs.push(output);
        }
        outputs
    }

    fn output(&self, parts: &[StagedFile]) -> Value {
        let mut output = self.dataset(&parts[0].dataset);
        let version = facet("1-0-1/DatasetVersionDatasetFacet", json!({"datasetVersion": digest_of(parts)}));
        output["facets"]["version"] = version;
        let (rows, bytes) = (parts.iter().map(|file| file.rows).sum(), parts.iter().map(|file| file.bytes).sum());
        output["outputFacets"] = json!({"outputStatistics": statistics(Some(rows), bytes, parts.len())});
        output
    }

    /// A folder of the lake, by OpenLineage's naming rules for files or objects.
    fn in_lake(&self, below: &str) -> Value {
        match &self.job.bucket {
            None => named(FILES, &self.job.lake.join(below).display().to_string()),
            Some(bucket) if bucket.prefix.is_empty() => named(&format!("s3://{}", bucket.bucket), below),
            Some(bucket) => named(&format!("s3://{}", bucket.bucket), &format!("{}/{below}", bucket.prefix)),
        }
    }

    /// A dataset of the lake with its schema.
    fn dataset(&self, name: &str) -> Value {
        let mut dataset = self.in_lake(&format!("datasets/{name}"));
        if let Some(contract) = contract::find(name) {
            let fields: Vec<_> = contract
                .columns
                .iter()
                .enumerate()
                .map(|(index, column)| json!({"name": column.name, "type": type_name(column.kind), "ordinal_position": index + 1}))
                .collect();
            dataset["facets"] = json!({"schema": facet("1-2-0/SchemaDatasetFacet", json!({"fields": fields}))});
        }
        dataset
    }
}

/// The judged rules, by the dataset that each reads first.
fn assertions(NightBooks { manifest, rules, breaks }: NightBooks<'_>) -> BTreeMap<String, Vec<Value>> {
    let mut assertions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    if !manifest.is_judged() {
        return assertions;
    }
    for rule in rules.iter().filter(|rule| !manifest.unjudged_rules.contains_key(&rule.id)) {
        let open = breaks.open_of(&rule.id).rows;
        let dataset = rule.datasets().next().unwrap_or(LedgerRow::DATASET).to_owned();
        assertions.entry(dataset).or_default().push(assertion(rule, open));
    }
    assertions
}

/// A judged rule: it succeeds if it has no open break.
fn assertion(rule: &Rule, open: i64) -> Value {
    json!({
        "assertion": "custom_sql",
        "success": open == 0,
        "severity": if rule.severity == Severity::High { "error" } else { "warn" },
        "name": format!("{} {}", rule.id, rule.name),
        "description": rule.title,
        "expected": "0",
        "actual": open.to_string(),
    })
}

fn statistics(rows: Option<u64>, bytes: u64, files: usize) -> Value {
    let mut fields = json!({"size": bytes, "fileCount": files});
    if let Some(rows) = rows {
        fields["rowCount"] = json!(rows);
    }
    facet("1-0-2/OutputStatisticsOutputDatasetFacet", fields)
}

fn named(namespace: &str, name: &str) -> Value {
    json!({"namespace": namespace, "name": name, "facets": {}})
}

fn ancestor(it: &Ancestor) -> Value {
    json!({"run": {"runId": it.run_id}, "job": {"namespace": it.namespace, "name": it.job}})
}

/// A facet of `<version>/<name>` with its producer and schema URL.
fn facet(version_and_name: &str, fields: Value) -> Value {
    let (_, name) = version_and_name.split_once('/').expect("a version and a name");
    let mut facet = json!({
        "_producer": producer(),
        "_schemaURL": format!("{SPEC}/facets/{version_and_name}.json#/$defs/{name}"),
    });
    if let (Value::Object(facet), Value::Object(fields)) = (&mut facet, fields) {
        facet.extend(fields);
    }
    facet
}

fn producer() -> String {
    format!("urn:coupon-recon:{}", env!("CARGO_PKG_VERSION"))
}

/// The format of instants in events.
pub fn event_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn type_name(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "string",
        ColumnKind::Integer => "int64",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Date => "date32",
        ColumnKind::Instant => "timestamp[us, UTC]",
    }
}
