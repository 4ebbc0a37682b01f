//! How a secret is configured: by the name of an environment variable or of a file. Reads neither.

use crate::job::problem::Place;
use crate::job::value::Written;

/// How a secret is configured: by the name of a variable or of a file.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) env: &'a Option<Written<String>>,
    pub(super) file: &'a Option<Written<String>>,
}

impl<'a> Given<'a> {
    pub(super) fn by(env: &'a Option<Written<String>>, file: &'a Option<Written<String>>) -> Given<'a> {
        Given { env, file }
    }

    /// Whether neither key is given.
    pub(super) fn is_nowhere(self) -> bool {
        self.env.is_none() && self.file.is_none()
    }

    /// The place of the key for messages, or of the section if neither key is given.
    pub(super) fn place(self, section: &'a Place) -> &'a Place {
        self.env.as_ref().or(self.file.as_ref()).map_or(section, |written| &written.place)
    }
}
