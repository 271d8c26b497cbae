/* The crowd: how a reader comes in, reads, leaves and comes back, and what is counted of every event. */
#ifndef READERS_H
#define READERS_H
#include "stage.h"

/* ---- clients -------------------------------------------------------------------------------------------- */

static void watch(struct client *c, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poll_fd, how, c->link.fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void leave(struct client *c, int abruptly) {
    if (c->state == OPEN) opened--;
    else opening--;
    link_close(&c->link, abruptly);
    free(c->rest);
    c->rest = NULL;
    c->rest_size = 0;
    c->state = GONE;
}

static void come_back(struct client *c, uint64_t at) {
    c->state = AWAY;
    c->due = at;
    away++;
}

static void lost(struct client *c, const char *why) {  /* by the server's doing */
    long number = c - clients;
    leave(c, 0);
    if (c->stalled) { cut++; return; }
    if (!option.again) die("client %ld: %s", number, why);
    lost_by_server++;
    if (!first_lost) first_lost = now();
    all_back = 0;
    come_back(c, now() + draw((uint64_t)(option.spread * 1e9) + 1));
}

static void refuse(struct client *c, const char *why) {
    leave(c, 0);
    if (!option.again) die("client %ld was refused: %s", (long)(c - clients), why);
    refused++;
    come_back(c, now() + 100 * MS + draw(200 * MS));
}

static void say(struct client *c, const char *text, size_t size) {
    if (put(&c->link, text, size) != (ssize_t)size) lost(c, "does not take our words");
}

static void start(struct client *c) {
    int error = link_open(&c->link, (int)option.port, c - clients, c->stalled);
    c->state = CONNECTING;
    c->chunk = 0;
    c->at = SIZE;
    opening++;
    if (error) { refuse(c, strerror(error)); return; }
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static int returning(const struct client *c) { return option.again && (c->last || option.from); }

static void welcomed(struct client *c);

static void introduce(struct client *c) {  /* connected (and encrypted): ask */
    char text[LONGEST];
    const char *words = returning(c) ? option.again : option.subscribe;
    c->state = HEAD;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    if (framing_resp) welcomed(c);
    else say(c, text, render(text, words, c - clients, c->last, 0, 0));
}

static void on_connected(struct client *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->link.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) { refuse(c, strerror(error)); return; }
    int ready = link_shake(&c->link);
    if (ready < 0) refuse(c, "TLS");
    else if (ready) introduce(c);
    else { c->state = SHAKING; watch(c, EPOLLIN, EPOLL_CTL_MOD); }
}

static void joined(struct client *c) {
    c->state = OPEN;
    opening--;
    opened++;
    if (c->due) { comebacks++; c->due = 0; }
    if (opened == option.clients && first_lost && !all_back) all_back = now();
    if (c->stalled) watch(c, 0, EPOLL_CTL_DEL);
}

static void welcomed(struct client *c) {  /* the head was good */
    char words[LONGEST], out[LONGEST + 16];
    const char *greeting = returning(c) && option.greeting_again ? option.greeting_again : option.greeting;
    c->state = JOINING;
    if (greeting) {
        size_t size = render(words, greeting, c - clients, c->last, 0, 0);
        if (framing_resp) say(c, words, size);
        else say(c, out, frame(out, 1, words, size));
    }
    if (!option.ready && c->state == JOINING) joined(c);
}

/* ---- what comes ----------------------------------------------------------------------------------------- */

static uint64_t eight_digits(const char *text) {
    uint64_t v;
    memcpy(&v, text, 8);
    v = (v & 0x0F0F0F0F0F0F0F0Full) * 2561 >> 8;
    v = (v & 0x00FF00FF00FF00FFull) * 6553601 >> 16;
    return (v & 0x0000FFFF0000FFFFull) * 42949672960001ull >> 32;
}

static void on_event(struct client *c, const char *text, size_t size, uint64_t arrived) {
    static size_t number_hint, position_hint;
    const char *key = option.number ? option.number : "\"n\":";
    const char *number = find(text, size, key, strlen(key), &number_hint);
    if (!number) {
        if (c->state == JOINING && memmem(text, size, option.ready, strlen(option.ready))) joined(c);
        return;
    }
    if (c->stalled) return;
    if (!option.number && number + 10 > text + size) die("a number was cut off: %.*s", (int)size, text);
    uint64_t n = option.number ? strtoull(number, NULL, 10) : eight_digits(number + 2);
    if (option.position) {
        const char *position = find(text, size, option.position, strlen(option.position), &position_hint);
        if (position) c->last = strtoull(position, NULL, 10);
    }
    if (n < c->next) { doubles++; return; }
    if (n >= MAX_EVENTS || n % (uint64_t)option.channels != (uint64_t)(c - clients) % (uint64_t)option.channels)
        die("client %ld got number %lu, which is not for it: %.*s", (long)(c - clients), n, (int)size, text);
    gaps += (n - c->next) / (uint64_t)option.channels;
    c->next = n + (uint64_t)option.channels;
    delivered++;
    if (arrived >= begin && arrived < end) window_deliveries++;
    if (sent_at[n] >= begin && sent_at[n] < end) record(&latencies, arrived > sent_at[n] ? arrived - sent_at[n] : 0);
    if (option.window && ++seen[n] == receivers) done++;
}

static size_t on_frames(struct client *c, char *text, size_t used, uint64_t arrived) {
    size_t at = 0;
    while (used - at >= 2) {
        unsigned char *head = (unsigned char *)text + at;
        size_t size = head[1] & 127, start = 2;
        if (size >= 126) {
            start = size == 126 ? 4 : 10;
            if (used - at < start) break;
            size = 0;
            for (size_t i = 2; i < start; i++) size = size << 8 | head[i];
        }
        if (used - at < start + size) break;
        char *body = text + at + start;
        at += start + size;
        if (head[0] == 0x81) on_event(c, body, size, arrived);
        else if (head[0] == 0x89) { char out[160]; say(c, out, frame(out, 10, body, size < 126 ? size : 125)); }
        else if (head[0] == 0x88) {
            unsigned code = size < 2 ? 1005 : (unsigned)((unsigned char)body[0] << 8 | (unsigned char)body[1]);
            closes[code < CODES ? code : 0]++;
            lost(c, "closed by the server");
        } else if (head[0] != 0x8A) die("client %ld got a frame of kind %02x", (long)(c - clients), head[0]);
        if (c->state < JOINING || c->state > OPEN) return used;  /* it has left meanwhile */
    }
    return at;
}

static size_t on_blocks(struct client *c, char *text, size_t used, uint64_t arrived) {  /* of an event stream */
    size_t at = 0;
    for (char *line = text, *stop; (stop = memchr(line, '\n', used - (size_t)(line - text))); line = stop + 1) {
        if (stop != line && !(stop == line + 1 && *line == '\r')) continue;
        on_event(c, text + at, (size_t)(stop - text) - at, arrived);
        at = (size_t)(stop + 1 - text);
    }
    return at;
}

static size_t on_replies(struct client *c, char *text, size_t used, uint64_t arrived) {  /* of Redis: flat objects */
    size_t at = 0;
    if (c->state == JOINING && memmem(text, used, option.ready, strlen(option.ready))) joined(c);
    for (char *stop; (stop = memchr(text + at, '}', used - at)); at = (size_t)(stop + 1 - text))
        on_event(c, text + at, (size_t)(stop + 1 - text) - at, arrived);
    return at;
}

static size_t unchunk(struct client *c, char *text, size_t from, size_t used) {  /* in place; the new end */
    size_t to = from, at = from;
    while (at < used) {
        if (c->at == DATA) {
            size_t part = used - at < c->chunk ? used - at : c->chunk;
            memmove(text + to, text + at, part);
            to += part;
            at += part;
            if ((c->chunk -= part) == 0) c->at = AFTER;
            continue;
        }
        char byte = text[at++];
        if (c->at == AFTER) { if (byte == '\n') c->at = SIZE; }
        else if (byte == '\n') c->at = c->chunk ? DATA : AFTER;
        else if (byte >= '0' && byte <= '9') c->chunk = c->chunk * 16 + (uint64_t)(byte - '0');
        else if (byte != '\r') c->chunk = c->chunk * 16 + (uint64_t)((byte | 32) - 'a' + 10);
    }
    return to;
}

static size_t on_head(struct client *c, char *text, size_t used) {
    char *blank = memmem(text, used, "\r\n\r\n", 4);
    if (!blank) return 0;
    if (memcmp(text + 9, framing_sse ? "200" : "101", 3)) {
        text[used < 900 ? used : 900] = 0;
        refuse(c, text);
        return used;
    }
    c->chunked = memmem(text, (size_t)(blank - text), "chunked", 7) != NULL;
    welcomed(c);
    return (size_t)(blank + 4 - text);
}

static int read_once(struct client *c) {  /* whether there may be more */
    static char text[2 * ROOM];
    size_t used = c->rest_size, at = 0;
    if (used > ROOM) die("client %ld: an event of more than %d bytes", (long)(c - clients), ROOM);
    memcpy(text, c->rest, used);
    ssize_t n = get(&c->link, text + used, ROOM);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) { if (c->state >= JOINING) lost(c, "the connection ended"); else refuse(c, "the connection ended"); return 0; }
    uint64_t arrived = now();
    size_t total = used + (size_t)n, old = used;
    if (c->state == HEAD) {
        at = on_head(c, text, total);
        old = at;
    }
    if (c->state == JOINING || c->state == OPEN) {
        if (framing_sse && c->chunked) total = unchunk(c, text, old, total);
        size_t size = total - at;
        at += framing_resp ? on_replies(c, text + at, size, arrived)
              : framing_sse ? on_blocks(c, text + at, size, arrived) : on_frames(c, text + at, size, arrived);
    }
    if (c->state < HEAD || c->state > OPEN) return 0;
    size_t rest = total - at;
    if (rest || c->rest) c->rest = realloc(c->rest, rest + 1);
    if (rest) memcpy(c->rest, text + at, rest);
    c->rest_size = rest;
    return c->link.tls != NULL;  /* decrypted bytes wait where epoll does not see them */
}

static void on_client(struct client *c) {
    switch (c->state) {
        case CONNECTING: on_connected(c); break;
        case SHAKING: {
            int ready = link_shake(&c->link);
            if (ready < 0) refuse(c, "TLS"); else if (ready) introduce(c);
            break;
        }
        case HEAD: case JOINING: case OPEN: while (read_once(c)) {} break;
        case NEW: case AWAY: case GONE: break;
    }
}
#endif
