//! Detects answers that arrive a second time: an intermediary may cache one and return it to the next request. A signature
//! does not say which request it answers (reference v3 §1.3), but no two answers share one. Verifies no signature.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::exchange::Proof;
use super::signed::Signed;
use crate::wechat::answer::{Answer, Evidence};
use crate::wechat::error::{MAX_AGE_SECONDS, Problem, SignatureError};

/// Recent answers: kept at least as long as any signature is accepted, however fast the server's clock is.
#[derive(Default)]
pub(super) struct Replays(Mutex<Memory>);

/// Answers by nonce, in a newer and an older generation.
#[derive(Default)]
struct Memory {
    younger: HashMap<u64, Answered>,
    older: HashMap<u64, Answered>,
    since: Option<DateTime<Utc>>,
    /// Whether two answers had the same nonce: then equal answers may have equal signatures, which proves nothing.
    nonces_repeat: bool,
}

/// An answer and the request it was given to.
#[derive(Clone, Copy)]
struct Answered {
    signature: u64,
    question: u64,
}

/// Accepts a valid signature on an answer that was not given to another request before.
pub(super) struct Unreplayed<'a, P> {
    pub(super) proof: &'a P,
    pub(super) replays: &'a Replays,
}

impl<P: Proof> Proof for Unreplayed<'_, P> {
    async fn verify(&self, asked: &Signed<'_>, answer: &Answer) -> Result<(), Problem> {
        self.proof.verify(asked, answer).await?;
        match self.replays.is_replayed(&answer.evidence, &asked.question(), answer.fetched_at) {
            true => Err(SignatureError::Replayed.into()),
            false => Ok(()),
        }
    }
}

impl Replays {
    /// Whether the answer with this evidence was given to another request before. Records it otherwise.
    pub(super) fn is_replayed(&self, evidence: &Evidence, question: &impl Hash, now: DateTime<Utc>) -> bool {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.forget_old(now);
        let nonce = digest(&evidence.nonce);
        let answered =
            Answered { signature: digest(&(&evidence.timestamp, &evidence.signature)), question: digest(question) };
        match memory.younger.get(&nonce).or_else(|| memory.older.get(&nonce)).copied() {
            Some(before) if before.signature != answered.signature => {
                memory.nonces_repeat = true;
                false
            }
            Some(before) => before.question != answered.question && !memory.nonces_repeat,
            None => {
                memory.younger.insert(nonce, answered);
                false
            }
        }
    }
}

impl Memory {
    fn forget_old(&mut self, now: DateTime<Utc>) {
        let enough = TimeDelta::seconds(2 * MAX_AGE_SECONDS.cast_signed());
        if self.since.is_none_or(|since| now - since >= enough) {
            (self.older, self.since) = (std::mem::take(&mut self.younger), Some(now));
        }
    }
}

fn digest(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_serves_one_question_again_and_no_other_until_its_signature_is_too_old_to_be_taken() {
        let (replays, start) = (Replays::default(), DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let evidence = |nonce: &str| Evidence { nonce: Some(nonce.to_owned()), ..Evidence::default() };
        let is_replayed = |nonce: &str, question: &str, seconds: i64| {
            replays.is_replayed(&evidence(nonce), &question, start + TimeDelta::seconds(seconds))
        };
        assert!(!is_replayed("n1", "one", 0) && !is_replayed("n2", "two", 1));
        assert!(!is_replayed("n1", "one", 2), "the same question may have the same answer");
        assert!(is_replayed("n1", "two", 3) && is_replayed("n2", "one", 599) && is_replayed("n1", "two", 1000));
        assert!(!is_replayed("n1", "two", 2000), "nobody takes it any more");
        assert_eq!(replays.0.lock().unwrap().older.len(), 0);
    }

    #[test]
    fn where_nonces_repeat_on_true_answers_a_signature_that_comes_again_tells_nothing() {
        let (replays, now) = (Replays::default(), DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let evidence = |signature: &str| Evidence {
            nonce: Some("always".to_owned()),
            signature: Some(signature.to_owned()),
            ..Evidence::default()
        };
        let is_replayed = |signature: &str, question: &str| replays.is_replayed(&evidence(signature), &question, now);
        assert!(!is_replayed("empty", "one") && is_replayed("empty", "two"), "nobody knows yet");
        assert!(!is_replayed("full", "three"), "only who has the key signs twice under one nonce");
        assert!(!is_replayed("empty", "two"));
    }
}
