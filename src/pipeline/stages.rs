//! The source stages as a DAG: independent stages run concurrently, and a failing one does not stop the others.
//! Their results go to the `StageRecorder`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::coverage;
use super::sources::Sources;
use super::stage_recorder::{Answer, StageRecorder, is_configured};
use crate::dataset::manifest::Coverage;
use crate::dataset::publish::Staging;
use crate::exports::BadRow;
use crate::extract::{
    self, Bills, Buyers, Datacube, Issue, Lookback, Night, Roster, RosterInput, Stocks, Subsidies, SubsidyInput,
    SubsidyPlan, Vouchers, Wallets,
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
    /// Why it is not known whom to ask.
    without_roster: Option<Issue>,
}

/// Answers of the APIs that depend only on the files.
struct Answers {
    wallets: Answer<Wallets>,
    stocks: Answer<Stocks>,
    codes: Answer<Kept>,
    datacube: Answer<Datacube>,
    cards: Answer<Vec<Card>>,
    vouchers: Answer<Vouchers>,
}

/// Runs every source stage of the night.
pub(super) async fn run(night: &Night<'_>, staging: &Staging, rules_sha256: &str) -> Sources {
    let mut recorder = StageRecorder::new(night, staging, rules_sha256);
    // A bill that is already local is read on its own thread, in parallel with the orders.
    let (bills, (files, answers)) = tokio::join!(extract::extract_bills(night), async {
        let files = read_files(&mut recorder).await;
        let answers = Answers::request(night, &files).await;
        (files, answers)
    });
    let Answers { wallets, stocks, codes, datacube, cards, vouchers } = answers;
    let (plan, wallets) = take_wallets(&mut recorder, wallets, &files);
    let stocks = recorder.take(Stage::Stocks, stocks, |output, it: Stocks| output.stage_rows(it.details));
    take_codes(&mut recorder, codes);
    let coverage = take_bills(&mut recorder, bills, &wallets, &stocks);
    recorder.take(Stage::Datacube, datacube, |output, it: Datacube| output.stage_datacube(&it));
    recorder.take(Stage::Cards, cards, |output, rows| output.stage_rows(rows));
    take_vouchers(&mut recorder, vouchers);
    ask_subsidies(&mut recorder, &plan).await;
    let coverage = recorder.without(coverage);
    let Files { quarantined, .. } = files;
    let Wallets { asked, unknown, .. } = wallets;
    Sources { coverage, quarantined, asked, unknown, ..recorder.sources }
}

impl Answers {
    /// Wallets depend on the files; MP and v2 do not.
    async fn request(night: &Night<'_>, files: &Files) -> Answers {
        let ((wallets, stocks, codes), (datacube, cards), vouchers) =
            tokio::join!(ask_wallets(night, files), ask_cards(night), extract::extract_v2_stocks(night));
        Answers { wallets, stocks, codes, datacube, cards, vouchers }
    }
}

/// Reads and stages the files of the merchant: orders, subsidy ledger, callbacks. Returns what later stages
/// need of them.
async fn read_files(recorder: &mut StageRecorder<'_>) -> Files {
    let night = recorder.night;
    let mut buyers = Buyers::new(night);
    let quarantined = recorder.take(Stage::Orders, extract::extract_orders(night), |output, it| {
        let staged = output.stage_orders(it, is_configured(night.job, Stage::Roster).then_some(&mut buyers));
        if staged.is_err() {
            // Openids are not taken from rows that do not count.
            buyers = Buyers::new(night);
        }
        staged
    });
    let ledger = recorder
        .take(Stage::SubsidyLedger, extract::extract_subsidy_ledger(night), |output, it| output.stage_ledger(it));
    let events = recorder.take(Stage::Notifications, extract::extract_notifications(night).await, |output, rows| {
        output.stage(&extract::published_events(night, &rows));
        Ok(rows)
    });
    let sides = RosterInput {
        buyers,
        events: &events,
        is_whole: ["orders", "coupon_events"].iter().all(|side| !recorder.sources.shortfall.contains_key(*side)),
    };
    let tonight = staged_orders(recorder);
    let (lines, roster) =
        threads::join(|| lookback_orders(night, tonight.as_deref()), || extract::extract_roster(night, sides));
    let lines = recorder.without(lines);
    let without_roster = roster.as_ref().map_or_else(Some, |harvest| harvest.issues.first()).cloned();
    let roster = recorder.take(Stage::Roster, roster, |_, roster| Ok(roster));
    Files { quarantined, ledger, events, lines, roster, without_roster }
}

/// The partition of tonight's orders, if it is staged.
fn staged_orders(recorder: &StageRecorder<'_>) -> Option<PathBuf> {
    let is_staged = recorder.sources.files.iter().any(|file| file.dataset == OrderLine::DATASET);
    is_staged.then(|| recorder.staging.partition(OrderLine::DATASET))
}

/// The order lines of the look-back for later stages, tonight's last.
fn lookback_orders(night: &Night<'_>, tonight: Option<&Path>) -> Result<Lookback, Issue> {
    match [Stage::UserCoupons, Stage::Subsidies].into_iter().any(|stage| is_configured(night.job, stage)) {
        true => night.lookback(tonight),
        false => Ok(Lookback::default()),
    }
}

/// Wallets, then the stocks they show, then the code pools of those stocks.
async fn ask_wallets(night: &Night<'_>, files: &Files) -> (Answer<Wallets>, Answer<Stocks>, Answer<Kept>) {
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
    recorder: &mut StageRecorder<'_>,
    wallets: Answer<Wallets>,
    files: &Files,
) -> (Result<SubsidyPlan, Issue>, Wallets) {
    let night = recorder.night;
    let coupons = wallets.as_ref().map(|harvest| harvest.rows.coupons.clone()).unwrap_or_default();
    let input = SubsidyInput { coupons: &coupons, orders: &files.lines, ledger: &files.ledger };
    // Without a roster nobody was asked: the rows are at most those of the last night.
    let wallets = wallets.map(|harvest| harvest.lacking(files.without_roster.as_ref()));
    let stage = |recorder: &mut StageRecorder<'_>| {
        recorder.take(Stage::UserCoupons, wallets, |output, it: Wallets| {
            output.stage_kept::<UserCoupon>(&it.coupons);
            Ok(it)
        })
    };
    threads::join(|| extract::plan_subsidies(night, &input), || stage(recorder))
}

fn take_codes(recorder: &mut StageRecorder<'_>, codes: Answer<Kept>) {
    recorder.take(Stage::CouponCodes, codes, |output, rows| {
        output.stage_kept::<CouponCode>(&rows);
        Ok(())
    });
}

/// Stages the bills, and at the same time computes the wallet coverage.
fn take_bills(
    recorder: &mut StageRecorder<'_>,
    bills: Answer<Bills>,
    wallets: &Wallets,
    stocks: &[Stock],
) -> Result<Option<Coverage>, Issue> {
    let night = recorder.night;
    let stage = |recorder: &mut StageRecorder<'_>| {
        recorder.take(Stage::Bills, bills, |output, it: Bills| {
            output.bills = it.files;
            output.stage_sorted::<Payment>(it.payments)?;
            output.stage_sorted::<Refund>(it.refunds)
        });
    };
    threads::join(|| coverage::of(night, wallets, stocks), || stage(recorder)).0
}

fn take_vouchers(recorder: &mut StageRecorder<'_>, vouchers: Answer<Vouchers>) {
    recorder.take(Stage::V2Stocks, vouchers, |output, it: Vouchers| {
        output.stage(&it.stocks);
        output.stage(&it.coupons);
        Ok(())
    });
}

/// Requests the subsidies of tonight's plan and stages them.
async fn ask_subsidies(recorder: &mut StageRecorder<'_>, plan: &Result<SubsidyPlan, Issue>) {
    let subsidies = match plan {
        Ok(plan) => extract::extract_subsidies(recorder.night, plan).await,
        Err(issue) => Err(issue.clone()),
    };
    recorder.take(Stage::Subsidies, subsidies, |output, it: Subsidies| {
        output.stage_kept::<SubsidyPayment>(&it.payments);
        output.stage_kept::<SubsidyReturn>(&it.returns);
        Ok(())
    });
    recorder.lack_choice(Stage::Subsidies, &[Stage::Orders, Stage::SubsidyLedger, Stage::UserCoupons]);
}
