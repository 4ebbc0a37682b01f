//! The packing in which a bill is requested, in the words of the API. Requests none itself.

/// The packing in which a bill is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TarType {
    /// `tar_type=GZIP`.
    Gzip,
    /// As it is: the parameter must be absent then (reference v3 §6 no. 29).
    Plain,
}

impl TarType {
    /// The parameter, if there is to be one.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            TarType::Gzip => Some("GZIP"),
            TarType::Plain => None,
        }
    }
}
