/* SPDX-License-Identifier: MIT */
/*
 * Loads a network from a NIR file, runs images from a .npz file through it and prints a class for each: the neuron that
 * fired most. Runs on a card if there is one, else on the CPU, with the same result.
 *
 *	cc nir-run.c $(pkg-config --cflags --libs libsnpu) -lsnpu-nir -o nir-run && ./nir-run MODEL.nir IMAGES.npz [DEVICE]
 */
#include <snpu/snpu.h>
#include <snpu/snpu_model.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS	25

static void print_classes(const struct snpu_array *a)	/* float32 [sample][step][neuron] */
{
	const float *spike = a->data;

	for (uint64_t s = 0; s < a->shape[0]; s++) {
		uint64_t best = 0;
		float most = -1;

		for (uint64_t n = 0; n < a->shape[2]; n++) {
			float count = 0;

			for (uint64_t t = 0; t < a->shape[1]; t++)
				count += spike[(s * a->shape[1] + t) * a->shape[2] + n];
			if (count > most) {
				most = count;
				best = n;
			}
		}
		printf("%llu\n", (unsigned long long)best);
	}
}

static int read_images(const char *path, struct snpu_array *images)
{
	static char mem[8 << 20];
	struct snpu_npz *npz;
	FILE *f = fopen(path, "rb");
	size_t size = f ? fread(mem, 1, sizeof(mem), f) : 0;

	if (!f || fclose(f) || snpu_npz_open(mem, size, &npz))
		return -1;
	int err = snpu_npz_read(npz, "images", images);

	snpu_npz_close(npz);
	return err;
}

int main(int argc, char **argv)
{
	struct snpu_array images = { 0 };		/* uint8 [sample][28][28] */
	struct snpu_device *device = NULL;
	struct snpu_model *model = NULL;
	struct snpu_session *session = NULL;
	struct snpu_result *result = NULL;
	struct snpu_record record;

	if (argc < 3)
		return fprintf(stderr, "usage: nir-run MODEL.nir IMAGES.npz [DEVICE]\n"), 2;
	struct snpu_session_opts opts = { .sz = sizeof(opts), .devices = &device, .n_devices = 1 };
	struct snpu_input input = { .array = &images, .encoder = SNPU_ENCODE_IMAGE, .steps = STEPS };
	int err = snpu_device_open(argc > 3 ? argv[3] : "auto", NULL, &device) || snpu_model_load_nir(argv[1], &model) ||
		  read_images(argv[2], &images) || snpu_session_create(model, &opts, &session) ||
		  snpu_session_run(session, &input, 1, &result) || snpu_result_record(result, 0, &record);

	if (err)
		fprintf(stderr, "nir-run: %s\n", snpu_last_error());
	else
		print_classes(record.array);
	snpu_result_free(result);
	snpu_session_free(session);
	snpu_model_free(model);
	snpu_array_free(&images);
	snpu_device_close(device);
	return err ? 1 : 0;
}
