//! The steps against references that are slow and obviously right: a bucket counted in 128 bits, a window as the list of all
//! that was taken in it.

#![no_main]

use arbitrary::{Result, Unstructured};
use distributed_rate_limiter::algorithm::{Ask, Change, Outcome, Policy};
use distributed_rate_limiter::clock::Micros;
use distributed_rate_limiter_fuzz::{Numbers, ask, units};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let numbers = u.arbitrary::<Numbers>()?;
    let Some(policy) = numbers.policy() else { return Ok(()) };
    let Some(mut reference) = Reference::of(&policy) else { return Ok(()) };
    let mut state = policy.fresh();
    let mut now: u64 = 1_795_219_200_000_000;
    let mut calls = 0;
    while !u.is_empty() && calls < 100 {
        calls += 1;
        let (limit, window) = (numbers.limit, numbers.window);
        let gap = match u.int_in_range(0..=4)? {
            0 | 1 => 0,
            2 => u.int_in_range(0..=2 * (window / limit).max(1))?,
            3 => u.int_in_range(0..=window)?,
            _ => u.int_in_range(window - 1..=window + 1)?,
        };
        // Ten years are the longest window, and a Lua number holds no later moment.
        now = (now + gap).min(1 << 53);
        let capacity = policy.capacity();
        let (ask, change) = match u.int_in_range(0..=9)? {
            0 => (Ask::look(1), Some(Change::Refund(units(u, capacity)?))),
            1 => (Ask::look(1), Some(Change::Penalize(units(u, capacity)?))),
            _ => (ask(u, capacity)?, None),
        };
        let outcome = match change {
            None => policy.step(&mut state, Micros(now), ask),
            Some(change) => policy.change(&mut state, Micros(now), change),
        };
        let expected = reference.tell(now, ask, change);
        assert_eq!(outcome, expected, "{ask:?}, {change:?} at {now} of {policy:?}");
    }
    Ok(())
}

/// What has been taken, written down as plainly as can be.
enum Reference {
    /// Units times the window that are missing from a full bucket at a moment: a refill of `limit` a microsecond.
    Bucket { limit: i128, window: i128, burst: i128, missing: i128, at: i128, queues: bool },
    /// What was taken and when, oldest first.
    Window { limit: u64, window: u64, slot: u64, taken: Vec<(u64, u64)> },
    /// What was taken since the start of a window.
    Fixed { limit: u64, window: u64, aligned: bool, start: u64, count: u64 },
}

impl Reference {
    fn of(policy: &Policy) -> Option<Self> {
        let numbers = policy.numbers();
        let bucket = |burst: u64, queues| {
            let [limit, window, burst] = [numbers[0], numbers[1], burst].map(i128::from);
            Some(Self::Bucket { limit, window, burst, missing: 0, at: 0, queues })
        };
        match policy {
            Policy::TokenBucket(_) => bucket(numbers[2], false),
            Policy::LeakyBucket(_) => bucket(numbers[2] + 1, true),
            Policy::SlidingWindow(_) => {
                Some(Self::Window { limit: numbers[0], window: numbers[1], slot: numbers[2], taken: Vec::new() })
            }
            Policy::FixedWindow(_) => {
                let (limit, window, aligned) = (numbers[0], numbers[1], numbers[2] == 1);
                Some(Self::Fixed { limit, window, aligned, start: 0, count: 0 })
            }
            // Approximations by design: what they promise is a test of the crate's own.
            _ => None,
        }
    }

    fn tell(&mut self, now: u64, ask: Ask, change: Option<Change>) -> Outcome {
        match self {
            Self::Bucket { limit, window, burst, missing, at, queues } => {
                let present = i128::from(now);
                *missing = (*missing - (present - *at) * *limit).max(0);
                *at = present;
                let full = *burst * *window;
                match change {
                    Some(Change::Refund(units)) => *missing = (*missing - i128::from(units) * *window).max(0),
                    Some(Change::Penalize(units)) => {
                        *missing = (*missing).max((*missing + i128::from(units) * *window).min(2 * full));
                    }
                    Some(_) => unreachable!("nothing is booked here, or leased"),
                    None => {}
                }
                let up = |length: i128| Micros(u64::try_from((length.max(0) + *limit - 1) / *limit).expect("a time"));
                let free = u64::try_from((full - *missing).max(0) / *window).expect("a burst");
                let turn = up(*missing);
                let granted = granted(ask, free);
                *missing += i128::from(granted.unwrap_or(0)) * *window;
                let wait = up(*missing + i128::from(ask.least) * *window - full);
                let delay = if *queues && granted.is_some() { turn } else { Micros::ZERO };
                Outcome { delay, ..outcome(granted, free, wait, Micros(now) + up(*missing)) }
            }
            Self::Window { limit, window, slot, taken } => {
                // A slot is forgotten as one, a window after the last that was taken in it.
                let all = taken.clone();
                let last_of =
                    |at: u64| all.iter().filter(|(other, _)| other / *slot == at / *slot).map(|(at, _)| *at).max();
                taken.retain(|(at, _)| last_of(*at).expect("itself") + *window > now);
                let sum = |taken: &[(u64, u64)]| taken.iter().map(|(_, units)| units).sum::<u64>();
                match change {
                    Some(Change::Refund(mut units)) => {
                        for (_, count) in taken.iter_mut() {
                            let back = units.min(*count);
                            (*count, units) = (*count - back, units - back);
                        }
                        taken.retain(|(_, count)| *count > 0);
                    }
                    Some(Change::Penalize(units)) => match units.min((2 * *limit).saturating_sub(sum(taken))) {
                        0 => {}
                        debt => taken.push((now, debt)),
                    },
                    Some(_) => unreachable!("nothing is booked here, or leased"),
                    None => {}
                }
                let free = limit.saturating_sub(sum(taken));
                let granted = granted(ask, free);
                taken.extend(granted.filter(|units| *units > 0).map(|units| (now, units)));
                let end = |at: u64| {
                    let last = taken.iter().filter(|(other, _)| other / *slot == at / *slot).map(|(at, _)| *at).max();
                    last.expect("itself") + *window
                };
                // The first moment at which enough has gone.
                let wait = taken.iter().map(|(at, _)| end(*at)).find(|moment| {
                    let left: u64 = taken.iter().filter(|(at, _)| end(*at) > *moment).map(|(_, units)| units).sum();
                    left + ask.least <= *limit
                });
                let reset_at = taken.iter().map(|(at, _)| end(*at)).max().unwrap_or(now);
                outcome(granted, free, Micros(wait.unwrap_or(now) - now), Micros(reset_at))
            }
            Self::Fixed { limit, window, aligned, start, count } => {
                let begin = if *aligned { now / *window * *window } else { now };
                if *count == 0 || *start + *window <= now {
                    (*start, *count) = (begin, 0);
                }
                match change {
                    Some(Change::Refund(units)) => *count = count.saturating_sub(units),
                    Some(Change::Penalize(units)) => *count = (*count).max((*count + units).min(2 * *limit)),
                    Some(_) => unreachable!("nothing is booked here, or leased"),
                    None => {}
                }
                let free = limit.saturating_sub(*count);
                let granted = granted(ask, free);
                *count += granted.unwrap_or(0);
                let end = Micros(*start + *window);
                outcome(granted, free, end - Micros(now), if *count > 0 { end } else { Micros(now) })
            }
        }
    }
}

fn granted(ask: Ask, free: u64) -> Option<u64> {
    (free >= ask.least).then(|| ask.cost.min(free))
}

fn outcome(granted: Option<u64>, free: u64, wait: Micros, reset_at: Micros) -> Outcome {
    Outcome {
        allowed: granted.is_some(),
        granted: granted.unwrap_or(0),
        remaining: free - granted.unwrap_or(0),
        retry_after: if granted.is_some() { Micros::ZERO } else { wait },
        reset_at,
        delay: Micros::ZERO,
        booked: Micros::ZERO,
    }
}
