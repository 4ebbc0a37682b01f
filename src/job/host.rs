//! Whether a host is this machine: such traffic may be unencrypted and bypasses proxies.

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
}
