//! The loop driver: Node's own event loop turns the runtime, so that a call and its answer cross no thread.
//!
//! It is turned when a socket is ready, when a timer is due, and, after JavaScript has made calls, before the loop waits again:
//! what a round of the loop has called is one batch. Answers are delivered in the turn that finds them, within one callback
//! scope, after which what was called meanwhile has its turn at once.
//!
//! The loop has one handle of each kind, and one a socket. None keeps the process alive, but while something is awaited.

mod doorbell;
mod libuv;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use napi::sys;

use super::outbox::Outbox;
use super::{Driver, Letterbox, Wake};
use crate::binding::environment::Environment;
use crate::binding::js::{AsyncContext, Js};
use crate::dispatcher::Worker;
use crate::runtime::{Turn, Turned};
use crate::store::Reach;
use crate::store::redis::TurnedSockets;
use doorbell::Doorbell;
use libuv::{Handle, Kind, Libuv, Loop};

/// Deliveries in one go, where what is delivered has JavaScript call for what is answered at once. The loop has its turn then.
const MOST_DELIVERIES: usize = 8;

/// Calls in one round of the loop that are not made to wait for its end, where one that is waiting could be sent. In a server many
/// requests are read in a round, and Redis would have nothing to do until the last of them is.
const LONG_ROUND: usize = 32;

/// See the module. Its handles are closed when the environment ends.
pub(in crate::binding) struct LoopDriver(Rc<Turning>);

/// What the handles point to. Each of them holds it: it is let go of when the last is closed.
struct Turning {
    this: Weak<Turning>,
    libuv: &'static Libuv,
    event_loop: *mut Loop,
    env: sys::napi_env,
    context: AsyncContext,
    /// Runs before the loop waits, and has it not wait.
    idle: NonNull<Handle>,
    /// Runs after the loop has waited.
    check: NonNull<Handle>,
    timer: NonNull<Handle>,
    /// Rung by other threads; and what keeps the process alive while something is awaited.
    doorbell: NonNull<Handle>,
    bell: Arc<Doorbell>,
    runtime: Turned,
    outbox: Arc<Outbox<LooksItself>>,
    /// The sockets' handles, by the sockets' names.
    polls: RefCell<HashMap<u64, NonNull<Handle>>>,
    /// For when the timer is set.
    alarm: Cell<Option<Instant>>,
    /// Whether the sockets are being looked at on behalf of a moment that has come.
    looks: Cell<bool>,
    is_turning: Cell<bool>,
    /// Whether JavaScript is told what has come, after which it is turned again.
    is_delivering: Cell<bool>,
    /// Calls since it was last turned.
    calls: Cell<usize>,
    /// Handles that are not closed.
    open: Cell<usize>,
    /// Told when all are closed, once the environment ends.
    ending: Cell<Option<sys::napi_async_cleanup_hook_handle>>,
    has_ended: Cell<bool>,
}

/// It looks by itself, after each turn.
pub(in crate::binding) struct LooksItself;

impl Wake for LooksItself {
    fn wake(&self) {}
}

impl Driver for LoopDriver {
    type Connect = TurnedSockets;
    type Wake = LooksItself;

    fn start(js: Js) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::Unsupported, "what runs JavaScript here has no loop of libuv");
        // It exports the functions, and each of them ends the process.
        if js.version_of("bun").is_some() {
            return Err(missing());
        }
        let (Some(libuv), Some(event_loop)) = (Libuv::find(), js.event_loop()) else { return Err(missing()) };
        let [idle, check, timer, doorbell] =
            [Kind::Idle, Kind::Check, Kind::Timer, Kind::Async].map(|kind| libuv.allocate(kind));
        // SAFETY: this is the loop's thread, and the memory is for handles of these kinds. Only the first can fail.
        unsafe {
            if (libuv.async_init)(event_loop, doorbell.as_ptr(), Some(on_doorbell)) != 0 {
                libuv.free(idle, Kind::Idle);
                libuv.free(check, Kind::Check);
                libuv.free(timer, Kind::Timer);
                libuv.free(doorbell, Kind::Async);
                return Err(io::Error::other("the loop takes no more handles"));
            }
            (libuv.idle_init)(event_loop, idle.as_ptr());
            (libuv.check_init)(event_loop, check.as_ptr());
            (libuv.timer_init)(event_loop, timer.as_ptr());
        }
        let bell = Arc::new(Doorbell::new(libuv, idle, doorbell));
        let turning = Rc::new_cyclic(|this| Turning {
            this: this.clone(),
            libuv,
            event_loop,
            env: js.raw(),
            context: js.async_context("distributed-rate-limiter"),
            idle,
            check,
            timer,
            doorbell,
            runtime: Turned::new(bell.clone()),
            bell,
            outbox: Outbox::new(LooksItself),
            polls: RefCell::default(),
            alarm: Cell::new(None),
            looks: Cell::new(false),
            is_turning: Cell::new(false),
            is_delivering: Cell::new(false),
            calls: Cell::new(0),
            open: Cell::new(0),
            ending: Cell::new(None),
            has_ended: Cell::new(false),
        });
        for handle in [idle, check, timer, doorbell] {
            turning.adopt(handle, Rc::into_raw(turning.clone()).cast_mut().cast());
        }
        js.when_it_ends(on_end, Rc::into_raw(turning.clone()).cast_mut().cast());
        Ok(Self(turning))
    }

    fn connect(&self) -> TurnedSockets {
        TurnedSockets
    }

    fn letterbox(&self, limiter: u64) -> Letterbox<LooksItself> {
        self.0.outbox.letterbox(limiter)
    }

    fn spawn<R: Reach>(&self, worker: Worker<R, Letterbox<LooksItself>>) {
        if !self.0.has_ended.get() {
            self.0.runtime.spawn(worker.run());
        }
    }

    fn keep_alive(&self, _: Js, alive: bool) {
        let turning = &self.0;
        if !turning.has_ended.get() {
            let change = if alive { turning.libuv.keep } else { turning.libuv.unkeep };
            // SAFETY: on the loop's thread, of which `Js` is the witness; the handle is open until the driver has ended.
            unsafe { change(turning.doorbell.as_ptr()) };
        }
    }
}

/// While it exists this is so, and then as it was before: JavaScript may run the loop within a delivery.
struct While<'a> {
    flag: &'a Cell<bool>,
    before: bool,
}

impl<'a> While<'a> {
    fn new(flag: &'a Cell<bool>) -> Self {
        Self { flag, before: flag.replace(true) }
    }
}

impl Drop for While<'_> {
    fn drop(&mut self) {
        self.flag.set(self.before);
    }
}

impl LoopDriver {
    /// A call has been made.
    #[inline]
    pub(in crate::binding) fn called(&self) {
        self.0.called();
    }
}

impl Turning {
    /// A handle that libuv has: what it points to is `data`, and it keeps nothing alive.
    fn adopt(&self, handle: NonNull<Handle>, data: *mut c_void) {
        self.open.set(self.open.get() + 1);
        // SAFETY: on the loop's thread, of a handle that has been initialised.
        unsafe {
            (self.libuv.set_data)(handle.as_ptr(), data);
            (self.libuv.unkeep)(handle.as_ptr());
        }
    }

    /// A call has been made, by JavaScript that may make more before the loop goes on.
    #[inline]
    fn called(&self) {
        let calls = self.calls.get() + 1;
        self.calls.set(calls);
        if calls >= LONG_ROUND && self.runtime.is_woken() && !self.is_delivering.get() && !self.has_ended.get() {
            self.send();
        }
    }

    /// Does what can be done, and delivers nothing: JavaScript is running. The loop is to have its turn all the same.
    fn send(&self) {
        self.run(false);
        // SAFETY: on the loop's thread, of a handle that is open.
        unsafe { (self.libuv.idle_start)(self.idle.as_ptr(), Some(on_idle)) };
    }

    /// Turns the runtime. Nothing that it does may turn it again.
    fn run(&self, looked: bool) -> Turn {
        let _turning = While::new(&self.is_turning);
        self.calls.set(0);
        let turn = self.runtime.turn(Instant::now(), looked);
        self.watch_changed();
        turn
    }

    /// Does whatever can be done, and delivers what has come of it. `looked` says that the sockets have been looked at.
    fn turn(&self, mut looked: bool) {
        // JavaScript may run the loop within a delivery; within a turn of the runtime nothing does.
        if self.has_ended.get() || self.is_turning.get() {
            return;
        }
        for _ in 0..MOST_DELIVERIES {
            let turn = self.run(looked);
            looked = false;
            let has_delivered = self.deliver();
            if self.has_ended.get() {
                return;
            }
            if !turn.is_busy && !self.runtime.is_woken() {
                self.looks.set(turn.wants_look);
                return self.wait(turn.next);
            }
            if !has_delivered {
                break;
            }
        }
        // SAFETY: on the loop's thread, of a handle that is open.
        unsafe { (self.libuv.idle_start)(self.idle.as_ptr(), Some(on_idle)) };
    }

    /// There is nothing to do until then.
    fn wait(&self, until: Option<Instant>) {
        // SAFETY: on the loop's thread, of handles that are open.
        unsafe {
            if self.looks.get() {
                (self.libuv.idle_start)(self.idle.as_ptr(), Some(on_idle));
                return;
            }
            (self.libuv.idle_stop)(self.idle.as_ptr());
            // An alarm that is too early does no harm, and most deadlines are given up long before.
            if let Some(until) = until.filter(|until| self.alarm.get().is_none_or(|alarm| *until < alarm)) {
                self.alarm.set(Some(until));
                let ms = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1_000);
                let ms = u64::try_from(ms).unwrap_or(u64::MAX);
                (self.libuv.timer_start)(self.timer.as_ptr(), Some(on_timer), ms, 0);
            }
        }
    }

    /// Takes to JavaScript what there is for it. Answers whether there was anything.
    fn deliver(&self) -> bool {
        let mail = self.outbox.take();
        if mail.is_empty() {
            return false;
        }
        let js = Js::new(self.env);
        let _delivering = While::new(&self.is_delivering);
        js.as_callback(self.context, || {
            if let Some(environment) = Environment::of(js) {
                environment.deliver(js, mail);
            }
        });
        true
    }

    /// The environment ends: nothing of it is touched any more, and all handles are closed.
    fn end(&self, told: sys::napi_async_cleanup_hook_handle) {
        self.has_ended.set(true);
        self.bell.unhang();
        // A task that panics while it is dropped leaves handles that must be closed all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| self.runtime.stop()));
        drop(self.outbox.take());
        Js::new(self.env).forget(self.context);
        self.ending.set(Some(told));
        self.unwatch_all();
        // SAFETY: on the loop's thread, of handles that are open, each closed once.
        unsafe {
            (self.libuv.close)(self.idle.as_ptr(), Some(on_closed::<{ Kind::Idle as u8 }>));
            (self.libuv.close)(self.check.as_ptr(), Some(on_closed::<{ Kind::Check as u8 }>));
            (self.libuv.close)(self.timer.as_ptr(), Some(on_closed::<{ Kind::Timer as u8 }>));
            (self.libuv.close)(self.doorbell.as_ptr(), Some(on_closed::<{ Kind::Async as u8 }>));
        }
    }

    /// A handle has been closed. After the last Node need not wait any more.
    fn closed(&self) {
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0
            && let Some(told) = self.ending.take()
        {
            // SAFETY: it was handed to `on_end`, and this happens once.
            unsafe { sys::napi_remove_async_cleanup_hook(told) };
        }
    }
}

/// The driver that a handle points to, held for as long as a callback of it lasts.
unsafe fn turning_of(handle: *mut Handle) -> Option<Rc<Turning>> {
    let libuv = Libuv::find()?;
    // SAFETY: the handle is one of those whose data `start` has set to a counted driver, which the handle holds until it is
    // closed; this is one count more.
    unsafe {
        let turning: *const Turning = (libuv.data)(handle).cast_const().cast();
        Rc::increment_strong_count(turning);
        Some(Rc::from_raw(turning))
    }
}

/// Does something with the driver that a handle points to. No panic goes back to libuv.
unsafe fn on(handle: *mut Handle, work: impl FnOnce(&Turning)) {
    // SAFETY: the caller's handle is one of the driver's.
    if let Some(turning) = unsafe { turning_of(handle) } {
        let _ = catch_unwind(AssertUnwindSafe(|| work(&turning)));
    }
}

/// Before the loop waits: what was called has its turn; and where the sockets are to be looked at the loop does not wait.
unsafe extern "C" fn on_idle(handle: *mut Handle) {
    // SAFETY: libuv hands in the handle that was started.
    unsafe {
        on(handle, |turning| {
            turning.turn(false);
            if turning.looks.get() && !turning.has_ended.get() {
                (turning.libuv.check_start)(turning.check.as_ptr(), Some(on_check));
            }
        });
    }
}

/// After the loop has told of all sockets that are ready.
unsafe extern "C" fn on_check(handle: *mut Handle) {
    // SAFETY: libuv hands in the handle that was started.
    unsafe {
        on(handle, |turning| {
            (turning.libuv.check_stop)(turning.check.as_ptr());
            turning.turn(true);
        });
    }
}

unsafe extern "C" fn on_timer(handle: *mut Handle) {
    // SAFETY: libuv hands in the handle that was started.
    unsafe {
        on(handle, |turning| {
            turning.alarm.set(None);
            turning.turn(false);
        });
    }
}

/// Another thread has found an address.
unsafe extern "C" fn on_doorbell(handle: *mut Handle) {
    // SAFETY: libuv hands in the handle that was sent.
    unsafe { on(handle, |turning| turning.turn(false)) };
}

unsafe extern "C" fn on_closed<const KIND: u8>(handle: *mut Handle) {
    let kind = match KIND {
        kind if kind == Kind::Idle as u8 => Kind::Idle,
        kind if kind == Kind::Check as u8 => Kind::Check,
        kind if kind == Kind::Timer as u8 => Kind::Timer,
        _ => Kind::Async,
    };
    // SAFETY: libuv hands in a handle that it no longer has, whose data is the count that `start` has left for it.
    unsafe {
        let Some(turning) = turning_of(handle) else { return };
        drop(Rc::from_raw(Rc::as_ptr(&turning)));
        if let Some(handle) = NonNull::new(handle) {
            turning.libuv.free(handle, kind);
        }
        turning.closed();
    }
}

/// The environment ends.
unsafe extern "C" fn on_end(told: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the count that `start` has left for this, taken once.
    let turning = unsafe { Rc::from_raw(data.cast_const().cast::<Turning>()) };
    turning.end(told);
}
