//! Small files that ask for much memory.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use serde_json::{Value, json};
use splitbench::core::digest::hex_digest;
use splitbench::core::onnx_schema::{ModelProto, StringStringEntry, TensorProto};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::models::{floats, integers, model, node, valid, with};
use super::temporary_folder::TemporaryFolder;

/// Bytes of zeros that are packed.
const MUCH: usize = 400 << 20;

/// A command that reads a bomb, and words of its refusal.
pub struct Bomb {
    pub arguments: String,
    pub words: Vec<&'static str>,
}

/// Writes every bomb.
pub fn all(temp: &TemporaryFolder) -> Vec<Bomb> {
    [
        data(temp),
        labels(temp),
        pictures(temp),
        networks(temp),
        folders(temp),
        tables(temp),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn bomb(arguments: impl Into<String>, words: &[&'static str]) -> Bomb {
    Bomb {
        arguments: arguments.into(),
        words: words.to_vec(),
    }
}

/// Returns an array in NumPy's format.
pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    [npy_header(descr, shape), data.to_vec()].concat()
}

fn npy_header(descr: &str, shape: &str) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat()
}

/// Returns a black picture.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::Best);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_image_data(&vec![0; (width * height) as usize])
        .unwrap();
    drop(writer);
    file
}

/// Writes what a header announces with `count` zeros behind it.
fn write_zeros(target: &mut impl Write, header: &[u8], count: usize) {
    static PIECE: [u8; 1 << 16] = [0; 1 << 16];
    target.write_all(header).unwrap();
    let mut left = count;
    while left > 0 {
        let piece = left.min(PIECE.len());
        target.write_all(&PIECE[..piece]).unwrap();
        left -= piece;
    }
}

fn gzip(header: &[u8], count: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    write_zeros(&mut encoder, header, count);
    encoder.finish().unwrap()
}

/// Returns an archive whose arrays are zeros behind these headers.
fn npz(arrays: &[(&str, Vec<u8>, usize)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, header, count) in arrays {
        archive.start_file(format!("{name}.npy"), options).unwrap();
        write_zeros(&mut archive, header, *count);
    }
    archive.finish().unwrap().into_inner()
}

/// Makes a file that begins with these bytes, and whose holes read as zeros.
fn write_sparse(temp: &TemporaryFolder, name: &str, header: &[u8], length: usize) {
    let mut file = File::create(temp.path(name)).unwrap();
    file.write_all(header).unwrap();
    file.set_len(length as u64).unwrap();
}

/// Images for the network of two inputs, that fit and that do not.
fn data(temp: &TemporaryFolder) -> Vec<Bomb> {
    let half = format!("({}, 2)", MUCH / 2);
    let fitting = || npy_header("|u1", &half);
    let square = || npy_header("|u1", &format!("({}, 32, 32)", MUCH >> 10));
    let idx = [
        &[0, 0, 8, 2][..],
        &((MUCH / 2) as u32).to_be_bytes(),
        &[0, 0, 0, 2],
    ]
    .concat();
    temp.write("fits.npz", npz(&[("x", fitting(), MUCH)]));
    temp.write("square.npz", npz(&[("x", square(), MUCH)]));
    temp.write("fits.npy.gz", gzip(&fitting(), MUCH));
    temp.write("fits.idx.gz", gzip(&idx, MUCH));
    // Below what may come out of any file, so that only its shape tells.
    temp.write(
        "small.npz",
        npz(&[("x", npy_header("|u1", "(10000, 32, 32)"), 10_240_000)]),
    );
    write_sparse(temp, "sparse.npy", &fitting(), fitting().len() + MUCH);
    temp.write("many.npy", npy("|u1", "(1000001, 2)", &vec![0; 2_000_002]));
    temp.write("wide.npy", npy("|V2000000000", "(1, 2)", &[0; 4]));
    let members: Vec<String> = (0..40_000).map(|index| index.to_string()).collect();
    let empty = |name| (name, Vec::new(), 0);
    let empties: Vec<_> = members.iter().map(|name| empty(name.as_str())).collect();
    temp.write("members.npz", npz(&empties));
    let labelled = [
        ("x", npy_header("|u1", "(40, 2)"), 80),
        ("y", npy_header("|u1", "(9000000,)"), 9_000_000),
    ];
    temp.write("labelled.npz", npz(&labelled));
    let import = |file: &str| format!("import m.onnx --calibrate {file} -o out");
    vec![
        bomb(import("fits.npz"), &["fits.npz", "stored ones"]),
        bomb(import("square.npz"), &["square.npz", "stored ones"]),
        bomb(import("fits.npy.gz"), &["fits.npy.gz", "stored ones"]),
        bomb(import("fits.idx.gz"), &["fits.idx.gz", "stored ones"]),
        bomb(import("small.npz"), &["small.npz", "[32, 32]", "takes [2]"]),
        bomb(
            import("sparse.npy"),
            &["sparse.npy", "packed bytes cannot hold"],
        ),
        bomb(import("many.npy"), &["many.npy", "at most 1000000"]),
        bomb(import("wide.npy"), &["wide.npy", "V2000000000"]),
        bomb(
            import("members.npz"),
            &["members.npz", "more than 1000 members"],
        ),
        bomb(
            import("labelled.npz"),
            &["labelled.npz", "9000000 labels for 40 images"],
        ),
    ]
}

fn labels(temp: &TemporaryFolder) -> Vec<Bomb> {
    temp.write(
        "zeros.npy.gz",
        gzip(&npy_header("<f8", "(1000000,)"), 8_000_000),
    );
    temp.write(
        "zeros.idx.gz",
        gzip(&[0, 0, 8, 1, 0, 0xf0, 0, 0], 0xf0_0000),
    );
    temp.write("lines.txt", "1\n".repeat(4_000_000));
    temp.write("commas.txt", ",".repeat(30_000_000));
    temp.write("cifar.bin.gz", gzip(&[], 3073 * 5000));
    let import = |file: &str| format!("import m.onnx --calibrate x.npy --labels {file} -o out");
    vec![
        bomb(
            import("zeros.npy.gz"),
            &["zeros.npy.gz", "1000000 labels for 40 images"],
        ),
        bomb(
            import("zeros.idx.gz"),
            &["zeros.idx.gz", "labels for 40 images"],
        ),
        bomb(
            import("cifar.bin.gz"),
            &["cifar.bin.gz", "5000 labels for 40 images"],
        ),
        bomb(
            import("lines.txt"),
            &["lines.txt", "41 labels for 40 images"],
        ),
        bomb(import("commas.txt"), &["commas.txt", "line 1", "columns"]),
    ]
}

/// Folders that list one picture sixty times, for networks that take such pictures and others.
fn pictures(temp: &TemporaryFolder) -> Vec<Bomb> {
    let list = "file,label\n".to_owned() + &"a.png,0\n".repeat(60);
    for (folder, size) in [("large", 4096), ("fitting", 2048)] {
        temp.write(&format!("{folder}/labels.csv"), &list);
        temp.write(&format!("{folder}/a.png"), png(size, size));
    }
    let nodes = vec![
        node("GlobalAveragePool", &["x"], "p"),
        node("Flatten", &["p"], "f"),
        node("MatMul", &["f", "w"], "y"),
    ];
    let weights = vec![floats("w", &[1, 2], &[1.0, 2.0])];
    let pool = model(&[1, 1, 2048, 2048], nodes, weights);
    temp.write("pool.onnx", pool.encode_to_vec());
    vec![
        bomb(
            "import m.onnx --calibrate large -o out",
            &["a.png", "[4096, 4096]", "takes [2]"],
        ),
        bomb(
            "import pool.onnx --calibrate fitting -o out",
            &["fitting", "packed bytes cannot hold"],
        ),
    ]
}

/// Returns the valid model with its first weights `count` times in another file.
pub fn external(location: &str, dims: &[i64], count: usize) -> ModelProto {
    let mut model = valid();
    let graph = model.graph.as_mut().unwrap();
    let entry = StringStringEntry {
        key: Some("location".into()),
        value: Some(location.into()),
    };
    let weights = TensorProto {
        dims: dims.to_vec(),
        float_data: vec![],
        data_location: Some(1),
        external_data: vec![entry],
        ..graph.initializer.remove(0)
    };
    let others = (1..count).map(|index| TensorProto {
        name: Some(format!("w{index}")),
        ..weights.clone()
    });
    graph.initializer.extend(others);
    graph.initializer.push(weights);
    model
}

/// Returns a network whose outputs leave the range of float32.
pub fn overflowing() -> ModelProto {
    let nodes = vec![node("Gemm", &["x", "w"], "y")];
    model(&[1, 2], nodes, vec![floats("w", &[2, 2], &[3.4e38; 4])])
}

/// Networks with giant shapes that cost a few bytes.
fn networks(temp: &TemporaryFolder) -> Vec<Bomb> {
    const GIANT: i64 = 100_000_000;
    let mut bombs = Vec::new();
    let mut add = |name: &str, model: ModelProto, words: &[&'static str]| {
        temp.write(&format!("{name}.onnx"), model.encode_to_vec());
        bombs.push(bomb(
            format!("import {name}.onnx --calibrate x.npy -o out"),
            words,
        ));
    };
    let tensor = |name: &str, values: &[i64]| TensorProto {
        data_type: Some(7),
        int64_data: values.to_vec(),
        ..floats(name, &[values.len() as i64], &[])
    };
    let announced = TensorProto {
        float_data: vec![],
        ..floats("w", &[2, GIANT], &[])
    };
    add(
        "announced",
        model(
            &[1, 2],
            vec![node("MatMul", &["x", "w"], "y")],
            vec![announced],
        ),
        &["announced.onnx", "its shape takes"],
    );
    for operator in ["ConstantOfShape", "Expand", "Tile", "Resize"] {
        let inputs = match operator {
            "ConstantOfShape" => vec!["s"],
            _ => vec!["w", "s"],
        };
        let nodes = vec![
            node(operator, &inputs, "c"),
            node("MatMul", &["x", "c"], "y"),
        ];
        let constants = vec![tensor("s", &[2, GIANT]), floats("w", &[2, 1], &[1.0, 2.0])];
        add(operator, model(&[1, 2], nodes, constants), &[operator]);
    }
    let padded = vec![
        with(
            &[integers("pads", &[1500, 1500, 1500, 1500])],
            node("Conv", &["x", "k"], "c"),
        ),
        node("GlobalAveragePool", &["c"], "p"),
        node("Flatten", &["p"], "f"),
        node("MatMul", &["f", "w"], "y"),
    ];
    let constants = vec![
        floats("k", &[1, 1, 1, 1], &[1.0]),
        floats("w", &[1, 2], &[1.0, 2.0]),
    ];
    add(
        "padded",
        model(&[1, 1, 1, 2], padded, constants),
        &["padded.onnx"],
    );
    let wide = vec![node("Relu", &["x"], "r"), node("Relu", &["r"], "y")];
    add(
        "wide",
        model(&[1, GIANT], wide, vec![]),
        &["wide.onnx", "more than"],
    );
    write_sparse(temp, "sparse.bin", &[], 800_000_000);
    add(
        "sparse",
        external("sparse.bin", &[2, GIANT], 1),
        &["sparse.bin", "stored ones"],
    );
    temp.write("shared.bin", vec![0; 4_000_000]);
    add(
        "shared",
        external("shared.bin", &[1_000_000], 100),
        &["shared.bin", "more than once"],
    );
    write_sparse(temp, "hole.onnx", &[0x3a], 1 << 30);
    bombs.push(bomb(
        "import hole.onnx --calibrate x.npy -o out",
        &["hole.onnx", "stored ones"],
    ));
    bombs
}

/// Copies the model folder and edits its `model.json`.
fn edited(temp: &TemporaryFolder, folder: &str, edit: impl FnOnce(&mut Value)) {
    temp.copy("model", folder);
    edit_json(temp, folder, edit);
}

fn edit_json(temp: &TemporaryFolder, folder: &str, edit: impl FnOnce(&mut Value)) {
    let file = format!("{folder}/model.json");
    let mut json = serde_json::from_str(&temp.read(&file)).unwrap();
    edit(&mut json);
    temp.write(&file, serde_json::to_vec(&json).unwrap());
}

/// Model folders.
fn folders(temp: &TemporaryFolder) -> Vec<Bomb> {
    let mut bombs = Vec::new();
    let mut list = |folder: &str, words: &[&'static str]| {
        bombs.push(bomb(format!("list --model {folder}"), words));
    };
    edited(temp, "input", |json| {
        json["input"]["shape"] = json!([16_777_216])
    });
    list("input", &["input/model.json", "input.shape"]);
    edited(temp, "padding", |json| {
        json["input"]["shape"] = json!([1, 1, 2]);
        json["input"]["scale"] = json!(1.0);
        json["input"]["offset"] = json!(0.0);
        json["layers"] = json!([{
            "op": "average_pool", "name": "pool", "kernel": [1, 1], "stride": [1, 1],
            "padding": [1000, 1000, 1000, 1000], "count_padding": true,
        }]);
    });
    list(
        "padding",
        &["padding/model.json", "layers[0] \"pool\"", "too large"],
    );
    edited(temp, "grown", |json| {
        json["input"]["shape"] = json!([1, 1, 2]);
        json["input"]["scale"] = json!(1.0);
        json["input"]["offset"] = json!(0.0);
        let pool = |index: usize| {
            json!({
                "op": "average_pool", "name": format!("pool{index}"), "kernel": [1, 1],
                "stride": [1, 1], "padding": [100, 100, 100, 100], "count_padding": true,
            })
        };
        json["layers"] = (0..50).map(pool).collect();
    });
    list("grown", &["grown/model.json", "too large"]);
    edited(temp, "tensors", |json| {
        let first = json["weights"]["tensors"][0].clone();
        let named = |index: usize| {
            let mut tensor = first.clone();
            tensor["name"] = json!(format!("t{index}"));
            tensor
        };
        json["weights"]["tensors"] = (0..20_000).map(named).collect();
    });
    list("tensors", &["weights.bin", "more numbers than the file"]);
    edited(temp, "values", |json| {
        json["layers"] = json!(vec![0; 2_000_000])
    });
    list("values", &["values/model.json", "more than 1048576 values"]);
    temp.copy("model", "deep");
    temp.write("deep/model.json", "[".repeat(5_000_000));
    list("deep", &["deep/model.json", "values"]);
    temp.copy("model", "long");
    write_sparse(temp, "long/model.json", b"{", 1 << 30);
    list("long", &["long/model.json", "bytes that are read"]);
    temp.copy("model", "weights");
    write_sparse(temp, "weights/weights.bin", &[], 1 << 30);
    list("weights", &["weights/weights.bin", "stored ones"]);
    // A header of nested tuples.
    temp.copy("model", "nested");
    let header = "(".repeat(60_000);
    let length = (header.len() as u32).to_le_bytes();
    let array = [b"\x93NUMPY\x02\x00", &length[..], header.as_bytes()].concat();
    temp.write("nested/test-images.npy", &array);
    edit_json(temp, "nested", |json| {
        json["test"]["images_sha256"] = json!(hex_digest(&array));
    });
    list("nested", &["nested/test-images.npy"]);
    bombs
}

/// Split files, descriptions and tables.
fn tables(temp: &TemporaryFolder) -> Vec<Bomb> {
    let placements = "\"C\",".repeat(2_000_000);
    temp.write(
        "many.json",
        SPLITS_OPEN.to_owned() + &placements + "\"C\"]}",
    );
    temp.copy("r", "deep-r");
    temp.write("deep-r/environment.json", "{\"a\":".repeat(100_000));
    temp.copy("r", "rows");
    let table = temp.read("r/splits.csv");
    let (header, _) = table.split_once('\n').unwrap();
    let row = shortest_row(&table);
    let mut rows = header.to_owned() + "\n";
    (0..200_000).for_each(|_| writeln!(rows, "{row}").unwrap());
    temp.write("rows/splits.csv", rows);
    temp.copy("r", "columns");
    temp.write("columns/splits.csv", ",".repeat(20_000_000));
    vec![
        bomb(
            "sweep --splits many.json --out out",
            &["many.json", "more than 1048576 values"],
        ),
        bomb("report deep-r", &["deep-r/environment.json", "recursion"]),
        bomb(
            "choose rows",
            &["rows/splits.csv", "rows that say next to nothing"],
        ),
        bomb("choose columns", &["columns/splits.csv", "columns"]),
    ]
}

const SPLITS_OPEN: &str = r#"{"name": "many", "why": "", "model": "digits-mlp", "images": 1,
    "repeats": 1, "placements": ["#;

/// Returns the first row of a table with all that may be empty left out.
fn shortest_row(table: &str) -> String {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let record = reader.records().next().unwrap().unwrap();
    let cells: Vec<&str> = record.iter().collect();
    let parses = |cells: &[&str]| {
        let record = csv::StringRecord::from(cells.to_vec());
        let header = csv::Reader::from_reader(table.as_bytes())
            .headers()
            .unwrap()
            .clone();
        record
            .deserialize::<splitbench::record::row::SplitRow>(Some(&header))
            .is_ok()
    };
    let mut shortest = cells.clone();
    for index in 0..cells.len() {
        let kept = std::mem::take(&mut shortest[index]);
        if !parses(&shortest) {
            shortest[index] = kept;
        }
    }
    shortest.join(",")
}
