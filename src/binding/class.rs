//! The class `RateLimiter` as Rust has it: the constructor checks the options, the rest is seldom called.

use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{Object, Unknown};
use napi::{Env, JsValue, Status};
use napi_derive::napi;

use super::calls::{self, Bound};
use super::client::{self, Bridge, Waiting};
use super::driver::{self, Driver};
use super::environment::Environment;
use super::js::{Js, Kind, Value};
use super::stats::Stats;
use super::{error, given, policy};
use crate::clock::{SystemClock, WallClock};
use crate::error::{Class, Error, Rejection};
use crate::input::Given;
use crate::limiter::Limiter;
use crate::settings::{self, Settings};
use crate::store::cache::Cache;
use crate::store::client::Client;
use crate::store::redis::script::ENGINE;
use crate::store::redis::{Remote, Sockets};
use crate::store::{Reach, Shared};

/// One limit on many keys. `index.js` wraps it into the class that applications see.
#[napi]
pub struct RateLimiter {
    bound: Rc<Bound>,
    /// By which news are addressed to it.
    #[napi(readonly)]
    pub id: f64,
    /// Whether it answers every call at once.
    #[napi(readonly)]
    pub is_local: bool,
}

#[napi]
impl RateLimiter {
    /// Checks the options and makes the limiter. Never fails because Redis is away. `adapter` says of a client what must be known
    /// of it, where one was given and is one. With `of_holds` they are those of a `ConcurrencyLimiter`.
    #[napi(constructor)]
    pub fn new(env: Env, options: Unknown, adapter: Option<Unknown>, of_holds: Option<bool>) -> napi::Result<Self> {
        let js = Js::new(env.raw());
        let adapter = adapter.map(|adapter| Value::new(adapter.raw()));
        let read = if of_holds == Some(true) { Settings::read_concurrency } else { Settings::read };
        make(js, Value::new(options.raw()), adapter, read).map_err(|error| {
            if !js.is_throwing() {
                error::throw(js, &error);
            }
            napi::Error::new(Status::PendingException, String::new())
        })
    }

    /// The functions that are called once a request, bound to this limiter.
    #[napi]
    pub fn calls(&self, env: Env) -> Object<'_> {
        let calls = calls::bind(Js::new(env.raw()), &self.bound);
        Object::from_raw(env.raw(), calls.raw())
    }

    /// The limits that it was given; see `Policy` in `index.d.ts`.
    #[napi]
    pub fn policies(&self, env: Env) -> Unknown<'_> {
        let js = Js::new(env.raw());
        let policies = self.bound.limiter.policies();
        let array = js.array(policies.iter().map(|policy| policy::show(js, policy)));
        // SAFETY: a value of this environment, made in this call.
        unsafe { Unknown::from_raw_unchecked(env.raw(), array.raw()) }
    }

    /// Whether it has limits that are tried now, of which somebody may want to hear.
    #[napi]
    pub fn tries(&self) -> bool {
        self.bound.limiter.plan().has_trials()
    }

    /// The counters now.
    #[napi]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.bound.limiter)
    }
}

fn make(
    js: Js,
    options: Value,
    adapter: Option<Value>,
    read: fn(&Given) -> Result<Settings, Error>,
) -> Result<RateLimiter, Error> {
    let settings = read(&given::read(js, options)?)?;
    check_logger(js, options)?;
    let environment = Environment::of(js).ok_or_else(|| Error::Internal("no environment".into()))?;
    let clock = Arc::new(SystemClock::new());
    let id = environment.next_limiter();
    let limiter = if let Some(memory) = &settings.shared {
        let shared = Shared::open(&memory.name, memory.bytes, memory.patience)?;
        Limiter::on_shared(&settings, shared, clock)
    } else if settings.is_local() {
        Limiter::in_memory(&settings, clock)
    } else {
        let making = Making { js, options, adapter, settings: &settings, waiting: &environment.waiting, id, clock };
        making.by_a_driver(&environment)?
    };
    #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^53 limiters")]
    let id = id as f64;
    let is_local = limiter.is_local();
    Ok(RateLimiter { bound: Rc::new(Bound { limiter, environment }), id, is_local })
}

/// A limiter that is being made, whose store is somewhere else.
struct Making<'a> {
    js: Js,
    options: Value,
    adapter: Option<Value>,
    settings: &'a Settings,
    waiting: &'a Waiting,
    id: u64,
    clock: Arc<SystemClock>,
}

impl Making<'_> {
    /// With the driver that is wanted; where nothing is said, with another if that one cannot be had.
    fn by_a_driver(&self, environment: &Rc<Environment>) -> Result<Limiter, Error> {
        if self.settings.driver.unwrap_or(driver::DEFAULT) == settings::Driver::Loop {
            match environment.with_loop(self.js, |driver| self.by(driver)) {
                Err(_) if self.settings.driver.is_none() => {}
                made => return made?,
            }
        }
        environment.with_thread(self.js, |driver| self.by(driver))?
    }

    fn by(&self, driver: &impl Driver) -> Result<Limiter, Error> {
        let bridge = || Bridge::new(driver.letterbox(self.id), self.waiting.clone());
        if let Some(servers) = self.settings.redis.clone() {
            Ok(self.start(driver, Remote::new(Sockets, servers, &ENGINE)))
        } else if self.settings.has_client {
            let adapter = client::adapter(self.js, self.options, self.adapter, "redisClient", settings::refuse_client)?;
            let cluster = client::cluster(self.js, adapter);
            Ok(self.start(driver, Client::new(bridge(), &ENGINE, cluster)))
        } else {
            client::adapter(self.js, self.options, self.adapter, "cacheClient", settings::refuse_cache)?;
            Ok(self.start(driver, Cache::new(bridge(), &self.settings.plan.prefix, Arc::new(WallClock))))
        }
    }

    /// A limiter on a store, with its worker at work.
    fn start<R: Reach>(&self, driver: &impl Driver, reach: R) -> Limiter {
        let (limiter, worker) = Limiter::on_store(self.settings, reach, self.clock.clone(), driver.letterbox(self.id));
        driver.spawn(worker);
        limiter
    }
}

/// A logger is JavaScript's own affair, except that it must be one. Its methods may be inherited.
fn check_logger(js: Js, options: Value) -> Result<(), Error> {
    let logger = js.get_own(options, "logger").unwrap_or_else(|| js.undefined());
    let kind = js.kind(logger);
    let is_method = |name| js.get(logger, js.string(name)).is_some_and(|method| js.kind(method) == Kind::Function);
    match kind {
        Kind::Undefined => Ok(()),
        Kind::Object | Kind::Function if is_method("warn") && is_method("error") => Ok(()),
        _ => Err(Error::Option(Rejection {
            class: Class::Type,
            message: format!(
                "`logger` must be an object with the methods warn and error, such as console, but {} was given",
                given::describe(js, logger)
            ),
        })),
    }
}
