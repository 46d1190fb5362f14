/* mismatch: the address that a call took is not the one that stands where the program passed it.
 *
 * Told of connect and bind over IP, where the kernel's struct sock holds what was taken. What the kernel
 * puts in itself is none: a port for 0, an address for the unspecified one.
 */
#ifndef LZ_MISMATCH_H
#define LZ_MISMATCH_H

#include "file.h"
#include "fold.h"

struct passed_address {
	__u64 address; /* of user memory */
	__u64 length;
	__s64 result;
	__u32 kind;
	__u8 remote; /* the socket's peer, else its own */
};

INLINE __u16 swapped(__u16 number)
{
	return __builtin_bswap16(number);
}

INLINE void read_actual(__u8 *to, struct sock *sk, __u32 family, int remote)
{
	*(__u16 *)to = family;
	*(__u16 *)(to + 2) = remote ? READ(sk, __sk_common.skc_dport) :
				      swapped(READ(sk, __sk_common.skc_num));
	if (family == AF_INET) {
		*(__u32 *)(to + 4) = remote ? READ(sk, __sk_common.skc_daddr) :
					      READ(sk, __sk_common.skc_rcv_saddr);
		return;
	}
	struct in6_addr ip = remote ? READ(sk, __sk_common.skc_v6_daddr) :
				      READ(sk, __sk_common.skc_v6_rcv_saddr);
	__builtin_memcpy(to + 8, &ip, 16);
}

/* An address of zeros at its end asks the kernel for one (also ::ffff:0.0.0.0). */
INLINE int differ(const __u8 *passed, const __u8 *actual, __u32 family, int has_ports)
{
	const __u32 *one = (const __u32 *)passed, *other = (const __u32 *)actual;
	__u16 port = *(__u16 *)(passed + 2);

	if (has_ports && port && port != *(__u16 *)(actual + 2))
		return 1;
	if (family == AF_INET)
		return one[1] && one[1] != other[1];
	return one[5] && (one[2] != other[2] || one[3] != other[3] || one[4] != other[4] ||
			  one[5] != other[5]);
}

SHARED int note_mismatch(const struct passed_address *from, __u64 sock, const struct lz_socket *socket)
{
	if (!from || !socket)
		return 0;
	struct sock *sk = (struct sock *)sock;
	__u32 family = socket->family, size = family == AF_INET ? 16 : 28;
	struct scratch *s;

	if (from->length < (family == AF_INET ? 16 : 24) || !from->address)
		return 0;
	if (from->length < size)
		size = 24;
	/* Begun before it is known whether there is anything to tell: the stack has no room for both. */
	s = begin(sizeof(struct lz_mismatch), LZ_NETWORK);
	if (!s)
		return 0;
	struct lz_mismatch *body = &s->record.body.mismatch;
	if (bpf_probe_read_user(body->passed, size, (void *)from->address)) {
		release(s);
		return 0;
	}
	read_actual(body->actual, sk, family, from->remote);
	int is_same_family = *(__u16 *)body->passed == family;
	int has_ports = socket->protocol == IPPROTO_TCP || socket->protocol == IPPROTO_UDP;
	/* AF_UNSPEC undoes a connect, and stands for AF_INET in a bind to any address. */
	if (!*(__u16 *)body->passed ||
	    (is_same_family && !differ(body->passed, body->actual, family, has_ports))) {
		release(s);
		return 0;
	}
	body->result = from->result;
	body->kind = from->kind;
	body->socket = *socket;
	send_or_count(s, LZ_MISMATCH);
	return 0;
}

#endif
