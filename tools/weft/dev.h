/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster in one directory: its members, their files, their processes.
 *
 *   DIR/weft.conf                     the tools' configuration; written last
 *   DIR/secret                        when there is one
 *   DIR/NAME.conf NAME.log NAME.pid   of each daemon; NAME is mgmt1.., mds1.., oss1..
 *   DIR/NAME/                         its target
 */
#ifndef WEFT_TOOLS_WEFT_DEV_H
#define WEFT_TOOLS_WEFT_DEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEV_DIR_MAX 768
#define DEV_PATH_MAX 1024
#define DEV_NAME_MAX 16
#define DEV_MGMT_MAX 5
#define DEV_MEMBERS_MAX (DEV_MGMT_MAX + 64)
#define DEV_ADDRESS_MAX 80
#define DEV_MGMT_TEXT 512 /* DEV_MGMT_MAX addresses and some words */
#define DEV_RDMA_MAX 4 /* rdma rails of a server */

enum dev_kind { DEV_MGMT, DEV_MDS, DEV_OSS };

/**
 * struct dev_member - a daemon of the cluster
 * @kind: which program
 * @name: its name
 * @address: where it listens
 * @rdma: where it listens over RDMA, with commas; empty: nowhere, or not known
 */
struct dev_member {
	enum dev_kind kind;
	char name[DEV_NAME_MAX];
	char address[DEV_ADDRESS_MAX];
	char rdma[DEV_RDMA_MAX * DEV_ADDRESS_MAX];
};

/**
 * struct dev_cluster - a cluster
 * @dir: absolute path
 * @members: its daemons, management first
 * @nmembers: how many
 */
struct dev_cluster {
	char dir[DEV_DIR_MAX];
	struct dev_member members[DEV_MEMBERS_MAX];
	unsigned int nmembers;
};

/**
 * struct dev_spec - what to make
 * @mgmt: management servers
 * @mds: metadata servers
 * @oss: object storage servers
 * @listen: address of all
 * @rdma: addresses, with commas, of network devices with RDMA where servers listen too; or NULL
 * @net: rails that servers take to each other, NULL: tcp
 * @port_base: first port, 0: free ones
 * @ost_size: bytes of data on each object target
 * @lease_ms: lease of servers and of clients, 0: default
 * @secret: make a secret
 * @log_level: level of all logs
 */
struct dev_spec {
	uint32_t mgmt, mds, oss;
	const char *listen;
	const char *rdma;
	const char *net;
	uint32_t port_base;
	uint64_t ost_size;
	uint32_t lease_ms;
	bool secret;
	const char *log_level;
};

/* Each returns 0 or an exit status, after a message. */

/* dev_set_dir() - use the directory of --dir, of $WEFT_DEV, or the default */
int dev_set_dir(struct dev_cluster *c, const char *dir);

/* dev_load() - find the cluster that is in the directory; @must: an absent one is an error */
int dev_load(struct dev_cluster *c, bool must);

/* dev_create() - make directories, configurations and targets of a new cluster */
int dev_create(struct dev_cluster *c, const struct dev_spec *spec);

/* dev_destroy() - remove the directory and what dev_create() and the daemons made in it */
int dev_destroy(const struct dev_cluster *c);

/* dev_member() - the member of a name, or NULL */
const struct dev_member *dev_member(const struct dev_cluster *c, const char *name);

/* dev_count() - members of a kind */
unsigned int dev_count(const struct dev_cluster *c, enum dev_kind kind);

/* dev_mgmt() - addresses of the management servers, separated by commas */
const char *dev_mgmt(const struct dev_cluster *c, char buf[DEV_MGMT_TEXT]);

/* dev_path() - path of DIR/NAMEsuffix */
const char *dev_path(const struct dev_cluster *c, const char *name, const char *suffix,
		     char buf[DEV_PATH_MAX]);

/* dev_pid() - process of a member, 0 when it does not run */
pid_t dev_pid(const struct dev_cluster *c, const struct dev_member *m);

/* dev_start() - start a member that does not run; @faults: its fault points or NULL */
int dev_start(const struct dev_cluster *c, const struct dev_member *m, const char *faults);

/**
 * dev_stop() - send a signal and wait for the end
 * @c: the cluster
 * @m: the member
 * @signo: the signal
 * @timeout_ms: how long to wait
 *
 * Return: 0 when it does not run (any more), -ETIMEDOUT, or another negative errno.
 */
int dev_stop(const struct dev_cluster *c, const struct dev_member *m, int signo, int timeout_ms);

/* dev_show_log() - the last lines of a member's log, to stderr */
void dev_show_log(const struct dev_cluster *c, const struct dev_member *m);

#endif
