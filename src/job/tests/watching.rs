//! Tests of the observers of a night.

use super::*;

#[test]
fn who_is_told_of_a_night_is_checked_and_no_address_is_shown() {
    let mut fixture = Fixture::new();
    fixture.env.insert("HOOK", "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693axxx6".into());
    fixture.env.insert("NO_URL", "693axxx6".into());
    let cases = [
        ("[openlineage]\nurl = \"http://marquez.example.com\"", "`openlineage.url` must be https"),
        ("[openlineage]\nurl = \"nonsense\"", "`openlineage.url` is no URL"),
        ("[openlineage]\nurl = \"https://key:693axxx6@h\"", "must not hold a user"),
        ("[openlineage]\napi_key_env = \"WXPAY_V2_KEY\"", "no effect without `openlineage.url`"),
        ("[openlineage]\nnamspace = \"n\"", "unknown key `openlineage.namspace`"),
        ("[metrics]\ntextfile = \"a.txt\"", "must end with `.prom`"),
        ("[metrics]", "`metrics.textfile` is missing"),
        ("[webhook]", "the secret `webhook.url` is missing"),
        ("[webhook]\nurl = \"https://h/?key=693axxx6\"", "the secret `webhook.url` is written in the job file"),
        ("[webhook]\nurl_env = \"HOOK\"", "`webhook.url_env` must be https"),
        ("[webhook]\nurl_env = \"NO_URL\"", "`webhook.url_env` is no URL"),
    ];
    for (section, wanted) in cases {
        let problems = fixture.problems(&format!("{MINIMAL}{section}\n"));
        assert_eq!(problems.len(), 1, "{section}: {problems:#?}");
        assert!(problems[0].text.contains(wanted), "{section}: {}", problems[0]);
        assert!(!problems[0].to_string().contains("693axxx6"), "{}", problems[0]);
    }
}

#[test]
fn lineage_goes_to_the_usual_path_of_a_bare_host_and_nowhere_by_itself() {
    let fixture = Fixture::new();
    let of =
        |section: &str| fixture.load(&format!("{MINIMAL}{section}\n")).unwrap_or_else(|problems| panic!("{problems}"));
    let silent = of("");
    assert_eq!((silent.lineage.namespace.as_str(), silent.lineage.url), ("coupon-recon", None));
    for (given, sent) in [("https://h:5000", "https://h:5000/api/v1/lineage"), ("https://h/x", "https://h/x")] {
        let job = of(&format!("[openlineage]\nurl = \"{given}\"\n[metrics]\ntextfile = \"m/a.prom\""));
        assert_eq!(job.lineage.url.unwrap().as_str(), sent);
        assert!(job.metrics_textfile.unwrap().ends_with("m/a.prom"));
        assert_eq!(job.fingerprint, silent.fingerprint, "who is told changes nothing that is published");
    }
}
