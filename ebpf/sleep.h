/* sleep: how long a call asks to sleep, or what time it sets a timer to. The time is the program's, read when
 * the call returned.
 *
 * A time to wake up at says nothing of how long that is, and is told as 0.
 */
#ifndef LZ_SLEEP_H
#define LZ_SLEEP_H

#include "calls.h"

/* include/uapi/linux/time.h; TFD_TIMER_ABSTIME is the same. */
enum { TIMER_ABSTIME = 1 };

/* Shorter ones are how programs take turns, and would be told by the thousand. */
#define SLEEP_OF_NOTE 1000000ULL /* nanoseconds */

/* Shorter timers are how programs watch over themselves. */
#define TIMER_OF_NOTE 60000000000ULL

/* Longer than any run, in nanoseconds; keeps the product below from wrapping. */
#define SLEEP_SECONDS_MAX (1ULL << 33)

INLINE int is_sleep(__u32 shape)
{
	return shape == OF_SLEEP || shape == OF_SLEEP_BY;
}

/* A second and its part, which is told in units of so many nanoseconds. */
INLINE __u64 time_at(__u64 from, int is_narrow, __u32 unit)
{
	__u64 seconds = 0, part = 0;

	/* The 32-bit entry's own structs have two words of four bytes. */
	if (is_narrow) {
		__u32 words[2] = {};

		bpf_probe_read_user(words, sizeof(words), (void *)from);
		seconds = words[0];
		part = words[1];
	} else {
		__u64 words[2] = {};

		bpf_probe_read_user(words, sizeof(words), (void *)from);
		seconds = words[0];
		part = (__u32)words[1];
	}
	if (seconds > SLEEP_SECONDS_MAX)
		seconds = SLEEP_SECONDS_MAX;
	return seconds * 1000000000ULL + part * unit;
}

/* Nanoseconds. */
INLINE __u64 sleep_time(const struct call *call, __u32 shape)
{
	__u64 from = shape == OF_SLEEP ? call->args[0] : call->args[2];

	if (shape == OF_SLEEP_BY && call->args[1] & TIMER_ABSTIME)
		return 0;
	/* The younger calls of the 32-bit entry (clock_nanosleep_time64) have wide times. */
	return time_at(from, call->compat && call->number != 407, 1);
}

INLINE int is_dull_sleep(const struct call *call, __u32 shape, __u64 time)
{
	int is_absolute = shape == OF_SLEEP_BY && call->args[1] & TIMER_ABSTIME;

	return !is_absolute && time < SLEEP_OF_NOTE;
}

INLINE int sets_timer(__u32 shape)
{
	return shape >= TIMER_SECONDS;
}

/* Who waits for descriptors does not sleep: that is how servers wait. */
INLINE int waits_for_more(__u32 shape, __u64 first, __u64 second)
{
	if (shape == WAIT_VALUE || shape == WAIT_SPEC)
		return (__u32)first != 0;
	if (shape == WAIT_MS || shape == WAIT_SPEC_THIRD)
		return (__u32)second != 0;
	return 0;
}

/* Nanoseconds; 0 also where it waits for ever, or a timer is taken back. */
INLINE __u64 wait_time(const struct call *call, __u32 shape)
{
	/* Those with times of 64 bits are the only ones of the 32-bit entry from here up. */
	int is_narrow = call->compat && call->number < 403;
	__u32 half = is_narrow ? 8 : 16;

	switch (shape) {
	case WAIT_MS:
		return (__s32)call->args[2] < 0 ? 0 : (__u32)call->args[2] * 1000000ULL;
	case TIMER_SECONDS:
		return (__u32)call->args[0] * 1000000000ULL;
	case WAIT_VALUE:
		return call->args[4] ? time_at(call->args[4], is_narrow, 1000) : 0;
	case WAIT_SPEC:
		return call->args[4] ? time_at(call->args[4], is_narrow, 1) : 0;
	case WAIT_SPEC_THIRD:
		return call->args[2] ? time_at(call->args[2], is_narrow, 1) : 0;
	case TIMER_VALUE:
		/* ITIMER_REAL: the others count processor time. */
		return call->args[0] ? 0 : time_at(call->args[1] + half, is_narrow, 1000);
	}
	return time_at(call->args[2] + half, is_narrow, 1);
}

INLINE int is_dull_wait(__u32 shape, __u64 time)
{
	return time < (sets_timer(shape) ? TIMER_OF_NOTE : SLEEP_OF_NOTE);
}

/* Of an absolute time how long it is cannot be told from here. */
INLINE int is_absolute_timer(const struct call *call, __u32 shape)
{
	return shape == TIMER_SPEC && call->args[1] & TIMER_ABSTIME;
}

#endif
