//! An experiment as a tree of values, whose fields are set by dotted path: `traffic.shop.arrivals.poisson.rate`.

use serde_json::{Map, Value};

/// Sets the field at `path`. Maps missing on the way are made: whether the field may exist is judged when the
/// tree is read as an experiment. A bare word on the way, such as `dataPlane: iptables`, stands for settings that are all
/// at their defaults, so it makes room for a map too.
///
/// # Errors
/// A step that does not fit the tree, in a sentence.
pub fn set(tree: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let mut at = tree;
    for step in steps(path)? {
        if matches!(step, Step::Key(_)) && is_word(at) {
            *at = Value::Object(Map::new());
        }
        at = match (step, at) {
            (Step::Key(key), Value::Object(map)) => map.entry(key).or_insert_with(|| Value::Object(Map::new())),
            (Step::Index(i), Value::Array(list)) => {
                let len = list.len();
                list.get_mut(i).ok_or_else(|| format!("there is no element {i}, the list has {len}"))?
            }
            (Step::Key(key), Value::Null) => return Err(format!("`{key}` lies below a field that is empty")),
            (Step::Key(key), other) => return Err(format!("`{key}` lies below {}, which has no fields", shown(other))),
            (Step::Index(i), other) => return Err(format!("[{i}] asks for a list, but there is {}", shown(other))),
        };
    }
    *at = value;
    Ok(())
}

/// Whether a value is a word and no quantity, name or sentence.
fn is_word(value: &Value) -> bool {
    let letters = |s: &str| s.starts_with(|c: char| c.is_ascii_lowercase()) && s.chars().all(|c| c.is_ascii_alphanumeric());
    value.as_str().is_some_and(letters)
}

/// The first part of `path` that is not in the tree.
#[must_use]
pub fn missing(tree: &Value, path: &str) -> Option<String> {
    let mut at = tree;
    let mut so_far = String::new();
    for step in steps(path).ok()? {
        let next = match &step {
            Step::Key(key) => {
                so_far.push_str(if so_far.is_empty() { "" } else { "." });
                so_far.push_str(key);
                at.get(key)
            }
            Step::Index(i) => {
                so_far.push_str(&format!("[{i}]"));
                at.get(i)
            }
        };
        match next {
            Some(below) => at = below,
            None => return Some(so_far),
        }
    }
    None
}

enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let bad = || format!("`{path}` is no path: write names joined by dots, and [n] for the n-th element of a list, from 0");
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() {
            return Err(bad());
        }
        steps.push(Step::Key(name.to_owned()));
        for index in indices.split_terminator(']') {
            steps.push(Step::Index(index.strip_prefix('[').and_then(|i| i.parse().ok()).ok_or_else(bad)?));
        }
    }
    Ok(steps)
}

/// Calls `change` on every map of the tree, parents first, with its dotted path; `change` may replace it.
///
/// # Errors
/// The first error of `change`.
pub fn each_map<E>(tree: &mut Value, path: &str, change: &mut impl FnMut(&mut Value, &str) -> Result<(), E>) -> Result<(), E> {
    if tree.is_object() {
        change(tree, path)?;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match tree {
        Value::Object(map) => map.iter_mut().try_for_each(|(key, value)| each_map(value, &below(key), change)),
        Value::Array(list) => list.iter_mut().enumerate().try_for_each(|(i, value)| each_map(value, &format!("{path}[{i}]"), change)),
        _ => Ok(()),
    }
}

/// A value as a label: a string bare, anything else as JSON, shortened.
#[must_use]
pub fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_set_by_its_path() {
        let mut tree = json!({"traffic": {"shop": {"rate": 1}}, "list": [{"a": 1}, {"a": 2}]});
        set(&mut tree, "traffic.shop.rate", json!("5/s")).expect("there is such a field");
        set(&mut tree, "list[1].a", json!(7)).expect("there is such an element");
        set(&mut tree, "events.crash.every", json!("5s")).expect("maps on the way are made");
        assert_eq!(missing(&tree, "events.crash.every"), None);
        assert_eq!(missing(&tree, "events.leave.every"), Some("events.leave".to_owned()));
        assert_eq!(missing(&tree, "list[2].a"), Some("list[2]".to_owned()));
        assert_eq!(tree, json!({"traffic": {"shop": {"rate": "5/s"}}, "list": [{"a": 1}, {"a": 7}], "events": {"crash": {"every": "5s"}}}));
    }

    #[test]
    fn a_bare_word_makes_room_for_settings_and_nothing_else_does() {
        let mut tree = json!({"dataPlane": "iptables", "run": {"duration": "65s"}, "name": "my-shop"});
        set(&mut tree, "dataPlane.ipvs.scheduler", json!("lc")).expect("a word has no settings yet");
        assert_eq!(tree["dataPlane"], json!({"ipvs": {"scheduler": "lc"}}));
        assert!(set(&mut tree, "run.duration.x", Value::Null).is_err() && set(&mut tree, "name.x", Value::Null).is_err());
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused() {
        let mut tree = json!({"a": 1, "list": []});
        for path in ["a.b", "list[0]", "a[0]", "", ".a", "a..b", "list[x]", "list[1"] {
            assert!(set(&mut tree, path, Value::Null).is_err(), "{path}");
        }
    }
}
