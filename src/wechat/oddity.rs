//! Reads an answer although a field that decides nothing has an odd shape (reference v3 §1.8): the field counts as
//! absent and is kept as it came among the unknown fields. Names, pictures and texts decide nothing; a field by which
//! an id, a state, a time, an amount or a count is known is never passed over, and neither is a field given twice.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Number, Value};

use super::lenient::Extra;
use crate::byte_order_mark;

/// What of an object may have an odd shape.
#[derive(Debug)]
pub struct Shape {
    /// Its fields that decide nothing.
    pub decorative: &'static [&'static str],
    /// Its times: one that is none is kept as text.
    pub times: &'static [&'static str],
    /// Objects in it of which only some fields decide.
    pub inner: &'static [(&'static str, &'static Shape)],
    /// Whether an object can be read.
    pub fits: fn(&Extra) -> bool,
}

/// An answer that can be read although fields that decide nothing are odd.
pub trait Mendable: DeserializeOwned {
    /// What of it may be odd.
    const SHAPE: Shape;
    /// The name of its list and the shape of the items, if it is a list.
    const ITEMS: Option<(&'static str, &'static Shape)> = None;

    /// Its unknown fields.
    fn extra(&mut self) -> &mut Extra;

    /// The unknown fields of its items.
    fn extra_of_items(&mut self) -> impl Iterator<Item = &mut Extra> {
        std::iter::empty()
    }
}

/// Whether `fields` are a `T`: for `Shape::fits`.
pub fn fits<T: DeserializeOwned>(fields: &Extra) -> bool {
    T::deserialize(fields).is_ok()
}

impl Shape {
    /// The names of its fields that may be odd, or hold what is.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let inner = self.inner.iter().map(|(name, _)| *name);
        self.decorative.iter().chain(self.times).copied().chain(inner)
    }

    /// The fields of an object that were odd, by the fields that had no place in it.
    pub fn odd_among(&self, leftover: &Extra) -> BTreeSet<String> {
        let mut odd = BTreeSet::new();
        let mut whole: BTreeSet<&str> = self.decorative.iter().chain(self.times).copied().collect();
        for (name, shape) in self.inner {
            let inner = leftover.get(*name).and_then(Value::as_object).map(|inner| shape.odd_among(inner));
            for field in inner.unwrap_or_default() {
                whole.remove(name);
                odd.insert(format!("{name}.{field}"));
            }
        }
        odd.extend(whole.into_iter().filter(|name| leftover.contains_key(*name)).map(str::to_owned));
        odd
    }

    /// Takes out of an object what does not fit and decides nothing.
    fn take_odd(&self, fields: &mut Extra) -> Extra {
        let mut odd = Extra::new();
        if (self.fits)(fields) {
            return odd;
        }
        for (name, shape) in self.inner {
            let inner = fields.get_mut(*name).and_then(Value::as_object_mut).map(|inner| shape.take_odd(inner));
            odd.extend(inner.filter(|inner| !inner.is_empty()).map(|inner| ((*name).to_owned(), Value::Object(inner))));
        }
        let decorative: Vec<_> = self.decorative.iter().filter_map(|name| fields.shift_remove_entry(*name)).collect();
        for (name, value) in decorative {
            fields.insert(name.clone(), value);
            if !(self.fits)(fields) {
                odd.extend(fields.shift_remove_entry(&name));
            }
        }
        odd
    }
}

/// A body that does not fit, without what is odd and decides nothing; `None` if it cannot be read even so.
pub(crate) fn mended<T: Mendable>(body: &[u8]) -> Option<T> {
    let Unambiguous(Value::Object(mut fields)) = serde_json::from_slice(byte_order_mark::skipped(body)).ok()? else {
        return None;
    };
    let odd_of_items: Vec<Extra> =
        T::ITEMS.map(|(list, item)| take_odd_of_items(&mut fields, list, item)).unwrap_or_default();
    let odd = T::SHAPE.take_odd(&mut fields);
    let mut read = T::deserialize(Value::Object(fields)).ok()?;
    read.extra().extend(odd);
    read.extra_of_items().zip(odd_of_items).for_each(|(extra, odd)| extra.extend(odd));
    Some(read)
}

fn take_odd_of_items(fields: &mut Extra, list: &str, item: &Shape) -> Vec<Extra> {
    let take = |value: &mut Value| value.as_object_mut().map(|fields| item.take_odd(fields)).unwrap_or_default();
    fields
        .get_mut(list)
        .and_then(Value::as_array_mut)
        .map(|items| items.iter_mut().map(take).collect())
        .unwrap_or_default()
}

/// A JSON value none of whose objects gives a field twice: which of the two counts would be a guess.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Unambiguous, D::Error> {
        json.deserialize_any(AnyValue).map(Unambiguous)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Extra::new();
        while let Some((name, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if fields.insert(name, value).is_some() {
                return Err(de::Error::custom("a field is given twice"));
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::money::Fen;
    use crate::wechat::ParseError;
    use crate::wechat::pay_v3::busifavor::{self, CodeFilter, CouponFilter, UserCouponPage};

    /// A coupon of a page, changed by `change`.
    fn page_with(change: impl Fn(&mut Extra)) -> String {
        let documented = include_str!("../../tests/fixtures/answers/pay_v3_user_coupons.json");
        let mut page: Value = serde_json::from_str(documented).unwrap();
        let data = page["data"].as_array_mut().unwrap();
        data.push(data[0].clone());
        data[1]["coupon_code"] = "second".into();
        change(data[1].as_object_mut().unwrap());
        page.to_string()
    }

    fn read(body: &str) -> Result<UserCouponPage, ParseError> {
        busifavor::user_coupons("o", &CouponFilter::default(), 0, 20).parse(body.as_bytes())
    }

    #[test]
    fn a_coupon_is_read_whatever_the_shape_of_what_decides_nothing_and_keeps_it() {
        let odd = [json!(7.5), json!({"appid": [1], "merchant_name": [1]}), json!([]), json!("x"), json!([[{}]])];
        for odd in odd {
            for name in ["display_pattern_info", "custom_entrance", "transferable", "stock_name", "comment"] {
                let body = page_with(|coupon| drop(coupon.insert(name.to_owned(), odd.clone())));
                let plain: UserCouponPage = read(&page_with(|_| {})).unwrap();
                let page = read(&body).unwrap_or_else(|error| panic!("{name} {odd}: {error}"));
                assert_eq!((page.data.len(), &page.data[0]), (2, &plain.data[0]), "{name} {odd}");
                let kept = &page.data[1].extra;
                let is_text = (odd.is_number() || odd.is_string()) && ["stock_name", "comment"].contains(&name);
                let wanted = if is_text { json!({}) } else { json!({ name: odd }) };
                assert_eq!(Value::Object(kept.clone()), wanted, "{name} {odd}");
                assert_eq!(page.data[1].coupon_use_rule, plain.data[1].coupon_use_rule);
            }
        }
    }

    #[test]
    fn only_the_odd_part_of_a_rule_is_passed_over() {
        let body = page_with(|coupon| {
            coupon["coupon_use_rule"]["coupon_available_time"]["available_week"]["available_day_time"] =
                json!({"begin_time": 1.5});
            coupon["coupon_use_rule"]["use_method"] = json!({});
        });
        let coupon = &read(&body).unwrap().data[1];
        let rule = coupon.coupon_use_rule.as_ref().unwrap();
        assert_eq!((rule.discount_amount(), rule.transaction_minimum(None)), (Some(Fen(5)), Some(Fen(100))));
        let time = rule.coupon_available_time.as_ref().unwrap();
        assert_eq!((time.available_day_after_receive, &time.available_week), (Some(3), &None));
        let week = json!({"week_day": ["1", "2"], "available_day_time": {"begin_time": 1.5}});
        let odd = json!({"coupon_available_time": {"available_week": week}, "use_method": {}});
        assert_eq!(coupon.extra["coupon_use_rule"], odd);
    }

    #[test]
    fn what_an_id_a_state_a_time_or_an_amount_depends_on_is_refused_as_before() {
        let odd = json!([1.5]);
        for name in [
            "stock_id",
            "coupon_code",
            "coupon_state",
            "stock_type",
            "belong_merchant",
            "coupon_use_rule",
            "available_start_time",
            "expire_time",
            "receive_time",
            "use_time",
            "return_time",
            "deactivate_time",
            "send_request_no",
            "use_request_no",
            "associate_out_trade_no",
            "return_request_no",
            "deactivate_request_no",
        ] {
            for change in [json!({name: odd}), json!({name: odd, "comment": {}})] {
                let body = page_with(|coupon| coupon.extend(change.as_object().unwrap().clone()));
                let error = read(&body).unwrap_err().to_string();
                assert_eq!(error, UserCouponPage::borrowed_from(body.as_bytes()).unwrap_err().to_string(), "{name}");
            }
        }
        let body = page_with(|coupon| {
            coupon["coupon_use_rule"]["fixed_normal_coupon"]["discount_amount"] = json!(5.5);
            coupon.insert("comment".to_owned(), json!({}));
        });
        assert!(read(&body).is_err());
    }

    #[test]
    fn a_field_given_twice_is_never_passed_over() {
        let odd = page_with(|coupon| drop(coupon.insert("comment".to_owned(), json!([]))));
        assert!(read(&odd).is_ok());
        let twice = odd.replace(r#""coupon_state":"SENDED""#, r#""coupon_state":"USED","coupon_state":"SENDED""#);
        assert!(twice.len() > odd.len() && read(&twice).is_err());
        assert!(read(&odd.replace(r#""total_count":100"#, r#""total_count":2,"total_count":100"#)).is_err());
    }

    #[test]
    fn the_frame_of_a_page_may_be_odd_but_not_its_total() {
        let odd = page_with(|_| {}).replace(r#""limit":10"#, r#""limit":"10.0""#);
        let page = read(&odd).unwrap();
        assert_eq!((page.limit, page.total_count, page.data.len()), (None, Some(100), 2));
        assert_eq!(page.extra["limit"], "10.0");
        assert!(read(&odd.replace(r#""total_count":100"#, r#""total_count":"many""#)).is_err());
    }

    #[test]
    fn stocks_codes_and_receipts_are_read_so_too() {
        let body = json!({"stock_id": "1", "stock_name": [], "stock_send_rule": {"max_coupons": 3, "max_amount": 0.5},
            "send_count_information": {"total_send_num": 2, "today_send_num": "1.0"}, "notify_config": []});
        let stock = busifavor::stock("1").parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(stock.stock_send_rule.unwrap().max_coupons, Some(3));
        assert_eq!(stock.send_count_information.unwrap().total_send_num, Some(2));
        let odd = json!({"stock_send_rule": {"max_amount": 0.5}, "send_count_information": {"today_send_num": "1.0"},
            "stock_name": [], "notify_config": []});
        assert_eq!(Value::Object(stock.extra), odd);
        let body = br#"{"total_count":1,"data":[{"code":"A","upload_time":{}}]}"#;
        let page = busifavor::coupon_codes("1", &CodeFilter::default(), 0, 1).parse(body).unwrap();
        assert_eq!((page.data[0].code(), &page.data[0].extra["upload_time"]), (Some("A"), &json!({})));
        let receipt = r#"{"stock_id":"1","coupon_code":"A","out_subsidy_no":"N","amount":5,"description":[]}"#;
        let list = format!(r#"{{"pay_receipt_list":[{receipt}]}}"#);
        let list = busifavor::pay_receipts("1", "A", None).parse(list.as_bytes()).unwrap();
        assert_eq!((list.pay_receipt_list[0].amount, list.pay_receipt_list[0].extra.len()), (Some(Fen(5)), 1));
        let unpaid = receipt.replace("\"amount\":5", "\"amount\":5.5");
        assert!(busifavor::pay_receipt("1").parse(unpaid.as_bytes()).is_err());
    }
}
