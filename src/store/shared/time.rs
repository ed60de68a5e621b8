//! The clock of all processes that have a file: the time since the machine was started, and what the file adds to it.
//!
//! What is added is the time of day when the file was made, so setting the host's clock moves nothing.

use std::mem::MaybeUninit;

use crate::clock::{Clock, Micros, WallClock};

/// The clock of a file.
pub(super) struct BootClock {
    pub(super) offset: Micros,
}

impl BootClock {
    /// What a file that is made now adds.
    pub(super) fn offset_now() -> Micros {
        WallClock.now() - since_start()
    }
}

impl Clock for BootClock {
    fn now(&self) -> Micros {
        self.offset + since_start()
    }
}

/// The same for all processes of the machine.
#[expect(clippy::cast_sign_loss, reason = "the clock begins at 0 and never goes back")]
fn since_start() -> Micros {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: it writes to the place that it is given, and does not fail for a clock that every Linux has.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr());
        time.assume_init()
    };
    Micros(time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000)
}
