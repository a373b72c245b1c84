/*
 * common.c
 *		What several rooms use.
 */
#include "orgusers.h"

#include "catalog/namespace.h"
#include "utils/lsyscache.h"

/*
 * orgusers_relation
 *		Finds a relation of the extension by its name; errors when it is not
 *		there.
 */
Oid
orgusers_relation(const char *name)
{
	Oid			relid = get_relname_relid(name,
										  get_namespace_oid(ORGUSERS_SCHEMA,
															false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation %s.%s of extension orgusers is missing",
						ORGUSERS_SCHEMA, name)));
	return relid;
}

/*
 * orgusers_compare_uuids
 *		Compares ids by their bytes, as for sorting.
 */
int
orgusers_compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}
