//! What a file says of itself, so that none is used which is not what it is taken for.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::geometry::Geometry;
use crate::clock::Micros;

/// The first bytes of every file.
const MAGIC: [u8; 8] = *b"drl-shm\n";

/// The version of all that stands in a file: the layout, the states, how keys are hashed. Another one is another number. The
/// header's own layout stays.
const VERSION: u64 = 1;

/// What must be the same for those who use one lock: the C library and its idea of a mutex, and the processor's words.
const PLATFORM: u64 = {
    let library = if cfg!(target_env = "musl") { 2 } else { 1 };
    let processor = if cfg!(target_arch = "x86_64") {
        1
    } else if cfg!(target_arch = "aarch64") {
        2
    } else {
        3
    };
    (size_of::<libc::pthread_mutex_t>() as u64) << 16 | processor << 8 | library
};

/// Bytes of it.
pub(super) const LENGTH: usize = 96;

/// Which start of the machine a file is of. Times and locks mean nothing after it.
pub(super) type Boot = [u8; 16];

/// A file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) geometry: Geometry,
    pub(super) boot: Boot,
    /// What is added to the time since the machine was started to get the time of day, as it was when the file was made.
    pub(super) offset: Micros,
    /// By which keys are hashed.
    pub(super) secret: [u8; 16],
}

/// Why a file is not used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is none of ours.
    Foreign,
    /// It is of an earlier start of the machine, so nobody uses it.
    Bygone,
    /// It is of another version of this library.
    Version,
    /// It was made by a program that is built otherwise.
    Platform,
    /// It does not say what it said once.
    Damaged,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let words = [VERSION, PLATFORM, self.geometry.bytes as u64, self.offset.0];
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        for (index, word) in words.into_iter().enumerate() {
            bytes[8 + 8 * index..][..8].copy_from_slice(&word.to_le_bytes());
        }
        bytes[40..56].copy_from_slice(&self.boot);
        bytes[56..72].copy_from_slice(&self.secret);
        let sum = checksum(&bytes[..72]);
        bytes[72..80].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the header of a file of so many bytes, in the start of the machine that is `boot`.
    pub(super) fn decode(bytes: &[u8; LENGTH], length: u64, boot: Boot) -> Result<Self, Refusal> {
        if bytes[..8] != MAGIC {
            return Err(Refusal::Foreign);
        }
        let word = |index: usize| {
            let at = 8 + 8 * index;
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes are a word"))
        };
        let [mut of_boot, mut secret] = [[0; 16]; 2];
        of_boot.copy_from_slice(&bytes[40..56]);
        secret.copy_from_slice(&bytes[56..72]);
        // First of all: what nobody uses may be replaced, whatever its version is.
        if of_boot != boot {
            return Err(Refusal::Bygone);
        }
        if word(0) != VERSION {
            return Err(Refusal::Version);
        }
        if word(1) != PLATFORM {
            return Err(Refusal::Platform);
        }
        let geometry = usize::try_from(word(2)).ok().filter(|bytes| *bytes >= super::LEAST_BYTES).map(Geometry::of);
        let is_whole = word(8) == checksum(&bytes[..72]) && word(2) == length;
        match geometry.filter(|geometry| is_whole && geometry.bytes as u64 == length) {
            Some(geometry) => Ok(Self { geometry, boot, offset: Micros(word(3)), secret }),
            None => Err(Refusal::Damaged),
        }
    }
}

/// Against bits that fell over, not against anybody's will.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(bytes);
    hasher.finish128().h1
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: Boot = *b"this very start.";

    fn header() -> Header {
        Header { geometry: Geometry::of(1 << 20), boot: BOOT, offset: Micros(1 << 50), secret: *b"a secret of mine" }
    }

    #[test]
    fn a_header_says_what_it_was_made_of() {
        assert_eq!(Header::decode(&header().encode(), 1 << 20, BOOT), Ok(header()));
    }

    #[test]
    fn what_is_another_is_told_apart() {
        let with = |at: usize, byte: u8| {
            let mut bytes = header().encode();
            bytes[at] ^= byte;
            Header::decode(&bytes, 1 << 20, BOOT)
        };
        assert_eq!(with(0, 1), Err(Refusal::Foreign));
        assert_eq!(with(8, 1), Err(Refusal::Version));
        assert_eq!(with(16, 3), Err(Refusal::Platform));
        assert_eq!(with(40, 1), Err(Refusal::Bygone));
        // Each bit of the rest.
        for at in (24..40).chain(56..80) {
            for bit in 0..8 {
                assert_eq!(with(at, 1 << bit), Err(Refusal::Damaged), "bit {bit} of byte {at}");
            }
        }
        assert_eq!(Header::decode(&header().encode(), 1 << 19, BOOT), Err(Refusal::Damaged));
        assert_eq!(Header::decode(&[0; LENGTH], 1 << 20, BOOT), Err(Refusal::Foreign));
    }
}
