//! Distribution functions and quantiles that intervals are made of: normal, Student's t, binomial and beta.
//!
//! All maths is `libm`'s, so that results are the same on every platform. They are right to 1e-11 relative
//! with thousands of observations and to 1e-10 with a million; beyond, they lose digits slowly.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Above this sum of parameters the logarithms of gamma functions cancel too many digits.
const LARGE: f64 = 1000.0;
/// More terms than the continued fraction needs anywhere: they grow as the root of its parameters.
const MOST_TERMS: u32 = 1_000_000;

/// P(Z <= `z`) of a standard normal Z (Abramowitz and Stegun 26.2.29).
#[must_use]
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// The `p`-quantile of a standard normal; infinite at 0 and 1, NaN outside.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    match p {
        _ if !(0.0..=1.0).contains(&p) => f64::NAN,
        0.0 => f64::NEG_INFINITY,
        1.0 => f64::INFINITY,
        // The lower tail keeps its digits where the upper one is rounded off against 1.
        _ if p > 0.5 => -normal_quantile(1.0 - p),
        _ => bisect(-40.0, 0.0, |z| normal_cdf(z) < p),
    }
}

/// The `p`-quantile of Student's t with `degrees` of freedom, for `0 < p < 1`; no farther from 0 than 1e9.
#[must_use]
pub fn t_quantile(p: f64, degrees: f64) -> f64 {
    if p < 0.5 {
        return -t_quantile(1.0 - p, degrees);
    }
    let mut high = 2.0;
    while t_cdf(high, degrees) < p && high < 1e9 {
        high *= 2.0;
    }
    bisect(0.0, high, |t| t_cdf(t, degrees) < p)
}

/// P(|T| > |`t`|) of Student's t with `degrees` of freedom: I(v/(v+t^2); v/2, 1/2) (Abramowitz and Stegun 26.7.1).
#[must_use]
pub fn t_two_sided(t: f64, degrees: f64) -> f64 {
    let x = degrees / (degrees + t * t);
    incomplete_beta(degrees / 2.0, 0.5, x, 1.0 - x)
}

/// P(T <= t) for `t >= 0`.
fn t_cdf(t: f64, degrees: f64) -> f64 {
    1.0 - 0.5 * t_two_sided(t, degrees)
}

/// P(X <= `k`) of the number X of successes in `n` independent trials, each with probability `p`: 1 - I(p; k+1, n-k)
/// (Abramowitz and Stegun 26.5.24).
#[must_use]
pub fn binomial_cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n { 1.0 } else { 1.0 - incomplete_beta(k as f64 + 1.0, (n - k) as f64, p, 1.0 - p) }
}

/// The `p`-quantile of the beta distribution with parameters `a` and `b`, both positive.
#[must_use]
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    bisect(0.0, 1.0, |x| incomplete_beta(a, b, x, 1.0 - x) < p)
}

/// Where `is_below` turns false between `low` and `high`, to the last bit.
pub(super) fn bisect(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = 0.5 * (low + high);
        if !(low < middle && middle < high) {
            return middle;
        }
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The regularized incomplete beta function I(x; a, b) of `x` = 1 - `y` by its continued fraction, evaluated by Lentz's method
/// (Abramowitz and Stegun 26.5.8; Numerical Recipes, 6.4). Both are given since a subtraction would cost the smaller its digits.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, y, x);
    }
    let tiny = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..MOST_TERMS {
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
    beta_front(a, b, x, y) * fraction / a
}

/// x^a y^b / B(a, b). Where both powers and the beta function are astronomical, as a binomial probability by the saddle point
/// expansion (Loader 2000, *Fast and Accurate Computation of Binomial Probabilities*).
fn beta_front(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    if n < LARGE {
        return libm::exp(libm::lgamma(n) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x));
    }
    let exponent = stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x) - deviance(b, n * y);
    libm::sqrt(a * b / (2.0 * PI * n)) * libm::exp(exponent)
}

/// ln(n!) - ln(sqrt(2 pi n) (n/e)^n): what Stirling's formula lacks (Abramowitz and Stegun 6.1.41).
fn stirling_error(n: f64) -> f64 {
    if n <= 15.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * libm::log(n) + n - 0.5 * libm::log(2.0 * PI);
    }
    let square = n * n;
    let series = [1188.0, -1680.0, 1260.0, -360.0, 12.0].iter().fold(0.0, |sum, d| sum / square + 1.0 / d);
    series / n
}

/// x ln(x/m) + m - x for positive `x` and `m`, which near x = m is a small difference of large numbers (Loader 2000, section 3).
fn deviance(x: f64, m: f64) -> f64 {
    let v = (x - m) / (x + m);
    if v.abs() >= 0.1 {
        return x * libm::log(x / m) + m - x;
    }
    let (mut sum, mut power, mut odd) = ((x - m) * v, 2.0 * x * v, 1.0);
    loop {
        power *= v * v;
        odd += 2.0;
        let next = sum + power / odd;
        if next == sum {
            return sum;
        }
        sum = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, known: f64, relative: f64) {
        assert!((found / known - 1.0).abs() < relative, "{found} instead of {known}");
    }

    /// The references below were found with 30 digits, by mpmath.
    #[test]
    fn quantiles_of_t() {
        for (p, degrees, known) in [
            (0.975, 1.0, 12.706_204_736_174_7),
            (0.995, 1.0, 63.656_741_162_871_6),
            (0.975, 4.0, 2.776_445_105_197_79),
            (0.975, 9.0, 2.262_157_162_798_21),
            (0.975, 30.0, 2.042_272_456_301_24),
            (0.995, 19.0, 2.860_934_606_464_98),
            (0.975, 1_999.0, 1.961_151_420_170_56),
            (0.975, 100_000.0, 1.959_987_707_534_61),
        ] {
            assert_near(t_quantile(p, degrees), known, 1e-11);
            assert_near(t_quantile(1.0 - p, degrees), -known, 1e-11);
        }
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (p, known) in [(0.975, 1.959_963_984_540_05), (0.995, 2.575_829_303_548_9), (0.001, -3.090_232_306_167_81)] {
            assert_near(normal_quantile(p), known, 1e-13);
        }
        assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(normal_quantile(0.5).abs() < 1e-15 && normal_quantile(1.1).is_nan() && normal_quantile(f64::NAN).is_nan());
    }

    #[test]
    fn sums_of_binomial_terms() {
        for (k, n, p, known) in [
            (10, 20, 0.5, 0.588_098_526_000_977),
            (982, 1_000, 0.99, 0.013_832_581_730_008_5),
            (49_900, 100_000, 0.5, 0.264_578_647_040_097),
            (98_950, 100_000, 0.99, 0.058_700_915_299_058_8),
            (5, 1_000_000, 1e-5, 0.067_085_017_046_531_2),
            (10_100, 1_000_000, 0.01, 0.843_760_503_145_077),
        ] {
            assert_near(binomial_cdf(k, n, p), known, 1e-10);
        }
        assert_eq!((binomial_cdf(5, 5, 0.3), binomial_cdf(0, 5, 0.0), binomial_cdf(4, 5, 1.0)), (1.0, 1.0, 0.0));
    }

    /// The mean of 2 n + 1 trials at one half is a median, and so is its beta distribution's.
    #[test]
    fn symmetric_distributions_have_their_median_in_the_middle() {
        for n in [1_u64, 10, 499, 500, 100_000, 50_000_000] {
            assert_near(binomial_cdf(n, 2 * n + 1, 0.5), 0.5, 1e-9);
            assert_near(beta_quantile(0.5, n as f64, n as f64), 0.5, 1e-9);
        }
    }

    #[test]
    fn both_ways_to_the_front_factor_agree() {
        let n = LARGE;
        for a in [0.5, 3.0, 400.0, 999.0] {
            let below = beta_front(a, n - a - 1e-9, a / n, 1.0 - a / n);
            assert_near(beta_front(a, n - a, a / n, 1.0 - a / n), below, 1e-9);
        }
    }
}
