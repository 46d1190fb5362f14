/* What the probes write and src/record/wire.rs reads: the one layout both sides share.
 *
 * A record is a head, the fixed body of its kind, then its texts without separators, in the order in
 * which the body names their lengths. All numbers are in host order; every struct is a multiple of
 * eight bytes without hidden padding. A test holds the Rust side against this object's BTF.
 */
#ifndef LZ_WIRE_H
#define LZ_WIRE_H

/* Caps, in bytes. A text that was longer is marked LZ_CUT. */
#define LZ_TEXT_MAX 4096
#define LZ_ADDRESS_MAX 128
#define LZ_PIECE_MAX 4096
#define LZ_ARGV_MAX (256 * 1024)
#define LZ_ENV_MAX (128 * 1024)
/* Messages of one sendmmsg(2) that are looked at; more of them is LZ_CUT on the last. */
#define LZ_MESSAGES_MAX 32

/* lz_head.flags */
#define LZ_CUT 1
#define LZ_COMPAT 2
#define LZ_BARRED 4 /* a filter or a tracer of the image's own answered the call */

/* lz_head.slot of a record that is not remembered for folding. */
#define LZ_NO_SLOT 0xffff

enum lz_kind {
	LZ_EXEC = 1,
	LZ_EXEC_FAILED = 2,
	LZ_FORK = 3,
	LZ_EXIT = 4,
	LZ_OPEN = 5,
	LZ_OPEN_FAILED = 6,
	LZ_RENAME = 7,
	LZ_LINK = 8,
	LZ_SYMLINK = 9,
	LZ_UNLINK = 10,
	LZ_MKDIR = 11,
	LZ_CHMOD = 12,
	LZ_FILE_CHMOD = 13,
	LZ_CONNECT = 14,
	LZ_BIND = 15,
	LZ_LISTEN = 16,
	LZ_SEND = 17,
	LZ_DUP = 18,
	LZ_DENIED = 19,
	LZ_PIECE = 20,
	LZ_FOLD = 21,
	LZ_MISMATCH = 22,
	LZ_STATE = 23,
	LZ_OPTION = 24,
	LZ_CAPABILITY = 25,
	LZ_REWRITTEN = 26,
	LZ_MAPPING = 40,
	LZ_MEMORY_CALL = 41,
	LZ_PROCESS_CALL = 42,
	LZ_KERNEL_CALL = 43,
	LZ_COMPAT_CALL = 44,
	LZ_IDS = 45,
	LZ_SIGNAL = 46,
	LZ_MOVED = 47,
	LZ_RING = 48,
	LZ_CHANGE = 60,
	LZ_SOCKET = 61,
	LZ_ACCEPT = 62,
	LZ_QUERY = 63,
	LZ_FLOW = 64,
	LZ_SOURCE = 65,
};

/* lz_change.what */
enum lz_what {
	LZ_TRUNCATE = 1,    /* numbers: length */
	LZ_CHOWN = 2,	    /* user, group; ~0: as it was */
	LZ_TIMES = 3,	    /* time of change, ns since 1970, ~0: none given; now */
	LZ_SET_XATTR = 4,   /* texts: name, value */
	LZ_REMOVE_XATTR = 5,
	LZ_MKNOD = 6,	    /* mode, device */
	LZ_SET_FLAGS = 7,   /* flags of FS_IOC_SETFLAGS, or FS_XFLAG_* */
	LZ_COPY = 8,	    /* sendfile, splice, copy_file_range, into it */
	LZ_MAP = 9,	    /* mapped so that what is written into the memory is written into it */
};
/* Bytes of an extended attribute's value. */
#define LZ_VALUE_MAX 256
/* Bytes of a datagram to a name server. A question takes at most 17 + 255. */
#define LZ_QUERY_MAX 512

/* What a lost record would have told about; index of the loss counters. */
enum lz_family {
	LZ_PROCESS = 0,
	LZ_FILE = 1,
	LZ_NETWORK = 2,
	LZ_KERNEL = 3,
	LZ_MEMORY = 4,
	LZ_FAMILIES = 5,
};

struct lz_head {
	__u32 size; /* of the whole record */
	__u16 kind;
	__u16 flags;
	__u64 time;  /* CLOCK_BOOTTIME, ns, taken when the record enters its ring */
	__u64 start; /* start_boottime of the thread-group leader, ns */
	__u32 pid;   /* thread group, initial pid namespace */
	__u32 tid;
	__u32 inner_pid; /* thread group, innermost pid namespace */
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u16 cpu;
	__u16 slot; /* of the thread's fold table, or LZ_NO_SLOT */
};

/* A struct file. */
struct lz_file {
	__u64 inode;
	__u64 magic; /* s_magic */
	__u32 device; /* s_dev */
	__u32 links; /* i_nlink */
	__u16 mode;  /* i_mode */
	__u16 path;  /* length of its text */
	__u8 upper;  /* overlay: 0 not told, 1 lower, 2 upper */
	__u8 pad[3];
};

/* A path argument: the program's string, the kernel's own path of what it starts from, and the one of
 * the file behind a descriptor that the string names (/proc/self/fd/N, /dev/fd/N). */
struct lz_argument {
	__u16 text;
	__u16 base;
	__u16 link;
	__u8 unreadable;
	__u8 pad;
};

struct lz_socket {
	__u16 family;
	__u16 kind;
	__u16 protocol;
	__u16 address; /* length of the address that follows */
};

struct lz_exec {
	struct lz_file exe;
	__u64 pieces;     /* which pieces belong to it */
	__u32 argv_size;  /* as the kernel laid it out */
	__u32 env_size;
	__u32 argv_sent;  /* what the pieces hold of it */
	__u32 env_sent;
	__u16 asked;
	__u16 interpreter;
	__u16 cwd;
	__u8 tty;
	__u8 pad;
	__u8 comm[16];
	__u64 effective; /* capabilities of the new program */
	__u64 permitted;
};

struct lz_exec_failed {
	__s64 result;
	struct lz_argument asked;
};

struct lz_fork {
	__u64 start;
	__u32 pid;
	__u32 tid;
	__u32 inner_pid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 pad;
};

struct lz_exit {
	__u32 status;
	__u32 pad;
};

/* The string that was passed is left out where the kernel's own objects show that it leads there. */
struct lz_open {
	struct lz_file file;
	__u32 flags;
	__u16 root; /* as of lz_open_failed; of openat2(RESOLVE_IN_ROOT): the directory that is its root */
	__u8 created;
	__u8 pad;
	struct lz_argument path;
};

struct lz_open_failed {
	__s64 result;
	__u32 flags;
	__u16 root; /* the task's root directory, where it is not the sandbox's */
	__u16 pad;
	struct lz_argument path;
};

/* rename, link, symlink (first is the new link's content), unlink, mkdir, chmod. */
struct lz_names {
	__s64 result;
	__u32 mode; /* of rename, link and unlink: the flags */
	__u16 root; /* as above */
	__u16 cwd;  /* of those that succeeded: the task's working directory */
	struct lz_argument first;
	struct lz_argument second;
};

struct lz_file_chmod {
	struct lz_file file;
	__s64 result;
	__u32 mode;
	__u32 pad;
};

/* Other changes of a file: by name, or by descriptor; then there is no path. */
struct lz_change {
	struct lz_file file;
	__s64 result;
	__u64 numbers[2];
	__u32 what;
	__u16 root; /* as of lz_names */
	__u16 cwd;
	__u16 name;
	__u16 value;
	__u8 by_name;
	__u8 keep; /* a link at the end of the name is not followed */
	__u8 pad[2];
	struct lz_argument path;
};

/* connect, bind, listen, send, socket (no address), accept (the peer's). */
struct lz_endpoint {
	__s64 result;
	struct lz_socket socket;
	__u8 local[28]; /* of connect, send, accept: the socket's own address, as in lz_flow; 0: none yet */
	__u8 pad[4];
};

/* A datagram to port 53: the server's address, then its bytes. */
struct lz_query {
	__s64 result;
	struct lz_socket socket;
	__u16 payload;
	__u16 pad;
	__u8 local[28]; /* as in lz_endpoint */
};

/* A TCP connection that ended; addresses as of struct sockaddr_in and sockaddr_in6. The head is that of
 * the process that opened or took it.
 * As LZ_SOURCE: what a socket is bound to now, where the call that bound it could not yet tell (io_uring);
 * without bytes, and without a remote where it has no fixed one. */
struct lz_flow {
	__u64 sent; /* bytes, without those sent again */
	__u64 received;
	struct lz_socket socket;
	__u8 local[28];
	__u8 remote[28];
};

/* A call that took another address than the one that stands where the program passed it. */
struct lz_mismatch {
	__s64 result;
	__u32 kind; /* LZ_CONNECT or LZ_BIND */
	__u32 pad;
	struct lz_socket socket;
	__u8 passed[28];
	__u8 actual[28];
};

/* How a connect that did not block ended; the head is that of the process that opened it. */
struct lz_state {
	__u32 state; /* TCP_ESTABLISHED or TCP_CLOSE */
	__u32 error; /* sk_err */
	struct lz_socket socket;
	__u8 local[28];
	__u8 remote[28];
};

/* An option of a socket that changes what it can do. */
struct lz_option {
	__s64 result;
	__u64 value; /* its first bytes */
	__u32 level;
	__u32 name;
	struct lz_socket socket;
};

/* A capability that a call asked for and that was not there. */
struct lz_capability {
	__u32 capability;
	__u32 number; /* of the call */
};

/* A name that was another one when its call returned than when it began. Neither is the kernel's. */
struct lz_rewritten {
	__s64 result;
	__u32 number; /* of the call */
	__u32 index;  /* which of its names */
	__u16 before;
	__u16 after;
	__u32 pad;
};

struct lz_dup {
	__u32 onto;
	__u32 is_socket; /* then the text is its remote address, else the file's path; 2: it was opened there */
	struct lz_socket socket;
	struct lz_file file;
};

struct lz_denied {
	__s64 result;
	__u64 args[6];
	__u32 number;
	__u32 capability; /* that was missing, plus one; 0: none was asked for */
};

/* A part of an argument vector or environment; comes before the exec that names it. */
struct lz_piece {
	__u64 pieces;
	__u32 offset;
	__u16 length;
	__u8 is_env;
	__u8 pad;
};

/* That many more acts like the record that this thread last sent with the same slot. */
struct lz_fold {
	__u64 first; /* time of that record */
	__u64 count;
};

/* A region that became executable: mmap, mprotect, pkey_mprotect, shmat. */
struct lz_mapping {
	__s64 result;
	__u64 address;
	__u64 size;
	struct lz_file file; /* what is mapped; all 0: nothing is */
	__u32 protection;    /* PROT_*, as asked for */
	__u32 flags;	     /* MAP_*; of mmap */
	__u8 protect;	     /* the region was there before */
	__u8 has_file;
	__u8 written;	 /* the region has pages of its own: something was written into it */
	__u8 known;	 /* the kernel's own region was found */
	__u8 pad[4];
};

/* A call of note that is told by its registers and the strings among its arguments. */
struct lz_call {
	__s64 result;
	__u64 args[6];
	__u64 detail; /* clone: flags; bpf: type of the program or map */
	__u64 target_start;
	__u32 target_pid; /* of a pidfd: thread group, initial pid namespace; else 0 */
	__u32 number;
	__u32 capability; /* as in lz_denied */
	__u16 texts[3];
	__u8 unreadable;
	__u8 pad;
};

struct lz_cred {
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 suid;
	__u32 sgid;
	__u32 fsuid;
	__u32 fsgid;
	__u64 effective;
	__u64 permitted;
};

/* Credentials of a task that changed, or a refused attempt. */
struct lz_ids {
	__s64 result;
	struct lz_cred before;
	struct lz_cred after;
	__u32 number;
	__u32 known; /* 0: `before` is not known */
};

/* A signal that was put into another task's queue, or could not be. */
struct lz_signal {
	__s64 result;
	__u64 target_start;
	__u32 target_pid; /* thread group, initial pid namespace; 0: see asked */
	__u32 signal;
	__s32 asked; /* the argument, of a call that found no target */
	__s32 code;  /* si_code */
};

/* A task of ours was put into another cgroup. */
struct lz_moved {
	__u64 start;
	__u32 pid;
	__u32 hierarchy; /* 0: the v2 tree */
	__u16 path;
	__u8 pad[6];
};

/* A request handed to io_uring that has no kind of its own. */
struct lz_ring {
	__u32 opcode;
	__s32 fd;
	__u16 first;
	__u16 second;
	__u32 pad;
};

union lz_body {
	struct lz_exec exec;
	struct lz_exec_failed exec_failed;
	struct lz_fork fork;
	struct lz_exit exit;
	struct lz_open open;
	struct lz_open_failed open_failed;
	struct lz_names names;
	struct lz_file_chmod file_chmod;
	struct lz_change change;
	struct lz_endpoint endpoint;
	struct lz_query query;
	struct lz_flow flow;
	struct lz_mismatch mismatch;
	struct lz_state state;
	struct lz_option option;
	struct lz_capability capability;
	struct lz_rewritten rewritten;
	struct lz_dup dup;
	struct lz_denied denied;
	struct lz_piece piece;
	struct lz_fold fold;
	struct lz_mapping mapping;
	struct lz_call call;
	struct lz_ids ids;
	struct lz_signal signal;
	struct lz_moved moved;
	struct lz_ring ring;
};

#endif
