//! Division as the hot path needs it.

/// `dividend / divisor`, several times as fast as the instruction for 64-bit integers on processors before about 2020.
///
/// A double's quotient of whole numbers below 2^53 never rounds up to the next whole number: if the true one is `q - d/b` with
/// `d >= 1`, then `q * b < 2^53` makes `d/b` larger than half the distance between doubles near `q`. So cutting off the
/// fraction is exact.
#[inline]
pub(crate) fn quotient(dividend: u64, divisor: u64) -> u64 {
    const EXACT: u64 = 1 << 53;
    if dividend >= EXACT || divisor >= EXACT {
        return dividend / divisor;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are below 2^53, and so is the quotient"
    )]
    let quotient = (dividend as f64 / divisor as f64) as u64;
    quotient
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::quotient;

    const EDGE: u64 = 1 << 53;

    proptest! {
        #![proptest_config(crate::tests::cases(200_000))]

        #[test]
        fn is_the_quotient(divisor in 1..EDGE, dividend in prop_oneof![0..EDGE, any::<u64>()]) {
            prop_assert_eq!(quotient(dividend, divisor), dividend / divisor);
        }

        /// Just below a multiple is where rounding would show.
        #[test]
        fn is_the_quotient_around_multiples(shift in 0..53u32, divisor in 1..EDGE, factor in 1..EDGE, off in 0..3u64) {
            let divisor = (divisor >> shift).max(1);
            let multiple = (factor % (EDGE / divisor).max(1)).max(1) * divisor;
            for dividend in [multiple.saturating_sub(off), multiple + off, EDGE - 1 - off] {
                prop_assert_eq!(quotient(dividend, divisor), dividend / divisor);
            }
        }
    }
}
