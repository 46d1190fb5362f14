//! Names of the options of sockets that are told, by level and number.

/// The kernel's name of an option; `None` where it is none of those that are told (ebpf/option.h).
pub fn option_name(level: u32, number: u32) -> Option<&'static str> {
    NAMES.iter().find(|(of, at, _)| (*of, *at) == (level, number)).map(|(.., name)| *name)
}

/// include/uapi/asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h, linux/if_packet.h
#[rustfmt::skip]
const NAMES: &[(u32, u32, &str)] = &[
    (0, 3, "ip_hdrincl"), (0, 19, "ip_transparent"), (0, 64, "ipt_so_set_replace"),
    (1, 25, "so_bindtodevice"), (1, 26, "so_attach_filter"), (1, 36, "so_mark"), (1, 50, "so_attach_bpf"),
    (1, 51, "so_attach_reuseport_cbpf"), (1, 52, "so_attach_reuseport_ebpf"),
    (6, 19, "tcp_repair"), (6, 23, "tcp_fastopen"), (6, 30, "tcp_fastopen_connect"), (6, 31, "tcp_ulp"),
    (41, 36, "ipv6_hdrincl"), (41, 64, "ip6t_so_set_replace"), (41, 75, "ipv6_transparent"),
    (263, 1, "packet_add_membership"), (263, 5, "packet_rx_ring"), (263, 13, "packet_tx_ring"),
];
