//! Factors to design points: all combinations, a part of them, or a sample of the space that they span.

mod factorial;
pub(crate) mod range;
pub(crate) mod sampling;
pub(crate) mod screening;
pub(crate) mod variance;

use self::range::Range;
use crate::input::error::InputError;
use crate::input::experiment::{self, DesignSection, FactorSection, Level};
use crate::input::sampling::SamplingSection;
use serde_json::Value;
use std::collections::BTreeMap;
use svcsim_engine::random::{Stream, Streams, entity};

/// Most work units (points times replications) of one experiment.
pub(crate) const MOST_UNITS: u64 = 1_000_000;

/// Columns of the tables that have one for each factor too (`output/tables.rs`), as far as a factor could be called so.
const COLUMNS: &str = "point replication series metric unit value mean ci_low ci_high confidence replications warning pod node zone \
    requests connections utilisation cause place share arrivals completed errors capacity event what phase from to messages bytes \
    dropped";

/// What a factor has for a level at points that leave its fields as the experiment has them.
const AS_GIVEN: &str = "as given";

/// A combination of levels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DesignPoint {
    /// The level of each factor.
    pub(crate) levels: Vec<String>,
    /// The fields that it sets, in the order of the factors.
    pub(crate) fields: Vec<(String, Value)>,
    label: String,
}

/// What is run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Design {
    /// Names of the factors.
    pub(crate) factors: Vec<String>,
    /// The levels that each has, whether a point has them or not; of a range both ends.
    pub(crate) levels: Vec<Vec<String>>,
    /// All points, in order.
    pub(crate) points: Vec<DesignPoint>,
    /// Runs of each point.
    pub(crate) replications: u32,
    /// Keys every random stream.
    pub(crate) seed: u64,
    /// How the points lie to one another, if they are no combinations of levels.
    pub(crate) sample: Option<Sample>,
}

/// What the analysis of a sample must know of its points, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    /// They fill the space: coordinates of each, from 0 to 1 for each factor.
    Filling(Vec<Vec<f64>>),
    /// The factor that each changes; none at the first, which is the experiment as it is.
    OneAtATime(Vec<Option<usize>>),
    /// Morris's walks one after the other: coordinates of each point.
    Morris(Vec<Vec<f64>>),
    /// Saltelli's blocks, as [`variance::sample`] makes them.
    Saltelli,
}

/// A factor that was read.
struct Factor {
    name: String,
    /// Where it stands in the experiment file.
    field: String,
    levels: Levels,
}

enum Levels {
    Given(Vec<Level>),
    Between(Range),
}

impl Factor {
    /// The level at a coordinate from 0 to 1: one of those given, each with its equal part, or a value of the range.
    fn at(&self, coordinate: f64) -> Level {
        match &self.levels {
            Levels::Given(levels) => levels[((coordinate * levels.len() as f64) as usize).min(levels.len() - 1)].clone(),
            Levels::Between(range) => range.at(coordinate),
        }
    }

    /// Each level, or both ends of the range.
    fn all(&self) -> Vec<Level> {
        match &self.levels {
            Levels::Given(levels) => levels.clone(),
            Levels::Between(range) => vec![range.at(0.0), range.at(1.0)],
        }
    }

    /// The fields that it sets at some level.
    fn paths(&self) -> Vec<String> {
        self.all().into_iter().flat_map(|(_, fields)| fields.into_iter().map(|(path, _)| path)).collect()
    }
}

impl Design {
    /// The points that a design section asks for.
    ///
    /// # Errors
    /// A factor of no sound form, two of one name, levels that are not there, no points, or more than anyone would want.
    pub(crate) fn of(section: &DesignSection) -> Result<Self, InputError> {
        if section.replications == 0 {
            let fix = "give 2 or more for confidence intervals; 10 is a good start";
            return Err(InputError::new("design.replications", "0 replications: nothing would run", fix));
        }
        let factors = factors(section)?;
        let names = factors.iter().map(|f| f.name.clone()).collect();
        let levels = factors.iter().map(|f| f.all().into_iter().map(|(label, _)| label).collect()).collect();
        let (points, sample) = match &section.sampling {
            None => (factorial::points(section, &factors)?, None),
            Some(how) => {
                check_sampling(section, how, &factors)?;
                let (points, sample) = sampled(how, &factors, section.seed);
                (points, Some(sample))
            }
        };
        Ok(Self { factors: names, levels, points, replications: section.replications, seed: section.seed, sample })
    }

    /// Work units: each is one replication of one point, numbered in the design's order.
    pub(crate) fn units(&self) -> usize {
        self.points.len() * self.replications as usize
    }

    /// The random numbers of `what` in the making and in the analysis of a design.
    pub(crate) fn stream(seed: u64, what: &str) -> Stream {
        Streams::new(seed, 0).stream(entity("design"), entity(what))
    }
}

/// The factors of a section, each sound by itself and beside the others.
fn factors(section: &DesignSection) -> Result<Vec<Factor>, InputError> {
    let mut factors: Vec<Factor> = Vec::new();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for (i, factor) in section.factors.iter().enumerate() {
        let field = format!("design.factors[{i}]");
        let levels = match Range::of(factor, &field)? {
            Some(range) => Levels::Between(range),
            None => Levels::Given(experiment::levels(factor, &field)?),
        };
        let name = name(factor, i);
        let named = if factor.name.is_some() { format!("{field}.name") } else { field.clone() };
        if name.trim().is_empty() {
            return Err(InputError::new(named, "a factor without a name", "name it: it heads a column of the results"));
        }
        if factors.iter().any(|f| f.name == name) {
            let problem = format!("a factor named `{name}` is there already");
            return Err(InputError::new(named, problem, "give one of them another `name`"));
        }
        if is_column(&name) {
            let problem = format!("the results have a column `{name}` already");
            return Err(InputError::new(named, problem, "give the factor another `name`"));
        }
        let factor = Factor { name, field, levels };
        for path in factor.paths() {
            let owner = owners.entry(path.clone()).or_insert_with(|| factor.name.clone());
            if *owner != factor.name {
                let problem = format!("`{path}` is set by the factor `{owner}` already");
                return Err(InputError::new(factor.field, problem, "let one factor alone set a field, or none is varied as it says"));
            }
        }
        factors.push(factor);
    }
    Ok(factors)
}

/// Whether a sample of these factors can be taken.
fn check_sampling(section: &DesignSection, how: &SamplingSection, factors: &[Factor]) -> Result<(), InputError> {
    let name = how.name();
    let combining = [
        ("paired", section.paired.is_empty()),
        ("where", section.only.is_empty()),
        ("exclude", section.exclude.is_empty()),
        ("subset", section.subset.is_none()),
    ];
    if let Some((other, _)) = combining.iter().find(|(_, absent)| !absent) {
        let problem = format!("`{other}` is for designs of all combinations, and `sampling: {name}` takes others");
        return Err(InputError::new(format!("design.{other}"), problem, "leave one of the two out"));
    }
    if factors.is_empty() {
        return Err(InputError::new("design.sampling", "nothing to sample: the design has no factors", "add `design.factors`"));
    }
    let count = factors.len() as u64;
    let (key, given, least, points, most_factors) = match *how {
        SamplingSection::LatinHypercube { points } => ("points", points, 2, u64::from(points), u64::MAX),
        SamplingSection::Sobol { points } => ("points", points, 2, u64::from(points), sampling::DIMENSIONS as u64),
        SamplingSection::OneAtATime {} => ("", 0, 0, 1 + factors.iter().map(|f| f.all().len() as u64).sum::<u64>(), u64::MAX),
        SamplingSection::Morris { trajectories, .. } => ("trajectories", trajectories, 2, u64::from(trajectories) * (count + 1), u64::MAX),
        SamplingSection::Saltelli { samples } => ("samples", samples, 2, u64::from(samples) * (count + 2), sampling::DIMENSIONS as u64 / 2),
    };
    let field = format!("design.sampling.{name}");
    if given < least {
        let problem = format!("{given} {key} are too few; expected {least} or more");
        return Err(InputError::new(format!("{field}.{key}"), problem, "ask for more: 10 times the number of factors is a good start"));
    }
    if let SamplingSection::Morris { levels, .. } = *how
        && (levels < 2 || levels % 2 == 1 || levels > 1_000)
    {
        let problem = format!("{levels} levels; expected an even number from 2 to 1000");
        return Err(InputError::new(format!("{field}.levels"), problem, "4 is the usual number"));
    }
    if count > most_factors {
        let problem = format!("{count} factors; expected at most {most_factors} with `{name}`");
        return Err(InputError::new(field, problem, "screen them first with `morris`, and keep those that matter"));
    }
    let units = points.saturating_mul(u64::from(section.replications));
    if units > MOST_UNITS {
        let problem = format!("{units} runs; expected at most {MOST_UNITS}");
        return Err(InputError::new(field, problem, "ask for fewer points, or fewer replications of each"));
    }
    Ok(())
}

/// The points of a sample.
fn sampled(how: &SamplingSection, factors: &[Factor], seed: u64) -> (Vec<DesignPoint>, Sample) {
    // Each factor has chance of its own, so that its values do not depend on which others there are.
    let mut streams: Vec<Stream> = factors.iter().map(|f| Design::stream(seed, &f.name)).collect();
    let points = |coordinates: &[Vec<f64>]| coordinates.iter().map(|at| DesignPoint::at(factors, at)).collect();
    match *how {
        SamplingSection::LatinHypercube { points: n } => {
            let coordinates = sampling::latin_hypercube(n, &mut streams);
            (points(&coordinates), Sample::Filling(coordinates))
        }
        SamplingSection::Sobol { points: n } => {
            let shifts: Vec<u32> = streams.iter_mut().map(Stream::next_u32).collect();
            let coordinates = sampling::sobol(n, &shifts);
            (points(&coordinates), Sample::Filling(coordinates))
        }
        SamplingSection::OneAtATime {} => {
            let changes = factors.iter().enumerate().flat_map(|(i, f)| f.all().into_iter().map(move |level| Some((i, level))));
            let changes: Vec<Option<(usize, Level)>> = std::iter::once(None).chain(changes).collect();
            let points = changes.iter().map(|change| DesignPoint::changing(factors, change.as_ref())).collect();
            (points, Sample::OneAtATime(changes.into_iter().map(|change| change.map(|(i, _)| i)).collect()))
        }
        SamplingSection::Morris { trajectories, levels } => {
            let mut stream = Design::stream(seed, "trajectories");
            let coordinates = screening::trajectories(factors.len(), trajectories, levels, &mut stream);
            (points(&coordinates), Sample::Morris(coordinates))
        }
        SamplingSection::Saltelli { samples } => {
            let first: Vec<u32> = streams.iter_mut().map(Stream::next_u32).collect();
            let shifts: Vec<u32> = first.into_iter().chain(streams.iter_mut().map(Stream::next_u32).collect::<Vec<_>>()).collect();
            (points(&variance::sample(samples, &shifts)), Sample::Saltelli)
        }
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
    /// The point where every factor has this level.
    fn of<'a>(levels: impl Iterator<Item = &'a Level> + Clone) -> Self {
        let names: Vec<String> = levels.clone().map(|(name, _)| name.clone()).collect();
        let fields = levels.flat_map(|(_, fields)| fields.iter().cloned()).collect();
        let label = if names.is_empty() { AS_GIVEN.to_owned() } else { names.join(", ") };
        Self { levels: names, fields, label }
    }

    /// The point at these coordinates, one for each factor.
    fn at(factors: &[Factor], coordinates: &[f64]) -> Self {
        let levels: Vec<Level> = factors.iter().zip(coordinates).map(|(factor, at)| factor.at(*at)).collect();
        Self::of(levels.iter())
    }

    /// The experiment as it is, but for one factor.
    fn changing(factors: &[Factor], change: Option<&(usize, Level)>) -> Self {
        let mut levels: Vec<Level> = vec![(AS_GIVEN.to_owned(), Vec::new()); factors.len()];
        let mut label = AS_GIVEN.to_owned();
        if let Some((i, level)) = change {
            label = format!("{} {}", factors[*i].name, level.0);
            levels[*i] = level.clone();
        }
        Self { label, ..Self::of(levels.iter()) }
    }

    /// What a reader calls it.
    pub(crate) fn label(&self) -> String {
        self.label.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn factor(name: Option<&str>, path: Option<&str>, levels: Value) -> FactorSection {
        FactorSection { name: name.map(str::to_owned), path: path.map(str::to_owned), levels, ..FactorSection::default() }
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
