/* SPDX-License-Identifier: Apache-2.0 */
/* A checker of the namespace over all metadata targets of a file system, for tests. */
#ifndef WEFT_TESTS_MDS_FSCK_H
#define WEFT_TESTS_MDS_FSCK_H

#include "mds/store.h"

/**
 * struct fsck - what was found
 * @inodes: inodes
 * @entries: names
 * @orphans: inodes without names that are marked as such
 * @pending: prepared or decided transactions, truncations, purges that wait
 * @errors: what must not be
 * @complaint: the first error
 */
struct fsck {
	unsigned long inodes, entries, orphans, pending, errors;
	char complaint[512];
};

/**
 * fsck_run() - check the stores of all metadata targets together
 * @kvs: the stores
 * @n: how many
 * @f: filled in
 *
 * Entries name inodes that exist and have that type; each inode has as many names as it says,
 * directories exactly one, from the parent they say; counts of entries and subdirectories are
 * right; every directory leads up to the root; inodes without names are marked as orphans;
 * attributes and data belong to inodes; numbers that are given out are reserved.
 *
 * Return: 0 or a negative errno when a store cannot be read.
 */
int fsck_run(struct weft_kv **kvs, unsigned int n, struct fsck *f);

#endif
