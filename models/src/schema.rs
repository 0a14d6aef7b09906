//! How the JSON Schema of the experiment file tells what serde reads by hand.

use schemars::{Schema, json_schema};

/// What is written as a map with one key may be written as that word alone, with every setting at its default.
pub(crate) fn or_word(schema: &mut Schema) {
    let Some(kinds) = schema.get_mut("oneOf").and_then(|kinds| kinds.as_array_mut()) else { return };
    let words = kinds.iter().filter_map(|kind| {
        let (name, _) = kind.get("properties")?.as_object()?.iter().next()?;
        let mut word = json_schema!({ "type": "string", "const": name });
        if let Some(meaning) = kind.get("description") {
            word.insert("description".to_owned(), meaning.clone());
        }
        Some(word.to_value())
    });
    let words: Vec<_> = words.collect();
    kinds.splice(0..0, words);
}
