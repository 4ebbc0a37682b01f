//! Checks `[engine]`: the engine of a night, and whether it can reach the lake. Connects to nothing.

use std::time::Duration;

use super::Checker;
use super::given::Given;
use crate::job::engine::{EngineKind, EngineSettings, Remote, SparkSettings};
use crate::job::file::EngineSection;
use crate::job::problem::Place;
use crate::job::value::Section;
use crate::secret::Secret;

/// Default time limit of a query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3600);
/// The variable in which Spark's own clients expect the token.
const USUAL_TOKEN: &str = "SPARK_CONNECT_AUTHENTICATE_TOKEN";

impl Checker<'_> {
    /// `[engine]`; defaults to this machine.
    pub(super) fn engine(&mut self, section: Option<&EngineSection>, is_in_a_bucket: bool) -> EngineSettings {
        let Some(section) = section else { return EngineSettings::default() };
        let kinds = [("polars", EngineKind::Polars), ("spark", EngineKind::Spark)];
        let kind = self.choice(&section.kind, EngineKind::Polars, &kinds);
        let remote = self.remote(section);
        let spark = remote.map(|remote| SparkSettings {
            remote,
            shared_mount: section.shared_mount.as_ref().is_some_and(|written| written.value),
            query_timeout: self.seconds(&section.query_timeout_seconds, QUERY_TIMEOUT),
        });
        let settings = EngineSettings { kind, spark };
        let is_told = self.problems.is_told(section.place(), &["remote", "shared_mount"]);
        if let Some((problem, hint)) = settings.contradiction(is_in_a_bucket).filter(|_| !is_told) {
            let place = section.kind.as_ref().map_or(section.place(), |kind| &kind.place);
            self.problems.add_with_hint(place, format!("`engine.kind` is `spark`: {problem}"), hint);
        }
        settings
    }

    fn remote(&mut self, section: &EngineSection) -> Option<Remote> {
        let token = self.token(section);
        let Some(written) = &section.remote else {
            if !self.problems.is_told(section.place(), &["remote"]) {
                self.needless(section);
            }
            return None;
        };
        let place = &written.place;
        let remote = match Remote::parse(&written.value) {
            Ok(remote) => remote,
            Err(problem) => {
                let text = format!("`{}` {problem}", place.key);
                self.problems.add_with_hint(place, text, "such as `sc://host:15002`");
                return None;
            }
        };
        if remote.has_token() {
            self.warn_of_token(place, token.is_some());
        }
        let usual = || (self.env)(USUAL_TOKEN).filter(|token| !token.is_empty()).map(Secret::new);
        let remote = match token.or_else(|| if remote.has_token() { None } else { usual() }) {
            Some(token) => remote.with_token(token),
            None => remote,
        };
        if remote.exposes_token() {
            let text = format!("`{}`: a token must not travel in clear text to another machine", place.key);
            self.problems.add_with_hint(place, text, "end the address with `/;use_ssl=true`");
            return None;
        }
        Some(remote)
    }

    fn token(&mut self, section: &EngineSection) -> Option<Secret> {
        if section.token_env.is_none() && section.token_file.is_none() {
            return None;
        }
        self.required_secret("token", section.place(), Given::by(&section.token_env, &section.token_file))
    }

    fn warn_of_token(&mut self, place: &Place, is_given_twice: bool) {
        if is_given_twice {
            self.problems.add(place, format!("`{}` holds a token, and `engine.token_…` is given: keep one", place.key));
        }
        let advice = "write `token_env = \"NAME\"` or `token_file = \"path\"` instead";
        self.warnings.push(format!("`{}` puts a token into the job file: {advice}", place.key));
    }

    /// Keys about a cluster although there is none.
    fn needless(&mut self, section: &EngineSection) {
        let places = [
            section.token_env.as_ref().map(|it| &it.place),
            section.token_file.as_ref().map(|it| &it.place),
            section.shared_mount.as_ref().map(|it| &it.place),
            section.query_timeout_seconds.as_ref().map(|it| &it.place),
        ];
        for place in places.into_iter().flatten() {
            self.problems.add(place, format!("`{}` has no effect without `engine.remote`", place.key));
        }
    }
}
