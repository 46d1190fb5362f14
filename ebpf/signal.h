/* signal: what one process sends to another, by the kernel's own target.
 *
 * kill, tkill, tgkill and pidfd_send_signal show here with the task that they reach, also those that
 * reach many. A sender of sigqueue may give any si_code, so these are told from the call itself, as
 * are those that found nobody.
 */
#ifndef LZ_SIGNAL_H
#define LZ_SIGNAL_H

#include "call.h"

INLINE void fill_signal(struct lz_signal *body, struct task_struct *target)
{
	struct task_struct *leader = READ(target, group_leader);

	body->target_pid = READ(target, tgid);
	body->target_start = READ(leader, start_boottime);
}

INLINE int is_sending(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	return HANDLER(act_of(READ(regs, orig_ax), is_compat(task))) == ON_SIGNAL;
}

SEC("tp_btf/signal_generate")
int signal(__u64 *ctx)
{
	struct kernel_siginfo *info = (struct kernel_siginfo *)ctx[1];
	struct scratch *s;
	__s32 code;

	/* SEND_SIG_PRIV (include/linux/sched/signal.h) is the kernel's own. So is SEND_SIG_NOINFO, unless a call
	 * that sends a signal is under way: kill(2) has nothing else any more (seen in 7.3). */
	if ((__u64)info == 1 || (!info && !is_sending()))
		return 0;
	code = info ? READ(info, si_code) : SI_USER;
	if (code != SI_USER && code != SI_TKILL)
		return 0;
	if (!is_ours(bpf_get_current_task_btf()))
		return 0;
	s = begin(sizeof(struct lz_signal), LZ_PROCESS);
	if (!s)
		return 0;
	struct lz_signal *body = &s->record.body.signal;
	body->signal = ctx[0];
	body->code = code;
	fill_signal(body, (struct task_struct *)ctx[2]);
	send_or_count(s, LZ_SIGNAL);
	return 0;
}

SHARED int on_signal_call(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;

	s = begin(sizeof(struct lz_signal), LZ_PROCESS);
	if (!s)
		return 0;
	struct lz_signal *body = &s->record.body.signal;
	int in_group = call->act == ACT_TGKILL || call->act == ACT_TGSIGQUEUE;
	body->result = call->result;
	body->signal = in_group ? call->args[2] : call->args[1];
	body->asked = call->args[0];
	if (call->act == ACT_SIGQUEUE || call->act == ACT_TGSIGQUEUE) {
		__u64 info = in_group ? call->args[3] : call->args[2];

		bpf_probe_read_user(&body->code, 4, (void *)(info + 8));
	}
	send_or_count(s, LZ_SIGNAL);
	return 0;
}

/* Of the calls, only what the tracepoint does not show: those with a code of the sender's own, and
 * those that found nobody. Signal 0 only asks whether somebody is there. */
INLINE int is_dull_signal(const struct pt_regs *regs, __u16 act, long result, int compat)
{
	__u64 signal = compat ? regs->cx : regs->si;

	if (act == ACT_SIGQUEUE || act == ACT_TGSIGQUEUE)
		return 0;
	if (act == ACT_PIDFD_SIGNAL && result >= 0)
		return !regs->dx; /* info: the third argument in both numberings */
	if (act == ACT_TGKILL)
		signal = regs->dx;
	return result >= 0 || !signal;
}

#endif
