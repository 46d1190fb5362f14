/* flow, of what has no connection: bytes of UDP, ICMP and raw IP each way, by the two ends.
 *
 * Counted as packets pass the sandbox's cgroup; the loader reads the table when the run is over. An entry
 * is the record itself. Whose it is, is whoever first sent, or bound the socket that it comes to (bound.h).
 */
#ifndef LZ_DATAGRAM_H
#define LZ_DATAGRAM_H

#include "socket.h"

struct way {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port; /* network order */
	__u16 remote_port;
	__u8 protocol;
	__u8 family;
	__u8 pad[2];
};

struct datagrams {
	struct lz_head head;
	struct lz_flow flow;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct way);
	__type(value, struct datagrams);
} datagrams SEC(".maps");

/* Where the transport header begins, and how much follows it; 0 if the packet is too short. */
struct packet {
	__u32 header;
	__u32 size;
};

INLINE int read_ip4(struct __sk_buff *skb, struct way *way, struct packet *packet, int out)
{
	__u8 ip[20];

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	way->family = AF_INET;
	way->protocol = ip[9];
	__builtin_memcpy(out ? way->local : way->remote, ip + 12, 4);
	__builtin_memcpy(out ? way->remote : way->local, ip + 16, 4);
	packet->header = (ip[0] & 15) * 4;
	__u32 total = ip[2] << 8 | ip[3];
	packet->size = total > packet->header ? total - packet->header : 0;
	return 1;
}

/* A header that extends the one of IPv6 is told by its own number. */
INLINE int read_ip6(struct __sk_buff *skb, struct way *way, struct packet *packet, int out)
{
	__u8 ip[40];

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	way->family = AF_INET6;
	way->protocol = ip[6];
	__builtin_memcpy(out ? way->local : way->remote, ip + 8, 16);
	__builtin_memcpy(out ? way->remote : way->local, ip + 24, 16);
	packet->header = 40;
	packet->size = ip[4] << 8 | ip[5];
	return 1;
}

INLINE void put_address(__u8 *to, const struct way *way, const __u8 *ip, __u16 port)
{
	*(__u16 *)to = way->family;
	*(__u16 *)(to + 2) = port;
	if (way->family == AF_INET)
		__builtin_memcpy(to + 4, ip, 4);
	else
		__builtin_memcpy(to + 8, ip, 16);
}

INLINE struct datagrams *begin_way(const struct way *way)
{
	struct datagrams new = {};

	new.head.size = sizeof(new);
	new.head.kind = LZ_FLOW;
	new.head.slot = LZ_NO_SLOT;
	new.flow.socket.family = way->family;
	new.flow.socket.kind = way->protocol == IPPROTO_UDP || way->protocol == IPPROTO_ICMP ||
					       way->protocol == IPPROTO_ICMPV6 ?
				       SOCK_DGRAM :
				       SOCK_RAW;
	new.flow.socket.protocol = way->protocol;
	put_address(new.flow.local, way, way->local, way->local_port);
	put_address(new.flow.remote, way, way->remote, way->remote_port);
	if (bpf_map_update_elem(&datagrams, way, &new, 0)) {
		lose(LZ_NETWORK, 1);
		return 0;
	}
	return bpf_map_lookup_elem(&datagrams, way);
}

INLINE void count_packet(struct __sk_buff *skb, int out)
{
	struct way way = {};
	struct packet packet = {};
	struct datagrams *known;

	if (skb->protocol == swap16(0x0800)) {
		if (!read_ip4(skb, &way, &packet, out))
			return;
	} else if (skb->protocol == swap16(0x86dd)) {
		if (!read_ip6(skb, &way, &packet, out))
			return;
	}
	/* Of TCP the connection itself tells (flow.h). */
	if (!way.protocol || way.protocol == IPPROTO_TCP)
		return;
	if (way.protocol == IPPROTO_UDP) {
		__u16 ports[2];

		if (bpf_skb_load_bytes(skb, packet.header, ports, sizeof(ports)))
			return;
		way.local_port = out ? ports[0] : ports[1];
		way.remote_port = out ? ports[1] : ports[0];
		packet.size = packet.size > 8 ? packet.size - 8 : 0;
	}
	known = bpf_map_lookup_elem(&datagrams, &way);
	if (!known)
		known = begin_way(&way);
	if (!known)
		return;
	if (out && way.protocol == IPPROTO_UDP)
		remember_sent(way.remote, way.remote_port, way.family);
	if (out && !known->head.pid)
		fill_head(&known->head);
	if (!out && !known->head.pid && way.protocol == IPPROTO_UDP) {
		const struct lz_head *owner =
			find_binder(way.local, way.local_port, way.family, way.protocol);

		if (owner)
			copy_owner(&known->head, owner);
	}
	__sync_fetch_and_add(out ? &known->flow.sent : &known->flow.received, packet.size);
}

SEC("cgroup_skb/egress")
int packets_out(struct __sk_buff *skb)
{
	count_packet(skb, 1);
	return 1;
}

SEC("cgroup_skb/ingress")
int packets_in(struct __sk_buff *skb)
{
	count_packet(skb, 0);
	return 1;
}

#endif
