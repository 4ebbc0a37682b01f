//! Tests of a lake in a bucket.

use super::*;

const BUCKET: &str = "[job]\nname = \"n\"\nlake = \"s3://coupons/prod/\"\nwork_dir = \"work\"\npii = \"raw\"\n";

#[test]
fn a_lake_in_a_bucket_has_a_work_folder_and_takes_the_usual_keys() {
    let env = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_REGION", "cn-north-1")];
    let job = bucket_of(BUCKET, &env).unwrap_or_else(|problems| panic!("{problems}"));
    let bucket = job.bucket.unwrap();
    assert_eq!((bucket.url().as_str(), bucket.region.as_str()), ("s3://coupons/prod", "cn-north-1"));
    assert!(!bucket.path_style && bucket.endpoint.is_none());
    assert!(job.lake.ends_with("work"), "{:?}", job.lake);
    assert!(!format!("{bucket:?}", bucket = bucket.credentials).contains("hush"));
    let cached = BUCKET.replace("work_dir = \"work\"\n", "");
    let env = [&env[..], &[("HOME", "/people/x")]].concat();
    assert!(bucket_of(&cached, &env).unwrap().lake.starts_with("/people/x/.cache/coupon-recon"));
}

#[test]
fn an_endpoint_of_ones_own_speaks_path_style_and_has_keys_of_its_own() {
    let text = format!(
        "{BUCKET}[store]\nendpoint = \"http://127.0.0.1:7480\"\naccess_key_id_env = \"ID\"\nsecret_access_key_env = \"KEY\"\n"
    );
    let bucket = bucket_of(&text, &[("ID", "id"), ("KEY", "hush")]).unwrap().bucket.unwrap();
    assert!(bucket.path_style);
    assert!(matches!(&bucket.credentials, Credentials::Keys { id, secret, token: None }
        if id.expose() == "id" && secret.expose() == "hush"));
}

#[test]
fn a_bucket_without_keys_or_with_a_wrong_name_or_endpoint_is_told_at_once() {
    let text = "[job]\nname = \"n\"\nlake = \"s3://Coupons/a//b\"\npii = \"raw\"\n\
                [store]\nendpoint = \"http://s3.example\"\nsecret_access_key = \"do-not-print-me\"\n";
    let problems = bucket_of(text, &[]).unwrap_err().to_string();
    for told in ["`Coupons` is not a bucket name", "not a prefix", "no cache folder", "no keys for it", "must be https"]
    {
        assert!(problems.contains(told), "{told}: {problems}");
    }
    assert!(!problems.contains("do-not-print-me"), "{problems}");
    let local = MINIMAL.to_owned() + "[store]\nregion = \"r\"\n";
    assert!(bucket_of(&local, &[]).unwrap_err().to_string().contains("`job.lake` is a folder"));
}

#[test]
fn moving_a_lake_into_a_bucket_changes_no_fingerprint() {
    let env = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let local = bucket_of(MINIMAL, &[]).unwrap().fingerprint;
    assert_eq!(bucket_of(&format!("{BUCKET}[store]\nregion = \"r\"\n"), &env).unwrap().fingerprint, local);
}

#[test]
fn a_secret_of_the_store_that_would_be_passed_over_is_refused_with_what_it_lacks() {
    let env = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s3cret"), ("ID", "x"), ("TOKEN", "y")];
    for (store, told) in [
        (
            "session_token_env = \"TOKEN\"",
            "`store.session_token_env` has no effect without `store.access_key_id_env` or `store.access_key_id_file`",
        ),
        (
            "credentials = \"role\"\naccess_key_id_env = \"ID\"",
            "`store.access_key_id_env` has no effect with `credentials = \"role\"`",
        ),
    ] {
        let problems = bucket_of(&format!("{BUCKET}[store]\n{store}\n"), &env).unwrap_err().problems;
        let texts: Vec<_> = problems.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, [told]);
    }
}
