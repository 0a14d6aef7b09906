//! Factors to design points: all combinations, the last factor varying fastest.

use crate::input::error::InputError;
use crate::input::experiment::{self, DesignSection, FactorSection};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most work units (points times replications) of one experiment.
const MOST_UNITS: u64 = 1_000_000;

/// Columns of the tables that have one for each factor too (`output/tables.rs`), as far as a factor could be called so.
const COLUMNS: &str = "point replication series metric unit value mean ci_low ci_high confidence replications warning pod node zone \
    requests connections utilisation cause place share arrivals completed errors capacity event what phase from to messages bytes \
    dropped";

/// A combination of levels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DesignPoint {
    /// The level of each factor.
    pub(crate) levels: Vec<String>,
    /// The fields that it sets, in the order of the factors.
    pub(crate) fields: Vec<(String, Value)>,
}

/// What is run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Design {
    /// Names of the factors.
    pub(crate) factors: Vec<String>,
    /// All points, in order.
    pub(crate) points: Vec<DesignPoint>,
    /// Runs of each point.
    pub(crate) replications: u32,
    /// Keys every random stream.
    pub(crate) seed: u64,
}

impl Design {
    /// The full factorial of a design section.
    ///
    /// # Errors
    /// A factor of no sound form, two of one name, or more units than anyone would want.
    pub(crate) fn of(section: &DesignSection) -> Result<Self, InputError> {
        if section.replications == 0 {
            let fix = "give 2 or more for confidence intervals; 10 is a good start";
            return Err(InputError::new("design.replications", "0 replications: nothing would run", fix));
        }
        let mut factors: Vec<String> = Vec::new();
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        let mut points = vec![DesignPoint { levels: Vec::new(), fields: Vec::new() }];
        for (i, factor) in section.factors.iter().enumerate() {
            let field = format!("design.factors[{i}]");
            let levels = experiment::levels(factor, &field)?;
            let name = name(factor, i);
            let named = if factor.name.is_some() { format!("{field}.name") } else { field.clone() };
            if name.trim().is_empty() {
                return Err(InputError::new(named, "a factor without a name", "name it: it heads a column of the results"));
            }
            if factors.contains(&name) {
                let problem = format!("a factor named `{name}` is there already");
                return Err(InputError::new(named, problem, "give one of them another `name`"));
            }
            if is_column(&name) {
                let problem = format!("the results have a column `{name}` already");
                return Err(InputError::new(named, problem, "give the factor another `name`"));
            }
            for path in levels.iter().flat_map(|(_, fields)| fields.iter().map(|(path, _)| path)) {
                let owner = owners.entry(path.clone()).or_insert_with(|| name.clone());
                if *owner != name {
                    let problem = format!("`{path}` is set by the factor `{owner}` already");
                    return Err(InputError::new(field, problem, "let one factor alone set a field, or none is varied as it says"));
                }
            }
            factors.push(name);
            let units = (points.len() as u64 * levels.len() as u64).saturating_mul(u64::from(section.replications));
            if units > MOST_UNITS {
                let problem = format!("{units} runs up to this factor; expected at most {MOST_UNITS}");
                let field = format!("{field}.levels");
                return Err(InputError::new(field, problem, "take fewer levels or replications"));
            }
            points = points.iter().flat_map(|point| levels.iter().map(|level| point.with(level))).collect();
        }
        Ok(Self { factors, points, replications: section.replications, seed: section.seed })
    }

    /// Work units: each is one replication of one point, numbered in the design's order.
    pub(crate) fn units(&self) -> usize {
        self.points.len() * self.replications as usize
    }
}

/// What a factor is called: the end of its path, if it has no name of its own, as long as that is no column of the results.
fn name(factor: &FactorSection, i: usize) -> String {
    let ends = |path: &str| path.rmatch_indices('.').map(|(at, _)| path[at + 1..].to_owned()).chain([path.to_owned()]).collect::<Vec<_>>();
    let short = |path: &String| ends(path).into_iter().find(|end| !is_column(end));
    factor.name.clone().or_else(|| factor.path.as_ref().and_then(short)).unwrap_or_else(|| format!("factor{i}"))
}

fn is_column(name: &str) -> bool {
    COLUMNS.split_whitespace().any(|column| column == name)
}

impl DesignPoint {
    fn with(&self, (label, fields): &(String, Vec<(String, Value)>)) -> Self {
        let mut point = self.clone();
        point.levels.push(label.clone());
        point.fields.extend(fields.iter().cloned());
        point
    }

    /// What a reader calls it.
    pub(crate) fn label(&self) -> String {
        if self.levels.is_empty() { "as given".to_owned() } else { self.levels.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::experiment::FactorSection;
    use serde_json::json;

    fn factor(name: Option<&str>, path: Option<&str>, levels: Value) -> FactorSection {
        FactorSection { name: name.map(str::to_owned), path: path.map(str::to_owned), levels }
    }

    #[test]
    fn a_full_factorial_varies_the_last_factor_fastest() {
        let factors = vec![
            factor(Some("entry"), None, json!({"a": {"x": 1, "y": 2}, "b": {"x": 3}})),
            factor(None, Some("run.duration"), json!(["1s", "2s"])),
        ];
        let design = Design::of(&DesignSection { factors, ..DesignSection::default() }).expect("a sound design");
        assert_eq!(design.factors, ["entry", "duration"]);
        let labels: Vec<String> = design.points.iter().map(DesignPoint::label).collect();
        assert_eq!(labels, ["a, 1s", "a, 2s", "b, 1s", "b, 2s"]);
        assert_eq!(design.points[1].fields, [("x".into(), json!(1)), ("y".into(), json!(2)), ("run.duration".into(), json!("2s"))]);
        assert_eq!(design.units(), 40);
    }

    #[test]
    fn values_of_a_path_may_have_names() {
        let factors = vec![factor(Some("load"), Some("traffic.a.arrivals.poisson.rate"), json!({"low": "10/s", "high": "90/s"}))];
        let design = Design::of(&DesignSection { factors, ..DesignSection::default() }).expect("a sound design");
        let points: Vec<_> = design.points.iter().map(|p| (p.label(), p.fields[0].1.clone())).collect();
        assert_eq!(points, [("low".to_owned(), json!("10/s")), ("high".to_owned(), json!("90/s"))]);
    }

    #[test]
    fn a_name_is_as_short_as_the_columns_of_the_results_allow() {
        let factors = vec![
            factor(None, Some("pods.web.serviceTime.exponential.mean"), json!(["1ms"])),
            factor(None, Some("traffic.users.clients"), json!([1])),
        ];
        let design = Design::of(&DesignSection { factors, ..DesignSection::default() }).expect("a sound design");
        assert_eq!(design.factors, ["exponential.mean", "clients"]);
    }

    #[test]
    fn factors_of_no_sound_form_are_refused() {
        let of = |factors| Design::of(&DesignSection { factors, ..DesignSection::default() });
        assert!(of(vec![factor(None, Some("x"), json!([]))]).is_err());
        assert!(of(vec![factor(None, None, json!([1, 2]))]).is_err());
        assert!(of(vec![factor(None, Some("x"), json!({}))]).is_err());
        assert!(of(vec![factor(None, Some("x"), json!([1])), factor(None, Some("y.x"), json!([1]))]).is_err());
        assert!(of(vec![factor(Some("mean"), Some("x"), json!([1]))]).is_err());
        assert!(of(vec![factor(None, Some("x"), json!([1, 1]))]).is_err());
        assert!(of(vec![factor(None, Some("design.seed"), json!([1]))]).is_err());
        assert!(of(vec![factor(Some("x"), None, json!({"a": {"kubernetes.patches": {}}}))]).is_err());
        let thousand: Vec<u32> = (0..1_000).collect();
        assert!(of((0..3).map(|i| factor(Some(&i.to_string()), Some("x"), json!(thousand))).collect()).is_err());
    }
}
