// SPDX-License-Identifier: GPL-2.0-only
/*
 * C peers of the lock benches, on pthreads and C11 atomics.
 * locks MS KIND THREADS WORK: all threads lock, run WORK dependent multiply-adds, unlock, for MS
 * milliseconds. Prints operations per second. Kinds: bare spin ticket mcs mutex rwsemRead
 * rwsemWrite. Sequentially consistent operations throughout, since JavaScript has no weaker ones;
 * waiters of the spinning kinds spin for ever, waiters of the mutex and of the rwsem sleep on a
 * futex.
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

#define LINE 128
#define SPIN_LIMIT 120
#define WRITER 0x10000

struct node {
	_Atomic(struct node *) next;
	atomic_int locked;
} __attribute__((aligned(LINE)));

static struct {
	atomic_int word __attribute__((aligned(LINE)));
	atomic_int serving __attribute__((aligned(LINE)));
	_Atomic(struct node *) tail __attribute__((aligned(LINE)));
	volatile uint32_t count __attribute__((aligned(LINE)));
	atomic_int stop __attribute__((aligned(LINE)));
} shared;

static pthread_barrier_t barrier;
static int work, threads;

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* Time this thread waited for a core: with one thread it is not the lock's. */
static double run_delay_ns(void)
{
	double ran = 0, delay = 0;
	FILE *file = fopen("/proc/thread-self/schedstat", "r");

	if (file) {
		if (fscanf(file, "%lf %lf", &ran, &delay) != 2)
			delay = 0;
		fclose(file);
	}
	return delay;
}

static void futex_wait(atomic_int *word, int value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_int *word, int nr)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, nr, NULL, NULL, 0);
}

static inline void section(void)
{
	uint32_t x = shared.count;
	for (int i = 0; i < work; i++)
		x = x * 1103515245u + 12345u;
	shared.count = x + 1;
}

static inline void read_section(uint32_t *sink)
{
	uint32_t x = shared.count;
	for (int i = 0; i < work; i++)
		x = x * 1103515245u + 12345u;
	*sink ^= x;
}

static inline int cas(atomic_int *word, int old, int new)
{
	return atomic_compare_exchange_strong(word, &old, new);
}

static inline void bare_op(int me)
{
	cas(&shared.word, 0, me);
	section();
	atomic_store(&shared.word, 0);
}

static inline void spin_op(int me)
{
	while (!cas(&shared.word, 0, me))
		while (atomic_load(&shared.word))
			relax();
	section();
	atomic_store(&shared.word, 0);
}

static inline void ticket_op(void)
{
	int mine = atomic_fetch_add(&shared.word, 1);
	while (atomic_load(&shared.serving) != mine)
		relax();
	section();
	atomic_store(&shared.serving, mine + 1);
}

static inline void mcs_op(struct node *me)
{
	struct node *prev, *next;

	atomic_store_explicit(&me->next, NULL, memory_order_relaxed);
	prev = atomic_exchange(&shared.tail, me);
	if (prev) {
		atomic_store_explicit(&me->locked, 1, memory_order_relaxed);
		atomic_store(&prev->next, me);
		while (atomic_load(&me->locked))
			relax();
	}
	section();
	next = atomic_load(&me->next);
	if (!next) {
		struct node *old = me;
		if (atomic_compare_exchange_strong(&shared.tail, &old, NULL))
			return;
		while (!(next = atomic_load(&me->next)))
			relax();
	}
	atomic_store(&next->locked, 0);
}

static inline void mutex_op(void)
{
	int spins, seen;

	if (!cas(&shared.word, 0, 1)) {
		for (spins = 0; spins < SPIN_LIMIT; spins++) {
			if (!atomic_load(&shared.word) && cas(&shared.word, 0, 1))
				goto locked;
			relax();
		}
		while ((seen = atomic_exchange(&shared.word, 2)) != 0)
			futex_wait(&shared.word, 2);
	}
locked:
	section();
	if (atomic_exchange(&shared.word, 0) == 2)
		futex_wake(&shared.word, 1);
}

static inline void rwsem_read_op(uint32_t *sink)
{
	for (;;) {
		int seen = atomic_load(&shared.word);
		if (!(seen & WRITER) && cas(&shared.word, seen, seen + 1))
			break;
		relax();
	}
	read_section(sink);
	atomic_fetch_sub(&shared.word, 1);
}

static inline void rwsem_write_op(void)
{
	int spins = 0;

	while (!cas(&shared.word, 0, WRITER)) {
		if (++spins < SPIN_LIMIT)
			relax();
		else {
			int seen = atomic_load(&shared.word);
			if (seen) {
				cas(&shared.word, seen, seen | 2 * WRITER);
				futex_wait(&shared.word, seen | 2 * WRITER);
			}
		}
	}
	section();
	if (atomic_exchange(&shared.word, 0) & (2 * WRITER))
		futex_wake(&shared.word, 1 << 30);
}

enum kind { BARE, SPIN, TICKET, MCS, MUTEX, RWSEM_READ, RWSEM_WRITE, KINDS };
static const char *const names[KINDS] = {
	"bare", "spin", "ticket", "mcs", "mutex", "rwsemRead", "rwsemWrite",
};
static enum kind kind;

struct result {
	long ops;
	double ns;
	int me;
	uint32_t sink;
};

#define STOPPED() atomic_load_explicit(&shared.stop, memory_order_relaxed)
#define RUN(op)                          \
	for (; !STOPPED(); result->ops++) \
		op

static void *body(void *arg)
{
	struct result *result = arg;
	struct node node __attribute__((aligned(LINE))) = { 0 };
	double start, delay;

	pthread_barrier_wait(&barrier);
	start = now_ns();
	delay = threads == 1 ? run_delay_ns() : 0;
	switch (kind) {
	case BARE: RUN(bare_op(result->me)); break;
	case SPIN: RUN(spin_op(result->me)); break;
	case TICKET: RUN(ticket_op()); break;
	case MCS: RUN(mcs_op(&node)); break;
	case MUTEX: RUN(mutex_op()); break;
	case RWSEM_READ: RUN(rwsem_read_op(&result->sink)); break;
	default: RUN(rwsem_write_op()); break;
	}
	if (threads == 1)
		delay = run_delay_ns() - delay;
	result->ns = now_ns() - start - delay;
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	threads = atoi(argv[3]);
	if (threads < 1 || threads > 64)
		return 2;
	for (kind = 0; kind < KINDS && strcmp(names[kind], argv[2]); kind++)
		;
	if (kind == KINDS)
		return 2;
	work = atoi(argv[4]);

	pthread_t ids[64];
	struct result results[64] = { 0 };
	double ops = 0, ns = 0;
	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (int i = 0; i < threads; i++) {
		results[i].me = i + 1;
		pthread_create(&ids[i], NULL, body, &results[i]);
	}
	pthread_barrier_wait(&barrier);
	usleep(atof(argv[1]) * 1e3);
	atomic_store(&shared.stop, 1);
	for (int i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		ops += results[i].ops;
		if (results[i].ns > ns)
			ns = results[i].ns;
	}
	printf("%.0f\n", ops / ns * 1e9);
	return 0;
}
