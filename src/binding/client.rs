//! The application's own client, as the core sees it: a job goes to the JavaScript thread with the news, and its reply comes
//! back by its number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::sys;
use tokio::sync::oneshot;

use super::calls::guarded;
use super::driver::{Letterbox, Mail};
use super::environment::Environment;
use super::js::{Js, Kind, Value};
use super::{given, text};
use crate::error::Error;
use crate::input::Given;
use crate::store::client::{Cluster, Job, Performing, Reply, Work};
use crate::store::redis::script::Packed;

/// Replies longer than this are nonsense.
const MOST_PARTS: usize = 1 << 16;

/// Who waits for which job.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Table>);

#[derive(Default)]
struct Table {
    last: AtomicU64,
    /// A standard mutex: it is held for an insertion or a removal.
    jobs: Mutex<HashMap<u64, oneshot::Sender<Result<Reply, String>>>>,
}

impl Waiting {
    fn jobs(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Reply, String>>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who waits for a job, and the job's number.
    fn begin(&self) -> (Waiter, u64) {
        let (sender, receiver) = oneshot::channel();
        let job = self.0.last.fetch_add(1, Ordering::Relaxed);
        self.jobs().insert(job, sender);
        (Waiter { waiting: self.clone(), job, receiver }, job)
    }

    /// Whether somebody still waits for the job.
    pub(super) fn has(&self, job: u64) -> bool {
        self.jobs().contains_key(&job)
    }

    /// Tells whoever waits for the job; a reply that comes twice, or too late, is dropped.
    fn settle(&self, job: u64, reply: Result<Reply, String>) {
        let waiter = self.jobs().remove(&job);
        if let Some(waiter) = waiter {
            // Nobody may be left to hear it.
            let _ = waiter.send(reply);
        }
    }
}

/// Leaves no place behind when it goes, whether the job was settled or not.
struct Waiter {
    waiting: Waiting,
    job: u64,
    receiver: oneshot::Receiver<Result<Reply, String>>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiting.jobs().remove(&self.job);
    }
}

/// One limiter's way to its client. When it is dropped nothing more is asked of that client.
pub(super) struct Bridge {
    letterbox: Letterbox,
    waiting: Waiting,
}

impl Bridge {
    pub(super) fn new(letterbox: Letterbox, waiting: Waiting) -> Self {
        Self { letterbox, waiting }
    }
}

impl Work for Bridge {
    fn perform(&self, job: Job) -> Performing {
        let (mut waiter, number) = self.waiting.begin();
        self.letterbox.send(Mail::Job(number, job));
        Box::pin(async move {
            let ended = |_| Err("the environment has ended".to_owned());
            (&mut waiter.receiver).await.unwrap_or_else(ended)
        })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.letterbox.send(Mail::Released);
    }
}

/// A job as the arguments of lib's function after the numbers of limiter and job: what to do, and of what.
pub(super) fn arguments(js: Js, job: &Job) -> Vec<Value> {
    match job {
        Job::EvalSha(digest, call) => script(js, "evalsha", digest, call),
        Job::Eval(text, call) => script(js, "eval", text, call),
        Job::Get(name) => vec![js.string("get"), js.string(name)],
        #[expect(clippy::cast_precision_loss, reason = "three times the longest window is below 2^53")]
        Job::Increment(name, expiry_ms) => {
            vec![js.string("incrementAndGet"), js.string(name), js.double(*expiry_ms as f64)]
        }
        Job::Decrement(name) => vec![js.string("decrementAndGet"), js.string(name)],
    }
}

/// The keys and the argument travel in one piece, with where each key ends: a Buffer of its own costs more than to cut it off.
fn script(js: Js, name: &str, script: &str, call: &Packed) -> Vec<Value> {
    let (keys, ends) = call.keys();
    #[expect(clippy::cast_precision_loss, reason = "keys are at most some kilobytes each")]
    let ends = ends.iter().map(|end| js.double(*end as f64));
    vec![js.string(name), js.string(script), js.buffer(&[keys, call.argument()]), js.array(ends)]
}

/// The adapter of a client, or the refusal of what is none.
pub(super) fn adapter(
    js: Js,
    options: Value,
    adapter: Option<Value>,
    name: &str,
    refuse: impl FnOnce(&Given) -> Error,
) -> Result<Value, Error> {
    adapter.filter(|adapter| js.kind(*adapter) == Kind::Object).ok_or_else(|| {
        let given = js.get_own(options, name).unwrap_or_else(|| js.undefined());
        refuse(&given::describe(js, given))
    })
}

/// What an adapter says of its client: `{ cluster, keyPrefix }`.
pub(super) fn cluster(js: Js, adapter: Value) -> Option<Cluster> {
    let is_cluster = js.get(adapter, js.string("cluster")).is_some_and(|flag| js.truth(flag));
    let prefix = js.get(adapter, js.string("keyPrefix")).and_then(|prefix| text::lossy(js, prefix));
    is_cluster.then(|| Cluster { prefix: prefix.unwrap_or_default().into_bytes() })
}

/// `settleJob(job, error, reply)`: what came of a job, `error` being a string, or `undefined` where there is a reply.
pub(super) unsafe extern "C" fn settle_job(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let js = Js::new(env);
    let ([job, error, reply], _, _) = js.arguments::<3>(info);
    guarded(js, || {
        let environment = Environment::of(js).ok_or_else(|| Error::Internal("no environment".into()))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a number of ours")]
        let job = js.number(job).ok_or_else(|| Error::Internal("no job has that number".into()))? as u64;
        let reply = match text::lossy(js, error) {
            Some(error) => Err(error),
            None => Ok(read(js, reply, true)),
        };
        environment.waiting.settle(job, reply);
        Ok(js.undefined())
    })
}

fn read(js: Js, value: Value, enter: bool) -> Reply {
    match js.kind(value) {
        Kind::Undefined | Kind::Null => Reply::Nothing,
        Kind::Number => js.number(value).map_or(Reply::Other, Reply::Number),
        #[expect(clippy::cast_precision_loss, reason = "no reply of use is that large")]
        Kind::BigInt => js.whole(value).map_or(Reply::Other, |whole| Reply::Number(whole as f64)),
        Kind::String => text::lossy(js, value).map_or(Reply::Other, Reply::Text),
        Kind::Object if js.is_array(value) => {
            let parts = js.elements(value);
            if enter && parts.len() <= MOST_PARTS {
                Reply::List(parts.into_iter().map(|part| read(js, part, false)).collect())
            } else {
                Reply::Other
            }
        }
        Kind::Object => js.bytes(value).map_or(Reply::Other, Reply::Bytes),
        _ => Reply::Other,
    }
}
