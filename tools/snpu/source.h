/* SPDX-License-Identifier: MIT */
/* Where a stream of bytes comes from: stdin, a FIFO or file, a socket. One thread; reading waits, and Ctrl-C ends the wait. */
#ifndef SNPU_TOOLS_SOURCE_H
#define SNPU_TOOLS_SOURCE_H

#include "cli.h"

/* "-", a path, unix:PATH, tcp:HOST:PORT. Prints what is wrong. */
enum snpu_exit snpu_source_open(const char *name, int *fd);
/* Bytes, 0 at the end or when `stop` was set by a signal handler, -errno. */
long snpu_source_read(int fd, void *mem, size_t size, const volatile int *stop);

#endif
