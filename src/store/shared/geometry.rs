//! How the bytes of a file are shared out: a header, then shards of one size, each with a lock, places for keys and cells.

use crate::clock::Micros;

/// Bytes of the header, before the first shard.
pub(super) const HEADER: usize = 4_096;

/// Bytes at the start of a shard: its lock, and what it counts.
pub(super) const HEAD: usize = 128;

/// Keys that share a bucket.
pub(super) const WAYS: usize = 15;

/// Bytes of a bucket: a word for each of its keys, one that is not used, and the keys' entries.
pub(super) const BUCKET: usize = 2_048;

/// Bytes of a word.
pub(super) const WORD: usize = 8;

/// Bytes of a key's entry: its fingerprint, and two places for its state.
pub(super) const ENTRY: usize = 128;

/// Bytes of a fingerprint.
pub(super) const ID: usize = 16;

/// Bytes of each of the two places: whatever a state is [compacted](crate::algorithm::Algorithm::compact) to finds room there.
pub(super) const PLACE: usize = 56;

/// Bytes of a cell: four that name the next one, and a part of a state that is too long for a place.
pub(super) const CELL: usize = 128;

/// Bytes of a state in a cell.
pub(super) const PART: usize = CELL - 4;

/// Shards of a large file. Two processes seldom want the same one.
const MAX_SHARDS: usize = 64;

/// A shard has at least so many bytes, if there are as many.
const SHARD: usize = 256 << 10;

/// How a file of some size is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Bytes of the file.
    pub(super) bytes: usize,
    /// Shards, a power of two.
    pub(super) shards: usize,
    /// Buckets of each.
    pub(super) buckets: usize,
    /// Cells of each.
    pub(super) cells: usize,
}

impl Geometry {
    /// Half of the bytes are for keys, half for states that are long.
    pub(super) fn of(bytes: usize) -> Self {
        let bytes = bytes / HEADER * HEADER;
        let shards = 1 << (bytes / SHARD).clamp(1, MAX_SHARDS).ilog2();
        let each = (bytes - HEADER) / shards / HEAD * HEAD - HEAD;
        let buckets = (each / 2 / BUCKET).max(1);
        Self { bytes, shards, buckets, cells: (each - buckets * BUCKET) / CELL }
    }

    /// Where a shard begins.
    pub(super) fn shard(&self, index: usize) -> usize {
        HEADER + index * self.shard_bytes()
    }

    /// Bytes of a shard.
    pub(super) fn shard_bytes(&self) -> usize {
        HEAD + self.buckets * BUCKET + self.cells * CELL
    }
}

/// What a key is called in the file: 128 bits of a hash whose secret stands there, so that nobody can make two keys alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) high: u64,
    pub(super) low: u64,
}

impl Id {
    pub(super) fn bytes(self) -> [u8; ID] {
        let mut bytes = [0; ID];
        bytes[..8].copy_from_slice(&self.high.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.low.to_ne_bytes());
        bytes
    }

    /// In which shard it lies.
    #[expect(clippy::cast_possible_truncation, reason = "there are few shards")]
    pub(super) fn shard(self, geometry: &Geometry) -> usize {
        self.low as usize & (geometry.shards - 1)
    }

    /// The two buckets of the shard in which it may be. They are one where there is no other.
    pub(super) fn buckets(self, geometry: &Geometry) -> [usize; 2] {
        let buckets = geometry.buckets as u64;
        let among = |bits: u64, all: u64| (((bits & 0xFFFF_FFFF) * all) >> 32) as usize;
        let first = among(self.high, buckets);
        // Any but the first.
        let step = if buckets > 1 { 1 + among(self.high >> 32, buckets - 1) } else { 0 };
        [first, (first + step) % geometry.buckets]
    }

    /// The bits of it that stand in the entry's word.
    fn tag(self) -> u64 {
        self.low >> (64 - TAG_BITS)
    }
}

/// The word of an entry, by which alone it is told whether there is a key, and where its state stands. To write it is to commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// Where a state stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// There is no key.
    Free,
    /// In the first or the second place.
    Place(usize),
    /// In cells, of which this is the first.
    Cells(usize),
}

const FORM_BITS: u32 = 3;
const LENGTH_BITS: u32 = 15;
const FIRST_BITS: u32 = 32;
const TAG_BITS: u32 = 14;

const FREE: u64 = 0;
const IN_CELLS: u64 = 3;

/// The longest state that a word can tell of.
pub(super) const MOST_BYTES: usize = (1 << LENGTH_BITS) - 1;

impl Word {
    /// Of a state of so many bytes, at most [`MOST_BYTES`].
    pub(super) fn new(id: Id, form: Form, length: usize) -> Self {
        let (form, first) = match form {
            Form::Free => return Self(FREE),
            Form::Place(place) => (1 + place as u64, 0),
            Form::Cells(first) => (IN_CELLS, first as u64),
        };
        let tag = id.tag() << (FORM_BITS + LENGTH_BITS + FIRST_BITS);
        Self(tag | first << (FORM_BITS + LENGTH_BITS) | (length as u64) << FORM_BITS | form)
    }

    /// `None` for what was never written.
    #[expect(clippy::cast_possible_truncation, reason = "none has more bits than its place")]
    pub(super) fn form(self) -> Option<Form> {
        match self.0 & ((1 << FORM_BITS) - 1) {
            FREE => Some(Form::Free),
            place @ 1..=2 => Some(Form::Place(place as usize - 1)),
            IN_CELLS => Some(Form::Cells((self.0 >> (FORM_BITS + LENGTH_BITS)) as usize & ((1 << FIRST_BITS) - 1))),
            _ => None,
        }
    }

    /// Bytes of the state.
    pub(super) fn length(self) -> usize {
        (self.0 >> FORM_BITS) as usize & MOST_BYTES
    }

    pub(super) fn is_free(self) -> bool {
        self.0 & ((1 << FORM_BITS) - 1) == FREE
    }

    /// Whether it may be that key's.
    pub(super) fn may_be_of(self, id: Id) -> bool {
        self.0 >> (64 - TAG_BITS) == id.tag() && !self.is_free()
    }
}

/// Until when a state is kept, as it says itself: behind a byte that tells its kind, of a block behind the block's end.
pub(super) fn kept(start: &[u8]) -> Option<Micros> {
    let mut rest = match start {
        [1, rest @ ..] => rest,
        [2, rest @ ..] => rest.get(8..)?,
        _ => return None,
    };
    crate::wire::take::<7>(&mut rest).map(Micros)
}

/// So many bytes of a state tell until when it is kept.
pub(super) const KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_room_for_what_it_says() {
        for bytes in [64 << 10, 100_000, 256 << 10, 1 << 20, (1 << 20) + 1, 32 << 20, 64 << 20, 1 << 30, 256 << 30] {
            let geometry = Geometry::of(bytes);
            assert!(geometry.bytes <= bytes && geometry.buckets > 0 && geometry.cells > 0, "{geometry:?}");
            assert!(geometry.shard(geometry.shards) <= geometry.bytes, "{geometry:?}");
            assert!(geometry.cells <= 1 << FIRST_BITS, "{geometry:?}");
            assert_eq!(Geometry::of(geometry.bytes), geometry);
        }
    }

    #[test]
    fn a_bucket_is_made_of_its_parts() {
        assert_eq!((WAYS + 1) * 8 + WAYS * ENTRY, BUCKET);
        assert_eq!(ID + 2 * PLACE, ENTRY);
        assert_eq!(FORM_BITS + LENGTH_BITS + FIRST_BITS + TAG_BITS, 64);
    }

    #[test]
    fn a_word_says_what_it_was_made_of() {
        let id = Id { high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210 };
        for form in [Form::Place(0), Form::Place(1), Form::Cells(0), Form::Cells(0xFFFF_FFFF)] {
            for length in [0, 1, PLACE, MOST_BYTES] {
                let word = Word::new(id, form, length);
                assert_eq!((word.form(), word.length()), (Some(form), length));
                assert!(word.may_be_of(id) && !word.may_be_of(Id { low: !id.low, ..id }));
            }
        }
        assert!(Word::default().is_free() && !Word::default().may_be_of(Id { low: 0, ..id }));
    }

    #[test]
    fn the_two_buckets_of_a_key_are_two() {
        let geometry = Geometry::of(64 << 10);
        for high in (0..1_000u64).map(|index| index.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
            let [first, second] = Id { high, low: 0 }.buckets(&geometry);
            assert!(first < geometry.buckets && second < geometry.buckets && first != second);
        }
    }
}
