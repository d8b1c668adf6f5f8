/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real environment: one libuv loop per thread, disks on io_uring.
 *
 * Only the main functions of daemons and tools, and tests, include this; the cores see env.h.
 */
#ifndef WEFT_COMMON_ENV_UV_H
#define WEFT_COMMON_ENV_UV_H

#include "common/env.h"

struct uv_loop_s;
struct weft_env_thread;

/**
 * weft_env_uv_create() - make an environment with a loop of its own
 * @out: the environment
 *
 * Return: 0 or a negative errno.
 */
int weft_env_uv_create(struct weft_env **out);

/**
 * weft_env_uv_run() - run the loop until weft_env_stop()
 * @env: the environment
 *
 * Context: the thread that calls this becomes the environment's thread.
 */
void weft_env_uv_run(struct weft_env *env);

/**
 * weft_env_uv_destroy() - free the environment
 * @env: the environment; streams, listeners and disks are closed already
 *
 * Runs the loop until its handles are closed and the posts made so far have run.
 */
void weft_env_uv_destroy(struct weft_env *env);

/**
 * weft_env_uv_loop() - the libuv loop, for a library that wants one (raft)
 * @env: the environment
 *
 * Return: the loop.
 */
struct uv_loop_s *weft_env_uv_loop(struct weft_env *env);

/**
 * weft_env_uv_signal() - call back when the process gets a signal
 * @env: the environment
 * @signo: signal number
 * @cb: called on the loop each time
 * @arg: argument of @cb
 *
 * Return: 0 or a negative errno.
 */
int weft_env_uv_signal(struct weft_env *env, int signo, void (*cb)(void *arg), void *arg);

/**
 * weft_env_thread_start() - start a thread that runs an environment of its own
 * @name: thread name, also the target name in its log lines
 * @out: the thread
 *
 * Give it work by weft_env_post(weft_env_thread_env(t), ...).
 *
 * Return: 0 or a negative errno.
 */
int weft_env_thread_start(const char *name, struct weft_env_thread **out);

/**
 * weft_env_thread_env() - the environment of a thread
 * @t: the thread
 *
 * Return: the environment, for weft_env_post() from other threads.
 */
struct weft_env *weft_env_thread_env(struct weft_env_thread *t);

/**
 * weft_env_thread_stop() - stop the loop, join the thread and free both
 * @t: the thread; what lived on its loop is closed already
 *
 * Context: another thread. Posts made before this are run.
 */
void weft_env_thread_stop(struct weft_env_thread *t);

#endif
