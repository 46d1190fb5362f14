/* connect, bind, listen, send, socket, accept, query.
 *
 * The address is the kernel's own where the call left one in the socket (struct sock), else the bytes
 * that the program passed.
 */
#ifndef LZ_SOCKET_H
#define LZ_SOCKET_H

#include "file.h"
#include "fold.h"
#include "mismatch.h"
#include "bound.h"

/* The socket behind a file, and what it is; 0 if the file is none. */
INLINE struct sock *sock_of(struct file *file, struct lz_socket *out)
{
	struct inode *inode = READ(file, f_inode);
	struct super_block *sb = READ(inode, i_sb);
	struct socket *socket = READ(file, private_data);

	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK || READ(sb, s_magic) != SOCKFS_MAGIC ||
	    !socket)
		return 0;
	struct sock *sk = READ(socket, sk);
	if (!sk)
		return 0;
	out->family = READ(sk, __sk_common.skc_family);
	out->kind = READ(socket, type);
	out->protocol = READ(sk, sk_protocol);
	return sk;
}

INLINE __u16 swap16(__u16 host)
{
	return __builtin_bswap16(host);
}

/* An address of a socket in the form of a sockaddr; `to` is all 0. */
INLINE void fill_address(__u8 *to, struct sock *sk, __u32 family, __u16 port, int remote)
{
	*(__u16 *)to = family;
	*(__u16 *)(to + 2) = port;
	if (family == AF_INET) {
		__u32 ip = remote ? READ(sk, __sk_common.skc_daddr) :
				    READ(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)(to + 4) = ip;
		return;
	}
	struct in6_addr ip = remote ? READ(sk, __sk_common.skc_v6_daddr) :
				      READ(sk, __sk_common.skc_v6_rcv_saddr);
	__builtin_memcpy(to + 8, &ip, 16);
}

/* The socket's own address. None before the kernel or the program has chosen a port. */
INLINE void fill_local(__u8 *to, struct sock *sk, __u32 family)
{
	__u16 port = READ(sk, __sk_common.skc_num);

	if (port && (family == AF_INET || family == AF_INET6))
		fill_address(to, sk, family, swap16(port), 0);
}

/* Appends the address that a unix socket is bound to: of one with a path the path of the kernel's own
 * file, whatever the program called it; else (abstract) as the kernel holds it. */
SHARED int add_unix_address(struct scratch *s, __u64 sock)
{
	if (!s)
		return 0;
	struct unix_sock *sk = (struct unix_sock *)sock;
	struct unix_address *address = READ(sk, addr);
	__u64 dentry = (__u64)READ(sk, path.dentry), mount = (__u64)READ(sk, path.mnt);
	__u32 at = s->at;

	if (!address || at > TEXT_LIMIT)
		return 0;
	if (dentry) {
		*(__u16 *)((__u8 *)&s->record + at) = AF_UNIX;
		s->at = at + 2;
		return 2 + add_path(s, dentry, mount);
	}
	__u32 length = READ(address, len);
	if (length > LZ_ADDRESS_MAX) {
		length = LZ_ADDRESS_MAX;
		s->flags |= LZ_CUT;
	}
	bpf_probe_read_kernel((__u8 *)&s->record + at, length,
			      (void *)((__u64)address + OFFSET(struct unix_address, name)));
	s->at = at + length;
	return length;
}

/* Appends an address of an IP socket in the form of a sockaddr: its peer's, or its own. */
SHARED int add_ip_address(struct scratch *s, __u64 sock, __u32 family, __u32 remote)
{
	if (!s)
		return 0;
	struct sock *sk = (struct sock *)sock;
	__u32 at = s->at;
	__u8 *to;

	if (at > TEXT_LIMIT)
		return 0;
	to = (__u8 *)&s->record + at;
	__builtin_memset(to, 0, 28);
	*(__u16 *)to = family;
	*(__u16 *)(to + 2) = remote ? READ(sk, __sk_common.skc_dport) :
				      swap16(READ(sk, __sk_common.skc_num));
	if (family == AF_INET) {
		*(__u32 *)(to + 4) = remote ? READ(sk, __sk_common.skc_daddr) :
					      READ(sk, __sk_common.skc_rcv_saddr);
		s->at = at + 16;
		return 16;
	}
	if (family == AF_INET6) {
		struct in6_addr ip = remote ? READ(sk, __sk_common.skc_v6_daddr) :
					      READ(sk, __sk_common.skc_v6_rcv_saddr);
		__builtin_memcpy(to + 8, &ip, 16);
		s->at = at + 28;
		return 28;
	}
	return 0;
}

/* The same of any socket. */
INLINE int add_sock_address(struct scratch *s, __u64 sock, __u32 family, __u32 remote)
{
	if (family != AF_UNIX)
		return add_ip_address(s, sock, family, remote);
	struct unix_sock *unix = (struct unix_sock *)sock;
	if (remote)
		unix = (struct unix_sock *)READ(unix, peer);
	return unix ? add_unix_address(s, (__u64)unix) : 0;
}

/* Appends the bytes that the program passed; or the kernel's own copy of them. */
SHARED int add_passed_address(struct scratch *s, __u64 from, __u64 length, __u32 copied)
{
	if (!s)
		return 0;
	__u32 at = s->at, n = length;

	if (!from)
		return 0;
	if (length > LZ_ADDRESS_MAX) {
		n = LZ_ADDRESS_MAX;
		s->flags |= LZ_CUT;
	}
	if (at > TEXT_LIMIT || n > LZ_ADDRESS_MAX)
		return 0;
	__u8 *to = (__u8 *)&s->record + at;
	if (copied ? bpf_probe_read_kernel(to, n, (void *)from) : bpf_probe_read_user(to, n, (void *)from)) {
		s->flags |= LZ_CUT;
		return 0;
	}
	s->at = at + n;
	return n;
}

struct state_record {
	struct lz_head head;
	struct lz_state state;
};

/* A connect that did not block is decided. Built in the ring: as of a flow (flow.h), the scratch area may be
 * in use. */
SHARED int send_state(const struct owner *owner, __u32 state)
{
	if (!owner)
		return 0;
	struct sock *sk = (struct sock *)owner->sock;
	/* Before: an access to `record` inside READ would be relocated. */
	__u32 family = READ(sk, __sk_common.skc_family), known = owner->error, error = READ(sk, sk_err);
	__u16 port = swap16(owner->port), far_port = READ(sk, __sk_common.skc_dport);
	struct state_record *record = bpf_ringbuf_reserve(&critical, sizeof(*record), 0);

	if (!record) {
		lose(LZ_NETWORK, 1);
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->head = owner->head;
	record->state.state = state;
	record->state.error = state != TCP_CLOSE ? 0 : known ? known : error;
	record->state.socket.family = family;
	record->state.socket.kind = SOCK_STREAM;
	record->state.socket.protocol = READ(sk, sk_protocol);
	fill_address(record->state.local, sk, family, port, 0);
	fill_address(record->state.remote, sk, family, far_port, 1);
	record->head.size = sizeof(*record);
	record->head.kind = LZ_STATE;
	record->head.slot = LZ_NO_SLOT;
	record->head.cpu = bpf_get_smp_processor_id();
	record->head.time = bpf_ktime_get_boot_ns();
	bpf_ringbuf_submit(record, wake_flag(&critical));
	return 0;
}

/* Remembers whose a connection is. One that was decided before the call returned, as over the loopback,
 * is told at once. */
SHARED int own_flow(__u64 key, __s64 result)
{
	struct sock *sk = (struct sock *)key;
	struct owner owner = {};
	__u8 state = READ(sk, __sk_common.skc_state);

	fill_head(&owner.head);
	owner.sock = key;
	if (result == -EINPROGRESS && state != TCP_SYN_SENT) {
		owner.port = READ(sk, __sk_common.skc_num);
		send_state(&owner, state == TCP_CLOSE ? TCP_CLOSE : TCP_ESTABLISHED);
	}
	if (state == TCP_CLOSE)
		return 0;
	owner.port = READ(sk, __sk_common.skc_num);
	owner.net = (__u64)READ(sk, __sk_common.skc_net.net);
	if (bpf_map_update_elem(&flows, &key, &owner, 0))
		lose(LZ_NETWORK, 1);
	return 0;
}

/* One record about a socket and an address. */
struct endpoint {
	__u64 address; /* of user memory */
	__u64 length;
	__s64 result;
	__u64 file; /* struct file, where it is known otherwise than by its descriptor */
	__u32 fd;
	__u32 kind;
	__u8 kernel; /* take the address from the socket: 1 its own, 2 its peer's */
	__u8 local;  /* tell the socket's own address as well */
	__u8 cut;
	__u8 alone; /* of a send: one datagram, and all of it */
	__u8 copied; /* the address is the kernel's own copy of it */
};

SHARED int send_endpoint(const struct endpoint *endpoint)
{
	if (!endpoint)
		return 0;
	struct scratch *s = begin(sizeof(struct lz_endpoint), LZ_NETWORK);
	struct file *file;
	struct sock *sk = 0;
	__u16 length = 0;

	if (!s)
		return 0;
	struct lz_endpoint *body = &s->record.body.endpoint;
	body->result = endpoint->result;
	if (endpoint->cut)
		s->flags |= LZ_CUT;
	file = endpoint->file ? (struct file *)endpoint->file : file_of(endpoint->fd);
	if (file)
		sk = sock_of(file, &body->socket);
	__u16 family = body->socket.family;
	int is_ip = family == AF_INET || family == AF_INET6;
	if (sk && endpoint->kernel && (is_ip || family == AF_UNIX || endpoint->kernel == 1))
		length = add_sock_address(s, (__u64)sk, family, endpoint->kernel == 2);
	if (!length)
		length = add_passed_address(s, endpoint->address, endpoint->length, endpoint->copied);
	body->socket.address = length;
	if (sk && endpoint->local)
		fill_local(body->local, sk, family);
	send_or_count(s, endpoint->kind);
	return 0;
}

/* What the kernel made of the address, once the record is sent: whose the connection is, and where it differs.
 * Not below the sending: the stack has no room for both. */
SHARED int follow_endpoint(const struct endpoint *endpoint)
{
	struct lz_socket socket = {};

	if (!endpoint || (!endpoint->kernel && !endpoint->alone))
		return 0;
	struct file *file = endpoint->file ? (struct file *)endpoint->file : file_of(endpoint->fd);
	struct sock *sk = file ? sock_of(file, &socket) : 0;

	if (!sk || (socket.family != AF_INET && socket.family != AF_INET6))
		return 0;
	struct passed_address passed = { .address = endpoint->address, .length = endpoint->length,
					 .result = endpoint->result, .kind = endpoint->kind,
					 .remote = endpoint->kernel == 2 };
	if (endpoint->kind == LZ_SEND && endpoint->alone)
		note_misdirected(&passed, &socket);
	if (!endpoint->kernel)
		return 0;
	if (socket.kind == SOCK_DGRAM && endpoint->kind != LZ_LISTEN)
		own_datagrams((__u64)sk, &socket);
	if (socket.kind == SOCK_STREAM && endpoint->kernel == 2)
		own_flow((__u64)sk, endpoint->result);
	note_mismatch(&passed, (__u64)sk, &socket);
	return 0;
}

/* A descriptor 0, 1 or 2 that is a copy of another, or a connection that took the number (`opened`). */
SHARED int send_dup(__u32 onto, __u32 opened)
{
	struct file *file = file_of(onto);
	struct scratch *s;

	if (!file)
		return 0;
	s = begin(sizeof(struct lz_dup), LZ_PROCESS);
	if (!s)
		return 0;
	struct lz_dup *body = &s->record.body.dup;
	body->onto = onto;
	struct sock *sk = sock_of(file, &body->socket);
	if (sk) {
		body->is_socket = opened ? 2 : 1;
		body->socket.address = add_sock_address(s, (__u64)sk, body->socket.family, 1);
	} else {
		fill_file(s, &body->file, file);
	}
	send_or_count(s, LZ_DUP);
	return 0;
}

/* What may be a question to a name server. */
struct query {
	__u64 address; /* of user memory; 0 where the socket is connected */
	__u64 length;
	__u64 parts; /* struct iovec */
	__u64 count;
	__u64 bytes; /* instead of parts */
	__u64 size;
	__s64 result;
	__u32 fd;
	__u32 compat;
};

INLINE __u16 asked_port(const struct query *query, struct sock *sk)
{
	__u16 port = 0;

	if (!query->address)
		return READ(sk, __sk_common.skc_dport);
	/* At the same place in both kinds of address. */
	bpf_probe_read_user(&port, sizeof(port), (void *)(query->address + 2));
	return port;
}

/* Appends bytes of the program's, as many as a question may have altogether. */
SHARED int add_payload(struct scratch *s, __u64 from, __u64 size, __u32 before)
{
	if (!s)
		return 0;
	__u32 at = s->at, n = size;

	if (before >= LZ_QUERY_MAX || at > TEXT_LIMIT || !size)
		return 0;
	if (size > LZ_QUERY_MAX - before)
		n = LZ_QUERY_MAX - before;
	if (n > LZ_QUERY_MAX || bpf_probe_read_user((__u8 *)&s->record + at, n, (void *)from))
		return 0;
	s->at = at + n;
	return n;
}

/* A datagram may be put together from parts. */
SHARED int add_parts(struct scratch *s, const struct query *query)
{
	if (!s || !query)
		return 0;
	__u32 word = query->compat ? 4 : 8, length = 0;

	if (!query->parts)
		return add_payload(s, query->bytes, query->size, 0);
	for (__u32 i = 0; i < 4 && i < query->count; i++) {
		__u64 at = query->parts + 2 * word * i, from = 0, size = 0;

		bpf_probe_read_user(&from, word, (void *)at);
		bpf_probe_read_user(&size, word, (void *)(at + word));
		length += add_payload(s, from, size, length);
	}
	return length;
}

/* Asked of every short write: most are none, and that is told by the least that can be read. */
INLINE int is_datagram_socket(struct file *file)
{
	struct inode *inode = READ(file, f_inode);

	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	struct socket *socket = READ(file, private_data);
	return socket && READ(socket, type) == SOCK_DGRAM;
}

/* The socket of a datagram that goes to port 53; 0 of any other. */
CALLED __u64 asking_sock(const struct query *query, struct lz_socket *socket)
{
	struct file *file = file_of(query->fd);
	struct sock *sk = file && is_datagram_socket(file) ? sock_of(file, socket) : 0;

	if (!sk ||
	    (socket->family != AF_INET && socket->family != AF_INET6) ||
	    asked_port(query, sk) != swap16(53))
		return 0;
	return (__u64)sk;
}

/* Sends the beginning of it. */
SHARED int send_query(const struct query *query)
{
	struct lz_socket socket = {};

	if (!query)
		return 0;
	struct sock *sk = (struct sock *)asking_sock(query, &socket);
	if (!sk)
		return 0;
	struct scratch *s = begin(sizeof(struct lz_query), LZ_NETWORK);
	if (!s)
		return 0;
	struct lz_query *body = &s->record.body.query;
	body->result = query->result;
	body->socket = socket;
	fill_local(body->local, sk, socket.family);
	body->socket.address = query->address ? add_passed_address(s, query->address, query->length, 0) :
						add_ip_address(s, (__u64)sk, socket.family, 1);
	body->payload = add_parts(s, query);
	send_or_count(s, LZ_QUERY);
	return 0;
}

/* struct msghdr as the program laid it out: where the address is, and its length. */
INLINE void read_message(struct endpoint *endpoint, __u64 message, int compat)
{
	__u32 length = 0;

	endpoint->address = 0;
	bpf_probe_read_user(&endpoint->address, compat ? 4 : 8, (void *)message);
	bpf_probe_read_user(&length, 4, (void *)(message + (compat ? 4 : 8)));
	endpoint->length = length;
}

/* The parts of a message whose address was read already. */
INLINE void query_of_message(struct query *query, const struct endpoint *endpoint, __u64 message)
{
	__u32 word = query->compat ? 4 : 8;

	query->address = endpoint->address;
	query->length = endpoint->length;
	bpf_probe_read_user(&query->parts, word, (void *)(message + 2 * word));
	bpf_probe_read_user(&query->count, word, (void *)(message + 3 * word));
}

struct messages {
	struct endpoint endpoint;
	__u64 at;
	__u32 left;
	__u32 compat;
};

static long next_message(__u32 index, struct messages *messages)
{
	if (!messages->left)
		return 1;
	messages->left--;
	read_message(&messages->endpoint, messages->at, messages->compat);
	messages->endpoint.cut = index == LZ_MESSAGES_MAX - 1 && messages->left;
	struct query query = { .result = messages->endpoint.result, .fd = messages->endpoint.fd,
			       .compat = messages->compat };
	query_of_message(&query, &messages->endpoint, messages->at);
	send_query(&query);
	messages->at += messages->compat ? 32 : 64; /* sizeof(struct mmsghdr) */
	if (messages->endpoint.address)
		send_endpoint(&messages->endpoint);
	return 0;
}

/* MSG_FASTOPEN: the data goes out with the connect that it makes. */
INLINE void describe_send(struct endpoint *endpoint, const struct call *call, __u64 flags)
{
	int opens = flags & MSG_FASTOPEN;

	endpoint->result = call->result;
	endpoint->fd = call->args[0];
	endpoint->kind = opens ? LZ_CONNECT : LZ_SEND;
	endpoint->kernel = opens && (call->result >= 0 || call->result == -EINPROGRESS) ? 2 : 0;
	endpoint->local = 1;
}

/* Many at once. Not below on_socket, for the stack's sake. */
SHARED int on_messages(const struct call *call)
{
	if (!call || call->act != ACT_SENDMMSG)
		return 0;
	struct messages messages = {};

	describe_send(&messages.endpoint, call, call->args[3]);
	messages.at = call->args[1];
	messages.compat = call->compat;
	/* A refused call still shows what its first message was for. */
	messages.left = call->result < 0 ? call->args[2] != 0 : call->result;
	bpf_loop(LZ_MESSAGES_MAX, next_message, &messages, 0);
	if (messages.endpoint.kernel) {
		/* The first is the one that connects. */
		read_message(&messages.endpoint, call->args[1], call->compat);
		follow_endpoint(&messages.endpoint);
	}
	return 0;
}

/* socketcall(2): the call and its arguments are in memory. Turns it into the call it stands for. */
SHARED int unpack_socketcall(struct call *call)
{
	if (!call)
		return 0;
	__u32 args[6] = {};

	bpf_probe_read_user(args, sizeof(args), (void *)call->args[1]);
	switch (call->args[0]) {
	case 1:
		call->act = ACT_SOCKET;
		break;
	case 5:
	case 18:
		call->act = ACT_ACCEPT;
		break;
	case 9: /* send(2) */
		call->act = ACT_SENDTO;
		args[4] = args[5] = 0;
		break;
	case 2:
		call->act = ACT_BIND;
		break;
	case 3:
		call->act = ACT_CONNECT;
		break;
	case 4:
		call->act = ACT_LISTEN;
		break;
	case 11:
		call->act = ACT_SENDTO;
		break;
	case 16:
		call->act = ACT_SENDMSG;
		break;
	case 14:
		call->act = ACT_OPTION;
		break;
	case 20:
		call->act = ACT_SENDMMSG;
		break;
	default:
		return 0;
	}
	for (int i = 0; i < 6; i++)
		call->args[i] = args[i];
	return 0;
}

/* A socket was made: what was asked for is what it is. */
SHARED int send_socket(const struct call *call)
{
	struct scratch *s;

	if (!call || call->result < 0)
		return 0;
	s = begin(sizeof(struct lz_endpoint), LZ_NETWORK);
	if (!s)
		return 0;
	struct lz_endpoint *body = &s->record.body.endpoint;
	body->socket.family = call->args[0];
	body->socket.kind = call->args[1] & 15;
	body->socket.protocol = call->args[2];
	send_or_count(s, LZ_SOCKET);
	return 0;
}

/* A datagram of write(2) on a connected socket, as Go's resolver sends it. */
SHARED int on_query(struct call *call)
{
	if (!call)
		return 0;
	struct query query = {};

	query.fd = call->args[0];
	query.result = call->result;
	query.compat = call->compat;
	if (call->act == ACT_WRITEV) {
		query.parts = call->args[1];
		query.count = call->args[2];
	} else {
		query.bytes = call->args[1];
		query.size = call->args[2];
	}
	send_query(&query);
	return 0;
}

SHARED int on_socket(struct call *call)
{
	if (!call)
		return 0;
	struct endpoint endpoint = {};
	__u16 act;

	if (call->act == ACT_SOCKETCALL)
		unpack_socketcall(call);
	act = call->act;
	if (act == ACT_SOCKET) {
		send_socket(call);
		return 0;
	}
	if (act == ACT_SENDMMSG || act == ACT_OPTION)
		return 0;
	endpoint.result = call->result;
	endpoint.fd = call->args[0];
	endpoint.address = call->args[1];
	endpoint.length = call->args[2];
	if (act == ACT_CONNECT) {
		endpoint.kind = LZ_CONNECT;
		endpoint.kernel = call->result == 0 || call->result == -EINPROGRESS ? 2 : 0;
		/* A refused one has none: repeats of it are alike. */
		endpoint.local = endpoint.kernel;
	} else if (act == ACT_BIND) {
		endpoint.kind = LZ_BIND;
		endpoint.kernel = call->result == 0;
	} else if (act == ACT_ACCEPT) {
		if (call->result < 0)
			return 0;
		endpoint.kind = LZ_ACCEPT;
		endpoint.fd = call->result;
		endpoint.kernel = 2;
		endpoint.local = 1;
		endpoint.address = 0;
	} else if (act == ACT_LISTEN) {
		endpoint.kind = LZ_LISTEN;
		endpoint.kernel = 1;
		endpoint.address = 0;
	} else {
		__u64 flags = call->args[act == ACT_SENDMSG ? 2 : 3];

		describe_send(&endpoint, call, flags);
		endpoint.alone = !(flags & MSG_MORE);
		endpoint.address = call->args[4];
		endpoint.length = call->args[5];
		struct query query = { .result = call->result, .fd = call->args[0],
				       .compat = call->compat };
		if (act == ACT_SENDMSG) {
			read_message(&endpoint, call->args[1], call->compat);
			query_of_message(&query, &endpoint, call->args[1]);
		} else if (act == ACT_SENDTO) {
			query.address = call->args[4];
			query.length = call->args[5];
			query.bytes = call->args[1];
			query.size = call->args[2];
		} else {
			return 0;
		}
		send_query(&query);
		if (!endpoint.address)
			return 0;
	}
	send_endpoint(&endpoint);
	follow_endpoint(&endpoint);
	/* A program that closed its standard streams first needs no dup(2). */
	if (endpoint.kernel == 2 && endpoint.fd <= 2)
		send_dup(endpoint.fd, 1);
	return 0;
}

#endif
