/* A load generator for loopback: HTTP/1.1 keep-alive or RESP, closed loop, one thread, one epoll.
 *
 * Python cannot drive these servers to their limit from one core; this can, some ten times over. It opens
 * --connections, keeps --depth requests under way on each, and prints one JSON line: rate, latencies, its own
 * processor share. In --mode poke one connection writes at --rate and --subscribers event streams are timed from
 * the moment a write is sent to the moment its poke is read. Bounded in time, connections and requests.
 *
 * A request is a template: {seq} counts up, {conn} is the connection, {rand:N} a number below N, {pad:N} the same
 * with leading zeros, {fresh:N} walks 0..N-1 in turn, {length} the size of what follows the first blank line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

enum { MAX_PIECES = 1024, MAX_DEPTH = 256, MAX_CONNECTIONS = 20000, MAX_POKES = 1 << 20 };
static const uint64_t PATIENCE = 5000000000ull;

enum kind { LITERAL, SEQUENCE, CONNECTION, RANDOM, PADDED, FRESH, LENGTH };
struct piece { enum kind kind; const char *text; size_t size; uint64_t limit; int width; };
struct template { struct piece pieces[MAX_PIECES]; int count; };

struct connection {
    int fd, head, waiting, writable;
    long number;
    char *in, *out;
    size_t in_room, in_used, needed, out_room, out_used, out_sent;
    uint64_t started[MAX_DEPTH];
};

static struct { int port, connections, depth, core, subscribers, resp, poke; double seconds, warmup, rate; uint64_t requests, seed;
    const char *request, *subscribe; } option = {.connections = 1, .depth = 1, .core = -1, .subscribers = 1,
    .seconds = 1, .warmup = 0.2, .rate = 100, .requests = UINT64_MAX, .seed = 1};
static struct template head, body, greeting;
static struct histogram answers_seen, pokes_seen;
static uint64_t begin, end, sequence, fresh, sent, answered, total, errors, received_bytes;
static uint64_t poke_sent[MAX_POKES], pokes_total;
static char first_error[400];
static int poll_fd;

/* ---- templates ------------------------------------------------------------------------------------------ */

static const struct { const char *name; enum kind kind; } WORDS[] = {{"{seq}", SEQUENCE}, {"{conn}", CONNECTION},
    {"{rand:", RANDOM}, {"{pad:", PADDED}, {"{fresh:", FRESH}, {"{length}", LENGTH}};

static size_t placeholder(const char *text, struct piece *piece) {
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        size_t size = strlen(WORDS[i].name);
        if (strncmp(text, WORDS[i].name, size) != 0) continue;
        *piece = (struct piece){.kind = WORDS[i].kind};
        if (WORDS[i].name[size - 1] == '}') return size;
        char *stop;
        piece->limit = strtoull(text + size, &stop, 10);
        if (*stop != '}' || piece->limit == 0) die("bad placeholder: %.20s", text);
        piece->width = snprintf(NULL, 0, "%lu", piece->limit - 1);
        return (size_t)(stop + 1 - text);
    }
    return 0;
}

static void compile(struct template *t, const char *text, size_t size) {
    const char *literal = text, *stop = text + size;
    for (const char *at = text; at <= stop;) {
        struct piece piece;
        size_t used = at < stop && *at == '{' ? placeholder(at, &piece) : 0;
        if (used == 0 && at < stop) { at++; continue; }
        if (t->count + 2 > MAX_PIECES) die("template too long");
        if (at > literal) t->pieces[t->count++] = (struct piece){.text = literal, .size = (size_t)(at - literal)};
        if (at == stop) break;
        t->pieces[t->count++] = piece;
        literal = at += used;
    }
}

static size_t render(const struct template *t, char *out, long connection, size_t length) {
    char *start = out;
    for (const struct piece *p = t->pieces; p < t->pieces + t->count; p++) switch (p->kind) {
        case LITERAL: memcpy(out, p->text, p->size); out += p->size; break;
        case SEQUENCE: out += sprintf(out, "%lu", sequence++); break;
        case CONNECTION: out += sprintf(out, "%ld", connection); break;
        case RANDOM: out += sprintf(out, "%lu", draw(p->limit)); break;
        case PADDED: out += sprintf(out, "%0*lu", p->width, draw(p->limit)); break;
        case FRESH: out += sprintf(out, "%lu", fresh++ % p->limit); break;
        case LENGTH: out += sprintf(out, "%zu", length); break;
    }
    return (size_t)(out - start);
}

static size_t load(const char *path, char **text) {
    FILE *file = fopen(path, "rb");
    if (!file) die("cannot read %s", path);
    *text = calloc(1, 1 << 22);
    size_t size = fread(*text, 1, (1 << 22) - 1, file);
    fclose(file);
    return size;
}

static void load_request(const char *path, struct template *h, struct template *b) {
    char *text;
    size_t size = load(path, &text);
    char *blank = option.resp ? NULL : strstr(text, "\r\n\r\n");
    size_t split = blank ? (size_t)(blank + 4 - text) : 0;
    compile(h, text, split);
    compile(b, text + split, size - split);
}

/* ---- connections ---------------------------------------------------------------------------------------- */

static void *grown(void *old, size_t *room, size_t wanted) {
    if (wanted <= *room) return old;
    while (*room < wanted) *room = *room ? *room * 2 : 65536;
    void *bigger = realloc(old, *room);
    if (!bigger) die("out of memory");
    return bigger;
}

static void arm(struct connection *c, int writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(poll_fd, c->writable < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c->fd, &event)) die("epoll_ctl failed");
    c->writable = writable;
}

static void open_connection(struct connection *c, long number) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)option.port)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *c = (struct connection){.number = number, .writable = -1, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&where, sizeof where))
        die("cannot connect to port %d: %s", option.port, strerror(errno));
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    arm(c, 0);
}

static void flush(struct connection *c) {
    while (c->out_sent < c->out_used) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) { arm(c, 1); return; }
        if (n < 0) die("send failed: %s", strerror(errno));
        c->out_sent += (size_t)n;
    }
    c->out_used = c->out_sent = 0;
    if (c->writable) arm(c, 0);
}

static void add_request(struct connection *c, uint64_t at) {
    static char scratch[1 << 23];
    size_t size = render(&body, scratch, c->number, 0);
    c->out = grown(c->out, &c->out_room, c->out_used + size + 65536);
    c->out_used += render(&head, c->out + c->out_used, c->number, size);
    memcpy(c->out + c->out_used, scratch, size);
    c->out_used += size;
    c->started[(c->head + c->waiting++) % MAX_DEPTH] = at;
    sent++;
}

static void refill(struct connection *c) {
    uint64_t at = now();
    if (at >= end) return;
    while (c->waiting < option.depth && sent < option.requests) add_request(c, at);
    flush(c);
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static void note_error(const char *text, size_t size) {
    if (errors++) return;
    for (size_t i = 0; i < size && i < sizeof first_error - 1; i++)
        first_error[i] = text[i] < ' ' || text[i] == '"' || text[i] == '\\' ? ' ' : text[i];
}

static size_t chunked_size(const char *text, size_t used) {  /* 0: not complete yet */
    size_t at = 0;
    for (;;) {
        const char *line = memmem(text + at, used - at, "\r\n", 2);
        if (!line) return 0;
        size_t chunk = strtoul(text + at, NULL, 16);
        at = (size_t)(line - text) + 2 + chunk + 2;
        if (at > used) return 0;
        if (chunk == 0) return at;
    }
}

static size_t http_answer(struct connection *c, const char *text, size_t used) {  /* its size; 0: not complete */
    const char *blank = memmem(text, used, "\r\n\r\n", 4);
    if (!blank) return 0;
    size_t head_size = (size_t)(blank + 4 - text), body_size = 0;
    for (const char *line = text; line < blank; line = (const char *)memchr(line, '\n', used) + 1) {
        if (strncasecmp(line, "content-length:", 15) == 0) body_size = strtoul(line + 15, NULL, 10);
        if (strncasecmp(line, "transfer-encoding:", 18) == 0) {
            body_size = chunked_size(text + head_size, used - head_size);
            if (body_size == 0) return 0;
        }
    }
    if (head_size + body_size > used) { c->needed = head_size + body_size; return 0; }
    if (text[9] != '2') note_error(text, head_size + body_size);
    return head_size + body_size;
}

static size_t resp_answer(const char *text, size_t used) {
    const char *line = memmem(text, used, "\r\n", 2);
    if (!line) return 0;
    size_t size = (size_t)(line - text) + 2;
    if (text[0] == '-') note_error(text, size);
    if (text[0] == '$') size += strtoul(text + 1, NULL, 10) + 2;
    return size <= used ? size : 0;
}

static void on_answers(struct connection *c) {
    size_t at = 0, size;
    uint64_t arrived = now();
    while (c->waiting && c->in_used - at >= c->needed && c->in_used > at) {
        c->needed = 0;
        size = option.resp ? resp_answer(c->in + at, c->in_used - at) : http_answer(c, c->in + at, c->in_used - at);
        if (size == 0) break;
        at += size;
        total++;
        if (arrived >= begin && arrived < end) {
            answered++;
            received_bytes += size;
            record(&answers_seen, arrived - c->started[c->head]);
        }
        c->head = (c->head + 1) % MAX_DEPTH;
        c->waiting--;
    }
    memmove(c->in, c->in + at, c->in_used -= at);
}

static void on_pokes(struct connection *c) {
    char *at = c->in, *stop, *found;
    uint64_t arrived = now();
    while ((stop = memmem(at, c->in_used - (size_t)(at - c->in), "\n\n", 2))) {
        found = memmem(at, (size_t)(stop - at), "\"position\":", 11);
        if (found) {
            uint64_t position = strtoull(found + 11, NULL, 10);
            if (position >= MAX_POKES || !poke_sent[position]) die("a poke for a write never sent: %lu", position);
            pokes_total++;
            if (poke_sent[position] >= begin) record(&pokes_seen, arrived - poke_sent[position]);
        }
        at = stop + 2;
    }
    c->in_used -= (size_t)(at - c->in);
    memmove(c->in, at, c->in_used);
}

static void on_readable(struct connection *c) {
    for (;;) {
        c->in = grown(c->in, &c->in_room, c->in_used + 32768);
        ssize_t n = recv(c->fd, c->in + c->in_used, c->in_room - c->in_used - 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) die("connection %ld was closed by the server", c->number);
        if (n < 0) return;
        c->in_used += (size_t)n;
        c->in[c->in_used] = 0;
        if (c->in_used + 1 < c->in_room) return;
    }
}

/* ---- modes ---------------------------------------------------------------------------------------------- */

static int wait_for(struct epoll_event *events, int room, uint64_t until) {
    uint64_t at = now();
    int n = epoll_wait(poll_fd, events, room, until > at ? (int)((until - at) / 1000000) + 1 : 0);
    if (n < 0 && errno != EINTR) die("epoll_wait failed");
    return n;
}

static void run_closed_loop(struct connection *connections) {
    struct epoll_event events[512];
    for (int i = 0; i < option.connections; i++) open_connection(&connections[i], i);
    begin = now() + (uint64_t)(option.warmup * 1e9);
    end = begin + (uint64_t)(option.seconds * 1e9);
    for (int i = 0; i < option.connections; i++) refill(&connections[i]);
    while (now() < end + PATIENCE && (total < sent || (now() < end && sent < option.requests))) {
        int n = wait_for(events, 512, end + PATIENCE);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) { on_readable(c); on_answers(c); refill(c); }
        }
    }
    if (option.requests != UINT64_MAX && now() < end) end = now();
    if (total < sent) die("%lu of %lu requests were never answered", sent - total, sent);
}

static void subscribe_all(struct connection *subscribers) {
    char request[65536];
    for (int i = 0; i < option.subscribers; i++) {
        struct connection *c = &subscribers[i];
        open_connection(c, i);
        size_t size = render(&greeting, request, i, 0);
        if (send(c->fd, request, size, 0) != (ssize_t)size) die("cannot subscribe");
        fcntl(c->fd, F_SETFL, 0);
        while (!c->in_used || !strstr(c->in, "ready")) on_readable(c);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
    }
}

static void run_pokes(struct connection *writer, struct connection *subscribers) {
    struct epoll_event events[512];
    subscribe_all(subscribers);
    open_connection(writer, 0);
    uint64_t pause = (uint64_t)(1e9 / option.rate), next = now(), stop;
    begin = next + (uint64_t)(option.warmup * 1e9);
    end = begin + (uint64_t)(option.seconds * 1e9);
    stop = end + PATIENCE;
    while (now() < stop && (now() < end || total < sent || pokes_total < sent * (uint64_t)option.subscribers)) {
        if (now() >= next && now() < end && !writer->waiting && sent < MAX_POKES) {
            next += pause;
            poke_sent[sent] = now();
            add_request(writer, poke_sent[sent]);
            flush(writer);
        }
        int n = wait_for(events, 512, now() < end ? next : stop);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            on_readable(c);
            if (c == writer) on_answers(c); else on_pokes(c);
        }
    }
    if (pokes_total < sent * (uint64_t)option.subscribers) die("%lu pokes for %lu writes", pokes_total, sent);
}

/* ---- the rest ------------------------------------------------------------------------------------------- */

static void parse(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port")) option.port = atoi(value);
        else if (!strcmp(name, "--connections")) option.connections = atoi(value);
        else if (!strcmp(name, "--depth")) option.depth = atoi(value);
        else if (!strcmp(name, "--core")) option.core = atoi(value);
        else if (!strcmp(name, "--seconds")) option.seconds = atof(value);
        else if (!strcmp(name, "--warmup")) option.warmup = atof(value);
        else if (!strcmp(name, "--rate")) option.rate = atof(value);
        else if (!strcmp(name, "--requests")) option.requests = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--seed")) option.seed = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--request")) option.request = value;
        else if (!strcmp(name, "--subscribe")) option.subscribe = value;
        else if (!strcmp(name, "--subscribers")) option.subscribers = atoi(value);
        else if (!strcmp(name, "--protocol")) option.resp = !strcmp(value, "resp");
        else if (!strcmp(name, "--mode")) option.poke = !strcmp(value, "poke");
        else die("unknown option %s", name);
    }
    if (!option.port || !option.request) die("--port and --request are needed");
    if (option.depth < 1 || option.depth > MAX_DEPTH || option.seconds > 600 || option.connections < 1 ||
        option.connections > MAX_CONNECTIONS || option.subscribers > MAX_CONNECTIONS || option.rate <= 0)
        die("out of bounds: depth 1-%d, connections 1-%d, at most 600 seconds", MAX_DEPTH, MAX_CONNECTIONS);
}

int main(int argc, char **argv) {
    parse(argc, argv);
    random_state = option.seed * 0x9E3779B97F4A7C15ull + 1;
    stay_on(option.core);
    load_request(option.request, &head, &body);
    if (option.poke) { char *text; size_t size = load(option.subscribe, &text); compile(&greeting, text, size); }
    poll_fd = epoll_create1(0);
    struct connection *all = calloc((size_t)(option.connections + option.subscribers), sizeof *all);
    if (option.poke) run_pokes(all, all + 1); else run_closed_loop(all);
    double seconds = (double)(end - begin) / 1e9;
    putchar('{');
    print_histogram("answers", &answers_seen);
    print_histogram("pokes", &pokes_seen);
    printf("\"seconds\":%.4f,\"rate\":%.1f,\"total\":%lu,\"errors\":%lu,\"bytes\":%lu,\"busy\":%.3f,\"first_error\":\"%s\"}\n",
           seconds, (double)answered / seconds, total, errors, received_bytes, own_cpu() / (seconds + option.warmup), first_error);
    return 0;
}
