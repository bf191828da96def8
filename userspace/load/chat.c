/* SPDX-License-Identifier: MIT */
/* ChatML, written as the template in tokenizer_config.json would. Threads share nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/chat.h"

static bool is(const struct snpu_lm_message *m, const char *role)
{
	return !strcmp(m->role, role);
}

/* Neighbouring answers of tools share a turn. */
static void put_tool(FILE *f, const struct snpu_lm_message *m, bool first, bool last)
{
	if (first || !is(m - 1, "tool"))
		fputs("<|im_start|>user", f);
	fprintf(f, "\n<tool_response>\n%s\n</tool_response>", m->text);
	if (last || !is(m + 1, "tool"))
		fputs("<|im_end|>\n", f);
}

int snpu_chat_format(const struct snpu_lm_message *messages, size_t n, int generate, char **text)
{
	char *mem = NULL;
	size_t size;
	FILE *f;

	for (size_t i = 0; i < n; i++)
		if (!messages[i].role || !messages[i].text)
			return snpu_fail(-EINVAL, "message %zu of a chat has no %s; set it", i, messages[i].role ? "text" : "role");
	if (!n)
		return snpu_fail(-EINVAL, "a chat has no messages; give one of role \"user\"");
	f = open_memstream(&mem, &size);
	if (!f)
		return snpu_fail(-ENOMEM, "no memory for a chat of %zu messages; end other programs", n);
	if (!is(messages, "system"))
		fputs("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n", f);
	for (size_t i = 0; i < n; i++) {
		const struct snpu_lm_message *m = &messages[i];

		if (is(m, "system") || is(m, "user") || is(m, "assistant"))
			fprintf(f, "<|im_start|>%s\n%s<|im_end|>\n", m->role, m->text);
		else if (is(m, "tool"))
			put_tool(f, m, i == 0, i == n - 1);
	}
	if (generate)
		fputs("<|im_start|>assistant\n", f);
	if (ferror(f) | fclose(f)) {
		free(mem);
		return snpu_fail(-ENOMEM, "no memory for the text of a chat of %zu messages; make it shorter", n);
	}
	*text = mem;
	return 0;
}
