//! A limit whose algorithm is changed is beside what it was until that is forgotten, against a model that keeps a state of each.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::cases;
use crate::algorithm::{Ask, Change, Outcome, Policy, State};
use crate::clock::{ManualClock, Micros};
use crate::decision::{Decision, Source};
use crate::input::Given;
use crate::limiter::{Deed, Limiter, Trust, Who};
use crate::settings::{CallOptions, Settings};
use crate::store::Verb;
use crate::tests::schedule::START;

const KINDS: [&str; 5] = ["sliding-window", "sliding-counter", "fixed-window", "token-bucket", "leaky-bucket"];

const FOREVER: Micros = Micros(u64::MAX);

fn text(word: &str) -> Given {
    Given::Text(word.to_owned())
}

fn record(fields: &[(&str, Given)]) -> Given {
    Given::Record(fields.iter().map(|(name, given)| ((*name).to_owned(), given.clone())).collect())
}

/// One limit, as a caller writes it.
#[derive(Clone, Copy, Debug)]
struct Written {
    kind: &'static str,
    limit: u32,
    window_ms: u32,
}

impl Written {
    fn new(kind: &'static str, limit: u32, window_ms: u32) -> Self {
        Self { kind, limit, window_ms }
    }

    /// One algorithm has a burst wherever it comes: it would have another state without.
    fn has_burst(self) -> bool {
        self.kind == "sliding-counter"
    }

    fn given(self) -> Given {
        let mut fields = vec![
            ("algorithm", text(self.kind)),
            ("limit", Given::Number(self.limit.into())),
            ("window", Given::Number(self.window_ms.into())),
        ];
        if self.has_burst() {
            fields.push(("burst", record(&[("extra", Given::Number(2.0)), ("window", Given::Number(700.0))])));
        }
        record(&fields)
    }

    /// The longest time in which units of it come back.
    fn longest(self) -> Micros {
        let [limit, window] = [self.limit, self.window_ms].map(u64::from);
        Micros::from_millis(match self.kind {
            "leaky-bucket" => return Micros(((limit + 1) * window * 1_000).div_ceil(limit)),
            _ if self.has_burst() => window.max(700),
            _ => window,
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "each is written where it is used")]
fn made(written: Given) -> (Limiter, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    (Limiter::in_memory(&Settings::read(&written).unwrap(), clock.clone()), clock)
}

fn of(cost: u64) -> CallOptions {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let cost = Given::Number(cost as f64);
    CallOptions { cost: Some(cost), ..CallOptions::default() }
}

fn done(limiter: &Limiter, deed: Deed, options: &CallOptions) -> Decision {
    let request = limiter.request(&Who::Key(b"a".into()), deed, options).unwrap();
    limiter.answer_here(&request, Trust::Nothing).unwrap().unwrap()
}

fn acted(limiter: &Limiter, verb: Verb) {
    let request = limiter.request_for(&Who::Key(b"a".into()), verb, &CallOptions::default()).unwrap();
    limiter.answer_here(&request, Trust::Nothing).unwrap();
}

fn present(limiter: &Limiter) -> Policy {
    limiter.plan().limits.only().unwrap().policy
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u32),
    Take(u64),
    UpTo(u64),
    Look(u64),
    Refund(u64),
    Penalize(u64),
    Reset,
    Become(Written),
}

/// The rule as it is documented: each algorithm that the limit has, or had until a while ago, is asked and told.
struct Model {
    states: HashMap<u8, State>,
    written: Written,
    policy: Policy,
    /// What it was, when it was changed, and until when that is of meaning.
    former: Vec<(Written, Policy, Micros, Micros)>,
}

impl Model {
    fn become_of(&mut self, written: Written, policy: Policy, now: Micros) {
        self.former.retain(|(.., until)| *until > now);
        if policy.id() != self.policy.id() {
            self.former.push((self.written, self.policy, now, now));
            self.former.retain(|(_, former, ..)| former.id() != policy.id());
        }
        for (former, _, since, until) in &mut self.former {
            *until = (*until).max(*since + Micros(2 * former.longest().max(written.longest()).0));
        }
        (self.written, self.policy) = (written, policy);
    }

    /// Each with the moment when it is not asked any more.
    fn active(&mut self, now: Micros) -> Vec<(Policy, Micros)> {
        self.former.retain(|(.., until)| *until > now);
        let formers = self.former.iter().map(|(_, former, _, until)| (former.under(&self.policy), *until));
        let all: Vec<_> = std::iter::once((self.policy, FOREVER)).chain(formers).collect();
        for (policy, _) in &all {
            self.states.entry(policy.id()).or_insert_with(|| policy.fresh());
        }
        all
    }

    fn each(&mut self, now: Micros, act: impl Fn(&Policy, &mut State) -> Outcome) -> Vec<Outcome> {
        let active = self.active(now);
        let ask = |(policy, until): &(Policy, Micros)| {
            let outcome = act(policy, self.states.get_mut(&policy.id()).unwrap());
            // Nobody waits longer for a limit than until it ends.
            let [retry_after, delay] = [outcome.retry_after, outcome.delay].map(|wait| wait.min(*until - now));
            Outcome { retry_after, delay, reset_at: outcome.reset_at.min(*until), ..outcome }
        };
        active.iter().map(ask).collect()
    }

    fn ask(&mut self, now: Micros, ask: Ask) -> Vec<Outcome> {
        let looks = self.each(now, |policy, state| policy.step(&mut state.clone(), now, Ask::look(ask.least)));
        if ask.cost == 0 || looks.iter().any(|look| !look.allowed) {
            return looks;
        }
        let granted = looks.iter().map(|look| look.remaining).min().unwrap().min(ask.cost);
        self.each(now, |policy, state| policy.step(state, now, Ask::all(granted)))
    }
}

fn told(outcomes: &[Outcome], policy: &Policy) -> Decision {
    let most = |of: fn(&Outcome) -> Micros| outcomes.iter().map(of).max().unwrap();
    let least = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).min().unwrap();
    let outcome = Outcome {
        allowed: outcomes.iter().all(|outcome| outcome.allowed),
        granted: least(|outcome| outcome.granted),
        remaining: least(|outcome| outcome.remaining),
        retry_after: most(|outcome| outcome.retry_after),
        reset_at: most(|outcome| outcome.reset_at),
        delay: most(|outcome| outcome.delay),
        booked: Micros::ZERO,
    };
    Decision::of_one(policy, &outcome, Source::Memory)
}

/// Windows are always as long: under a longer one a store may have forgotten what a model has not.
fn written() -> impl Strategy<Value = Written> {
    let limit = prop_oneof![Just(10), 2..=12u32];
    (prop::sample::select(&KINDS[..]), limit).prop_map(|(kind, limit)| Written::new(kind, limit, 1_000))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..900_000u32).prop_map(Step::Wait),
        1 => (1_000_000..6_000_000u32).prop_map(Step::Wait),
        6 => (1..=2u64).prop_map(Step::Take),
        1 => (1..=2u64).prop_map(Step::UpTo),
        1 => (1..=2u64).prop_map(Step::Look),
        1 => (1..=2u64).prop_map(Step::Refund),
        1 => (1..=2u64).prop_map(Step::Penalize),
        1 => Just(Step::Reset),
        2 => written().prop_map(Step::Become),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn each_decision_is_that_of_all_that_the_limit_is_and_was(
        first in written(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let (limiter, clock) = made(first.given());
        let policy = present(&limiter);
        let mut model = Model { states: HashMap::new(), written: first, policy, former: Vec::new() };
        let mut now = START;
        for step in steps {
            let said = match step {
                Step::Wait(time) => {
                    now = now + Micros(time.into());
                    clock.set(now);
                    continue;
                }
                Step::Become(written) => {
                    limiter.update(&written.given()).unwrap();
                    model.become_of(written, present(&limiter), now);
                    continue;
                }
                Step::Reset => {
                    acted(&limiter, Verb::Reset);
                    let active = model.active(now);
                    model.states.retain(|id, _| active.iter().all(|(policy, _)| policy.id() != *id));
                    continue;
                }
                // The short way, where that is open, knows the same keys.
                Step::Take(1) if limiter.is_simple() => {
                    let said = limiter.decide_here(b"a", Ask::all(1), |decision| decision).unwrap().unwrap();
                    (said, model.ask(now, Ask::all(1)))
                }
                Step::Take(cost) => (done(&limiter, Deed::Take, &of(cost)), model.ask(now, Ask::all(cost))),
                Step::UpTo(cost) => {
                    let options = CallOptions { up_to: true, ..of(cost) };
                    (done(&limiter, Deed::Take, &options), model.ask(now, Ask { cost, least: 1 }))
                }
                Step::Look(cost) => (done(&limiter, Deed::Look, &of(cost)), model.ask(now, Ask::look(cost))),
                Step::Refund(units) => (
                    done(&limiter, Deed::Refund, &of(units)),
                    model.each(now, |policy, state| policy.change(state, now, Change::Refund(units))),
                ),
                Step::Penalize(units) => (
                    done(&limiter, Deed::Penalize, &of(units)),
                    model.each(now, |policy, state| policy.change(state, now, Change::Penalize(units))),
                ),
            };
            prop_assert_eq!(said.0, told(&said.1, &model.policy), "{:?} at {:?}", step, now);
            // As soon as a call has found that nothing of what it was is left, it costs nothing any more.
            prop_assert_eq!(limiter.is_simple(), model.former.is_empty());
        }
    }

    /// What the model cannot tell, since it has the numbers of the former limit from the code: where numbers stay, no window that the
    /// change lies in has more than the new limit admits at once.
    #[test]
    fn no_window_across_a_change_has_more_than_the_limit(
        kind in prop::sample::select(&KINDS[1..]),
        gaps in prop::collection::vec(0..150u32, 40..80),
        changed_at in 1..40usize,
        (limit, window) in (2..=12u32, prop_oneof![Just(1_000), 300..2_000u32]),
    ) {
        let (limiter, clock) = made(Written::new(KINDS[0], limit, window).given());
        let mut taken: Vec<u64> = Vec::new();
        let mut changed = 0;
        for (index, gap) in gaps.into_iter().enumerate() {
            clock.advance(Micros::from_millis(gap.into()));
            let now = crate::clock::Clock::now(&*clock).0;
            if index == changed_at {
                limiter.update(&Written::new(kind, limit, window).given()).unwrap();
                changed = now;
            }
            if done(&limiter, Deed::Take, &of(1)).allowed {
                taken.push(now);
            }
        }
        let (window, most) = (u64::from(window) * 1_000, present(&limiter).capacity());
        for from in taken.iter().filter(|from| **from <= changed) {
            let units = taken.iter().filter(|at| (*from..*from + window).contains(at)).count() as u64;
            prop_assert!(units <= most, "{} of {} from {}, changed at {}", units, most, from, changed);
        }
    }
}

#[test]
fn what_is_blocked_and_held_outlives_what_is_remembered() {
    let (limiter, clock) = made(Written::new("fixed-window", 5, 1_000).given());
    acted(&limiter, Verb::Block(Micros::from_millis(60_000)));
    let other = limiter.request_for(&Who::Key(b"b".into()), Verb::Block(Micros(1)), &CallOptions::default());
    limiter.answer_here(&other.unwrap(), Trust::Nothing).unwrap();
    limiter.update(&Written::new("token-bucket", 5, 1_000).given()).unwrap();
    clock.advance(Micros::from_millis(59_999));
    assert!(!done(&limiter, Deed::Take, &of(1)).allowed);
    clock.advance(Micros::from_millis(1));
    assert!(done(&limiter, Deed::Take, &of(1)).allowed);

    let (limiter, clock) = made(Written::new("fixed-window", 5, 1_000).given());
    let hold = done(&limiter, Deed::Hold(Micros::from_millis(60_000)), &of(4));
    limiter.update(&Written::new("token-bucket", 5, 1_000).given()).unwrap();
    clock.advance(Micros::from_millis(30_000));
    assert!(!done(&limiter, Deed::Take, &of(2)).allowed, "four of five are held");
    let renewed = done(&limiter, Deed::Renew { ends: Micros(hold.booked), ttl: Micros::from_millis(60_000) }, &of(1));
    assert_ne!(renewed.booked, 0, "what was held before is known");
    clock.advance(Micros::from_millis(50_000));
    let settled = done(&limiter, Deed::Settle(Micros(renewed.booked)), &of(1));
    assert_eq!(settled.booked, renewed.booked);
    assert_eq!(settled.remaining, 4, "one was used");
}

#[test]
fn what_single_keys_and_calls_have_of_their_own_is_remembered_as_long() {
    let long = |limit: f64| record(&[("limit", Given::Number(limit)), ("window", Given::Number(60_000.0))]);
    let (limiter, clock) = made(Written::new("fixed-window", 5, 1_000).given());
    limiter.configure(&Who::Key(b"a".into()), &long(3.0)).unwrap();
    assert!(done(&limiter, Deed::Take, &of(3)).allowed);
    limiter.update(&Written::new("token-bucket", 5, 1_000).given()).unwrap();
    let denied = done(&limiter, Deed::Take, &of(1));
    assert_eq!((denied.allowed, denied.limit), (false, 3));
    clock.advance(Micros::from_millis(59_000));
    assert!(!done(&limiter, Deed::Take, &of(1)).allowed);
    clock.advance(Micros::from_millis(1_000));
    assert!(done(&limiter, Deed::Take, &of(3)).allowed);

    let own = CallOptions { own: Some((Given::Number(3.0), Given::Number(60_000.0))), ..of(3) };
    let (limiter, clock) = made(Written::new("fixed-window", 5, 1_000).given());
    assert!(done(&limiter, Deed::Take, &own).allowed);
    let short = CallOptions { own: Some((Given::Number(3.0), Given::Number(1.0))), ..of(1) };
    done(&limiter, Deed::Look, &short);
    limiter.update(&Written::new("token-bucket", 5, 1_000).given()).unwrap();
    clock.advance(Micros::from_millis(59_000));
    assert!(!done(&limiter, Deed::Take, &own).allowed);
}

#[test]
fn a_bucket_that_is_smaller_than_its_limit_leaves_windows_their_size() {
    let (limiter, _) = made(Written::new("sliding-window", 10, 1_000).given());
    assert!(done(&limiter, Deed::Take, &of(4)).allowed);
    let small =
        [("algorithm", text("token-bucket")), ("limit", Given::Number(10.0)), ("window", Given::Number(1_000.0))];
    limiter.update(&record(&[&small[..], &[("burst", Given::Number(1.0))]].concat())).unwrap();
    assert!(done(&limiter, Deed::Take, &of(1)).allowed);
    assert_eq!(done(&limiter, Deed::Take, &of(1)).retry_after_ms, 100, "it is the bucket that is empty");
    // And one that is larger takes what it could.
    limiter.update(&record(&[&small[..], &[("burst", Given::Number(50.0))]].concat())).unwrap();
    assert!(done(&limiter, Deed::Take, &of(40)).allowed);
}

fn calendar(units: f64) -> Given {
    let window = record(&[("calendar", text("month"))]);
    record(&[("limit", Given::Number(units)), ("window", window)])
}

/// Without this a caller of a few times a minute would be told to come back next month.
#[test]
fn nobody_waits_longer_for_what_a_limit_was_than_until_it_ends() {
    let (limiter, clock) = made(calendar(1_000.0));
    assert!(done(&limiter, Deed::Take, &of(900)).allowed);
    limiter.update(&Written::new("sliding-window", 100, 60_000).given()).unwrap();
    clock.advance(Micros::from_millis(20_000));
    let denied = done(&limiter, Deed::Take, &of(1));
    assert_eq!((denied.allowed, denied.limit, denied.remaining, denied.retry_after_ms), (false, 100, 0, 100_000));
    assert_eq!(denied.reset_at_ms, (START + Micros::from_millis(120_000)).as_millis_up());
    clock.advance(Micros::from_millis(99_999));
    assert_eq!(done(&limiter, Deed::Take, &of(1)).retry_after_ms, 1);
    clock.advance(Micros::from_millis(1));
    assert!(done(&limiter, Deed::Take, &of(100)).allowed);
}

#[test]
fn a_limit_keeps_its_own_window_beside_the_calendar() {
    let (limiter, clock) = made(Written::new("fixed-window", 5, 1_000).given());
    assert!(done(&limiter, Deed::Take, &of(5)).allowed);
    limiter.update(&calendar(5.0)).unwrap();
    let denied = done(&limiter, Deed::Take, &of(1));
    assert_eq!((denied.allowed, denied.retry_after_ms), (false, 1_000));
    clock.advance(Micros::from_millis(1_000));
    assert!(done(&limiter, Deed::Take, &of(5)).allowed);
    clock.advance(Micros::from_millis(1_000));
    assert!(done(&limiter, Deed::Take, &of(1)).retry_after_ms > 1_000, "it is the month's units that are gone");
}

fn user(name: &str, kind: &'static str, more: &[(&str, Given)]) -> Given {
    let numbers = [
        ("name", text(name)),
        ("by", text("user")),
        ("algorithm", text(kind)),
        ("limit", Given::Number(5.0)),
        ("window", Given::Number(1_000.0)),
    ];
    record(&[&numbers[..], more].concat())
}

fn named(limits: Vec<Given>) -> Given {
    record(&[("limits", Given::List(limits))])
}

fn done_by_user(limiter: &Limiter, cost: u64) -> Decision {
    let who = Who::Fields(vec![("user".to_owned(), b"a".into())]);
    let request = limiter.request(&who, Deed::Take, &of(cost)).unwrap();
    limiter.answer_here(&request, Trust::Nothing).unwrap().unwrap()
}

/// Without this what was used under the longer window would be forgotten with the shorter one.
#[test]
fn what_an_override_of_a_field_has_of_its_own_is_remembered_as_long() {
    let own = record(&[("limit", Given::Number(3.0)), ("window", Given::Number(60_000.0))]);
    let overrides = record(&[("user", record(&[("a", own)]))]);
    let given = |kind| {
        let limits = ("limits", Given::List(vec![user("each", kind, &[])]));
        record(&[limits, ("overrides", overrides.clone())])
    };
    let (limiter, clock) = made(given("fixed-window"));
    assert!(done_by_user(&limiter, 3).allowed);
    limiter.update(&given("token-bucket")).unwrap();
    clock.advance(Micros::from_millis(59_000));
    assert!(!done_by_user(&limiter, 1).allowed);
    clock.advance(Micros::from_millis(1_000));
    assert!(done_by_user(&limiter, 3).allowed);
}

/// Without this two states would be written by turns under one name, and each read the other as none.
#[test]
fn a_name_that_comes_back_does_not_read_what_another_state_has_written() {
    let burst = record(&[("extra", Given::Number(2.0)), ("window", Given::Number(700.0))]);
    let with_burst = |kind| user("x", kind, &[("burst", burst.clone())]);
    let other = || user("y", "fixed-window", &[]);
    for is_gone_meanwhile in [true, false] {
        let (limiter, _) = made(named(vec![user("x", "sliding-window", &[]), other()]));
        limiter.update(&named(vec![user("x", "token-bucket", &[]), other()])).unwrap();
        if is_gone_meanwhile {
            limiter.update(&named(vec![other()])).unwrap();
        }
        let refused = limiter.update(&named(vec![with_burst("sliding-window"), other()])).unwrap_err();
        assert!(refused.to_string().contains("burst"), "{refused}");
    }
    // Nor where it came back as what it had never been.
    let (limiter, clock) = made(named(vec![user("x", "sliding-window", &[]), other()]));
    for next in [user("x", "token-bucket", &[]), user("z", "fixed-window", &[])] {
        limiter.update(&named(vec![next, other()])).unwrap();
    }
    clock.advance(Micros::from_millis(60_000));
    assert!(done_by_user(&limiter, 1).allowed, "nothing of what it was is in force");
    limiter.update(&named(vec![user("x", "sliding-counter", &[]), other()])).unwrap();
    assert!(limiter.update(&named(vec![with_burst("sliding-counter"), other()])).is_err());
}

/// Without this it would be found under another mark, and what was used before would be forgotten.
#[test]
fn a_name_that_comes_back_finds_what_it_had_used() {
    let (limiter, clock) = made(named(vec![user("x", "sliding-window", &[]), user("y", "fixed-window", &[])]));
    let x = || user("x", "token-bucket", &[("burst", Given::Number(5.0))]);
    limiter.update(&named(vec![x(), user("y", "fixed-window", &[])])).unwrap();
    clock.advance(Micros::from_millis(10_000));
    assert!(done_by_user(&limiter, 5).allowed);
    limiter.update(&named(vec![user("y", "sliding-counter", &[])])).unwrap();
    limiter.update(&named(vec![x()])).unwrap();
    assert!(!done_by_user(&limiter, 1).allowed);
}

#[test]
fn each_of_many_limits_may_have_been_each_algorithm() {
    let all = |kind| named((0..16).map(|index| user(&format!("x{index}"), kind, &[])).collect());
    let (limiter, _) = made(all(KINDS[0]));
    assert!(done_by_user(&limiter, 2).allowed);
    for kind in &KINDS[1..] {
        limiter.update(&all(kind)).unwrap();
    }
    // A leaky bucket holds one unit beside those that wait.
    let last = done_by_user(&limiter, 3);
    assert_eq!((last.allowed, last.remaining, last.named.as_ref().unwrap().each.len()), (true, 1, 16));
    assert!(!done_by_user(&limiter, 2).allowed);
}

/// Without this what another process has leased would be forgotten while it is still used.
#[test]
fn what_is_leased_counts_as_long_as_it_did() {
    let numbers =
        |kind| vec![("algorithm", text(kind)), ("limit", Given::Number(10.0)), ("window", Given::Number(1_000.0))];
    let lease = record(&[("max", Given::Number(5.0)), ("ttl", Given::Number(200.0))]);
    let store = [("redisUrl", text("redis://127.0.0.1:1")), ("lease", lease)];
    let (limiter, clock) = made(record(&[&numbers("sliding-window")[..], &store].concat()));
    limiter.update(&record(&numbers("token-bucket"))).unwrap();
    let request = limiter.request(&Who::Key(b"a".into()), Deed::Take, &of(1)).unwrap();
    let windows: Vec<_> = request.limits.iter().map(|limit| limit.policy.window()).collect();
    assert_eq!(windows, [1_000, 1_200].map(Micros::from_millis));
    clock.advance(Micros::from_millis(2_599));
    assert_eq!(asked(&limiter), 2);
    clock.advance(Micros::from_millis(1));
    assert_eq!(asked(&limiter), 1);
}

/// How many limits a call is asked of.
fn asked(limiter: &Limiter) -> usize {
    limiter.request(&Who::Key(b"a".into()), Deed::Look, &of(1)).unwrap().limits.len()
}

#[test]
fn what_is_over_does_not_come_back_with_a_longer_window_nor_last_for_a_later_block() {
    let (limiter, clock) = made(Written::new("fixed-window", 5, 1_000).given());
    limiter.update(&Written::new("token-bucket", 5, 1_000).given()).unwrap();
    assert_eq!(asked(&limiter), 2);
    clock.advance(Micros::from_millis(1));
    acted(&limiter, Verb::Block(Micros::from_millis(60_000)));
    limiter.update(&Written::new("sliding-window", 5, 1_000).given()).unwrap();
    assert_eq!(asked(&limiter), 3);
    clock.advance(Micros::from_millis(10_000));
    limiter.update(&Written::new("sliding-window", 5, 60_000).given()).unwrap();
    assert_eq!(asked(&limiter), 2, "the bucket knows of the block");
}

#[test]
fn an_action_has_the_history_of_the_limit_that_it_had() {
    let of_action = |action: &str| CallOptions { action: Some(action.to_owned()), ..of(5) };
    let own = Written::new("sliding-window", 5, 1_000).given();
    let actions = ("actions", record(&[("login", own)]));
    let Given::Record(fields) = Written::new("fixed-window", 5, 1_000).given() else { unreachable!() };
    let (limiter, _) = made(Given::Record([&fields[..], &[(actions.0.to_owned(), actions.1)]].concat()));
    for action in ["login", "read"] {
        assert!(done(&limiter, Deed::Take, &of_action(action)).allowed);
    }
    // It falls back to the limiter's own limit, which stays what it is.
    limiter.update(&Given::Record(fields)).unwrap();
    assert!(!done(&limiter, Deed::Take, &of_action("login")).allowed);
    limiter.update(&Written::new("token-bucket", 5, 1_000).given()).unwrap();
    for action in ["login", "read"] {
        assert!(!done(&limiter, Deed::Take, &of_action(action)).allowed, "{action}");
    }
}

#[test]
fn the_limit_on_new_keys_and_the_fallback_are_asked_beside_it() {
    let given = |kind| {
        let fallback = record(&[("limit", Given::Number(2.0)), ("window", Given::Number(1_000.0))]);
        let new_keys = [("limit", Given::Number(1.0)), ("window", Given::Number(60_000.0)), ("by", text("ip"))];
        let limits = vec![user("x", kind, &[("fallback", fallback)])];
        record(&[("limits", Given::List(limits)), ("newKeys", record(&new_keys))])
    };
    let (limiter, _) = made(given("fixed-window"));
    limiter.update(&given("sliding-window")).unwrap();
    let call = |name: &str| {
        let fields = [("user", name), ("ip", "1")];
        let fields = fields.map(|(field, key)| (field.to_owned(), key.as_bytes().to_vec().into()));
        let request = limiter.request(&Who::Fields(fields.into()), Deed::Take, &of(1)).unwrap();
        let capacities: Vec<u64> = request.limits.iter().map(|limit| limit.fallback.capacity()).collect();
        assert_eq!(capacities, [2, 2, 1]);
        limiter.answer_here(&request, Trust::Nothing).unwrap().unwrap().allowed
    };
    assert_eq!(["a", "b", "a"].map(call), [true, false, true]);
}
