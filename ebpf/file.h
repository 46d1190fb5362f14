/* The kernel's own files: descriptor → struct file → path, inode, superblock. */
#ifndef LZ_FILE_H
#define LZ_FILE_H

#include "task.h"

/* A walk from a dentry up to the root of the sandbox, across mounts. What it finds out is kept in the scratch
 * area: on the stack, the verifier would follow every way of finding it out. */
struct walk {
	struct scratch *scratch; /* that of the path: an area that is looked up again may be another's */
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *mount_root;
	__u64 root_dentry;
	__u64 root_mount;
};

/* Deepest path of PATH_MAX bytes has half as many names; mount points come on top. */
#define STEPS_MAX 2200

/* Puts a name before the path built so far; 0 when there is no more room. */
INLINE int prepend(struct scratch *s, const unsigned char *name, __u32 length, int with_slash)
{
	__u32 from = s->from;

	if (length > 255)
		length = 255;
	if (from < length + with_slash)
		return 0;
	from -= length + with_slash;
	s->from = from;
	if (with_slash)
		s->path[from & (PATH_ROOM - 1)] = '/';
	bpf_probe_read_kernel(&s->path[(from + with_slash) & (PATH_ROOM - 1)], length & 255, name);
	return 1;
}

static long step(__u32 index, struct walk *walk)
{
	struct scratch *s = walk->scratch;
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *parent;
	const unsigned char *name;
	__u32 length;
	__u64 block[6];

	if (!s || ((__u64)dentry == walk->root_dentry && (__u64)mount == walk->root_mount))
		return 1;
	if (dentry == walk->mount_root) {
		struct mount *above = READ(mount, mnt_parent);

		if (above == mount || !above)
			return 1;
		walk->dentry = READ(mount, mnt_mountpoint);
		walk->mount = above;
		walk->mount_root = READ(above, mnt.mnt_root);
		return 0;
	}
	READ_BLOCK(block, dentry);
	parent = PICK(block, dentry, d_parent);
	name = PICK(block, dentry, d_name.name);
	length = PICK(block, dentry, d_name.len);
	if (parent == dentry || !parent) {
		/* A root that no mount leads to: memfd, pipe, socket, or cut off from its tree. */
		s->nameless = s->from == PATH_ROOM;
		prepend(s, name, length, 0);
		return 1;
	}
	if (!prepend(s, name, length, 1)) {
		s->cut = 1;
		return 1;
	}
	walk->dentry = parent;
	return 0;
}

/* Appends the path of a (dentry, vfsmount). */
SHARED int add_path(struct scratch *s, __u64 dentry, __u64 vfsmount)
{
	if (!s)
		return 0;
	/* Read before it goes into the struct: an access to `walk` inside READ would be relocated. */
	struct mount *mount = (struct mount *)(vfsmount - OFFSET(struct mount, mnt));
	struct walk walk = {
		.scratch = s,
		.dentry = (struct dentry *)dentry,
		.mount = mount,
		.mount_root = READ(mount, mnt.mnt_root),
		.root_dentry = root.dentry,
		.root_mount = root.mount,
	};
	__u32 at = s->at, from, length;

	s->from = PATH_ROOM;
	s->cut = s->nameless = 0;
	bpf_loop(STEPS_MAX, step, &walk, 0);
	if (s->cut)
		s->flags |= LZ_CUT;
	if (s->from == PATH_ROOM && !s->nameless) {
		s->from = PATH_ROOM - 1;
		s->path[PATH_ROOM - 1] = '/';
	}
	from = s->from;
	length = PATH_ROOM - from;
	if (at > TEXT_LIMIT || length > PATH_ROOM) {
		s->flags |= LZ_CUT;
		return 0;
	}
	bpf_probe_read_kernel((__u8 *)&s->record + at, length, &s->path[from & (PATH_ROOM - 1)]);
	s->at = at + length;
	return length;
}

INLINE struct file *file_of(__u32 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct files_struct *files = READ(task, files);
	struct file *file = 0;

	if (!files)
		return 0;
	struct fdtable *table = READ(files, fdt);
	__u64 block[2];

	READ_BLOCK(block, table);
	if (!table || fd >= PICK(block, table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file),
			      (void *)((__u64)PICK(block, table, fd) + fd * 8ULL));
	return file;
}

/* fs/overlayfs/ovl_entry.h; in vmlinux only where overlayfs is built in. 0: not known. */
INLINE __u64 upper_offset(void)
{
	if (HAS_MEMBER(struct ovl_inode, __upperdentry))
		return OFFSET(struct ovl_inode, __upperdentry) - OFFSET(struct ovl_inode, vfs_inode);
	return upper_at;
}

INLINE __u64 upper_of(struct inode *inode)
{
	__u64 upper = 0;

	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)((__u64)inode + upper_offset()));
	return upper;
}

INLINE __u8 overlay_side(struct inode *inode, __u64 magic)
{
	if (magic != OVERLAYFS_MAGIC || !upper_offset())
		return 0;
	return upper_of(inode) ? 2 : 1;
}

/* Tells a file from the next one that has its number (ext4 and tmpfs draw it anew for each). An overlay's
 * own inode has none. */
CALLED __u32 generation_of(struct inode *inode)
{
	struct super_block *sb = READ(inode, i_sb);

	if (READ(sb, s_magic) == OVERLAYFS_MAGIC && upper_offset()) {
		struct dentry *upper = (struct dentry *)upper_of(inode);

		inode = upper ? READ(upper, d_inode) : 0;
	}
	return inode ? READ(inode, i_generation) : 0;
}

/* Numbers of an inode. A function of its own, so that its block is gone from the stack when the path is
 * walked. */
CALLED int fill_numbers_of(struct lz_file *out, struct inode *inode)
{
	__u64 block[10];

	READ_BLOCK(block, inode);
	struct super_block *sb = PICK(block, inode, i_sb);
	out->inode = PICK(block, inode, i_ino);
	out->links = PICK(block, inode, i_nlink);
	out->mode = PICK(block, inode, i_mode);
	out->magic = READ(sb, s_magic);
	out->device = READ(sb, s_dev);
	out->upper = overlay_side(inode, out->magic);
	return 0;
}

INLINE void fill_inode(struct scratch *s, struct lz_file *out, struct inode *inode, __u64 dentry,
		       __u64 mount)
{
	fill_numbers_of(out, inode);
	out->path = add_path(s, dentry, mount);
}

INLINE void fill_file(struct scratch *s, struct lz_file *out, struct file *file)
{
	struct inode *inode = READ(file, f_inode);
	__u64 dentry = (__u64)READ(file, f_path.dentry);
	__u64 mount = (__u64)READ(file, f_path.mnt);
	fill_inode(s, out, inode, dentry, mount);
}

INLINE int add_cwd(struct scratch *s)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fs_struct *fs = READ(task, fs);

	return fs ? add_path(s, (__u64)READ(fs, pwd.dentry), (__u64)READ(fs, pwd.mnt)) : 0;
}

/* Appends the directory that the text at `at` starts from, if it is a relative one. */
SHARED int add_base(struct scratch *s, struct lz_argument *out, __u32 at, __s32 dirfd)
{
	if (!s || !out)
		return 0;
	if (at > TEXT_LIMIT || (out->text && ((__u8 *)&s->record)[at] == '/'))
		return 0;
	if (dirfd == AT_FDCWD) {
		out->base = add_cwd(s);
		return 0;
	}
	struct file *file = file_of(dirfd);
	if (file)
		out->base = add_path(s, (__u64)READ(file, f_path.dentry),
				     (__u64)READ(file, f_path.mnt));
	return 0;
}

/* Appends the task's root directory, if that is not where the sandbox's file tree begins. */
SHARED int add_root(struct scratch *s)
{
	if (!s)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct fs_struct *fs = READ(task, fs);

	if (!fs || !root.dentry)
		return 0;
	__u64 dentry = (__u64)READ(fs, root.dentry), mount = (__u64)READ(fs, root.mnt);
	if (dentry == root.dentry && mount - OFFSET(struct mount, mnt) == root.mount)
		return 0;
	return add_path(s, dentry, mount);
}

/* The number at the beginning of eight letters; -1 where there is none. */
INLINE __s32 number_in(__u64 letters)
{
	__s32 number = -1;

	for (int i = 0; i < 8; i++, letters >>= 8) {
		__u8 digit = (letters & 0xff) - '0';

		if (digit > 9)
			break;
		number = (number < 0 ? 0 : number * 10) + digit;
	}
	return number;
}

/* Eight letters as they lie in memory (every machine that runs this is little-endian): compared one by
 * one, each would double the verifier's work. */
#define LETTERS(a, b, c, d, e, f, g, h)                                                            \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |   \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
#define FIRST(n) ((1ULL << 8 * (n)) - 1)

/* How many digits a number has. */
INLINE __u32 digits_of(__u32 number)
{
	return number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : number < 10000 ? 4 :
	       number < 100000 ? 5 : number < 1000000 ? 6 : 7;
}

/* Where the number begins in a text that names a descriptor of the task's own; 0 in any other. */
INLINE __u32 descriptor_at(const __u64 *text)
{
	if (text[0] == LETTERS('/', 'd', 'e', 'v', '/', 'f', 'd', '/'))
		return 8;
	if (text[0] == LETTERS('/', 'p', 'r', 'o', 'c', '/', 's', 'e') &&
	    (text[1] & FIRST(6)) == LETTERS('l', 'f', '/', 'f', 'd', '/', 0, 0))
		return 14;
	if (text[0] == LETTERS('/', 'p', 'r', 'o', 'c', '/', 't', 'h') &&
	    text[1] == LETTERS('r', 'e', 'a', 'd', '-', 's', 'e', 'l') &&
	    (text[2] & FIRST(5)) == LETTERS('f', '/', 'f', 'd', '/', 0, 0, 0))
		return 21;
	return 0;
}

/* The same for /proc/PID/fd/, where that is the task itself. */
INLINE __u32 descriptor_of_pid(struct scratch *s, const __u64 *text, __u32 at)
{
	__u64 digits = 0, word = 0;
	__u32 length;
	__s32 pid;

	if ((text[0] & FIRST(6)) != LETTERS('/', 'p', 'r', 'o', 'c', '/', 0, 0))
		return 0;
	bpf_probe_read_kernel(&digits, sizeof(digits), (__u8 *)&s->record + at + 6);
	pid = number_in(digits);
	if (pid <= 0 || (__u32)pid != inner_pid(bpf_get_current_task_btf()))
		return 0;
	length = digits_of(pid);
	bpf_probe_read_kernel(&word, sizeof(word), (__u8 *)&s->record + at + 6 + length);
	return (word & FIRST(4)) == LETTERS('/', 'f', 'd', '/', 0, 0, 0, 0) ? 6 + length + 4 : 0;
}

/* /dev/stdin, /dev/stdout, /dev/stderr; -1: none of them. */
INLINE __s32 standard_stream(const __u64 *text, __u32 length)
{
	if (text[0] != LETTERS('/', 'd', 'e', 'v', '/', 's', 't', 'd'))
		return -1;
	if (length == 10 && (text[1] & FIRST(2)) == LETTERS('i', 'n', 0, 0, 0, 0, 0, 0))
		return 0;
	if (length == 11 && (text[1] & FIRST(3)) == LETTERS('o', 'u', 't', 0, 0, 0, 0, 0))
		return 1;
	if (length == 11 && (text[1] & FIRST(3)) == LETTERS('e', 'r', 'r', 0, 0, 0, 0, 0))
		return 2;
	return -1;
}

/* The descriptor that the text at `at` begins with; -1: none. */
SHARED int named_descriptor(struct scratch *s, __u32 at, __u32 length)
{
	if (!s)
		return -1;
	__u64 text[3] = {}, digits = 0;
	__u32 from;
	__s32 fd;

	if (at > TEXT_LIMIT || length < 9)
		return -1;
	bpf_probe_read_kernel(text, sizeof(text), (__u8 *)&s->record + at);
	fd = standard_stream(text, length);
	from = descriptor_at(text);
	if (!from)
		from = descriptor_of_pid(s, text, at);
	if (from) {
		bpf_probe_read_kernel(&digits, sizeof(digits), (__u8 *)&s->record + at + from);
		fd = number_in(digits);
	}
	return fd;
}

/* Appends where the descriptor leads that the text at `at` begins with: no walk over names could tell. */
SHARED int add_link(struct scratch *s, struct lz_argument *out, __u32 at)
{
	if (!s || !out)
		return 0;
	__s32 fd = named_descriptor(s, at, out->text);

	if (fd < 0)
		return 0;
	struct file *file = file_of(fd);
	if (file)
		out->link = add_path(s, (__u64)READ(file, f_path.dentry),
				     (__u64)READ(file, f_path.mnt));
	return 0;
}

/* A path argument: the string, for a relative one the directory it starts from, and where it goes on
 * from if it names a descriptor. */
INLINE void add_argument(struct scratch *s, struct lz_argument *out, __u64 text, __s32 dirfd)
{
	__u32 at = s->at;

	out->unreadable = 0;
	out->base = 0;
	out->link = 0;
	out->text = add_user_text(s, text, &out->unreadable);
	add_base(s, out, at, dirfd);
	add_link(s, out, at);
}

#endif
