//! Sockets as the loop watches them: a handle each, for as long as there is a stream over it.

use std::ffi::c_int;
#[cfg(unix)]
use std::os::fd::AsRawFd;
#[cfg(windows)]
use std::os::windows::io::AsRawSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use super::Turning;
use super::libuv::{Handle, Kind, Libuv, READABLE, Socket, WRITABLE};
use crate::runtime::{Interest, Source, Watch};

/// What a socket's handle points to.
struct Watched {
    source: Arc<Source>,
    turning: Rc<Turning>,
}

impl Turning {
    /// Has the loop look for what the runtime wants of it now.
    pub(super) fn watch_changed(&self) {
        for source in self.runtime.changed() {
            match source.watch() {
                Watch::Same => {}
                Watch::For(interest) => self.watch(&source, interest),
                Watch::Ended => self.unwatch(source.id()),
            }
        }
    }

    fn watch(&self, source: &Arc<Source>, interest: Interest) {
        let known = self.polls.borrow().get(&source.id()).copied();
        let handle = known.or_else(|| self.begin(source));
        let events = if interest.readable { READABLE } else { 0 } | if interest.writable { WRITABLE } else { 0 };
        let watches = handle.is_some_and(|handle| {
            // SAFETY: on the loop's thread, of a handle that is open.
            let status = unsafe {
                match events {
                    0 => (self.libuv.poll_stop)(handle.as_ptr()),
                    events => (self.libuv.poll_start)(handle.as_ptr(), events, Some(on_ready)),
                }
            };
            status == 0
        });
        if !watches {
            source.forsake();
        }
    }

    /// A handle for a socket, if the loop takes it.
    fn begin(&self, source: &Arc<Source>) -> Option<NonNull<Handle>> {
        let turning = self.this.upgrade()?;
        let handle = self.libuv.allocate(Kind::Poll);
        // SAFETY: on the loop's thread; the memory is for this kind, and libuv does not have it where it fails.
        let status = unsafe { (self.libuv.poll_init)(self.event_loop, handle.as_ptr(), socket(source)) };
        if status != 0 {
            // SAFETY: as above.
            unsafe { self.libuv.free(handle, Kind::Poll) };
            return None;
        }
        let watched = Watched { source: source.clone(), turning };
        self.adopt(handle, Box::into_raw(Box::new(watched)).cast());
        self.polls.borrow_mut().insert(source.id(), handle);
        Some(handle)
    }

    fn unwatch(&self, source: u64) {
        let handle = self.polls.borrow_mut().remove(&source);
        if let Some(handle) = handle {
            // SAFETY: on the loop's thread, of a handle that is open; it is closed once, since it has been taken out.
            unsafe { (self.libuv.close)(handle.as_ptr(), Some(on_closed)) };
        }
    }

    pub(super) fn unwatch_all(&self) {
        let all: Vec<u64> = self.polls.borrow().keys().copied().collect();
        all.into_iter().for_each(|source| self.unwatch(source));
    }
}

#[cfg(unix)]
fn socket(source: &Source) -> Socket {
    source.as_raw_fd()
}

#[cfg(windows)]
fn socket(source: &Source) -> Socket {
    source.as_raw_socket()
}

/// A socket is ready, or in trouble: then both are tried, and say what it is.
unsafe extern "C" fn on_ready(handle: *mut Handle, status: c_int, events: c_int) {
    let Some(libuv) = Libuv::find() else { return };
    // SAFETY: libuv hands in the handle that was started, which holds what it points to until it is closed.
    let watched = unsafe { &*(libuv.data)(handle).cast_const().cast::<Watched>() };
    // Held, since a turn may close the handle; its memory is freed by a later callback.
    let (source, turning) = (watched.source.clone(), watched.turning.clone());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if status < 0 {
            source.forsake();
        } else {
            source.tell(Interest { readable: events & READABLE != 0, writable: events & WRITABLE != 0 });
        }
        turning.turn(false);
    }));
}

unsafe extern "C" fn on_closed(handle: *mut Handle) {
    let Some(libuv) = Libuv::find() else { return };
    // SAFETY: libuv hands in a handle that it no longer has, and what it points to was boxed for it.
    unsafe {
        let watched = Box::from_raw((libuv.data)(handle).cast::<Watched>());
        if let Some(handle) = NonNull::new(handle) {
            libuv.free(handle, Kind::Poll);
        }
        watched.turning.closed();
        // With it, unless a stream has it still, the socket is closed.
        drop(watched);
    }
}
