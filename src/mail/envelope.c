/*
 * envelope.c
 *		Seals an invitation's token for the mailer, and opens it there.
 *
 * libsodium and libc only; the caller has called sodium_init().
 *
 * Sealed with crypto_box_seal (X25519, XSalsa20, Poly1305), nothing padded:
 *
 *		version 1 | organization 16 | invitation 16 | expiry 8, big-endian |
 *		token 53 | length of the address 1 | address
 */
#include "mail/envelope.h"

#include <sodium.h>
#include <string.h>

#define ENVELOPE_VERSION	1
#define FIXED_LEN			(1 + 16 + 16 + 8 + sizeof(OrgusersToken) + 1)
#define PLAIN_MAX			(FIXED_LEN + ORGUSERS_ENVELOPE_ADDRESS_MAX)
#define ADDRESS_MIN			3	/* a@b */

_Static_assert(PLAIN_MAX + crypto_box_SEALBYTES == ORGUSERS_ENVELOPE_SEALED_MAX,
			   "the longest envelope fits");
_Static_assert(crypto_box_PUBLICKEYBYTES == ORGUSERS_MAILER_KEY_LEN &&
			   crypto_box_SECRETKEYBYTES == ORGUSERS_MAILER_KEY_LEN,
			   "the mailer's keys are X25519 keys");

/*
 * is_canonical
 *		Returns whether a public key is spelled without its top bit.
 */
static bool
is_canonical(const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN])
{
	return (public_key[ORGUSERS_MAILER_KEY_LEN - 1] & 0x80) == 0;
}

/*
 * orgusers_mailer_key_usable
 *		Returns whether something sealed with the public key can be opened by
 *		its owner only.
 *
 * Not so for keys of low order (all zero among them), whose shared secret
 * anybody knows.  A key with its top bit set is another spelling of the key
 * without: X25519 ignores the bit, the sealed box does not, and the owner
 * could not open it.
 */
bool
orgusers_mailer_key_usable(const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN])
{
	static const unsigned char scalar[crypto_scalarmult_SCALARBYTES] = {8};
	unsigned char shared[crypto_scalarmult_BYTES];

	return is_canonical(public_key) &&
		crypto_scalarmult(shared, scalar, public_key) == 0;
}

/*
 * orgusers_mailer_key_id
 *		Writes the id of a public key: the first 64 bits of its BLAKE2b hash,
 *		in lower-case hexadecimal.
 */
void
orgusers_mailer_key_id(const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN],
					   char id[ORGUSERS_MAILER_KEY_ID_LEN + 1])
{
	unsigned char hash[crypto_generichash_BYTES];

	crypto_generichash(hash, sizeof(hash), public_key, ORGUSERS_MAILER_KEY_LEN,
					   NULL, 0);
	sodium_bin2hex(id, ORGUSERS_MAILER_KEY_ID_LEN + 1, hash,
				   ORGUSERS_MAILER_KEY_ID_LEN / 2);
}

/*
 * same_organization
 *		Returns whether the envelope's token is of the envelope's organization.
 */
static bool
same_organization(const OrgusersEnvelope *envelope)
{
	return memcmp(envelope->organization, envelope->token.organization,
				  sizeof(envelope->organization)) == 0;
}

/*
 * orgusers_envelope_seal
 *		Seals the envelope for the owner of the public key, and sets the length.
 *
 * Returns false, with the output zeroed and no length, for an unusable key, a
 * token that is none or of another organization, or an address of an
 * impossible length.
 */
bool
orgusers_envelope_seal(const OrgusersEnvelope *envelope,
					   const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN],
					   unsigned char sealed[ORGUSERS_ENVELOPE_SEALED_MAX],
					   size_t *sealed_len)
{
	unsigned char plain[PLAIN_MAX];
	unsigned char *p = plain;
	size_t		address_len = strnlen(envelope->address,
									  sizeof(envelope->address));
	uint64_t	expires_at = (uint64_t) envelope->expires_at;
	int			failed;

	memset(sealed, 0, ORGUSERS_ENVELOPE_SEALED_MAX);
	*sealed_len = 0;

	if (!is_canonical(public_key) ||
		address_len < ADDRESS_MIN ||
		address_len > ORGUSERS_ENVELOPE_ADDRESS_MAX ||
		orgusers_token_check(&envelope->token) != ORGUSERS_TOKEN_OK ||
		!same_organization(envelope))
		return false;

	*p++ = ENVELOPE_VERSION;
	memcpy(p, envelope->organization, 16);
	p += 16;
	memcpy(p, envelope->invitation, 16);
	p += 16;
	for (int shift = 56; shift >= 0; shift -= 8)
		*p++ = (unsigned char) (expires_at >> shift);
	memcpy(p, &envelope->token, sizeof(OrgusersToken));
	p += sizeof(OrgusersToken);
	*p++ = (unsigned char) address_len;
	memcpy(p, envelope->address, address_len);

	/* fails for a key of low order: asking before would cost as much again */
	failed = crypto_box_seal(sealed, plain, FIXED_LEN + address_len, public_key);
	sodium_memzero(plain, sizeof(plain));
	if (failed != 0)
	{
		/* part of it may be written, encrypted with a key that anybody knows */
		sodium_memzero(sealed, ORGUSERS_ENVELOPE_SEALED_MAX);
		return false;
	}
	*sealed_len = crypto_box_SEALBYTES + FIXED_LEN + address_len;
	return true;
}

/*
 * parse
 *		Reads the opened bytes; returns whether they are an envelope, all of
 *		them.
 */
static bool
parse(const unsigned char *plain, size_t len, OrgusersEnvelope *envelope)
{
	const unsigned char *p = plain;
	uint64_t	expires_at = 0;
	size_t		address_len;

	if (len < FIXED_LEN || *p++ != ENVELOPE_VERSION)
		return false;
	memcpy(envelope->organization, p, 16);
	p += 16;
	memcpy(envelope->invitation, p, 16);
	p += 16;
	for (int i = 0; i < 8; i++)
		expires_at = (expires_at << 8) | *p++;
	envelope->expires_at = (int64_t) expires_at;
	memcpy(&envelope->token, p, sizeof(OrgusersToken));
	p += sizeof(OrgusersToken);
	address_len = *p++;

	if (address_len < ADDRESS_MIN ||
		address_len > ORGUSERS_ENVELOPE_ADDRESS_MAX ||
		len != FIXED_LEN + address_len ||
		memchr(p, '\0', address_len) != NULL)
		return false;
	memcpy(envelope->address, p, address_len);
	envelope->address[address_len] = '\0';

	return orgusers_token_check(&envelope->token) == ORGUSERS_TOKEN_OK &&
		same_organization(envelope);
}

/*
 * orgusers_envelope_open
 *		Opens what was sealed for the key pair; the mailer calls it.
 *
 * Returns false, with the envelope zeroed, for anything that is not sealed for
 * this key, or is no envelope of this version.  The caller zeroes the envelope
 * after use.
 */
bool
orgusers_envelope_open(const unsigned char *sealed, size_t sealed_len,
					   const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN],
					   const unsigned char secret_key[ORGUSERS_MAILER_KEY_LEN],
					   OrgusersEnvelope *envelope)
{
	unsigned char plain[PLAIN_MAX];
	bool		opened;

	sodium_memzero(envelope, sizeof(*envelope));
	if (sealed_len < crypto_box_SEALBYTES + FIXED_LEN ||
		sealed_len > crypto_box_SEALBYTES + PLAIN_MAX)
		return false;

	opened = crypto_box_seal_open(plain, sealed, sealed_len, public_key,
								  secret_key) == 0 &&
		parse(plain, sealed_len - crypto_box_SEALBYTES, envelope);

	sodium_memzero(plain, sizeof(plain));
	if (!opened)
		sodium_memzero(envelope, sizeof(*envelope));
	return opened;
}
