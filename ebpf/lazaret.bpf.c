/* Tier B: what is seen with BTF tracepoints alone.
 *
 * Processes come from the scheduler's tracepoints, everything else from the exit of system calls,
 * where the argument registers still stand, the descriptor is in the table, and calls that seccomp
 * refused pass as well (they never reach sys_enter). sys_exit only sifts; the handlers are called by
 * number through `handlers`, in a few programs that are verified on their own. A program outside the sandbox costs a table
 * look-up for a call of no interest, and one more look-up for the rest.
 */
#include "process.h"
#include "open.h"
#include "names.h"
#include "change.h"
#include "socket.h"
#include "uring.h"
#include "uring_end.h"
#include "memory.h"
#include "call.h"
#include "signal.h"
#include "flow.h"
#include "option.h"
#include "rights.h"
#include "datagram.h"
#include "enter.h"

INLINE int is_refusal(long result)
{
	return result == -EPERM || result == -EACCES || result == -ENOSYS;
}

/* Calls that are looked at for one kind of result only. */
INLINE int is_dull(const struct pt_regs *regs, __u16 act, long result, int compat)
{
	if (act == ACT_IOCTL)
		return !is_change_by_ioctl(compat ? regs->cx : regs->si);
	/* A refused one is told by its number, as any other; one that found nobody waiting is nothing. */
	if (act == ACT_SOCKET || act == ACT_ACCEPT)
		return result < 0;
	switch (HANDLER(act)) {
	case ON_QUERY:
		/* The shortest question takes 17 bytes, and none more than a datagram of old. */
		return result < 17 || result > LZ_QUERY_MAX;
	case ON_DUP:
		return result < 0 || result > 2 ||
		       (act == ACT_FCNTL && !is_duplication(compat ? regs->cx : regs->si));
	case ON_EXEC_FAILED:
		return result >= 0;
	case ON_MAPPING:
		/* The third argument is in the same register in both numberings. */
		return (act == ACT_MMAP || act == ACT_MPROTECT) && !(regs->dx & PROT_EXEC);
	case ON_OPTION:
		/* The third argument, too, is in one register. */
		return !is_option_of_note(compat ? regs->cx : regs->si, regs->dx);
	case ON_SIGNAL:
		return is_dull_signal(regs, act, result, compat);
	case ON_PROCESS_CALL:
		return (act & 15) == OF_PRCTL && !is_prctl_of_note(compat ? regs->bx : regs->di);
	case ON_WAIT:
		return compat ? waits_for_more(act & 15, regs->bx, regs->cx) :
				waits_for_more(act & 15, regs->di, regs->si);
	case ON_KERNEL_CALL:
		return (act & 15) == OF_CLONE &&
		       !((compat ? regs->bx : regs->di) & CLONE_NEW_ANY);
	}
	return 0;
}

/* Of no interest in either numbering, so that the current task need not be asked which one it is (what that
 * costs: enter.h). A program's first call by the 32-bit entry is told whatever call it is: that none was
 * made is seen by what the instruction syscall leaves in two registers (arch/x86/entry/entry_64.S). Where a
 * program leaves the same there before int 0x80, the first one that is of interest is told as the first. */
INLINE int is_plainly_dull(const struct pt_regs *regs, long result)
{
	__u32 number = regs->orig_ax;

	if (is_refusal(result) || cage_of_calls.has_own_filters)
		return 0;
	if (number < CALLS && (calls_native[number] || calls_compat[number]))
		return 0;
	return regs->cx == regs->ip && regs->r11 == regs->flags;
}

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	long result = ctx[1];

	if (is_plainly_dull(regs, result))
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	int compat = is_compat(task);
	__u16 act = act_of(regs->orig_ax, compat);

	if (compat)
		note_compat(ctx, task);
	if (HANDLER(act) == ON_MAPPING && maps_for_writing(regs, act, compat))
		act = ACT_SHARED_MAP;
	if (act == ACT_IOCTL && is_ioctl_of_note(compat ? regs->cx : regs->si))
		act = ACT(ON_KERNEL_CALL, OF_FILE);
	if (act == ACT_FCNTL && is_fcntl_of_note(compat ? regs->cx : regs->si))
		act = ACT(ON_KERNEL_CALL, OF_FILE);
	if (act && is_dull(regs, act, result, compat))
		act = 0;
	/* Of what a filter of its own answers with anything else than a refusal, nothing was done. */
	if (is_barred(task, regs) && !is_refusal(result))
		act = ACT(ON_DENIED, 0);
	else if (!act && !is_refusal(result))
		return 0;
	if (!is_ours(task))
		return 0;
	bpf_tail_call(ctx, &handlers, HANDLER(act));
	/* Only an empty slot of the array comes back here. */
	lose(LZ_KERNEL, 1);
	return 0;
}

/* A refused call that has no record of its own. Two refusals of a call are alike if their first two
 * arguments are: the registers of arguments that it does not have hold whatever was there before. */
SHARED int on_denied(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;

	s = begin(sizeof(struct lz_denied), LZ_KERNEL);
	if (!s)
		return 0;
	struct lz_denied *body = &s->record.body.denied;
	body->result = call->result;
	body->number = call->number;
	body->capability = missing_capability(call);
	for (int i = 0; i < 6; i++)
		body->args[i] = call->args[i];
	if (call->compat)
		s->flags |= LZ_COMPAT;
	s->flags |= barred_flag();
	__u64 key[KEY_WORDS] = { call->args[0], call->args[1], call->number, call->result,
				 LZ_DENIED | s->flags << 16, acting_ids() };
	send_or_count_by(s, LZ_DENIED, key);
	return 0;
}

/* The handlers, in programs by what they have in common: what several of a program call is verified once for
 * all of them. Which one it is, the number of the call says again. */

SEC("tp_btf/sys_exit")
int refused(__u64 *ctx)
{
	struct call call;

	read_call(&call, ctx);
	return on_denied(&call);
}

SEC("tp_btf/sys_exit")
int files(__u64 *ctx)
{
	struct call call;

	read_call(&call, ctx);
	switch (HANDLER(call.act)) {
	case ON_OPEN:
		return on_open(&call);
	case ON_NAMES:
		return on_names(&call);
	case ON_FILE_CHMOD:
		return on_file_chmod(&call);
	case ON_CHANGE:
		return on_change(&call);
	case ON_EXEC_FAILED:
		return on_exec_failed(&call);
	}
	/* And an mmap that the sieve took for one. */
	return on_file_change(&call);
}

SEC("tp_btf/sys_exit")
int sockets(__u64 *ctx)
{
	struct call call;

	read_call(&call, ctx);
	switch (HANDLER(call.act)) {
	case ON_QUERY:
		return on_query(&call);
	case ON_OPTION:
		return on_option(&call);
	case ON_DUP:
		return on_dup(&call);
	}
	on_socket(&call);
	/* Which socketcall(2) it is, is known only now. */
	if (call.act == ACT_OPTION)
		return is_option_of_note(call.args[1], call.args[2]) ? on_option(&call) : 0;
	if (call.act == ACT_SENDMSG)
		return on_rights(&call, call.args[1]);
	if (call.act != ACT_SENDMMSG)
		return 0;
	on_messages(&call);
	return on_many_rights(&call);
}

SEC("tp_btf/sys_exit")
int calls(__u64 *ctx)
{
	struct call call;

	read_call(&call, ctx);
	switch (HANDLER(call.act)) {
	case ON_MAPPING:
		return on_mapping(&call);
	case ON_IDS:
		return on_ids(&call);
	case ON_SIGNAL:
		return on_signal_call(&call);
	case ON_WAIT:
		return on_wait(&call);
	}
	return on_call(&call);
}

char license_text[] SEC("license") = "GPL";
