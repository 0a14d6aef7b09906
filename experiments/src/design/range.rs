//! A factor that may have any value between two.

use crate::input::error::InputError;
use crate::input::experiment::{self, FactorSection, Level};
use crate::input::sampling::Scale;
use crate::input::tree;
use serde_json::{Value, json};

/// Values of a field from one to another, written with their unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Range {
    path: String,
    from: f64,
    to: f64,
    /// What follows the number, such as `/s` or `ms`; nothing for a bare number.
    unit: String,
    /// Whether only whole numbers will do: both ends are.
    whole: bool,
    scale: Scale,
}

/// Decimals beyond which a duration in a unit would be finer than a nanosecond, the finest that is read.
const FINEST: [(&str, usize); 3] = [("ns", 0), ("us", 3), ("ms", 6)];
/// The most of any other number.
const DECIMALS: usize = 9;

impl Range {
    /// The range of a factor, if it is one.
    ///
    /// # Errors
    /// Ends that are no numbers, of two units, or in the wrong order; levels beside them; no path.
    pub(crate) fn of(factor: &FactorSection, field: &str) -> Result<Option<Self>, InputError> {
        let error = |key: &str, problem: String, fix: &str| InputError::new(format!("{field}.{key}"), problem, fix);
        let (from, to) = match (&factor.from, &factor.to) {
            (Some(from), Some(to)) => (from, to),
            (None, None) if factor.scale.is_linear() => return Ok(None),
            (None, None) => return Err(error("scale", "a scale without a range".to_owned(), "give `from` and `to`")),
            (Some(_), None) => return Err(error("from", "a range without `to`".to_owned(), "say where it ends")),
            (None, Some(_)) => return Err(error("to", "a range without `from`".to_owned(), "say where it begins")),
        };
        if !factor.levels.is_null() {
            return Err(error("levels", "a factor has either `levels` or a range".to_owned(), "leave one of them out"));
        }
        let path = experiment::path_of_range(factor, field)?;
        let parsed = |value: &Value, key: &str| {
            let problem = || format!("`{}` is no number, with or without a unit", tree::shown(value));
            number_and_unit(value).ok_or_else(|| error(key, problem(), "write e.g. 10, 5ms or 200/s"))
        };
        let ((low, unit), (high, other)) = (parsed(from, "from")?, parsed(to, "to")?);
        if unit != other {
            let problem = format!("`{}` and `{}` have different units", tree::shown(from), tree::shown(to));
            return Err(error("to", problem, "write both ends in one unit, which the values between them get too"));
        }
        if low >= high {
            let problem = format!("nothing lies between {} and {}", tree::shown(from), tree::shown(to));
            return Err(error("to", problem, "let the range end above where it begins"));
        }
        if factor.scale == Scale::Log && low <= 0.0 {
            let problem = format!("a logarithmic scale cannot begin at {}", tree::shown(from));
            return Err(error("from", problem, "begin above 0, or take `scale: linear`"));
        }
        let whole = from.is_i64() && to.is_i64();
        Ok(Some(Self { path, from: low, to: high, unit, whole, scale: factor.scale }))
    }

    /// The value at a coordinate from 0 to 1, as a level. Whole numbers have equal parts of a linear scale.
    pub(crate) fn at(&self, coordinate: f64) -> Level {
        let margin = if self.whole { 0.5 } else { 0.0 };
        let (from, to) = (self.from - margin, self.to + margin);
        let between = match self.scale {
            Scale::Linear => from + coordinate * (to - from),
            // The margin is for the linear scale: on this one it could reach 0.
            Scale::Log => self.from * libm::pow(self.to / self.from, coordinate),
        };
        let value = if self.whole { between.round() } else { self.rounded(between) };
        self.level(value.clamp(self.from, self.to))
    }

    /// To four significant digits: more would not be read, and no result depends on them.
    fn rounded(&self, value: f64) -> f64 {
        let decimals = FINEST.iter().find(|(unit, _)| *unit == self.unit).map_or(DECIMALS, |(_, decimals)| *decimals);
        let read = |text: String| text.parse::<f64>().unwrap_or(value);
        let short = read(format!("{value:.3e}"));
        read(format!("{short:.decimals$}"))
    }

    fn level(&self, value: f64) -> Level {
        let value = match (self.unit.as_str(), self.whole) {
            ("", true) => json!(value as i64),
            ("", false) => json!(value),
            (unit, _) => json!(format!("{value}{unit}")),
        };
        (tree::shown(&value), vec![(self.path.clone(), value)])
    }
}

/// A number and what follows it.
fn number_and_unit(value: &Value) -> Option<(f64, String)> {
    let (number, unit) = match value {
        Value::Number(n) => (n.as_f64()?, String::new()),
        Value::String(text) => {
            let text = text.trim();
            let at = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
            (text[..at].parse().ok()?, text[at..].trim().to_owned())
        }
        _ => return None,
    };
    // So that the difference of two of them is a number too.
    (number.abs() <= f64::MAX / 2.0).then_some((number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Value, to: Value, scale: Scale) -> Result<Option<Range>, InputError> {
        let factor =
            FactorSection { path: Some("pods.web.x".to_owned()), from: Some(from), to: Some(to), scale, ..FactorSection::default() };
        Range::of(&factor, "design.factors[0]")
    }

    fn values(from: Value, to: Value, scale: Scale, at: &[f64]) -> Vec<Value> {
        let range = range(from, to, scale).expect("sound").expect("a range");
        at.iter().map(|at| range.at(*at).1[0].1.clone()).collect()
    }

    #[test]
    fn values_keep_the_unit_and_end_where_the_range_ends() {
        let at = [0.0, 0.5, 1.0];
        assert_eq!(values(json!("100/s"), json!("900/s"), Scale::Linear, &at), [json!("100/s"), json!("500/s"), json!("900/s")]);
        assert_eq!(values(json!("1ms"), json!("100ms"), Scale::Log, &at), [json!("1ms"), json!("10ms"), json!("100ms")]);
        assert_eq!(values(json!(0.1), json!(0.9), Scale::Linear, &[0.0, 1.0 / 3.0]), [json!(0.1), json!(0.3667)]);
        assert_eq!(values(json!("0.5us"), json!("1us"), Scale::Linear, &[0.123]), [json!("0.561us")]);
    }

    #[test]
    fn whole_numbers_have_equal_parts() {
        let at: Vec<f64> = (0..300).map(|i| (f64::from(i) + 0.5) / 300.0).collect();
        let found = values(json!(2), json!(4), Scale::Linear, &at);
        for n in 2..=4 {
            assert_eq!(found.iter().filter(|v| **v == json!(n)).count(), 100);
        }
        assert_eq!(values(json!(1), json!(100), Scale::Log, &[0.0, 0.5, 1.0]), [json!(1), json!(10), json!(100)]);
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        for (from, to, scale) in [
            (json!("1ms"), json!("2s"), Scale::Linear),
            (json!("2ms"), json!("2ms"), Scale::Linear),
            (json!("3/s"), json!("2/s"), Scale::Linear),
            (json!(0), json!(2), Scale::Log),
            (json!(-1), json!(2), Scale::Log),
            (json!("ms"), json!("2ms"), Scale::Linear),
            (json!([1]), json!(2), Scale::Linear),
            (json!("1-2"), json!(2), Scale::Linear),
            (json!(-1.5e308), json!(1.5e308), Scale::Linear),
        ] {
            assert!(range(from.clone(), to.clone(), scale).is_err(), "{from} to {to}");
        }
    }
}
