/* rewritten: a name that was another one when its call returned than when it began (enter.h).
 *
 * Of a call on names the kernel keeps nothing that could be read afterwards, so the two readings stand for
 * each other's witness: where they differ, neither is known to be what the kernel took. A name in a page
 * that is not present when the call begins is not compared.
 *
 * seccomp answers before this tracepoint (kernel/entry/common.c, `syscall_trace_enter`): a call that returns
 * without having passed here was answered by a filter, or by a tracer. That is looked at where a task has
 * more filters than the sandbox gave it.
 */
#ifndef LZ_ENTERED_H
#define LZ_ENTERED_H

#include "file.h"
#include "fold.h"

/* Bytes of a name that are shown; all of it is compared. */
#define SHOWN_MAX 256

struct entered {
	__u64 call; /* its number and one, until it returns */
	__u64 hash[2];
	__u32 length[2];
	__s32 filters;	/* how many it had when it was last looked at */
	__u8 is_barred; /* the call that returned last never began */
	__u8 pad[3];
	__u8 before[2][SHOWN_MAX];
	__u8 after[SHOWN_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct entered);
} entries SEC(".maps");

/* One more filter than the sandbox's first program had, once that is known; whether calls are seen to begin;
 * whether any task of ours was seen to have a filter of its own. */
struct {
	__s32 filters;
	__u32 is_watched;
	__u32 has_own_filters;
} cage_of_calls;

INLINE struct entered *find_entered(struct task_struct *task, __u64 flags)
{
	return bpf_task_storage_get(&entries, task, 0, flags);
}

/* Filters that the sandbox did not give it. */
INLINE int has_own_filter(struct task_struct *task)
{
	return cage_of_calls.filters && task->seccomp.filter_count.counter >= cage_of_calls.filters;
}

/* Where it stands is kept in the scratch area, as in compare_word (passed.h). */
static long hash_word(__u32 index, struct sip *sip)
{
	struct scratch *s = sip->scratch;
	__u64 word;

	if (!s || !s->left)
		return 1;
	__u32 at = s->one, left = s->left;

	if (at > TEXT_LIMIT)
		return 1;
	word = WORD_AT(s, at);
	if (left < 8)
		word &= (1ULL << 8 * (left & 7)) - 1;
	sip->v3 ^= word;
	sip_round(sip);
	sip->v0 ^= word;
	s->one = at + 8;
	s->left = left < 8 ? 0 : left - 8;
	return 0;
}

/* Of a text in the record. */
SHARED __u64 hash_text(struct scratch *s, __u32 at, __u32 length)
{
	struct sip sip = {
		.scratch = s,
		.v0 = secret[0] ^ 0x736f6d6570736575ULL,
		.v1 = secret[1] ^ 0x646f72616e646f6dULL,
		.v2 = secret[0] ^ 0x6c7967656e657261ULL,
		.v3 = secret[1] ^ 0x7465646279746573ULL,
	};

	if (!s)
		return 0;
	s->one = at;
	s->left = length;
	bpf_loop(LZ_TEXT_MAX / 8, hash_word, &sip, 0);
	sip.v2 ^= 0xff ^ (__u64)length << 8;
	sip_round(&sip);
	sip_round(&sip);
	sip_round(&sip);
	return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

/* Whether the call that returns was answered by a filter or a tracer of the image's own. Not judged: a call
 * during which it got a filter, its own or another thread's; a child's return from its parent's call; and
 * sigreturn(2), which brings back the registers of whatever it interrupted. */
INLINE int is_barred(struct task_struct *task, const struct pt_regs *regs)
{
	struct entered *entered;
	__s32 filters = task->seccomp.filter_count.counter;
	int barred;

	if (!has_own_filter(task) || !cage_of_calls.is_watched || !is_ours(task))
		return 0;
	/* Set before anything is judged, at the latest when the call returns that gave the first filter: a task is
	 * judged from the second return on that finds it with as many filters as the one before, and what it
	 * begins in between is looked at. */
	if (!cage_of_calls.has_own_filters)
		cage_of_calls.has_own_filters = 1;
	entered = find_entered(task, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!entered)
		return 0;
	barred = entered->filters == filters && entered->call != regs->orig_ax + 1 &&
		 (__u32)regs->orig_ax < CALLS;
	entered->filters = filters;
	entered->call = 0;
	entered->is_barred = barred;
	return barred;
}

/* The same, for the handlers: the sieve has looked. */
INLINE __u32 barred_flag(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct entered *entered = has_own_filter(task) ? find_entered(task, 0) : 0;

	return entered && entered->is_barred ? LZ_BARRED : 0;
}

struct rewritten {
	__s64 result;
	__u32 number;
	__u32 index; /* of the name */
	__u32 at, length;
	__u32 compat;
};

/* The record of the call was sent; its texts still stand where they were, for its area is held. */
SHARED int compare_name(struct scratch *s, const struct rewritten *name)
{
	struct entered *entered;

	if (!name || !s)
		return 0;
	/* Masked, not compared: the verifier of 6.1 forgets a comparison of what lies on the stack. */
	__u32 index = name->index & 1, at = name->at, length = name->length;

	if (at > TEXT_LIMIT || length > LZ_TEXT_MAX)
		return 0;
	entered = find_entered(bpf_get_current_task_btf(), 0);
	if (!entered || !entered->hash[index] || !length)
		return 0;
	if (entered->length[index] == length && entered->hash[index] == hash_text(s, at, length))
		return 0;
	__u32 before = entered->length[index], after = length;
	if (before > SHOWN_MAX)
		before = SHOWN_MAX;
	if (after > SHOWN_MAX)
		after = SHOWN_MAX;
	bpf_probe_read_kernel(entered->after, after, (__u8 *)&s->record + at);
	s = begin(sizeof(struct lz_rewritten), LZ_FILE);
	if (!s)
		return 0;
	struct lz_rewritten *body = &s->record.body.rewritten;
	body->result = name->result;
	body->number = name->number;
	body->index = index;
	body->before = before;
	body->after = after;
	if (name->compat)
		s->flags |= LZ_COMPAT;
	bpf_probe_read_kernel((__u8 *)body + sizeof(*body), before, entered->before[index]);
	bpf_probe_read_kernel((__u8 *)body + sizeof(*body) + before, after, entered->after);
	s->at += before + after;
	send_or_count(s, LZ_REWRITTEN);
	return 1;
}

/* Compares the names of a call with what stood there when it began. */
INLINE void compare_names(struct scratch *s, const struct call *call, const struct lz_argument *first,
			  const struct lz_argument *second, __u32 fixed)
{
	struct rewritten name = { .result = call->result, .number = call->number, .compat = call->compat };

	name.at = sizeof(struct lz_head) + fixed;
	name.length = first->text;
	/* A record of the one takes the place of the other. */
	if (compare_name(s, &name) || !second)
		return;
	name.at += first->text + first->base + first->link;
	name.length = second->text;
	name.index = 1;
	compare_name(s, &name);
}

#endif
