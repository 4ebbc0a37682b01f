//! Which hosts may be called, and whether one is this machine: such traffic may be unencrypted and bypasses proxies.

use std::net::IpAddr;

use url::Url;

/// Whether `url` points to this machine.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(names_loopback)
}

/// The same for a host; an IPv6 address may be in brackets.
pub(super) fn names_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']);
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why `url` cannot be the base URL of an API. The URL is not repeated: it may contain a password.
pub fn url_problem(url: &Url) -> Option<&'static str> {
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "https" | "http" if !bare || !url.username().is_empty() || url.password().is_some() => {
            Some("must be scheme, host and port only")
        }
        _ => scheme_problem(url),
    }
}

/// Why nothing may be sent to the host of `url`.
pub(super) fn scheme_problem(url: &Url) -> Option<&'static str> {
    if url.host().is_none() {
        return Some("names no host");
    }
    match url.scheme() {
        "https" => None,
        "http" if is_loopback(url) => None,
        "http" => Some("must be https: only a loopback host may be called in clear text"),
        _ => Some("must begin with https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_and_addresses_and_nothing_that_only_looks_like_them_is_it() {
        let is_here = |text: &str| is_loopback(&Url::parse(text).unwrap());
        for text in
            ["http://localhost:1", "http://LOCALHOST", "http://127.0.0.1", "http://127.8.9.1", "https://[::1]:9/"]
        {
            assert!(is_here(text), "{text}");
        }
        for text in
            ["http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://10.0.0.1", "http://[::2]"]
        {
            assert!(!is_here(text), "{text}");
        }
        assert!(!is_here("data:,localhost") && names_loopback("::1"));
    }

    #[test]
    fn only_loopback_hosts_may_be_asked_in_clear_text() {
        let problem = |text| url_problem(&Url::parse(text).unwrap());
        let fine = ["https://api.mch.weixin.qq.com", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:9/"];
        for text in fine {
            assert_eq!(problem(text), None, "{text}");
        }
        assert!(problem("http://api.mch.weixin.qq.com").unwrap().contains("https"));
        assert!(problem("http://localhost.evil.example").unwrap().contains("https"));
        assert!(problem("ftp://127.0.0.1").unwrap().contains("https://"));
        for text in ["https://h/x", "https://h/?a=b", "https://u@h", "https://u:p@h"] {
            assert!(problem(text).unwrap().contains("only"), "{text}");
        }
    }
}
