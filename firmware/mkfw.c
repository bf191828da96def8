/* SPDX-License-Identifier: MIT */
/*
 * Makes the firmware image of hw/snpu_fw_abi.h from the ELF file that the linker wrote: one section for each loaded
 * segment, the versions from version.h, the build id from the linker's note, the SHA-256 last. With --corrupt it makes an
 * image that the boot ROM must refuse, for tests. The signature is a file of its own (firmware.mk). Runs on the build machine; no date and no path goes into the image.
 */
#include <argp.h>
#include <elf.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/snpu_core.h"
#include "hw/snpu_fw_abi.h"
#include "version.h"

#define ELF_MAX		(16u << 20)	/* bytes; the firmware is a hundredth of it */

struct elf {
	const uint8_t *data;
	size_t size;
	const Elf32_Ehdr *head;
};

struct image {
	struct snpu_fw_image *head;
	uint8_t *data;			/* SNPU_FW_MAX_SIZE bytes; head lies at its start */
	uint32_t size;
};

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("mkfw: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static struct elf elf_read(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(ELF_MAX);
	struct elf elf;

	if (!f)
		die("cannot open %s: %s", path, strerror(errno));
	if (!data)
		die("cannot read %s: out of memory", path);
	elf = (struct elf){ data, fread(data, 1, ELF_MAX, f), (const Elf32_Ehdr *)data };
	if (ferror(f) || !feof(f))
		die("cannot read all of %s: it is unreadable or larger than %u bytes", path, ELF_MAX);
	fclose(f);
	return elf;
}

/* n items of `size` bytes at `offset`, or death. */
static const void *elf_at(const struct elf *elf, uint64_t offset, uint64_t n, uint64_t size, const char *what)
{
	if (offset > elf->size || n * size > elf->size - offset)
		die("the ELF file ends before its %s (at %llu, %llu bytes); link it again", what,
		    (unsigned long long)offset, (unsigned long long)(n * size));
	return elf->data + offset;
}

static void elf_check(const struct elf *elf)
{
	const Elf32_Ehdr *h = elf_at(elf, 0, 1, sizeof(*h), "header");

	if (memcmp(h->e_ident, ELFMAG, SELFMAG))
		die("the input is not an ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS32 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_RISCV)
		die("the ELF file is not for a 32-bit little-endian RISC-V (class %u, data %u, machine %u); check -march and -mabi",
		    h->e_ident[EI_CLASS], h->e_ident[EI_DATA], h->e_machine);
	if (h->e_type != ET_EXEC || h->e_phentsize != sizeof(Elf32_Phdr))
		die("the ELF file is not a linked program (type %u); link it with snpu-fw.lds", h->e_type);
	if (h->e_flags & EF_RISCV_RVC)
		die("the ELF file uses compressed instructions, which the core does not have; check -march");
}

/* The build id as hex digits: the linker's hash of what it wrote. Notes of an ELF file: elf.h, Elf32_Nhdr. */
static bool elf_build_id(const struct elf *elf, const Elf32_Phdr *ph, char *out, size_t size)
{
	const uint8_t *p = elf_at(elf, ph->p_offset, 1, ph->p_filesz, "segment");

	for (size_t i = 0; i + sizeof(Elf32_Nhdr) + 4 + FW_BUILD_BYTES <= ph->p_filesz; i += 4) {
		Elf32_Nhdr note;

		memcpy(&note, p + i, sizeof(note));
		if (note.n_namesz != 4 || note.n_type != NT_GNU_BUILD_ID || note.n_descsz < FW_BUILD_BYTES ||
		    memcmp(p + i + sizeof(note), "GNU", 4))
			continue;
		for (unsigned int b = 0; b < FW_BUILD_BYTES; b++)
			snprintf(out + 2 * b, size - 2 * b, "%02x", p[i + sizeof(note) + 4 + b]);
		return true;
	}
	return false;
}

static void image_add(struct image *img, const struct elf *elf, const Elf32_Phdr *ph)
{
	struct snpu_fw_section *s = &img->head->section[img->head->sections];
	const void *bytes = elf_at(elf, ph->p_offset, 1, ph->p_filesz, "segment");
	uint32_t start = ph->p_paddr - SNPU_CORE_TCM;

	if (img->head->sections == SNPU_FW_MAX_SECTIONS)
		die("more than %u segments; merge some in snpu-fw.lds", SNPU_FW_MAX_SECTIONS);
	if (ph->p_filesz > ph->p_memsz || ph->p_paddr % 4)
		die("segment at %#x: %#x bytes in the file, %#x in memory, or its address is not a multiple of 4", ph->p_paddr, ph->p_filesz, ph->p_memsz);
	if (start > SNPU_CORE_TCM_SIZE || ph->p_memsz > SNPU_CORE_TCM_SIZE - start)
		die("segment at %#x, %#x bytes, is outside the core's memory (%#x bytes at %#x); check snpu-fw.lds", ph->p_paddr, ph->p_memsz,
		    SNPU_CORE_TCM_SIZE, SNPU_CORE_TCM);
	if (ph->p_filesz > SNPU_FW_MAX_SIZE - img->size)
		die("the image is larger than %u bytes", SNPU_FW_MAX_SIZE);
	*s = (struct snpu_fw_section){ img->size, ph->p_filesz, ph->p_paddr, ph->p_memsz };
	memcpy(img->data + img->size, bytes, ph->p_filesz);
	img->size = (img->size + ph->p_filesz + 7) & ~7u;
	img->head->sections++;
}

static void image_from_elf(struct image *img, const struct elf *elf)
{
	const Elf32_Phdr *ph = elf_at(elf, elf->head->e_phoff, elf->head->e_phnum, sizeof(*ph), "program headers");
	bool entry = false;

	for (unsigned int i = 0; i < elf->head->e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
			continue;
		image_add(img, elf, &ph[i]);
		entry |= (ph[i].p_flags & PF_X) && elf->head->e_entry - ph[i].p_paddr < ph[i].p_filesz;
		if (!img->head->build[0])
			(void)elf_build_id(elf, &ph[i], img->head->build, sizeof(img->head->build));
	}
	if (!img->head->sections)
		die("the ELF file loads nothing; link it with snpu-fw.lds");
	if (!entry || elf->head->e_entry % 4)
		die("the entry point %#x is not in the code; check ENTRY in snpu-fw.lds", elf->head->e_entry);
	if (!img->head->build[0])
		die("the ELF file has no build id; link it with --build-id=sha1");
	img->head->entry = elf->head->e_entry;
	img->head->image_size = img->size;
}

static void image_hash(struct image *img)
{
	struct sha256_ctx sha;

	memset(img->head->sha256, 0, sizeof(img->head->sha256));
	sha256_init(&sha);
	sha256_update(&sha, img->size, img->data);
	sha256_digest(&sha, sizeof(img->head->sha256), img->head->sha256);
}

/* One damage each; where the hash is not the point it is made right, so that the check meant is the one that refuses. */
static void image_corrupt(struct image *img, const char *how)
{
	struct snpu_fw_section *last = &img->head->section[img->head->sections - 1];

	if (!strcmp(how, "magic"))
		img->head->magic ^= 1;
	else if (!strcmp(how, "header"))
		img->head->header_size += 8;
	else if (!strcmp(how, "major"))
		img->head->abi_major++;
	else if (!strcmp(how, "section"))
		last->load = SNPU_CORE_TCM + SNPU_CORE_TCM_SIZE - 4;
	else if (!strcmp(how, "entry"))
		img->head->entry = SNPU_CORE_TCM + SNPU_CORE_TCM_SIZE - 4;
	else if (strcmp(how, "size") && strcmp(how, "hash"))
		die("--corrupt %s is not known; use magic, header, major, section, entry, size or hash", how);
	image_hash(img);
	if (!strcmp(how, "hash"))
		img->data[img->size - 1] ^= 1;
	if (!strcmp(how, "size"))
		img->size -= 16;	/* the file is cut short, its header still promises all of it */
}

static void image_write(const struct image *img, const char *path)
{
	FILE *f = fopen(path, "wb");

	if (!f)
		die("cannot create %s: %s", path, strerror(errno));
	if (fwrite(img->data, 1, img->size, f) != img->size || fclose(f))
		die("cannot write %s: %s", path, strerror(errno));
}

struct args {
	const char *corrupt, *in, *out;
	uint32_t minor, security;
};

static uint32_t parse_number(const char *arg, uint32_t max, struct argp_state *state)
{
	char *end;
	unsigned long long v = strtoull(arg, &end, 0);

	if (end == arg || *end || *arg == '-' || v > max)
		argp_error(state, "'%s' is not a number from 0 to %u", arg, max);
	return (uint32_t)v;
}

static error_t parse_arg(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	switch (key) {
	case 'c':
		a->corrupt = arg;
		return 0;
	case 'm':
		a->minor = parse_number(arg, UINT16_MAX, state);
		return 0;
	case 's':
		a->security = parse_number(arg, UINT32_MAX, state);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_usage(state);
		*(state->arg_num ? &a->out : &a->in) = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->out)
			argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "corrupt", 'c', "HOW", 0, "Damage the image: magic, header, major, section, entry, size or hash", 0 },
		{ "minor", 'm', "N", 0, "Minor version of the ABI, when it is not the present one", 0 },
		{ "security", 's', "N", 0, "Security version, when it is not that of version.h", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse_arg, "ELF IMAGE", "Makes a firmware image from an ELF file.", NULL, NULL, NULL };
	struct args a = { .minor = FW_ABI_MINOR, .security = FW_SECURITY_VERSION };
	struct image img;
	struct elf elf;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	elf = elf_read(a.in);
	elf_check(&elf);
	img.data = calloc(1, SNPU_FW_MAX_SIZE);
	if (!img.data)
		die("out of memory");
	img.head = (struct snpu_fw_image *)img.data;
	img.size = (sizeof(*img.head) + 7) & ~7u;
	*img.head = (struct snpu_fw_image){
		.magic = SNPU_FW_MAGIC,
		.header_size = sizeof(*img.head),
		.abi_major = SNPU_FW_ABI_MAJOR,
		.abi_minor = (uint16_t)a.minor,
		.version = FW_VERSION,
		.security_version = a.security,
	};
	image_from_elf(&img, &elf);
	image_hash(&img);
	if (a.corrupt)
		image_corrupt(&img, a.corrupt);
	image_write(&img, a.out);
	free(img.data);
	free((void *)elf.data);
	return 0;
}
