//! The errors of a cluster, without any secret of its address.

use arrow::error::ArrowError;

/// Maximum length of a server's answer in a message.
const LONGEST_ANSWER: usize = 700;

/// Why a cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum SparkError {
    /// Nothing listens at the address, or no longer.
    #[error("nobody answers at {remote}: {why}")]
    Unreachable {
        /// `sc://host:port`.
        remote: String,
        /// The error of the system.
        why: String,
    },
    /// The server's identity cannot be verified.
    #[error("the certificate of {remote} is not trusted: {why}")]
    Untrusted {
        /// `sc://host:port`.
        remote: String,
        /// The reason.
        why: String,
    },
    /// The server refuses access.
    #[error("{remote} refuses access: {why}")]
    Denied {
        /// `sc://host:port`.
        remote: String,
        /// The answer of the server.
        why: String,
    },
    /// A call exceeded the time limit of the job and was interrupted.
    #[error("`{what}` did not end on {remote} within {seconds} s and was interrupted")]
    Late {
        /// `sc://host:port`.
        remote: String,
        /// Rule, view or setting.
        what: String,
        /// `engine.query_timeout_seconds`.
        seconds: u64,
    },
    /// The answer came so late that it may be incomplete.
    #[error(
        "`{what}` took longer than {remote} keeps the stream of an answer open ({seconds} s): the answer may be incomplete"
    )]
    Cut {
        /// `sc://host:port`.
        remote: String,
        /// Rule, view or setting.
        what: String,
        /// The server's limit.
        seconds: u64,
    },
    /// The server failed.
    #[error("`{what}` failed on {remote}: {why}")]
    Failed {
        /// `sc://host:port`.
        remote: String,
        /// Rule, view or setting.
        what: String,
        /// The answer of the server.
        why: String,
        /// Whether the query itself is wrong, so that repeating it would not help.
        is_of_the_query: bool,
    },
    /// The returned rows are not valid Arrow.
    #[error("the rows of `{what}` cannot be read")]
    Unreadable {
        /// Rule, view or dataset.
        what: String,
        /// What is wrong with them.
        source: ArrowError,
    },
}

/// The part of a server's answer with the reason: plans and stack traces follow it.
pub(super) fn gist(answer: &str) -> String {
    let lines = answer.lines().map(str::trim_end).take_while(|line| !is_beyond(line));
    let gist = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let gist = without_echo(&gist);
    match gist.char_indices().nth(LONGEST_ANSWER) {
        Some((end, _)) => format!("{}…", &gist[..end]),
        None => gist.to_owned(),
    }
}

/// Spark's client puts the class of an error before a message that already starts with it.
fn without_echo(gist: &str) -> &str {
    let class = gist.find("] ").map_or("", |end| &gist[..end + 2]);
    gist.strip_prefix(class).filter(|rest| !class.is_empty() && rest.starts_with(class)).unwrap_or(gist)
}

fn is_beyond(line: &str) -> bool {
    ["== ", "'", "+-", ":-", "JVM stacktrace", "\tat "].iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_is_told_what_stands_before_the_plan() {
        let answer =
            "[UNRESOLVED_COLUMN] no column `x`. SQLSTATE: 42703; line 1 pos 7;\n'Project ['x]\n+- OneRowRelation\n";
        assert_eq!(gist(answer), "[UNRESOLVED_COLUMN] no column `x`. SQLSTATE: 42703; line 1 pos 7;");
        assert_eq!(gist("[A] [A] b"), "[A] b");
        assert_eq!(gist("b [A] c"), "b [A] c");
        assert_eq!(gist(&"券".repeat(800)).chars().count(), LONGEST_ANSWER + 1);
    }
}
