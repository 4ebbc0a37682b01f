//! The remote APIs of WeChat Pay (v3, v2) and the official account platform: every endpoint typed,
//! every answer judged. Nothing here walks pages, keeps answers or decides what to ask.

pub mod answer;
pub mod endpoint;
pub mod error;
pub mod lenient;
pub mod mp;
pub mod pay_v2;
pub mod pay_v3;
pub mod request;
pub mod time;

pub use answer::{Answer, Evidence};
pub use endpoint::{Api, ENDPOINTS, Endpoint};
pub use error::{ApiError, FailureKind, Problem, SetupError};
pub use request::{ParseError, Request};
pub use time::parse_time;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::NaiveDate;
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;
    use mp::{cards, codes, datacube, delivery, members, token};
    use pay_v3::{bills, busifavor};

    /// What a typed call says it is, and where it goes.
    fn place<T>(request: Request<T>) -> (&'static str, &'static str, String) {
        (request.endpoint.id, request.endpoint.path, request.target)
    }

    fn pay_v3_calls(day: NaiveDate) -> Vec<(&'static str, &'static str, String)> {
        vec![
            place(busifavor::create_stock(&Default::default())),
            place(busifavor::stock("S")),
            place(busifavor::modify_stock("S", &Default::default())),
            place(busifavor::change_budget("S", &Default::default())),
            place(busifavor::upload_coupon_codes("S", &Default::default())),
            place(busifavor::coupon_codes("S", &Default::default(), 0, 1)),
            place(busifavor::coupon_code("S", "C", None)),
            place(busifavor::delete_coupon_code("S", "C", "D")),
            place(busifavor::use_coupon(&Default::default())),
            place(busifavor::user_coupons("O", &Default::default(), 0, 1)),
            place(busifavor::user_coupon("O", "C", "A")),
            place(busifavor::associate("S", "C", "O", "R")),
            place(busifavor::disassociate("S", "C", "O", "R")),
            place(busifavor::return_coupon("S", "C", "R")),
            place(busifavor::deactivate("S", "C", "R", None)),
            place(busifavor::set_callbacks(None, "https://example.com")),
            place(busifavor::callbacks(None)),
            place(busifavor::pay_subsidy(&Default::default())),
            place(busifavor::pay_receipts("S", "C", None)),
            place(busifavor::pay_receipt("R")),
            place(busifavor::return_subsidy(&Default::default())),
            place(busifavor::return_receipt("R")),
            place(pay_v3::certificates()),
            place(bills::trade_bill(day, false)),
            place(bills::fund_flow_bill(day, bills::FundAccount::Basic, false)),
            place(pay_v3::echo::echo("x")),
        ]
    }

    fn pay_v2_calls(day: NaiveDate) -> Vec<(&'static str, &'static str, String)> {
        vec![
            place(pay_v2::send_coupon("S", "O", "N")),
            place(pay_v2::coupon_stock("S")),
            place(pay_v2::coupon("C", "O", "S")),
            place(pay_v2::bill(day, "ALL", false)),
        ]
    }

    fn mp_calls(day: NaiveDate) -> Vec<(&'static str, &'static str, String)> {
        let api = datacube::CondSource::Api;
        vec![
            place(token::token("A", &Secret::new("S"))),
            place(token::stable_token("A", &Secret::new("S"), false)),
            place(cards::create_card("GIFT", &json!({}))),
            place(delivery::create_qrcode(&[], None)),
            place(delivery::set_pay_cell("C", true)),
            place(delivery::set_self_consume_cell("C", true, true, true)),
            place(delivery::set_test_whitelist(&[], &[])),
            place(delivery::create_landing_page(&Default::default())),
            place(codes::user_card("C", None)),
            place(codes::consume_code("C", None)),
            place(codes::decrypt_code("C")),
            place(codes::user_cards("O", None)),
            place(cards::card("C")),
            place(cards::delete_card("C")),
            place(codes::make_code_unavailable("C", None, None)),
            place(cards::cards(0, 50)),
            place(cards::update_card("C", "GIFT", &json!({}))),
            place(cards::modify_stock("C", 1)),
            place(members::activate(&Default::default())),
            place(members::set_activation_form(&json!({}))),
            place(members::member("C", "1")),
            place(members::update_member(&Default::default())),
            place(codes::update_code("C", "D", None)),
            place(delivery::add_pay_gift_card(&json!({}))),
            place(delivery::delete_pay_gift_card(1)),
            place(datacube::card_account_days(day, day, api)),
            place(datacube::card_days(day, day, api, None)),
            place(datacube::member_card_days(day, day, api)),
            place(datacube::member_card_detail_days(day, day, "C")),
        ]
    }

    #[test]
    fn every_endpoint_of_the_table_has_a_typed_call_that_goes_there() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let calls = [pay_v3_calls(day), pay_v2_calls(day), mp_calls(day)].concat();
        for (id, path, target) in &calls {
            let endpoint = endpoint::find(id).unwrap();
            assert_eq!(endpoint.path, *path);
            assert_eq!(endpoint::matching(endpoint.method, target).map(|found| found.id), Some(*id), "{target}");
        }
        let called: BTreeSet<_> = calls.iter().map(|(id, ..)| *id).collect();
        let silent: Vec<_> = ENDPOINTS.iter().map(|endpoint| endpoint.id).filter(|id| !called.contains(id)).collect();
        // The URL of a download comes with its application: `PayV3::download`.
        assert_eq!(silent, ["pay_v3_bill_download"]);
    }
}
