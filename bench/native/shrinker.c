// SPDX-License-Identifier: GPL-2.0-only
/*
 * C peer of the shrinker bench: shrink_slab_memcg over M groups, on pthreads and C11 atomics.
 * shrinker MS CASE THREADS MEMCGS SHRINKERS DENSITY REGISTER_US
 *
 * Each group has an info with a 64-bit bitmap per unit of 64 ids; DENSITY per cent of the bits are
 * set, the same ones as in bench/shrinker_jobs.ts. A walk looks the shrinker of every set bit up
 * and calls its count callback through a pointer; the callback says 0, so the bit stays. Cases:
 *
 *   rwsem      reader trylock on one word for the walk, no references; a walk ends early when a
 *              writer waits
 *   rwsem-ref  the same, and a reference per callback
 *   pthread    as rwsem, with pthread_rwlock_tryrdlock
 *   srcu       a section of per-thread counters for the walk, no references; ends early when a
 *              shrinker is freed
 *   lockless   RCU (qsbr.h) to find a shrinker, a reference to call it
 *
 * With REGISTER_US > 0 one more thread registers and frees a shrinker every so many microseconds.
 * Prints walks per second, those given up not counted, then lines of NAME VALUE: what else happened
 * in a second, the share of the time that a thread waited for a core, and the registrar's
 * latencies in microseconds.
 */
#include "qsbr.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNIT 64
#define WALKS 64
#define WRITER 0x10000
#define WRITER_WAITS 0x20000
#define SAMPLES (1 << 16)

struct shrinker {
	atomic_int refcount, done;
	long (*count)(struct shrinker *s, int memcg);
	volatile long objects;
} __attribute__((aligned(LINE)));

struct unit {
	_Atomic uint64_t map;
};

struct info {
	int units;
	struct unit *unit[];
};

enum { RWSEM, RWSEM_REF, PTHREAD, SRCU, LOCKLESS, KINDS };
static const char *names[] = { "rwsem", "rwsem-ref", "pthread", "srcu", "lockless" };

static atomic_int rwsem __attribute__((aligned(LINE)));
static pthread_rwlock_t rwlock __attribute__((aligned(LINE))) = PTHREAD_RWLOCK_INITIALIZER;
static atomic_int writer_waits __attribute__((aligned(LINE)));
static atomic_int srcu_index __attribute__((aligned(LINE)));
static atomic_int generation __attribute__((aligned(LINE)));
static atomic_int stop __attribute__((aligned(LINE)));
static struct {
	atomic_int enter[2], leave[2];
} __attribute__((aligned(LINE))) srcu[THREADS];

static int memcgs, shrinkers, threads;
static double register_us;
static _Atomic(struct info *) *infos;
static _Atomic(struct shrinker *) *idr;
static struct shrinker *table;
static pthread_barrier_t barrier;

struct stats {
	int index;
	double walks, callbacks, skipped, early, ns, delay;
};

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* Nanoseconds that this thread has waited for a core; 0 where the system does not tell. */
static double run_delay_ns(void)
{
	double ran, waited = 0;
	FILE *file = fopen("/proc/thread-self/schedstat", "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%lf %lf", &ran, &waited) != 2)
		waited = 0;
	fclose(file);
	return waited;
}

/* Four callbacks, so that the call cannot be guessed. */
static long count0(struct shrinker *s, int memcg) { return s->objects & memcg; }
static long count1(struct shrinker *s, int memcg) { return s->objects & (memcg + 1); }
static long count2(struct shrinker *s, int memcg) { return s->objects & (memcg ^ 2); }
static long count3(struct shrinker *s, int memcg) { return s->objects & (memcg - 3); }
static long (*const counts[])(struct shrinker *, int) = { count0, count1, count2, count3 };

static inline int try_get(struct shrinker *s)
{
	int seen = atomic_load(&s->refcount);
	while (seen > 0)
		if (atomic_compare_exchange_weak(&s->refcount, &seen, seen + 1))
			return 1;
	return 0;
}

static inline void put(struct shrinker *s)
{
	if (atomic_fetch_sub(&s->refcount, 1) == 1) {
		atomic_store(&s->done, 1);
		syscall(SYS_futex, &s->done, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
}

static inline int try_read(void)
{
	int seen = atomic_load(&rwsem);
	while (seen < WRITER)
		if (atomic_compare_exchange_weak(&rwsem, &seen, seen + 1))
			return 1;
	return 0;
}

static inline void up_read(void)
{
	if (atomic_fetch_sub(&rwsem, 1) == (WRITER_WAITS | 1))
		syscall(SYS_futex, &rwsem, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The only writer: says that it waits, sleeps until the last reader has left. */
static void down_write(void)
{
	int seen = atomic_fetch_or(&rwsem, WRITER_WAITS) | WRITER_WAITS;
	while (seen != WRITER_WAITS) {
		syscall(SYS_futex, &rwsem, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
		seen = atomic_load(&rwsem);
	}
	atomic_store(&rwsem, WRITER);
}

static inline long do_shrink(struct stats *st, struct shrinker *s, int memcg)
{
	st->callbacks++;
	return s->count(s, memcg);
}

static inline long walk_locked(struct stats *st, int memcg, int refs, atomic_int *word, int calm)
{
	struct info *info = atomic_load(&infos[memcg]);
	long freed = 0;
	for (int index = 0; index < info->units; index++) {
		struct unit *unit = info->unit[index];
		uint64_t rest = ~0ull;
		for (uint64_t bits; (bits = atomic_load(&unit->map) & rest) != 0;) {
			int offset = __builtin_ctzll(bits);
			rest = offset == 63 ? 0 : ~0ull << (offset + 1);
			struct shrinker *s = atomic_load(&idr[index * UNIT + offset]);
			if (s == NULL || (refs && !try_get(s))) {
				atomic_fetch_and(&unit->map, ~(1ull << offset));
				continue;
			}
			freed += do_shrink(st, s, memcg);
			if (refs)
				put(s);
			int seen = atomic_load(word);
			if (calm < 0 ? seen >= WRITER : seen != calm) {
				st->early++;
				return freed;
			}
		}
	}
	return freed;
}

static inline long walk_lockless(struct stats *st, int memcg)
{
	long freed = 0;
	for (int index = 0;; index++) {
		section_enter();
		struct info *info = atomic_load(&infos[memcg]);
		if (index >= info->units) {
			section_leave();
			return freed;
		}
		struct unit *unit = info->unit[index];
		section_leave();
		uint64_t rest = ~0ull;
		for (uint64_t bits; (bits = atomic_load(&unit->map) & rest) != 0;) {
			int offset = __builtin_ctzll(bits);
			rest = offset == 63 ? 0 : ~0ull << (offset + 1);
			section_enter();
			struct shrinker *s = atomic_load(&idr[index * UNIT + offset]);
			if (s == NULL || !try_get(s)) {
				atomic_fetch_and(&unit->map, ~(1ull << offset));
				section_leave();
				continue;
			}
			section_leave();
			freed += do_shrink(st, s, memcg);
			put(s);
		}
	}
}

static inline long walk_srcu(struct stats *st, int memcg)
{
	int side = atomic_load(&srcu_index) & 1;
	atomic_int *enter = &srcu[st->index].enter[side], *leave = &srcu[st->index].leave[side];
	atomic_store(enter, atomic_load_explicit(enter, memory_order_relaxed) + 1);
	long freed = walk_locked(st, memcg, 0, &generation, atomic_load(&generation));
	atomic_store(leave, atomic_load_explicit(leave, memory_order_relaxed) + 1);
	return freed;
}

static inline long walk(struct stats *st, int kind, int memcg)
{
	long freed;
	switch (kind) {
	case RWSEM:
	case RWSEM_REF:
		if (!try_read())
			break;
		freed = walk_locked(st, memcg, kind == RWSEM_REF, &rwsem, -1);
		up_read();
		return freed;
	case PTHREAD:
		if (pthread_rwlock_tryrdlock(&rwlock) != 0)
			break;
		freed = walk_locked(st, memcg, 0, &writer_waits, 0);
		pthread_rwlock_unlock(&rwlock);
		return freed;
	case SRCU:
		return walk_srcu(st, memcg);
	default:
		return walk_lockless(st, memcg);
	}
	st->skipped++;
	return 0;
}

static volatile long sink;
static int kind;

/* One copy of the loop per kind, as each kernel has one. */
static inline __attribute__((always_inline)) void chunk(struct stats *st, int *memcg, int which)
{
	long freed = 0;
	for (int i = 0; i < WALKS; i++) {
		freed += walk(st, which, *memcg);
		*memcg = *memcg + 1 == memcgs ? 0 : *memcg + 1;
	}
	st->walks += WALKS;
	sink += freed;
	quiescent();
}

static void *walker(void *arg)
{
	struct stats *st = arg;
	int memcg = (int)((long)memcgs * st->index / threads);
	reader_init(st->index);
	pthread_barrier_wait(&barrier);
	online();
	/* One thread alone: another program's turn is not the walk's, as in bench_worker.ts. */
	int alone = threads == 1 && register_us == 0;
	double start = now_ns(), delay = run_delay_ns();
	/* One chunk at least, as our jobs do: the thread may have had no core for the whole time. */
	do {
		switch (kind) {
		case RWSEM: chunk(st, &memcg, RWSEM); break;
		case RWSEM_REF: chunk(st, &memcg, RWSEM_REF); break;
		case PTHREAD: chunk(st, &memcg, PTHREAD); break;
		case SRCU: chunk(st, &memcg, SRCU); break;
		default: chunk(st, &memcg, LOCKLESS);
		}
	} while (!atomic_load(&stop));
	delay = run_delay_ns() - delay;
	st->ns = now_ns() - start - (alone ? delay : 0);
	st->delay = alone ? 0 : delay;
	offline();
	reader_exit();
	return NULL;
}

static double latency[2][SAMPLES];
static int nr_latency;

static void write_lock(void)
{
	if (kind == PTHREAD) {
		atomic_store(&writer_waits, 1);
		pthread_rwlock_wrlock(&rwlock);
	} else if (kind == RWSEM || kind == RWSEM_REF) {
		down_write();
	}
}

static void write_unlock(void)
{
	if (kind == PTHREAD) {
		atomic_store(&writer_waits, 0);
		pthread_rwlock_unlock(&rwlock);
	} else if (kind == RWSEM || kind == RWSEM_REF) {
		atomic_store(&rwsem, 0);
	}
}

static void drain(int side)
{
	for (int spins = 0;; spins++) {
		int sum = 0;
		for (int i = 0; i < threads; i++)
			sum -= atomic_load(&srcu[i].leave[side]);
		for (int i = 0; i < threads; i++)
			sum += atomic_load(&srcu[i].enter[side]);
		if (sum == 0)
			return;
		if (spins > SPIN_LIMIT)
			usleep(10);
	}
}

static void synchronize_srcu_peer(void)
{
	int side = atomic_load(&srcu_index) & 1;
	drain(side ^ 1);
	atomic_store(&srcu_index, side ^ 1);
	drain(side);
}

static void shrinker_register(struct shrinker *s)
{
	write_lock();
	atomic_store(&idr[shrinkers], s);
	atomic_store(&s->done, 0);
	atomic_store(&s->refcount, 1);
	write_unlock();
}

static void shrinker_free(struct shrinker *s)
{
	if (kind == LOCKLESS || kind == RWSEM_REF) {
		put(s);
		while (!atomic_load(&s->done))
			syscall(SYS_futex, &s->done, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	}
	write_lock();
	atomic_store(&idr[shrinkers], NULL);
	write_unlock();
	if (kind == SRCU) {
		atomic_fetch_add(&generation, 1);
		synchronize_srcu_peer();
	}
}

static void *registrar(void *arg)
{
	struct shrinker *s = &table[shrinkers];
	(void)arg;
	reader_init(threads);
	pthread_barrier_wait(&barrier);
	while (!atomic_load(&stop)) {
		double from = now_ns();
		shrinker_register(s);
		double middle = now_ns();
		shrinker_free(s);
		double to = now_ns();
		if (nr_latency < SAMPLES) {
			latency[0][nr_latency] = (middle - from) / 1e3;
			latency[1][nr_latency++] = (to - middle) / 1e3;
		}
		/* What call_rcu would do later, before the memory is used again. */
		if (kind == LOCKLESS) {
			online();
			synchronize();
			offline();
		}
		double left;
		while (!atomic_load(&stop) && (left = from + register_us * 1e3 - now_ns()) > 0)
			usleep(left / 1e3 < 5000 ? left / 1e3 + 1 : 5000);
	}
	reader_exit();
	return NULL;
}

/* The finalizer of MurmurHash3: the same bits as in bench/shrinker_jobs.ts. */
static uint32_t mix(uint32_t memcg, uint32_t id)
{
	uint32_t h = memcg * 0x9e3779b1u ^ id * 0x85ebca77u;
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return h ^ h >> 16;
}

static void *zeroed(size_t bytes)
{
	void *memory = aligned_alloc(LINE, (bytes + LINE - 1) & ~(size_t)(LINE - 1));
	if (memory == NULL)
		exit(3);
	return memset(memory, 0, bytes);
}

static void build(double density)
{
	int units = (shrinkers + (register_us > 0) + UNIT - 1) / UNIT;
	table = zeroed(sizeof(*table) * (shrinkers + 1));
	idr = zeroed(sizeof(*idr) * (units + 1) * UNIT);
	infos = zeroed(sizeof(*infos) * memcgs);
	for (int id = 0; id <= shrinkers; id++) {
		table[id].count = counts[id & 3];
		if (id < shrinkers) {
			table[id].refcount = 1;
			idr[id] = &table[id];
		}
	}
	for (int memcg = 0; memcg < memcgs; memcg++) {
		struct info *info = zeroed(sizeof(*info) + units * sizeof(info->unit[0]));
		struct unit *unit = zeroed(sizeof(*unit) * units);
		info->units = units;
		for (int id = 0; id < shrinkers; id++)
			if (mix(memcg + 1, id) % 10000 < density * 100)
				unit[id / UNIT].map |= 1ull << id % UNIT;
		for (int index = 0; index < units; index++)
			info->unit[index] = &unit[index];
		infos[memcg] = info;
	}
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;
	return d < 0 ? -1 : d > 0;
}

static void print_latency(const char *name, double *values)
{
	qsort(values, nr_latency, sizeof(*values), by_value);
	if (nr_latency == 0)
		return;
	printf("%sUsP50 %.3f\n", name, values[nr_latency / 2]);
	printf("%sUsP99 %.3f\n", name, values[(int)(nr_latency * 0.99)]);
}

int main(int argc, char **argv)
{
	if (argc != 8)
		return 2;
	threads = atoi(argv[3]);
	memcgs = atoi(argv[4]);
	shrinkers = atoi(argv[5]);
	register_us = atof(argv[7]);
	qsbr_threads = threads + 1;
	if (threads < 1 || threads >= THREADS || memcgs < 1 || shrinkers < 1)
		return 2;
	for (kind = 0; kind < KINDS && strcmp(names[kind], argv[2]); kind++)
		;
	if (kind == KINDS)
		return 2;
	build(atof(argv[6]));

	pthread_t ids[THREADS];
	struct stats *stats = zeroed(sizeof(*stats) * THREADS * 4);
	struct stats sum = { 0 };
	int extra = register_us > 0;
	pthread_barrier_init(&barrier, NULL, threads + extra + 1);
	for (int i = 0; i < threads; i++) {
		stats[i * 4].index = i;
		pthread_create(&ids[i], NULL, walker, &stats[i * 4]);
	}
	if (extra)
		pthread_create(&ids[threads], NULL, registrar, NULL);
	pthread_barrier_wait(&barrier);
	usleep(atof(argv[1]) * 1e3);
	atomic_store(&stop, 1);
	for (int i = 0; i < threads + extra; i++)
		pthread_join(ids[i], NULL);
	for (int i = 0; i < threads; i++) {
		struct stats *st = &stats[i * 4];
		sum.walks += st->walks;
		sum.callbacks += st->callbacks;
		sum.skipped += st->skipped;
		sum.early += st->early;
		if (st->ns > sum.ns)
			sum.ns = st->ns;
		if (st->delay > sum.delay)
			sum.delay = st->delay;
	}
	double s = sum.ns / 1e9;
	sum.walks -= sum.skipped;
	printf("%.0f\ncallbacks %.0f\nskipped %.0f\nearly %.0f\nregisters %.3f\n"
	       "waited %.6f\n", sum.walks / s, sum.callbacks / s, sum.skipped / s, sum.early / s,
	       nr_latency / s, sum.delay / sum.ns);
	print_latency("register", latency[0]);
	print_latency("free", latency[1]);
	return 0;
}
