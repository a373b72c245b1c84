/*
 * assertion.h
 *		Compact JWTs (RFC 7515, RFC 7519) about a user.
 *
 * Nothing here raises an error of its own or looks at the session: functions
 * answer with NULL when all is well, else with a sentence that says what is
 * wrong and repeats nothing of the input.  Call them in the order in which
 * they stand; claims mean nothing before the signature is verified.
 */
#ifndef ORGUSERS_ASSERTION_H
#define ORGUSERS_ASSERTION_H

#include "postgres.h"

#include "utils/uuid.h"

#define ORGUSERS_ASSERTION_MAX_LENGTH	8192
#define ORGUSERS_ASSERTION_MAX_MEMBERS	64	/* of header or claims */
#define ORGUSERS_ASSERTION_MAX_TIME		253402300799.0	/* end of year 9999 */

typedef enum OrgusersAlgorithm
{
	ORGUSERS_ALGORITHM_OTHER,
	ORGUSERS_ALGORITHM_EDDSA,
	ORGUSERS_ALGORITHM_HS256
} OrgusersAlgorithm;

/* Decoded bytes, with a zero byte behind them. */
typedef struct OrgusersBytes
{
	char	   *data;
	size_t		length;
} OrgusersBytes;

typedef struct OrgusersAssertion
{
	const char *signed_text;	/* what the signature is about */
	size_t		signed_length;
	OrgusersBytes header;		/* UTF-8 */
	OrgusersBytes claims;		/* UTF-8 once the signature is verified */
	OrgusersBytes signature;
} OrgusersAssertion;

typedef struct OrgusersHeader
{
	OrgusersAlgorithm algorithm;
	const char *kid;
} OrgusersHeader;

typedef struct OrgusersClaims
{
	pg_uuid_t	user_id;		/* sub */
	double		expires_at;		/* exp, seconds since 1970 */
	double		not_before;		/* nbf, or 0 */
	const char *issuer;			/* iss, or NULL */
	int			audience_count; /* aud */
	const char *audiences[ORGUSERS_ASSERTION_MAX_MEMBERS];
	/* of use for keys that register users only: */
	const char *email;			/* or NULL */
	bool		email_verified;
	const char *name;			/* or NULL */
	const char *locale;			/* or NULL */
} OrgusersClaims;

extern const char *orgusers_assertion_length(size_t length);
extern const char *orgusers_assertion_split(const char *text, size_t length,
											OrgusersAssertion *assertion);
extern bool orgusers_assertion_is_utf8(const OrgusersBytes *bytes);
extern const char *orgusers_assertion_header(const char *json, size_t length,
											 int encoding,
											 OrgusersHeader *header);
extern bool orgusers_assertion_verify(const OrgusersAssertion *assertion,
									  OrgusersAlgorithm algorithm,
									  const unsigned char *key,
									  size_t key_length);
extern const char *orgusers_assertion_claims(const char *json, size_t length,
											 int encoding,
											 OrgusersClaims *claims);
extern bool orgusers_claims_directed(const OrgusersClaims *claims,
									 const char *audience,
									 const char *issuer);
extern bool orgusers_claims_current(const OrgusersClaims *claims, double now,
									int leeway);

extern bool orgusers_parse_uuid(const char *text, pg_uuid_t *uuid);

#endif							/* ORGUSERS_ASSERTION_H */
