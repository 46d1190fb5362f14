/* ids: credentials that change, with what they were before; from the task's own struct cred.
 *
 * There is no tracepoint on commit_creds: what a thread had before is what was last seen of it (at its
 * fork, its exec, or its last change).
 */
#ifndef LZ_IDS_H
#define LZ_IDS_H

#include "task.h"
#include "fold.h"

/* Remembers what a task is now. */
CALLED int remember_cred(struct ours *ours, struct task_struct *task)
{
	read_cred(&ours->cred, task);
	ours->cred_known = 1;
	return 0;
}

INLINE int same_cred(const struct lz_cred *a, const struct lz_cred *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->euid == b->euid && a->egid == b->egid &&
	       a->suid == b->suid && a->sgid == b->sgid && a->fsuid == b->fsuid &&
	       a->fsgid == b->fsgid && a->effective == b->effective && a->permitted == b->permitted;
}

SHARED int on_ids(struct call *call)
{
	if (!call)
		return 0;
	struct ours *ours = slots_of_current();
	struct scratch *s;

	s = begin(sizeof(struct lz_ids), LZ_PROCESS);
	if (!s)
		return 0;
	struct lz_ids *body = &s->record.body.ids;
	body->result = call->result;
	body->number = call->number;
	if (call->compat)
		s->flags |= LZ_COMPAT;
	read_cred(&body->after, bpf_get_current_task_btf());
	if (ours) {
		body->before = ours->cred;
		body->known = ours->cred_known;
		ours->cred = body->after;
		ours->cred_known = 1;
	}
	if (call->result >= 0 && body->known && same_cred(&body->before, &body->after)) {
		release(s);
		return 0;
	}
	send_or_count(s, LZ_IDS);
	return 0;
}

#endif
