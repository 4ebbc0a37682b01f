//! The table of paths, and routing. An unknown path answers 404, a wrong method 405, both without a
//! body, as the real servers do (reference v3 §1.3).

use super::call::decode_segment;
use super::exchange::Endpoint;
use super::{mp, pay_v2, pay_v3};

/// The result of routing a path.
#[derive(Debug)]
pub(super) enum Found {
    Endpoint(&'static Endpoint, Vec<(&'static str, String)>),
    WrongMethod,
    Unknown,
}

fn all() -> impl Iterator<Item = &'static Endpoint> {
    pay_v3::ENDPOINTS.iter().chain(pay_v2::ENDPOINTS).chain(mp::ENDPOINTS)
}

/// Method and path template of every endpoint, as [`super::Counts`] names them.
pub fn paths() -> Vec<String> {
    all().map(Endpoint::label).collect()
}

/// Finds the endpoint of a request; the path is still encoded.
pub(super) fn find(method: &str, path: &str) -> Found {
    let mut found = Found::Unknown;
    for endpoint in all() {
        let Some(segments) = segments_of(endpoint.template, path) else { continue };
        if endpoint.method == method {
            return Found::Endpoint(endpoint, segments);
        }
        found = Found::WrongMethod;
    }
    found
}

fn segments_of(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    if template.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut segments = Vec::new();
    for (wanted, given) in template.split('/').zip(path.split('/')) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => segments.push((name, decode_segment(given))),
            None if wanted == given => (),
            None => return None,
        }
    }
    Some(segments)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found(method: &str, path: &str) -> String {
        match find(method, path) {
            Found::Endpoint(endpoint, segments) => format!("{} {segments:?}", endpoint.template),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_endpoint_is_named_once() {
        let paths = paths();
        assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), paths.len());
    }

    #[test]
    fn variable_segments_are_decoded_and_named() {
        assert_eq!(
            found("GET", "/v3/marketing/busifavor/stocks/12/couponcodes/a%2Fb"),
            r#"/v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code} [("stock_id", "12"), ("coupon_code", "a/b")]"#
        );
    }

    #[test]
    fn unknown_paths_and_wrong_methods_are_told_apart() {
        assert_eq!(found("GET", "/v3/nothing"), "Unknown");
        assert_eq!(found("GET", "/v3/certificates/"), "Unknown");
        assert_eq!(found("DELETE", "/v3/certificates"), "WrongMethod");
        assert_eq!(found("GET", "/pay/downloadbill"), "WrongMethod");
    }
}
