/* One non-blocking connection to a server on loopback, plain or (built with -DTLS -lssl -lcrypto) encrypted.
 *
 * `get` and `put` speak as recv and send do: a count, 0 at the end, -1 with errno EAGAIN for "not now".
 */
#ifndef LINK_H
#define LINK_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/ssl.h>
#endif

#include "measure.h"

enum { PER_ADDRESS = 10000 };  /* connections from one source address: ports are not without end */
struct link { int fd; void *tls; };
#ifdef TLS
static SSL_CTX *tls_context;
#endif

static void use_tls(void) {
#ifdef TLS
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context) die("no TLS context");
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#else
    die("built without TLS");
#endif
}

static int link_open(struct link *l, int port, long number, int narrow) {  /* 0: under way or done; else an errno */
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}, from = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number / PER_ADDRESS));
    *l = (struct link){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};
    if (l->fd < 0) die("no descriptor left: %s", strerror(errno));
    int on = 1, least = 4096, segment = 1460;
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (narrow) {  /* as a peer on a network would be; loopback's huge segments make the kernel keep megabytes for each */
        setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
        setsockopt(l->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    }
    if (number >= PER_ADDRESS && bind(l->fd, (struct sockaddr *)&from, sizeof from)) return errno;
    if (connect(l->fd, (struct sockaddr *)&where, sizeof where) && errno != EINPROGRESS) return errno;
    return 0;
}

static void link_close(struct link *l, int abruptly) {  /* abruptly: a reset instead of an end */
    struct linger none = {.l_onoff = 1};
#ifdef TLS
    if (l->tls) SSL_free(l->tls);
#endif
    if (abruptly) setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(l->fd);
    *l = (struct link){.fd = -1};
}

#ifdef TLS
static ssize_t judged(struct link *l, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(l->tls, result);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}
#endif

static int link_shake(struct link *l) {  /* 1: ready, 0: not yet, -1: refused */
#ifdef TLS
    if (!tls_context) return 1;
    if (!l->tls) {
        l->tls = SSL_new(tls_context);
        SSL_set_fd(l->tls, l->fd);
        SSL_set_connect_state(l->tls);
    }
    return judged(l, SSL_do_handshake(l->tls)) > 0 ? 1 : errno == EAGAIN ? 0 : -1;
#else
    (void)l;
    return 1;
#endif
}

static ssize_t get(struct link *l, char *text, size_t room) {
#ifdef TLS
    if (l->tls) return judged(l, SSL_read(l->tls, text, (int)room));
#endif
    return recv(l->fd, text, room, 0);
}

static ssize_t put(struct link *l, const char *text, size_t size) {
#ifdef TLS
    if (l->tls) return judged(l, SSL_write(l->tls, text, (int)size));
#endif
    return send(l->fd, text, size, MSG_NOSIGNAL);
}
#endif
