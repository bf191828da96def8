/* SPDX-License-Identifier: MIT */
/*
 * What every subcommand of `snpu` shares: the table of commands, exit statuses, error output and the screen. One
 * process runs one command; only the device level's progress callback is called from elsewhere, and it prints nothing
 * but the progress bar. No locks.
 */
#ifndef SNPU_TOOLS_CLI_H
#define SNPU_TOOLS_CLI_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum snpu_exit {
	SNPU_EXIT_OK = 0,
	SNPU_EXIT_FAILURE = 1,			/* the command could not do its work */
	SNPU_EXIT_USAGE = 2,			/* the command line is wrong; nothing was done */
	SNPU_EXIT_NO_DEVICE = 3,		/* the device that was asked for is missing or cannot be opened */
	SNPU_EXIT_DIFFERENT = 4,		/* the work was done, and arrays differ from what was expected */
	SNPU_EXIT_INTERRUPTED = 130,
};

#define SNPU_JSON_FORMAT	1		/* version of the JSON output; changes when a key goes or means something else */

struct snpu_command {
	const char *name;
	const char *args;			/* for people: "MODEL.nir --input FILE" */
	const char *summary;
	enum snpu_exit (*run)(int argc, char **argv);
};

extern const struct snpu_command snpu_commands[];	/* ends with a NULL name */

enum snpu_exit snpu_cmd_run(int argc, char **argv);
enum snpu_exit snpu_cmd_list(int argc, char **argv);
enum snpu_exit snpu_cmd_info(int argc, char **argv);
enum snpu_exit snpu_cmd_disasm(int argc, char **argv);
enum snpu_exit snpu_cmd_explain(int argc, char **argv);
enum snpu_exit snpu_cmd_quantize(int argc, char **argv);
enum snpu_exit snpu_cmd_compare(int argc, char **argv);
enum snpu_exit snpu_cmd_coredump(int argc, char **argv);
enum snpu_exit snpu_cmd_generate(int argc, char **argv);
enum snpu_exit snpu_cmd_chat(int argc, char **argv);
enum snpu_exit snpu_cmd_score(int argc, char **argv);
enum snpu_exit snpu_cmd_convert(int argc, char **argv);
enum snpu_exit snpu_cmd_tokenize(int argc, char **argv);

/* Parses a subcommand's options; argv[0] is its name ("run"). Leaves the process with SNPU_EXIT_USAGE on a mistake. */
void snpu_cli_parse(const struct argp *argp, int argc, char **argv, void *input);
/* Which of the names, which end with NULL, an option was given; for an argp parser. */
int snpu_option_choice(const struct argp_state *state, const char *option, const char *arg, const char *const *names);
/* A whole number from min to max; for an argp parser. */
uint64_t snpu_option_whole(const struct argp_state *state, const char *option, const char *arg, uint64_t min, uint64_t max);
/* With --json errors go to stdout as an object, too. */
void snpu_cli_json(bool on);

/*
 * An error has a sentence and what to do next. The hint may be NULL when the sentence says it already. Both return
 * `status`. The first prints a sentence of its own, the second the library's last one.
 */
enum snpu_exit snpu_cli_fail(enum snpu_exit status, const char *hint, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
enum snpu_exit snpu_cli_fail_library(enum snpu_exit status, const char *hint);

/* A string for JSON; where `s` (a path, a name from a file) is not UTF-8, with '?' for what is not ASCII. */
json_t *snpu_cli_string(const char *s);

/* {"format": 1, "command": ..., "version": ...}, to which a command adds its facts. */
json_t *snpu_cli_facts(void);
/* Prints the facts as JSON and frees them; false when stdout does not take them. */
bool snpu_cli_print_json(json_t *facts);

/*
 * Text goes to stdout in one piece: begin, print to the stream, end. Where the locale is not UTF-8, the few other
 * characters we use are replaced (× by x, braille by dots), so that a bare console stays readable.
 */
FILE *snpu_screen_begin(void);
void snpu_screen_end(void);
void snpu_screen_end_on(FILE *to);		/* the same on stderr, where stdout has a command's answer alone */
bool snpu_screen_utf8(void);
unsigned int snpu_screen_columns(void);		/* of the terminal; 100 when neither stdout nor stderr is one */

#endif
