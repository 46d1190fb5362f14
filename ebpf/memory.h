/* mapping: memory that becomes executable.
 *
 * Told: a region that is writable and executable at once, one without a file, one that something was
 * written into, and code of a file that does not stand in the image. The loader's ordinary mapping of
 * a library from the image is not. What the region is comes from the kernel's own vm_area_struct.
 */
#ifndef LZ_MEMORY_H
#define LZ_MEMORY_H

#include "file.h"
#include "fold.h"

struct region {
	__u64 start, end;
	__u64 file;
	__u32 known;
	__u32 written;
};

static long look_at_region(struct task_struct *task, struct vm_area_struct *vma,
			   struct region *region)
{
	region->start = READ(vma, vm_start);
	region->end = READ(vma, vm_end);
	region->file = (__u64)READ(vma, vm_file);
	region->written = READ(vma, anon_vma) != 0;
	region->known = 1;
	return 0;
}

struct wish {
	__u64 address, size;
	__u32 protection, flags;
};

/* include/uapi/linux/ipc.h; the upper half is a version. */
enum { IPC_SHMAT = 21 };

INLINE int is_shmat(const struct call *call)
{
	return call->act == ACT_SHMAT || (call->act == ACT_IPC && (__u16)call->args[0] == IPC_SHMAT);
}

SHARED int read_wish(struct wish *wish, const struct call *call)
{
	if (!wish || !call || (call->act == ACT_IPC && !is_shmat(call)))
		return 0;
	wish->address = call->args[0];
	wish->size = call->args[1];
	wish->protection = call->args[2];
	if (call->act == ACT_MMAP) {
		wish->flags = call->args[3];
	} else if (call->act == ACT_OLD_MMAP) {
		/* struct mmap_arg_struct32: addr, len, prot, flags, fd, offset. */
		__u32 args[4] = {};

		bpf_probe_read_user(args, sizeof(args), (void *)call->args[0]);
		wish->address = args[0];
		wish->size = args[1];
		wish->protection = args[2];
		wish->flags = args[3];
	} else if (is_shmat(call)) {
		/* The third argument of both. */
		__u32 flags = call->args[2];

		wish->size = 0;
		wish->protection = flags & SHM_EXEC ? PROT_EXEC : 0;
		if (!(flags & SHM_RDONLY))
			wish->protection |= PROT_WRITE;
	}
	if (call->act != ACT_MPROTECT && !is_error(call->result))
		wish->address = is_shmat(call) && call->compat ? 0 : call->result;
	return 0;
}

/* What is mapped, as the sandbox names it. */
struct mapped {
	__u64 inode;
	__u64 dentry;
	__u64 mount;
};

INLINE __u64 magic_of(struct inode *inode)
{
	struct super_block *sb = READ(inode, i_sb);

	return READ(sb, s_magic);
}

/* An overlay maps the file below it (fs/overlayfs/file.c, ovl_mmap): since 6.5 that file remembers what
 * was asked for, before that only the descriptor tells. The flag that says so has moved between
 * versions (FMODE_BACKING is another bit in 6.14); what is there instead in any other file is no dentry
 * of an overlay. */
SHARED int find_mapped(struct mapped *mapped, __u64 of, __u64 asked)
{
	struct file *file = (struct file *)of;

	if (!mapped)
		return 0;
	if (HAS_MEMBER(struct backing_file, user_path)) {
		struct backing_file *backing = (struct backing_file *)file;
		struct dentry *dentry = READ(backing, user_path.dentry);
		struct inode *inode = READ(dentry, d_inode);

		if (magic_of(inode) == OVERLAYFS_MAGIC) {
			mapped->inode = (__u64)inode;
			mapped->dentry = (__u64)dentry;
			mapped->mount = (__u64)READ(backing, user_path.mnt);
			return 0;
		}
	} else if (asked) {
		file = (struct file *)asked;
	}
	mapped->inode = (__u64)READ(file, f_inode);
	mapped->dentry = (__u64)READ(file, f_path.dentry);
	mapped->mount = (__u64)READ(file, f_path.mnt);
	return 0;
}

/* Code that the image itself has, mapped as a loader does: of an overlay, what has no upper half; of
 * other file systems anything but a tmpfs, where memfds live as well. */
SHARED int is_ordinary(const struct wish *wish, const struct region *region,
		       const struct mapped *mapped)
{
	if (!wish || !region || !mapped)
		return 0;
	if (wish->protection & PROT_WRITE || !region->known || region->written || !region->file)
		return 0;
	/* A local: inside READ an access to a struct of our own would be relocated as well. */
	struct inode *inode = (struct inode *)mapped->inode;
	__u64 magic = magic_of(inode);

	if (magic == OVERLAYFS_MAGIC)
		return overlay_side(inode, magic) == 1;
	return magic != TMPFS_MAGIC;
}

SHARED int send_mapping(const struct wish *wish, const struct region *region,
			const struct mapped *mapped, __s64 result, __u32 protect)
{
	if (!wish || !region || !mapped)
		return 0;
	struct scratch *s = begin(sizeof(struct lz_mapping), LZ_MEMORY);

	if (!s)
		return 0;
	struct lz_mapping *body = &s->record.body.mapping;
	body->result = is_error(result) ? result : 0;
	body->address = wish->address;
	body->size = wish->size ? wish->size : region->end - region->start;
	body->protection = wish->protection;
	body->flags = wish->flags;
	body->protect = protect;
	body->written = region->written;
	body->known = region->known;
	if (region->file) {
		body->has_file = 1;
		fill_inode(s, &body->file, (struct inode *)mapped->inode, mapped->dentry, mapped->mount);
	}
	/* A compiler at run time maps again and again: alike but for the place. */
	s->key[0] = (__u64)wish->protection << 32 | wish->flags;
	s->key[1] = body->file.inode;
	s->key[2] = (__u64)body->file.device << 32 | body->written << 1 | protect;
	s->key[3] = body->result;
	s->key[4] = LZ_MAPPING;
	s->key[5] = acting_ids();
	return send_or_count_by(s, LZ_MAPPING, s->key);
}

SHARED int on_mapping(struct call *call)
{
	if (!call)
		return 0;
	struct wish wish = {};
	struct region region = {};
	struct mapped mapped = {};

	read_wish(&wish, call);
	if (!(wish.protection & PROT_EXEC))
		return 0;
	if (!is_error(call->result)) {
		bpf_find_vma(bpf_get_current_task_btf(), wish.address, look_at_region, &region, 0);
		if (region.file)
			find_mapped(&mapped, region.file,
				    call->act == ACT_MMAP ? (__u64)file_of(call->args[4]) : 0);
		if (is_ordinary(&wish, &region, &mapped))
			return 0;
	}
	send_mapping(&wish, &region, &mapped, call->result, call->act == ACT_MPROTECT);
	return 0;
}

#endif
