/* flow: a TCP connection ended, and how much went over it. state: one that nobody waited for was made, or
 * refused.
 *
 * Runs wherever the connection happens to end, also in an interrupt of another task: so the record is
 * built on the stack (the scratch area may be in use below) and says who opened or took the connection.
 */
#ifndef LZ_FLOW_H
#define LZ_FLOW_H

#include "socket.h"

struct flow_record {
	struct lz_head head;
	struct lz_flow flow;
};

/* Bytes each way. The end itself counts as a byte of TCP's (tcp_fin, 6.18). */
INLINE void count_bytes(struct sock *sk, __u64 *sent, __u64 *received)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct mptcp_sock *many = (struct mptcp_sock *)sk;

	if (READ(sk, sk_protocol) == IPPROTO_MPTCP) {
		if (HAS_MEMBER(struct mptcp_sock, bytes_sent)) {
			*sent = READ(many, bytes_sent);
			*received = READ(many, bytes_received);
		}
		return;
	}
	__u64 ended = READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1;

	*sent = READ(tcp, bytes_sent) - READ(tcp, bytes_retrans);
	*received = READ(tcp, bytes_received);
	if (*received > ended)
		*received -= ended;
	else
		*received = 0;
}

/* How much went over a connection. Its time is now. */
SHARED int send_flow(const struct owner *owner)
{
	if (!owner)
		return 0;
	struct sock *sk = (struct sock *)owner->sock;
	__u64 sent = 0, received = 0;

	if ((__u64)READ(sk, __sk_common.skc_net.net) != owner->net)
		return 0;
	count_bytes(sk, &sent, &received);
	/* Before: an access to `record` inside READ would be relocated. */
	__u32 family = READ(sk, __sk_common.skc_family), protocol = READ(sk, sk_protocol);
	__u16 port = swap16(owner->port), far_port = READ(sk, __sk_common.skc_dport);
	struct flow_record *record = bpf_ringbuf_reserve(&critical, sizeof(*record), 0);

	if (!record) {
		lose(LZ_NETWORK, 1);
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->head = owner->head;
	record->flow.sent = sent;
	record->flow.received = received;
	record->flow.socket.family = family;
	record->flow.socket.kind = SOCK_STREAM;
	record->flow.socket.protocol = protocol;
	fill_address(record->flow.local, sk, family, port, 0);
	fill_address(record->flow.remote, sk, family, far_port, 1);
	record->head.size = sizeof(*record);
	record->head.kind = LZ_FLOW;
	record->head.slot = LZ_NO_SLOT;
	record->head.cpu = bpf_get_smp_processor_id();
	record->head.time = bpf_ktime_get_boot_ns();
	bpf_ringbuf_submit(record, wake_flag(&critical));
	return 0;
}

/* A connection begins, by whatever call: not every one shows what it made when it returns. What carries the
 * packets of a connection that may take many ways is the kernel's own. */
CALLED int own_early(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u64 key = (__u64)sk;
	struct owner owner = { .sock = key, .early = 1 };

	if (HAS_MEMBER(struct tcp_sock, is_mptcp) && READ(sk, sk_protocol) == IPPROTO_TCP && READ(tcp, is_mptcp))
		return 0;
	fill_head(&owner.head);
	owner.net = (__u64)READ(sk, __sk_common.skc_net.net);
	if (bpf_map_update_elem(&flows, &key, &owner, 0))
		lose(LZ_NETWORK, 1);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int flow(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	__u64 key = ctx[0];
	int before = ctx[1], state = ctx[2];

	if (state == TCP_SYN_SENT && is_ours(bpf_get_current_task_btf()))
		own_early(sk);
	if (state != TCP_CLOSE && (before != TCP_SYN_SENT || state != TCP_ESTABLISHED))
		return 0;
	struct owner *owner = bpf_map_lookup_elem(&flows, &key);
	if (!owner)
		return 0;
	if (before != TCP_SYN_SENT) {
		send_flow(owner);
	} else if (owner->early) {
		/* How it ended the call itself will tell. */
		owner->port = READ(sk, __sk_common.skc_num);
	} else {
		__u64 net = owner->net;

		if ((__u64)READ(sk, __sk_common.skc_net.net) == net)
			send_state(owner, state);
	}
	if (state == TCP_CLOSE)
		bpf_map_delete_elem(&flows, &key);
	return 0;
}

static long leave(void *map, __u64 *key, struct owner *owner, void *unused)
{
	__u64 of = *key;

	/* One that was begun and never made has no bytes. */
	if (!owner->early || owner->port)
		send_flow(owner);
	bpf_map_delete_elem(&flows, &of);
	return 0;
}

/* Tells of the connections that outlive the last task: what a ring of io_uring holds is closed later, and a far
 * end may be slow to answer. Hangs on nothing: the loader runs it, when the run is over. */
SEC("cgroup_skb/egress")
int flows_left(struct __sk_buff *skb)
{
	bpf_for_each_map_elem(&flows, leave, 0, 0);
	return 1;
}

#endif
