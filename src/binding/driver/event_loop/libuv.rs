//! libuv's functions, as the process that has loaded the addon exports them.
//!
//! They are looked up when they are first wanted: tests link without Node, and where there is no libuv that is known in time.
//! Numbers are those of libuv 1, whose binary interface is kept.

use std::alloc::{self, Layout};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::OnceLock;

use libloading::Library;

/// A handle of whichever type. libuv alone knows how large it is and what is in it.
#[repr(C)]
pub(super) struct Handle {
    _opaque: [u8; 0],
}

/// The loop of one JavaScript thread.
pub(super) type Loop = napi::sys::uv_loop_s;

#[cfg(unix)]
pub(super) type Socket = std::os::fd::RawFd;
#[cfg(windows)]
pub(super) type Socket = std::os::windows::io::RawSocket;

type Init = unsafe extern "C" fn(*mut Loop, *mut Handle) -> c_int;
type Callback = unsafe extern "C" fn(*mut Handle);
type OnPoll = unsafe extern "C" fn(*mut Handle, c_int, c_int);

pub(super) const READABLE: c_int = 1;
pub(super) const WRITABLE: c_int = 2;

/// The types of handles that are used.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Async = 1,
    Check = 2,
    Idle = 6,
    Poll = 8,
    Timer = 13,
}

macro_rules! libuv {
    ($($field:ident = $name:literal: $signature:ty;)*) => {
        /// See the module.
        pub(super) struct Libuv {
            $(pub(super) $field: $signature,)*
        }

        impl Libuv {
            fn load(library: &Library) -> Option<Self> {
                // SAFETY: the signatures are those of libuv's header, and whoever exports the functions is never unloaded: it
                // is the program itself.
                unsafe { Some(Self { $($field: *library.get::<$signature>($name.as_bytes()).ok()?,)* }) }
            }
        }
    };
}

libuv! {
    handle_size = "uv_handle_size": unsafe extern "C" fn(c_int) -> usize;
    set_data = "uv_handle_set_data": unsafe extern "C" fn(*mut Handle, *mut c_void);
    data = "uv_handle_get_data": unsafe extern "C" fn(*const Handle) -> *mut c_void;
    close = "uv_close": unsafe extern "C" fn(*mut Handle, Option<Callback>);
    keep = "uv_ref": unsafe extern "C" fn(*mut Handle);
    unkeep = "uv_unref": unsafe extern "C" fn(*mut Handle);
    async_init = "uv_async_init": unsafe extern "C" fn(*mut Loop, *mut Handle, Option<Callback>) -> c_int;
    async_send = "uv_async_send": unsafe extern "C" fn(*mut Handle) -> c_int;
    check_init = "uv_check_init": Init;
    check_start = "uv_check_start": unsafe extern "C" fn(*mut Handle, Option<Callback>) -> c_int;
    check_stop = "uv_check_stop": unsafe extern "C" fn(*mut Handle) -> c_int;
    idle_init = "uv_idle_init": Init;
    idle_start = "uv_idle_start": unsafe extern "C" fn(*mut Handle, Option<Callback>) -> c_int;
    idle_stop = "uv_idle_stop": unsafe extern "C" fn(*mut Handle) -> c_int;
    timer_init = "uv_timer_init": Init;
    timer_start = "uv_timer_start": unsafe extern "C" fn(*mut Handle, Option<Callback>, u64, u64) -> c_int;
    poll_init = "uv_poll_init_socket": unsafe extern "C" fn(*mut Loop, *mut Handle, Socket) -> c_int;
    poll_start = "uv_poll_start": unsafe extern "C" fn(*mut Handle, c_int, Option<OnPoll>) -> c_int;
    poll_stop = "uv_poll_stop": unsafe extern "C" fn(*mut Handle) -> c_int;
}

impl Libuv {
    /// The one that this process has, if it has one.
    pub(super) fn find() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<Libuv>> = OnceLock::new();
        FOUND.get_or_init(|| Self::load(&program()?)).as_ref()
    }

    /// Memory for a handle, which begins as zeros.
    pub(super) fn allocate(&self, kind: Kind) -> NonNull<Handle> {
        let layout = self.layout(kind);
        // SAFETY: no handle is of size 0.
        let memory = unsafe { alloc::alloc_zeroed(layout) };
        NonNull::new(memory.cast()).unwrap_or_else(|| alloc::handle_alloc_error(layout))
    }

    /// Frees it.
    ///
    /// # Safety
    ///
    /// It was allocated for that kind, and libuv does not have it, or has said that it is closed.
    pub(super) unsafe fn free(&self, handle: NonNull<Handle>, kind: Kind) {
        // SAFETY: the caller's promise; the layout is the same each time.
        unsafe { alloc::dealloc(handle.as_ptr().cast(), self.layout(kind)) };
    }

    fn layout(&self, kind: Kind) -> Layout {
        // SAFETY: it is a lookup in a table.
        let size = unsafe { (self.handle_size)(kind as c_int) };
        // As `malloc` would have it.
        Layout::from_size_align(size.max(1), 16).expect("a handle has a size that memory can have")
    }
}

#[cfg(unix)]
fn program() -> Option<Library> {
    Some(libloading::os::unix::Library::this().into())
}

#[cfg(windows)]
fn program() -> Option<Library> {
    libloading::os::windows::Library::this().ok().map(Into::into)
}

#[cfg(not(any(unix, windows)))]
fn program() -> Option<Library> {
    None
}
