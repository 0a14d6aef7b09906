//! The figures of a report, as SVG and PNG; the same results make the same bytes.

mod axes;
mod canvas;
mod heat_map;
mod latency_ccdf;
mod p99_by_entry;
mod pareto;
mod png;
mod pod_load;
mod timeline;
mod topology_map;
mod tornado;
pub(crate) mod z_histogram;

use std::path::Path;
use std::{fs, io};

use self::canvas::{Anchor, Canvas, Colour, DASHES, MARKS, MUTED, Mark, PALETTE, Stroke, Type};
use super::tables::Results;
use super::view::{Case, View};

pub(crate) use self::pod_load::loads;

/// Width of every figure in pixels of the SVG.
const WIDTH: f64 = 800.0;
/// Curves or panels beyond which a figure would not be readable.
const MANY: usize = 12;
/// Rows beyond which a figure would be longer than a page.
const TOO_MANY_ROWS: usize = 40;

/// Said where a number is marked with [`super::view::DOUBT`].
const DOUBTFUL: &str = " Numbers with an exclamation mark must not be built on: see the warnings.";

/// A figure and what has to be said with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    /// File name without extension.
    pub(crate) name: String,
    /// What is shown, in a few words.
    pub(crate) title: String,
    /// How to read it, for someone who sees such a figure for the first time.
    pub(crate) caption: String,
    /// What a reader who cannot see it should know.
    pub(crate) alt: String,
    /// The drawing.
    pub(crate) svg: String,
}

/// Every figure of the results, in the order of the report.
pub(crate) fn figures(results: &Results) -> Vec<Figure> {
    let view = View::new(results);
    let mut figures = vec![latency_ccdf::figure(&view), p99_by_entry::figure(&view)];
    figures.extend([heat_map::figure(&view), tornado::figure(&view), pareto::figure(&view)].into_iter().flatten());
    figures.extend([pod_load::figure(&view), timeline::figure(&view)]);
    figures.extend(topology_map::figures(&view));
    figures
}

/// Writes `plots/<name>.svg` and `plots/<name>.png` under the results directory.
pub(crate) fn write(figures: &[Figure], dir: &Path) -> io::Result<()> {
    let plots = dir.join("plots");
    fs::create_dir_all(&plots)?;
    for figure in figures {
        fs::write(plots.join(format!("{}.svg", figure.name)), &figure.svg)?;
        fs::write(plots.join(format!("{}.png", figure.name)), png_of(figure)?)?;
    }
    Ok(())
}

/// The drawing as pixels.
pub(crate) fn png_of(figure: &Figure) -> io::Result<Vec<u8>> {
    png::render(&figure.svg).map_err(io::Error::other)
}

/// The look of the `i`-th of several curves; 28 differ in colour or dashes.
fn look(i: usize) -> (Stroke, Mark) {
    let stroke = Stroke { colour: PALETTE[i % PALETTE.len()], width: 2.0, dash: DASHES[i % DASHES.len()] };
    (stroke, MARKS[i % MARKS.len()])
}

/// The first `limit` cases, and a remark where there are more.
fn first(cases: &[Case], limit: usize, what: &str) -> (Vec<Case>, Option<String>) {
    let remark = (cases.len() > limit).then(|| format!("The first {limit} of {} {what} are shown.", cases.len()));
    (cases.iter().take(limit).cloned().collect(), remark)
}

/// Title and subtitle at the top of a figure; returns where they end.
fn heading(canvas: &mut Canvas<'_>, title: &str, subtitle: &str) -> f64 {
    let mut y = 20.0;
    for line in Type::new(17.0).bold().wrap(title, WIDTH - 32.0).iter().take(2) {
        canvas.text((16.0, y), &Type::new(17.0).bold().fit(line, WIDTH - 32.0), Type::new(17.0).bold());
        y += 21.0;
    }
    for line in Type::new(13.0).wrap(subtitle, WIDTH - 32.0).iter().filter(|l| !l.is_empty()).take(2) {
        canvas.text((16.0, y), line, Type::new(13.0).muted());
        y += 18.0;
    }
    y - 4.0
}

/// One entry of a legend.
struct Key {
    text: String,
    stroke: Option<Stroke>,
    mark: Option<(Mark, Colour)>,
}

/// Legend entries in rows from the left, each as wide as it needs to be; returns where they end. Draws nothing without a canvas.
fn legend(canvas: Option<&mut Canvas<'_>>, keys: &[Key], top: f64) -> f64 {
    const SWATCH: f64 = 32.0;
    let style = Type::new(13.0);
    let (mut x, mut y) = (16.0, top + 10.0);
    let mut places = Vec::new();
    for key in keys {
        let text = style.fit(&key.text, 360.0);
        let swatch = if key.stroke.is_some() { SWATCH } else { 12.0 };
        let width = swatch + 7.0 + style.width(&text) + 20.0;
        if x > 16.0 && x + width - 20.0 > WIDTH - 16.0 {
            x = 16.0;
            y += 20.0;
        }
        places.push((x, y, text, swatch));
        x += width;
    }
    if let Some(canvas) = canvas {
        for (key, (x, y, text, swatch)) in keys.iter().zip(places) {
            if let Some(stroke) = key.stroke {
                canvas.line((x, y), (x + swatch, y), stroke);
            }
            if let Some((mark, colour)) = key.mark {
                canvas.mark(mark, (x + swatch / 2.0, y), 4.5, colour);
            }
            canvas.text((x + swatch + 7.0, y), &text, style);
        }
    }
    if keys.is_empty() { top } else { y + 14.0 }
}

/// A figure that says why there is nothing to draw.
fn note(name: &str, title: &str, text: &str) -> Figure {
    let lines = Type::new(15.0).wrap(text, WIDTH - 120.0);
    let height = 120.0 + 22.0 * lines.len() as f64;
    let svg = canvas::draw(WIDTH, height, &format!("{title}. {text}"), |canvas| {
        let top = heading(canvas, title, "");
        canvas.rect(16.0, top + 8.0, WIDTH - 32.0, height - top - 24.0, canvas::BAND);
        for (i, line) in lines.iter().enumerate() {
            let y = (top + height - 8.0) / 2.0 + 22.0 * (i as f64 - (lines.len() as f64 - 1.0) / 2.0);
            canvas.text((WIDTH / 2.0, y), line, Type::new(15.0).colour(MUTED).anchor(Anchor::Middle));
        }
    });
    Figure { name: name.to_owned(), title: title.to_owned(), caption: text.to_owned(), alt: format!("{title}: {text}"), svg }
}
