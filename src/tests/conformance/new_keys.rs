//! The limit on new keys: one unit for whoever is new, and nothing of anybody who is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::subject::{Deed, InMemory, InShared, NAMESPACE, OnRedis, Subject, ThroughClient, request};
use super::{CAPACITY, WINDOW, on_every_store};
use crate::algorithm::{Ask, LeakyBucket, Outcome, Policy, SlidingWindow};
use crate::clock::Micros;
use crate::key::Key;
use crate::limits::{By, Limit, Limits};
use crate::store::{Request, Verb, When};
use crate::tests::schedule::{self, START, after};

/// A window in which nothing of a source's units comes back while a test lasts.
const LONG: Micros = Micros(WINDOW.0 * 1_000);

/// Limits by these fields, and the one on new keys, by `ip`.
pub(super) fn guarded(limits: &[(&str, Policy)], new_keys: Policy) -> Arc<Limits> {
    let of = |by: &str, policy| {
        let mut limit = Limit::in_namespace(NAMESPACE, policy);
        limit.by = By::Field(by.into());
        limit
    };
    let limits = Limits::new(limits.iter().map(|(by, policy)| of(by, *policy)));
    limits.guarded_by(&of("ip", new_keys)).guarded().expect("some of them count by another field").clone()
}

fn asking(limits: &Arc<Limits>, keys: &[&str], ask: Ask) -> Request {
    let keys = keys.iter().map(|key| Key::from_normal(key.as_bytes())).collect();
    Request { limits: limits.clone(), keys, verb: Verb::Decide(ask), when: When::Now }
}

fn call(store: &dyn Subject, limits: &Arc<Limits>, keys: &[&str], ask: Ask) -> Vec<Outcome> {
    store.requests(&[asking(limits, keys, ask)]).unwrap().into_iter().map(Result::unwrap).collect()
}

fn is_allowed(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| outcome.allowed)
}

fn of_source(limit: u64) -> Policy {
    Policy::SlidingWindow(SlidingWindow::new(limit, LONG, 32))
}

#[test]
fn somebody_new_takes_one_unit_whatever_the_call_costs() {
    on_every_store(|store, policy| {
        let limits = guarded(&[("user", *policy), ("ip", *policy)], of_source(2));
        let seen = |keys: &[&str], cost| {
            let outcomes = call(store, &limits, keys, Ask::all(cost));
            outcomes.iter().map(|outcome| (outcome.granted, outcome.remaining)).collect::<Vec<_>>()
        };
        assert_eq!(seen(&["u1", "a", "new/a"], 5), [(5, CAPACITY - 5), (5, CAPACITY - 5), (1, 1)]);
        // They are known by now, and the source's own key never was anybody new.
        assert_eq!(seen(&["u1", "a", "new/a"], 1), [(1, CAPACITY - 6), (1, CAPACITY - 6), (0, 1)]);
        assert_eq!(seen(&["u1", "b", "new/b"], 1), [(1, CAPACITY - 7), (1, CAPACITY - 1), (0, 2)]);
        assert_eq!(seen(&["u2", "a", "new/a"], 1), [(1, CAPACITY - 1), (1, CAPACITY - 7), (1, 0)]);
    });
}

#[test]
fn who_is_one_too_many_is_refused_and_who_is_known_is_served() {
    on_every_store(|store, policy| {
        let limits = guarded(&[("user", *policy)], of_source(2));
        for user in ["u1", "u2"] {
            assert!(is_allowed(&call(store, &limits, &[user, "new/a"], Ask::all(1))));
        }
        for _ in 0..3 {
            for ask in [Ask::all(2), Ask { cost: 5, least: 1 }, Ask::look(1)] {
                let outcomes = call(store, &limits, &["u3", "new/a"], ask);
                assert_eq!((outcomes[0].allowed, outcomes[0].granted, outcomes[0].remaining), (true, 0, CAPACITY));
                assert_eq!((outcomes[1].allowed, outcomes[1].granted, outcomes[1].remaining), (false, 0, 0));
                assert_eq!(outcomes[1].retry_after, LONG);
            }
        }
        // From elsewhere they may come. And the source is told of as it is, but refuses nobody who is there already.
        assert!(is_allowed(&call(store, &limits, &["u3", "new/b"], Ask::all(1))));
        for user in ["u1", "u2", "u3"] {
            for ask in [Ask::look(1), Ask::all(1)] {
                let outcomes = call(store, &limits, &[user, "new/a"], ask);
                assert!(is_allowed(&outcomes), "{user}");
                let of_source = outcomes[1];
                assert_eq!((of_source.granted, of_source.remaining, of_source.retry_after), (0, 0, Micros::ZERO));
            }
        }
        // As long as is said they wait for the source's units.
        store.set_clock(START + LONG - Micros(1));
        assert!(!is_allowed(&call(store, &limits, &["u4", "new/a"], Ask::all(1))));
        store.set_clock(START + LONG);
        assert!(is_allowed(&call(store, &limits, &["u4", "new/a"], Ask::all(1))));
        store.set_clock(START);
    });
}

/// A refusal by another limit is one of somebody new for whom nothing was written, so it takes none of the source's units.
#[test]
fn who_is_refused_by_another_limit_takes_no_unit() {
    on_every_store(|store, policy| {
        let limits = guarded(&[("user", *policy), ("tenant", *policy)], of_source(2));
        store.take(policy, "full", CAPACITY);
        for _ in 0..3 {
            let outcomes = call(store, &limits, &["u1", "full", "new/a"], Ask::all(1));
            let allowed: Vec<_> = outcomes.iter().map(|outcome| outcome.allowed).collect();
            assert_eq!(allowed, [true, false, true]);
            assert_eq!(outcomes[2].remaining, 2);
        }
        assert_eq!(store.decide(policy, "u1", Ask::look(1)).remaining, CAPACITY);
    });
}

/// Otherwise a limit a minute would make somebody new each minute whom the limit a day knows.
#[test]
fn somebody_is_known_while_any_limit_counts_them() {
    on_every_store(|store, policy| {
        let limits = guarded(&[("user", *policy), ("user", of_source(CAPACITY))], of_source(2));
        let longest = call(store, &limits, &["minute/u1", "day/u1", "new/a"], Ask::all(1))[0].reset_at;
        store.set_clock(longest);
        let outcomes = call(store, &limits, &["minute/u1", "day/u1", "new/a"], Ask::all(1));
        assert_eq!(outcomes.iter().map(|outcome| outcome.granted).collect::<Vec<_>>(), [1, 1, 0]);
        store.set_clock(START);
    });
}

#[test]
fn who_is_as_good_as_new_is_new() {
    on_every_store(|store, policy| {
        let limits = guarded(&[("user", *policy)], of_source(10));
        let units = || call(store, &limits, &["u1", "new/a"], Ask::all(1))[1].granted;
        assert_eq!([units(), units()], [1, 0]);
        let until = store.act(policy, "u1", Verb::Penalize(1)).reset_at;
        store.set_clock(until - Micros(1));
        assert_eq!(units(), 0);
        let until = store.decide(policy, "u1", Ask::look(1)).reset_at;
        store.set_clock(until);
        assert_eq!([units(), units()], [1, 0]);
        // Whose units were all given back is nobody who was there.
        store.act(policy, "u1", Verb::Refund(2));
        assert_eq!([units(), units()], [1, 0]);
        store.reset(policy, "u1");
        assert_eq!([units(), units()], [1, 0]);
        store.set_clock(START);
    });
}

#[test]
fn who_is_blocked_is_refused_for_that_and_not_for_being_new() {
    on_every_store(|store, policy| {
        let limits = guarded(&[("user", *policy)], of_source(1));
        store.act(policy, "u1", Verb::Block(WINDOW));
        let outcomes = call(store, &limits, &["u1", "new/a"], Ask::all(1));
        assert_eq!(outcomes.iter().map(|outcome| outcome.allowed).collect::<Vec<_>>(), [false, true]);
        // The block has ended, and nobody was there.
        store.set_clock(START + WINDOW);
        assert_eq!(call(store, &limits, &["u1", "new/a"], Ask::all(1))[1].granted, 1);
        store.set_clock(START);
    });
}

/// A queue at the door is for those who come in.
#[test]
fn who_is_known_does_not_wait_for_the_turn_of_who_is_new() {
    on_every_store(|store, policy| {
        let queue = Policy::LeakyBucket(LeakyBucket::new(1, LONG, 5));
        let limits = guarded(&[("user", *policy)], queue);
        let delay = |user| call(store, &limits, &[user, "new/a"], Ask::all(1))[1].delay;
        assert_eq!(["u1", "u2", "u3", "u1"].map(delay), [Micros::ZERO, LONG, LONG + LONG, Micros::ZERO]);
    });
}

/// As with one key, the next refusal mends what a clock that jumped back has left. Otherwise a source would be full until the clock
/// has caught up.
#[test]
fn a_clock_that_jumped_back_shuts_nobody_out_for_longer() {
    on_every_store(|store, policy| {
        let limits = guarded(&[("user", *policy)], of_source(1));
        assert!(is_allowed(&call(store, &limits, &["u1", "new/a"], Ask::all(1))));
        let back = START - Micros(LONG.0 * 10);
        store.set_clock(back);
        let wait = call(store, &limits, &["u2", "new/a"], Ask::all(1))[1].retry_after;
        assert_eq!(wait, LONG);
        store.set_clock(back + LONG - Micros(1));
        assert!(!is_allowed(&call(store, &limits, &["u2", "new/a"], Ask::all(1))));
        store.set_clock(back + LONG);
        assert!(is_allowed(&call(store, &limits, &["u2", "new/a"], Ask::all(1))));
        // Nor does another limit, where it is the one that refuses.
        store.set_clock(START);
        let longest = store.take(policy, "full", CAPACITY).reset_at - START;
        store.set_clock(back);
        let wait = call(store, &limits, &["full", "new/b"], Ask::all(1))[0].retry_after;
        assert!(wait <= longest);
        store.set_clock(back + wait - Micros(1));
        assert!(!is_allowed(&call(store, &limits, &["full", "new/b"], Ask::all(1))));
        store.set_clock(back + wait);
        assert!(is_allowed(&call(store, &limits, &["full", "new/b"], Ask::all(1))), "{wait:?} was the wait");
        store.set_clock(START);
    });
}

/// Requests that are alike but for what their limits are travel beside each other, and are told apart.
#[test]
fn a_batch_has_requests_with_and_without_it() {
    on_every_store(|store, policy| {
        let with = guarded(&[("user", *policy)], *policy);
        let without = super::subject::limits(&[*policy; 2]);
        let batch = [
            asking(&with, &["u1", "new/a"], Ask::all(2)),
            asking(&without, &["u1", "new/a"], Ask::all(2)),
            asking(&with, &["u1", "new/a"], Ask::all(2)),
            asking(&with, &["u2", "new/a"], Ask::all(2)),
        ];
        // One after the other: of a batch, a cluster takes what lies apart beside each other.
        let granted = batch.iter().flat_map(|request| store.requests(std::slice::from_ref(request)).unwrap());
        let granted: Vec<u64> = granted.map(|outcome| outcome.unwrap().granted).collect();
        assert_eq!(granted, [2, 1, 2, 2, 2, 0, 2, 1]);
    });
    // And in one batch, where that is one call.
    let redis = OnRedis::on_manual_time();
    for policy in super::policies() {
        for store in [&InMemory::new() as &dyn Subject, &InShared::new(), &redis] {
            redis.flush();
            let with = guarded(&[("user", policy)], policy);
            let without = super::subject::limits(&[policy; 2]);
            let batch = [
                asking(&with, &["u1", "new/a"], Ask::all(2)),
                asking(&without, &["u1", "new/a"], Ask::all(2)),
                asking(&with, &["u2", "new/a"], Ask::all(2)),
            ];
            let granted: Vec<u64> =
                store.requests(&batch).unwrap().into_iter().map(|outcome| outcome.unwrap().granted).collect();
            assert_eq!(granted, [2, 1, 2, 2, 2, 1]);
        }
    }
}

/// Between the look and the taking, on a cluster, others go on. Who is then refused by another limit has brought nobody, and the source
/// has its unit back; not so who is let in, since of two calls each might take the other for the one that pays.
#[test]
fn what_was_taken_in_vain_of_a_source_is_given_back() {
    for (others, allowed, left) in [(CAPACITY, false, 3), (1, true, 2)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        // Both looks, the source's unit, the user's: before that, somebody else has taken of what the user had.
        let client = ThroughClient::interrupted(move |url| {
            if counted.fetch_add(1, Ordering::Relaxed) == 3 {
                let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
                let taken: Vec<u8> = redis::cmd("GET").arg(format!("{NAMESPACE}other")).query(&mut redis).unwrap();
                redis::cmd("SET").arg(format!("{NAMESPACE}u1")).arg(taken).exec(&mut redis).unwrap();
            }
        });
        let policy = of_source(CAPACITY);
        let limits = guarded(&[("user", policy)], of_source(3));
        client.redis.take(&policy, "other", others);
        calls.store(0, Ordering::Relaxed);
        let outcomes = call(&client, &limits, &["u1", "new/a"], Ask::all(1));
        assert!(calls.load(Ordering::Relaxed) >= 4, "it was interrupted, and went on");
        assert_eq!((outcomes[0].allowed, outcomes[0].granted), (allowed, u64::from(allowed)));
        assert_eq!((outcomes[1].allowed, outcomes[1].remaining), (true, left));
        assert_eq!(client.redis.decide(&of_source(3), "new/a", Ask::look(1)).remaining, left);
    }
}

/// A flood must not fill the store: whoever is refused for being new leaves nothing there.
#[test]
fn a_flood_writes_no_more_than_it_may() {
    let behind = |redis: &OnRedis, store: &dyn Subject| {
        redis.flush();
        let limits = guarded(&[("user", of_source(CAPACITY))], of_source(7));
        for user in 0..200 {
            call(store, &limits, &[&format!("u{user}"), "new/a"], Ask::all(1));
        }
        // Those 7, the source, and the clock of these tests.
        assert_eq!(redis.say::<u64>(&[b"DBSIZE"]), 9);
    };
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    behind(&redis, &redis);
    behind(&client.redis, &client);
    let memory = InMemory::new();
    let limits = guarded(&[("user", of_source(CAPACITY))], of_source(7));
    for user in 0..200 {
        call(&memory, &limits, &[&format!("u{user}"), "new/a"], Ask::all(1));
    }
    assert_eq!(memory.len(), 8);
    let shared = InShared::new();
    for user in 0..200 {
        call(&shared, &limits, &[&format!("u{user}"), "new/a"], Ask::all(1));
    }
    assert_eq!(shared.len(), 8);
}

/// Where a key cannot be read nobody is charged, the source neither; and a source that cannot be read fails the call.
#[test]
fn a_failure_takes_nothing() {
    let redis = OnRedis::on_manual_time();
    for policy in super::policies() {
        redis.flush();
        let limits = guarded(&[("user", policy)], of_source(2));
        let bad = |key: &str| redis.say::<()>(&[b"SET", format!("{NAMESPACE}{key}").as_bytes(), b"42"]);
        bad("u1");
        bad("new/b");
        for keys in [["u1", "new/a"], ["u2", "new/b"]] {
            let answers = redis.requests(&[asking(&limits, &keys, Ask::all(1))]).unwrap();
            assert!(answers.iter().all(Result::is_err), "{keys:?}");
        }
        let outcomes = call(&redis, &limits, &["u2", "new/a"], Ask::look(1));
        assert_eq!(outcomes.iter().map(|outcome| outcome.remaining).collect::<Vec<_>>(), [CAPACITY, 2]);
    }
}

/// By which a store that is spread tells who is new: it is not told at what moment its servers looked.
#[test]
fn a_key_has_all_its_units_exactly_where_it_is_as_good_as_new() {
    let check = |(policy, calls): (Policy, Vec<schedule::Call>)| {
        let mut state = policy.fresh();
        for (now, op) in schedule::timed(&calls) {
            op.apply(&policy, &mut state, now);
            let look = policy.step(&mut state.clone(), now, Ask::look(1));
            prop_assert_eq!(look.remaining == policy.capacity(), look.reset_at <= now, "{:?} of {:?}", look, policy);
        }
        Ok(())
    };
    TestRunner::new(super::super::cases(2_000)).run(&schedule::schedule(true, 60), check).unwrap();
}

/// One thing that happens in a schedule.
#[derive(Clone, Copy, Debug)]
struct Step {
    gap: i64,
    user: u8,
    ip: u8,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Ask(Ask),
    Refund(u64),
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = (0..=3u64, 1..=3u64)
        .prop_map(|(cost, least)| Ask { cost, least: if cost == 0 { least } else { least.min(cost) } });
    let what = prop_oneof![
        12 => ask.prop_map(What::Ask),
        1 => (1..=3u64).prop_map(What::Refund),
        1 => Just(What::Reset),
    ];
    let gap = prop_oneof![2 => Just(0), 4 => 0..=300_000i64, 2 => 990_000..=1_010_000i64, 1 => 0..=4_000_000i64];
    let step = (gap, 0..5u8, 0..2u8, what).prop_map(|(gap, user, ip, what)| Step { gap, user, ip, what });
    prop::collection::vec(step, 1..80)
}

/// What the words say: the moments of all units that count, of each user and of each source.
struct Model {
    of_user: u64,
    of_source: u64,
    users: [Vec<Micros>; 5],
    sources: [Vec<Micros>; 2],
}

impl Model {
    /// Whether the call is admitted, and what user and source have left.
    fn ask(&mut self, now: Micros, user: u8, ip: u8, ask: Ask) -> (bool, u64, u64) {
        let (users, sources) = (&mut self.users[usize::from(user)], &mut self.sources[usize::from(ip)]);
        users.retain(|unit| *unit + WINDOW > now);
        sources.retain(|unit| *unit + LONG_ENOUGH > now);
        let left = |all: u64, units: &[Micros]| all - units.len() as u64;
        let is_new = users.is_empty();
        let free = left(self.of_user, users);
        let allowed = free >= ask.least && (!is_new || left(self.of_source, sources) > 0);
        if allowed && ask.cost > 0 {
            (0..ask.cost.min(free)).for_each(|_| users.push(now));
            if is_new {
                sources.push(now);
            }
        }
        (allowed, left(self.of_user, users), left(self.of_source, sources))
    }
}

/// Of the source's window in the model: longer than a user's.
const LONG_ENOUGH: Micros = Micros(WINDOW.0 * 3);

fn agrees_with_the_model(
    store: &dyn Subject,
    of_user: u64,
    of_source: u64,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let user_policy = Policy::SlidingWindow(SlidingWindow::new(of_user, WINDOW, 32));
    let source_policy = Policy::SlidingWindow(SlidingWindow::new(of_source, LONG_ENOUGH, 32));
    let limits = guarded(&[("user", user_policy)], source_policy);
    let mut model = Model { of_user, of_source, users: Default::default(), sources: Default::default() };
    let mut now = START;
    for step in steps {
        now = after(now, step.gap);
        store.set_clock(now);
        let (user, ip) = (format!("u{}", step.user), format!("new/{}", step.ip));
        let units = &mut model.users[usize::from(step.user)];
        let deed: Deed = match step.what {
            What::Ask(ask) => {
                let outcomes = call(store, &limits, &[&user, &ip], ask);
                let seen = (is_allowed(&outcomes), outcomes[0].remaining, outcomes[1].remaining);
                prop_assert_eq!(seen, model.ask(now, step.user, step.ip, ask), "{:?} at {:?}", step, now);
                continue;
            }
            What::Refund(count) => {
                units.retain(|unit| *unit + WINDOW > now);
                units.drain(..units.len().min(usize::try_from(count).unwrap()));
                request(&user, Verb::Refund(count))
            }
            What::Reset => {
                units.clear();
                request(&user, Verb::Reset)
            }
        };
        store.outcome(&user_policy, deed).unwrap();
    }
    Ok(())
}

#[test]
fn every_store_decides_as_the_words_say() {
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    let check = |(of_user, of_source, steps): (u64, u64, Vec<Step>)| {
        agrees_with_the_model(&InMemory::new(), of_user, of_source, &steps)?;
        agrees_with_the_model(&InShared::new(), of_user, of_source, &steps)?;
        redis.flush();
        agrees_with_the_model(&redis, of_user, of_source, &steps)?;
        client.redis.flush();
        agrees_with_the_model(&client, of_user, of_source, &steps)
    };
    let plan = (3..=6u64, 1..=4u64, steps());
    TestRunner::new(super::super::cases(200)).run(&plan, check).unwrap();
}
