/*
 * names.c
 *		SQL functions: whether a text can name something.
 *
 * Asked by CHECK constraints, for each row that is written.
 */
#include "orgusers.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(orgusers_is_name);
PG_FUNCTION_INFO_V1(orgusers_is_locale);

#define MAX_NAME 200
#define MAX_LOCALE 35

/* Characters of Unicode without a shape, or that change the direction of writing. */
static bool
is_disguise(pg_wchar c)
{
	return c == 0x00ad || c == 0x061c || c == 0x180e || c == 0x200b ||
		c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
		(c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/*
 * orgusers_is_name
 *		is_name(name text): 1 to 200 characters, none of them a control
 *		character or, in UTF8, a disguise, no blank at either end.
 */
Datum
orgusers_is_name(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(name);
	int			length = VARSIZE_ANY_EXHDR(name);
	bool		unicode = GetDatabaseEncoding() == PG_UTF8;
	/* and a last character that is cut off, which can come apart */
	pg_wchar	chars[MAX_NAME + MAX_MULTIBYTE_CHAR_LEN + 1];
	int			count = pg_mbstrlen_with_len(bytes, length);

	if (count < 1 || count > MAX_NAME ||
		bytes[0] == ' ' || bytes[length - 1] == ' ')
		PG_RETURN_BOOL(false);
	count = pg_mb2wchar_with_len(bytes, chars, length);
	for (int i = 0; i < count; i++)
	{
		/* what [:cntrl:] is in a regular expression */
		if (chars[i] <= 0x1f || (chars[i] >= 0x7f && chars[i] <= 0x9f) ||
			(unicode && is_disguise(chars[i])))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * orgusers_is_locale
 *		is_locale(locale text): parts of 1 to 8 letters or digits with hyphens
 *		between them, the first of 2 to 8 letters, at most 35 characters.
 */
Datum
orgusers_is_locale(PG_FUNCTION_ARGS)
{
	text	   *locale = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(locale);
	int			length = VARSIZE_ANY_EXHDR(locale);
	bool		first = true;
	int			part = 0;

	if (length > MAX_LOCALE)
		PG_RETURN_BOOL(false);
	for (int i = 0; i <= length; i++)
	{
		if (i < length && (is_letter(bytes[i]) ||
						   (!first && bytes[i] >= '0' && bytes[i] <= '9')))
			part++;
		else if ((i == length || bytes[i] == '-') &&
				 part >= (first ? 2 : 1) && part <= 8)
		{
			first = false;
			part = 0;
		}
		else
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}
