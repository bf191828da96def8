/* SPDX-License-Identifier: MIT */
/*
 * The fixture of tests that run on every backend of the host: TEST_F(backend, ...) has self->dev. A machine that lacks one skips it. Where there is a
 * card, which is in a VM, they run on it as well; elsewhere there is nothing to skip.
 */
#ifndef SNPU_TESTS_BACKEND_RIG_H
#define SNPU_TESTS_BACKEND_RIG_H

#include "nir_rig.h"

FIXTURE(backend) {
	struct snpu_device *dev;
	const char *why;
};
FIXTURE_VARIANT(backend) { const char *name; };
FIXTURE_VARIANT_ADD(backend, scalar) { "cpu-scalar" };
FIXTURE_VARIANT_ADD(backend, avx2) { "cpu-avx2" };
FIXTURE_VARIANT_ADD(backend, avx512) { "cpu-avx512" };
FIXTURE_VARIANT_ADD(backend, sim) { "sim" };


static const struct backend_variant backend_card_data = { "card0" };
TH_CTOR backend_card(void)
{
	static struct th_variant card = { "backend", "card", &backend_card_data, NULL };

	if (access("/dev/accel/accel0", F_OK))
		return;
	*th_variants_tail = &card;
	th_variants_tail = &card.next;
}

FIXTURE_SETUP(backend)
{
	self->dev = rig_device(variant->name, &self->why);
	if (!self->dev)
		SKIP("%s", self->why);
}

FIXTURE_TEARDOWN(backend)
{
	snpu_device_close(self->dev);
}

#endif
