/* The one who publishes: over a WebSocket, in pipelined requests, or to Redis. */
#ifndef PUBLISHER_H
#define PUBLISHER_H
#include "stage.h"

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
#endif
