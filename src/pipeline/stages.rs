//! The source stages as a DAG: independent ones at once, one failing does not stop the others. What
//! each brings is staged; what it lacks is remembered for the rules and the exit code.

use std::collections::{BTreeMap, BTreeSet};

use super::coverage;
use super::desk::Desk;
use super::entries::rows_of;
use super::provenance::digest_parts;
use crate::dataset::manifest::{Coverage, Intake, StageEntry};
use crate::dataset::partition::Provenance;
use crate::dataset::publish::Staging;
use crate::dataset::staged::StagedFile;
use crate::dataset::status::StageStatus;
use crate::exports::BadRow;
use crate::extract::{
    self, Bills, Buyers, Datacube, Harvest, Issue, IssueKind, Lookback, Night, Roster, RosterInput, Subsidies,
    SubsidyInput, Vouchers, Wallets,
};
use crate::fingerprints::Fingerprints;
use crate::record::{
    Card, CouponCode, CouponEvent, OrderLine, Payment, Record, Refund, Stock, SubsidyPayment, SubsidyReturn, UserCoupon,
};
use crate::sorter::Kept;
use crate::stage::Stage;
use crate::threads::at_once;

/// What the source stages of a night brought.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Staged partitions.
    pub(super) files: Vec<StagedFile>,
    /// Manifest entries, in the order in which stages ended.
    pub(super) entries: Vec<StageEntry>,
    /// Why datasets are missing or partial.
    pub(super) shortfall: BTreeMap<String, String>,
    /// Every issue of a stage that was to run.
    pub(super) issues: Vec<Issue>,
    /// Control totals of what was read and staged.
    pub(super) intake: Vec<Intake>,
    /// How much of the wallets was verified lately.
    pub(super) coverage: Option<Coverage>,
    /// Order rows put aside.
    pub(super) quarantined: Vec<BadRow>,
    /// Digests of what the rows were made of.
    pub(super) inputs: BTreeMap<String, String>,
    /// Published openids of wallets asked and settled tonight.
    pub(super) asked: Fingerprints,
    /// (published openid, code) unknown to the single query.
    pub(super) unknown: Fingerprints,
}

/// What the merchant's files and callbacks leave for the stages to come.
struct Files {
    /// Order rows put aside.
    quarantined: Vec<BadRow>,
    ledger: Kept,
    events: Vec<CouponEvent>,
    /// Order lines of the look-back.
    lines: Lookback,
    roster: Roster,
}

/// Runs every source stage of the night.
pub(super) async fn run(night: &Night<'_>, staging: &Staging, rules_sha256: &str) -> Sources {
    let mut clerk = Clerk { night, staging, rules_sha256, sources: Sources::default() };
    // The wallets need the exports; bill, MP and v2 need nothing of each other. A bill that is here already is read on a
    // thread of its own, beside the orders.
    let (bills, (files, ((wallets, stocks, codes), (datacube, cards), vouchers))) =
        tokio::join!(extract::extract_bills(night), async {
            let files = read_files(&mut clerk).await;
            let answers = tokio::join!(ask_wallets(night, &files), ask_cards(night), extract::extract_v2_stocks(night));
            (files, answers)
        });
    let coupons = wallets.as_ref().map(|harvest| harvest.rows.coupons.clone()).unwrap_or_default();
    let input = SubsidyInput { coupons: &coupons, orders: &files.lines, ledger: &files.ledger };
    let (plan, wallets) = at_once(
        || extract::plan_subsidies(night, &input),
        || {
            clerk.take(Stage::UserCoupons, wallets, |desk, it: Wallets| {
                desk.stage_kept::<UserCoupon>(&it.coupons);
                Ok(it)
            })
        },
    );
    let stocks = clerk.take(Stage::Stocks, stocks, |desk, rows| desk.stage_rows(rows));
    clerk.take(Stage::CouponCodes, codes, |desk, rows| {
        desk.stage_kept::<CouponCode>(&rows);
        Ok(())
    });
    let (coverage, ()) = at_once(
        || coverage::of(night, &wallets, &stocks),
        || {
            clerk.take(Stage::Bills, bills, |desk, it: Bills| {
                desk.stage_sorted::<Payment>(it.payments)?;
                desk.stage_sorted::<Refund>(it.refunds)
            })
        },
    );
    clerk.take(Stage::Datacube, datacube, |desk, it: Datacube| desk.stage_datacube(&it));
    clerk.take(Stage::Cards, cards, |desk, rows| desk.stage_rows(rows));
    clerk.take(Stage::V2Stocks, vouchers, |desk, it: Vouchers| {
        desk.stage(&it.stocks);
        desk.stage(&it.coupons);
        Ok(())
    });

    let subsidies = match &plan {
        Ok(plan) => extract::extract_subsidies(night, plan).await,
        Err(issue) => Err(issue.clone()),
    };
    clerk.take(Stage::Subsidies, subsidies, |desk, it: Subsidies| {
        desk.stage_kept::<SubsidyPayment>(&it.payments);
        desk.stage_kept::<SubsidyReturn>(&it.returns);
        Ok(())
    });
    let coverage = coverage.unwrap_or_else(|issue| {
        clerk.sources.issues.push(issue);
        None
    });
    Sources {
        coverage,
        quarantined: files.quarantined,
        asked: wallets.asked,
        unknown: wallets.unknown,
        ..clerk.sources
    }
}

/// Reads and stages what the merchant has: orders, ledger, callbacks. Gives what is asked for by it.
async fn read_files(clerk: &mut Clerk<'_>) -> Files {
    let night = clerk.night;
    let mut buyers = Buyers::new(night);
    let quarantined = clerk.take(Stage::Orders, extract::extract_orders(night), |desk, it| {
        let staged = desk.stage_orders(it, is_configured(night, Stage::Roster).then_some(&mut buyers));
        if staged.is_err() {
            // Lines that do not count name nobody.
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
    let lines = clerk.lookback_orders().unwrap_or_else(|issue| {
        clerk.sources.issues.push(issue);
        Lookback::default()
    });
    let sides = RosterInput {
        buyers,
        events: &events,
        is_whole: ["orders", "coupon_events"].iter().all(|side| !clerk.sources.shortfall.contains_key(*side)),
    };
    let roster = clerk.take(Stage::Roster, extract::extract_roster(night, sides), |_, roster| Ok(roster));
    Files { quarantined, ledger, events, lines, roster }
}

type Answer<T> = Result<Harvest<T>, Issue>;

/// Wallets, then the stocks they show, then the pools of those stocks.
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

/// Books what stages say and stages what they bring.
struct Clerk<'a> {
    night: &'a Night<'a>,
    staging: &'a Staging,
    rules_sha256: &'a str,
    sources: Sources,
}

impl Clerk<'_> {
    /// Books the outcome of a stage; gives what it leaves for others, or nothing.
    fn take<T, U: Default>(
        &mut self,
        stage: Stage,
        answer: Answer<T>,
        write: impl FnOnce(&mut Desk<'_>, T) -> Result<U, Issue>,
    ) -> U {
        if !is_configured(self.night, stage) {
            self.sources.entries.push(StageEntry::new(stage, StageStatus::Skipped));
            return U::default();
        }
        let taken = answer.and_then(|harvest| self.take_harvest(stage, harvest, write));
        taken.unwrap_or_else(|issue| {
            self.fall_short(stage, &[issue]);
            U::default()
        })
    }

    fn take_harvest<T, U>(
        &mut self,
        stage: Stage,
        harvest: Harvest<T>,
        write: impl FnOnce(&mut Desk<'_>, T) -> Result<U, Issue>,
    ) -> Result<U, Issue> {
        let Harvest { rows, mut issues, notes, intake, inputs } = harvest;
        let mut parts: BTreeMap<_, _> = inputs.into_iter().collect();
        let provenance = self.provenance(stage, &parts);
        let mut desk = Desk::new(self.staging, self.night.persona, provenance, (intake, notes));
        let left = write(&mut desk, rows)?;
        self.sources.inputs.append(&mut parts);
        issues.append(&mut desk.issues);
        let is_kept = issues.iter().all(|issue| issue.kind != IssueKind::Storage);
        // What the disk refused is missing from what was staged: that nothing foots then is no second fault.
        issues.extend(self.book(std::mem::take(&mut desk.intake), &desk).filter(|_| is_kept));
        let brought = desk.files.iter().map(|file| file.rows).sum::<u64>();
        if !issues.is_empty() {
            self.fall_short(stage, &issues);
            // Nothing at all and a reason why: that is no empty day.
            if brought == 0 {
                return Ok(left);
            }
        }
        let short = self.sources.entries.pop_if(|entry| entry.is(stage));
        let mut entry = short.unwrap_or_else(|| StageEntry::new(stage, StageStatus::Complete));
        if !issues.is_empty() {
            entry.status = StageStatus::Partial;
        }
        entry.rows = rows_of(&desk.files);
        entry.notes = desk.notes;
        self.count_requests(stage, &mut entry);
        self.sources.entries.push(entry);
        self.sources.files.append(&mut desk.files);
        Ok(left)
    }

    /// The order lines of the look-back that a stage to come works with, tonight's last.
    fn lookback_orders(&self) -> Result<Lookback, Issue> {
        if !is_configured(self.night, Stage::UserCoupons) && !is_configured(self.night, Stage::Subsidies) {
            return Ok(Lookback::default());
        }
        let is_staged = self.sources.files.iter().any(|file| file.dataset == OrderLine::DATASET);
        let tonight = is_staged.then(|| self.staging.partition(OrderLine::DATASET));
        self.night.lookback(tonight.as_deref())
    }

    /// Holds what a stage read against what was staged.
    fn book(&mut self, intake: Vec<Intake>, desk: &Desk<'_>) -> Option<Issue> {
        for mut side in intake {
            let staged = desk.files.iter().filter(|file| file.dataset == side.dataset);
            side.published = staged.map(|file| file.rows).sum();
            side.published_fen = desk.totals.get(side.dataset.as_str()).copied().unwrap_or_default();
            if !side.holds() {
                return Some(Issue::violation(format!("what was read does not foot with what is published: {side}")));
            }
            self.sources.intake.push(side);
        }
        None
    }

    fn fall_short(&mut self, stage: Stage, issues: &[Issue]) {
        let why = issues.iter().map(|issue| issue.what.as_str()).collect::<Vec<_>>().join("; ");
        for dataset in wanted_by(stage) {
            self.sources.shortfall.insert((*dataset).to_owned(), why.clone());
        }
        let mut entry = StageEntry::new(stage, StageStatus::Failed);
        self.count_requests(stage, &mut entry);
        entry.why = Some(why);
        self.sources.entries.push(entry);
        if self.night.selected.is_none_or(|selected| selected.contains(&stage)) {
            self.sources.issues.extend_from_slice(issues);
        }
    }

    fn provenance(&self, stage: Stage, parts: &BTreeMap<String, String>) -> Provenance {
        let mut parts = parts.clone();
        parts.insert("job".to_owned(), self.night.job.fingerprint.clone());
        parts.insert("stage".to_owned(), stage.to_string());
        Provenance { rules_sha256: self.rules_sha256.to_owned(), inputs_sha256: digest_parts(&parts) }
    }

    fn count_requests(&self, stage: Stage, entry: &mut StageEntry) {
        if let Ok(journal) = self.night.journal.stage(stage.as_str()) {
            let flow = journal.flow();
            entry.requests = flow.fetched;
            entry.from_journal = flow.found;
            entry.retries = self.night.apis.retries.of(stage);
        }
    }
}

/// The datasets that fall short with a stage: a wallet that is not on the roster is not asked.
pub(super) fn wanted_by(stage: Stage) -> &'static [&'static str] {
    match stage {
        Stage::Roster => Stage::UserCoupons.datasets(),
        stage => stage.datasets(),
    }
}

/// Whether the job has the source of a stage.
pub(super) fn is_configured(night: &Night<'_>, stage: Stage) -> bool {
    let job = night.job;
    match stage {
        Stage::Orders => !job.orders.is_empty(),
        Stage::Bills => job.bills.is_some(),
        Stage::SubsidyLedger => job.subsidy_ledger.is_some(),
        Stage::Notifications => job.notification_spool.is_some(),
        Stage::Roster | Stage::UserCoupons => job.wallets.is_some() && job.pay_v3.is_some(),
        Stage::Stocks | Stage::CouponCodes | Stage::Subsidies => job.pay_v3.is_some(),
        Stage::Datacube | Stage::Cards => job.mp.is_some(),
        Stage::V2Stocks => job.pay_v2.is_some(),
        Stage::Reconcile | Stage::Report => false,
    }
}

/// Callbacks as they are published.
fn published_events(night: &Night<'_>, events: &[CouponEvent]) -> Vec<CouponEvent> {
    let publish = |id: &Option<String>| id.as_deref().map(|id| night.persona.publish(id));
    let published =
        |it: &CouponEvent| CouponEvent { openid: publish(&it.openid), unionid: publish(&it.unionid), ..it.clone() };
    events.iter().map(published).collect()
}
