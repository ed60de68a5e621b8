//! What comes differently to each process.

use std::hash::{BuildHasher, RandomState};

/// From 0 to 1, differently in each process: the standard library's hash keys are random.
pub(super) fn chance() -> f64 {
    let random = RandomState::new().hash_one(0u8);
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    /// Were it the same in each process, all that lost a Redis would come back to it as one.
    #[test]
    fn each_draw_is_another_and_all_of_them_lie_from_0_to_1() {
        let mut draws: Vec<f64> = (0..1_000).map(|_| super::chance()).collect();
        draws.sort_by(f64::total_cmp);
        draws.dedup();
        assert!(draws.len() > 990, "{} of 1,000 differ", draws.len());
        assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        let low = draws.iter().filter(|draw| **draw < 0.5).count();
        assert!((300..=700).contains(&low), "{low} of 1,000 are below a half");
    }
}
