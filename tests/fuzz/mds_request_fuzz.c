// SPDX-License-Identifier: Apache-2.0
/*
 * Requests with bodies, tails and bulk that make no sense, to a metadata server in a simulation:
 * from a client with a session, and from another server. It must answer each, and what clients ask
 * must leave its store consistent.
 *
 * An input is a row of requests, each: operation, who asks and how, lengths, bytes. Plausible inode
 * numbers are put where the input asks for them, so that requests get beyond the first check.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/fsck.c"
#include "tests/unit/mds/sim.c"
#include "tests/unit/mds/sim_client.c"

#define SERVER 0x01  /* asked by a server */
#define SLOT 0x02    /* with the next slot number */
#define PLACE 0x04   /* with a plausible inode number and credentials */
#define RUN 0x08     /* let everything happen before the next one */
#define OLD_SLOT 0x10

static const u16 opcodes[] = {
	WEFT_OP_SESSION_OPEN, WEFT_OP_SESSION_CLOSE, WEFT_OP_KEEPALIVE,	 WEFT_OP_RECLAIM,
	WEFT_OP_LEASE_ACK,    WEFT_OP_LOOKUP,	     WEFT_OP_GETATTR,	 WEFT_OP_SETATTR,
	WEFT_OP_OPEN,	      WEFT_OP_CLOSE,	     WEFT_OP_CREATE,	 WEFT_OP_UNLINK,
	WEFT_OP_RMDIR,	      WEFT_OP_LINK,	     WEFT_OP_RENAME,	 WEFT_OP_READDIR,
	WEFT_OP_GETXATTR,     WEFT_OP_SETXATTR,	     WEFT_OP_LISTXATTR,	 WEFT_OP_READ_INLINE,
	WEFT_OP_WRITE_INLINE, WEFT_OP_COMMIT,	     WEFT_OP_SPILL,	 WEFT_OP_TXN_PREPARE,
	WEFT_OP_TXN_COMMIT,   WEFT_OP_TXN_ABORT,     WEFT_OP_TXN_STATUS, WEFT_OP_RENAME_LOCK,
	WEFT_OP_RENAME_UNLOCK,
};

#define NOPCODES (sizeof(opcodes) / sizeof(opcodes[0]))

static struct sim sim;
static struct sim_client client;
static u64 inos[4];
static u32 asked, answered;
static bool servers_ask; /* in every other world: a server that lies can damage the namespace */

struct fuzz_op {
	struct mds_op op;
	char *body, *tail;
};

static void fuzz_reply(struct mds_op *op)
{
	struct fuzz_op *f = (struct fuzz_op *)op;

	answered++;
	mds_op_fini(op);
	free(f->body);
	free(f->tail);
	free(f);
}

static void begin(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	inos[0] = WEFT_INO_ROOT;
	if (sim_create(&sim, WEFT_INO_ROOT, "d", S_IFDIR | 0755, &inos[1]) ||
	    sim_create(&sim, inos[1], "f", S_IFREG | 0644, &inos[2]) ||
	    sim_create(&sim, inos[1], "g", S_IFREG | 0644, &inos[3]))
		abort();
}

/* Inode numbers and root's credentials where the request has them. */
static void place(u16 opcode, char *body, size_t len, u8 which)
{
	struct weft_ns_req ns;

	if (opcode < WEFT_OP_LOOKUP || opcode > WEFT_OP_SPILL || opcode == WEFT_OP_CLOSE ||
	    len < sizeof(ns))
		return;
	memcpy(&ns, body, sizeof(ns));
	ns.creds = (struct weft_creds){ .caps = cpu_to_le32(WEFT_CAP_ALL) };
	ns.ino = cpu_to_le64(inos[which & 3]);
	ns.flags &= cpu_to_le32(WEFT_NS_KNOWN);
	memcpy(body, &ns, sizeof(ns));
	if ((opcode == WEFT_OP_RENAME || opcode == WEFT_OP_LINK) && len >= sizeof(ns) + 8) {
		__le64 ino = cpu_to_le64(inos[which >> 2 & 3]);

		memcpy(body + sizeof(ns), &ino, sizeof(ino));
	}
}

static size_t one_request(const u8 *p, size_t left)
{
	u16 opcode = opcodes[p[0] % NOPCODES];
	const struct weft_op_info *info = weft_op_info(opcode);
	size_t body = p[2] == 0xff ? info->req_len / 2 : info->req_len, tail = p[3], bulk = p[4];
	struct fuzz_op *f = calloc(1, sizeof(*f));
	const u8 *from = p + 6;
	size_t n;

	left -= 6;
	if (!f)
		abort();
	mds_op_init(&f->op, sim.servers[0].m, mds_op_desc(opcode));
	f->body = calloc(1, body + 1);
	n = body < left ? body : left;
	memcpy(f->body, from, n);
	from += n;
	left -= n;
	if (p[1] & PLACE)
		place(opcode, f->body, body, p[5]);
	n = tail < left ? tail : left;
	f->tail = malloc(n + 1);
	memcpy(f->tail, from, n);
	f->op.tail_len = n;
	from += n;
	left -= n;
	n = bulk < left ? bulk : left;
	if (n) {
		f->op.bulk = malloc(n);
		memcpy(f->op.bulk, from, n);
		f->op.bulk_len = n;
		from += n;
	}
	f->op.body = f->body;
	f->op.body_len = body;
	f->op.tail = f->tail;
	f->op.server = servers_ask && (p[1] & SERVER);
	f->op.session_id = client.id;
	f->op.epoch = sim.map->epoch;
	f->op.group = 1;
	f->op.bulk_max = (u32)p[5] * 64;
	f->op.conn = &client;
	f->op.slot = p[5] % 5;
	if (p[1] & SLOT)
		f->op.slot_seq = p[1] & OLD_SLOT ? client.seq[0] : ++client.seq[0];
	f->op.reply = fuzz_reply;
	asked++;
	mds_request(&f->op);
	if (p[1] & RUN)
		sim_run(&sim, 20);
	return from - p;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u32 runs;
	size_t used;

	if (!runs) {
		weft_log_set_level(WEFT_LOG_ERR);
		begin();
	}
	while (size >= 6) {
		used = one_request(data, size);
		data += used;
		size -= used;
	}
	sim_run(&sim, 100);
	/* The world goes on from input to input, and begins anew now and then. */
	if (++runs % 512 == 0) {
		sim_run(&sim, 60000);
		if (sim.fatal || (!servers_ask && !sim_consistent(&sim)))
			abort();
		servers_ask = !servers_ask;
		sim_stop(&sim);
		if (asked != answered)
			abort();
		begin();
	}
	return 0;
}
