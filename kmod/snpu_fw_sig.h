/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who signed a firmware image, and whether that matters.
 */
#ifndef SNPU_FW_SIG_H
#define SNPU_FW_SIG_H

#include <linux/types.h>

struct firmware;

bool snpu_fw_sig_warns(void);
bool snpu_fw_sig_optional(void);
int snpu_fw_sig_verify(const void *data, size_t size, const struct firmware *sig,
		       const char **signer);
void snpu_fw_sig_init(void);
void snpu_fw_sig_exit(void);

#endif
