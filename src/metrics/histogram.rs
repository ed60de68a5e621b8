//! How often a number was how large.

use super::counter::Counter;

/// The scale of a histogram: upper bounds of its buckets, inclusive and ascending, and how many of its units are one of those it is
/// shown in.
#[derive(Debug)]
pub(super) struct Scale {
    bounds: &'static [u64],
    unit: f64,
}

/// Nanoseconds, shown as milliseconds: a Redis beside the process answers in a tenth of one, and the longest `timeout` is a minute.
pub(super) static LATENCY: Scale = Scale {
    bounds: &[
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        1_000_000_000,
    ],
    unit: 1e6,
};

/// Calls. The largest batch has 512.
pub(super) static BATCH: Scale = Scale { bounds: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512], unit: 1.0 };

/// Written by one thread at a time.
#[derive(Debug)]
pub(super) struct Histogram {
    scale: &'static Scale,
    /// One more than there are bounds: the last is of what is above all of them.
    counts: Box<[Counter]>,
    sum: Counter,
}

/// A histogram at one moment, in the unit that it is shown in.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Upper bounds, inclusive.
    pub bounds: Vec<f64>,
    /// How often between the bound before and this one, and at last above all of them.
    pub counts: Vec<u64>,
    /// Of all that was recorded.
    pub sum: f64,
}

impl Histogram {
    /// Nothing yet.
    pub(super) fn new(scale: &'static Scale) -> Self {
        let counts = (0..=scale.bounds.len()).map(|_| Counter::default()).collect();
        Self { scale, counts, sum: Counter::default() }
    }

    /// One more, in the scale's own unit.
    pub(super) fn record(&self, value: u64) {
        self.counts[self.scale.bounds.partition_point(|bound| *bound < value)].add(1);
        self.sum.add(value);
    }

    /// All of it now.
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 nanoseconds are a hundred days of waiting, and then it is off by one"
    )]
    pub(super) fn picture(&self) -> Picture {
        let shown = |value: u64| value as f64 / self.scale.unit;
        Picture {
            bounds: self.scale.bounds.iter().map(|bound| shown(*bound)).collect(),
            counts: self.counts.iter().map(Counter::get).collect(),
            sum: shown(self.sum.get()),
        }
    }
}

impl Picture {
    /// How much was recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SCALE: Scale = Scale { bounds: &[10, 20, 50], unit: 10.0 };

    fn of(values: &[u64]) -> Picture {
        let histogram = Histogram::new(&SCALE);
        values.iter().for_each(|value| histogram.record(*value));
        histogram.picture()
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        assert_eq!(of(&[0, 1, 10]).counts, [3, 0, 0, 0]);
        assert_eq!(of(&[11, 20]).counts, [0, 2, 0, 0]);
        assert_eq!(of(&[21, 50]).counts, [0, 0, 2, 0]);
        assert_eq!(of(&[51, u64::from(u32::MAX)]).counts, [0, 0, 0, 2]);
    }

    #[test]
    fn it_is_shown_in_its_unit() {
        let picture = of(&[5, 15, 100]);
        assert_eq!((picture.bounds.as_slice(), picture.sum, picture.count()), ([1.0, 2.0, 5.0].as_slice(), 12.0, 3));
        assert_eq!(of(&[]), Picture { bounds: vec![1.0, 2.0, 5.0], counts: vec![0; 4], sum: 0.0 });
    }

    #[test]
    fn scales_ascend() {
        for scale in [&LATENCY, &BATCH] {
            assert!(scale.bounds.is_sorted_by(|before, after| before < after), "{scale:?}");
        }
        let latency = Histogram::new(&LATENCY).picture().bounds;
        assert_eq!(latency, [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1_000.0]);
    }
}
