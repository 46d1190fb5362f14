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

/// Kernels before 6.13 give all functions of a chain of calls 512 bytes together, each rounded up to 32
/// (kernel/bpf/verifier.c, check_max_stack_depth; 16 since 6.8), and no more than eight of them
/// (MAX_CALL_FRAMES). Where the tests run a newer kernel may give each its own.
#[test]
fn no_chain_of_calls_needs_more_stack_than_the_oldest_kernel_gives() {
    let object = committed();
    let code = Code::parse(&object);
    assert!(code.functions.len() > 40, "{}", code.functions.len());
    for index in 0..code.functions.len() {
        let (bytes, chain) = code.deepest(index);
        assert!(bytes <= 512 && chain.len() <= 8, "{bytes} bytes: {}", chain.join(" → "));
    }
}

/// What a function takes of the stack, and which it calls.
struct Function {
    name: String,
    section: usize,
    at: usize,
    size: usize,
    stack: usize,
    calls: Vec<usize>,
}

struct Code {
    functions: Vec<Function>,
}

impl Code {
    fn parse(elf: &[u8]) -> Code {
        let symbols = table(elf, 2).next().expect("symbols");
        let names = content(elf, number(header(elf, symbols), 40, 4));
        let symbols: Vec<_> = content(elf, symbols).chunks(24).collect();
        let functions = symbols.iter().filter(|symbol| symbol[4] & 15 == 2).map(|symbol| Function {
            name: text(names, number(symbol, 0, 4)),
            section: number(symbol, 6, 2),
            at: number(symbol, 8, 8),
            size: number(symbol, 16, 8),
            stack: 0,
            calls: Vec::new(),
        });
        let mut code = Code { functions: functions.collect() };
        let mut targets = HashMap::new();
        for relocations in table(elf, 9) {
            let section = number(header(elf, relocations), 44, 4);
            for relocation in content(elf, relocations).chunks(16) {
                let symbol = symbols[number(relocation, 12, 4)];
                let is_function = symbol[4] & 15 == 2;
                let place = (section, number(relocation, 0, 8));
                targets.insert(place, (is_function, number(symbol, 6, 2), number(symbol, 8, 8)));
            }
        }
        for index in 0..code.functions.len() {
            let function = &code.functions[index];
            let body = &content(elf, function.section)[function.at..][..function.size];
            let (stack, calls) = code.read(function.section, function.at, body, &targets);
            (code.functions[index].stack, code.functions[index].calls) = (stack, calls);
        }
        code
    }

    /// The instructions of a function (Documentation/bpf/standardization/instruction-set.rst).
    fn read(
        &self,
        section: usize,
        start: usize,
        body: &[u8],
        targets: &HashMap<(usize, usize), (bool, usize, usize)>,
    ) -> (usize, Vec<usize>) {
        let (mut stack, mut calls) = (0, Vec::new());
        let mut copies = [false; 16];
        let mut at = 0;
        while at < body.len() {
            let (code, to, from) = (body[at], body[at + 1] & 15, body[at + 1] >> 4);
            let offset = number(body, at + 2, 2) as u16 as i16;
            let value = number(body, at + 4, 4) as u32 as i32;
            let target = targets.get(&(section, start + at));
            let reaches = match code & 7 {
                1 if from == 10 => -i32::from(offset),
                2 | 3 if to == 10 => -i32::from(offset),
                7 if code == 0x07 && copies[usize::from(to)] => -value, // add
                _ => 0,
            };
            stack = stack.max(usize::try_from(reaches).unwrap_or(0));
            copies[usize::from(to)] = code == 0xbf && from == 10; // mov
            // A call of a function of our own, or its address for a helper that calls it.
            let called = match (code, from, target) {
                (0x85, 1, None) => Some((section, (start + at + 8).wrapping_add_signed(value as isize * 8))),
                (0x85, 1, Some(&(true, section, address))) => Some((section, address)),
                (0x85, 1, Some(&(false, section, base))) => {
                    Some((section, base.wrapping_add_signed((value as isize + 1) * 8)))
                }
                (0x18, _, Some(&(true, section, address))) => Some((section, address)),
                (0x18, _, Some(&(false, section, base))) => Some((section, base + value as usize)),
                _ => None,
            };
            calls.extend(called.and_then(|(section, address)| self.find(section, address)));
            at += if code == 0x18 { 16 } else { 8 };
        }
        (stack, calls)
    }

    fn find(&self, section: usize, address: usize) -> Option<usize> {
        let begins = |function: &Function| function.section == section && function.at == address;
        self.functions.iter().position(begins)
    }

    /// The most that a chain of calls from here on takes, and its functions.
    fn deepest(&self, index: usize) -> (usize, Vec<&str>) {
        let function = &self.functions[index];
        let own = function.stack.max(1).next_multiple_of(32);
        let below = function.calls.iter().map(|call| self.deepest(*call)).max().unwrap_or_default();
        let mut chain = vec![function.name.as_str()];
        chain.extend(below.1);
        (own + below.0, chain)
    }
}

/// Numbers of the sections of a type.
fn table(elf: &[u8], kind: usize) -> impl Iterator<Item = usize> + '_ {
    (0..number(elf, 60, 2)).filter(move |index| number(header(elf, *index), 4, 4) == kind)
}

fn header(elf: &[u8], index: usize) -> &[u8] {
    let size = number(elf, 58, 2);
    &elf[number(elf, 40, 8) + index * size..][..size]
}

fn content(elf: &[u8], index: usize) -> &[u8] {
    let header = header(elf, index);
    &elf[number(header, 24, 8)..][..number(header, 32, 8)]
}

/// The content of a section of a 64-bit ELF file in host order (System V ABI).
fn section<'a>(elf: &'a [u8], wanted: &str) -> &'a [u8] {
    let names = content(elf, number(elf, 62, 2));
    let index =
        (0..number(elf, 60, 2)).find(|&index| text(names, number(header(elf, index), 0, 4)) == wanted);
    content(elf, index.expect("the section"))
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
