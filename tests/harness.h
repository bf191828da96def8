/* SPDX-License-Identifier: MIT */
/*
 * A small test harness in the shape of the kernel's kselftest_harness.h: TEST, FIXTURE, FIXTURE_VARIANT, TEST_F,
 * EXPECT_*, ASSERT_*, SKIP. Prints TAP 13. Each test runs in a child process, so that a crash fails one test and
 * the rest still run, and a test that hangs is killed after its time limit. Single-threaded; one program, one main
 * (TEST_HARNESS_MAIN). Program arguments: substrings; only tests whose name contains one of them run.
 */
#ifndef SNPU_TESTS_HARNESS_H
#define SNPU_TESTS_HARNESS_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Tests compare plain literals with unsigned results all the time. */
#pragma GCC diagnostic ignored "-Wsign-compare"

enum { TH_PASS = 0, TH_FAIL = 1, TH_SKIP = 4 };

struct th_test {
	const char *name;
	void (*fn)(const struct th_test *t);
	const void *variant;
	const char *variant_name;
	int timeout_s;
	struct th_test *next;
};

struct th_variant {
	const char *fixture, *name;
	const void *data;
	struct th_variant *next;
};

struct th_ftest {
	const char *fixture, *name;
	void (*fn)(const struct th_test *t);
	int timeout_s;
	struct th_ftest *next;
};

#define TH_VAR __attribute__((unused)) static
TH_VAR struct th_test *th_tests, **th_tests_tail = &th_tests;
TH_VAR struct th_variant *th_variants, **th_variants_tail = &th_variants;
TH_VAR struct th_ftest *th_ftests, **th_ftests_tail = &th_ftests;
TH_VAR int th_failed;
TH_VAR const char *th_skip_reason;

#define TH_DEFAULT_TIMEOUT_S 60
#define TH_CTOR __attribute__((constructor, unused)) static void

#define TEST_TIMEOUT(name_, secs_)								\
	static void name_(const struct th_test *th_self);					\
	TH_CTOR th_reg_##name_(void)								\
	{											\
		static struct th_test t = { .name = #name_, .fn = name_, .timeout_s = secs_ };	\
		*th_tests_tail = &t;								\
		th_tests_tail = &t.next;							\
	}											\
	static void name_(const struct th_test *th_self __attribute__((unused)))
#define TEST(name_) TEST_TIMEOUT(name_, TH_DEFAULT_TIMEOUT_S)

#define FIXTURE(f_) struct f_##_variant; struct f_
#define FIXTURE_VARIANT(f_) struct f_##_variant
#define FIXTURE_VARIANT_ADD(f_, v_)								\
	static const struct f_##_variant f_##_##v_##_data;					\
	TH_CTOR th_vreg_##f_##_##v_(void)							\
	{											\
		static struct th_variant v = { #f_, #v_, &f_##_##v_##_data, NULL };		\
		*th_variants_tail = &v;								\
		th_variants_tail = &v.next;							\
	}											\
	static const struct f_##_variant f_##_##v_##_data =
#define FIXTURE_SETUP(f_) static void f_##_setup(struct f_ *self, const struct f_##_variant *variant)
#define FIXTURE_TEARDOWN(f_) static void f_##_teardown(struct f_ *self)

#define TEST_F_TIMEOUT(f_, name_, secs_)							\
	static void f_##_##name_(struct f_ *self, const struct f_##_variant *variant);		\
	static void f_##_##name_##_run(const struct th_test *t)					\
	{											\
		struct f_ self;									\
		memset(&self, 0, sizeof(self));							\
		f_##_setup(&self, t->variant);							\
		if (!th_failed && !th_skip_reason)						\
			f_##_##name_(&self, t->variant);					\
		f_##_teardown(&self);								\
	}											\
	TH_CTOR th_freg_##f_##_##name_(void)							\
	{											\
		static struct th_ftest t = { #f_, #name_, f_##_##name_##_run, secs_, NULL };	\
		*th_ftests_tail = &t;								\
		th_ftests_tail = &t.next;							\
	}											\
	static void f_##_##name_(struct f_ *self __attribute__((unused)),			\
				 const struct f_##_variant *variant __attribute__((unused)))
#define TEST_F(f_, name_) TEST_F_TIMEOUT(f_, name_, TH_DEFAULT_TIMEOUT_S)

#define SKIP(...) do {										\
	static char th_why[256];								\
	snprintf(th_why, sizeof(th_why), __VA_ARGS__);						\
	th_skip_reason = th_why;								\
	return;											\
} while (0)

#define TH_FAILMSG(...) do { printf("# %s:%d: ", __FILE__, __LINE__); printf(__VA_ARGS__); putchar('\n'); th_failed = 1; } while (0)

#define TH_CMP(a_, op_, b_, after_) do {							\
	__typeof__((a_) + 0) th_a = (a_); __typeof__((b_) + 0) th_b = (b_);			\
	if (!(th_a op_ th_b)) {									\
		TH_FAILMSG("expected %s %s %s: %lld (0x%llx) %s %lld (0x%llx)", #a_, #op_, #b_, (long long)th_a,	\
			   (unsigned long long)th_a, #op_, (long long)th_b, (unsigned long long)th_b);		\
		after_;										\
	}											\
} while (0)
#define TH_OK(c_, after_) do { if (!(c_)) { TH_FAILMSG("expected %s", #c_); after_; } } while (0)
#define TH_STR(a_, b_, after_) do {								\
	const char *th_a = (a_), *th_b = (b_);							\
	if (!th_a || !th_b || strcmp(th_a, th_b)) {						\
		TH_FAILMSG("expected %s == %s: '%s' != '%s'", #a_, #b_, th_a ? th_a : "(null)", th_b ? th_b : "(null)"); \
		after_;										\
	}											\
} while (0)
#define TH_HAS(hay_, needle_, after_) do {							\
	const char *th_a = (hay_), *th_b = (needle_);						\
	if (!th_a || !strstr(th_a, th_b)) { TH_FAILMSG("expected '%s' to contain '%s'", th_a ? th_a : "(null)", th_b); after_; } \
} while (0)

#define EXPECT_EQ(a, b)  TH_CMP(a, ==, b, )
#define EXPECT_NE(a, b)  TH_CMP(a, !=, b, )
#define EXPECT_LT(a, b)  TH_CMP(a, <, b, )
#define EXPECT_LE(a, b)  TH_CMP(a, <=, b, )
#define EXPECT_GT(a, b)  TH_CMP(a, >, b, )
#define EXPECT_GE(a, b)  TH_CMP(a, >=, b, )
#define EXPECT_TRUE(c)   TH_OK(c, )
#define EXPECT_FALSE(c)  TH_OK(!(c), )
#define EXPECT_STREQ(a, b) TH_STR(a, b, )
#define EXPECT_CONTAINS(h, n) TH_HAS(h, n, )
#define ASSERT_EQ(a, b)  TH_CMP(a, ==, b, return)
#define ASSERT_NE(a, b)  TH_CMP(a, !=, b, return)
#define ASSERT_LT(a, b)  TH_CMP(a, <, b, return)
#define ASSERT_LE(a, b)  TH_CMP(a, <=, b, return)
#define ASSERT_GT(a, b)  TH_CMP(a, >, b, return)
#define ASSERT_GE(a, b)  TH_CMP(a, >=, b, return)
#define ASSERT_TRUE(c)   TH_OK(c, return)
#define ASSERT_FALSE(c)  TH_OK(!(c), return)
#define ASSERT_STREQ(a, b) TH_STR(a, b, return)
#define ASSERT_CONTAINS(h, n) TH_HAS(h, n, return)

static inline bool th_selected(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return true;
	return argc < 2;
}

static inline void th_one(int n, const char *name, const struct th_test *t, int *nfail)
{
	int st = 0;

	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		alarm((unsigned int)t->timeout_s);
		t->fn(t);
		if (th_skip_reason)
			printf("# skip: %s\n", th_skip_reason);
		fflush(stdout);
		/* exit, not _exit: leak checkers report at exit. */
		exit(th_failed ? TH_FAIL : th_skip_reason ? TH_SKIP : TH_PASS);
	}
	if (pid < 0 || waitpid(pid, &st, 0) != pid)
		st = -1;
	if (WIFEXITED(st) && WEXITSTATUS(st) == TH_PASS) {
		printf("ok %d %s\n", n, name);
	} else if (WIFEXITED(st) && WEXITSTATUS(st) == TH_SKIP) {
		printf("ok %d %s # SKIP\n", n, name);
	} else {
		if (WIFSIGNALED(st))
			printf("# %s: killed by signal %d%s\n", name, WTERMSIG(st),
			       WTERMSIG(st) == SIGALRM ? " (time limit)" : "");
		printf("not ok %d %s\n", n, name);
		(*nfail)++;
	}
}

static inline int th_main(int argc, char **argv)
{
	int n = 0, nfail = 0;
	char name[256];

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("TAP version 13");
	for (struct th_test *t = th_tests; t; t = t->next)
		if (th_selected(t->name, argc, argv))
			th_one(++n, t->name, t, &nfail);
	for (struct th_ftest *f = th_ftests; f; f = f->next) {
		bool any = false;

		for (struct th_variant *v = th_variants; v; v = v->next) {
			if (strcmp(v->fixture, f->fixture))
				continue;
			any = true;
			struct th_test t = { f->name, f->fn, v->data, v->name, f->timeout_s, NULL };

			snprintf(name, sizeof(name), "%s.%s.%s", f->fixture, v->name, f->name);
			if (th_selected(name, argc, argv))
				th_one(++n, name, &t, &nfail);
		}
		if (!any) {
			struct th_test t = { f->name, f->fn, NULL, "", f->timeout_s, NULL };

			snprintf(name, sizeof(name), "%s.%s", f->fixture, f->name);
			if (th_selected(name, argc, argv))
				th_one(++n, name, &t, &nfail);
		}
	}
	printf("1..%d\n", n);
	return n == 0 || nfail ? 1 : 0;
}

#define TEST_HARNESS_MAIN int main(int argc, char **argv) { return th_main(argc, argv); }

#endif
