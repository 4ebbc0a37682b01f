//! The names of the three remote APIs. How to talk to them is in `wechat`.

/// A remote API; each has its own host, signature and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// WeChat Pay APIv3, `[pay_v3]` of the job file.
    PayV3,
    /// WeChat Pay v2, `[pay_v2]`.
    PayV2,
    /// Official account platform, `[mp]`.
    Mp,
}

impl Api {
    /// All of them.
    pub const ALL: [Api; 3] = [Api::PayV3, Api::PayV2, Api::Mp];

    /// Its section of the job file.
    pub fn section(self) -> &'static str {
        match self {
            Api::PayV3 => "pay_v3",
            Api::PayV2 => "pay_v2",
            Api::Mp => "mp",
        }
    }
}
