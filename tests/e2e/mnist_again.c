/* SPDX-License-Identifier: MIT */
/*
 * A process that lives through what is done to the card: it has a session on card 0, and for each line on standard input it runs
 * 40 images there and says whether every record is, bit for bit, what the CPU gave before: "same", "differs", or the
 * library's sentence when the run failed. Says "ready" first.
 */
#include "tests/unit/nir_rig.h"

#define IMAGES	40			/* the CPU is slow in there */
#define TRUTH	DATA "mnist/mnist_test1000.npz"

struct again {
	struct snpu_device *card;
	struct snpu_session *session;
	struct snpu_array images;
	struct snpu_input in;
	struct snpu_result *want;
};

static bool fail(const char *what)
{
	printf("%s: %s\n", what, snpu_last_error());
	return false;
}

static bool set_up(struct again *a)
{
	struct snpu_session_opts o = { .sz = sizeof(o), .records = (const char *const[]){ "lif1.v", "lif2.v" }, .n_records = 2 };
	struct snpu_model *m;

	if (!rig_npz(TRUTH, "images", &a->images))
		return fail(TRUTH);
	a->images.count = a->images.count / a->images.shape[0] * IMAGES;
	a->images.shape[0] = IMAGES;
	a->in = (struct snpu_input){ .array = &a->images, .encoder = SNPU_ENCODE_IMAGE, .steps = 25 };
	a->want = rig_run(DATA "mnist/mnist_lif.nir", NULL, &o, &a->in, 1);
	if (!a->want || snpu_model_load_nir(DATA "mnist/mnist_lif.nir", &m) || snpu_device_open("card0", NULL, &a->card))
		return fail("set-up");
	o.devices = &a->card;
	o.n_devices = 1;
	o.require_device = true;
	if (snpu_session_create(m, &o, &a->session))
		return fail("session");
	snpu_model_free(m);
	return true;
}

static void run_again(struct again *a)
{
	struct snpu_result *r;

	if (snpu_session_run(a->session, &a->in, 1, &r)) {
		fail("failed");
		return;
	}
	puts(rig_same(a->want, r) ? "same" : "differs");
	snpu_result_free(r);
}

int main(void)
{
	struct again a = { 0 };
	char line[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!set_up(&a))
		return 1;
	puts("ready");
	while (fgets(line, sizeof(line), stdin))
		run_again(&a);
	snpu_session_free(a.session);
	snpu_device_close(a.card);
	snpu_result_free(a.want);
	snpu_array_free(&a.images);
	return 0;
}
