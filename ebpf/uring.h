/* What is asked of io_uring: opens (as open_failed) and connects that no system call shows.
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
enum { IORING_OP_CONNECT = 16, IORING_OP_OPENAT = 18, IORING_OP_OPENAT2 = 28 };

INLINE void uring_open(struct io_open *request)
{
	struct scratch *s = begin(sizeof(struct lz_open_failed), LZ_FILE);
	struct filename *name = READ(request, filename);
	__u32 at;

	if (!s)
		return;
	struct lz_open_failed *body = &s->record.body.open_failed;
	body->result = -EINPROGRESS;
	body->flags = READ(request, how.flags);
	at = s->at;
	body->path.text = add_kernel_text(s, (__u64)READ(name, name));
	add_base(s, &body->path, at, READ(request, dfd));
	send_or_count(s, LZ_OPEN_FAILED);
}

/* The address is the program's own: what async_data holds at this moment (6.18) is no message. */
INLINE void uring_connect(struct io_kiocb *request, struct io_connect *connect)
{
	struct endpoint endpoint = {
		.kind = LZ_CONNECT,
		.result = -EINPROGRESS,
		.fd = READ(request, cqe.fd),
		.address = (__u64)READ(connect, addr),
		.length = READ(connect, addr_len),
	};

	send_endpoint(&endpoint);
}

SEC("tp_btf/io_uring_submit_req")
int uring(__u64 *ctx)
{
	struct io_kiocb *request = (struct io_kiocb *)ctx[0];
	__u8 opcode = request->opcode;

	if (opcode != IORING_OP_CONNECT && opcode != IORING_OP_OPENAT &&
	    opcode != IORING_OP_OPENAT2)
		return 0;
	if (!is_ours(bpf_get_current_task_btf()))
		return 0;
	if (opcode == IORING_OP_CONNECT)
		uring_connect(request, (struct io_connect *)request);
	else
		uring_open((struct io_open *)request);
	return 0;
}

#endif
