/* SPDX-License-Identifier: MIT */
/* The fixture of tests that run on every backend of the host: TEST_F(backend, ...) has self->dev. A machine that lacks one skips it. */
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
