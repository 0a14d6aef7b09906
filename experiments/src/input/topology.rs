//! Topology files: [`read_graph`] reads GraphML or GML, [`to_shape`] makes links with delays of the edges.
//!
//! What is read are the attributes of the Internet Topology Zoo (Knight et al., IEEE JSAC 29(9), 2011): `label`,
//! `Latitude` and `Longitude` in degrees, `LinkSpeedRaw` in bit/s. All else is passed over, also directions: an edge
//! is a link both ways. Distances are on a sphere (haversine), which is at most 0.6 % from the ellipsoid.

mod gml;
mod graphml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;
use svcsim_models::network::{FileSpec, GraphEdge, GraphSpec, GraphVertex, LinkSpec, ShapeSpec};
use svcsim_models::units::Bandwidth;

/// The largest file read, in bytes; the largest of the Topology Zoo has 0.3 MB.
const SIZE_MAX: usize = 16 << 20;
/// Mean radius of the Earth (IUGG), in kilometres.
const EARTH_RADIUS_KM: f64 = 6371.0;

/// What a topology file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// In the order of the file.
    pub vertices: Vec<Vertex>,
    /// In the order of the file; parallel edges and loops are among them.
    pub edges: Vec<Edge>,
}

/// A vertex of a topology file.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    /// Its label, or its id if it has none; with ` (id)` behind it where several vertices have the label.
    pub name: String,
    /// Latitude and longitude in degrees, if the file gives both.
    pub position: Option<(f64, f64)>,
}

/// An edge of a topology file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Place of one end in [`Graph::vertices`].
    pub source: usize,
    /// Place of the other.
    pub target: usize,
    /// Its speed, if the file gives one.
    pub speed: Option<Bandwidth>,
}

/// Why a topology file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyError {
    /// Line of the file, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What was found and what was expected.
    pub problem: String,
    /// The likely fix.
    pub fix: String,
}

impl TopologyError {
    fn new(line: impl Into<Option<usize>>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { line: line.into(), problem: problem.into(), fix: fix.into() }
    }
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{} ({})", self.problem, self.fix)
    }
}

impl std::error::Error for TopologyError {}

/// What both formats give: text as it stands in the file, by attribute.
#[derive(Debug, Default)]
struct Element {
    /// Line where it starts.
    line: usize,
    /// `id` of a node, `source` and `target` of an edge, and data; of several alike the first.
    attributes: BTreeMap<String, String>,
}

/// Nodes and edges of a file, in its order.
#[derive(Debug, Default)]
struct Elements {
    nodes: Vec<Element>,
    edges: Vec<Element>,
}

impl Element {
    fn at(line: usize) -> Self {
        Self { line, attributes: BTreeMap::new() }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.attributes.entry(name.to_string()).or_insert_with(|| value.trim().to_string());
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn need(&self, name: &str, what: &str) -> Result<&str, TopologyError> {
        let missing = || TopologyError::new(self.line, format!("this {what} has no `{name}`"), format!("give it a `{name}`"));
        self.get(name).ok_or_else(missing)
    }

    /// A number within `min ..= max`, if there is one.
    fn number(&self, name: &str, min: f64, max: f64) -> Result<Option<f64>, TopologyError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(x) if (min..=max).contains(&x) => Ok(Some(x)),
            _ => {
                let problem = format!("`{name}` is `{text}`, and must be a number from {min} to {max}");
                Err(TopologyError::new(self.line, problem, "correct it, or leave it out"))
            }
        }
    }
}

/// Reads a graph from the text of the file `name`, whose extension, or else its content, says the format.
///
/// # Errors
/// Names the line of what is not GraphML or GML, of an edge to a node that does not exist, of a second node with the
/// same id, and of a position or speed that is none.
pub fn read_graph(text: &str, name: &str) -> Result<Graph, TopologyError> {
    if text.len() > SIZE_MAX {
        let problem = format!("the file has {} bytes, and at most {SIZE_MAX} are read", text.len());
        return Err(TopologyError::new(None, problem, "use a smaller graph"));
    }
    let text = text.trim_start_matches('\u{feff}');
    let extension = name.rsplit_once('.').map_or(String::new(), |(_, e)| e.to_ascii_lowercase());
    let elements = match extension.as_str() {
        "graphml" | "xml" => graphml::read(text),
        "gml" => gml::read(text),
        _ if text.trim_start().starts_with('<') => graphml::read(text),
        _ => gml::read(text),
    }?;
    resolve(&elements)
}

/// Turns ids into places and labels into unique names.
fn resolve(elements: &Elements) -> Result<Graph, TopologyError> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, node) in elements.nodes.iter().enumerate() {
        let id = node.need("id", "node")?;
        if places.insert(id, place).is_some() {
            return Err(TopologyError::new(node.line, format!("a second node has the id `{id}`"), "give each node an id of its own"));
        }
        *labels.entry(node.get("label").unwrap_or(id)).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    let mut vertices = Vec::with_capacity(elements.nodes.len());
    for node in &elements.nodes {
        let id = node.need("id", "node")?;
        let label = node.get("label").unwrap_or(id);
        let mut name = label.to_string();
        // Once is enough, unless some other label looks like the result.
        while (labels[label] > 1 && name == label) || taken.contains(&name) {
            name = format!("{name} ({id})");
        }
        taken.insert(name.clone());
        let latitude = node.number("Latitude", -90.0, 90.0)?;
        let longitude = node.number("Longitude", -180.0, 180.0)?;
        vertices.push(Vertex { name, position: latitude.zip(longitude) });
    }
    let mut edges = Vec::with_capacity(elements.edges.len());
    for edge in &elements.edges {
        let end = |which: &str| {
            let id = edge.need(which, "edge")?;
            let unknown =
                || TopologyError::new(edge.line, format!("the edge's {which} `{id}` is no node's id"), "add the node, or remove the edge");
            places.get(id).copied().ok_or_else(unknown)
        };
        // Up to 10^18 bit/s, far below what an integer holds.
        let speed = edge.number("LinkSpeedRaw", 1.0, 1e18)?.map(|bps| Bandwidth(bps as u64));
        edges.push(Edge { source: end("source")?, target: end("target")?, speed });
    }
    Ok(Graph { vertices, edges })
}

/// The shape that `spec` makes of `graph`, with warnings that name what was left out or assumed.
///
/// # Errors
/// Names a vertex that has no position, unless `spec.missing` says what to assume, and one that no path reaches;
/// names in `spec` that no vertex has; a queue where no link has a bandwidth; a graph without vertices.
pub fn to_shape(graph: &Graph, spec: &FileSpec) -> Result<(ShapeSpec, Vec<String>), TopologyError> {
    if graph.vertices.is_empty() {
        return Err(TopologyError::new(None, "the file has no nodes", "use a file with at least one"));
    }
    check_names(graph, spec)?;
    check_connected(graph)?;
    let mut warnings = Vec::new();
    let (mut edges, mut assumed) = (Vec::new(), 0);
    let mut seen = BTreeSet::new();
    for edge in &graph.edges {
        let (from, to) = (&graph.vertices[edge.source], &graph.vertices[edge.target]);
        if edge.source == edge.target {
            warnings.push(format!("an edge from `{}` to itself was left out", from.name));
            continue;
        }
        let ends = (edge.source.min(edge.target), edge.source.max(edge.target));
        if !seen.insert((ends, edge.speed)) {
            warnings.push(format!("a second edge between `{}` and `{}`, like the first, was left out", from.name, to.name));
            continue;
        }
        let delay = match (from.position, to.position, spec.missing) {
            (Some(a), Some(b), _) => SimDuration::from_nanos_f64(kilometres(a, b) * spec.per_kilometre.as_nanos() as f64),
            (_, _, Some(missing)) => {
                assumed += 1;
                missing.delay
            }
            _ => {
                let lost = if from.position.is_none() { from } else { to };
                let all = graph.vertices.iter().filter(|v| v.position.is_none()).count();
                let problem = format!("`{}` has no position, so its links have no length; nodes without position: {all}", lost.name);
                return Err(TopologyError::new(
                    None,
                    problem,
                    "give it Latitude and Longitude, or add e.g. `missing: {delay: 1ms}` beside `path`",
                ));
            }
        };
        let bandwidth = edge.speed.or(spec.bandwidth);
        let link = LinkSpec { delay: DistSpec::Constant(delay), bandwidth, queue: spec.queue.filter(|_| bandwidth.is_some()) };
        edges.push(GraphEdge { from: from.name.clone(), to: to.name.clone(), link });
    }
    if assumed > 0 {
        let delay = spec.missing.map(|m| m.delay).unwrap_or_default();
        warnings.push(format!("{assumed} of {} links have an end without position: their delay is assumed to be {delay}", edges.len()));
    }
    if spec.queue.is_some() && !edges.is_empty() && edges.iter().all(|e| e.link.bandwidth.is_none()) {
        let problem = "`queue` limits nothing: the file gives no link a speed";
        return Err(TopologyError::new(None, problem, "add `bandwidth` beside `path`, or leave `queue` out"));
    }
    let vertex = |v: &Vertex| GraphVertex { name: v.name.clone(), position: v.position.map(|(latitude, longitude)| [latitude, longitude]) };
    let shape = GraphSpec {
        vertices: graph.vertices.iter().map(vertex).collect(),
        edges,
        place: spec.place.clone(),
        node: spec.node.clone(),
        edge: spec.edge.clone(),
    };
    Ok((ShapeSpec::Graph(shape), warnings))
}

/// The names a user wrote must be those of vertices; told here, where the file is known.
fn check_names(graph: &Graph, spec: &FileSpec) -> Result<(), TopologyError> {
    let edge = spec.edge.iter().map(|name| ("edge".to_string(), name));
    let places = spec.place.iter().map(|(what, name)| (format!("place.{what}"), name));
    for (field, name) in edge.chain(places) {
        if graph.vertices.iter().any(|v| v.name == *name) {
            continue;
        }
        let nearest = graph.vertices.iter().max_by(|a, b| {
            let alike = |v: &Vertex| strsim::jaro_winkler(&v.name.to_lowercase(), &name.to_lowercase());
            alike(a).total_cmp(&alike(b))
        });
        let fix = nearest.map_or(String::new(), |v| format!("name one that it has, such as `{}`", v.name));
        return Err(TopologyError::new(None, format!("`{field}` names `{name}`, a node that the file does not have"), fix));
    }
    Ok(())
}

/// Every vertex must reach every other, or some Nodes could not be reached.
fn check_connected(graph: &Graph) -> Result<(), TopologyError> {
    let mut neighbours = vec![Vec::new(); graph.vertices.len()];
    for edge in &graph.edges {
        neighbours[edge.source].push(edge.target);
        neighbours[edge.target].push(edge.source);
    }
    let mut component = vec![usize::MAX; graph.vertices.len()];
    let mut sizes = Vec::new();
    for start in 0..component.len() {
        if component[start] != usize::MAX {
            continue;
        }
        let (this, mut size, mut open) = (sizes.len(), 0, vec![start]);
        component[start] = this;
        while let Some(vertex) = open.pop() {
            size += 1;
            for &next in &neighbours[vertex] {
                if component[next] == usize::MAX {
                    component[next] = this;
                    open.push(next);
                }
            }
        }
        sizes.push(size);
    }
    if sizes.len() < 2 {
        return Ok(());
    }
    let main = (0..sizes.len()).rev().max_by_key(|i| sizes[*i]).unwrap_or(0);
    let first = |in_main: bool| (0..component.len()).find(|v| (component[*v] == main) == in_main).unwrap_or(0);
    let (lost, found) = (first(false), first(true));
    let problem = format!(
        "the graph is in {} parts: `{}`, in a part of {}, cannot reach `{}`",
        sizes.len(),
        graph.vertices[lost].name,
        sizes[component[lost]],
        graph.vertices[found].name
    );
    Err(TopologyError::new(None, problem, "add an edge to the file, or remove what is not connected"))
}

/// Great-circle distance by the haversine formula (Sinnott, "Virtues of the Haversine", Sky & Telescope 68, 1984).
fn kilometres(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half = |x: f64, y: f64| libm::sin((y - x).to_radians() / 2.0);
    let (north, east) = (half(a.0, b.0), half(a.1, b.1));
    let h = north * north + libm::cos(a.0.to_radians()) * libm::cos(b.0.to_radians()) * east * east;
    2.0 * EARTH_RADIUS_KM * libm::asin(libm::sqrt(h.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use svcsim_models::network::MissingSpec;
    use svcsim_models::units::Bytes;

    const ABILENE: &str = include_str!("../../topologies/Abilene.graphml");
    const ABILENE_GML: &str = include_str!("../../topologies/Abilene.gml");
    const NSFNET: &str = include_str!("../../topologies/Nsfnet.graphml");

    fn file() -> FileSpec {
        FileSpec {
            path: "x.gml".into(),
            place: BTreeMap::new(),
            node: LinkSpec { delay: DistSpec::Constant(SimDuration::ZERO), bandwidth: None, queue: None },
            edge: None,
            bandwidth: None,
            queue: None,
            per_kilometre: SimDuration::from_micros(5),
            missing: None,
        }
    }

    fn edges(shape: &ShapeSpec) -> &[GraphEdge] {
        let ShapeSpec::Graph(graph) = shape else { panic!("a file becomes a graph") };
        &graph.edges
    }

    fn delay_us(edge: &GraphEdge) -> u64 {
        let DistSpec::Constant(delay) = edge.link.delay else { panic!("light does not waver") };
        delay.as_nanos() / 1_000
    }

    #[test]
    fn both_formats_give_the_same_abilene() {
        let graph = read_graph(ABILENE, "Abilene.graphml").unwrap();
        assert_eq!(read_graph(ABILENE_GML, "Abilene.gml").unwrap(), graph);
        // Without an extension, the content decides.
        assert_eq!(read_graph(ABILENE, "abilene").unwrap(), graph);
        assert_eq!(read_graph(ABILENE_GML, "abilene").unwrap(), graph);
        assert_eq!((graph.vertices.len(), graph.edges.len()), (11, 14));
        assert_eq!(graph.vertices[0], Vertex { name: "New York".into(), position: Some((40.71427, -74.00597)) });
        let nsfnet = read_graph(NSFNET, "Nsfnet.graphml").unwrap();
        assert_eq!((nsfnet.vertices.len(), nsfnet.edges.len()), (13, 15));
    }

    #[test]
    fn light_takes_five_microseconds_a_kilometre() {
        let graph = read_graph(ABILENE, "Abilene.graphml").unwrap();
        let (shape, warnings) = to_shape(&graph, &file()).unwrap();
        assert!(warnings.is_empty());
        // New York to Chicago is 1,145.9 km, also by the law of cosines.
        let first = &edges(&shape)[0];
        assert_eq!((first.from.as_str(), first.to.as_str(), delay_us(first)), ("New York", "Chicago", 5_729));
        // A quarter of the equator, half of a meridian, and no way at all.
        let quarter = EARTH_RADIUS_KM * std::f64::consts::FRAC_PI_2;
        assert!((kilometres((0.0, -10.0), (0.0, 80.0)) - quarter).abs() < 1e-6);
        assert!((kilometres((90.0, 0.0), (-90.0, 50.0)) - 2.0 * quarter).abs() < 1e-6);
        assert_eq!(kilometres((48.0, 11.0), (48.0, 11.0)), 0.0);
    }

    const PAIR: &str = r#"graph [
        node [ id 1 label "A" Latitude 0 Longitude 0 ]
        node [ id 2 label "A" Latitude 0 Longitude 1 ]
        node [ id 3 ]
        edge [ source 1 target 2 LinkSpeedRaw 1000000000.0 ]
        edge [ source 2 target 1 LinkSpeedRaw 1000000000.0 ]
        edge [ source 2 target 1 ]
        edge [ source 2 target 2 ]
        edge [ source 3 target 2 ]
    ]"#;

    #[test]
    fn what_is_left_out_or_assumed_is_said() {
        let graph = read_graph(PAIR, "pair.gml").unwrap();
        assert_eq!(graph.vertices.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["A (1)", "A (2)", "3"]);
        let missing = Some(MissingSpec { delay: SimDuration::from_millis(1) });
        let spec = FileSpec { missing, bandwidth: Some(Bandwidth(7)), queue: Some(Bytes(9_000)), ..file() };
        let (shape, warnings) = to_shape(&graph, &spec).unwrap();
        assert_eq!(
            warnings,
            [
                "a second edge between `A (2)` and `A (1)`, like the first, was left out",
                "an edge from `A (2)` to itself was left out",
                "1 of 3 links have an end without position: their delay is assumed to be 1ms"
            ]
        );
        let found: Vec<_> = edges(&shape).iter().map(|e| (delay_us(e), e.link.bandwidth, e.link.queue)).collect();
        let queue = Some(Bytes(9_000));
        assert_eq!(
            found,
            [(555, Some(Bandwidth(1_000_000_000)), queue), (555, Some(Bandwidth(7)), queue), (1_000, Some(Bandwidth(7)), queue)]
        );
        // Without a default, only the link with a speed has a line to limit.
        let (shape, _) = to_shape(&graph, &FileSpec { bandwidth: None, ..spec }).unwrap();
        assert_eq!(edges(&shape).iter().map(|e| e.link.queue).collect::<Vec<_>>(), [queue, None, None]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let graph = read_graph(PAIR, "pair.gml").unwrap();
        let abilene = read_graph(ABILENE, "Abilene.graphml").unwrap();
        let apart = read_graph("graph [ node [ id 1 ] node [ id 2 ] node [ id 3 ] edge [ source 2 target 3 ] ]", "").unwrap();
        let nowhere = BTreeMap::from([("zone-1".to_string(), "Chicgo".to_string())]);
        for (graph, spec, word) in [
            (&graph, file(), "`3` has no position"),
            (&apart, file(), "in 2 parts: `1`, in a part of 1, cannot reach `2`"),
            (&Graph { vertices: vec![], edges: vec![] }, file(), "no nodes"),
            (&abilene, FileSpec { queue: Some(Bytes(1)), ..file() }, "limits nothing"),
            (&abilene, FileSpec { edge: Some("Moon".into()), ..file() }, "`edge` names `Moon`"),
            (&abilene, FileSpec { place: nowhere, ..file() }, "such as `Chicago`"),
        ] {
            let error = to_shape(graph, &spec).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn wrong_elements_are_told_with_their_line() {
        for (text, line, word) in [
            ("graph [\n node [ label \"x\" ]\n]", 2, "no `id`"),
            ("graph [\n node [ id 1 ]\n node [ id 1 ]\n]", 3, "second node"),
            ("graph [\n node [ id 1 ]\n edge [ source 1 target 2 ]\n]", 3, "target `2` is no node's id"),
            ("graph [\n node [ id 1 ]\n edge [ source 1 ]\n]", 3, "no `target`"),
            ("graph [\n\n node [ id 1 Latitude 91 Longitude 0 ]\n]", 3, "from -90 to 90"),
            ("graph [ node [ id 1 Latitude nan Longitude 0 ] ]", 1, "`nan`"),
            ("graph [\n node [ id 1 ]\n edge [ source 1 target 1 LinkSpeedRaw 0 ]\n]", 3, "LinkSpeedRaw"),
        ] {
            let error = read_graph(text, "x.gml").unwrap_err();
            assert_eq!(error.line, Some(line), "{error}");
            assert!(error.problem.contains(word), "{error}");
        }
        assert!(read_graph(&" ".repeat(SIZE_MAX + 1), "x.gml").unwrap_err().problem.contains("bytes"));
    }

    const WORDS: &[&str] = &[
        " ",
        "\n",
        "[",
        "]",
        "\"",
        "#",
        "&",
        "&#x41;",
        ";",
        "<",
        ">",
        "/>",
        "='",
        "'",
        "graph ",
        "node ",
        "edge ",
        "id ",
        "source ",
        "target ",
        "1",
        "-2.5",
        "Latitude ",
        "<graphml>",
        "<graph>",
        "<node id='1'>",
        "</node>",
        "<edge source='1' target='1'/>",
        "</graph>",
        "\u{e9}",
        "node [ id 1 ]",
        "graph [",
        "edge [ source 1 target 1 ]",
    ];

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
            let text = words.concat();
            let _ = read_graph(&text, "x.gml").map(|g| to_shape(&g, &file()));
            let _ = read_graph(&text, "x.graphml").map(|g| to_shape(&g, &file()));
        }
    }
}
