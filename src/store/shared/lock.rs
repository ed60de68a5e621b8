//! The lock of a shard, which the kernel opens when its owner dies: a robust `pthread_mutex` that processes share.
//!
//! Whoever gets it after a death [repairs](super::repair) the shard first. What a panic has left behind is marked as such, and
//! repaired likewise. A lock is tried, never waited for in the kernel: so its owner need not wake anybody, and the wait ends by
//! this process's own clock, also where the owner has been stopped and does not go on.

use std::mem::MaybeUninit;
use std::time::{Duration, Instant};
use std::{hint, io, thread};

use super::geometry::Geometry;
use super::mapping::Mapping;
use super::repair;

/// Where in a shard it is marked that somebody has panicked in it; before it stands the lock.
const MARK: usize = 56;

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= MARK, "a lock finds room before the mark");

/// Tries at once, while whoever has the lock is most likely about to open it: it is held for a step.
const SPINS: u32 = 200;

/// The first pause after that. Each is twice as long as the one before, up to the last one.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(1);

/// Why a shard cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another one has it, and goes on having it.
    Busy,
    /// It is no lock any more.
    Lost,
}

/// A shard, as long as its lock is held.
pub(super) struct Held<'a> {
    mapping: &'a Mapping,
    pub(super) geometry: &'a Geometry,
    base: usize,
}

/// Makes a shard's lock, before anybody else has the file.
pub(super) fn make(mapping: &Mapping, shard: usize) -> io::Result<()> {
    let is_done = |code| if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
    let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: the attributes are initialised first, used by these functions alone, and destroyed once.
    unsafe {
        is_done(libc::pthread_mutexattr_init(attributes))?;
        let made = is_done(libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED))
            .and_then(|()| is_done(libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST)))
            .and_then(|()| is_done(libc::pthread_mutex_init(place(mapping, shard), attributes)));
        libc::pthread_mutexattr_destroy(attributes);
        made
    }
}

fn place(mapping: &Mapping, base: usize) -> *mut libc::pthread_mutex_t {
    mapping.at(base, MARK).cast()
}

impl<'a> Held<'a> {
    /// Locks a shard, within so long.
    #[inline]
    pub(super) fn of(
        mapping: &'a Mapping,
        geometry: &'a Geometry,
        shard: usize,
        patience: Duration,
    ) -> Result<Self, Trouble> {
        let base = geometry.shard(shard);
        // SAFETY: a lock that `make` has made before the file got its name, and that lives as long as the mapping.
        let code = unsafe { libc::pthread_mutex_trylock(place(mapping, base)) };
        if code == 0 && mapping.word(base + MARK) == 0 {
            return Ok(Self { mapping, geometry, base });
        }
        Self::of_unusual(mapping, geometry, base, code, patience)
    }

    #[cold]
    fn of_unusual(
        mapping: &'a Mapping,
        geometry: &'a Geometry,
        base: usize,
        mut code: i32,
        patience: Duration,
    ) -> Result<Self, Trouble> {
        let mut wait = Wait::new(patience);
        loop {
            match code {
                0 if mapping.word(base + MARK) == 0 => return Ok(Self { mapping, geometry, base }),
                0 | libc::EOWNERDEAD => {
                    let mut held = Self { mapping, geometry, base };
                    // Should the repair fail, it stays to be done, and the lock is one all the same.
                    held.set_word(MARK, 1);
                    if code != 0 {
                        // SAFETY: the lock is held, after its owner's death.
                        unsafe { libc::pthread_mutex_consistent(place(mapping, base)) };
                    }
                    repair::shard(&mut held);
                    held.set_word(MARK, 0);
                    return Ok(held);
                }
                libc::EBUSY | libc::EAGAIN if wait.goes_on() => {}
                libc::EBUSY | libc::EAGAIN => return Err(Trouble::Busy),
                _ => return Err(Trouble::Lost),
            }
            // SAFETY: as in `of`.
            code = unsafe { libc::pthread_mutex_trylock(place(mapping, base)) };
        }
    }

    /// A word of the shard.
    pub(super) fn word(&self, at: usize) -> u64 {
        self.mapping.word(self.base + at)
    }

    /// See [`Mapping::set_word`].
    pub(super) fn set_word(&mut self, at: usize, word: u64) {
        self.mapping.set_word(self.base + at, word);
    }

    /// Bytes of the shard.
    pub(super) fn bytes(&self, at: usize, len: usize) -> &[u8] {
        debug_assert!(at + len <= self.geometry.shard_bytes());
        // SAFETY: this shard's bytes, whose lock is held; none of them are written while they are borrowed from `self`.
        unsafe { self.mapping.bytes(self.base + at, len) }
    }

    /// Writes bytes of the shard.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        debug_assert!(at + bytes.len() <= self.geometry.shard_bytes());
        // SAFETY: this shard's bytes, whose lock is held, and of which none are borrowed from `self`.
        unsafe { self.mapping.write(self.base + at, bytes) };
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.mapping.mortality.is_dead() {
            return;
        }
        if thread::panicking() {
            self.mapping.set_word(self.base + MARK, 1);
        }
        // SAFETY: the lock is held by this thread, since `of`.
        unsafe { libc::pthread_mutex_unlock(place(self.mapping, self.base)) };
    }
}

/// How long a lock is tried.
struct Wait {
    spins: u32,
    pause: Duration,
    until: Instant,
}

impl Wait {
    fn new(patience: Duration) -> Self {
        Self { spins: 0, pause: FIRST_PAUSE, until: Instant::now() + patience }
    }

    /// Waits a moment. Answers whether another try is in time.
    fn goes_on(&mut self) -> bool {
        if self.spins < SPINS {
            self.spins += 1;
            hint::spin_loop();
            return true;
        }
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        true
    }
}
