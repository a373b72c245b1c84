/*
 * token_codec.c
 *		Makes, reads, writes, checks and digests invitation tokens.
 *
 * libsodium and libc only; the caller has called sodium_init().  A token's
 * secret is never put into a message, and no copy of it is left behind.
 */
#include "invitations/token_codec.h"

#include <sodium.h>
#include <string.h>

#define PREFIX_LEN		(sizeof(ORGUSERS_TOKEN_PREFIX) - 1)
#define BASE64_LEN		(ORGUSERS_TOKEN_TEXT_LEN - PREFIX_LEN)
#define CHECKED_LEN		offsetof(OrgusersToken, checksum)

/* Longer text is not looked at: a token with white space around is shorter. */
#define LOOK_AT_MOST	(2 * ORGUSERS_TOKEN_TEXT_LEN)

/* What the secret's digest is keyed with, before the organization's id. */
#define DIGEST_DOMAIN		"orgusers invitation token digest"
#define DIGEST_DOMAIN_LEN	(sizeof(DIGEST_DOMAIN) - 1)

_Static_assert(sizeof(OrgusersToken) == 53, "a token has no padding");
_Static_assert(sodium_base64_ENCODED_LEN(sizeof(OrgusersToken),
										 sodium_base64_VARIANT_URLSAFE_NO_PADDING)
			   == BASE64_LEN + 1, "a token's text has this length");
_Static_assert(DIGEST_DOMAIN_LEN + 16 <= crypto_generichash_KEYBYTES_MAX,
			   "domain and organization fit a key");

/*
 * checksum
 *		Computes the checksum of a token's other bytes.  It tells typing errors
 *		apart without a look-up; it is no protection against a forger.
 */
static void
checksum(const OrgusersToken *token, unsigned char sum[4])
{
	unsigned char hash[crypto_generichash_BYTES];

	crypto_generichash(hash, sizeof(hash), (const unsigned char *) token,
					   CHECKED_LEN, NULL, 0);
	memcpy(sum, hash, 4);
	sodium_memzero(hash, sizeof(hash));
}

/*
 * orgusers_token_make
 *		Fills in a new token of the organization, with a random secret.
 */
void
orgusers_token_make(OrgusersToken *token, const unsigned char organization[16])
{
	token->version = ORGUSERS_TOKEN_VERSION;
	memcpy(token->organization, organization, sizeof(token->organization));
	randombytes_buf(token->secret, sizeof(token->secret));
	checksum(token, token->checksum);
}

/*
 * orgusers_token_check
 *		Returns what is wrong with a token's bytes: checksum or version.
 *
 * The checksum comes first, so that a typing error in the version's character
 * is called a typing error.
 */
OrgusersTokenFault
orgusers_token_check(const OrgusersToken *token)
{
	unsigned char sum[4];
	int			differs;

	checksum(token, sum);
	differs = sodium_memcmp(sum, token->checksum, sizeof(sum));
	sodium_memzero(sum, sizeof(sum));

	if (differs != 0)
		return ORGUSERS_TOKEN_BAD_CHECKSUM;
	if (token->version != ORGUSERS_TOKEN_VERSION)
		return ORGUSERS_TOKEN_BAD_VERSION;
	return ORGUSERS_TOKEN_OK;
}

/*
 * is_white_space
 *		Returns whether c is ASCII white space, in any locale.
 */
static int
is_white_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * is_text_of
 *		Returns whether the text, of the right length, is the token's one text.
 *
 * Decoding does not tell: libsodium 1.0.18 takes a byte above 127 for the last
 * letter of its alphabet.
 */
static int
is_text_of(const char *text, const OrgusersToken *token)
{
	char		own[ORGUSERS_TOKEN_TEXT_LEN + 1];
	int			same;

	orgusers_token_format(token, own);
	same = sodium_memcmp(text, own, ORGUSERS_TOKEN_TEXT_LEN) == 0;
	sodium_memzero(own, sizeof(own));
	return same;
}

/*
 * orgusers_token_parse
 *		Reads a token's text of len bytes; returns what is wrong with it.
 *
 * There is one text for a token: nothing around it, no padding, no other case,
 * no bits to spare in the last character.  The token is all zero on a fault.
 */
OrgusersTokenFault
orgusers_token_parse(const char *text, size_t len, OrgusersToken *token)
{
	OrgusersTokenFault fault;
	size_t		bytes;

	sodium_memzero(token, sizeof(*token));

	if (len > LOOK_AT_MOST)
		return ORGUSERS_TOKEN_TOO_LONG;
	for (size_t i = 0; i < len; i++)
		if (is_white_space(text[i]))
			return ORGUSERS_TOKEN_WHITE_SPACE;
	if (len < PREFIX_LEN)
		return ORGUSERS_TOKEN_TOO_SHORT;
	if (memcmp(text, ORGUSERS_TOKEN_PREFIX, PREFIX_LEN) != 0)
		return ORGUSERS_TOKEN_BAD_PREFIX;
	if (len < ORGUSERS_TOKEN_TEXT_LEN)
		return ORGUSERS_TOKEN_TOO_SHORT;
	if (len > ORGUSERS_TOKEN_TEXT_LEN)
		return ORGUSERS_TOKEN_TOO_LONG;

	if (sodium_base642bin((unsigned char *) token, sizeof(*token),
						  text + PREFIX_LEN, BASE64_LEN, NULL, &bytes, NULL,
						  sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
		bytes != sizeof(*token) || !is_text_of(text, token))
		fault = ORGUSERS_TOKEN_BAD_CHARACTER;
	else
		fault = orgusers_token_check(token);

	if (fault != ORGUSERS_TOKEN_OK)
		sodium_memzero(token, sizeof(*token));
	return fault;
}

/*
 * orgusers_token_format
 *		Writes a token's complete text, which opens the invitation: the caller
 *		hands it to the invitee only, and zeroes the buffer.
 */
void
orgusers_token_format(const OrgusersToken *token,
					  char text[ORGUSERS_TOKEN_TEXT_LEN + 1])
{
	memcpy(text, ORGUSERS_TOKEN_PREFIX, PREFIX_LEN);
	sodium_bin2base64(text + PREFIX_LEN, BASE64_LEN + 1,
					  (const unsigned char *) token, sizeof(*token),
					  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/*
 * orgusers_token_digest
 *		Computes what is stored of a token: BLAKE2b-256 of the secret, keyed
 *		with our domain and the organization, so that a digest means nothing
 *		in another organization or for another purpose.
 */
void
orgusers_token_digest(const OrgusersToken *token,
					  unsigned char digest[ORGUSERS_TOKEN_DIGEST_LEN])
{
	unsigned char key[DIGEST_DOMAIN_LEN + sizeof(token->organization)];

	memcpy(key, DIGEST_DOMAIN, DIGEST_DOMAIN_LEN);
	memcpy(key + DIGEST_DOMAIN_LEN, token->organization,
		   sizeof(token->organization));
	crypto_generichash(digest, ORGUSERS_TOKEN_DIGEST_LEN, token->secret,
					   sizeof(token->secret), key, sizeof(key));
}

/*
 * orgusers_token_fault_sentence
 *		Returns the sentence that tells a person what is wrong, without
 *		repeating any of it: a token with a typing error is nearly usable.
 */
const char *
orgusers_token_fault_sentence(OrgusersTokenFault fault)
{
	switch (fault)
	{
		case ORGUSERS_TOKEN_OK:
			break;
		case ORGUSERS_TOKEN_TOO_SHORT:
			return "It is too short; a token has 75 characters.";
		case ORGUSERS_TOKEN_TOO_LONG:
			return "It is too long; a token has 75 characters.";
		case ORGUSERS_TOKEN_WHITE_SPACE:
			return "There is white space in it or around it.";
		case ORGUSERS_TOKEN_BAD_PREFIX:
			return "It does not begin with oui_.";
		case ORGUSERS_TOKEN_BAD_CHARACTER:
			return "It contains a character that no token has in that place.";
		case ORGUSERS_TOKEN_BAD_CHECKSUM:
			return "Its checksum does not match: something in it is mistyped.";
		case ORGUSERS_TOKEN_BAD_VERSION:
			return "Its version is unknown; it may come from a newer installation.";
	}
	return "Nothing is wrong with it.";
}
