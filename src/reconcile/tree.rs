//! The names on which something was done. Renaming a directory is one step, however much is below it.

use std::collections::HashMap;

/// Names that are remembered.
const NODES_MAX: usize = 1 << 18;
/// Deeper names are not: a path of the kernel's has at most half of PATH_MAX.
const DEPTH_MAX: usize = 2048;

/// What was done at a name.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Opened for writing, or made by an open.
    pub written: bool,
    /// Handed to io_uring for opening: it may have been opened or made.
    pub unconfirmed: bool,
    pub attributes: bool,
    /// An extended attribute was set or removed.
    pub xattrs: bool,
    /// It got here by rename or link.
    pub named: bool,
    /// A directory was made.
    pub made: bool,
    /// A FIFO, socket or device was made.
    pub special: bool,
    pub removed: bool,
    /// The text of the symbolic link that was made.
    pub link: Option<Box<[u8]>>,
    /// The name that it had first, if it may be a file of the image.
    pub source: Option<Box<[u8]>>,
    // Most nodes are files: a pointer each, not a map.
    #[allow(clippy::box_collection)]
    children: Option<Box<HashMap<Box<[u8]>, u32>>>,
}

impl Node {
    /// The same acts, without what is below.
    fn acts(&self) -> Node {
        let Node { written, unconfirmed, attributes, xattrs, named, made, special, removed, .. } = *self;
        let (link, source) = (self.link.clone(), self.source.clone());
        Node {
            written,
            unconfirmed,
            attributes,
            xattrs,
            named,
            made,
            special,
            removed,
            link,
            source,
            children: None,
        }
    }

    /// What stands here cannot have come from the image.
    pub fn is_fresh(&self) -> bool {
        self.made || self.special || self.link.is_some()
    }

    /// Adds what was done at a name before something else came to it.
    fn add(&mut self, before: &Node) {
        self.written |= before.written;
        self.unconfirmed |= before.unconfirmed;
        self.attributes |= before.attributes;
        self.xattrs |= before.xattrs;
        self.made |= before.made;
        self.special |= before.special;
        self.removed |= before.removed;
    }
}

#[derive(Debug)]
pub struct Tree {
    /// The root is 0.
    nodes: Vec<Node>,
    forgotten: u64,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: vec![Node::default()], forgotten: 0 }
    }
}

impl Tree {
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub fn find(&self, path: &[u8]) -> Option<&Node> {
        let mut at = 0;
        for name in names(path) {
            at = self.child(at, name)?;
        }
        self.nodes.get(at as usize)
    }

    /// Notes an act at a name.
    pub fn change(&mut self, path: &[u8], note: impl FnOnce(&mut Node)) {
        if let Some(at) = self.reach(path) {
            note(&mut self.nodes[at as usize]);
        }
    }

    /// Moves what was done at `from`, and below it, to `to`.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) {
        if is_below(to, from) || is_below(from, to) {
            // The kernel refuses both; and nothing may become its own parent here.
            return;
        }
        let (Some(old), Some(new)) = (self.reach(from), self.reach(to)) else { return };
        let mut moved = std::mem::take(&mut self.nodes[old as usize]);
        self.nodes[old as usize] = Node { removed: true, ..moved.acts() };
        moved.named = true;
        if moved.source.is_none() && !moved.is_fresh() {
            moved.source = Some(from.into());
        }
        moved.add(&self.nodes[new as usize]);
        self.nodes[new as usize] = moved;
    }

    /// Swaps what was done at two names, and below them.
    pub fn exchange(&mut self, one: &[u8], other: &[u8]) {
        if is_below(one, other) || is_below(other, one) {
            return;
        }
        let (Some(first), Some(second)) = (self.reach(one), self.reach(other)) else { return };
        for (at, name) in [(first, one), (second, other)] {
            let node = &mut self.nodes[at as usize];
            node.named = true;
            if node.source.is_none() && !node.is_fresh() {
                node.source = Some(name.into());
            }
        }
        self.nodes.swap(first as usize, second as usize);
    }

    /// A second name for a file; the first has its link count changed.
    pub fn link(&mut self, from: &[u8], to: &[u8]) {
        let (Some(old), Some(new)) = (self.reach(from), self.reach(to)) else { return };
        self.nodes[old as usize].attributes = true;
        let mut linked = self.nodes[old as usize].acts();
        linked.named = true;
        if linked.source.is_none() && !linked.is_fresh() {
            linked.source = Some(from.into());
        }
        linked.add(&self.nodes[new as usize]);
        linked.children = self.nodes[new as usize].children.take();
        self.nodes[new as usize] = linked;
    }

    /// The node of a name, made if need be; `None`, and counted, where there is no room.
    fn reach(&mut self, path: &[u8]) -> Option<u32> {
        let mut at = 0;
        for (depth, name) in names(path).enumerate() {
            at = match self.child(at, name) {
                Some(child) => child,
                None if self.nodes.len() >= NODES_MAX || depth >= DEPTH_MAX => {
                    self.forgotten += 1;
                    return None;
                }
                None => self.add_child(at, name),
            };
        }
        Some(at)
    }

    fn child(&self, at: u32, name: &[u8]) -> Option<u32> {
        self.nodes.get(at as usize)?.children.as_ref()?.get(name).copied()
    }

    fn add_child(&mut self, at: u32, name: &[u8]) -> u32 {
        let child = self.nodes.len() as u32;
        self.nodes.push(Node::default());
        self.nodes[at as usize].children.get_or_insert_default().insert(name.into(), child);
        child
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}

/// True if the two are the same name, or the first lies below the second.
fn is_below(path: &[u8], above: &[u8]) -> bool {
    let mut path = names(path);
    names(above).all(|name| path.next() == Some(name))
}
