//! The thread driver: one thread an environment turns a current-thread runtime; news go back by one thread-safe function.
//!
//! A batch of answers costs one wake-up, however many calls it settles. The function is unreferenced while nothing is
//! awaited, so a limiter never keeps a process alive.

use std::ffi::c_void;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use napi::sys;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::outbox::Outbox;
use super::outbox::Wake;
use super::{Driver, Letterbox, Mail};
use crate::binding::environment::Environment;
use crate::binding::js::Js;
use crate::dispatcher::Worker;
use crate::store::Reach;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module. Dropping it, on the JavaScript thread, ends the thread and whatever it runs.
pub(in crate::binding) struct ThreadDriver {
    tasks: Option<UnboundedSender<Task>>,
    thread: Option<JoinHandle<()>>,
    outbox: Arc<Outbox<WakeUp>>,
}

/// By one call of the function, until the JavaScript thread has looked.
pub(in crate::binding) struct WakeUp {
    woken: AtomicBool,
    function: ThreadSafeFunction,
}

struct ThreadSafeFunction(sys::napi_threadsafe_function);

// SAFETY: calling it from any thread is what it is for; the rest is done on the JavaScript thread only.
unsafe impl Send for ThreadSafeFunction {}
// SAFETY: as above; Node guards its queue with a mutex.
unsafe impl Sync for ThreadSafeFunction {}

impl Wake for WakeUp {
    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // SAFETY: the driver releases the function only after the thread that hands mail in has ended.
            unsafe {
                sys::napi_call_threadsafe_function(
                    self.function.0,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }
}

impl Driver for ThreadDriver {
    fn start(js: Js) -> io::Result<Self> {
        let (tasks, queue) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Builder::new().name("rate-limiter".into()).spawn(move || turn(runtime, queue))?;
        let outbox = Outbox::new(WakeUp { woken: AtomicBool::new(false), function: create_function(js) });
        let driver = Self { tasks: Some(tasks), thread: Some(thread), outbox };
        driver.keep_alive(js, false);
        Ok(driver)
    }

    fn letterbox(&self, limiter: u64) -> Letterbox {
        self.outbox.letterbox(limiter)
    }

    fn spawn<R: Reach>(&self, worker: Worker<R, Letterbox>) {
        if let Some(tasks) = &self.tasks {
            // The other end lives until this one is dropped.
            let _ = tasks.send(Box::pin(worker.run()));
        }
    }

    fn keep_alive(&self, js: Js, alive: bool) {
        let change = if alive { sys::napi_ref_threadsafe_function } else { sys::napi_unref_threadsafe_function };
        // SAFETY: `js` witnesses the JavaScript thread; the function lives as long as the driver.
        unsafe { change(js.raw(), self.outbox.wake.function.0) };
    }
}

impl ThreadDriver {
    /// Takes the mail that has arrived, each with the number of its limiter.
    pub(in crate::binding) fn mail(&self) -> Vec<(u64, Mail)> {
        // Before the mail is taken: what arrives in between wakes once more, for nothing; the other order would lose it.
        self.outbox.wake.woken.store(false, Ordering::Release);
        self.outbox.take()
    }
}

impl Drop for ThreadDriver {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // Its panics are caught within; if one was not, there is nothing left to stop.
            let _ = thread.join();
        }
        // SAFETY: on the JavaScript thread, and no thread that could call the function is left.
        unsafe {
            sys::napi_release_threadsafe_function(
                self.outbox.wake.function.0,
                sys::ThreadsafeFunctionReleaseMode::abort,
            );
        }
    }
}

/// Runs tasks until no more can come, then drops those that are left where they stand.
fn turn(runtime: tokio::runtime::Runtime, mut queue: UnboundedReceiver<Task>) {
    runtime.block_on(async move {
        while let Some(task) = queue.recv().await {
            tokio::spawn(task);
        }
    });
    // A name lookup may block for long in a thread of its own: it is not waited for.
    runtime.shutdown_background();
}

fn create_function(js: Js) -> ThreadSafeFunction {
    let name = js.string("distributed-rate-limiter");
    let mut function = ptr::null_mut();
    // SAFETY: `js` witnesses a live environment on this thread; no JavaScript function is needed, and the result is a local.
    unsafe {
        sys::napi_create_threadsafe_function(
            js.raw(),
            ptr::null_mut(),
            ptr::null_mut(),
            name.raw(),
            0,
            1,
            ptr::null_mut(),
            None,
            ptr::null_mut(),
            Some(deliver),
            &mut function,
        );
    }
    ThreadSafeFunction(function)
}

/// On the JavaScript thread, after a wake-up.
unsafe extern "C" fn deliver(env: sys::napi_env, _: sys::napi_value, _: *mut c_void, _: *mut c_void) {
    // Null while the environment ends: then nobody is left to be told.
    if !env.is_null() {
        let js = Js::new(env);
        if let Some(environment) = Environment::of(js) {
            environment.deliver(js, environment.mail());
        }
    }
}
