// SPDX-License-Identifier: Apache-2.0
/*
 * A module with one deliberate fault of each kind that the lab's kernels must notice: `insmod
 * planted.ko fault=uaf|leak|order|atomic|warn`. Loading it succeeds, the checker complains.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *fault = "";
module_param(fault, charp, 0444);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static noinline void use_after_free(void)
{
	volatile char *p = kmalloc(64, GFP_KERNEL);

	kfree((void *)p);
	if (p)
		p[7] = 1;
}

static noinline void leak(void)
{
	int i;

	/* One might still lie in a register or on the stack when the scan comes. */
	for (i = 0; i < 8; i++)
		kmalloc(512, GFP_KERNEL);
}

static noinline void lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static noinline void sleep_in_atomic(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static int __init planted_init(void)
{
	if (!strcmp(fault, "uaf"))
		use_after_free();
	else if (!strcmp(fault, "leak"))
		leak();
	else if (!strcmp(fault, "order"))
		lock_order();
	else if (!strcmp(fault, "atomic"))
		sleep_in_atomic();
	else if (!strcmp(fault, "warn"))
		WARN(1, "planted");
	else
		return -EINVAL;
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_DESCRIPTION("deliberate faults for the lab's self-test");
MODULE_LICENSE("GPL");
