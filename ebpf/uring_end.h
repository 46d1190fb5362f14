/* How requests of io_uring end, of those that leave something the kernel can be asked about: the file that
 * was opened (open), the connection that was taken (accept), the socket that was made, bound or listens, and
 * what one was bound to by a request that sends (source).
 *
 * An accept that goes on has no request to show for each connection: it is known by its number (uring.h).
 */
#ifndef LZ_URING_END_H
#define LZ_URING_END_H

#include "open.h"
#include "uring.h"

/* include/uapi/linux/io_uring.h */
enum { IORING_OP_SOCKET = 45, IORING_OP_BIND = 56, IORING_OP_LISTEN = 57 };
/* A place in the ring's table that the kernel is to choose. */
enum { FILE_INDEX_ALLOC = ~0U };

/* What a request made: a descriptor of the task's, or a place in the ring's table. */
INLINE struct file *file_made(struct io_ring_ctx *ring, __u32 slot, __s32 result)
{
	if (!slot)
		return file_of(result);
	return file_in_ring(ring, slot == FILE_INDEX_ALLOC ? (__u32)result : slot - 1);
}

INLINE void uring_opened(struct io_kiocb *request, struct io_open *open, __s32 result)
{
	struct file *file = file_made(READ(request, ctx), READ(open, file_slot), result);
	struct opening opening = {};
	__u64 time;

	if (!file)
		return;
	opening.flags = READ(file, f_flags) | (READ(open, how.flags) & OPEN_ONLY_FLAGS);
	send_open(file, &opening, !!(READ(file, f_mode) & FMODE_CREATED), LZ_NO_SLOT, &time);
}

INLINE void uring_made(struct file *file)
{
	struct scratch *s = file ? begin(sizeof(struct lz_endpoint), LZ_NETWORK) : 0;

	if (!s)
		return;
	if (!sock_of(file, &s->record.body.endpoint.socket)) {
		release(s);
		return;
	}
	send_or_count(s, LZ_SOCKET);
}

/* The kernel's own side of a socket, as after the call of the same name. */
INLINE void uring_endpoint(__u64 file, __u32 kind, __u32 side, __s32 result)
{
	struct endpoint endpoint = { .kind = kind, .result = result, .fd = -1, .file = file,
				     .kernel = side, .local = side == 2 };

	if (!file)
		return;
	send_endpoint(&endpoint);
	follow_endpoint(&endpoint);
}

INLINE void uring_connected(struct file *file, __s32 result)
{
	struct lz_socket socket = {};
	struct sock *sk = file ? sock_of(file, &socket) : 0;

	if (!sk || socket.kind != SOCK_STREAM || (socket.family != AF_INET && socket.family != AF_INET6))
		return;
	if (result >= 0) {
		own_flow((__u64)sk, -EINPROGRESS);
		return;
	}
	struct owner owner = { .sock = (__u64)sk, .error = -result };
	fill_head(&owner.head);
	send_state(&owner, TCP_CLOSE);
}

/* One connection of an accept that goes on. Older kernels tell such a result in another form. */
INLINE void uring_took(struct io_ring_ctx *ring, struct io_uring_cqe *end)
{
	if (!HAS_MEMBER(struct io_rsrc_node, file_ptr))
		return;
	struct shot shot = { (__u64)ring, READ(end, user_data) };
	__s32 result = READ(end, res);
	__u32 *slot = bpf_map_lookup_elem(&shots, &shot);

	if (!slot || result < 0)
		return;
	uring_endpoint((__u64)file_made(ring, *slot, result), LZ_ACCEPT, 2, result);
}

INLINE void uring_took_last(struct io_kiocb *request)
{
	struct shot shot = { (__u64)READ(request, ctx), READ(request, cqe.user_data) };

	bpf_map_delete_elem(&shots, &shot);
}

SEC("tp_btf/io_uring_complete")
int uring_end(__u64 *ctx)
{
	struct io_kiocb *request = (struct io_kiocb *)ctx[1];
	__s32 result;

	if (!request) {
		if (is_ours(bpf_get_current_task_btf()))
			uring_took((struct io_ring_ctx *)ctx[0], (struct io_uring_cqe *)ctx[2]);
		return 0;
	}
	__u8 opcode = READ(request, opcode);
	if (!is_ours(bpf_get_current_task_btf()))
		return 0;
	result = READ(request, cqe.res);
	struct file *file = READ((struct io_connect *)request, file);
	if (binds(opcode))
		send_source((__u64)file);
	if (opcode == IORING_OP_CONNECT)
		uring_connected(file, result);
	if (opcode == IORING_OP_ACCEPT)
		uring_took_last(request);
	if (result < 0)
		return 0;
	struct io_ring_ctx *ring = READ(request, ctx);
	if (opcode == IORING_OP_OPENAT || opcode == IORING_OP_OPENAT2)
		uring_opened(request, (struct io_open *)request, result);
	else if (opcode == IORING_OP_SOCKET)
		uring_made(file_made(ring, READ((struct io_socket *)request, file_slot), result));
	else if (opcode == IORING_OP_ACCEPT)
		uring_endpoint((__u64)file_made(ring, READ((struct io_accept *)request, file_slot), result),
			       LZ_ACCEPT, 2, result);
	else if (opcode == IORING_OP_BIND)
		uring_endpoint((__u64)file, LZ_BIND, 1, result);
	else if (opcode == IORING_OP_LISTEN)
		uring_endpoint((__u64)file, LZ_LISTEN, 1, result);
	return 0;
}

#endif
