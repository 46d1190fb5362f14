//! Reads a TLS ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2) from the first bytes of a stream.
//!
//! The bytes are the sample's: they may come one by one, lie about their lengths, or be something else
//! altogether. Reading is total and bounded by [`HELLO_MAX`].
//!
//! Not here: whether the handshake is possible, which is rustls' to decide. See [`super`].

/// No handshake message that a server takes is longer (rustls has the same bound).
pub const HELLO_MAX: usize = 0xffff;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Of one record (RFC 5246, 6.2.1).
const RECORD_MAX: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// What a ClientHello offers, in its order; GREASE values (RFC 8701) are among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// `legacy_version`.
    pub version: u16,
    /// Of the extension `supported_versions`.
    pub versions: Vec<u16>,
    pub ciphers: Vec<u16>,
    /// Types of the extensions.
    pub extensions: Vec<u16>,
    pub signatures: Vec<u16>,
    /// Of the extension `supported_groups`.
    pub groups: Vec<u16>,
    /// In the outer hello, where there is an encrypted one.
    pub server_name: Option<Vec<u8>>,
    pub alpn: Vec<Vec<u8>>,
}

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is whole.
    Hello(Box<ClientHello>),
    /// So far it can become one.
    More,
    /// It is none.
    Other,
}

/// Reads the stream's first bytes.
pub fn read(stream: &[u8]) -> Reading {
    let mut message = Vec::new();
    let mut rest = stream;
    loop {
        match record(rest) {
            Record::Whole(content, after) => {
                message.extend_from_slice(content);
                rest = after;
            }
            Record::Part(content) => {
                message.extend_from_slice(content);
                return match length(&message) {
                    Length::Other => Reading::Other,
                    _ => Reading::More,
                };
            }
            Record::Other => return Reading::Other,
        }
        match length(&message) {
            Length::Known(length) if message.len() >= length => return whole(&message[4..length]),
            Length::Other => return Reading::Other,
            _ => {}
        }
    }
}

/// The whole message, with its header, of a stream that [`read`] says holds one; and what follows it.
pub fn message(stream: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut message, mut rest) = (Vec::new(), stream);
    while let Record::Whole(content, after) = record(rest) {
        message.extend_from_slice(content);
        rest = after;
        match length(&message) {
            Length::Known(length) if message.len() >= length => {
                message.truncate(length);
                return Some((message, rest));
            }
            Length::Other => return None,
            _ => {}
        }
    }
    None
}

enum Record<'s> {
    Whole(&'s [u8], &'s [u8]),
    Part(&'s [u8]),
    Other,
}

fn record(stream: &[u8]) -> Record<'_> {
    let header = &stream[..stream.len().min(5)];
    let is_start = header.iter().zip([HANDSHAKE, 3]).all(|(byte, expected)| *byte == expected);
    let [_, _, _, high, low] = *header else {
        return if is_start { Record::Part(&[]) } else { Record::Other };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !is_start || length == 0 || length > RECORD_MAX {
        return Record::Other;
    }
    match stream[5..].split_at_checked(length) {
        Some((content, rest)) => Record::Whole(content, rest),
        None => Record::Part(&stream[5..]),
    }
}

enum Length {
    Known(usize),
    Unknown,
    Other,
}

/// Of the whole handshake message, its header of four bytes included.
fn length(message: &[u8]) -> Length {
    match *message {
        [kind, ..] if kind != CLIENT_HELLO => Length::Other,
        [_, high, middle, low, ..] => {
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            if length <= HELLO_MAX { Length::Known(length + 4) } else { Length::Other }
        }
        _ => Length::Unknown,
    }
}

fn whole(body: &[u8]) -> Reading {
    client_hello(body).map_or(Reading::Other, |hello| Reading::Hello(Box::new(hello)))
}

fn client_hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    let mut hello = ClientHello { version: reader.u16()?, ..ClientHello::default() };
    reader.take(32)?;
    reader.short_vector()?;
    hello.ciphers = numbers(reader.vector()?);
    reader.short_vector()?;
    // Before TLS 1.3 the extensions may be missing.
    let mut extensions = Reader(if reader.0.is_empty() { &[] } else { reader.vector()? });
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        hello.extension(kind, extensions.vector()?);
    }
    Some(hello)
}

impl ClientHello {
    /// An extension with content of another form is known by its type alone.
    fn extension(&mut self, kind: u16, content: &[u8]) {
        self.extensions.push(kind);
        let mut reader = Reader(content);
        match kind {
            SERVER_NAME => self.server_name = self.server_name.take().or_else(|| server_name(content)),
            SIGNATURE_ALGORITHMS => self.signatures = numbers(reader.vector().unwrap_or_default()),
            SUPPORTED_GROUPS => self.groups = numbers(reader.vector().unwrap_or_default()),
            SUPPORTED_VERSIONS => self.versions = numbers(reader.short_vector().unwrap_or_default()),
            ALPN => self.alpn = protocols(reader.vector().unwrap_or_default()),
            _ => {}
        }
    }
}

/// The first host name of the list (RFC 6066, 3).
fn server_name(content: &[u8]) -> Option<Vec<u8>> {
    const HOST_NAME: u8 = 0;
    let mut list = Reader(Reader(content).vector()?);
    loop {
        let kind = list.take(1)?[0];
        let name = list.vector()?;
        if kind == HOST_NAME {
            return Some(name.to_vec());
        }
    }
}

fn protocols(list: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader(list);
    std::iter::from_fn(|| reader.short_vector().map(<[u8]>::to_vec)).collect()
}

fn numbers(list: &[u8]) -> Vec<u16> {
    list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// With a length of two bytes.
    fn vector(&mut self) -> Option<&'b [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// With a length of one byte.
    fn short_vector(&mut self) -> Option<&'b [u8]> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn vector(content: &[u8]) -> Vec<u8> {
        [&(content.len() as u16).to_be_bytes(), content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector(content)].concat()
    }

    fn bytes(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// The stream that says this hello, in records of so many bytes.
    pub fn stream(hello: &ClientHello, record: usize) -> Vec<u8> {
        let extensions: Vec<u8> = hello.extensions.iter().flat_map(|kind| content(hello, *kind)).collect();
        let body = [
            &hello.version.to_be_bytes()[..],
            &[7; 32],
            &[0],
            &vector(&bytes(&hello.ciphers)),
            &[1, 0],
            &vector(&extensions),
        ]
        .concat();
        let message = [&[1, 0], &vector(&body)[..]].concat();
        message.chunks(record).flat_map(|part| [&[22, 3, 1], &vector(part)[..]].concat()).collect()
    }

    fn content(hello: &ClientHello, kind: u16) -> Vec<u8> {
        match kind {
            SERVER_NAME => {
                let name = hello.server_name.clone().unwrap_or_default();
                extension(kind, &vector(&[&[0], &vector(&name)[..]].concat()))
            }
            SIGNATURE_ALGORITHMS => extension(kind, &vector(&bytes(&hello.signatures))),
            SUPPORTED_VERSIONS => {
                let versions = bytes(&hello.versions);
                extension(kind, &[&[versions.len() as u8], &versions[..]].concat())
            }
            SUPPORTED_GROUPS => extension(kind, &vector(&bytes(&hello.groups))),
            ALPN => {
                let list: Vec<u8> =
                    hello.alpn.iter().flat_map(|name| [&[name.len() as u8], &name[..]].concat()).collect();
                extension(kind, &vector(&list))
            }
            _ => extension(kind, b"whatever"),
        }
    }

    fn sample() -> ClientHello {
        ClientHello {
            version: 0x0303,
            versions: vec![0x0a0a, 0x0304, 0x0303],
            ciphers: vec![0x1301, 0xc02f],
            extensions: vec![0x1a1a, 0, 10, 13, 16, 43, 0xfe0d],
            signatures: vec![0x0403, 0x0804],
            groups: vec![0x001d],
            server_name: Some(b"a.example".to_vec()),
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }

    #[test]
    fn a_hello_is_read_however_it_is_cut() {
        for record in [1, 2, 5, 50, 10_000] {
            let bytes = stream(&sample(), record);
            assert_eq!(read(&bytes), Reading::Hello(Box::new(sample())), "records of {record}");
            for length in 0..bytes.len() {
                assert_eq!(read(&bytes[..length]), Reading::More, "{length} of records of {record}");
            }
            let more = [&bytes[..], b"more"].concat();
            assert_eq!(read(&more), Reading::Hello(Box::new(sample())));
            let (message, rest) = message(&more).unwrap();
            assert_eq!((message[0], rest), (1, &b"more"[..]));
            assert_eq!(whole(&message[4..]), Reading::Hello(Box::new(sample())));
        }
    }

    #[test]
    fn what_is_no_hello_is_said_to_be_none() {
        let cases: [&[u8]; 8] = [
            b"GET / HTTP/1.1",
            &[22, 4],
            &[22, 3, 1, 0, 0],
            &[22, 3, 1, 0xff, 0xff],
            &[22, 3, 1, 0, 4, 2],
            &[22, 3, 1, 0, 4, 1, 1, 0, 0],
            &[22, 3, 1, 0, 4, 1, 0, 0, 0],
            &[22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3],
        ];
        for case in cases {
            assert_eq!(read(case), Reading::Other, "{case:?}");
        }
    }

    #[test]
    fn no_length_that_lies_is_believed() {
        let right = stream(&sample(), 10_000);
        for at in 0..right.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut wrong = right.clone();
                wrong[at] = value;
                let _ = read(&wrong);
            }
        }
    }
}
