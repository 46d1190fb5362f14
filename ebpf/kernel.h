/* What we name of the kernel: plain types, the few structures that are read, the helpers called.
 *
 * Every structure is relocated at load (preserve_access_index), so only names matter here, never
 * offsets or the members left out. No header of the system is included: the object must not depend
 * on which one is installed.
 */
#ifndef LZ_KERNEL_H
#define LZ_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static __attribute__((always_inline)) inline
#define CALLED static __attribute__((noinline))
/* Verified once and by itself, whoever calls it: a static function is verified again for every state
 * in which it is called. Its pointers come unchecked. */
#define SHARED __attribute__((noinline))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_CGROUP_ARRAY = 8,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_F_NO_PREALLOC = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

enum { EPERM = 1, ESRCH = 3, EACCES = 13, ENOSYS = 38, EINPROGRESS = 115 };
/* include/linux/mm.h */
enum { VM_WRITE = 2, VM_EXEC = 4 };
enum { MAP_SHARED = 1, MAP_SHARED_VALIDATE = 3, MAP_TYPE = 15, MAP_ANONYMOUS = 0x20, MAP_STACK = 0x20000 };
enum { PROT_WRITE = 2, PROT_EXEC = 4, SHM_RDONLY = 010000, SHM_EXEC = 0100000 };
/* include/uapi/linux/sched.h: TIME, NS, CGROUP, UTS, IPC, USER, PID, NET */
enum { CLONE_NEW_ANY = 0x7e020080 };
#define CLONE_INTO_CGROUP 0x200000000ULL
/* include/uapi/linux/prctl.h */
enum {
	PR_SET_DUMPABLE = 4,
	PR_SET_NAME = 15,
	PR_SET_SECCOMP = 22,
	PR_SET_SECUREBITS = 28,
	PR_SET_MM = 35,
	PR_SET_CHILD_SUBREAPER = 36,
	PR_CAP_AMBIENT = 47,
	PR_SET_SYSCALL_USER_DISPATCH = 59,
	PR_SET_PTRACER = 0x59616d61,
};
/* include/uapi/asm-generic/siginfo.h */
enum { SI_USER = 0, SI_TKILL = -6 };
enum { AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3 };
/* include/net/tcp_states.h */
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE = 7 };
enum { IPPROTO_ICMP = 1, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_ICMPV6 = 58, IPPROTO_MPTCP = 262 };
/* include/linux/socket.h */
enum { MSG_FASTOPEN = 0x20000000 };
/* enum sock_flags of include/net/sock.h: the far end has ended its side (tcp_fin) */
enum { SOCK_DONE = 1 };
enum { S_IFMT = 0170000, S_IFSOCK = 0140000, S_IFREG = 0100000 };
enum { SOCKFS_MAGIC = 0x534f434b, OVERLAYFS_MAGIC = 0x794c7630, TMPFS_MAGIC = 0x01021994, PIDFS_MAGIC = 0x50494446 };
enum { AT_REMOVEDIR = 0x200, AT_SYMLINK_NOFOLLOW = 0x100 };
enum { AT_FDCWD = -100 };
/* include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h */
enum { F_DUPFD = 0, F_SETOWN = 8, F_SETSIG = 10, F_SETOWN_EX = 15, F_DUPFD_CLOEXEC = 1030, F_ADD_SEALS = 1033 };
enum { O_ACCMODE = 03, O_CREAT_WRONLY_TRUNC = 0100 | 01 | 01000 };
/* include/linux/fs.h: set by the lookup that made the file. */
enum { FMODE_CREATED = 1 << 20 };
/* include/linux/sched/signal.h */
enum { SIGNAL_GROUP_EXIT = 4 };
/* open flags that the kernel takes out of f_flags (do_dentry_open): CREAT, EXCL, NOCTTY, TRUNC */
enum { OPEN_ONLY_FLAGS = 0100 | 0200 | 0400 | 01000 };

/* kernel_cap_t: eight bytes in every kernel, by different names. In halves, because before 6.3 it may lie at
 * an odd multiple of four, where the verifier allows no load of eight. */
struct capabilities {
	__u32 low, high;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head;
struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};
struct inode {
	__u16 i_mode;
	unsigned long i_ino;
	__u32 i_nlink;
	struct super_block *i_sb;
	void *i_private;
	__u32 i_generation;
};
struct qstr {
	__u32 hash;
	__u32 len;
	const unsigned char *name;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	__u32 f_mode;
	void *private_data;
	struct inode *f_inode;
	__u32 f_flags;
	struct path f_path;
};
/* fs/file_table.c, since 6.5: what an overlay really opened, with the path that was asked for. */
struct backing_file {
	struct file file;
	struct path user_path;
};
struct ovl_inode {
	struct inode vfs_inode;
	struct dentry *__upperdentry;
};
struct fdtable {
	__u32 max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct fs_struct {
	struct path root;
	struct path pwd;
};
struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
	unsigned long start_code, end_data, start_stack;
	struct file *exe_file;
};
typedef struct {
	__u32 val;
} kuid_t;
typedef struct {
	__u32 val;
} kgid_t;
struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kgid_t egid;
	kuid_t suid;
	kgid_t sgid;
	kuid_t fsuid;
	kgid_t fsgid;
	struct capabilities cap_effective;
	struct capabilities cap_permitted;
};
struct upid {
	int nr;
	void *ns;
};
struct pid {
	__u32 level;
	struct upid numbers[1];
};
typedef struct {
	int counter;
} atomic_t;
struct tty_struct;
struct signal_struct {
	atomic_t live;
	int group_exit_code;
	__u32 flags;
	struct tty_struct *tty;
};
struct thread_info {
	__u32 status;
};
struct seccomp {
	atomic_t filter_count;
};
struct task_struct {
	struct thread_info thread_info;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct seccomp seccomp;
};
struct linux_binprm {
	const char *filename;
	const char *interp;
};
struct in6_addr {
	__u8 bytes[16];
};
typedef struct {
	void *net;
} possible_net_t;
struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned long skc_flags;
	unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	int sk_err;
};
struct tcp_sock {
	__u64 bytes_received;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	_Bool is_mptcp;
};
/* net/mptcp/protocol.h: what a program has of a connection that may take many ways. */
struct mptcp_sock {
	__u64 bytes_received;
	__u64 bytes_sent;
};
struct socket {
	short type;
	struct sock *sk;
};
struct sockaddr_un {
	unsigned short sun_family;
};
struct unix_address {
	int len;
	struct sockaddr_un name[1];
};
struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct path path;
	struct sock *peer;
};
struct open_how {
	__u64 flags;
};
struct filename {
	const char *name;
};
/* io_uring/: a request, and what its opcode keeps in the beginning of it. */
struct io_cqe {
	__u64 user_data;
	__s32 res;
	int fd;
};
struct io_uring_cqe {
	__u64 user_data;
	__s32 res;
};
/* io_uring/rsrc.h and include/linux/io_uring_types.h, since 6.13: the files of a ring's own table. */
struct io_rsrc_node {
	unsigned long file_ptr;
};
struct io_rsrc_data {
	__u32 nr;
	struct io_rsrc_node **nodes;
};
struct io_file_table {
	struct io_rsrc_data data;
};
struct io_ring_ctx {
	struct io_file_table file_table;
};
struct io_kiocb {
	__u8 opcode;
	__u32 flags; /* the low half, where it is wider */
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	void *async_data;
};
struct io_xattr {
	struct filename *filename;
};
struct io_open {
	int dfd;
	__u32 file_slot;
	struct filename *filename;
	struct open_how how;
};
struct io_connect {
	struct file *file; /* of every request, at the same place */
	void *addr;
	int addr_len;
};
struct io_accept {
	int iou_flags;
	__u32 file_slot;
};
struct io_socket {
	__u32 file_slot;
};
struct anon_vma;
struct vm_area_struct {
	unsigned long vm_start, vm_end;
	unsigned long vm_flags;
	struct anon_vma *anon_vma;
	struct file *vm_file;
};
struct kernel_siginfo {
	int si_signo;
	int si_errno;
	int si_code;
};
struct cgroup_root {
	int hierarchy_id;
};
struct cgroup {
	struct cgroup_root *root;
};
struct user_msghdr;
struct io_sr_msg {
	struct user_msghdr *umsg;
	void *addr; /* of send and send_zc, until 6.12; a place in user memory */
	int addr_len;
};
/* io_uring/net.h: the message as the kernel holds it. */
struct msghdr {
	void *msg_name;
	int msg_namelen;
};
struct io_async_msghdr {
	struct msghdr msg;
};
struct io_unlink {
	struct filename *filename;
};
struct io_mkdir {
	struct filename *filename;
};
struct io_rename {
	struct filename *oldpath;
	struct filename *newpath;
};
struct io_link {
	struct filename *oldpath;
	struct filename *newpath;
};
/* The same since 7.0 (fs/namei.c, delayed_getname): the text is copied, what is left for later is its
 * audit. What follows three underscores is not part of a name that is relocated. */
struct delayed_filename {
	struct filename *__incomplete_filename;
};
struct io_open___delayed {
	struct delayed_filename filename;
};
struct io_xattr___delayed {
	struct delayed_filename filename;
};
struct io_unlink___delayed {
	struct delayed_filename filename;
};
struct io_mkdir___delayed {
	struct delayed_filename filename;
};
struct io_rename___delayed {
	struct delayed_filename oldpath;
	struct delayed_filename newpath;
};
struct io_link___delayed {
	struct delayed_filename oldpath;
	struct delayed_filename newpath;
};
struct pt_regs {
	unsigned long bp, bx, r11, r10, r9, r8, cx, dx, si, di, orig_ax, ip, flags, sp;
};

#pragma clang attribute pop

/* include/uapi/linux/bpf.h: the context of a cgroup_skb program, at the offsets of that ABI. */
struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping;
	__u32 protocol; /* network order */
};

/* include/uapi/linux/bpf.h, by number. */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value,
				   __u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static long (*bpf_tail_call)(void *ctx, void *programs, __u32 index) = (void *)12;
static long (*bpf_skb_load_bytes)(const struct __sk_buff *skb, __u32 offset, void *to,
				  __u32 size) = (void *)26;
static long (*bpf_current_task_under_cgroup)(void *map, __u32 index) = (void *)37;
static long (*bpf_probe_read_user)(void *dst, __u32 size, const void *src) = (void *)112;
static long (*bpf_probe_read_kernel)(void *dst, __u32 size, const void *src) = (void *)113;
static long (*bpf_probe_read_user_str)(void *dst, __u32 size, const void *src) = (void *)114;
static long (*bpf_probe_read_kernel_str)(void *dst, __u32 size, const void *src) = (void *)115;
static __u64 (*bpf_ktime_get_tai_ns)(void) = (void *)208;
static __u64 (*bpf_jiffies64)(void) = (void *)118;
static __u64 (*bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*bpf_ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) = (void *)130;
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static __u64 (*bpf_ringbuf_query)(void *ring, __u64 flags) = (void *)134;
static void *(*bpf_task_storage_get)(void *map, struct task_struct *task, void *value,
				     __u64 flags) = (void *)156;
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static long (*bpf_task_pt_regs)(struct task_struct *task) = (void *)175;
static long (*bpf_for_each_map_elem)(void *map, void *step, void *state, __u64 flags) = (void *)164;
static long (*bpf_find_vma)(struct task_struct *task, __u64 address, void *callback, void *state,
			    __u64 flags) = (void *)180;
static long (*bpf_loop)(__u32 times, void *step, void *state, __u64 flags) = (void *)181;

/* Reads one member of a kernel object. Also where the verifier would allow a plain load: for each
 * load of a pointer it searches the kernel's types by name (btf_nested_type_is_trusted, 6.18), more
 * than a millisecond each, three quarters of the time to load all probes.
 */
#define READ(object, member)                                                                       \
	({                                                                                         \
		typeof((object)->member) value_ = {};                                              \
		bpf_probe_read_kernel(&value_, sizeof(value_),                                     \
				      __builtin_preserve_access_index(&(object)->member));         \
		value_;                                                                            \
	})

/* For the path that every open takes: reads the beginning of an object at once, then picks members
 * out of the copy. One that this kernel has further behind is read by itself. */
#define READ_BLOCK(block, object) bpf_probe_read_kernel(block, sizeof(block), object)
#define PICK(block, object, member)                                                                \
	({                                                                                         \
		typeof((object)->member) picked_;                                                  \
		__u64 at_ = (__u64)__builtin_preserve_access_index(                                \
			&((typeof(object))0)->member);                                             \
		if (at_ <= sizeof(block) - sizeof(picked_))                                        \
			picked_ = *(typeof(picked_) *)((__u8 *)(block) + at_);                     \
		else                                                                               \
			picked_ = READ(object, member);                                            \
		picked_;                                                                           \
	})

#define OFFSET(type, member)                                                                       \
	((__u64)__builtin_preserve_access_index(&((type *)0)->member))
#define HAS_MEMBER(type, member)                                                                   \
	__builtin_preserve_field_info(((type *)0)->member, 2 /* BPF_FIELD_EXISTS */)

#endif
