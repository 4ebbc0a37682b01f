//! From the issues of the stages to the exit code (design §2 and the rulings of §12).

use crate::api::Api;
use crate::error::ExitCode;
use crate::extract::{Issue, IssueKind};

/// How a night ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What the shell sees.
    pub code: ExitCode,
    /// Whether anything becomes visible.
    pub publish: bool,
}

/// What is known at the end of a night.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// Issues of the stages that were to run.
    pub issues: &'a [Issue],
    /// APIs of which every question failed, and how.
    pub silent_apis: &'a [(Api, IssueKind)],
    /// Whether any remote API answered.
    pub anybody_answered: bool,
    /// Whether any source stage brought its rows.
    pub anything_to_publish: bool,
}

impl Evidence<'_> {
    /// The verdict.
    ///
    /// An API of WeChat Pay of which every signature fails or that rejects every question (77), and a night in which no
    /// API answers at all (69) publish nothing: exports alone prove nothing, and a half night would hide the cause. The
    /// official account signs nothing: its figures are missing where it rejects the secret, and the rest is published (4).
    pub(super) fn verdict(&self) -> Verdict {
        let nothing = |code| Verdict { code, publish: false };
        // What the disk did not keep may seem to be a violation; a real one is one still when there is room.
        if self.has(IssueKind::Storage) {
            return nothing(ExitCode::TryLater);
        }
        if self.has(IssueKind::Violation) {
            return nothing(ExitCode::Violation);
        }
        let rejects = |(api, kind): &(Api, IssueKind)| {
            *kind == IssueKind::Credentials && (*api != Api::Mp || !self.anybody_answered)
        };
        if self.silent_apis.iter().any(rejects) {
            return nothing(ExitCode::Rejected);
        }
        let unavailable = |(_, kind): &(Api, IssueKind)| *kind == IssueKind::Unavailable;
        if !self.anybody_answered && self.silent_apis.iter().any(unavailable) {
            return nothing(ExitCode::Unavailable);
        }
        if !self.anything_to_publish && !self.issues.is_empty() {
            return nothing(self.worst());
        }
        let code = match self.issues {
            [] => ExitCode::Complete,
            issues if issues.iter().all(|issue| issue.kind == IssueKind::NotReady) => ExitCode::TryLater,
            _ => ExitCode::Partial,
        };
        Verdict { code, publish: true }
    }

    fn has(&self, kind: IssueKind) -> bool {
        self.issues.iter().any(|issue| issue.kind == kind)
    }

    /// The code of a night that brought nothing.
    fn worst(&self) -> ExitCode {
        match self.issues.iter().map(|issue| issue.kind).min() {
            Some(IssueKind::Credentials) => ExitCode::Rejected,
            Some(IssueKind::Malformed) => ExitCode::Malformed,
            Some(IssueKind::Unavailable) => ExitCode::Unavailable,
            Some(IssueKind::NotReady) => ExitCode::TryLater,
            _ => ExitCode::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kinds: &[IssueKind], silent: &[(Api, IssueKind)], answered: bool, anything: bool) -> (ExitCode, bool) {
        let issue = |kind: &IssueKind| Issue { kind: *kind, what: String::new(), hint: None };
        let issues: Vec<_> = kinds.iter().map(issue).collect();
        let evidence = Evidence {
            issues: &issues,
            silent_apis: silent,
            anybody_answered: answered,
            anything_to_publish: anything,
        };
        let verdict = evidence.verdict();
        (verdict.code, verdict.publish)
    }

    #[test]
    fn a_night_without_issues_is_complete() {
        assert_eq!(verdict(&[], &[], true, true), (ExitCode::Complete, true));
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
    fn wechat_pay_rejecting_every_question_is_77_and_the_official_account_only_if_nobody_else_answers() {
        for api in [Api::PayV3, Api::PayV2] {
            let silent = [(api, IssueKind::Credentials)];
            assert_eq!(verdict(&[IssueKind::Credentials], &silent, true, true), (ExitCode::Rejected, false));
        }
        assert_eq!(verdict(&[IssueKind::Credentials], &[], true, true), (ExitCode::Partial, true));
        let silent = [(Api::Mp, IssueKind::Credentials)];
        assert_eq!(verdict(&[IssueKind::Credentials], &silent, true, true), (ExitCode::Partial, true));
        assert_eq!(verdict(&[IssueKind::Credentials], &silent, false, true), (ExitCode::Rejected, false));
    }

    #[test]
    fn a_night_in_which_nobody_answers_is_69_and_one_api_down_is_partial() {
        let silent = [(Api::PayV3, IssueKind::Unavailable)];
        assert_eq!(verdict(&[IssueKind::Unavailable], &silent, false, true), (ExitCode::Unavailable, false));
        assert_eq!(verdict(&[IssueKind::Unavailable], &silent, true, true), (ExitCode::Partial, true));
    }

    #[test]
    fn a_malformed_export_is_65_only_when_nothing_else_came() {
        assert_eq!(verdict(&[IssueKind::Malformed], &[], false, false), (ExitCode::Malformed, false));
        assert_eq!(verdict(&[IssueKind::Malformed], &[], true, true), (ExitCode::Partial, true));
    }
}
