// SPDX-License-Identifier: Apache-2.0
/*
 * A peer that cannot be trusted: stands between clients and servers and changes what they say.
 *
 *	meddler [--rule RULE[:N]]... [--seed N] LISTEN=PORT...
 *
 * Each connection to 127.0.0.1:LISTEN goes on to 127.0.0.1:PORT, message by message. In maps on
 * their way to a client the ports of servers are replaced by those that are listened on, so that
 * with a pair for each server all that a mount does comes through here. Whatever a rule changes is
 * told in a line on standard output; with :N a rule changes every Nth message that it fits.
 *
 *	want-version want-fsid		INIT asks for a version, a file system that nobody has
 *	version fsid			INIT is answered with such a one
 *	map-bit				a bit of a map is flipped, the checksum stays
 *	map-fsid map-version map-ref map-short
 *			with a right checksum: another file system, an unknown version,
 *			a member that is no target, half of it
 *	request-bit reply-bit		a bit of the bulk is flipped on the way
 *	header body			a byte of a reply's header, of the rest, is something else
 *	hang-up				a request for data ends its connection
 *
 * Two threads carry a connection, one for each direction; the last of them closes both sockets. An
 * end or an error of one side ends the other. What is no message of weft ends the connection. The
 * counters are under one lock.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "proto/map.h"
#include "proto/wire.h"

#define PAIRS_MAX 16
#define RULES_MAX 8
#define NOBODYS 99 /* a version that nobody has */

enum { REQUESTS, REPLIES };

/* struct message - one message: @msg (header, body, tail), then bulk */
struct message {
	union {
		struct weft_hdr hdr;
		uint8_t msg[WEFT_MSG_MAX];
	};
	uint8_t *bulk; /* WEFT_BULK_MAX bytes, aligned */
	uint32_t len, bulk_len;
};

/* Return: true if the message was one that the rule fits, and is changed now; @len 0: no more. */
typedef bool meddle(struct message *m);

/* struct conn - one connection; freed when @users is 0 */
struct conn {
	int fd[2]; /* the client's, the server's */
	int users;
};

/* struct way - one direction of it */
struct way {
	struct conn *conn;
	int from;
};

static struct {
	uint16_t listen[PAIRS_MAX], to[PAIRS_MAX];
	int fds[PAIRS_MAX];
	unsigned int npairs, nrules, seed;
	struct {
		const char *name;
		meddle *f;
		int from;
		unsigned int every, seen;
	} rules[RULES_MAX];
	pthread_mutex_t lock;
} t = { .lock = PTHREAD_MUTEX_INITIALIZER, .seed = 1 };

static bool is(const struct message *m, enum weft_op op)
{
	return le16_to_cpu(m->hdr.opcode) == op;
}

static void *body_of(struct message *m, size_t len)
{
	return le16_to_cpu(m->hdr.body_len) >= len && m->len >= sizeof(m->hdr) + len ?
		       m->msg + sizeof(m->hdr) :
		       NULL;
}

/* ---- rules */

static bool want_version(struct message *m)
{
	struct weft_init_req *req = is(m, WEFT_OP_INIT) ? body_of(m, sizeof(*req)) : NULL;

	if (req)
		req->version_min = req->version_max = cpu_to_le16(NOBODYS);
	return req;
}

static bool want_fsid(struct message *m)
{
	struct weft_init_req *req = is(m, WEFT_OP_INIT) ? body_of(m, sizeof(*req)) : NULL;

	if (req)
		memset(req->fsid, NOBODYS, sizeof(req->fsid));
	return req;
}

static bool version(struct message *m)
{
	struct weft_init_rep *rep = is(m, WEFT_OP_INIT) ? body_of(m, sizeof(*rep)) : NULL;

	if (rep)
		rep->version = cpu_to_le16(NOBODYS);
	return rep;
}

static bool fsid(struct message *m)
{
	struct weft_init_rep *rep = is(m, WEFT_OP_INIT) ? body_of(m, sizeof(*rep)) : NULL;

	if (rep)
		memset(rep->fsid, NOBODYS, sizeof(rep->fsid));
	return rep;
}

static struct weft_map_hdr *map_of(struct message *m)
{
	struct weft_map_hdr *map = (struct weft_map_hdr *)m->bulk;

	return is(m, WEFT_OP_MAP_GET) && m->bulk_len >= sizeof(*map) ? map : NULL;
}

static void seal_map(struct message *m)
{
	struct weft_map_hdr *map = map_of(m);

	map->crc = 0;
	map->crc = cpu_to_le32(weft_crc32c(0, map, m->bulk_len));
	m->hdr.bulk_crc = cpu_to_le32(weft_crc32c(0, m->bulk, m->bulk_len));
}

static bool map_bit(struct message *m)
{
	if (!map_of(m))
		return false;
	m->bulk[m->bulk_len - 1] ^= 0x40;
	m->hdr.bulk_crc = cpu_to_le32(weft_crc32c(0, m->bulk, m->bulk_len));
	return true;
}

static bool map_fsid(struct message *m)
{
	if (!map_of(m))
		return false;
	memset(map_of(m)->fsid, NOBODYS, sizeof(map_of(m)->fsid));
	seal_map(m);
	return true;
}

static bool map_version(struct message *m)
{
	if (!map_of(m))
		return false;
	map_of(m)->version = cpu_to_le16(NOBODYS);
	seal_map(m);
	return true;
}

static bool map_ref(struct message *m)
{
	struct weft_map_view v;

	if (!map_of(m) || weft_map_check(&v, m->bulk, m->bulk_len, NULL) || !v.nmembers)
		return false;
	((struct weft_map_member *)v.members)->target = cpu_to_le32(1000000);
	seal_map(m);
	return true;
}

static bool map_short(struct message *m)
{
	if (!map_of(m))
		return false;
	m->bulk_len /= 2;
	m->hdr.bulk_len = cpu_to_le32(m->bulk_len);
	seal_map(m);
	return true;
}

static bool bulk_bit(struct message *m)
{
	if (!m->bulk_len || is(m, WEFT_OP_MAP_GET) || is(m, WEFT_OP_ADMIN))
		return false;
	m->bulk[rand_r(&t.seed) % m->bulk_len] ^= 1 << rand_r(&t.seed) % 8;
	return true;
}

static bool header(struct message *m)
{
	m->msg[rand_r(&t.seed) % sizeof(m->hdr)] ^= 1 + rand_r(&t.seed) % 255;
	return true;
}

static bool body(struct message *m)
{
	uint32_t n = m->len - sizeof(m->hdr);

	if (!n)
		return false;
	m->msg[sizeof(m->hdr) + rand_r(&t.seed) % n] ^= 1 + rand_r(&t.seed) % 255;
	return true;
}

static bool hang_up(struct message *m)
{
	if (!is(m, WEFT_OP_OBJ_READ) && !is(m, WEFT_OP_OBJ_WRITE))
		return false;
	m->len = 0;
	return true;
}

static const struct {
	const char *name;
	meddle *f;
	int from;
} known[] = {
	{ "want-version", want_version, REQUESTS },
	{ "want-fsid", want_fsid, REQUESTS },
	{ "version", version, REPLIES },
	{ "fsid", fsid, REPLIES },
	{ "map-bit", map_bit, REPLIES },
	{ "map-fsid", map_fsid, REPLIES },
	{ "map-version", map_version, REPLIES },
	{ "map-ref", map_ref, REPLIES },
	{ "map-short", map_short, REPLIES },
	{ "request-bit", bulk_bit, REQUESTS },
	{ "reply-bit", bulk_bit, REPLIES },
	{ "header", header, REPLIES },
	{ "body", body, REPLIES },
	{ "hang-up", hang_up, REQUESTS },
};

/* Servers are where we listen. */
static void redirect(struct message *m)
{
	struct weft_map_view v;
	unsigned int i, p;

	if (!map_of(m) || weft_map_check(&v, m->bulk, m->bulk_len, NULL))
		return;
	for (i = 0; i < v.nrails; i++) {
		struct weft_map_rail *rail = (struct weft_map_rail *)&v.rails[i];

		for (p = 0; p < t.npairs && le16_to_cpu(rail->port) != t.to[p]; p++)
			;
		if (p < t.npairs)
			rail->port = cpu_to_le16(t.listen[p]);
	}
	seal_map(m);
}

static void apply(struct message *m, int from)
{
	unsigned int i;
	uint16_t op = le16_to_cpu(m->hdr.opcode);

	if (from == REPLIES)
		redirect(m);
	pthread_mutex_lock(&t.lock);
	for (i = 0; i < t.nrules; i++) {
		if (t.rules[i].from != from || ++t.rules[i].seen % t.rules[i].every)
			continue;
		if (t.rules[i].f(m))
			printf("%s operation %u\n", t.rules[i].name, op);
		else
			t.rules[i].seen--; /* it did not fit: the next one's turn */
	}
	pthread_mutex_unlock(&t.lock);
}

/* ---- carrying */

static bool read_all(int fd, void *buf, size_t len)
{
	return !len || recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static bool write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	ssize_t n;

	while (len) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static bool read_message(int fd, struct message *m)
{
	if (!read_all(fd, &m->hdr, sizeof(m->hdr)))
		return false;
	m->len = le32_to_cpu(m->hdr.len);
	m->bulk_len = le32_to_cpu(m->hdr.bulk_len);
	if (le32_to_cpu(m->hdr.magic) != WEFT_MAGIC || m->len < sizeof(m->hdr) ||
	    m->len > WEFT_MSG_MAX || m->bulk_len > WEFT_BULK_MAX)
		return false;
	return read_all(fd, m->msg + sizeof(m->hdr), m->len - sizeof(m->hdr)) &&
	       read_all(fd, m->bulk, m->bulk_len);
}

static void conn_put(struct conn *c)
{
	shutdown(c->fd[0], SHUT_RDWR);
	shutdown(c->fd[1], SHUT_RDWR);
	if (__atomic_sub_fetch(&c->users, 1, __ATOMIC_ACQ_REL))
		return;
	close(c->fd[0]);
	close(c->fd[1]);
	free(c);
}

static void *carry(void *arg)
{
	struct way way = *(struct way *)arg;
	struct message *m = malloc(sizeof(*m));

	free(arg);
	m->bulk = malloc(WEFT_BULK_MAX);
	while (read_message(way.conn->fd[way.from], m)) {
		apply(m, way.from);
		if (!m->len || !write_all(way.conn->fd[!way.from], m->msg, m->len) ||
		    !write_all(way.conn->fd[!way.from], m->bulk, m->bulk_len))
			break;
	}
	free(m->bulk);
	free(m);
	conn_put(way.conn);
	return NULL;
}

static int open_socket(uint16_t port, bool listening)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (listening ? !bind(fd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(fd, 64) :
			!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	close(fd);
	return -1;
}

static void begin_way(struct conn *c, int from)
{
	struct way *way = malloc(sizeof(*way));
	pthread_t thread;

	*way = (struct way){ .conn = c, .from = from };
	if (pthread_create(&thread, NULL, carry, way))
		abort();
	pthread_detach(thread);
}

static void *accept_all(void *arg)
{
	unsigned int pair = (uintptr_t)arg;
	struct conn *c;
	int fd, one = 1;

	while ((fd = accept(t.fds[pair], NULL, NULL)) >= 0) {
		c = malloc(sizeof(*c));
		*c = (struct conn){ .fd = { fd, open_socket(t.to[pair], false) }, .users = 2 };
		if (c->fd[1] < 0) {
			close(fd);
			free(c);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		begin_way(c, REQUESTS);
		begin_way(c, REPLIES);
	}
	perror("meddler: accept");
	return NULL;
}

/* ---- arguments */

static bool take_rule(const char *text)
{
	size_t i, len = strcspn(text, ":");

	for (i = 0; i < sizeof(known) / sizeof(known[0]) && t.nrules < RULES_MAX; i++) {
		if (strlen(known[i].name) != len || memcmp(known[i].name, text, len))
			continue;
		t.rules[t.nrules].name = known[i].name;
		t.rules[t.nrules].f = known[i].f;
		t.rules[t.nrules].from = known[i].from;
		t.rules[t.nrules].every = text[len] ? atoi(text + len + 1) : 1;
		return t.rules[t.nrules++].every;
	}
	return false;
}

static bool take_pair(const char *text)
{
	unsigned int from, to;

	if (t.npairs == PAIRS_MAX || sscanf(text, "%u=%u", &from, &to) != 2)
		return false;
	t.listen[t.npairs] = from;
	t.to[t.npairs++] = to;
	return true;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	unsigned int p;
	bool ok = true;
	int i;

	setlinebuf(stdout);
	for (i = 1; i < argc && ok; i++) {
		if (!strcmp(argv[i], "--rule") && i + 1 < argc)
			ok = take_rule(argv[++i]);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			t.seed = atoi(argv[++i]);
		else
			ok = take_pair(argv[i]);
	}
	if (!ok || !t.npairs) {
		fprintf(stderr, "usage: meddler [--rule RULE[:N]]... [--seed N] LISTEN=PORT...\n");
		return 2;
	}
	for (p = 0; p < t.npairs; p++) {
		t.fds[p] = open_socket(t.listen[p], true);
		if (t.fds[p] < 0) {
			fprintf(stderr, "meddler: port %u: %s\n", t.listen[p], strerror(errno));
			return 1;
		}
		if (p && pthread_create(&thread, NULL, accept_all, (void *)(uintptr_t)p))
			return 1;
	}
	puts("ready");
	accept_all(NULL);
	return 1;
}
