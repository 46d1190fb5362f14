/* What is asked of io_uring: opens (as open_failed), connects and sends that no system call shows, and
 * every other operation by its number (ring); and what a socket was bound to thereby (source).
 *
 * Seen when a request is handed over, with the kernel's own copy of its path. How it ends
 * is not seen: the result is -EINPROGRESS.
 */
#ifndef LZ_URING_H
#define LZ_URING_H

#include "file.h"
#include "fold.h"
#include "socket.h"

/* include/uapi/linux/io_uring.h */
enum {
	IORING_OP_SENDMSG = 9,
	IORING_OP_ACCEPT = 13,
	IORING_OP_CONNECT = 16,
	IORING_OP_FALLOCATE = 17,
	IORING_OP_OPENAT = 18,
	IORING_OP_SEND = 26,
	IORING_OP_OPENAT2 = 28,
	IORING_OP_SPLICE = 30,
	IORING_OP_RENAMEAT = 35,
	IORING_OP_UNLINKAT = 36,
	IORING_OP_MKDIRAT = 37,
	IORING_OP_SYMLINKAT = 38,
	IORING_OP_LINKAT = 39,
	IORING_OP_FSETXATTR = 41,
	IORING_OP_SETXATTR = 42,
	IORING_OP_URING_CMD = 46,
	IORING_OP_SEND_ZC = 47,
	IORING_OP_SENDMSG_ZC = 48,
	IORING_OP_FTRUNCATE = 55,
};

/* The kernel's own copy of a path, as requests on names keep it; 0: there is none. */
INLINE __u64 text_of(struct filename *name)
{
	return name ? (__u64)READ(name, name) : 0;
}

#define NAME_IN(type, request, member)                                                             \
	text_of(HAS_MEMBER(type, member) ?                                                         \
			READ((type *)(request), member) :                                          \
			READ((type##___delayed *)(request), member.__incomplete_filename))

INLINE void uring_open(struct io_open *request)
{
	struct scratch *s = begin(sizeof(struct lz_open_failed), LZ_FILE);
	__u32 at;

	if (!s)
		return;
	struct lz_open_failed *body = &s->record.body.open_failed;
	body->result = -EINPROGRESS;
	body->flags = READ(request, how.flags);
	at = s->at;
	body->path.text = add_kernel_text(s, NAME_IN(struct io_open, request, filename));
	add_base(s, &body->path, at, READ(request, dfd));
	send_or_count(s, LZ_OPEN_FAILED);
}

/* include/linux/io_uring_types.h: the descriptor is a place in the ring's own table */
enum { REQ_F_FIXED_FILE = 1 };

/* A file of the ring's own table; 0 where this kernel keeps it in another form. */
INLINE struct file *file_in_ring(struct io_ring_ctx *ring, __u32 at)
{
	struct io_rsrc_node *node = 0;

	if (!HAS_MEMBER(struct io_file_table, data) || !HAS_MEMBER(struct io_rsrc_node, file_ptr))
		return 0;
	struct io_rsrc_node **nodes = READ(ring, file_table.data.nodes);
	if (!nodes || at >= READ(ring, file_table.data.nr))
		return 0;
	bpf_probe_read_kernel(&node, sizeof(node), (void *)((__u64)nodes + at * 8ULL));
	/* The low bits are flags (FFS_MASK). */
	return node ? (struct file *)(READ(node, file_ptr) & ~7UL) : 0;
}

/* The file that a request is about, which the kernel itself looks up later. */
INLINE __u64 file_of_request(struct io_kiocb *request)
{
	__s32 fd = READ(request, cqe.fd);

	if (READ(request, flags) & REQ_F_FIXED_FILE)
		return (__u64)file_in_ring(READ(request, ctx), fd);
	return fd >= 0 ? (__u64)file_of(fd) : 0;
}

/* The descriptor of a request; -1 where it is none of the task's. */
INLINE __s32 descriptor(struct io_kiocb *request)
{
	return READ(request, flags) & REQ_F_FIXED_FILE ? -1 : READ(request, cqe.fd);
}

/* The address is the program's own: what async_data holds at this moment (6.18) is no message. */
INLINE void uring_connect(struct io_kiocb *request, struct io_connect *connect)
{
	struct endpoint endpoint = {
		.kind = LZ_CONNECT,
		.result = -EINPROGRESS,
		.fd = descriptor(request),
		.file = file_of_request(request),
		.address = (__u64)READ(connect, addr),
		.length = READ(connect, addr_len),
	};

	send_endpoint(&endpoint);
}

INLINE int sends_message(__u8 opcode)
{
	return opcode == IORING_OP_SENDMSG || opcode == IORING_OP_SENDMSG_ZC;
}

INLINE int sends(__u8 opcode)
{
	return sends_message(opcode) || opcode == IORING_OP_SEND || opcode == IORING_OP_SEND_ZC;
}

/* Since 6.13 the kernel has copied the address when the request is told; before, it reads it later. */
INLINE void uring_send(struct io_kiocb *request, struct io_sr_msg *message, __u8 opcode)
{
	struct endpoint endpoint = {
		.kind = LZ_SEND,
		.result = -EINPROGRESS,
		.fd = descriptor(request),
		.file = file_of_request(request),
	};

	if (HAS_MEMBER(struct io_async_msghdr, msg) && HAS_MEMBER(struct io_rsrc_node, file_ptr)) {
		struct io_async_msghdr *copy = READ(request, async_data);

		endpoint.address = (__u64)READ(copy, msg.msg_name);
		endpoint.length = READ(copy, msg.msg_namelen);
		endpoint.copied = 1;
	} else if (sends_message(opcode)) {
		read_message(&endpoint, (__u64)READ(message, umsg), 0);
	} else if (HAS_MEMBER(struct io_sr_msg, addr)) {
		endpoint.address = (__u64)READ(message, addr);
		endpoint.length = READ(message, addr_len);
	}
	if (endpoint.address)
		send_endpoint(&endpoint);
}

/* Accepts that go on: each connection is a result without a request, known by the number that the program
 * gave it. What it puts them into: descriptors (0), or places of the ring's own table. */
struct shot {
	__u64 ring;
	__u64 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct shot);
	__type(value, __u32);
} shots SEC(".maps");

enum { IORING_ACCEPT_MULTISHOT = 1 };

INLINE void uring_accept(struct io_kiocb *request, struct io_accept *accept)
{
	/* Where that is told (6.10 and later); what becomes of it is told later still (uring_end.h). */
	if (!HAS_MEMBER(struct io_accept, iou_flags))
		return;
	struct shot shot = { (__u64)READ(request, ctx), READ(request, cqe.user_data) };
	__u32 slot = READ(accept, file_slot);

	if (!(READ(accept, iou_flags) & IORING_ACCEPT_MULTISHOT))
		return;
	if (bpf_map_update_elem(&shots, &shot, &slot, 0))
		lose(LZ_NETWORK, 1);
}

/* By a descriptor, in another way than by writing. */
INLINE int changes_file(__u32 opcode)
{
	return opcode == IORING_OP_FALLOCATE || opcode == IORING_OP_SPLICE || opcode == IORING_OP_FSETXATTR ||
	       opcode == IORING_OP_URING_CMD || opcode == IORING_OP_FTRUNCATE;
}

INLINE void uring_other(struct io_kiocb *request, __u32 opcode)
{
	struct scratch *s = begin(sizeof(struct lz_ring), LZ_KERNEL);
	__u64 first = 0, second = 0;

	if (!s)
		return;
	if (opcode == IORING_OP_UNLINKAT)
		first = NAME_IN(struct io_unlink, request, filename);
	if (opcode == IORING_OP_MKDIRAT)
		first = NAME_IN(struct io_mkdir, request, filename);
	if (opcode == IORING_OP_RENAMEAT) {
		first = NAME_IN(struct io_rename, request, oldpath);
		second = NAME_IN(struct io_rename, request, newpath);
	}
	if (opcode == IORING_OP_LINKAT || opcode == IORING_OP_SYMLINKAT) {
		first = NAME_IN(struct io_link, request, oldpath);
		second = NAME_IN(struct io_link, request, newpath);
	}
	if (opcode == IORING_OP_SETXATTR)
		first = NAME_IN(struct io_xattr, request, filename);
	struct lz_ring *body = &s->record.body.ring;
	body->opcode = opcode;
	body->fd = descriptor(request);
	if (first)
		body->first = add_kernel_text(s, first);
	if (second)
		body->second = add_kernel_text(s, second);
	if (!first && changes_file(opcode)) {
		struct file *file = (struct file *)file_of_request(request);

		if (file)
			body->first = add_path(s, (__u64)READ(file, f_path.dentry),
					       (__u64)READ(file, f_path.mnt));
	}
	send_or_count(s, LZ_RING);
}

/* Before 6.3 the tracepoint is called io_uring_submit_sqe; its first argument is the same. */
SEC("tp_btf/io_uring_submit_req")
int uring(__u64 *ctx)
{
	struct io_kiocb *request = (struct io_kiocb *)ctx[0];
	__u8 opcode = request->opcode;

	if (!is_ours(bpf_get_current_task_btf()))
		return 0;
	if (opcode == IORING_OP_CONNECT)
		uring_connect(request, (struct io_connect *)request);
	else if (opcode == IORING_OP_OPENAT || opcode == IORING_OP_OPENAT2)
		uring_open((struct io_open *)request);
	else
		uring_other(request, opcode);
	if (sends(opcode))
		uring_send(request, (struct io_sr_msg *)request, opcode);
	if (opcode == IORING_OP_ACCEPT)
		uring_accept(request, (struct io_accept *)request);
	return 0;
}

INLINE int binds(__u8 opcode)
{
	return opcode == IORING_OP_CONNECT || sends(opcode);
}

/* The kernel chooses the local port while it works on the request, which may be later and elsewhere. */
SHARED int send_source(__u64 of)
{
	struct file *file = (struct file *)of;
	struct lz_socket socket = {};
	struct sock *sk = file ? sock_of(file, &socket) : 0;
	__u32 family = socket.family;
	struct scratch *s;

	if (!sk || (family != AF_INET && family != AF_INET6) || !READ(sk, __sk_common.skc_num))
		return 0;
	s = begin(sizeof(struct lz_flow), LZ_NETWORK);
	if (!s)
		return 0;
	struct lz_flow *body = &s->record.body.flow;
	body->socket = socket;
	fill_local(body->local, sk, family);
	__u16 port = READ(sk, __sk_common.skc_dport);
	if (port)
		fill_address(body->remote, sk, family, port, 1);
	send_or_count(s, LZ_SOURCE);
	return 0;
}

#endif
