//! Scenes as SVG and PNG files that appear whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, FontTransform, ShapeStyle, TextStyle,
};

use super::font::{self, PLOTTERS_SIZE_PER_EM};
use super::palette::WHITE;
use super::scene::{Align, Scene, Shape, Text};
use crate::core::error::{Error, Result};
use crate::machine::whole_file::{draft_beside, publish};

/// What differs between the two formats.
struct Device {
    /// Device units per point of the page.
    scale: f64,
    /// The font size that makes this backend set one em.
    size_per_em: f64,
    /// How far below the top of a text this backend sets the baseline, per em.
    drop_per_em: f64,
}

/// Plotters takes whole numbers only; ten units per point keep positions exact. It divides font
/// sizes by 1.24 and sets the baseline 0.76 em below the top.
const SVG: Device = Device {
    scale: 10.0,
    size_per_em: 1.24,
    drop_per_em: 0.76,
};
/// Pixels per point of a PNG file.
const PIXELS_PER_POINT: f64 = 2.0;
/// Each pixel is the mean of this many by as many painted ones: plotters sets glyphs at whole
/// pixels, which shows as uneven spacing, and smooths few edges.
const OVERSAMPLING: u32 = 2;
/// Plotters sets the baseline half a font size below the top of a bitmap's text.
const PNG: Device = Device {
    scale: PIXELS_PER_POINT * OVERSAMPLING as f64,
    size_per_em: PLOTTERS_SIZE_PER_EM,
    drop_per_em: PLOTTERS_SIZE_PER_EM / 2.0,
};

/// Writes the scene as an SVG file.
///
/// # Errors
///
/// [`Error::Draw`] where a font or the backend refuses, [`Error::Write`] where the disk does.
pub(crate) fn write_svg(scene: &Scene, path: &Path) -> Result<()> {
    let svg = svg_text(scene).map_err(|reason| draw_error(path, reason))?;
    let mut file = draft_beside(path, ".svg")?;
    file.write_all(svg.as_bytes())
        .map_err(|source| write_error(path, source))?;
    publish(file, path)
}

/// Writes the scene as a PNG file.
///
/// # Errors
///
/// [`Error::Draw`] where a font or the backend refuses, [`Error::Write`] where the disk does.
pub(crate) fn write_png(scene: &Scene, path: &Path) -> Result<()> {
    let ((width, height), pixels) = png_pixels(scene).map_err(|reason| draw_error(path, reason))?;
    // The backend encodes only into files that it opens by name.
    let file = draft_beside(path, ".png")?;
    let mut backend = BitMapBackend::new(file.path(), (width, height));
    let drawn = backend
        .blit_bitmap((0, 0), (width, height), &pixels)
        .and_then(|()| backend.present());
    drawn.map_err(|error| draw_error(path, error.to_string()))?;
    drop(backend);
    publish(file, path)
}

/// Creates the folder of the charts.
///
/// # Errors
///
/// [`Error::Write`] where it cannot be created.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| write_error(folder, source))
}

/// Removes a file that nothing is drawn in any more, where there is one.
///
/// # Errors
///
/// [`Error::Write`] where it cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(write_error(path, source)),
        _ => Ok(()),
    }
}

/// Returns the scene as the text of an SVG file.
fn svg_text(scene: &Scene) -> std::result::Result<String, String> {
    let (width, height) = SVG.size(scene);
    let mut svg = String::new();
    paint(
        scene,
        &SVG,
        &mut SVGBackend::with_string(&mut svg, (width, height)),
    )?;
    // The coordinates stay fine; the picture shows at the size of the page.
    let fine = format!("width=\"{width}\" height=\"{height}\"");
    let page = format!("width=\"{}\" height=\"{}\"", scene.width, scene.height);
    Ok(svg.replacen(&fine, &page, 1))
}

/// Returns the scene as red, green and blue bytes, row by row, and its size in pixels.
fn png_pixels(scene: &Scene) -> std::result::Result<((u32, u32), Vec<u8>), String> {
    let (fine_width, fine_height) = PNG.size(scene);
    let mut fine = vec![0; 3 * fine_width as usize * fine_height as usize];
    paint(
        scene,
        &PNG,
        &mut BitMapBackend::with_buffer(&mut fine, (fine_width, fine_height)),
    )?;
    let size = (fine_width / OVERSAMPLING, fine_height / OVERSAMPLING);
    Ok((
        size,
        averaged(&fine, fine_width as usize, size, OVERSAMPLING as usize),
    ))
}

/// Returns a picture of which each pixel is the mean of `side` by `side` pixels of the fine one.
fn averaged(fine: &[u8], fine_width: usize, (width, height): (u32, u32), side: usize) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let mut pixels = Vec::with_capacity(3 * width * height);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        for channel in 0..3 {
            let block = (0..side * side).map(|index| {
                let (fine_y, fine_x) = (y * side + index / side, x * side + index % side);
                u32::from(fine[3 * (fine_y * fine_width + fine_x) + channel])
            });
            let count = (side * side) as u32;
            pixels.push(((block.sum::<u32>() + count / 2) / count) as u8);
        }
    }
    pixels
}

/// Paints the shapes in order; returns the backend's reason where it refuses.
fn paint<B: DrawingBackend>(
    scene: &Scene,
    device: &Device,
    backend: &mut B,
) -> std::result::Result<(), String> {
    font::register()?;
    let (width, height) = device.size(scene);
    let page = WHITE.filled();
    backend
        .draw_rect((0, 0), (width as i32, height as i32), &page, true)
        .map_err(|error| error.to_string())?;
    for shape in &scene.shapes {
        paint_shape(shape, device, backend)?;
    }
    backend.present().map_err(|error| error.to_string())
}

fn paint_shape<B: DrawingBackend>(
    shape: &Shape,
    device: &Device,
    backend: &mut B,
) -> std::result::Result<(), String> {
    let painted = match shape {
        Shape::Bar { area, colour } => {
            let upper_left = device.point((area.left, area.top));
            backend.draw_rect(
                upper_left,
                device.point((area.right, area.bottom)),
                &colour.filled(),
                true,
            )
        }
        Shape::Path {
            points,
            width,
            colour,
        } => backend.draw_path(
            points.iter().map(|&point| device.point(point)),
            &device.stroke(*width, colour),
        ),
        Shape::Polygon { points, colour } => backend.fill_polygon(
            points.iter().map(|&point| device.point(point)),
            &colour.filled(),
        ),
        Shape::Disc {
            centre,
            radius,
            colour,
        } => backend.draw_circle(
            device.point(*centre),
            device.length(*radius),
            &colour.filled(),
            true,
        ),
        Shape::Ring {
            centre,
            radius,
            width,
            colour,
        } => backend.draw_circle(
            device.point(*centre),
            device.length(*radius),
            &device.stroke(*width, colour),
            false,
        ),
        Shape::Text(text) => backend.draw_text(
            &text.text,
            &device.text_style(text),
            device.point(device.text_top(text)),
        ),
    };
    painted.map_err(|error| error.to_string())
}

impl Device {
    fn size(&self, scene: &Scene) -> (u32, u32) {
        (self.length(scene.width), self.length(scene.height))
    }

    fn point(&self, (x, y): (f64, f64)) -> (i32, i32) {
        (
            (x * self.scale).round() as i32,
            (y * self.scale).round() as i32,
        )
    }

    /// Whole device units, at least one, so that thin lines stay visible.
    fn length(&self, length: f64) -> u32 {
        (length * self.scale).round().max(1.0) as u32
    }

    fn stroke(&self, width: f64, colour: &impl Color) -> ShapeStyle {
        colour.stroke_width(self.length(width))
    }

    fn text_style(&self, text: &Text) -> TextStyle<'static> {
        let size = text.em * self.size_per_em * self.scale;
        let font = FontDesc::new(
            FontFamily::Name(text.face.family()),
            size,
            FontStyle::Normal,
        );
        let turn = if text.upwards {
            FontTransform::Rotate270
        } else {
            FontTransform::None
        };
        let h_pos = match text.align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        TextStyle {
            pos: Pos::new(h_pos, VPos::Top),
            ..font.transform(turn).color(&text.colour)
        }
    }

    /// The point that makes this backend put the baseline where the text wants it.
    fn text_top(&self, text: &Text) -> (f64, f64) {
        let drop = text.em * self.drop_per_em;
        let (x, y) = text.at;
        if text.upwards {
            (x - drop, y)
        } else {
            (x, y - drop)
        }
    }
}

fn draw_error(path: &Path, reason: String) -> Error {
    Error::Draw {
        path: path.to_owned(),
        reason,
    }
}

fn write_error(path: &Path, source: std::io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::palette::{BLUE, INK};
    use crate::report::plot::scene::Marker;

    fn scene() -> Scene {
        let mut scene = Scene::new(120.0, 80.0);
        scene.text(Text::new(
            "a < b & c",
            (60.0, 40.0),
            12.0,
            Align::Centre,
            INK,
        ));
        for (index, marker) in [Marker::Bar, Marker::Dot, Marker::Ring, Marker::Square]
            .into_iter()
            .enumerate()
        {
            scene.marker(marker, (20.0 + 20.0 * index as f64, 60.0), 4.0, BLUE);
        }
        scene
    }

    #[test]
    fn svg_is_whole_escaped_and_page_sized() {
        let svg = svg_text(&scene()).unwrap();
        assert!(
            svg.starts_with("<svg width=\"120\" height=\"80\" viewBox=\"0 0 1200 800\""),
            "{svg}"
        );
        assert!(svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("a &lt; b &amp; c"));
    }

    #[test]
    fn pixels_are_means_of_their_blocks() {
        // Two rows of four pixels whose channels are equal: blocks of 0, 10, 20, 30 and of 255.
        let grey = |values: [u8; 4]| values.into_iter().flat_map(|value| [value; 3]);
        let fine: Vec<u8> = grey([0, 10, 255, 255])
            .chain(grey([20, 30, 255, 255]))
            .collect();
        assert_eq!(averaged(&fine, 4, (2, 1), 2), [15, 15, 15, 255, 255, 255]);
    }

    #[test]
    fn png_has_two_pixels_per_point() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scene.png");
        write_png(&scene(), &path).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&bytes[16..24], [0, 0, 0, 240, 0, 0, 0, 160]);
        assert_eq!(&bytes[bytes.len() - 8..bytes.len() - 4], b"IEND");
    }

    #[test]
    fn failed_writes_name_the_file_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("scene.svg");
        let error = write_svg(&scene(), &path).unwrap_err();
        assert!(
            matches!(&error, Error::Write { path: named, .. } if *named == path),
            "{error}"
        );
        // A folder stands where the file should go: the rename fails and the draft is removed.
        let taken = folder.path().join("taken.svg");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("something"), "").unwrap();
        assert!(write_svg(&scene(), &taken).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_replace_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scene.svg");
        fs::write(&path, "old").unwrap();
        write_svg(&scene(), &path).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("<svg"));
    }
}
