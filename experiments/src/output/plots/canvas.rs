//! A sheet to draw on: shapes and text in pixels, drawn by plotters' SVG backend.
//!
//! The backend knows whole pixels only, so the sheet is drawn four times as large and shown through a `viewBox`. Text is measured
//! with the widths of the embedded font, which are also those of Arial and Helvetica; so a browser without the font agrees.

use plotters::backend::DrawingBackend;
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle};

use crate::output::format::{escape, printable};

/// Backend pixels per pixel of the sheet.
const FINE: f64 = 4.0;
/// Families that share the metrics of the embedded font.
const FAMILY: &str = "Liberation Sans, Arial, Helvetica, sans-serif";

/// A colour, as red, green and blue.
pub(super) type Colour = (u8, u8, u8);

/// Text and the strongest lines. The report exchanges this and the other greys in dark mode, by value.
pub(super) const INK: Colour = (0x1F, 0x23, 0x28);
/// Secondary text.
pub(super) const MUTED: Colour = (0x59, 0x63, 0x6E);
/// Axes.
pub(super) const FRAME: Colour = (0x8C, 0x95, 0x9F);
/// Grid lines.
pub(super) const GRID: Colour = (0xE4, 0xE7, 0xEB);
/// Background.
pub(super) const PAPER: Colour = (0xFF, 0xFF, 0xFF);
/// Bands and boxes on the background.
pub(super) const BAND: Colour = (0xF4, 0xF6, 0xF8);
/// Colours of Okabe and Ito that can be told apart by colour-blind readers, without the yellow that is unreadable on white.
pub(super) const PALETTE: [Colour; 7] = [
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0x00, 0x9E, 0x73),
    (0xCC, 0x79, 0xA7),
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x11, 0x11, 0x11),
];
/// Their names by use.
pub(super) const BLUE: Colour = PALETTE[0];
/// What went wrong.
pub(super) const VERMILLION: Colour = PALETTE[1];
/// What came back.
pub(super) const GREEN: Colour = PALETTE[2];
/// What is out of date.
pub(super) const ORANGE: Colour = PALETTE[4];
/// Light backgrounds of zones.
pub(super) const TINTS: [Colour; 6] =
    [(0xE3, 0xF0, 0xF9), (0xFC, 0xEB, 0xDD), (0xE0, 0xF4, 0xED), (0xF8, 0xE9, 0xF2), (0xFB, 0xF1, 0xD9), (0xEC, 0xEE, 0xF1)];

/// Lengths of dashes and gaps; the second cue beside colour.
pub(super) const DASHES: [&[f64]; 4] = [&[], &[9.0, 4.0], &[2.5, 3.0], &[11.0, 3.5, 2.5, 3.5]];

/// A line's colour, width and dashes.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: Colour,
    pub(super) width: f64,
    pub(super) dash: &'static [f64],
}

impl Stroke {
    pub(super) fn new(colour: Colour, width: f64) -> Self {
        Self { colour, width, dash: &[] }
    }
}

/// Where a text stands relative to its position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Size, colour and anchor of a text; its position is the middle of its height.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) colour: Colour,
    pub(super) anchor: Anchor,
    pub(super) upwards: bool,
}

impl Type {
    pub(super) fn new(size: f64) -> Self {
        Self { size, bold: false, colour: INK, anchor: Anchor::Start, upwards: false }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn muted(self) -> Self {
        Self { colour: MUTED, ..self }
    }

    pub(super) fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    pub(super) fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }

    /// Width of a text in pixels.
    pub(super) fn width(self, text: &str) -> f64 {
        let widths = if self.bold { &BOLD } else { &REGULAR };
        let thousandths: u32 = text
            .chars()
            .map(|c| match (c as u32).checked_sub(32).and_then(|i| widths.get(i as usize)) {
                Some(&w) => u32::from(w),
                None if (c as u32) < 0x2E80 => 600,
                None => 1000,
            })
            .sum();
        f64::from(thousandths) / 1000.0 * self.size
    }

    /// The text, cut with an ellipsis where it is wider than `width`.
    pub(super) fn fit(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut kept = String::new();
        for c in text.chars() {
            kept.push(c);
            if self.width(&kept) + self.size > width {
                break;
            }
        }
        kept.push('…');
        kept
    }

    /// The text in lines no wider than `width`, broken between words.
    pub(super) fn wrap(self, text: &str, width: f64) -> Vec<String> {
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            let line = lines.last_mut().expect("there is always a line");
            if line.is_empty() {
                line.push_str(word);
            } else if self.width(line) + self.width(" ") + self.width(word) <= width {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
        lines
    }
}

/// Marks that differ in shape, so that colour is not the only cue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Disc,
    Square,
    Up,
    Diamond,
    Down,
    Cross,
    Ring,
}

/// All marks, in the order in which they are given out.
pub(super) const MARKS: [Mark; 7] = [Mark::Disc, Mark::Square, Mark::Up, Mark::Diamond, Mark::Down, Mark::Cross, Mark::Ring];

/// A sheet of given size.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// Draws on a sheet of `width` by `height` pixels and returns it as SVG, with `label` for those who cannot see it.
pub(super) fn draw(width: f64, height: f64, label: &str, drawing: impl FnOnce(&mut Canvas<'_>)) -> String {
    let mut svg = String::new();
    let fine = |pixels: f64| (pixels * FINE) as u32;
    let (width, height) = (width.clamp(1.0, 1e5), height.clamp(1.0, 1e5));
    {
        let backend = SVGBackend::with_string(&mut svg, (fine(width), fine(height)));
        let mut canvas = Canvas { backend };
        canvas.rect(0.0, 0.0, width, height, PAPER);
        drawing(&mut canvas);
        let _ = canvas.backend.present();
    }
    tidy(&svg, width, height, label)
}

/// Shows the sheet at its own size, says once what is the same everywhere, and takes the line breaks out of texts.
fn tidy(svg: &str, width: f64, height: f64, label: &str) -> String {
    let (_, body) = svg.split_once('\n').unwrap_or(("", svg));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" \
         font-family=\"{FAMILY}\" stroke-linejoin=\"round\">\n",
        width as u32,
        height as u32,
        (width * FINE) as u32,
        (height * FINE) as u32,
        escape(label),
    );
    let family = format!(" font-family=\"{FAMILY}\"");
    for line in body.lines() {
        let is_tag = line.starts_with('<');
        let line = if is_tag { line.replace(&family, "").replace(" opacity=\"1\"", "").replace(" \"/>", "\"/>") } else { line.to_owned() };
        if line == "</text>" && out.ends_with('\n') {
            out.pop();
        }
        out.push_str(&line);
        if !line.starts_with("<text") {
            out.push('\n');
        }
    }
    out
}

impl Canvas<'_> {
    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.path(&[from, to], stroke);
    }

    /// A line through points.
    pub(super) fn path(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        if points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) || points.len() < 2 {
            return;
        }
        let style = line_style(stroke);
        if stroke.dash.is_empty() {
            match points {
                [a, b] => drop(self.backend.draw_line(at(*a), at(*b), &style)),
                _ => drop(self.backend.draw_path(points.iter().map(|p| at(*p)), &style)),
            }
            return;
        }
        for piece in dashes(points, stroke.dash) {
            let _ = self.backend.draw_path(piece.iter().map(|p| at(*p)), &style);
        }
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, colour: Colour) {
        if [x, y, width, height].iter().all(|v| v.is_finite()) {
            let _ = self.backend.draw_rect(at((x, y)), at((x + width, y + height)), &fill_style(colour, 1.0), true);
        }
    }

    /// The outline of a rectangle.
    pub(super) fn outline(&mut self, x: f64, y: f64, width: f64, height: f64, stroke: Stroke) {
        self.path(&[(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)], stroke);
    }

    /// A filled polygon.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], colour: Colour, alpha: f64) {
        if points.len() > 2 && points.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
            let _ = self.backend.fill_polygon(points.iter().map(|p| at(*p)), &fill_style(colour, alpha));
        }
    }

    /// A filled disc.
    pub(super) fn disc(&mut self, (x, y): (f64, f64), radius: f64, colour: Colour, alpha: f64) {
        if x.is_finite() && y.is_finite() {
            let _ = self.backend.draw_circle(at((x, y)), (radius * FINE).round() as u32, &fill_style(colour, alpha), true);
        }
    }

    /// A mark of a shape.
    pub(super) fn mark(&mut self, mark: Mark, (x, y): (f64, f64), r: f64, colour: Colour) {
        let polygon = |s: &mut Self, points: &[(f64, f64)]| s.polygon(points, colour, 1.0);
        match mark {
            Mark::Disc => self.disc((x, y), r, colour, 1.0),
            Mark::Square => polygon(
                self,
                &[(x - r * 0.9, y - r * 0.9), (x + r * 0.9, y - r * 0.9), (x + r * 0.9, y + r * 0.9), (x - r * 0.9, y + r * 0.9)],
            ),
            Mark::Up => polygon(self, &[(x, y - 1.2 * r), (x + 1.1 * r, y + 0.8 * r), (x - 1.1 * r, y + 0.8 * r)]),
            Mark::Down => polygon(self, &[(x, y + 1.2 * r), (x + 1.1 * r, y - 0.8 * r), (x - 1.1 * r, y - 0.8 * r)]),
            Mark::Diamond => polygon(self, &[(x, y - 1.25 * r), (x + 1.25 * r, y), (x, y + 1.25 * r), (x - 1.25 * r, y)]),
            Mark::Cross => {
                self.line((x - r, y - r), (x + r, y + r), Stroke::new(colour, r * 0.5));
                self.line((x - r, y + r), (x + r, y - r), Stroke::new(colour, r * 0.5));
            }
            Mark::Ring => {
                self.disc((x, y), r, colour, 1.0);
                self.disc((x, y), r * 0.55, PAPER, 1.0);
            }
        }
    }

    /// A line of text.
    pub(super) fn text(&mut self, position: (f64, f64), text: &str, style: Type) {
        if position.0.is_finite() && position.1.is_finite() && !text.is_empty() {
            let _ = self.backend.draw_text(&text.chars().map(printable).collect::<String>(), &text_style(style), at(position));
        }
    }

    /// A line of text on a patch of background.
    pub(super) fn label(&mut self, (x, y): (f64, f64), text: &str, style: Type, background: Colour) {
        let width = style.width(text);
        let left = match style.anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        self.rect(left - 2.0, y - style.size * 0.6, width + 4.0, style.size * 1.2, background);
        self.text((x, y), text, style);
    }
}

fn at((x, y): (f64, f64)) -> (i32, i32) {
    let fine = |v: f64| (v.clamp(-1e5, 1e5) * FINE).round() as i32;
    (fine(x), fine(y))
}

/// Cuts a line into its dashes.
fn dashes(points: &[(f64, f64)], pattern: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = Vec::new();
    let (mut index, mut left) = (0, pattern[0]);
    let mut piece = vec![points[0]];
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = libm::hypot(x1 - x0, y1 - y0);
        let mut gone = 0.0;
        while length - gone > left {
            gone += left;
            let p = (x0 + (x1 - x0) * gone / length, y0 + (y1 - y0) * gone / length);
            if index % 2 == 0 {
                piece.push(p);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![p];
            }
            index = (index + 1) % pattern.len();
            left = pattern[index];
        }
        left -= length - gone;
        if index % 2 == 0 {
            piece.push((x1, y1));
        }
    }
    if index % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

fn line_style(stroke: Stroke) -> ShapeStyle {
    let Stroke { colour: (r, g, b), width, .. } = stroke;
    ShapeStyle { color: RGBColor(r, g, b).to_rgba(), filled: false, stroke_width: (width * FINE).round().max(1.0) as u32 }
}

fn fill_style((r, g, b): Colour, alpha: f64) -> ShapeStyle {
    ShapeStyle { color: RGBColor(r, g, b).mix(alpha), filled: true, stroke_width: 0 }
}

fn text_style(style: Type) -> TextStyle<'static> {
    let Type { size, bold, colour: (r, g, b), anchor, upwards } = style;
    // The backend divides by this number to get from a line's height to the font's size.
    let height = (size * FINE).round() * 1.24;
    let font = FontDesc::new(FontFamily::Name(FAMILY), height, if bold { FontStyle::Bold } else { FontStyle::Normal });
    let anchor = match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let transform = if upwards { FontTransform::Rotate270 } else { FontTransform::None };
    let mut text = TextStyle::from(font.transform(transform)).pos(Pos::new(anchor, VPos::Center));
    text.color = RGBColor(r, g, b).to_backend_color();
    text
}

/// Widths of the characters from space to tilde in thousandths of the size, regular.
const REGULAR: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278,
    278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722,
    667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556,
    556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// The same, bold.
const BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333,
    333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722,
    667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611,
    611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];
