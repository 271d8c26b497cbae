/* What readers, publisher and phases share: the options, the counters, and how texts are filled in. */
#ifndef STAGE_H
#define STAGE_H
#include <sys/epoll.h>

#include "link.h"
#include "measure.h"

enum { MAX_CLIENTS = 40000, MAX_EVENTS = 1 << 22, ROOM = 1 << 18, LONGEST = 1 << 16, HANDSHAKES = 256, CODES = 5000 };
static const uint64_t FIRST = 1000000000, EPOCH = 1000000000000000, MS = 1000000;  /* equally many digits always */

enum state { NEW, CONNECTING, SHAKING, HEAD, JOINING, OPEN, AWAY, GONE };
struct client {
    struct link link;
    enum state state;
    int stalled, chunked;
    uint64_t next, last, due, chunk;  /* number expected, position seen, when to connect, bytes left of a chunk */
    enum { SIZE, DATA, AFTER } at;
    char *rest;                       /* of a frame that has not come whole */
    size_t rest_size;
};

static struct {
    long port, clients, channels, window, batch, core, stalled, until, tls;
    double seconds, warmup, settle, rate, drop, spread, hold, patience, seed;
    const char *framing, *publish, *subscribe, *greeting, *again, *greeting_again, *ready, *number, *position, *from, *pids,
        *hello, *head, *opening, *item, *closing;
} option = {.clients = 1, .channels = 1, .batch = 1, .core = -1, .seconds = 1, .warmup = 0.2, .settle = 0.3,
            .spread = 0.5, .patience = 10, .seed = 1, .framing = "ws", .publish = "none", .opening = "", .closing = ""};

static struct client *clients;
static struct { struct link link; char *out; size_t room, used, sent; int writable; } publisher;
static uint64_t sent_at[MAX_EVENTS];
static uint32_t seen[MAX_EVENTS];
static struct histogram latencies;
static uint64_t published, done, delivered, gaps, doubles, begin, end, window_deliveries;
static uint64_t drops, refused, lost_by_server, comebacks, cut, first_lost, all_back, closes[CODES];
static long opened, opening, fresh, away, receivers;
static int poll_fd, framing_sse, framing_resp, over_ws;

/* ---- texts ---------------------------------------------------------------------------------------------- */

static size_t digits(char *out, uint64_t value) { return (size_t)sprintf(out, "%lu", value); }

static size_t render(char *out, const char *text, long i, uint64_t last, uint64_t n, uint64_t t) {
    char *start = out;
    while (*text) {
        uint64_t c = (uint64_t)i % (uint64_t)option.channels;
        if (*text != '{') *out++ = *text++;
        else if (!strncmp(text, "{i}", 3)) { out += digits(out, (uint64_t)i); text += 3; }
        else if (!strncmp(text, "{c}", 3)) { out += digits(out, c); text += 3; }
        else if (!strncmp(text, "{n}", 3)) { out += digits(out, FIRST + n); text += 3; }
        else if (!strncmp(text, "{t}", 3)) { out += digits(out, EPOCH + t); text += 3; }
        else if (!strncmp(text, "{last}", 6)) { out += sprintf(out, "%ld", (long)last); text += 6; }
        else if (!strncmp(text, "{since}", 7)) { out += digits(out, last + 1); text += 7; }
        else *out++ = *text++;
    }
    return (size_t)(out - start);
}

static size_t frame(char *out, int opcode, const char *text, size_t size) {  /* masked with zeros: readable */
    size_t at = 0;
    out[at++] = (char)(0x80 | opcode);
    if (size < 126) out[at++] = (char)(0x80 | size);
    else { out[at++] = (char)(0x80 | 126); out[at++] = (char)(size >> 8); out[at++] = (char)size; }
    memset(out + at, 0, 4);
    memcpy(out + at + 4, text, size);
    return at + 4 + size;
}

static const char *find(const char *text, size_t size, const char *key, size_t key_size, size_t *hint) {
    if (*hint + key_size <= size && !memcmp(text + *hint, key, key_size)) return text + *hint + key_size;
    const char *found = memmem(text, size, key, key_size);
    if (!found) return NULL;
    *hint = (size_t)(found - text);  /* the next event most likely has it at the same place */
    return found + key_size;
}
#endif
