// SPDX-License-Identifier: Apache-2.0
/*
 * Changes over two metadata servers, one of which dies between any two steps.
 *
 * A cluster of real processes on loopback; libweft is the client. For each operation that touches
 * both servers, and each fault point of the coordinator and of the participant: the server is armed
 * to kill itself there, the operation is begun, the server is started again when it is dead. The
 * operation must then succeed exactly once for the client, the names must be what it makes them,
 * and the checker (fsck.h) must find both stores consistent with nothing left pending.
 *
 *	mds_crash_test [-v] [OPERATION [POINT]]
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/client/client.h"
#include "common/env_uv.h"
#include "common/log.h"
#include "common/mapclient.h"
#include "proto/placement.h"
#include "tests/unit/mds/fsck.c"

#define SERVERS 2

static char dir[64], mgmt[64], weft[512];
static bool verbose, quiet;
static struct weft_client *client;
static struct weft_map *map;
static u32 groups[SERVERS]; /* group of mds1, mds2 */
static u64 home[SERVERS];   /* a directory on each */
static unsigned int serial, passed, failed;

static void nap(void)
{
	struct timespec ts = { .tv_nsec = 5000000 };

	nanosleep(&ts, NULL);
}

static bool run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool run(const char *fmt, ...)
{
	char args[1024], cmd[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	snprintf(cmd, sizeof(cmd), "%s %s >%s.out 2>&1 </dev/null", weft, args, dir);
	if (!system(cmd))
		return true;
	if (quiet)
		return false;
	fprintf(stderr, "%s\n", cmd);
	snprintf(cmd, sizeof(cmd), "cat %s.out >&2", dir);
	return system(cmd) < 0;
}

/* --- the map, to know which server a new directory goes to */

struct fetch {
	struct weft_env *env;
};

static void fetched(void *arg, struct weft_map *m)
{
	struct fetch *f = arg;

	if (!map)
		map = weft_map_get(m);
	weft_env_stop(f->env);
}

static int fetch_map(void)
{
	struct fetch f;
	struct weft_rpc_client_cfg rc = { .role = WEFT_ROLE_TOOL };
	struct weft_mapclient_cfg mc = { .servers = mgmt, .changed = fetched, .arg = &f };
	struct weft_mapclient *link;
	int ret;

	ret = weft_env_uv_create(&f.env);
	if (ret)
		return ret;
	rc.env = mc.env = f.env;
	weft_pool_create(16 << 20, &rc.pool);
	ret = weft_rpc_client_create(&rc, &mc.rpc);
	if (!ret)
		ret = weft_mapclient_create(&mc, &link);
	if (ret)
		return ret;
	weft_mapclient_refresh(link, 0);
	weft_env_uv_run(f.env);
	weft_mapclient_destroy(link);
	weft_rpc_client_destroy(mc.rpc);
	weft_env_uv_destroy(f.env);
	weft_pool_destroy(rc.pool);
	return 0;
}

/* --- fault points of a server that runs */

struct arming {
	struct weft_env *env;
	struct weft_rpc_call call;
};

static void armed(struct weft_rpc_call *call)
{
	struct arming *a = call->arg;

	weft_env_stop(a->env);
}

static int arm_peer(struct arming *a, struct weft_rpc_client *rpc, u32 target, char *line)
{
	struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX];
	unsigned int n = weft_map_target_addrs(map, target, addrs);
	struct weft_admin_req req = { 0 };
	struct weft_rpc_peer *peer;
	int ret;

	ret = weft_rpc_peer_create(rpc, target, 1, addrs, n, NULL, &peer);
	if (ret)
		return ret;
	a->call = (struct weft_rpc_call){ .opcode = WEFT_OP_ADMIN, .timeout_ms = 10000,
					  .done = armed, .arg = a };
	ret = weft_sg_add(&a->call.bulk_out, NULL, line, strlen(line));
	if (!ret)
		ret = weft_rpc_call_start(peer, &a->call, &req, sizeof(req), NULL, 0);
	if (!ret)
		weft_env_uv_run(a->env);
	if (!ret)
		ret = weft_rpc_err(&a->call);
	weft_rpc_call_fini(&a->call);
	weft_rpc_peer_destroy(peer);
	return ret;
}

static bool arm(unsigned int server, const char *point)
{
	struct weft_rpc_client_cfg rc = { .role = WEFT_ROLE_TOOL };
	struct weft_rpc_client *rpc;
	struct arming a = { 0 };
	char line[128];
	u32 target = weft_map_group_target(map, groups[server]);
	int ret;

	snprintf(line, sizeof(line), "fault %s=crash:1", point);
	if (weft_env_uv_create(&a.env) || weft_pool_create(16 << 20, &rc.pool))
		return false;
	rc.env = a.env;
	memcpy(rc.fsid, map->view.hdr->fsid, sizeof(rc.fsid));
	ret = weft_rpc_client_create(&rc, &rpc);
	if (!ret) {
		ret = arm_peer(&a, rpc, target, line);
		weft_rpc_client_destroy(rpc);
	}
	weft_env_uv_destroy(a.env);
	weft_pool_destroy(rc.pool);
	return !ret;
}

/* A name that a new directory in @parent can have to be on server @on. */
static void name_on(u64 parent, unsigned int on, char *name)
{
	do {
		sprintf(name, "n%u", ++serial);
	} while (weft_map_shard_group(&map->view,
				      WEFT_INO_MAKE((u64)weft_place_dir(map->view.nshards, parent,
									name, strlen(name)),
						    0)) != groups[on]);
}

static int make_dir(u64 parent, unsigned int on, char *name, u64 *ino)
{
	struct weft_attr a;
	int ret;

	name_on(parent, on, name);
	ret = weft_client_mkdir(client, parent, name, 0755, &a);
	*ino = ret ? 0 : le64_to_cpu(a.ino);
	return ret;
}

static int make_file(u64 parent, char *name, u64 *ino)
{
	struct weft_attr a;
	int ret;

	sprintf(name, "f%u", ++serial);
	ret = weft_client_create(client, parent, name, S_IFREG | 0644, 0, 0, NULL, &a);
	*ino = ret ? 0 : le64_to_cpu(a.ino);
	return ret;
}

/* --- operations; the coordinator is always the server of home[0] */

struct names {
	char a[32], b[32], tmp[32];
	u64 ia, ib, dir;
};

static bool names_ino(u64 parent, const char *name, u64 ino)
{
	struct weft_attr a;
	int ret = weft_client_lookup(client, parent, name, &a);

	return ino ? !ret && le64_to_cpu(a.ino) == ino : ret == -ENOENT;
}

static int mkdir_setup(struct names *n)
{
	name_on(home[0], 1, n->a);
	return 0;
}

static int mkdir_run(struct names *n)
{
	struct weft_attr a;
	int ret = weft_client_mkdir(client, home[0], n->a, 0750, &a);

	n->ia = le64_to_cpu(a.ino);
	return ret;
}

static bool mkdir_check(struct names *n)
{
	struct weft_attr a;

	return n->ia && names_ino(home[0], n->a, n->ia) &&
	       !weft_client_getattr(client, n->ia, &a) && le64_to_cpu(a.parent) == home[0];
}

static int rmdir_setup(struct names *n)
{
	return make_dir(home[0], 1, n->a, &n->ia);
}

static int rmdir_run(struct names *n)
{
	return weft_client_remove(client, home[0], n->a, true);
}

/* It may stay without a name until the server knows that nobody has it open. */
static bool inode_gone(u64 ino)
{
	struct weft_attr a;

	return weft_client_getattr(client, ino, &a) || !le32_to_cpu(a.nlink);
}

static bool rmdir_check(struct names *n)
{
	return names_ino(home[0], n->a, 0) && inode_gone(n->ia);
}

/* A file of the other server, linked here. */
static int link_setup(struct names *n)
{
	sprintf(n->b, "l%u", ++serial);
	return make_file(home[1], n->a, &n->ia);
}

static int link_run(struct names *n)
{
	return weft_client_link(client, n->ia, home[0], n->b);
}

static bool nlink_is(u64 ino, u32 nlink)
{
	struct weft_attr a;

	return !weft_client_getattr(client, ino, &a) && le32_to_cpu(a.nlink) == nlink;
}

static bool link_check(struct names *n)
{
	return names_ino(home[0], n->b, n->ia) && nlink_is(n->ia, 2);
}

static int unlink_setup(struct names *n)
{
	int ret = link_setup(n);

	if (!ret)
		ret = link_run(n);
	return ret ? ret : weft_client_remove(client, home[1], n->a, false);
}

static int unlink_run(struct names *n)
{
	return weft_client_remove(client, home[0], n->b, false);
}

static bool unlink_check(struct names *n)
{
	return names_ino(home[0], n->b, 0) && inode_gone(n->ia);
}

static int move_setup(struct names *n)
{
	sprintf(n->b, "m%u", ++serial);
	return make_file(home[0], n->a, &n->ia);
}

static int move_run(struct names *n)
{
	return weft_client_rename(client, home[0], n->a, home[1], n->b, 0);
}

static bool move_check(struct names *n)
{
	return names_ino(home[0], n->a, 0) && names_ino(home[1], n->b, n->ia) &&
	       nlink_is(n->ia, 1);
}

static int over_setup(struct names *n)
{
	int ret = make_file(home[0], n->a, &n->ia);

	return ret ? ret : make_file(home[1], n->b, &n->ib);
}

static bool over_check(struct names *n)
{
	return move_check(n) && inode_gone(n->ib);
}

static int movedir_setup(struct names *n)
{
	sprintf(n->b, "d%u", ++serial);
	return make_dir(home[0], 1, n->a, &n->ia);
}

static bool movedir_check(struct names *n)
{
	struct weft_attr a;

	return names_ino(home[0], n->a, 0) && names_ino(home[1], n->b, n->ia) &&
	       !weft_client_getattr(client, n->ia, &a) && le64_to_cpu(a.parent) == home[1];
}

static int exchange_setup(struct names *n)
{
	int ret = make_dir(home[0], 0, n->a, &n->ia);

	return ret ? ret : make_dir(home[1], 1, n->b, &n->ib);
}

static int exchange_run(struct names *n)
{
	return weft_client_rename(client, home[0], n->a, home[1], n->b, WEFT_RENAME_EXCHANGE);
}

static bool exchange_check(struct names *n)
{
	return names_ino(home[0], n->a, n->ib) && names_ino(home[1], n->b, n->ia);
}

static const struct operation {
	const char *name;
	int (*setup)(struct names *n);
	int (*run)(struct names *n);
	bool (*check)(struct names *n);
	bool locks; /* takes the rename lock */
} operations[] = {
	{ "mkdir", mkdir_setup, mkdir_run, mkdir_check, false },
	{ "rmdir", rmdir_setup, rmdir_run, rmdir_check, false },
	{ "link", link_setup, link_run, link_check, false },
	{ "unlink", unlink_setup, unlink_run, unlink_check, false },
	{ "move", move_setup, move_run, move_check, false },
	{ "move-over", over_setup, move_run, over_check, false },
	{ "move-directory", movedir_setup, move_run, movedir_check, true },
	{ "exchange", exchange_setup, exchange_run, exchange_check, true },
};

static const struct point {
	const char *name;
	int server; /* who dies: 0 coordinator, 1 participant, -1: who has shard 0 */
	bool locks;
} points[] = {
	{ "mds.txn.begin", 0, false },	   { "mds.txn.prepared", 0, false },
	{ "mds.txn.decided", 0, false },   { "mds.txn.replied", 0, false },
	{ "mds.txn.acked", 0, false },	   { "mds.part.prepare", 1, false },
	{ "mds.part.prepared", 1, false }, { "mds.part.decide", 1, false },
	{ "mds.part.decided", 1, false },  { "mds.rename.granted", -1, true },
	{ "mds.rename.locked", 0, true },  { "mds.rename.walked", 0, true },
};

/* --- one case */

struct attempt {
	const struct operation *o;
	struct names *n;
	int ret;
	bool done;
};

static void *attempt_thread(void *arg)
{
	struct attempt *a = arg;

	a->ret = a->o->run(a->n);
	__atomic_store_n(&a->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static pid_t pid_of(unsigned int server)
{
	char path[128];
	long pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/mds%u.pid", dir, server + 1);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%ld", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return pid;
}

/* The first thread may be gone before the last one gives up the files: it is tried a few times. */
static bool start_again(unsigned int server)
{
	int i;

	for (i = 0; i < 20; i++) {
		quiet = i < 19;
		if (run("dev restart --dir %s mds%u", dir, server + 1))
			return true;
		nap();
	}
	return false;
}

static bool is_dead(pid_t pid)
{
	char path[64], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	f = fopen(path, "r");
	if (!f)
		return true;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	fclose(f);
	return state == 'Z' || state == 'X';
}

static bool wait_dead(pid_t pid)
{
	int i;

	for (i = 0; i < 2000; i++) {
		if (is_dead(pid))
			return true;
		nap();
	}
	return false;
}

static bool check_stores(struct fsck *f)
{
	struct weft_kv *kvs[SERVERS];
	char path[128], err[WEFT_KV_ERR_MAX];
	int i, n, ret = 0;

	/* Confirmations travel in the background: what is pending must vanish soon. */
	for (i = 0; i < 1000; i++) {
		for (n = 0; n < SERVERS; n++) {
			snprintf(path, sizeof(path), "%s/mds%d/db", dir, n + 1);
			if (mds_store_read(path, &kvs[n], err))
				break;
		}
		if (n == SERVERS)
			ret = fsck_run(kvs, SERVERS, f);
		if (n < SERVERS)
			f->errors = 1;
		while (n)
			weft_kv_close(kvs[--n]);
		if (!ret && !f->errors && !f->pending)
			return true;
		nap();
	}
	return false;
}

static const char *one_case(const struct operation *o, const struct point *p, struct names *n)
{
	unsigned int server = p->server >= 0 ? (unsigned int)p->server :
			      weft_map_shard_group(&map->view, WEFT_INO_ROOT) == groups[1];
	struct attempt a = { .o = o, .n = n };
	pthread_t thread;
	bool dead;
	pid_t pid;

	if (o->setup(n))
		return "setup failed";
	if (!arm(server, p->name))
		return "cannot arm the server";
	pid = pid_of(server);
	if (pthread_create(&thread, NULL, attempt_thread, &a))
		return "no thread";
	dead = wait_dead(pid);
	if (!start_again(server)) {
		printf("FAILED: cannot start mds%u again\n", server + 1);
		exit(1);
	}
	pthread_join(thread, NULL);
	if (!dead)
		return "the fault point was not reached";
	if (a.ret)
		return strerror(-a.ret);
	return o->check(n) ? NULL : "the names are not what the operation makes them";
}

static void do_case(const struct operation *o, const struct point *p)
{
	struct names n = { 0 };
	struct fsck f = { 0 };
	const char *why;

	why = one_case(o, p, &n);
	if (!why && !check_stores(&f))
		why = f.errors ? f.complaint : "something stays pending";
	if (why) {
		failed++;
		printf("FAILED %s, crash at %s: %s\n", o->name, p->name, why);
	} else {
		passed++;
		if (verbose)
			printf("ok %s, crash at %s\n", o->name, p->name);
	}
	fflush(stdout);
}

/* --- setting up */

static int read_mgmt(void)
{
	char path[128], line[256];
	FILE *f;
	int ret = -ENOENT;

	snprintf(path, sizeof(path), "%s/weft.conf", dir);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "addresses = %63s", mgmt) == 1 ||
		    sscanf(line, "addresses=%63s", mgmt) == 1)
			ret = 0;
	if (f)
		fclose(f);
	return ret;
}

/* Which group each server leads: look where a directory's inode is. */
static int find_homes(void)
{
	struct weft_attr a;
	unsigned int s;
	char name[32];
	u64 ino;

	for (s = 0; s < map->view.ngroups; s++) {
		const struct weft_map_group *g = &map->view.groups[s];
		u32 target = weft_map_primary(&map->view, g);
		const struct weft_map_target *t = weft_map_target(&map->view, target);
		const struct weft_map_node *node =
			t ? weft_map_node(&map->view, le32_to_cpu(t->node)) : NULL;

		if (g->kind == WEFT_MDT && node && !strcmp((const char *)node->name, "mds1"))
			groups[0] = le32_to_cpu(g->id);
		if (g->kind == WEFT_MDT && node && !strcmp((const char *)node->name, "mds2"))
			groups[1] = le32_to_cpu(g->id);
	}
	if (!groups[0] || !groups[1])
		return -ENOENT;
	for (s = 0; s < SERVERS; s++) {
		if (make_dir(WEFT_INO_ROOT, s, name, &ino))
			return -EIO;
		home[s] = ino;
	}
	return weft_client_getattr(client, home[0], &a);
}

static int start(void)
{
	struct weft_client_opts o = { .mgmt = mgmt, .timeout_ms = 30000 };
	const char *build = getenv("WEFT_BUILD");
	int ret;

	snprintf(weft, sizeof(weft), "%s/bin/weft", build ? build : "build");
	strcpy(dir, "/tmp/mds_crash.XXXXXX");
	if (!mkdtemp(dir))
		return -errno;
	strcat(dir, "/c");
	if (!run("dev up --dir %s --mds %d --oss 1", dir, SERVERS))
		return -EIO;
	ret = read_mgmt();
	if (!ret)
		ret = fetch_map();
	if (!ret)
		ret = weft_client_open(&o, &client);
	return ret ? ret : find_homes();
}

static void stop(void)
{
	char cmd[128];

	weft_client_close(client);
	weft_map_put(map);
	run("dev down --dir %s", dir);
	if (failed) {
		printf("logs are in %s\n", dir);
		return;
	}
	dir[strlen(dir) - 2] = 0;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd))
		printf("%s stays\n", dir);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(int argc, char **argv)
{
	const char *only_op, *only_point;
	size_t o, p;
	int ret;

	weft_log_init("mds_crash_test");
	weft_log_set_level(WEFT_LOG_ERR);
	if (argc > 1 && !strcmp(argv[1], "-v")) {
		verbose = true;
		argc--;
		argv++;
	}
	only_op = argc > 1 ? argv[1] : NULL;
	only_point = argc > 2 ? argv[2] : NULL;
	ret = start();
	if (ret) {
		printf("FAILED to start a cluster: %s\n", strerror(-ret));
		failed++;
	}
	for (o = 0; !ret && o < COUNT(operations); o++) {
		for (p = 0; p < COUNT(points); p++) {
			if ((points[p].locks && !operations[o].locks) ||
			    (only_op && strcmp(only_op, operations[o].name)) ||
			    (only_point && strcmp(only_point, points[p].name)))
				continue;
			do_case(&operations[o], &points[p]);
		}
	}
	stop();
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
