/* Who a datagram belongs to, and where one went.
 *
 * What comes in is handled in an interrupt of any task: its owner is whoever bound or connected the socket
 * that it is for. What goes out passes the cgroup's hook in the call that sends it, with the address that
 * the kernel took.
 */
#ifndef LZ_BOUND_H
#define LZ_BOUND_H

#include "mismatch.h"

enum { BPF_MAP_TYPE_LRU_HASH = 9 };
/* include/linux/socket.h: more of the datagram follows */
enum { MSG_MORE = 0x8000 };

struct bound {
	__u8 address[16]; /* as of struct way */
	__u16 port;	  /* network order */
	__u8 family;
	__u8 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct bound);
	__type(value, struct lz_head);
} binders SEC(".maps");

/* An address as the packet has it. */
struct sent_to {
	__u8 remote[16];
	__u16 port; /* network order */
	__u8 family;
	__u8 pad;
};

/* Of each thread the last datagram that it sent. Who is evicted is not compared. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct sent_to);
} last_sent SEC(".maps");

SHARED int own_datagrams(__u64 sock, const struct lz_socket *socket)
{
	struct sock *sk = (struct sock *)sock;
	struct bound bound = {};
	struct lz_head head = {};

	if (!socket)
		return 0;
	bound.family = socket->family;
	bound.protocol = socket->protocol;
	bound.port = swapped(READ(sk, __sk_common.skc_num));
	if (!bound.port)
		return 0;
	if (bound.family == AF_INET) {
		__u32 ip = READ(sk, __sk_common.skc_rcv_saddr);
		__builtin_memcpy(bound.address, &ip, 4);
	} else {
		struct in6_addr ip = READ(sk, __sk_common.skc_v6_rcv_saddr);
		__builtin_memcpy(bound.address, &ip, 16);
	}
	fill_head(&head);
	if (bpf_map_update_elem(&binders, &bound, &head, 0))
		lose(LZ_NETWORK, 1);
	return 0;
}

/* The owner of what comes to an address: of the socket bound to it, or to any. */
INLINE const struct lz_head *find_binder(const __u8 *local, __u16 port, __u8 family, __u8 protocol)
{
	struct bound bound = { .port = port, .family = family, .protocol = protocol };
	const struct lz_head *head;

	__builtin_memcpy(bound.address, local, 16);
	head = bpf_map_lookup_elem(&binders, &bound);
	if (head)
		return head;
	__builtin_memset(bound.address, 0, 16);
	head = bpf_map_lookup_elem(&binders, &bound);
	if (head)
		return head;
	bound.family = AF_INET6; /* takes both kinds of packets */
	return bpf_map_lookup_elem(&binders, &bound);
}

INLINE void copy_owner(struct lz_head *to, const struct lz_head *from)
{
	to->start = from->start;
	to->tid = from->tid;
	to->inner_pid = from->inner_pid;
	to->uid = from->uid;
	to->gid = from->gid;
	to->euid = from->euid;
	to->egid = from->egid;
	to->cpu = from->cpu;
	to->pid = from->pid;
}

INLINE void remember_sent(const __u8 *remote, __u16 port, __u8 family)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sent_to to = { .port = port, .family = family };
	__u32 tid = READ(task, pid);

	__builtin_memcpy(to.remote, remote, 16);
	bpf_map_update_elem(&last_sent, &tid, &to, 0);
}

/* As of IPv6, whichever kind it is. */
INLINE void widen(__u32 *wide, const __u8 *narrow, __u32 family)
{
	if (family == AF_INET6) {
		__builtin_memcpy(wide, narrow, 16);
		return;
	}
	wide[0] = wide[1] = 0;
	wide[2] = __builtin_bswap32(0xffff);
	__builtin_memcpy(&wide[3], narrow, 4);
}

INLINE void fill_address_of(__u8 *to, const struct sent_to *sent)
{
	*(__u16 *)to = sent->family;
	*(__u16 *)(to + 2) = sent->port;
	if (sent->family == AF_INET)
		__builtin_memcpy(to + 4, sent->remote, 4);
	else
		__builtin_memcpy(to + 8, sent->remote, 16);
}

/* True if what was passed is no address, or the one that was taken. */
CALLED int leads_there(const __u8 *passed, const __u8 *taken, __u32 size)
{
	__u32 asked[4], sent[4];
	__u16 family = *(__u16 *)passed, sent_family = *(__u16 *)taken;

	if ((family != AF_INET && family != AF_INET6) || (family == AF_INET6 && size < 28))
		return 1;
	widen(asked, family == AF_INET ? passed + 4 : passed + 8, family);
	widen(sent, sent_family == AF_INET ? taken + 4 : taken + 8, sent_family);
	/* One of zeros at its end asks for the host itself. */
	return !asked[3] || (*(__u16 *)(passed + 2) == *(__u16 *)(taken + 2) && asked[0] == sent[0] &&
			     asked[1] == sent[1] && asked[2] == sent[2] && asked[3] == sent[3]);
}

/* A datagram that went elsewhere than the address says that stands where the program passed it. Begun before
 * it is known whether there is anything to tell: the stack has no room for both (fold.h). */
SHARED int note_misdirected(const struct passed_address *from, const struct lz_socket *socket)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tid = READ(task, pid);
	struct scratch *s;

	struct sent_to *sent = bpf_map_lookup_elem(&last_sent, &tid);
	if (!from || !socket || !sent)
		return 0;
	if (socket->protocol != IPPROTO_UDP || from->length < 16 || from->result < 0) {
		bpf_map_delete_elem(&last_sent, &tid);
		return 0;
	}
	s = begin(sizeof(struct lz_mismatch), LZ_NETWORK);
	if (!s)
		return 0;
	struct lz_mismatch *body = &s->record.body.mismatch;
	fill_address_of(body->actual, sent);
	bpf_map_delete_elem(&last_sent, &tid);
	__u32 size = from->length < 28 ? 16 : 28;
	if (bpf_probe_read_user(body->passed, size, (void *)from->address) ||
	    leads_there(body->passed, body->actual, size)) {
		release(s);
		return 0;
	}
	body->result = from->result;
	body->kind = LZ_SEND;
	body->socket = *socket;
	send_or_count(s, LZ_MISMATCH);
	return 0;
}

#endif
