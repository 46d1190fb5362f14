/* Which task is ours, the maps, and how a record is built and sent.
 *
 * A record is built in a scratch area of the CPU and copied into its ring. The CPU has several: a probe may be
 * interrupted by another's, and kernels from 7.0 on (and those with PREEMPT_RT) preempt tasks in the middle
 * of one, which then leaves its area taken until it runs again. Where all are taken, a record is lost, and
 * counted.
 */
#ifndef LZ_TASK_H
#define LZ_TASK_H

#include "kernel.h"
#include "wire.h"
#include "calls.h"

/* Acts of one thread that may repeat, so that a loop becomes a count. See fold.h. */
#define SLOTS 16
#define KEY_WORDS 6

struct slot {
	__u64 key[KEY_WORDS];
	__u64 first; /* time of the record that stands for it; 0: empty */
	__u64 sent;  /* jiffies when a count last left */
	__u64 count; /* not yet sent */
};

struct ours {
	__u32 seeded; /* descends from the init that was handed to us, not only found by its cgroup */
	__u32 ended;  /* of a leader: the exit of its process was sent */
	struct slot slots[SLOTS];
	struct lz_cred cred; /* as it was last seen */
	__u32 cred_known;
	__u32 compat;	     /* of a leader: its first 32-bit call was sent */
	/* The capability that was last found missing, and in which call. */
	__u64 asking_at;
	__u64 asking_call;
	__u32 missing;
	__u32 pad;
	__u64 key[KEY_WORDS]; /* of the open that returns: here, because the stack is short (fold.h) */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ours);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} cage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HANDLERS);
	__uint(key_size, 4);
	__uint(value_size, 4);
} handlers SEC(".maps");

/* Records that a flood must not push out, and all others. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} critical SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 * 1024 * 1024);
} bulk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LZ_FAMILIES);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

/* Whose a TCP connection is, by its struct sock; until it ends. */
struct owner {
	struct lz_head head;
	__u64 sock; /* the key again: a number, as the verifier sees it, and not a pointer */
	__u64 net; /* struct net: another connection's sock may later lie at the same place */
	__u32 port; /* its own: given back before the state is told (inet_put_port) */
	__u32 error; /* that the connect ended in, where sk_err does not tell any more */
	__u32 early; /* the call that made it has not returned: the port is not known yet */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct owner);
} flows SEC(".maps");

#define PATH_ROOM 4096
/* A text with its NUL and one byte to tell a full one from a cut one, rounded up. */
#define TEXT_ROOM (LZ_TEXT_MAX + 8)

struct record {
	struct lz_head head;
	union lz_body body;
	__u8 texts[6 * TEXT_ROOM];
};

#define TEXT_LIMIT (sizeof(struct record) - TEXT_ROOM)

#define SCRATCHES 6

struct scratch {
	__u32 busy;  /* taken */
	__u32 held;  /* stays so when its record is sent */
	__u32 at;    /* length of the record so far */
	__u32 flags; /* lz_head.flags */
	__u32 from;  /* where the path in `path` begins */
	__u32 one, other, left; /* a comparison of two texts (passed.h) */
	__u8 differ, slash;
	__u8 cut, nameless; /* of the path that was walked (file.h) */
	__u8 is_urgent;	    /* the reader is woken for it */
	__u8 pad[3];
	__u32 pad2;
	__u64 key[KEY_WORDS]; /* of the record, by which repeats are told (fold.h) */
	__u64 args[8]; /* of the call, where a table says which one it is (names.h) */
	struct record record;
	__u8 path[PATH_ROOM + 256];
};

/* Eight bytes of the record at once, wherever they lie: every machine that runs this loads them so, and
 * the compiler, left to itself, would load them one by one. */
#define WORD_AT(s, at) (*(__u64 *)((__u8 *)&(s)->record + (at)))

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Where the sandbox's file tree begins: the root of the first seeded task that ran a program. */
struct {
	__u64 dentry;
	__u64 mount;
} root;

/* Set by the loader before the probes are loaded: key of the fold hash, and when to wake the reader. */
volatile const __u64 secret[2] = {};
volatile const __u32 wake_at = 256 * 1024;
/* Bytes from an overlay's inode to its __upperdentry, where overlayfs is a module of the kernel (as
 * Debian has it), whose types are not the kernel's; 0: not known. */
volatile const __u32 upper_at = 0;

INLINE struct ours *find_ours(struct task_struct *task)
{
	return bpf_task_storage_get(&tasks, task, 0, 0);
}

/* Two ways in, since each alone has a hole: io_uring's kernel threads are not forked through
 * sched_process_fork, and a process can move itself out of the cgroup. */
INLINE int is_ours(struct task_struct *task)
{
	return find_ours(task) || bpf_current_task_under_cgroup(&cage, 0) == 1;
}

/* include/linux/err.h: MAX_ERRNO */
INLINE int is_error(__s64 result)
{
	return result < 0 && result >= -4095;
}

INLINE void lose(__u32 family, __u64 records)
{
	__u64 *lost = bpf_map_lookup_elem(&losses, &family);

	if (lost)
		__sync_fetch_and_add(lost, records);
}

/* A scratch area that nobody on this CPU is in; 0: there is none. */
INLINE struct scratch *claim(void)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SCRATCHES; i++) {
		__u32 index = i;
		struct scratch *s = bpf_map_lookup_elem(&scratches, &index);

		if (!s)
			return 0;
		if (!__sync_lock_test_and_set(&s->busy, 1))
			return s;
	}
	return 0;
}

INLINE void release(struct scratch *s)
{
	s->held = 0;
	s->busy = 0;
}

/* Opens a record whose fixed body has this size. 0: counted as lost. */
INLINE struct scratch *begin(__u32 body, __u32 family)
{
	struct scratch *s = claim();

	if (!s) {
		lose(family, 1);
		return 0;
	}
	s->flags = 0;
	s->is_urgent = 0;
	s->at = sizeof(struct lz_head) + body;
	__builtin_memset(&s->record.body, 0, sizeof(s->record.body));
	return s;
}

INLINE __u32 inner_pid(struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	struct pid *pid = READ(leader, thread_pid);
	struct upid upid = {};

	if (!pid)
		return 0;
	__u64 level = READ(pid, level);
	bpf_probe_read_kernel(&upid.nr, sizeof(upid.nr),
			      (void *)((__u64)pid + OFFSET(struct pid, numbers) +
				       level * __builtin_preserve_type_info(*(struct upid *)0, 1)));
	return upid.nr;
}

SHARED int fill_head(struct lz_head *head)
{
	if (!head)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();

	struct task_struct *leader = READ(task, group_leader);
	struct cred *cred = READ(task, cred);

	head->start = READ(leader, start_boottime);
	head->pid = task->tgid;
	head->tid = task->pid;
	head->inner_pid = inner_pid(task);
	head->uid = READ(cred, uid.val);
	head->gid = READ(cred, gid.val);
	head->euid = READ(cred, euid.val);
	head->egid = READ(cred, egid.val);
	head->cpu = bpf_get_smp_processor_id();
	return 0;
}

/* The missing capability that this very call asked for, plus one. The task's own storage: cheap, and
 * no other task writes it. */
INLINE __u32 missing_capability(const struct call *call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ours *ours = find_ours(task);
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	if (!ours || ours->asking_at != READ(regs, ip) || (__u32)ours->asking_call != call->number)
		return 0;
	/* The next call from there may ask for nothing. */
	ours->asking_at = 0;
	return ours->missing;
}

INLINE void read_cred(struct lz_cred *out, struct task_struct *task)
{
	struct cred *cred = READ(task, cred);
	__u64 block[16];

	READ_BLOCK(block, cred);
	out->uid = PICK(block, cred, uid.val);
	out->gid = PICK(block, cred, gid.val);
	out->euid = PICK(block, cred, euid.val);
	out->egid = PICK(block, cred, egid.val);
	out->suid = PICK(block, cred, suid.val);
	out->sgid = PICK(block, cred, sgid.val);
	out->fsuid = PICK(block, cred, fsuid.val);
	out->fsgid = PICK(block, cred, fsgid.val);
	struct capabilities effective = PICK(block, cred, cap_effective);
	struct capabilities permitted = PICK(block, cred, cap_permitted);
	out->effective = effective.low | (__u64)effective.high << 32;
	out->permitted = permitted.low | (__u64)permitted.high << 32;
}

INLINE __u64 wake_flag(void *ring)
{
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= wake_at ? BPF_RB_FORCE_WAKEUP :
									BPF_RB_NO_WAKEUP;
}

/* Which ring a kind travels in: those whose loss would hide a process, a connection or a refusal
 * are kept apart from what a loop over many files can produce. */
INLINE int is_critical(__u32 kind)
{
	return kind <= LZ_EXIT || (kind >= LZ_CONNECT && kind <= LZ_DENIED) || kind == LZ_IDS ||
	       kind == LZ_MOVED || (kind >= LZ_SOCKET && kind <= LZ_SOURCE) || kind == LZ_MISMATCH ||
	       kind == LZ_STATE;
}

INLINE __u32 family_of(__u32 kind)
{
	if (kind <= LZ_EXIT || kind == LZ_DUP || kind == LZ_PIECE || kind == LZ_PROCESS_CALL ||
	    kind == LZ_IDS || kind == LZ_SIGNAL)
		return LZ_PROCESS;
	if (kind == LZ_MAPPING || kind == LZ_MEMORY_CALL)
		return LZ_MEMORY;
	if ((kind >= LZ_KERNEL_CALL && kind <= LZ_RING) || kind == LZ_CAPABILITY)
		return LZ_KERNEL;
	if (kind <= LZ_FILE_CHMOD || kind == LZ_CHANGE || kind == LZ_REWRITTEN)
		return LZ_FILE;
	return kind == LZ_DENIED ? LZ_KERNEL : LZ_NETWORK;
}

/* Sends the record and closes it. Its time, or 0 if it was lost (and counted). */
SHARED __u64 send(struct scratch *s, __u32 kind, __u32 slot)
{
	if (!s)
		return 0;
	struct lz_head *head = &s->record.head;
	__u32 size = s->at;
	__u64 now;
	long error;

	if (size > sizeof(struct record))
		size = sizeof(struct record);
	fill_head(head);
	head->size = size;
	head->kind = kind;
	head->flags = s->flags;
	head->slot = slot;
	head->time = now = bpf_ktime_get_boot_ns();
	if (is_critical(kind))
		error = bpf_ringbuf_output(&critical, &s->record, size,
					   s->is_urgent ? BPF_RB_FORCE_WAKEUP : wake_flag(&critical));
	else
		error = bpf_ringbuf_output(&bulk, &s->record, size, wake_flag(&bulk));
	if (!s->held)
		release(s);
	if (error) {
		lose(family_of(kind), 1);
		return 0;
	}
	return now;
}

/* Texts: each appends to the record and returns its length. */

SHARED int add_user_text(struct scratch *s, __u64 from, __u8 *unreadable)
{
	if (!s || !unreadable)
		return 0;
	__u32 at = s->at;
	long n;

	if (at > TEXT_LIMIT)
		return 0;
	n = bpf_probe_read_user_str((__u8 *)&s->record + at, LZ_TEXT_MAX + 1, (void *)from);
	if (n <= 0) {
		*unreadable = 1;
		return 0;
	}
	n -= 1;
	if (n >= LZ_TEXT_MAX)
		s->flags |= LZ_CUT;
	s->at = at + n;
	return n;
}

SHARED int add_kernel_text(struct scratch *s, __u64 from)
{
	if (!s)
		return 0;
	__u32 at = s->at;
	long n;

	if (at > TEXT_LIMIT)
		return 0;
	n = bpf_probe_read_kernel_str((__u8 *)&s->record + at, LZ_TEXT_MAX + 1, (void *)from);
	if (n <= 0)
		return 0;
	n -= 1;
	if (n >= LZ_TEXT_MAX)
		s->flags |= LZ_CUT;
	s->at = at + n;
	return n;
}

#endif
