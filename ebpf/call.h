/* call: what is told by the registers of a call and the strings among its arguments: of memory
 * (memfd_create, …), of processes (ptrace, prctl, …), of the kernel (namespaces, mounts, modules, …).
 *
 * Strings are the program's, read when the call returned. A pidfd leads to the kernel's own struct pid.
 */
#ifndef LZ_CALL_H
#define LZ_CALL_H

#include "file.h"
#include "fold.h"
#include "open.h"
#include "sleep.h"
#include "entered.h"

/* The same number in every table. */
enum { PIDFD_GETFD = 438 };
enum { PRLIMIT64 = 302, PRLIMIT64_COMPAT = 340 };

/* prctl(2) is called for much that changes nothing of note. */
INLINE int is_prctl_of_note(__u64 option)
{
	return option == PR_SET_NAME || option == PR_SET_DUMPABLE || option == PR_SET_SECCOMP ||
	       option == PR_SET_SECUREBITS || option == PR_SET_MM ||
	       option == PR_SET_CHILD_SUBREAPER || option == PR_CAP_AMBIENT ||
	       option == PR_SET_PTRACER || option == PR_SET_SYSCALL_USER_DISPATCH;
}

/* What is asked of a terminal, a device or an interface beyond its use: TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD
 * (asm-generic/ioctls.h); SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFHWADDR, SIOCADDRT (linux/sockios.h); LOOP_SET_FD,
 * LOOP_CONFIGURE, LOOP_CTL_GET_FREE (linux/loop.h); FIFREEZE (linux/fs.h); TUNSETIFF (linux/if_tun.h);
 * USERFAULTFD_IOC_NEW (linux/userfaultfd.h); KVM_CREATE_VM (linux/kvm.h); VHOST_SET_OWNER (linux/vhost.h);
 * SECCOMP_IOCTL_NOTIF_ADDFD (linux/seccomp.h), which gives another process a descriptor. */
INLINE int is_ioctl_of_note(__u64 command)
{
	switch ((__u32)command) {
	case 0x5412:
	case 0x541c:
	case 0x541d:
	case 0x5423:
	case 0x8914:
	case 0x8916:
	case 0x8924:
	case 0x890b:
	case 0x4c00:
	case 0x4c0a:
	case 0x4c82:
	case 0xc0045877:
	case 0x400454ca:
	case 0xaa00:
	case 0xae01:
	case 0xaf01:
	case 0x40182103:
		return 1;
	}
	return 0;
}

/* What is asked of a file beyond its use: that nobody change a memfd any more, that another process get a signal. */
INLINE int is_fcntl_of_note(__u64 command)
{
	switch ((__u32)command) {
	case F_SETOWN:
	case F_SETSIG:
	case F_SETOWN_EX:
	case F_ADD_SEALS:
		return 1;
	}
	return 0;
}

INLINE __u64 detail_of(const struct call *call, __u32 shape)
{
	__u64 detail = 0;

	if (shape == OF_CLONE || shape == OF_UNSHARE)
		return call->args[0];
	if (shape == OF_CLONE3)
		bpf_probe_read_user(&detail, 8, (void *)call->args[0]); /* clone_args.flags */
	if (shape == OF_BPF)
		bpf_probe_read_user(&detail, 4, (void *)call->args[1]); /* bpf_attr: a type */
	return detail;
}

/* The process that a pidfd leads to, by the kernel's own struct pid. */
SHARED __u32 target_of(__u32 fd)
{
	struct file *file = file_of(fd);
	struct upid upid = {};

	if (!file)
		return 0;
	struct inode *inode = READ(file, f_inode);
	struct super_block *sb = READ(inode, i_sb);
	if (READ(sb, s_magic) != PIDFS_MAGIC)
		return 0;
	struct pid *pid = READ(file, private_data);
	if (!pid) /* 6.9 and later keep it in the inode. */
		pid = (struct pid *)READ(inode, i_private);
	if (!pid)
		return 0;
	bpf_probe_read_kernel(&upid.nr, sizeof(upid.nr),
			      (void *)((__u64)pid + OFFSET(struct pid, numbers)));
	return upid.nr;
}

SHARED int add_file_path(struct scratch *s, __u32 fd)
{
	if (!s)
		return 0;
	struct file *file = file_of(fd);

	if (file)
		s->record.body.call.texts[0] = add_path(s, (__u64)READ(file, f_path.dentry),
							(__u64)READ(file, f_path.mnt));
	return 0;
}

SHARED int add_call_text(struct scratch *s, __u32 index, __u64 from)
{
	if (!s || !from)
		return 0;
	struct lz_call *body = &s->record.body.call;

	__u32 length = add_user_text(s, from, &body->unreadable);
	if (index == 0)
		body->texts[0] = length;
	else if (index == 1)
		body->texts[1] = length;
	else
		body->texts[2] = length;
	return 0;
}

/* What the arguments hold beside numbers. */
INLINE __u32 shape_of(const struct call *call)
{
	return HANDLER(call->act) == ON_WAIT ? OF_NOTHING : call->act & 15;
}

/* clone3(2): new namespaces, another cgroup, a pid of one's own choice. */
INLINE int is_clone_of_note(const struct call *call, __u32 shape, __u64 flags)
{
	__u64 ids = 0;

	/* clone_args.set_tid_size */
	if (shape == OF_CLONE3)
		bpf_probe_read_user(&ids, 8, (void *)(call->args[0] + 72));
	return flags & (CLONE_NEW_ANY | (shape == OF_CLONE3 ? CLONE_INTO_CGROUP : 0)) ||
	       (ids && call->args[1] >= 80);
}

/* prlimit64(2) of its own limits, or that only asks, is what every program does. */
INLINE int is_own_limit(const struct call *call)
{
	return call->number == (call->compat ? PRLIMIT64_COMPAT : PRLIMIT64) &&
	       (!call->args[0] || !call->args[2]);
}

/* What stands behind the registers of a call of this shape. */
SHARED int add_details(struct scratch *s, const struct call *call)
{
	if (!s || !call)
		return 0;
	struct lz_call *body = &s->record.body.call;
	__u32 shape = shape_of(call);

	if (shape == OF_PIDFD)
		body->target_pid = target_of(call->args[0]);
	if ((call->number == PIDFD_GETFD || shape == OF_OPENED) && call->result >= 0)
		add_file_path(s, call->result);
	if (shape == OF_FILE)
		add_file_path(s, call->args[0]);
	if (shape == OF_TEXT || shape == OF_TWO_TEXTS || shape == OF_THREE_TEXTS)
		add_call_text(s, 0, call->args[0]);
	if (shape == OF_TWO_TEXTS || shape == OF_THREE_TEXTS)
		add_call_text(s, 1, call->args[1]);
	if (shape == OF_THREE_TEXTS)
		add_call_text(s, 2, call->args[2]);
	if (shape == OF_MOVE_MOUNT) {
		add_call_text(s, 0, call->args[1]);
		add_call_text(s, 1, call->args[3]);
	}
	if (shape == OF_OPEN_TREE || (shape == OF_PRCTL && call->args[0] == PR_SET_NAME))
		add_call_text(s, 0, call->args[1]);
	return 0;
}

INLINE __u32 kind_of_call(__u16 act)
{
	switch (HANDLER(act)) {
	case ON_MEMORY_CALL:
		return LZ_MEMORY_CALL;
	case ON_PROCESS_CALL:
	case ON_WAIT:
		return LZ_PROCESS_CALL;
	}
	return LZ_KERNEL_CALL;
}

SHARED int send_call(const struct call *call, __u64 detail, __u32 missing, __u32 kind)
{
	if (!call)
		return 0;
	struct scratch *s = begin(sizeof(struct lz_call), family_of(kind));

	if (!s)
		return 0;
	struct lz_call *body = &s->record.body.call;
	body->result = call->result;
	body->number = call->number;
	body->detail = detail;
	body->capability = missing;
	for (int i = 0; i < 6; i++)
		body->args[i] = call->args[i];
	if (call->compat)
		s->flags |= LZ_COMPAT;
	s->flags |= barred_flag();
	__u32 fixed = s->at;
	add_details(s, call);
	if (s->at != fixed)
		return send_or_count(s, kind);
	/* Alike if the first two arguments are: other registers may hold anything. */
	__u64 key[KEY_WORDS] = { call->args[0], call->args[1], (__u64)call->number << 32 | missing,
				 call->result < 0 ? call->result : detail, kind | s->flags << 16,
				 acting_ids() };
	return send_or_count_by(s, kind, key);
}

/* open_by_handle_at(2): an open like any other, of which only the file itself tells where it leads. */
INLINE void send_handle(const struct call *call)
{
	struct opening opening = {};
	struct file *file = file_of(call->result);
	__u64 time;

	if (!file) {
		lose(LZ_FILE, 1);
		return;
	}
	opening.flags = READ(file, f_flags);
	send_open(file, &opening, 0, LZ_NO_SLOT, &time);
}

SHARED int on_wait(struct call *call)
{
	if (!call)
		return 0;
	__u32 shape = call->act & 15;
	__u64 time = wait_time(call, shape);

	if (is_dull_wait(shape, time))
		return 0;
	if (is_absolute_timer(call, shape))
		time = 0;
	send_call(call, time, 0, LZ_PROCESS_CALL);
	return 0;
}

SHARED int on_call(struct call *call)
{
	if (!call)
		return 0;
	__u32 shape;
	__u64 detail;

	/* The sieve sends here only those of note. */
	if (call->act == ACT_IOCTL || call->act == ACT_FCNTL)
		call->act = ACT(ON_KERNEL_CALL, OF_FILE);
	shape = shape_of(call);
	detail = detail_of(call, shape);
	if (is_sleep(shape)) {
		detail = sleep_time(call, shape);
		if (is_dull_sleep(call, shape, detail))
			return 0;
	}
	if ((shape == OF_CLONE || shape == OF_CLONE3) &&
	    (!is_clone_of_note(call, shape, detail) || !call->result)) /* the child returns from it as well */
		return 0;
	if (is_own_limit(call))
		return 0;
	if (shape == OF_UNSHARE && !(detail & CLONE_NEW_ANY))
		return 0;
	if (shape == OF_OPENED && call->result >= 0)
		send_handle(call);
	send_call(call, detail, missing_capability(call),
		  kind_of_call(call->act));
	return 0;
}

/* The first call of a process through the 32-bit entry. */
CALLED int send_compat(const struct call *call)
{
	struct scratch *s = begin(sizeof(struct lz_call), LZ_KERNEL);

	if (!s)
		return 0;
	struct lz_call *body = &s->record.body.call;
	body->result = call->result;
	body->number = call->number;
	for (int i = 0; i < 6; i++)
		body->args[i] = call->args[i];
	s->flags |= LZ_COMPAT;
	send(s, LZ_COMPAT_CALL, LZ_NO_SLOT);
	return 0;
}

INLINE void note_compat(__u64 *ctx, struct task_struct *task)
{
	struct ours *leader;
	struct call call;

	if (!is_ours(task))
		return;
	leader = bpf_task_storage_get(&tasks, task->group_leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!leader || leader->compat)
		return;
	leader->compat = 1;
	read_call(&call, ctx);
	send_compat(&call);
}

/* Calls in which the kernel asks for itself: whether a reserve may be used (__vm_enough_memory), a limit be
 * passed, a secret be shown. Nothing is refused there. Of faults: no call at all. */
INLINE int asks_for_itself(__u64 number, int compat)
{
	if (compat)
		return number == 45 || number == 90 || number == 192 || number == 125 || number == 163 ||
		       number == 11 || number == 2 || number == 120 || number == 190 || number == 1 ||
		       number == 252;
	switch (number) {
	case 9:	 /* mmap */
	case 10: /* mprotect */
	case 12: /* brk */
	case 25: /* mremap */
	case 56: /* clone */
	case 57: /* fork */
	case 58: /* vfork */
	case 59: /* execve */
	case 60: /* exit */
	case 231: /* exit_group */
	case 322: /* execveat */
	case 435: /* clone3 */
		return 1;
	}
	return number >= CALLS;
}

INLINE void send_capability(__u32 capability, __u64 number, int compat)
{
	struct scratch *s;

	if (asks_for_itself(number, compat))
		return;
	s = begin(sizeof(struct lz_capability), LZ_KERNEL);
	if (!s)
		return;
	struct lz_capability *body = &s->record.body.capability;
	body->capability = capability;
	body->number = number;
	if (compat)
		s->flags |= LZ_COMPAT;
	__u64 key[KEY_WORDS] = { capability, number, s->flags, 0, LZ_CAPABILITY, acting_ids() };
	send_or_count_by(s, LZ_CAPABILITY, key);
}

/* A capability that was asked for and is not there: told, and remembered for the call that is refused for
 * it. */
SEC("tp_btf/cap_capable")
int capability(__u64 *ctx)
{
	struct task_struct *task;
	struct ours *ours;

	if ((__s32)ctx[4] == 0)
		return 0;
	task = bpf_get_current_task_btf();
	ours = find_ours(task);
	if (!ours)
		return 0;
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	ours->asking_at = READ(regs, ip);
	ours->asking_call = READ(regs, orig_ax);
	ours->missing = (__u32)ctx[3] + 1;
	send_capability(ctx[3], ours->asking_call, is_compat(task));
	return 0;
}

/* No task of ours is moved while it runs, unless it moves itself. */
SEC("tp_btf/cgroup_attach_task")
int moved(__u64 *ctx)
{
	struct cgroup *group = (struct cgroup *)ctx[0];
	struct task_struct *task = (struct task_struct *)ctx[2];
	struct scratch *s;

	if (!find_ours(task) || !find_ours(bpf_get_current_task_btf()))
		return 0;
	s = begin(sizeof(struct lz_moved), LZ_KERNEL);
	if (!s)
		return 0;
	struct lz_moved *body = &s->record.body.moved;
	struct task_struct *leader = READ(task, group_leader);
	body->start = READ(leader, start_boottime);
	body->pid = READ(task, tgid);
	struct cgroup_root *tree = READ(group, root);
	body->hierarchy = READ(tree, hierarchy_id);
	body->path = add_kernel_text(s, ctx[1]);
	send(s, LZ_MOVED, LZ_NO_SLOT);
	return 0;
}

#endif
