//! The 99th percentile over the levels of two factors, a panel for each combination of the others.

use super::canvas::{self, Anchor, Canvas, Colour, Type};
use super::{DOUBTFUL, Figure, MANY, TOO_MANY_ROWS, WIDTH, heading};
use crate::output::format::number;
use crate::output::view::{DOUBT, Estimate, View};
use std::collections::BTreeMap;

const NAME: &str = "heat_map";
const TITLE: &str = "The slow request by two factors";
const METRIC: &str = "latency_p99";
/// The shades between which cells lie, and text on either: not colours of the sheet, which the report exchanges in dark mode.
const LOW: Colour = (0xEA, 0xF3, 0xFA);
const HIGH: Colour = (0x08, 0x3D, 0x6B);
const ON_LIGHT: Colour = (0x10, 0x14, 0x18);
const ON_DARK: Colour = (0xFE, 0xFE, 0xFE);
/// Height of a row, and of one of many, which has no room for intervals.
const ROWS: [f64; 2] = [44.0, 26.0];
const MANY_ROWS: usize = 8;
/// Of all panels together.
const MOST_ROWS: usize = 80;

/// One cell: what was found, and whether it must not be built on.
type Found = (Estimate, bool);

struct Panel {
    label: String,
    /// By row, then by column.
    cells: Vec<Vec<Option<Found>>>,
}

struct Map<'a> {
    rows: (&'a str, Vec<&'a str>),
    columns: (&'a str, Vec<&'a str>),
    panels: Vec<Panel>,
}

/// None for designs that are no grid of at least two factors.
pub(super) fn figure(view: &View<'_>) -> Option<Figure> {
    let map = map(view)?;
    let means = || map.panels.iter().flat_map(|p| &p.cells).flatten().flatten().map(|(e, _)| e.mean);
    let (low, high) = (means().fold(f64::INFINITY, f64::min), means().fold(0.0, f64::max));
    let name = Type::new(13.0);
    let left = 16.0 + map.rows.1.iter().map(|l| name.width(l)).fold(name.width(map.rows.0), f64::max).min(220.0) + 12.0;
    let cell = (WIDTH - 16.0 - left) / map.columns.1.len() as f64;
    let (row, rows) = (ROWS[usize::from(map.rows.1.len() > MANY_ROWS)], map.rows.1.len());
    let most = (MOST_ROWS / rows).clamp(1, MANY);
    let shown = &map.panels[..map.panels.len().min(most)];
    let mut subtitle = format!("99th percentile of latency, ms; rows: {}, columns: {}", map.rows.0, map.columns.0);
    if map.panels.len() > most {
        subtitle.push_str(&format!(". The first {most} of {} panels are shown", map.panels.len()));
    }
    let height_of = |p: &Panel| 26.0 + if p.label.is_empty() { 0.0 } else { 22.0 } + row * p.cells.len() as f64 + 14.0;
    let height = 64.0 + shown.iter().map(height_of).sum::<f64>();
    let doubtful = shown.iter().flat_map(|p| &p.cells).flatten().flatten().any(|(_, doubt)| *doubt);
    let alt = format!(
        "Grid of {} by {}: the 99th percentile of latency goes from {} to {} ms",
        map.rows.0,
        map.columns.0,
        number(low),
        number(high)
    );
    let svg = canvas::draw(WIDTH, height, &alt, |canvas| {
        let mut y = heading(canvas, TITLE, &subtitle) + 8.0;
        for panel in shown {
            if !panel.label.is_empty() {
                canvas.text((16.0, y + 8.0), &Type::new(13.0).bold().fit(&panel.label, WIDTH - 32.0), Type::new(13.0).bold());
                y += 22.0;
            }
            for (i, level) in map.columns.1.iter().enumerate() {
                let middle = left + cell * (i as f64 + 0.5);
                canvas.text((middle, y + 10.0), &name.fit(level, cell - 6.0), name.anchor(Anchor::Middle));
            }
            y += 26.0;
            for (level, cells) in map.rows.1.iter().zip(&panel.cells) {
                canvas.text((16.0, y + row / 2.0), &name.fit(level, left - 26.0), name);
                for (i, found) in cells.iter().enumerate() {
                    let corner = (left + cell * i as f64 + 1.0, y + 1.0);
                    draw_cell(canvas, corner, (cell - 2.0, row - 2.0), found.as_ref(), (low, high));
                }
                y += row;
            }
            y += 14.0;
        }
    });
    let half = if rows > MANY_ROWS { "" } else { ", with the half width of its confidence interval" };
    let mut caption = format!(
        "Each cell is a design point: the mean of its replications' 99th percentiles{half}. Darker is slower, in equal steps for equal ratios."
    );
    if doubtful {
        caption.push_str(DOUBTFUL);
    }
    Some(Figure { name: NAME.to_owned(), title: TITLE.to_owned(), caption, alt, svg })
}

fn draw_cell(canvas: &mut Canvas<'_>, (x, y): (f64, f64), (width, height): (f64, f64), found: Option<&Found>, (low, high): (f64, f64)) {
    let Some((estimate, doubt)) = found else {
        canvas.text((x + width / 2.0, y + height / 2.0), "-", Type::new(13.0).muted().anchor(Anchor::Middle));
        return;
    };
    let part = if high > low && low > 0.0 { libm::log(estimate.mean / low) / libm::log(high / low) } else { 0.0 };
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part.clamp(0.0, 1.0)).round() as u8;
    canvas.rect(x, y, width, height, (mix(LOW.0, HIGH.0), mix(LOW.1, HIGH.1), mix(LOW.2, HIGH.2)));
    let style = Type::new(14.0).bold().colour(if part > 0.5 { ON_DARK } else { ON_LIGHT }).anchor(Anchor::Middle);
    let small = Type { size: 11.0, bold: false, ..style };
    let half = estimate
        .ends
        .map(|(low, high)| format!("± {}", number((high - low) / 2.0)))
        .filter(|t| height > ROWS[1] && small.width(t) < width - 4.0);
    let value = format!("{}{}", number(estimate.mean), if *doubt { DOUBT } else { "" });
    let middle = y + height / 2.0;
    let up = if half.is_some() { 7.0 } else { 0.0 };
    canvas.text((x + width / 2.0, middle - up), &style.fit(&value, width - 2.0), style);
    canvas.text((x + width / 2.0, middle + 10.0), &half.unwrap_or_default(), small);
}

/// The two factors with the most levels span the panels; the others tell them apart.
fn map<'a>(view: &View<'a>) -> Option<Map<'a>> {
    let about = &view.results.about;
    // A sample of ranges, or one-at-a-time, is no grid.
    if !view.results.sensitivity.is_empty() {
        return None;
    }
    let levels: Vec<Vec<&str>> = (0..about.factors.len()).map(|f| distinct(about.points.iter().filter_map(|p| p.levels.get(f)))).collect();
    let mut varying: Vec<usize> = (0..levels.len()).filter(|f| levels[*f].len() > 1).collect();
    varying.sort_by_key(|f| std::cmp::Reverse(levels[*f].len()));
    // There is more room downwards than sideways.
    let [rows, columns, others @ ..] = varying.as_slice() else { return None };
    let (height, width) = (levels[*rows].len(), levels[*columns].len());
    if height > TOO_MANY_ROWS || width > MANY {
        return None;
    }
    let mut panels: BTreeMap<Vec<usize>, Panel> = BTreeMap::new();
    let mut points = 0;
    // Several series of one point have no cell in common.
    for case in view.cases.chunk_by(|a, b| a.point == b.point).filter_map(|of_point| if let [case] = of_point { Some(case) } else { None })
    {
        let Some(estimate) = view.estimate(case, METRIC).filter(|e| e.mean > 0.0) else { continue };
        let Some(point) = about.points.get(case.point as usize) else { continue };
        let level = |f: &usize| levels[*f].iter().position(|level| point.levels.get(*f).is_some_and(|own| own == level));
        let (Some(row), Some(column)) = (level(rows), level(columns)) else { continue };
        let Some(key) = others.iter().map(level).collect::<Option<Vec<usize>>>() else { continue };
        let panel = panels.entry(key).or_insert_with_key(|key| {
            let pairs = others.iter().zip(key).map(|(f, level)| format!("{}: {}", about.factors[*f], levels[*f][*level]));
            Panel { label: pairs.collect::<Vec<_>>().join(", "), cells: vec![vec![None; width]; height] }
        });
        panel.cells[row][column] = Some((estimate, view.doubt(case, METRIC).is_some()));
        points += 1;
    }
    // Lists of pairs and named subsets may leave most of the grid empty.
    let grid = points >= 4 && points * 2 > panels.len() * height * width;
    let axis = |f: usize| (about.factors[f].as_str(), levels[f].clone());
    grid.then(|| Map { rows: axis(*rows), columns: axis(*columns), panels: panels.into_values().collect() })
}

/// Each of the levels once, in the order of the design; of very many, as many as make clear that they are no axis.
fn distinct<'a>(levels: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for level in levels {
        if seen.len() <= TOO_MANY_ROWS && !seen.contains(&level.as_str()) {
            seen.push(level);
        }
    }
    seen
}
