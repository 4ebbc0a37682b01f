//! The three coupon calls of v2 and its bill (reference v2 §B.1–B.5). Understands both dialects of
//! times and states; keeps unknown fields.

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

use super::xml::{self, Fields};
use crate::job::TarType;
use crate::money::Fen;
use crate::wechat::endpoint::{self, Endpoint};
use crate::wechat::lenient::LARGEST_INTEGER;
use crate::wechat::request::{ParseError, Request};
use crate::wechat::time::parse_time;

/// A stock as query_coupon_stock answers (reference v2 §B.2).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CouponStock {
    /// Id.
    pub coupon_stock_id: String,
    /// Name.
    pub coupon_name: Option<String>,
    /// Face value, fen.
    pub coupon_value: Option<Fen>,
    /// Minimum spend, fen; the wire says `coupon_mininumn`.
    pub coupon_minimum: Option<Fen>,
    /// 1 no threshold, 2 exclusive, 3 stackable (old dialect).
    pub coupon_type: Option<String>,
    /// 1, 2, 4, 8, 16.
    pub coupon_stock_status: Option<String>,
    /// Coupons in all.
    pub coupon_total: Option<i64>,
    /// Per user, 0 = no limit.
    pub max_quota: Option<i64>,
    /// Locked (old dialect).
    pub locked_num: Option<i64>,
    /// Used (old dialect).
    pub used_num: Option<i64>,
    /// Sent so far.
    pub is_send_num: Option<i64>,
    /// Begins.
    pub begin_time: Option<DateTime<Utc>>,
    /// Ends.
    pub end_time: Option<DateTime<Utc>>,
    /// Made.
    pub create_time: Option<DateTime<Utc>>,
    /// Budget, fen.
    pub coupon_budget: Option<Fen>,
    /// Every other field, the envelope's left out; times that could not be read are here too.
    pub extra: Fields,
}

/// A coupon as querycouponsinfo answers (reference v2 §B.3).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coupon {
    /// Stock.
    pub coupon_stock_id: String,
    /// Id.
    pub coupon_id: String,
    /// Name.
    pub coupon_name: Option<String>,
    /// SENDED, USED, EXPIRED; 2, 4, 8 in the old dialect.
    pub coupon_state: Option<String>,
    /// Description.
    pub coupon_desc: Option<String>,
    /// Face value, fen.
    pub coupon_value: Option<Fen>,
    /// Minimum spend, fen; three spellings on the wire.
    pub coupon_minimum: Option<Fen>,
    /// Deducted, fen.
    pub coupon_use_value: Option<Fen>,
    /// Left, fen.
    pub coupon_remain_value: Option<Fen>,
    /// Begins.
    pub begin_time: Option<DateTime<Utc>>,
    /// Ends.
    pub end_time: Option<DateTime<Utc>>,
    /// Sent.
    pub send_time: Option<DateTime<Utc>>,
    /// Used (old dialect).
    pub use_time: Option<DateTime<Utc>>,
    /// Order it was used on (old dialect).
    pub trade_no: Option<String>,
    /// Merchant it was used at.
    pub consumer_mch_id: Option<String>,
    /// How it was sent.
    pub send_source: Option<String>,
    /// `1` when it may be used in parts.
    pub is_partial_use: Option<String>,
    /// Every other field, the envelope's left out; times that could not be read are here too.
    pub extra: Fields,
}

/// What send_coupon answers (reference v2 §B.1).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sent {
    /// Stock.
    pub coupon_stock_id: String,
    /// Coupon; none when it was not sent.
    pub coupon_id: Option<String>,
    /// User.
    pub openid: Option<String>,
    /// SUCCESS, FAILED or FAIL.
    pub ret_code: Option<String>,
    /// Why not.
    pub ret_msg: Option<String>,
    /// 1 or 0.
    pub success_count: Option<i64>,
    /// Every other field.
    pub extra: Fields,
}

impl Sent {
    /// Whether the user has the coupon now: every flag must say so.
    pub fn is_sent(&self) -> bool {
        self.ret_code.as_deref() == Some("SUCCESS") && self.success_count == Some(1) && self.coupon_id.is_some()
    }
}

/// A stock.
pub fn coupon_stock(coupon_stock_id: &str) -> Request<CouponStock> {
    call(&endpoint::V2_STOCK, &[("coupon_stock_id", coupon_stock_id)], read_stock)
}

/// A coupon of a user. The field is `stock_id` here, not `coupon_stock_id`.
pub fn coupon(coupon_id: &str, openid: &str, stock_id: &str) -> Request<Coupon> {
    let fields = [("coupon_id", coupon_id), ("openid", openid), ("stock_id", stock_id)];
    call(&endpoint::V2_COUPON, &fields, read_coupon)
}

/// Gives one coupon to one user. Needs a client made with the merchant's certificate. After an
/// unknown outcome repeat with the same `partner_trade_no`.
pub fn send_coupon(coupon_stock_id: &str, openid: &str, partner_trade_no: &str) -> Request<Sent> {
    let fields = [
        ("coupon_stock_id", coupon_stock_id),
        ("openid", openid),
        ("openid_count", "1"),
        ("partner_trade_no", partner_trade_no),
    ];
    call(&endpoint::V2_SEND_COUPON, &fields, read_sent)
}

/// The bill of a day: the file as it comes. `bill_type` is ALL, SUCCESS,
/// REFUND or RECHARGE_REFUND.
pub fn bill(date: NaiveDate, bill_type: &str, tar_type: TarType) -> Request<Bytes> {
    let date = date.format("%Y%m%d").to_string();
    let mut fields = vec![("bill_date", date.as_str()), ("bill_type", bill_type)];
    fields.extend(tar_type.parameter().map(|gzip| ("tar_type", gzip)));
    call(&endpoint::V2_BILL, &fields, |body| Ok(Bytes::copy_from_slice(body)))
}

fn call<T>(
    endpoint: &'static Endpoint,
    fields: &[(&str, &str)],
    read: fn(&[u8]) -> Result<T, ParseError>,
) -> Request<T> {
    let fields: Fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request::new(endpoint, endpoint.path.to_owned(), Bytes::from(xml::write(&fields)), read)
}

fn read_stock(body: &[u8]) -> Result<CouponStock, ParseError> {
    let mut fields = Taking::from(body)?;
    Ok(CouponStock {
        coupon_stock_id: fields.key("coupon_stock_id")?,
        coupon_name: fields.text("coupon_name"),
        coupon_value: fields.fen("coupon_value")?,
        coupon_minimum: fields.minimum()?,
        coupon_type: fields.text("coupon_type"),
        coupon_stock_status: fields.text("coupon_stock_status"),
        coupon_total: fields.count("coupon_total")?,
        max_quota: fields.count("max_quota")?,
        locked_num: fields.count("locked_num")?,
        used_num: fields.count("used_num")?,
        is_send_num: fields.count("is_send_num")?,
        begin_time: fields.time("begin_time", "begin_time_t"),
        end_time: fields.time("end_time", "end_time_t"),
        create_time: fields.time("create_time", "create_time_t"),
        coupon_budget: fields.fen("coupon_budget")?,
        extra: fields.rest(),
    })
}

fn read_coupon(body: &[u8]) -> Result<Coupon, ParseError> {
    let mut fields = Taking::from(body)?;
    Ok(Coupon {
        coupon_stock_id: fields.key("coupon_stock_id")?,
        coupon_id: fields.key("coupon_id")?,
        coupon_name: fields.text("coupon_name"),
        coupon_state: fields.text("coupon_state"),
        coupon_desc: fields.text("coupon_desc"),
        coupon_value: fields.fen("coupon_value")?,
        coupon_minimum: fields.minimum()?,
        coupon_use_value: fields.fen("coupon_use_value")?,
        coupon_remain_value: fields.fen("coupon_remain_value")?,
        begin_time: fields.time("begin_time", "begin_time_t"),
        end_time: fields.time("end_time", "end_time_t"),
        send_time: fields.time("send_time", "send_time_t"),
        use_time: fields.time("use_time", "use_time_t"),
        trade_no: fields.text("trade_no"),
        consumer_mch_id: fields.text("consumer_mch_id"),
        send_source: fields.text("send_source"),
        is_partial_use: fields.text("is_partial_use"),
        extra: fields.rest(),
    })
}

fn read_sent(body: &[u8]) -> Result<Sent, ParseError> {
    let mut fields = Taking::from(body)?;
    Ok(Sent {
        coupon_stock_id: fields.key("coupon_stock_id")?,
        coupon_id: fields.text("coupon_id"),
        openid: fields.text("openid"),
        ret_code: fields.text("ret_code"),
        ret_msg: fields.text("ret_msg"),
        success_count: fields.integer("success_count")?,
        extra: fields.rest(),
    })
}

/// Fields being taken one by one; what stays is `extra`.
struct Taking(Fields);

impl Taking {
    fn from(body: &[u8]) -> Result<Taking, ParseError> {
        xml::read(body).map(Taking)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    fn key(&mut self, name: &'static str) -> Result<String, ParseError> {
        self.text(name).ok_or_else(|| ParseError::Field { field: name, detail: "missing".into() })
    }

    fn integer(&mut self, name: &'static str) -> Result<Option<i64>, ParseError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let detail = || ParseError::Field {
            field: name,
            detail: format!("a text of {} characters, not a whole number", text.chars().count()),
        };
        let number: i64 = text.trim().parse().map_err(|_| detail())?;
        if number.unsigned_abs() > LARGEST_INTEGER {
            return Err(ParseError::Field { field: name, detail: "larger than such a number is anywhere".into() });
        }
        Ok(Some(number))
    }

    fn count(&mut self, name: &'static str) -> Result<Option<i64>, ParseError> {
        match self.integer(name)? {
            Some(count) if count < 0 => {
                Err(ParseError::Field { field: name, detail: format!("{count}, less than none") })
            }
            count => Ok(count),
        }
    }

    fn fen(&mut self, name: &'static str) -> Result<Option<Fen>, ParseError> {
        match self.count(name)?.map(Fen) {
            Some(fen) if !fen.is_plausible() => {
                Err(ParseError::Field { field: name, detail: format!("{fen} yuan, more than any amount") })
            }
            fen => Ok(fen),
        }
    }

    /// `coupon_minimum`, `coupon_mininum`, `coupon_mininumn` (reference v2 §B.3).
    fn minimum(&mut self) -> Result<Option<Fen>, ParseError> {
        for name in ["coupon_minimum", "coupon_mininum", "coupon_mininumn"] {
            if let Some(minimum) = self.fen(name)? {
                return Ok(Some(minimum));
            }
        }
        Ok(None)
    }

    /// Unix seconds or yyyyMMddHHmmss, or the same time in its `_t` twin.
    fn time(&mut self, name: &str, twin: &str) -> Option<DateTime<Utc>> {
        let read = |text: Option<&String>| text.and_then(|text| parse_time(text));
        let time = read(self.0.get(name));
        let from_twin = read(self.0.get(twin));
        if time.is_some() {
            self.0.remove(name);
        }
        if from_twin.is_some() && (time.is_none() || time == from_twin) {
            self.0.remove(twin);
        }
        time.or(from_twin)
    }

    fn rest(mut self) -> Fields {
        const ENVELOPE: [&str; 11] = [
            "return_code",
            "return_msg",
            "result_code",
            "err_code",
            "err_code_des",
            "error_code",
            "appid",
            "mch_id",
            "nonce_str",
            "sign",
            "device_info",
        ];
        self.0.retain(|name, value| !ENVELOPE.contains(&name.as_str()) && !value.is_empty());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = include_str!("../../../tests/fixtures/answers/pay_v2_stock.xml");
    const COUPON: &str = include_str!("../../../tests/fixtures/answers/pay_v2_coupon.xml");

    #[test]
    fn the_live_stock_is_read_with_equal_times_in_both_dialects() {
        let stock = coupon_stock("9728595").parse(STOCK.as_bytes()).unwrap();
        assert_eq!((stock.coupon_value, stock.coupon_minimum), (Some(Fen(200)), Some(Fen(2000))));
        assert_eq!((stock.coupon_total, stock.is_send_num, stock.coupon_budget), (Some(10), Some(2), Some(Fen(2000))));
        assert_eq!(stock.begin_time.unwrap().to_rfc3339(), "2019-12-08T16:00:00+00:00");
        assert!(stock.extra.is_empty(), "{:?}", stock.extra);
    }

    #[test]
    fn undocumented_fields_and_twins_that_differ_are_kept() {
        let text = STOCK
            .replace("</xml>", "<scope>GLOBAL</scope><favor_type>COUPON</favor_type></xml>")
            .replace("20191224235959", "20200101000000");
        let extra = coupon_stock("9728595").parse(text.as_bytes()).unwrap().extra;
        let expected = [("end_time_t", "20200101000000"), ("favor_type", "COUPON"), ("scope", "GLOBAL")];
        assert_eq!(extra, expected.map(|(name, value)| (name.into(), value.into())).into());
    }

    #[test]
    fn a_stock_in_calendar_times_only_is_read_too() {
        let body = "<xml><coupon_stock_id>1717</coupon_stock_id><begin_time>20191209000000</begin_time><end_time></end_time><end_time_t>20191224235959</end_time_t></xml>";
        let stock = coupon_stock("1717").parse(body.as_bytes()).unwrap();
        assert_eq!(stock.begin_time, parse_time("1575820800"));
        assert_eq!(stock.end_time, parse_time("1577203199"));
    }

    #[test]
    fn the_old_dialect_is_read_with_its_own_fields() {
        let body = "<xml><coupon_stock_id>1717</coupon_stock_id><coupon_value>5</coupon_value><coupon_mininumn>10</coupon_mininumn><coupon_type>1</coupon_type><coupon_stock_status>4</coupon_stock_status><coupon_total>100</coupon_total><locked_num>0</locked_num><used_num>3</used_num><begin_time>1943787483</begin_time><end_time>1943787490</end_time><create_time>1943787420</create_time><coupon_budget>500</coupon_budget></xml>";
        let stock = coupon_stock("1717").parse(body.as_bytes()).unwrap();
        assert_eq!(
            (stock.coupon_type.as_deref(), stock.used_num, stock.coupon_budget),
            (Some("1"), Some(3), Some(Fen(500)))
        );
        assert_eq!(stock.begin_time.unwrap().to_rfc3339(), "2031-08-06T12:58:03+00:00");
        let body = "<xml><coupon_stock_id>1717</coupon_stock_id><coupon_stock_type>1</coupon_stock_type><coupon_id>1442</coupon_id><coupon_value>5</coupon_value><coupon_mininum>10</coupon_mininum><coupon_state>2</coupon_state><coupon_use_value>0</coupon_use_value><coupon_remain_value>5</coupon_remain_value><send_time>1943787420</send_time><send_source>1</send_source></xml>";
        let coupon = coupon("1442", "o", "1717").parse(body.as_bytes()).unwrap();
        assert_eq!((coupon.coupon_minimum, coupon.send_source.as_deref()), (Some(Fen(10)), Some("1")));
        assert_eq!(coupon.extra, [("coupon_stock_type".to_owned(), "1".to_owned())].into());
    }

    #[test]
    fn the_minimum_is_found_under_all_three_spellings() {
        for name in ["coupon_minimum", "coupon_mininum", "coupon_mininumn"] {
            let text = COUPON.replace("coupon_minimum", name);
            let coupon = coupon("4242", "o", "9728595").parse(text.as_bytes()).unwrap();
            assert_eq!(coupon.coupon_minimum, Some(Fen(2000)), "{name}");
            assert!(coupon.extra.is_empty(), "{:?}", coupon.extra);
        }
    }

    #[test]
    fn old_and_new_coupon_states_are_kept_as_text() {
        for state in ["SENDED", "2", "FROZEN"] {
            let text = COUPON.replace("SENDED", state);
            assert_eq!(coupon("1", "o", "2").parse(text.as_bytes()).unwrap().coupon_state.as_deref(), Some(state));
        }
    }

    #[test]
    fn a_coupon_counts_as_sent_only_when_every_flag_says_so() {
        let sent = include_str!("../../../tests/fixtures/answers/pay_v2_send_coupon.xml");
        let refused = include_str!("../../../tests/fixtures/answers/pay_v2_send_coupon@refused.xml");
        let read = |text: &str| send_coupon("1757", "o", "n").parse(text.as_bytes()).unwrap();
        assert!(read(sent).is_sent());
        assert!(!read(refused).is_sent());
        assert!(!read(&sent.replace("<coupon_id>6954</coupon_id>", "<coupon_id/>")).is_sent());
    }

    #[test]
    fn amounts_that_are_none_are_refused_by_name() {
        let text = STOCK.replace("<coupon_value>200</coupon_value>", "<coupon_value>2.00</coupon_value>");
        let error = coupon_stock("1").parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "field `coupon_value` of the XML is a text of 4 characters, not a whole number");
        let text = STOCK.replace("<coupon_total>10<", "<coupon_total>4611686018427387904<");
        let error = coupon_stock("1").parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "field `coupon_total` of the XML is larger than such a number is anywhere",
            "it would not add up"
        );
        let below_zero = [
            ("coupon_total>10<", "coupon_total>-1<", "coupon_total"),
            ("coupon_value>200<", "coupon_value>-5<", "coupon_value"),
        ];
        for (from, to, field) in below_zero {
            let error = coupon_stock("1").parse(STOCK.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(field) && error.ends_with(", less than none"), "{error}");
        }
        let error = coupon_stock("1").parse(b"<xml><a>1</a></xml>").unwrap_err();
        assert_eq!(error.to_string(), "field `coupon_stock_id` of the XML is missing");
    }

    #[test]
    fn requests_carry_their_own_fields_only() {
        assert_eq!(
            coupon("4242", "oA&B", "1757").body.as_ref(),
            b"<xml><coupon_id>4242</coupon_id><openid>oA&amp;B</openid><stock_id>1757</stock_id></xml>"
        );
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        assert_eq!(
            bill(date, "ALL", TarType::Gzip).body.as_ref(),
            b"<xml><bill_date>20261118</bill_date><bill_type>ALL</bill_type><tar_type>GZIP</tar_type></xml>"
        );
        assert_eq!(bill(date, "ALL", TarType::Plain).parse(b"raw").unwrap().as_ref(), b"raw");
    }
}
