//! [`Locations`]: where each field of a YAML or JSON text stands.
//!
//! Values lose their places when they are read into types; an error found later (a port given twice, in two files) still
//! has to name its line. So the text is walked once more, by events, into an index from dotted paths to places. Aliases
//! are not followed, nothing recurses, and the number of entries is bounded: hostile text costs time linear in its length.

use super::error::Span;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span as Range};

/// Entries of the index; what comes after them is found at its nearest known ancestor.
const MOST_ENTRIES: usize = 20_000_000;

/// An index from paths such as `spec.ports[0].nodePort` to places.
///
/// Documents are counted as readers count them: those that hold nothing (only comments, or null) do not count.
#[derive(Clone, Debug, Default)]
pub struct Locations {
    documents: Vec<u32>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// The key that leads here; of a list item or a document, its start.
    key: Place,
    /// The value, or where it starts.
    value: Place,
    children: Children,
}

#[derive(Clone, Debug)]
enum Children {
    None,
    Map(Vec<(Box<str>, u32)>),
    List(Vec<u32>),
}

/// A [`Span`] in 12 bytes: indices of large dumps hold millions.
#[derive(Clone, Copy, Debug)]
struct Place {
    line: u32,
    column: u32,
    length: u32,
}

impl Place {
    fn of(range: Range) -> Self {
        let length = match range.end.line() == range.start.line() {
            true => range.end.index().saturating_sub(range.start.index()),
            false => 1,
        };
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: small(range.start.line()), column: small(range.start.col().saturating_add(1)), length: small(length) }
    }
}

impl From<Place> for Span {
    fn from(p: Place) -> Self {
        Self { line: p.line as usize, column: p.column as usize, length: (p.length as usize).max(1) }
    }
}

/// A collection that is being walked.
struct Open {
    entry: u32,
    /// The key whose value comes next.
    key: Option<(Box<str>, Place)>,
    /// Whether the collection is itself a key (`? {a: b} : c`), and so stands under no path.
    is_key: bool,
}

impl Locations {
    /// Walks `text`; from where it is not YAML on, nothing is known.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut this = Self::default();
        let mut open: Vec<Open> = Vec::new();
        for step in Parser::new_from_str(text) {
            let Ok((event, range)) = step else { break };
            if this.entries.len() >= MOST_ENTRIES {
                break;
            }
            let place = Place::of(range);
            match event {
                Event::Scalar(text, style, _, _) => this.scalar(&mut open, &text, style, place),
                Event::Alias(_) => this.scalar(&mut open, "*", ScalarStyle::SingleQuoted, place),
                Event::MappingStart(..) => this.start(&mut open, Children::Map(Vec::new()), place),
                Event::SequenceStart(..) => this.start(&mut open, Children::List(Vec::new()), place),
                Event::MappingEnd | Event::SequenceEnd => {
                    let closed = open.pop();
                    if let (Some(Open { is_key: true, .. }), Some(parent)) = (closed, open.last_mut()) {
                        parent.key = Some(("?".into(), place));
                    }
                }
                _ => {}
            }
        }
        this
    }

    /// The place of the value at `path` in a document, or of its nearest ancestor that is there.
    ///
    /// A scalar is found at its value, a map or list at the key that leads to it. Keys with dots in them need no quotes,
    /// but may have them: `metadata.labels["app.kubernetes.io/name"]`.
    #[must_use]
    pub fn find(&self, document: usize, path: &str) -> Option<Span> {
        let entry = self.nearest(document, path)?;
        match entry.children {
            Children::None if entry.value.length > 0 => Some(entry.value.into()),
            _ => Some(entry.key.into()),
        }
    }

    /// The place of the key that leads to `path`, or to its nearest ancestor that is there.
    #[must_use]
    pub fn find_key(&self, document: usize, path: &str) -> Option<Span> {
        Some(self.nearest(document, path)?.key.into())
    }

    fn nearest(&self, document: usize, path: &str) -> Option<&Entry> {
        let mut entry = self.entry(*self.documents.get(document)?)?;
        let mut rest = path;
        while let Some((child, after)) = self.step(entry, rest) {
            (entry, rest) = (child, after);
        }
        Some(entry)
    }

    /// The child that `path` goes to first, and what of the path is left.
    fn step<'p>(&self, entry: &Entry, path: &'p str) -> Option<(&Entry, &'p str)> {
        let path = path.strip_prefix('.').unwrap_or(path);
        match &entry.children {
            Children::None => None,
            Children::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((self.entry(*items.get(index.parse::<usize>().ok()?)?)?, rest))
            }
            Children::Map(fields) => {
                let quoted = path.strip_prefix("[\"").and_then(|p| p.split_once("\"]"));
                let after = |key: &str| match quoted {
                    Some((name, rest)) => (name == key).then_some(rest),
                    None => path.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with(['.', '['])),
                };
                let longest = fields.iter().filter(|(key, _)| !path.is_empty() && after(key).is_some()).max_by_key(|(key, _)| key.len())?;
                Some((self.entry(longest.1)?, after(&longest.0)?))
            }
        }
    }

    fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    fn scalar(&mut self, open: &mut [Open], text: &str, style: ScalarStyle, place: Place) {
        match open.last_mut() {
            None if style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") => {}
            Some(parent) if parent.key.is_none() && self.is_map(parent.entry) => parent.key = Some((text.into(), place)),
            _ => {
                self.add(open, Children::None, place);
            }
        }
    }

    fn start(&mut self, open: &mut Vec<Open>, children: Children, place: Place) {
        let is_key = open.last().is_some_and(|parent| parent.key.is_none() && self.is_map(parent.entry));
        let entry = if is_key { self.push(place, place, children) } else { self.add(open, children, place) };
        open.push(Open { entry, key: None, is_key });
    }

    /// Adds an entry below the innermost open collection, or as a document.
    fn add(&mut self, open: &mut [Open], children: Children, place: Place) -> u32 {
        let Some(parent) = open.last_mut() else {
            let entry = self.push(place, place, children);
            self.documents.push(entry);
            return entry;
        };
        let key = parent.key.take();
        let entry = self.push(key.as_ref().map_or(place, |(_, at)| *at), place, children);
        match (self.entries.get_mut(parent.entry as usize).map(|e| &mut e.children), key) {
            (Some(Children::Map(fields)), Some((name, _))) => fields.push((name, entry)),
            (Some(Children::List(items)), _) => items.push(entry),
            _ => {}
        }
        entry
    }

    fn push(&mut self, key: Place, value: Place, children: Children) -> u32 {
        self.entries.push(Entry { key, value, children });
        (self.entries.len() - 1) as u32
    }

    fn is_map(&self, entry: u32) -> bool {
        matches!(self.entry(entry), Some(Entry { children: Children::Map(_), .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, document: usize, path: &str) -> (usize, usize, usize) {
        let span = Locations::of(text).find(document, path).expect("a place");
        (span.line, span.column, span.length)
    }

    #[test]
    fn scalars_lists_and_documents() {
        let text = "# c\n---\nspec:\n  ports:\n  - port: 80\n    nodePort: 30080\n---\n# nothing\n---\na: [x, {b: c}]\n";
        assert_eq!(found(text, 0, "spec.ports[0].nodePort"), (6, 15, 5));
        assert_eq!(found(text, 0, "spec.ports"), (4, 3, 5));
        assert_eq!(found(text, 1, "a[1].b"), (10, 12, 1));
        assert_eq!(Locations::of(text).documents.len(), 2);
        let key = Locations::of(text).find_key(0, "spec.ports[0].nodePort").expect("a place");
        assert_eq!((key.line, key.column, key.length), (6, 5, 8));
    }

    #[test]
    fn what_is_missing_is_found_at_its_ancestor() {
        let text = "spec:\n  ports:\n  - port: 80\n  empty:\n";
        assert_eq!(found(text, 0, "spec.ports[0].nodePort"), (3, 5, 1));
        assert_eq!(found(text, 0, "spec.type"), (1, 1, 4));
        assert_eq!(found(text, 0, "spec.empty.x[3]"), (4, 3, 5));
        assert_eq!(found(text, 0, "nothing"), (1, 1, 1));
        assert_eq!(Locations::of(text).find(1, "spec"), None);
        assert_eq!(Locations::of("").find(0, ""), None);
    }

    #[test]
    fn keys_with_dots() {
        let text = "labels:\n  app: a\n  app.kubernetes.io/name: b\n  app.kubernetes: c\n";
        assert_eq!(found(text, 0, "labels.app.kubernetes.io/name").0, 3);
        assert_eq!(found(text, 0, "labels[\"app.kubernetes.io/name\"]").0, 3);
        assert_eq!(found(text, 0, "labels.app").0, 2);
    }

    #[test]
    fn json_tabs_windows_and_other_scripts() {
        let json = "{\n\t\"spec\": {\n\t\t\"größe\": [1,\n\t\t\t22]\n\t}\n}\n";
        assert_eq!(found(json, 0, "spec.größe[1]"), (4, 4, 2));
        assert_eq!(found("a: 1\r\nb:\r\n  c: 日本\r\n", 0, "b.c"), (3, 6, 2));
    }

    #[test]
    fn aliases_are_not_followed_and_nothing_overflows() {
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for i in 1..60 {
            bomb += &format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1);
        }
        let locations = Locations::of(&bomb);
        assert!(locations.entries.len() < 250);
        assert_eq!(locations.find(0, "a59[1].more").map(|s| s.line), Some(60));
        for hostile in
            ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(50_000), "? ".repeat(50_000), "? {a: b}\n: c\nd: e\n".to_owned()]
        {
            let _ = Locations::of(&hostile).find(0, "[0][0].a.d");
        }
        assert_eq!(found("? {a: b}\n: c\nd: e\n", 0, "d").0, 3);
    }

    #[test]
    fn broken_text_is_known_up_to_the_break() {
        assert_eq!(found("a: 1\nb: [1\nc: }\n", 0, "a"), (1, 4, 1));
    }
}
