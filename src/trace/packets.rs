//! What goes over the network without a connection: counted by packet, read when the run is over.
//!
//! An entry of the table is a record (ebpf/datagram.h), complete but for its time.

use std::os::fd::BorrowedFd;

use aya::Ebpf;
use aya::maps::{HashMap, Map, MapData};
use aya::programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType};

use super::TraceError;

/// The two probes and the way they look.
pub(super) const PACKETS: [(&str, CgroupSkbAttachType); 2] =
    [("packets_out", CgroupSkbAttachType::Egress), ("packets_in", CgroupSkbAttachType::Ingress)];

/// `struct way` and `struct datagrams` of ebpf/datagram.h.
const WAY: usize = 40;
const ENTRY: usize = 56 + 80;

/// Bytes by their two ends.
pub(super) struct Packets(HashMap<MapData, [u8; WAY], [u8; ENTRY]>);

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
        let Some(Map::HashMap(data)) = ebpf.take_map("datagrams") else {
            return Err(TraceError::Missing { name: "datagrams" });
        };
        let table = HashMap::try_from(Map::HashMap(data));
        table.map(Packets).map_err(|source| TraceError::Load { source: source.into() })
    }

    /// Hands over each entry as a record of this time (`CLOCK_BOOTTIME` nanoseconds); how many.
    pub(super) fn drain(&mut self, time: u64, sink: &mut dyn FnMut(&[u8])) -> u64 {
        let ways: Vec<_> = self.0.keys().filter_map(Result::ok).collect();
        let mut records = 0;
        for way in ways {
            let Ok(mut entry) = self.0.get(&way, 0) else { continue };
            // lz_head.time
            entry[8..16].copy_from_slice(&time.to_ne_bytes());
            sink(&entry);
            records += u64::from(self.0.remove(&way).is_ok());
        }
        records
    }
}
