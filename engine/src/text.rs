//! Values written as text with a unit: one serde visitor for all of them.

use schemars::{Schema, json_schema};
use serde::Deserializer;
use serde::de::{Error, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Reads a `T` from a string by its `FromStr`, whose error says what is wrong; `expected` names the form.
///
/// # Errors
/// The error of `T::from_str`, or `expected` where the value is no string. A bare number is handed to
/// `T::from_str` too, which decides whether it may stand without a unit.
pub fn deserialize<'de, T, D>(d: D, expected: &'static str) -> Result<T, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    d.deserialize_any(Text(expected, PhantomData))
}

/// The JSON Schema of a value that is written as text: what it means, its form as a regular expression (ECMA 262), and examples.
#[must_use]
pub fn schema(meaning: &str, pattern: &str, examples: &[&str]) -> Schema {
    json_schema!({ "type": "string", "description": meaning, "pattern": pattern, "examples": examples })
}

struct Text<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
    fn visit_u64<E: Error>(self, n: u64) -> Result<T, E> {
        self.visit_str(&n.to_string())
    }
    fn visit_i64<E: Error>(self, n: i64) -> Result<T, E> {
        self.visit_str(&n.to_string())
    }
    fn visit_f64<E: Error>(self, n: f64) -> Result<T, E> {
        self.visit_str(&n.to_string())
    }
}
