//! Stage `v2_stocks`: query_coupon_stock for configured stocks, querycouponsinfo for listed coupons
//! (reference v2 §B.2, §B.3). The result of checking the signature of each answer is counted and
//! stored in its row; the job decides whether answers with an invalid signature are accepted.

use std::collections::HashMap;

use super::ask::{Place, ask_all, read_page, require_echo, settle_and_read};
use super::orders::{digests, from_export};
use super::unknown_values::{COUPON_STOCK_STATUS, UnknownValues, VOUCHER_STATE};
use super::wire::{v2_coupon_row, v2_stock_row};
use super::{Harvest, Issue, IssueKind, Night};
use crate::api::Api;
use crate::exports::v2_coupons_file::{self, V2CouponQuery};
use crate::job::{OnMismatch, PayV2Settings};
use crate::journal::{Page, StageJournal};
use crate::quantity::counted;
use crate::record::{V2Coupon, V2Stock};
use crate::sha256::sha256_of;
use crate::stage::Stage;
use crate::wechat::Request;
use crate::wechat::pay_v2::{self, Coupon, PayV2, SignatureCheck};

const STAGE: Stage = Stage::V2Stocks;
const PLACE: Place = Place { stage: STAGE, api: Api::PayV2 };

/// v2 stocks and coupons.
#[derive(Debug, Default)]
pub struct Vouchers {
    /// `v2_stocks`, sorted by key.
    pub stocks: Vec<V2Stock>,
    /// `v2_coupons`, sorted by key.
    pub coupons: Vec<V2Coupon>,
}

/// Requests the stocks of `pay_v2.stock_ids` and the coupons of `pay_v2.coupons_file`.
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Vouchers>, Issue> {
    let (Some(client), Some(settings)) = (&night.apis.pay_v2, &night.job.pay_v2) else {
        return Ok(Harvest::complete(Vouchers::default()));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let requests = Requests { night, client, settings, journal: &journal };
    let mut harvest = Harvest::complete(Vouchers::default());
    harvest.issues = requests.ask_stocks().await?;
    let listed = listed(night, settings, &mut harvest.inputs)?;
    harvest.issues.extend(requests.ask_coupons(&listed).await?);

    let asked = Asked::of(&settings.stock_ids, &listed);
    let mut signatures = Signatures::new(client, settings.on_mismatch);
    let mut unknown = Unknown::default();
    harvest.rows = read(night, &journal, &asked, &mut signatures, &mut unknown)?;
    harvest.inputs.push((STAGE.to_string(), digest_of(&harvest.rows)));
    unknown.tell();
    harvest.issues.extend(unknown.stocks.into_iter().chain(signatures.issue()));
    let Signatures { verified, absent, mismatched, .. } = signatures;
    let harvest = harvest.noting("unknown_coupons", unknown.coupons);
    let values = unknown_values(&harvest.rows);
    let harvest = harvest.noting("unknown_values", values.tell("v2 stock or coupon", "v2 stocks and coupons"));
    let harvest = harvest.noting("signatures_verified", verified).noting("signatures_absent", absent);
    Ok(harvest.noting("signatures_mismatched", mismatched))
}

fn unknown_values(vouchers: &Vouchers) -> UnknownValues {
    let mut values = UnknownValues::default();
    let of_stocks = vouchers.stocks.iter().map(|it| (COUPON_STOCK_STATUS, it.coupon_stock_status.as_deref()));
    let of_coupons = vouchers.coupons.iter().map(|it| (VOUCHER_STATE, it.coupon_state.as_deref()));
    of_stocks.chain(of_coupons).for_each(|value| values.see([value]));
    values
}

/// The context of the requests.
struct Requests<'a> {
    night: &'a Night<'a>,
    client: &'a PayV2,
    settings: &'a PayV2Settings,
    journal: &'a StageJournal,
}

impl Requests<'_> {
    async fn ask_stocks(&self) -> Result<Vec<Issue>, Issue> {
        let questions = self.settings.stock_ids.iter().map(|id| (stock_key(id), id)).collect();
        let ask = async |id: &String| {
            let request = pay_v2::coupon_stock(id);
            let (page, stock) = settle_and_read(&request, self.client.send(&request).await)?;
            stock.map_or(Ok(()), |stock| require_echo(&request, id, &stock.coupon_stock_id))?;
            Ok(Some(vec![page]))
        };
        ask_all(self.night, self.journal, PLACE, questions, ask).await
    }

    async fn ask_coupons(&self, listed: &[V2CouponQuery]) -> Result<Vec<Issue>, Issue> {
        let questions = listed.iter().map(|it| (coupon_key(it), it)).collect();
        let ask = async |it: &V2CouponQuery| {
            let request = coupon_request(it);
            let (page, coupon) = settle_and_read(&request, self.client.send(&request).await)?;
            coupon.map_or(Ok(()), |coupon| require_echo(&request, &it.coupon_id, &coupon.coupon_id))?;
            Ok(Some(vec![page]))
        };
        ask_all(self.night, self.journal, PLACE, questions, ask).await
    }
}

/// The coupons of the file; adds the digests of the file to `inputs`.
fn listed(
    night: &Night<'_>,
    settings: &PayV2Settings,
    inputs: &mut Vec<(String, String)>,
) -> Result<Vec<V2CouponQuery>, Issue> {
    let Some(path) = &settings.coupons_file else { return Ok(Vec::new()) };
    let refused = |error| from_export("pay_v2.coupons_file", error);
    let export = v2_coupons_file::read(path, night.room).map_err(refused)?;
    inputs.extend(digests(STAGE.as_str(), &export.files));
    export.collect(|line| line.query()).map_err(refused)
}

/// The rows of the journalled answers, in order; adds to `unknown` what WeChat does not know.
fn read(
    night: &Night<'_>,
    journal: &StageJournal,
    asked: &Asked<'_>,
    signatures: &mut Signatures<'_>,
    unknown: &mut Unknown,
) -> Result<Vouchers, Issue> {
    let mut rows = Vouchers::default();
    journal.visit(|entry| match (entry.pages.first(), asked.by_key(&entry.key)) {
        (Some(page), Some(Question::Stock(id))) => {
            let is_known = rows.add_stock(night, id, page, signatures)?;
            unknown.stocks.extend((!is_known).then(|| unknown_stock(id)));
            Ok::<(), Issue>(())
        }
        (Some(page), Some(Question::Coupon(it))) => {
            let is_known = rows.add_coupon(night, it, page, signatures)?;
            unknown.coupons += usize::from(!is_known);
            Ok::<(), Issue>(())
        }
        _ => Ok(()),
    })?;
    let key = |it: &V2Coupon| (it.coupon_stock_id.clone(), it.coupon_id.clone(), it.openid.clone());
    rows.stocks.sort_by(|a, b| a.coupon_stock_id.cmp(&b.coupon_stock_id));
    rows.coupons.sort_by_cached_key(key);
    Ok(rows)
}

/// Requested objects that WeChat does not know.
#[derive(Default)]
struct Unknown {
    /// Each makes the stage incomplete.
    stocks: Vec<Issue>,
    /// Coupons of the merchant's list: a wrong line is logged and does not stop the night.
    coupons: usize,
}

impl Unknown {
    fn tell(&self) {
        if self.coupons > 0 {
            tracing::warn!(
                "WeChat does not know {} of `pay_v2.coupons_file`: each line must name coupon, user and stock as they were sent",
                counted(self.coupons, "coupon", "coupons")
            );
        }
    }
}

fn unknown_stock(id: &str) -> Issue {
    Issue::new(IssueKind::Incomplete, format!("WeChat does not know the v2 stock `{id}`"))
        .hinting("`pay_v2.stock_ids` must be stocks that `pay_v2.mch_id` created; `--refetch` requests them again")
}

impl Vouchers {
    /// Adds a stock; false if WeChat does not know it.
    fn add_stock(
        &mut self,
        night: &Night<'_>,
        id: &str,
        page: &Page,
        signatures: &mut Signatures<'_>,
    ) -> Result<bool, Issue> {
        let Some(stock) = read_page(&pay_v2::coupon_stock(id), page)? else { return Ok(false) };
        let Some(signature) = signatures.check(page) else { return Ok(true) };
        self.stocks.push(v2_stock_row(&stock, signature, night.imprint()));
        Ok(true)
    }

    /// Adds a coupon; false if WeChat does not know it.
    fn add_coupon(
        &mut self,
        night: &Night<'_>,
        it: &V2CouponQuery,
        page: &Page,
        signatures: &mut Signatures<'_>,
    ) -> Result<bool, Issue> {
        let Some(info) = read_page(&coupon_request(it), page)? else { return Ok(false) };
        let Some(signature) = signatures.check(page) else { return Ok(true) };
        let openid = night.pseudonyms.publish(&it.openid);
        self.coupons.push(v2_coupon_row(&info, &openid, signature, night.imprint().about(Some(&it.openid))));
        Ok(true)
    }
}

/// The object requested under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question<'a> {
    Stock(&'a str),
    Coupon(&'a V2CouponQuery),
}

/// The questions of the night by key, as the file may list many.
struct Asked<'a>(HashMap<String, Question<'a>>);

impl<'a> Asked<'a> {
    /// If several have the same key the first counts, stocks before coupons.
    fn of(stock_ids: &'a [String], listed: &'a [V2CouponQuery]) -> Asked<'a> {
        let stocks = stock_ids.iter().map(|id| (stock_key(id), Question::Stock(id)));
        let coupons = listed.iter().map(|it| (coupon_key(it), Question::Coupon(it)));
        let mut asked = HashMap::with_capacity(stock_ids.len() + listed.len());
        for (key, question) in stocks.chain(coupons) {
            asked.entry(key).or_insert(question);
        }
        Asked(asked)
    }

    fn by_key(&self, key: &str) -> Option<Question<'a>> {
        self.0.get(key).copied()
    }
}

/// Results of checking signatures.
struct Signatures<'a> {
    client: &'a PayV2,
    on_mismatch: OnMismatch,
    verified: usize,
    absent: usize,
    mismatched: usize,
    /// Those of `mismatched` that the job does not accept.
    refused: usize,
}

impl<'a> Signatures<'a> {
    fn new(client: &'a PayV2, on_mismatch: OnMismatch) -> Signatures<'a> {
        Signatures { client, on_mismatch, verified: 0, absent: 0, mismatched: 0, refused: 0 }
    }

    /// The result for a journalled answer; `None` when the job does not accept such answers. The
    /// client refuses them too, but the journal may be older than the job file.
    fn check(&mut self, page: &Page) -> Option<SignatureCheck> {
        let check = self.client.check_signature(&page.body);
        match check {
            SignatureCheck::Verified => self.verified += 1,
            SignatureCheck::Absent => self.absent += 1,
            SignatureCheck::Mismatch => self.mismatched += 1,
        }
        let is_refused = check == SignatureCheck::Mismatch && self.on_mismatch == OnMismatch::Fail;
        self.refused += usize::from(is_refused);
        (!is_refused).then_some(check)
    }

    fn issue(&self) -> Option<Issue> {
        let what = format!("the signatures of {} journalled v2 answers are not valid", self.refused);
        let hint =
            "`--refetch` requests them again; `pay_v2.on_signature_mismatch = \"record\"` accepts and marks them";
        (self.refused > 0).then(|| Issue::new(IssueKind::Unverified, what).hinting(hint))
    }
}

/// The journal keys of a night's calls.
pub(super) fn keys(night: &Night<'_>) -> Vec<String> {
    let Some(settings) = &night.job.pay_v2 else { return Vec::new() };
    let listed = settings.coupons_file.as_ref().and_then(|path| v2_coupons_file::read(path, night.room).ok());
    let coupons = listed.and_then(|export| export.collect(|line| coupon_key(&line.query())).ok()).unwrap_or_default();
    settings.stock_ids.iter().map(|id| stock_key(id)).chain(coupons).collect()
}

fn stock_key(id: &str) -> String {
    format!("stock/{id}")
}

fn coupon_key(it: &V2CouponQuery) -> String {
    format!("coupon/{}/{}/{}", it.stock_id, it.coupon_id, it.openid)
}

fn coupon_request(it: &V2CouponQuery) -> Request<Coupon> {
    pay_v2::coupon(&it.coupon_id, &it.openid, &it.stock_id)
}

/// The digest of the answers, without nonce and signature, which differ in every answer.
fn digest_of(rows: &Vouchers) -> String {
    let text = serde_json::to_vec(&(&rows.stocks, &rows.coupons)).expect("rows are plain data");
    sha256_of(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(coupon: usize, openid: &str) -> V2CouponQuery {
        V2CouponQuery { coupon_id: coupon.to_string(), openid: openid.to_owned(), stock_id: "s".to_owned() }
    }

    #[test]
    fn each_of_thousands_of_answers_is_led_back_to_its_own_question() {
        let stocks: Vec<_> = (0..100).map(|id| format!("{id}")).collect();
        let listed: Vec<_> = (0..5000).map(|coupon| query(coupon, "oA")).collect();
        let asked = Asked::of(&stocks, &listed);
        let is_found = |it: &V2CouponQuery| asked.by_key(&coupon_key(it)) == Some(Question::Coupon(it));
        assert!(stocks.iter().all(|id| asked.by_key(&stock_key(id)) == Some(Question::Stock(id))));
        assert!(listed.iter().all(is_found));
        assert_eq!(asked.by_key(&coupon_key(&query(0, "oB"))), None, "no longer listed");
    }

    #[test]
    fn of_two_questions_of_one_key_the_first_counts() {
        let listed = ["1/2", "1"].map(|stock| V2CouponQuery {
            coupon_id: if stock == "1" { "2/3" } else { "3" }.to_owned(),
            openid: "oA".to_owned(),
            stock_id: stock.to_owned(),
        });
        assert_eq!(coupon_key(&listed[0]), coupon_key(&listed[1]));
        let asked = Asked::of(&[], &listed);
        assert_eq!(asked.by_key(&coupon_key(&listed[1])), Some(Question::Coupon(&listed[0])));
    }
}
