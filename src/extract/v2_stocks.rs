//! Stage `v2_stocks`: query_coupon_stock of configured stocks, querycouponsinfo of listed coupons.
//! What the signature of each answer says is counted and stands in its row; whether one that does
//! not hold is taken is for the job to say.

use super::ask::{Place, ask_all, read_page, settle};
use super::orders::{digests, from_export};
use super::wire::{v2_coupon_row, v2_stock_row};
use super::{Harvest, Issue, IssueKind, Night};
use crate::api::Api;
use crate::dataset::publish::sha256_of;
use crate::exports::v2_coupons_file::{self, V2CouponQuery};
use crate::job::OnMismatch;
use crate::journal::Page;
use crate::record::{V2Coupon, V2Stock};
use crate::stage::Stage;
use crate::wechat::Request;
use crate::wechat::pay_v2::{self, Coupon, CouponStock, PayV2, SignatureCheck};

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

/// Asks for the stocks of `pay_v2.stock_ids` and the coupons of `pay_v2.coupons_file`.
pub async fn extract(night: &Night<'_>) -> Result<Harvest<Vouchers>, Issue> {
    let (Some(client), Some(settings)) = (&night.apis.pay_v2, &night.job.pay_v2) else {
        return Ok(Harvest::complete(Vouchers::default()));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let mut harvest = Harvest::complete(Vouchers::default());
    let questions = settings.stock_ids.iter().map(|id| (stock_key(id), pay_v2::coupon_stock(id))).collect();
    let ask = async |request: Request<CouponStock>| {
        settle(&request, client.send(&request).await).map(|page| Some(vec![page]))
    };
    harvest.issues = ask_all(night, &journal, PLACE, settings.limits.concurrency, questions, ask).await?;

    let mut listed = Vec::new();
    if let Some(path) = &settings.coupons_file {
        let refused = |error| from_export("pay_v2.coupons_file", &error);
        let export = v2_coupons_file::read(path, night.room).map_err(refused)?;
        harvest.inputs = digests(STAGE.as_str(), &export.files);
        listed = export.collect(|line| line.query()).map_err(refused)?;
    }
    let coupon_request = |it: &V2CouponQuery| pay_v2::coupon(&it.coupon_id, &it.openid, &it.stock_id);
    let questions = listed.iter().map(|it| (coupon_key(it), coupon_request(it))).collect();
    let ask =
        async |request: Request<Coupon>| settle(&request, client.send(&request).await).map(|page| Some(vec![page]));
    harvest.issues.extend(ask_all(night, &journal, PLACE, settings.limits.concurrency, questions, ask).await?);

    let mut signatures = Signatures { client, on_mismatch: settings.on_mismatch, counts: [0; 3], refused: 0 };
    for entry in journal.entries()? {
        let Some(page) = entry.pages.first() else { continue };
        if let Some(id) = settings.stock_ids.iter().find(|id| stock_key(id) == entry.key) {
            if let Some(stock) = read_page(&pay_v2::coupon_stock(id), page)? {
                let Some(signature) = signatures.check(page) else { continue };
                harvest.rows.stocks.push(v2_stock_row(&stock, signature, night.date));
            }
        } else if let Some(it) = listed.iter().find(|it| coupon_key(it) == entry.key)
            && let Some(info) = read_page(&coupon_request(it), page)?
        {
            let Some(signature) = signatures.check(page) else { continue };
            let openid = night.persona.publish(&it.openid);
            harvest.rows.coupons.push(v2_coupon_row(&info, &openid, signature, night.date));
        }
    }
    let key = |it: &V2Coupon| (it.coupon_stock_id.clone(), it.coupon_id.clone(), it.openid.clone());
    harvest.rows.stocks.sort_by(|a, b| a.coupon_stock_id.cmp(&b.coupon_stock_id));
    harvest.rows.coupons.sort_by_key(key);
    harvest.inputs.push((STAGE.to_string(), digest_of(&harvest.rows)));
    harvest.issues.extend(signatures.issue());
    let [verified, absent, mismatched] = signatures.counts;
    let harvest = harvest.noting("signatures_verified", verified).noting("signatures_absent", absent);
    Ok(harvest.noting("signatures_mismatched", mismatched))
}

/// What the signatures of the answers say.
struct Signatures<'a> {
    client: &'a PayV2,
    on_mismatch: OnMismatch,
    /// Verified, absent, mismatched.
    counts: [usize; 3],
    refused: usize,
}

impl Signatures<'_> {
    /// What the signature of a journalled answer says; `None` when the job takes none such. The
    /// client refuses them too, but the journal may be older than the job file.
    fn check(&mut self, page: &Page) -> Option<SignatureCheck> {
        let check = self.client.check_signature(&page.body);
        let count = match check {
            SignatureCheck::Verified => 0,
            SignatureCheck::Absent => 1,
            SignatureCheck::Mismatch => 2,
        };
        self.counts[count] += 1;
        let is_refused = check == SignatureCheck::Mismatch && self.on_mismatch == OnMismatch::Fail;
        self.refused += usize::from(is_refused);
        (!is_refused).then_some(check)
    }

    fn issue(&self) -> Option<Issue> {
        let what = format!("the signatures of {} journalled v2 answers do not hold", self.refused);
        let hint = "`--refetch` asks again; `pay_v2.on_signature_mismatch = \"record\"` takes and marks them";
        (self.refused > 0).then(|| Issue::new(IssueKind::Credentials, what).hinting(hint))
    }
}

/// The keys of a night's calls.
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

/// What v2 said, without the nonce and the signature that every answer has anew.
fn digest_of(rows: &Vouchers) -> String {
    let text = serde_json::to_vec(&(&rows.stocks, &rows.coupons)).expect("rows are plain data");
    sha256_of(&text)
}
