//! The table of all endpoints: one line each, with method, path, purpose, documented rate and the section of
//! the API reference. Only a table: how an endpoint is called is in the module of its API.

use std::fmt;

use Purpose::{Action, Feeds, Lookup, Protocol};

use crate::api::Api;

/// HTTP methods of the three APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET
    Get,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Verb {
    /// Upper case, as sent and signed.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }
}

impl From<Verb> for reqwest::Method {
    fn from(verb: Verb) -> reqwest::Method {
        match verb {
            Verb::Get => reqwest::Method::GET,
            Verb::Post => reqwest::Method::POST,
            Verb::Patch => reqwest::Method::PATCH,
            Verb::Delete => reqwest::Method::DELETE,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The nightly job calls it for this dataset.
    Feeds(&'static str),
    /// Reads something that the nightly job does not need.
    Lookup,
    /// Part of the protocol: certificates, tokens.
    Protocol,
    /// Changes something at WeChat.
    Action,
}

impl Purpose {
    /// The dataset, or the purpose in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Feeds(dataset) => dataset,
            Lookup => "lookup",
            Protocol => "protocol",
            Action => "action",
        }
    }
}

/// One endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The same in journal, log and documentation.
    pub id: &'static str,
    /// HTTP method.
    pub method: Verb,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// The API it belongs to.
    pub api: Api,
    /// What it is for.
    pub purpose: Purpose,
    /// As documented; `undocumented` if nothing is said.
    pub documented_rate: &'static str,
    /// Section of the digest of WeChat's documentation that ARCHITECTURE.md speaks of.
    pub reference: &'static str,
}

impl Endpoint {
    /// Whether calling it changes something at WeChat.
    pub fn is_write(&self) -> bool {
        self.purpose == Action
    }

    /// Whether a call whose outcome is unknown may be made again. A number by which WeChat recognises the call prevents that
    /// it is done twice; writes to the official account platform have none. For use and return of a coupon the number only
    /// has to be unique, and another call may use or return the coupon between two attempts (reference v3 §1.10).
    pub(crate) fn is_repeatable(&self) -> bool {
        match self.api {
            Api::PayV3 => ![COUPON_USE, COUPON_RETURN].contains(self),
            Api::PayV2 => true,
            Api::Mp => !self.is_write(),
        }
    }

    /// Whether a call to the official account platform carries an access token; the calls that fetch tokens
    /// do not.
    pub(super) fn needs_token(&self) -> bool {
        self.purpose != Protocol
    }
}

/// The endpoint with this id.
pub fn find(id: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.id == id)
}

/// The endpoint of a method and a path (ignoring the query); fixed segments take precedence over parameters.
pub fn matching(method: Verb, target: &str) -> Option<&'static Endpoint> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let candidates = ENDPOINTS.iter().filter(|endpoint| endpoint.method == method && fits(endpoint.path, path));
    candidates.min_by_key(|endpoint| endpoint.path.matches('{').count())
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Declares each endpoint as a constant and all of them as the table.
macro_rules! endpoints {
    ($($name:ident = $id:literal, $verb:ident $path:literal, $api:ident, $purpose:expr, $rate:literal, $reference:literal;)*) => {
        $(pub(crate) static $name: Endpoint = Endpoint {
            id: $id, method: Verb::$verb, path: $path, api: Api::$api,
            purpose: $purpose, documented_rate: $rate, reference: $reference,
        };)*

        /// Every endpoint.
        pub static ENDPOINTS: &[Endpoint] = &[$($name,)*];
    };
}

#[rustfmt::skip]
endpoints! {
    STOCK_CREATE = "pay_v3_stock_create", Post "/v3/marketing/busifavor/stocks", PayV3, Action, "1000/min", "v3 §2.1";
    STOCK = "pay_v3_stock", Get "/v3/marketing/busifavor/stocks/{stock_id}", PayV3, Feeds("stocks"), "undocumented", "v3 §2.2";
    STOCK_MODIFY = "pay_v3_stock_modify", Patch "/v3/marketing/busifavor/stocks/{stock_id}", PayV3, Action, "undocumented", "v3 §2.3";
    STOCK_BUDGET = "pay_v3_stock_budget", Patch "/v3/marketing/busifavor/stocks/{stock_id}/budget", PayV3, Action, "undocumented", "v3 §2.4";
    CODES_UPLOAD = "pay_v3_codes_upload", Post "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes", PayV3, Action, "undocumented", "v3 §2.5";
    CODES = "pay_v3_codes", Get "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes", PayV3, Feeds("coupon_codes"), "undocumented", "v3 §2.6";
    CODE = "pay_v3_code", Get "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code}", PayV3, Lookup, "undocumented", "v3 §2.7";
    CODE_DELETE = "pay_v3_code_delete", Delete "/v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code}", PayV3, Action, "undocumented", "v3 §2.8";
    COUPON_USE = "pay_v3_coupon_use", Post "/v3/marketing/busifavor/coupons/use", PayV3, Action, "500/s", "v3 §2.9";
    USER_COUPONS = "pay_v3_user_coupons", Get "/v3/marketing/busifavor/users/{openid}/coupons", PayV3, Feeds("user_coupons"), "undocumented", "v3 §2.10";
    USER_COUPON = "pay_v3_user_coupon", Get "/v3/marketing/busifavor/users/{openid}/coupons/{coupon_code}/appids/{appid}", PayV3, Feeds("user_coupons"), "undocumented", "v3 §2.11";
    COUPON_ASSOCIATE = "pay_v3_coupon_associate", Post "/v3/marketing/busifavor/coupons/associate", PayV3, Action, "500/s", "v3 §2.12";
    COUPON_DISASSOCIATE = "pay_v3_coupon_disassociate", Post "/v3/marketing/busifavor/coupons/disassociate", PayV3, Action, "500/s", "v3 §2.13";
    COUPON_RETURN = "pay_v3_coupon_return", Post "/v3/marketing/busifavor/coupons/return", PayV3, Action, "undocumented", "v3 §2.14";
    COUPON_DEACTIVATE = "pay_v3_coupon_deactivate", Post "/v3/marketing/busifavor/coupons/deactivate", PayV3, Action, "undocumented", "v3 §2.15";
    CALLBACKS_SET = "pay_v3_callbacks_set", Post "/v3/marketing/busifavor/callbacks", PayV3, Action, "undocumented", "v3 §2.16";
    CALLBACKS = "pay_v3_callbacks", Get "/v3/marketing/busifavor/callbacks", PayV3, Lookup, "undocumented", "v3 §2.17";
    SUBSIDY_PAY = "pay_v3_subsidy_pay", Post "/v3/marketing/busifavor/subsidy/pay-receipts", PayV3, Action, "undocumented", "v3 §2.18";
    PAY_RECEIPTS = "pay_v3_pay_receipts", Get "/v3/marketing/busifavor/subsidy/pay-receipts", PayV3, Feeds("subsidy_payments"), "undocumented", "v3 §2.19";
    PAY_RECEIPT = "pay_v3_pay_receipt", Get "/v3/marketing/busifavor/subsidy/pay-receipts/{subsidy_receipt_id}", PayV3, Feeds("subsidy_payments"), "undocumented", "v3 §2.20";
    SUBSIDY_RETURN = "pay_v3_subsidy_return", Post "/v3/marketing/busifavor/subsidy/return-receipts", PayV3, Action, "undocumented", "v3 §2.21";
    RETURN_RECEIPT = "pay_v3_return_receipt", Get "/v3/marketing/busifavor/subsidy/return-receipts/{subsidy_return_receipt_id}", PayV3, Feeds("subsidy_returns"), "undocumented", "v3 §2.22";
    CERTIFICATES = "pay_v3_certificates", Get "/v3/certificates", PayV3, Protocol, "1000/s", "v3 §1.6";
    TRADE_BILL = "pay_v3_trade_bill", Get "/v3/bill/tradebill", PayV3, Feeds("payments"), "undocumented", "v3 §4.1";
    FUND_FLOW_BILL = "pay_v3_fund_flow_bill", Get "/v3/bill/fundflowbill", PayV3, Lookup, "3/s", "v3 §4.1";
    BILL_DOWNLOAD = "pay_v3_bill_download", Get "/v3/billdownload/file", PayV3, Feeds("payments"), "undocumented", "v3 §4.1";
    ECHO = "pay_v3_echo", Post "/v3/security/echo", PayV3, Protocol, "undocumented", "v3 §1.13";

    V2_SEND_COUPON = "pay_v2_send_coupon", Post "/mmpaymkttransfers/send_coupon", PayV2, Action, "undocumented", "v2 §B.1";
    V2_STOCK = "pay_v2_stock", Post "/mmpaymkttransfers/query_coupon_stock", PayV2, Feeds("v2_stocks"), "undocumented", "v2 §B.2";
    V2_COUPON = "pay_v2_coupon", Post "/mmpaymkttransfers/querycouponsinfo", PayV2, Feeds("v2_coupons"), "undocumented", "v2 §B.3";
    V2_BILL = "pay_v2_bill", Post "/pay/downloadbill", PayV2, Lookup, "undocumented", "v2 §B.5";

    MP_TOKEN = "mp_token", Get "/cgi-bin/token", Mp, Protocol, "2000/day", "MP §C.1";
    MP_STABLE_TOKEN = "mp_stable_token", Post "/cgi-bin/stable_token", Mp, Protocol, "10000/min", "MP §C.2";
    CARD_CREATE = "mp_card_create", Post "/card/create", Mp, Action, "undocumented", "MP §D.1";
    CARD_QRCODE = "mp_card_qrcode", Post "/card/qrcode/create", Mp, Action, "undocumented", "MP §D.2";
    CARD_PAY_CELL = "mp_card_pay_cell", Post "/card/paycell/set", Mp, Action, "undocumented", "MP §D.3";
    CARD_SELF_CONSUME_CELL = "mp_card_self_consume_cell", Post "/card/selfconsumecell/set", Mp, Action, "undocumented", "MP §D.4";
    CARD_TEST_WHITELIST = "mp_card_test_whitelist", Post "/card/testwhitelist/set", Mp, Action, "undocumented", "MP §D.5";
    CARD_LANDING_PAGE = "mp_card_landing_page", Post "/card/landingpage/create", Mp, Action, "undocumented", "MP §D.6";
    CARD_CODE = "mp_card_code", Post "/card/code/get", Mp, Lookup, "undocumented", "MP §D.7";
    CARD_CODE_CONSUME = "mp_card_code_consume", Post "/card/code/consume", Mp, Action, "undocumented", "MP §D.8";
    CARD_CODE_DECRYPT = "mp_card_code_decrypt", Post "/card/code/decrypt", Mp, Lookup, "undocumented", "MP §D.9";
    CARD_USER_LIST = "mp_card_user_list", Post "/card/user/getcardlist", Mp, Lookup, "undocumented", "MP §D.10";
    CARD = "mp_card", Post "/card/get", Mp, Feeds("cards"), "undocumented", "MP §D.11";
    CARD_DELETE = "mp_card_delete", Post "/card/delete", Mp, Action, "undocumented", "MP §D.12";
    CARD_CODE_UNAVAILABLE = "mp_card_code_unavailable", Post "/card/code/unavailable", Mp, Action, "undocumented", "MP §D.13";
    CARDS = "mp_cards", Post "/card/batchget", Mp, Feeds("cards"), "undocumented", "MP §D.14";
    CARD_UPDATE = "mp_card_update", Post "/card/update", Mp, Action, "undocumented", "MP §D.15";
    CARD_MODIFY_STOCK = "mp_card_modify_stock", Post "/card/modifystock", Mp, Action, "undocumented", "MP §D.16";
    MEMBER_CARD_ACTIVATE = "mp_member_card_activate", Post "/card/membercard/activate", Mp, Action, "undocumented", "MP §D.17";
    MEMBER_CARD_FORM = "mp_member_card_form", Post "/card/membercard/activateuserform/set", Mp, Action, "undocumented", "MP §D.18";
    MEMBER_CARD_USER = "mp_member_card_user", Post "/card/membercard/userinfo/get", Mp, Lookup, "undocumented", "MP §D.19";
    MEMBER_CARD_UPDATE_USER = "mp_member_card_update_user", Post "/card/membercard/updateuser", Mp, Action, "undocumented", "MP §D.20";
    CARD_CODE_UPDATE = "mp_card_code_update", Post "/card/code/update", Mp, Action, "undocumented", "MP §D.21";
    PAY_GIFT_CARD_ADD = "mp_pay_gift_card_add", Post "/card/paygiftcard/add", Mp, Action, "undocumented", "MP §D.22";
    PAY_GIFT_CARD_DELETE = "mp_pay_gift_card_delete", Post "/card/paygiftcard/delete", Mp, Action, "undocumented", "MP §D.23";
    CARD_ACCOUNT_DAYS = "mp_card_account_days", Post "/datacube/getcardbizuininfo", Mp, Feeds("card_account_daily"), "undocumented", "MP §D.24";
    CARD_DAYS = "mp_card_days", Post "/datacube/getcardcardinfo", Mp, Feeds("card_daily"), "undocumented", "MP §D.25";
    MEMBER_CARD_DAYS = "mp_member_card_days", Post "/datacube/getcardmembercardinfo", Mp, Feeds("member_card_daily"), "undocumented", "MP §D.26";
    MEMBER_CARD_DETAIL_DAYS = "mp_member_card_detail_days", Post "/datacube/getcardmembercarddetail", Mp, Feeds("member_card_detail_daily"), "undocumented", "MP §D.27";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_and_routes_are_unique() {
        let ids: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.id).collect();
        let routes: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| (endpoint.method.as_str(), endpoint.path)).collect();
        assert_eq!((ids.len(), routes.len()), (ENDPOINTS.len(), ENDPOINTS.len()));
    }

    #[test]
    fn every_call_of_the_seed_documents_is_in_the_table() {
        let count = |api, prefix: &str| {
            ENDPOINTS.iter().filter(|endpoint| endpoint.api == api && endpoint.path.starts_with(prefix)).count()
        };
        assert_eq!(count(Api::PayV3, "/v3/marketing/busifavor/"), 22);
        assert_eq!(count(Api::PayV3, "/v3/"), 27);
        assert_eq!(count(Api::PayV2, "/"), 4);
        assert_eq!(count(Api::Mp, "/card/") + count(Api::Mp, "/datacube/"), 27);
    }

    #[test]
    fn a_target_finds_its_endpoint() {
        let id = |method, target| matching(method, target).map(|endpoint| endpoint.id);
        assert_eq!(id(Verb::Get, "/v3/marketing/busifavor/users/oA/coupons?appid=wx"), Some("pay_v3_user_coupons"));
        assert_eq!(id(Verb::Get, "/v3/marketing/busifavor/stocks/1/couponcodes/A%2F1"), Some("pay_v3_code"));
        assert_eq!(id(Verb::Delete, "/v3/marketing/busifavor/stocks/1/couponcodes/A"), Some("pay_v3_code_delete"));
        assert_eq!(id(Verb::Post, "/v3/marketing/busifavor/stocks/1"), None);
        assert_eq!(id(Verb::Get, "/v3/marketing/busifavor/stocks/"), None);
        assert_eq!(find("mp_card").map(|endpoint| endpoint.path), Some("/card/get"));
    }

    #[test]
    fn a_dataset_is_one_that_has_a_contract() {
        for endpoint in ENDPOINTS {
            let Feeds(dataset) = endpoint.purpose else { continue };
            assert!(crate::contract::find(dataset).is_some(), "{} feeds {dataset}", endpoint.id);
        }
    }

    #[test]
    fn a_read_may_always_be_repeated_and_what_could_be_done_twice_is_not() {
        let is_not = |endpoint: &&Endpoint| !endpoint.is_repeatable();
        let once: Vec<_> = ENDPOINTS.iter().filter(is_not).collect();
        assert!(once.iter().all(|endpoint| endpoint.is_write()));
        let of_pay = once.iter().filter(|endpoint| endpoint.api != Api::Mp).map(|endpoint| endpoint.id);
        assert_eq!(of_pay.collect::<Vec<_>>(), ["pay_v3_coupon_use", "pay_v3_coupon_return"]);
        let writes_of_mp = ENDPOINTS.iter().filter(|endpoint| endpoint.api == Api::Mp && endpoint.is_write());
        assert_eq!(writes_of_mp.count(), once.len() - 2);
    }

    #[test]
    fn what_is_no_get_in_v3_is_a_write_or_the_echo() {
        for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.api == Api::PayV3) {
            let writes = endpoint.method != Verb::Get && endpoint.id != "pay_v3_echo";
            assert_eq!(endpoint.is_write(), writes, "{}", endpoint.id);
        }
    }
}
