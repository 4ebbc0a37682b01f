//! Whether each remote API answers tonight: remembered across stages, so that no later stage waits for an API that is down,
//! and the exit code can distinguish "all failed" from "some failed".

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::{Issue, IssueKind};
use crate::api::Api;

/// The state of each API tonight.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<Api, State>>);

#[derive(Debug, Default)]
struct State {
    answered: bool,
    failed: Option<IssueKind>,
    down: Option<Issue>,
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

    pub(super) fn gave_up(&self, api: Api, issue: Issue) {
        self.change(api, |state| state.down = Some(issue));
    }

    pub(super) fn why_down(&self, api: Api) -> Option<Issue> {
        self.0.lock().expect("no holder of this lock panics").get(&api)?.down.clone()
    }

    fn change(&self, api: Api, change: impl FnOnce(&mut State)) {
        change(self.0.lock().expect("no holder of this lock panics").entry(api).or_default());
    }
}
