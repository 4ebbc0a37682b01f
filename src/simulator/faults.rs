//! Faults to play, from a scenario file. Chosen by counters, never by chance: the same requests in
//! the same order meet the same faults. Requests that are refused anyway meet none.
//!
//! ```toml
//! [[fault]]
//! path = "/v3/marketing/busifavor/users/"   # template, or the beginning of a template or path
//! kind = "429"
//! first = 2                                 # the first two requests …
//! [[fault]]
//! path = "/cgi-bin/"
//! kind = "errcode"
//! value = -1
//! every = 10                                # … each tenth …
//! times = 3                                 # … three times at most
//! ```

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A scenario file: a list of `[[fault]]`, and optionally the expected result of a night with them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The faults; the first that applies to a request is used.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// The expected result of a night with these faults, for the test that runs them; ignored by the server.
    #[serde(default)]
    pub expect: Option<toml::Table>,
}

/// One `[[fault]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Path template, or the beginning of a template or of a path.
    pub path: String,
    /// What goes wrong.
    pub kind: Kind,
    /// Only among the first n requests to the path.
    #[serde(default)]
    pub first: Option<u64>,
    /// Only each n-th request to the path.
    #[serde(default)]
    pub every: Option<u64>,
    /// At most so many times.
    #[serde(default)]
    pub times: Option<u64>,
    /// How long a `slow` answer takes, or each byte of a `drip`.
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// Text or whole number: the code of `errcode`, the state of `unknown_state`, the place a
    /// `redirect` points to.
    #[serde(default)]
    pub value: Option<toml::Value>,
}

impl Fault {
    /// `value` as text.
    pub(super) fn value_text(&self) -> Option<String> {
        match self.value.as_ref()? {
            toml::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// Declares what can go wrong, each with its name in a scenario.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl Kind {
            /// The name in a scenario.
            pub(super) fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// 429 FREQUENCY_LIMITED.
    TooManyRequests = "429",
    /// 500 SYSTEM_ERROR.
    InternalError = "500",
    /// 502 with an HTML page of a gateway.
    BadGateway = "502_html",
    /// The connection closes in the middle of the body.
    Reset = "reset",
    /// The answer takes `delay_ms`.
    Slow = "slow",
    /// The signature belongs to another body.
    WrongSignature = "wrong_signature",
    /// A signature probe (reference v3 §1.5).
    ProbeSignature = "probe_signature",
    /// No signature at all.
    MissingSignature = "missing_signature",
    /// A timestamp ten minutes old, with a valid signature.
    SkewedTimestamp = "skewed_timestamp",
    /// 400 SYSTEM_ERROR, as busifavor may answer (reference v3 §1.9).
    SystemError400 = "system_error_400",
    /// The page starts one row later than requested: a row is lost between two pages.
    ShiftedPage = "shifted_page",
    /// The page before the requested one.
    DuplicatePage = "duplicate_page",
    /// `total_count` one too high.
    WrongTotal = "wrong_total",
    /// At most 20 rows, and a total that knows of no others.
    ClampedPage = "clamped_page",
    /// No rows, though there are some.
    MissingData = "missing_data",
    /// Pages never end.
    Endless = "endless",
    /// The MP token has expired before its time (42001).
    ExpiredToken = "expired_token",
    /// The business code `value`: MP `errcode`, v2 `err_code`, v3 `code` with status 400.
    Errcode = "errcode",
    /// 302 to `value`, or to a host that is not WeChat's.
    Redirect = "redirect",
    /// States and statuses have the unknown value `value`.
    UnknownState = "unknown_state",
    /// The source is not ready: STATEMENT_CREATING, errcode 61503, `No Bill Exist`.
    NotReady = "not_ready",
    /// The body comes byte by byte, one each `delay_ms`.
    Drip = "drip",
    /// The body is padded to `value` bytes, 100 MB unless told otherwise.
    HugeBody = "huge_body",
    /// A hundred thousand nested lists.
    DeepJson = "deep_json",
    /// A byte that is invalid in UTF-8.
    InvalidUtf8 = "invalid_utf8",
    /// Every object has unknown fields.
    UnknownFields = "unknown_fields",
    /// Fields of stocks and coupons that decide nothing have another shape than documented.
    OddShapes = "odd_shapes",
    /// A list omits the return and the deactivation of a coupon; the single query has them (reference v3 §6, 23).
    LeanList = "lean_list",
    /// A receipt says that it failed.
    FailedReceipts = "failed_receipts",
    /// Every number is larger than 64 bits.
    HugeNumbers = "huge_numbers",
    /// Every amount is negative.
    NegativeAmounts = "negative_amounts",
    /// A page with neither rows nor a total.
    BarePage = "bare_page",
    /// Pages with ever new rows, a thousand million of them.
    EverNew = "ever_new",
    /// XML that references a file of the reader's machine.
    XmlExternalEntity = "xml_external_entity",
    /// XML whose entities multiply.
    XmlBillionLaughs = "xml_billion_laughs",
    /// A download that unzips to `value` megabytes of zeros, 256 by default.
    GzipBomb = "gzip_bomb",
    /// A body that begins with a byte order mark.
    ByteOrderMark = "byte_order_mark",
    /// A body that ends with `value` zeros, 512 by default.
    ZeroPadding = "zero_padding",
    /// A body that somebody on the way zipped, under the `Content-Encoding` of `value`, `gzip, identity` by default.
    ZippedOnTheWay = "zipped_on_the_way",
    /// A download URL on a host that is not WeChat's.
    ForeignDownload = "foreign_download",
    /// Platform certificates with an invalid tag.
    WrongTag = "wrong_tag",
    /// From this answer on, another platform certificate signs.
    KeyRotation = "key_rotation",
}

/// Why a scenario is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("scenario `{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a scenario.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// A fault contradicts itself or lacks something.
    #[error("fault {number} of the scenario: {problem}")]
    Fault {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Scenario {
    /// Reads a scenario file.
    pub fn read(path: &Path) -> Result<Scenario, ScenarioError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        text.parse()
    }
}

impl std::str::FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        for (position, fault) in scenario.faults.iter().enumerate() {
            check(fault).map_err(|problem| ScenarioError::Fault { number: position + 1, problem })?;
        }
        Ok(scenario)
    }
}

/// The parser's own message repeats the line and takes several of them.
fn syntax(text: &str, error: &toml::de::Error) -> ScenarioError {
    let before = &text[..error.span().map_or(0, |span| span.start)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    ScenarioError::Syntax { line, column, problem: error.message().trim().replace('\n', ", ") }
}

fn check(fault: &Fault) -> Result<(), &'static str> {
    let has_text_or_number = matches!(fault.value, None | Some(toml::Value::String(_) | toml::Value::Integer(_)));
    let takes_time = matches!(fault.kind, Kind::Slow | Kind::Drip);
    let problems = [
        (!fault.path.starts_with('/'), "`path` must begin with `/`"),
        ([fault.first, fault.every, fault.times].contains(&Some(0)), "`first`, `every` and `times` count from 1"),
        (takes_time && fault.delay_ms.is_none(), "`slow` and `drip` need `delay_ms`"),
        (!takes_time && fault.delay_ms.is_some(), "only `slow` and `drip` take `delay_ms`"),
        (fault.kind == Kind::Errcode && fault.value.is_none(), "`errcode` needs `value`"),
        (!has_text_or_number, "`value` must be a text or a whole number"),
    ];
    problems.iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, problem)| Err(problem))
}

/// A scenario in progress: how often each fault's path was requested, and how often the fault was applied.
#[derive(Debug)]
pub(super) struct Player {
    faults: Vec<Played>,
    /// Targets that were answered with a probe: the repeated request is answered properly (reference v3 §1.5).
    probed: HashSet<String>,
}

#[derive(Debug)]
struct Played {
    fault: Fault,
    asked: u64,
    times: u64,
}

impl Player {
    /// Starts a scenario.
    pub(super) fn new(scenario: Scenario) -> Player {
        let faults = scenario.faults.into_iter().map(|fault| Played { fault, asked: 0, times: 0 }).collect();
        Player { faults, probed: HashSet::new() }
    }

    /// The fault for a request to `target`, if any. Every fault whose path matches counts the request, even if an
    /// earlier one is applied.
    pub(super) fn choose(&mut self, template: &str, target: &str) -> Option<Fault> {
        let path = target.split('?').next().unwrap_or(target);
        let mut chosen: Option<&mut Played> = None;
        for played in self.faults.iter_mut().filter(|played| is_path(&played.fault.path, template, path)) {
            played.asked += 1;
            if chosen.is_none() && played.is_due() {
                chosen = Some(played);
            }
        }
        let chosen = chosen?;
        if chosen.fault.kind == Kind::ProbeSignature && !self.probed.insert(target.to_owned()) {
            return None;
        }
        chosen.times += 1;
        Some(chosen.fault.clone())
    }
}

impl Played {
    fn is_due(&self) -> bool {
        self.fault.first.is_none_or(|first| self.asked <= first)
            && self.fault.every.is_none_or(|every| self.asked.is_multiple_of(every))
            && self.fault.times.is_none_or(|times| self.times < times)
    }
}

fn is_path(wanted: &str, template: &str, path: &str) -> bool {
    template == wanted || template.starts_with(wanted) || path.starts_with(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Scenario {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> String {
        text.parse::<Scenario>().unwrap_err().to_string()
    }

    fn times_of(player: &mut Player, requests: usize) -> Vec<usize> {
        (1..=requests).filter(|_| player.choose("/a/{id}", "/a/1").is_some()).collect()
    }

    #[test]
    fn a_kind_is_spelled_as_it_prints() {
        for kind in ["429", "500", "502_html", "system_error_400", "odd_shapes", "key_rotation"] {
            let scenario = scenario(&format!("[[fault]]\npath = \"/\"\nkind = \"{kind}\""));
            assert_eq!(scenario.faults[0].kind.as_str(), kind);
        }
        let scenario =
            scenario("[[fault]]\npath='/'\nkind='slow'\ndelay_ms=5\n[[fault]]\npath='/'\nkind='errcode'\nvalue=-1");
        assert_eq!(scenario.faults[0].kind.as_str(), "slow");
        assert_eq!(scenario.faults[1].value_text().as_deref(), Some("-1"));
    }

    #[test]
    fn unknown_keys_and_kinds_are_errors() {
        assert!(refused("[[fault]]\npath='/'\nkind='429'\nfirts=1").contains("firts"));
        assert!(refused("[[fault]]\npath='/'\nkind='418'").contains("418"));
        assert!(refused("[[faults]]\npath='/'\nkind='429'").contains("faults"));
    }

    #[test]
    fn what_is_not_understood_is_told_once_in_one_line_with_its_place() {
        let error = "fault = [{path='/中', kind='nonsense'}]".parse::<Scenario>().unwrap_err();
        let told = error.to_string();
        assert!(told.starts_with("line 1, column 27: unknown variant `nonsense`, expected one of `429`"), "{told}");
        assert!(!told.contains('\n') && std::error::Error::source(&error).is_none(), "{told}");
        let told = refused("[[fault]]\npath='/'\nfirts=1");
        assert!(told.starts_with("line 3, column 1: unknown field `firts`"), "{told}");
    }

    #[test]
    fn faults_that_make_no_sense_are_named_with_their_number() {
        let good = "[[fault]]\npath='/'\nkind='429'\n";
        let cases = [
            ("path='x'\nkind='429'", "`path` must begin"),
            ("path='/'\nkind='429'\nevery=0", "count from 1"),
            ("path='/'\nkind='slow'", "need `delay_ms`"),
            ("path='/'\nkind='429'\ndelay_ms=1", "only `slow`"),
            ("path='/'\nkind='errcode'", "needs `value`"),
            ("path='/'\nkind='errcode'\nvalue=true", "whole number"),
        ];
        for (fault, problem) in cases {
            let message = refused(&format!("{good}[[fault]]\n{fault}"));
            assert!(message.starts_with("fault 2 of the scenario") && message.contains(problem), "{message}");
        }
    }

    #[test]
    fn a_missing_scenario_file_is_named() {
        let message = Scenario::read(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
        assert_eq!(message, "scenario `/nowhere/x.toml` cannot be read");
    }

    #[test]
    fn a_fault_without_conditions_is_always_played() {
        let mut player = Player::new(scenario("[[fault]]\npath='/a'\nkind='500'"));
        assert_eq!(times_of(&mut player, 3), [1, 2, 3]);
    }

    #[test]
    fn first_every_and_times_narrow_a_fault_down() {
        let play = |conditions: &str| {
            let text = format!("[[fault]]\npath='/a'\nkind='500'\n{conditions}");
            times_of(&mut Player::new(scenario(&text)), 8)
        };
        assert_eq!(play("first=2"), [1, 2]);
        assert_eq!(play("every=3"), [3, 6]);
        assert_eq!(play("times=1"), [1]);
        assert_eq!(play("every=2\nfirst=5"), [2, 4]);
        assert_eq!(play("every=2\ntimes=1"), [2]);
    }

    #[test]
    fn a_path_is_a_template_or_a_beginning() {
        let mut player = Player::new(scenario("[[fault]]\npath='/a/{id}'\nkind='500'"));
        assert!(player.choose("/a/{id}", "/a/1").is_some());
        assert!(player.choose("/b", "/b").is_none());
        let mut player = Player::new(scenario("[[fault]]\npath='/a/1'\nkind='500'"));
        assert!(player.choose("/a/{id}", "/a/1").is_some());
        assert!(player.choose("/a/{id}", "/a/2").is_none());
    }

    #[test]
    fn a_probed_request_is_not_probed_again() {
        let mut player = Player::new(scenario("[[fault]]\npath='/a'\nkind='probe_signature'"));
        let asked = ["/a?offset=0", "/a?offset=0", "/a?offset=20", "/a?offset=0"];
        assert_eq!(asked.map(|target| player.choose("/a", target).is_some()), [true, false, true, false]);
    }

    #[test]
    fn the_first_due_fault_wins_and_the_others_keep_counting() {
        let mut player = Player::new(scenario(
            "[[fault]]\npath='/a'\nkind='429'\nfirst=1\n[[fault]]\npath='/a'\nkind='500'\nfirst=2",
        ));
        let kinds: Vec<_> = (0..3).map(|_| player.choose("/a", "/a").map(|fault| fault.kind)).collect();
        assert_eq!(kinds, [Some(Kind::TooManyRequests), Some(Kind::InternalError), None]);
    }
}
