/* sleep: how long a call asks to sleep. The time is the program's, read when the call returned.
 *
 * A time to wake up at says nothing of how long that is, and is told as 0.
 */
#ifndef LZ_SLEEP_H
#define LZ_SLEEP_H

#include "calls.h"

/* include/uapi/linux/time.h */
enum { TIMER_ABSTIME = 1 };

/* Shorter ones are how programs take turns, and would be told by the thousand. */
#define SLEEP_OF_NOTE 10000000ULL /* nanoseconds */

/* Longer than any run, in nanoseconds; keeps the product below from wrapping. */
#define SLEEP_SECONDS_MAX (1ULL << 33)

INLINE int is_sleep(__u32 shape)
{
	return shape == OF_SLEEP || shape == OF_SLEEP_BY;
}

/* Nanoseconds. */
INLINE __u64 sleep_time(const struct call *call, __u32 shape)
{
	__u64 from = shape == OF_SLEEP ? call->args[0] : call->args[2];
	__u64 seconds = 0, nanoseconds = 0;

	if (shape == OF_SLEEP_BY && call->args[1] & TIMER_ABSTIME)
		return 0;
	/* The 32-bit entry's own struct has two words of four bytes; that of its younger calls has not. */
	if (call->compat && call->number != 407) {
		__u32 words[2] = {};

		bpf_probe_read_user(words, sizeof(words), (void *)from);
		seconds = words[0];
		nanoseconds = words[1];
	} else {
		__u64 words[2] = {};

		bpf_probe_read_user(words, sizeof(words), (void *)from);
		seconds = words[0];
		nanoseconds = (__u32)words[1];
	}
	if (seconds > SLEEP_SECONDS_MAX)
		seconds = SLEEP_SECONDS_MAX;
	return seconds * 1000000000ULL + nanoseconds;
}

INLINE int is_dull_sleep(const struct call *call, __u32 shape, __u64 time)
{
	int is_absolute = shape == OF_SLEEP_BY && call->args[1] & TIMER_ABSTIME;

	return !is_absolute && time < SLEEP_OF_NOTE;
}

#endif
