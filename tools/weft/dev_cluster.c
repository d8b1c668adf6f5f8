// SPDX-License-Identifier: Apache-2.0
/*
 * The files of a cluster in one directory.
 *
 * A cluster is made in an empty or absent directory; weft.conf is written last and marks it as
 * complete. A directory with anything else in it is refused. Ports are chosen by binding to them
 * all at once, then let go: somebody else may take one before the daemon does, which the daemon
 * then tells.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"
#include "common/sockaddr.h"
#include "common/target.h"
#include "common/uuid.h"
#include "tools/weft/dev.h"
#include "tools/weft/weft.h"

static const char *const kind_names[] = { "mgmt", "mds", "oss" };
static const int target_kinds[] = { WEFT_MGT, WEFT_MDT, WEFT_OST };

const char *dev_path(const struct dev_cluster *c, const char *name, const char *suffix,
		     char buf[DEV_PATH_MAX])
{
	snprintf(buf, DEV_PATH_MAX, "%s/%s%s", c->dir, name, suffix);
	return buf;
}

const struct dev_member *dev_member(const struct dev_cluster *c, const char *name)
{
	unsigned int i;

	for (i = 0; i < c->nmembers; i++)
		if (!strcmp(c->members[i].name, name))
			return &c->members[i];
	return NULL;
}

unsigned int dev_count(const struct dev_cluster *c, enum dev_kind kind)
{
	unsigned int i, n = 0;

	for (i = 0; i < c->nmembers; i++)
		n += c->members[i].kind == kind;
	return n;
}

const char *dev_mgmt(const struct dev_cluster *c, char buf[DEV_MGMT_TEXT])
{
	unsigned int i;
	int len = 0;

	buf[0] = 0;
	for (i = 0; i < c->nmembers && c->members[i].kind == DEV_MGMT; i++)
		len += snprintf(buf + len, DEV_MGMT_TEXT - len, "%s%s", i ? "," : "",
				c->members[i].address);
	return buf;
}

int dev_set_dir(struct dev_cluster *c, const char *dir)
{
	const char *env = getenv("WEFT_DEV");
	char cwd[PATH_MAX] = "";
	int n;

	if (!dir)
		dir = env && *env ? env : "/var/tmp/weft-dev";
	if (dir[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return weft_say(WEFT_EXIT_FAILED, "current directory: %s", strerror(errno));
	n = snprintf(c->dir, sizeof(c->dir), "%s%s%s", cwd, cwd[0] ? "/" : "", dir);
	if (n >= (int)sizeof(c->dir))
		return weft_say(WEFT_EXIT_USAGE, "%.60s...: path is too long", dir);
	return 0;
}

/* ---- loading */

/* Reads the address out of a member's configuration. Return: 0, -ENOENT, or a negative errno. */
static int load_address(const struct dev_cluster *c, struct dev_member *m)
{
	char path[DEV_PATH_MAX], line[256];
	FILE *f = fopen(dev_path(c, m->name, ".conf", path), "re");
	int ret = -EINVAL;

	if (!f)
		return -errno;
	while (ret && fgets(line, sizeof(line), f))
		if (sscanf(line, "listen = %79s", m->address) == 1)
			ret = 0;
	fclose(f);
	return ret;
}

static int load_kind(struct dev_cluster *c, enum dev_kind kind)
{
	struct dev_member *m;
	unsigned int i;
	int ret;

	for (i = 1; c->nmembers < DEV_MEMBERS_MAX; i++) {
		m = &c->members[c->nmembers];
		m->kind = kind;
		snprintf(m->name, sizeof(m->name), "%s%u", kind_names[kind], i);
		ret = load_address(c, m);
		if (ret == -ENOENT)
			return 0;
		if (ret)
			return weft_say(WEFT_EXIT_FAILED, "%s/%s.conf: %s", c->dir, m->name,
					strerror(-ret));
		c->nmembers++;
	}
	return 0;
}

int dev_load(struct dev_cluster *c, bool must)
{
	char path[DEV_PATH_MAX];
	enum dev_kind kind;
	int status = 0;

	c->nmembers = 0;
	if (access(dev_path(c, "weft", ".conf", path), R_OK)) {
		if (!must && errno == ENOENT)
			return 0;
		return weft_say(WEFT_EXIT_FAILED, "%s: no cluster there (weft dev up makes one)",
				c->dir);
	}
	for (kind = DEV_MGMT; kind <= DEV_OSS && !status; kind++)
		status = load_kind(c, kind);
	return status;
}

/* ---- making */

static int make_directory(const struct dev_cluster *c)
{
	struct dirent *de;
	int n = 0;
	DIR *dir;

	if (mkdir(c->dir, 0755) && errno != EEXIST)
		return weft_say(WEFT_EXIT_FAILED, "%s: %s", c->dir, strerror(errno));
	dir = opendir(c->dir);
	if (!dir)
		return weft_say(WEFT_EXIT_FAILED, "%s: %s", c->dir, strerror(errno));
	while ((de = readdir(dir)))
		n += strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
	closedir(dir);
	if (n)
		return weft_say(WEFT_EXIT_FAILED,
				"%s: holds something else than a complete cluster; remove it or "
				"give another --dir",
				c->dir);
	return 0;
}

/* Binds to a port (0: a free one) and tells which. Return: the socket or a negative errno. */
static int take_port(const char *ip, uint32_t *port)
{
	struct sockaddr_storage ss;
	int fd, one = 1, ret, addrlen = weft_sockaddr(ip, *port, &ss);
	socklen_t len = sizeof(ss);

	if (addrlen < 0)
		return addrlen;
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&ss, addrlen) ||
	    getsockname(fd, (struct sockaddr *)&ss, &len)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*port = ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port :
						((struct sockaddr_in6 *)&ss)->sin6_port);
	return fd;
}

/* struct ports - the sockets that keep chosen ports taken until all are chosen */
struct ports {
	int fds[(1 + DEV_RDMA_MAX) * DEV_MEMBERS_MAX + DEV_MGMT_MAX];
	unsigned int n;
};

/* Finds a port of @ip (@port 0: any) and keeps it taken. */
static int choose_port(struct ports *p, const char *ip, uint32_t port,
		       char address[DEV_ADDRESS_MAX])
{
	int fd = take_port(ip, &port);

	if (fd < 0)
		return weft_say(WEFT_EXIT_FAILED, "cannot listen on %s port %u: %s", ip, port,
				strerror(-fd));
	p->fds[p->n++] = fd;
	snprintf(address, DEV_ADDRESS_MAX, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
	return 0;
}

/*
 * A free port at each address of @list. iWARP shares its ports with TCP: one that TCP has free
 * suits every device.
 */
static int choose_rdma(struct ports *p, const char *list, char *rdma)
{
	char ip[DEV_ADDRESS_MAX], address[DEV_ADDRESS_MAX];
	unsigned int rails = 0;
	int ret, status;

	while ((ret = weft_config_split(&list, ip, sizeof(ip))) > 0) {
		if (rails == DEV_RDMA_MAX)
			return weft_say(WEFT_EXIT_USAGE, "--rdma: more than %u addresses",
					DEV_RDMA_MAX);
		status = choose_port(p, ip, 0, address);
		if (status)
			return status;
		if (rails++)
			strcat(rdma, ",");
		strcat(rdma, address);
	}
	return ret ? weft_say(WEFT_EXIT_USAGE, "--rdma: an address is too long") : 0;
}

/*
 * An address for each daemon, one more for RDMA if wanted, one more for the log of each of several
 * management servers, which the raft library takes as IPv4 only.
 */
static int choose_ports(struct dev_cluster *c, const struct dev_spec *spec,
			char logs[DEV_MGMT_MAX][DEV_ADDRESS_MAX])
{
	const char *log_ip = strchr(spec->listen, ':') ? "127.0.0.1" : spec->listen;
	unsigned int i, nlogs = spec->mgmt > 1 ? spec->mgmt : 0;
	struct ports p = { .n = 0 };
	uint32_t base = spec->port_base;
	int status = 0;

	for (i = 0; i < c->nmembers && !status; i++) {
		struct dev_member *m = &c->members[i];

		status = choose_port(&p, spec->listen, base ? base + i : 0, m->address);
		m->rdma[0] = 0;
		if (!status && spec->rdma && m->kind != DEV_MGMT)
			status = choose_rdma(&p, spec->rdma, m->rdma);
	}
	for (i = 0; i < nlogs && !status; i++)
		status = choose_port(&p, log_ip, base ? base + c->nmembers + i : 0, logs[i]);
	while (p.n)
		close(p.fds[--p.n]);
	return status;
}

__attribute__((format(printf, 3, 4))) static int write_file(const char *path, int mode,
							    const char *fmt, ...)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode), ret;
	va_list ap;

	if (fd < 0)
		return weft_say(WEFT_EXIT_FAILED, "%s: %s", path, strerror(errno));
	va_start(ap, fmt);
	ret = vdprintf(fd, fmt, ap);
	va_end(ap);
	if (close(fd) || ret < 0)
		return weft_say(WEFT_EXIT_FAILED, "%s: %s", path, strerror(errno));
	return 0;
}

static int write_secret(const struct dev_cluster *c)
{
	char path[DEV_PATH_MAX], hex[65];
	uint8_t raw[32];
	int i;

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return weft_say(WEFT_EXIT_FAILED, "the system has no random numbers");
	for (i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", raw[i]);
	return write_file(dev_path(c, "secret", "", path), 0600, "%s\n", hex);
}

/* What a management server's [mgmt] says of its fellows: all log addresses, its own place. */
static void describe_raft(const struct dev_spec *spec, char logs[DEV_MGMT_MAX][DEV_ADDRESS_MAX],
			  unsigned int id, char buf[DEV_MGMT_TEXT])
{
	int len = snprintf(buf, DEV_MGMT_TEXT, "id = %u\nraft = ", id);
	unsigned int i;

	for (i = 0; i < spec->mgmt; i++)
		len += snprintf(buf + len, DEV_MGMT_TEXT - len, "%s%s", i ? "," : "", logs[i]);
	snprintf(buf + len, DEV_MGMT_TEXT - len, "\n");
}

static int write_member(const struct dev_cluster *c, const struct dev_member *m,
			const struct dev_spec *spec, char logs[DEV_MGMT_MAX][DEV_ADDRESS_MAX])
{
	char path[DEV_PATH_MAX], target[DEV_PATH_MAX], auth[DEV_PATH_MAX + 64] = "";
	char lease[64] = "", mgmt[DEV_MGMT_TEXT], raft[DEV_MGMT_TEXT] = "";
	char rdma[sizeof(m->rdma) + 32] = "", net[32] = "";

	if (spec->secret)
		snprintf(auth, sizeof(auth), "[auth]\nsecretfile = %s/secret\n", c->dir);
	if (spec->lease_ms)
		snprintf(lease, sizeof(lease), "lease_ms = %u\n", spec->lease_ms);
	if (m->rdma[0])
		snprintf(rdma, sizeof(rdma), "listen_rdma = %s\n", m->rdma);
	if (spec->net && m->kind != DEV_MGMT)
		snprintf(net, sizeof(net), "net = %s\n", spec->net);
	if (m->kind == DEV_MGMT && spec->mgmt > 1)
		describe_raft(spec, logs, m - c->members + 1, raft);
	/* Management grants leases to servers, metadata servers to clients. */
	return write_file(dev_path(c, m->name, ".conf", path), 0644,
			  "[node]\nname = %s\nlisten = %s\n%s%s%s[mgmt]\naddresses = %s\n%s%s"
			  "[target %s]\npath = %s\n[log]\nlevel = %s\n%s",
			  m->name, m->address, rdma, net, m->kind == DEV_MDS ? lease : "",
			  dev_mgmt(c, mgmt), m->kind == DEV_MGMT ? lease : "", raft, m->name,
			  dev_path(c, m->name, "", target), spec->log_level, auth);
}

static int format_member(const struct dev_cluster *c, const struct dev_member *m,
			 const struct dev_spec *spec, const uint8_t fsid[16])
{
	struct weft_target t = { .kind = target_kinds[m->kind], .fd = -1 };
	char err[WEFT_TARGET_ERR_MAX];
	int ret;

	dev_path(c, m->name, "", t.path);
	memcpy(t.fsid, fsid, 16);
	strcpy(t.fs_name, "dev");
	if (m->kind == DEV_OSS)
		t.data_size = spec->ost_size;
	ret = weft_target_format(&t, 0, err);
	return ret ? weft_say(WEFT_EXIT_FAILED, "%s", err[0] ? err : strerror(-ret)) : 0;
}

static int write_tools_conf(const struct dev_cluster *c, bool secret)
{
	char path[DEV_PATH_MAX], auth[DEV_PATH_MAX + 64] = "", mgmt[DEV_MGMT_TEXT];

	if (secret)
		snprintf(auth, sizeof(auth), "[auth]\nsecretfile = %s/secret\n", c->dir);
	return write_file(dev_path(c, "weft", ".conf", path), 0644, "[mgmt]\naddresses = %s\n%s",
			  dev_mgmt(c, mgmt), auth);
}

static void name_members(struct dev_cluster *c, const struct dev_spec *spec)
{
	const uint32_t count[] = { spec->mgmt, spec->mds, spec->oss };
	enum dev_kind kind;
	uint32_t i;

	c->nmembers = 0;
	for (kind = DEV_MGMT; kind <= DEV_OSS; kind++) {
		for (i = 1; i <= count[kind]; i++) {
			struct dev_member *m = &c->members[c->nmembers++];

			m->kind = kind;
			snprintf(m->name, sizeof(m->name), "%s%u", kind_names[kind], i);
		}
	}
}

int dev_create(struct dev_cluster *c, const struct dev_spec *spec)
{
	char logs[DEV_MGMT_MAX][DEV_ADDRESS_MAX];
	uint8_t fsid[16];
	unsigned int i;
	int status;

	name_members(c, spec);
	status = make_directory(c);
	if (!status)
		status = choose_ports(c, spec, logs);
	if (!status && weft_uuid_random(fsid))
		status = weft_say(WEFT_EXIT_FAILED, "the system has no random numbers");
	if (!status && spec->secret)
		status = write_secret(c);
	for (i = 0; i < c->nmembers && !status; i++) {
		status = write_member(c, &c->members[i], spec, logs);
		if (!status)
			status = format_member(c, &c->members[i], spec, fsid);
	}
	return status ? status : write_tools_conf(c, spec->secret);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) ? -errno : 0;
}

int dev_destroy(const struct dev_cluster *c)
{
	if (nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		return weft_say(WEFT_EXIT_FAILED, "%s: cannot be removed", c->dir);
	return 0;
}
