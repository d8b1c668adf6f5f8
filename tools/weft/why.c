// SPDX-License-Identifier: Apache-2.0
/*
 * weft why: what do the mounts of this machine wait for?
 *
 * The kernel client lists its requests in debugfs, weft/<mount>/outstanding. They are shown in
 * words, those of one process or of one file when it is named, with the server's name and state
 * when management answers. Asking management may fail: the ids are shown then.
 *
 * A process that has no request of its own may stand behind one that has: in uninterruptible sleep
 * on a lock of the VFS, or in sync(2), whose pages are written by the kernel's threads. That is
 * said, and what ends the waiting.
 *
 * A path is looked up without asking the servers (AT_STATX_DONT_SYNC). Lines of debugfs that cannot
 * be understood are counted and told, not dropped silently.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/weft/weft.h"

#define DEBUGFS_DEFAULT "/sys/kernel/debug/weft"

#define LONG_MS 10000 /* longer than a request takes of a server that works */

enum { OPT_DEBUGFS = 256 };

/* What is looked for. */
struct wanted {
	const char *debugfs;
	bool pid_given, ino_given;
	long pid;
	unsigned long long ino;
};

/* A line of debugfs. */
struct waiting {
	char op[32], place[32];
	unsigned long long ino;
	unsigned int group, target, replays;
	long long ms;
	int pid;
};

static const struct {
	const char *place, *words;
} places[] = {
	{ "map", "a new cluster map: nobody leads the group in the present one" },
	{ "busy", "a conflicting operation elsewhere; it is tried again" },
	{ "session", "a session with the metadata server" },
	{ "slot", "a free request slot: many requests are under way" },
	{ "connection", "a connection to the server" },
	{ "reply", "the server's reply" },
	{ "idle", "nothing; it is being prepared" },
	{ "done", "nothing; it is over" },
};

static const char *in_words(const char *place)
{
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!strcmp(places[i].place, place))
			return places[i].words;
	return place;
}

static bool take_line(const char *line, struct waiting *w)
{
	return sscanf(line,
		      "%31s ino %llx group %u target %u waits %31s ms %lld pid %d replays %u",
		      w->op, &w->ino, &w->group, &w->target, w->place, &w->ms, &w->pid,
		      &w->replays) == 8;
}

/* Name of a process, of /proc. */
static const char *comm_of(int pid, char buf[64])
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(buf, 64, f))
		snprintf(buf, 64, "?");
	buf[strcspn(buf, "\n")] = 0;
	if (f)
		fclose(f);
	return buf;
}

/* Adds the name and state of the server of a target, when management told them. */
static void add_server(json_t *row, const Weft__Listing *l, uint32_t target)
{
	const Weft__Target *t = NULL;
	char text[128];
	size_t i;

	for (i = 0; l && i < l->n_targets; i++)
		if (l->targets[i]->id == target)
			t = l->targets[i];
	for (i = 0; t && i < l->n_nodes; i++) {
		if (l->nodes[i]->id != t->node)
			continue;
		snprintf(text, sizeof(text), "%s (%s)", l->nodes[i]->name,
			 t->up ? "up" : "down");
		json_object_set_new(row, "server", json_string(text));
	}
}

static json_t *row_of(const char *mount, const struct waiting *w, const Weft__Listing *l)
{
	char comm[64], ino[32];
	json_t *row;

	snprintf(ino, sizeof(ino), "%llx", w->ino);
	row = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:f, s:I}", "mount", mount, "pid",
			(json_int_t)w->pid, "process", comm_of(w->pid, comm), "operation", w->op,
			"inode", ino, "waits_for", in_words(w->place), "seconds", w->ms / 1000.0,
			"replays", (json_int_t)w->replays);
	if (!row)
		return NULL;
	json_object_set_new(row, "since_ms", json_integer(w->ms));
	if (w->target)
		json_object_set_new(row, "target", json_integer(w->target));
	add_server(row, l, w->target);
	return row;
}

/* Reads one mount's file. Return: lines that were not understood. */
static unsigned int read_mount(const struct wanted *want, const char *mount, json_t *rows,
			       const Weft__Listing *l)
{
	char path[1024], line[512];
	unsigned int strange = 0;
	struct waiting w;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/outstanding", want->debugfs, mount);
	f = fopen(path, "re");
	if (!f)
		return 0; /* unmounted meanwhile */
	while (fgets(line, sizeof(line), f)) {
		if (!take_line(line, &w))
			strange++;
		else if ((!want->pid_given || w.pid == want->pid) &&
			 (!want->ino_given || w.ino == want->ino))
			json_array_append_new(rows, row_of(mount, &w, l));
	}
	fclose(f);
	return strange;
}

static int read_all(const struct wanted *want, json_t *rows, const Weft__Listing *l)
{
	unsigned int strange = 0;
	struct dirent *de;
	DIR *dir = opendir(want->debugfs);

	if (!dir && errno == ENOENT)
		return weft_say(WEFT_EXIT_FAILED,
				"%s: no such directory; is the module loaded, and debugfs mounted?",
				want->debugfs);
	if (!dir)
		return weft_say(WEFT_EXIT_FAILED, "%s: %s", want->debugfs, strerror(errno));
	while ((de = readdir(dir)))
		if (de->d_name[0] != '.')
			strange += read_mount(want, de->d_name, rows, l);
	closedir(dir);
	if (strange)
		return weft_say(WEFT_EXIT_FAILED, "%u lines of %s could not be understood",
				strange, want->debugfs);
	return 0;
}

/* The servers' names; without them when management is not configured or does not answer. */
static Weft__AdminReply *ask_names(const struct weft_cmd *cmd)
{
	Weft__AdminRequest q = WEFT__ADMIN_REQUEST__INIT;
	Weft__ListRequest list = WEFT__LIST_REQUEST__INIT;
	char err[WEFT_ADMIN_ERR_MAX];
	Weft__AdminReply *rep = NULL;
	struct weft_admin *admin;
	struct weft_conf conf;

	if (weft_conf_load(cmd->config, cmd->mgmt, &conf, err) || !conf.mgmt[0] ||
	    weft_admin_open(conf.mgmt, &conf.secret, 1000, &admin, err))
		return NULL;
	q.op_case = WEFT__ADMIN_REQUEST__OP_LIST;
	q.list = &list;
	if (weft_admin_call(admin, &q, &rep, err))
		rep = NULL;
	weft_admin_close(admin);
	if (rep && rep->op_case != WEFT__ADMIN_REPLY__OP_LISTING) {
		weft__admin_reply__free_unpacked(rep, NULL);
		rep = NULL;
	}
	return rep;
}

static int take_object(struct wanted *want, const char *text)
{
	struct statx stx;
	char *end;

	want->pid = strtol(text, &end, 10);
	if (end != text && !*end) {
		want->pid_given = true;
		return 0;
	}
	if (statx(AT_FDCWD, text, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, STATX_INO, &stx))
		return weft_say(WEFT_EXIT_FAILED, "%s: %s", text, strerror(errno));
	want->ino_given = true;
	want->ino = stx.stx_ino;
	return 0;
}

/* State letter of a process, 0 if there is none. */
static char state_of(int pid)
{
	char path[64], line[512], state = 0, *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* The name may hold anything: what follows its last bracket counts. */
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (p && p[1] == ' ')
		state = p[2];
	fclose(f);
	return state;
}

static void say_nothing(const struct wanted *want)
{
	char comm[64];

	if (!want->pid_given || state_of((int)want->pid) != 'D') {
		puts("Nothing is waited for.");
		return;
	}
	printf("Process %ld (%s) sleeps and cannot be killed now, but has no request of its own: it\n"
	       "waits for the disk, for another process (a lock, see `weft why`), or in sync.\n",
	       want->pid, comm_of((int)want->pid, comm));
}

/* What can be done about it, once something has waited for long. */
static void say_way_out(const struct wanted *want, const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (json_integer_value(json_object_get(row, "since_ms")) < LONG_MS)
			continue;
		printf("\nThese processes can be killed. Others that wait for them then go on. To give up a\n"
		       "mount and all that waits in it: umount -f DIRECTORY, or when it has none any more:\n"
		       "echo 1 >%s/%s/abort\n", want->debugfs,
		       json_string_value(json_object_get(row, "mount")));
		return;
	}
}

static int show(const struct weft_cmd *cmd, const struct wanted *want)
{
	static const struct weft_column columns[] = {
		{ "mount", "MOUNT", 0 },	 { "pid", "PID", 0 },
		{ "process", "PROCESS", 0 },	 { "operation", "OPERATION", 0 },
		{ "inode", "INODE", 0 },	 { "since_ms", "MS", 0 },
		{ "server", "SERVER", 0 },	 { "target", "TARGET", 0 },
		{ "waits_for", "WAITS FOR", 0 }, { NULL, NULL, 0 },
	};
	Weft__AdminReply *names = ask_names(cmd);
	json_t *rows = json_array();
	int status = read_all(want, rows, names ? names->listing : NULL);

	if (!status && !cmd->json && !json_array_size(rows))
		say_nothing(want);
	else if (!status && weft_report_rows(rows, columns, cmd->json))
		status = weft_say(WEFT_EXIT_FAILED, "cannot write");
	else if (!status && !cmd->json)
		say_way_out(want, rows);
	json_decref(rows);
	if (names)
		weft__admin_reply__free_unpacked(names, NULL);
	return status;
}

int weft_cmd_why(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		WEFT_COMMON_OPTIONS,
		{ "debugfs", required_argument, NULL, OPT_DEBUGFS },
		{ NULL, 0, NULL, 0 },
	};
	struct wanted want = { .debugfs = DEBUGFS_DEFAULT };
	int opt, status;

	while ((opt = weft_getopt(cmd, argc, argv, options, &status)) != -1) {
		if (opt == -2)
			return status;
		want.debugfs = optarg;
	}
	if (argc - optind > 1)
		return weft_say(WEFT_EXIT_USAGE, "one process or one path");
	status = optind < argc ? take_object(&want, argv[optind]) : 0;
	return status ? status : show(cmd, &want);
}
