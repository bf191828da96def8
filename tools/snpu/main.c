// SPDX-License-Identifier: MIT
/*
 * The `snpu` command: finds the subcommand and runs it. Each subcommand is a file of its own and parses its own
 * options.
 */
#include "cli.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <snpu/snpu.h>

const struct snpu_command snpu_commands[] = {
	{ "run", "MODEL.nir --input FILE", "run a spiking network on a card, a simulated card or the CPU", snpu_cmd_run },
	{ "explain", "MODEL.nir", "what a network was decided to mean, and what other readings would change", snpu_cmd_explain },
	{ "quantize", "MODEL.nir --calib FILE", "turn a network into integers, and what that changes, layer by layer", snpu_cmd_quantize },
	{ "generate", "MODEL -p TEXT", "continue a text with a spiking language model", snpu_cmd_generate },
	{ "chat", "MODEL", "talk with one", snpu_cmd_chat },
	{ "score", "MODEL FILE", "how well one predicts a text: bits per byte, perplexity", snpu_cmd_score },
	{ "convert", "DIR -o MODEL.snpu", "a language model's folder to one file that starts at once", snpu_cmd_convert },
	{ "tokenize", "MODEL TEXT", "a text as token ids, and back", snpu_cmd_tokenize },
	{ "list", "", "list cards (with and without a driver) and the other devices", snpu_cmd_list },
	{ "info", "[DEVICE|MODEL.nir]", "everything known about one device, or the layers of a network", snpu_cmd_info },
	{ "disasm", "FILE | MODEL.nir", "print the packets of a program", snpu_cmd_disasm },
	{ "compare", "A.npz B.npz", "compare recorded arrays bit for bit", snpu_cmd_compare },
	{ "coredump", "FILE", "what the driver kept of a failure of a card", snpu_cmd_coredump },
	{ NULL, NULL, NULL, NULL },
};

static void print_version(FILE *f, struct argp_state *state)
{
	(void)state;
	fprintf(f, "snpu %s\n", snpu_version());
}

void (*argp_program_version_hook)(FILE *, struct argp_state *) = print_version;

static void help(FILE *f)
{
	fputs("Usage: snpu COMMAND [OPTION...]\nRuns spiking networks and language models on SNPU accelerator cards, and on this machine when there is none.\n\nCommands:\n", f);
	for (const struct snpu_command *c = snpu_commands; c->name; c++)
		fprintf(f, "  %-8s %-24s %s\n", c->name, c->args, c->summary);
	fputs("\n  snpu COMMAND --help     options of a command        snpu --version\n"
	      "  man snpu-COMMAND        the same with examples\n\n"
	      "Try: snpu list            what is there\n"
	      "     snpu run MODEL.nir --input FILE.npz --device cpu\n"
	      "     snpu generate MODEL -p TEXT --device sim\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 device missing, 4 arrays differ, 130 interrupted.\n", f);
}

static const struct snpu_command *command_find(const char *name)
{
	for (const struct snpu_command *c = snpu_commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static enum snpu_exit cmd_help(const char *name)
{
	const struct snpu_command *c = name ? command_find(name) : NULL;
	char *args[] = { (char *)name, (char *)"--help", NULL };

	if (c)
		return c->run(2, args);
	if (name)
		return snpu_cli_fail(SNPU_EXIT_USAGE, "snpu help", "there is no command '%s'", name);
	help(stdout);
	return SNPU_EXIT_OK;
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	if (argc < 2) {
		help(stderr);
		return SNPU_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		print_version(stdout, NULL);
		return SNPU_EXIT_OK;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return (int)cmd_help(argc > 2 ? argv[2] : NULL);
	const struct snpu_command *c = command_find(argv[1]);

	if (!c)
		return (int)snpu_cli_fail(SNPU_EXIT_USAGE, "snpu help", "there is no command '%s'", argv[1]);
	return (int)c->run(argc - 1, argv + 1);
}
