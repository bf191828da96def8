/* SPDX-License-Identifier: MIT */
/*
 * Damaged event files of every format: bytes flipped, overwritten, cut off, put elsewhere, the same ones in every run. Each must give an
 * error with a sentence or events that can be binned; the same bytes in pieces must give the same. A crash, a leak (under a sanitizer) or
 * a hang fails. Each format runs in a child of its own.
 *
 * EVENTS_FUZZ_SECONDS sets how long each format takes (2). With -DLIBFUZZER it is an entry point for libFuzzer instead.
 */
#include <time.h>

#include "snpu/snpu_events.h"
#include "tests/fuzz/roll.h"
#include "tests/unit/read_rig.h"

/* What a tool would do with it. */
static void use(const struct snpu_events *ev)
{
	struct snpu_bin_opts o = { .sz = sizeof(o), .dt = 1e-2, .steps = 4, .downscale = ev->width > 64 && ev->height > 64 ? 16 : 1 };
	struct snpu_array a;

	o.crop[2] = ev->width < 512 ? 0 : 512;
	o.crop[3] = o.crop[2] ? ev->height < 512 ? ev->height : 512 : 0;
	if (ev->samples < 100 && !snpu_events_bin(ev, &o, &a, NULL))
		snpu_array_free(&a);
}

static int parse(const uint8_t *mem, size_t size, enum snpu_events_format format, uint64_t *count)
{
	struct snpu_events_opts o = { .sz = sizeof(o), .format = format };
	struct snpu_events *ev;
	struct snpu_nirdata *d;
	int err = snpu_events_parse(mem, size, &o, &ev);

	if (!err) {
		*count = ev->count;
		use(ev);
		snpu_events_free(ev);
	}
	if (format == SNPU_EVENTS_NIRDATA) {
		err = snpu_nirdata_parse(mem, size, &d);
		if (!err) {
			*count = snpu_nirdata_count(d);
			snpu_nirdata_free(d);
		}
	}
	return err;
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t n;

	if (size)
		parse(data + 1, size - 1, data[0] % SNPU_EVENTS_FORMAT_COUNT, &n);
	return 0;
}
#else

static void spoil(uint8_t *p, size_t size)
{
	/* The beginning has what all the rest hangs on. */
	roll_spoil(p, size, roll(2) ? roll((uint32_t)size) : roll(size < 600 ? (uint32_t)size : 600));
}

/* In two or three pieces: as many events, or an error, too. */
static void in_pieces(const uint8_t *mem, size_t size, enum snpu_events_format format, int want, uint64_t count)
{
	struct snpu_events_opts o = { .sz = sizeof(o), .format = format };
	struct snpu_event_reader *r;
	size_t cut = size ? roll((uint32_t)size) : 0;
	int err = snpu_event_reader_create(&o, &r);

	if (err)
		return;
	err = snpu_event_reader_push(r, mem, cut);
	if (!err)
		err = snpu_event_reader_push(r, mem + cut, size - cut);
	if (!err)
		err = snpu_event_reader_finish(r);
	if ((err != 0) != (want != 0) || (!err && snpu_event_reader_events(r)->count != count))
		TH_FAILMSG("in pieces: error %d with %llu events, whole: error %d with %llu", err, (unsigned long long)snpu_event_reader_events(r)->count, want,
			   (unsigned long long)count);
	snpu_event_reader_free(r);
}

static void fuzz(const char *path, enum snpu_events_format format, unsigned seed)
{
	const char *env = getenv("EVENTS_FUZZ_SECONDS");
	time_t end = time(NULL) + (env ? atoi(env) : 2);
	unsigned good_ones = 0, i = 0;
	size_t size;
	uint8_t *good = rig_read(path, &size);

	ASSERT_TRUE(good);
	for (; (i < 50 || time(NULL) < end) && !th_failed; i++) {
		size_t n = size;
		uint8_t *bad;
		uint64_t count = 0;
		int err;

		rng = (uint64_t)seed << 32 | (i + 1) * 2654435761u;
		if (roll(8) == 0)
			n = roll((uint32_t)size);
		bad = malloc(n ? n : 1);		/* exactly: a sanitizer sees what is read behind it */
		memcpy(bad, good, n);
		for (unsigned k = 1 + roll(4); k && n; k--)
			spoil(bad, n);
		err = parse(bad, n, format, &count);
		good_ones += !err;
		if (err && !snpu_last_error()[0])
			TH_FAILMSG("no sentence for case %u of seed %u", i, seed);
		if (format < SNPU_EVENTS_HDF5)
			in_pieces(bad, n, format, err, count);
		if (th_failed)
			printf("# case %u of seed %u\n", i, seed);
		free(bad);
	}
	printf("# %u cases, %u of them without an error\n", i, good_ones);
	EXPECT_GT(good_ones, 0);
	EXPECT_LT(good_ones, i);
	free(good);
}

#define IN(f_)	EVENTS_DIR "/" f_
TEST_TIMEOUT(nmnist, 100) { fuzz("tests/data/nir/nmnist/60041.bs2", SNPU_EVENTS_NMNIST, 1); }
TEST_TIMEOUT(aedat3, 100) { fuzz(IN("a.aedat3"), SNPU_EVENTS_AEDAT3, 2); }
TEST_TIMEOUT(aedat4, 100) { fuzz(IN("stream.aedat4"), SNPU_EVENTS_AEDAT4, 3); }
TEST_TIMEOUT(aedat4_lz4, 100) { fuzz(IN("lz4.aedat4"), SNPU_EVENTS_AEDAT4, 4); }
TEST_TIMEOUT(aedat4_zstd, 100) { fuzz(IN("zstd.aedat4"), SNPU_EVENTS_AEDAT4, 5); }
TEST_TIMEOUT(evt2, 100) { fuzz(IN("evt2.raw"), SNPU_EVENTS_EVT2, 6); }
TEST_TIMEOUT(evt21, 100) { fuzz(IN("evt21.raw"), SNPU_EVENTS_EVT21, 7); }
TEST_TIMEOUT(evt3, 100) { fuzz(IN("evt3.raw"), SNPU_EVENTS_EVT3, 8); }
TEST_TIMEOUT(dat, 100) { fuzz(IN("a.dat"), SNPU_EVENTS_DAT, 9); }
TEST_TIMEOUT(hdf5, 100) { fuzz(IN("shd.h5"), SNPU_EVENTS_HDF5, 10); }
TEST_TIMEOUT(numpy_records, 100) { fuzz(IN("records.npy"), SNPU_EVENTS_NUMPY, 11); }
TEST_TIMEOUT(numpy_archive, 100) { fuzz(IN("arrays.npz"), SNPU_EVENTS_NUMPY, 12); }
TEST_TIMEOUT(nirdata, 100) { fuzz(IN("nirdata.h5"), SNPU_EVENTS_NIRDATA, 13); }

TEST_HARNESS_MAIN
#endif
