//! Who started the run, as an orchestrator says in the environment. Does not read the environment itself; it is passed in.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use chrono::{DateTime, SecondsFormat, Utc};

/// The prefix of the variables that Airflow sets for its tasks.
const AIRFLOW: &str = "AIRFLOW_CTX_";
/// Owners' e-mail addresses are left out.
const PERSONAL: &str = "_EMAIL";
/// OpenLineage's default namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// The caller of a run, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// `AIRFLOW_CTX_*` (dag, task, run, try, logical date), for the manifest.
    pub airflow: BTreeMap<String, String>,
    /// The run that this one is part of.
    pub(super) parent: Option<Ancestor>,
    /// The outermost run.
    pub(super) root: Option<Ancestor>,
}

/// A run of another job, in OpenLineage's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ancestor {
    pub(super) namespace: String,
    pub(super) job: String,
    pub(super) run_id: String,
}

impl Caller {
    /// Reads `OPENLINEAGE_PARENT_ID` and `OPENLINEAGE_ROOT_PARENT_ID` (`namespace/job/run id`), otherwise the run that
    /// Airflow's own OpenLineage provider assigns to the task described by `AIRFLOW_CTX_*`.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Caller {
        let all: BTreeMap<_, _> = variables.into_iter().collect();
        let is_told = |name: &str| name.starts_with(AIRFLOW) && !name.ends_with(PERSONAL);
        let airflow: BTreeMap<_, _> =
            all.iter().filter(|(name, _)| is_told(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        let given = |name: &str| all.get(name).and_then(|text| Ancestor::read(text));
        let namespace = all.get("OPENLINEAGE_NAMESPACE").map_or(DEFAULT_NAMESPACE, String::as_str);
        Caller {
            parent: given("OPENLINEAGE_PARENT_ID").or_else(|| task(&airflow, namespace)),
            root: given("OPENLINEAGE_ROOT_PARENT_ID"),
            airflow,
        }
    }
}

impl Ancestor {
    /// Parses `namespace/job/run id`; the name of a job may contain slashes, and so may a namespace that is a URL.
    fn read(text: &str) -> Option<Ancestor> {
        let (before, run_id) = text.rsplit_once('/')?;
        let (namespace, job) = before.rsplit_once('/')?;
        let is_uuid = run_id.len() == 36 && run_id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let named = !namespace.is_empty() && !job.is_empty();
        (is_uuid && named).then(|| Ancestor {
            namespace: namespace.to_owned(),
            job: job.to_owned(),
            run_id: run_id.to_owned(),
        })
    }
}

/// The Airflow task, with the run id that its provider computes.
fn task(airflow: &BTreeMap<String, String>, namespace: &str) -> Option<Ancestor> {
    let get = |name: &str| airflow.get(&format!("{AIRFLOW}{name}")).filter(|text| !text.is_empty());
    let (dag, task, number) = (get("DAG_ID")?, get("TASK_ID")?, get("TRY_NUMBER")?);
    let date = get("LOGICAL_DATE").or(get("EXECUTION_DATE"))?;
    let date: DateTime<Utc> = date.parse().ok()?;
    let job = format!("{dag}.{task}");
    let run_id = static_uuid(date, &format!("{namespace}.{job}.{number}.-1"));
    Some(Ancestor { namespace: namespace.to_owned(), job, run_id })
}

/// A UUIDv7 of `instant` whose other bits are a hash of instant and name, as computed by OpenLineage's clients: the
/// same run has the same id everywhere.
pub(super) fn static_uuid(instant: DateTime<Utc>, name: &str) -> String {
    let format = if instant.timestamp_subsec_micros() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    let hashed = format!("{}{name}", instant.to_rfc3339_opts(format, false));
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, hashed.as_bytes());
    let random = u128::from_be_bytes(hash.as_ref()[..16].try_into().expect("sixteen bytes")) >> 52;
    let millis = u128::from(instant.timestamp_millis().unsigned_abs()) & 0xFFFF_FFFF_FFFF;
    let versioned = (((millis << 80) | random) & !(0xF000 << 64)) | (7 << 76);
    let id = hex::encode(((versioned & !(0xC000 << 48)) | (0x8000 << 48)).to_be_bytes());
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(variables: &[(&str, &str)]) -> Caller {
        Caller::of(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    const TASK: [(&str, &str); 6] = [
        ("AIRFLOW_CTX_DAG_ID", "coupon_recon"),
        ("AIRFLOW_CTX_TASK_ID", "reconcile"),
        ("AIRFLOW_CTX_TRY_NUMBER", "1"),
        ("AIRFLOW_CTX_LOGICAL_DATE", "2026-11-19T04:00:00+00:00"),
        ("AIRFLOW_CTX_DAG_EMAIL", "somebody@example.com"),
        ("PATH", "/bin"),
    ];

    #[test]
    fn a_task_of_airflow_is_the_parent_under_the_id_its_provider_gives_it() {
        let caller = caller(&TASK);
        let parent = caller.parent.unwrap();
        assert_eq!((parent.namespace.as_str(), parent.job.as_str()), ("default", "coupon_recon.reconcile"));
        assert_eq!(parent.run_id, "01a1f1f6-1a00-71af-8bf6-c2dc89e861cc");
        let told: Vec<_> = caller.airflow.keys().map(String::as_str).collect();
        let expected = ["DAG_ID", "LOGICAL_DATE", "TASK_ID", "TRY_NUMBER"];
        assert_eq!(told, expected.map(|name| format!("AIRFLOW_CTX_{name}")));
    }

    #[test]
    fn a_parent_that_is_given_wins_and_nonsense_is_none() {
        let id = "01939a5c-5c00-7abc-8def-0123456789ab";
        let given = format!("https://airflow.example/prod/dag.task/{id}");
        let parent = caller(&[&TASK[..], &[("OPENLINEAGE_PARENT_ID", &given)]].concat()).parent.unwrap();
        assert_eq!(parent.namespace, "https://airflow.example/prod");
        assert_eq!((parent.job.as_str(), parent.run_id.as_str()), ("dag.task", id));
        for text in ["", "a/b", "ns/job/not-a-uuid", "//"] {
            assert_eq!(caller(&[("OPENLINEAGE_PARENT_ID", text)]).parent, None, "{text}");
        }
    }

    #[test]
    fn an_id_is_of_version_seven_and_begins_with_its_instant() {
        let instant: DateTime<Utc> = "2026-11-19T04:00:00.123456Z".parse().unwrap();
        let id = static_uuid(instant, "job run");
        assert_eq!(id, "01a1f1f6-1a7b-7496-9b97-93cfe8ddfabb");
        assert_eq!(&id[14..15], "7");
        assert_eq!(id, static_uuid(instant, "job run"));
        assert_ne!(id, static_uuid(instant, "another"));
    }
}
