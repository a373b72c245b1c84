/*
 * sign_in.c
 *		SQL function sign_in: a signed assertion makes its user the actor.
 */
#include "identity.h"

#include <sys/time.h>

#include <sodium.h>

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "assertion.h"

/* A row of assertion_keys. */
typedef struct AssertionKey
{
	OrgusersAlgorithm algorithm;
	unsigned char *key;			/* wipe it after use */
	size_t		key_length;
	char	   *audience;
	char	   *issuer;			/* or NULL */
	bool		registers_users;
} AssertionKey;

PG_FUNCTION_INFO_V1(orgusers_sign_in);

/*
 * refuse_malformed
 *		Raises OU003 with the problem as detail, unless that is NULL.
 */
static void
refuse_malformed(const char *problem)
{
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OU_ASSERTION_MALFORMED),
				 errmsg("assertion is malformed"),
				 errdetail_internal("%s", problem)));
}

/*
 * server_text
 *		Returns the bytes, which must be UTF-8, in the server's encoding.
 */
static char *
server_text(const OrgusersBytes *bytes)
{
	if (!orgusers_assertion_is_utf8(bytes))
		refuse_malformed("A part of it is not UTF-8.");
	return pg_any_to_server(bytes->data, bytes->length, PG_UTF8);
}

/*
 * find_key
 *		Looks up a key that is in use at this moment, at any isolation level;
 *		returns false if there is none.
 */
static bool
find_key(const char *kid, AssertionKey *result)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[1] = {CStringGetTextDatum(kid)};
	Snapshot	snapshot;
	bool		found;

	SPI_connect();
	if (plan == NULL)
	{
		Oid			types[1] = {TEXTOID};
		SPIPlanPtr	prepared;

		prepared = SPI_prepare("SELECT k.algorithm = 'EdDSA', k.key,"
							   "       k.audience, k.issuer, k.registers_users"
							   "  FROM orgusers.assertion_keys k"
							   " WHERE k.kid = $1 AND k.retired_at IS NULL",
							   1, types);
		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s",
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		plan = prepared;
	}

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot,
							 true, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up an assertion key");
	UnregisterSnapshot(snapshot);

	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		bytea	   *key;
		char	   *text;

		result->algorithm = DatumGetBool(SPI_getbinval(row, desc, 1, &isnull)) ?
			ORGUSERS_ALGORITHM_EDDSA : ORGUSERS_ALGORITHM_HS256;

		/* Wiped here: the row, and the copy of it if it was compressed. */
		key = DatumGetByteaPP(SPI_getbinval(row, desc, 2, &isnull));
		result->key_length = VARSIZE_ANY_EXHDR(key);
		result->key = SPI_palloc(result->key_length);
		memcpy(result->key, VARDATA_ANY(key), result->key_length);
		sodium_memzero(VARDATA_ANY(key), result->key_length);

		text = SPI_getvalue(row, desc, 3);
		result->audience = strcpy(SPI_palloc(strlen(text) + 1), text);
		text = SPI_getvalue(row, desc, 4);
		result->issuer = text ? strcpy(SPI_palloc(strlen(text) + 1), text) : NULL;
		result->registers_users = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));
	}
	SPI_finish();
	return found;
}

/*
 * verify
 *		Finds the key that the header names and verifies the signature.
 *		An unknown key, another algorithm than the key's and a bad signature
 *		are one error, OU004.
 */
static void
verify(const OrgusersAssertion *assertion, const OrgusersHeader *header,
	   AssertionKey *key)
{
	bool		verified = false;

	if (find_key(header->kid, key))
	{
		verified = header->algorithm == key->algorithm &&
			orgusers_assertion_verify(assertion, key->algorithm,
									  key->key, key->key_length);
		sodium_memzero(key->key, key->key_length);
	}
	if (!verified)
		ereport(ERROR,
				(errcode(ERRCODE_OU_ASSERTION_REJECTED),
				 errmsg("assertion is not signed by a known key")));
}

/*
 * record_claims
 *		Has the directory updated from the claims of a key that may do that.
 */
static void
record_claims(const OrgusersClaims *claims)
{
	Oid			types[5] = {UUIDOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID};
	Datum		values[5] = {
		UUIDPGetDatum(&claims->user_id),
		CStringGetTextDatum(claims->email),
		BoolGetDatum(claims->email_verified),
	};
	char		nulls[5] = {' ', ' ', ' ', 'n', 'n'};

	if (claims->name != NULL)
	{
		values[3] = CStringGetTextDatum(claims->name);
		nulls[3] = ' ';
	}
	if (claims->locale != NULL)
	{
		values[4] = CStringGetTextDatum(claims->locale);
		nulls[4] = ' ';
	}

	SPI_connect();
	if (SPI_execute_with_args("SELECT orgusers.user_from_claims"
							  "($1, $2, $3, $4, $5)",
							  5, types, values, nulls,
							  false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not record the claims of an assertion");
	SPI_finish();
}

/*
 * orgusers_sign_in
 *		SQL: verifies the assertion (text), makes its user the actor, for the
 *		session if the second argument is true, and returns the user's id.
 *
 * Nothing of the assertion appears in an error.
 */
Datum
orgusers_sign_in(PG_FUNCTION_ARGS)
{
	bool		for_session = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	text	   *compact;
	OrgusersAssertion assertion;
	OrgusersHeader header;
	OrgusersClaims claims;
	AssertionKey key;
	struct timeval now;
	char	   *json;
	bool		known;
	bool		verified = false;
	pg_uuid_t  *result;

	if (PG_ARGISNULL(0))
		refuse_malformed("There is none.");
	/* Not even fetched if too long: anybody can send it. */
	refuse_malformed(orgusers_assertion_length(toast_raw_datum_size(PG_GETARG_DATUM(0)) -
											   VARHDRSZ));
	compact = PG_GETARG_TEXT_PP(0);

	refuse_malformed(orgusers_assertion_split(VARDATA_ANY(compact),
											  VARSIZE_ANY_EXHDR(compact),
											  &assertion));
	json = server_text(&assertion.header);
	refuse_malformed(orgusers_assertion_header(json, strlen(json),
											   GetDatabaseEncoding(),
											   &header));
	verify(&assertion, &header, &key);

	json = server_text(&assertion.claims);
	refuse_malformed(orgusers_assertion_claims(json, strlen(json),
											   GetDatabaseEncoding(),
											   &claims));
	if (!orgusers_claims_directed(&claims, key.audience, key.issuer))
		ereport(ERROR,
				(errcode(ERRCODE_OU_ASSERTION_MISDIRECTED),
				 errmsg("assertion is for another audience or from another issuer")));

	/* The clock, not the start of a transaction that may be long ago. */
	gettimeofday(&now, NULL);
	if (!orgusers_claims_current(&claims, now.tv_sec + now.tv_usec / 1e6,
								 orgusers_assertion_leeway))
		ereport(ERROR,
				(errcode(ERRCODE_OU_ASSERTION_NOT_CURRENT),
				 errmsg("assertion is expired or not valid yet")));

	known = orgusers_find_user(&claims.user_id, &verified);
	if (key.registers_users && claims.email != NULL &&
		(!known || (claims.email_verified && !verified)))
		record_claims(&claims);
	else if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_OU_UNKNOWN_USER),
				 errmsg("the assertion's user is not in the directory")));

	orgusers_set_current_user(&claims.user_id, for_session);
	result = palloc(sizeof(pg_uuid_t));
	*result = claims.user_id;
	PG_RETURN_UUID_P(result);
}
