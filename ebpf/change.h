/* change: what else is done to a file, by its name or by a descriptor of it.
 *
 * As of names.h: by name there are only strings, and where a walk over them starts. A change by a
 * descriptor shows the kernel's own file. One that changed nothing new (the same values again) folds.
 */
#ifndef LZ_CHANGE_H
#define LZ_CHANGE_H

#include "file.h"
#include "fold.h"

/* include/uapi/linux/fs.h: FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS, FS_IOC_FSSETXATTR */
INLINE int sets_flags(__u64 command)
{
	__u32 low = command;

	return low == 0x40086602 || low == 0x40046602 || low == 0x401c5820;
}

/* FICLONE, FICLONERANGE: content of another file */
INLINE int clones_content(__u64 command)
{
	__u32 low = command;

	return low == 0x40049409 || low == 0x4020940d;
}

INLINE int is_change_by_ioctl(__u64 command)
{
	return sets_flags(command) || clones_content(command);
}

/* Where the arguments of a call by name stand; NONE where there is no such one. */
struct change_shape {
	__u8 what;
	__u8 dir, text;
	__u8 first, second;
	__u8 flags; /* those of the *at() calls */
	__u8 keep;
};

static const struct change_shape change_shapes[16] = {
	[ACT_TRUNCATE & 15] = { LZ_TRUNCATE, NONE, 0, 1, NONE, NONE, 0 },
	[ACT_CHOWN & 15] = { LZ_CHOWN, NONE, 0, 1, 2, NONE, 0 },
	[ACT_LCHOWN & 15] = { LZ_CHOWN, NONE, 0, 1, 2, NONE, 1 },
	[ACT_FCHOWNAT & 15] = { LZ_CHOWN, 0, 1, 2, 3, 4, 0 },
	[ACT_UTIMENSAT & 15] = { LZ_TIMES, 0, 1, 2, NONE, 3, 0 },
	[ACT_FUTIMESAT & 15] = { LZ_TIMES, 0, 1, 2, NONE, NONE, 0 },
	[ACT_UTIMES & 15] = { LZ_TIMES, NONE, 0, 1, NONE, NONE, 0 },
	[ACT_UTIME & 15] = { LZ_TIMES, NONE, 0, 1, NONE, NONE, 0 },
	[ACT_SETXATTR & 15] = { LZ_SET_XATTR, NONE, 0, 1, 2, NONE, 0 },
	[ACT_LSETXATTR & 15] = { LZ_SET_XATTR, NONE, 0, 1, 2, NONE, 1 },
	[ACT_REMOVEXATTR & 15] = { LZ_REMOVE_XATTR, NONE, 0, 1, NONE, NONE, 0 },
	[ACT_LREMOVEXATTR & 15] = { LZ_REMOVE_XATTR, NONE, 0, 1, NONE, NONE, 1 },
	[ACT_SETXATTRAT & 15] = { LZ_SET_XATTR, 0, 1, 3, 4, 2, 0 },
	[ACT_REMOVEXATTRAT & 15] = { LZ_REMOVE_XATTR, 0, 1, 3, NONE, 2, 0 },
	[ACT_MKNOD & 15] = { LZ_MKNOD, NONE, 0, 1, 2, NONE, 1 },
	[ACT_MKNODAT & 15] = { LZ_MKNOD, 0, 1, 2, 3, NONE, 1 },
};

#define NO_TIME (~0ULL)
#define BILLION 1000000000ULL
enum { UTIME_NOW = (1 << 30) - 1, UTIME_OMIT = (1 << 30) - 2 };

INLINE __u64 user_number(__u64 from, __u32 size)
{
	__u64 number = 0;

	if (size == 4)
		bpf_probe_read_user(&number, 4, (void *)from);
	else
		bpf_probe_read_user(&number, 8, (void *)from);
	return number;
}

/* The time of change that a call asks for, in ns; NO_TIME where it leaves it or says "now". */
INLINE __u64 asked_time(const struct call *call, __u64 from)
{
	/* struct timespec and struct timeval: two numbers each; the second pair is the time of change.
	 * 32-bit ones are short, but for utimensat_time64. */
	__u32 word = call->compat && call->number != 412 ? 4 : 8;
	__u64 seconds, part;

	if (!from)
		return NO_TIME;
	if (call->act == ACT_UTIME)
		return user_number(from + word, word) * BILLION;
	seconds = user_number(from + 2 * word, word);
	part = user_number(from + 3 * word, word);
	if (call->act != ACT_UTIMENSAT)
		return seconds * BILLION + part * 1000;
	if (part == UTIME_NOW || part == UTIME_OMIT)
		return NO_TIME;
	return seconds * BILLION + part;
}

/* Appends bytes of the program's. */
SHARED int add_value(struct scratch *s, __u64 from, __u64 length)
{
	if (!s)
		return 0;
	__u32 at = s->at, n = length;

	if (length > LZ_VALUE_MAX) {
		n = LZ_VALUE_MAX;
		s->flags |= LZ_CUT;
	}
	if (!from || !n || at > TEXT_LIMIT || n > LZ_VALUE_MAX)
		return 0;
	if (bpf_probe_read_user((__u8 *)&s->record + at, n, (void *)from)) {
		s->flags |= LZ_CUT;
		return 0;
	}
	s->at = at + n;
	return n;
}

INLINE void add_xattr(struct scratch *s, struct lz_change *body, __u64 name, __u64 value, __u64 size)
{
	__u8 unreadable = 0;

	body->name = add_user_text(s, name, &unreadable);
	if (unreadable)
		s->flags |= LZ_CUT;
	if (body->what == LZ_SET_XATTR)
		body->value = add_value(s, value, size);
}

/* setxattrat(2) keeps value and size in a struct xattr_args. */
INLINE void add_named_xattr(struct scratch *s, struct lz_change *body, const struct call *call,
			    const struct change_shape *shape)
{
	__u64 name = argument(s, shape->first), value = argument(s, shape->second);
	__u64 size = call->args[3];

	if (call->act == ACT_SETXATTRAT) {
		size = user_number(value + 8, 4);
		value = user_number(value, 8);
	}
	add_xattr(s, body, name, value, size);
}

INLINE void fill_numbers(struct scratch *s, struct lz_change *body, const struct call *call,
			 const struct change_shape *shape)
{
	body->numbers[0] = argument(s, shape->first);
	body->numbers[1] = argument(s, shape->second);
	if (body->what == LZ_CHOWN) {
		body->numbers[0] = (__u32)body->numbers[0];
		body->numbers[1] = (__u32)body->numbers[1];
	}
	if (body->what == LZ_TIMES) {
		body->numbers[0] = asked_time(call, body->numbers[0]);
		/* In whole seconds, so that a loop folds. */
		body->numbers[1] = bpf_ktime_get_tai_ns() / BILLION * BILLION;
	}
	if (body->what == LZ_SET_XATTR || body->what == LZ_REMOVE_XATTR)
		body->numbers[0] = body->numbers[1] = 0;
}

SHARED int on_change(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;
	const struct change_shape *shape;

	shape = &change_shapes[call->act & 15];
	s = begin(sizeof(struct lz_change), LZ_FILE);
	if (!s)
		return 0;
	keep_arguments(s, call);
	struct lz_change *body = &s->record.body.change;
	__u64 text = argument(s, shape->text);

	body->result = call->result;
	body->what = shape->what;
	body->keep = shape->keep;
	if (shape->flags != NONE && argument(s, shape->flags) & AT_SYMLINK_NOFOLLOW)
		body->keep = 1;
	fill_numbers(s, body, call, shape);
	/* The order of the texts: path, root, cwd, name, value. */
	struct file *file = text ? 0 : file_of(directory(s, shape->dir));
	if (file) {
		/* utimensat(2) without a name means the descriptor itself. */
		fill_file(s, &body->file, file);
	} else {
		body->by_name = 1;
		add_argument(s, &body->path, text, directory(s, shape->dir));
		body->root = add_root(s);
		if (call->result >= 0)
			body->cwd = add_cwd(s);
	}
	if (body->what == LZ_SET_XATTR || body->what == LZ_REMOVE_XATTR)
		add_named_xattr(s, body, call, shape);
	struct lz_argument path = body->path;
	s->held = 1;
	send_or_count(s, LZ_CHANGE);
	if (!file)
		compare_names(s, call, &path, 0, sizeof(struct lz_change));
	release(s);
	return 0;
}

/* Memory through which the file is written. 32-bit calls through mmap2(2): the old one has its arguments
 * in memory. */
INLINE int maps_for_writing(const struct pt_regs *regs, __u16 act, int compat)
{
	__u64 flags = compat ? regs->si : regs->r10;
	__u32 type = flags & MAP_TYPE;

	return act == ACT_MMAP && regs->dx & PROT_WRITE && !(regs->dx & PROT_EXEC) &&
	       !(flags & MAP_ANONYMOUS) && (type == MAP_SHARED || type == MAP_SHARED_VALIDATE);
}

/* What is asked of the file, and the descriptor of it. */
INLINE __u32 describe_change(struct lz_change *body, const struct call *call)
{
	switch (call->act) {
	case ACT_FTRUNCATE:
		body->what = LZ_TRUNCATE;
		body->numbers[0] = call->args[1];
		break;
	case ACT_FCHOWN:
		body->what = LZ_CHOWN;
		body->numbers[0] = (__u32)call->args[1];
		body->numbers[1] = (__u32)call->args[2];
		break;
	case ACT_FSETXATTR:
		body->what = LZ_SET_XATTR;
		break;
	case ACT_FREMOVEXATTR:
		body->what = LZ_REMOVE_XATTR;
		break;
	case ACT_IOCTL:
		if (clones_content(call->args[1])) {
			body->what = LZ_COPY;
			break;
		}
		body->what = LZ_SET_FLAGS;
		body->numbers[0] = user_number(call->args[2], 4);
		/* 1: the numbers are those of FS_XFLAG_*. */
		body->numbers[1] = (__u32)call->args[1] == 0x401c5820;
		break;
	case ACT_SHARED_MAP:
		body->what = LZ_MAP;
		return call->args[4];
	default:
		body->what = LZ_COPY;
	}
	return call->act == ACT_SPLICE ? call->args[2] : call->args[0];
}

INLINE __u16 mode_of(struct file *file)
{
	struct inode *inode = READ(file, f_inode);

	return READ(inode, i_mode);
}

SHARED int on_file_change(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;
	struct file *file;
	__u32 fd;

	/* The sieve sends no other mmap here. */
	if (HANDLER(call->act) == ON_MAPPING)
		call->act = ACT_SHARED_MAP;
	s = begin(sizeof(struct lz_change), LZ_FILE);
	if (!s)
		return 0;
	struct lz_change *body = &s->record.body.change;
	body->result = call->result;
	fd = describe_change(body, call);
	file = file_of(fd);
	/* Of copies only those into files: into a socket or a pipe they change nothing that stays. */
	int is_content = body->what == LZ_COPY || body->what == LZ_MAP;
	/* A clone that was made answers 0. */
	int is_nothing = is_error(call->result) || (!call->result && call->act != ACT_IOCTL);
	if (!file || (is_content && (is_nothing ||
				     (mode_of(file) & S_IFMT) != S_IFREG))) {
		release(s);
		return 0;
	}
	if (body->what == LZ_COPY || body->what == LZ_MAP)
		body->result = 0;
	fill_file(s, &body->file, file);
	if (body->what == LZ_SET_XATTR || body->what == LZ_REMOVE_XATTR)
		add_xattr(s, body, call->args[1], call->args[2], call->args[3]);
	send_or_count(s, LZ_CHANGE);
	return 0;
}

#endif
