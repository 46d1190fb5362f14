//! A sandbox that is being watched: two rings to drain, and the counters of what was lost.
//!
//! **What a drain promises.** The clock is read first, then how far the critical ring is reserved,
//! then the bulk ring. Bulk is read up to its position, then critical. A probe stamps a record
//! immediately before it reserves it, with preemption off, so everything stamped [`MARGIN`] before
//! the clock was read lies before those positions: that is the watermark. And what a critical record
//! refers to (pieces of an argument vector) was in bulk before it, so it is handed over before it.
//! A record that is still being written stops its ring until the next drain, and the watermark stays.
//!
//! A drain ends at positions taken at its beginning, so a flood cannot keep it from returning.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use aya::Ebpf;
use aya::maps::{Map, MapData, PerCpuArray};
use aya::programs::Program;
use nix::time::{ClockId, clock_gettime};

use super::TraceError;
use super::packets::{FLOWS_LEFT, Packets};
use crate::event::Family;
use crate::sys::bpf;
use crate::sys::ring::{Reached, Ring};

/// Longest time from stamp to reservation that is reckoned with: an interrupt, or a host that takes
/// the processor away. A longer one costs order, never a record.
const MARGIN: Duration = Duration::from_millis(10);

/// Loss counters of the probes, by `enum lz_family` of ebpf/wire.h.
const FAMILIES: [Family; 5] =
    [Family::Process, Family::File, Family::Network, Family::Kernel, Family::Memory];

/// An attached set of probes. Dropping it detaches them.
pub struct Watch {
    /// Keeps programs, links and the handlers' array alive.
    ebpf: Ebpf,
    losses: PerCpuArray<MapData, u64>,
    packets: Packets,
    critical: Ring,
    bulk: Ring,
    watermark: u64,
    absent: Vec<&'static str>,
    /// The last drain has begun.
    is_over: bool,
}

/// What a drain achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// `CLOCK_BOOTTIME` nanoseconds: every record stamped before it has been handed over.
    pub watermark: u64,
    /// Records handed over.
    pub records: u64,
}

/// How full the rings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    pub critical: Level,
    pub bulk: Level,
}

/// Bytes that wait in a ring, and how many it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub waiting: u64,
    pub size: u64,
}

impl Level {
    /// True above the mark at which the workload is to be held: a quarter. While what was below the mark
    /// is judged and written, the ring takes in three times as much.
    pub fn is_above_mark(self) -> bool {
        self.waiting > self.size / 4
    }
}

/// Records that one processor could not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub family: Family,
    pub cpu: usize,
    pub records: u64,
}

impl Watch {
    pub(super) fn new(
        mut ebpf: Ebpf,
        critical: Ring,
        bulk: Ring,
        absent: Vec<&'static str>,
    ) -> Result<Watch, TraceError> {
        let Some(Map::PerCpuArray(data)) = ebpf.take_map("losses") else {
            return Err(TraceError::Missing { name: "losses" });
        };
        let losses = PerCpuArray::try_from(Map::PerCpuArray(data))
            .map_err(|source| TraceError::Load { source: source.into() })?;
        let packets = Packets::take(&mut ebpf)?;
        Ok(Watch { ebpf, losses, packets, critical, bulk, watermark: 0, absent, is_over: false })
    }

    /// Descriptors that become readable when a ring has much to drain. What is less is for a timer:
    /// 100 ms are what the rings are sized for.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.critical.as_fd(), self.bulk.as_fd()]
    }

    /// Hands over what the rings held when it was called.
    pub fn drain(&mut self, sink: &mut dyn FnMut(&[u8])) -> Drained {
        let before = now().saturating_sub(MARGIN.as_nanos() as u64);
        let critical = self.critical.reserved();
        let bulk = self.bulk.reserved();
        let mut records = 0;
        let mut count = |bytes: &[u8]| {
            records += 1;
            sink(bytes);
        };
        let reached = [self.bulk.drain(bulk, &mut count), self.critical.drain(critical, &mut count)];
        if reached == [Reached::End; 2] {
            self.watermark = before;
        }
        Drained { watermark: self.watermark, records }
    }

    /// Drains until the rings are empty, for when no task is left that could fill them; and hands over what
    /// was counted of packets, and of connections that have not ended.
    ///
    /// Bounded all the same: what is reserved after the call began is for another call.
    pub fn drain_rest(&mut self, sink: &mut dyn FnMut(&[u8])) -> Drained {
        self.is_over = true;
        self.tell_flows_left();
        let mut records = self.packets.drain(now(), sink);
        loop {
            let drained = self.drain(sink);
            records += drained.records;
            if drained.records == 0 {
                return Drained { watermark: now(), records };
            }
        }
    }

    /// Lets the probes tell of the connections that have not ended.
    fn tell_flows_left(&self) {
        let program = self.ebpf.program(FLOWS_LEFT).and_then(|program| Program::fd(program).ok());
        if let Some(program) = program {
            // Where it does not run, the connections stay in their table and count as lost.
            let _ = bpf::run(program.as_fd());
        }
    }

    /// Probes that this kernel has no place for: what they would see goes unseen.
    pub fn absent(&self) -> &[&'static str] {
        &self.absent
    }

    /// How full both rings are.
    pub fn fill(&self) -> Fill {
        Fill { critical: level(&self.critical), bulk: level(&self.bulk) }
    }

    /// What was lost since the beginning, by family and processor; entries of zero are left out. After the last
    /// drain, connections whose bytes could not be told are among them.
    pub fn losses(&self) -> Result<Vec<Loss>, TraceError> {
        let mut losses = Vec::new();
        for (index, family) in (0..).zip(FAMILIES) {
            let counts =
                self.losses.get(&index, 0).map_err(|source| TraceError::Load { source: source.into() })?;
            for (cpu, &records) in counts.iter().enumerate().filter(|(_, records)| **records > 0) {
                losses.push(Loss { family, cpu, records });
            }
        }
        if let (true, records @ 1..) = (self.is_over, self.packets.flows_left()) {
            losses.push(Loss { family: Family::Network, cpu: 0, records });
        }
        Ok(losses)
    }
}

fn level(ring: &Ring) -> Level {
    let read = ring.read();
    Level { waiting: ring.reserved().saturating_sub(read), size: ring.size() }
}

/// `CLOCK_BOOTTIME` in nanoseconds: the clock of the records.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
    time.map_or(0, |time| time.as_nanos() as u64)
}
