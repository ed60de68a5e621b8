//! Instances that tell each other of their levels beside their calls.

use super::caller::{Caller, Change};
use super::text;
use crate::adaptive::Share;
use crate::clock::Micros;
use crate::input::Given;
use crate::tests::server::Server;

fn of_fleet() -> [(&'static str, Given); 2] {
    let adaptive = vec![("scope".into(), text("fleet")), ("min".into(), Given::Number(0.1))];
    [("limit", Given::Number(100.0)), ("adaptive", Given::Record(adaptive))]
}

/// An instance whose own level is the least, or the whole.
struct Member {
    caller: Caller,
    load: f64,
    now: u64,
}

impl Member {
    fn new(server: &Server, load: f64) -> Self {
        let mut member = Self { caller: Caller::connected(&server.url(), &of_fleet()), load, now: 0 };
        for _ in 0..100 {
            member.stands();
        }
        member
    }

    /// The level in force, its own, and of how many the first is the mean, in thousandths. Time passes for its controller.
    fn stands(&mut self) -> (u64, u64, u32) {
        self.now += 100_000;
        let (standing, _) = self.caller.limiter().observe(Micros(self.now), self.load).unwrap();
        (Share::of(standing.level).parts(), Share::of(standing.own).parts(), standing.instances)
    }

    fn wait_for(&mut self, expected: (u64, u64, u32)) {
        let mut last = (0, 0, 0);
        for _ in 0..1_000 {
            last = self.stands();
            if last == expected {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("it stands at {last:?}, not at {expected:?}");
    }
}

#[test]
fn all_go_by_the_mean_and_each_by_its_own_while_redis_is_away() {
    let server = Server::start();
    let mut fleet = [50.0, 0.0, 0.0, 0.0].map(|load| Member::new(&server, load));
    // Three at 1 and one at a tenth.
    for member in &mut fleet {
        let own = if member.load > 0.0 { 100 } else { 1_000 };
        member.wait_for((775, own, 4));
        assert_eq!(member.caller.limiter().stats().batches(), 0, "what is told is no call");
    }
    drop(server);
    for member in &mut fleet {
        member.caller.wait_for(Change::Down);
        let own = if member.load > 0.0 { 100 } else { 1_000 };
        assert_eq!(member.stands(), (own, own, 1));
    }
}

#[test]
fn one_that_is_closed_counts_no_more_when_that_is_settled() {
    let server = Server::start();
    let mut stays = Member::new(&server, 0.0);
    let mut leaves = Member::new(&server, 50.0);
    stays.wait_for((550, 1_000, 2));
    let closed = leaves.caller.close();
    leaves.caller.answer(closed).unwrap();
    let fields = format!("{:?}", server.say(&["HLEN", "rl:levels"]));
    assert!(fields == "int(2)" || fields == "int(1)", "one, and perhaps the sum: {fields}");
    stays.wait_for((1_000, 1_000, 1));
}

#[test]
fn without_the_right_to_tell_each_goes_by_its_own_and_says_so_once() {
    let server = Server::start();
    server.say(&["ACL", "SETUSER", "default", "-hset"]);
    let mut member = Member::new(&server, 50.0);
    member.caller.wait_until("it is told", |caller| !caller.unheard().is_empty());
    assert_eq!(member.caller.unheard()[0].code(), "ERR_RATE_LIMIT_STORE_UNAVAILABLE");
    assert_eq!(member.stands(), (100, 100, 1));
    let ticket = member.caller.take("key");
    assert!(member.caller.decision(ticket).allowed);
    assert_eq!(member.caller.changes(), &[Change::Up][..]);
    server.say(&["ACL", "SETUSER", "default", "+hset"]);
    let mut other = Member::new(&server, 0.0);
    other.wait_for((550, 1_000, 2));
    member.wait_for((550, 100, 2));
    assert_eq!(member.caller.unheard().len(), 1);

    // What was heard does not hold for ever.
    server.say(&["ACL", "SETUSER", "default", "-hset"]);
    member.wait_for((100, 100, 1));
    other.wait_for((1_000, 1_000, 1));
}
