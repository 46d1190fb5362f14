//! Zip archives without compression (APPNOTE.TXT 6.3.10), as wheels and jars are read.

use flate2::Crc;

use super::archive::Member;

/// 1980-01-01, as the format counts days.
const DATE: u16 = 1 << 5 | 1;
const VERSION: u16 = 20;

/// Local headers and contents, then the directory of them all.
pub fn store(members: &[Member]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let offset = archive.len() as u32;
        archive.extend(b"PK\x03\x04");
        archive.extend(common(member));
        archive.extend(member.name.bytes());
        archive.extend(&member.content);
        directory.extend(b"PK\x01\x02");
        // Made by Unix: the mode stands in the upper half of the outer attributes.
        directory.extend((3u16 << 8 | VERSION).to_le_bytes());
        directory.extend(common(member));
        // No comment, first disk, no inner attributes.
        directory.extend([0; 6]);
        directory.extend(((0o100_000 | member.mode) << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(member.name.bytes());
    }
    let (start, size, count) = (archive.len() as u32, directory.len() as u32, members.len() as u16);
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].into_iter().flat_map(u16::to_le_bytes));
    archive.extend([size, start].into_iter().flat_map(u32::to_le_bytes));
    archive.extend([0, 0]);
    archive
}

/// What both headers have in common: version to the length of the extra field.
fn common(member: &Member) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(&member.content);
    let size = member.content.len() as u32;
    let mut header = Vec::with_capacity(26);
    // Names in UTF-8; stored; at midnight.
    header.extend([VERSION, 1 << 11, 0, 0, DATE].into_iter().flat_map(u16::to_le_bytes));
    header.extend([crc.sum(), size, size].into_iter().flat_map(u32::to_le_bytes));
    header.extend([member.name.len() as u16, 0].into_iter().flat_map(u16::to_le_bytes));
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_found_where_the_end_says() {
        let bytes = store(&[Member::new("a", "1"), Member::new("b/c", "22")]);
        let end = bytes.len() - 22;
        assert_eq!(bytes[end..end + 4], *b"PK\x05\x06");
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (size, start) = (number(end + 12), number(end + 16));
        assert_eq!(start + size, end);
        assert_eq!(bytes[start..start + 4], *b"PK\x01\x02");
        // The second local header begins after thirty bytes, a name and a content of one byte each.
        assert_eq!(bytes[32..36], *b"PK\x03\x04");
    }
}
