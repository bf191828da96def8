/* SPDX-License-Identifier: MIT */
/* The chat template of Qwen2 and SpikingBrain, ChatML, without tools. A pure function; any thread. */
#ifndef SNPU_LOAD_CHAT_H
#define SNPU_LOAD_CHAT_H

#include "core/fail.h"
#include "snpu/snpu_lm.h"

/*
 * *text: the messages as the model reads them, to be freed with free(). As the template does: without a system message in front
 * its own is inserted, answers of tools ("tool") are put into a turn of the user, messages of other roles are left out.
 * -EINVAL: no messages, or one without role or text. -ENOMEM.
 */
int snpu_chat_format(const struct snpu_lm_message *messages, size_t n, int generate, char **text) SNPU_MUST_CHECK;

#endif
