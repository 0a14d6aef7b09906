//! Many comparisons at once: what each must promise so that all hold together.

/// The confidence of each of `k` intervals that hold jointly with `confidence`, however they depend on each other: 1 - (1 - c)/k
/// (Bonferroni's inequality).
#[must_use]
pub fn bonferroni_confidence(k: u64, confidence: f64) -> f64 {
    1.0 - (1.0 - confidence) / k.max(1) as f64
}

/// The same for independent intervals: c^(1/k) (Sidak 1967).
#[must_use]
pub fn sidak_confidence(k: u64, confidence: f64) -> f64 {
    libm::pow(confidence, 1.0 / k.max(1) as f64)
}

/// The p-values of several tests, adjusted by Holm 1979, *A Simple Sequentially Rejective Multiple Test Procedure*: those not above a
/// level can be rejected together with at most that probability of any error. In the order given; at most 1.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut greatest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        greatest = greatest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = greatest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn confidences_by_hand() {
        assert!((bonferroni_confidence(10, 0.95) - 0.995).abs() < 1e-15);
        assert!((sidak_confidence(2, 0.81) - 0.9).abs() < 1e-15);
        assert_eq!((bonferroni_confidence(1, 0.95), sidak_confidence(1, 0.95)), (0.95, 0.95));
    }

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, known) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - known).abs() < 1e-15, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.7, 0.8]), [1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn holm_lies_between_none_and_bonferroni(p_values in prop::collection::vec(0.0..1.0f64, 0..30)) {
            for (adjusted, p) in holm(&p_values).into_iter().zip(&p_values) {
                prop_assert!(*p <= adjusted && adjusted <= (p * p_values.len() as f64).min(1.0));
            }
        }
    }
}
