/*
 * lookup.c
 *		Reads the tables that rights are made of, without the executor.
 *
 * The scans are those that the server makes of its own catalogs: by an index,
 * under a snapshot taken now, with a lock on the table while it is read.  So
 * neither privileges, row security, the isolation level nor settings of the
 * session have a say, and there is nothing to plan.  What is read is written
 * down in decision.sql; this file only fetches rows.
 */
#include "access/lookup.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_COLUMNS 4
#define MAX_KEYS 3
#define MAX_ROUNDS 4

/*
 * The index, whose first columns are the keys; NULL reads the whole table.
 * Where the index has all columns that are wanted, the table is looked at for
 * visibility only: with many organizations, each page less counts.
 */
static const struct
{
	const char *table;
	const char *index;
	const char *columns[MAX_COLUMNS];
}			paths[ORGUSERS_PATHS] =
{
	[ORGUSERS_MEMBERSHIPS] = {"memberships", "memberships_user_id_org_id_idx",
	{"org_id", "status"}},
	[ORGUSERS_DIRECT_ROLES] = {"membership_roles",
		"membership_roles_user_id_org_id_idx",
	{"org_id", "role_id"}},
	[ORGUSERS_OWN_PERMISSIONS] = {"membership_permissions",
		"membership_permissions_user_id_org_id_idx",
	{"org_id", "permission"}},
	[ORGUSERS_GROUPS] = {"group_members", "group_members_user_id_org_id_idx",
	{"org_id", "group_id"}},
	[ORGUSERS_GROUP_ROLES] = {"group_roles", "group_roles_pkey",
	{"role_id"}},
	[ORGUSERS_ROLE] = {"roles", "roles_pkey",
	{"policy", "template", "edited"}},
	[ORGUSERS_ROLE_NAME] = {"roles", "roles_pkey",
	{"name"}},
	[ORGUSERS_ROLE_PERMISSIONS] = {"role_permissions", "role_permissions_pkey",
	{"permission"}},
	[ORGUSERS_DIRECT_SPACES] = {"space_members", "space_members_pkey",
	{"space_id"}},
	[ORGUSERS_GROUP_SPACES] = {"space_groups",
		"space_groups_org_id_group_id_idx",
	{"space_id"}},
	[ORGUSERS_ORGANIZATION] = {"organizations",
		"organizations_id_policy_key",
	{"policy"}},
	[ORGUSERS_USER] = {"users", "users_pkey",
	{"email_verified_at"}},
	[ORGUSERS_PLACE] = {"organizations",
		"organizations_id_root_id_policy_key",
	{"root_id", "policy"}},
	[ORGUSERS_PARENT] = {"organizations", "organizations_pkey",
	{"parent_id"}},
	[ORGUSERS_SUBACCOUNTS] = {"organizations", "organizations_parent_id_idx",
	{"id"}},
	[ORGUSERS_PERMISSIONS] = {"permissions", NULL,
	{"key", "scope"}},
	[ORGUSERS_TEMPLATES] = {"role_templates", NULL,
	{"policy", "id", "all_spaces", "reaches_below"}},
	[ORGUSERS_TEMPLATE_PERMISSIONS] = {"role_template_permissions", NULL,
	{"policy", "template", "permission"}},
	[ORGUSERS_BASE_PERMISSIONS] = {"base_permissions", NULL,
	{"policy", "permission"}},
	[ORGUSERS_POLICY] = {"policies", "policies_pkey",
	{"unique_in_tree"}},
	[ORGUSERS_TEMPLATE] = {"role_templates", "role_templates_pkey",
	{"reaches_below", "editable"}},
	[ORGUSERS_TEMPLATE_GRANTS] = {"role_template_grants",
		"role_template_grants_pkey",
	{"grantable"}},
	[ORGUSERS_PERMISSIONS_OF_TEMPLATE] = {"role_template_permissions",
		"role_template_permissions_pkey",
	{"permission"}},
};

/* What the names above stand for, until a relation is told to have changed. */
static struct
{
	bool		known;
	Oid			table;
	Oid			index;
	bool		index_only;		/* columns are the index's */
	AttrNumber	columns[MAX_COLUMNS];
}			found[ORGUSERS_PATHS];

/* A way into a table that a reading has taken. */
typedef struct Scan
{
	Relation	table;			/* NULL: not taken yet */
	Relation	index;
	IndexScanDesc by_index;
	TableScanDesc of_all;
	TupleTableSlot *slot;
	Buffer		visibility;		/* page of the visibility map */
} Scan;

struct OrgusersReading
{
	MemoryContext context;		/* holds all of it, and what the caller makes */
	MemoryContext caller;
	Snapshot	snapshot;
	Scan		scans[ORGUSERS_PATHS];
};

/*
 * orgusers_reading_begin
 *		Begins a reading, and makes a memory context current that goes with it.
 */
OrgusersReading *
orgusers_reading_begin(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "orgusers reading",
												  ALLOCSET_SMALL_SIZES);
	OrgusersReading *reading = MemoryContextAllocZero(context,
													  sizeof(OrgusersReading));

	reading->context = context;
	reading->caller = MemoryContextSwitchTo(context);
	return reading;
}

/*
 * orgusers_reading_end
 *		Ends a reading: its locks, its snapshot and its memory.
 */
void
orgusers_reading_end(OrgusersReading *reading)
{
	for (int path = 0; path < ORGUSERS_PATHS; path++)
	{
		Scan	   *scan = &reading->scans[path];

		if (scan->table == NULL)
			continue;
		ExecDropSingleTupleTableSlot(scan->slot);
		if (scan->by_index != NULL)
		{
			if (BufferIsValid(scan->visibility))
				ReleaseBuffer(scan->visibility);
			index_endscan(scan->by_index);
			index_close(scan->index, AccessShareLock);
		}
		else
			table_endscan(scan->of_all);
		table_close(scan->table, AccessShareLock);
	}
	if (reading->snapshot != NULL)
		UnregisterSnapshot(reading->snapshot);
	MemoryContextSwitchTo(reading->caller);
	MemoryContextDelete(reading->context);
}

/*
 * orgusers_reading_forget
 *		Has a relation looked up again that somebody has changed or replaced;
 *		InvalidOid stands for all.  Can come at any moment.
 */
void
orgusers_reading_forget(Oid relid)
{
	for (int path = 0; path < ORGUSERS_PATHS; path++)
	{
		if (relid == InvalidOid || found[path].table == relid ||
			found[path].index == relid)
			found[path].known = false;
	}
}

/* A column of a table or an index, InvalidAttrNumber for none of that name. */
static AttrNumber
find_column(TupleDesc desc, const char *name)
{
	for (AttrNumber number = 1; number <= desc->natts; number++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, number - 1);

		if (!attribute->attisdropped &&
			strcmp(NameStr(attribute->attname), name) == 0)
			return number;
	}
	return InvalidAttrNumber;
}

/* Finds the columns of a path; false when the relation has not all of them. */
static bool
find_columns(OrgusersPath path, TupleDesc desc)
{
	for (int i = 0; i < MAX_COLUMNS && paths[path].columns[i] != NULL; i++)
	{
		found[path].columns[i] = find_column(desc, paths[path].columns[i]);
		if (found[path].columns[i] == InvalidAttrNumber)
			return false;
	}
	return true;
}

/*
 * open_table
 *		Opens the table of a path, and knows its index and columns then.
 *
 * With the lock come the messages about what was changed before, and from
 * then on the index stays what it is: who replaces it waits for the lock.
 * Messages that come during the look-up have it made again, but not for ever:
 * with debug_discard_caches there is no end of them, and what was found under
 * the lock serves this reading anyway.
 */
static Relation
open_table(OrgusersPath path)
{
	Relation	table;

	if (!found[path].known)
		found[path].table = orgusers_relation(paths[path].table);
	table = table_open(found[path].table, AccessShareLock);
	for (int round = 0; round < MAX_ROUNDS && !found[path].known; round++)
	{
		found[path].known = true;
		found[path].index = InvalidOid;
		found[path].index_only = false;
		if (paths[path].index != NULL)
		{
			Relation	index;

			found[path].index = orgusers_relation(paths[path].index);
			index = index_open(found[path].index, AccessShareLock);
			found[path].index_only = find_columns(path, RelationGetDescr(index));
			index_close(index, AccessShareLock);
		}
		if (!found[path].index_only &&
			!find_columns(path, RelationGetDescr(table)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table %s.%s of extension orgusers lacks a column",
							ORGUSERS_SCHEMA, paths[path].table)));
	}
	return table;
}

/* Opens the way into a table, and at the first one takes the snapshot. */
static void
open_scan(OrgusersReading *reading, OrgusersPath path, int keys)
{
	Scan	   *scan = &reading->scans[path];
	Relation	table = open_table(path);

	/*
	 * A catalog snapshot of a table without a system cache is always new, and
	 * can be had in a parallel worker too.
	 */
	if (reading->snapshot == NULL)
		reading->snapshot =
			RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(table)));

	scan->slot = table_slot_create(table, NULL);
	if (paths[path].index == NULL)
		scan->of_all = table_beginscan(table, reading->snapshot, 0, NULL);
	else
	{
		scan->index = index_open(found[path].index, AccessShareLock);
		if (!scan->index->rd_index->indisvalid)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index %s.%s of extension orgusers is not valid",
							ORGUSERS_SCHEMA, paths[path].index),
					 errhint("REINDEX it.")));
		scan->by_index = ORGUSERS_INDEX_BEGINSCAN(table, scan->index,
												  reading->snapshot, keys);
		scan->by_index->xs_want_itup = found[path].index_only;
	}
	scan->visibility = InvalidBuffer;
	scan->table = table;
}

/*
 * start_scan
 *		Starts the scan of a path, anew if it was used before, for rows whose
 *		keys are equal to these by the function.
 */
static void
start_scan(OrgusersReading *reading, OrgusersPath path, RegProcedure equal,
		   const Datum *values, int count)
{
	Scan	   *scan = &reading->scans[path];
	ScanKeyData keys[MAX_KEYS];

	if (scan->table == NULL)
		open_scan(reading, path, count);
	if (scan->by_index == NULL)
		return;
	for (int i = 0; i < count; i++)
		ScanKeyEntryInitialize(&keys[i], 0, i + 1, BTEqualStrategyNumber,
							   InvalidOid, scan->index->rd_indcollation[i],
							   equal, values[i]);
	index_rescan(scan->by_index, keys, count, NULL, 0);
}

/*
 * orgusers_read
 *		Starts the scan of a path for rows with these keys; NULL for keys that
 *		the path has not.
 */
void
orgusers_read(OrgusersReading *reading, OrgusersPath path,
			  const pg_uuid_t *key, const pg_uuid_t *second_key)
{
	Datum		values[] = {UUIDPGetDatum(key), UUIDPGetDatum(second_key)};

	start_scan(reading, path, F_UUID_EQ, values,
			   (key != NULL) + (second_key != NULL));
}

/*
 * orgusers_read_texts
 *		The same for a path whose keys are texts.
 */
void
orgusers_read_texts(OrgusersReading *reading, OrgusersPath path,
					const char *key, const char *second_key,
					const char *third_key)
{
	const char *keys[] = {key, second_key, third_key};
	Datum		values[MAX_KEYS];
	int			count = 0;

	while (count < MAX_KEYS && keys[count] != NULL)
	{
		values[count] = CStringGetTextDatum(keys[count]);
		count++;
	}
	start_scan(reading, path, F_TEXTEQ, values, count);
}

/* Goes to the next entry of the index whose row is visible. */
static bool
next_in_index(Scan *scan)
{
	ItemPointer tid;

	while ((tid = index_getnext_tid(scan->by_index, ForwardScanDirection)) != NULL)
	{
		if (VM_ALL_VISIBLE(scan->table, ItemPointerGetBlockNumber(tid),
						   &scan->visibility))
			return true;
		if (index_fetch_heap(scan->by_index, scan->slot))
		{
			ExecClearTuple(scan->slot);
			return true;
		}
	}
	return false;
}

/* Goes to the next row; false behind the last. */
bool
orgusers_read_next(OrgusersReading *reading, OrgusersPath path)
{
	Scan	   *scan = &reading->scans[path];

	CHECK_FOR_INTERRUPTS();
	if (scan->by_index != NULL && scan->by_index->xs_want_itup)
		return next_in_index(scan);
	if (scan->by_index != NULL)
		return index_getnext_slot(scan->by_index, ForwardScanDirection,
								  scan->slot);
	return table_scan_getnextslot(scan->of_all, ForwardScanDirection,
								  scan->slot);
}

/* A column of the row: the nth that the path gives, from 0. */
static Datum
read_column(OrgusersReading *reading, OrgusersPath path, int column,
			bool *isnull)
{
	Scan	   *scan = &reading->scans[path];
	AttrNumber	number = found[path].columns[column];

	if (scan->by_index != NULL && scan->by_index->xs_want_itup)
		return index_getattr(scan->by_index->xs_itup, number,
							 scan->by_index->xs_itupdesc, isnull);
	return slot_getattr(scan->slot, number, isnull);
}

/* A column that is not NULL. */
static Datum
read_value(OrgusersReading *reading, OrgusersPath path, int column)
{
	bool		isnull;
	Datum		value = read_column(reading, path, column, &isnull);

	if (isnull)
		elog(ERROR, "unexpected NULL in table %s", paths[path].table);
	return value;
}

bool
orgusers_read_is_null(OrgusersReading *reading, OrgusersPath path, int column)
{
	bool		isnull;

	(void) read_column(reading, path, column, &isnull);
	return isnull;
}

pg_uuid_t
orgusers_read_uuid(OrgusersReading *reading, OrgusersPath path, int column)
{
	return *DatumGetUUIDP(read_value(reading, path, column));
}

bool
orgusers_read_bool(OrgusersReading *reading, OrgusersPath path, int column)
{
	return DatumGetBool(read_value(reading, path, column));
}

/* The text is the reading's memory. */
char *
orgusers_read_text(OrgusersReading *reading, OrgusersPath path, int column)
{
	return TextDatumGetCString(read_value(reading, path, column));
}
