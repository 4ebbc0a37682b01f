//! Tests of values: what keys mean, their defaults, and contradictions between them.

use std::time::Duration;

use super::*;
use crate::money::Fen;

#[test]
fn the_shipped_example_loads() {
    let fixture = Fixture::new();
    let job = fixture.load(NIGHTLY).unwrap_or_else(|problems| panic!("{problems}"));
    let folder = fs::canonicalize(fixture.folder.path()).unwrap();
    assert_eq!(job.lake, folder.parent().unwrap().join("out/lake"));
    assert_eq!(job.path, folder.join("job.toml"));
    let v3 = job.pay_v3.unwrap();
    assert_eq!((v3.limits.rate_per_second, v3.limits.concurrency), (100, 32));
    assert_eq!((v3.limits.timeout, v3.limits.retry_deadline), (Duration::from_secs(30), Duration::from_secs(120)));
    assert_eq!(v3.api_v3_key.expose(), "k".repeat(32));
    assert!(v3.public_key.unwrap().pem.contains("MIIB"));
    assert_eq!(job.orders.len(), 1);
    let date = chrono::NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
    let exports = folder.parent().unwrap().join("exports");
    assert_eq!(job.orders[0].path.of(date), exports.join("orders/2026-11-18*.csv"));
    assert_eq!(job.orders[0].path.name_of(date), "../exports/orders/2026-11-18*.csv");
    assert_eq!(job.subsidy_programs[0].amount, SubsidyAmount::Fixed(Fen(100)));
    assert_eq!(job.rules.discount_tolerance_fen, Fen(1));
    assert!(job.warnings.is_empty(), "{:?}", job.warnings);
    assert!(matches!(job.pii, Pii::Hmac(key) if key.expose().len() == 32));
}

#[test]
fn silent_keys_have_the_defaults_of_the_design() {
    let fixture = Fixture::new();
    let text = format!(
        "{MINIMAL}[pay_v3]\nmchid = \"1\"\nserial_no = \"AB\"\nprivate_key_file = \"secrets/apiclient_key.pem\"\n\
         api_v3_key_env = \"WXPAY_API_V3_KEY\"\n[mp]\nappid = \"a\"\nsecret_env = \"WX_MP_SECRET\"\n\
         [pay_v2]\nmch_id = \"1\"\nappid = \"a\"\napi_key_env = \"WXPAY_V2_KEY\"\nstock_ids = []\n\
         [wallets]\nappid = \"a\"\nbelong_merchant = \"1\"\n[bills]\n"
    );
    let job = fixture.load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let (v3, v2, mp) = (job.pay_v3.unwrap().limits, job.pay_v2.unwrap().limits, job.mp.unwrap());
    assert_eq!(v3.base_url.as_str(), "https://api.mch.weixin.qq.com/");
    assert_eq!(v3.backup_url.unwrap().as_str(), "https://api2.mch.weixin.qq.com/");
    assert_eq!((v3.rate_per_second, v3.concurrency), (100, 32));
    assert_eq!((v2.rate_per_second, v2.concurrency), (20, 8));
    assert_eq!((mp.limits.rate_per_second, mp.limits.concurrency, mp.repull_days), (20, 8, 3));
    let wallets = job.wallets.unwrap();
    assert_eq!((wallets.refresh, wallets.audit_days, wallets.max_unsettled), (Refresh::Active, 30, 0));
    assert!(matches!(job.bills, Some(BillSource::Api { tar_type: TarType::Gzip })));
    assert_eq!((job.rules.lookback_days, job.rules.stuck_hours, job.rules.max_coupons_per_order), (30, 24, 1));
    assert_eq!(
        (job.report.excel_ids, job.report.language, job.report.trailer),
        (ExcelIds::Backtick, Language::Zh, true)
    );
    let ready: Vec<_> = job.sources.iter().filter(|(_, calendar)| calendar.ready_at.is_some()).collect();
    assert_eq!(ready.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bills", "datacube"]);
    assert_eq!(job.sources.len(), SOURCE_NAMES.len());
}

#[test]
fn more_than_a_year_of_datacube_figures_is_a_slip_of_the_pen() {
    let fixture = Fixture::new();
    let year = NIGHTLY.replacen("repull_days = 3 ", "repull_days = 366 ", 1);
    assert_eq!(fixture.load(&year).unwrap().mp.unwrap().repull_days, 366);
    let problem = fixture.one_problem("repull_days = 3 ", "repull_days = 367 ");
    assert_eq!(problem.text, "`mp.repull_days` is 367: it must be at most 366");
}

#[test]
fn the_first_day_has_a_year_that_can_be_meant() {
    let problem = Fixture::new().one_problem("# first_date = \"2026-11-18\" ", "first_date = \"26-11-18\" ");
    assert_eq!(problem.text, "`job.first_date` is `26-11-18`: it must be a day such as `2026-11-18`");
}

#[test]
fn an_api_section_overrides_the_patience_of_the_job() {
    let fixture = Fixture::new();
    let text = format!(
        "{}timeout_seconds = 5\nretry_deadline_seconds = 9\n[mp]\nbase_url = \"http://127.0.0.1:1\"\nappid = \"a\"\n\
         secret_env = \"WX_MP_SECRET\"\ntimeout_seconds = 2\n",
        MINIMAL
    );
    let limits = fixture.load(&text).unwrap().mp.unwrap().limits;
    assert_eq!((limits.timeout, limits.retry_deadline), (Duration::from_secs(2), Duration::from_secs(9)));
    assert_eq!(limits.backup_url, None);
}

#[test]
fn contradictions_between_keys_are_found() {
    let fixture = Fixture::new();
    let cases = [
        ("amount_fen = 100 ", "amount_fen = 100\npercent_of_discount = 5 ", "either `amount_fen` or"),
        ("amount_fen = 100 ", "percent_of_discount = 101 ", "percent_of_discount` is more than 100"),
        ("source = \"api\"", "source = \"api\"\npath = \"b.csv\"", "no effect"),
        ("source = \"api\"", "source = \"files\"", "`bills.path` is missing"),
        ("source = \"api\"", "source = \"file\"", "must be `api` or `files`"),
        ("ids = [\"1288880000000001\"]", "ids = [\"1\", \"2\", \"1\"]", "has `1` twice"),
        ("creator_merchant = \"1900000001\"", "", "names no merchant"),
        ("channel = \"支付方式\"\n", "", "needs `columns.channel`"),
        ("public_key_file = \"secrets/wxp_pub.pem\"", "", "go together"),
        ("kind = \"polars\"", "kind = \"polars\"\nshared_mount = true", "no effect without `engine.remote`"),
        ("kind = \"polars\"", "remote = \"http://h:1\"", "must begin with `sc://`"),
        ("kind = \"polars\"", "remote = \"sc://h/;token=t\"", "must not travel in clear text"),
        ("due_days = 3", "due_days = -1", "at least 0"),
        ("due_days = 3", "due_days = 100000000", "it must be at most 3660"),
        ("lookback_days = 30", "lookback_days = 4000000000", "it must be at most 3660"),
        ("delimiter = \",\"", "delimiter = \";;\"", "one ASCII character"),
        ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "does not give day and time"),
        ("folders = []", "folders = [\"no-such-folder\"]", "is not a folder"),
        ("folders = []", "folders = [\"\"]", "`rules.folders` is empty"),
        ("merchant_pairs = []", "merchant_pairs = [[\"1\"]]", "pairs of texts"),
        (
            "merchant_pairs = []",
            "merchant_pairs = [[\"1\", \"\"]]",
            "`rules.merchant_pairs` has an empty or padded entry",
        ),
        ("merchant_pairs = []", "merchant_pairs = [[\"1 \", \"2\"]]", "has an empty or padded entry"),
        ("coupons_file = \"\"", "coupons_file = \"absent.csv\"", "there is no file"),
        ("orders/{date}*.csv", "*/{date}.csv", "`*` in a folder"),
        ("subsidy-orders/{date}.csv", "subsidy-orders/{date}*.csv", "must name one file"),
        (
            "path = \"decisions.csv\"",
            "path = \"{date}/decisions.csv\"",
            "`{date}/decisions.csv`: it must be one path for all days",
        ),
        (
            "lake = \"../out/lake\"",
            "lake = \"../out/{yyyymmdd}\"",
            "`job.lake` is `../out/{yyyymmdd}`: it must be one path for all days",
        ),
        ("spool = \"../exports/notifications/\"", "spool = \"../exports/*/\"", "it must be one path for all days"),
        (
            "paid = \"实付金额\"",
            "paid = \" 商品金额\"",
            "`orders.columns.paid` is `商品金额`, and so is `orders.columns.goods`",
        ),
        ("stock_id = \"批次号\"", "stock_id = \"券码\"", "and so is `orders.columns.stock_id`"),
    ];
    for (from, to, wanted) in cases {
        let problem = fixture.one_problem(from, to);
        assert!(problem.text.contains(wanted), "{to}: {problem}");
        assert!(problem.line.is_some(), "{to}: {problem}");
    }
}

#[test]
fn optional_columns_that_are_empty_are_columns_the_export_does_not_have() {
    let text =
        NIGHTLY.replace("refund = \"退款金额\"", "refund = \"\"").replace("openid = \"用户标识\"", "openid = \"\"");
    let job = Fixture::new().load(&text).unwrap();
    assert_eq!((&job.orders[0].columns.refund, &job.orders[0].columns.openid), (&None, &None));
}

#[test]
fn sections_that_ask_apiv3_need_it() {
    let fixture = Fixture::new();
    let text = format!(
        "{MINIMAL}[stocks]\nids = []\n[wallets]\nappid = \"a\"\nsender_merchant = \"1\"\n[bills]\n[notifications]\nspool = \"s\"\n"
    );
    let problems = fixture.problems(&text);
    assert_eq!(problems.iter().map(|problem| problem.line.unwrap()).collect::<Vec<_>>(), [5, 7, 10, 11]);
    assert!(fixture.load(&format!("{MINIMAL}[bills]\nsource = \"files\"\npath = \"b.csv\"\n")).is_ok());
}

#[test]
fn a_partition_is_cut_where_the_job_says_and_what_was_made_of_it_is_the_same_inputs() {
    let silent = bucket_of(MINIMAL, &[]).unwrap();
    assert_eq!(silent.part_bytes, 4 << 30);
    let cut = bucket_of(&format!("{MINIMAL}part_bytes = 4096\n"), &[]).unwrap();
    assert_eq!((cut.part_bytes, cut.fingerprint), (4096, silent.fingerprint));
    for wrong in ["4095", "0", "-1"] {
        let problems = bucket_of(&format!("{MINIMAL}part_bytes = {wrong}\n"), &[]).unwrap_err().to_string();
        assert!(problems.contains("`job.part_bytes` is") && problems.contains("at least 4096"), "{problems}");
    }
    let problems = bucket_of(&format!("{MINIMAL}part_bytes = \"4GB\"\n"), &[]).unwrap_err().to_string();
    assert!(problems.contains("`job.part_bytes` must be a whole number of bytes, not string"), "{problems}");
}

#[test]
fn more_requests_at_once_than_the_runtime_counts_are_refused() {
    let problem = Fixture::new().one_problem("concurrency = 32", "concurrency = 9223372036854775807");
    assert!(problem.text.contains("pay_v3.concurrency") && problem.text.contains("at most 10000"), "{problem}");
}

#[test]
fn a_rate_that_would_take_all_memory_and_a_subsidy_no_merchant_pays_are_slips_of_the_pen() {
    let fixture = Fixture::new();
    let most = NIGHTLY.replacen("rate_per_second = 100", "rate_per_second = 100000", 1);
    let most = most.replacen("amount_fen = 100 ", "amount_fen = 1000000000000 ", 1);
    let job = fixture.load(&most).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(job.pay_v3.unwrap().limits.rate_per_second, 100_000);
    assert_eq!(job.subsidy_programs[0].amount, SubsidyAmount::Fixed(Fen::LARGEST));
    let problem = fixture.one_problem("rate_per_second = 100", "rate_per_second = 2147483648");
    assert_eq!(problem.text, "`pay_v3.rate_per_second` is 2147483648: it must be at most 100000");
    let problem = fixture.one_problem("amount_fen = 100 ", "amount_fen = 1000000000001 ");
    assert_eq!(problem.text, "`subsidy_programs.amount_fen` is 1000000000001: it must be at most 1000000000000");
}

#[test]
fn a_serial_that_is_not_hexadecimal_and_a_host_that_is_no_url_are_told_with_what_to_write() {
    let fixture = Fixture::new();
    let problem =
        fixture.one_problem("serial_no = \"5F1C72E2A8931B72A2E13AF8DEE92471EB397115\"", "serial_no = \"serial=5F1C\"");
    assert_eq!(problem.text, "`pay_v3.serial_no` is `serial=5F1C`: a serial is hexadecimal");
    assert!(problem.hint.unwrap().contains("-noout -serial"));
    let problem =
        fixture.one_problem("base_url = \"https://api.mch.weixin.qq.com\"", "base_url = \"api.mch.weixin.qq.com\"");
    assert_eq!(problem.text, "`pay_v3.base_url` is no URL");
    assert!(problem.hint.unwrap().contains("`https://host:8443`"));
}

#[test]
fn an_empty_public_key_id_is_told_instead_of_waiting_for_an_answer_under_no_name() {
    let problem = Fixture::new()
        .one_problem("public_key_id = \"PUB_KEY_ID_0119000000012026111800000000000000\"", "public_key_id = \" \"");
    assert_eq!(problem.text, "`pay_v3.public_key_id` is empty");
}

#[test]
fn a_time_format_with_a_zone_as_text_is_refused_with_both_ways_out() {
    let problem = Fixture::new().one_problem("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ");
    let hint = problem.hint.unwrap_or_default();
    assert!(problem.text.contains("`Z`") && hint.contains("`%#z`") && hint.contains("`%Z`"), "{} {hint}", problem.text);
}

#[test]
fn what_is_only_told_on_may_stand_in_a_column_that_means_something_else() {
    let told_on = NIGHTLY.replace("remark = \"备注\"", "remark = \"商品名称\"");
    let named_twice = told_on.replace("product = \"商品名称\"", "product = \"商户订单号\"");
    for text in [told_on, named_twice] {
        assert!(Fixture::new().load(&text).is_ok(), "{text}");
    }
}

#[test]
fn a_path_that_is_the_same_every_night_and_a_merchant_that_pays_himself_are_told_and_taken() {
    let fixture = Fixture::new();
    for (from, to, wanted) in [
        ("orders/{date}*.csv", "orders/today.csv", "`orders.path` is `../exports/orders/today.csv`, without `{date}`"),
        ("subsidy-orders/{date}.csv", "subsidy-orders.csv", "`subsidy_ledger.path` is `../exports/subsidy-orders.csv`"),
        ("payee_merchant = \"1900000002\"", "payee_merchant = \"1900000001\"", "paid by `1900000001` to itself"),
    ] {
        assert!(NIGHTLY.contains(from), "{from}");
        let warnings = fixture.load(&NIGHTLY.replacen(from, to, 1)).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(wanted), "{warnings:?}");
    }
    let packed = NIGHTLY.replace("{date}", "{yyyymmdd}");
    assert!(fixture.load(&packed).unwrap().warnings.is_empty());
}
