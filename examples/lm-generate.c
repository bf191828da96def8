/* SPDX-License-Identifier: MIT */
/*
 * Text from a spiking language model in one screen of code: a card when there is one, else the CPU, with the same text.
 *
 *	lm-generate MODEL "Emma was" 40
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snpu/snpu.h>

/* Also says when the CPU does it, because no card can be used. */
static struct snpu_device *best_device(void)
{
	struct snpu_device_info info = { .sz = sizeof(info) };
	struct snpu_device *dev = NULL;

	if (snpu_device_open("auto", NULL, &dev) || snpu_device_info(dev, &info))
		return NULL;
	fprintf(stderr, "on %s: %s\n", info.name, info.description);
	return dev;
}

static int generate(struct snpu_lm *lm, struct snpu_lm_ctx *ctx, const char *prompt, int n)
{
	struct snpu_lm_info info = { .sz = sizeof(info) };
	uint32_t *ids, id;
	size_t count, len;
	int err = snpu_lm_info(lm, &info);

	if (!err)
		err = snpu_lm_encode(lm, prompt, strlen(prompt), 0, &ids, &count);
	if (err)
		return err;
	err = snpu_lm_eval(ctx, ids, count, SNPU_LM_LAST, NULL);
	snpu_lm_ids_free(ids);
	printf("%s", prompt);
	for (int i = 0; i < n && !err; i++) {
		const char *bytes;

		id = snpu_lm_ctx_argmax(ctx);
		if (id == info.eos)
			break;
		bytes = snpu_lm_token(lm, id, &len);
		fwrite(bytes, 1, bytes ? len : 0, stdout);
		fflush(stdout);
		err = snpu_lm_eval(ctx, &id, 1, SNPU_LM_LAST, NULL);
	}
	putchar('\n');
	return err;
}

int main(int argc, char **argv)
{
	struct snpu_device *dev = best_device();
	struct snpu_lm_ctx_opts opts = { .sz = sizeof(opts), .devices = &dev, .n_devices = 1 };
	struct snpu_lm_ctx *ctx = NULL;
	struct snpu_lm *lm = NULL;
	int err;

	if (argc != 4) {
		fprintf(stderr, "usage: %s MODEL PROMPT TOKENS\n", argv[0]);
		return 2;
	}
	err = dev ? snpu_lm_open(argv[1], NULL, &lm) : -1;
	if (!err)
		err = snpu_lm_ctx_create(lm, &opts, &ctx);
	if (!err)
		err = generate(lm, ctx, argv[2], atoi(argv[3]));
	if (err)
		fprintf(stderr, "%s\n", snpu_last_error());
	snpu_lm_ctx_free(ctx);
	snpu_lm_free(lm);
	snpu_device_close(dev);
	return err ? 1 : 0;
}
