// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signatures of firmware: PKCS#7, detached, in a file of its own. Trusted are the certificates that
 * the module was built with, and the keys that the machine trusts for kernel modules, so that its
 * owner can sign own firmware. Process context, no locks: what is here is set up before the first
 * card and goes after the last.
 *
 * VERIFYING_FIRMWARE_SIGNATURE is not used, although it sounds right: it demands authenticated
 * attributes, which a signature of these bytes and nothing else does not have.
 */
#include <keys/asymmetric-type.h>
#include <linux/cred.h>
#include <linux/firmware.h>
#include <linux/key.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/string.h>
#include <linux/verification.h>

#include "snpu_fw_sig.h"

#define SNPU_FW_SIG_CERTS	4

/* Certificates in DER, one behind the other; Kbuild writes them. */
static const u8 snpu_fw_sig_certs[] = {
#include "snpu_fw_certs.h"
};

/* A keyring for each certificate, so that it is known which of them a signature is by. */
static struct {
	struct key *keyring;
	struct key *key;
} snpu_fw_sig_own[SNPU_FW_SIG_CERTS];

/* --- the parameter ---------------------------------------------------------------------------- */

static const char * const snpu_fw_sig_modes[] = { "require", "warn" };
static int snpu_fw_sig_mode;

static int snpu_fw_sig_mode_set(const char *text, const struct kernel_param *kp)
{
	int mode = sysfs_match_string(snpu_fw_sig_modes, text);

	if (mode < 0)
		return mode;
	WRITE_ONCE(snpu_fw_sig_mode, mode);
	return 0;
}

static int snpu_fw_sig_mode_get(char *text, const struct kernel_param *kp)
{
	return sysfs_emit(text, "%s\n", snpu_fw_sig_modes[READ_ONCE(snpu_fw_sig_mode)]);
}

static const struct kernel_param_ops snpu_fw_sig_mode_ops = {
	.set = snpu_fw_sig_mode_set,
	.get = snpu_fw_sig_mode_get,
};
module_param_cb(fw_sig, &snpu_fw_sig_mode_ops, NULL, 0644);
MODULE_PARM_DESC(fw_sig, "require: only signed firmware runs (default); warn: any, unless the kernel is locked down");

bool snpu_fw_sig_warns(void)
{
	return READ_ONCE(snpu_fw_sig_mode);
}

/* Whether firmware whose signature is missing, or by an unknown key, may run. */
bool snpu_fw_sig_optional(void)
{
	return snpu_fw_sig_warns() && !security_locked_down(LOCKDOWN_MODULE_PARAMETERS);
}

/* --- verifying -------------------------------------------------------------------------------- */

/*
 * 0 with @signer, which lives as long as the module; -ENOKEY: by none of the keys that are trusted;
 * other errors: the signature is bad.
 */
int snpu_fw_sig_verify(const void *data, size_t size, const struct firmware *sig,
		       const char **signer)
{
	static const struct {
		struct key *keyring;
		const char *name;
	} others[] = {
		{ VERIFY_USE_SECONDARY_KEYRING, "a trusted key of this machine" },
		/* Where the keys are that its owner enrolled for Secure Boot (MOK). */
		{ VERIFY_USE_PLATFORM_KEYRING, "a platform key of this machine" },
	};
	int err = -ENOKEY;
	u32 i;

	for (i = 0; i < SNPU_FW_SIG_CERTS && snpu_fw_sig_own[i].key && err == -ENOKEY; i++) {
		*signer = snpu_fw_sig_own[i].key->description;
		err = verify_pkcs7_signature(data, size, sig->data, sig->size,
					     snpu_fw_sig_own[i].keyring,
					     VERIFYING_UNSPECIFIED_SIGNATURE, NULL, NULL);
	}
	for (i = 0; i < ARRAY_SIZE(others) && err == -ENOKEY; i++) {
		*signer = others[i].name;
		err = verify_pkcs7_signature(data, size, sig->data, sig->size, others[i].keyring,
					     VERIFYING_UNSPECIFIED_SIGNATURE, NULL, NULL);
	}
	return err;
}

/* --- the module's own certificates ------------------------------------------------------------ */

static int snpu_fw_sig_add(u32 i, const u8 *cert, size_t size)
{
	const key_perm_t perm = (KEY_POS_ALL & ~KEY_POS_SETATTR) | KEY_USR_VIEW | KEY_USR_READ;
	struct key *keyring;
	key_ref_t key;

	keyring = keyring_alloc(".snpu_firmware", GLOBAL_ROOT_UID, GLOBAL_ROOT_GID, current_cred(),
				perm | KEY_USR_SEARCH, KEY_ALLOC_NOT_IN_QUOTA, NULL, NULL);
	if (IS_ERR(keyring))
		return PTR_ERR(keyring);
	key = key_create_or_update(make_key_ref(keyring, true), "asymmetric", NULL, cert, size,
				   perm, KEY_ALLOC_NOT_IN_QUOTA | KEY_ALLOC_BUILT_IN |
				   KEY_ALLOC_BYPASS_RESTRICTION);
	if (IS_ERR(key)) {
		key_put(keyring);
		return PTR_ERR(key);
	}
	snpu_fw_sig_own[i].keyring = keyring;
	snpu_fw_sig_own[i].key = key_ref_to_ptr(key);
	return 0;
}

/*
 * A certificate that this kernel cannot use is no reason to do without the driver: the firmware
 * will not verify, and that is told when it does not.
 */
void snpu_fw_sig_init(void)
{
	const u8 *cert = snpu_fw_sig_certs;
	size_t left = sizeof(snpu_fw_sig_certs), size;
	u32 i;
	int err = 0;

	/* DER: a SEQUENCE whose length is in the next two bytes. */
	for (i = 0; left && !err && i < SNPU_FW_SIG_CERTS; i++) {
		size = left > 4 ? 4 + (cert[2] << 8 | cert[3]) : 0;
		if (!size || cert[0] != 0x30 || cert[1] != 0x82 || size > left)
			err = -EBADMSG;
		else
			err = snpu_fw_sig_add(i, cert, size);
		cert += size;
		left -= size;
	}
	if (err || left)
		pr_err("snpu: certificate %u for firmware cannot be used, error %d; build the module with others (SNPU_FW_CERT)\n",
		       i, err ?: -E2BIG);
}

void snpu_fw_sig_exit(void)
{
	u32 i;

	for (i = 0; i < SNPU_FW_SIG_CERTS; i++) {
		key_put(snpu_fw_sig_own[i].key);
		key_put(snpu_fw_sig_own[i].keyring);
	}
}
