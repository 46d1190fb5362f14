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

/* Lays out the arguments for `argument`: in the scratch area, because there the verifier looks at an index
 * once, and not at each value that it may have. */
INLINE void keep_arguments(struct scratch *s, const struct call *call)
{
	for (int i = 0; i < 6; i++)
		s->args[i] = call->args[i];
	s->args[6] = s->args[NONE] = 0;
}

INLINE __u64 argument(const struct scratch *s, __u8 index)
{
	return s->args[index & 7];
}

INLINE __s32 directory(const struct scratch *s, __u8 index)
{
	return index == NONE ? AT_FDCWD : (__s32)argument(s, index);
}

SHARED int on_names(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;
	const struct shape *shape;

	shape = &shapes[call->act & 15];
	s = begin(sizeof(struct lz_names), LZ_FILE);
	if (!s)
		return 0;
	struct lz_names *body = &s->record.body.names;
	keep_arguments(s, call);
	body->result = call->result;
	body->mode = call->act == ACT_RMDIR ? AT_REMOVEDIR : argument(s, shape->mode);
	if (shape->kind == LZ_SYMLINK)
		body->first.text = add_user_text(s, argument(s, shape->text1),
						 &body->first.unreadable);
	else
		add_argument(s, &body->first, argument(s, shape->text1),
			     directory(s, shape->dir1));
	if (shape->text2 != NONE)
		add_argument(s, &body->second, argument(s, shape->text2),
			     directory(s, shape->dir2));
	body->root = add_root(s);
	struct lz_argument first = body->first, second = body->second;
	s->held = 1;
	if (call->result < 0) {
		send_or_count(s, shape->kind);
	} else {
		body->cwd = add_cwd(s);
		send(s, shape->kind, LZ_NO_SLOT);
	}
	compare_names(s, call, &first, shape->text2 == NONE ? 0 : &second, sizeof(struct lz_names));
	release(s);
	return 0;
}

SHARED int on_file_chmod(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;
	struct file *file;

	file = file_of(call->args[0]);
	if (!file)
		return 0;
	s = begin(sizeof(struct lz_file_chmod), LZ_FILE);
	if (!s)
		return 0;
	struct lz_file_chmod *body = &s->record.body.file_chmod;
	body->result = call->result;
	body->mode = call->args[1];
	fill_file(s, &body->file, file);
	send_or_count(s, LZ_FILE_CHMOD);
	return 0;
}

#endif
