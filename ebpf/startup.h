/* mapping, of what exec itself maps: no call tells of it.
 *
 * Told as other mappings are (memory.h): of the program's own file what is writable and executable at once;
 * its loader (PT_INTERP) where it does not stand in the image; a stack that can be run. Read from the
 * regions of the new program before it has done anything.
 */
#ifndef LZ_STARTUP_H
#define LZ_STARTUP_H

#include "memory.h"

/* Regions that are looked at, from the first code to the end of the data. */
#define REGIONS_MAX 64
#define PAGE 4096

struct startup {
	struct region region;
	__u64 flags; /* of the region */
	__u64 at, end;
	__u64 exe; /* mm->exe_file */
};

static long look_at_startup(struct task_struct *task, struct vm_area_struct *vma, struct startup *it)
{
	it->flags = READ(vma, vm_flags);
	it->region.start = READ(vma, vm_start);
	it->region.end = READ(vma, vm_end);
	it->region.file = (__u64)READ(vma, vm_file);
	it->region.known = 1;
	return 0;
}

/* `kind`: the flags that mmap(2) would have had. */
SHARED int send_startup(const struct startup *it, __u32 kind)
{
	if (!it)
		return 0;
	struct wish wish = { .flags = kind };
	struct region region = {};
	struct mapped mapped = {};

	region.start = it->region.start;
	region.end = it->region.end;
	region.file = it->region.file;
	region.known = 1;
	wish.address = region.start;
	wish.size = region.end - region.start;
	wish.protection = 1 | (it->flags & VM_WRITE ? PROT_WRITE : 0) | PROT_EXEC;
	if (region.file)
		find_mapped(&mapped, region.file, 0);
	/* The program itself is told by its exec. */
	if (!(it->flags & VM_WRITE) && (region.file == it->exe || is_ordinary(&wish, &region, &mapped)))
		return 0;
	send_mapping(&wish, &region, &mapped, 0, 0);
	return 0;
}

/* Looks at the region at an address; 0 where there is none. */
CALLED int look_at(struct startup *it, __u64 address, __u32 kind)
{
	it->region.known = 0;
	it->flags = 0;
	bpf_find_vma(bpf_get_current_task_btf(), address, look_at_startup, it, 0);
	if (!it->region.known)
		return 0;
	if (it->flags & VM_EXEC)
		send_startup(it, kind);
	return 1;
}

static long next_region(__u32 index, struct startup *it)
{
	__u64 at = it->at;

	if (at >= it->end)
		return 1;
	it->at = look_at(it, at, 0) ? it->region.end : at + PAGE;
	return 0;
}

/* Of the current task's new program, after its exec is told. */
SHARED int send_startups(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = READ(task, mm);

	if (!mm)
		return 0;
	struct startup it = { .exe = (__u64)READ(mm, exe_file) };
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u64 code = READ(mm, start_code), data = READ(mm, end_data), stack = READ(mm, start_stack);
	__u64 entry = READ(regs, ip);

	it.at = code & ~(__u64)(PAGE - 1);
	it.end = data > code ? data : code + 1;
	bpf_loop(REGIONS_MAX, next_region, &it, 0);
	if (entry < code || entry >= it.end)
		look_at(&it, entry, 0);
	look_at(&it, stack, MAP_STACK);
	return 0;
}


#endif
