// SPDX-License-Identifier: Apache-2.0
/*
 * mds_fsck DIR...: check the namespace of a file system, given the directories of all its
 * metadata targets. The stores are opened for reading; the servers may run when nothing changes
 * meanwhile.
 *
 * Prints what it counted and the first thing that is wrong. Exit status: 0 all is well, nothing is
 * pending; 1 it is not consistent; 2 a store cannot be read; 3 consistent, but something is
 * pending.
 */
#include <stdio.h>

#include "tests/unit/mds/fsck.c"

#define DIRS_MAX 64

int main(int argc, char **argv)
{
	struct weft_kv *kvs[DIRS_MAX];
	char err[WEFT_KV_ERR_MAX], path[4096];
	struct fsck f;
	int i, n = 0, ret;

	if (argc < 2 || argc > DIRS_MAX) {
		fprintf(stderr, "usage: mds_fsck DIR...\n");
		return 2;
	}
	for (i = 1; i < argc; i++) {
		snprintf(path, sizeof(path), "%s/db", argv[i]);
		if (mds_store_read(path, &kvs[n], err)) {
			fprintf(stderr, "mds_fsck: %s\n", err);
			return 2;
		}
		n++;
	}
	ret = fsck_run(kvs, n, &f);
	while (n)
		weft_kv_close(kvs[--n]);
	printf("%lu inodes, %lu entries, %lu orphans, %lu pending, %lu errors\n", f.inodes,
	       f.entries, f.orphans, f.pending, f.errors);
	if (f.errors)
		printf("mds_fsck: %s\n", f.complaint);
	return ret ? 2 : f.errors ? 1 : f.pending ? 3 : 0;
}
