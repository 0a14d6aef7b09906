//! How far known answers are off, in standard errors, against the normal curve that they should follow.

use super::axes::{self, Scale};
use super::canvas::{self, BLUE, Stroke, VERMILLION};
use super::{Figure, Key, WIDTH, heading, legend};
use crate::output::format::plural;
use svcsim_engine::stats::distributions::normal_cdf;

const NAME: &str = "z";
const TITLE: &str = "How far known answers are off";
/// Distances beyond it stand in the outermost bars.
const END: f64 = 4.0;
/// Width of a bar.
const STEP: f64 = 0.5;

pub(crate) fn figure(z: &[f64]) -> Figure {
    let bars = (2.0 * END / STEP) as usize;
    let mut counts = vec![0u32; bars];
    for z in z {
        counts[(((z + END) / STEP).floor().max(0.0) as usize).min(bars - 1)] += 1;
    }
    let from = |bar: usize| -END + bar as f64 * STEP;
    let expected = |bar: usize| (normal_cdf(from(bar + 1)) - normal_cdf(from(bar))) * z.len() as f64;
    let most = (0..bars).map(|b| expected(b).max(counts[b].into())).fold(1.0, f64::max);
    let keys = [
        Key { text: "vectors".to_owned(), stroke: Some(Stroke::new(BLUE, 8.0)), mark: None },
        Key { text: "expected of a standard normal law".to_owned(), stroke: Some(Stroke::new(VERMILLION, 2.0)), mark: None },
    ];
    let subtitle = format!("One statistic of each of {}, in standard errors of it", plural(z.len(), "vector"));
    let top = legend(None, &keys, 56.0) + 20.0;
    let (bottom, left, right) = (top + 260.0, 70.0, WIDTH - 30.0);
    let inside = z.iter().filter(|z| z.abs() <= 2.0).count();
    let alt = format!("Histogram of {} distances in standard errors: {inside} lie within two of the known answer", z.len());
    let svg = canvas::draw(WIDTH, bottom + 52.0, &alt, |canvas| {
        let y = heading(canvas, TITLE, &subtitle);
        legend(Some(canvas), &keys, y);
        let (x, y) = (Scale::linear((-END, END), (left, right)), Scale::linear((0.0, most * 1.1), (bottom, top)));
        axes::horizontal(canvas, &x, (top, bottom), 9, "standard errors off");
        axes::vertical(canvas, &y, (left, right), 5, ("vectors", 22.0), |_, text| text);
        for (bar, count) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            let (a, b, high) = (x.at(from(bar)) + 2.0, x.at(from(bar + 1)) - 2.0, y.at(f64::from(*count)));
            canvas.rect(a, high, b - a, bottom - high, BLUE);
        }
        let curve: Vec<(f64, f64)> = (0..bars).map(|bar| (x.at(from(bar) + STEP / 2.0), y.at(expected(bar)))).collect();
        canvas.path(&curve, Stroke::new(VERMILLION, 2.0));
    });
    let caption = "Standard errors are right, and nothing is biased, if the bars follow the line. Beyond four is no chance.";
    Figure { name: NAME.to_owned(), title: TITLE.to_owned(), caption: caption.to_owned(), alt, svg }
}
