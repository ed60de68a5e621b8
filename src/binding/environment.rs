//! What belongs to one environment (the main thread, or one worker): nothing but code is shared between them.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::client::{self, Waiting};
use super::driver::{Driver, LoopDriver, Mail, ThreadDriver};
use super::error;
use super::js::{Js, Reference, Value};
use super::pending::{Pending, Wants};
use super::row::Row;
use crate::decision::{Decision, Named};
use crate::dispatcher::{Answer, News, Ticket};
use crate::error::Error;
use crate::store::client::Job;

/// Promises settled within one handle scope: enough to make it cheap, few enough to keep it small.
const SCOPE: usize = 256;

/// See the module.
pub(super) struct Environment {
    /// Where decisions are written for JavaScript.
    pub(super) row: Row,
    /// Jobs that clients of the application's are doing.
    pub(super) waiting: Waiting,
    pending: RefCell<Pending>,
    face: Cell<Option<Face>>,
    /// Each is started by the first limiter that wants it.
    thread: RefCell<Option<ThreadDriver>>,
    event_loop: RefCell<Option<LoopDriver>>,
    last_limiter: Cell<u64>,
}

/// The functions of `index.js` that this side calls.
#[derive(Clone, Copy)]
struct Face {
    /// Makes a decision's object out of the row.
    decision_of: Reference,
    /// Tells a limiter, by its number, of a change of state.
    tell: Reference,
    /// Has a limiter's client do a job.
    work: Reference,
    /// Lets go of a limiter's client.
    release: Reference,
}

impl Environment {
    /// Makes it the environment's own.
    pub(super) fn create(js: Js) {
        let environment = Rc::new(Self {
            row: Row::nowhere(),
            waiting: Waiting::default(),
            pending: RefCell::default(),
            face: Cell::new(None),
            thread: RefCell::new(None),
            event_loop: RefCell::new(None),
            last_limiter: Cell::new(0),
        });
        let data = Rc::into_raw(environment).cast_mut().cast();
        // SAFETY: `js` witnesses a live environment on this thread; `drop_data` takes the count that `into_raw` left.
        unsafe { sys::napi_set_instance_data(js.raw(), data, Some(drop_data), ptr::null_mut()) };
    }

    /// The running environment's own.
    pub(super) fn of(js: Js) -> Option<Rc<Self>> {
        let mut data = ptr::null_mut();
        // SAFETY: as in `create`; the result is a local.
        unsafe { sys::napi_get_instance_data(js.raw(), &mut data) };
        let data: *const Self = data.cast_const().cast();
        if data.is_null() {
            return None;
        }
        // SAFETY: put there by `create`, and still counted until `drop_data`; this is one count more.
        unsafe {
            Rc::increment_strong_count(data);
            Some(Rc::from_raw(data))
        }
    }

    /// Takes what `index.js` hands in when it is loaded.
    pub(super) fn install(&self, js: Js, functions: [Value; 4]) {
        let [decision_of, tell, work, release] = functions.map(|function| js.keep(function));
        self.face.set(Some(Face { decision_of, tell, work, release }));
    }

    /// A number for a limiter, by which its news are addressed.
    pub(super) fn next_limiter(&self) -> u64 {
        self.last_limiter.set(self.last_limiter.get() + 1);
        self.last_limiter.get()
    }

    /// Uses the driver that has a thread of its own.
    pub(super) fn with_thread<T>(self: &Rc<Self>, js: Js, work: impl FnOnce(&ThreadDriver) -> T) -> Result<T, Error> {
        let mut driver = self.thread.borrow_mut();
        let driver = match &mut *driver {
            Some(driver) => driver,
            none => {
                let failed = |reason: std::io::Error| Error::Internal(format!("no thread could be started: {reason}"));
                let started = ThreadDriver::start(js).map_err(failed)?;
                let this = Rc::into_raw(self.clone()).cast_mut().cast();
                // SAFETY: as in `create`; `stop_thread` takes the count that `into_raw` left. Hooks run last first, so this one
                // runs before Node closes the driver's thread-safe function.
                unsafe { sys::napi_add_env_cleanup_hook(js.raw(), Some(stop_thread), this) };
                none.insert(started)
            }
        };
        driver.keep_alive(js, !self.pending.borrow().is_empty());
        Ok(work(driver))
    }

    /// Uses the driver that Node's loop turns, where there is such a loop.
    pub(super) fn with_loop<T>(&self, js: Js, work: impl FnOnce(&LoopDriver) -> T) -> Result<T, Error> {
        let mut driver = self.event_loop.borrow_mut();
        let driver = match &mut *driver {
            Some(driver) => driver,
            none => {
                let failed = |reason: std::io::Error| {
                    Error::Unsupported(format!("`driver: 'loop'` cannot be had, since {reason}: leave it out"))
                };
                none.insert(LoopDriver::start(js).map_err(failed)?)
            }
        };
        driver.keep_alive(js, !self.pending.borrow().is_empty());
        Ok(work(driver))
    }

    /// What the thread has sent.
    pub(super) fn mail(&self) -> Vec<(u64, Mail)> {
        self.thread.borrow().as_ref().map(ThreadDriver::mail).unwrap_or_default()
    }

    /// A promise, and the ticket by which the worker names it.
    pub(super) fn promise(&self, js: Js, wants: Wants) -> Result<(Ticket, Value), Error> {
        let (deferred, promise) = js.promise().ok_or_else(|| Error::Internal("no promise could be made".into()))?;
        let mut pending = self.pending.borrow_mut();
        if pending.is_empty() {
            self.keep_alive(js, true);
        }
        Ok((pending.insert(deferred, wants), promise))
    }

    /// A call waits for a worker.
    #[inline]
    pub(super) fn called(&self) {
        if let Some(driver) = &*self.event_loop.borrow() {
            driver.called();
        }
    }

    /// Settles whatever the workers have sent.
    pub(super) fn deliver(&self, js: Js, mail: Vec<(u64, Mail)>) {
        let delivered = catch_unwind(AssertUnwindSafe(|| {
            let mut mail = mail.into_iter();
            while mail.len() > 0 {
                js.scope(|| mail.by_ref().take(SCOPE).for_each(|(limiter, mail)| self.open(js, limiter, mail)));
            }
            if self.pending.borrow().is_empty() {
                self.keep_alive(js, false);
            }
        }));
        if delivered.is_err() && !js.is_throwing() {
            error::throw(js, &Error::Internal("answers could not be delivered".into()));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^53 limiters, or asks as many jobs")]
    fn open(&self, js: Js, limiter: u64, mail: Mail) {
        let Some(face) = self.face.get() else { return };
        let number = |number: u64| js.double(number as f64);
        match mail {
            Mail::News(News::Settled(ticket, answer)) => self.settle(js, ticket, answer),
            Mail::News(News::StoreDown(cause)) => {
                js.call(js.kept(face.tell), &[number(limiter), js.string("storeDown"), error::to_js(js, &cause)]);
            }
            Mail::News(News::StoreUp) => {
                js.call(js.kept(face.tell), &[number(limiter), js.string("storeUp")]);
            }
            Mail::News(News::FleetUnknown(cause)) => {
                js.call(js.kept(face.tell), &[number(limiter), js.string("fleetUnknown"), error::to_js(js, &cause)]);
            }
            Mail::News(News::StoreEvicts(policy)) => {
                js.call(js.kept(face.tell), &[number(limiter), js.string("storeEvicts"), js.string(&policy)]);
            }
            Mail::News(News::Policies(ticket, said)) => self.tell_policies(js, number(limiter), face, ticket, said),
            // It was given up while JavaScript was busy: it would only be counted for nothing.
            Mail::Job(job, work) if !work.is_owed() && !self.waiting.has(job) => {}
            Mail::Job(job, work) => Self::work(js, number(limiter), number(job), &work, face.work),
            Mail::Released => {
                js.call(js.kept(face.release), &[number(limiter)]);
            }
        }
    }

    /// The limiter hears of them before whoever has stored them, and so in the order in which the store has answered.
    fn tell_policies(
        &self,
        js: Js,
        limiter: Value,
        face: Face,
        ticket: Option<Ticket>,
        said: Result<Vec<String>, Error>,
    ) {
        let told = said.map(|said| {
            let said = js.strings(said.iter().map(String::as_str));
            js.call(js.kept(face.tell), &[limiter, js.string("sharedPolicies"), said]);
            said
        });
        let Some((deferred, _)) = ticket.and_then(|ticket| self.pending.borrow_mut().take(ticket)) else { return };
        match told {
            Ok(said) => js.resolve(deferred, said),
            Err(error) => js.reject(deferred, error::to_js(js, &error)),
        }
    }

    /// In a scope of its own: a job has as many values as keys.
    fn work(js: Js, limiter: Value, job: Value, work: &Job, function: Reference) {
        js.scope(|| {
            let mut arguments = vec![limiter, job];
            arguments.extend(client::arguments(js, work));
            js.call(js.kept(function), &arguments);
        });
    }

    fn settle(&self, js: Js, ticket: Ticket, answer: Answer) {
        // Taken in a statement of its own, so that the slab is free while JavaScript runs.
        let taken = self.pending.borrow_mut().take(ticket);
        let Some((deferred, wants)) = taken else { return };
        match (answer, wants) {
            (Ok(Some(decision)), Wants::Boolean) => js.resolve(deferred, js.boolean(decision.allowed)),
            (Ok(Some(decision)), Wants::Decision | Wants::Hold) => {
                let is_hold = wants == Wants::Hold;
                let names = if is_hold { self.show_hold(js, &decision) } else { self.show(js, &decision) };
                let arguments = [names, js.boolean(is_hold)];
                let decision = self.face.get().map(|face| js.call(js.kept(face.decision_of), &arguments));
                js.resolve(deferred, decision.unwrap_or_else(|| js.undefined()));
            }
            (Ok(_), _) => js.resolve(deferred, js.undefined()),
            (Err(error), _) => js.reject(deferred, error::to_js(js, &error)),
        }
    }

    /// Writes a decision where JavaScript reads it. Answers the names of its limits, or `undefined` where they have none; as the last
    /// of them an array of the names of those that are tried, where any are.
    #[inline]
    pub(super) fn show(&self, js: Js, decision: &Decision) -> Value {
        self.row.write(decision);
        match &decision.named {
            None => js.undefined(),
            Some(named) if named.tried.is_empty() => js.strings(named.each.iter().map(|(name, _)| &**name)),
            Some(named) => Self::names_with_tried(js, named),
        }
    }

    #[cold]
    fn names_with_tried(js: Js, named: &Named) -> Value {
        let tried: Vec<&str> = named.tried.iter().map(|tried| &*tried.name).collect();
        let mut names: Vec<Value> = named.each.iter().map(|(name, _)| js.string(name)).collect();
        names.push(js.strings(tried.into_iter()));
        js.array(names.into_iter())
    }

    /// The same, with the end of the hold that it is about.
    pub(super) fn show_hold(&self, js: Js, decision: &Decision) -> Value {
        self.row.write_booked(decision);
        self.show(js, decision)
    }

    fn keep_alive(&self, js: Js, alive: bool) {
        if let Some(driver) = &*self.event_loop.borrow() {
            driver.keep_alive(js, alive);
        }
        if let Some(driver) = &*self.thread.borrow() {
            driver.keep_alive(js, alive);
        }
    }
}

/// When the environment ends, before anything of it is gone: no thread of ours may outlive it.
unsafe extern "C" fn stop_thread(this: *mut c_void) {
    // SAFETY: the count that `with_thread` left, taken once.
    let environment = unsafe { Rc::from_raw(this.cast_const().cast::<Environment>()) };
    drop(environment.thread.take());
}

unsafe extern "C" fn drop_data(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: the count that `create` left, taken once.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<Environment>()) });
}
