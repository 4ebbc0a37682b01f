//! Which host to ask: the primary, or the backup for a while after the primary failed on the transport level or its
//! gateway reached nobody (reference v3 §1.9, §1.11). What an API answers is no reason to switch.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

/// How long the backup is used before the primary is tried again.
const BACKUP_WHILE: TimeDelta = TimeDelta::seconds(60);

/// The hosts of one API.
#[derive(Debug)]
pub struct Hosts {
    primary: Url,
    backup: Option<Url>,
    backup_until: Mutex<Option<DateTime<Utc>>>,
}

impl Hosts {
    /// Starts with the primary.
    pub fn new(primary: Url, backup: Option<Url>) -> Hosts {
        Hosts { primary, backup, backup_until: Mutex::new(None) }
    }

    /// Whether there are two.
    pub fn has_backup(&self) -> bool {
        self.backup.is_some()
    }

    /// The host to use now.
    pub fn current(&self, now: DateTime<Utc>) -> &Url {
        let until = *self.backup_until.lock().unwrap_or_else(PoisonError::into_inner);
        match (&self.backup, until) {
            (Some(backup), Some(until)) if now < until => backup,
            _ => &self.primary,
        }
    }

    /// Records that `host` could not be reached: the other one is next.
    pub fn failed(&self, host: &Url, now: DateTime<Utc>) {
        let mut until = self.backup_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (host == &self.primary).then_some(now + BACKUP_WHILE);
    }

    /// Whether a URL is on one of the hosts: same scheme, host and port.
    pub fn serves(&self, url: &Url) -> bool {
        let same = |host: &Url| host.origin() == url.origin();
        same(&self.primary) || self.backup.as_ref().is_some_and(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> (Hosts, Url, Url, DateTime<Utc>) {
        let primary = Url::parse("https://api.mch.weixin.qq.com").unwrap();
        let backup = Url::parse("https://api2.mch.weixin.qq.com").unwrap();
        (Hosts::new(primary.clone(), Some(backup.clone())), primary, backup, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn the_backup_is_asked_for_a_while_and_then_the_primary_again() {
        let (hosts, primary, backup, now) = hosts();
        assert_eq!(hosts.current(now), &primary);
        hosts.failed(&primary, now);
        assert_eq!(hosts.current(now + TimeDelta::seconds(59)), &backup);
        assert_eq!(hosts.current(now + TimeDelta::seconds(60)), &primary);
    }

    #[test]
    fn a_failing_backup_sends_us_back_at_once() {
        let (hosts, primary, backup, now) = hosts();
        hosts.failed(&primary, now);
        hosts.failed(&backup, now);
        assert_eq!(hosts.current(now), &primary);
    }

    #[test]
    fn without_a_backup_the_primary_stays() {
        let (_, primary, _, now) = hosts();
        let hosts = Hosts::new(primary.clone(), None);
        hosts.failed(&primary, now);
        assert_eq!(hosts.current(now), &primary);
    }

    #[test]
    fn only_the_two_origins_are_served() {
        let (hosts, ..) = hosts();
        let serves = |url: &str| hosts.serves(&Url::parse(url).unwrap());
        assert!(serves("https://api2.mch.weixin.qq.com/v3/billdownload/file?token=x"));
        assert!(!serves("http://api.mch.weixin.qq.com/v3/billdownload/file"));
        assert!(!serves("https://api.mch.weixin.qq.com.evil.example/x"));
    }
}
