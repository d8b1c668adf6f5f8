/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replicated log as the management server sees it: commands go in, and come back in one order
 * on every member, after they are durable on a majority.
 *
 * mgmt/raft.c implements it on the C raft library; a test may apply at once.
 *
 * Protection: belongs to the loop of the management server. No callback comes from inside
 * mgmt_log_propose().
 */
#ifndef WEFT_MGMT_LOG_H
#define WEFT_MGMT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mgmt_log;
struct mgmt_result;

/**
 * struct mgmt_log_cb - what a log asks of the state machine and tells its owner
 * @apply: apply a command; not 0: the state is undefined, the process must end
 * @snapshot: pack the state into memory of @alloc; NULL: out of memory
 * @restore: replace the state; not 0: the snapshot makes no sense
 * @leading: this member leads and everything committed before has been applied; or it leads no
 *	longer
 * @broken: the log cannot go on (its disk fails); a sentence
 */
struct mgmt_log_cb {
	int (*apply)(void *arg, const void *cmd, size_t len, struct mgmt_result *res);
	void *(*snapshot)(void *arg, void *(*alloc)(size_t size), size_t *len);
	int (*restore)(void *arg, const void *buf, size_t len);
	void (*leading)(void *arg, bool leads);
	void (*broken)(void *arg, const char *sentence);
};

/**
 * typedef mgmt_log_done - outcome of a proposal
 * @arg: as given
 * @err: 0: it was applied, with @res; -EAGAIN: this member does not lead (any more), the command
 *	may be applied or not; -ENOSPC, -EIO: it could not be stored
 * @res: what the command came to
 */
typedef void mgmt_log_done(void *arg, int err, const struct mgmt_result *res);

/**
 * struct mgmt_log_ops - an implementation
 *
 * The functions are those of the wrappers below, which document them.
 */
struct mgmt_log_ops {
	int (*propose)(struct mgmt_log *log, const void *cmd, size_t len, mgmt_log_done *done,
		       void *arg);
	uint64_t (*index)(struct mgmt_log *log);
};

/**
 * struct mgmt_log - a log; implementations embed it
 * @ops: the implementation
 */
struct mgmt_log {
	const struct mgmt_log_ops *ops;
};

/**
 * mgmt_log_propose() - put a command into the log
 * @log: the log
 * @cmd: the command, copied
 * @len: its length
 * @done: called with the outcome
 * @arg: argument of @done
 *
 * Return: 0, -EAGAIN when this member does not lead, or -ENOMEM (then @done is not called).
 */
static inline int mgmt_log_propose(struct mgmt_log *log, const void *cmd, size_t len,
				   mgmt_log_done *done, void *arg)
{
	return log->ops->propose(log, cmd, len, done, arg);
}

/**
 * mgmt_log_index() - index of the last command applied
 * @log: the log
 *
 * Return: the index.
 */
static inline uint64_t mgmt_log_index(struct mgmt_log *log)
{
	return log->ops->index(log);
}

#endif
