/*
 * token.c
 *		The type invitation_token.
 *
 * The server logs bound parameters through their type's output function, and
 * tools print whatever they select.  So the output function names the
 * organization only, and input refuses what it writes; the complete text comes
 * from token_text(), for the functions that hand it to the invitee.  Binary
 * values are complete: the server does not log those.
 *
 * The binary form and base64 hold a token's bytes as they are in memory, and
 * the type's internallength is their number.
 */
#include "orgusers.h"

#include <sodium.h>

#include "invitations/token_codec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#define PG_GETARG_TOKEN_P(n)	((OrgusersToken *) PG_GETARG_POINTER(n))
#define PG_RETURN_TOKEN_P(x)	PG_RETURN_POINTER(x)

PG_FUNCTION_INFO_V1(orgusers_invitation_token_in);
PG_FUNCTION_INFO_V1(orgusers_invitation_token_out);
PG_FUNCTION_INFO_V1(orgusers_invitation_token_recv);
PG_FUNCTION_INFO_V1(orgusers_invitation_token_send);
PG_FUNCTION_INFO_V1(orgusers_invitation_token_eq);
PG_FUNCTION_INFO_V1(orgusers_invitation_token_ne);
PG_FUNCTION_INFO_V1(orgusers_new_invitation_token);
PG_FUNCTION_INFO_V1(orgusers_token_text);
PG_FUNCTION_INFO_V1(orgusers_token_organization_id);
PG_FUNCTION_INFO_V1(orgusers_token_digest_bytes);

/*
 * organization_of
 *		Returns a palloc'd copy of the id of a token's organization.
 */
static pg_uuid_t *
organization_of(const OrgusersToken *token)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	memcpy(id->data, token->organization, UUID_LEN);
	return id;
}

/*
 * orgusers_invitation_token_in
 *		Returns the token that is written in a cstring.  A fault is a soft
 *		error where the server knows those, and repeats none of the input.
 */
Datum
orgusers_invitation_token_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	OrgusersToken *token = palloc(sizeof(OrgusersToken));
	OrgusersTokenFault fault = orgusers_token_parse(text, strlen(text), token);

	if (fault != ORGUSERS_TOKEN_OK)
		ereturn(ORGUSERS_ESCONTEXT(fcinfo), (Datum) 0,
				(errcode(ERRCODE_OU_BAD_TOKEN),
				 errmsg("invalid invitation token"),
				 errdetail("%s", orgusers_token_fault_sentence(fault))));

	PG_RETURN_TOKEN_P(token);
}

/*
 * orgusers_invitation_token_out
 *		Returns a text that names the token's organization and is no token.
 */
Datum
orgusers_invitation_token_out(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = organization_of(PG_GETARG_TOKEN_P(0));

	PG_RETURN_CSTRING(psprintf("invitation_token(%s,redacted)",
							   DatumGetCString(DirectFunctionCall1(uuid_out,
																   UUIDPGetDatum(id)))));
}

/*
 * orgusers_invitation_token_recv
 *		Returns the token in a binary message, checked like its text.
 */
Datum
orgusers_invitation_token_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	size_t		len = (size_t) (message->len - message->cursor);
	OrgusersToken *token = palloc(sizeof(OrgusersToken));
	OrgusersTokenFault fault;

	if (len != sizeof(OrgusersToken))
		ereport(ERROR,
				(errcode(ERRCODE_OU_BAD_TOKEN),
				 errmsg("invalid invitation token"),
				 errdetail("Its binary form has %zu bytes, not %zu.",
						   len, sizeof(OrgusersToken))));

	pq_copymsgbytes(message, (char *) token, sizeof(OrgusersToken));
	fault = orgusers_token_check(token);
	if (fault != ORGUSERS_TOKEN_OK)
	{
		sodium_memzero(token, sizeof(OrgusersToken));
		ereport(ERROR,
				(errcode(ERRCODE_OU_BAD_TOKEN),
				 errmsg("invalid invitation token"),
				 errdetail("%s", orgusers_token_fault_sentence(fault))));
	}

	PG_RETURN_TOKEN_P(token);
}

/*
 * orgusers_invitation_token_send
 *		Returns the complete token as bytes.
 */
Datum
orgusers_invitation_token_send(PG_FUNCTION_ARGS)
{
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, (const char *) PG_GETARG_TOKEN_P(0),
				 sizeof(OrgusersToken));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/*
 * orgusers_invitation_token_eq, orgusers_invitation_token_ne
 *		Return whether two tokens are the same, in constant time.
 */
Datum
orgusers_invitation_token_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(sodium_memcmp(PG_GETARG_TOKEN_P(0), PG_GETARG_TOKEN_P(1),
								 sizeof(OrgusersToken)) == 0);
}

Datum
orgusers_invitation_token_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(sodium_memcmp(PG_GETARG_TOKEN_P(0), PG_GETARG_TOKEN_P(1),
								 sizeof(OrgusersToken)) != 0);
}

/*
 * orgusers_new_invitation_token
 *		Returns a new token of the organization whose id is given.
 */
Datum
orgusers_new_invitation_token(PG_FUNCTION_ARGS)
{
	OrgusersToken *token = palloc(sizeof(OrgusersToken));

	orgusers_token_make(token, PG_GETARG_UUID_P(0)->data);
	PG_RETURN_TOKEN_P(token);
}

/*
 * orgusers_token_text
 *		Returns the complete text of a token, for the invitee.
 */
Datum
orgusers_token_text(PG_FUNCTION_ARGS)
{
	text	   *result = palloc(VARHDRSZ + ORGUSERS_TOKEN_TEXT_LEN + 1);

	/* written in place, so that no second copy is to be zeroed */
	orgusers_token_format(PG_GETARG_TOKEN_P(0), VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + ORGUSERS_TOKEN_TEXT_LEN);
	PG_RETURN_TEXT_P(result);
}

/*
 * orgusers_token_organization_id
 *		Returns the id of the organization that a token says it is of.  The
 *		token may be a forgery: only its digest's row proves anything.
 */
Datum
orgusers_token_organization_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_UUID_P(organization_of(PG_GETARG_TOKEN_P(0)));
}

/*
 * orgusers_token_digest_bytes
 *		Returns what is stored of a token, as bytea.
 */
Datum
orgusers_token_digest_bytes(PG_FUNCTION_ARGS)
{
	bytea	   *digest = palloc(VARHDRSZ + ORGUSERS_TOKEN_DIGEST_LEN);

	orgusers_token_digest(PG_GETARG_TOKEN_P(0),
						  (unsigned char *) VARDATA(digest));
	SET_VARSIZE(digest, VARHDRSZ + ORGUSERS_TOKEN_DIGEST_LEN);
	PG_RETURN_BYTEA_P(digest);
}
