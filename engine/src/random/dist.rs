//! How a quantity is distributed: [`DistSpec`] is what a file says, [`Dist`] what a run samples.
//!
//! Here, and only here, floats become quantities: a [`Dist`] gives `f64` in the base unit of its
//! quantity (nanoseconds for durations), rounded to whole units once, by the caller or by
//! [`Dist::sample_duration`]. Logarithms and powers come from the `libm` crate, so that all platforms agree.
//!
//! | in a file | means |
//! |---|---|
//! | `5ms` | always that |
//! | `exponential: {mean: 5ms}` | memoryless |
//! | `uniform: {min: 1ms, max: 9ms}` | all values between alike |
//! | `lognormal: {mean: 5ms, cv: 2}` | the logarithm is normal; mean and coefficient of variation are those of the value itself |
//! | `weibull: {scale: 5ms, shape: 0.5}` | a stretched exponential |
//! | `gamma: {mean: 5ms, shape: 0.5}` | coefficient of variation 1 / sqrt(shape) |
//! | `erlang: {mean: 5ms, stages: 4}` | the sum of `stages` exponentials, `mean` in all |
//! | `pareto: {min: 1ms, shape: 1.5}` | a power-law tail; infinite mean up to shape 1, infinite variance up to 2 |
//! | `boundedPareto: {min: 1ms, max: 10s, shape: 1.1}` | the same, cut off at `max` |
//! | `hyperexponential: {mean: 5ms, cv: 4}` | two exponential phases, each bringing half of the mean |
//! | `bimodal: {low: 1ms, high: 100ms, highProbability: 0.01}` | one of two values |
//! | `empirical: {values: [1ms, 2ms]}` | one of the values, all alike, drawn with replacement |
//! | `empirical: {file: PATH}` | the same, one value a line |
//! | `shifted: {by: 20us, dist: ...}` | a constant and any of these |

use crate::random::stream::Stream;
use crate::time::SimDuration;
use schemars::{JsonSchema, Schema, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// What a distribution can be of: a value written with its unit.
pub trait Quantity: Copy + Serialize + DeserializeOwned + JsonSchema + FromStr<Err = String> + fmt::Display {
    /// What an error message calls a value of this kind, with its article: "a duration".
    const NAME: &'static str;

    /// The value in its base unit.
    fn to_f64(self) -> f64;
}

impl Quantity for SimDuration {
    const NAME: &'static str = "a duration";

    /// Nanoseconds.
    fn to_f64(self) -> f64 {
        self.as_nanos() as f64
    }
}

/// A distribution as a file says it: a bare value, or a map of one key. See the [module](self) for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", bound = "Q: Quantity", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Distribution{Q}", bound = "Q: Quantity", transform = or_bare::<Q>)]
pub enum DistSpec<Q> {
    /// Always the same value; written bare.
    #[serde(skip)]
    Constant(Q),
    /// Density proportional to exp(-x / mean).
    Exponential {
        /// Positive.
        mean: Q,
    },
    /// All values between `min` and `max` alike.
    Uniform {
        /// Less than `max`.
        min: Q,
        /// The upper end.
        max: Q,
    },
    /// exp of a normal.
    Lognormal {
        /// Of the value, not of its logarithm; positive.
        mean: Q,
        /// Standard deviation of the value over its mean; 0 makes it constant.
        cv: f64,
    },
    /// P(X > x) = exp(-(x / scale)^shape).
    Weibull {
        /// Exceeded with probability 1/e; positive.
        scale: Q,
        /// Below 1 the tail is heavier than exponential, above 1 lighter.
        shape: f64,
    },
    /// Density proportional to x^(shape-1) exp(-x shape / mean).
    Gamma {
        /// Positive.
        mean: Q,
        /// 1 / cv^2.
        shape: f64,
    },
    /// P(X > x) = (min / x)^shape.
    Pareto {
        /// The least value; positive.
        min: Q,
        /// The tail index.
        shape: f64,
    },
    /// A Pareto variable given that it does not pass `max`.
    BoundedPareto {
        /// The least value; positive.
        min: Q,
        /// The greatest value.
        max: Q,
        /// The tail index.
        shape: f64,
    },
    /// One of two exponentials, chosen so that each brings half of the mean.
    Hyperexponential {
        /// Positive.
        mean: Q,
        /// At least 1, where it is the exponential.
        cv: f64,
    },
    /// `high` with probability `high_probability`, else `low`.
    Bimodal {
        /// The usual value.
        low: Q,
        /// The rare value; at least `low`.
        high: Q,
        /// Between 0 and 1.
        high_probability: f64,
    },
    /// The sum of `stages` independent exponentials, each of mean `mean / stages`.
    Erlang {
        /// Of the sum; positive.
        mean: Q,
        /// At least 1.
        stages: u32,
    },
    /// One of the observed values, each with the same probability.
    Empirical(EmpiricalSpec<Q>),
    /// `by` more than a draw from `dist`.
    Shifted {
        /// What is added to each draw.
        by: Q,
        /// What it is added to.
        dist: Box<DistSpec<Q>>,
    },
}

/// Where the values of an empirical distribution stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "Q: Quantity", rename_all = "camelCase")]
#[schemars(rename = "Empirical{Q}")]
pub enum EmpiricalSpec<Q> {
    /// Here.
    Values(Vec<Q>),
    /// In a file, one a line. The engine opens no files: whoever read the specification puts
    /// [`Self::Values`] here first, by way of [`DistSpec::empirical_mut`].
    File(String),
}

/// A bare value is a distribution too.
fn or_bare<Q: Quantity>(schema: &mut Schema) {
    let bare = json_schema!({ "$ref": format!("#/$defs/{}", Q::schema_name()), "description": "Always this value." });
    if let Some(kinds) = schema.get_mut("oneOf").and_then(|kinds| kinds.as_array_mut()) {
        kinds.insert(0, bare.to_value());
    }
}

impl<Q: Quantity> Serialize for DistSpec<Q> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(value) => value.serialize(s),
            // The derived function of the remote definition, not this one.
            map => Self::serialize(map, s),
        }
    }
}

impl<'de, Q: Quantity> Deserialize<'de> for DistSpec<Q> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ValueOrMap(PhantomData))
    }
}

struct ValueOrMap<Q>(PhantomData<Q>);

impl<'de, Q: Quantity> Visitor<'de> for ValueOrMap<Q> {
    type Value = DistSpec<Q>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or one distribution such as `exponential: {{mean: ...}}`", Q::NAME)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<DistSpec<Q>, E> {
        text.parse().map(DistSpec::Constant).map_err(E::custom)
    }
    fn visit_u64<E: Error>(self, n: u64) -> Result<DistSpec<Q>, E> {
        self.visit_str(&n.to_string())
    }
    fn visit_i64<E: Error>(self, n: i64) -> Result<DistSpec<Q>, E> {
        self.visit_str(&n.to_string())
    }
    fn visit_f64<E: Error>(self, n: f64) -> Result<DistSpec<Q>, E> {
        self.visit_str(&n.to_string())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DistSpec<Q>, A::Error> {
        let spec = DistSpec::<Q>::deserialize(MapAccessDeserializer::new(&mut map))?;
        match map.next_key::<String>()? {
            None => Ok(spec),
            Some(second) => {
                Err(A::Error::custom(format!("one distribution is expected here, found two: `{}` and `{second}`", spec.name())))
            }
        }
    }
}

impl<Q: Quantity> DistSpec<Q> {
    /// The key of this distribution in a file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant(_) => "constant",
            Self::Exponential { .. } => "exponential",
            Self::Uniform { .. } => "uniform",
            Self::Lognormal { .. } => "lognormal",
            Self::Weibull { .. } => "weibull",
            Self::Gamma { .. } => "gamma",
            Self::Pareto { .. } => "pareto",
            Self::BoundedPareto { .. } => "boundedPareto",
            Self::Hyperexponential { .. } => "hyperexponential",
            Self::Bimodal { .. } => "bimodal",
            Self::Erlang { .. } => "erlang",
            Self::Empirical(_) => "empirical",
            Self::Shifted { .. } => "shifted",
        }
    }

    /// The values of an empirical distribution, also of a shifted one, so that a file can be replaced by what it holds.
    pub fn empirical_mut(&mut self) -> Option<&mut EmpiricalSpec<Q>> {
        match self {
            Self::Empirical(empirical) => Some(empirical),
            Self::Shifted { dist, .. } => dist.empirical_mut(),
            _ => None,
        }
    }

    /// Checks every parameter and prepares sampling.
    ///
    /// # Errors
    /// Which parameter is wrong, what it should be and what was found.
    pub fn build(&self) -> Result<Dist, String> {
        let name = self.name();
        let dist = match self {
            Self::Constant(value) => Dist(Kind::Constant(value.to_f64())),
            Self::Exponential { mean } => Dist::exponential(positive(name, "mean", *mean)?),
            Self::Uniform { min, max } => {
                let (low, high) = (finite(name, "min", *min)?, finite(name, "max", *max)?);
                if low >= high {
                    return Err(format!("uniform: min must be less than max, found min {min} and max {max}"));
                }
                Dist(Kind::Uniform { min: low, width: high - low })
            }
            Self::Lognormal { mean, cv } => {
                let (mean, cv) = (positive(name, "mean", *mean)?, at_least(name, "cv", *cv, 0.0)?);
                let variance = libm::log1p(cv * cv);
                match variance > 0.0 {
                    true => Dist::boxed(Heavy::Lognormal { mu: libm::log(mean) - variance / 2.0, sigma: libm::sqrt(variance), mean }),
                    false => Dist(Kind::Constant(mean)),
                }
            }
            Self::Weibull { scale, shape } => {
                Dist::boxed(Heavy::Weibull { scale: positive(name, "scale", *scale)?, shape: positive_shape(name, *shape)? })
            }
            Self::Gamma { mean, shape } => Dist::gamma(positive(name, "mean", *mean)?, positive_shape(name, *shape)?),
            Self::Erlang { mean, stages } => {
                let mean = positive(name, "mean", *mean)?;
                match stages {
                    0 => return Err("erlang: stages must be at least 1, found 0".into()),
                    1 => Dist::exponential(mean),
                    // The gamma of integer shape; one draw however many stages.
                    _ => Dist::gamma(mean, f64::from(*stages)),
                }
            }
            Self::Pareto { min, shape } => {
                Dist::boxed(Heavy::Pareto { min: positive(name, "min", *min)?, shape: positive_shape(name, *shape)? })
            }
            Self::BoundedPareto { min, max, shape } => {
                let (low, high) = (positive(name, "min", *min)?, finite(name, "max", *max)?);
                let shape = positive_shape(name, *shape)?;
                if low >= high {
                    return Err(format!("boundedPareto: min must be less than max, found min {min} and max {max}"));
                }
                // P(an unbounded one stays within max) = 1 - (min / max)^shape.
                Dist::boxed(Heavy::BoundedPareto { min: low, max: high, shape, within: -libm::expm1(shape * libm::log(low / high)) })
            }
            Self::Hyperexponential { mean, cv } => {
                let (mean, cv) = (positive(name, "mean", *mean)?, at_least(name, "cv", *cv, 1.0)?);
                // With balanced means the long phase has probability (1 - r) / 2, r = sqrt((cv^2 - 1) / (cv^2 + 1)) (Whitt
                // 1982, *Approximating a Point Process by a Renewal Process, I*); here without cancellation.
                let squared = cv * cv;
                let r = libm::sqrt((squared - 1.0) / (squared + 1.0));
                let long_probability = 1.0 / ((squared + 1.0) * (1.0 + r));
                if long_probability < f64::EPSILON {
                    return Err(format!("hyperexponential: cv must be less than about 1e8, found {cv}"));
                }
                let long_mean = mean / (2.0 * long_probability);
                Dist::boxed(Heavy::Hyperexponential {
                    long_probability,
                    long_mean,
                    short_mean: mean / (2.0 * (1.0 - long_probability)),
                    mean,
                })
            }
            Self::Bimodal { low, high, high_probability: p } => {
                let (l, h) = (finite(name, "low", *low)?, finite(name, "high", *high)?);
                if l > h {
                    return Err(format!("bimodal: low must not exceed high, found low {low} and high {high}"));
                }
                if !(0.0..=1.0).contains(p) {
                    return Err(format!("bimodal: highProbability must be between 0 and 1, found {p}"));
                }
                match *p {
                    0.0 => Dist(Kind::Constant(l)),
                    1.0 => Dist(Kind::Constant(h)),
                    _ if l == h => Dist(Kind::Constant(l)),
                    p => Dist::boxed(Heavy::Bimodal { low: l, high: h, high_probability: p }),
                }
            }
            Self::Empirical(EmpiricalSpec::File(path)) => {
                return Err(format!("empirical: the values of file {path} were never read; a file must be replaced by its values first"));
            }
            Self::Empirical(EmpiricalSpec::Values(values)) => Dist::empirical(values)?,
            Self::Shifted { by, dist } => dist.build()?.shifted(finite(name, "by", *by)?),
        };
        match dist.0 {
            Kind::Constant(value) if !(value.is_finite() && value >= 0.0) => {
                Err(format!("a constant must be finite and not negative, found {value}"))
            }
            _ => Ok(dist),
        }
    }
}

fn finite<Q: Quantity>(dist: &str, parameter: &str, found: Q) -> Result<f64, String> {
    match found.to_f64() {
        x if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err(format!("{dist}: {parameter} must be finite and not negative, found {found}")),
    }
}

fn positive<Q: Quantity>(dist: &str, parameter: &str, found: Q) -> Result<f64, String> {
    match found.to_f64() {
        x if x.is_finite() && x > 0.0 => Ok(x),
        _ => Err(format!("{dist}: {parameter} must be positive, found {found}")),
    }
}

fn positive_shape(dist: &str, found: f64) -> Result<f64, String> {
    match found.is_finite() && found > 0.0 {
        true => Ok(found),
        false => Err(format!("{dist}: shape must be positive and finite, found {found}")),
    }
}

fn at_least(dist: &str, parameter: &str, found: f64, least: f64) -> Result<f64, String> {
    match found.is_finite() && found >= least {
        true => Ok(found),
        false => Err(format!("{dist}: {parameter} must be at least {least} and finite, found {found}")),
    }
}

/// A distribution ready to be sampled; made by [`DistSpec::build`].
#[derive(Clone, Debug, PartialEq)]
pub struct Dist(Kind);

// Three words: the usual kinds stand in line with whatever holds them, the others behind a pointer.
const _: () = assert!(size_of::<Dist>() <= 24);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Constant(f64),
    /// `min` more than an exponential of mean `mean`.
    Exponential {
        min: f64,
        mean: f64,
    },
    Uniform {
        min: f64,
        width: f64,
    },
    Heavy(Box<Heavy>),
}

#[derive(Clone, Debug, PartialEq)]
enum Heavy {
    /// `mu` and `sigma` are of the logarithm.
    Lognormal {
        mu: f64,
        sigma: f64,
        mean: f64,
    },
    Weibull {
        scale: f64,
        shape: f64,
    },
    /// `core` samples shape `shape` or, where that is below 1, shape + 1.
    Gamma {
        shape: f64,
        scale: f64,
        core: GammaCore,
    },
    Pareto {
        min: f64,
        shape: f64,
    },
    BoundedPareto {
        min: f64,
        max: f64,
        shape: f64,
        within: f64,
    },
    Hyperexponential {
        long_probability: f64,
        long_mean: f64,
        short_mean: f64,
        mean: f64,
    },
    Bimodal {
        low: f64,
        high: f64,
        high_probability: f64,
    },
    /// Non-empty, ascending.
    Empirical {
        values: Box<[f64]>,
        mean: f64,
    },
    Shifted {
        by: f64,
        dist: Dist,
    },
}

impl Dist {
    /// Draws a value, in the base unit.
    #[inline]
    pub fn sample(&self, s: &mut Stream) -> f64 {
        match &self.0 {
            Kind::Constant(value) => *value,
            Kind::Exponential { min, mean } => min + mean * s.exponential(),
            Kind::Uniform { min, width } => min + width * s.uniform(),
            Kind::Heavy(heavy) => heavy.sample(s),
        }
    }

    /// Draws a duration, to the nearest nanosecond.
    #[inline]
    pub fn sample_duration(&self, s: &mut Stream) -> SimDuration {
        SimDuration::from_nanos_f64(self.sample(s))
    }

    /// The expected value, in the base unit; infinite for a Pareto of shape 1 or less.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match &self.0 {
            Kind::Constant(value) => *value,
            Kind::Exponential { min, mean } => min + mean,
            Kind::Uniform { min, width } => min + width / 2.0,
            Kind::Heavy(heavy) => heavy.mean(),
        }
    }

    /// The infimum: no draw is less, and draws come as close as you like.
    #[must_use]
    pub fn min(&self) -> f64 {
        match &self.0 {
            Kind::Constant(value) => *value,
            Kind::Exponential { min, .. } | Kind::Uniform { min, .. } => *min,
            Kind::Heavy(heavy) => heavy.min(),
        }
    }

    /// The one value it ever gives, if it is but one.
    #[must_use]
    pub fn is_constant(&self) -> Option<f64> {
        match self.0 {
            Kind::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn exponential(mean: f64) -> Self {
        Self(Kind::Exponential { min: 0.0, mean })
    }

    fn gamma(mean: f64, shape: f64) -> Self {
        let core = GammaCore::new(if shape < 1.0 { shape + 1.0 } else { shape });
        Self::boxed(Heavy::Gamma { shape, scale: mean / shape, core })
    }

    fn empirical<Q: Quantity>(values: &[Q]) -> Result<Self, String> {
        if values.is_empty() || u32::try_from(values.len()).is_err() {
            return Err(format!("empirical: values must be between 1 and 2^32 in number, found {}", values.len()));
        }
        let mut values = values.iter().map(|v| finite("empirical", "each value", *v)).collect::<Result<Box<[f64]>, String>>()?;
        values.sort_by(f64::total_cmp);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Ok(match values[0] == values[values.len() - 1] {
            true => Self(Kind::Constant(values[0])),
            false => Self::boxed(Heavy::Empirical { values, mean }),
        })
    }

    fn shifted(self, by: f64) -> Self {
        Self(match self.0 {
            Kind::Constant(value) => Kind::Constant(value + by),
            Kind::Exponential { min, mean } => Kind::Exponential { min: min + by, mean },
            Kind::Uniform { min, width } => Kind::Uniform { min: min + by, width },
            heavy @ Kind::Heavy(_) => Kind::Heavy(Box::new(Heavy::Shifted { by, dist: Self(heavy) })),
        })
    }

    fn boxed(heavy: Heavy) -> Self {
        Self(Kind::Heavy(Box::new(heavy)))
    }
}

impl Heavy {
    #[inline(never)]
    fn sample(&self, s: &mut Stream) -> f64 {
        match self {
            Self::Lognormal { mu, sigma, .. } => libm::exp(mu + sigma * s.normal()),
            // (X / scale)^shape is exponential of mean 1.
            Self::Weibull { scale, shape } => scale * libm::pow(s.exponential(), 1.0 / shape),
            Self::Gamma { shape, scale, core } => {
                let x = scale * core.sample(s);
                // Shape below 1 is shape + 1 times U^(1/shape) (Marsaglia and Tsang 2000); -ln U is exponential.
                if *shape < 1.0 { x * libm::exp(-s.exponential() / shape) } else { x }
            }
            // ln(X / min) is exponential of mean 1 / shape.
            Self::Pareto { min, shape } => min * libm::exp(s.exponential() / shape),
            // Inverse of the distribution function. Rounding must not carry it past its end.
            Self::BoundedPareto { min, max, shape, within } => (min * libm::exp(-libm::log1p(-s.uniform() * within) / shape)).min(*max),
            Self::Hyperexponential { long_probability, long_mean, short_mean, .. } => {
                let mean = if s.chance(*long_probability) { long_mean } else { short_mean };
                mean * s.exponential()
            }
            Self::Bimodal { low, high, high_probability } => *if s.chance(*high_probability) { high } else { low },
            Self::Empirical { values, .. } => values[s.below(values.len() as u32) as usize],
            Self::Shifted { by, dist } => by + dist.sample(s),
        }
    }

    fn mean(&self) -> f64 {
        match self {
            Self::Lognormal { mean, .. } | Self::Hyperexponential { mean, .. } | Self::Empirical { mean, .. } => *mean,
            Self::Weibull { scale, shape } => scale * libm::tgamma(1.0 + 1.0 / shape),
            Self::Gamma { shape, scale, .. } => shape * scale,
            Self::Pareto { shape, .. } if *shape <= 1.0 => f64::INFINITY,
            Self::Pareto { min, shape } => min * shape / (shape - 1.0),
            Self::BoundedPareto { min, max, shape, within } => {
                // min * shape / within * (1 - (min/max)^(shape-1)) / (shape - 1), whose last factor tends to ln(max/min) at shape 1.
                let (span, over) = (libm::log(max / min), shape - 1.0);
                let factor = if over == 0.0 { span } else { -libm::expm1(-over * span) / over };
                min * shape / within * factor
            }
            Self::Bimodal { low, high, high_probability: p } => low + p * (high - low),
            Self::Shifted { by, dist } => by + dist.mean(),
        }
    }

    fn min(&self) -> f64 {
        match self {
            Self::Lognormal { .. } | Self::Weibull { .. } | Self::Gamma { .. } | Self::Hyperexponential { .. } => 0.0,
            Self::Pareto { min, .. } | Self::BoundedPareto { min, .. } => *min,
            Self::Bimodal { low, .. } => *low,
            Self::Empirical { values, .. } => values[0],
            Self::Shifted { by, dist } => by + dist.min(),
        }
    }
}

/// Gamma of scale 1 and a shape of at least 1, by squeezed rejection from a cubed normal (Marsaglia and
/// Tsang 2000, *A Simple Method for Generating Gamma Variables*, ACM TOMS 26(3)).
#[derive(Clone, Debug, PartialEq)]
struct GammaCore {
    /// shape - 1/3
    d: f64,
    /// 1 / sqrt(9 d)
    c: f64,
}

impl GammaCore {
    fn new(shape: f64) -> Self {
        let d = shape - 1.0 / 3.0;
        Self { d, c: 1.0 / libm::sqrt(9.0 * d) }
    }

    fn sample(&self, s: &mut Stream) -> f64 {
        loop {
            let x = s.normal();
            let root = 1.0 + self.c * x;
            if root <= 0.0 {
                continue;
            }
            let (v, u, xx) = (root * root * root, s.uniform_open(), x * x);
            if u < 1.0 - 0.0331 * xx * xx || libm::log(u) < 0.5 * xx + self.d * (1.0 - v + libm::log(v)) {
                return self.d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream::Streams;
    use proptest::prelude::*;

    type Spec = DistSpec<SimDuration>;

    fn parse(json: &str) -> Result<Spec, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    const fn ms(n: u64) -> SimDuration {
        SimDuration::from_millis(n)
    }

    /// One of each, in the form of a file.
    const EACH: [&str; 15] = [
        r#""5ms""#,
        r#"{"exponential":{"mean":"5ms"}}"#,
        r#"{"uniform":{"min":"1ms","max":"9ms"}}"#,
        r#"{"lognormal":{"mean":"5ms","cv":2.0}}"#,
        r#"{"weibull":{"scale":"5ms","shape":0.5}}"#,
        r#"{"gamma":{"mean":"5ms","shape":0.5}}"#,
        r#"{"pareto":{"min":"1ms","shape":1.5}}"#,
        r#"{"boundedPareto":{"min":"1ms","max":"10s","shape":1.1}}"#,
        r#"{"hyperexponential":{"mean":"5ms","cv":4.0}}"#,
        r#"{"bimodal":{"low":"1ms","high":"100ms","highProbability":0.25}}"#,
        r#"{"erlang":{"mean":"5ms","stages":4}}"#,
        r#"{"empirical":{"values":["1ms","2.5us"]}}"#,
        r#"{"empirical":{"file":"latencies.txt"}}"#,
        r#"{"shifted":{"by":"20us","dist":"5ms"}}"#,
        r#"{"shifted":{"by":"20us","dist":{"shifted":{"by":"1us","dist":{"gamma":{"mean":"5ms","shape":3.0}}}}}}"#,
    ];

    #[test]
    fn each_form_is_read_and_written_back() {
        for json in EACH {
            let spec = parse(json).expect(json);
            assert_eq!(serde_json::to_string(&spec).unwrap(), json);
            assert!(json == EACH[0] || json.contains(spec.name()));
        }
    }

    fn specs() -> impl Strategy<Value = Spec> {
        let q = || any::<u64>().prop_map(SimDuration::from_nanos);
        let x = || 1e-9..1e9f64;
        let leaf = prop_oneof![
            q().prop_map(Spec::Constant),
            q().prop_map(|mean| Spec::Exponential { mean }),
            (q(), q()).prop_map(|(min, max)| Spec::Uniform { min, max }),
            (q(), x()).prop_map(|(mean, cv)| Spec::Lognormal { mean, cv }),
            (q(), x()).prop_map(|(scale, shape)| Spec::Weibull { scale, shape }),
            (q(), x()).prop_map(|(mean, shape)| Spec::Gamma { mean, shape }),
            (q(), x()).prop_map(|(min, shape)| Spec::Pareto { min, shape }),
            (q(), q(), x()).prop_map(|(min, max, shape)| Spec::BoundedPareto { min, max, shape }),
            (q(), x()).prop_map(|(mean, cv)| Spec::Hyperexponential { mean, cv }),
            (q(), q(), 0.0..=1.0).prop_map(|(low, high, high_probability)| Spec::Bimodal { low, high, high_probability }),
            (q(), any::<u32>()).prop_map(|(mean, stages)| Spec::Erlang { mean, stages }),
            prop::collection::vec(q(), 0..9).prop_map(|v| Spec::Empirical(EmpiricalSpec::Values(v))),
            "[a-z/. ]*".prop_map(|path| Spec::Empirical(EmpiricalSpec::File(path))),
        ];
        leaf.prop_recursive(3, 8, 1, move |inner| (q(), inner).prop_map(|(by, dist)| Spec::Shifted { by, dist: Box::new(dist) }))
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(spec in specs()) {
            let json = serde_json::to_string(&spec).unwrap();
            prop_assert_eq!(parse(&json), Ok(spec));
        }

        /// Whatever is said is either refused or sampled within its bounds, without a NaN.
        #[test]
        fn what_builds_samples(spec in specs()) {
            if let Ok(dist) = spec.build() {
                let mut s = Streams::new(0, 0).stream(0, 0);
                prop_assert!(dist.min() >= 0.0 && dist.mean() >= dist.min() * (1.0 - 1e-9), "{:?}", dist);
                for _ in 0..20 {
                    let x = dist.sample(&mut s);
                    prop_assert!(x >= dist.min() && dist.is_constant().is_none_or(|c| x == c), "{} from {:?}", x, dist);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (json, why) in [
            (r#""5""#, "`5` is not a duration"),
            ("5", "`5` is not a duration"),
            ("null", "expected a duration, or one distribution such as"),
            ("{}", ""),
            (r#"{"exponentail":{"mean":"5ms"}}"#, "unknown variant `exponentail`, expected one of `exponential`, `uniform`"),
            (r#"{"constant":"5ms"}"#, "unknown variant `constant`"),
            (r#"{"exponential":{"mean":"5ms","cv":1}}"#, "unknown field `cv`"),
            (r#"{"exponential":{}}"#, "missing field `mean`"),
            (r#"{"exponential":{"mean":"5ms"},"uniform":{"min":"0","max":"1s"}}"#, "found two: `exponential` and `uniform`"),
            (r#"{"shifted":{"by":"1ms","dist":{"gama":{}}}}"#, "unknown variant `gama`"),
            (r#"{"empirical":{"valeus":[]}}"#, "unknown variant `valeus`, expected `values` or `file`"),
        ] {
            let error = parse(json).expect_err(json);
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn what_makes_no_sense_says_why() {
        for (json, why) in [
            (r#"{"exponential":{"mean":"0s"}}"#, "exponential: mean must be positive, found 0s"),
            (r#"{"uniform":{"min":"2ms","max":"2ms"}}"#, "uniform: min must be less than max, found min 2ms and max 2ms"),
            (r#"{"lognormal":{"mean":"1ms","cv":-1}}"#, "lognormal: cv must be at least 0 and finite, found -1"),
            (r#"{"weibull":{"scale":"1ms","shape":0}}"#, "weibull: shape must be positive and finite, found 0"),
            (r#"{"gamma":{"mean":"1ms","shape":-0.5}}"#, "gamma: shape must be positive"),
            (r#"{"pareto":{"min":"0s","shape":1}}"#, "pareto: min must be positive"),
            (r#"{"boundedPareto":{"min":"3s","max":"2s","shape":1}}"#, "boundedPareto: min must be less than max"),
            (r#"{"hyperexponential":{"mean":"1ms","cv":0.9}}"#, "hyperexponential: cv must be at least 1 and finite, found 0.9"),
            (
                r#"{"bimodal":{"low":"1ms","high":"2ms","highProbability":1.5}}"#,
                "bimodal: highProbability must be between 0 and 1, found 1.5",
            ),
            (r#"{"bimodal":{"low":"3ms","high":"2ms","highProbability":0.5}}"#, "bimodal: low must not exceed high"),
            (r#"{"erlang":{"mean":"1ms","stages":0}}"#, "erlang: stages must be at least 1, found 0"),
            (r#"{"empirical":{"values":[]}}"#, "empirical: values must be between 1 and 2^32 in number, found 0"),
            (r#"{"empirical":{"file":"a.txt"}}"#, "file a.txt were never read"),
            (r#"{"shifted":{"by":"1ms","dist":{"exponential":{"mean":"0"}}}}"#, "exponential: mean must be positive"),
        ] {
            let error = parse(json).unwrap().build().expect_err(json);
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn what_cannot_vary_is_constant() {
        for json in [
            r#""5ms""#,
            r#"{"lognormal":{"mean":"5ms","cv":0}}"#,
            r#"{"bimodal":{"low":"5ms","high":"7ms","highProbability":0}}"#,
            r#"{"bimodal":{"low":"1ms","high":"5ms","highProbability":1}}"#,
            r#"{"empirical":{"values":["5ms","5ms"]}}"#,
            r#"{"shifted":{"by":"2ms","dist":"3ms"}}"#,
        ] {
            let dist = parse(json).unwrap().build().unwrap();
            assert_eq!((dist.is_constant(), dist.mean(), dist.min()), (Some(5e6), 5e6, 5e6), "{json}");
        }
    }

    #[test]
    fn a_file_is_replaced_by_its_values() {
        let mut spec = parse(r#"{"shifted":{"by":"1ms","dist":{"empirical":{"file":"a.txt"}}}}"#).unwrap();
        *spec.empirical_mut().unwrap() = EmpiricalSpec::Values(vec![ms(1), ms(3)]);
        let dist = spec.build().unwrap();
        assert_eq!((dist.mean(), dist.min()), (3e6, 2e6));
    }

    #[test]
    fn a_heavy_tail_may_have_no_mean() {
        assert_eq!(Spec::Pareto { min: ms(1), shape: 1.0 }.build().unwrap().mean(), f64::INFINITY);
        assert_eq!(Spec::Pareto { min: ms(1), shape: 3.0 }.build().unwrap().mean(), 1.5e6);
        let bounded = |shape| Spec::BoundedPareto { min: ms(1), max: ms(1_000), shape }.build().unwrap().mean() / 1e6;
        let by_hand = libm::log(1_000.0) / (1.0 - 1e-3);
        assert!((bounded(1.0) - by_hand).abs() < 1e-9 && (bounded(1.0 + 1e-9) - by_hand).abs() < 1e-6);
        assert!((bounded(300.0) - 300.0 / 299.0).abs() < 1e-9);
    }

    /// Whoever changes these changes every published result.
    #[test]
    fn value_stability() {
        let drawn = |json: &str| {
            let (dist, mut s) = (parse(json).unwrap().build().unwrap(), Streams::new(2026, 0).stream(0, 0));
            [(); 3].map(|()| dist.sample_duration(&mut s).as_nanos())
        };
        let found: Vec<[u64; 3]> = EACH.into_iter().filter(|json| !json.contains("file")).map(drawn).collect();
        let expected = [
            [5_000_000, 5_000_000, 5_000_000],
            [31_010_552, 4_075_573, 4_017_349],
            [7_446_164, 7_713_692, 6_678_865],
            [93_700_402, 685_199, 746_574],
            [192_330_861, 3_322_059, 3_227_819],
            [2_797_908, 6_519_433, 3_093_746],
            [62_473_359, 1_721_868, 1_708_553],
            [4_435_280, 5_266_285, 3_079_622],
            [2_101_530, 348_127, 625_869],
            [1_000_000, 1_000_000, 1_000_000],
            [15_860_454, 2_809_542, 4_127_522],
            [1_000_000, 1_000_000, 2_500],
            [5_020_000, 5_020_000, 5_020_000],
            [2_502_997, 3_950_254, 822_393],
        ];
        assert_eq!(found, expected);
    }
}
