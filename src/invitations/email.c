/*
 * email.c
 *		The type email: an address that is compared without case.
 *
 * A value has text's representation and keeps the spelling it was given; what
 * is valid, email_syntax.c says.  Comparison folds A to Z only, so that
 * neither the locale nor an upgrade of its library can change what is equal or
 * how an index is ordered.  Output and send are text's own functions.
 */
#include "orgusers.h"

#include "common/hashfn.h"
#include "invitations/email_syntax.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "port.h"
#include "utils/builtins.h"

#define ECHO_MAX_LEN	64		/* of a refused address, in a message */

PG_FUNCTION_INFO_V1(orgusers_email_in);
PG_FUNCTION_INFO_V1(orgusers_email_recv);
PG_FUNCTION_INFO_V1(orgusers_email_eq);
PG_FUNCTION_INFO_V1(orgusers_email_ne);
PG_FUNCTION_INFO_V1(orgusers_email_lt);
PG_FUNCTION_INFO_V1(orgusers_email_le);
PG_FUNCTION_INFO_V1(orgusers_email_gt);
PG_FUNCTION_INFO_V1(orgusers_email_ge);
PG_FUNCTION_INFO_V1(orgusers_email_cmp);
PG_FUNCTION_INFO_V1(orgusers_email_hash);
PG_FUNCTION_INFO_V1(orgusers_email_hash_extended);
PG_FUNCTION_INFO_V1(orgusers_email_fault_sentence);
PG_FUNCTION_INFO_V1(orgusers_email_domain);

/*
 * clipped
 *		Returns the beginning of a refused address for a message, in printable
 *		ASCII: a run of other bytes is shown as one question mark.
 */
static char *
clipped(const char *address, size_t len)
{
	StringInfoData buf;
	bool		in_run = false;

	initStringInfo(&buf);
	for (size_t i = 0; i < len; i++)
	{
		bool		printable = address[i] >= ' ' && address[i] <= '~';

		if (i == ECHO_MAX_LEN)
		{
			appendStringInfoString(&buf, "...");
			break;
		}
		if (printable)
			appendStringInfoChar(&buf, address[i]);
		else if (!in_run)
			appendStringInfoChar(&buf, '?');
		in_run = !printable;
	}
	return buf.data;
}

/*
 * orgusers_email_in
 *		Returns the address that is written in a cstring.  An invalid one is a
 *		soft error where the server knows those.
 */
Datum
orgusers_email_in(PG_FUNCTION_ARGS)
{
	char	   *address = PG_GETARG_CSTRING(0);
	size_t		len = strlen(address);
	const char *fault = orgusers_email_fault(address, len);

	if (fault != NULL)
		ereturn(ORGUSERS_ESCONTEXT(fcinfo), (Datum) 0,
				(errcode(ERRCODE_OU_BAD_EMAIL),
				 errmsg("invalid e-mail address: \"%s\"", clipped(address, len)),
				 errdetail("%s", fault)));

	PG_RETURN_TEXT_P(cstring_to_text_with_len(address, (int) len));
}

/*
 * orgusers_email_recv
 *		Returns the address in a binary message, which is held to the same
 *		rules as its text.
 */
Datum
orgusers_email_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			len;
	char	   *address = pq_getmsgtext(message, message->len - message->cursor,
										&len);
	const char *fault = orgusers_email_fault(address, (size_t) len);

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OU_BAD_EMAIL),
				 errmsg("invalid e-mail address: \"%s\"", clipped(address, len)),
				 errdetail("%s", fault)));

	PG_RETURN_TEXT_P(cstring_to_text_with_len(address, len));
}

/*
 * compare
 *		Returns the order of the two addresses of a call: less than, equal to
 *		or greater than zero.  Total, and raises nothing: the operators built
 *		on it are declared LEAKPROOF.
 */
static int
compare(FunctionCallInfo fcinfo)
{
	text	   *a = PG_GETARG_TEXT_PP(0);
	text	   *b = PG_GETARG_TEXT_PP(1);
	const char *a_bytes = VARDATA_ANY(a);
	const char *b_bytes = VARDATA_ANY(b);
	size_t		a_len = VARSIZE_ANY_EXHDR(a);
	size_t		b_len = VARSIZE_ANY_EXHDR(b);
	int			order = 0;

	for (size_t i = 0; order == 0 && i < Min(a_len, b_len); i++)
		order = (int) pg_ascii_tolower((unsigned char) a_bytes[i]) -
			(int) pg_ascii_tolower((unsigned char) b_bytes[i]);
	if (order == 0)
		order = (a_len > b_len) - (a_len < b_len);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

/*
 * orgusers_email_eq, _ne, _lt, _le, _gt, _ge, _cmp
 *		Return the comparison of two addresses, without case.
 */
Datum
orgusers_email_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
orgusers_email_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
orgusers_email_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
orgusers_email_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
orgusers_email_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
orgusers_email_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
orgusers_email_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

/*
 * folded
 *		Returns a palloc'd copy of an address' bytes with A to Z in lower case.
 */
static unsigned char *
folded(text *address)
{
	size_t		len = VARSIZE_ANY_EXHDR(address);
	unsigned char *fold = palloc(len + 1);

	for (size_t i = 0; i < len; i++)
		fold[i] = pg_ascii_tolower((unsigned char) VARDATA_ANY(address)[i]);
	return fold;
}

/*
 * orgusers_email_hash, orgusers_email_hash_extended
 *		Return the hash of an address, the same for every spelling that is
 *		equal; the extended one is seeded and has 64 bits.
 */
Datum
orgusers_email_hash(PG_FUNCTION_ARGS)
{
	text	   *address = PG_GETARG_TEXT_PP(0);
	unsigned char *fold = folded(address);
	Datum		hash = hash_any(fold, (int) VARSIZE_ANY_EXHDR(address));

	pfree(fold);
	PG_FREE_IF_COPY(address, 0);
	PG_RETURN_DATUM(hash);
}

Datum
orgusers_email_hash_extended(PG_FUNCTION_ARGS)
{
	text	   *address = PG_GETARG_TEXT_PP(0);
	unsigned char *fold = folded(address);
	Datum		hash = hash_any_extended(fold,
										 (int) VARSIZE_ANY_EXHDR(address),
										 (uint64) PG_GETARG_INT64(1));

	pfree(fold);
	PG_FREE_IF_COPY(address, 0);
	PG_RETURN_DATUM(hash);
}

/*
 * orgusers_email_fault_sentence
 *		Returns a sentence on what is wrong with a text as an address, or NULL
 *		if it is valid.
 */
Datum
orgusers_email_fault_sentence(PG_FUNCTION_ARGS)
{
	text	   *address = PG_GETARG_TEXT_PP(0);
	const char *fault = orgusers_email_fault(VARDATA_ANY(address),
											 VARSIZE_ANY_EXHDR(address));

	if (fault == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(fault));
}

/*
 * orgusers_email_domain
 *		Returns the part of an address after the @, in lower case.
 */
Datum
orgusers_email_domain(PG_FUNCTION_ARGS)
{
	text	   *address = PG_GETARG_TEXT_PP(0);
	const char *end = VARDATA_ANY(address) + VARSIZE_ANY_EXHDR(address);
	const char *domain = memchr(VARDATA_ANY(address), '@',
								VARSIZE_ANY_EXHDR(address));
	text	   *result;

	if (domain == NULL)
		PG_RETURN_NULL();		/* no address is without one */
	domain++;
	result = cstring_to_text_with_len(domain, (int) (end - domain));
	for (char *c = VARDATA(result); c < VARDATA(result) + (end - domain); c++)
		*c = (char) pg_ascii_tolower((unsigned char) *c);
	PG_RETURN_TEXT_P(result);
}
