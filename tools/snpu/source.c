// SPDX-License-Identifier: MIT
/* Opens and reads streams; see source.h. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS		200			/* how soon a stop is seen that came just before the wait */

static enum snpu_exit fail(const char *name, const char *why)
{
	return snpu_cli_fail(SNPU_EXIT_FAILURE, "a stream is - (stdin), a FIFO, unix:PATH or tcp:HOST:PORT", "cannot open the stream '%s': %s", name, why);
}

static enum snpu_exit open_unix(const char *name, int *fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = name + strlen("unix:");

	if (strlen(path) >= sizeof(a.sun_path))
		return fail(name, "the path is too long for a socket");
	memcpy(a.sun_path, path, strlen(path));
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || connect(*fd, (struct sockaddr *)&a, sizeof(a)))
		return fail(name, strerror(errno));
	return SNPU_EXIT_OK;
}

static enum snpu_exit open_tcp(const char *name, int *fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	char host[256];
	const char *at = name + strlen("tcp:"), *colon = strrchr(at, ':');
	int err;

	if (!colon || colon == at || !colon[1] || (size_t)(colon - at) >= sizeof(host))
		return fail(name, "no HOST:PORT");
	snprintf(host, sizeof(host), "%.*s", (int)(colon - at - (at[0] == '[') * 2), at + (at[0] == '['));
	err = getaddrinfo(host, colon + 1, &hints, &list);
	if (err)
		return fail(name, gai_strerror(err));
	err = ECONNREFUSED;
	for (a = list; a; a = a->ai_next) {
		*fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (*fd >= 0 && !connect(*fd, a->ai_addr, a->ai_addrlen))
			break;
		err = errno;
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
	freeaddrinfo(list);
	return a ? SNPU_EXIT_OK : fail(name, strerror(err));
}

enum snpu_exit snpu_source_open(const char *name, int *fd)
{
	*fd = -1;
	if (strncmp(name, "unix:", 5) == 0)
		return open_unix(name, fd);
	if (strncmp(name, "tcp:", 4) == 0)
		return open_tcp(name, fd);
	*fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	return *fd < 0 ? fail(name, strerror(errno)) : SNPU_EXIT_OK;
}

long snpu_source_read(int fd, void *mem, size_t size, const volatile int *stop)
{
	while (!*stop) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, WAIT_MS) <= 0)
			continue;
		n = read(fd, mem, size);
		if (n >= 0)
			return n;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}
