//! The files that the sandbox put there before the start, followed under all their names.
//!
//! A file is known by its inode on the sandbox's root file system, whatever it is called by then. Calls
//! that give only a string are followed by name. What is copied out of a file is not followed.

use std::collections::HashMap;

use super::Supplied;
use crate::event::Bytes;
use crate::record::KernelFile;

#[derive(Debug, Default)]
pub(super) struct SuppliedFiles {
    files: HashMap<u64, Option<Bytes>>,
    names: HashMap<Vec<u8>, u64>,
}

impl SuppliedFiles {
    pub fn new(supplied: Vec<Supplied>) -> SuppliedFiles {
        let mut files = SuppliedFiles::default();
        for Supplied { path, inode, bait } in supplied {
            files.names.insert(path, inode);
            files.files.insert(inode, bait);
        }
        files
    }

    /// The file by its number on the root file system; inside, its bait.
    pub fn of_number(&self, number: u64) -> Option<&Option<Bytes>> {
        self.files.get(&number)
    }

    pub fn of_path(&self, path: &[u8]) -> Option<&Option<Bytes>> {
        self.files.get(self.names.get(path)?)
    }

    /// A new file can get the number of one that is gone.
    pub fn created(&mut self, file: &KernelFile) {
        self.files.remove(&file.inode);
    }

    pub fn renamed(&mut self, from: &[u8], to: &[u8]) {
        match self.names.remove(from) {
            Some(number) => drop(self.names.insert(to.to_vec(), number)),
            None => drop(self.names.remove(to)),
        }
    }

    pub fn exchanged(&mut self, one: &[u8], other: &[u8]) {
        let (first, second) = (self.names.remove(one), self.names.remove(other));
        self.names.extend(second.map(|number| (one.to_vec(), number)));
        self.names.extend(first.map(|number| (other.to_vec(), number)));
    }

    pub fn linked(&mut self, from: &[u8], to: &[u8]) {
        // No more names than a program can make links; each was an event.
        if let Some(number) = self.names.get(from).copied().filter(|_| self.names.len() < NAMES_MAX) {
            self.names.insert(to.to_vec(), number);
        }
    }

    pub fn unlinked(&mut self, path: &[u8]) {
        self.names.remove(path);
    }
}

/// Names that are followed; past it a further hard link is known by its inode only.
const NAMES_MAX: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> SuppliedFiles {
        let key =
            Supplied { path: b"/root/.ssh/id_rsa".to_vec(), inode: 7, bait: Some(Bytes::from(*b"ssh-key")) };
        let bundle = Supplied { path: b"/etc/x.pem".to_vec(), inode: 8, bait: None };
        SuppliedFiles::new(vec![key, bundle])
    }

    #[test]
    fn a_file_is_followed_under_all_its_names() {
        let mut files = files();
        let bait = |files: &SuppliedFiles, path: &str| -> Option<Bytes> {
            files.of_path(path.as_bytes()).cloned().flatten()
        };
        let key = Some(Bytes::from(*b"ssh-key"));
        files.linked(b"/root/.ssh/id_rsa", b"/tmp/a");
        files.renamed(b"/root/.ssh/id_rsa", b"/tmp/b");
        files.exchanged(b"/tmp/b", b"/tmp/c");
        for (path, expected) in
            [("/tmp/a", &key), ("/tmp/c", &key), ("/tmp/b", &None), ("/root/.ssh/id_rsa", &None)]
        {
            assert_eq!(&bait(&files, path), expected, "{path}");
        }
        files.renamed(b"/tmp/other", b"/tmp/a");
        files.unlinked(b"/tmp/c");
        assert_eq!((bait(&files, "/tmp/a"), bait(&files, "/tmp/c")), (None, None));
        assert_eq!(files.of_path(b"/etc/x.pem"), Some(&None));
    }

    #[test]
    fn a_new_file_with_an_old_number_is_no_bait() {
        let mut files = files();
        assert!(files.of_number(7).is_some());
        files.created(&KernelFile { inode: 7, ..KernelFile::default() });
        assert_eq!(files.of_number(7), None);
    }
}
