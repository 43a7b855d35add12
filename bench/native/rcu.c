// SPDX-License-Identifier: GPL-2.0-only
/*
 * C peers of the RCU benches, on pthreads and C11 atomics; on liburcu's QSBR flavour when built
 * with -DHAVE_LIBURCU, else on the small QSBR below (the same scheme as shared/rcu.ts).
 * rcu MS CASE THREADS: prints operations per second. Cases: read deref quiescent ref tryread srcu
 * synchronize (thread 0 updates, the others read). tryread is a reader trylock on one shared word;
 * srcu is a pair of counters per thread.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_LIBURCU
#include <urcu-qsbr.h>
#endif

#define LINE 128
#define CHUNK 512
#define THREADS 64
#define WRITER 0x10000
#define SPIN_LIMIT 120

static atomic_int pointer __attribute__((aligned(LINE)));
static atomic_int count __attribute__((aligned(LINE)));
static atomic_int rwsem __attribute__((aligned(LINE)));
static atomic_int srcu_index __attribute__((aligned(LINE)));
static atomic_int stop __attribute__((aligned(LINE)));
static pthread_barrier_t barrier;
static int threads;

static struct {
	atomic_int enter[2], leave[2];
} __attribute__((aligned(LINE))) srcu[THREADS];

#ifdef HAVE_LIBURCU
static void reader_init(int id)
{
	(void)id;
	rcu_register_thread();
	rcu_thread_offline();
}
static void online(void) { rcu_thread_online(); }
static void offline(void) { rcu_thread_offline(); }
static inline void quiescent(void) { rcu_quiescent_state(); }
static inline void section_enter(void) { rcu_read_lock(); }
static inline void section_leave(void) { rcu_read_unlock(); }
static void synchronize(void) { synchronize_rcu(); }
static void reader_exit(void) { rcu_unregister_thread(); }
#else
static atomic_uint gp __attribute__((aligned(LINE))) = 1;
static struct {
	atomic_uint seen;
} __attribute__((aligned(LINE))) row[THREADS];
static __thread int me;

static atomic_int parked __attribute__((aligned(LINE)));

static void reader_init(int id) { me = id; }
static void reader_exit(void) {}
static inline void report(unsigned value)
{
	atomic_store(&row[me].seen, value);
	if (atomic_load(&parked))
		syscall(SYS_futex, &row[me].seen, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static void online(void) { atomic_store(&row[me].seen, atomic_load(&gp)); }
static void offline(void) { report(0); }
static inline void quiescent(void)
{
	unsigned now = atomic_load(&gp);
	if (now != atomic_load_explicit(&row[me].seen, memory_order_relaxed))
		report(now);
}
/* A section compiles to nothing but a barrier for the compiler, as in any QSBR. */
static inline void section_enter(void) { atomic_signal_fence(memory_order_seq_cst); }
static inline void section_leave(void) { atomic_signal_fence(memory_order_seq_cst); }
static void synchronize(void)
{
	offline();
	unsigned target = atomic_fetch_add(&gp, 1) + 1;
	for (int i = 0; i < threads; i++) {
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

static inline int try_read(void)
{
	int seen = atomic_load(&rwsem);
	while (seen < WRITER)
		if (atomic_compare_exchange_weak(&rwsem, &seen, seen + 1))
			return 1;
	return 0;
}

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static const char *names[] = { "read", "deref", "quiescent", "ref", "tryread", "srcu",
	"synchronize" };
enum { READ, DEREF, QUIESCENT, REF, TRYREAD, SRCU, SYNCHRONIZE, KINDS };
static int kind;

struct result {
	int index;
	double ops, ns;
};

static volatile int sink;
static volatile int plain[16];

static void chunk(int index)
{
	int sum = 0;
	for (int i = 0; i < CHUNK; i++) {
		switch (kind) {
		case READ:
			section_enter();
			sum ^= plain[i & 15];
			section_leave();
			break;
		case DEREF:
			section_enter();
			sum ^= atomic_load(&pointer);
			section_leave();
			break;
		case QUIESCENT:
		case SYNCHRONIZE:
			section_enter();
			sum ^= atomic_load(&pointer);
			section_leave();
			quiescent();
			break;
		case REF:
			section_enter();
			sum ^= atomic_load(&pointer);
			atomic_fetch_add(&count, 1);
			section_leave();
			atomic_fetch_sub(&count, 1);
			break;
		case TRYREAD:
			if (try_read()) {
				sum ^= plain[0];
				atomic_fetch_sub(&rwsem, 1);
			}
			break;
		case SRCU: {
			int side = atomic_load(&srcu_index) & 1;
			atomic_store(&srcu[index].enter[side],
				     atomic_load_explicit(&srcu[index].enter[side], memory_order_relaxed) + 1);
			sum ^= plain[0];
			atomic_store(&srcu[index].leave[side],
				     atomic_load_explicit(&srcu[index].leave[side], memory_order_relaxed) + 1);
			break;
		}
		}
	}
	sink ^= sum;
}

static void *body(void *arg)
{
	struct result *result = arg;
	double ops = 0;
	reader_init(result->index);
	pthread_barrier_wait(&barrier);
	double start = now_ns();
	while (!atomic_load(&stop)) {
		online();
		if (kind == SYNCHRONIZE && result->index == 0) {
			synchronize();
			ops++;
		} else {
			chunk(result->index);
			if (kind != SYNCHRONIZE)
				ops += CHUNK;
		}
		offline();
	}
	result->ops = ops;
	result->ns = now_ns() - start;
	reader_exit();
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	threads = atoi(argv[3]);
	if (threads < 1 || threads > THREADS)
		return 2;
	for (kind = 0; kind < KINDS && strcmp(names[kind], argv[2]); kind++)
		;
	if (kind == KINDS)
		return 2;

	pthread_t ids[THREADS];
	struct result results[THREADS] = { 0 };
	double ops = 0, ns = 0;
	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (int i = 0; i < threads; i++) {
		results[i].index = i;
		pthread_create(&ids[i], NULL, body, &results[i]);
	}
	pthread_barrier_wait(&barrier);
	usleep(atof(argv[1]) * 1e3);
	atomic_store(&stop, 1);
	for (int i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		ops += results[i].ops;
		if (results[i].ns > ns)
			ns = results[i].ns;
	}
	printf("%.0f\n", ops / ns * 1e9);
	return 0;
}
