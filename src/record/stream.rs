//! Joins what the probes had to split, and puts records of two rings into one order.
//!
//! A long argument vector comes in pieces before its exec; repeats come as a count after the record
//! that they repeat. Both are joined here. Records wait until the watermark says that nothing older
//! can still come.
//!
//! Memory is bounded: pieces without an exec, and records that no count asked for, are given up.

use std::collections::{HashMap, VecDeque};

use super::decode::{Message, decode, task};
use super::wire::{self, Head, Ring};
use super::{Body, Record, Task};

/// Bytes of pieces that may wait for their exec.
const PIECES_MAX: usize = 16 << 20;
/// Records that are remembered because a count may follow: up to 32 for each thread that is alive. Beyond it,
/// those of the threads that ended first go first.
const REMEMBERED_MAX: usize = 1 << 15;
/// Places in the fold table of a thread (ebpf/task.h).
const SLOTS: u16 = 16;

/// Bytes go in, in any order across rings; records come out by time.
#[derive(Debug, Default)]
pub struct Stream {
    waiting: Vec<Record>,
    pieces: HashMap<u64, Pieces>,
    pieces_size: usize,
    remembered: HashMap<Slot, Record>,
    /// Slots in the order in which they were first used; some may be forgotten already.
    order: VecDeque<Slot>,
    /// Threads that ended, number and start, the first first.
    ended: VecDeque<(u32, u64)>,
    watermark: u64,
    turn: u64,
    counters: Counters,
}

/// What went wrong, for `coverage`. None of these may be passed over when a verdict is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that were no record.
    pub unreadable: u64,
    /// Records with a cut text or an incomplete argument vector.
    pub cut: u64,
    /// Pieces whose exec never came, and acts whose record was not remembered.
    pub orphaned: u64,
    /// Records that came after their place in the order had gone out. Nothing is lost with them.
    pub late: u64,
}

/// A place in the fold table of a thread, and the ring of the record that held it. A place may pass
/// from a record of one ring to one of the other, and the rings are not read at the same moment: the
/// earlier holder can arrive after the later one, and must not displace it. Within a ring, what comes
/// later was later.
type Slot = (u32, u64, u16, Ring);

#[derive(Debug, Default)]
struct Pieces {
    argv: Vec<u8>,
    env: Vec<u8>,
    count: u64,
    turn: u64,
}

impl Stream {
    /// Has seen no bytes.
    pub fn new() -> Stream {
        Stream::default()
    }

    /// Takes in the bytes of one record.
    pub fn push(&mut self, bytes: &[u8]) {
        match decode(bytes) {
            Ok(Message::Act { head, body }) => self.act(&head, body),
            Ok(Message::Exec { head, body, layout }) => self.exec(&head, body, &layout),
            Ok(Message::Piece { piece, bytes }) => self.piece(&piece, &bytes),
            Ok(Message::Fold { head, fold }) => self.fold(&head, &fold),
            Err((kind, reason)) => self.unreadable(kind, reason),
        }
    }

    /// The records before `watermark`, by time. Later ones stay for the next call.
    pub fn take(&mut self, watermark: u64) -> Vec<Record> {
        self.turn += 1;
        self.give_up_old_pieces();
        self.waiting.sort_by_key(|record| record.time);
        let ready = self.waiting.partition_point(|record| record.time < watermark);
        let rest = self.waiting.split_off(ready);
        let ready = std::mem::replace(&mut self.waiting, rest);
        self.watermark = self.watermark.max(watermark);
        ready
    }

    /// Everything that is left, for the end of a run. Counts pieces that no exec will claim.
    pub fn finish(&mut self) -> Vec<Record> {
        // Not `take` alone: nothing is before the last moment that there is.
        let mut records = self.take(u64::MAX);
        records.append(&mut self.waiting);
        let pieces = self.pieces.values().map(|pieces| pieces.count).sum();
        self.counters.orphaned = self.counters.orphaned.saturating_add(pieces);
        self.pieces.clear();
        self.pieces_size = 0;
        records
    }

    /// What was lost, cut or unreadable so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn act(&mut self, head: &Head, body: Body) {
        let record = record(head, body);
        if matches!(record.body, Body::Exit { .. }) {
            self.ended.push_back((head.tid, head.start));
        }
        if head.slot != wire::NO_SLOT {
            self.remember(slot(head, Ring::of(head.kind)), &record);
        }
        self.wait(record);
    }

    fn exec(&mut self, head: &Head, body: Body, layout: &wire::Exec) {
        let mut record = record(head, body);
        let pieces = self.pieces.remove(&layout.pieces).unwrap_or_default();
        self.pieces_size -= pieces.argv.len() + pieces.env.len();
        let whole = pieces.argv.len() as u64 == u64::from(layout.argv_size)
            && pieces.env.len() as u64 == u64::from(layout.env_size);
        record.cut |= !whole;
        if let Body::Exec { argv, env, .. } = &mut record.body {
            *argv = pieces.argv;
            *env = pieces.env;
        }
        self.wait(record);
    }

    fn piece(&mut self, piece: &wire::Piece, bytes: &[u8]) {
        if self.pieces_size + bytes.len() > PIECES_MAX {
            self.counters.orphaned = self.counters.orphaned.saturating_add(1);
            return;
        }
        let turn = self.turn;
        let pieces = self.pieces.entry(piece.pieces).or_default();
        let block = if piece.is_env == 0 { &mut pieces.argv } else { &mut pieces.env };
        pieces.turn = turn;
        // Pieces come in order; one after a gap would stand in the wrong place.
        if block.len() != piece.offset as usize {
            self.counters.orphaned = self.counters.orphaned.saturating_add(1);
            return;
        }
        block.extend_from_slice(bytes);
        pieces.count += 1;
        self.pieces_size += bytes.len();
    }

    fn fold(&mut self, head: &Head, fold: &wire::Fold) {
        let mut held = Ring::ALL.into_iter().filter_map(|ring| self.remembered.get(&slot(head, ring)));
        let like =
            held.find(|record| record.time == fold.first).or_else(|| self.under_other_number(head, fold));
        match like.cloned() {
            Some(like) => {
                self.wait(Record { time: head.time, count: fold.count.max(1), again: true, ..like })
            }
            // Whoever reads a count that came around to nothing would think that nothing is missing.
            None => self.counters.orphaned = self.counters.orphaned.saturating_add(fold.count.max(1)),
        }
    }

    /// A thread that becomes a new program takes the number of its process (fs/exec.c, `de_thread`), and only
    /// then are its counts told.
    fn under_other_number(&self, head: &Head, fold: &wire::Fold) -> Option<&Record> {
        let is_leader = head.tid == head.pid;
        let mut held = self.remembered.iter().filter(|_| is_leader);
        let is_like = |held: &Slot, record: &Record| {
            (held.1, held.2, record.task.pid, record.time) == (head.start, head.slot, head.pid, fold.first)
        };
        held.find(|(slot, record)| is_like(slot, record)).map(|(_, record)| record)
    }

    fn unreadable(&mut self, kind: u16, reason: &'static str) {
        self.counters.unreadable += 1;
        let body = Body::Unreadable { kind, reason };
        let time = self.watermark;
        self.waiting.push(Record { time, task: Task::default(), body, cut: false, count: 1, again: false });
    }

    fn wait(&mut self, record: Record) {
        self.counters.cut += u64::from(record.cut);
        self.counters.late += u64::from(record.time < self.watermark);
        self.waiting.push(record);
    }

    fn remember(&mut self, slot: Slot, record: &Record) {
        if self.remembered.insert(slot, record.clone()).is_none() {
            self.order.push_back(slot);
        }
        while self.remembered.len() > REMEMBERED_MAX {
            self.forget();
        }
        if self.order.len() > 2 * REMEMBERED_MAX {
            self.order.retain(|slot| self.remembered.contains_key(slot));
        }
        if self.ended.len() > REMEMBERED_MAX {
            self.ended.pop_front();
        }
    }

    /// A thread that has ended has told its counts; one that lives long, as the shell of a long script, has
    /// not, however many others came and went.
    fn forget(&mut self) {
        if let Some((tid, start)) = self.ended.pop_front() {
            for slot in 0..SLOTS {
                for ring in Ring::ALL {
                    self.remembered.remove(&(tid, start, slot, ring));
                }
            }
        } else if let Some(oldest) = self.order.pop_front() {
            self.remembered.remove(&oldest);
        }
    }

    /// An exec follows its pieces at once: two turns later it was lost.
    fn give_up_old_pieces(&mut self) {
        let turn = self.turn;
        let (size, orphaned) = (&mut self.pieces_size, &mut self.counters.orphaned);
        self.pieces.retain(|_, pieces| {
            let keep = pieces.turn + 2 >= turn;
            if !keep {
                *size -= pieces.argv.len() + pieces.env.len();
                *orphaned = orphaned.saturating_add(pieces.count);
            }
            keep
        });
    }
}

fn slot(head: &Head, ring: Ring) -> Slot {
    (head.tid, head.start, head.slot, ring)
}

fn record(head: &Head, body: Body) -> Record {
    let cut = head.flags & wire::CUT != 0;
    Record { time: head.time, task: task(head), body, cut, count: 1, again: false }
}
