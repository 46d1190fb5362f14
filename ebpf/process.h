/* exec, exec_failed, fork, exit, dup. */
#ifndef LZ_PROCESS_H
#define LZ_PROCESS_H

#include "file.h"
#include "fold.h"
#include "ids.h"
#include "entered.h"
#include "socket.h"
#include "startup.h"

SEC("tp_btf/sched_process_fork")
int fork(__u64 *ctx)
{
	struct task_struct *parent = (struct task_struct *)ctx[0];
	struct task_struct *child = (struct task_struct *)ctx[1];
	struct ours *ours = find_ours(parent), *inherited;
	struct scratch *s;

	if (!ours && bpf_current_task_under_cgroup(&cage, 0) != 1)
		return 0;
	inherited = bpf_task_storage_get(&tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (inherited) {
		inherited->seeded = ours ? ours->seeded : 0;
		remember_cred(inherited, child);
	} else {
		lose(LZ_PROCESS, 1);
	}
	if (child->pid != child->tgid)
		return 0;
	s = begin(sizeof(struct lz_fork), LZ_PROCESS);
	if (!s)
		return 0;
	struct lz_fork *body = &s->record.body.fork;
	body->start = child->start_boottime;
	body->pid = child->tgid;
	body->tid = child->pid;
	body->inner_pid = inner_pid(child);
	struct cred *cred = READ(child, cred);
	body->uid = READ(cred, uid.val);
	body->gid = READ(cred, gid.val);
	body->euid = READ(cred, euid.val);
	body->egid = READ(cred, egid.val);
	send(s, LZ_FORK, LZ_NO_SLOT);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int exit(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct ours *ours = find_ours(task);
	struct scratch *s;

	if (!ours && bpf_current_task_under_cgroup(&cage, 0) != 1)
		return 0;
	if (ours)
		flush(ours);
	/* do_exit has already taken this thread off the count. */
	struct signal_struct *signal = READ(task, signal);
	if (READ(signal, live.counter) != 0)
		return 0;
	/* Two threads that end together may both find the count at zero. */
	struct ours *leader = find_ours(task->group_leader);
	if (leader && __sync_lock_test_and_set(&leader->ended, 1))
		return 0;
	s = begin(sizeof(struct lz_exit), LZ_PROCESS);
	if (!s)
		return 0;
	s->record.body.exit.status = READ(signal, flags) & SIGNAL_GROUP_EXIT ?
					     READ(signal, group_exit_code) :
					     task->exit_code;
	send(s, LZ_EXIT, LZ_NO_SLOT);
	return 0;
}

/* Sends up to LZ_PIECE_MAX bytes of user memory. How many. */
CALLED __u32 send_piece(__u64 pieces, __u64 from, __u32 offset, __u32 length, __u32 is_env)
{
	struct scratch *s = begin(sizeof(struct lz_piece), LZ_PROCESS);

	if (!s)
		return 0;
	if (length > LZ_PIECE_MAX)
		length = LZ_PIECE_MAX;
	if (bpf_probe_read_user((__u8 *)&s->record + sizeof(struct lz_head) +
					sizeof(struct lz_piece),
				length, (void *)(from + offset))) {
		release(s);
		return 0;
	}
	s->record.body.piece.pieces = pieces;
	s->record.body.piece.offset = offset;
	s->record.body.piece.length = length;
	s->record.body.piece.is_env = is_env;
	s->at += length;
	return send(s, LZ_PIECE, LZ_NO_SLOT) ? length : 0;
}

struct block {
	__u64 pieces;
	__u64 from;
	__u32 size;
	__u32 sent;
	__u32 is_env;
};

static long next_piece(__u32 index, struct block *block)
{
	__u32 sent;

	if (block->sent >= block->size)
		return 1;
	sent = send_piece(block->pieces, block->from, block->sent, block->size - block->sent,
			  block->is_env);
	block->sent += sent;
	return sent == 0;
}

/* How many bytes of the block the pieces hold. */
INLINE __u32 send_block(__u64 pieces, __u64 from, __u64 size, __u32 cap, __u32 is_env)
{
	struct block block = { .pieces = pieces, .from = from, .is_env = is_env };

	block.size = size < cap ? size : cap;
	bpf_loop(cap / LZ_PIECE_MAX, next_piece, &block, 0);
	return block.sent;
}

/* The trusted first program of the seeded init shows where the sandbox's tree begins. */
INLINE void learn_root(struct task_struct *task)
{
	if (root.dentry)
		return;
	struct fs_struct *fs = READ(task, fs);

	cage_of_calls.filters = READ(task, seccomp.filter_count.counter) + 1;
	root.mount = (__u64)READ(fs, root.mnt) - OFFSET(struct mount, mnt);
	root.dentry = (__u64)READ(fs, root.dentry);
}

/* The current task's new program, by the names that it was asked for and that the kernel found. */
SHARED int send_exec(__u64 asked, __u64 interpreter)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = READ(task, mm);
	struct scratch *s;

	if (!mm)
		return 0;
	__u64 argv = READ(mm, arg_start), argv_size = READ(mm, arg_end) - argv;
	__u64 env = READ(mm, env_start), env_size = READ(mm, env_end) - env;
	__u64 pieces = bpf_ktime_get_boot_ns() ^ (__u64)task->pid << 40;
	__u32 argv_sent = send_block(pieces, argv, argv_size, LZ_ARGV_MAX, 0);
	__u32 env_sent = send_block(pieces, env, env_size, LZ_ENV_MAX, 1);

	s = begin(sizeof(struct lz_exec), LZ_PROCESS);
	if (!s)
		return 0;
	struct lz_exec *body = &s->record.body.exec;
	body->pieces = pieces;
	body->argv_size = argv_size;
	body->env_size = env_size;
	body->argv_sent = argv_sent;
	body->env_sent = env_sent;
	if (argv_size > LZ_ARGV_MAX || env_size > LZ_ENV_MAX)
		s->flags |= LZ_CUT;
	struct signal_struct *signal = READ(task, signal);
	body->tty = READ(signal, tty) != 0;
	bpf_probe_read_kernel(body->comm, sizeof(body->comm),
			      (void *)((__u64)task + OFFSET(struct task_struct, comm)));
	fill_file(s, &body->exe, READ(mm, exe_file));
	body->asked = add_kernel_text(s, asked);
	if (interpreter != asked)
		body->interpreter = add_kernel_text(s, interpreter);
	body->cwd = add_cwd(s);
	struct lz_cred cred = {};
	read_cred(&cred, task);
	body->effective = cred.effective;
	body->permitted = cred.permitted;
	/* A program without a name must be read while it runs. */
	s->is_urgent = !body->exe.links;
	send(s, LZ_EXEC, LZ_NO_SLOT);
	return 0;
}

/* A program begins on a connection, whatever put it there: a message, another process, an accept. Sent before the
 * counts leave, so that one which dup(2) has told only counts. */
SHARED int send_streams(void)
{
	for (__u32 fd = 0; fd < 3; fd++) {
		struct lz_socket socket = {};
		struct file *file = file_of(fd);

		if (file && sock_of(file, &socket) && (socket.family == AF_INET || socket.family == AF_INET6))
			send_dup(fd, 0);
	}
	return 0;
}

SEC("tp_btf/sched_process_exec")
int exec(__u64 *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[2];
	struct ours *ours = find_ours(task);

	if (!ours && bpf_current_task_under_cgroup(&cage, 0) != 1)
		return 0;
	send_streams();
	if (ours) {
		flush(ours);
		remember_cred(ours, task);
		if (ours->seeded)
			learn_root(task);
	}
	send_exec((__u64)READ(bprm, filename), (__u64)READ(bprm, interp));
	send_startups();
	return 0;
}

SHARED int on_exec_failed(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;

	s = begin(sizeof(struct lz_exec_failed), LZ_PROCESS);
	if (!s)
		return 0;
	struct lz_exec_failed *body = &s->record.body.exec_failed;
	body->result = call->result;
	add_argument(s, &body->asked, call->args[call->act == ACT_EXECVEAT ? 1 : 0],
		     call->act == ACT_EXECVEAT ? (__s32)call->args[0] : AT_FDCWD);
	send_or_count(s, LZ_EXEC_FAILED);
	return 0;
}

/* The commands of fcntl(2) that make a descriptor. */
INLINE int is_duplication(__u64 command)
{
	return (__u32)command == F_DUPFD || (__u32)command == F_DUPFD_CLOEXEC;
}

/* A descriptor 0, 1 or 2 that is a copy of another; of fcntl(2), the sieve sends only those. */
SHARED int on_dup(struct call *call)
{
	if (!call)
		return 0;

	if (call->result < 0 || call->result > 2 || (__s64)call->args[0] == call->result)
		return 0;
	send_dup(call->result, 0);
	return 0;
}

#endif
