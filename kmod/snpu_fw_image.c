// SPDX-License-Identifier: GPL-2.0-only
/*
 * The check of a firmware image: that it is one the driver may talk to, and that its tables stay
 * inside the file. The card's boot ROM checks the hash and the core's memory, so it is the stricter
 * of the two. A pure function of the bytes, which also builds in user space, for a fuzzer.
 */
#include <linux/errno.h>

#include "snpu_fw_abi.h"
#include "snpu_fw_image.h"

static int snpu_fw_image_bad(struct snpu_fw_problem *problem, const char *what, __u64 is,
			     const char *rule, __u64 want)
{
	problem->what = what;
	problem->is = is;
	problem->rule = rule;
	problem->want = want;
	return -EINVAL;
}

static int snpu_fw_image_check_sections(const struct snpu_fw_image *image,
					struct snpu_fw_problem *problem)
{
	__u32 i;

	if (!image->sections || image->sections > SNPU_FW_MAX_SECTIONS)
		return snpu_fw_image_bad(problem, "the number of sections", image->sections,
					 "1 to ", SNPU_FW_MAX_SECTIONS);
	for (i = 0; i < image->sections; i++) {
		const struct snpu_fw_section *s = &image->section[i];

		if (s->offset < sizeof(*image) || s->offset > image->image_size ||
		    s->size > image->image_size - s->offset)
			return snpu_fw_image_bad(problem, "the end of a section",
						 (__u64)s->offset + s->size, "at most ",
						 image->image_size);
		if (s->mem_size < s->size)
			return snpu_fw_image_bad(problem, "a section's size in memory", s->mem_size,
						 "at least ", s->size);
	}
	return 0;
}

/* @data is aligned to 8. 0, or -EINVAL with @problem filled in. */
int snpu_fw_image_check(const void *data, __u64 size, struct snpu_fw_problem *problem)
{
	const struct snpu_fw_image *image = data;

	if (size < sizeof(*image))
		return snpu_fw_image_bad(problem, "the size of the file", size, "at least ",
					 sizeof(*image));
	if (image->magic != SNPU_FW_MAGIC)
		return snpu_fw_image_bad(problem, "the magic", image->magic, "", SNPU_FW_MAGIC);
	if (image->abi_major != SNPU_FW_ABI_MAJOR)
		return snpu_fw_image_bad(problem, "the ABI's major version", image->abi_major, "",
					 SNPU_FW_ABI_MAJOR);
	if (image->header_size != sizeof(*image))
		return snpu_fw_image_bad(problem, "the size of the header", image->header_size, "",
					 sizeof(*image));
	if (image->image_size != size)
		return snpu_fw_image_bad(problem, "the size of the file", size, "",
					 image->image_size);
	if (image->flags)
		return snpu_fw_image_bad(problem, "a reserved field", image->flags, "", 0);
	return snpu_fw_image_check_sections(image, problem);
}
