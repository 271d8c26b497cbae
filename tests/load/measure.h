/* What both generators measure with: a clock, a histogram, random numbers, and a way to give up. */
#ifndef MEASURE_H
#define MEASURE_H
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { SUB = 64, BUCKETS = 40 * SUB };         /* histogram: 64 steps per power of two, within 1.6 % */
static const uint64_t SECOND = 1000000000ull;  /* times are nanoseconds */
struct histogram { uint64_t counts[BUCKETS], total, sum, max; };
static uint64_t random_state;

static void die(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t draw(uint64_t limit) {  /* xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return ((random_state * 2685821657736338717ull) >> 16) % limit;
}

static void record(struct histogram *h, uint64_t value) {
    int exponent = value < SUB ? 6 : 63 - __builtin_clzll(value);
    size_t index = value < SUB ? value : (size_t)(exponent - 6) * SUB + (value >> (exponent - 6));
    h->counts[index < BUCKETS ? index : BUCKETS - 1]++;
    h->total++;
    h->sum += value;
    if (value > h->max) h->max = value;
}

static double percentile(const struct histogram *h, double share) {  /* microseconds */
    uint64_t wanted = (uint64_t)((double)h->total * share), seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > wanted) {
            uint64_t low = i < 2 * SUB ? i : (SUB + i % SUB) << (i / SUB - 1);
            return (double)low / 1000.0;
        }
    }
    return (double)h->max / 1000.0;
}

static void print_histogram(const char *name, const struct histogram *h) {
    printf("\"%s\":{\"count\":%lu,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f},",
           name, h->total, h->total ? (double)h->sum / (double)h->total / 1000.0 : 0.0, percentile(h, 0.50),
           percentile(h, 0.95), percentile(h, 0.99), (double)h->max / 1000.0);
}

static void stay_on(int core) {  /* negative: anywhere */
    cpu_set_t set;
    if (core < 0) return;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static double own_cpu(void) {  /* seconds */
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
#endif
