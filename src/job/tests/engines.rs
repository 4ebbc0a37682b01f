//! Tests of the engine and its cluster.

use super::*;

/// `NIGHTLY` with this `[engine]` section.
fn with_engine(lines: &str) -> String {
    NIGHTLY.replace("kind = \"polars\"", lines)
}

#[test]
fn the_token_of_a_cluster_comes_from_a_file_the_environment_or_the_address_and_is_never_told() {
    let mut fixture = Fixture::new();
    fs::write(fixture.folder.path().join("secrets/spark.token"), "hunter2\n").unwrap();
    let here = "remote = \"sc://127.0.0.1:15002\"";
    let token_of = |fixture: &Fixture, lines: &str| {
        let engine = fixture.load(&with_engine(lines)).unwrap().engine;
        assert!(!format!("{engine:?}").contains("hunter"));
        engine.spark.unwrap().remote.url().expose().rsplit_once("token=").map(|(_, token)| token.to_owned())
    };
    assert_eq!(token_of(&fixture, here), None);
    assert_eq!(token_of(&fixture, &format!("{here}\ntoken_file = \"secrets/spark.token\"")).unwrap(), "hunter2");
    fixture.env.insert("SPARK_CONNECT_AUTHENTICATE_TOKEN", "hunter3".into());
    assert_eq!(token_of(&fixture, here).unwrap(), "hunter3");
    let inline = with_engine("remote = \"sc://127.0.0.1:15002/;token=hunter4\"");
    let warnings = fixture.load(&inline).unwrap().warnings.join("\n");
    assert!(
        warnings.contains("`engine.remote` puts a token into the job file") && !warnings.contains("hunter"),
        "{warnings}"
    );
    let twice = inline.replacen("remote =", "token_env = \"SPARK_CONNECT_AUTHENTICATE_TOKEN\"\nremote =", 1);
    assert!(fixture.problems(&twice)[0].text.contains("keep one"));
}

#[test]
fn a_cluster_elsewhere_wants_a_lake_it_can_reach() {
    let fixture = Fixture::new();
    let elsewhere = "kind = \"spark\"\nremote = \"sc://spark.example:15002\"";
    let refused = |lines: &str| {
        let problems = fixture.problems(&with_engine(lines));
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].text.clone()
    };
    let mounted = format!("{elsewhere}\nshared_mount = true");
    assert!(refused(elsewhere).contains("a folder on this machine, which a remote cluster does not see"));
    assert!(refused("kind = \"spark\"").contains("`engine.remote` is missing"));
    for reachable in [mounted.as_str(), "kind = \"spark\"\nremote = \"sc://localhost\""] {
        assert!(fixture.load(&with_engine(reachable)).is_ok(), "{reachable}");
    }
    assert!(fixture.load(&with_engine("kind = \"polars\"\nremote = \"sc://spark.example\"")).is_ok());
}

#[test]
fn a_build_without_the_engine_reads_the_job_and_refuses_the_cluster_alone() {
    let fixture = Fixture::new();
    let on_cluster = "kind = \"spark\"\nremote = \"sc://spark.example:15002\"\nshared_mount = true";
    let mut engine = fixture.load(&with_engine(on_cluster)).unwrap().engine;
    let refusal = engine.refusal(false);
    assert_eq!(refusal.is_some(), !cfg!(feature = "spark"));
    if let Some((problem, hint)) = refusal {
        assert_eq!(problem, "this build has no Spark engine");
        assert!(hint.contains("--engine polars") && hint.contains("--emit-script"), "{hint}");
    }
    engine.kind = EngineKind::Polars;
    assert_eq!(engine.refusal(false), None);
}
