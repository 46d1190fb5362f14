//! Netlink messages: a header, a fixed head of the family's own, attributes (linux/netlink.h).

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
/// An attribute that holds attributes.
const NESTED: u16 = 1 << 15;

/// Makes what does not exist; what exists is an error.
pub const NEW: u16 = 0x600; // NLM_F_CREATE | NLM_F_EXCL
/// Makes, and puts at the end of a list.
pub const APPEND: u16 = 0xc00; // NLM_F_CREATE | NLM_F_APPEND
/// Changes what exists.
pub const CHANGE: u16 = 0;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Everything after the header.
    bytes: Vec<u8>,
    kind: u16,
    flags: u16,
}

impl Message {
    /// A request that the kernel answers.
    pub fn new(kind: u16, flags: u16, head: &[u8]) -> Message {
        Message { bytes: head.to_vec(), kind, flags: flags | NLM_F_REQUEST | NLM_F_ACK }
    }

    /// One that only stands between others.
    pub fn unanswered(kind: u16, head: &[u8]) -> Message {
        Message { bytes: head.to_vec(), kind, flags: NLM_F_REQUEST }
    }

    pub fn is_answered(&self) -> bool {
        self.flags & NLM_F_ACK != 0
    }

    /// Adds an attribute.
    pub fn put(mut self, kind: u16, value: &[u8]) -> Message {
        let length = u16::try_from(4 + value.len()).expect("our attributes are short");
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.pad();
        self
    }

    /// Adds a text with its final zero.
    pub fn text(self, kind: u16, value: &str) -> Message {
        self.put(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub fn number(self, kind: u16, value: u32) -> Message {
        self.put(kind, &value.to_ne_bytes())
    }

    /// A number as nf_tables has them, most significant byte first.
    pub fn network(self, kind: u16, value: u32) -> Message {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds an attribute that holds what `fill` adds.
    pub fn nest(self, kind: u16, fill: impl FnOnce(Message) -> Message) -> Message {
        self.nest_behind(kind, &[], fill)
    }

    /// The same with a head of its own in front.
    pub fn nest_behind(mut self, kind: u16, head: &[u8], fill: impl FnOnce(Message) -> Message) -> Message {
        let begin = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend((kind | NESTED).to_ne_bytes());
        self.bytes.extend(head);
        let mut message = fill(self);
        let length = u16::try_from(message.bytes.len() - begin).expect("our attributes are short");
        message.bytes[begin..begin + 2].copy_from_slice(&length.to_ne_bytes());
        message
    }

    /// The message as it is sent; an answer refers to it by `number`.
    pub fn finish(self, number: u32) -> Vec<u8> {
        let length = (HEADER + self.bytes.len()) as u32;
        let mut message = Vec::with_capacity(length as usize);
        message.extend(length.to_ne_bytes());
        message.extend(self.kind.to_ne_bytes());
        message.extend(self.flags.to_ne_bytes());
        message.extend(number.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(self.bytes);
        message
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Which request is answered, and with which error number; 0: done.
pub fn answers(mut bytes: &[u8]) -> Vec<(u32, i32)> {
    let mut all = Vec::new();
    while let Some(length) = bytes.first_chunk().map(|it| u32::from_ne_bytes(*it) as usize) {
        let Some(message) = bytes.get(..length).filter(|_| length >= HEADER) else { break };
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        let number = u32::from_ne_bytes([message[8], message[9], message[10], message[11]]);
        if let (NLMSG_ERROR, Some(error)) = (kind, message[HEADER..].first_chunk()) {
            all.push((number, i32::from_ne_bytes(*error).saturating_neg()));
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}
