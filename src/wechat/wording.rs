//! Makes remote text safe to show. WeChat's messages repeat what was sent, and serde's repeat what was read: openids, which
//! are published only as an HMAC, and query strings, which contain tokens (design §2). Every external text in a message
//! passes through here.

/// Maximum number of characters shown.
const SHOWN: usize = 200;
/// An openid or unionid is `o` and 27 characters of the alphabet of URLs (reference v3 §5.1, v2 §B.1).
pub(crate) const OPENID: usize = 28;

/// Remote text on one line, truncated, without openids and query strings.
pub(crate) fn shown(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = without_openids(&without_queries(text.trim()));
    match clean.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

/// Why JSON does not fit: the type found and the type expected, not the value.
pub(crate) fn misfit(error: &serde_json::Error) -> String {
    let text = error.to_string();
    for what in ["invalid type: ", "invalid value: ", "unknown variant ", "unknown field "] {
        let Some((found, expected)) = text.strip_prefix(what).and_then(|rest| rest.rsplit_once(", expected ")) else {
            continue;
        };
        // `string "…"`, `integer `5``, `map`: the type is in front of the value.
        let kind = found.split(['"', '`']).next().unwrap_or_default();
        return format!("{}, expected {expected}", format!("{what}{kind}").trim_end());
    }
    shown(&text)
}

/// From a question mark to white space or a quote; punctuation that ends a sentence stays.
fn without_queries(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, query)) = rest.split_once('?') {
        let end = query.find(|c: char| c.is_whitespace() || "\"'`“”‘’".contains(c)).unwrap_or(query.len());
        clean.extend([before, if end > 0 { "?…" } else { "?" }]);
        rest = &query[end..];
    }
    clean + rest
}

fn without_openids(text: &str) -> String {
    with_openids(text, None, |_| "[openid]".to_owned())
}

/// The text with each of its openids, and what follows it in its run of letters, `replaced`; a run that is `user` is one.
pub(crate) fn with_openids(text: &str, user: Option<&str>, replaced: impl Fn(&str) -> String) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_openids) {
        let end = rest[start..].find(|c| !is_of_openids(c)).map_or(rest.len(), |length| start + length);
        let run = &rest[start..end];
        clean.push_str(&rest[..start]);
        match if user == Some(run) { Some(0) } else { openid_in(run) } {
            Some(at) => clean.extend([&run[..at], &replaced(&run[at..])]),
            None => clean.push_str(run),
        }
        rest = &rest[end..];
    }
    clean + rest
}

fn is_of_openids(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Where an openid may start in a run of its alphabet: at the start or after a joint, as in `user_o…`.
fn openid_in(run: &str) -> Option<usize> {
    let bytes = run.as_bytes();
    let last = bytes.len().checked_sub(OPENID)?;
    (0..=last).find(|at| bytes[*at] == b'o' && (*at == 0 || matches!(bytes[at - 1], b'_' | b'-')))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    const OPENID: &str = "odXnH1CJjeQoWTld48db-pnxs-Wg";

    #[test]
    fn openids_are_cut_and_the_rest_stays_readable() {
        for (said, clean) in [
            (format!("用户{OPENID}不存在"), "用户[openid]不存在"),
            (format!("openid={OPENID},appid=wx5edab3bdfba3dc1c"), "openid=[openid],appid=wx5edab3bdfba3dc1c"),
            (format!("/v3/users/{OPENID}/coupons"), "/v3/users/[openid]/coupons"),
            (format!("user_{OPENID}"), "user_[openid]"),
            (format!("{OPENID}{OPENID}"), "[openid]"),
        ] {
            assert_eq!(shown(&said), clean);
        }
        let kept =
            "invalid card id pFYHLvuDbMbr241m00CAhtypawpw hint: [R_hs8a06151100] rid: 5f8fd13c-3d1b2c1a-01e5d5b0";
        assert_eq!(shown(kept), kept);
        // One letter short of an openid.
        assert_eq!(shown(&OPENID[..27]), &OPENID[..27]);
    }

    #[test]
    fn queries_are_cut_up_to_white_space_or_a_quote_and_questions_stay() {
        assert_eq!(shown("GET /cgi?access_token=T0K&x=1 failed? yes"), "GET /cgi?… failed? yes");
        assert_eq!(shown(r#"see "https://h/p?sig=1" or '/q?a'"#), r#"see "https://h/p?…" or '/q?…'"#);
        assert_eq!(shown(&shown("a?b=c d")), "a?… d");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_after_it_is_cleaned() {
        let cut = shown(&format!("券\n{}", "券".repeat(300)));
        assert_eq!(cut.chars().count(), 201);
        assert!(cut.starts_with("券 券") && cut.ends_with('…'));
        let at_the_edge = shown(&format!("{} {OPENID}", "券".repeat(190)));
        assert!(at_the_edge.ends_with("券 [openid]"), "{at_the_edge}");
    }

    #[test]
    fn a_misfit_tells_the_types_and_never_the_value() {
        #[derive(Debug, Deserialize)]
        enum Kind {
            Known,
        }
        fn of<'a, T: Deserialize<'a> + std::fmt::Debug>(json: &'a str) -> String {
            misfit(&serde_json::from_str::<T>(json).unwrap_err())
        }
        let at = " at line 1 column";
        assert_eq!(of::<i64>(r#""o, expected x""#), format!("invalid type: string, expected i64{at} 15"));
        assert_eq!(of::<u8>("4711"), format!("invalid value: integer, expected u8{at} 4"));
        assert_eq!(of::<i64>("{}"), format!("invalid type: map, expected i64{at} 0"));
        assert_eq!(of::<Kind>(r#""odXnH1""#), format!("unknown variant, expected `Known`{at} 8"));
        assert_eq!(of::<i64>("<html>"), format!("expected value{at} 1"));
        assert!(matches!(serde_json::from_str(r#""Known""#), Ok(Kind::Known)));
    }
}
