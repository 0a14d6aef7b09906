//! Axes: where a number stands on the sheet, and the numbers worth writing beside it.

use super::canvas::{Anchor, Canvas, FRAME, GRID, Stroke, Type};

/// A scale from numbers to pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    log: bool,
}

impl Scale {
    /// Equal steps for equal differences. The numbers run from `from` to `to`, the pixels from `start` to `end`.
    pub(super) fn linear((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self { from, to, start, end, log: false }
    }

    /// Equal steps for equal ratios; both numbers are above 0.
    pub(super) fn log((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        let from = from.max(1e-12);
        let to = if to > from * 1.001 { to } else { from * 10.0 };
        Self { from, to, start, end, log: true }
    }

    /// The pixel of a number, kept within the axis.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = if self.log {
            libm::log(value.max(self.from) / self.from) / libm::log(self.to / self.from)
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + (self.end - self.start) * part.clamp(0.0, 1.0)
    }

    /// Whether a number is on the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        value >= self.from * (1.0 - 1e-9) - 1e-12 && value <= self.to * (1.0 + 1e-9) + 1e-12
    }

    /// Round numbers on the axis, about `wanted` of them, with their text.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        if self.log { self.log_ticks(wanted) } else { self.linear_ticks(wanted) }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let step = round_step((self.to - self.from) / wanted.max(1) as f64);
        let first = (self.from / step - 1e-9).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        let decimals = decimals_of(step);
        (first..=last.min(first + 50)).map(|i| i as f64 * step).map(|v| (v, format!("{:.decimals$}", v + 0.0))).collect()
    }

    fn log_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let decades = libm::log10(self.to / self.from);
        let within: &[f64] = if decades * 3.0 <= wanted as f64 * 1.3 {
            &[1.0, 2.0, 5.0]
        } else if decades * 2.0 <= wanted as f64 {
            &[1.0, 3.0]
        } else {
            &[1.0]
        };
        let every = (decades / wanted.max(1) as f64).ceil().max(1.0) as i32;
        let first = libm::log10(self.from).floor() as i32;
        let last = libm::log10(self.to).ceil() as i32;
        let mut ticks = Vec::new();
        for decade in (first..=last).filter(|d| within.len() > 1 || d % every == 0) {
            ticks.extend(within.iter().map(|m| m * power(decade)).filter(|v| self.holds(*v)).map(|v| (v, plain(v))));
        }
        if ticks.len() < 2 && self.to / self.from < 1e3 {
            return Self { log: false, ..*self }.linear_ticks(wanted.min(6));
        }
        ticks
    }

    /// Numbers between decades, for fine grid lines.
    pub(super) fn minor(&self) -> Vec<f64> {
        if !self.log || self.to / self.from > 1e7 {
            return Vec::new();
        }
        let (first, last) = (libm::log10(self.from).floor() as i32, libm::log10(self.to).ceil() as i32);
        (first..=last).flat_map(|d| (2..10).map(move |m| f64::from(m) * power(d))).filter(|v| self.holds(*v)).collect()
    }
}

/// Ten to an integer power, the nearest float to it.
fn power(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(1.0)
}

/// A number without needless zeros.
fn plain(value: f64) -> String {
    if !(1e-4..1e6).contains(&value) { format!("{value:e}") } else { format!("{}", (value * 1e9).round() / 1e9) }
}

fn round_step(rough: f64) -> f64 {
    if !rough.is_finite() || rough <= 0.0 {
        return 1.0;
    }
    let decade = power(libm::log10(rough).floor() as i32);
    [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|m| m * decade).find(|s| *s >= rough * 0.999).unwrap_or(decade * 10.0)
}

fn decimals_of(step: f64) -> usize {
    (0..9).find(|d| (step * power(*d)).fract().abs() < 1e-6 || (step * power(*d)).fract().abs() > 1.0 - 1e-6).unwrap_or(3) as usize
}

/// A horizontal axis under a plot between `top` and `bottom`, with grid lines, numbers and a name.
pub(super) fn horizontal(canvas: &mut Canvas<'_>, scale: &Scale, (top, bottom): (f64, f64), wanted: usize, name: &str) {
    for value in scale.minor() {
        canvas.line((scale.at(value), top), (scale.at(value), bottom), Stroke::new(GRID, 0.5));
    }
    let mut free_from = f64::NEG_INFINITY;
    let style = Type::new(12.0).muted().anchor(Anchor::Middle);
    for (value, text) in scale.ticks(wanted) {
        let x = scale.at(value);
        canvas.line((x, top), (x, bottom), Stroke::new(GRID, 1.0));
        canvas.line((x, bottom), (x, bottom + 4.0), Stroke::new(FRAME, 1.0));
        let half = style.width(&text) / 2.0;
        if x - half > free_from {
            canvas.text((x, bottom + 13.0), &text, style);
            free_from = x + half + 6.0;
        }
    }
    canvas.line((scale.start, bottom), (scale.end, bottom), Stroke::new(FRAME, 1.0));
    if !name.is_empty() {
        canvas.text(((scale.start + scale.end) / 2.0, bottom + 33.0), name, Type::new(13.0).anchor(Anchor::Middle));
    }
}

/// A vertical axis on the left of a plot between `left` and `right`; `show` writes the numbers.
pub(super) fn vertical(
    canvas: &mut Canvas<'_>,
    scale: &Scale,
    (left, right): (f64, f64),
    wanted: usize,
    name: (&str, f64),
    show: impl Fn(f64, String) -> String,
) {
    for (value, text) in scale.ticks(wanted) {
        let y = scale.at(value);
        canvas.line((left, y), (right, y), Stroke::new(GRID, 1.0));
        canvas.line((left - 4.0, y), (left, y), Stroke::new(FRAME, 1.0));
        canvas.text((left - 7.0, y), &show(value, text), Type::new(12.0).muted().anchor(Anchor::End));
    }
    canvas.line((left, scale.start), (left, scale.end), Stroke::new(FRAME, 1.0));
    if !name.0.is_empty() {
        canvas.text((name.1, (scale.start + scale.end) / 2.0), name.0, Type::new(13.0).anchor(Anchor::Middle).upwards());
    }
}
