// SPDX-License-Identifier: GPL-2.0-only
/*
 * RCU for the C peers: liburcu's QSBR flavour when built with -DHAVE_LIBURCU, else the small QSBR
 * below (the same scheme as shared/rcu.ts). Threads call reader_init, and are offline until
 * `online`; a writer that reads nothing needs neither. `qsbr_threads` is how many rows a grace
 * period looks at.
 */
#ifndef QSBR_H
#define QSBR_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LIBURCU
#include <urcu-qsbr.h>
#endif

#define LINE 128
#define THREADS 64
#define SPIN_LIMIT 120

#ifdef HAVE_LIBURCU
static int qsbr_threads __attribute__((unused));
static inline void reader_init(int id)
{
	(void)id;
	rcu_register_thread();
	rcu_thread_offline();
}
static inline void online(void) { rcu_thread_online(); }
static inline void offline(void) { rcu_thread_offline(); }
static inline void quiescent(void) { rcu_quiescent_state(); }
static inline void section_enter(void) { rcu_read_lock(); }
static inline void section_leave(void) { rcu_read_unlock(); }
static inline void synchronize(void) { synchronize_rcu(); }
static inline void reader_exit(void) { rcu_unregister_thread(); }
#else
static int qsbr_threads;
static atomic_uint gp __attribute__((aligned(LINE))) = 1;
static struct {
	atomic_uint seen;
} __attribute__((aligned(LINE))) row[THREADS];
static __thread int me;

static atomic_int parked __attribute__((aligned(LINE)));

static inline void reader_init(int id) { me = id; }
static inline void reader_exit(void) {}
static inline void report(unsigned value)
{
	atomic_store(&row[me].seen, value);
	if (atomic_load(&parked))
		syscall(SYS_futex, &row[me].seen, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static inline void online(void) { atomic_store(&row[me].seen, atomic_load(&gp)); }
static inline void offline(void) { report(0); }
static inline void quiescent(void)
{
	unsigned now = atomic_load(&gp);
	if (now != atomic_load_explicit(&row[me].seen, memory_order_relaxed))
		report(now);
}
/* A section compiles to nothing but a barrier for the compiler, as in any QSBR. */
static inline void section_enter(void) { atomic_signal_fence(memory_order_seq_cst); }
static inline void section_leave(void) { atomic_signal_fence(memory_order_seq_cst); }
static inline void synchronize(void)
{
	offline();
	unsigned target = atomic_fetch_add(&gp, 1) + 1;
	for (int i = 0; i < qsbr_threads; i++) {
		for (int spins = 0;; spins++) {
			if (spins > SPIN_LIMIT)
				atomic_store(&parked, 1);
			unsigned seen = atomic_load(&row[i].seen);
			if (seen == 0 || (int)(seen - target) >= 0)
				break;
			if (spins > SPIN_LIMIT)
				syscall(SYS_futex, &row[i].seen, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
		}
	}
	atomic_store(&parked, 0);
	online();
}
#endif

#endif
