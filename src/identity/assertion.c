/*
 * assertion.c
 *		Reads and verifies compact JWTs; see assertion.h.
 */
#include "postgres.h"

#include <sodium.h>

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#include "compat.h"
#include "assertion.h"

/* A member of the outermost object. */
typedef struct Member
{
	char	   *name;
	JsonTokenType type;			/* of its value */
	char	   *value;			/* of a scalar, without quotes and escapes */
} Member;

/* What the JSON parser's callbacks collect. */
typedef struct Reader
{
	const char *problem;		/* the first one, NULL while there is none */
	int			depth;			/* of containers around the current place */
	int			member_count;
	Member		members[ORGUSERS_ASSERTION_MAX_MEMBERS];
	int			audience_count;
	char	   *audiences[ORGUSERS_ASSERTION_MAX_MEMBERS];
} Reader;

/*
 * decode_part
 *		Decodes base64url without padding, strictly; false if it is not.
 */
static bool
decode_part(const char *text, size_t length, OrgusersBytes *bytes)
{
	size_t		room = length / 4 * 3 + 3;

	/* libsodium 1.0.18 takes a byte above 127 for the last digit. */
	for (size_t i = 0; i < length; i++)
	{
		if ((unsigned char) text[i] > 127)
			return false;
	}

	bytes->data = palloc(room + 1);
	/* Without a place for the end, anything behind the digits is an error. */
	if (sodium_base642bin((unsigned char *) bytes->data, room, text, length,
						  NULL, &bytes->length, NULL,
						  sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return false;
	bytes->data[bytes->length] = '\0';
	return true;
}

/*
 * orgusers_assertion_length
 *		Looks at the length of a compact serialization, in bytes.
 */
const char *
orgusers_assertion_length(size_t length)
{
	if (length > ORGUSERS_ASSERTION_MAX_LENGTH)
		return "It is longer than " CppAsString2(ORGUSERS_ASSERTION_MAX_LENGTH) " bytes.";
	return NULL;
}

/*
 * orgusers_assertion_split
 *		Takes a compact serialization apart and decodes its three parts.
 *		The assertion points into the text.
 */
const char *
orgusers_assertion_split(const char *text, size_t length,
						 OrgusersAssertion *assertion)
{
	const char *end = text + length;
	const char *first;
	const char *second;

	first = memchr(text, '.', length);
	second = first ? memchr(first + 1, '.', end - first - 1) : NULL;
	if (second == NULL || memchr(second + 1, '.', end - second - 1) != NULL ||
		first == text || second == first + 1 || second + 1 == end)
		return "It does not have three parts.";

	if (!decode_part(text, first - text, &assertion->header) ||
		!decode_part(first + 1, second - first - 1, &assertion->claims) ||
		!decode_part(second + 1, end - second - 1, &assertion->signature))
		return "It is not base64url without padding.";

	assertion->signed_text = text;
	assertion->signed_length = second - text;
	return NULL;
}

/*
 * orgusers_assertion_is_utf8
 *		Returns whether the bytes are valid UTF-8 without zero bytes.
 */
bool
orgusers_assertion_is_utf8(const OrgusersBytes *bytes)
{
	return pg_encoding_verifymbstr(PG_UTF8, bytes->data, bytes->length) ==
		(int) bytes->length;
}

/*
 * in_audience
 *		Returns whether the latest member is an array of audiences.
 */
static bool
in_audience(const Reader *reader)
{
	const Member *member = &reader->members[reader->member_count - 1];

	return member->type == JSON_TOKEN_ARRAY_START &&
		strcmp(member->name, "aud") == 0;
}

/*
 * enter
 *		Steps into an object or array.
 */
static void
enter(Reader *reader, JsonTokenType type)
{
	if (reader->problem == NULL)
	{
		if (reader->depth == 0 && type != JSON_TOKEN_OBJECT_START)
			reader->problem = "A part of it is not a JSON object.";
		else if (reader->depth == 1)
			reader->members[reader->member_count - 1].type = type;
		else if (reader->depth == 2 && in_audience(reader))
			reader->problem = "Its aud claim is not a string or an array of strings.";
	}
	reader->depth++;
}

static ORGUSERS_JSON_RESULT
enter_object(void *state)
{
	enter(state, JSON_TOKEN_OBJECT_START);
	ORGUSERS_JSON_GO_ON;
}

static ORGUSERS_JSON_RESULT
enter_array(void *state)
{
	enter(state, JSON_TOKEN_ARRAY_START);
	ORGUSERS_JSON_GO_ON;
}

static ORGUSERS_JSON_RESULT
leave(void *state)
{
	((Reader *) state)->depth--;
	ORGUSERS_JSON_GO_ON;
}

/*
 * add_member
 *		Notes a member of the outermost object; of others, nothing.
 */
static ORGUSERS_JSON_RESULT
add_member(void *state, char *name, bool isnull)
{
	Reader	   *reader = state;

	(void) isnull;

	if (reader->problem == NULL && reader->depth == 1)
	{
		for (int i = 0; i < reader->member_count; i++)
		{
			if (strcmp(reader->members[i].name, name) == 0)
				reader->problem = "A part of it has the same member twice.";
		}
		if (reader->member_count == ORGUSERS_ASSERTION_MAX_MEMBERS)
			reader->problem = "A part of it has more than " CppAsString2(ORGUSERS_ASSERTION_MAX_MEMBERS) " members.";
		if (reader->problem == NULL)
		{
			reader->members[reader->member_count].name = name;
			reader->member_count++;
		}
	}
	ORGUSERS_JSON_GO_ON;
}

/*
 * add_scalar
 *		Notes the value of the latest member, or one of its audiences.
 */
static ORGUSERS_JSON_RESULT
add_scalar(void *state, char *value, JsonTokenType type)
{
	Reader	   *reader = state;

	if (reader->problem != NULL)
		;						/* the first problem is reported */
	else if (reader->depth == 0)
		reader->problem = "A part of it is not a JSON object.";
	else if (reader->depth == 1)
	{
		reader->members[reader->member_count - 1].type = type;
		reader->members[reader->member_count - 1].value = value;
	}
	else if (reader->depth == 2 && in_audience(reader))
	{
		if (type != JSON_TOKEN_STRING)
			reader->problem = "Its aud claim is not a string or an array of strings.";
		else if (reader->audience_count == ORGUSERS_ASSERTION_MAX_MEMBERS)
			reader->problem = "It has more than " CppAsString2(ORGUSERS_ASSERTION_MAX_MEMBERS) " audiences.";
		else
			reader->audiences[reader->audience_count++] = value;
	}
	ORGUSERS_JSON_GO_ON;
}

/*
 * read_object
 *		Reads a JSON object into a cleared reader.  The text is in the given
 *		encoding, which in a backend must be the server's.
 */
static const char *
read_object(const char *json, size_t length, int encoding, Reader *reader)
{
	JsonLexContext *lexer = ORGUSERS_JSON_LEXER(json, length, encoding);
	JsonSemAction actions = {
		.semstate = reader,
		.object_start = enter_object,
		.object_end = leave,
		.array_start = enter_array,
		.array_end = leave,
		.object_field_start = add_member,
		.scalar = add_scalar
	};

	memset(reader, 0, sizeof(Reader));
	if (pg_parse_json(lexer, &actions) != JSON_SUCCESS)
		return "A part of it is not valid JSON.";
	return reader->problem;
}

/*
 * find_member
 *		Returns the member of that name, or NULL.
 */
static const Member *
find_member(const Reader *reader, const char *name)
{
	for (int i = 0; i < reader->member_count; i++)
	{
		if (strcmp(reader->members[i].name, name) == 0)
			return &reader->members[i];
	}
	return NULL;
}

/*
 * find_string
 *		Returns the string of that name, or NULL if there is no such member
 *		or it is something else.
 */
static const char *
find_string(const Reader *reader, const char *name)
{
	const Member *member = find_member(reader, name);

	return member && member->type == JSON_TOKEN_STRING ? member->value : NULL;
}

/*
 * find_optional_string
 *		Finds the string of that name, NULL if absent or null; returns false
 *		if it is something else.
 */
static bool
find_optional_string(const Reader *reader, const char *name,
					 const char **value)
{
	const Member *member = find_member(reader, name);

	*value = NULL;
	if (member == NULL || member->type == JSON_TOKEN_NULL)
		return true;
	*value = member->value;
	return member->type == JSON_TOKEN_STRING;
}

/*
 * read_time
 *		Reads a NumericDate; returns false if the member is none, or lies
 *		outside the years 1970 to 9999.
 */
static bool
read_time(const Member *member, double *seconds)
{
	if (member->type != JSON_TOKEN_NUMBER)
		return false;
	*seconds = strtod(member->value, NULL);
	return *seconds >= 0 && *seconds <= ORGUSERS_ASSERTION_MAX_TIME;
}

/*
 * orgusers_assertion_header
 *		Reads what the header says about the signature.
 */
const char *
orgusers_assertion_header(const char *json, size_t length, int encoding,
						  OrgusersHeader *header)
{
	Reader		reader;
	const char *algorithm;
	const char *problem = read_object(json, length, encoding, &reader);

	if (problem != NULL)
		return problem;

	/* Whatever it lists must be understood, and we understand nothing. */
	if (find_member(&reader, "crit") != NULL)
		return "Its header has critical extensions.";

	algorithm = find_string(&reader, "alg");
	header->kid = find_string(&reader, "kid");
	if (algorithm == NULL || header->kid == NULL)
		return "Its header does not name an algorithm and a key.";
	if (strcmp(algorithm, "EdDSA") == 0)
		header->algorithm = ORGUSERS_ALGORITHM_EDDSA;
	else if (strcmp(algorithm, "HS256") == 0)
		header->algorithm = ORGUSERS_ALGORITHM_HS256;
	else
		header->algorithm = ORGUSERS_ALGORITHM_OTHER;
	return NULL;
}

/*
 * orgusers_assertion_verify
 *		Returns whether the key, with its own algorithm, made the signature.
 */
bool
orgusers_assertion_verify(const OrgusersAssertion *assertion,
						  OrgusersAlgorithm algorithm,
						  const unsigned char *key, size_t key_length)
{
	const unsigned char *text = (const unsigned char *) assertion->signed_text;
	const unsigned char *signature = (const unsigned char *) assertion->signature.data;
	size_t		length = assertion->signature.length;

	if (algorithm == ORGUSERS_ALGORITHM_EDDSA)
		return key_length == crypto_sign_PUBLICKEYBYTES &&
			length == crypto_sign_BYTES &&
			crypto_sign_verify_detached(signature, text,
										assertion->signed_length, key) == 0;

	if (algorithm == ORGUSERS_ALGORITHM_HS256)
	{
		crypto_auth_hmacsha256_state state;
		unsigned char expected[crypto_auth_hmacsha256_BYTES];
		bool		same;

		crypto_auth_hmacsha256_init(&state, key, key_length);
		crypto_auth_hmacsha256_update(&state, text, assertion->signed_length);
		crypto_auth_hmacsha256_final(&state, expected);
		same = length == sizeof(expected) &&
			sodium_memcmp(expected, signature, sizeof(expected)) == 0;
		sodium_memzero(&state, sizeof(state));
		sodium_memzero(expected, sizeof(expected));
		return same;
	}

	return false;
}

/*
 * orgusers_assertion_claims
 *		Reads the claims that matter here.
 */
const char *
orgusers_assertion_claims(const char *json, size_t length, int encoding,
						  OrgusersClaims *claims)
{
	Reader		reader;
	const Member *member;
	const char *subject;
	const char *problem = read_object(json, length, encoding, &reader);

	if (problem != NULL)
		return problem;
	memset(claims, 0, sizeof(OrgusersClaims));

	subject = find_string(&reader, "sub");
	if (subject == NULL || !orgusers_parse_uuid(subject, &claims->user_id))
		return "Its sub claim is not a user's id.";

	member = find_member(&reader, "exp");
	if (member == NULL || !read_time(member, &claims->expires_at))
		return "Its exp claim is not a time.";
	member = find_member(&reader, "nbf");
	if (member != NULL && !read_time(member, &claims->not_before))
		return "Its nbf claim is not a time.";

	claims->issuer = find_string(&reader, "iss");
	if (claims->issuer == NULL && find_member(&reader, "iss") != NULL)
		return "Its iss claim is not a string.";

	member = find_member(&reader, "aud");
	if (member != NULL && member->type == JSON_TOKEN_STRING)
		claims->audiences[claims->audience_count++] = member->value;
	else if (member != NULL && member->type == JSON_TOKEN_ARRAY_START)
	{
		claims->audience_count = reader.audience_count;
		memcpy(claims->audiences, reader.audiences, sizeof(reader.audiences));
	}
	else if (member != NULL)
		return "Its aud claim is not a string or an array of strings.";

	if (!find_optional_string(&reader, "email", &claims->email) ||
		!find_optional_string(&reader, "name", &claims->name) ||
		!find_optional_string(&reader, "locale", &claims->locale))
		return "Its email, name or locale claim is not a string.";
	member = find_member(&reader, "email_verified");
	claims->email_verified = member != NULL && member->type == JSON_TOKEN_TRUE;
	return NULL;
}

/*
 * orgusers_claims_directed
 *		Returns whether the claims are for the audience and, unless that is
 *		NULL, by the issuer.
 */
bool
orgusers_claims_directed(const OrgusersClaims *claims, const char *audience,
						 const char *issuer)
{
	if (issuer != NULL &&
		(claims->issuer == NULL || strcmp(claims->issuer, issuer) != 0))
		return false;
	for (int i = 0; i < claims->audience_count; i++)
	{
		if (strcmp(claims->audiences[i], audience) == 0)
			return true;
	}
	return false;
}

/*
 * orgusers_claims_current
 *		Returns whether the claims hold at a time (seconds since 1970), give
 *		or take the leeway (seconds).
 */
bool
orgusers_claims_current(const OrgusersClaims *claims, double now, int leeway)
{
	return now < claims->expires_at + leeway &&
		now >= claims->not_before - leeway;
}

/*
 * orgusers_parse_uuid
 *		Reads a uuid of the form that uuid_out writes, in letters of either
 *		case; returns false for anything else.
 */
bool
orgusers_parse_uuid(const char *text, pg_uuid_t *uuid)
{
	size_t		length;

	return strlen(text) == 36 &&
		text[8] == '-' && text[13] == '-' && text[18] == '-' &&
		text[23] == '-' &&
		sodium_hex2bin(uuid->data, UUID_LEN, text, 36, "-", &length,
					   NULL) == 0 &&
		length == UUID_LEN;
}
