// SPDX-License-Identifier: Apache-2.0
/*
 * mount.weft: what mount(8) runs for -t weft.
 *
 * Normal operation: sort the options, resolve the names of the management servers, read the secret,
 * and mount by fsopen(2), fsconfig(2), fsmount(2) and move_mount(2). The secret goes to the kernel
 * as a binary parameter: it is neither on a command line nor in /proc/mounts. When the kernel
 * refuses, what it says in the context's log is printed.
 *
 * Exit status as mount(8) wants it: 0 mounted; 1 wrong command line; 2 system error; 32 the mount
 * failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/conf.h"
#include "proto/wire.h"
#include "tools/mount.weft/mount.h"

enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

static const char help[] =
	"usage: mount -t weft HOST[:PORT][,HOST...]:/[DIR] MOUNTPOINT [-o OPTIONS]\n"
	"       mount.weft [-fnrsvw] SOURCE MOUNTPOINT [-o OPTIONS]\n"
	"\n"
	"HOST are the management servers. Options besides those of every mount:\n"
	"\n"
	"  secretfile=FILE  secret of the cluster; default: the one of the configuration\n"
	"  config=FILE      configuration; default $WEFT_CONF, else /etc/weft/weft.conf\n"
	"  net=auto|tcp|rdma   transport; auto: RDMA, and TCP while no RDMA works\n"
	"  rails=SUBNET[+...]  use only addresses of servers in these subnets\n"
	"  conns=N          connections to each address of a target\n"
	"  port=N           port of HOSTs without one, default 7420\n"
	"  checksum         protect data on the wire by checksums\n"
	"\n"
	"Unknown options are refused. Exit status: 0 mounted, 1 wrong command line, 2 system error,\n"
	"32 the mount failed.\n";

struct args {
	const char *source, *dir;
	struct mount_options o;
	struct weft_secret secret;
	bool fake, verbose;
	char mgmt[1024];
};

static int complain(int status, const char *sentence)
{
	fprintf(stderr, "mount.weft: %s\n", sentence);
	return status;
}

static int parse(struct args *a, int argc, char **argv)
{
	char err[MOUNT_ERR_MAX];
	int opt;

	a->o.port = WEFT_DEFAULT_PORT;
	while ((opt = getopt(argc, argv, "fhnrsvwo:t:N:")) != -1) {
		switch (opt) {
		case 'f':
			a->fake = true;
			break;
		case 'v':
			a->verbose = true;
			break;
		case 'r':
			mount_options_parse(strdupa("ro"), &a->o, err);
			break;
		case 'w':
			mount_options_parse(strdupa("rw"), &a->o, err);
			break;
		case 'o':
			if (mount_options_parse(optarg, &a->o, err))
				return complain(EXIT_USAGE, err);
			break;
		case 'n': /* there is no mtab to write */
		case 's': /* unknown options are refused all the same */
		case 't':
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			fputs(help, stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 2) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	a->source = argv[optind];
	a->dir = argv[optind + 1];
	return 0;
}

/* The secret: of secretfile=, else of the configuration when there is one. */
static int find_secret(struct args *a)
{
	char err[WEFT_CONFIG_ERR_MAX];
	struct weft_conf conf;

	if (a->o.secretfile) {
		if (weft_secret_read(a->o.secretfile, &a->secret, err))
			return complain(EXIT_MOUNT, err);
		return 0;
	}
	if (weft_conf_load(a->o.config, NULL, &conf, err))
		return complain(EXIT_MOUNT, err);
	a->secret = conf.secret;
	weft_secret_wipe(&conf.secret);
	return 0;
}

/* What the kernel says in a context's log: "e sentence", "w sentence", "i sentence". */
static bool print_log(int fs, bool verbose)
{
	bool said = false;
	char line[1024];
	ssize_t n;

	while ((n = read(fs, line, sizeof(line) - 1)) > 0) {
		line[n] = 0;
		if (line[n - 1] == '\n')
			line[n - 1] = 0;
		if (line[0] == 'i' && !verbose)
			continue;
		fprintf(stderr, "mount.weft: %s\n", n > 2 && line[1] == ' ' ? line + 2 : line);
		said = true;
	}
	return said;
}

static int fail(const struct args *a, int fs, const char *what)
{
	int err = errno;

	if (fs >= 0)
		print_log(fs, a->verbose);
	fprintf(stderr, "mount.weft: %s on %s: %s: %s (%s)\n", a->source, a->dir, what,
		strerror(err), strerrorname_np(err));
	return EXIT_MOUNT;
}

static int set_params(const struct args *a, int fs)
{
	unsigned int i;

	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", a->source, 0))
		return fail(a, fs, "source");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "mgmt", a->mgmt, 0))
		return fail(a, fs, "mgmt");
	for (i = 0; i < a->o.nparams; i++) {
		const struct mount_param *p = &a->o.params[i];

		if (fsconfig(fs, p->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, p->key,
			     p->value, 0))
			return fail(a, fs, p->key);
	}
	if (a->o.attrs & MOUNT_ATTR_RDONLY && fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0))
		return fail(a, fs, "ro");
	if (a->secret.len && fsconfig(fs, FSCONFIG_SET_BINARY, "secret", a->secret.data,
				      a->secret.len))
		return fail(a, fs, "secret");
	return 0;
}

static int attach(const struct args *a, int fs)
{
	int mnt = fsmount(fs, FSMOUNT_CLOEXEC, a->o.attrs), status = 0;

	if (mnt < 0)
		return fail(a, fs, "mount");
	if (move_mount(mnt, "", AT_FDCWD, a->dir, MOVE_MOUNT_F_EMPTY_PATH))
		status = fail(a, -1, "mount point");
	close(mnt);
	return status;
}

static int do_mount(const struct args *a)
{
	int fs = fsopen("weft", FSOPEN_CLOEXEC), status;

	if (fs < 0 && errno == ENODEV)
		return complain(EXIT_SYSTEM, "this kernel does not know weft; load the module "
					     "(modprobe weft, or insmod weft.ko)");
	if (fs < 0)
		return fail(a, -1, "fsopen");
	status = set_params(a, fs);
	if (!status && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		status = fail(a, fs, "mount");
	if (!status)
		status = attach(a, fs);
	if (!status)
		print_log(fs, a->verbose);
	close(fs);
	return status;
}

/* Is an option among those that /proc/mounts shows? mount(8) gives them all again. */
static bool is_present(const char *present, const struct mount_param *p)
{
	size_t key = strlen(p->key), len;

	for (; *present; present += len + (present[len] == ',')) {
		len = strcspn(present, ",");
		if (len < key || strncmp(present, p->key, key))
			continue;
		if (!p->value && len == key)
			return true;
		if (p->value && present[key] == '=' && strlen(p->value) == len - key - 1 &&
		    !strncmp(present + key + 1, p->value, len - key - 1))
			return true;
	}
	return false;
}

/* The options of a mount point, as /proc/mounts shows them. */
static void find_present(const char *dir, char *present, size_t len)
{
	char real[PATH_MAX];
	struct mntent *m;
	FILE *f;

	present[0] = 0;
	if (!realpath(dir, real))
		return;
	f = setmntent("/proc/mounts", "re");
	if (!f)
		return;
	while ((m = getmntent(f)))
		if (!strcmp(m->mnt_dir, real))
			snprintf(present, len, "%s", m->mnt_opts);
	endmntent(f);
}

static int do_remount(const struct args *a)
{
	char present[4096];
	unsigned int i;

	find_present(a->dir, present, sizeof(present));
	for (i = 0; i < a->o.nparams; i++) {
		if (is_present(present, &a->o.params[i]))
			continue;
		fprintf(stderr, "mount.weft: %s: %s cannot be changed by a remount\n", a->dir,
			a->o.params[i].key);
		return EXIT_USAGE;
	}
	if (mount(a->source, a->dir, "weft", MS_REMOUNT | a->o.flags, NULL))
		return fail(a, -1, "remount");
	return 0;
}

int main(int argc, char **argv)
{
	struct args a = { 0 };
	char err[MOUNT_ERR_MAX];
	int status;

	status = parse(&a, argc, argv);
	if (status)
		return status;
	if (a.o.remount)
		return a.fake ? 0 : do_remount(&a);
	status = mount_resolve(a.source, a.o.port, a.mgmt, sizeof(a.mgmt), err);
	if (status)
		return complain(status == -EINVAL ? EXIT_USAGE : EXIT_MOUNT, err);
	status = find_secret(&a);
	if (status)
		return status;
	if (a.verbose)
		fprintf(stderr, "mount.weft: management servers: %s\n", a.mgmt);
	if (!a.fake)
		status = do_mount(&a);
	weft_secret_wipe(&a.secret);
	return status;
}
