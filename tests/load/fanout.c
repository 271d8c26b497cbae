/* One publisher, a crowd of subscribers, every delivery counted by its number: one thread, one epoll.
 *
 * Opens --clients connections (--framing ws, sse or resp), publishes numbered events (--publish ws, http, resp or
 * none) and prints one JSON line. Closed loop: --window events are under way; one is done when every subscriber of
 * its channel has it. Open loop: --rate per second, timed from the moment an event was due. A client expects the
 * numbers of its channel (client mod --channels) in order, so each gap and each double is seen. The number is the one
 * that was sent, or the server's own, from 0, after the text --number.
 *
 * Trouble on demand: --drop cuts that share of the crowd every second; whoever is cut, by us or by the server, comes
 * back within --spread seconds with --again, which names its position. --stalled clients never read until --hold
 * seconds after the last event; then it is counted how the server had left them.
 *
 * Texts: {i} client, {c} channel, {since} the position after the last one seen, {last} that one, {n} the event's
 * number from 1000000000 on, {t} when it was due (10^15 + ns), {length} size of what follows the first blank line.
 */
#define _GNU_SOURCE
#include <math.h>
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

/* ---- the publisher -------------------------------------------------------------------------------------- */

static void flush(void) {
    while (publisher.sent < publisher.used) {
        ssize_t n = put(&publisher.link, publisher.out + publisher.sent, publisher.used - publisher.sent);
        if (n < 0 && errno != EAGAIN) die("the publisher was cut off: %s", strerror(errno));
        if (n < 0) break;
        publisher.sent += (size_t)n;
    }
    int writable = publisher.sent < publisher.used;
    if (!writable) publisher.used = publisher.sent = 0;
    if (writable != publisher.writable) {
        struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = NULL};
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, publisher.link.fd, &event);
        publisher.writable = writable;
    }
}

static void publish(uint64_t count, uint64_t due) {
    static char body[1 << 20];
    while (count && published < MAX_EVENTS) {
        size_t size = render(body, option.opening, (long)published, 0, 0, 0);
        uint64_t channel = published;
        for (long i = 0; i < option.batch && count && published < MAX_EVENTS; i++, count--, published++) {
            if (i) body[size++] = ',';
            uint64_t at = due ? due : now();
            sent_at[published] = at;
            size += render(body + size, option.item, (long)published, 0, published, at);
        }
        size += render(body + size, option.closing, 0, 0, 0, 0);
        if (publisher.room < publisher.used + size + LONGEST) {
            publisher.room = 2 * (publisher.used + size + LONGEST);
            publisher.out = realloc(publisher.out, publisher.room);
        }
        char *out = publisher.out + publisher.used;
        if (over_ws) { publisher.used += frame(out, 1, body, size); continue; }
        for (const char *text = option.head; text && *text;) {
            const char *mark = strstr(text, "{length}");
            char part[LONGEST];
            size_t plain = mark ? (size_t)(mark - text) : strlen(text);
            memcpy(part, text, plain);
            part[plain] = 0;
            out += render(out, part, (long)channel, 0, 0, 0);
            if (mark) out += digits(out, size);
            text = mark ? mark + 8 : NULL;
        }
        memcpy(out, body, size);
        publisher.used = (size_t)(out + size - publisher.out);
    }
    flush();
}

static void on_publisher(void) {
    static char text[ROOM + 1];
    ssize_t n = get(&publisher.link, text, ROOM);
    if (n == 0 || (n < 0 && errno != EAGAIN)) die("the publisher was cut off");
    if (n < 0) return;
    text[n] = 0;
    if (*option.publish == 'r' && text[0] == '-') die("the publisher was refused: %.300s", text);
    if (*option.publish != 'h') return;
    for (char *at = text; (at = strstr(at, "HTTP/1.1 ")); at += 9)
        if (at[9] && at[9] != '2') die("the publisher was refused: %.300s", at);
}

static void wait_for(struct link *l, uint32_t what) {  /* the publisher's first steps are taken in order */
    struct epoll_event event = {.events = what};
    int fd = epoll_create1(0);
    epoll_ctl(fd, EPOLL_CTL_ADD, l->fd, &event);
    if (epoll_wait(fd, &event, 1, 10000) != 1) die("the publisher got no answer");
    close(fd);
}

static void open_publisher(void) {
    char text[LONGEST];
    size_t used = 0;
    if (*option.publish == 'n') return;
    if (link_open(&publisher.link, (int)option.port, 0, 0)) die("the publisher cannot connect: %s", strerror(errno));
    wait_for(&publisher.link, EPOLLOUT);
    for (int ready; !(ready = link_shake(&publisher.link));) wait_for(&publisher.link, EPOLLIN);
    if (over_ws) {
        size_t size = render(text, option.hello, 0, 0, 0, 0);
        if (put(&publisher.link, text, size) != (ssize_t)size) die("the publisher cannot speak");
        for (ssize_t n; used < 4 || !memmem(text, used, "\r\n\r\n", 4); used += n > 0 ? (size_t)n : 0) {
            wait_for(&publisher.link, EPOLLIN);
            n = get(&publisher.link, text + used, sizeof text - used - 1);
            if (n == 0 || (n < 0 && errno != EAGAIN)) die("the publisher was cut off");
        }
        if (memcmp(text + 9, "101", 3)) { text[used] = 0; die("the publisher was refused: %.300s", text); }
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, publisher.link.fd, &event);
}

/* ---- the server's vitals -------------------------------------------------------------------------------- */

static double server_cpu(void) {  /* seconds of all --pids */
    double ticks = 0;
    for (const char *at = option.pids; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        char path[64], line[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", atoi(at));
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fgets(line, sizeof line, file)) {
            unsigned long user, system;
            if (sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2)
                ticks += (double)(user + system);
        }
        fclose(file);
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

static double server_kib(void) {  /* resident, of all --pids */
    double pages = 0;
    for (const char *at = option.pids; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        char path[64];
        unsigned long resident;
        snprintf(path, sizeof path, "/proc/%d/statm", atoi(at));
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%*u %lu", &resident) == 1) pages += (double)resident;
        fclose(file);
    }
    return pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* ---- phases --------------------------------------------------------------------------------------------- */

static void poll_for(uint64_t longest) {
    struct epoll_event events[512];
    struct timespec time = {.tv_sec = (time_t)(longest / SECOND), .tv_nsec = (long)(longest % SECOND)};
    int n = epoll_pwait2(poll_fd, events, 512, &time, NULL);
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr) on_client(events[i].data.ptr);
        else if (events[i].events & EPOLLOUT) flush();
        else on_publisher();
    }
}

static void connect_due(uint64_t at) {
    static uint64_t looked;
    for (; fresh < option.clients && opening < HANDSHAKES; fresh++) start(&clients[fresh]);
    if (!away || at < looked + 2 * MS) return;
    looked = at;
    for (long i = 0; i < option.clients && opening < HANDSHAKES; i++)
        if (clients[i].state == AWAY && clients[i].due <= at) { away--; start(&clients[i]); }
}

static void drop_some(uint64_t at, uint64_t since) {
    uint64_t wanted = (uint64_t)((double)(at - since) / 1e9 * option.drop * (double)option.clients);
    for (long tries = 0; drops < wanted && tries < option.clients; tries++) {
        struct client *c = &clients[draw((uint64_t)option.clients)];
        if (c->state != OPEN || c->stalled) continue;
        leave(c, (int)draw(2));
        come_back(c, at + draw((uint64_t)(option.spread * 1e9) + 1));
        drops++;
    }
}

static uint64_t expected(void) { return (option.until ? (uint64_t)option.until : published) * (uint64_t)receivers; }

static double open_all(void) {
    uint64_t started = now(), stop = started + (uint64_t)(option.patience * 1e9);
    while (opened < option.clients) {
        uint64_t at = now();
        if (at > stop) die("%ld of %ld clients are in after %.0f s", opened, option.clients, option.patience);
        connect_due(at);
        poll_for(5 * MS);
    }
    return (double)(now() - started) / 1e9;
}

static void settle(double seconds) {
    for (uint64_t stop = now() + (uint64_t)(seconds * 1e9); now() < stop;) { connect_due(now()); poll_for(10 * MS); }
}

static double run(double *cpu, double *most_kib) {  /* server CPU and most memory of the counted seconds */
    uint64_t started = now(), stop, looked = 0;
    int counted = 0;
    begin = started + (uint64_t)(option.warmup * 1e9);
    end = begin + (uint64_t)(option.seconds * 1e9);
    stop = end + (uint64_t)(option.patience * 1e9);
    for (uint64_t at; (at = now()) < stop;) {
        if (at >= begin && !counted) { *cpu = -server_cpu(); counted = 1; }
        if (at >= end && counted == 1) { *cpu += server_cpu(); counted = 2; }
        if (at >= looked + 100 * MS) { looked = at; double kib = server_kib(); if (kib > *most_kib) *most_kib = kib; }
        uint64_t pause = at < end ? end - at : 10 * MS;
        if (at < end && *option.publish != 'n') {
            if (option.window) { if (published - done < (uint64_t)option.window) publish((uint64_t)option.window - (published - done), 0); }
            else {
                for (uint64_t due; (due = started + (uint64_t)((double)published / option.rate * 1e9)) <= at;) publish(1, due);
                uint64_t due = started + (uint64_t)((double)published / option.rate * 1e9);
                pause = due > at ? due - at : 0;
            }
        }
        if (at < end && option.drop > 0) drop_some(at, started);
        connect_due(at);
        if ((away || option.drop > 0) && pause > 2 * MS) pause = 2 * MS;
        if (at >= end && delivered + gaps >= expected() && !away && !opening) break;
        if (option.until && delivered + gaps >= expected() && opened == option.clients) break;
        poll_for(pause < 100 * MS ? pause : 100 * MS);
    }
    return (double)(now() - started) / 1e9;
}

static void look_at_stalled(void) {  /* they read now: was there an end? */
    settle(option.hold);
    for (long i = 0; i < option.clients; i++) if (clients[i].stalled && clients[i].state == OPEN) watch(&clients[i], EPOLLIN, EPOLL_CTL_ADD);
    for (uint64_t stop = now() + (uint64_t)(option.patience * 1e9); now() < stop && cut < (uint64_t)option.stalled;) poll_for(10 * MS);
}

/* ---- the rest ------------------------------------------------------------------------------------------- */

#define NUMBER(field) {"--" #field, &option.field, NULL, NULL}
#define REAL(field) {"--" #field, NULL, &option.field, NULL}
#define TEXT(field) {"--" #field, NULL, NULL, &option.field}
static const struct { const char *name; long *number; double *real; const char **text; } OPTIONS[] = {
    NUMBER(port), NUMBER(clients), NUMBER(channels), NUMBER(window), NUMBER(batch), NUMBER(core), NUMBER(stalled),
    NUMBER(until), NUMBER(tls), REAL(seconds), REAL(warmup), REAL(settle), REAL(rate), REAL(drop), REAL(spread),
    REAL(hold), REAL(patience), REAL(seed), TEXT(framing), TEXT(publish), TEXT(subscribe), TEXT(greeting), TEXT(again),
    TEXT(greeting_again), TEXT(ready), TEXT(number), TEXT(position), TEXT(from), TEXT(pids), TEXT(hello), TEXT(head), TEXT(opening),
    TEXT(item), TEXT(closing)};

static void parse(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t at = 0, count = sizeof OPTIONS / sizeof *OPTIONS;
        while (at < count && strcmp(argv[i], OPTIONS[at].name)) at++;
        if (at == count) die("unknown option %s", argv[i]);
        if (OPTIONS[at].number) *OPTIONS[at].number = atol(argv[i + 1]);
        else if (OPTIONS[at].real) *OPTIONS[at].real = atof(argv[i + 1]);
        else *OPTIONS[at].text = argv[i + 1];
    }
    framing_sse = !strcmp(option.framing, "sse");
    framing_resp = !strcmp(option.framing, "resp");
    over_ws = !strcmp(option.publish, "ws");
    if (!option.port || (!option.subscribe && !framing_resp)) die("--port and --subscribe are needed");
    if (option.clients < 1 || option.clients > MAX_CLIENTS || option.stalled > option.clients || option.channels < 1 ||
        option.clients % option.channels || (option.stalled && option.channels > 1) || option.batch < 1 || option.seconds > 3600)
        die("out of bounds: clients 1-%d, a multiple of the channels; stalled ones only with one channel", MAX_CLIENTS);
    if (*option.publish != 'n' && (!option.item || !(option.window > 0 || option.rate > 0))) die("--item and --window or --rate are needed");
}

int main(int argc, char **argv) {
    parse(argc, argv);
    random_state = (uint64_t)option.seed * 0x9E3779B97F4A7C15ull + 1;
    stay_on((int)option.core);
    if (option.tls) use_tls();
    poll_fd = epoll_create1(0);
    clients = calloc((size_t)option.clients, sizeof *clients);
    for (long i = 0; i < option.clients; i++) {
        clients[i].next = (uint64_t)(i % option.channels);
        clients[i].stalled = i >= option.clients - option.stalled;
        clients[i].last = option.from ? strtoull(option.from, NULL, 10) : 0;
    }
    receivers = (option.clients - option.stalled) / option.channels;
    double before = server_kib(), cpu = 0, most = before, opened_after = open_all();
    open_publisher();  /* last: who has nothing to say for seconds would be shown out */
    settle(option.settle);
    double after = server_kib(), busy = -own_cpu(), whole = run(&cpu, &most);
    busy += own_cpu();
    if (option.hold > 0) look_at_stalled();
    printf("{\"codes\":{");
    int any = 0;
    for (int i = 0; i < CODES; i++) if (closes[i]) printf("%s\"%d\":%lu", any++ ? "," : "", i, closes[i]);
    printf("},");
    print_histogram("latency", &latencies);
    printf("\"seconds\":%.4f,\"rate\":%.1f,\"events\":%lu,\"delivered\":%lu,\"gaps\":%lu,\"doubles\":%lu,\"missing\":%ld,"
           "\"open_s\":%.3f,\"kib_before\":%.0f,\"kib_open\":%.0f,\"kib_most\":%.0f,\"cpu_s\":%.3f,\"counted\":%lu,\"busy\":%.3f,"
           "\"drops\":%lu,\"comebacks\":%lu,\"refused\":%lu,\"lost\":%lu,\"back_s\":%.3f,\"cut\":%lu,\"open\":%ld}\n",
           option.seconds, (double)window_deliveries / option.seconds, published, delivered, gaps, doubles,
           (long)(expected() - delivered - gaps), opened_after, before, after, most, cpu, window_deliveries, busy / whole,
           drops, comebacks, refused, lost_by_server, all_back ? (double)(all_back - first_lost) / 1e9 : -1.0, cut, opened);
    return 0;
}
