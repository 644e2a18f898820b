//! A folder of PNG pictures with their classes in `labels.csv`.
//!
//! The file has the columns `file,label`; its order is the order of the images. All pictures have
//! one size and are either gray or colour; alpha is dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use csv::{ReaderBuilder, Trim};
use png::{BitDepth, ColorType, Decoder, Transformations};

use super::image_set::{ImageSet, Pixels};
use super::label_list::{broken, label, text_bytes};
use super::shape::{Fits, MOST_IMAGES, check_label_count};
use super::source::{Source, check_bytes, check_inflation};
use crate::core::error::{Error, Result};
use crate::core::foreign::quoted;
use crate::machine::file::{self, Regular};

/// The list of pictures in a folder.
const LIST: &str = "labels.csv";
/// The largest picture: 4096 × 4096.
const MAX_PIXELS: u64 = 1 << 24;

/// Reads the pictures of a folder: gray as `[height, width]`, colour as `[3, height, width]`.
///
/// # Errors
///
/// [`Error::Read`] where a file cannot be opened; [`Error::Invalid`] or [`Error::Unsupported`]
/// with the picture and what to change; what `fits` gives.
pub(super) fn read(folder: &Path, fits: &Fits) -> Result<ImageSet> {
    let place = folder.display().to_string();
    let entries = entries(folder, MOST_IMAGES)?;
    let (pictures, listed) = pictures(folder, &entries, fits)?;
    let (shape, elements) = (&pictures[0].shape, pictures[0].shape.iter().product());
    if let Some(other) = pictures.iter().find(|other| other.shape != *shape) {
        return Err(Error::invalid(
            place,
            format!(
                "{} has shape {:?}, {} has {shape:?}: bring all images to one size and colour",
                quoted(other.name),
                other.shape,
                quoted(pictures[0].name)
            ),
        ));
    }
    // A picture that is listed again and again is stored once.
    let total = entries.len().saturating_mul(elements) as u64;
    check_bytes(&place, total)?;
    check_inflation(&place, total, pictures.iter().map(|one| one.stored).sum())?;
    let mut pixels: Vec<u8> = file::buffer(&place, total as usize)?;
    let mut starts = vec![None; pictures.len()];
    for index in listed {
        match starts[index] {
            Some(start) => pixels.extend_from_within(start..start + elements),
            None => {
                starts[index] = Some(pixels.len());
                pixels.extend(pictures[index].decode()?);
            }
        }
    }
    Ok(ImageSet {
        place,
        shape: shape.clone(),
        pixels: Pixels::Integer(pixels),
        labels: Some(entries.into_iter().map(|entry| entry.1).collect()),
    })
}

/// Returns the different pictures of a list, at least one, by their headers, and for each entry the
/// index of its picture.
fn pictures<'a>(
    folder: &Path,
    entries: &'a [(String, f64)],
    fits: &Fits,
) -> Result<(Vec<Picture<'a>>, Vec<usize>)> {
    let mut indices: HashMap<PathBuf, usize> = HashMap::new();
    let mut pictures = Vec::new();
    let mut listed = Vec::with_capacity(entries.len());
    for (name, _) in entries {
        let path = folder.join(name);
        let real = path.canonicalize().map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let index = match indices.entry(real) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let picture = Picture::open(path, name)?;
                fits(&picture.path.display().to_string(), &picture.shape)?;
                pictures.push(picture);
                *new.insert(pictures.len() - 1)
            }
        };
        listed.push(index);
    }
    Ok((pictures, listed))
}

/// Reads the labels of a folder, at most `most`, without its pictures.
///
/// # Errors
///
/// As for [`read`].
pub(super) fn labels(folder: &Path, most: usize) -> Result<Vec<f64>> {
    let entries = entries(folder, most)?.into_iter();
    Ok(entries.map(|entry| entry.1).collect())
}

/// Returns the files and labels of a folder's list, at least one and at most `most`.
fn entries(folder: &Path, most: usize) -> Result<Vec<(String, f64)>> {
    let path = folder.join(LIST);
    let place = path.display().to_string();
    if !path.exists() {
        return Err(Error::invalid(
            folder.display().to_string(),
            "has no labels.csv: write one with the header file,label and a line per PNG image",
        ));
    }
    let bytes = text_bytes(Source::open(&path)?)?;
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|error| broken(&place, &error))?;
    let column = |name| header.iter().position(|cell| cell == name);
    let (Some(files), Some(labels)) = (column("file"), column("label")) else {
        return Err(Error::invalid(
            place,
            "line 1: is not the header file,label: put it before the first image",
        ));
    };
    let mut entries = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| broken(&place, &error))?;
        let file = &record[files];
        check_inside(&place, file)?;
        entries.push((file.to_string(), label(&place, &record, labels)?));
        check_label_count(&place, entries.len(), most)?;
    }
    if entries.is_empty() {
        return Err(Error::invalid(
            place,
            "lists no images: add a line per PNG image",
        ));
    }
    Ok(entries)
}

/// Refuses a file name that leads out of the folder.
fn check_inside(place: &str, file: &str) -> Result<()> {
    let mut components = Path::new(file).components().peekable();
    let empty = components.peek().is_none();
    if !empty && components.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Ok(());
    }
    Err(Error::invalid(
        place,
        format!(
            "file {} is no name inside the folder: leave out \"..\" and leading \"/\"",
            quoted(file)
        ),
    ))
}

/// A picture as its header announces it.
struct Picture<'a> {
    /// As the list has it.
    name: &'a str,
    path: PathBuf,
    /// `[height, width]` or `[3, height, width]`.
    shape: Vec<usize>,
    /// Bytes of its file.
    stored: u64,
}

impl<'a> Picture<'a> {
    /// Reads the header of a PNG of 8 bits or fewer.
    fn open(path: PathBuf, name: &'a str) -> Result<Self> {
        let place = path.display().to_string();
        let Regular { file, stored, .. } = Regular::open(&path)?;
        let mut decoder = decoder(file);
        let header = decoder
            .read_header_info()
            .map_err(|error| damaged(&place, &error))?;
        check_header(&place, header, stored)?;
        let (width, height) = header.size();
        let size = [height as usize, width as usize];
        let shape = match header.color_type {
            ColorType::Grayscale | ColorType::GrayscaleAlpha => size.to_vec(),
            ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => vec![3, size[0], size[1]],
        };
        Ok(Self {
            name,
            path,
            shape,
            stored,
        })
    }

    /// Returns the pixels, channel by channel; palettes become colours.
    fn decode(&self) -> Result<Vec<u8>> {
        let place = self.path.display().to_string();
        let mut decoder = decoder(Regular::open(&self.path)?.file);
        decoder.set_transformations(Transformations::EXPAND);
        let mut reader = decoder
            .read_info()
            .map_err(|error| damaged(&place, &error))?;
        let mut bytes = vec![0; reader.output_buffer_size()];
        let frame = reader
            .next_frame(&mut bytes)
            .map_err(|error| damaged(&place, &error))?;
        bytes.truncate(frame.buffer_size());
        let samples = frame.color_type.samples();
        let channels = match self.shape[..] {
            [channels, _, _] => channels,
            _ => 1,
        };
        let plane = |channel| bytes.iter().skip(channel).step_by(samples).copied();
        let pixels: Vec<u8> = (0..channels).flat_map(plane).collect();
        if pixels.len() != self.shape.iter().product::<usize>() {
            let reason = "is another picture than a moment ago: start again";
            return Err(Error::invalid(place, reason));
        }
        Ok(pixels)
    }
}

/// Returns a decoder that leaves aside all but the pixels.
fn decoder(file: File) -> Decoder<BufReader<File>> {
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder
}

/// Refuses pictures that are too large, finer than 8 bits, or larger than the file can hold.
fn check_header(place: &str, header: &png::Info, file_bytes: u64) -> Result<()> {
    let (width, height) = header.size();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(Error::invalid(
            place,
            format!("has {width} × {height} pixels, at most {MAX_PIXELS} can be read: scale it"),
        ));
    }
    if header.bit_depth == BitDepth::Sixteen {
        return Err(Error::Unsupported {
            place: place.into(),
            reason: "16 bits per channel: save it with 8".into(),
        });
    }
    let bits = u64::from(header.bit_depth as u8) * header.color_type.samples() as u64;
    check_inflation(place, pixels * bits / 8, file_bytes)
}

/// Returns the error of a picture that cannot be decoded.
fn damaged(place: &str, error: &png::DecodingError) -> Error {
    Error::invalid(
        place,
        format!("cannot be decoded ({error}): save it again as PNG"),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use png::Encoder;

    use super::*;
    use crate::import::data::Part;
    use crate::import::data::tests::{read_images, read_labels};

    fn png(size: [u32; 2], color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, size[0], size[1]);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        drop(writer);
        file
    }

    fn gray(data: &[u8; 6]) -> Vec<u8> {
        png([3, 2], ColorType::Grayscale, BitDepth::Eight, data)
    }

    fn folder(list: &str, files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LIST), list).unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    /// Returns the set that one picture makes.
    fn single(bytes: Vec<u8>) -> Result<ImageSet> {
        read_images(
            folder("file,label\na.png,1\n", &[("a.png", bytes)]).path(),
            Part::Test,
        )
    }

    #[test]
    fn images_come_in_the_order_of_the_list() {
        let folder = folder(
            "\u{feff}label,file,remark\n7, b.png ,x\n0,./a.png,\n",
            &[
                ("a.png", gray(&[1; 6])),
                ("b.png", gray(&[1, 2, 3, 4, 5, 6])),
            ],
        );
        let set = read_images(folder.path(), Part::Test).unwrap();
        assert_eq!(set.shape, [2, 3]);
        let expected = vec![1, 2, 3, 4, 5, 6, 1, 1, 1, 1, 1, 1];
        assert_eq!(set.pixels, Pixels::Integer(expected));
        assert_eq!(set.labels, Some(vec![7.0, 0.0]));
        assert_eq!(read_labels(folder.path(), Part::Test).unwrap(), [7.0, 0.0]);
    }

    #[test]
    fn colours_become_planes_and_alpha_goes() {
        let eight = BitDepth::Eight;
        let table = [
            (
                ColorType::Rgb,
                eight,
                vec![1, 2, 3, 4, 5, 6],
                vec![1, 4, 2, 5, 3, 6],
            ),
            (
                ColorType::Rgba,
                eight,
                vec![1, 2, 3, 9, 4, 5, 6, 9],
                vec![1, 4, 2, 5, 3, 6],
            ),
            (
                ColorType::GrayscaleAlpha,
                eight,
                vec![1, 9, 4, 9],
                vec![1, 4],
            ),
            (
                ColorType::Indexed,
                eight,
                vec![1, 0],
                vec![4, 1, 5, 2, 6, 3],
            ),
            (
                ColorType::Grayscale,
                BitDepth::One,
                vec![0b0100_0000],
                vec![0, 255],
            ),
        ];
        for (color, depth, data, expected) in table {
            let set = single(png([2, 1], color, depth, &data)).unwrap();
            let shape = if expected.len() == 2 {
                vec![1, 2]
            } else {
                vec![3, 1, 2]
            };
            assert_eq!(set.shape, shape, "{color:?}");
            assert_eq!(set.pixels, Pixels::Integer(expected), "{color:?}");
        }
    }

    #[test]
    fn unusable_pictures_are_refused() {
        let whole = gray(&[1, 2, 3, 4, 5, 6]);
        // The sizes lie at byte 16, their checksum at byte 29.
        let sized = |width: u32, height: u32| {
            let mut file = whole.clone();
            file[16..20].copy_from_slice(&width.to_be_bytes());
            file[20..24].copy_from_slice(&height.to_be_bytes());
            let mut checksum = flate2::Crc::new();
            checksum.update(&file[12..29]);
            file[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
            file
        };
        let sixteen = png([1, 1], ColorType::Grayscale, BitDepth::Sixteen, &[1, 2]);
        let table = [
            (sixteen, "16 bits"),
            (sized(1 << 20, 1 << 20), "1048576 × 1048576"),
            (sized(u32::MAX >> 1, u32::MAX >> 1), "at most"),
            (sized(4096, 4096), "cannot hold"),
            (sized(3, 9), "cannot be decoded"),
            (sized(0, 9), "cannot be decoded"),
            (whole[..whole.len() - 25].to_vec(), "cannot be decoded"),
            (whole[..20].to_vec(), "cannot be decoded"),
            (b"GIF89a".to_vec(), "cannot be decoded"),
            (Vec::new(), "cannot be decoded"),
        ];
        for (i, (bytes, expected)) in table.into_iter().enumerate() {
            let message = single(bytes).unwrap_err().to_string();
            assert!(message.contains("a.png"), "case {i}: {message}");
            assert!(message.contains(expected), "case {i}: {message}");
            assert!(!message.contains('\n'), "case {i}: {message}");
        }
    }

    #[test]
    fn unusable_lists_are_refused() {
        let table = [
            ("a.png,1\n", "file,label"),
            ("file,class\na.png,1\n", "file,label"),
            ("file,label\n", "lists no images"),
            ("file,label\n../a.png,1\n", "inside the folder"),
            ("file,label\nsub/../../a.png,1\n", "inside the folder"),
            ("file,label\n/etc/passwd,1\n", "inside the folder"),
            ("file,label\n,1\n", "inside the folder"),
            ("file,label\n.,1\n", "regular file"),
            ("file,label\ngone.png,1\n", "gone.png"),
            ("file,label\na.png\n", "record"),
            ("file,label\na.png,cat\n", "line 2: label \"cat\""),
            ("file,label\na.png,1\nb.png,2\n", "one size"),
        ];
        let wide = png([6, 1], ColorType::Grayscale, BitDepth::Eight, &[0; 6]);
        for (list, expected) in table {
            let files = [("a.png", gray(&[0; 6])), ("b.png", wide.clone())];
            let folder = folder(list, &files);
            let message = read_images(folder.path(), Part::Test)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{list:?}: {message}");
        }
        let empty = tempfile::tempdir().unwrap();
        let message = read_images(empty.path(), Part::Test)
            .unwrap_err()
            .to_string();
        assert!(message.contains("no labels.csv"), "{message}");
    }
}
