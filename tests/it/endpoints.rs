//! The table of endpoints against what the simulator serves: neither knows a path the other lacks.
//! That each has a typed call is held in `wechat`.

use std::collections::BTreeSet;

use coupon_recon::simulator;
use coupon_recon::wechat::ENDPOINTS;

/// Sending coupons is by invitation only (reference v3 §2.23) and not one of the 22 calls; the
/// simulator supports it so that its world can grow while it is served.
const SIMULATOR_ONLY: [&str; 1] = ["POST /v3/marketing/busifavor/coupons/send"];

#[test]
fn client_and_simulator_know_the_same_paths() {
    let ours: BTreeSet<String> =
        ENDPOINTS.iter().map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect();
    let theirs: BTreeSet<String> = simulator::paths().into_iter().collect();
    let unserved: Vec<_> = ours.difference(&theirs).collect();
    assert!(unserved.is_empty(), "the simulator has no route for {unserved:#?}");
    let unspoken: Vec<_> = theirs.difference(&ours).map(String::as_str).collect();
    assert_eq!(unspoken, SIMULATOR_ONLY);
}
