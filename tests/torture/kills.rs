//! SIGKILL: at every commit point of a first night, of a second, of a recovery and of a restatement, and
//! at random moments.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::desk::{Death, Desk, Night, Trial};
use crate::{Line, setting};

/// Desks to work at side by side: a night waits for the disk and the server as long as it works.
pub fn open_desks() -> Vec<Desk> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let lanes = setting("TORTURE_LANES", 2 * cores as u64);
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes.max(1)).map(|_| scope.spawn(Desk::open)).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    })
}

/// Dies at each commit point, one a run.
pub fn at_every_commit_point(desks: &[Desk], what: &str, night: Night) -> Line {
    let die_at = |point| Trial { night, deaths: vec![Death::At(point)] };
    let trials: Vec<_> = desks[0].points(night).into_iter().map(die_at).collect();
    let note = format!("{} commit points, each reached", trials.len());
    Line { note, ..put_to_death(desks, what, &trials) }
}

/// Dies somewhere, `TORTURE_KILLS` times, in first nights and in second ones; after every third kill the
/// next run is killed as well, and the one after it.
pub fn at_random_moments(desks: &[Desk], what: &str) -> Line {
    let mut dice = ChaCha8Rng::seed_from_u64(20_261_118);
    let (kills, mut trials) = (setting("TORTURE_KILLS", 200), Vec::new());
    let mut left = kills;
    while left > 0 {
        let night = if dice.gen_bool(0.5) { Night::First } else { Night::Second };
        let times = if trials.len() % 3 == 2 { left.min(3) } else { 1 };
        trials.push(Trial { night, deaths: (0..times).map(|_| Death::After(dice.gen_range(0.01..1.1))).collect() });
        left -= times;
    }
    let note = format!("{kills} kills, up to three before a night that is left alone");
    Line { note, ..put_to_death(desks, what, &trials) }
}

/// Every trial at whichever desk is free.
fn put_to_death(desks: &[Desk], what: &str, trials: &[Trial]) -> Line {
    let line = Mutex::new(Line { what: what.to_owned(), ..Line::default() });
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    let work_at = |desk: &Desk| {
        while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = desk.put_to_death(trial);
            let mut line = line.lock().unwrap();
            line.tried += 1;
            line.survived += u64::from(outcome.wrong.is_none());
            line.lost += outcome.lost;
            line.doubled += outcome.doubled;
            if let Some(wrong) = outcome.wrong {
                eprintln!("{what}: {trial:?}: {wrong}");
            }
            if line.tried.is_multiple_of(25) {
                eprintln!("  {what}: {} of {} after {} s", line.tried, trials.len(), begun.elapsed().as_secs());
            }
        }
    };
    std::thread::scope(|scope| {
        for desk in desks {
            scope.spawn(|| work_at(desk));
        }
    });
    line.into_inner().unwrap()
}
