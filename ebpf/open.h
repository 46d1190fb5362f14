/* open, open_failed. */
#ifndef LZ_OPEN_H
#define LZ_OPEN_H

#include "file.h"
#include "fold.h"
#include "passed.h"

struct opening {
	__u64 text;
	__s32 dirfd;
	__u32 flags;
	__u32 resolve;
	__u64 inode, dentry; /* of what was opened */
};

INLINE void read_opening(struct opening *opening, const struct call *call)
{
	int by_name = call->act == ACT_OPEN || call->act == ACT_CREAT;
	__u64 flags = by_name ? call->args[1] : call->args[2];

	opening->dirfd = by_name ? AT_FDCWD : (__s32)call->args[0];
	opening->text = by_name ? call->args[0] : call->args[1];
	if (call->act == ACT_CREAT)
		flags = O_CREAT_WRONLY_TRUNC;
	if (call->act == ACT_OPENAT2) {
		/* struct open_how: flags, mode, resolve. */
		__u64 how = call->args[2];

		flags = 0;
		bpf_probe_read_user(&flags, sizeof(flags), (void *)how);
		bpf_probe_read_user(&opening->resolve, sizeof(opening->resolve), (void *)(how + 16));
	}
	opening->flags = flags;
}

INLINE int open_failed(const struct call *call, const struct opening *opening)
{
	struct scratch *s = begin(sizeof(struct lz_open_failed), LZ_FILE);

	if (!s)
		return 0;
	struct lz_open_failed *body = &s->record.body.open_failed;
	body->result = call->result;
	body->flags = opening->flags;
	add_argument(s, &body->path, opening->text, opening->dirfd);
	body->root = add_root(s);
	send_or_count(s, LZ_OPEN_FAILED);
	return 0;
}

CALLED int send_open(struct file *file, const struct opening *opening, __u32 created, __u32 slot,
		     __u64 *time)
{
	struct scratch *s = begin(sizeof(struct lz_open), LZ_FILE);

	*time = 0;
	if (!s)
		return 0;
	struct lz_open *body = &s->record.body.open;
	body->flags = opening->flags;
	body->created = created;
	fill_file(s, &body->file, file);
	add_passed(s, (__u64)file, opening->text, opening->dirfd, opening->resolve);
	*time = send(s, LZ_OPEN, slot);
	return 0;
}

/* How it was opened indeed; 1 if it was made thereby. */
CALLED int read_opened(struct file *file, struct opening *opening)
{
	__u64 block[12];

	READ_BLOCK(block, file);
	opening->flags = PICK(block, file, f_flags) | (opening->flags & OPEN_ONLY_FLAGS);
	opening->inode = (__u64)PICK(block, file, f_inode);
	opening->dentry = (__u64)PICK(block, file, f_path.dentry);
	return !!(PICK(block, file, f_mode) & FMODE_CREATED);
}

/* The same file under the same name in the same directory, opened in the same way by the same string. One
 * that is written to may be removed, and leave its number and its dentry to the next. A function of its own, as above: the blocks are not needed where the stack is deepest. */
CALLED int open_key(__u64 *key, const struct opening *opening)
{
	struct inode *inode = (struct inode *)opening->inode;
	struct dentry *dentry = (struct dentry *)opening->dentry;
	__u64 block[12];

	READ_BLOCK(block, inode);
	struct super_block *sb = PICK(block, inode, i_sb);
	key[0] = PICK(block, inode, i_ino);
	key[1] = (__u64)READ(sb, s_dev) << 32 | opening->flags;
	key[2] = (__u64)dentry;
	READ_BLOCK(block, dentry);
	key[3] = (__u64)PICK(block, dentry, d_parent) ^ hash_user_text(opening->text);
	key[4] = (__u64)PICK(block, dentry, d_name.hash) << 32 | LZ_OPEN;
	key[5] = acting_ids();
	if (opening->flags & O_ACCMODE)
		key[2] += generation_of(inode);
	return 0;
}

SHARED int on_open(struct call *call)
{
	if (!call)
		return 0;
	struct opening opening = {};
	struct ours *ours;
	struct slot *slot;
	__u64 time;
	__u32 index;

	read_opening(&opening, call);
	if (call->result < 0)
		return open_failed(call, &opening);
	struct file *file = file_of(call->result);
	if (!file) {
		/* Another thread closed it before the call returned. */
		lose(LZ_FILE, 1);
		return 0;
	}
	__u32 created = read_opened(file, &opening);
	ours = created ? 0 : slots_of_current();
	if (!ours)
		return send_open(file, &opening, created, LZ_NO_SLOT, &time);
	open_key(ours->key, &opening);
	slot = take_slot(ours, ours->key, &index);
	if (!slot)
		return 0;
	send_open(file, &opening, created, index, &time);
	fill_slot(slot, time);
	return 0;
}

#endif
