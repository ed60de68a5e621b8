//! The thread driver: one thread an environment turns a current-thread runtime; news go back by one thread-safe function.
//!
//! A batch of answers costs one wake-up, however many calls it settles. The function is unreferenced while nothing is
//! awaited, so a limiter never keeps a process alive.

use std::ffi::c_void;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use napi::sys;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Driver, Entrance, Mail};
use crate::binding::environment::Environment;
use crate::binding::js::Js;
use crate::dispatcher::{News, Settle, Worker};
use crate::store::Reach;
use crate::store::redis::Sockets;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module. Dropping it, on the JavaScript thread, ends the thread and whatever it runs.
pub(in crate::binding) struct ThreadDriver {
    tasks: Option<UnboundedSender<Task>>,
    thread: Option<JoinHandle<()>>,
    outbox: Arc<Outbox>,
}

/// Mail on its way to the JavaScript thread.
struct Outbox {
    mail: Mutex<Vec<(u64, Mail)>>,
    /// Whether the JavaScript thread has been woken and has not yet looked.
    woken: AtomicBool,
    wake: ThreadSafeFunction,
}

struct ThreadSafeFunction(sys::napi_threadsafe_function);

// SAFETY: calling it from any thread is what it is for; the rest is done on the JavaScript thread only.
unsafe impl Send for ThreadSafeFunction {}
// SAFETY: as above; Node guards its queue with a mutex.
unsafe impl Sync for ThreadSafeFunction {}

/// One limiter's entrance to the outbox. It lives on the driver's thread: in a worker, or in what a worker owns.
pub(in crate::binding) struct Letterbox {
    limiter: u64,
    outbox: Arc<Outbox>,
}

impl Letterbox {
    fn post(&self, mail: impl Iterator<Item = Mail>) {
        let addressed = mail.map(|mail| (self.limiter, mail));
        self.outbox.mail.lock().unwrap_or_else(PoisonError::into_inner).extend(addressed);
        if !self.outbox.woken.swap(true, Ordering::AcqRel) {
            // SAFETY: the driver releases the function only after this thread has ended.
            unsafe {
                sys::napi_call_threadsafe_function(
                    self.outbox.wake.0,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }
}

impl Settle for Letterbox {
    fn settle(&mut self, news: &mut Vec<News>) {
        self.post(news.drain(..).map(Mail::News));
    }
}

impl Entrance for Letterbox {
    fn send(&self, mail: Mail) {
        self.post(std::iter::once(mail));
    }
}

impl Driver for ThreadDriver {
    type Connect = Sockets;
    type Entrance = Letterbox;

    fn start(js: Js) -> io::Result<Self> {
        let (tasks, queue) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Builder::new().name("rate-limiter".into()).spawn(move || turn(runtime, queue))?;
        let wake = create_wake(js);
        let outbox = Arc::new(Outbox { mail: Mutex::default(), woken: AtomicBool::new(false), wake });
        let driver = Self { tasks: Some(tasks), thread: Some(thread), outbox };
        driver.keep_alive(js, false);
        Ok(driver)
    }

    fn connect(&self) -> Sockets {
        Sockets
    }

    fn entrance(&self, limiter: u64) -> Letterbox {
        Letterbox { limiter, outbox: self.outbox.clone() }
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
        unsafe { change(js.raw(), self.outbox.wake.0) };
    }
}

impl ThreadDriver {
    /// Takes the mail that has arrived, each with the number of its limiter.
    pub(in crate::binding) fn mail(&self) -> Vec<(u64, Mail)> {
        // Before the mail is taken: what arrives in between wakes once more, for nothing; the other order would lose it.
        self.outbox.woken.store(false, Ordering::Release);
        std::mem::take(&mut *self.outbox.mail.lock().unwrap_or_else(PoisonError::into_inner))
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
            sys::napi_release_threadsafe_function(self.outbox.wake.0, sys::ThreadsafeFunctionReleaseMode::abort);
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

fn create_wake(js: Js) -> ThreadSafeFunction {
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
