/*
 * seal.c
 *		SQL's side of the mailer's public keys and of sealing tokens for it.
 */
#include "orgusers.h"

#include <sodium.h>

#include "common/int.h"
#include "datatype/timestamp.h"
#include "mail/envelope.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define KEY_TEXT_LEN \
	(sodium_base64_ENCODED_LEN(ORGUSERS_MAILER_KEY_LEN, \
							   sodium_base64_VARIANT_ORIGINAL) - 1)

PG_FUNCTION_INFO_V1(orgusers_decode_mailer_key);
PG_FUNCTION_INFO_V1(orgusers_mailer_key_id_text);
PG_FUNCTION_INFO_V1(orgusers_seal_invitation);

/*
 * bad_key
 *		Raises ERRCODE_OU_BAD_MAILER_KEY with the sentence as its detail.
 */
static void
bad_key(const char *sentence)
{
	ereport(ERROR,
			(errcode(ERRCODE_OU_BAD_MAILER_KEY),
			 errmsg("invalid public key of a mailer"),
			 errdetail("%s", sentence),
			 errhint("\"orgusers-mailer keygen\" makes a key pair and prints the public key.")));
}

/*
 * check_key
 *		Raises an error unless the bytes are a public key that can be used.
 */
static const unsigned char *
check_key(const unsigned char *key, size_t len)
{
	if (len != ORGUSERS_MAILER_KEY_LEN)
		bad_key("A public key has 32 bytes.");
	if (!orgusers_mailer_key_usable(key))
		bad_key("It is no X25519 key that anything can be sealed with: all zero, of low order, or not canonical.");
	return key;
}

/*
 * orgusers_decode_mailer_key
 *		Returns the bytes of the public key that keygen printed: base64 with
 *		padding, of a usable key; raises ERRCODE_OU_BAD_MAILER_KEY otherwise,
 *		for NULL too.
 */
Datum
orgusers_decode_mailer_key(PG_FUNCTION_ARGS)
{
	bytea	   *key = palloc(VARHDRSZ + ORGUSERS_MAILER_KEY_LEN);
	unsigned char *bytes = (unsigned char *) VARDATA(key);
	char		canonical[KEY_TEXT_LEN + 1];
	text	   *base64;
	size_t		len;

	if (PG_ARGISNULL(0))
		bad_key("It is NULL.");
	base64 = PG_GETARG_TEXT_PP(0);
	if (VARSIZE_ANY_EXHDR(base64) != KEY_TEXT_LEN)
		bad_key("A public key is written in 44 characters of base64.");
	if (sodium_base642bin(bytes, ORGUSERS_MAILER_KEY_LEN,
						  VARDATA_ANY(base64), KEY_TEXT_LEN, NULL, &len, NULL,
						  sodium_base64_VARIANT_ORIGINAL) != 0 ||
		len != ORGUSERS_MAILER_KEY_LEN)
		bad_key("It is not 32 bytes in base64 with padding.");

	/* libsodium 1.0.18 also decodes bytes above 127 */
	sodium_bin2base64(canonical, sizeof(canonical), bytes, len,
					  sodium_base64_VARIANT_ORIGINAL);
	if (memcmp(canonical, VARDATA_ANY(base64), KEY_TEXT_LEN) != 0)
		bad_key("It is not 32 bytes in base64 with padding.");

	check_key(bytes, len);
	SET_VARSIZE(key, VARHDRSZ + ORGUSERS_MAILER_KEY_LEN);
	PG_RETURN_BYTEA_P(key);
}

/*
 * orgusers_mailer_key_id_text
 *		Returns the id of a public key; raises ERRCODE_OU_BAD_MAILER_KEY for
 *		one that cannot be used.
 */
Datum
orgusers_mailer_key_id_text(PG_FUNCTION_ARGS)
{
	bytea	   *key = PG_GETARG_BYTEA_PP(0);
	char		id[ORGUSERS_MAILER_KEY_ID_LEN + 1];

	orgusers_mailer_key_id(check_key((unsigned char *) VARDATA_ANY(key),
									 VARSIZE_ANY_EXHDR(key)), id);
	PG_RETURN_TEXT_P(cstring_to_text(id));
}

/*
 * unix_microseconds
 *		Returns a time as microseconds since 1970, and raises an error where
 *		there is no such number.
 */
static int64
unix_microseconds(TimestampTz time)
{
	const int64 epochs = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
		USECS_PER_DAY;
	int64		result;

	if (TIMESTAMP_NOT_FINITE(time) ||
		pg_add_s64_overflow(time, epochs, &result))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("expiry out of range")));
	return result;
}

/*
 * orgusers_seal_invitation
 *		Returns the bytes that only the mailer with the given public key can
 *		open: organization, invitation, address, expiry and token.
 */
Datum
orgusers_seal_invitation(PG_FUNCTION_ARGS)
{
	bytea	   *key = PG_GETARG_BYTEA_PP(0);
	text	   *address = PG_GETARG_TEXT_PP(3);
	size_t		address_len = VARSIZE_ANY_EXHDR(address);
	int64		expires_at = unix_microseconds(PG_GETARG_TIMESTAMPTZ(4));
	const unsigned char *public_key = (unsigned char *) VARDATA_ANY(key);
	size_t		key_len = VARSIZE_ANY_EXHDR(key);
	bytea	   *result = palloc(VARHDRSZ + ORGUSERS_ENVELOPE_SEALED_MAX);
	OrgusersEnvelope envelope = {0};
	size_t		sealed_len;
	bool		sealed = false;

	if (key_len == ORGUSERS_MAILER_KEY_LEN &&
		address_len < sizeof(envelope.address))
	{
		memcpy(envelope.organization, PG_GETARG_UUID_P(1)->data, UUID_LEN);
		memcpy(envelope.invitation, PG_GETARG_UUID_P(2)->data, UUID_LEN);
		memcpy(envelope.address, VARDATA_ANY(address), address_len);
		envelope.expires_at = expires_at;
		envelope.token = *(OrgusersToken *) PG_GETARG_POINTER(5);

		sealed = orgusers_envelope_seal(&envelope, public_key,
										(unsigned char *) VARDATA(result),
										&sealed_len);
		sodium_memzero(&envelope, sizeof(envelope));
	}
	if (!sealed)
	{
		check_key(public_key, key_len);
		ereport(ERROR,
				(errcode(ERRCODE_OU_BAD_TOKEN),
				 errmsg("could not seal an invitation for the mailer"),
				 errdetail("The token is not of the invitation's organization.")));
	}

	SET_VARSIZE(result, VARHDRSZ + sealed_len);
	PG_RETURN_BYTEA_P(result);
}
