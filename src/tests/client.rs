//! The store behind somebody else's client: what is asked of it, what is made of its answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Builder;

use crate::algorithm::{Ask, Policy, SlidingWindow};
use crate::clock::Micros;
use crate::error::Error;
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::client::{Client, Cluster, Job, Performing, Reply, Work};
use crate::store::redis::script::ENGINE;
use crate::store::{Reach, Request, Store, Verb, When};

/// A client that answers as it is told, and remembers what it was asked: the name, and how many keys.
#[derive(Clone)]
struct Told {
    asked: Arc<Mutex<Vec<(&'static str, usize)>>>,
    answer: Arc<Answer>,
}

type Answer = dyn Fn(&'static str, &[Vec<u8>]) -> Performing + Send + Sync;

impl Told {
    fn new(answer: impl Fn(&'static str, &[Vec<u8>]) -> Performing + Send + Sync + 'static) -> Self {
        Self { asked: Arc::default(), answer: Arc::new(answer) }
    }

    fn asked(&self) -> Vec<(&'static str, usize)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Work for Told {
    fn perform(&self, job: Job) -> Performing {
        let (name, call) = match job {
            Job::EvalSha(_, call) => ("evalsha", call),
            Job::Eval(_, call) => ("eval", call),
            Job::Get(_) | Job::Increment(..) | Job::Decrement(_) => panic!("it is no cache"),
        };
        let (bytes, ends) = call.keys();
        let starts = std::iter::once(&0).chain(ends);
        let keys: Vec<Vec<u8>> = starts.zip(ends).map(|(start, end)| bytes[*start..*end].to_vec()).collect();
        let answer = (self.answer)(name, &keys);
        self.asked.lock().unwrap().push((name, keys.len()));
        answer
    }
}

fn now(answer: Result<Reply, String>) -> Performing {
    Box::pin(std::future::ready(answer))
}

/// As the script says of each key: allowed, one granted, `remaining` left.
fn allowed(keys: usize, remaining: u8) -> Result<Reply, String> {
    let each = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, remaining, 0, 0, 0, 0, 0, 0, 9];
    Ok(Reply::List(vec![Reply::Bytes(each.repeat(keys))]))
}

fn refuse(reason: &str) -> Performing {
    now(Err(reason.to_owned()))
}

fn request(keys: &[&str]) -> Request {
    let policy = Policy::SlidingWindow(SlidingWindow::new(9, Micros::from_millis(1_000), 32));
    let limit = Limit::in_namespace("rl:", policy);
    Request {
        limits: Arc::new(Limits::new(keys.iter().map(|_| limit.clone()))),
        keys: keys.iter().map(|key| Key::from_normal(key.as_bytes())).collect(),
        verb: Verb::Decide(Ask::all(1)),
        when: When::Now,
    }
}

fn decide(client: &Client<Told>, batch: &[Request]) -> crate::store::Answers {
    client.decide(&mut batch.iter()).now_or_never().expect("these clients answer at once")
}

#[test]
fn the_text_is_sent_once_where_the_digest_is_unknown() {
    let told = Told::new(|name, keys| match name {
        "evalsha" => refuse("NOSCRIPT No matching script."),
        _ => now(allowed(keys.len(), 8)),
    });
    let answers = decide(&Client::new(told.clone(), &ENGINE, None), &[request(&["a"])]).unwrap();
    assert_eq!(answers[0].as_ref().unwrap().remaining, 8);
    assert_eq!(told.asked(), [("evalsha", 1), ("eval", 1)]);

    let told = Told::new(|_, _| refuse("-NOSCRIPT again and again"));
    let failed = decide(&Client::new(told.clone(), &ENGINE, None), &[request(&["a"])]);
    assert!(matches!(failed, Err(Error::StoreUnavailable(_))), "{failed:?}");
    assert_eq!(told.asked(), [("evalsha", 1), ("eval", 1)]);
}

/// A reply that was lost may have been counted: whoever asked again would count twice.
#[test]
fn nothing_else_is_sent_twice() {
    for reason in ["READONLY replica", "connection lost", "ERR NOSCRIPT in the middle", ""] {
        let told = Told::new(move |_, _| refuse(reason));
        let failed = decide(&Client::new(told.clone(), &ENGINE, None), &[request(&["a"])]);
        assert!(matches!(failed, Err(Error::StoreUnavailable(_))), "{reason}: {failed:?}");
        assert_eq!(told.asked(), [("evalsha", 1)], "{reason}");
    }
}

#[test]
fn a_client_that_does_not_answer_is_not_waited_for() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let told = Told::new(|_, _| Box::pin(std::future::pending()));
    let client = Client::new(told.clone(), &ENGINE, None);
    let opened = runtime.block_on(client.open(Duration::from_millis(5)));
    assert!(matches!(opened, Err(Error::StoreUnavailable(_))));
    assert_eq!(told.asked(), [("evalsha", 0)]);
}

/// Two of the keys lie in one slot by their hash tag; without the split a cluster would refuse the whole batch.
#[test]
fn on_a_cluster_each_slot_is_a_call_of_its_own() {
    let told = Told::new(|_, keys| {
        let is_bad = keys.iter().any(|key| key.ends_with(b"bad"));
        if is_bad { refuse("CLUSTERDOWN") } else { now(allowed(keys.len(), u8::try_from(keys.len()).unwrap())) }
    });
    let client = Client::new(told.clone(), &ENGINE, Some(Cluster { prefix: b"{".to_vec() }));
    // The client's own prefix and the namespace make `{rl:a}…`: the tag ends where a key's first brace does.
    let batch: Vec<Request> = ["a}1", "b}1", "a}2", "c}bad", "b}2", "a}3"].iter().map(|key| request(&[key])).collect();
    let answers = decide(&client, &batch).unwrap();
    let remaining: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map(|outcome| outcome.remaining).map_err(|error| error.code()))
        .collect();
    let failed = Err("ERR_RATE_LIMIT_STORE_UNAVAILABLE");
    assert_eq!(remaining, [Ok(3), Ok(2), Ok(3), failed, Ok(2), Ok(3)]);
    let mut sizes: Vec<_> = told.asked().into_iter().map(|(_, keys)| keys).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 3]);
}
