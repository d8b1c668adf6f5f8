// SPDX-License-Identifier: Apache-2.0
/*
 * The log on the C raft library.
 *
 * Normal operation: raft_start() restores the newest snapshot; a member alone elects itself and the
 * log's entries are applied again. A barrier after each election makes sure that everything
 * committed has been applied before the server is told that it leads. Proposals are copied into
 * entries; their result is handed over between the library's apply and its callback, which follow
 * each other.
 *
 * Failures: an entry that cannot be applied ends the process at once, because the state is half
 * changed; nothing is lost, the log has it. A log whose disk fails is told by broken(). A damaged
 * log is refused at the start.
 *
 * Leadership is watched by a timer: this version of the library has no callback for it.
 */
#include "mgmt/raft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <raft.h>
#include <raft/uv.h>

#include "common/fault.h"
#include "common/log.h"
#include "mgmt/state.h"
#include "proto/types.h"

/*
 * An entry: the command behind its length, filled up to a multiple of 8 bytes. The library stores
 * entries of other lengths without complaint and cannot read them back.
 */
struct entry {
	__le32 len;
	__le32 reserved;
	char data[];
};

#define ENTRY_ALIGN 8
#define DIR_MAX 1100
#define WATCH_NS (100 * WEFT_NS_PER_MS)
#define SEGMENT_SIZE (1u << 20)
#define SNAPSHOT_THRESHOLD 1024
#define SNAPSHOT_TRAILING 128

struct mgmt_raft {
	struct mgmt_log log;
	struct weft_env *env;
	const struct mgmt_log_cb *cb;
	void *arg;
	struct raft raft;
	struct raft_io io;
	struct raft_fsm fsm;
	struct raft_uv_transport transport;
	bool alone;
	struct mgmt_result result; /* of the entry applied last */
	struct weft_timer watch;
	struct raft_barrier barrier;
	bool barrier_sent;
	bool leads;
	bool broken;
	unsigned int inflight; /* proposals and barrier that have no outcome yet */
	struct weft_timer close;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct proposal {
	struct raft_apply req;
	struct mgmt_raft *raft;
	mgmt_log_done *done;
	void *arg;
};

/* ---- the transport of a member that is alone */

static int alone_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
	(void)t;
	(void)id;
	(void)address;
	return 0;
}

static int alone_listen(struct raft_uv_transport *t, raft_uv_accept_cb cb)
{
	(void)t;
	(void)cb;
	return 0;
}

static int alone_connect(struct raft_uv_transport *t, struct raft_uv_connect *req, raft_id id,
			 const char *address, raft_uv_connect_cb cb)
{
	(void)t;
	(void)req;
	(void)id;
	(void)address;
	(void)cb;
	return RAFT_NOCONNECTION;
}

static void alone_close(struct raft_uv_transport *t, raft_uv_transport_close_cb cb)
{
	cb(t);
}

static int transport_init(struct mgmt_raft *r, struct uv_loop_s *loop)
{
	if (!r->alone)
		return raft_uv_tcp_init(&r->transport, loop);
	r->transport.init = alone_init;
	r->transport.listen = alone_listen;
	r->transport.connect = alone_connect;
	r->transport.close = alone_close;
	return 0;
}

static void transport_fini(struct mgmt_raft *r)
{
	if (!r->alone)
		raft_uv_tcp_close(&r->transport);
}

/* ---- the state machine as the library sees it */

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
	struct mgmt_raft *r = fsm->data;
	const struct entry *e = buf->base;
	int ret = -EPROTO;

	if (buf->len >= sizeof(*e) && le32_to_cpu(e->len) <= buf->len - sizeof(*e))
		ret = r->cb->apply(r->arg, e->data, le32_to_cpu(e->len), &r->result);
	if (ret) {
		weft_err("a command of the log cannot be applied", "err=%d (%s)", -ret,
			 strerror(-ret));
		_exit(1);
	}
	*result = &r->result;
	return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
	struct mgmt_raft *r = fsm->data;
	struct raft_buffer *b = raft_malloc(sizeof(*b));

	if (!b)
		return RAFT_NOMEM;
	b->base = r->cb->snapshot(r->arg, raft_malloc, &b->len);
	if (!b->base) {
		raft_free(b);
		return RAFT_NOMEM;
	}
	weft_info("snapshot taken", "bytes=%zu index=%llu", b->len, raft_last_applied(&r->raft));
	*bufs = b;
	*n_bufs = 1;
	return 0;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
	struct mgmt_raft *r = fsm->data;
	int ret = r->cb->restore(r->arg, buf->base, buf->len);

	if (ret)
		return ret == -ENOMEM ? RAFT_NOMEM : RAFT_MALFORMED;
	raft_free(buf->base);
	return 0;
}

/* ---- leadership */

static void set_leads(struct mgmt_raft *r, bool leads)
{
	if (r->leads == leads)
		return;
	r->leads = leads;
	r->cb->leading(r->arg, leads);
}

/* Something has its outcome; a close that waited for the last one goes on, outside the library. */
static void landed(struct mgmt_raft *r)
{
	if (!--r->inflight && r->closed)
		weft_timer_start(r->env, &r->close, 0);
}

static void barrier_passed(struct raft_barrier *req, int status)
{
	struct mgmt_raft *r = req->data;

	r->barrier_sent = false;
	landed(r);
	if (!status && raft_state(&r->raft) == RAFT_LEADER && !r->closed)
		set_leads(r, true);
}

static void send_barrier(struct mgmt_raft *r)
{
	if (raft_barrier(&r->raft, &r->barrier, barrier_passed))
		return; /* tried again by the next watch */
	r->barrier_sent = true;
	r->inflight++;
}

static void watch(void *arg)
{
	struct mgmt_raft *r = arg;
	int state = raft_state(&r->raft);

	if (state == RAFT_UNAVAILABLE && !r->broken) {
		r->broken = true;
		set_leads(r, false);
		r->cb->broken(r->arg, raft_errmsg(&r->raft));
		return;
	}
	if (state != RAFT_LEADER)
		set_leads(r, false);
	else if (!r->leads && !r->barrier_sent)
		send_barrier(r);
	weft_timer_start(r->env, &r->watch, WATCH_NS);
}

/* ---- proposals */

static void proposal_done(struct raft_apply *req, int status, void *result)
{
	struct proposal *p = req->data;
	struct mgmt_raft *r = p->raft;

	if (!status) {
		WEFT_FAULT("mgmt.answer");
		p->done(p->arg, 0, result);
	} else if (status == RAFT_LEADERSHIPLOST || status == RAFT_SHUTDOWN ||
		   status == RAFT_NOTLEADER || status == RAFT_CANCELED) {
		p->done(p->arg, -EAGAIN, NULL);
	} else {
		weft_warn_peer("a command could not be logged", "reason=%s",
			       status == RAFT_NOSPACE ? "no space left" : raft_strerror(status));
		p->done(p->arg, status == RAFT_NOSPACE ? -ENOSPC : -EIO, NULL);
	}
	free(p);
	landed(r);
}

static int propose(struct mgmt_log *log, const void *cmd, size_t len, mgmt_log_done *done,
		   void *arg)
{
	struct mgmt_raft *r = (struct mgmt_raft *)log; /* its first member */
	struct raft_buffer buf = { .base = NULL };
	struct proposal *p;
	struct entry *e;
	int ret;

	if (!r->leads || r->closed)
		return -EAGAIN;
	p = calloc(1, sizeof(*p));
	buf.len = (sizeof(*e) + len + ENTRY_ALIGN - 1) / ENTRY_ALIGN * ENTRY_ALIGN;
	buf.base = raft_calloc(1, buf.len);
	if (!p || !buf.base) {
		ret = -ENOMEM;
		goto out_free;
	}
	e = buf.base;
	e->len = cpu_to_le32(len);
	memcpy(e->data, cmd, len);
	p->req.data = p;
	p->raft = r;
	p->done = done;
	p->arg = arg;
	WEFT_FAULT("mgmt.propose");
	ret = raft_apply(&r->raft, &p->req, &buf, 1, proposal_done);
	if (!ret) {
		r->inflight++;
		return 0;
	}
	ret = ret == RAFT_NOMEM ? -ENOMEM : -EAGAIN;
out_free:
	raft_free(buf.base);
	free(p);
	return ret;
}

static uint64_t last_index(struct mgmt_log *log)
{
	return raft_last_applied(&((struct mgmt_raft *)log)->raft);
}

static const struct mgmt_log_ops raft_log_ops = {
	.propose = propose,
	.index = last_index,
};

struct mgmt_log *mgmt_raft_log(struct mgmt_raft *r)
{
	return &r->log;
}

/* ---- beginning and end */

static int raft_errno(int rc)
{
	switch (rc) {
	case RAFT_NOMEM:
		return -ENOMEM;
	case RAFT_CORRUPT:
	case RAFT_MALFORMED:
		return -EUCLEAN;
	case RAFT_NOSPACE:
		return -ENOSPC;
	case RAFT_NAMETOOLONG:
		return -ENAMETOOLONG;
	default:
		return -EIO;
	}
}

/*
 * The file "<dir>.made" says that the log was made once: a log that is absent or empty then is a
 * lost one, and must not be taken for a new one.
 */
static bool was_made(const char *dir)
{
	char path[DIR_MAX + 8];

	snprintf(path, sizeof(path), "%s.made", dir);
	return !access(path, F_OK);
}

static int set_made(const char *dir)
{
	char path[DIR_MAX + 8];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s.made", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	*strrchr(path, '/') = 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int bootstrap(struct mgmt_raft *r, const struct mgmt_raft_cfg *cfg)
{
	struct raft_configuration conf;
	unsigned int i;
	int rc = 0;

	raft_configuration_init(&conf);
	for (i = 0; i < cfg->nmembers && !rc; i++)
		rc = raft_configuration_add(&conf, i + 1, cfg->members[i], RAFT_VOTER);
	if (!rc)
		rc = raft_bootstrap(&r->raft, &conf);
	raft_configuration_close(&conf);
	return rc == RAFT_CANTBOOTSTRAP ? 0 : rc;
}

static int init_library(struct mgmt_raft *r, const struct mgmt_raft_cfg *cfg)
{
	int rc = transport_init(r, cfg->loop);

	if (rc)
		return rc;
	rc = raft_uv_init(&r->io, cfg->loop, cfg->dir, &r->transport);
	if (rc)
		goto out_transport;
	raft_uv_set_segment_size(&r->io, SEGMENT_SIZE);
	/* It would put damaged segments aside and go on without them: acknowledged state lost. */
	raft_uv_set_auto_recovery(&r->io, false);
	rc = raft_init(&r->raft, &r->io, &r->fsm, cfg->id, cfg->members[cfg->id - 1]);
	if (!rc)
		return 0;
	raft_uv_close(&r->io);
out_transport:
	transport_fini(r);
	return rc;
}

static void fsm_init(struct mgmt_raft *r)
{
	r->fsm.version = 1;
	r->fsm.data = r;
	r->fsm.apply = fsm_apply;
	r->fsm.snapshot = fsm_snapshot;
	r->fsm.restore = fsm_restore;
}

static void raft_closed(struct raft *raft)
{
	struct mgmt_raft *r = raft->data;
	void (*done)(void *arg) = r->closed;
	void *arg = r->closed_arg;

	raft_uv_close(&r->io);
	transport_fini(r);
	free(r);
	done(arg);
}

static void close_fired(void *arg)
{
	struct mgmt_raft *r = arg;

	raft_close(&r->raft, raft_closed);
}

static void nothing(void *arg)
{
	(void)arg;
}

static int start_fail(struct mgmt_raft *r, const struct mgmt_raft_cfg *cfg, int rc, char *err)
{
	snprintf(err, MGMT_RAFT_ERR_MAX, "%s: log of management: %s: %s", cfg->dir,
		 raft_strerror(rc), raft_errmsg(&r->raft));
	/* Closing ends on the loop; the owner runs it until its handles are gone. */
	mgmt_raft_close(r, nothing, NULL);
	return raft_errno(rc);
}

static struct mgmt_raft *raft_new(const struct mgmt_raft_cfg *cfg)
{
	struct mgmt_raft *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->log.ops = &raft_log_ops;
	r->env = cfg->env;
	r->cb = cfg->cb;
	r->arg = cfg->arg;
	r->alone = cfg->nmembers == 1;
	r->barrier.data = r;
	weft_timer_init(&r->watch, watch, r);
	weft_timer_init(&r->close, close_fired, r);
	fsm_init(r);
	return r;
}

static int make_dir(const char *dir, char *err)
{
	int ret = 0;

	if (strlen(dir) > DIR_MAX || !strchr(dir, '/'))
		ret = -EINVAL;
	else if (mkdir(dir, 0700) && errno != EEXIST)
		ret = -errno;
	if (ret)
		snprintf(err, MGMT_RAFT_ERR_MAX, "%.200s: %s", dir, strerror(-ret));
	return ret;
}

/* Bootstraps a log that was never made, and starts. Return: 0 or an error of the library. */
static int open_log(struct mgmt_raft *r, const struct mgmt_raft_cfg *cfg)
{
	int rc = was_made(cfg->dir) ? 0 : bootstrap(r, cfg);

	if (!rc)
		rc = raft_start(&r->raft);
	if (rc)
		return rc;
	if (!raft_last_index(&r->raft)) {
		snprintf(r->raft.errmsg, sizeof(r->raft.errmsg), "it was made once and is lost");
		return RAFT_CORRUPT;
	}
	return set_made(cfg->dir) ? RAFT_IOERR : 0;
}

int mgmt_raft_start(const struct mgmt_raft_cfg *cfg, struct mgmt_raft **out,
		    char err[MGMT_RAFT_ERR_MAX])
{
	struct mgmt_raft *r;
	int rc = make_dir(cfg->dir, err);

	if (rc)
		return rc;
	r = raft_new(cfg);
	if (!r)
		return -ENOMEM;
	rc = init_library(r, cfg);
	if (rc) {
		snprintf(err, MGMT_RAFT_ERR_MAX, "%s: log of management: %s: %s", cfg->dir,
			 raft_strerror(rc), r->raft.errmsg);
		free(r);
		return raft_errno(rc);
	}
	r->raft.data = r;
	raft_set_snapshot_threshold(&r->raft, SNAPSHOT_THRESHOLD);
	raft_set_snapshot_trailing(&r->raft, SNAPSHOT_TRAILING);
	raft_set_pre_vote(&r->raft, true);
	rc = open_log(r, cfg);
	if (rc)
		return start_fail(r, cfg, rc, err);
	weft_timer_start(r->env, &r->watch, 0);
	*out = r;
	return 0;
}

/* The library must not be closed while it has appends of a leader under way: it would crash. */
void mgmt_raft_close(struct mgmt_raft *r, void (*done)(void *arg), void *arg)
{
	weft_timer_stop(r->env, &r->watch);
	r->closed = done;
	r->closed_arg = arg;
	if (!r->inflight)
		close_fired(r);
}
