// SPDX-License-Identifier: MIT
/*
 * Fuzz target of the vfio-user server: bytes and descriptors of a hostile client. Build with
 *     clang -fsanitize=fuzzer,address,undefined -DVFU_LIBFUZZER -I. tests/fuzz/vfu_fuzz.c sim/vfu*.c sim/dma.c sim/pci.c -ljansson
 * or let `make check` run it on random mutations of valid messages. The server runs in a thread of its own; a second
 * thread reads its replies, so that it never waits for us.
 */
#include "tests/fuzz/vfu_fuzz.h"

#include <stdlib.h>

#include "tests/unit/vfu_device.h"

static struct rig rig;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "vfu_fuzz: %s\n", what);
	abort();
}

static void *drain(void *arg)
{
	char sink[1 << 16];
	const int *sock = arg;
	ssize_t n;

	/* Descriptors that come along are dropped by the kernel: no room for control data. */
	do
		n = recv(*sock, sink, sizeof(sink), 0);
	while (n > 0 || (n < 0 && errno == EINTR));
	return NULL;
}

/* The descriptors of a record; returns how many. */
static unsigned int make_fds(unsigned int kind, int *fds)
{
	unsigned int n = kind == FUZZ_TOO_MANY ? 20 : kind == FUZZ_EVENTFDS ? 3 : kind == FUZZ_PIPE ? 2 : kind == FUZZ_MEMFD;

	if (kind == FUZZ_PIPE) {
		must(!pipe(fds), "no pipe");
		return n;
	}
	for (unsigned int i = 0; i < n; i++) {
		fds[i] = kind == FUZZ_MEMFD ? memfd_create("guest", MFD_CLOEXEC) : eventfd(0, EFD_NONBLOCK);
		must(fds[i] >= 0 && (kind != FUZZ_MEMFD || !ftruncate(fds[i], 1 << 16)), "no descriptors");
	}
	return n;
}

/* False: the server has hung up. */
static bool send_record(struct client *c, const uint8_t *bytes, size_t len, unsigned int kind)
{
	int fds[20];
	unsigned int n = make_fds(kind % FUZZ_KINDS, fds);
	int err = len ? client_raw(c, bytes, len, fds, n) : 0;

	while (n)
		close(fds[--n]);
	return !err;
}

static void check_next_client(int fds_before, unsigned int resets_before)
{
	static struct client_reply r;
	struct dma_stats st;

	must(count_fds() == fds_before, "a descriptor is left open");
	dma_get_stats(vfu_dma(rig.v), &st);
	must(!st.maps && !st.files && !st.maps_without_fd, "a DMA map is left");
	must(rig.dev.resets[VFU_RESET_DISCONNECT] == resets_before + 1, "the device was not reset once");
	must(rig_connect(&rig), "no connection");
	must(!client_version(&rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &r), "the next client gets no version");
	must(!client_info(&rig.c, &r), "the next client gets no answer");
	rig_join(&rig);
}

int vfu_fuzz_message(const uint8_t *data, size_t size)
{
	static struct client_reply r;
	unsigned int resets;
	pthread_t reader;
	int fds;

	if (!rig.v)
		must(rig_make(&rig, NULL), "no server");
	fds = count_fds();
	resets = rig.dev.resets[VFU_RESET_DISCONNECT];
	must(rig_connect(&rig), "no connection");
	must(!client_version(&rig.c, 0, CLIENT_CAPS, sizeof(CLIENT_CAPS), &r), "no version");
	must(!pthread_create(&reader, NULL, drain, &rig.c.sock), "no thread");
	while (size >= 3) {
		size_t len = data[1] | (size_t)data[2] << 8;

		if (len > size - 3)
			len = size - 3;
		if (!send_record(&rig.c, data + 3, len, data[0]))
			break;
		data += 3 + len;
		size -= 3 + len;
	}
	shutdown(rig.c.sock, SHUT_WR);
	pthread_join(reader, NULL);
	rig_join(&rig);
	check_next_client(fds, resets);
	return 0;
}

#ifdef VFU_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfu_fuzz_message(data, size);
}
#endif
