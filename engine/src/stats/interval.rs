//! Confidence intervals for means by Student's t: replications are independent and identically distributed
//! by construction (own random streams), and their means are near normal.

use super::distributions::t_quantile;
use serde::Serialize;

/// A mean and where the true one lies with the confidence asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Sample mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// `mean` +- `half`.
    #[must_use]
    pub const fn around(mean: f64, half: f64) -> Self {
        Self { mean, low: mean - half, high: mean + half }
    }

    /// Half of its width over the size of the mean; not finite where the mean is 0.
    #[must_use]
    pub fn relative_half_width(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.mean.abs()
    }

    /// Whether `value` lies inside, ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// What independent values of one distribution say of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// How many there are: at least two.
    pub size: usize,
    /// Their mean.
    pub mean: f64,
    /// Their variance, with n - 1.
    pub variance: f64,
}

impl Sample {
    /// Of `values`; `None` for fewer than two of them or any that is not finite.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
        Some(Self { size: values.len(), mean, variance })
    }

    /// The standard error of the mean.
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        libm::sqrt(self.variance / self.size as f64)
    }

    /// The two-sided interval of the mean by Student's t with n - 1 degrees of freedom.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Interval {
        Interval::around(self.mean, t_quantile(0.5 + confidence / 2.0, self.size as f64 - 1.0) * self.standard_error())
    }
}

/// The two-sided interval of the mean of `values`; `None` for fewer than two of them or any that is not finite.
#[must_use]
pub fn t_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    Some(Sample::of(values)?.interval(confidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_by_hand() {
        let i = t_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).expect("five values");
        assert_eq!(i.mean, 3.0);
        assert!((i.high - 3.0 - 2.776_445_105_197_99 * (2.5f64 / 5.0).sqrt()).abs() < 1e-10);
        assert!((i.high - i.mean - (i.mean - i.low)).abs() < 1e-12);
    }

    #[test]
    fn no_interval_without_spread_to_judge_by() {
        assert_eq!(t_interval(&[1.0], 0.95), None);
        assert_eq!(t_interval(&[1.0, f64::NAN], 0.95), None);
    }
}
