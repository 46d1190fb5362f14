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

INLINE int is_error(__s64 result)
{
	return result < 0 && result >= -4095;
}

struct wish {
	__u64 address, size;
	__u32 protection, flags;
};

INLINE void read_wish(struct wish *wish, const struct call *call)
{
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
	} else if (call->act == ACT_SHMAT) {
		__u32 flags = call->args[2];

		wish->size = 0;
		wish->protection = flags & SHM_EXEC ? PROT_EXEC : 0;
		if (!(flags & SHM_RDONLY))
			wish->protection |= PROT_WRITE;
	}
	if (call->act != ACT_MPROTECT && !is_error(call->result))
		wish->address = call->act == ACT_SHMAT && call->compat ? 0 : call->result;
}

/* Code that the image itself has, mapped as a loader does. */
INLINE int is_ordinary(const struct wish *wish, const struct region *region, struct file *file)
{
	if (wish->protection & PROT_WRITE || !region->known || region->written || !file)
		return 0;
	struct inode *inode = READ(file, f_inode);
	struct super_block *sb = READ(inode, i_sb);
	__u64 magic = READ(sb, s_magic);
	/* Any file system but a tmpfs, where a memfd lives; of an overlay, what has no upper half. */
	return magic != TMPFS_MAGIC && overlay_side(inode, magic) != 2;
}

CALLED int send_mapping(const struct wish *wish, const struct region *region, __s64 result,
			__u32 protect)
{
	struct scratch *s = begin(sizeof(struct lz_mapping), LZ_MEMORY);
	struct file *file = (struct file *)region->file;

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
	if (file) {
		body->has_file = 1;
		fill_file(s, &body->file, file);
	}
	/* A compiler at run time maps again and again: alike but for the place. */
	__u64 key[KEY_WORDS] = { (__u64)wish->protection << 32 | wish->flags, body->file.inode,
				 (__u64)body->file.device << 32 | body->written << 1 | protect,
				 body->result, LZ_MAPPING, acting_ids() };
	return send_or_count_by(s, LZ_MAPPING, key);
}

SEC("tp_btf/sys_exit")
int mapping(__u64 *ctx)
{
	struct call call;
	struct wish wish = {};
	struct region region = {};

	read_call(&call, ctx);
	read_wish(&wish, &call);
	if (!(wish.protection & PROT_EXEC))
		return 0;
	if (!is_error(call.result)) {
		bpf_find_vma(bpf_get_current_task_btf(), wish.address, look_at_region, &region, 0);
		if (is_ordinary(&wish, &region, (struct file *)region.file))
			return 0;
	}
	send_mapping(&wish, &region, call.result, call.act == ACT_MPROTECT);
	return 0;
}

#endif
