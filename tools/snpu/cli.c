// SPDX-License-Identifier: MIT
/*
 * Errors, JSON frame and screen of all subcommands. State of the process: which command runs and whether it speaks
 * JSON, set before anything is printed. Leaves what is printed to the commands.
 */
#include "cli.h"

#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <snpu/snpu.h>

static struct {
	const char *command;			/* "run"; NULL before one is known */
	char name[64];				/* "snpu run", for argp */
	bool json;
	char *screen;
	size_t screen_size;
	FILE *stream;
} cli;

void snpu_cli_json(bool on)
{
	cli.json = on;
}

int snpu_option_choice(const struct argp_state *state, const char *option, const char *arg, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(arg, names[i]) == 0)
			return i;
	argp_error(state, "%s does not know '%s'; see --help", option, arg);
	return 0;
}

uint64_t snpu_option_whole(const struct argp_state *state, const char *option, const char *arg, uint64_t min, uint64_t max)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(arg, &end, 10);

	if (*end || *arg < '0' || *arg > '9' || errno || v < min || v > max)
		argp_error(state, "%s takes a whole number from %llu to %llu, not '%s'", option, (unsigned long long)min, (unsigned long long)max, arg);
	return v;
}

void snpu_cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	cli.command = argv[0];
	snprintf(cli.name, sizeof(cli.name), "snpu %s", argv[0]);
	argv[0] = cli.name;
	argp_err_exit_status = SNPU_EXIT_USAGE;
	argp_parse(argp, argc, argv, 0, NULL, input);
}

json_t *snpu_cli_string(const char *s)
{
	json_t *text = json_string(s);
	char *copy = text ? NULL : strdup(s);

	for (char *c = copy; c && *c; c++)
		if (*c & 0x80)
			*c = '?';
	if (!text)
		text = json_string(copy ? copy : "?");
	free(copy);
	return text;
}

static enum snpu_exit fail(enum snpu_exit status, const char *hint, const char *sentence)
{
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", cli.command ? cli.name : "snpu", sentence);
	if (hint)
		fprintf(stderr, "  next:  %s\n", hint);
	if (cli.json) {
		json_t *facts = snpu_cli_facts();

		json_object_set_new(facts, "error", json_pack("{s:i, s:o, s:o}", "exit", status, "message", snpu_cli_string(sentence), "next",
							       hint ? snpu_cli_string(hint) : json_null()));
		snpu_cli_print_json(facts);
	}
	return status;
}

enum snpu_exit snpu_cli_fail(enum snpu_exit status, const char *hint, const char *fmt, ...)
{
	char *sentence = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&sentence, fmt, ap) < 0)
		sentence = NULL;
	va_end(ap);
	fail(status, hint, sentence ? sentence : fmt);
	free(sentence);
	return status;
}

enum snpu_exit snpu_cli_fail_library(enum snpu_exit status, const char *hint)
{
	return fail(status, hint, snpu_last_error());
}

json_t *snpu_cli_facts(void)
{
	return json_pack("{s:i, s:s?, s:s}", "format", SNPU_JSON_FORMAT, "command", cli.command, "version", snpu_version());
}

bool snpu_cli_print_json(json_t *facts)
{
	bool ok = json_dumpf(facts, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12)) == 0;

	json_decref(facts);
	putchar('\n');
	return fflush(stdout) == 0 && ok;
}

/* --- screen --------------------------------------------------------------------------------------------------- */

bool snpu_screen_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

unsigned int snpu_screen_columns(void)
{
	struct winsize ws;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 40)
			return ws.ws_col;
	return 100;
}

FILE *snpu_screen_begin(void)
{
	cli.stream = open_memstream(&cli.screen, &cli.screen_size);
	if (!cli.stream) {
		fprintf(stderr, "snpu: no memory for the screen\n");
		exit(SNPU_EXIT_FAILURE);
	}
	return cli.stream;
}

/* One UTF-8 character of ours in ASCII; returns its length in bytes. */
static size_t put_ascii(const unsigned char *s, FILE *to)
{
	static const struct { const char *utf8, *ascii; } map[] = {
		{ "×", "x" }, { "→", ">" }, { "µ", "u" }, { "·", "-" }, { "–", "-" }, { "█", "#" }, { "─", "-" }, { "±", "~" },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		size_t n = strlen(map[i].utf8);

		if (strncmp((const char *)s, map[i].utf8, n) == 0) {
			fputs(map[i].ascii, to);
			return n;
		}
	}
	if (s[0] == 0xe2 && s[1] >= 0xa0 && s[1] <= 0xa3 && s[2]) {	/* braille: U+2800 + one bit for each dot */
		unsigned int dots = (unsigned int)((s[1] & 3) << 6 | (s[2] & 0x3f));

		fputc(" .::##"[dots ? 1 + __builtin_popcount(dots) / 2 : 0], to);
		return 3;
	}
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;	/* from a file: a node's name */

	fputc('?', to);
	return strnlen((const char *)s, n);
}

void snpu_screen_end_on(FILE *to)
{
	fclose(cli.stream);
	if (snpu_screen_utf8()) {
		fwrite(cli.screen, 1, cli.screen_size, to);
	} else {
		for (const unsigned char *s = (const unsigned char *)cli.screen; *s;)
			if (*s < 0x80)
				fputc(*s++, to);
			else
				s += put_ascii(s, to);
	}
	fflush(to);
	free(cli.screen);
	cli.screen = NULL;
}

void snpu_screen_end(void)
{
	snpu_screen_end_on(stdout);
}
