//! GML, the Graph Modelling Language (Himsolt, "GML: A portable Graph File Format", Universität Passau, 1997).
//!
//! A file is a list of keys with values; a value is a number, a string in quotes, or a list in brackets:
//! ```text
//! graph [ node [ id 0 label "New York" Latitude 40.7 ]  node [ id 1 ]  edge [ source 0 target 1 ] ]
//! ```
//! Beyond the paper, strings may hold any UTF-8 and several lines, and bare words are values, as other tools write
//! them. What stands in `graph.node` and `graph.edge` is read; all other lists are passed over.

use super::{Element, Elements, TopologyError};

/// How deep lists may stand in each other; three levels are usual.
const DEPTH_MAX: usize = 64;

/// Reads the elements of the first graph of `text`.
pub(super) fn read(text: &str) -> Result<Elements, TopologyError> {
    let mut tokens = Tokens { rest: text, line: 1 };
    let mut elements = Elements::default();
    // The keys of the lists we are in, with the lines they started at.
    let mut open: Vec<(&str, usize)> = Vec::new();
    let mut graphs = 0;
    while let Some((token, line)) = tokens.next()? {
        let key = match token {
            Token::Word(key) if key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => key,
            Token::Close if !open.is_empty() => {
                open.pop();
                continue;
            }
            other => {
                return Err(TopologyError::new(line, format!("a key is expected here, found {}", other.describe()), "correct the GML"));
            }
        };
        match tokens.next()? {
            Some((Token::Open, line)) => {
                if open.len() == DEPTH_MAX {
                    return Err(TopologyError::new(line, format!("lists are nested more than {DEPTH_MAX} deep"), "flatten the file"));
                }
                open.push((key, line));
                let keys = (open.first().map(|o| o.0), open.get(1).map(|o| o.0), open.len());
                match keys {
                    (Some("graph"), _, 1) => graphs += 1,
                    (Some("graph"), Some("node"), 2) => elements.nodes.push(Element::at(line)),
                    (Some("graph"), Some("edge"), 2) => elements.edges.push(Element::at(line)),
                    _ => {}
                }
                if graphs > 1 {
                    return Err(TopologyError::new(line, "the file holds a second graph", "keep one graph in a file"));
                }
            }
            Some((Token::Word(value), _)) => attribute(&mut elements, &open, key, value),
            Some((Token::Text(value), _)) => attribute(&mut elements, &open, key, &decode(value)),
            Some((Token::Close, line)) => {
                return Err(TopologyError::new(line, format!("`{key}` has no value"), "write a number, a string or a list behind it"));
            }
            None => return Err(TopologyError::new(line, format!("the file ends behind `{key}`"), "complete the file")),
        }
    }
    if let Some((key, line)) = open.last() {
        return Err(TopologyError::new(*line, format!("the list `{key}` that starts here has no end"), "close it with `]`"));
    }
    if graphs == 0 {
        return Err(TopologyError::new(None, "the file holds no `graph [ ... ]`", "name a file in GML or GraphML"));
    }
    Ok(elements)
}

fn attribute(elements: &mut Elements, open: &[(&str, usize)], key: &str, value: &str) {
    let element = match open {
        [("graph", _), ("node", _)] => elements.nodes.last_mut(),
        [("graph", _), ("edge", _)] => elements.edges.last_mut(),
        _ => None,
    };
    if let Some(element) = element {
        element.set(key, value);
    }
}

#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Open,
    Close,
    /// A key, a number or a bare word.
    Word(&'a str),
    /// What stands between quotes.
    Text(&'a str),
}

impl Token<'_> {
    fn describe(self) -> String {
        match self {
            Self::Open => "`[`".into(),
            Self::Close => "`]`".into(),
            Self::Word(word) => format!("`{}`", word.chars().take(40).collect::<String>()),
            Self::Text(_) => "a string".into(),
        }
    }
}

struct Tokens<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Tokens<'a> {
    /// The next token and its line.
    fn next(&mut self) -> Result<Option<(Token<'a>, usize)>, TopologyError> {
        self.skip();
        let line = self.line;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let token = match first {
            '[' => {
                self.take(1);
                Token::Open
            }
            ']' => {
                self.take(1);
                Token::Close
            }
            '"' => {
                self.take(1);
                let end = self.rest.find('"');
                let end = end.ok_or_else(|| TopologyError::new(line, "the string that starts here has no end", "close it with `\"`"))?;
                let text = self.take(end);
                self.take(1);
                Token::Text(text)
            }
            _ => {
                let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '"')).unwrap_or(self.rest.len());
                Token::Word(self.take(end))
            }
        };
        Ok(Some((token, line)))
    }

    /// Passes over white space, and comments from `#` to the end of the line.
    fn skip(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if !self.rest.starts_with('#') {
                return;
            }
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.bytes().filter(|b| *b == b'\n').count();
        self.rest = rest;
        taken
    }
}

/// Replaces the character references of HTML that GML uses for quotes and for what is not ASCII.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // The longest reference, `&#x10FFFF;`, has ten bytes.
        let end = rest.bytes().take(10).position(|b| b == b';');
        match end.and_then(|end| Some((character(&rest[1..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "quot" => Some('"'),
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            code.ok().and_then(char::from_u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_strings_and_comments_are_read() {
        let text = "# a comment\nCreator \"x\"\ngraph [\n directed 0\n node [ id 7 label \"M&#252;nchen &amp; &quot;Co&quot; &x\"\n \
                    graphics [ x 1.5 label \"no\" ] ]\n node [id 8]# more\n edge[source 7 target 8 label \"a\n[b\"] ]\nVersion 1\n";
        let found = read(text).unwrap();
        assert_eq!((found.nodes.len(), found.edges.len()), (2, 1));
        assert_eq!((found.nodes[0].get("label"), found.nodes[0].line), (Some("München & \"Co\" &x"), 5));
        assert_eq!((found.edges[0].get("label"), found.edges[0].line), (Some("a\n[b"), 8));
    }

    #[test]
    fn what_is_no_gml_is_told_with_its_line() {
        for (text, line, word) in [
            ("graph [\n node [ id", 2, "ends behind `id`"),
            ("graph [\n node [ id ] ]", 2, "`id` has no value"),
            ("graph [\n node [ id 1 ]\n", 1, "`graph` that starts here has no end"),
            ("graph [ ]\n]", 2, "found `]`"),
            ("graph [\n 12 ]", 2, "found `12`"),
            ("graph [\n\n label \"x ]", 3, "string that starts here"),
            ("graph [ ]\ngraph [ ]", 2, "second graph"),
            ("\u{e4}", 1, "a key is expected"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line, Some(line), "{error}");
            assert!(error.problem.contains(word), "{error}");
        }
        assert!(read("").unwrap_err().problem.contains("no `graph"));
    }

    #[test]
    fn a_bomb_is_refused_at_once() {
        assert!(read(&"a [".repeat(1_000_000)).unwrap_err().problem.contains("nested more than 64"));
        assert!(read(&"a \"".repeat(1_000_000)).unwrap_err().problem.contains("no `graph"));
        assert!(read(&format!("graph [ node [ id 1 label \"{}\" ] ]", "&#1".repeat(1_000_000))).is_ok());
        assert!(read(&"#\n".repeat(1_000_000)).is_err());
    }
}
