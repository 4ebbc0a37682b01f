//! How a secret is given. Reads none.

use crate::job::problem::Place;
use crate::job::value::Written;

/// How a secret is given: by the name of a variable or of a file.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) env: &'a Option<Written<String>>,
    pub(super) file: &'a Option<Written<String>>,
}

impl<'a> Given<'a> {
    pub(super) fn by(env: &'a Option<Written<String>>, file: &'a Option<Written<String>>) -> Given<'a> {
        Given { env, file }
    }

    /// Where it is, for who complains about it; the section where it is nowhere.
    pub(super) fn place(self, section: &'a Place) -> &'a Place {
        self.env.as_ref().or(self.file.as_ref()).map_or(section, |written| &written.place)
    }
}
