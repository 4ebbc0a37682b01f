//! Whether each remote API answers tonight: remembered across stages, so that no later stage waits for an API that is down,
//! and the exit code can distinguish "all failed" from "some failed". An API is not down because it fails one stage: one
//! failing stage does not stop the others (design §3), whichever of them asks first.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;

use super::{Issue, IssueKind};
use crate::api::Api;
use crate::http::retrying_briefly;
use crate::stage::Stage;

/// The state of each API tonight.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<Api, State>>);

#[derive(Debug, Default)]
struct State {
    answered: bool,
    failed: Option<IssueKind>,
    /// The stages that gave it up, and why.
    given_up: Vec<(Stage, Issue)>,
}

/// What a stage may expect of an API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It answers, or nobody knows better.
    Up,
    /// Another stage gave it up, and it has answered none.
    Doubtful,
    /// The stage itself gave it up.
    Down(Issue),
}

impl Standing {
    /// Makes `calls`; those to an API that is doubtful are retried no longer than a single attempt may take. It may be down,
    /// and is not waited for twice; but one fault that passes must not cost a stage.
    pub(super) async fn try_calls<F: Future>(&self, calls: F) -> F::Output {
        if *self == Standing::Doubtful { retrying_briefly(calls).await } else { calls.await }
    }
}

impl Health {
    /// The APIs of which every request of the night failed, and how the first one failed.
    pub fn silent(&self) -> Vec<(Api, IssueKind)> {
        let states = self.0.lock().expect("no holder of this lock panics");
        let silent = states.iter().filter(|(_, state)| !state.answered);
        silent.filter_map(|(api, state)| state.failed.map(|kind| (*api, kind))).collect()
    }

    /// Whether any API answered a request tonight.
    pub fn anybody_answered(&self) -> bool {
        self.0.lock().expect("no holder of this lock panics").values().any(|state| state.answered)
    }

    pub(super) fn answered(&self, api: Api) {
        self.change(api, |state| state.answered = true);
    }

    pub(super) fn failed(&self, api: Api, issue: &Issue) {
        self.change(api, |state| {
            state.failed.get_or_insert(issue.kind);
        });
    }

    pub(super) fn gave_up(&self, api: Api, stage: Stage, issue: Issue) {
        self.change(api, |state| state.given_up.push((stage, issue)));
    }

    /// What `stage` may expect of an API.
    pub(super) fn standing(&self, api: Api, stage: Stage) -> Standing {
        let states = self.0.lock().expect("no holder of this lock panics");
        let Some(state) = states.get(&api) else { return Standing::Up };
        match state.given_up.iter().find(|(by, _)| *by == stage) {
            Some((_, issue)) => Standing::Down(issue.clone()),
            None if state.answered || state.given_up.is_empty() => Standing::Up,
            None => Standing::Doubtful,
        }
    }

    fn change(&self, api: Api, change: impl FnOnce(&mut State)) {
        change(self.0.lock().expect("no holder of this lock panics").entry(api).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_that_a_stage_gave_up_is_down_for_it_and_doubtful_for_the_others_until_it_answers_one() {
        let health = Health::default();
        assert_eq!(health.standing(Api::PayV3, Stage::Stocks), Standing::Up);
        let issue = Issue::new(IssueKind::Unavailable, "it does not answer");
        health.gave_up(Api::PayV3, Stage::UserCoupons, issue.clone());
        assert_eq!(health.standing(Api::PayV3, Stage::UserCoupons), Standing::Down(issue.clone()));
        assert_eq!(health.standing(Api::PayV3, Stage::Stocks), Standing::Doubtful);
        assert_eq!(health.standing(Api::Mp, Stage::Datacube), Standing::Up);
        health.answered(Api::PayV3);
        assert_eq!(health.standing(Api::PayV3, Stage::Stocks), Standing::Up);
        assert_eq!(health.standing(Api::PayV3, Stage::UserCoupons), Standing::Down(issue));
    }
}
