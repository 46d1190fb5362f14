/* flow: a TCP connection ended, and how much went over it. state: one that nobody waited for was made, or
 * refused.
 *
 * Runs wherever the connection happens to end, also in an interrupt of another task: so the record is
 * built on the stack (the scratch area may be in use below) and says who opened or took the connection.
 */
#ifndef LZ_FLOW_H
#define LZ_FLOW_H

#include "socket.h"

SEC("tp_btf/inet_sock_set_state")
int flow(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	struct tcp_sock *tcp = (struct tcp_sock *)ctx[0];
	__u64 key = ctx[0];
	struct {
		struct lz_head head;
		struct lz_flow flow;
	} record = {};

	int before = ctx[1], state = ctx[2];

	if (state != TCP_CLOSE && (before != TCP_SYN_SENT || state != TCP_ESTABLISHED))
		return 0;
	struct owner *owner = bpf_map_lookup_elem(&flows, &key);
	if (!owner)
		return 0;
	__u64 net = owner->net;
	if (before == TCP_SYN_SENT) {
		/* Only of a connect that returned before: else the owner is not known yet. */
		if ((__u64)READ(sk, __sk_common.skc_net.net) == net)
			send_state(owner, state);
		if (state == TCP_CLOSE)
			bpf_map_delete_elem(&flows, &key);
		return 0;
	}
	__u16 port = swap16(owner->port), far_port = READ(sk, __sk_common.skc_dport);
	record.head = owner->head;
	bpf_map_delete_elem(&flows, &key);
	if ((__u64)READ(sk, __sk_common.skc_net.net) != net)
		return 0;
	__u32 family = READ(sk, __sk_common.skc_family);
	/* Before each: an access to `record` inside READ would be relocated. */
	__u64 again = READ(tcp, bytes_retrans), sent = READ(tcp, bytes_sent);
	/* The end itself counts as a byte (tcp_fin, 6.18). */
	__u64 ended = READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1;
	__u64 received = READ(tcp, bytes_received);
	record.flow.sent = sent - again;
	record.flow.received = received > ended ? received - ended : 0;
	record.flow.socket.family = family;
	record.flow.socket.kind = SOCK_STREAM;
	record.flow.socket.protocol = READ(sk, sk_protocol);
	fill_address(record.flow.local, sk, family, port, 0);
	fill_address(record.flow.remote, sk, family, far_port, 1);
	record.head.size = sizeof(record);
	record.head.kind = LZ_FLOW;
	record.head.slot = LZ_NO_SLOT;
	record.head.cpu = bpf_get_smp_processor_id();
	record.head.time = bpf_ktime_get_boot_ns();
	if (bpf_ringbuf_output(&critical, &record, sizeof(record), wake_flag(&critical)))
		lose(LZ_NETWORK, 1);
	return 0;
}

#endif
