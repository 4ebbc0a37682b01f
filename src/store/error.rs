//! The errors of an object store: what failed, why, what to do. The store's own text is only parsed
//! for its error code and never repeated: it may contain query strings and signed headers.

use std::error::Error;
use std::path::{Path, PathBuf};

use object_store::client::{HttpError, HttpErrorKind};

/// Why something about a lake in a bucket failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store refused or did not answer.
    #[error("`{url}`: {why}")]
    Remote {
        /// The URL of the object or folder.
        url: String,
        /// The kind of failure.
        cause: Cause,
        /// A description.
        why: String,
    },
    /// The work folder failed.
    #[error("the work folder cannot use `{}`", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The work folder is not one.
    #[error("`{}` {why}", path.display())]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// Another run holds the lake.
    #[error("another run holds the lake: {0}")]
    Held(String),
    /// This run has lost its lease.
    #[error("this run no longer holds the lake: {0}")]
    Lost(String),
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no such bucket.
    NoBucket,
    /// There is no such object.
    NotFound,
    /// The keys are invalid or lack permission.
    Refused,
    /// The request was signed with a wrong clock.
    Skewed,
    /// Another writer was first.
    Conflict,
    /// The store does not support this.
    Unsupported,
    /// No usable answer after all retries.
    Unreachable,
    /// A failure of this machine, or a conflict with another run.
    Local,
    /// Anything else.
    Other,
}

impl StoreError {
    /// An error of the store's client about `url`.
    pub(super) fn remote(url: &str, error: &object_store::Error) -> StoreError {
        let (cause, why) = judge(error);
        StoreError::Remote { url: url.to_owned(), cause, why }
    }

    /// The store ignores conditions, so two runs could not be kept apart.
    pub(super) fn ignores_conditions(url: &str) -> StoreError {
        let why = "was overwritten against its condition: two runs could not be kept apart".to_owned();
        StoreError::Remote { url: url.to_owned(), cause: Cause::Unsupported, why }
    }

    pub(super) fn disk(path: &Path, source: std::io::Error) -> StoreError {
        StoreError::Disk { path: path.to_owned(), source }
    }

    /// The kind of failure.
    pub fn cause(&self) -> Cause {
        match self {
            StoreError::Remote { cause, .. } => *cause,
            _ => Cause::Local,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            StoreError::Remote { cause, .. } => match cause {
                Cause::NoBucket => "`job.lake` names the bucket; create it, or correct `job.lake` or `store.endpoint`",
                Cause::Refused => "check the keys `[store]` names, and that they may list, get, put and delete there",
                Cause::Skewed => "set the clock of this machine (NTP)",
                Cause::Conflict => "something else wrote there during the run; run again",
                Cause::Unsupported => {
                    "the store must support conditional puts (If-None-Match, If-Match); use a newer one"
                }
                Cause::Unreachable => {
                    "check `store.endpoint`, `store.region` and the network; nothing is lost, run again"
                }
                _ => "`coupon-recon check` tries everything a night needs of the store",
            },
            StoreError::Disk { .. } => "`job.work_dir` must be writable and have room; run again",
            StoreError::ForeignFolder { .. } => "give `job.work_dir` a folder of its own",
            StoreError::Held(_) => "wait for it to end; `run --wait 10m` does so by itself",
            StoreError::Lost(_) => "nothing half-written is visible; run again",
        }
    }
}

/// So that publishing and journalling need a single error type; `pipeline` finds this error inside.
impl From<StoreError> for std::io::Error {
    fn from(error: StoreError) -> std::io::Error {
        std::io::Error::other(error)
    }
}

fn judge(error: &object_store::Error) -> (Cause, String) {
    let texts: Vec<_> = chain(error).map(ToString::to_string).collect();
    let code = texts.iter().find_map(|text| code_of(text));
    if let Some(judged) = code.and_then(by_code) {
        return judged;
    }
    let told = code.map_or_else(String::new, |code| format!(" ({code})"));
    match error {
        object_store::Error::NotFound { .. } => (Cause::NotFound, format!("is not there{told}")),
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
            (Cause::Conflict, "was written by something else meanwhile".to_owned())
        }
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            (Cause::Refused, format!("the store refuses these keys{told}"))
        }
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => {
            (Cause::Unsupported, "the store does not support this".to_owned())
        }
        _ => by_transport(error).unwrap_or_else(|| (Cause::Other, status_of(&texts, &told))),
    }
}

/// The codes of S3 that are more specific than their HTTP status.
fn by_code(code: &str) -> Option<(Cause, String)> {
    let (cause, why) = match code {
        "NoSuchBucket" => (Cause::NoBucket, "there is no such bucket"),
        "SignatureDoesNotMatch" => {
            (Cause::Refused, "the store refuses the signature: the secret key is not the one of this id")
        }
        "InvalidAccessKeyId" => (Cause::Refused, "the store does not know this access key id"),
        "ExpiredToken" | "InvalidToken" => (Cause::Refused, "the session token is no longer valid"),
        "AccessDenied" => (Cause::Refused, "these keys may not do this"),
        "AuthorizationHeaderMalformed" | "PermanentRedirect" => {
            (Cause::Refused, "the bucket is not in the region of `store.region`")
        }
        "RequestTimeTooSkewed" => (Cause::Skewed, "the clock of this machine differs from the store's"),
        "NotImplemented" => (Cause::Unsupported, "the store does not support this"),
        "SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout" => {
            (Cause::Unreachable, "the store is overloaded")
        }
        _ => return None,
    };
    Some((cause, format!("{why} ({code})")))
}

fn by_transport(error: &object_store::Error) -> Option<(Cause, String)> {
    let http = chain(error).find_map(|cause| cause.downcast_ref::<HttpError>())?;
    let why = match http.kind() {
        HttpErrorKind::Connect => "the store cannot be reached",
        HttpErrorKind::Timeout => "the store did not answer in time",
        _ => "the connection to the store broke",
    };
    Some((Cause::Unreachable, why.to_owned()))
}

/// An unexpected answer: its status, if the text contains one.
fn status_of(texts: &[String], told: &str) -> String {
    let status =
        texts.iter().find_map(|text| Some(text.split_once("status code: ")?.1.split([' ', ':']).next()?.to_owned()));
    match status {
        Some(status) => format!("the store answers {status}{told}"),
        None => format!("the store cannot be used{told}"),
    }
}

/// An error and its causes, outermost first.
fn chain(error: &object_store::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |cause| (*cause).source())
}

/// `<Code>NoSuchBucket</Code>` → `NoSuchBucket`.
fn code_of(text: &str) -> Option<&str> {
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> StoreError {
        let error = object_store::Error::Generic { store: "S3", source: text.to_owned().into() };
        StoreError::remote("s3://b/k", &error)
    }

    #[test]
    fn an_error_says_the_code_and_what_it_means_and_nothing_else_of_the_answer() {
        let error = told(
            "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
             <AWSAccessKeyId>AKID</AWSAccessKeyId><StringToSign>x?list-type=2</StringToSign></Error>",
        );
        assert_eq!(error.cause(), Cause::Refused);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("SignatureDoesNotMatch") && !shown.contains("AKID") && !shown.contains("list-type"));
        assert_eq!(told("…<Code>NoSuchBucket</Code>…").cause(), Cause::NoBucket);
        let strange = told("Server returned non-2xx status code: 418 I'm a teapot: <html>").to_string();
        assert_eq!(strange, "`s3://b/k`: the store answers 418");
    }

    #[test]
    fn it_can_be_found_again_inside_an_error_of_the_system() {
        let error: std::io::Error = told("<Code>AccessDenied</Code>").into();
        assert_eq!(error.get_ref().unwrap().downcast_ref::<StoreError>().unwrap().cause(), Cause::Refused);
    }
}
