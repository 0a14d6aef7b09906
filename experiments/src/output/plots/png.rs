//! SVG to PNG with the embedded font, so that no font of the machine matters.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Width of every PNG in pixels.
const WIDTH: f32 = 1600.0;

static REGULAR: &[u8] = include_bytes!("../../../fonts/LiberationSans-Regular.ttf");
static BOLD: &[u8] = include_bytes!("../../../fonts/LiberationSans-Bold.ttf");

fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let load = || {
        let mut fonts = fontdb::Database::new();
        for data in [REGULAR, BOLD] {
            fonts.load_font_source(fontdb::Source::Binary(Arc::new(data)));
        }
        fonts.set_sans_serif_family("Liberation Sans");
        Arc::new(fonts)
    };
    Arc::clone(FONTS.get_or_init(load))
}

/// The drawing as a PNG file.
pub(super) fn render(svg: &str) -> Result<Vec<u8>, String> {
    let options = Options { fontdb: fonts(), font_family: "Liberation Sans".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|e| format!("a figure is not valid SVG: {e}"))?;
    let scale = WIDTH / tree.size().width();
    let height = (tree.size().height() * scale).round().clamp(1.0, 20_000.0);
    let mut pixmap = Pixmap::new(WIDTH as u32, height as u32).ok_or("a figure is too large to paint")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|e| format!("a figure cannot be written as PNG: {e}"))
}
