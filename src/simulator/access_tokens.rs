//! The state of the MP's access tokens: which are valid, for how long, and what invalidated the
//! others. Sends nothing.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::signature::serial_text;

const LIFE_SECONDS: i64 = 7200;
/// Renewal happens this long before expiry, and old and new token overlap this long (reference MP
/// §C.2).
const OVERLAP_SECONDS: i64 = 300;
const FORCED_GAP_SECONDS: i64 = 30;
const FORCED_PER_DAY: usize = 20;

/// Whether a token is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Alive,
    /// 42001.
    Expired,
    /// 40001: never issued, or replaced.
    Invalid,
}

/// Why a forced refresh is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForceRefused {
    /// 45011: less than 30 s after the last.
    TooSoon,
    /// 45009: more than 20 in a day.
    TooMany,
}

#[derive(Debug, Clone)]
struct Issued {
    token: String,
    ends_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    At(DateTime<Utc>),
    Replaced,
}

/// All tokens ever issued.
#[derive(Debug, Default)]
pub(super) struct AccessTokens {
    ends: HashMap<String, End>,
    stable: Option<Issued>,
    plain: Option<Issued>,
    forced_at: Vec<DateTime<Utc>>,
    serial: u64,
}

impl AccessTokens {
    /// /cgi-bin/stable_token: the same token until shortly before its expiry, with its remaining life
    /// in seconds.
    pub(super) fn stable(&mut self, now: DateTime<Utc>) -> (String, i64) {
        let renew_before = TimeDelta::seconds(OVERLAP_SECONDS);
        let issued = match self.stable.take().filter(|issued| issued.ends_at - now > renew_before) {
            Some(issued) => issued,
            None => self.issue(now),
        };
        self.stable = Some(issued.clone());
        (issued.token, (issued.ends_at - now).num_seconds())
    }

    /// stable_token with `force_refresh`: the old token expires at once.
    pub(super) fn force(&mut self, now: DateTime<Utc>) -> Result<(String, i64), ForceRefused> {
        self.forced_at.retain(|at| now - *at < TimeDelta::days(1));
        if self.forced_at.last().is_some_and(|at| now - *at < TimeDelta::seconds(FORCED_GAP_SECONDS)) {
            return Err(ForceRefused::TooSoon);
        }
        if self.forced_at.len() >= FORCED_PER_DAY {
            return Err(ForceRefused::TooMany);
        }
        self.forced_at.push(now);
        if let Some(old) = self.stable.take() {
            self.ends.insert(old.token, End::Replaced);
        }
        Ok(self.stable(now))
    }

    /// /cgi-bin/token: a new token each time; the previous one remains valid for five minutes.
    pub(super) fn plain(&mut self, now: DateTime<Utc>) -> (String, i64) {
        if let Some(old) = self.plain.take() {
            let ends_at = old.ends_at.min(now + TimeDelta::seconds(OVERLAP_SECONDS));
            self.ends.insert(old.token, End::At(ends_at));
        }
        let issued = self.issue(now);
        self.plain = Some(issued.clone());
        (issued.token, LIFE_SECONDS)
    }

    /// Whether this token is valid.
    pub(super) fn standing(&self, token: &str, now: DateTime<Utc>) -> Standing {
        match self.ends.get(token) {
            Some(End::At(end)) if now < *end => Standing::Alive,
            Some(End::At(_)) => Standing::Expired,
            Some(End::Replaced) | None => Standing::Invalid,
        }
    }

    /// Expires a token early.
    pub(super) fn expire(&mut self, token: &str, now: DateTime<Utc>) {
        self.ends.insert(token.to_owned(), End::At(now));
        self.stable.take_if(|issued| issued.token == token);
        self.plain.take_if(|issued| issued.token == token);
    }

    fn issue(&mut self, now: DateTime<Utc>) -> Issued {
        self.serial += 1;
        let token = format!("90_{}", serial_text("access token", self.serial, 64));
        let ends_at = now + TimeDelta::seconds(LIFE_SECONDS);
        self.ends.insert(token.clone(), End::At(ends_at));
        Issued { token, ends_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_stable_token_stays_the_same_with_less_and_less_life() {
        let mut tokens = AccessTokens::default();
        let (token, life) = tokens.stable(at(0));
        assert_eq!(life, 7200);
        assert_eq!(tokens.stable(at(6855)), (token.clone(), 345));
        let (renewed, life) = tokens.stable(at(6900));
        assert_ne!(renewed, token);
        assert_eq!(life, 7200);
        assert_eq!(tokens.standing(&token, at(7199)), Standing::Alive, "old and new overlap");
        assert_eq!(tokens.standing(&token, at(7200)), Standing::Expired);
    }

    #[test]
    fn a_forced_refresh_kills_the_old_token_at_once() {
        let mut tokens = AccessTokens::default();
        let (old, _) = tokens.stable(at(0));
        let (new, _) = tokens.force(at(1)).unwrap();
        assert_eq!(tokens.standing(&old, at(1)), Standing::Invalid);
        assert_eq!(tokens.standing(&new, at(1)), Standing::Alive);
    }

    #[test]
    fn forced_refreshes_are_rationed() {
        let mut tokens = AccessTokens::default();
        tokens.force(at(0)).unwrap();
        assert_eq!(tokens.force(at(29)), Err(ForceRefused::TooSoon));
        for n in 1..20 {
            tokens.force(at(n * 30)).unwrap();
        }
        assert_eq!(tokens.force(at(1000)), Err(ForceRefused::TooMany));
        assert!(tokens.force(at(1000 + 86_400)).is_ok());
    }

    #[test]
    fn plain_tokens_replace_each_other_with_five_minutes_overlap() {
        let mut tokens = AccessTokens::default();
        let (old, _) = tokens.plain(at(0));
        let (new, _) = tokens.plain(at(10));
        assert_ne!(old, new);
        assert_eq!(tokens.standing(&old, at(309)), Standing::Alive);
        assert_eq!(tokens.standing(&old, at(310)), Standing::Expired);
    }

    #[test]
    fn the_two_calls_do_not_touch_each_other() {
        let mut tokens = AccessTokens::default();
        let (stable, _) = tokens.stable(at(0));
        tokens.plain(at(0));
        tokens.plain(at(1));
        assert_eq!(tokens.standing(&stable, at(1000)), Standing::Alive);
        assert_eq!(tokens.stable(at(2)).0, stable);
    }

    #[test]
    fn an_expired_token_is_followed_by_a_new_one() {
        let mut tokens = AccessTokens::default();
        let (old, _) = tokens.stable(at(0));
        tokens.expire(&old, at(5));
        assert_eq!(tokens.standing(&old, at(5)), Standing::Expired);
        assert_ne!(tokens.stable(at(5)).0, old);
    }

    #[test]
    fn a_token_never_issued_is_invalid() {
        assert_eq!(AccessTokens::default().standing("x", at(0)), Standing::Invalid);
    }
}
