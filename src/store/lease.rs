//! Mutual exclusion in a bucket: a lock object with an expiry time, renewed while the run lives and taken over by ETag once
//! expired. All times are those of the injected clock; machines that share a lake must agree on the time within half a
//! minute.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Cause, Put, Store, StoreError};
use crate::clock::World;

/// Validity of a lease, and thus how long a lake stays locked when its machine is lost.
const LEASE: TimeDelta = TimeDelta::seconds(120);
/// Interval of its renewal.
const RENEWAL: Duration = Duration::from_secs(20);
/// The holder uploads nothing in this last part of the lease: clocks differ, and a put takes time.
const MARGIN: TimeDelta = TimeDelta::seconds(45);
/// A lock that changes more often than this while it is being acquired belongs to another run.
const ATTEMPTS: usize = 3;

/// The holder of a lease.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holder {
    /// Process, machine and run, for people.
    pub told: String,
    /// Unique id of the run.
    pub run_id: String,
    /// The kernel lock that the holder has in addition. Whoever acquires it knows that the holder is dead.
    pub kernel_lock: Option<String>,
}

/// The content of the lock object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lock {
    #[serde(flatten)]
    holder: Holder,
    /// The time from which anybody may take it.
    until: DateTime<Utc>,
}

/// Held until it is dropped or expires.
#[derive(Debug)]
pub struct Lease {
    claim: Arc<Claim>,
    renewal: tokio::task::AbortHandle,
}

#[derive(Debug)]
struct Claim {
    store: Arc<Store>,
    key: String,
    world: World,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lock: Lock,
    etag: String,
    /// Whether there was no lock object before.
    is_new: bool,
    lost: Option<String>,
}

impl Lease {
    /// Takes the lock at `key`, or returns its holder.
    ///
    /// # Errors
    /// `StoreError::Held`; the store is not accessible or does not support conditional puts.
    pub fn take(store: &Arc<Store>, key: &str, holder: Holder, world: &World) -> Result<Lease, StoreError> {
        let lock = Lock { holder, until: world.clock.now() + LEASE };
        let (etag, is_new) = acquire(store, key, &lock, world)?;
        let state = Mutex::new(State { lock, etag, is_new, lost: None });
        let claim = Arc::new(Claim { store: Arc::clone(store), key: key.to_owned(), world: world.clone(), state });
        let renewal = store.keep_doing(keep_renewing(Arc::downgrade(&claim), world.clone()));
        Ok(Lease { claim, renewal })
    }

    /// Gives it back as if it had never been taken: a lock object that it made is removed. If that fails, it stays and
    /// expires.
    pub fn withdraw(self) {
        self.renewal.abort();
        let mut state = self.claim.state();
        if state.is_new && state.lost.is_none() && self.claim.store.remove(&self.claim.key).is_ok() {
            state.lost = Some("it was withdrawn".to_owned());
        }
    }

    /// Checks that the lease will be held for as long as a put takes.
    ///
    /// # Errors
    /// `StoreError::Lost`.
    pub fn check(&self) -> Result<(), StoreError> {
        let state = self.claim.state();
        if let Some(why) = &state.lost {
            return Err(StoreError::Lost(why.clone()));
        }
        if self.claim.world.clock.now() + MARGIN >= state.lock.until {
            return Err(StoreError::Lost("the store could not be reached to renew the lease".to_owned()));
        }
        Ok(())
    }
}

impl Drop for Lease {
    /// Releases the lock by letting it expire now. If that fails, it expires on its own.
    fn drop(&mut self) {
        self.renewal.abort();
        let mut state = self.claim.state();
        if state.lost.is_none() {
            state.lock.until = DateTime::UNIX_EPOCH;
            let _ = self.claim.store.put(&self.claim.key, bytes_of(&state.lock), Put::Replacing(&state.etag));
        }
    }
}

impl Claim {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not prevent the lease from being released.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Extends the lease. An inaccessible store is retried until the lease has expired.
    fn renew(&self) {
        let mut state = self.state();
        let lock = Lock { until: self.world.clock.now() + LEASE, ..state.lock.clone() };
        match self.store.put(&self.key, bytes_of(&lock), Put::Replacing(&state.etag)) {
            Ok(etag) => (state.lock, state.etag) = (lock, etag),
            Err(error) if error.cause() == Cause::Conflict => match look(&self.store, &self.key) {
                // Our own renewal, whose answer was lost.
                Ok(Some((found, etag))) if found.holder.run_id == lock.holder.run_id => {
                    (state.lock, state.etag) = (found, etag);
                }
                Ok(Some((found, _))) => state.lost = Some(format!("{} took it over", found.holder.told)),
                Ok(None) => state.lost = Some("its lock object was removed".to_owned()),
                Err(error) => tracing::warn!(%error, "the lease could not be looked at; it is tried again"),
            },
            Err(error) => tracing::warn!(%error, "the lease could not be renewed; it is tried again"),
        }
    }
}

async fn keep_renewing(claim: std::sync::Weak<Claim>, world: World) {
    loop {
        world.sleep.sleep(RENEWAL).await;
        let Some(claim) = claim.upgrade() else { return };
        // Blocks on answers, so it must not run on the threads that receive them.
        let renewed = tokio::task::spawn_blocking(move || claim.renew()).await;
        if renewed.is_err() {
            return;
        }
    }
}

/// Writes `lock` if there is none, or an expired one, or one whose holder is dead; returns its ETag, and whether there was
/// none.
fn acquire(store: &Store, key: &str, lock: &Lock, world: &World) -> Result<(String, bool), StoreError> {
    let mut held_by = "a run that has just begun".to_owned();
    for _ in 0..ATTEMPTS {
        let found = look(store, key)?;
        let put = match &found {
            None => Put::New,
            // Our own put, whose answer was lost.
            Some((theirs, etag)) if theirs.holder.run_id == lock.holder.run_id => return Ok((etag.clone(), false)),
            Some((theirs, etag)) if theirs.is_free(lock, world.clock.now()) => Put::Replacing(etag),
            Some((theirs, _)) => return Err(StoreError::Held(theirs.told())),
        };
        match store.put(key, bytes_of(lock), put) {
            Ok(etag) => return Ok((etag, found.is_none())),
            Err(error) if error.cause() == Cause::Conflict => {
                held_by = found.map_or(held_by, |(theirs, _)| theirs.holder.told);
            }
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Held(held_by))
}

impl Lock {
    /// Whether the owner of `next` may take over this lock.
    fn is_free(&self, next: &Lock, now: DateTime<Utc>) -> bool {
        let is_dead = self.holder.kernel_lock.is_some() && self.holder.kernel_lock == next.holder.kernel_lock;
        now >= self.until || is_dead
    }

    fn told(&self) -> String {
        format!("{}; if it died, the lake is free at {}", self.holder.told, self.until.format("%Y-%m-%d %H:%M:%SZ"))
    }
}

fn look(store: &Store, key: &str) -> Result<Option<(Lock, String)>, StoreError> {
    let Some((bytes, etag)) = store.get(key)? else { return Ok(None) };
    let lock = serde_json::from_slice(&bytes).map_err(|_| StoreError::Remote {
        url: store.url_of(key),
        cause: Cause::Other,
        why: "is not a lock of this program; if no run is under way, remove it".to_owned(),
    })?;
    Ok(Some((lock, etag)))
}

fn bytes_of(lock: &Lock) -> Vec<u8> {
    serde_json::to_vec(lock).expect("texts and times are JSON")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::super::in_memory;
    use super::*;
    use crate::clock::{Clock, Sleep};

    const KEY: &str = "state/job.lock";

    #[derive(Default)]
    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(self.0.load(Ordering::SeqCst))
        }
    }

    /// Never returns from a sleep: the tests renew explicitly.
    struct Asleep;

    impl Sleep for Asleep {
        fn sleep(&self, _: Duration) -> futures_util::future::BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn world() -> (World, Arc<Hands>) {
        let hands = Arc::new(Hands::default());
        (World { clock: hands.clone(), sleep: Arc::new(Asleep), ..World::real() }, hands)
    }

    fn holder(run_id: &str, kernel_lock: Option<&str>) -> Holder {
        Holder { told: format!("run {run_id}"), run_id: run_id.into(), kernel_lock: kernel_lock.map(Into::into) }
    }

    fn take(store: &Arc<Store>, run_id: &str, world: &World) -> Result<Lease, StoreError> {
        Lease::take(store, KEY, holder(run_id, None), world)
    }

    #[test]
    fn one_run_holds_the_lake_and_the_next_has_it_when_it_is_given_back() {
        let (store, (world, _)) = (in_memory(), world());
        let first = take(&store, "1", &world).unwrap();
        first.check().unwrap();
        let refused = take(&store, "2", &world).unwrap_err();
        assert!(matches!(&refused, StoreError::Held(by) if by.starts_with("run 1; ")), "{refused}");
        drop(first);
        take(&store, "2", &world).unwrap();
    }

    #[test]
    fn of_many_that_want_a_lease_that_ran_out_exactly_one_gets_it() {
        let (store, (world, hands)) = (in_memory(), world());
        std::mem::forget(take(&store, "dead", &world).unwrap());
        hands.0.store(121, Ordering::SeqCst);
        let takers: Vec<_> = (0..8)
            .map(|number| {
                let (store, world) = (store.clone(), world.clone());
                std::thread::spawn(move || take(&store, &format!("taker {number}"), &world))
            })
            .collect();
        let leases: Vec<_> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        assert_eq!(leases.iter().filter(|lease| lease.is_ok()).count(), 1);
    }

    #[test]
    fn a_renewed_lease_holds_on_and_one_that_is_not_renewed_stops_its_holder_before_it_ends() {
        let (store, (world, hands)) = (in_memory(), world());
        let lease = take(&store, "1", &world).unwrap();
        hands.0.store(100, Ordering::SeqCst);
        assert!(matches!(lease.check(), Err(StoreError::Lost(_))), "too close to its end");
        assert!(matches!(take(&store, "2", &world), Err(StoreError::Held(_))), "and not free yet");
        lease.claim.renew();
        hands.0.store(130, Ordering::SeqCst);
        lease.check().unwrap();
        assert!(matches!(take(&store, "2", &world), Err(StoreError::Held(_))));
    }

    #[test]
    fn a_holder_that_slept_through_its_lease_learns_who_took_it_and_leaves_the_lock_alone() {
        let (store, (world, hands)) = (in_memory(), world());
        let slept = take(&store, "1", &world).unwrap();
        hands.0.store(500, Ordering::SeqCst);
        let second = take(&store, "2", &world).unwrap();
        slept.claim.renew();
        assert_eq!(slept.check().unwrap_err().to_string(), "this run no longer holds the lake: run 2 took it over");
        drop(slept);
        second.claim.renew();
        second.check().unwrap();
    }

    #[test]
    fn who_has_the_kernel_lock_of_the_holder_need_not_wait_for_its_lease() {
        let (store, (world, _)) = (in_memory(), world());
        std::mem::forget(Lease::take(&store, KEY, holder("killed", Some("boot:1:2")), &world).unwrap());
        let elsewhere = Lease::take(&store, KEY, holder("2", Some("boot:1:3")), &world);
        assert!(matches!(elsewhere, Err(StoreError::Held(_))));
        Lease::take(&store, KEY, holder("3", Some("boot:1:2")), &world).unwrap();
    }

    #[test]
    fn a_lease_that_is_withdrawn_leaves_nothing_where_nothing_was() {
        let (store, (world, _)) = (in_memory(), world());
        take(&store, "1", &world).unwrap().withdraw();
        assert!(store.get(KEY).unwrap().is_none());
        drop(take(&store, "2", &world).unwrap());
        take(&store, "3", &world).unwrap().withdraw();
        let (lock, _) = look(&store, KEY).unwrap().expect("the lock object of an earlier run stays");
        assert_eq!((lock.holder.run_id.as_str(), lock.until), ("3", DateTime::UNIX_EPOCH), "and is free");
    }

    #[test]
    fn a_foreign_object_in_place_of_the_lock_is_told_and_kept() {
        let (store, (world, _)) = (in_memory(), world());
        store.put(KEY, b"notes".to_vec(), Put::New).unwrap();
        assert!(take(&store, "1", &world).unwrap_err().to_string().contains("not a lock of this program"));
    }
}
