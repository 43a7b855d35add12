// SPDX-License-Identifier: GPL-2.0-only
/*
 * C peer of the replay bench: the same work over the same layout, in the order that is natural in
 * C.
 * replay MS CASE THREADS FILE: every thread replays the events of FILE, in an address space of its
 * own, again and again for MS milliseconds. Prints events per second.
 *
 * CASE is `contents` or `bare`. FILE: the number of regions, the number of events, the events, as
 * 32-bit words; an event is slot << 2 | kind. An event that hits costs: its region's leaf table, a
 * sequentially consistent load of the entry, a test; the young and dirty bits by compare-and-swap
 * when they are missing. With contents, a store writes a tag and a sequence number into the CPU's
 * own slot of the 4-KiB frame, a load compares that slot with the CPU's private table. Every 1,000
 * events the CPU leaves its section, as a shootdown needs it to.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PRESENT = 1, WRITE = 2, YOUNG = 4, DIRTY = 8, SHIFT = 8 };
enum { KIND_WRITE = 1, SECTION_EVENTS = 1000, PAGE_WORDS = 1024, LINE_WORDS = 32 };

struct cpu {
	_Atomic int32_t *pte;
	int32_t *parent, *tables, *last_seq;
	int32_t *frames;
	_Atomic int32_t *section;
	int id;
	int32_t seq;
	long mismatches, events;
	double ns;
};

static uint32_t nr_regions, nr_events, *events;
static int contents;
static atomic_int stop;
static pthread_barrier_t barrier;

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void *zeroed(size_t bytes)
{
	void *memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
	if (memory == NULL)
		exit(3);
	return memset(memory, 0, bytes);
}

static __attribute__((noinline)) int
mark(struct cpu *cpu, int32_t index, int32_t seen, int32_t need)
{
	int32_t must = need & (PRESENT | WRITE), entry = seen;

	for (;;) {
		int32_t was = entry;
		if ((entry & must) != must)
			return 0;
		if (atomic_compare_exchange_strong(&cpu->pte[index], &was, entry | need))
			break;
		if ((uint32_t)was >> SHIFT != (uint32_t)entry >> SHIFT)
			return 0;
		entry = was;
	}
	if (!(seen & YOUNG)) {
		_Atomic int32_t *above = &cpu->pte[cpu->parent[index >> 9]];
		if (!(atomic_load(above) & YOUNG))
			atomic_fetch_or(above, YOUNG);
	}
	return 1;
}

static inline __attribute__((always_inline)) uint32_t section(struct cpu *cpu, uint32_t at,
							      uint32_t end, int with_contents)
{
	_Atomic int32_t *pte = cpu->pte;
	const int32_t *tables = cpu->tables;
	int32_t *last_seq = cpu->last_seq, *frames = cpu->frames;
	int32_t seq = cpu->seq;
	int own = cpu->id * 2;

	for (; at < end; at++) {
		uint32_t word = events[at], slot = word >> 2;
		int write = (word & 3) == KIND_WRITE;
		int32_t table = tables[slot >> 9];
		if (table < 0)
			break;
		int32_t index = table + (slot & 511);
		int32_t entry = atomic_load(&pte[index]);
		int32_t need = write ? PRESENT | WRITE | YOUNG | DIRTY : PRESENT | YOUNG;
		if ((entry & need) != need && !mark(cpu, index, entry, need))
			break;
		if (with_contents) {
			int32_t *frame = frames + (size_t)((uint32_t)entry >> SHIFT) * PAGE_WORDS + own;
			if (write) {
				frame[0] = 0x53544f00 | cpu->id;
				frame[1] = ++seq;
				last_seq[slot] = seq;
			} else if (frame[1] != last_seq[slot]) {
				cpu->mismatches++;
			}
		}
	}
	cpu->seq = seq;
	return at;
}

static void *body(void *arg)
{
	struct cpu *cpu = arg;
	uint32_t at = 0;

	pthread_barrier_wait(&barrier);
	double start = now_ns();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint32_t end = at + SECTION_EVENTS < nr_events ? at + SECTION_EVENTS : nr_events;
		atomic_fetch_add(cpu->section, 1);
		uint32_t done = contents ? section(cpu, at, end, 1) : section(cpu, at, end, 0);
		atomic_fetch_add(cpu->section, 1);
		if (done != end)
			exit(4);
		cpu->events += end - at;
		at = end == nr_events ? 0 : end;
	}
	cpu->ns = now_ns() - start;
	return NULL;
}

/* Entries in tables 2 .. nr_regions + 1, under table 1; page frames in the order of first touch. */
static void populate(struct cpu *cpu, int id)
{
	size_t slots = (size_t)nr_regions * 512;
	int32_t pfn = 0;

	cpu->id = id;
	cpu->pte = zeroed((nr_regions + 2) * 512 * sizeof(int32_t));
	cpu->parent = zeroed((nr_regions + 2) * sizeof(int32_t));
	cpu->tables = zeroed(nr_regions * sizeof(int32_t));
	cpu->last_seq = zeroed(slots * sizeof(int32_t));
	cpu->section = zeroed(LINE_WORDS * sizeof(int32_t));
	for (uint32_t region = 0; region < nr_regions; region++) {
		cpu->tables[region] = (region + 2) * 512;
		cpu->parent[region + 2] = 512 + (region & 511);
	}
	for (uint32_t i = 0; i < nr_events; i++) {
		_Atomic int32_t *entry = &cpu->pte[1024 + (events[i] >> 2)];
		if (*entry == 0)
			*entry = (++pfn << SHIFT) | PRESENT | WRITE | DIRTY;
	}
	if (contents)
		cpu->frames = zeroed((size_t)(pfn + 1) * PAGE_WORDS * sizeof(int32_t));
}

static void read_events(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL || fread(&nr_regions, 4, 1, file) != 1 || fread(&nr_events, 4, 1, file) != 1)
		exit(2);
	events = zeroed((size_t)nr_events * 4);
	if (fread(events, 4, nr_events, file) != nr_events)
		exit(2);
	fclose(file);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	int threads = atoi(argv[3]);
	if (threads < 1 || threads > 32)
		return 2;
	contents = strcmp(argv[2], "contents") == 0;
	read_events(argv[4]);

	static struct cpu cpus[32];
	pthread_t ids[32];
	double rate = 0;
	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (int i = 0; i < threads; i++) {
		populate(&cpus[i], i);
		pthread_create(&ids[i], NULL, body, &cpus[i]);
	}
	pthread_barrier_wait(&barrier);
	usleep(atof(argv[1]) * 1e3);
	atomic_store(&stop, 1);
	for (int i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		if (cpus[i].mismatches != 0)
			return 4;
		rate += cpus[i].events / cpus[i].ns * 1e9;
	}
	printf("%.0f\n", rate);
	return 0;
}
