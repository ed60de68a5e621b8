//! The file as memory of this process: words that are written as a whole, and bytes.
//!
//! Other processes have the same bytes in theirs. Whatever is read or written of a shard is so under its lock
//! (`lock.rs`), so nobody else writes meanwhile who keeps to the rules; and who does not (another program of the same user) can
//! make a state unreadable or a limit wrong, but nothing here is believed without looking: every offset is checked.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

/// All bytes of a file.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    #[cfg(test)]
    pub(super) mortality: super::mortality::Mortality,
}

// SAFETY: it is memory that any thread may use; who writes when is the locks' affair, as between processes.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps all `len` bytes of `file`, which must have as many: beyond its end there is no memory.
    pub(super) fn of(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at a place that the kernel chooses touches no other memory.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("it was mapped to address 0"))?;
        Ok(Self {
            start,
            len,
            #[cfg(test)]
            mortality: super::mortality::Mortality::default(),
        })
    }

    /// Where `len` bytes from `at` on begin, which must be there.
    pub(super) fn at(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "{len} bytes at {at} of {}", self.len);
        // SAFETY: it stays within the mapping, as was looked at.
        unsafe { self.start.as_ptr().add(at) }
    }

    fn atomic(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8), "{at} is no place of a word");
        // SAFETY: eight bytes of the mapping, which begins with a page, so they are aligned; all that is done with words is atomic.
        unsafe { AtomicU64::from_ptr(self.at(at, 8).cast()) }
    }

    /// A word.
    pub(super) fn word(&self, at: usize) -> u64 {
        self.atomic(at).load(Ordering::Relaxed)
    }

    /// Writes a word: all of it or nothing, after everything that is written before in the program and before everything that is
    /// written after. A process that is killed has done what it did in this order.
    pub(super) fn set_word(&self, at: usize, word: u64) {
        #[cfg(test)]
        self.mortality.before_word();
        compiler_fence(Ordering::SeqCst);
        self.atomic(at).store(word, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
    }

    /// Some bytes.
    ///
    /// # Safety
    ///
    /// Nobody writes them as long as the slice is there: the lock of their shard is held, and this shard is not written to.
    pub(super) unsafe fn bytes(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: within the mapping; that nobody writes, the caller answers for.
        unsafe { std::slice::from_raw_parts(self.at(at, len), len) }
    }

    /// Writes bytes. Whoever is killed meanwhile leaves a part of them.
    ///
    /// # Safety
    ///
    /// Nobody reads or writes them meanwhile: the lock of their shard is held, or nobody else has the file yet.
    pub(super) unsafe fn write(&self, at: usize, bytes: &[u8]) {
        let place = self.at(at, bytes.len());
        #[cfg(test)]
        let bytes = self.mortality.before_bytes(bytes);
        // SAFETY: within the mapping, and the caller's alone; `bytes` are this process's own, which nothing of it overlaps.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        #[cfg(test)]
        self.mortality.after_bytes();
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `of` has mapped, once; nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
