//! What goes over the network without a connection: counted by packet, read when the run is over.
//!
//! An entry of the table is a record (ebpf/datagram.h), complete but for its time.

use std::os::fd::BorrowedFd;

use aya::maps::{HashMap, Map, MapData};
use aya::programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType};
use aya::{Ebpf, Pod};

use super::TraceError;

/// The two probes and the way they look.
pub(super) const PACKETS: [(&str, CgroupSkbAttachType); 2] =
    [("packets_out", CgroupSkbAttachType::Egress), ("packets_in", CgroupSkbAttachType::Ingress)];

/// Not attached: run when the run is over.
pub(super) const FLOWS_LEFT: &str = "flows_left";

/// `struct way` and `struct datagrams` of ebpf/datagram.h.
const WAY: usize = 40;
const ENTRY: usize = 56 + 80;

/// `struct owner` of ebpf/task.h.
const OWNER: usize = 56 + 32;

pub(super) struct Packets {
    /// Bytes by their two ends.
    ways: HashMap<MapData, [u8; WAY], [u8; ENTRY]>,
    /// Connections that have not ended.
    flows: HashMap<MapData, u64, [u8; OWNER]>,
}

/// Lets the probes see every packet of the sandbox's sockets.
pub(super) fn attach(ebpf: &mut Ebpf, cgroup: BorrowedFd<'_>) -> Result<(), TraceError> {
    for (name, way) in PACKETS {
        let missing = TraceError::Missing { name };
        let program: &mut CgroupSkb =
            ebpf.program_mut(name).and_then(|program| program.try_into().ok()).ok_or(missing)?;
        program
            .attach(cgroup, way, CgroupAttachMode::Single)
            .map_err(|source| TraceError::Refused { probe: name, source: source.into() })?;
    }
    Ok(())
}

impl Packets {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Packets, TraceError> {
        Ok(Packets { ways: table(ebpf, "datagrams")?, flows: table(ebpf, "flows")? })
    }

    /// Connections that have not ended, nor been told of by [`FLOWS_LEFT`].
    pub(super) fn flows_left(&self) -> u64 {
        self.flows.keys().count() as u64
    }

    /// Hands over each entry as a record of this time (`CLOCK_BOOTTIME` nanoseconds); how many.
    pub(super) fn drain(&mut self, time: u64, sink: &mut dyn FnMut(&[u8])) -> u64 {
        let ways: Vec<_> = self.ways.keys().filter_map(Result::ok).collect();
        let mut records = 0;
        for way in ways {
            let Ok(mut entry) = self.ways.get(&way, 0) else { continue };
            // lz_head.time
            entry[8..16].copy_from_slice(&time.to_ne_bytes());
            sink(&entry);
            records += u64::from(self.ways.remove(&way).is_ok());
        }
        records
    }
}

fn table<K: Pod, V: Pod>(ebpf: &mut Ebpf, name: &'static str) -> Result<HashMap<MapData, K, V>, TraceError> {
    let Some(Map::HashMap(data)) = ebpf.take_map(name) else {
        return Err(TraceError::Missing { name });
    };
    HashMap::try_from(Map::HashMap(data)).map_err(|source| TraceError::Load { source: source.into() })
}
