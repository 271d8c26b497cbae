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
#include "publisher.h"
#include "readers.h"
#include "stage.h"
#include "vitals.h"

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
        if (at >= begin && !counted) { *cpu = -server_cpu(option.pids); counted = 1; }
        if (at >= end && counted == 1) { *cpu += server_cpu(option.pids); counted = 2; }
        if (at >= looked + 100 * MS) { looked = at; double kib = server_kib(option.pids); if (kib > *most_kib) *most_kib = kib; }
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
    double before = server_kib(option.pids), cpu = 0, most = before, opened_after = open_all();
    open_publisher();  /* last: who has nothing to say for seconds would be shown out */
    settle(option.settle);
    double after = server_kib(option.pids), busy = -own_cpu(), whole = run(&cpu, &most);
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
