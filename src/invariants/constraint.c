/*
 * constraint.c
 *		What the constraint triggers of the invariants share: the organizations
 *		of an event, a check of each, once a command, and its queries.
 */
#include "invariants/constraint.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/rel.h"
#include "utils/uuid.h"

/* The organizations that a row event concerns: one, or two when it moved. */
typedef struct EventOrgs
{
	int			count;
	pg_uuid_t	id[2];
} EventOrgs;

/*
 * orgusers_row_uuid
 *		The id in a column of a row, which is NOT NULL.
 */
pg_uuid_t
orgusers_row_uuid(TriggerData *trigger, HeapTuple row, const char *column)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		id = heap_getattr(row, SPI_fnumber(desc, column), desc, &isnull);

	if (isnull)
		elog(ERROR, "unexpected NULL in column %s of table %s", column,
			 RelationGetRelationName(trigger->tg_relation));
	return *DatumGetUUIDP(id);
}

/*
 * orgusers_new_row
 *		The row as it is after an event that leaves one.
 */
HeapTuple
orgusers_new_row(TriggerData *trigger)
{
	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
}

/* Whether touched.h takes an organization after another. */
static bool
comes_after(const pg_uuid_t *a, const pg_uuid_t *b)
{
	pg_uuid_t	root_a = orgusers_place(a).root_id;
	pg_uuid_t	root_b = orgusers_place(b).root_id;
	int			cmp = orgusers_compare_uuids(&root_a, &root_b);

	return cmp != 0 ? cmp > 0 : orgusers_compare_uuids(a, b) > 0;
}

/*
 * event_orgs
 *		The old and the new organization of a row event, in the order of
 *		touched.h.
 */
static EventOrgs
event_orgs(TriggerData *trigger)
{
	EventOrgs	orgs = {.count = 1};

	orgs.id[0] = orgusers_row_uuid(trigger, trigger->tg_trigtuple, "org_id");
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		orgs.id[1] = orgusers_row_uuid(trigger, trigger->tg_newtuple, "org_id");
		if (orgusers_compare_uuids(&orgs.id[0], &orgs.id[1]) != 0)
			orgs.count = 2;
	}
	if (orgs.count == 2 && comes_after(&orgs.id[0], &orgs.id[1]))
	{
		pg_uuid_t	first = orgs.id[1];

		orgs.id[1] = orgs.id[0];
		orgs.id[0] = first;
	}
	return orgs;
}

/*
 * orgusers_require_after_row
 *		Raises when a function is not called as a trigger after a row's change.
 */
void
orgusers_require_after_row(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called as an AFTER ROW trigger")));
}

/*
 * orgusers_for_each_org
 *		Runs a check for the old and the new organization of a row event.
 *
 * An organization that is gone has nothing to keep.
 */
Datum
orgusers_for_each_org(FunctionCallInfo fcinfo, OrgusersCheck check)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	EventOrgs	orgs;

	orgusers_require_after_row(fcinfo);
	orgs = event_orgs(trigger);
	for (int i = 0; i < orgs.count; i++)
	{
		OrgusersTouched *org = orgusers_touch(&orgs.id[i]);

		if (org != NULL)
			check(trigger, org);
	}
	return PointerGetDatum(NULL);
}

/*
 * orgusers_find_row_by
 *		Runs a query about an organization ($1) and something else ($2, of
 *		that type; InvalidOid for a query without it), such as one that
 *		returns a row only when a rule is broken there.
 *
 * Returns whether there is a row.  The caller is connected to SPI.
 */
bool
orgusers_find_row_by(SPIPlanPtr *plan, const char *query, Oid type, Datum *args)
{
	if (*plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID, type};

		*plan = SPI_prepare(query, OidIsValid(type) ? 2 : 1, argtypes);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "could not prepare the check of an invariant");
	}
	if (SPI_execute_plan(*plan, args, NULL, false, 1) < 0)
		elog(ERROR, "could not check an invariant");
	return SPI_processed > 0;
}

/*
 * orgusers_find_row
 *		The same about an organization alone.
 */
bool
orgusers_find_row(SPIPlanPtr *plan, const char *query, const pg_uuid_t *org_id)
{
	Datum		args[] = {UUIDPGetDatum(org_id)};

	return orgusers_find_row_by(plan, query, InvalidOid, args);
}

/*
 * orgusers_find_row_of
 *		The same about an organization and the id of something.
 */
bool
orgusers_find_row_of(SPIPlanPtr *plan, const char *query,
					 const pg_uuid_t *org_id, const pg_uuid_t *id)
{
	Datum		args[] = {UUIDPGetDatum(org_id), UUIDPGetDatum(id)};

	return orgusers_find_row_by(plan, query, UUIDOID, args);
}

/*
 * orgusers_found_text
 *		The text in a column of the row that was found.
 */
char *
orgusers_found_text(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/*
 * orgusers_command_of
 *		The command of this transaction that caused the event, or none.
 *
 * An event fires when all rows of its command are written, so a command that
 * changes many rows of an organization is checked once.  Only the command's
 * own check tells: one that ran while the command was still writing has
 * missed rows.
 */
CommandId
orgusers_command_of(TriggerData *trigger)
{
	HeapTupleHeader row;

	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		row = trigger->tg_trigtuple->t_data;
		if ((row->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) == 0 &&
			!HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(row)))
			return HeapTupleHeaderGetCmax(row);
		return InvalidCommandId;
	}
	row = orgusers_new_row(trigger)->t_data;
	if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row)))
		return HeapTupleHeaderGetCmin(row);
	return InvalidCommandId;
}

/*
 * orgusers_checked_already
 *		Whether the check has been made for all rows of this command; notes
 *		that it is being made now.
 *
 * A check that fails ends at least the subtransaction, and the note with it.
 */
bool
orgusers_checked_already(TriggerData *trigger, CommandId *checked)
{
	CommandId	command = orgusers_command_of(trigger);

	if (command != InvalidCommandId && command == *checked)
		return true;
	*checked = command;
	return false;
}
