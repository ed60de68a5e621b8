//! Which keys come most often, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and
//! Top-k Elements in Data Streams", 2005).
//!
//! Of `n` that were counted a key is told to have come no more often than it did, and less by `n / ENTRIES` at most; so whoever makes
//! up more than a part in [`ENTRIES`] is there. What is told is what came since a key was last let in: of a flood of keys that
//! come once each, none is said to have come often.

use std::hash::{BuildHasher, RandomState};

use crate::key;

/// Keys that are counted at a time.
pub(super) const ENTRIES: usize = 64;

/// Of keys, how many are looked at together.
const TOGETHER: usize = 16;

/// Bytes that are kept of a key. What is longer is told apart all the same, and shown cut off.
const KEPT: usize = 256;

/// See the module.
#[derive(Default)]
pub(super) struct Top {
    /// Of each key a part of its hash, side by side: nearly all that is looked at, some at a time.
    tags: Vec<u32>,
    hashes: Vec<u64>,
    counts: Vec<u64>,
    /// How much of the count may be of those that had the place before.
    errors: Vec<u64>,
    keys: Vec<Kept>,
    /// No count is less, and some were as much when all were last looked at.
    least: u64,
    /// The place that is looked at next for one that is.
    hand: usize,
    hasher: RandomState,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// A key, and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// As it is shown.
    pub key: String,
    /// Never more often than it did.
    pub count: u64,
}

impl Top {
    /// A key came, or stands for so many that did.
    pub(super) fn add(&mut self, key: &[u8], weight: u64) {
        let hash = self.hasher.hash_one(key);
        if let Some(index) = self.find(hash) {
            self.counts[index] += weight;
        } else if self.hashes.len() < ENTRIES {
            self.tags.push(tag(hash));
            self.hashes.push(hash);
            self.counts.push(weight);
            self.errors.push(0);
            self.keys.push(Kept::default());
            self.keep(self.hashes.len() - 1, key);
        } else {
            let index = self.rarest();
            self.tags[index] = tag(hash);
            self.hashes[index] = hash;
            self.errors[index] = self.counts[index];
            self.counts[index] += weight;
            self.keep(index, key);
        }
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let tag = tag(hash);
        let (chunks, _) = self.tags.as_chunks::<TOGETHER>();
        // Without a way out in the midst of a chunk the processor compares several at a time.
        let is_there =
            |chunk: &&[u32; TOGETHER]| chunk.iter().fold(false, |is_there, known| is_there | (*known == tag));
        let start = chunks.iter().take_while(|chunk| !is_there(chunk)).count() * TOGETHER;
        let index = start + self.tags[start..].iter().position(|known| *known == tag)?;
        // Two keys of one tag are told apart, at the price of a look at all.
        if self.hashes[index] == hash { Some(index) } else { self.hashes.iter().position(|known| *known == hash) }
    }

    /// The place of whoever has come least often. Whoever is let in comes more often than that, so it takes a look at all places only
    /// when each has been turned over.
    fn rarest(&mut self) -> usize {
        let least = self.least;
        let turned = self.counts[self.hand..].iter().position(|count| *count == least);
        self.hand = match turned {
            Some(further) => self.hand + further,
            None => {
                self.least = self.counts.iter().copied().min().unwrap_or(0);
                self.counts.iter().position(|count| *count == self.least).unwrap_or(0)
            }
        };
        self.hand
    }

    /// A flood replaces a key with each that is looked at, so the room is used again.
    fn keep(&mut self, index: usize, key: &[u8]) {
        let kept = &mut self.keys[index];
        kept.bytes.clear();
        kept.bytes.extend_from_slice(&key[..key.len().min(KEPT)]);
        kept.is_cut = key.len() > KEPT;
    }

    /// At most so many, most often first.
    pub(super) fn ranking(&self, most: usize) -> Vec<Ranked> {
        let counts = self.counts.iter().zip(&self.errors).map(|(count, error)| count - error);
        let mut all: Vec<(u64, &Kept)> = counts.zip(&self.keys).collect();
        all.sort_by(|(one, key), (other, another)| other.cmp(one).then_with(|| key.bytes.cmp(&another.bytes)));
        all.truncate(most);
        all.into_iter().map(|(count, kept)| Ranked { key: kept.shown(), count }).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a part is wanted")]
fn tag(hash: u64) -> u32 {
    hash as u32
}

impl Kept {
    fn shown(&self) -> String {
        let mut text = key::shown(&self.bytes);
        if self.is_cut {
            // A character that was cut in two.
            while text.ends_with(char::REPLACEMENT_CHARACTER) {
                text.pop();
            }
            text.push('…');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::sample::{STRIDE, Sampler};
    use super::*;

    /// What came, and what is told of it.
    struct Stream {
        top: Top,
        exact: HashMap<String, u64>,
        total: u64,
    }

    impl Stream {
        fn of(keys: impl Iterator<Item = String>) -> Self {
            let mut stream = Self { top: Top::default(), exact: HashMap::new(), total: 0 };
            keys.for_each(|key| stream.add(key, 1));
            stream
        }

        fn add(&mut self, key: String, weight: u64) {
            self.top.add(key.as_bytes(), weight);
            *self.exact.entry(key).or_default() += weight;
            self.total += weight;
        }

        /// Nothing is told of too often, and nothing is missing by more than the module says, whether it is told of or not.
        fn keeps_its_bound(&self) {
            let told = self.top.ranking(usize::MAX);
            assert!(told.len() <= ENTRIES);
            assert!(told.is_sorted_by(|one, other| one.count >= other.count), "{told:?}");
            let told: HashMap<_, _> = told.into_iter().map(|Ranked { key, count }| (key, count)).collect();
            let most = self.total / ENTRIES as u64;
            for (key, exact) in &self.exact {
                let count = told.get(key).copied().unwrap_or(0);
                assert!(count <= *exact, "{key} came {exact} times, and {count} are told");
                assert!(exact - count <= most, "{key} came {exact} times of {}, and {count} are told", self.total);
            }
            assert!(told.keys().all(|key| self.exact.contains_key(key)));
        }
    }

    /// Whole numbers by chance (SplitMix64).
    fn chances(mut seed: u64) -> impl Iterator<Item = u64> {
        std::iter::from_fn(move || {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let bits = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            Some(bits ^ (bits >> 31))
        })
    }

    /// Keys by Zipf's law with exponent 1: the first comes twice as often as the second, three times as often as the third.
    fn zipf(keys: usize, seed: u64) -> impl Iterator<Item = String> {
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=keys)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        chances(seed).map(move |chance| {
            let place = (chance >> 11) as f64 / (1_u64 << 53) as f64 * sum;
            format!("key-{}", sums.partition_point(|sum| *sum <= place))
        })
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let stream = Stream::of((0..6_400).map(|index| format!("{}", index % 64 % 50)));
        let told = stream.top.ranking(usize::MAX);
        assert_eq!(told.len(), 50);
        assert!(told.iter().all(|Ranked { key, count }| stream.exact[key] == *count), "{told:?}");
    }

    #[test]
    fn zipf_is_within_the_bound() {
        for (keys, seed) in [(100, 1), (1_000, 2), (100_000, 3)] {
            let stream = Stream::of(zipf(keys, seed).take(200_000));
            stream.keeps_its_bound();
            assert_eq!(
                stream.top.ranking(3).into_iter().map(|ranked| ranked.key).collect::<Vec<_>>(),
                ["key-0", "key-1", "key-2"]
            );
        }
    }

    /// Each key comes when it has just lost its place.
    #[test]
    fn who_turns_all_places_over_is_within_the_bound() {
        for keys in [65, 66, 128, 10_000] {
            Stream::of((0..100_000).map(|index| format!("{}", index % keys))).keeps_its_bound();
        }
    }

    /// A flood of keys that come once each, and one among them that comes more often than a part in 64, first, last, or all the time.
    #[test]
    fn a_flood_hides_nobody_who_is_often_there() {
        type IsHot = fn(usize) -> bool;
        let places: [IsHot; 3] = [|index| index < 4_000, |index| index >= 96_000, |index| index % 25 == 0];
        for is_hot in places {
            let key = |index| if is_hot(index) { "hot".to_owned() } else { format!("once-{index}") };
            let stream = Stream::of((0..100_000).map(key));
            stream.keeps_its_bound();
            let told = stream.top.ranking(2);
            assert_eq!(told[0].key, "hot");
            assert!(told[0].count > 1_000 && told[1].count == 1, "{told:?}");
        }
    }

    /// As it is used: each key that is looked at stands for sixteen.
    #[test]
    fn what_is_sampled_is_near_what_came() {
        let (sampler, mut top, mut exact) = (Sampler::seeded(11), Top::default(), HashMap::<String, u64>::new());
        let total = 400_000;
        for key in zipf(1_000, 4).take(total) {
            if sampler.hits() {
                top.add(key.as_bytes(), sampler.weight());
            }
            *exact.entry(key).or_default() += 1;
        }
        for Ranked { key, count } in top.ranking(5) {
            let (exact, count) = (exact[&key] as f64, count as f64);
            let deviation = (STRIDE as f64 * exact).sqrt();
            let most = total as f64 / ENTRIES as f64;
            assert!(count <= exact + 5.0 * deviation, "{key}: {count} of {exact}");
            assert!(count >= exact - most - 5.0 * deviation, "{key}: {count} of {exact}");
        }
    }

    #[test]
    fn long_keys_are_told_apart_and_shown_cut_off() {
        let long = |last: &str| format!("{}{last}", "ä".repeat(400));
        let stream = Stream::of([long("a"), long("b"), long("b")].into_iter());
        let told = stream.top.ranking(9);
        let shown = format!("{}…", "ä".repeat(128));
        assert_eq!(told, [2, 1].map(|count| Ranked { key: shown.clone(), count }));
        let odd = Stream::of(std::iter::once(format!("a{}", "ä".repeat(400))));
        assert_eq!(odd.top.ranking(1)[0].key, format!("a{}…", "ä".repeat(127)));
    }

    #[test]
    fn its_size_is_bounded() {
        let mut top = Top::default();
        for index in 0..10_000 {
            top.add(format!("{index:01000}").as_bytes(), 1);
        }
        assert!(top.keys.len() == ENTRIES && top.keys.iter().all(|kept| kept.bytes.capacity() <= 2 * KEPT));
    }
}
