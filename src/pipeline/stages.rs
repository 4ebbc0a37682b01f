//! The source stages as a DAG: independent stages run concurrently, and a failing one does not stop the others.
//! Their results go to the `Clerk`.

use std::collections::BTreeSet;

use super::clerk::{Answer, Clerk, is_configured};
use super::coverage;
use super::sources::Sources;
use crate::dataset::manifest::Coverage;
use crate::dataset::publish::Staging;
use crate::exports::BadRow;
use crate::extract::{
    self, Bills, Buyers, Datacube, Issue, Lookback, Night, Roster, RosterInput, Subsidies, SubsidyInput, SubsidyPlan,
    Vouchers, Wallets,
};
use crate::record::{
    Card, CouponCode, CouponEvent, OrderLine, Payment, Record, Refund, Stock, SubsidyPayment, SubsidyReturn, UserCoupon,
};
use crate::sorter::Kept;
use crate::stage::Stage;
use crate::threads;

/// What later stages need from the merchant's files and callbacks.
struct Files {
    /// Quarantined order rows.
    quarantined: Vec<BadRow>,
    ledger: Kept,
    events: Vec<CouponEvent>,
    /// Order lines of the look-back.
    lines: Lookback,
    roster: Roster,
}

/// Answers of the APIs that depend only on the files.
struct Answers {
    wallets: Answer<Wallets>,
    stocks: Answer<Vec<Stock>>,
    codes: Answer<Kept>,
    datacube: Answer<Datacube>,
    cards: Answer<Vec<Card>>,
    vouchers: Answer<Vouchers>,
}

/// Runs every source stage of the night.
pub(super) async fn run(night: &Night<'_>, staging: &Staging, rules_sha256: &str) -> Sources {
    let mut clerk = Clerk::new(night, staging, rules_sha256);
    // A bill that is already local is read on its own thread, in parallel with the orders.
    let (bills, (files, answers)) = tokio::join!(extract::extract_bills(night), async {
        let files = read_files(&mut clerk).await;
        let answers = Answers::of(night, &files).await;
        (files, answers)
    });
    let Answers { wallets, stocks, codes, datacube, cards, vouchers } = answers;
    let (plan, wallets) = take_wallets(&mut clerk, wallets, &files);
    let stocks = clerk.take(Stage::Stocks, stocks, |desk, rows| desk.stage_rows(rows));
    take_codes(&mut clerk, codes);
    let coverage = take_bills(&mut clerk, bills, &wallets, &stocks);
    clerk.take(Stage::Datacube, datacube, |desk, it: Datacube| desk.stage_datacube(&it));
    clerk.take(Stage::Cards, cards, |desk, rows| desk.stage_rows(rows));
    take_vouchers(&mut clerk, vouchers);
    ask_subsidies(&mut clerk, &plan).await;
    let coverage = clerk.without(coverage);
    let Files { quarantined, .. } = files;
    let Wallets { asked, unknown, .. } = wallets;
    Sources { coverage, quarantined, asked, unknown, ..clerk.sources }
}

impl Answers {
    /// Wallets depend on the files; MP and v2 do not.
    async fn of(night: &Night<'_>, files: &Files) -> Answers {
        let ((wallets, stocks, codes), (datacube, cards), vouchers) =
            tokio::join!(ask_wallets(night, files), ask_cards(night), extract::extract_v2_stocks(night));
        Answers { wallets, stocks, codes, datacube, cards, vouchers }
    }
}

/// Reads and stages the files of the merchant: orders, subsidy ledger, callbacks. Returns what later stages
/// need of them.
async fn read_files(clerk: &mut Clerk<'_>) -> Files {
    let night = clerk.night;
    let mut buyers = Buyers::new(night);
    let quarantined = clerk.take(Stage::Orders, extract::extract_orders(night), |desk, it| {
        let staged = desk.stage_orders(it, is_configured(night.job, Stage::Roster).then_some(&mut buyers));
        if staged.is_err() {
            // Openids are not taken from rows that do not count.
            buyers = Buyers::new(night);
        }
        staged
    });
    let ledger =
        clerk.take(Stage::SubsidyLedger, extract::extract_subsidy_ledger(night), |desk, it| desk.stage_ledger(it));
    let events = clerk.take(Stage::Notifications, extract::extract_notifications(night).await, |desk, rows| {
        desk.stage(&published_events(night, &rows));
        Ok(rows)
    });
    let lines = lookback_orders(clerk);
    let lines = clerk.without(lines);
    let sides = RosterInput {
        buyers,
        events: &events,
        is_whole: ["orders", "coupon_events"].iter().all(|side| !clerk.sources.shortfall.contains_key(*side)),
    };
    let roster = clerk.take(Stage::Roster, extract::extract_roster(night, sides), |_, roster| Ok(roster));
    Files { quarantined, ledger, events, lines, roster }
}

/// The order lines of the look-back for later stages, tonight's last.
fn lookback_orders(clerk: &Clerk<'_>) -> Result<Lookback, Issue> {
    if ![Stage::UserCoupons, Stage::Subsidies].into_iter().any(|stage| is_configured(clerk.night.job, stage)) {
        return Ok(Lookback::default());
    }
    let is_staged = clerk.sources.files.iter().any(|file| file.dataset == OrderLine::DATASET);
    let tonight = is_staged.then(|| clerk.staging.partition(OrderLine::DATASET));
    clerk.night.lookback(tonight.as_deref())
}

/// Wallets, then the stocks they show, then the code pools of those stocks.
async fn ask_wallets(night: &Night<'_>, files: &Files) -> (Answer<Wallets>, Answer<Vec<Stock>>, Answer<Kept>) {
    let wallets = extract::extract_user_coupons(night, &files.roster, &files.lines).await;
    let none = BTreeSet::new();
    let seen = wallets.as_ref().map_or(&none, |harvest| &harvest.rows.stocks);
    let stocks = extract::extract_stocks(night, seen, &files.events).await;
    let codes = match &stocks {
        Ok(harvest) => extract::extract_coupon_codes(night, &harvest.rows).await,
        Err(issue) => Err(issue.clone()),
    };
    (wallets, stocks, codes)
}

/// The datacube, then the cards it names.
async fn ask_cards(night: &Night<'_>) -> (Answer<Datacube>, Answer<Vec<Card>>) {
    let datacube = extract::extract_datacube(night).await;
    let named = datacube.iter().flat_map(|harvest| &harvest.rows.cards).map(|row| row.card_id.clone()).collect();
    (datacube, extract::extract_cards(night, &named).await)
}

/// Stages the wallets, and at the same time chooses which subsidies to request.
fn take_wallets(
    clerk: &mut Clerk<'_>,
    wallets: Answer<Wallets>,
    files: &Files,
) -> (Result<SubsidyPlan, Issue>, Wallets) {
    let night = clerk.night;
    let coupons = wallets.as_ref().map(|harvest| harvest.rows.coupons.clone()).unwrap_or_default();
    let input = SubsidyInput { coupons: &coupons, orders: &files.lines, ledger: &files.ledger };
    let stage = |clerk: &mut Clerk<'_>| {
        clerk.take(Stage::UserCoupons, wallets, |desk, it: Wallets| {
            desk.stage_kept::<UserCoupon>(&it.coupons);
            Ok(it)
        })
    };
    threads::join(|| extract::plan_subsidies(night, &input), || stage(clerk))
}

fn take_codes(clerk: &mut Clerk<'_>, codes: Answer<Kept>) {
    clerk.take(Stage::CouponCodes, codes, |desk, rows| {
        desk.stage_kept::<CouponCode>(&rows);
        Ok(())
    });
}

/// Stages the bills, and at the same time computes the wallet coverage.
fn take_bills(
    clerk: &mut Clerk<'_>,
    bills: Answer<Bills>,
    wallets: &Wallets,
    stocks: &[Stock],
) -> Result<Option<Coverage>, Issue> {
    let night = clerk.night;
    let stage = |clerk: &mut Clerk<'_>| {
        clerk.take(Stage::Bills, bills, |desk, it: Bills| {
            desk.bills = it.files;
            desk.stage_sorted::<Payment>(it.payments)?;
            desk.stage_sorted::<Refund>(it.refunds)
        });
    };
    threads::join(|| coverage::of(night, wallets, stocks), || stage(clerk)).0
}

fn take_vouchers(clerk: &mut Clerk<'_>, vouchers: Answer<Vouchers>) {
    clerk.take(Stage::V2Stocks, vouchers, |desk, it: Vouchers| {
        desk.stage(&it.stocks);
        desk.stage(&it.coupons);
        Ok(())
    });
}

/// Requests the subsidies of tonight's plan and stages them.
async fn ask_subsidies(clerk: &mut Clerk<'_>, plan: &Result<SubsidyPlan, Issue>) {
    let subsidies = match plan {
        Ok(plan) => extract::extract_subsidies(clerk.night, plan).await,
        Err(issue) => Err(issue.clone()),
    };
    clerk.take(Stage::Subsidies, subsidies, |desk, it: Subsidies| {
        desk.stage_kept::<SubsidyPayment>(&it.payments);
        desk.stage_kept::<SubsidyReturn>(&it.returns);
        Ok(())
    });
}

/// Callbacks with published openids.
fn published_events(night: &Night<'_>, events: &[CouponEvent]) -> Vec<CouponEvent> {
    let publish = |id: &Option<String>| id.as_deref().map(|id| night.persona.publish(id));
    let published =
        |it: &CouponEvent| CouponEvent { openid: publish(&it.openid), unionid: publish(&it.unionid), ..it.clone() };
    events.iter().map(published).collect()
}
