//! `base: other.yaml`: an experiment that says only how it differs from another.
//!
//! The two are merged as RFC 7396 (JSON Merge Patch) has it: maps field by field, everything else is replaced, and null removes.

use super::error::InputError;
use super::files::Files;
use super::kubernetes::Source;
use super::reader::Reader;
use serde_json::Value;
use std::path::Path;

/// The key that names the other experiment.
pub const BASE: &str = "base";
/// Experiments on which one may build: more is a circle, or nobody would find what holds.
const DEEPEST: usize = 8;

/// Puts what the experiment `tree` builds on below it, as long as that builds on another one.
///
/// # Errors
/// A base that cannot be read, is no experiment, or leads back.
pub fn resolve(tree: &mut Value, dir: &Path, files: &mut Files, reader: &mut Reader, api_version: &str) -> Result<(), InputError> {
    let error = |problem: String, fix: &str| InputError::new(BASE, problem, fix);
    let mut depth = 0;
    while let Some(named) = tree.as_object_mut().and_then(|map| map.shift_remove(BASE)) {
        depth += 1;
        if depth > DEEPEST {
            let problem = format!("a chain of more than {DEEPEST} experiments, or a circle");
            return Err(reader.place(error(problem, "let it name an experiment that stands by itself")));
        }
        let name = named.as_str().ok_or_else(|| reader.place(error("no file's name".to_owned(), "write `base: other.yaml`")))?;
        if Path::new(name).file_name().is_none_or(|file| file != name) {
            // Paths in either are relative to the one folder.
            let problem = format!("`{name}` is not beside this file");
            return Err(reader.place(error(problem, "put both experiments into one folder and name the other without a path")));
        }
        let text = files.read(&dir.join(name), BASE).map_err(|e| reader.place(e))?;
        let source = Source::new(dir.join(name), text.strip_prefix('\u{feff}').unwrap_or(&text));
        let base = Reader::new(&source).tree(api_version)?;
        reader.builds_on(source, base.clone(), tree);
        let variant = std::mem::replace(tree, base);
        merge(tree, variant);
    }
    Ok(())
}

fn merge(base: &mut Value, variant: Value) {
    match (base, variant) {
        (Value::Object(base), Value::Object(variant)) => {
            for (key, value) in variant {
                if value.is_null() {
                    base.shift_remove(&key);
                } else {
                    merge(base.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (base, Value::Object(variant)) => {
            *base = Value::Object(serde_json::Map::new());
            merge(base, Value::Object(variant));
        }
        (base, variant) => *base = variant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A, that are maps.
    #[test]
    fn merged_as_the_rfc_has_it() {
        for (base, variant, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = base.clone();
            merge(&mut merged, variant.clone());
            assert_eq!(merged, expected, "{base} and {variant}");
        }
    }
}
