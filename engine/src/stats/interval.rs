//! Confidence intervals for means by Student's t: replications are independent and identically distributed
//! by construction (own random streams), and their means are near normal.

/// A mean and where the true one lies with the confidence asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Sample mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The two-sided interval of the mean of `values`; `None` for fewer than two of them or any that is not finite.
#[must_use]
pub fn t_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    if values.len() < 2 || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    let half = t_quantile(0.5 + confidence / 2.0, n - 1.0) * libm::sqrt(variance / n);
    Some(Interval { mean, low: mean - half, high: mean + half })
}

/// Quantile of Student's t for `0.5 <= p < 1`, by bisection on its distribution function.
fn t_quantile(p: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 2.0);
    while t_cdf(high, degrees) < p && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if t_cdf(middle, degrees) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// P(T <= t) for `t >= 0`: 1 - I(v/(v+t^2); v/2, 1/2) / 2 (Abramowitz and Stegun 26.7.1).
fn t_cdf(t: f64, degrees: f64) -> f64 {
    1.0 - 0.5 * incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + t * t))
}

/// The regularized incomplete beta function by its continued fraction, evaluated by Lentz's method
/// (Abramowitz and Stegun 26.5.8; Numerical Recipes, 6.4).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let ln_front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    let tiny = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / tiny(1.0 + term * d);
            c = tiny(1.0 + term / c);
            step = c * d;
            fraction *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    libm::exp(ln_front) * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_t_are_those_of_the_tables() {
        for (degrees, expected) in
            [(1.0, 12.706_204_736_174_7), (4.0, 2.776_445_105_197_99), (9.0, 2.262_157_162_798_21), (30.0, 2.042_272_456_301_24)]
        {
            let t = t_quantile(0.975, degrees);
            assert!((t / expected - 1.0).abs() < 1e-11, "{degrees} degrees of freedom: {t}");
        }
    }

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
