//! Tests of spool folders with callbacks, opened with mock keys.

use super::*;

/// Accepts the signature `genuine`, and a "ciphertext" that is the plaintext itself.
struct PretendKeys;

impl CallbackKeys for PretendKeys {
    fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), String> {
        let SignatureHeaders { timestamp, nonce, signature, serial } = *headers;
        assert!(!timestamp.is_empty() && !nonce.is_empty() && !body.is_empty());
        match (signature, serial) {
            ("genuine", "PUB_KEY_ID_1") => Ok(()),
            ("genuine", other) => Err(format!("no key for serial `{other}`")),
            _ => Err("signature invalid".to_owned()),
        }
    }

    fn decrypt(&self, sealed: Sealed<'_>) -> Result<Vec<u8>, String> {
        if (sealed.nonce, sealed.associated_data) != ("j9g1wAzF9Xn1", "coupon") {
            return Err("the resource cannot be decrypted".to_owned());
        }
        Ok(sealed.ciphertext.as_bytes().to_vec())
    }
}

/// Reference v3 §5.1, A6: the plaintext of the documentation.
const DOCUMENTED: &str = r#"{"event_type":"EVENT_TYPE_BUSICOUPON_SEND","coupon_code":"1227944959000000911017","stock_id":"1286950000000039","send_time":"2019-12-17T10:35:53+08:00","openid":"odXnH1CJjeQoWTld48db-pnxs-Wg","unionid":"oOuyajgxj0oVwjocSoQm6mp7PGKw","send_channel":"BUSICOUPON_SEND_CHANNEL_PAYGIFT","send_merchant":"98568888","attach_info":{"transaction_id":"4200000462220200226114599","act_code":"540358695"}}"#;

fn envelope(id: &str, event_type: &str, plaintext: &str) -> String {
    let resource = serde_json::json!({
        "original_type": "coupon", "algorithm": "AEAD_AES_256_GCM", "ciphertext": plaintext,
        "associated_data": "coupon", "nonce": "j9g1wAzF9Xn1",
    });
    serde_json::json!({"id": id, "create_time": "2019-12-12T16:54:38+08:00", "resource_type": "encrypt-resource",
        "event_type": event_type, "summary": "商家券领券通知", "resource": resource})
    .to_string()
}

fn spooled(body: &str, signature: &str) -> String {
    serde_json::json!({"headers": {
        "wechatpay-timestamp": "1624523846", "WECHATPAY-NONCE": "EcZ9", "Wechatpay-Signature": signature,
        "Wechatpay-Serial": ["PUB_KEY_ID_1"],
    }, "body": body})
    .to_string()
}

fn genuine(id: &str, plaintext: &str) -> String {
    spooled(&envelope(id, "COUPON.SEND", plaintext), "genuine")
}

fn read_files(files: &[(&str, String)], date: &str) -> Notifications {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    read(folder.path(), date.parse().unwrap(), &PretendKeys).unwrap()
}

#[test]
fn the_documented_event_becomes_a_row() {
    let read = read_files(&[("a.json", genuine("8b33", DOCUMENTED))], "2019-12-17");
    let expected = CouponEvent {
        stock_id: "1286950000000039".into(),
        coupon_code: "1227944959000000911017".into(),
        event_id: "8b33".into(),
        send_time: "2019-12-17T02:35:53Z".parse().unwrap(),
        openid: Some("odXnH1CJjeQoWTld48db-pnxs-Wg".into()),
        unionid: Some("oOuyajgxj0oVwjocSoQm6mp7PGKw".into()),
        send_channel: Some("BUSICOUPON_SEND_CHANNEL_PAYGIFT".into()),
        send_merchant: Some("98568888".into()),
        transaction_id: Some("4200000462220200226114599".into()),
        act_code: Some("540358695".into()),
        extra: None,
        business_date: "2019-12-17".parse().unwrap(),
    };
    assert_eq!(read.events, [expected]);
    assert_eq!((read.dead_letters.len(), read.duplicates, read.files.len()), (0, 0, 1));
}

#[test]
fn what_fits_no_column_and_another_kind_of_event_are_kept() {
    let odd = DOCUMENTED
        .replace("EVENT_TYPE_BUSICOUPON_SEND", "EVENT_TYPE_BUSICOUPON_RESEND")
        .replace(r#""send_merchant":"98568888""#, r#""send_merchant":["98568888"]"#)
        .replace(r#""act_code":"540358695""#, r#""act_code":true"#);
    let read = read_files(&[("a.json", genuine("8b33", &odd))], "2019-12-17");
    let event = &read.events[0];
    assert_eq!((event.send_merchant.as_deref(), event.act_code.as_deref()), (None, None));
    let kept =
        r#"{"attach_info":{"act_code":true},"event_type":"EVENT_TYPE_BUSICOUPON_RESEND","send_merchant":["98568888"]}"#;
    assert_eq!(event.extra.as_deref(), Some(kept));
}

#[test]
fn the_business_date_is_that_of_send_time_in_shanghai() {
    let late = DOCUMENTED.replace("2019-12-17T10:35:53+08:00", "2019-12-17T16:00:00Z");
    let files = [("a.json", genuine("1", &late))];
    assert_eq!(read_files(&files, "2019-12-17").events, []);
    let next = read_files(&files, "2019-12-18");
    assert_eq!(next.events.len(), 1);
    assert_eq!(read_files(&files, "2019-12-17").files, []);
}

#[test]
fn a_coupon_is_one_event_however_often_it_is_told() {
    let later = DOCUMENTED.replace("10:35:53", "10:35:54");
    let files =
        [("a.json", genuine("2", &later)), ("b.json", genuine("1", DOCUMENTED)), ("c.json", genuine("1", DOCUMENTED))];
    let read = read_files(&files, "2019-12-17");
    assert_eq!((read.events.len(), read.duplicates, read.files.len()), (1, 2, 3));
    assert_eq!(read.events[0].event_id, "1");
}

#[test]
fn a_byte_order_mark_and_a_suffix_in_capitals_hide_no_callback() {
    let files = [
        ("a.json", format!("\u{feff}{}", genuine("1", DOCUMENTED))),
        ("b.JSON", genuine("2", &DOCUMENTED.replace("0911017", "0911018"))),
        ("c.json.tmp", genuine("3", &DOCUMENTED.replace("0911017", "0911019"))),
    ];
    let read = read_files(&files, "2019-12-17");
    let ids: Vec<_> = read.events.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!((ids, read.dead_letters), (vec!["1", "2"], vec![]));
}

#[cfg(target_os = "linux")]
#[test]
fn files_whose_names_are_no_text_do_not_share_one() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for (name, id) in [(b"\xff.json", "1"), (b"\xfe.json", "2")] {
        fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), genuine(id, DOCUMENTED)).unwrap();
    }
    let read = read(folder.path(), "2019-12-17".parse().unwrap(), &PretendKeys).unwrap();
    let names: Vec<_> = read.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, [r"\xfe.json", r"\xff.json"]);
}

#[test]
fn absent_users_and_numbers_for_text_are_taken() {
    let plaintext = r#"{"coupon_code":"C","stock_id":"S","send_time":"2019-12-17T10:35:53+08:00","openid":null,
        "unionid":"","zeta":1,"attach_info":{"hall_belong_mch_id":98568888,"hall_code":"H","card_id":""}}"#;
    let event = read_files(&[("a.json", genuine("1", plaintext))], "2019-12-17").events.remove(0);
    assert_eq!((event.openid, event.unionid, event.transaction_id), (None, None, None));
    let expected = r#"{"attach_info":{"hall_belong_mch_id":"98568888","hall_code":"H"},"zeta":1}"#;
    assert_eq!(event.extra.as_deref(), Some(expected));
    let as_text = plaintext.replace("98568888", "\"98568888\"");
    let event = read_files(&[("a.json", genuine("1", &as_text))], "2019-12-17").events.remove(0);
    assert_eq!(event.extra.as_deref(), Some(expected));
}

fn only_event(plaintext: &str) -> CouponEvent {
    let mut read = read_files(&[("a.json", genuine("1", plaintext))], "2019-12-17");
    assert_eq!(read.dead_letters, []);
    read.events.remove(0)
}

#[test]
fn every_shape_of_a_send_time_is_taken_and_an_unusual_one_is_kept_as_it_was() {
    for (written, instant) in [
        ("2019-12-17T10:35:53.08:00", "2019-12-17T02:35:53Z"),
        ("2019-12-17T10:35:53.+08:00", "2019-12-17T02:35:53Z"),
        ("2019-12-17T10:35+08:00", "2019-12-17T02:35:00Z"),
    ] {
        let event = only_event(&DOCUMENTED.replace("2019-12-17T10:35:53+08:00", written));
        assert_eq!(event.send_time, instant.parse::<DateTime<Utc>>().unwrap(), "{written}");
        assert_eq!(event.extra, Some(format!(r#"{{"send_time":"{written}"}}"#)));
    }
    assert_eq!(only_event(&DOCUMENTED.replace(":53+08:00", ":53.120+08:00")).extra, None);
}

#[test]
fn an_attachment_of_any_shape_loses_no_event() {
    let documented = r#"{"transaction_id":"4200000462220200226114599","act_code":"540358695"}"#;
    let with = |attached: &str| only_event(&DOCUMENTED.replace(documented, attached));
    for nothing in [r#""""#, "[]", "null", r#"" ""#, "{}"] {
        let event = with(nothing);
        assert_eq!((event.transaction_id, event.extra), (None, None), "{nothing}");
    }
    for other in [r#""gift""#, r#"["a",1]"#, "7", "true", r#""[1]""#] {
        assert_eq!(with(other).extra, Some(format!(r#"{{"attach_info":{other}}}"#)));
    }
    let as_text = with(&serde_json::to_string(documented).unwrap());
    assert_eq!((as_text.transaction_id.as_deref(), as_text.extra), (Some("4200000462220200226114599"), None));
}

#[test]
fn ids_that_come_as_numbers_keep_all_their_digits_or_are_refused() {
    let event = only_event(
        &DOCUMENTED
            .replace("\"1227944959000000911017\"", "12279449590000009110171")
            .replace("\"4200000462220200226114599\"", "4200000462220200226114599")
            .replace("{\"event_type\"", "{\"zeta\":12279449590000009110172,\"event_type\""),
    );
    assert_eq!(event.coupon_code, "12279449590000009110171");
    assert_eq!(event.transaction_id.as_deref(), Some("4200000462220200226114599"));
    assert_eq!(event.extra.as_deref(), Some(r#"{"zeta":"12279449590000009110172"}"#));
    for lost in ["1.227944959e+22", "12.5", "1E3"] {
        let plaintext = DOCUMENTED.replace("\"1227944959000000911017\"", lost);
        let read = read_files(&[("a.json", genuine("1", &plaintext))], "2019-12-17");
        assert!(read.events.is_empty() && read.dead_letters[0].why.contains("`coupon_code` is a number with"));
    }
}

#[test]
fn headers_may_be_spooled_as_numbers_that_keep_their_digits() {
    let spooled_with = |timestamp: &str| genuine("8b33", DOCUMENTED).replace("\"1624523846\"", timestamp);
    for timestamp in ["1624523846", "[1624523846]"] {
        let read = read_files(&[("a.json", spooled_with(timestamp))], "2019-12-17");
        assert_eq!((read.events.len(), read.dead_letters), (1, Vec::new()));
    }
    let read = read_files(&[("a.json", spooled_with("1.624523846e9"))], "2019-12-17");
    assert!(read.dead_letters[0].why.contains("`Wechatpay-Timestamp` is neither text"), "{:?}", read.dead_letters);
}

#[test]
fn white_space_around_a_header_is_not_part_of_it() {
    let text = genuine("8b33", DOCUMENTED)
        .replace(r#""wechatpay-timestamp":"1624523846""#, r#""wechatpay-timestamp ":" 1624523846""#)
        .replace(r#""genuine""#, "\" genuine\\r\"")
        .replace(r#"["PUB_KEY_ID_1"]"#, r#"["PUB_KEY_ID_1\t"]"#);
    assert!(text.contains(r#"" genuine\r""#) && text.contains(r#""PUB_KEY_ID_1\t""#));
    let read = read_files(&[("a.json", text)], "2019-12-17");
    assert_eq!((read.events.len(), read.dead_letters.len()), (1, 0));
}

#[test]
fn what_cannot_be_verified_or_opened_is_a_dead_letter() {
    let body = envelope("1", "COUPON.SEND", DOCUMENTED);
    let cases = [
        ("not json at all".to_owned(), "not a spooled callback"),
        (spooled(&body, "WECHATPAY/SIGNTEST/abc"), "signature invalid"),
        (spooled(&body, "genuine").replace("PUB_KEY_ID_1", "OTHER"), "no key for serial"),
        (spooled(&body, "genuine").replace("WECHATPAY-NONCE", "X-Nonce"), "header `Wechatpay-Nonce` is missing"),
        (spooled("<xml/>", "genuine"), "not a callback of WeChat Pay"),
        (spooled(&body.replace("j9g1", "XXXX"), "genuine"), "cannot be decrypted"),
        (spooled(&body.replace("AEAD_AES_256_GCM", "ROT13"), "genuine"), "`ROT13`"),
        (genuine("1", "no json"), "not a JSON object"),
        (genuine("1", &DOCUMENTED.replace("stock_id", "stack_id")), "lacks `stock_id`"),
        (genuine("1", &DOCUMENTED.replace("2019-12-17T", "17.12.2019 ")), "`send_time` is not a time"),
    ];
    for (text, wanted) in cases {
        let read = read_files(&[("x.json", text.clone())], "2019-12-17");
        assert_eq!((read.events.len(), read.dead_letters.len(), read.files.len()), (0, 1, 0), "{wanted}");
        let DeadLetter { file, why, is_sealed } = &read.dead_letters[0];
        assert!(file == "x.json" && why.contains(wanted), "{why}");
        assert!(!why.contains("odXnH1CJ"), "{why}");
        assert!(!is_sealed, "the envelope says another day");
        let of_its_day = read_files(&[("x.json", text)], "2019-12-12");
        assert_eq!(of_its_day.dead_letters[0].is_sealed, wanted == "cannot be decrypted", "{why}");
    }
}

#[test]
fn callbacks_of_other_kinds_and_other_files_are_passed_over() {
    let files = [
        ("a.json", spooled(&envelope("1", "PAYSCORE.USER_OPEN_SERVICE", DOCUMENTED), "genuine")),
        ("b.json.tmp", "half".to_owned()),
        ("README", "spool".to_owned()),
    ];
    let read = read_files(&files, "2019-12-17");
    assert_eq!((read.events.len(), read.dead_letters.len(), read.foreign), (0, 0, 1));
}

#[test]
fn a_spool_that_is_not_there_is_missing() {
    let error = read(Path::new("/nonexistent/spool"), NaiveDate::MIN, &PretendKeys).unwrap_err();
    assert!(matches!(error, ExportError::Missing { .. }), "{error}");
}

/// Keys while whose use somebody works in the spool.
struct Meanwhile<'w>(&'w dyn Fn());

impl CallbackKeys for Meanwhile<'_> {
    fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), String> {
        (self.0)();
        PretendKeys.verify(headers, body)
    }

    fn decrypt(&self, sealed: Sealed<'_>) -> Result<Vec<u8>, String> {
        PretendKeys.decrypt(sealed)
    }
}

#[test]
fn a_callback_that_is_renamed_while_the_spool_is_read_is_read_once_and_one_that_is_removed_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let of_coupon = |code: &str| genuine(code, &DOCUMENTED.replace("1227944959000000911017", code));
    for name in ["a", "b", "c"] {
        fs::write(place(&format!("{name}.json")), of_coupon(name)).unwrap();
    }
    // While `a` is read; nothing is left to do afterwards.
    let meanwhile = || {
        let _ = fs::rename(place("b.json"), place("0.json"));
        let _ = fs::remove_file(place("c.json"));
    };
    let read = read(folder.path(), "2019-12-17".parse().unwrap(), &Meanwhile(&meanwhile)).unwrap();
    assert_eq!(read.events.iter().map(|event| event.coupon_code.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(read.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["0.json", "a.json"]);
    assert_eq!((read.duplicates, read.dead_letters.len()), (0, 0));
}

#[test]
fn a_spool_that_never_comes_to_rest_ends_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: String| folder.path().join(name);
    let turn = std::cell::Cell::new(0);
    fs::write(place("0.json".to_owned()), genuine("8b33", DOCUMENTED)).unwrap();
    fs::write(place("z0.json".to_owned()), "").unwrap();
    let meanwhile = || {
        let now = turn.get();
        fs::remove_file(place(format!("z{now}.json"))).unwrap();
        turn.set(now + 1);
        fs::write(place(format!("{}.json", now + 1)), genuine("8b33", DOCUMENTED)).unwrap();
        fs::write(place(format!("z{}.json", now + 1)), "").unwrap();
    };
    let error = read(folder.path(), "2019-12-17".parse().unwrap(), &Meanwhile(&meanwhile)).unwrap_err();
    assert!(matches!(error, ExportError::Missing { .. }), "{error}");
}
