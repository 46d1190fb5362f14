/* Which system calls are looked at, and by which handler: the only place with call numbers.
 *
 * One table per numbering: the machine's own, and the one of its 32-bit entry. A value is
 * ACT(handler, variant); 0 means that only a refusal is worth a record. AArch64 gets its two tables
 * here, beside these.
 */
#ifndef LZ_CALLS_H
#define LZ_CALLS_H

#define ACT(handler, variant) ((handler) << 4 | (variant))
#define HANDLER(act) ((act) >> 4)

/* Index of the handler in the program array; src/trace/probes.rs fills it by name. */
enum handler {
	ON_DENIED = 0,
	ON_EXEC_FAILED = 1,
	ON_OPEN = 2,
	ON_NAMES = 3,
	ON_FILE_CHMOD = 4,
	ON_SOCKET = 5,
	ON_DUP = 6,
	ON_MAPPING = 7,
	/* One program under three numbers, which say the family. */
	ON_MEMORY_CALL = 8,
	ON_PROCESS_CALL = 9,
	ON_KERNEL_CALL = 10,
	ON_IDS = 11,
	ON_SIGNAL = 12,
	/* The program of ON_PROCESS_CALL again, with shapes of their own. */
	ON_WAIT = 13,
	ON_CHANGE = 16,
	ON_FILE_CHANGE = 17,
	ON_QUERY = 18,
	ON_OPTION = 19,
	HANDLERS = 20,
};

enum act {
	ACT_EXECVE = ACT(ON_EXEC_FAILED, 0),
	ACT_EXECVEAT = ACT(ON_EXEC_FAILED, 1),

	ACT_OPEN = ACT(ON_OPEN, 0),
	ACT_OPENAT = ACT(ON_OPEN, 1),
	ACT_OPENAT2 = ACT(ON_OPEN, 2),
	ACT_CREAT = ACT(ON_OPEN, 3),

	ACT_RENAME = ACT(ON_NAMES, 0),
	ACT_RENAMEAT = ACT(ON_NAMES, 1),
	ACT_LINK = ACT(ON_NAMES, 2),
	ACT_LINKAT = ACT(ON_NAMES, 3),
	ACT_SYMLINK = ACT(ON_NAMES, 4),
	ACT_SYMLINKAT = ACT(ON_NAMES, 5),
	ACT_UNLINK = ACT(ON_NAMES, 6),
	ACT_UNLINKAT = ACT(ON_NAMES, 7),
	ACT_MKDIR = ACT(ON_NAMES, 8),
	ACT_MKDIRAT = ACT(ON_NAMES, 9),
	ACT_CHMOD = ACT(ON_NAMES, 10),
	ACT_FCHMODAT = ACT(ON_NAMES, 11),
	ACT_RENAMEAT2 = ACT(ON_NAMES, 12),
	ACT_RMDIR = ACT(ON_NAMES, 13),

	ACT_FCHMOD = ACT(ON_FILE_CHMOD, 0),

	ACT_TRUNCATE = ACT(ON_CHANGE, 0),
	ACT_CHOWN = ACT(ON_CHANGE, 1),
	ACT_LCHOWN = ACT(ON_CHANGE, 2),
	ACT_FCHOWNAT = ACT(ON_CHANGE, 3),
	ACT_UTIMENSAT = ACT(ON_CHANGE, 4),
	ACT_FUTIMESAT = ACT(ON_CHANGE, 5),
	ACT_UTIMES = ACT(ON_CHANGE, 6),
	ACT_UTIME = ACT(ON_CHANGE, 7),
	ACT_SETXATTR = ACT(ON_CHANGE, 8),
	ACT_LSETXATTR = ACT(ON_CHANGE, 9),
	ACT_REMOVEXATTR = ACT(ON_CHANGE, 10),
	ACT_LREMOVEXATTR = ACT(ON_CHANGE, 11),
	ACT_SETXATTRAT = ACT(ON_CHANGE, 12),
	ACT_REMOVEXATTRAT = ACT(ON_CHANGE, 13),
	ACT_MKNOD = ACT(ON_CHANGE, 14),
	ACT_MKNODAT = ACT(ON_CHANGE, 15),

	ACT_FTRUNCATE = ACT(ON_FILE_CHANGE, 0),
	ACT_FCHOWN = ACT(ON_FILE_CHANGE, 1),
	ACT_FSETXATTR = ACT(ON_FILE_CHANGE, 2),
	ACT_FREMOVEXATTR = ACT(ON_FILE_CHANGE, 3),
	ACT_IOCTL = ACT(ON_FILE_CHANGE, 4),
	ACT_SENDFILE = ACT(ON_FILE_CHANGE, 5), /* into the first descriptor */
	ACT_SPLICE = ACT(ON_FILE_CHANGE, 6),   /* into the second */
	ACT_SHARED_MAP = ACT(ON_FILE_CHANGE, 7), /* an mmap that the sieve takes for one */

	ACT_CONNECT = ACT(ON_SOCKET, 0),
	ACT_BIND = ACT(ON_SOCKET, 1),
	ACT_LISTEN = ACT(ON_SOCKET, 2),
	ACT_SENDTO = ACT(ON_SOCKET, 3),
	ACT_SENDMSG = ACT(ON_SOCKET, 4),
	ACT_SENDMMSG = ACT(ON_SOCKET, 5),
	ACT_SOCKETCALL = ACT(ON_SOCKET, 6),
	ACT_SOCKET = ACT(ON_SOCKET, 7),
	ACT_ACCEPT = ACT(ON_SOCKET, 8),

	ACT_WRITE = ACT(ON_QUERY, 0),
	ACT_WRITEV = ACT(ON_QUERY, 1),

	ACT_OPTION = ACT(ON_OPTION, 0),

	ACT_DUP = ACT(ON_DUP, 0),
	ACT_DUP2 = ACT(ON_DUP, 1),
	ACT_FCNTL = ACT(ON_DUP, 2),

	ACT_MMAP = ACT(ON_MAPPING, 0),
	ACT_OLD_MMAP = ACT(ON_MAPPING, 1),
	ACT_MPROTECT = ACT(ON_MAPPING, 2),
	ACT_SHMAT = ACT(ON_MAPPING, 3),
	ACT_IPC = ACT(ON_MAPPING, 4), /* of the 32-bit entry: shmat among others */

	ACT_IDS = ACT(ON_IDS, 0),

	ACT_KILL = ACT(ON_SIGNAL, 0),
	ACT_TGKILL = ACT(ON_SIGNAL, 1),
	ACT_SIGQUEUE = ACT(ON_SIGNAL, 2),
	ACT_TGSIGQUEUE = ACT(ON_SIGNAL, 3),
	ACT_PIDFD_SIGNAL = ACT(ON_SIGNAL, 4),
};

/* What a call of note holds beside its registers. */
enum shape_of_call {
	OF_NOTHING = 0,
	OF_TEXT = 1,	   /* a string in the first argument */
	OF_TWO_TEXTS = 2,  /* in the first two */
	OF_THREE_TEXTS = 3,
	OF_PRCTL = 4,
	OF_PIDFD = 5,	   /* a process in the first */
	OF_BPF = 6,
	OF_CLONE = 7,	   /* flags in the first */
	OF_CLONE3 = 8,
	OF_FILE = 9,	   /* a descriptor of a file in the first */
	OF_MOVE_MOUNT = 10, /* strings in the second and fourth */
	OF_OPEN_TREE = 11, /* a string in the second */
	OF_UNSHARE = 12,   /* flags in the first; returns once */
	OF_SLEEP = 13,	   /* a time in the first */
	OF_SLEEP_BY = 14,  /* a clock, flags, and a time in the third */
	OF_OPENED = 15,	   /* a descriptor as result, without a name */
};

/* Where a call that waits, or sets a timer, holds the time. */
enum shape_of_wait {
	WAIT_VALUE = 0,	    /* select: struct timeval in the fifth argument */
	WAIT_SPEC = 1,	    /* pselect6: struct timespec in the fifth */
	WAIT_MS = 2,	    /* poll: milliseconds in the third */
	WAIT_SPEC_THIRD = 3, /* ppoll */
	TIMER_SECONDS = 4,  /* alarm: in the first */
	TIMER_VALUE = 5,    /* setitimer: the second half of a struct itimerval in the second */
	TIMER_SPEC = 6,	    /* timer_settime, timerfd_settime: flags, and the same of timespecs in the third */
};

#define CALLS 512

/* arch/x86/entry/syscalls/syscall_64.tbl */
static const __u16 calls_native[CALLS] = {
	[2] = ACT_OPEN,	      [257] = ACT_OPENAT,    [437] = ACT_OPENAT2,  [85] = ACT_CREAT,
	[59] = ACT_EXECVE,    [322] = ACT_EXECVEAT,
	[82] = ACT_RENAME,    [264] = ACT_RENAMEAT,  [316] = ACT_RENAMEAT2,
	[86] = ACT_LINK,      [265] = ACT_LINKAT,
	[88] = ACT_SYMLINK,   [266] = ACT_SYMLINKAT,
	[87] = ACT_UNLINK,    [263] = ACT_UNLINKAT,  [84] = ACT_RMDIR,
	[83] = ACT_MKDIR,     [258] = ACT_MKDIRAT,
	[90] = ACT_CHMOD,     [268] = ACT_FCHMODAT,  [452] = ACT_FCHMODAT,
	[91] = ACT_FCHMOD,
	[76] = ACT_TRUNCATE,  [77] = ACT_FTRUNCATE,
	[92] = ACT_CHOWN,     [94] = ACT_LCHOWN,     [260] = ACT_FCHOWNAT, [93] = ACT_FCHOWN,
	[280] = ACT_UTIMENSAT, [261] = ACT_FUTIMESAT, [235] = ACT_UTIMES,  [132] = ACT_UTIME,
	[188] = ACT_SETXATTR, [189] = ACT_LSETXATTR, [190] = ACT_FSETXATTR, [463] = ACT_SETXATTRAT,
	[197] = ACT_REMOVEXATTR, [198] = ACT_LREMOVEXATTR, [199] = ACT_FREMOVEXATTR,
	[466] = ACT_REMOVEXATTRAT,
	[133] = ACT_MKNOD,    [259] = ACT_MKNODAT,
	[16] = ACT_IOCTL,     [40] = ACT_SENDFILE,   [275] = ACT_SPLICE,   [326] = ACT_SPLICE,
	[42] = ACT_CONNECT,   [49] = ACT_BIND,	     [50] = ACT_LISTEN,
	[44] = ACT_SENDTO,    [46] = ACT_SENDMSG,    [307] = ACT_SENDMMSG,
	[41] = ACT_SOCKET,    [43] = ACT_ACCEPT,     [288] = ACT_ACCEPT,
	[1] = ACT_WRITE,      [20] = ACT_WRITEV,
	[54] = ACT_OPTION,
	[32] = ACT_DUP,	      [33] = ACT_DUP2,	     [292] = ACT_DUP2,	   [72] = ACT_FCNTL,
	[9] = ACT_MMAP,	      [10] = ACT_MPROTECT,   [329] = ACT_MPROTECT, [30] = ACT_SHMAT,
	[105] = ACT_IDS,      [106] = ACT_IDS,	     [113] = ACT_IDS,	   [114] = ACT_IDS,
	[117] = ACT_IDS,      [119] = ACT_IDS,	     [122] = ACT_IDS,	   [123] = ACT_IDS,
	[126] = ACT_IDS,
	[62] = ACT_KILL,      [200] = ACT_KILL,	     [234] = ACT_TGKILL,   [129] = ACT_SIGQUEUE,
	[297] = ACT_TGSIGQUEUE,			     [424] = ACT_PIDFD_SIGNAL,
	[319] = ACT(ON_MEMORY_CALL, OF_TEXT),	     /* memfd_create */
	[323] = ACT(ON_MEMORY_CALL, OF_NOTHING),     /* userfaultfd */
	[447] = ACT(ON_MEMORY_CALL, OF_NOTHING),     /* memfd_secret */
	[101] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* ptrace */
	[310] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* process_vm_readv */
	[311] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* process_vm_writev */
	[438] = ACT(ON_PROCESS_CALL, OF_PIDFD),	     /* pidfd_getfd */
	[440] = ACT(ON_PROCESS_CALL, OF_PIDFD),	     /* process_madvise */
	[448] = ACT(ON_PROCESS_CALL, OF_PIDFD),	     /* process_mrelease */
	[312] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* kcmp */
	[302] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* prlimit64 */
	[256] = ACT(ON_PROCESS_CALL, OF_NOTHING),    [279] = ACT(ON_PROCESS_CALL, OF_NOTHING), /* migrate_pages, move_pages */
	[157] = ACT(ON_PROCESS_CALL, OF_PRCTL),	     /* prctl */
	[112] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* setsid */
	[135] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* personality */
	[317] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* seccomp */
	[116] = ACT(ON_PROCESS_CALL, OF_NOTHING),    /* setgroups */
	[35] = ACT(ON_PROCESS_CALL, OF_SLEEP),	     /* nanosleep */
	[230] = ACT(ON_PROCESS_CALL, OF_SLEEP_BY),   /* clock_nanosleep */
	[23] = ACT(ON_WAIT, WAIT_VALUE),	     /* select */
	[270] = ACT(ON_WAIT, WAIT_SPEC),	     /* pselect6 */
	[7] = ACT(ON_WAIT, WAIT_MS),		     /* poll */
	[271] = ACT(ON_WAIT, WAIT_SPEC_THIRD),	     /* ppoll */
	[37] = ACT(ON_WAIT, TIMER_SECONDS),	     /* alarm */
	[38] = ACT(ON_WAIT, TIMER_VALUE),	     /* setitimer */
	[223] = ACT(ON_WAIT, TIMER_SPEC),	     /* timer_settime */
	[286] = ACT(ON_WAIT, TIMER_SPEC),	     /* timerfd_settime */
	[56] = ACT(ON_KERNEL_CALL, OF_CLONE),	     [435] = ACT(ON_KERNEL_CALL, OF_CLONE3),
	[272] = ACT(ON_KERNEL_CALL, OF_UNSHARE),     /* unshare */
	[308] = ACT(ON_KERNEL_CALL, OF_PIDFD),	     /* setns */
	[165] = ACT(ON_KERNEL_CALL, OF_THREE_TEXTS), /* mount */
	[166] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* umount2 */
	[155] = ACT(ON_KERNEL_CALL, OF_TWO_TEXTS),   /* pivot_root */
	[161] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* chroot */
	[428] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* open_tree */
	[429] = ACT(ON_KERNEL_CALL, OF_MOVE_MOUNT),  /* move_mount */
	[430] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* fsopen */
	[432] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* fsmount */
	[433] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* fspick */
	[442] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* mount_setattr */
	[304] = ACT(ON_KERNEL_CALL, OF_OPENED),	     /* open_by_handle_at */
	[321] = ACT(ON_KERNEL_CALL, OF_BPF),	     /* bpf */
	[298] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* perf_event_open */
	[248] = ACT(ON_KERNEL_CALL, OF_TWO_TEXTS),   /* add_key */
	[249] = ACT(ON_KERNEL_CALL, OF_THREE_TEXTS), /* request_key */
	[250] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* keyctl */
	[175] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* init_module */
	[313] = ACT(ON_KERNEL_CALL, OF_FILE),	     /* finit_module */
	[176] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* delete_module */
	[246] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* kexec_load */
	[320] = ACT(ON_KERNEL_CALL, OF_FILE),	     /* kexec_file_load */
	[103] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* syslog */
	[425] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* io_uring_setup */
	[427] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* io_uring_register */
	[169] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* reboot */
	[170] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* sethostname */
	[172] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [173] = ACT(ON_KERNEL_CALL, OF_NOTHING), /* iopl, ioperm */
	[163] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* acct */
	[179] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* quotactl */
	[443] = ACT(ON_KERNEL_CALL, OF_FILE),	     /* quotactl_fd */
	[164] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [227] = ACT(ON_KERNEL_CALL, OF_NOTHING), /* settimeofday, clock_settime */
	[159] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [305] = ACT(ON_KERNEL_CALL, OF_NOTHING), /* adjtimex, clock_adjtime */
	[171] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* setdomainname */
	[154] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* modify_ldt */
	[444] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [446] = ACT(ON_KERNEL_CALL, OF_NOTHING), /* landlock_create_ruleset, landlock_restrict_self */
	[300] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [301] = ACT(ON_KERNEL_CALL, OF_NOTHING), /* fanotify_init, fanotify_mark */
	[254] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* inotify_add_watch */
	[303] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* name_to_handle_at */
	[431] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* fsconfig */
	[467] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* open_tree_attr */
	[469] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   /* file_setattr */
	[240] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [241] = ACT(ON_KERNEL_CALL, OF_TEXT), /* mq_open, mq_unlink */
	[457] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [458] = ACT(ON_KERNEL_CALL, OF_NOTHING), /* statmount, listmount */
	[460] = ACT(ON_KERNEL_CALL, OF_NOTHING),     /* lsm_set_self_attr */
	[134] = ACT(ON_KERNEL_CALL, OF_TEXT),	     /* uselib */
	[167] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [168] = ACT(ON_KERNEL_CALL, OF_TEXT), /* swapon, swapoff */
};

/* arch/x86/entry/syscalls/syscall_32.tbl */
static const __u16 calls_compat[CALLS] = {
	[5] = ACT_OPEN,	      [295] = ACT_OPENAT,    [437] = ACT_OPENAT2,  [8] = ACT_CREAT,
	[11] = ACT_EXECVE,    [358] = ACT_EXECVEAT,
	[38] = ACT_RENAME,    [302] = ACT_RENAMEAT,  [353] = ACT_RENAMEAT2,
	[9] = ACT_LINK,	      [303] = ACT_LINKAT,
	[83] = ACT_SYMLINK,   [304] = ACT_SYMLINKAT,
	[10] = ACT_UNLINK,    [301] = ACT_UNLINKAT,  [40] = ACT_RMDIR,
	[39] = ACT_MKDIR,     [296] = ACT_MKDIRAT,
	[15] = ACT_CHMOD,     [306] = ACT_FCHMODAT,  [452] = ACT_FCHMODAT,
	[94] = ACT_FCHMOD,
	[92] = ACT_TRUNCATE,  [193] = ACT_TRUNCATE,  [93] = ACT_FTRUNCATE, [194] = ACT_FTRUNCATE,
	[182] = ACT_CHOWN,    [212] = ACT_CHOWN,     [16] = ACT_LCHOWN,	   [198] = ACT_LCHOWN,
	[298] = ACT_FCHOWNAT, [95] = ACT_FCHOWN,     [207] = ACT_FCHOWN,
	[320] = ACT_UTIMENSAT, [412] = ACT_UTIMENSAT, [299] = ACT_FUTIMESAT, [271] = ACT_UTIMES,
	[30] = ACT_UTIME,
	[226] = ACT_SETXATTR, [227] = ACT_LSETXATTR, [228] = ACT_FSETXATTR, [463] = ACT_SETXATTRAT,
	[235] = ACT_REMOVEXATTR, [236] = ACT_LREMOVEXATTR, [237] = ACT_FREMOVEXATTR,
	[466] = ACT_REMOVEXATTRAT,
	[14] = ACT_MKNOD,     [297] = ACT_MKNODAT,
	[54] = ACT_IOCTL,     [187] = ACT_SENDFILE,  [239] = ACT_SENDFILE, [313] = ACT_SPLICE,
	[377] = ACT_SPLICE,
	[362] = ACT_CONNECT,  [361] = ACT_BIND,	     [363] = ACT_LISTEN,
	[369] = ACT_SENDTO,   [370] = ACT_SENDMSG,   [345] = ACT_SENDMMSG,
	[359] = ACT_SOCKET,   [364] = ACT_ACCEPT,
	[4] = ACT_WRITE,      [146] = ACT_WRITEV,    [366] = ACT_OPTION,
	[102] = ACT_SOCKETCALL,
	[41] = ACT_DUP,	      [63] = ACT_DUP2,	     [330] = ACT_DUP2,	   [55] = ACT_FCNTL,
	[221] = ACT_FCNTL,
	[192] = ACT_MMAP,     [90] = ACT_OLD_MMAP,   [125] = ACT_MPROTECT, [380] = ACT_MPROTECT,
	[397] = ACT_SHMAT,    [117] = ACT_IPC,
	[23] = ACT_IDS,	      [46] = ACT_IDS,	     [70] = ACT_IDS,	   [71] = ACT_IDS,
	[138] = ACT_IDS,      [139] = ACT_IDS,	     [164] = ACT_IDS,	   [170] = ACT_IDS,
	[185] = ACT_IDS,      [203] = ACT_IDS,	     [204] = ACT_IDS,	   [208] = ACT_IDS,
	[210] = ACT_IDS,      [213] = ACT_IDS,	     [214] = ACT_IDS,	   [215] = ACT_IDS,
	[216] = ACT_IDS,
	[37] = ACT_KILL,      [238] = ACT_KILL,	     [270] = ACT_TGKILL,   [178] = ACT_SIGQUEUE,
	[335] = ACT_TGSIGQUEUE,			     [424] = ACT_PIDFD_SIGNAL,
	[356] = ACT(ON_MEMORY_CALL, OF_TEXT),	     [374] = ACT(ON_MEMORY_CALL, OF_NOTHING),
	[447] = ACT(ON_MEMORY_CALL, OF_NOTHING),
	[26] = ACT(ON_PROCESS_CALL, OF_NOTHING),     [347] = ACT(ON_PROCESS_CALL, OF_NOTHING),
	[348] = ACT(ON_PROCESS_CALL, OF_NOTHING),    [438] = ACT(ON_PROCESS_CALL, OF_PIDFD),
	[440] = ACT(ON_PROCESS_CALL, OF_PIDFD),	     [172] = ACT(ON_PROCESS_CALL, OF_PRCTL),
	[448] = ACT(ON_PROCESS_CALL, OF_PIDFD),	     [349] = ACT(ON_PROCESS_CALL, OF_NOTHING),
	[340] = ACT(ON_PROCESS_CALL, OF_NOTHING),    [294] = ACT(ON_PROCESS_CALL, OF_NOTHING),
	[317] = ACT(ON_PROCESS_CALL, OF_NOTHING),
	[66] = ACT(ON_PROCESS_CALL, OF_NOTHING),     [136] = ACT(ON_PROCESS_CALL, OF_NOTHING),
	[354] = ACT(ON_PROCESS_CALL, OF_NOTHING),    [81] = ACT(ON_PROCESS_CALL, OF_NOTHING),
	[206] = ACT(ON_PROCESS_CALL, OF_NOTHING),
	[162] = ACT(ON_PROCESS_CALL, OF_SLEEP),	     [267] = ACT(ON_PROCESS_CALL, OF_SLEEP_BY),
	[407] = ACT(ON_PROCESS_CALL, OF_SLEEP_BY),
	[142] = ACT(ON_WAIT, WAIT_VALUE),	     [308] = ACT(ON_WAIT, WAIT_SPEC),
	[413] = ACT(ON_WAIT, WAIT_SPEC),	     [168] = ACT(ON_WAIT, WAIT_MS),
	[309] = ACT(ON_WAIT, WAIT_SPEC_THIRD),	     [414] = ACT(ON_WAIT, WAIT_SPEC_THIRD),
	[27] = ACT(ON_WAIT, TIMER_SECONDS),	     [104] = ACT(ON_WAIT, TIMER_VALUE),
	[259] = ACT(ON_WAIT, TIMER_SPEC),	     [409] = ACT(ON_WAIT, TIMER_SPEC),
	[325] = ACT(ON_WAIT, TIMER_SPEC),	     [411] = ACT(ON_WAIT, TIMER_SPEC),
	[120] = ACT(ON_KERNEL_CALL, OF_CLONE),	     [435] = ACT(ON_KERNEL_CALL, OF_CLONE3),
	[310] = ACT(ON_KERNEL_CALL, OF_UNSHARE),     [346] = ACT(ON_KERNEL_CALL, OF_PIDFD),
	[21] = ACT(ON_KERNEL_CALL, OF_THREE_TEXTS),  [52] = ACT(ON_KERNEL_CALL, OF_TEXT),
	[22] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [217] = ACT(ON_KERNEL_CALL, OF_TWO_TEXTS),
	[61] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [428] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),
	[429] = ACT(ON_KERNEL_CALL, OF_MOVE_MOUNT),  [430] = ACT(ON_KERNEL_CALL, OF_TEXT),
	[432] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [433] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),
	[442] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   [342] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[357] = ACT(ON_KERNEL_CALL, OF_BPF),	     [336] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[286] = ACT(ON_KERNEL_CALL, OF_TWO_TEXTS),   [287] = ACT(ON_KERNEL_CALL, OF_THREE_TEXTS),
	[288] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [128] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[350] = ACT(ON_KERNEL_CALL, OF_FILE),	     [129] = ACT(ON_KERNEL_CALL, OF_TEXT),
	[283] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [103] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[425] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [427] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[88] = ACT(ON_KERNEL_CALL, OF_NOTHING),	     [74] = ACT(ON_KERNEL_CALL, OF_TEXT),
	[110] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [101] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[51] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [131] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),
	[443] = ACT(ON_KERNEL_CALL, OF_FILE),	     [79] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[25] = ACT(ON_KERNEL_CALL, OF_NOTHING),	     [264] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[404] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [124] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[343] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [405] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[121] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [123] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[444] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [446] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[338] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [339] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[292] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   [341] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),
	[431] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [467] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),
	[469] = ACT(ON_KERNEL_CALL, OF_OPEN_TREE),   [277] = ACT(ON_KERNEL_CALL, OF_TEXT),
	[278] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [457] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[458] = ACT(ON_KERNEL_CALL, OF_NOTHING),     [460] = ACT(ON_KERNEL_CALL, OF_NOTHING),
	[86] = ACT(ON_KERNEL_CALL, OF_TEXT),
	[87] = ACT(ON_KERNEL_CALL, OF_TEXT),	     [115] = ACT(ON_KERNEL_CALL, OF_TEXT),
};

/* arch/x86/include/asm/thread_info.h */
enum { TS_COMPAT = 2 };

/* A call that returned. The argument registers still hold what was passed. */
struct call {
	__u64 args[6];
	__s64 result;
	__u32 number;
	__u16 act;
	__u8 compat;
};

INLINE int is_compat(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT ? 1 : 0;
}

INLINE __u16 act_of(__u32 number, int compat)
{
	if (number >= CALLS)
		return 0;
	return compat ? calls_compat[number] : calls_native[number];
}

INLINE void read_arguments(struct call *call, const struct pt_regs *regs)
{
	if (call->compat) {
		call->args[0] = (__u32)regs->bx;
		call->args[1] = (__u32)regs->cx;
		call->args[2] = (__u32)regs->dx;
		call->args[3] = (__u32)regs->si;
		call->args[4] = (__u32)regs->di;
		call->args[5] = (__u32)regs->bp;
	} else {
		call->args[0] = regs->di;
		call->args[1] = regs->si;
		call->args[2] = regs->dx;
		call->args[3] = regs->r10;
		call->args[4] = regs->r8;
		call->args[5] = regs->r9;
	}
}

INLINE void read_call(struct call *call, const __u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];

	call->result = ctx[1];
	call->number = regs->orig_ax;
	call->compat = is_compat(bpf_get_current_task_btf());
	call->act = act_of(call->number, call->compat);
	read_arguments(call, regs);
}

#endif
