// SPDX-License-Identifier: GPL-2.0-only
/*
 * C peers of the ring benches, on pthreads and C11 atomics.
 * rings MS CASE THREADS: prints elements per second. Cases: self1 self16 mpscself1 (one thread
 * pushes and pops), spsc1 spsc16 (thread 0 pushes, thread 1 pops), mpsc (thread 0 pops, the others
 * push).
 * The same rings as shared/kfifo.ts without the parking: 4096 elements, cached peer index, index
 * stores sequentially consistent, since JavaScript has no weaker ones. Both sides poll, and sleep
 * for a moment after polling in vain for IDLE_NS, as in bench/ring_jobs.ts.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE 128
#define CAPACITY 4096u
#define MASK (CAPACITY - 1)
#define CHUNK 512
#define IDLE_POLLS 128
#define IDLE_NS 200000

static struct {
	atomic_uint head __attribute__((aligned(LINE)));
	atomic_uint tail __attribute__((aligned(LINE)));
	uint32_t data[CAPACITY] __attribute__((aligned(LINE)));
} spsc;

static struct {
	atomic_uint head __attribute__((aligned(LINE)));
	struct {
		atomic_uint seq;
		uint32_t value;
	} slot[CAPACITY] __attribute__((aligned(LINE)));
} mpsc;

static atomic_int stop __attribute__((aligned(LINE)));
static pthread_barrier_t barrier;

/* One side's view of the SPSC ring: its own index, and the peer's as last seen. */
struct side {
	uint32_t mine, peer;
};

static int push(struct side *s, uint32_t value)
{
	if (s->mine - s->peer == CAPACITY) {
		s->peer = atomic_load(&spsc.tail);
		if (s->mine - s->peer == CAPACITY)
			return 0;
	}
	spsc.data[s->mine & MASK] = value;
	atomic_store(&spsc.head, ++s->mine);
	return 1;
}

static int pop(struct side *s, uint32_t *value)
{
	if (s->mine == s->peer) {
		s->peer = atomic_load(&spsc.head);
		if (s->mine == s->peer)
			return 0;
	}
	*value = spsc.data[s->mine & MASK];
	atomic_store(&spsc.tail, ++s->mine);
	return 1;
}

static uint32_t push_batch(struct side *s, const uint32_t *from, uint32_t count)
{
	uint32_t room = CAPACITY - (s->mine - s->peer);
	if (room < count) {
		s->peer = atomic_load(&spsc.tail);
		room = CAPACITY - (s->mine - s->peer);
		if (room < count)
			count = room;
		if (!count)
			return 0;
	}
	for (uint32_t i = 0; i < count; i++)
		spsc.data[(s->mine + i) & MASK] = from[i];
	atomic_store(&spsc.head, s->mine += count);
	return count;
}

static uint32_t pop_batch(struct side *s, uint32_t *into, uint32_t count)
{
	uint32_t used = s->peer - s->mine;
	if (used < count) {
		s->peer = atomic_load(&spsc.head);
		used = s->peer - s->mine;
		if (used < count)
			count = used;
		if (!count)
			return 0;
	}
	for (uint32_t i = 0; i < count; i++)
		into[i] = spsc.data[(s->mine + i) & MASK];
	atomic_store(&spsc.tail, s->mine += count);
	return count;
}

static int mpsc_push(uint32_t *hint, uint32_t value)
{
	uint32_t head = *hint;
	for (;;) {
		uint32_t free = head & ~MASK;
		uint32_t seen = atomic_load(&mpsc.slot[head & MASK].seq) - free;
		if (seen == 0) {
			uint32_t expect = head;
			if (atomic_compare_exchange_strong(&mpsc.head, &expect, head + 1)) {
				*hint = head + 1;
				mpsc.slot[head & MASK].value = value;
				atomic_store(&mpsc.slot[head & MASK].seq, free + 1);
				return 1;
			}
			head = expect;
			continue;
		}
		uint32_t now = atomic_load(&mpsc.head);
		if (now == head && (int32_t)seen < 0) {
			*hint = head;
			return 0;
		}
		head = now;
	}
}

static int mpsc_pop(uint32_t *tail, uint32_t *value)
{
	uint32_t free = *tail & ~MASK;
	if (atomic_load(&mpsc.slot[*tail & MASK].seq) != free + 1)
		return 0;
	*value = mpsc.slot[*tail & MASK].value;
	atomic_store(&mpsc.slot[*tail & MASK].seq, free + CAPACITY);
	++*tail;
	return 1;
}

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static __thread double idle_since;

/* A poll in vain: sleeps when they went on for IDLE_NS. Returns the new number of them. */
static int idle(int polls)
{
	struct timespec ts = { 0, 50000 };
	if (++polls % IDLE_POLLS)
		return polls;
	double now = now_ns();
	if (polls == IDLE_POLLS)
		idle_since = now;
	if (now - idle_since < IDLE_NS)
		return polls;
	nanosleep(&ts, NULL);
	return 0;
}

static const char *names[] = { "self1", "self16", "mpscself1", "spsc1", "spsc16", "mpsc" };
enum { SELF1, SELF16, MPSCSELF1, SPSC1, SPSC16, MPSC, KINDS };
static int kind;

struct result {
	int index;
	double ops, ns;
};

static volatile uint32_t sink;

static void *body(void *arg)
{
	struct result *result = arg;
	struct side producer = { 0, 0 }, consumer = { 0, 0 };
	uint32_t batch[16] = { 0 }, head = 0, tail = 0, value = 0, sum = 0;
	int pushes = kind == MPSC ? result->index > 0 : result->index == 0;
	double ops = 0;
	int polls = 0;
	pthread_barrier_wait(&barrier);
	double start = now_ns();
	while (!atomic_load(&stop)) {
		switch (kind) {
		case SELF1:
			for (int i = 0; i < CHUNK; i++) {
				push(&producer, i);
				pop(&consumer, &value);
				sum ^= value;
			}
			ops += CHUNK;
			break;
		case SELF16:
			for (int i = 0; i < CHUNK; i += 16) {
				batch[0] = i;
				push_batch(&producer, batch, 16);
				pop_batch(&consumer, batch, 16);
				sum ^= batch[0];
			}
			ops += CHUNK;
			break;
		case MPSCSELF1:
			for (int i = 0; i < CHUNK; i++) {
				mpsc_push(&head, i);
				mpsc_pop(&tail, &value);
				sum ^= value;
			}
			ops += CHUNK;
			break;
		case SPSC1:
			for (int i = 0; i < CHUNK; i++) {
				if (pushes)
					polls = push(&producer, i) ? 0 : idle(polls);
				else if (pop(&consumer, &value)) {
					polls = 0;
					sum ^= value;
					ops++;
				} else
					polls = idle(polls);
			}
			break;
		case SPSC16:
			for (int i = 0; i < CHUNK; i += 16) {
				int nr;
				if (pushes) {
					batch[0] = i;
					nr = push_batch(&producer, batch, 16);
				} else {
					nr = pop_batch(&consumer, batch, 16);
					ops += nr;
					sum ^= batch[0];
				}
				polls = nr ? 0 : idle(polls);
			}
			break;
		case MPSC:
			for (int i = 0; i < CHUNK; i++) {
				if (pushes)
					polls = mpsc_push(&head, i) ? 0 : idle(polls);
				else if (mpsc_pop(&tail, &value)) {
					polls = 0;
					sum ^= value;
					ops++;
				} else
					polls = idle(polls);
			}
			break;
		}
	}
	sink = sum;
	result->ops = ops;
	result->ns = now_ns() - start;
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int threads = atoi(argv[3]);
	if (threads < 1 || threads > 64)
		return 2;
	for (kind = 0; kind < KINDS && strcmp(names[kind], argv[2]); kind++)
		;
	if (kind == KINDS)
		return 2;

	pthread_t ids[64];
	struct result results[64] = { 0 };
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
