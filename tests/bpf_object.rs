//! The committed object: made from the sources that lie beside it, and laid out as this side reads it.

use std::collections::HashMap;

use lazaret::record::wire;

include!("../ebpf/compile.rs");

fn ebpf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ebpf")
}

fn committed() -> Vec<u8> {
    std::fs::read(ebpf().join("lazaret.bpf.o")).expect("the committed object")
}

#[test]
fn the_committed_object_and_its_sources_have_the_digests_that_stand_beside_them() {
    let sums = std::fs::read_to_string(ebpf().join("lazaret.bpf.sha256")).unwrap();
    let sources = sources_digest(&ebpf()).unwrap();
    let expected = format!("{}  lazaret.bpf.o\n{sources}  sources\n", digest(&committed()));
    assert_eq!(sums, expected, "run `LAZARET_BPF=build cargo build` and commit ebpf/");
}

#[test]
fn compiling_the_sources_elsewhere_gives_the_committed_bytes() {
    let must = std::env::var_os("LAZARET_LIVE").is_some_and(|value| value == "1");
    if !must && Command::new(CLANG).arg("--version").output().is_err() {
        eprintln!("skipped: needs {CLANG}");
        return;
    }
    let elsewhere = std::env::temp_dir().join(format!("ebpf-{}", std::process::id()));
    std::fs::create_dir_all(&elsewhere).unwrap();
    for source in sources(&ebpf()).unwrap() {
        std::fs::copy(&source, elsewhere.join(source.file_name().unwrap())).unwrap();
    }
    let object = elsewhere.join("rebuilt.o");
    let compiled = compile(&elsewhere, &object).map(|()| std::fs::read(&object).unwrap());
    std::fs::remove_dir_all(&elsewhere).unwrap();
    assert!(compiled.expect("compiles") == committed(), "the object differs from its sources");
}

#[test]
fn both_sides_lay_out_the_wire_alike() {
    let object = committed();
    let types = Types::parse(section(&object, ".BTF"));
    for layout in wire::LAYOUTS {
        let (size, fields) = types.structs.get(layout.name).expect(layout.name);
        assert_eq!(*size, layout.size, "size of {}", layout.name);
        let ours: Vec<_> =
            layout.fields.iter().map(|(name, at, size)| (name.to_string(), *at, *size)).collect();
        assert_eq!(*fields, ours, "fields of {}", layout.name);
    }
    // A struct that only the probes know would be read by nobody.
    let known: Vec<_> = wire::LAYOUTS.iter().map(|layout| layout.name).collect();
    let unknown: Vec<_> = types
        .structs
        .keys()
        .filter(|name| name.starts_with("lz_") && !known.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The content of a section of a 64-bit ELF file in host order (System V ABI).
fn section<'a>(elf: &'a [u8], wanted: &str) -> &'a [u8] {
    let headers = number(elf, 40, 8);
    let (size, count, names) = (number(elf, 58, 2), number(elf, 60, 2), number(elf, 62, 2));
    let header = |index: usize| &elf[headers + index * size..][..size];
    let content = |index: usize| {
        let header = header(index);
        &elf[number(header, 24, 8)..][..number(header, 32, 8)]
    };
    let names = content(names);
    let index = (0..count).find(|&index| text(names, number(header(index), 0, 4)) == wanted);
    content(index.expect("the section"))
}

fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    let mut number = [0; 8];
    number[..size].copy_from_slice(&bytes[at..at + size]);
    usize::from_ne_bytes(number)
}

fn text(bytes: &[u8], at: usize) -> String {
    let text = bytes[at..].split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

type Field = (String, usize, usize);

/// Structs of BTF (Documentation/bpf/btf.rst) with their sizes and fields.
struct Types {
    structs: HashMap<String, (usize, Vec<Field>)>,
}

/// A type as far as sizes need it.
enum Shape {
    Sized(usize),
    Array { element: usize, count: usize },
    Same(usize),
    Struct { name: String, size: usize, members: Vec<(String, usize, usize)> },
    Other,
}

impl Types {
    fn parse(btf: &[u8]) -> Types {
        let head = number(btf, 4, 4);
        let types = &btf[head + number(btf, 8, 4)..][..number(btf, 12, 4)];
        let strings = &btf[head + number(btf, 16, 4)..];
        let mut shapes = vec![Shape::Other];
        let mut at = 0;
        while at < types.len() {
            let (shape, length) = shape(&types[at..], strings);
            shapes.push(shape);
            at += length;
        }
        let structs = shapes.iter().filter_map(|shape| match shape {
            Shape::Struct { name, size, members } => {
                let fields =
                    members.iter().map(|(name, id, at)| (name.clone(), *at, size_of_type(&shapes, *id)));
                Some((name.clone(), (*size, fields.collect())))
            }
            _ => None,
        });
        Types { structs: structs.collect() }
    }
}

fn shape(bytes: &[u8], strings: &[u8]) -> (Shape, usize) {
    let (name, info, size) = (number(bytes, 0, 4), number(bytes, 4, 4), number(bytes, 8, 4));
    let count = info & 0xffff;
    let member = |index: usize| {
        let member = &bytes[12 + index * 12..];
        (text(strings, number(member, 0, 4)), number(member, 4, 4), (number(member, 8, 4) & 0xff_ffff) / 8)
    };
    match (info >> 24) & 0x1f {
        1 => (Shape::Sized(size), 16),
        2 => (Shape::Sized(8), 12),
        3 => (Shape::Array { element: number(bytes, 12, 4), count: number(bytes, 20, 4) }, 24),
        4 => {
            let members = (0..count).map(member).collect();
            (Shape::Struct { name: text(strings, name), size, members }, 12 + 12 * count)
        }
        5 | 15 | 19 => (Shape::Sized(size), 12 + 12 * count),
        6 => (Shape::Sized(size), 12 + 8 * count),
        8..=11 | 18 => (Shape::Same(size), 12),
        13 => (Shape::Other, 12 + 8 * count),
        14 | 17 => (Shape::Other, 16),
        7 | 12 | 16 => (Shape::Other, 12),
        kind => panic!("BTF kind {kind}"),
    }
}

fn size_of_type(shapes: &[Shape], id: usize) -> usize {
    match &shapes[id] {
        Shape::Sized(size) | Shape::Struct { size, .. } => *size,
        Shape::Array { element, count } => count * size_of_type(shapes, *element),
        Shape::Same(id) => size_of_type(shapes, *id),
        Shape::Other => 0,
    }
}
