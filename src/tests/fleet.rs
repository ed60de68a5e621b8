//! Instances that share a limit: what each takes of it, and the list by which they know how many they are.

use std::cell::RefCell;

use proptest::prelude::*;

use super::schedule::{START, policy};
use super::server::Server;
use crate::algorithm::{Ask, LeakyBucket, Policy, SlidingWindow, TokenBucket};
use crate::clock::Micros;
use crate::fleet::{Fleet, HOLDS};
use crate::limits::{By, Limit, Limits, NEW_KEYS};
use crate::store::redis::roll;
use crate::store::redis::script::Script;

const MINUTE: Micros = Micros::from_millis(60_000);

/// What a key that was never seen is granted at once.
fn granted(policy: &Policy) -> u64 {
    policy.step(&mut policy.fresh(), START, Ask { cost: u64::MAX >> 8, least: 1 }).granted
}

proptest! {
    #![proptest_config(super::cases(256))]

    /// All of it can be used, and not as many units more as there are instances. Each of two numbers is rounded for itself.
    #[test]
    fn the_shares_are_the_limit_and_less_than_a_unit_more_for_each(policy in policy(), instances in 1..=10_000u64) {
        let (whole, share) = (granted(&policy), granted(&policy.share(instances)));
        let rounded = if policy.id() > 128 { 2 } else { 1 };
        let all = u128::from(share) * u128::from(instances);
        prop_assert!(all >= u128::from(whole), "{share} each are less than {whole}");
        prop_assert!(all <= u128::from(whole) + u128::from(rounded * (instances - 1)), "{share} each are more than {whole}");
        prop_assert_eq!(policy.share(1).numbers(), policy.numbers());
    }

    /// An outage may find fewer instances than the last one did, or more: what was taken by then stays taken.
    #[test]
    fn what_was_taken_under_one_share_counts_under_another(
        policy in policy(),
        before in 1..=100u64,
        after in 1..=100u64,
    ) {
        let [before, after] = [before, after].map(|instances| policy.share(instances));
        let mut state = before.fresh();
        let all = Ask { cost: u64::MAX >> 8, least: 1 };
        let first = before.step(&mut state, START, all).granted;
        let second = after.step(&mut state, START, all).granted;
        let most = match policy {
            // A bucket's units are time, which comes to others under another rate; its moments are told to the microsecond.
            Policy::TokenBucket(_) | Policy::LeakyBucket(_) => {
                let [of_before, of_after] = [&before, &after].map(|policy| u128::from(policy.numbers()[0]));
                let taken = (u128::from(first) * of_after).div_ceil(of_before);
                let in_a_microsecond = of_after.div_ceil(policy.window().0.into());
                (u128::from(after.capacity()) + in_a_microsecond).saturating_sub(taken)
            }
            _ => u128::from(before.capacity().max(after.capacity()) - first),
        };
        prop_assert!(u128::from(second) <= most, "{first}, then {second} of {most}");
    }

    #[test]
    fn one_that_has_heard_of_nobody_takes_a_unit(policy in policy()) {
        let policy = Fleet::new("rl").share(&shared(policy, policy)).unwrap().only().unwrap().fallback;
        prop_assert_eq!(granted(&policy), if policy.id() > 128 { 2 } else { 1 });
    }
}

fn shared(policy: Policy, fallback: Policy) -> Limits {
    Limits::new([Limit::new("rl", None, None, By::Key, policy, fallback).shared(true)])
}

#[test]
fn shares_are_of_the_fallback_and_of_those_limits_that_are_shared() {
    let sliding = |limit| Policy::SlidingWindow(SlidingWindow::new(limit, MINUTE, 32));
    let fleet = Fleet::new("rl");
    fleet.resize(8);
    let own = fleet.share(&shared(sliding(500), sliding(100))).unwrap();
    assert_eq!(own.only().unwrap().policy, sliding(500), "what Redis decides by");
    assert_eq!(granted(&own.only().unwrap().fallback), 13);

    let alone = Limit::new("rl", Some("alone"), None, By::Key, sliding(50), sliding(50));
    assert!(fleet.share(&Limits::new([alone.clone()])).is_none());
    let both = Limits::new([alone, shared(sliding(9), sliding(9)).only().unwrap().clone()]);
    let own = fleet.share(&both).unwrap();
    assert_eq!(own.iter().map(|limit| granted(&limit.fallback)).collect::<Vec<_>>(), [50, 2]);
}

/// Were it forgotten which of them it is, calls of those who are known would take its units.
#[test]
fn the_limit_on_new_keys_is_shared_and_stays_what_it_is() {
    let limit = |name, by: &str, units| {
        let policy = Policy::SlidingWindow(SlidingWindow::new(units, MINUTE, 32));
        Limit::new("rl", Some(name), None, By::Field(by.into()), policy, policy).shared(true)
    };
    let limits = Limits::new([limit("user", "user", 80)]).guarded_by(&limit(NEW_KEYS, "ip", 16));
    let fleet = Fleet::new("rl");
    fleet.resize(8);
    let own = fleet.share(limits.guarded().unwrap()).unwrap();
    assert!(own.has_new_keys());
    assert_eq!(own.iter().map(|limit| granted(&limit.fallback)).collect::<Vec<_>>(), [10, 2]);
}

#[test]
fn bursts_are_shared_as_limits_are() {
    let bucket = Policy::TokenBucket(TokenBucket::new(100, MINUTE, 250));
    assert_eq!(bucket.share(8), Policy::TokenBucket(TokenBucket::new(13, MINUTE, 32)));
    // One unit leaves at once, and it is one of those that are shared.
    let queue = Policy::LeakyBucket(LeakyBucket::new(100, MINUTE, 15));
    assert_eq!(queue.share(8), Policy::LeakyBucket(LeakyBucket::new(13, MINUTE, 1)));
    assert_eq!(queue.share(u64::MAX), Policy::LeakyBucket(LeakyBucket::new(1, MINUTE, 0)));
}

/// In place of `lua/clock.lua`: the time stands in the key `now`.
pub(super) const CLOCK: &str = "local function present() return tonumber(redis.call('GET', 'now')) end\n\
     local function lifetime(span) return string.format('%d', span / 1000) end\n";

/// The list, on time that stands in the key `now`.
struct Roll {
    script: Script,
    client: RefCell<redis::Connection>,
    _server: Server,
}

impl Roll {
    fn new() -> Self {
        let server = Server::start();
        let script = roll::script(CLOCK);
        let roll = Self { script, client: RefCell::new(server.client()), _server: server };
        roll.set_clock(START);
        roll
    }

    fn set_clock(&self, now: Micros) {
        redis::cmd("SET").arg("now").arg(now.0).exec(&mut self.client.borrow_mut()).unwrap();
    }

    fn say(&self, instance: &Fleet, holds: Micros) -> u64 {
        let call = roll::pack(&instance.announcement(holds));
        let reply = call.command("EVAL", self.script.text()).query(&mut self.client.borrow_mut()).unwrap();
        roll::read(&reply).unwrap()
    }

    fn expiry(&self) -> i64 {
        redis::cmd("PTTL").arg("rl:fleet").query(&mut self.client.borrow_mut()).unwrap()
    }
}

#[test]
fn the_list_counts_who_is_there_and_forgets_who_was() {
    let roll = Roll::new();
    let [one, two, three] = [(); 3].map(|()| Fleet::new("rl"));
    assert_eq!([&one, &two, &one, &three].map(|instance| roll.say(instance, HOLDS)), [1, 2, 2, 3]);
    assert_eq!(roll.say(&Fleet::new("another"), HOLDS), 1, "under another prefix");
    roll.set_clock(START + HOLDS - Micros(1));
    assert_eq!(roll.say(&one, HOLDS), 3);
    roll.set_clock(START + HOLDS);
    assert_eq!(roll.say(&one, HOLDS), 1, "the others have not said anything for that long");
    roll.say(&two, HOLDS);
    assert_eq!(roll.say(&one, Micros::ZERO), 1, "one has left");
    assert!(roll.expiry() > 0, "who leaves takes nobody else's list away");
    assert_eq!(roll.say(&two, Micros::ZERO), 0);
}

#[test]
fn the_list_goes_with_the_last_of_them() {
    let roll = Roll::new();
    roll.say(&Fleet::new("rl"), HOLDS);
    let expiry = roll.expiry();
    assert!((1..=3_000).contains(&expiry), "{expiry} ms");
}

/// They would be counted until the clock is there again.
#[test]
fn announcements_of_before_the_clock_jumped_back_are_forgotten() {
    let roll = Roll::new();
    let [gone, here] = [(); 2].map(|()| Fleet::new("rl"));
    roll.say(&gone, HOLDS);
    roll.say(&here, HOLDS);
    roll.set_clock(START - Micros::from_millis(3_600_000));
    assert_eq!(roll.say(&here, HOLDS), 1);
}
