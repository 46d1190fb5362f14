/* What a program passed for an open, beside the file that the kernel opened for it.
 *
 * The string is read when the call has returned: another thread may have put another one there, and that
 * is what it is told for. Most strings need no telling, because the kernel's own objects show that they
 * lead to the file: those are left out of the record. For the rest the walk over links is done again in
 * user space (src/normalise/resolve.rs), from where the kernel began its own.
 */
#ifndef LZ_PASSED_H
#define LZ_PASSED_H

#include "file.h"

/* include/uapi/linux/openat2.h */
enum { RESOLVE_IN_ROOT = 0x10 };

/* Bytes of a string by which repeats of an open are told apart. */
#define TEXT_KEY 128

/* Part of what makes two opens the same: the string. Under a key of this run, because a program must not
 * be able to make two of them look alike. */
SHARED __u64 hash_user_text(__u64 from)
{
	__u64 words[TEXT_KEY / 8] = {}, hash = secret[0];
	long n = bpf_probe_read_user_str(words, TEXT_KEY, (void *)from);

	if (n <= 0)
		return secret[1];
	for (int i = 0; i < TEXT_KEY / 8; i++) {
		if (i * 8 >= n)
			break;
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return hash ^ secret[1];
}

#define EACH_BYTE(byte) ((byte) * 0x0101010101010101ULL)

/* Two texts of a record, word by word. Where it stands is kept in the scratch area: on the stack, the
 * verifier would follow every value. */
static long compare_word(__u32 index, struct scratch **of)
{
	struct scratch *s = *of;
	__u64 a, b, mask, at_slash;

	if (!s || !s->left)
		return 1;
	__u32 one = s->one, other = s->other, left = s->left;

	if (one > TEXT_LIMIT || other > TEXT_LIMIT) {
		s->differ = 1;
		return 1;
	}
	a = WORD_AT(s, one);
	b = WORD_AT(s, other);
	mask = left < 8 ? (1ULL << 8 * (left & 7)) - 1 : ~0ULL;
	if ((a ^ b) & mask) {
		s->differ = 1;
		return 1;
	}
	/* A byte of 0 in it: a slash (the well-known test for a zero byte). */
	at_slash = (a | ~mask) ^ EACH_BYTE(0x2fULL);
	if ((at_slash - EACH_BYTE(1ULL)) & ~at_slash & EACH_BYTE(0x80ULL))
		s->slash = 1;
	s->one = one + 8;
	s->other = other + 8;
	s->left = left < 8 ? 0 : left - 8;
	return 0;
}

/* 1: the same. 2: the same, and without a slash. */
SHARED int same_text(struct scratch *s, __u32 one, __u32 other, __u32 length)
{
	if (!s)
		return 0;
	s->one = one;
	s->other = other;
	s->left = length;
	s->differ = 0;
	s->slash = 0;
	bpf_loop(LZ_TEXT_MAX / 8, compare_word, &s, 0);
	if (s->differ || s->left)
		return 0;
	return s->slash ? 1 : 2;
}

/* Where a string begins: the path of a descriptor or of the working directory. */
INLINE int find_start(struct path *start, __s32 dirfd)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (dirfd == AT_FDCWD) {
		struct fs_struct *fs = READ(task, fs);

		if (!fs)
			return 0;
		bpf_probe_read_kernel(start, sizeof(*start), __builtin_preserve_access_index(&fs->pwd));
		return 1;
	}
	struct file *file = file_of(dirfd);
	if (!file)
		return 0;
	bpf_probe_read_kernel(start, sizeof(*start), __builtin_preserve_access_index(&file->f_path));
	return 1;
}

/* The string at `text` plainly is the name of the file: its whole path from the sandbox's root, or its
 * name in the very directory that it starts from. */
SHARED int is_plain(struct scratch *s, __u64 opened, __u32 text, __u32 length, __s32 dirfd)
{
	if (!s || !length || text > TEXT_LIMIT)
		return 0;
	struct file *file = (struct file *)opened;
	__u32 path = sizeof(struct lz_head) + sizeof(struct lz_open);
	__u32 path_length = s->record.body.open.file.path;

	if (((__u8 *)&s->record)[text] == '/')
		return length == path_length && same_text(s, path, text, length) != 0;
	if (path_length <= length || same_text(s, path + path_length - length, text, length) != 2)
		return 0;
	struct path start = {};
	if (!find_start(&start, dirfd))
		return 0;
	struct dentry *dentry = READ(file, f_path.dentry);
	__u32 name = READ(dentry, d_name.len);
	return name == length && READ(dentry, d_parent) == start.dentry &&
	       READ(file, f_path.mnt) == start.mnt;
}

/* Where openat2(RESOLVE_IN_ROOT) has its root. */
INLINE int add_start(struct scratch *s, __s32 dirfd)
{
	struct path start = {};

	if (!find_start(&start, dirfd))
		return 0;
	/* Locals: an access to a struct of ours as argument would be relocated. */
	__u64 dentry = (__u64)start.dentry, mount = (__u64)start.mnt;
	return add_path(s, dentry, mount);
}

/* Appends the string, unless it is plain. */
SHARED int add_passed(struct scratch *s, __u64 file, __u64 from, __s32 dirfd, __u32 resolve)
{
	if (!s || !from)
		return 0;
	struct lz_open *body = &s->record.body.open;
	__u32 at = s->at;
	__u8 unreadable = 0;
	int length = add_user_text(s, from, &unreadable);

	body->path.unreadable = unreadable;
	if (is_plain(s, file, at, length, dirfd)) {
		s->at = at;
		return 0;
	}
	body->path.text = length;
	if (resolve & RESOLVE_IN_ROOT) {
		body->root = add_start(s, dirfd);
		return 0;
	}
	add_base(s, &body->path, at, dirfd);
	add_link(s, &body->path, at);
	body->root = add_root(s);
	return 0;
}

#endif
