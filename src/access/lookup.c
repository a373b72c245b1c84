/*
 * lookup.c
 *		Looks up what is so now, as the owner of the tables.
 */
#include "access/lookup.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

/*
 * orgusers_look_up
 *		Runs a look-up as the owner of the tables under a snapshot taken now.
 *
 * The result is SPI's; the caller is connected.  A catalog snapshot of a
 * table without a system cache is always new, and can be had in a parallel
 * worker too.
 */
void
orgusers_look_up(SPIPlanPtr *plan, const char *query, const pg_uuid_t *user_id)
{
	/*
	 * However large the tables are, this is a matter of a few rows, and how
	 * the session wants its own queries planned is no concern of it.
	 */
	static const char *const settings[][2] = {
		{"jit", "off"},
		{"enable_indexscan", "on"},
		{"enable_indexonlyscan", "on"},
		{"enable_nestloop", "on"},
	};
	Oid			memberships;
	HeapTuple	class_row;
	Oid			owner;
	Oid			save_userid;
	int			save_sec_context;
	Datum		args[1];
	int			guc_level;

	memberships = get_relname_relid("memberships",
									get_namespace_oid(ORGUSERS_SCHEMA, false));
	class_row = SearchSysCache1(RELOID, ObjectIdGetDatum(memberships));
	if (!HeapTupleIsValid(class_row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s.memberships of extension orgusers is missing",
						ORGUSERS_SCHEMA)));
	owner = ((Form_pg_class) GETSTRUCT(class_row))->relowner;
	ReleaseSysCache(class_row);

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(owner,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	guc_level = NewGUCNestLevel();
	for (int i = 0; i < (int) lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (*plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID};

		*plan = SPI_prepare_cursor(query, user_id ? 1 : 0, argtypes,
								   CURSOR_OPT_GENERIC_PLAN);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "could not prepare the look-up of rights");
	}
	PushActiveSnapshot(GetCatalogSnapshot(memberships));
	args[0] = UUIDPGetDatum(user_id);
	if (SPI_execute_plan(*plan, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look up rights");
	PopActiveSnapshot();
	AtEOXact_GUC(true, guc_level);
	SetUserIdAndSecContext(save_userid, save_sec_context);
}

/* A text column of a row of SPI's result, or NULL; in SPI's memory. */
char *
orgusers_column_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}
