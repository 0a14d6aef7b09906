//! Buckets of a log-linear histogram of whole numbers: powers of two, each cut into as many equal parts.

/// The bucket of a value: its least value and how many it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The least value in it.
    pub low: u64,
    /// How many values it holds: a power of two.
    pub width: u64,
}

/// The bucket of `value` in a histogram that keeps `bits` bits below the leading one: values below 2^(bits+1) have buckets of their own,
/// others share one with a fraction of at most 2^-bits of themselves (Tene, HdrHistogram).
#[must_use]
pub fn bucket(value: u64, bits: u32) -> Bucket {
    let shift = value.checked_ilog2().unwrap_or(0).saturating_sub(bits);
    Bucket { low: value >> shift << shift, width: 1 << shift }
}

/// The greatest width over the least value of any bucket: 2^-bits.
#[must_use]
pub fn relative_error(bits: u32) -> f64 {
    libm::ldexp(1.0, -(bits.min(1_074) as i32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extremes() {
        assert_eq!((bucket(0, 7), bucket(0, 0)), (Bucket { low: 0, width: 1 }, Bucket { low: 0, width: 1 }));
        assert_eq!(bucket(u64::MAX, 0), Bucket { low: 1 << 63, width: 1 << 63 });
        assert_eq!((bucket(u64::MAX, 100).low, relative_error(7)), (u64::MAX, 0.007_812_5));
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_bucket_and_a_bucket_is_narrow(value in any::<u64>(), spread in 0..64_u32, bits in 0..20_u32) {
            let value = value >> spread;
            let b = bucket(value, bits);
            prop_assert!(b.low <= value && value - b.low < b.width);
            prop_assert!(b.width == 1 || b.width as f64 <= relative_error(bits) * b.low as f64);
        }

        /// Histograms of 3 digits keep 2048 values exactly and cut each power of two above into 1024.
        #[test]
        fn latencies_are_kept_in_these_buckets(value in any::<u64>(), spread in 0..64_u32) {
            let value = value >> spread;
            let library = hdrhistogram::Histogram::<u64>::new(3).expect("three digits");
            let low = library.lowest_equivalent(value);
            let width = (library.highest_equivalent(value) - low).saturating_add(1);
            prop_assert_eq!(bucket(value, 10), Bucket { low, width });
        }
    }
}
