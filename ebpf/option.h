/* option: what setsockopt(2) changes of a socket, where that is of note: filters, devices, transparent and
 * raw sending, TCP fast open, packet rings. The value is the program's, read when the call returned.
 */
#ifndef LZ_OPTION_H
#define LZ_OPTION_H

#include "socket.h"

/* include/uapi/linux/in.h, include/linux/socket.h */
enum { SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_IPV6 = 41, SOL_PACKET = 263 };

/* Level and name of an option as one number. */
#define OPTION(level, name) ((level) << 16 | (name))

/* include/uapi/asm-generic/socket.h, linux/in.h, in6.h, tcp.h, if_packet.h */
INLINE int is_option_of_note(__u32 level, __u32 name)
{
	if (level > 0xffff || name > 0xffff)
		return 0;
	switch (OPTION(level, name)) {
	case OPTION(SOL_SOCKET, 25): /* SO_BINDTODEVICE */
	case OPTION(SOL_SOCKET, 26): /* SO_ATTACH_FILTER */
	case OPTION(SOL_SOCKET, 36): /* SO_MARK */
	case OPTION(SOL_SOCKET, 50): /* SO_ATTACH_BPF */
	case OPTION(SOL_SOCKET, 51): /* SO_ATTACH_REUSEPORT_CBPF */
	case OPTION(SOL_SOCKET, 52): /* SO_ATTACH_REUSEPORT_EBPF */
	case OPTION(SOL_IP, 3):	     /* IP_HDRINCL */
	case OPTION(SOL_IP, 19):     /* IP_TRANSPARENT */
	case OPTION(SOL_IP, 64):     /* IPT_SO_SET_REPLACE */
	case OPTION(SOL_IPV6, 36):   /* IPV6_HDRINCL */
	case OPTION(SOL_IPV6, 64):   /* IP6T_SO_SET_REPLACE */
	case OPTION(SOL_IPV6, 75):   /* IPV6_TRANSPARENT */
	case OPTION(SOL_TCP, 19):    /* TCP_REPAIR */
	case OPTION(SOL_TCP, 23):    /* TCP_FASTOPEN */
	case OPTION(SOL_TCP, 30):    /* TCP_FASTOPEN_CONNECT */
	case OPTION(SOL_TCP, 31):    /* TCP_ULP */
	case OPTION(SOL_PACKET, 1):  /* PACKET_ADD_MEMBERSHIP */
	case OPTION(SOL_PACKET, 5):  /* PACKET_RX_RING */
	case OPTION(SOL_PACKET, 13): /* PACKET_TX_RING */
		return 1;
	}
	return 0;
}

SHARED int on_option(struct call *call)
{
	if (!call)
		return 0;
	struct scratch *s;
	struct file *file;

	file = file_of(call->args[0]);
	s = begin(sizeof(struct lz_option), LZ_NETWORK);
	if (!s)
		return 0;
	struct lz_option *body = &s->record.body.option;
	__u32 size = call->args[4];

	if (!file || !sock_of(file, &body->socket)) {
		release(s);
		return 0;
	}
	body->result = call->result;
	body->level = call->args[1];
	body->name = call->args[2];
	/* A struct is told by its beginning. */
	if (size >= 8)
		bpf_probe_read_user(&body->value, 8, (void *)call->args[3]);
	else if (size >= 4)
		bpf_probe_read_user(&body->value, 4, (void *)call->args[3]);
	send_or_count(s, LZ_OPTION);
	return 0;
}

#endif
