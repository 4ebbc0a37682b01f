//! Whether each remote API answers tonight: remembered across stages, so that no later stage waits for an API that is down,
//! and the exit code can distinguish "all failed" from "some failed". An API that answers one stage is not down because it
//! fails another: one failing stage does not stop the others (design §3).

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::{Issue, IssueKind};
use crate::api::Api;
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

    /// Why `stage` should not ask: it gave the API up before, or any stage did and the API answered none.
    pub(super) fn why_down(&self, api: Api, stage: Stage) -> Option<Issue> {
        let states = self.0.lock().expect("no holder of this lock panics");
        let state = states.get(&api)?;
        let given_up = state.given_up.iter().find(|(by, _)| *by == stage || !state.answered);
        given_up.map(|(_, issue)| issue.clone())
    }

    fn change(&self, api: Api, change: impl FnOnce(&mut State)) {
        change(self.0.lock().expect("no holder of this lock panics").entry(api).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_that_answers_no_stage_is_down_for_all_and_one_that_answers_some_only_for_those_that_gave_it_up() {
        let health = Health::default();
        assert_eq!(health.why_down(Api::PayV3, Stage::Stocks), None);
        let issue = Issue::new(IssueKind::Unavailable, "it does not answer");
        health.gave_up(Api::PayV3, Stage::UserCoupons, issue.clone());
        assert_eq!(health.why_down(Api::PayV3, Stage::Stocks), Some(issue.clone()));
        assert_eq!(health.why_down(Api::Mp, Stage::Datacube), None);
        health.answered(Api::PayV3);
        assert_eq!(health.why_down(Api::PayV3, Stage::Stocks), None);
        assert_eq!(health.why_down(Api::PayV3, Stage::UserCoupons), Some(issue));
    }
}
