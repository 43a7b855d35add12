// SPDX-License-Identifier: GPL-2.0-only
/*
 * C peers of the RCU benches, on pthreads and C11 atomics, and on the QSBR of qsbr.h.
 * rcu MS CASE THREADS: prints operations per second. Cases: read deref quiescent ref tryread srcu
 * synchronize (thread 0 updates, the others read). tryread is a reader trylock on one shared word;
 * srcu is a pair of counters per thread.
 */
#include "qsbr.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK 512
#define WRITER 0x10000

static atomic_int pointer __attribute__((aligned(LINE)));
static atomic_int count __attribute__((aligned(LINE)));
static atomic_int rwsem __attribute__((aligned(LINE)));
static atomic_int srcu_index __attribute__((aligned(LINE)));
static atomic_int stop __attribute__((aligned(LINE)));
static pthread_barrier_t barrier;

static struct {
	atomic_int enter[2], leave[2];
} __attribute__((aligned(LINE))) srcu[THREADS];

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
	int threads = atoi(argv[3]);
	qsbr_threads = threads;
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
