//! Which key is asked for: the key of rank k with a probability in proportion to k^-exponent.
//!
//! Drawn by rejection-inversion (Hörmann and Derflinger, 1996), which needs no table, so there may be 10^8 keys.

use crate::random::Random;

/// The law.
#[derive(Clone)]
pub struct Zipf {
    keys: f64,
    exponent: f64,
    /// Where the area under the curve begins and ends.
    first: f64,
    last: f64,
    /// Whoever lies so near a rank is surely taken.
    near: f64,
}

impl Zipf {
    /// Of `keys` keys, at least one. An exponent of 0 asks for each of them alike.
    pub fn new(keys: u64, exponent: f64) -> Self {
        let mut zipf = Self { keys: keys as f64, exponent, first: 0.0, last: 0.0, near: 0.0 };
        zipf.first = zipf.area(1.5) - 1.0;
        zipf.last = zipf.area(zipf.keys + 0.5);
        zipf.near = 2.0 - zipf.point(zipf.area(2.5) - zipf.height(2.0));
        zipf
    }

    /// A rank, from 1.
    pub fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let area = self.last + random.unit() * (self.first - self.last);
            let point = self.point(area);
            let rank = point.round().clamp(1.0, self.keys);
            if rank - point <= self.near || area >= self.area(rank + 0.5) - self.height(rank) {
                return rank as u64;
            }
        }
    }

    /// What part of all calls the first `ranks` get, by the sum's integral beyond the first thousand.
    pub fn share(&self, ranks: u64) -> f64 {
        let sum = |ranks: f64| {
            let exact = ranks.min(1_000.0);
            let head: f64 = (1..=exact as u64).map(|rank| self.height(rank as f64)).sum();
            if ranks > exact { head + self.area(ranks + 0.5) - self.area(exact + 0.5) } else { head }
        };
        sum((ranks as f64).min(self.keys)) / sum(self.keys)
    }

    fn height(&self, x: f64) -> f64 {
        x.powf(-self.exponent)
    }

    /// The integral of the height.
    fn area(&self, x: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power.abs() < 1e-9 { x.ln() } else { (x.powf(power) - 1.0) / power }
    }

    /// The inverse of the area.
    fn point(&self, area: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power.abs() < 1e-9 { area.exp() } else { (1.0 + area * power).max(0.0).powf(1.0 / power) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_is_drawn_as_often_as_the_law_says() {
        for (keys, exponent) in [(50, 1.0), (50, 0.0), (50, 0.7), (50, 1.3), (1, 1.0), (2, 1.0)] {
            let (zipf, mut random) = (Zipf::new(keys, exponent), Random::new(7));
            let draws = 4_000_000;
            let mut drawn = vec![0.0; keys as usize];
            (0..draws).for_each(|_| drawn[zipf.draw(&mut random) as usize - 1] += 1.0);
            let all: f64 = (1..=keys).map(|rank| (rank as f64).powf(-exponent)).sum();
            // Chi squared: with 49 degrees of freedom beyond 95 once in 10,000 times.
            let far: f64 = (1..=keys)
                .map(|rank| {
                    let meant = f64::from(draws) * (rank as f64).powf(-exponent) / all;
                    (drawn[rank as usize - 1] - meant).powi(2) / meant
                })
                .sum();
            assert!(far < 95.0, "{keys} keys, exponent {exponent}: {far}");
        }
    }

    #[test]
    fn it_reaches_a_hundred_million_keys() {
        let (zipf, mut random) = (Zipf::new(100_000_000, 1.0), Random::new(7));
        let ranks: Vec<u64> = (0..100_000).map(|_| zipf.draw(&mut random)).collect();
        assert!(ranks.iter().all(|rank| (1..=100_000_000).contains(rank)));
        let first = ranks.iter().filter(|rank| **rank <= 1_000).count() as f64 / 100_000.0;
        assert!((first - zipf.share(1_000)).abs() < 0.01, "{first}, by the law {}", zipf.share(1_000));
        assert!(ranks.iter().any(|rank| *rank > 50_000_000));
    }
}
