//! Files over SSH (draft-ietf-secsh-filexfer-02, version 3): every place can be written to, nothing is there
//! to be read.

use super::super::Turn;
use super::super::packet::Packets;
use super::exchange::{string, take};

/// Of what is written, so much is told in one piece.
const PIECE: usize = 8 << 10;
const OK: u32 = 0;
const END_OF_FILE: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const UNSUPPORTED: u32 = 8;

#[derive(Default)]
pub struct Sftp {
    packets: Packets,
    kept: Vec<u8>,
}

impl Sftp {
    /// Takes in what came; gives what is answered.
    pub fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) -> Vec<u8> {
        let mut said = Vec::new();
        let measure = |head: &[u8]| head.first_chunk().map(|length| u64::from(u32::from_be_bytes(*length)));
        while let Some(packet) = self.packets.next(&mut bytes, measure) {
            let Some((kind, rest)) = packet.body.split_first() else { continue };
            if let Some(answer) = self.packet(*kind, rest, turn) {
                said.extend(string(&answer));
            }
        }
        said
    }

    fn packet(&mut self, kind: u8, rest: &[u8], turn: &mut Turn) -> Option<Vec<u8>> {
        if kind == 1 {
            // Version 3, without extensions.
            return Some(vec![2, 0, 0, 0, 3]);
        }
        let (number, mut rest) = rest.split_first_chunk::<4>()?;
        let status =
            |code: u32| Some([&[101][..], number, &code.to_be_bytes(), &string(b""), &string(b"")].concat());
        match kind {
            // Open a file, a directory; the handle is the same for all.
            3 | 11 => {
                let path = take(&mut rest)?;
                let verb: &[u8] = if kind == 3 { b"OPEN" } else { b"LIST" };
                turn.command(verb, path, path.len() as u64);
                Some([&[102][..], number, &string(b"0")].concat())
            }
            4 => {
                self.tell(turn);
                status(OK)
            }
            6 => {
                take(&mut rest)?;
                self.kept.extend(take(&mut rest.get(8..)?)?);
                if self.kept.len() >= PIECE {
                    self.tell(turn);
                }
                status(OK)
            }
            5 | 12 => status(END_OF_FILE),
            7 | 17 | 19 => status(NO_SUCH_FILE),
            // Attributes of what is open: none.
            8 => Some([&[105][..], number, &[0; 4]].concat()),
            9 | 10 => status(OK),
            13 | 14 | 15 | 18 | 20 => {
                let path = take(&mut rest)?;
                let verb: &[u8] = match kind {
                    13 => b"REMOVE",
                    14 => b"MKDIR",
                    15 => b"RMDIR",
                    18 => b"RENAME",
                    _ => b"LINK",
                };
                turn.command(verb, path, path.len() as u64);
                status(OK)
            }
            // One name, twice, without attributes.
            16 => {
                let path = take(&mut rest)?;
                let path = string(if matches!(path, b"" | b".") { b"/root" } else { path });
                Some([&[104][..], number, &1u32.to_be_bytes(), &path, &path, &[0; 4]].concat())
            }
            _ => status(UNSUPPORTED),
        }
    }

    /// What was written and not told.
    pub fn tell(&mut self, turn: &mut Turn) {
        let kept = std::mem::take(&mut self.kept);
        if !kept.is_empty() {
            turn.command(b"DATA", &kept, kept.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(number: u8, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        string(&[&[kind, 0, 0, 0, number][..], &parts.concat()].concat())
    }

    #[test]
    fn a_file_is_taken_and_told() {
        let write = [&string(b"0")[..], &[0; 8], &string(b"loot")].concat();
        let asked = [
            string(&[1, 0, 0, 0, 3]),
            ask(1, 16, &[&string(b".")]),
            ask(2, 17, &[&string(b"/tmp/x")]),
            ask(3, 3, &[&string(b"/tmp/x"), &[0, 0, 0, 0x1a, 0, 0, 0, 0]]),
            ask(4, 6, &[&write]),
            ask(5, 4, &[&string(b"0")]),
            ask(6, 200, &[&string(b"x")]),
        ]
        .concat();
        let (mut sftp, mut turn, mut said) = (Sftp::default(), Turn::default(), Vec::new());
        asked.chunks(5).for_each(|piece| said.extend(sftp.hear(piece, &mut turn)));
        let told: Vec<_> = turn.commands.iter().map(|(verb, text, _)| (&verb[..], &text[..])).collect();
        assert_eq!(told, [(&b"OPEN"[..], &b"/tmp/x"[..]), (b"DATA", b"loot")]);
        let (mut rest, mut kinds) = (&said[..], Vec::new());
        while let Some(answer) = take(&mut rest) {
            kinds.push(answer[0]);
        }
        assert_eq!(kinds, [2, 104, 101, 102, 101, 101, 101]);
    }

    #[test]
    fn what_is_cut_is_not_answered() {
        let mut turn = Turn::default();
        let cut = [string(&[]), string(&[3]), string(&[3, 0, 0, 0, 1]), string(&[6, 0, 0, 0, 1, 0, 0, 0, 9])];
        assert_eq!(Sftp::default().hear(&cut.concat(), &mut turn), b"");
        assert!(turn.commands.is_empty());
    }
}
