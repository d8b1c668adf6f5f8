// SPDX-License-Identifier: Apache-2.0
/*
 * weft dev: a whole cluster on this machine.
 *
 * up: make the cluster when there is none, start what does not run, management first; when
 * management answers and every server has registered, lay the file system out, and wait until the
 * root directory exists. A daemon that ends meanwhile ends the waiting: its log is shown.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/mapview.h"
#include "tools/weft/dev.h"
#include "tools/weft/weft.h"

enum {
	OPT_DIR = 256,
	OPT_MGMT,
	OPT_MDS,
	OPT_OSS,
	OPT_OST_SIZE,
	OPT_LISTEN,
	OPT_RDMA,
	OPT_NET,
	OPT_PORT_BASE,
	OPT_LEASE,
	OPT_SECRET,
	OPT_LOG_LEVEL,
	OPT_WAIT,
	OPT_DESTROY,
	OPT_FAULTS,
};

#define POLL_MS 50
#define TERM_MS 20000
#define KILL_MS 5000
#define OST_SIZE_DEFAULT (4ull << 30)

struct dev_args {
	struct dev_spec spec;
	const char *dir;
	bool mgmt_given, mds_given, oss_given;
	bool destroy;
	const char *faults;
	uint32_t wait_s;
};

/* ---- options */

static int take_number(const char *what, uint64_t min, uint64_t max, uint32_t *out)
{
	uint64_t n;

	if (weft_parse_size(optarg, &n) || n < min || n > max)
		return weft_say(WEFT_EXIT_USAGE, "%s must be a number from %llu to %llu", what,
				(unsigned long long)min, (unsigned long long)max);
	*out = n;
	return 0;
}

static int take_option(struct dev_args *a, int opt)
{
	switch (opt) {
	case OPT_DIR:
		a->dir = optarg;
		return 0;
	case OPT_MGMT:
		a->mgmt_given = true;
		if (take_number("--mgmts", 1, DEV_MGMT_MAX, &a->spec.mgmt))
			return WEFT_EXIT_USAGE;
		return a->spec.mgmt % 2 ? 0 : weft_say(WEFT_EXIT_USAGE, "--mgmts must be 1, 3 or 5");
	case OPT_MDS:
		a->mds_given = true;
		return take_number("--mds", 0, 32, &a->spec.mds);
	case OPT_OSS:
		a->oss_given = true;
		return take_number("--oss", 0, 32, &a->spec.oss);
	case OPT_OST_SIZE:
		return weft_parse_size(optarg, &a->spec.ost_size) ?
			weft_say(WEFT_EXIT_USAGE, "--ost-size is not a size such as 4G") :
			0;
	case OPT_LISTEN:
		a->spec.listen = optarg;
		return 0;
	case OPT_RDMA:
		a->spec.rdma = optarg;
		return 0;
	case OPT_NET:
		a->spec.net = optarg;
		return weft_net_set(optarg) ?
			weft_say(WEFT_EXIT_USAGE, "--net is tcp, rdma or auto") :
			0;
	case OPT_PORT_BASE:
		return take_number("--port-base", 1024, 65535 - DEV_MEMBERS_MAX - DEV_MGMT_MAX,
				   &a->spec.port_base);
	case OPT_LEASE:
		return take_number("--lease-ms", 1000, 600000, &a->spec.lease_ms);
	case OPT_SECRET:
		a->spec.secret = true;
		return 0;
	case OPT_LOG_LEVEL:
		a->spec.log_level = optarg;
		return 0;
	case OPT_WAIT:
		return take_number("--wait", 0, 86400, &a->wait_s);
	case OPT_DESTROY:
		a->destroy = true;
		return 0;
	default:
		a->faults = optarg;
		return 0;
	}
}

/* Return: true to go on, false to end with @status. */
static bool parse(struct weft_cmd *cmd, struct dev_args *a, int argc, char **argv,
		  const struct option *options, int *status)
{
	int opt;

	*a = (struct dev_args){
		.spec = { .mgmt = 1,
			  .mds = 2,
			  .oss = 3,
			  .listen = "127.0.0.1",
			  .ost_size = OST_SIZE_DEFAULT,
			  .log_level = "info" },
		.wait_s = 60,
	};
	while ((opt = weft_getopt(cmd, argc, argv, options, status)) != -1) {
		if (opt == -2)
			return false;
		*status = take_option(a, opt);
		if (*status)
			return false;
	}
	*status = 0;
	return true;
}

/* ---- waiting for the cluster */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* One request to the cluster's management; nothing is said when it fails. */
static int ask_quietly(const struct dev_cluster *c, const Weft__AdminRequest *q,
		       Weft__AdminReply **rep, char err[WEFT_ADMIN_ERR_MAX])
{
	struct weft_admin *admin;
	char path[DEV_PATH_MAX];
	struct weft_conf conf;
	int ret;

	ret = weft_conf_load(dev_path(c, "weft", ".conf", path), NULL, &conf, err);
	if (!ret)
		ret = weft_admin_open(conf.mgmt, &conf.secret, 1000, &admin, err);
	if (ret)
		return ret;
	ret = weft_admin_call(admin, q, rep, err);
	weft_admin_close(admin);
	return ret;
}

/* What is waited for. Return: true when it is there. */
typedef bool dev_condition(const struct dev_cluster *c, const Weft__Listing *l,
			   const Weft__Status *s, void *arg);

static bool all_up(const struct dev_cluster *c, const Weft__Listing *l, const Weft__Status *s,
		   void *arg)
{
	(void)l;
	(void)arg;
	return s->nodes_up >= c->nmembers - dev_count(c, DEV_MGMT);
}

static bool root_made(const struct dev_cluster *c, const Weft__Listing *l, const Weft__Status *s,
		      void *arg)
{
	(void)c;
	(void)l;
	(void)arg;
	return s->active && !s->root_pending;
}

/*
 * Which member has died, or NULL. When @one is given only that one matters, and management when
 * there is one of it.
 */
static const struct dev_member *find_dead(const struct dev_cluster *c,
					  const struct dev_member *one)
{
	bool mgmt = dev_count(c, DEV_MGMT) == 1;
	unsigned int i;

	for (i = 0; i < c->nmembers; i++)
		if ((!one || (!i && mgmt) || &c->members[i] == one) && !dev_pid(c, &c->members[i]))
			return &c->members[i];
	return NULL;
}

static bool holds(const struct dev_cluster *c, dev_condition *cond, void *arg, char *err)
{
	Weft__StatusRequest sr = WEFT__STATUS_REQUEST__INIT;
	Weft__ListRequest lr = WEFT__LIST_REQUEST__INIT;
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__AdminReply *status = NULL, *list = NULL;
	bool yes = false;

	q.op_case = WEFT__ADMIN_REQUEST__OP_STATUS;
	q.status = &sr;
	if (ask_quietly(c, &q, &status, err))
		return false;
	q.op_case = WEFT__ADMIN_REQUEST__OP_LIST;
	q.list = &lr;
	if (!ask_quietly(c, &q, &list, err)) {
		snprintf(err, WEFT_ADMIN_ERR_MAX, "%u of %u servers are up, %u targets",
			 status->status->nodes_up, c->nmembers - dev_count(c, DEV_MGMT),
			 status->status->targets_up);
		yes = cond(c, list->listing, status->status, arg);
		weft__admin_reply__free_unpacked(list, NULL);
	}
	weft__admin_reply__free_unpacked(status, NULL);
	return yes;
}

static int wait_for(const struct dev_cluster *c, const struct dev_member *one, const char *what,
		    dev_condition *cond, void *arg, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	char err[WEFT_ADMIN_ERR_MAX] = "";
	const struct dev_member *dead;

	while (!holds(c, cond, arg, err)) {
		dead = find_dead(c, one);
		if (dead) {
			weft_say(0, "%s does not run:", dead->name);
			dev_show_log(c, dead);
			return WEFT_EXIT_FAILED;
		}
		if (now_ms() > deadline)
			return weft_say(WEFT_EXIT_FAILED, "waited too long for %s (%s); logs are "
							  "%s/*.log",
					what, err, c->dir);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int create_fs(const struct dev_cluster *c)
{
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__FsCreate create = WEFT__FS_CREATE__INIT;
	char err[WEFT_ADMIN_ERR_MAX];
	Weft__AdminReply *rep;
	int ret;

	q.op_case = WEFT__ADMIN_REQUEST__OP_FS_CREATE;
	q.fs_create = &create;
	ret = ask_quietly(c, &q, &rep, err);
	if (ret && ret != -EEXIST)
		return weft_say(WEFT_EXIT_FAILED, "%s", err);
	if (!ret)
		weft__admin_reply__free_unpacked(rep, NULL);
	return 0;
}

/* ---- up */

static int bring_up(const struct dev_cluster *c, uint32_t wait_s)
{
	uint64_t deadline = now_ms() + wait_s * 1000ull;
	unsigned int i;
	int status = 0;

	for (i = 0; i < c->nmembers && !status; i++)
		status = dev_start(c, &c->members[i], NULL);
	if (!status)
		status = wait_for(c, NULL, "the servers to register", all_up, NULL, deadline);
	if (status || !dev_count(c, DEV_MDS) || !dev_count(c, DEV_OSS))
		return status;
	status = create_fs(c);
	return status ? status : wait_for(c, NULL, "the root directory", root_made, NULL, deadline);
}

static int print_up(const struct weft_cmd *cmd, const struct dev_cluster *c)
{
	static const struct weft_column lines[] = {
		{ "dir", "cluster", 0 },	{ "mgmt", "management", 0 },
		{ "daemons", "daemons", 0 },	{ "config", "configuration", 0 },
		{ "mount", "mount it with", 0 }, { NULL, NULL, 0 },
	};
	char config[DEV_PATH_MAX], secret[DEV_PATH_MAX], mount[2 * DEV_PATH_MAX];
	char mgmt[DEV_MGMT_TEXT];
	json_t *o, *names = json_array();
	unsigned int i;
	int ret;

	dev_path(c, "weft", ".conf", config);
	dev_path(c, "secret", "", secret);
	for (i = 0; i < c->nmembers; i++)
		json_array_append_new(names, json_string(c->members[i].name));
	dev_mgmt(c, mgmt);
	if (access(secret, F_OK))
		snprintf(mount, sizeof(mount), "mount -t weft %s:/ /mnt", mgmt);
	else
		snprintf(mount, sizeof(mount), "mount -t weft %s:/ /mnt -o secretfile=%s", mgmt,
			 secret);
	o = json_pack("{s:s, s:s, s:o, s:s, s:s}", "dir", c->dir, "mgmt", mgmt,
		      "daemons", names, "config", config, "mount", mount);
	ret = o ? weft_report_object(o, lines, cmd->json) : -ENOMEM;
	json_decref(o);
	return ret ? weft_say(WEFT_EXIT_FAILED, "cannot write") : 0;
}

int weft_cmd_dev_up(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		WEFT_COMMON_OPTIONS,
		{ "dir", required_argument, NULL, OPT_DIR },
		{ "mgmts", required_argument, NULL, OPT_MGMT },
		{ "mds", required_argument, NULL, OPT_MDS },
		{ "oss", required_argument, NULL, OPT_OSS },
		{ "ost-size", required_argument, NULL, OPT_OST_SIZE },
		{ "listen", required_argument, NULL, OPT_LISTEN },
		{ "rdma", required_argument, NULL, OPT_RDMA },
		{ "net", required_argument, NULL, OPT_NET },
		{ "port-base", required_argument, NULL, OPT_PORT_BASE },
		{ "lease-ms", required_argument, NULL, OPT_LEASE },
		{ "secret", no_argument, NULL, OPT_SECRET },
		{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
		{ "wait", required_argument, NULL, OPT_WAIT },
		{ NULL, 0, NULL, 0 },
	};
	struct dev_cluster c;
	struct dev_args a;
	int status;

	if (!parse(cmd, &a, argc, argv, options, &status))
		return status;
	if (optind < argc)
		return weft_say(WEFT_EXIT_USAGE, "what is \"%s\"? --help tells more", argv[optind]);
	status = dev_set_dir(&c, a.dir);
	if (!status)
		status = dev_load(&c, false);
	if (!status && !c.nmembers)
		status = dev_create(&c, &a.spec);
	else if (!status && ((a.mgmt_given && a.spec.mgmt != dev_count(&c, DEV_MGMT)) ||
			     (a.mds_given && a.spec.mds != dev_count(&c, DEV_MDS)) ||
			     (a.oss_given && a.spec.oss != dev_count(&c, DEV_OSS))))
		status = weft_say(WEFT_EXIT_USAGE, "%s: there is a cluster of %u daemons already",
				  c.dir, c.nmembers);
	if (!status)
		status = bring_up(&c, a.wait_s);
	return status ? status : print_up(cmd, &c);
}

/* ---- down, status */

static const struct option dir_options[] = {
	WEFT_COMMON_OPTIONS,
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "destroy", no_argument, NULL, OPT_DESTROY },
	{ NULL, 0, NULL, 0 },
};

/* Servers first, management last, so that they can say that they leave. */
static int bring_down(const struct dev_cluster *c)
{
	unsigned int i = c->nmembers;
	int status = 0, ret;

	while (i--) {
		const struct dev_member *m = &c->members[i];

		ret = dev_stop(c, m, SIGTERM, TERM_MS);
		if (ret == -ETIMEDOUT) {
			status = weft_say(WEFT_EXIT_FAILED, "%s did not end within %d s; killed",
					  m->name, TERM_MS / 1000);
			ret = dev_stop(c, m, SIGKILL, KILL_MS);
		}
		if (ret)
			status = weft_say(WEFT_EXIT_FAILED, "%s: cannot stop: %s", m->name,
					  strerror(-ret));
	}
	return status;
}

int weft_cmd_dev_down(struct weft_cmd *cmd, int argc, char **argv)
{
	struct dev_cluster c;
	struct dev_args a;
	int status;

	if (!parse(cmd, &a, argc, argv, dir_options, &status))
		return status;
	if (optind < argc)
		return weft_say(WEFT_EXIT_USAGE, "what is \"%s\"? --help tells more", argv[optind]);
	status = dev_set_dir(&c, a.dir);
	if (!status)
		status = dev_load(&c, true);
	if (!status)
		status = bring_down(&c);
	if (!status && a.destroy)
		status = dev_destroy(&c);
	return status;
}

int weft_cmd_dev_status(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct weft_column columns[] = {
		{ "name", "NAME", 0 },	     { "running", "RUNNING", 0 }, { "pid", "PID", 0 },
		{ "address", "ADDRESS", 0 }, { "log", "LOG", 0 },	  { NULL, NULL, 0 },
	};
	char log[DEV_PATH_MAX];
	struct dev_cluster c;
	struct dev_args a;
	bool all = true;
	unsigned int i;
	json_t *rows;
	int status;

	if (!parse(cmd, &a, argc, argv, dir_options, &status))
		return status;
	if (a.destroy || optind < argc)
		return weft_say(WEFT_EXIT_USAGE, "too many arguments; --help tells more");
	status = dev_set_dir(&c, a.dir);
	if (!status)
		status = dev_load(&c, true);
	if (status)
		return status;
	rows = json_array();
	for (i = 0; i < c.nmembers; i++) {
		const struct dev_member *m = &c.members[i];
		pid_t pid = dev_pid(&c, m);
		json_t *row = json_pack("{s:s, s:b, s:s, s:s}", "name", m->name, "running", !!pid,
					"address", m->address, "log",
					dev_path(&c, m->name, ".log", log));

		if (pid)
			json_object_set_new(row, "pid", json_integer(pid));
		all &= !!pid;
		json_array_append_new(rows, row);
	}
	status = weft_report_rows(rows, columns, cmd->json) ? WEFT_EXIT_FAILED : 0;
	json_decref(rows);
	return status ? status : all ? WEFT_EXIT_OK : WEFT_EXIT_FAILED;
}

/* ---- kill, restart */

static const struct option one_options[] = {
	WEFT_COMMON_OPTIONS,
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "faults", required_argument, NULL, OPT_FAULTS },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ NULL, 0, NULL, 0 },
};

/* The boot number that management knows of a node, 0: none. */
static uint64_t boot_of(const Weft__Listing *l, const char *name, bool *up)
{
	size_t i;

	for (i = 0; i < l->n_nodes; i++) {
		if (strcmp(l->nodes[i]->name, name))
			continue;
		*up = l->nodes[i]->up;
		return l->nodes[i]->boot;
	}
	*up = false;
	return 0;
}

struct reboot {
	const char *name;
	uint64_t old;
};

static bool rebooted(const struct dev_cluster *c, const Weft__Listing *l, const Weft__Status *s,
		     void *arg)
{
	const struct reboot *r = arg;
	bool up;

	(void)s;
	(void)c;
	return boot_of(l, r->name, &up) != r->old && up;
}

static bool answers(const struct dev_cluster *c, const Weft__Listing *l, const Weft__Status *s,
		    void *arg)
{
	(void)c;
	(void)l;
	(void)arg;
	return s->fsid.len == 16;
}

/* Remembers the boot number before the restart; management may be away. */
static bool note_boot(const struct dev_cluster *c, const Weft__Listing *l, const Weft__Status *s,
		      void *arg)
{
	struct reboot *r = arg;
	bool up;

	(void)c;
	(void)s;
	r->old = boot_of(l, r->name, &up);
	return true;
}

static int restart(const struct dev_cluster *c, const struct dev_member *m,
		   const struct dev_args *a)
{
	uint64_t deadline = now_ms() + a->wait_s * 1000ull;
	struct reboot r = { .name = m->name };
	char err[WEFT_ADMIN_ERR_MAX];
	int ret;

	if (m->kind != DEV_MGMT && a->wait_s)
		holds(c, note_boot, &r, err);
	ret = dev_stop(c, m, SIGKILL, KILL_MS);
	if (ret)
		return weft_say(WEFT_EXIT_FAILED, "%s: cannot kill: %s", m->name, strerror(-ret));
	ret = dev_start(c, m, a->faults);
	if (ret || !a->wait_s)
		return ret;
	return wait_for(c, m, m->name, m->kind == DEV_MGMT ? answers : rebooted, &r, deadline);
}

static int for_each_name(struct weft_cmd *cmd, int argc, char **argv, bool start)
{
	const struct dev_member *m;
	struct dev_cluster c;
	struct dev_args a;
	int status, ret;

	if (!parse(cmd, &a, argc, argv, one_options, &status))
		return status;
	if (optind == argc)
		return weft_say(WEFT_EXIT_USAGE, "which one? A name such as mds1 is needed");
	status = dev_set_dir(&c, a.dir);
	if (!status)
		status = dev_load(&c, true);
	for (; optind < argc && !status; optind++) {
		m = dev_member(&c, argv[optind]);
		if (!m)
			return weft_say(WEFT_EXIT_USAGE, "%s: no daemon \"%s\" there", c.dir,
					argv[optind]);
		if (start) {
			status = restart(&c, m, &a);
			continue;
		}
		ret = dev_stop(&c, m, SIGKILL, KILL_MS);
		if (ret)
			status = weft_say(WEFT_EXIT_FAILED, "%s: cannot kill: %s", m->name,
					  strerror(-ret));
	}
	return status;
}

int weft_cmd_dev_kill(struct weft_cmd *cmd, int argc, char **argv)
{
	return for_each_name(cmd, argc, argv, false);
}

int weft_cmd_dev_restart(struct weft_cmd *cmd, int argc, char **argv)
{
	return for_each_name(cmd, argc, argv, true);
}
