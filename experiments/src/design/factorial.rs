//! All combinations of levels, the last factor varying fastest; factors that advance together, and combinations that are left out.

use super::{DesignPoint, Factor, Levels, MOST_UNITS};
use crate::expect::unknown;
use crate::input::error::InputError;
use crate::input::experiment::{DesignSection, Level};
use crate::input::sampling::Selection;
use crate::input::tree;
use serde_json::Value;

/// Factors that advance together, mostly one.
struct Axis {
    factors: Vec<usize>,
    /// Levels that all of them have at once, by number.
    levels: Vec<usize>,
}

/// Numbers of the levels that each named factor may have.
type Allowed = Vec<(usize, Vec<usize>)>;

/// The points of a section whose factors are these.
///
/// # Errors
/// A range, factors or levels that are not there, pairs of different lengths, no points, or more than anyone would want.
pub(super) fn points(section: &DesignSection, factors: &[Factor]) -> Result<Vec<DesignPoint>, InputError> {
    let levels: Vec<&[Level]> = factors.iter().map(given).collect::<Result<_, _>>()?;
    let names: Vec<&String> = factors.iter().map(|f| &f.name).collect();
    let allowed = |selection: &Selection, field: String| allowed(selection, &field, &names, &levels);
    let each = |list: &[Selection], key: &str| -> Result<Vec<Allowed>, InputError> {
        list.iter().enumerate().map(|(i, selection)| allowed(selection, format!("design.{key}[{i}]"))).collect()
    };
    let (only, excluded) = (each(&section.only, "where")?, each(&section.exclude, "exclude")?);
    let subset = subset(section, &allowed)?;
    let mut axes = axes(&section.paired, &names, &levels)?;
    for axis in &mut axes {
        let own: Allowed = subset.iter().filter(|(factor, _)| axis.factors.contains(factor)).cloned().collect();
        axis.levels.retain(|level| own.iter().all(|(_, allowed)| allowed.contains(level)));
    }
    let mut combinations = vec![vec![0; factors.len()]];
    for axis in &axes {
        let units = (combinations.len() as u64 * axis.levels.len() as u64).saturating_mul(u64::from(section.replications));
        if units > MOST_UNITS {
            let problem = format!("{units} runs up to this factor; expected at most {MOST_UNITS}");
            let field = format!("{}.levels", factors[axis.factors[0]].field);
            return Err(InputError::new(field, problem, "take fewer levels or replications"));
        }
        let step = |combination: &Vec<usize>, level: usize| {
            let mut next = combination.clone();
            axis.factors.iter().for_each(|factor| next[*factor] = level);
            next
        };
        combinations = combinations.iter().flat_map(|c| axis.levels.iter().map(move |level| step(c, *level))).collect();
    }
    let before = combinations.len();
    let has = |combination: &[usize], allowed: &Allowed| allowed.iter().all(|(factor, levels)| levels.contains(&combination[*factor]));
    combinations.retain(|c| (only.is_empty() || only.iter().any(|a| has(c, a))) && !excluded.iter().any(|a| has(c, a)));
    if combinations.is_empty() {
        return Err(nothing_left(section, before));
    }
    Ok(combinations.iter().map(|c| DesignPoint::of(c.iter().zip(&levels).map(|(level, of)| &of[*level]))).collect())
}

/// The levels of a factor that has some.
fn given(factor: &Factor) -> Result<&[Level], InputError> {
    match &factor.levels {
        Levels::Given(levels) => Ok(levels),
        Levels::Between(_) => Err(InputError::new(
            format!("{}.from", factor.field),
            "a range has no levels to combine with those of other factors",
            "give `levels`, or say how points are sampled, e.g. `sampling: {latinHypercube: {points: 20}}` beside the factors",
        )),
    }
}

fn nothing_left(section: &DesignSection, before: usize) -> InputError {
    let key = match (section.exclude.is_empty(), section.only.is_empty()) {
        (false, _) => "exclude",
        (true, false) => "where",
        (true, true) => "subset",
    };
    let problem = match before {
        0 => "no combination of levels is in the subset: its levels do not advance together".to_owned(),
        n => format!("no design point is left of {n} combinations of levels"),
    };
    InputError::new(format!("design.{key}"), problem, "let `subset`, `where` and `exclude` leave at least one")
}

/// What the chosen subset allows; all others are looked at too, so that a slip in them does not wait.
fn subset(section: &DesignSection, allowed: &impl Fn(&Selection, String) -> Result<Allowed, InputError>) -> Result<Allowed, InputError> {
    let mut chosen = Vec::new();
    for (name, selection) in &section.subsets {
        let found = allowed(selection, format!("design.subsets.{name}"))?;
        if section.subset.as_ref() == Some(name) {
            chosen = found;
        }
    }
    match &section.subset {
        Some(name) if section.subsets.is_empty() => {
            let fix = "write e.g. `subsets: {quick: {load: low}}` beside the factors, or leave `subset` out";
            Err(InputError::new("design.subset", format!("there is no subset `{name}`: the design has no `subsets`"), fix))
        }
        Some(name) if !section.subsets.contains_key(name) => Err(unknown("design.subset", "subset", name, section.subsets.keys())),
        _ => Ok(chosen),
    }
}

/// The levels that a selection names, by number.
fn allowed(selection: &Selection, field: &str, names: &[&String], levels: &[&[Level]]) -> Result<Allowed, InputError> {
    let of_factor = |(name, wanted): (&String, &Value)| {
        let field = format!("{field}.{name}");
        let factor = names.iter().position(|n| *n == name);
        let factor = factor.ok_or_else(|| unknown(&field, "factor", name, names.iter().copied()))?;
        let (list, several) = wanted.as_array().map_or((std::slice::from_ref(wanted), false), |list| (list.as_slice(), true));
        if list.is_empty() {
            return Err(InputError::new(field, format!("no level of `{name}`"), "name one at least, or leave the factor out"));
        }
        let number = |(i, wanted): (usize, &Value)| {
            let label = tree::shown(wanted);
            let place = if several { format!("{field}[{i}]") } else { field.clone() };
            let found = levels[factor].iter().position(|(known, _)| *known == label);
            found.ok_or_else(|| unknown(&place, &format!("level of `{name}`"), &label, levels[factor].iter().map(|(known, _)| known)))
        };
        Ok((factor, list.iter().enumerate().map(number).collect::<Result<_, _>>()?))
    };
    selection.iter().map(of_factor).collect()
}

/// The factors in their order, those that are paired where the first of them stands.
fn axes(paired: &[Vec<String>], names: &[&String], levels: &[&[Level]]) -> Result<Vec<Axis>, InputError> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (g, group) in paired.iter().enumerate() {
        let field = format!("design.paired[{g}]");
        let mut members: Vec<usize> = Vec::new();
        for (m, name) in group.iter().enumerate() {
            let place = format!("{field}[{m}]");
            let factor = names.iter().position(|n| *n == name);
            let factor = factor.ok_or_else(|| unknown(&place, "factor", name, names.iter().copied()))?;
            if members.contains(&factor) || groups.iter().flatten().any(|f| *f == factor) {
                return Err(InputError::new(place, format!("`{name}` is paired already"), "name each factor once"));
            }
            let (own, first) = (levels[factor].len(), levels[*members.first().unwrap_or(&factor)].len());
            if own != first {
                let problem = format!("`{name}` has {own} levels where `{}` has {first}: they cannot advance together", group[0]);
                return Err(InputError::new(place, problem, "give paired factors equally many levels"));
            }
            members.push(factor);
        }
        if members.len() < 2 {
            return Err(InputError::new(field, "a pair of fewer than two factors", "name the factors whose levels advance together"));
        }
        groups.push(members);
    }
    let axis = |factor: usize| {
        let group = groups.iter().find(|group| group.contains(&factor));
        let factors = group.cloned().unwrap_or_else(|| vec![factor]);
        (factors.iter().min() == Some(&factor)).then(|| Axis { factors, levels: (0..levels[factor].len()).collect() })
    };
    Ok((0..names.len()).filter_map(axis).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{Design, DesignPoint};
    use crate::input::experiment::DesignSection;
    use serde_json::{Value, json};

    /// Labels of the points of a design with factors a (1 to 3), b (x, y, z) and c (on, off).
    fn labels(more: Value) -> Result<Vec<String>, String> {
        let mut section = json!({"factors": [
            {"name": "a", "path": "pods.web.a", "levels": [1, 2, 3]},
            {"name": "b", "path": "pods.web.b", "levels": ["x", "y", "z"]},
            {"name": "c", "path": "pods.web.c", "levels": ["on", "off"]},
        ]});
        let all = section.as_object_mut().expect("a map");
        all.extend(more.as_object().expect("a map").clone());
        let section: DesignSection = serde_json::from_value(section).expect("a design");
        let design = Design::of(&section).map_err(|e| format!("{}: {}", e.field, e.problem))?;
        Ok(design.points.iter().map(DesignPoint::label).collect())
    }

    #[test]
    fn paired_factors_advance_together() {
        let expected = ["1, x, on", "1, x, off", "2, y, on", "2, y, off", "3, z, on", "3, z, off"].map(str::to_owned);
        assert_eq!(labels(json!({"paired": [["b", "a"]]})), Ok(expected.to_vec()));
    }

    #[test]
    fn where_keeps_and_exclude_leaves_out() {
        assert_eq!(
            labels(json!({"where": [{"a": 1, "b": ["x", "z"]}, {"a": 3, "b": "y"}], "exclude": [{"c": "off"}, {"b": "z"}]})),
            Ok(["1, x, on", "3, y, on"].map(str::to_owned).to_vec())
        );
        // One more condition never adds a point.
        let all = labels(json!({})).expect("sound");
        assert_eq!(all.len(), 18);
        let fewer = labels(json!({"exclude": [{"a": 2}]})).expect("sound");
        assert!(fewer.len() == 12 && fewer.iter().all(|l| all.contains(l) && !l.starts_with('2')));
    }

    #[test]
    fn a_subset_is_run_only_if_it_is_chosen() {
        let subsets = json!({"quick": {"a": [2], "b": ["x", "y"]}, "one": {"a": 1}});
        assert_eq!(labels(json!({"subsets": subsets})).map(|l| l.len()), Ok(18));
        assert_eq!(labels(json!({"subsets": subsets, "subset": "quick"})).map(|l| l.len()), Ok(4));
        assert_eq!(labels(json!({"subsets": subsets, "subset": "one", "paired": [["a", "b"]]})).map(|l| l.len()), Ok(2));
    }

    #[test]
    fn what_contradicts_itself_is_refused_in_its_place() {
        for (more, expected) in [
            (json!({"exclude": [{"c": ["on", "off"]}]}), "design.exclude: no design point is left of 18 combinations"),
            (json!({"where": [{"a": 1}], "exclude": [{"a": 1}]}), "design.exclude: no design point"),
            (json!({"where": [{"d": 1}]}), "design.where[0].d: there is no factor `d`"),
            (json!({"where": [{"a": [1, 4]}]}), "design.where[0].a[1]: there is no level of `a` `4`"),
            (json!({"where": [{"a": []}]}), "design.where[0].a: no level"),
            (json!({"subset": "quick"}), "design.subset: there is no subset `quick`"),
            (json!({"subsets": {"quick": {"c": "offf"}}}), "design.subsets.quick.c: there is no level"),
            (json!({"subsets": {"s": {"a": 1, "b": "y"}}, "subset": "s", "paired": [["a", "b"]]}), "design.subset: no combination"),
            (json!({"paired": [["a"]]}), "design.paired[0]: a pair of fewer"),
            (json!({"paired": [["a", "c"]]}), "design.paired[0][1]: `c` has 2 levels where `a` has 3"),
            (json!({"paired": [["a", "b"], ["c", "a"]]}), "design.paired[1][1]: `a` is paired already"),
            (json!({"paired": [["a", "d"]]}), "design.paired[0][1]: there is no factor"),
        ] {
            let said = labels(more.clone()).expect_err(expected);
            assert!(said.starts_with(expected), "{more}: {said}");
        }
    }
}
