//! [`InputError`]: file, line, field, what was found and expected, and the likely fix; [`Warning`] for the legal but odd.
//!
//! Every message about input goes through here, so that a user meets one shape: that of rustc. What is rendered comes from
//! files nobody has vetted: lines are cropped, control characters are shown as such, and no span can make rendering panic.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Characters of a source line that are shown at most.
const LONGEST_LINE: usize = 200;
/// Characters of one sentence that are shown at most.
const LONGEST_SENTENCE: usize = 2_000;

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Length in characters; what lies beyond the end of the line does not count.
    pub length: usize,
}

/// What is wrong with an input and where. Boxed inside, so that a `Result` of it stays small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputError {
    /// The file, if it came from one.
    pub file: Option<Box<Path>>,
    /// The file's text, to quote from.
    pub text: Option<Arc<str>>,
    /// Where in the text.
    pub at: Option<Span>,
    /// Dotted path of the field, e.g. `services.web.spec.ports[0].nodePort`; empty if no field is concerned.
    pub field: String,
    /// What was found and what was expected, in one sentence.
    pub problem: Box<str>,
    /// The likely fix, in one sentence.
    pub fix: Box<str>,
}

impl InputError {
    /// An error at `field`, of a place not yet known.
    pub fn new(field: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into().into(), fix: fix.into().into(), ..Self::default() }
    }

    /// The same error, in `file`.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>, text: Arc<str>, at: Option<Span>) -> Self {
        (self.file, self.text, self.at) = (Some(file.into().into()), Some(text), at);
        self
    }

    /// The message in rustc's style: problem, place, source line with the span underlined, help. No final line end.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let title = match self.field.is_empty() {
            true => printable(&self.problem),
            false => format!("{}: {}", printable(&self.field), printable(&self.problem)),
        };
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        let path = self.file.as_ref().map(|file| printable(&file.to_string_lossy()));
        let excerpt = self.excerpt();
        // The renderer counts columns in what it is shown: right unless the line's start was cropped away.
        let whole = excerpt.as_ref().is_some_and(|e| e.skipped == 0);
        if let (Some(path), false) = (&path, whole) {
            let origin = Origin::path(path.clone());
            group = group.element(match self.at {
                Some(at) => origin.line(at.line.max(1)).char_column(at.column.max(1)),
                None => origin,
            });
        }
        if let Some(e) = excerpt {
            let snippet = Snippet::source(e.line).line_start(e.number).annotation(AnnotationKind::Primary.span(e.span));
            group = group.element(if whole { snippet.path(path) } else { snippet });
        }
        if !self.fix.is_empty() {
            group = group.element(Level::HELP.message(printable(&self.fix)));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    fn excerpt(&self) -> Option<Excerpt> {
        let (text, at) = (self.text.as_deref()?, self.at?);
        let line = text.lines().nth(at.line.checked_sub(1)?)?;
        let column = at.column.saturating_sub(1);
        let skipped = if line.chars().take(LONGEST_LINE + 1).count() > LONGEST_LINE { column.saturating_sub(LONGEST_LINE / 2) } else { 0 };
        let shown: String = line.chars().skip(skipped).take(LONGEST_LINE).map(visible).collect();
        if shown.trim().is_empty() {
            return None;
        }
        let byte = |chars: usize| shown.char_indices().nth(chars).map_or(shown.len(), |(i, _)| i);
        let span = byte(column - skipped)..byte((column - skipped).saturating_add(at.length.max(1)));
        Some(Excerpt { line: shown, number: at.line, skipped, span })
    }
}

/// A source line to show.
struct Excerpt {
    line: String,
    number: usize,
    /// Characters cropped from its start.
    skipped: usize,
    /// Bytes to underline.
    span: Range<usize>,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for InputError {}

/// Legal but odd: the simulation runs, and the report says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// The file, if it came from one.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// Dotted path of the field, e.g. `services.web.spec.selector`.
    pub field: String,
    /// What is odd, in one sentence.
    pub problem: String,
    /// Why it matters to the results, in one sentence.
    pub why: String,
}

impl fmt::Display for Warning {
    /// One line: `file:line: field: problem (why)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", printable(&file.to_string_lossy()))?;
            self.line.map_or(Ok(()), |line| write!(f, "{line}:"))?;
            f.write_str(" ")?;
        }
        write!(f, "{}: {} ({})", printable(&self.field), printable(&self.problem), printable(&self.why))
    }
}

/// A sentence without control characters and of bounded length: file names and values may hold anything.
fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST_SENTENCE).map(visible).collect();
    if shown.len() < text.len() && text.chars().nth(LONGEST_SENTENCE).is_some() {
        shown.push('…');
    }
    shown
}

/// The character, or what stands for it if it would move the cursor, colour the terminal or reverse the text.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, line: usize, column: usize, length: usize) -> InputError {
        InputError::new("services.web.spec.type", "`NodePrt` is no type of a Service", "write NodePort").in_file(
            "web.yaml",
            text.into(),
            Some(Span { line, column, length }),
        )
    }

    #[test]
    fn looks_like_rustc() {
        let shown = error("spec:\n  type: NodePrt\n", 2, 9, 7).render(false);
        let wanted = "\
error: services.web.spec.type: `NodePrt` is no type of a Service
 --> web.yaml:2:9
  |
2 |   type: NodePrt
  |         ^^^^^^^
  |
  = help: write NodePort";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn without_a_place_the_message_remains() {
        let bare = InputError::new("", "no object", "give one");
        assert_eq!(bare.render(false), "error: no object\n |\n = help: give one");
        assert!(bare.render(true).contains("\u{1b}["));
    }

    #[test]
    fn no_span_makes_it_panic() {
        let long = "é".repeat(100_000);
        for text in [
            "",
            "\n",
            "a\n",
            "\tä: \u{1F980}\u{200d}x\r\n",
            "a: \u{1b}[31mred\n",
            long.as_str(),
            "日本語: 値",
            "\u{feff}a: b",
            "x\u{2028}y\u{0}",
        ] {
            for line in [0, 1, 2, usize::MAX] {
                for column in [0, 1, 3, 150, 99_999, 200_000, usize::MAX] {
                    for length in [0, 1, 7, usize::MAX] {
                        let shown = error(text, line, column, length).render(true);
                        assert!(shown.len() < 4_000, "{}", shown.len());
                        assert!(!shown.contains("[31mred") || !shown.contains("\u{1b}[31mred"));
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_line_is_cropped_around_its_column() {
        let text = format!("{}here{}", "-".repeat(5_000), "+".repeat(5_000));
        let shown = error(&text, 1, 5_001, 4).render(false);
        assert!(shown.contains("here") && shown.contains("^^^^") && shown.contains("web.yaml:1:5001"), "{shown}");
        assert!(shown.lines().all(|l| l.chars().count() < 230));
    }

    #[test]
    fn warnings_are_one_line() {
        let w = Warning { file: Some("a\n.yaml".into()), line: Some(3), field: "f".into(), problem: "p".into(), why: "w".into() };
        assert_eq!(w.to_string(), "a\u{fffd}.yaml:3: f: p (w)");
    }
}
