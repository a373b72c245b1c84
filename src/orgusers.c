/*
 * orgusers.c
 *		Loads the extension: the rooms' settings and callbacks, in order.
 */
#include "orgusers.h"

#include <sodium.h>

#include "utils/builtins.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(orgusers_version);

void
_PG_init(void)
{
	if (sodium_init() < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not initialize libsodium")));

	orgusers_identity_init();
	orgusers_rights_init();
	orgusers_statement_init();
	orgusers_mail_init();

	/* No other setting of our prefix can be a forgotten placeholder. */
	MarkGUCPrefixReserved("orgusers");
}

/*
 * orgusers_version
 *		Returns the version of the loaded library, for comparison with the
 *		installed extension's.
 */
Datum
orgusers_version(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(ORGUSERS_VERSION));
}
