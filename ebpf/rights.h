/* rights: descriptors that a message takes to another process (SCM_RIGHTS), told by the file behind the first of
 * each list as a call on processes.
 */
#ifndef LZ_RIGHTS_H
#define LZ_RIGHTS_H

#include "socket.h"
#include "call.h"

/* include/linux/socket.h */
enum { SCM_RIGHTS = 1 };

/* Lists of one message that are looked at. */
#define LISTS_MAX 4

SHARED int send_rights(const struct call *call, __u32 fd)
{
	if (!call)
		return 0;
	struct scratch *s = begin(sizeof(struct lz_call), LZ_PROCESS);

	if (!s)
		return 0;
	struct lz_call *body = &s->record.body.call;
	body->result = call->result;
	body->number = call->number;
	body->args[0] = call->args[0];
	body->detail = fd;
	if (call->compat)
		s->flags |= LZ_COMPAT;
	add_file_path(s, fd);
	send_or_count(s, LZ_PROCESS_CALL);
	return 0;
}

/* Of the struct msghdr at `message`. */
SHARED int on_rights(const struct call *call, __u64 message)
{
	if (!call || call->result < 0)
		return 0;
	__u32 word = call->compat ? 4 : 8;
	__u64 control = 0, size = 0;

	bpf_probe_read_user(&control, word, (void *)(message + 4 * word));
	bpf_probe_read_user(&size, word, (void *)(message + 5 * word));
	/* struct cmsghdr: its length, level and type, then the descriptors. */
	for (int i = 0; i < LISTS_MAX && control && size >= word + 12; i++) {
		__u32 about[3] = {};
		__u64 length = 0;

		bpf_probe_read_user(&length, word, (void *)control);
		bpf_probe_read_user(about, sizeof(about), (void *)(control + word));
		if (about[0] == SOL_SOCKET && about[1] == SCM_RIGHTS && length >= word + 12)
			send_rights(call, about[2]);
		length = (length + word - 1) & ~(__u64)(word - 1);
		if (length < word + 8 || length >= size)
			break;
		control += length;
		size -= length;
	}
	return 0;
}

struct rights {
	const struct call *call;
	__u64 at;
};

static long next_rights(__u32 index, struct rights *rights)
{
	on_rights(rights->call, rights->at);
	rights->at += rights->call->compat ? 32 : 64; /* sizeof(struct mmsghdr) */
	return 0;
}

/* Of sendmmsg(2), which returns how many messages it sent. */
SHARED int on_many_rights(const struct call *call)
{
	if (!call || call->result <= 0)
		return 0;
	struct rights rights = { .call = call, .at = call->args[1] };

	bpf_loop(call->result < LZ_MESSAGES_MAX ? call->result : LZ_MESSAGES_MAX, next_rights, &rights, 0);
	return 0;
}

#endif
