/*
 * template_check.c
 *		Checks a mail template when it is stored.
 */
#include "orgusers.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "mail/template.h"

PG_FUNCTION_INFO_V1(orgusers_template_is_valid);

/* Returns the place of a byte offset in a template, in characters from 1. */
static int
character_position(const char *text, size_t offset)
{
	return pg_mbstrlen_with_len(text, (int) offset) + 1;
}

/*
 * orgusers_template_is_valid
 *		Says true for a template that can be rendered with the placeholders in
 *		the array; anything else is an error (OU406) that names the position.
 *
 * For check constraints.  An array without dimensions allows no placeholder.
 */
Datum
orgusers_template_is_valid(PG_FUNCTION_ARGS)
{
	text	   *template = PG_GETARG_TEXT_PP(0);
	ArrayType  *names = PG_GETARG_ARRAYTYPE_P(1);
	orgusers_template_reader reader = {
		.text = VARDATA_ANY(template),
		.length = VARSIZE_ANY_EXHDR(template)
	};
	orgusers_template_piece piece;
	Datum	   *allowed;
	bool	   *nulls;
	int			allowed_count;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &allowed,
					  &nulls, &allowed_count);

	while (orgusers_template_next(&reader, &piece))
	{
		bool		known = piece.kind != ORGUSERS_TEMPLATE_PLACEHOLDER;

		for (int i = 0; i < allowed_count && !known; i++)
		{
			text	   *name;

			if (nulls[i])
				continue;
			name = DatumGetTextPP(allowed[i]);
			known = VARSIZE_ANY_EXHDR(name) == piece.length &&
				memcmp(VARDATA_ANY(name), piece.start, piece.length) == 0;
		}

		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_OU_BAD_TEMPLATE),
					 errmsg("unknown placeholder \"%.*s\" at character %d of the template",
							(int) piece.length, piece.start,
							character_position(reader.text, piece.position)),
					 errhint("orgusers.mail_placeholders(kind) lists what a kind of mail has.")));
	}

	if (reader.error.message != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OU_BAD_TEMPLATE),
				 errmsg("%s at character %d of the template",
						reader.error.message,
						character_position(reader.text, reader.error.position)),
				 errhint("Write \"{{{{\" for two literal opening braces.")));

	PG_RETURN_BOOL(true);
}
