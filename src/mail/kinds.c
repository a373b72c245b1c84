/*
 * kinds.c
 *		The kinds of mail, and what each can say.
 */
#include "orgusers.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(orgusers_mail_placeholders);

/* What every mail can say. */
static const char *const common[] = {
	"product", "organization", "organization_line", "customer_id", "recipient"
};

/* What mails of a kind can say besides. */
static const struct
{
	const char *kind;
	const char *own[5];
}			kinds[] = {
	{"invitation", {"inviter", "inviter_email", "roles", "expires_at", "link"}},
	{"invitation_canceled", {NULL}},
	{"invitation_declined", {"user"}},
	{"welcome", {NULL}},
	{"user_left", {"user"}},
	{"user_removed", {NULL}},
	{"user_deactivated", {NULL}},
	{"user_reactivated", {NULL}},
	{"billing_admin_changed", {"user"}},
};

/*
 * orgusers_mail_placeholders
 *		mail_placeholders(kind text): what mails of the kind can say, or NULL
 *		for an unknown kind.
 */
Datum
orgusers_mail_placeholders(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum		names[lengthof(common) + lengthof(kinds[0].own)];
	int			count = 0;

	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kind, kinds[i].kind) != 0)
			continue;
		for (size_t j = 0; j < lengthof(common); j++)
			names[count++] = CStringGetTextDatum(common[j]);
		for (size_t j = 0; j < lengthof(kinds[i].own); j++)
			if (kinds[i].own[j] != NULL)
				names[count++] = CStringGetTextDatum(kinds[i].own[j]);
		PG_RETURN_ARRAYTYPE_P(construct_array(names, count, TEXTOID, -1, false,
											  TYPALIGN_INT));
	}
	PG_RETURN_NULL();
}
