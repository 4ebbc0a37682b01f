//! From the issues of the stages to the exit code (design §2 and the rulings of §12).

use crate::api::Api;
use crate::error::ExitCode;
use crate::extract::{Issue, IssueKind};

/// How a night ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The exit code of the process.
    pub(super) code: ExitCode,
    /// Whether anything is published.
    pub(super) publish: bool,
}

impl Verdict {
    /// Nothing becomes visible after all: that is no complete night, whatever its stages say.
    pub(super) fn withheld(self) -> Verdict {
        let code = if self.code == ExitCode::Complete { ExitCode::Partial } else { self.code };
        Verdict { code, publish: false }
    }
}

/// What is known at the end of a night.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    /// Issues of the selected stages.
    pub(super) issues: &'a [Issue],
    /// Issues of the stages whose rows are only matched and judged.
    pub(super) lacking: &'a [Issue],
    /// APIs of which every question failed, and how.
    pub(super) silent_apis: &'a [(Api, IssueKind)],
    /// Whether any remote API answered.
    pub(super) anybody_answered: bool,
    /// Whether any source stage produced rows.
    pub(super) anything_to_publish: bool,
    /// Whether any source stage, one that was not to run among them, brought rows to match.
    pub(super) anything_to_judge: bool,
}

impl Circumstances<'_> {
    /// The verdict.
    ///
    /// Publishes nothing if APIv3 rejects every request or if none of an API's signatures is valid (77), or if no API
    /// answers at all (69): exports alone prove nothing, and a half night would hide the cause. If only v2 or the official
    /// account platform rejects what it is asked, its figures are missing and the rest is published (4).
    pub(super) fn verdict(&self) -> Verdict {
        let nothing = |code| Verdict { code, publish: false };
        // Rows that the disk lost may look like a violation; a real violation is still one when there is space again.
        if self.has(IssueKind::Storage) {
            return nothing(ExitCode::TryLater);
        }
        if self.has(IssueKind::Violation) {
            return nothing(ExitCode::Violation);
        }
        let rejects = |(api, kind): &(Api, IssueKind)| match kind {
            IssueKind::Unverified => true,
            IssueKind::Credentials => *api == Api::PayV3 || !self.anybody_answered,
            _ => false,
        };
        if self.silent_apis.iter().any(rejects) {
            return nothing(ExitCode::Rejected);
        }
        let unavailable = |(_, kind): &(Api, IssueKind)| *kind == IssueKind::Unavailable;
        if !self.anybody_answered && self.silent_apis.iter().any(unavailable) {
            return nothing(ExitCode::Unavailable);
        }
        if !self.anything_to_publish && !self.issues.is_empty() {
            return nothing(worst(self.issues));
        }
        if !self.anything_to_judge && !self.lacking.is_empty() {
            return nothing(worst(self.lacking));
        }
        let code = match self.kinds().min() {
            None => ExitCode::Complete,
            Some(IssueKind::NotReady) => ExitCode::TryLater,
            Some(_) => ExitCode::Partial,
        };
        Verdict { code, publish: true }
    }

    /// What ledger and breaks lack is missing from them whichever run was to fetch it.
    fn kinds(&self) -> impl Iterator<Item = IssueKind> {
        self.issues.iter().chain(self.lacking).map(|issue| issue.kind)
    }

    fn has(&self, kind: IssueKind) -> bool {
        self.kinds().any(|it| it == kind)
    }
}

/// The code of a night that brought nothing.
fn worst(issues: &[Issue]) -> ExitCode {
    match issues.iter().map(|issue| issue.kind).min() {
        Some(IssueKind::Credentials | IssueKind::Unverified) => ExitCode::Rejected,
        Some(IssueKind::Malformed) => ExitCode::Malformed,
        Some(IssueKind::Unavailable) => ExitCode::Unavailable,
        Some(IssueKind::NotReady) => ExitCode::TryLater,
        _ => ExitCode::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issues(kinds: &[IssueKind]) -> Vec<Issue> {
        kinds.iter().map(|kind| Issue { kind: *kind, what: String::new(), hint: None }).collect()
    }

    /// Of a night whose stages that were not to run lack something.
    fn verdict_lacking(kinds: &[IssueKind], anything_to_judge: bool) -> (ExitCode, bool) {
        let circumstances = Circumstances {
            issues: &[],
            lacking: &issues(kinds),
            silent_apis: &[],
            anybody_answered: false,
            anything_to_publish: false,
            anything_to_judge,
        };
        let verdict = circumstances.verdict();
        (verdict.code, verdict.publish)
    }

    fn verdict(kinds: &[IssueKind], silent: &[(Api, IssueKind)], answered: bool, anything: bool) -> (ExitCode, bool) {
        let circumstances = Circumstances {
            issues: &issues(kinds),
            lacking: &[],
            silent_apis: silent,
            anybody_answered: answered,
            anything_to_publish: anything,
            anything_to_judge: anything,
        };
        let verdict = circumstances.verdict();
        (verdict.code, verdict.publish)
    }

    #[test]
    fn a_night_without_issues_is_complete() {
        assert_eq!(verdict(&[], &[], true, true), (ExitCode::Complete, true));
    }

    #[test]
    fn a_night_that_is_held_back_is_not_complete_and_keeps_any_other_code() {
        for (code, withheld) in [(ExitCode::Complete, ExitCode::Partial), (ExitCode::TryLater, ExitCode::TryLater)] {
            assert_eq!(Verdict { code, publish: true }.withheld(), Verdict { code: withheld, publish: false });
        }
    }

    #[test]
    fn a_violation_goes_before_all_and_publishes_nothing() {
        let kinds = [IssueKind::NotReady, IssueKind::Violation, IssueKind::Credentials];
        assert_eq!(verdict(&kinds, &[], true, true), (ExitCode::Violation, false));
    }

    #[test]
    fn what_the_disk_refused_is_not_published_and_is_for_later_whatever_else_seems_wrong() {
        assert_eq!(verdict(&[IssueKind::Storage], &[], true, true), (ExitCode::TryLater, false));
        assert_eq!(verdict(&[IssueKind::Violation, IssueKind::Storage], &[], true, true), (ExitCode::TryLater, false));
    }

    #[test]
    fn only_sources_not_ready_is_try_later_and_the_rest_is_published() {
        assert_eq!(verdict(&[IssueKind::NotReady], &[], true, true), (ExitCode::TryLater, true));
        assert_eq!(verdict(&[IssueKind::NotReady, IssueKind::Incomplete], &[], true, true), (ExitCode::Partial, true));
    }

    #[test]
    fn apiv3_rejecting_every_question_is_77_and_another_api_only_if_nobody_else_answers() {
        let of = |api, answered| verdict(&[IssueKind::Credentials], &[(api, IssueKind::Credentials)], answered, true);
        assert_eq!(of(Api::PayV3, true), (ExitCode::Rejected, false));
        for api in [Api::PayV2, Api::Mp] {
            assert_eq!(of(api, true), (ExitCode::Partial, true));
            assert_eq!(of(api, false), (ExitCode::Rejected, false));
        }
        assert_eq!(verdict(&[IssueKind::Credentials], &[], true, true), (ExitCode::Partial, true));
    }

    #[test]
    fn an_api_of_which_no_signature_is_valid_is_77_whoever_else_answers() {
        for api in [Api::PayV3, Api::PayV2] {
            let silent = [(api, IssueKind::Unverified)];
            assert_eq!(verdict(&[IssueKind::Unverified], &silent, true, true), (ExitCode::Rejected, false));
        }
        assert_eq!(verdict(&[IssueKind::Unverified], &[], true, true), (ExitCode::Partial, true));
    }

    #[test]
    fn a_night_in_which_nobody_answers_is_69_and_one_api_down_is_partial() {
        let silent = [(Api::PayV3, IssueKind::Unavailable)];
        assert_eq!(verdict(&[IssueKind::Unavailable], &silent, false, true), (ExitCode::Unavailable, false));
        assert_eq!(verdict(&[IssueKind::Unavailable], &silent, true, true), (ExitCode::Partial, true));
    }

    #[test]
    fn what_the_rules_lack_of_stages_that_were_not_to_run_makes_the_night_partial_too() {
        assert_eq!(verdict_lacking(&[], true), (ExitCode::Complete, true));
        assert_eq!(verdict_lacking(&[IssueKind::Incomplete], true), (ExitCode::Partial, true));
        assert_eq!(verdict_lacking(&[IssueKind::NotReady], true), (ExitCode::TryLater, true));
        assert_eq!(verdict_lacking(&[IssueKind::NotReady, IssueKind::Malformed], true), (ExitCode::Partial, true));
        assert_eq!(verdict_lacking(&[IssueKind::Violation], true), (ExitCode::Violation, false));
        assert_eq!(verdict_lacking(&[IssueKind::NotReady], false), (ExitCode::TryLater, false), "nothing to judge");
    }

    #[test]
    fn a_malformed_export_is_65_only_when_nothing_else_came() {
        assert_eq!(verdict(&[IssueKind::Malformed], &[], false, false), (ExitCode::Malformed, false));
        assert_eq!(verdict(&[IssueKind::Malformed], &[], true, true), (ExitCode::Partial, true));
    }
}
