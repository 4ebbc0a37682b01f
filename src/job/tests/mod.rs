//! Tests of the loader with whole job files: the shipped example, the published schema, and every kind of
//! mistake.

mod buckets;
mod engines;
mod once;
mod paths;
mod published;
mod secrets;
mod text;
mod values;
mod watching;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

const NIGHTLY: &str = include_str!("../../../jobs/nightly.toml");
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";

/// A folder with the files that the example names, and an environment with its variables.
struct Fixture {
    folder: tempfile::TempDir,
    env: BTreeMap<&'static str, String>,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        for (name, text) in [
            ("pii.key", "0123456789abcdef0123456789abcdef\n"),
            ("apiclient_key.pem", PRIVATE_PEM),
            ("wxp_pub.pem", PUBLIC_PEM),
        ] {
            fs::write(secrets.join(name), text).unwrap();
            close_to_others(&secrets.join(name));
        }
        let env = BTreeMap::from([
            ("WXPAY_API_V3_KEY", "k".repeat(32)),
            ("WXPAY_V2_KEY", "v".repeat(32)),
            ("WX_MP_SECRET", "s".repeat(32)),
        ]);
        Fixture { folder, env }
    }

    fn load(&self, text: &str) -> Result<Job, JobProblems> {
        let path = self.folder.path().join("job.toml");
        fs::write(&path, text).unwrap();
        load(&path, &|name| self.env.get(name).cloned())
    }

    /// The problems of a job file with this text, without machine-specific paths.
    fn problems(&self, text: &str) -> Vec<Problem> {
        self.load(text).expect_err("the job is wrong").problems
    }

    /// The only problem of the example after replacing `from` by `to`.
    fn one_problem(&self, from: &str, to: &str) -> Problem {
        assert!(NIGHTLY.contains(from), "`{from}` is not in the example");
        let problems = self.problems(&NIGHTLY.replacen(from, to, 1));
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems.into_iter().next().unwrap()
    }
}

fn close_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

const MINIMAL: &str = "[job]\nname = \"n\"\nlake = \"lake\"\npii = \"raw\"\n";

fn bucket_of(text: &str, env: &[(&str, &str)]) -> Result<Job, JobProblems> {
    let fixture = Fixture::new();
    fs::write(fixture.folder.path().join("job.toml"), text).unwrap();
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    load(&fixture.folder.path().join("job.toml"), &env)
}
