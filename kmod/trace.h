/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the lower half, under events/weft: every request as it is sent (again) and as it
 * ends, links as they come up and go down, sessions, maps. @fs numbers the mounts.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM weft

#if !defined(WEFT_KMOD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define WEFT_KMOD_TRACE_H

#include <linux/tracepoint.h>
#include "kmod/net.h"

#define weft_show_op(op) __print_symbolic(op, WEFT_OPS(WEFT_TRACE_OP) { 0, "?" })
#define WEFT_TRACE_OP(name, nr, req, rep, flags) { nr, #name },

TRACE_EVENT(weft_rpc_send,
	TP_PROTO(const struct weft_rpc *rpc),
	TP_ARGS(rpc),
	TP_STRUCT__entry(
		__field(u32, fs)
		__field(u16, op)
		__field(u64, id)
		__field(u64, ino)
		__field(u32, group)
		__field(u32, target)
		__field(u32, link)
		__field(u32, slot)
		__field(u32, seq)
		__field(u32, replays)
	),
	TP_fast_assign(
		__entry->fs = rpc->fs->id;
		__entry->op = rpc->opcode;
		__entry->id = rpc->id;
		__entry->ino = rpc->ino;
		__entry->group = rpc->group;
		__entry->target = rpc->link->peer->target;
		__entry->link = rpc->link->index;
		__entry->slot = rpc->slot;
		__entry->seq = rpc->slots ? rpc->slot_seq : 0;
		__entry->replays = rpc->replays;
	),
	TP_printk("fs=%u %s id=%llu ino=%llx group=%u target=%u link=%u slot=%u seq=%u replays=%u",
		  __entry->fs, weft_show_op(__entry->op), __entry->id, __entry->ino,
		  __entry->group, __entry->target, __entry->link, __entry->slot, __entry->seq,
		  __entry->replays)
);

TRACE_EVENT(weft_rpc_end,
	TP_PROTO(const struct weft_rpc *rpc),
	TP_ARGS(rpc),
	TP_STRUCT__entry(
		__field(u32, fs)
		__field(u16, op)
		__field(u64, id)
		__field(u64, ino)
		__field(int, error)
		__field(u32, status)
		__field(u32, in)
		__field(u64, us)
	),
	TP_fast_assign(
		__entry->fs = rpc->fs->id;
		__entry->op = rpc->opcode;
		__entry->id = rpc->id;
		__entry->ino = rpc->ino;
		__entry->error = rpc->error;
		__entry->status = rpc->status;
		__entry->in = rpc->in_len;
		__entry->us = ktime_us_delta(ktime_get(), rpc->start);
	),
	TP_printk("fs=%u %s id=%llu ino=%llx error=%d status=%u in=%u us=%llu", __entry->fs,
		  weft_show_op(__entry->op), __entry->id, __entry->ino, __entry->error,
		  __entry->status, __entry->in, __entry->us)
);

DECLARE_EVENT_CLASS(weft_link,
	TP_PROTO(const struct weft_link *link, int err),
	TP_ARGS(link, err),
	TP_STRUCT__entry(
		__field(u32, fs)
		__field(u32, target)
		__field(u32, link)
		__field(int, err)
		__field(u32, outstanding)
	),
	TP_fast_assign(
		__entry->fs = link->peer->fs->id;
		__entry->target = link->peer->target;
		__entry->link = link->index;
		__entry->err = err;
		__entry->outstanding = link->nsent;
	),
	TP_printk("fs=%u target=%u link=%u err=%d outstanding=%u", __entry->fs, __entry->target,
		  __entry->link, __entry->err, __entry->outstanding)
);

DEFINE_EVENT(weft_link, weft_link_up,
	TP_PROTO(const struct weft_link *link, int err),
	TP_ARGS(link, err));
DEFINE_EVENT(weft_link, weft_link_down,
	TP_PROTO(const struct weft_link *link, int err),
	TP_ARGS(link, err));
DEFINE_EVENT(weft_link, weft_link_failed,
	TP_PROTO(const struct weft_link *link, int err),
	TP_ARGS(link, err));

TRACE_EVENT(weft_session,
	TP_PROTO(const struct weft_session *s, const char *what),
	TP_ARGS(s, what),
	TP_STRUCT__entry(
		__field(u32, fs)
		__field(u32, group)
		__field(u32, target)
		__field(u32, lease)
		__field(const char *, what)
	),
	TP_fast_assign(
		__entry->fs = s->fs->id;
		__entry->group = s->group;
		__entry->target = s->target;
		__entry->lease = s->lease;
		__entry->what = what;
	),
	TP_printk("fs=%u group=%u target=%u lease=%u %s", __entry->fs, __entry->group,
		  __entry->target, __entry->lease, __entry->what)
);

TRACE_EVENT(weft_map,
	TP_PROTO(const struct weft_fs *fs, u64 epoch),
	TP_ARGS(fs, epoch),
	TP_STRUCT__entry(
		__field(u32, fs)
		__field(u64, epoch)
	),
	TP_fast_assign(
		__entry->fs = fs->id;
		__entry->epoch = epoch;
	),
	TP_printk("fs=%u epoch=%llu", __entry->fs, __entry->epoch)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH kmod
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
