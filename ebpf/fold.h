/* Repeats become a count.
 *
 * Each thread has a small table of what it did last. The first act of its kind is a record; identical
 * ones after it only count, and the count leaves when its slot is needed for something else, when a
 * second has passed, at exec, and when the thread ends. Only the thread itself touches its table, so
 * the counts are exact without a lock, and nothing is evicted in silence.
 *
 * Opens are told apart by kernel objects, compared whole. Other records are told apart by SipHash-1-3
 * of their bytes under a key of this run: a program must not be able to make two acts look alike.
 */
#ifndef LZ_FOLD_H
#define LZ_FOLD_H

#include "task.h"

/* A second where HZ is 250, as Debian has it; a quarter to two and a half elsewhere. */
#define FOLD_JIFFIES 250

struct counted {
	struct lz_head head;
	struct lz_fold fold;
};

/* Built in the ring itself: the scratch area may hold the very record that needs the slot, and the stack
 * is short this far down (tests/bpf_object.rs). */
SHARED int send_count(struct slot *slot, __u32 index)
{
	if (!slot)
		return 0;
	__u32 kind = slot->key[4] & 0xffff;
	struct counted *record;

	slot->sent = bpf_jiffies64();
	if (is_critical(kind))
		record = bpf_ringbuf_reserve(&critical, sizeof(*record), 0);
	else
		record = bpf_ringbuf_reserve(&bulk, sizeof(*record), 0);
	if (!record) {
		lose(family_of(kind), slot->count);
		slot->count = 0;
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->fold.first = slot->first;
	record->fold.count = slot->count;
	slot->count = 0;
	fill_head(&record->head);
	record->head.size = sizeof(*record);
	record->head.kind = LZ_FOLD;
	record->head.slot = index;
	record->head.time = bpf_ktime_get_boot_ns();
	bpf_ringbuf_submit(record, is_critical(kind) ? wake_flag(&critical) : wake_flag(&bulk));
	return 0;
}

/* Sends all counts that are still held for the current thread, and forgets what they stood for. */
SHARED int flush(struct ours *ours)
{
	if (!ours)
		return 0;
	for (__u32 i = 0; i < SLOTS; i++) {
		if (ours->slots[i].count)
			send_count(&ours->slots[i], i);
		ours->slots[i].first = 0;
	}
	return 0;
}

INLINE __u32 slot_index(const __u64 *key)
{
	return ((key[0] ^ key[1] ^ key[2] ^ key[4]) * 0x9e3779b97f4a7c15ULL) >> 60;
}

INLINE int same(const struct slot *slot, const __u64 *key)
{
	return slot->first && slot->key[0] == key[0] && slot->key[1] == key[1] &&
	       slot->key[2] == key[2] && slot->key[3] == key[3] && slot->key[4] == key[4] &&
	       slot->key[5] == key[5];
}

/* The slot for this act, with its key, to be filled once its record is sent. If it already holds this act,
 * the act is counted and 0 is returned. */
INLINE struct slot *take_slot(struct ours *ours, const __u64 *key, __u32 *index)
{
	__u32 i = slot_index(key) & (SLOTS - 1);
	struct slot *slot = &ours->slots[i];

	*index = i;
	if (same(slot, key)) {
		slot->count++;
		if (bpf_jiffies64() - slot->sent > FOLD_JIFFIES)
			send_count(slot, i);
		return 0;
	}
	if (slot->count)
		send_count(slot, i);
	slot->first = 0;
	for (int word = 0; word < KEY_WORDS; word++)
		slot->key[word] = key[word];
	return slot;
}

INLINE void fill_slot(struct slot *slot, __u64 time)
{
	if (!time)
		return;
	slot->first = time;
	slot->sent = bpf_jiffies64();
	slot->count = 0;
}

INLINE struct ours *slots_of_current(void)
{
	return bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
}

struct sip {
	struct scratch *scratch;
	__u64 v0, v1, v2, v3;
	__u32 at, end;
};

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

INLINE void sip_round(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v1 = ROTATE(sip->v1, 13) ^ sip->v0;
	sip->v0 = ROTATE(sip->v0, 32);
	sip->v2 += sip->v3;
	sip->v3 = ROTATE(sip->v3, 16) ^ sip->v2;
	sip->v0 += sip->v3;
	sip->v3 = ROTATE(sip->v3, 21) ^ sip->v0;
	sip->v2 += sip->v1;
	sip->v1 = ROTATE(sip->v1, 17) ^ sip->v2;
	sip->v2 = ROTATE(sip->v2, 32);
}

static long sip_word(__u32 index, struct sip *sip)
{
	struct scratch *s = sip->scratch;
	__u32 at = sip->at;
	__u64 word;

	if (!s || at >= sip->end || at > sizeof(struct record) - 8)
		return 1;
	word = WORD_AT(s, at);
	sip->v3 ^= word;
	sip_round(sip);
	sip->v0 ^= word;
	sip->at = at + 8;
	return 0;
}

/* Of everything behind the head. */
SHARED __u64 hash_record(struct scratch *s)
{
	if (!s)
		return 0;
	__u32 at = s->at;
	struct sip sip = {
		.scratch = s,
		.v0 = secret[0] ^ 0x736f6d6570736575ULL,
		.v1 = secret[1] ^ 0x646f72616e646f6dULL,
		.v2 = secret[0] ^ 0x6c7967656e657261ULL,
		.v3 = secret[1] ^ 0x7465646279746573ULL,
		.at = sizeof(struct lz_head),
		.end = at,
	};

	if (at > TEXT_LIMIT)
		return 0;
	__builtin_memset((__u8 *)&s->record + at, 0, 8);
	bpf_loop(sizeof(struct record) / 8, sip_word, &sip, 0);
	sip.v2 ^= 0xff ^ (__u64)at << 8;
	sip_round(&sip);
	sip_round(&sip);
	sip_round(&sip);
	return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

/* Who acts is part of what is identical. */
INLINE __u64 acting_ids(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cred *cred = READ(task, cred);

	__u64 block[6];

	READ_BLOCK(block, cred);
	return (__u64)PICK(block, cred, euid.val) << 32 | PICK(block, cred, uid.val);
}

/* Sends the record, or counts it if this thread has just sent one with the same key. */
INLINE int send_or_count_by(struct scratch *s, __u32 kind, const __u64 *key)
{
	struct ours *ours = slots_of_current();
	struct slot *slot;
	__u32 index;

	if (!ours) {
		send(s, kind, LZ_NO_SLOT);
		return 0;
	}
	slot = take_slot(ours, key, &index);
	if (slot)
		fill_slot(slot, send(s, kind, index));
	else if (!s->held)
		release(s);
	return 0;
}

SHARED int send_or_count(struct scratch *s, __u32 kind)
{
	if (!s)
		return 0;
	__u64 *key = s->key;

	key[0] = hash_record(s);
	key[1] = s->at;
	key[2] = s->flags;
	key[3] = 0;
	key[4] = kind;
	key[5] = acting_ids();
	return send_or_count_by(s, kind, key);
}

#endif
