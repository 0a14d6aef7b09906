//! GraphML (Brandes et al., "GraphML Progress Report", Graph Drawing 2001; graphml.graphdrawing.org).
//!
//! Not read: hyperedges, ports, and graphs within nodes, which have no meaning here; the latter and hyperedges are refused.

use super::{Element, Elements, TopologyError};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeMap;

/// XML nodes read at most; the largest file of the Topology Zoo has 40,000.
const NODES_MAX: u32 = 4_000_000;
/// Declarations of namespaces in a file; one or two are usual.
const NAMESPACES_MAX: usize = 100;
/// Attributes of an element; a handful are usual.
const ATTRIBUTES_MAX: usize = 1_000;

/// Reads the elements of the first graph of `text`.
pub(super) fn read(text: &str) -> Result<Elements, TopologyError> {
    check_cost(text)?;
    // Without document type definitions there are no entities that grow as they are read.
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|e| TopologyError::new(e.pos().row as usize, format!("this is no XML that can be read: {e}"), "correct the file"))?;
    let root = document.root_element();
    let mut graphs = root.children().filter(|n| n.has_tag_name_local("graph"));
    let Some(graph) = graphs.next().filter(|_| root.has_tag_name_local("graphml")) else {
        return Err(TopologyError::new(None, "the file holds no <graphml> with a <graph>", "name a file in GraphML or GML"));
    };
    let lines = Lines::of(text);
    let line = |n: Node<'_, '_>| lines.line(n.range().start);
    if let Some(second) = graphs.next() {
        return Err(TopologyError::new(line(second), "the file holds a second graph", "keep one graph in a file"));
    }
    let keys: BTreeMap<&str, Key<'_>> = root.children().filter(|n| n.has_tag_name_local("key")).filter_map(Key::of).collect();
    let mut elements = Elements::default();
    for node in graph.children().filter(Node::is_element) {
        let mut element = Element::at(line(node));
        let (list, kind) = match node.tag_name().name() {
            "node" => (&mut elements.nodes, "node"),
            "edge" => (&mut elements.edges, "edge"),
            "hyperedge" => {
                return Err(TopologyError::new(element.line, "a <hyperedge> joins more than two nodes", "write an <edge> for each pair"));
            }
            _ => continue,
        };
        for attribute in ["id", "source", "target"] {
            if let Some(value) = node.attribute(attribute) {
                element.set(attribute, value);
            }
        }
        for data in node.children().filter(Node::is_element) {
            match data.tag_name().name() {
                "data" => {
                    if let Some(key) = data.attribute("key").and_then(|key| keys.get(key)).filter(|k| k.holds_for(kind)) {
                        element.set(key.name, data.text().unwrap_or_default());
                    }
                }
                "graph" => {
                    let problem = "a <graph> stands within a node or an edge";
                    return Err(TopologyError::new(line(data), problem, "write all nodes and edges in one <graph>"));
                }
                _ => {}
            }
        }
        for key in keys.values().filter(|k| k.holds_for(kind)) {
            if let Some(default) = key.default {
                element.set(key.name, default);
            }
        }
        list.push(element);
    }
    Ok(elements)
}

/// Refuses what takes the XML reader time by the square or cube: each attribute of an element is compared with all
/// others, and each element that declares a namespace copies those around it.
fn check_cost(text: &str) -> Result<(), TopologyError> {
    if text.matches("xmlns").count() > NAMESPACES_MAX {
        let problem = format!("the file declares more than {NAMESPACES_MAX} namespaces");
        return Err(TopologyError::new(None, problem, "declare them once, in the first element"));
    }
    // A tag holds no second `<`, not even in quotes, so what is between two holds all attributes of one.
    let mut offset = 0;
    for piece in text.split('<') {
        offset += piece.len() + 1;
        if piece.bytes().filter(|b| *b == b'=').count() <= ATTRIBUTES_MAX {
            continue;
        }
        let line = Lines::of(text).line(offset - piece.len() - 1);
        let problem = format!("more than {ATTRIBUTES_MAX} `=` follow on one `<`");
        return Err(TopologyError::new(line, problem, "write fewer attributes and shorter texts"));
    }
    Ok(())
}

/// Where lines end, to tell an element's line without counting from the start for each.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    /// The line of the byte at `offset`, from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

/// A `<key>`: what the data that refer to it mean.
struct Key<'a> {
    name: &'a str,
    /// `node`, `edge`, `graph` or `all`.
    of: &'a str,
    default: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn of(key: Node<'a, '_>) -> Option<(&'a str, Self)> {
        let default = key.children().find(|n| n.has_tag_name_local("default")).and_then(|n| n.text());
        let this = Self { name: key.attribute("attr.name")?, of: key.attribute("for").unwrap_or("all"), default };
        Some((key.attribute("id")?, this))
    }

    fn holds_for(&self, kind: &str) -> bool {
        self.of == kind || self.of == "all"
    }
}

/// Files are written with and without the namespace, so only local names count.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
        <key id="k1" for="node" attr.name="label" /><key id="k2" for="edge" attr.name="LinkSpeedRaw"><default>5</default></key>"#;

    fn graph(inside: &str) -> String {
        format!("{HEAD}\n<graph>{inside}</graph></graphml>")
    }

    #[test]
    fn keys_say_what_data_mean() {
        let text = graph(
            r#"<desc>x</desc><node id="a"><data key="k1"> A &amp; B </data><data key="k2">9</data></node><node id="b"><data key="k9">x</data></node>
               <edge source="a" target="b"/><edge source="b" target="a"><data key="k2">7</data></edge>"#,
        );
        let found = read(&text).unwrap();
        assert_eq!((found.nodes.len(), found.edges.len()), (2, 2));
        assert_eq!((found.nodes[0].get("label"), found.nodes[0].get("LinkSpeedRaw"), found.nodes[0].line), (Some("A & B"), None, 3));
        assert_eq!(
            (found.edges[0].get("LinkSpeedRaw"), found.edges[1].get("LinkSpeedRaw"), found.edges[1].line),
            (Some("5"), Some("7"), 4)
        );
        assert_eq!((found.edges[0].get("source"), found.edges[0].get("target")), (Some("a"), Some("b")));
    }

    #[test]
    fn what_is_no_graphml_is_told_with_its_line() {
        for (text, line, word) in [
            (graph("<node id='a'>"), Some(3), "no XML"),
            (graph("\n<hyperedge/>"), Some(4), "hyperedge"),
            (graph("<node id='a'>\n<graph/></node>"), Some(4), "within a node"),
            (format!("{HEAD}<graph/>\n<graph/></graphml>"), Some(3), "second graph"),
            ("<gexf/>".to_string(), None, "no <graphml>"),
            (String::new(), Some(1), "no XML"),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><graphml/>".to_string(), Some(1), "no XML"),
        ] {
            let error = read(&text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.problem.contains(word), "{error}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_once() {
        let attributes: String = (0..500_000).map(|i| format!("a{i}='' ")).collect();
        assert!(read(&graph(&format!("\n<node {attributes}/>"))).unwrap_err().to_string().starts_with("line 4: more than 1000 `=`"));
        let namespaces: String = (0..300_000).map(|i| format!("<a xmlns:b{i}='c'>")).collect();
        assert!(read(&graph(&namespaces)).unwrap_err().problem.contains("more than 100 namespaces"));
        assert!(read(&graph(&"<node>".repeat(500_000))).is_err());
        let deep = format!("{}{}", "<data>".repeat(500_000), "</data>".repeat(500_000));
        assert_eq!(read(&graph(&format!("<node id='a'>{deep}</node>"))).unwrap().nodes.len(), 1);
        let pieces = "<![CDATA[x]]>&#65;\r".repeat(300_000);
        assert_eq!(read(&graph(&format!("<node id='a'><data key='k1'>{pieces}</data></node>"))).unwrap().nodes.len(), 1);
    }
}
