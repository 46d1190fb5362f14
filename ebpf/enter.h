/* What stands in the program's memory when a call on names begins, and that the call of a task with filters
 * of its own begins at all. Nothing is told here: entered.h compares.
 */
#ifndef LZ_ENTER_H
#define LZ_ENTER_H

#include "names.h"
#include "change.h"

INLINE int takes_names(__u16 act)
{
	return HANDLER(act) == ON_NAMES || HANDLER(act) == ON_CHANGE;
}

/* In either numbering. Every call of the host passes here, and to ask for the current task, which knows the
 * numbering, takes four times as long as all else (a helper's return: 20 ns where returns are guarded). */
INLINE int may_take_names(__u32 number)
{
	return number < CALLS && (takes_names(calls_native[number]) || takes_names(calls_compat[number]));
}

/* Where the names of a call stand among its arguments; NONE where it has no such one. */
INLINE void find_names(const struct scratch *s, __u16 act, __u64 *first, __u64 *second)
{
	__u32 variant = act & 15;

	if (HANDLER(act) == ON_NAMES) {
		const struct shape *shape = &shapes[variant];

		*first = argument(s, shape->text1);
		*second = shape->text2 == NONE ? 0 : argument(s, shape->text2);
		return;
	}
	*first = argument(s, change_shapes[variant].text);
	*second = 0;
}

CALLED int remember_name(struct scratch *s, struct entered *entered, __u32 index, __u64 from)
{
	__u8 unreadable = 0;

	if (index > 1)
		return 0;
	entered->hash[index] = 0;
	entered->length[index] = 0;
	if (!from)
		return 0;
	s->at = sizeof(struct lz_head);
	__u32 at = s->at;
	__u32 length = add_user_text(s, from, &unreadable);
	if (!unreadable) {
		__u32 shown = length < SHOWN_MAX ? length : SHOWN_MAX;

		entered->hash[index] = hash_text(s, at, length);
		entered->length[index] = length;
		if (at <= TEXT_LIMIT && shown <= SHOWN_MAX)
			bpf_probe_read_kernel(entered->before[index], shown, (__u8 *)&s->record + at);
	}
	return 0;
}

SEC("tp_btf/sys_enter")
int entered(__u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	struct task_struct *task;
	struct entered *entered;
	struct scratch *s;
	struct call call;

	if (!cage_of_calls.is_watched)
		cage_of_calls.is_watched = 1;
	if (!cage_of_calls.has_own_filters && !may_take_names(regs->orig_ax))
		return 0;
	task = bpf_get_current_task_btf();
	int compat = is_compat(task);
	__u16 act = act_of(regs->orig_ax, compat);
	if (!takes_names(act) && !has_own_filter(task))
		return 0;
	if (!is_ours(task))
		return 0;
	entered = find_entered(task, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!entered)
		return 0;
	entered->call = regs->orig_ax + 1;
	if (!takes_names(act))
		return 0;
	s = claim();
	if (!s) {
		lose(LZ_FILE, 1);
		return 0;
	}
	call.compat = compat;
	call.act = act;
	read_arguments(&call, regs);
	__u64 first = 0, second = 0;
	keep_arguments(s, &call);
	find_names(s, act, &first, &second);
	remember_name(s, entered, 0, first);
	remember_name(s, entered, 1, second);
	release(s);
	return 0;
}

#endif
