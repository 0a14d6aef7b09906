//! The network and its traffic: sites above, what connects them in the middle, Nodes by zone below.

use std::collections::BTreeMap;

use super::canvas::{self, Anchor, BAND, Canvas, Colour, FRAME, MUTED, PAPER, Stroke, TINTS, Type, VERMILLION};
use super::{Figure, WIDTH, heading, note};
use crate::output::format;
use crate::output::tables::{LinkRow, VertexRow};
use crate::output::view::View;

const NAME: &str = "topology_map";
/// Design points that get a map of their own.
const MAPS: u32 = 6;
/// Nodes beyond which a zone becomes a single box.
const NODES: usize = 18;

/// One map per design point, for the first few.
pub(super) fn figures(view: &View<'_>) -> Vec<Figure> {
    let results = view.results;
    let title = "The network and its traffic";
    if results.vertices.is_empty() {
        return vec![note(NAME, title, "No network was recorded.")];
    }
    let mut points: Vec<u32> = results.links.iter().map(|l| l.point).collect();
    points.sort_unstable();
    points.dedup();
    if points.is_empty() {
        points.push(0);
    }
    if points.len() > MAPS as usize {
        points.truncate(1);
    }
    // Widths mean the same in all maps.
    let network = Network::new(&results.vertices);
    let roads: Vec<Vec<Road>> = points.iter().map(|p| network.roads(results.links.iter().filter(|l| l.point == *p))).collect();
    let most = roads.iter().flatten().map(|r| r.bytes).fold(0.0, f64::max);
    points.iter().zip(&roads).enumerate().map(|(i, (point, roads))| map(view, &network, roads, *point, i, most)).collect()
}

/// A place on the map: a vertex, or all Nodes of a zone.
struct Place {
    name: String,
    kind: String,
    zone: String,
    layer: usize,
    nodes: usize,
    pods: u32,
    position: Option<(f64, f64)>,
}

/// A link of the map, both directions together.
struct Road {
    ends: (usize, usize),
    bytes: f64,
    dropped: f64,
    utilisation: f64,
}

struct Network {
    places: Vec<Place>,
    index: BTreeMap<String, usize>,
    geographic: bool,
}

impl Network {
    fn new(vertices: &[VertexRow]) -> Self {
        let gather = vertices.iter().filter(|v| v.kind == "node").count() > NODES;
        let (mut places, mut index): (Vec<Place>, BTreeMap<String, usize>) = (Vec::new(), BTreeMap::new());
        for vertex in vertices {
            let position = vertex.x.zip(vertex.y).filter(|(x, y)| x.is_finite() && y.is_finite());
            let node = vertex.kind == "node";
            let layer = match vertex.kind.as_str() {
                "node" => 3,
                "site" => 0,
                "zone" => 2,
                _ if !vertex.zone.is_empty() => 2,
                _ => 1,
            };
            if node && gather {
                let name = if vertex.zone.is_empty() { "Nodes".to_owned() } else { format!("Nodes in {}", vertex.zone) };
                let at = *index.entry(format!("\u{0}{name}")).or_insert_with(|| {
                    places.push(Place { name, kind: vertex.kind.clone(), zone: vertex.zone.clone(), layer, nodes: 0, pods: 0, position });
                    places.len() - 1
                });
                places[at].nodes += 1;
                places[at].pods += vertex.pods;
                index.insert(vertex.name.clone(), at);
            } else {
                index.insert(vertex.name.clone(), places.len());
                let zone = if vertex.kind == "zone" && vertex.zone.is_empty() { vertex.name.clone() } else { vertex.zone.clone() };
                places.push(Place {
                    name: vertex.name.clone(),
                    kind: vertex.kind.clone(),
                    zone,
                    layer,
                    nodes: usize::from(node),
                    pods: vertex.pods,
                    position,
                });
            }
        }
        let geographic = places.len() > 1 && places.iter().all(|p| p.position.is_some());
        Self { places, index, geographic }
    }

    fn roads<'a>(&self, links: impl Iterator<Item = &'a LinkRow>) -> Vec<Road> {
        let finite = |v: f64| if v.is_finite() { v } else { 0.0 };
        let mut roads: BTreeMap<(usize, usize), Road> = BTreeMap::new();
        for link in links {
            let (Some(&a), Some(&b)) = (self.index.get(&link.from), self.index.get(&link.to)) else { continue };
            if a == b {
                continue;
            }
            let ends = (a.min(b), a.max(b));
            let road = roads.entry(ends).or_insert(Road { ends, bytes: 0.0, dropped: 0.0, utilisation: 0.0 });
            road.bytes += finite(link.bytes);
            road.dropped += finite(link.dropped);
            road.utilisation = road.utilisation.max(finite(link.utilisation));
        }
        roads.into_values().collect()
    }

    /// The zones in the order of their first appearance by name; the tint of a zone is its place here.
    fn zones(&self) -> Vec<&str> {
        let mut zones: Vec<&str> = self.places.iter().map(|p| p.zone.as_str()).filter(|z| !z.is_empty()).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }
}

/// A box on the sheet: its middle and half its size.
#[derive(Clone, Copy, Default)]
struct Spot {
    x: f64,
    y: f64,
    half_width: f64,
    half_height: f64,
}

fn map(view: &View<'_>, network: &Network, roads: &[Road], point: u32, number: usize, most: f64) -> Figure {
    let name = if number == 0 { NAME.to_owned() } else { format!("{NAME}_{}", point + 1) };
    let title = format!("The network and its traffic: {}", view.results.about.label(point));
    let (spots, height) = if network.geographic { geographic(network) } else { layered(network) };
    let alt = format!("{}, {}, line width by bytes", title, format::plural(network.places.len(), "place"));
    let limited = roads.iter().any(|r| r.utilisation > 0.0);
    let subtitle = format!(
        "Line width by bytes in both directions (widest: {}){}.",
        format::bytes(most),
        if limited { "; percentages are the busier direction of links with limited bandwidth" } else { "" }
    );
    let svg = canvas::draw(WIDTH, height, &alt, |canvas| {
        heading(canvas, &title, &subtitle);
        let zones = network.zones();
        let tint = |zone: &str| zones.iter().position(|z| *z == zone).map_or(BAND, |i| TINTS[i % TINTS.len()]);
        if !network.geographic {
            zone_bands(canvas, network, &spots, &zones, &tint);
        }
        for road in roads {
            let (a, b) = (spots[road.ends.0], spots[road.ends.1]);
            let busy = road.utilisation >= 0.8 || road.dropped > 0.0;
            let width = if most > 0.0 { 0.75 + 8.0 * (road.bytes / most).max(0.0).sqrt() } else { 0.75 };
            let bend = bend(road, &spots);
            let path: Vec<(f64, f64)> = match bend {
                0.0 => vec![(a.x, a.y), (b.x, b.y)],
                _ => (0..=24).map(|k| along(a, b, bend, f64::from(k) / 24.0)).collect(),
            };
            canvas.path(&path, Stroke::new(if busy { VERMILLION } else { FRAME }, width));
        }
        for (place, spot) in network.places.iter().zip(&spots) {
            draw_place(canvas, place, *spot, tint(&place.zone));
        }
        // Labels keep off the boxes and off one another, where there is room.
        let mut taken = spots.clone();
        for road in roads {
            road_label(canvas, road, &spots, network, &mut taken);
        }
    });
    Figure {
        name,
        title,
        caption: "Sites where clients are stand on top, Nodes below, grouped by zone, with the number of ready Pods at the start. The width of a line \
                  is the traffic over it (by square root, on the same scale in all maps); a line in vermillion is used to 80% or more of its bandwidth, or dropped messages."
            .to_owned(),
        alt,
        svg,
    }
}

/// Rows by layer; zones share the width by how many Nodes they have, and what is in a zone stands above its Nodes.
fn layered(network: &Network) -> (Vec<Spot>, f64) {
    let places = &network.places;
    let zones: Vec<&str> = network.zones();
    let columns: Vec<&str> = zones.iter().copied().chain(places.iter().any(|p| p.layer >= 2 && p.zone.is_empty()).then_some("")).collect();
    let nodes_of = |zone: &str| places.iter().filter(|p| p.layer == 3 && p.zone == zone).count();
    let per_row = |zone: &str| nodes_of(zone).clamp(1, (18 / columns.len().max(1)).clamp(1, 6));
    let weight: f64 = columns.iter().map(|z| per_row(z) as f64 + 0.3).sum();
    let (left, width) = (16.0, WIDTH - 32.0);
    let has = |layer: usize| places.iter().any(|p| p.layer == layer);
    let mut y = 92.0;
    let mut layer_y = [0.0; 4];
    for (layer, at) in layer_y.iter_mut().enumerate() {
        if layer == 2 && !columns.is_empty() {
            y += 18.0;
        }
        *at = y;
        if has(layer) {
            y += 96.0;
        }
    }
    let mut spots = vec![Spot::default(); places.len()];
    for (layer, y) in layer_y.iter().copied().enumerate().take(2) {
        let members: Vec<usize> = (0..places.len()).filter(|i| places[*i].layer == layer).collect();
        let gap = width / members.len().max(1) as f64;
        for (k, i) in members.into_iter().enumerate() {
            spots[i] = Spot { x: left + gap * (k as f64 + 0.5), y, half_width: (gap / 2.0 - 6.0).min(74.0), half_height: 18.0 };
        }
    }
    let mut rows = 1;
    let mut x = left;
    for zone in &columns {
        let column = width * (per_row(zone) as f64 + 0.3) / weight;
        let inside: Vec<usize> = (0..places.len()).filter(|i| places[*i].layer == 2 && places[*i].zone == *zone).collect();
        let gap = column / inside.len().max(1) as f64;
        for (k, i) in inside.into_iter().enumerate() {
            spots[i] = Spot { x: x + gap * (k as f64 + 0.5), y: layer_y[2], half_width: (gap / 2.0 - 8.0).min(70.0), half_height: 18.0 };
        }
        let nodes: Vec<usize> = (0..places.len()).filter(|i| places[*i].layer == 3 && places[*i].zone == *zone).collect();
        let gap = (column - 16.0) / per_row(zone) as f64;
        rows = rows.max(nodes.len().div_ceil(per_row(zone)));
        for (k, i) in nodes.into_iter().enumerate() {
            let (row, at) = (k / per_row(zone), k % per_row(zone));
            spots[i] = Spot {
                x: x + 8.0 + gap * (at as f64 + 0.5),
                y: layer_y[3] + 8.0 + 72.0 * row as f64,
                half_width: (gap / 2.0 - 4.0).min(64.0),
                half_height: 26.0,
            };
        }
        x += column;
    }
    let bottom = if has(3) { layer_y[3] + 8.0 + 72.0 * (rows as f64 - 1.0) + 26.0 } else { y - 60.0 };
    (spots, bottom + 54.0)
}

/// By longitude and latitude, pushed apart where boxes would overlap.
fn geographic(network: &Network) -> (Vec<Spot>, f64) {
    let position = |p: &Place| p.position.unwrap_or_default();
    let (mut west, mut east, mut south, mut north) = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY);
    for (x, y) in network.places.iter().map(position) {
        (west, east, south, north) = (west.min(x), east.max(x), south.min(y), north.max(y));
    }
    let cosine = libm::cos(((south + north) / 2.0).to_radians()).abs().max(0.2);
    let (wide, tall) = (((east - west) * cosine).max(1e-6), (north - south).max(1e-6));
    let plot_height = (640.0 * tall / wide).clamp(260.0, 560.0);
    let scale = (640.0 / wide).min(plot_height / tall);
    let mut spots: Vec<Spot> = (network.places.iter())
        .map(|p| {
            let (x, y) = position(p);
            Spot {
                x: WIDTH / 2.0 + (x - (west + east) / 2.0) * cosine * scale,
                y: 92.0 + plot_height / 2.0 - (y - (south + north) / 2.0) * scale,
                half_width: (Type::new(12.0).width(&p.name) / 2.0 + 8.0).clamp(36.0, 70.0),
                half_height: if p.layer == 3 { 22.0 } else { 15.0 },
            }
        })
        .collect();
    for _ in 0..200 {
        let mut moved = false;
        for i in 0..spots.len() {
            for j in 0..i {
                let (a, b) = (spots[i], spots[j]);
                let over_x = a.half_width + b.half_width + 10.0 - (a.x - b.x).abs();
                let over_y = a.half_height + b.half_height + 10.0 - (a.y - b.y).abs();
                if over_x <= 0.0 || over_y <= 0.0 {
                    continue;
                }
                moved = true;
                let nodes = network.places[i].layer == 3 && network.places[j].layer == 3;
                if over_y <= over_x && !nodes {
                    let push = if a.y >= b.y { over_y / 2.0 } else { -over_y / 2.0 };
                    (spots[i].y, spots[j].y) = (a.y + push, b.y - push);
                } else {
                    let push = if a.x >= b.x { over_x / 2.0 } else { -over_x / 2.0 };
                    (spots[i].x, spots[j].x) = (a.x + push, b.x - push);
                }
            }
        }
        for s in &mut spots {
            s.x = s.x.clamp(16.0 + s.half_width, WIDTH - 16.0 - s.half_width);
        }
        if !moved {
            break;
        }
    }
    let top = spots.iter().map(|s| s.y - s.half_height).fold(f64::INFINITY, f64::min);
    for s in &mut spots {
        s.y += 76.0 - top;
    }
    let bottom = spots.iter().map(|s| s.y + s.half_height).fold(0.0, f64::max);
    (spots, bottom + 24.0)
}

fn zone_bands(canvas: &mut Canvas<'_>, network: &Network, spots: &[Spot], zones: &[&str], tint: &impl Fn(&str) -> Colour) {
    for zone in zones {
        let members = || network.places.iter().zip(spots).filter(|(p, _)| p.layer >= 2 && p.zone == *zone).map(|(_, s)| s);
        let (mut left, mut right, mut top, mut bottom) = (f64::INFINITY, 0.0f64, f64::INFINITY, 0.0f64);
        for s in members() {
            left = left.min(s.x - s.half_width);
            right = right.max(s.x + s.half_width);
            top = top.min(s.y - s.half_height);
            bottom = bottom.max(s.y + s.half_height);
        }
        if left.is_finite() {
            canvas.rect(left - 8.0, top - 14.0, right - left + 16.0, bottom - top + 44.0, tint(zone));
            let style = Type::new(13.0).bold();
            canvas.text((left, bottom + 15.0), &style.fit(zone, right - left), style);
        }
    }
}

fn draw_place(canvas: &mut Canvas<'_>, place: &Place, spot: Spot, tint: Colour) {
    let Spot { x, y, half_width: w, half_height: h } = spot;
    let (fill, edge) = if place.layer == 3 { (PAPER, FRAME) } else { (tint, MUTED) };
    canvas.rect(x - w, y - h, 2.0 * w, 2.0 * h, fill);
    canvas.outline(x - w, y - h, 2.0 * w, 2.0 * h, Stroke::new(edge, 1.0));
    let small = Type::new(12.0).anchor(Anchor::Middle);
    if place.layer < 3 {
        let name = small.fit(&place.name, 2.0 * w - 6.0);
        if h > 16.0 {
            canvas.text((x, y - 7.0), &name, small);
            canvas.text((x, y + 8.0), &small.fit(&place.kind, 2.0 * w - 6.0), Type::new(11.0).muted().anchor(Anchor::Middle));
        } else {
            canvas.text((x, y), &name, small);
        }
        return;
    }
    let name = if place.nodes > 1 { format::plural(place.nodes, "Node") } else { place.name.clone() };
    canvas.text((x, y - h / 2.0 + 1.0), &small.fit(&name, 2.0 * w - 6.0), small);
    let pods = place.pods as usize;
    let room = ((2.0 * w - 12.0) / 9.0).max(0.0) as usize;
    if pods == 0 || pods > room {
        let style = if pods == 0 { small.colour(MUTED) } else { small };
        canvas.text(
            (x, y + h / 2.0 - 2.0),
            &small.fit(&if pods == 0 { "no Pod".to_owned() } else { format::plural(pods, "Pod") }, 2.0 * w - 4.0),
            style,
        );
    } else {
        for k in 0..pods {
            canvas.disc((x + 9.0 * (k as f64 - (pods as f64 - 1.0) / 2.0), y + h / 2.0 - 2.0), 3.5, canvas::BLUE, 1.0);
        }
    }
}

/// How far a road between neighbours in a row has to bend down to pass below the boxes between them.
fn bend(road: &Road, spots: &[Spot]) -> f64 {
    let (a, b) = (spots[road.ends.0], spots[road.ends.1]);
    let (left, right) = (a.x.min(b.x), a.x.max(b.x));
    let between = |(i, s): (usize, &Spot)| {
        i != road.ends.0
            && i != road.ends.1
            && s.x > left
            && s.x < right
            && (s.y - a.y).abs() < s.half_height
            && (s.y - b.y).abs() < s.half_height
    };
    if spots.iter().enumerate().any(between) { 80.0 } else { 0.0 }
}

/// A point of the way from one place to another.
fn along(a: Spot, b: Spot, bend: f64, part: f64) -> (f64, f64) {
    (a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part + 2.0 * bend * part * (1.0 - part))
}

fn road_label(canvas: &mut Canvas<'_>, road: &Road, spots: &[Spot], network: &Network, taken: &mut Vec<Spot>) {
    let leaf = network.places[road.ends.0].layer == 3 || network.places[road.ends.1].layer == 3;
    let mut parts = Vec::new();
    if !leaf && road.bytes > 0.0 {
        parts.push(format::bytes(road.bytes));
    }
    if road.utilisation > 0.0 {
        parts.push(format!("{:.0}%", road.utilisation * 100.0));
    }
    if parts.is_empty() {
        return;
    }
    let text = parts.join(", ");
    let style = Type::new(11.0).anchor(Anchor::Middle);
    let (a, b) = (spots[road.ends.0], spots[road.ends.1]);
    let bend = bend(road, spots);
    let at = |part: f64| {
        let (x, y) = along(a, b, bend, part);
        Spot { x, y, half_width: style.width(&text) / 2.0 + 3.0, half_height: 8.0 }
    };
    let free = |s: &Spot| {
        taken.iter().all(|t| (t.x - s.x).abs() >= t.half_width + s.half_width || (t.y - s.y).abs() >= t.half_height + s.half_height)
    };
    let spot = [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7, 0.25, 0.75].into_iter().map(at).find(free).unwrap_or_else(|| at(0.5));
    canvas.label((spot.x, spot.y), &text, style, PAPER);
    taken.push(spot);
}
