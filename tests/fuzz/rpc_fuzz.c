// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes from a peer: to a server in its handshake, to a service, to a client. They come through
 * an environment without a kernel: a stream that gives the input piece by piece and swallows what
 * is written. The first byte chooses the side, the second the size of the pieces.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rpc/impl.h"
#include "common/timerq.h"
#include "proto/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct fuzz_stream {
	struct weft_stream s;
	const struct weft_stream_cb *cb;
	void *arg;
	unsigned int want;
	bool connecting;
};

struct fuzz_env {
	struct weft_env env;
	struct weft_timerq timers;
	struct weft_post *posts;
	struct fuzz_stream *stream;
	const uint8_t *data;
	size_t left;
	size_t piece;
	uint64_t now;
	void (*accepted)(void *arg, int fd);
	void *accept_arg;
	struct weft_listener listener;
};

static struct fuzz_env fe;
static struct weft_pool *pool;

static uint64_t fz_now(struct weft_env *env)
{
	(void)env;
	return fe.now;
}

static void fz_random(struct weft_env *env, void *buf, size_t len)
{
	(void)env;
	memset(buf, 0x5a, len);
}

static void fz_timer_start(struct weft_env *env, struct weft_timer *t, uint64_t delay)
{
	(void)env;
	weft_timerq_del(&fe.timers, t);
	t->expires = fe.now + delay;
	weft_timerq_add(&fe.timers, t);
}

static void fz_timer_stop(struct weft_env *env, struct weft_timer *t)
{
	(void)env;
	weft_timerq_del(&fe.timers, t);
}

static void fz_post(struct weft_env *env, struct weft_post *p)
{
	struct weft_post **at = &fe.posts;

	(void)env;
	while (*at)
		at = &(*at)->next;
	p->next = NULL;
	*at = p;
}

static int fz_listen(struct weft_env *env, const char *host, uint16_t port,
		     void (*accepted)(void *arg, int fd), void *arg, struct weft_listener **out)
{
	(void)host;
	(void)port;
	fe.accepted = accepted;
	fe.accept_arg = arg;
	fe.listener.env = env;
	*out = &fe.listener;
	return 0;
}

static uint16_t fz_listen_port(struct weft_listener *l)
{
	(void)l;
	return 1;
}

static void fz_listen_close(struct weft_listener *l)
{
	(void)l;
}

static int fz_attach(struct weft_env *env, int fd, const struct weft_stream_cb *cb, void *arg,
		     struct weft_stream **out)
{
	struct fuzz_stream *s = calloc(1, sizeof(*s));

	(void)fd;
	s->s.env = env;
	s->cb = cb;
	s->arg = arg;
	fe.stream = s;
	*out = &s->s;
	return 0;
}

static int fz_connect(struct weft_env *env, const char *host, uint16_t port,
		      const struct weft_stream_cb *cb, void *arg, struct weft_stream **out)
{
	(void)host;
	(void)port;
	if (fe.stream)
		return -ECONNREFUSED; /* one connection is enough */
	fz_attach(env, 0, cb, arg, out);
	fe.stream->connecting = true;
	return 0;
}

static void fz_want(struct weft_stream *s, unsigned int events)
{
	((struct fuzz_stream *)s)->want = events;
}

static ssize_t fz_readv(struct weft_stream *s, const struct iovec *iov, int niov)
{
	size_t n = fe.left < fe.piece ? fe.left : fe.piece, done = 0, part;

	(void)s;
	for (; niov && done < n; iov++, niov--) {
		part = iov->iov_len < n - done ? iov->iov_len : n - done;
		memcpy(iov->iov_base, fe.data, part);
		fe.data += part;
		fe.left -= part;
		done += part;
	}
	return done;
}

static ssize_t fz_writev(struct weft_stream *s, const struct iovec *iov, int niov)
{
	size_t n = 0;

	(void)s;
	while (niov--)
		n += iov++->iov_len;
	return n;
}

static void fz_name(struct weft_stream *s, char *buf, size_t len)
{
	(void)s;
	strncpy(buf, "fuzz:1", len);
}

static void fz_close(struct weft_stream *s)
{
	if (fe.stream == (struct fuzz_stream *)s)
		fe.stream = NULL;
	free(s);
}

static int fz_detach(struct weft_stream *s)
{
	fz_close(s);
	return 1000000; /* close() of it does nothing */
}

static const struct weft_env_ops fuzz_ops = {
	.now = fz_now,
	.random = fz_random,
	.timer_start = fz_timer_start,
	.timer_stop = fz_timer_stop,
	.post = fz_post,
	.listen = fz_listen,
	.listen_port = fz_listen_port,
	.listen_close = fz_listen_close,
	.stream_connect = fz_connect,
	.stream_attach = fz_attach,
	.stream_detach = fz_detach,
	.stream_want = fz_want,
	.stream_readv = fz_readv,
	.stream_writev = fz_writev,
	.stream_name = fz_name,
	.stream_close = fz_close,
};

/* Return: whether anything was done. */
static bool turn(bool timers)
{
	struct fuzz_stream *s = fe.stream;
	struct weft_timer *t;
	struct weft_post *p;

	if ((p = fe.posts)) {
		fe.posts = p->next;
		p->cb(p->arg);
	} else if (s && s->connecting) {
		s->connecting = false;
		s->cb->connected(s->arg, 0);
	} else if (s && s->want) {
		s->cb->ready(s->arg, s->want);
	} else if (timers && (t = weft_timerq_next(&fe.timers))) {
		fe.now = t->expires;
		weft_timerq_del(&fe.timers, t);
		t->cb(t->arg);
	} else {
		return false;
	}
	return true;
}

static void answer(void *arg, struct weft_rpc_req *req)
{
	const struct weft_op_info *op = weft_op_info(req->opcode);
	static const char body[1024];
	uint8_t sum = 0;
	size_t i;

	(void)arg;
	for (i = 0; i < req->body_len; i++)
		sum += ((const uint8_t *)req->body)[i];
	for (i = 0; i < req->tail_len; i++)
		sum += ((const uint8_t *)req->tail)[i];
	if (sum == 1) {
		weft_rpc_malformed(req, "the sum");
		return;
	}
	if (req->bulk_max)
		weft_sg_alloc(&req->rep_bulk, pool, req->bulk_max);
	weft_rpc_reply(req, sum & 2 ? ENOENT : 0, body, op->rep_len, "tail", 4);
}

static struct weft_rpc_handler handlers[WEFT_OP_LIMIT];

static struct weft_rpc_service *make_service(void)
{
	struct weft_rpc_service_cfg cfg = { .env = &fe.env, .pool = pool, .target = 1,
					    .handlers = handlers, .credits = 4 };
	struct weft_rpc_service *svc;

	if (weft_rpc_service_create(&cfg, &svc))
		abort();
	return svc;
}

static void fuzz_service(void)
{
	struct rpc_handover *h = calloc(1, sizeof(*h));
	struct weft_rpc_service *svc = make_service();

	h->role = WEFT_ROLE_CLIENT;
	h->xprt.ops = &weft_xprt_tcp;
	rpc_service_hand_over(svc, h);
	while (turn(true))
		;
	weft_rpc_service_destroy(svc);
}

static void fuzz_server(const char *secret)
{
	struct weft_rpc_server_cfg cfg = { .env = &fe.env, .node = 1, .boot = 1,
					   .secret = secret, .secret_len = secret ? 6 : 0 };
	struct weft_rpc_service *svc = make_service();
	struct weft_rpc_server *srv;

	if (weft_rpc_server_create(&cfg, &srv) || weft_rpc_server_add(srv, svc) ||
	    weft_rpc_server_listen(srv, &(struct weft_rpc_addr){ .port = 1 }) < 0)
		abort();
	fe.accepted(fe.accept_arg, 1000000);
	while (turn(true))
		;
	weft_rpc_server_destroy(srv);
	weft_rpc_service_destroy(svc);
}

static unsigned int over;

static void call_over(struct weft_rpc_call *c)
{
	(void)c;
	over++;
}

static void pushed(void *arg, struct weft_rpc_peer *p, uint16_t opcode, const void *body,
		   size_t body_len, const void *tail, size_t tail_len)
{
	uint8_t sum = 0;

	(void)arg;
	(void)p;
	(void)opcode;
	while (body_len)
		sum += ((const uint8_t *)body)[--body_len];
	while (tail_len)
		sum += ((const uint8_t *)tail)[--tail_len];
	if (sum == 255)
		over += 0 * sum;
}

/* The server's INIT is good; what comes then is the input. */
static void fuzz_client(const uint8_t *data, size_t size)
{
	struct weft_rpc_client_cfg cfg = { .env = &fe.env, .pool = pool,
					   .role = WEFT_ROLE_CLIENT, .push = pushed };
	struct weft_rpc_addr addr = { .host = "fuzz", .port = 1 };
	struct weft_rpc_call calls[4] = { 0 };
	static const char body[256];
	struct {
		struct weft_hdr h;
		struct weft_init_rep rep;
	} init = { .h = { .len = cpu_to_le32(sizeof(init)), .version = cpu_to_le16(1),
			  .magic = cpu_to_le32(WEFT_MAGIC), .opcode = cpu_to_le16(WEFT_OP_INIT),
			  .flags = cpu_to_le16(WEFT_MF_REPLY),
			  .body_len = cpu_to_le16(sizeof(init.rep)) },
		   .rep = { .version = cpu_to_le16(1), .credits = cpu_to_le16(8) } };
	uint8_t *all = malloc(sizeof(init) + size);
	struct weft_rpc_client *c;
	struct weft_rpc_peer *p;
	char mem[5000];
	int i;

	memcpy(all, &init, sizeof(init));
	memcpy(all + sizeof(init), data, size);
	fe.data = all;
	fe.left = sizeof(init) + size;
	over = 0;
	if (weft_rpc_client_create(&cfg, &c) || weft_rpc_peer_create(c, 1, 1, &addr, 1, NULL, &p))
		abort();
	for (i = 0; i < 4; i++) {
		calls[i].opcode = i ? WEFT_OP_OBJ_READ : WEFT_OP_LOOKUP;
		calls[i].done = call_over;
		calls[i].bulk_max = i == 1 ? 0 : 3000;
		if (i == 3)
			weft_sg_add(&calls[i].bulk_in, NULL, mem, sizeof(mem));
		if (weft_rpc_call_start(p, &calls[i], body, weft_op_info(calls[i].opcode)->req_len,
					NULL, 0))
			abort();
	}
	for (i = 0; i < 200000 && fe.left && turn(true); i++)
		;
	weft_rpc_peer_destroy(p);
	while (turn(false))
		;
	if (over != 4)
		abort(); /* a call was lost */
	for (i = 0; i < 4; i++)
		weft_rpc_call_fini(&calls[i]);
	weft_rpc_client_destroy(c);
	free(all);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	unsigned int op, n = 0;

	(void)argc;
	(void)argv;
	weft_log_set_level(WEFT_LOG_ERR);
	fe.env.ops = &fuzz_ops;
	if (weft_pool_create(64 << 20, &pool))
		abort();
	for (op = WEFT_OP_PING + 1; op < WEFT_OP_LIMIT; op++)
		if (weft_op_info(op))
			handlers[n++] = (struct weft_rpc_handler){ op, answer };
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 7, 96, 100, 4096, 1 << 20 };

	if (size < 2)
		return 0;
	fe.piece = pieces[data[1] % 6];
	fe.data = data + 2;
	fe.left = size - 2;
	switch (data[0] % 4) {
	case 0:
		fuzz_service();
		break;
	case 1:
		fuzz_server(NULL);
		break;
	case 2:
		fuzz_server("secret");
		break;
	default:
		fuzz_client(data + 2, size - 2);
	}
	while (turn(false))
		;
	weft_timerq_fini(&fe.timers);
	if (fe.stream || weft_pool_used(pool))
		abort(); /* something is left */
	return 0;
}
