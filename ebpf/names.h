/* rename, link, symlink, unlink, mkdir, chmod by name; file_chmod by descriptor.
 *
 * Only strings exist for these. What a walk over them starts from is the kernel's own: the directory
 * of a relative one, the task's root and working directory, the file behind a descriptor that the
 * string names. A failed one may be folded; one that changed something never is.
 */
#ifndef LZ_NAMES_H
#define LZ_NAMES_H

#include "file.h"
#include "fold.h"
#include "entered.h"

/* Where the arguments stand; NONE where there is no such one. */
#define NONE 7

struct shape {
	__u8 kind;
	__u8 dir1, text1;
	__u8 dir2, text2;
	__u8 mode;
};

static const struct shape shapes[16] = {
	[ACT_RENAME & 15] = { LZ_RENAME, NONE, 0, NONE, 1, NONE },
	[ACT_RENAMEAT & 15] = { LZ_RENAME, 0, 1, 2, 3, NONE },
	[ACT_RENAMEAT2 & 15] = { LZ_RENAME, 0, 1, 2, 3, 4 },
	[ACT_LINK & 15] = { LZ_LINK, NONE, 0, NONE, 1, NONE },
	[ACT_LINKAT & 15] = { LZ_LINK, 0, 1, 2, 3, 4 },
	[ACT_SYMLINK & 15] = { LZ_SYMLINK, NONE, 0, NONE, 1, NONE },
	[ACT_SYMLINKAT & 15] = { LZ_SYMLINK, NONE, 0, 1, 2, NONE },
	[ACT_UNLINK & 15] = { LZ_UNLINK, NONE, 0, NONE, NONE, NONE },
	[ACT_UNLINKAT & 15] = { LZ_UNLINK, 0, 1, NONE, NONE, 2 },
	[ACT_RMDIR & 15] = { LZ_UNLINK, NONE, 0, NONE, NONE, NONE },
	[ACT_MKDIR & 15] = { LZ_MKDIR, NONE, 0, NONE, NONE, 1 },
	[ACT_MKDIRAT & 15] = { LZ_MKDIR, 0, 1, NONE, NONE, 2 },
	[ACT_CHMOD & 15] = { LZ_CHMOD, NONE, 0, NONE, NONE, 1 },
	[ACT_FCHMODAT & 15] = { LZ_CHMOD, 0, 1, NONE, NONE, 2 },
};

/* An array on the stack cannot be indexed by a loaded value without losing track of it. */
INLINE __u64 argument(const struct call *call, __u8 index)
{
	switch (index) {
	case 0:
		return call->args[0];
	case 1:
		return call->args[1];
	case 2:
		return call->args[2];
	case 3:
		return call->args[3];
	case 4:
		return call->args[4];
	}
	return 0;
}

INLINE __s32 directory(const struct call *call, __u8 index)
{
	return index == NONE ? AT_FDCWD : (__s32)argument(call, index);
}

SEC("tp_btf/sys_exit")
int names(__u64 *ctx)
{
	struct call call;
	struct scratch *s;
	const struct shape *shape;

	read_call(&call, ctx);
	shape = &shapes[call.act & 15];
	s = begin(sizeof(struct lz_names), LZ_FILE);
	if (!s)
		return 0;
	struct lz_names *body = &s->record.body.names;
	body->result = call.result;
	body->mode = call.act == ACT_RMDIR ? AT_REMOVEDIR : argument(&call, shape->mode);
	if (shape->kind == LZ_SYMLINK)
		body->first.text = add_user_text(s, argument(&call, shape->text1),
						 &body->first.unreadable);
	else
		add_argument(s, &body->first, argument(&call, shape->text1),
			     directory(&call, shape->dir1));
	if (shape->text2 != NONE)
		add_argument(s, &body->second, argument(&call, shape->text2),
			     directory(&call, shape->dir2));
	body->root = add_root(s);
	struct lz_argument first = body->first, second = body->second;
	if (call.result < 0) {
		send_or_count(s, shape->kind);
	} else {
		body->cwd = add_cwd(s);
		send(s, shape->kind, LZ_NO_SLOT);
	}
	compare_names(&call, &first, shape->text2 == NONE ? 0 : &second, sizeof(struct lz_names));
	return 0;
}

SEC("tp_btf/sys_exit")
int file_chmod(__u64 *ctx)
{
	struct call call;
	struct scratch *s;
	struct file *file;

	read_call(&call, ctx);
	file = file_of(call.args[0]);
	if (!file)
		return 0;
	s = begin(sizeof(struct lz_file_chmod), LZ_FILE);
	if (!s)
		return 0;
	struct lz_file_chmod *body = &s->record.body.file_chmod;
	body->result = call.result;
	body->mode = call.args[1];
	fill_file(s, &body->file, file);
	send_or_count(s, LZ_FILE_CHMOD);
	return 0;
}

#endif
