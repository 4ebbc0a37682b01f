//! Checks `[openlineage]`, `[metrics]` and `[webhook]`: where a night is reported. Sends nothing.

use std::path::PathBuf;

use url::Url;

use super::Checker;
use super::given::Given;
use crate::job::file::{MetricsSection, OpenlineageSection, WebhookSection};
use crate::job::host::scheme_problem;
use crate::job::problem::Place;
use crate::job::value::Section;
use crate::job::watching::{LineageSettings, Webhook};

impl Checker<'_> {
    /// `[openlineage]`.
    pub(super) fn lineage(&mut self, section: Option<&OpenlineageSection>) -> LineageSettings {
        let silent = LineageSettings::default();
        let Some(section) = section else { return silent };
        let namespace = self.text(&section.namespace).unwrap_or(silent.namespace);
        let url = section.url.as_ref().and_then(|written| self.address(&written.place, &written.value));
        let has_key = section.api_key_env.is_some() || section.api_key_file.is_some();
        let api_key = match has_key {
            true => {
                self.required_secret("api_key", section.place(), Given::by(&section.api_key_env, &section.api_key_file))
            }
            false => None,
        };
        let lone_key = section.api_key_env.as_ref().or(section.api_key_file.as_ref()).filter(|_| section.url.is_none());
        if let Some(key) = lone_key.filter(|_| !self.problems.is_told(section.place(), &["url"])) {
            self.problems.add(&key.place, format!("`{}` has no effect without `openlineage.url`", key.place.key));
        }
        LineageSettings { namespace, url: url.map(LineageSettings::endpoint), api_key }
    }

    /// `[metrics]`.
    pub(super) fn textfile(&mut self, section: &MetricsSection) -> Option<PathBuf> {
        let path = self.path(&section.textfile)?;
        if path.extension().is_none_or(|extension| extension != "prom") {
            let place = &section.textfile.as_ref()?.place;
            let text = format!("`{}` must end with `.prom`: node_exporter reads no other file", place.key);
            self.problems.add(place, text);
        }
        Some(path)
    }

    /// `[webhook]`.
    pub(super) fn webhook(&mut self, section: &WebhookSection) -> Option<Webhook> {
        let place = section.place();
        let secret = self.required_secret("url", place, Given::by(&section.url_env, &section.url_file))?;
        let place = section.url_env.as_ref().or(section.url_file.as_ref()).map_or(place, |written| &written.place);
        self.address(place, secret.expose()).map(|_| Webhook::at(secret))
    }

    /// A URL to send to. It is not repeated in a problem, as it may contain a key.
    fn address(&mut self, place: &Place, text: &str) -> Option<Url> {
        let Ok(url) = Url::parse(text.trim()) else {
            self.problems.add_with_hint(place, format!("`{}` is no URL", place.key), "such as `https://host/path`");
            return None;
        };
        let problem = scheme_problem(&url).or_else(|| {
            let has_user = !url.username().is_empty() || url.password().is_some();
            has_user.then_some("must not hold a user or a password")
        });
        match problem {
            None => Some(url),
            Some(problem) => {
                self.problems.add(place, format!("`{}` {problem}", place.key));
                None
            }
        }
    }
}
