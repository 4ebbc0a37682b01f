//! Code pools of MERCHANT_UPLOAD stocks (reference v3 §2.5–2.8): the only way to enumerate the
//! coupons of a stock.

use serde::{Deserialize, Serialize};

use super::coupons::UserCoupon;
use crate::wechat::endpoint;
use crate::wechat::lenient::{self, Extra};
use crate::wechat::oddity::{Mendable, Shape, fits};
use crate::wechat::pay_v3::target::Target;
use crate::wechat::request::Request;

/// One code of a pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeInformation {
    /// The code.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same code, where the answer says it so.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub coupon_code: Option<String>,
    /// AVAILABLE, DISPATCHED.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code_status: Option<String>,
    /// Uploaded, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub upload_time: Option<String>,
    /// Given to a user, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub dispatched_time: Option<String>,
    /// To whom; only when the call names an appid.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// To whom, across apps.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub unionid: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A page of a pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CouponCodePage {
    /// Stock.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_id: Option<String>,
    /// Codes in all.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub total_count: Option<i64>,
    /// Codes.
    #[serde(default, deserialize_with = "lenient::list")]
    pub data: Vec<CodeInformation>,
    /// As requested.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Codes returned.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Mendable for CodeInformation {
    const SHAPE: Shape =
        Shape { decorative: &["upload_time"], times: &["dispatched_time"], inner: &[], fits: fits::<CodeInformation> };

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl Mendable for CouponCodePage {
    const SHAPE: Shape =
        Shape { decorative: &["limit", "offset"], times: &[], inner: &[], fits: fits::<CouponCodePage> };
    const ITEMS: Option<(&'static str, &'static Shape)> = Some(("data", &CodeInformation::SHAPE));

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }

    fn extra_of_items(&mut self) -> impl Iterator<Item = &mut Extra> {
        self.data.iter_mut().map(|code| &mut code.extra)
    }
}

/// A code and, once dispatched, its coupon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CouponCode {
    /// The code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_information: Option<CodeInformation>,
    /// The coupon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_information: Option<UserCoupon>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What `POST couponcodes` needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeUpload {
    /// At most 200 codes of 1 to 32 characters.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub coupon_code_list: Vec<String>,
    /// Number of the upload.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub upload_request_no: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The result for each code. Partial success is HTTP 200.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CodesUploaded {
    /// Stock.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_id: Option<String>,
    /// Codes sent.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub total_count: Option<i64>,
    /// Codes taken.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub success_count: Option<i64>,
    /// Which.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub success_codes: Vec<String>,
    /// When, as sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub success_time: Option<String>,
    /// Codes refused.
    #[serde(default, deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub fail_count: Option<i64>,
    /// Which and why.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub fail_codes: Vec<RefusedCode>,
    /// Already in the pool.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub exist_codes: Vec<String>,
    /// Twice in the upload.
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub duplicate_codes: Vec<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A refused code.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RefusedCode {
    /// Which.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub coupon_code: Option<String>,
    /// Why, for programs.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, for people.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A code removed from its pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeDeleted {
    /// Stock.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub stock_id: Option<String>,
    /// As sent.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub delete_time: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl CodeInformation {
    /// The code, under whichever name it came.
    pub fn code(&self) -> Option<&str> {
        [&self.code, &self.coupon_code].into_iter().flatten().map(String::as_str).find(|code| !code.is_empty())
    }
}

/// Which codes of a pool to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeFilter {
    /// Asks for the openids under this appid.
    pub appid: Option<String>,
    /// AVAILABLE or DISPATCHED.
    pub status: Option<String>,
}

/// A page of the code pool of a stock (reference v3 §2.6).
pub fn coupon_codes(stock_id: &str, filter: &CodeFilter, offset: u64, limit: u64) -> Request<CouponCodePage> {
    let target = Target::new(endpoint::CODES.path, &[stock_id])
        .query("limit", &limit.to_string())
        .query("offset", &offset.to_string())
        .maybe("appid", filter.appid.as_deref())
        .maybe("status", filter.status.as_deref());
    Request::mending(&endpoint::CODES, target.finish())
}

/// One code of a pool (reference v3 §2.7).
pub fn coupon_code(stock_id: &str, coupon_code: &str, appid: Option<&str>) -> Request<CouponCode> {
    let target = Target::new(endpoint::CODE.path, &[stock_id, coupon_code]).maybe("appid", appid);
    Request::without_body(&endpoint::CODE, target.finish())
}

/// Adds codes to a pool (reference v3 §2.5).
pub fn upload_coupon_codes(stock_id: &str, upload: &CodeUpload) -> Request<CodesUploaded> {
    Request::json(&endpoint::CODES_UPLOAD, Target::new(endpoint::CODES_UPLOAD.path, &[stock_id]).finish(), upload)
}

/// Removes a code from a pool (reference v3 §2.8).
pub fn delete_coupon_code(stock_id: &str, coupon_code: &str, delete_request_no: &str) -> Request<CodeDeleted> {
    let target =
        Target::new(endpoint::CODE_DELETE.path, &[stock_id, coupon_code]).query("delete_request_no", delete_request_no);
    Request::without_body(&endpoint::CODE_DELETE, target.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::endpoint::Verb;

    #[test]
    fn a_page_of_codes_is_read_under_both_names_of_the_code() {
        let body = br#"{"stock_id":"98065001","total_count":2,"data":[{"code":"A|1","code_status":"DISPATCHED","upload_time":"2015-05-20T13:29:35+08:00","dispatched_time":"2015-05-21T13:29:35+08:00","openid":"oA"},{"coupon_code":"B","code_status":"AVAILABLE"}],"offset":10,"limit":2}"#;
        let page = coupon_codes("98065001", &CodeFilter::default(), 10, 100).parse(body).unwrap();
        assert_eq!(page.data.iter().map(|code| code.code().unwrap()).collect::<Vec<_>>(), ["A|1", "B"]);
        let again: CouponCodePage = serde_json::from_str(&serde_json::to_string(&page).unwrap()).unwrap();
        assert_eq!(again, page);
    }

    #[test]
    fn codes_with_any_allowed_character_are_encoded_into_the_path() {
        let filter = CodeFilter { appid: Some("wx1".into()), status: Some("DISPATCHED".into()) };
        assert_eq!(
            coupon_codes("1", &filter, 10, 100).target,
            "/v3/marketing/busifavor/stocks/1/couponcodes?limit=100&offset=10&appid=wx1&status=DISPATCHED"
        );
        assert_eq!(
            coupon_code("1", "a-_\\/=| Z", None).target,
            "/v3/marketing/busifavor/stocks/1/couponcodes/a-_%5C%2F%3D%7C%20Z"
        );
        let delete = delete_coupon_code("1", "A", "D1");
        assert_eq!((delete.endpoint.method, delete.body.len()), (Verb::Delete, 0));
        assert!(delete.target.ends_with("/couponcodes/A?delete_request_no=D1"));
        assert!(delete.parse(br#"{"stock_id":"1","delete_time":"2015-05-20T13:29:35+08:00"}"#).is_ok());
    }

    #[test]
    fn a_dispatched_code_brings_its_coupon() {
        let body = br#"{"code_information":{"code":"A","code_status":"DISPATCHED"},"coupon_information":{"stock_id":"1","coupon_code":"A","coupon_state":"USED"}}"#;
        let code = coupon_code("1", "A", Some("wx1")).parse(body).unwrap();
        assert_eq!(code.coupon_information.unwrap().coupon_state.as_deref(), Some("USED"));
    }

    #[test]
    fn an_empty_code_is_none_and_the_other_name_counts() {
        let code = |json: &str| serde_json::from_str::<CodeInformation>(json).unwrap().code().map(str::to_owned);
        assert_eq!(code(r#"{"code":"","coupon_code":"A"}"#).as_deref(), Some("A"));
        assert_eq!(code(r#"{"code":"A","coupon_code":"B"}"#).as_deref(), Some("A"));
        assert_eq!(code(r#"{"code":"","coupon_code":null}"#), None);
    }

    #[test]
    fn a_partial_upload_tells_what_was_refused() {
        let upload = CodeUpload {
            coupon_code_list: vec!["A".into(), "B".into()],
            upload_request_no: Some("U1".into()),
            ..CodeUpload::default()
        };
        let request = upload_coupon_codes("1", &upload);
        assert_eq!(request.body.as_ref(), br#"{"coupon_code_list":["A","B"],"upload_request_no":"U1"}"#);
        let body = br#"{"stock_id":"1","total_count":2,"success_count":1,"success_codes":["A"],"success_time":"2015-05-20T13:29:35+08:00","fail_count":1,"fail_codes":[{"coupon_code":"B","code":"LENGTH_LIMIT","message":"too long"}],"exist_codes":null}"#;
        let done = request.parse(body).unwrap();
        assert_eq!(done.fail_codes[0].code.as_deref(), Some("LENGTH_LIMIT"));
    }
}
