//! Samplers tested as samplers: each against its analytic distribution function, mean and variance.

use svcsim_engine::{Dist, DistSpec, EmpiricalSpec, SimDuration, Streams, entity};

type Spec = DistSpec<SimDuration>;

const DRAWS: usize = 200_000;
const BINS: usize = 50;
/// The unit of what follows: parameters are given and draws are taken in it.
const MS: SimDuration = SimDuration::from_millis(1);

fn build(spec: &Spec) -> Dist {
    spec.build().unwrap()
}

/// In milliseconds.
fn draws(spec: &Spec) -> Vec<f64> {
    let (dist, mut s) = (build(spec), Streams::new(7, 0).stream(0, entity(spec.name())));
    (0..DRAWS).map(|_| dist.sample(&mut s) / 1e6).collect()
}

/// Pearson's statistic below the 1 - 10^-4 quantile of chi-square (Wilson and Hilferty 1931).
fn assert_chi_square(what: &str, found: &[usize], probabilities: &[f64]) {
    let n = found.iter().sum::<usize>() as f64;
    let chi_square: f64 = found.iter().zip(probabilities).map(|(&f, p)| (f as f64 - n * p) * (f as f64 - n * p) / (n * p)).sum();
    let (dof, z) = (found.len() as f64 - 1.0, 3.719);
    let root = 1.0 - 2.0 / (9.0 * dof) + z * (2.0 / (9.0 * dof)).sqrt();
    assert!(chi_square < dof * root * root * root, "{what}: chi-square {chi_square} with {dof} degrees of freedom");
}

/// `mean` and `variance` within 4.5 standard errors, these from the draws' own second and fourth moments.
fn assert_moments(what: &str, draws: &[f64], mean: f64, variance: f64) {
    let n = draws.len() as f64;
    let moment = |f: &dyn Fn(f64) -> f64| draws.iter().map(|x| f(*x)).sum::<f64>() / n;
    let (m1, m2) = (moment(&|x| x), moment(&|x| (x - mean) * (x - mean)));
    let m4 = moment(&|x| (x - mean) * (x - mean) * (x - mean) * (x - mean));
    let (mean_error, variance_error) = ((variance / n).sqrt(), ((m4 - m2 * m2) / n).sqrt());
    assert!((m1 - mean).abs() < 4.5 * mean_error, "{what}: mean {m1} +- {mean_error}, expected {mean}");
    assert!((m2 - variance).abs() < 4.5 * variance_error, "{what}: variance {m2} +- {variance_error}, expected {variance}");
}

fn assert_fits(spec: &Spec, cdf: impl Fn(f64) -> f64, mean: f64, variance: f64) {
    let (name, draws) = (spec.name(), draws(spec));
    let mut bins = [0; BINS];
    for x in &draws {
        bins[((cdf(*x) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    assert_chi_square(name, &bins, &[1.0 / BINS as f64; BINS]);
    assert_moments(name, &draws, mean, variance);
    let dist = build(spec);
    assert!((dist.mean() / 1e6 - mean).abs() < 1e-9 * mean, "{name}: mean() is {}, not {mean}", dist.mean() / 1e6);
    let least = draws.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least >= dist.min() / 1e6 && cdf(least) < 1e-3 && cdf(dist.min() / 1e6) < 1e-9, "{name}: min() is {}", dist.min());
}

#[test]
fn exponential() {
    assert_fits(&Spec::Exponential { mean: MS * 2 }, |x| 1.0 - libm::exp(-x / 2.0), 2.0, 4.0);
}

#[test]
fn uniform() {
    assert_fits(&Spec::Uniform { min: MS, max: MS * 4 }, |x| (x - 1.0) / 3.0, 2.5, 0.75);
}

#[test]
fn lognormal() {
    let cv = 0.8;
    let variance = libm::log(1.0 + cv * cv);
    let cdf = |x: f64| normal_cdf((libm::log(x / 2.0) + variance / 2.0) / variance.sqrt());
    assert_fits(&Spec::Lognormal { mean: MS * 2, cv }, cdf, 2.0, 4.0 * cv * cv);
}

#[test]
fn weibull() {
    for shape in [0.7, 2.5] {
        let moment = |k: f64| libm::tgamma(1.0 + k / shape);
        let cdf = |x: f64| 1.0 - libm::exp(-libm::pow(x / 3.0, shape));
        assert_fits(&Spec::Weibull { scale: MS * 3, shape }, cdf, 3.0 * moment(1.0), 9.0 * (moment(2.0) - moment(1.0) * moment(1.0)));
    }
}

#[test]
fn gamma() {
    for shape in [0.3, 1.0, 4.2] {
        assert_fits(&Spec::Gamma { mean: MS * 2, shape }, |x| gamma_cdf(shape, x * shape / 2.0), 2.0, 4.0 / shape);
    }
}

#[test]
fn erlang() {
    // P(X > x) = exp(-y) (1 + y + y^2/2), y = x stages / mean: no incomplete gamma needed.
    let cdf = |x: f64| {
        let y = 3.0 * x / 2.0;
        1.0 - libm::exp(-y) * (1.0 + y + y * y / 2.0)
    };
    assert_fits(&Spec::Erlang { mean: MS * 2, stages: 3 }, cdf, 2.0, 4.0 / 3.0);
    assert_fits(&Spec::Erlang { mean: MS, stages: 1 }, |x| 1.0 - libm::exp(-x), 1.0, 1.0);
}

#[test]
fn pareto() {
    let shape: f64 = 6.0;
    let variance = 4.0 * shape / ((shape - 1.0) * (shape - 1.0) * (shape - 2.0));
    assert_fits(&Spec::Pareto { min: MS * 2, shape }, |x| 1.0 - libm::pow(2.0 / x, shape), 2.0 * shape / (shape - 1.0), variance);
}

#[test]
fn bounded_pareto() {
    for shape in [0.5, 1.0, 1.5] {
        let within = 1.0 - libm::pow(1.0 / 50.0, shape);
        // E X^k = the integral of x^k shape x^(-shape-1) / within over 1 ..= 50.
        let moment = |k: f64| match k - shape {
            0.0 => shape / within * libm::log(50.0),
            power => shape / within * (libm::pow(50.0, power) - 1.0) / power,
        };
        let cdf = |x: f64| (1.0 - libm::pow(1.0 / x, shape)) / within;
        let variance = moment(2.0) - moment(1.0) * moment(1.0);
        assert_fits(&Spec::BoundedPareto { min: MS, max: MS * 50, shape }, cdf, moment(1.0), variance);
        assert!(draws(&Spec::BoundedPareto { min: MS, max: MS * 50, shape }).iter().all(|x| *x <= 50.0));
    }
}

#[test]
fn hyperexponential() {
    let cv: f64 = 3.0;
    // The phases in closed form, from the other end: their rates are 2 p / mean.
    let p = (1.0 + ((cv * cv - 1.0) / (cv * cv + 1.0)).sqrt()) / 2.0;
    let cdf = |x: f64| 1.0 - p * libm::exp(-p * x) - (1.0 - p) * libm::exp(-(1.0 - p) * x);
    assert_fits(&Spec::Hyperexponential { mean: MS * 2, cv }, cdf, 2.0, 4.0 * cv * cv);
    assert_fits(&Spec::Hyperexponential { mean: MS, cv: 1.0 }, |x| 1.0 - libm::exp(-x), 1.0, 1.0);
}

#[test]
fn shifted() {
    let by = MS * 3;
    let exponential = Spec::Exponential { mean: MS };
    assert_fits(&Spec::Shifted { by, dist: exponential.into() }, |x| 1.0 - libm::exp(3.0 - x), 4.0, 1.0);
    let uniform = Spec::Uniform { min: MS, max: MS * 2 };
    assert_fits(&Spec::Shifted { by, dist: uniform.into() }, |x| x - 4.0, 4.5, 1.0 / 12.0);
    let gamma = Spec::Gamma { mean: MS * 2, shape: 2.0 };
    assert_fits(&Spec::Shifted { by, dist: gamma.into() }, |x| gamma_cdf(2.0, x - 3.0), 5.0, 2.0);
}

#[test]
fn bimodal() {
    let spec = Spec::Bimodal { low: MS, high: MS * 11, high_probability: 0.2 };
    let draws = draws(&spec);
    let high = draws.iter().filter(|x| **x == 11.0).count();
    assert_eq!(draws.iter().filter(|x| **x == 1.0).count(), DRAWS - high);
    assert_chi_square("bimodal", &[DRAWS - high, high], &[0.8, 0.2]);
    assert_moments("bimodal", &draws, 3.0, 100.0 * 0.2 * 0.8);
    assert_eq!((build(&spec).mean(), build(&spec).min()), (3e6, 1e6));
}

#[test]
fn empirical() {
    // Twenty values of which 1 ms stands there twice.
    let values: Vec<SimDuration> = [1].into_iter().chain(1..20).map(|n| MS * n).collect();
    let spec = Spec::Empirical(EmpiricalSpec::Values(values));
    let draws = draws(&spec);
    let mut found = [0; 19];
    draws.iter().for_each(|x| found[*x as usize - 1] += 1);
    let mut probabilities = [0.05; 19];
    probabilities[0] = 0.1;
    assert_chi_square("empirical", &found, &probabilities);
    let mean = 191.0 / 20.0;
    assert_moments("empirical", &draws, mean, (1.0 + 2_470.0) / 20.0 - mean * mean);
    assert_eq!((build(&spec).mean(), build(&spec).min()), (mean * 1e6, 1e6));
}

#[test]
fn constant() {
    assert!(draws(&Spec::Constant(MS * 5)).iter().all(|x| *x == 5.0));
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The regularised lower incomplete gamma function, by its power series (Abramowitz and Stegun 6.5.29).
fn gamma_cdf(shape: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0 / shape, 1.0 / shape, shape);
    while term > sum * 1e-15 {
        k += 1.0;
        term *= x / k;
        sum += term;
    }
    if x > 0.0 { sum * libm::exp(shape * libm::log(x) - x - libm::lgamma(shape)) } else { 0.0 }
}
