/*
 * audit.c
 *		Triggers that write the audit trail: what a statement has done to a
 *		table, in rows of audit_log.
 *
 * They write as the owner of the table that was changed, whoever changes it,
 * and without a query: no privilege, row security, search_path or other
 * setting of the session has a say.  What they cannot write down is an error,
 * and with it the change is undone.
 */
#include "orgusers.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "directory/new_id.h"
#include "identity/identity.h"

PG_FUNCTION_INFO_V1(orgusers_audit_statement);
PG_FUNCTION_INFO_V1(orgusers_audit_row);

/* The columns of audit_log, in their order. */
enum
{
	LOG_ORG_ID,
	LOG_ID,
	LOG_AT,
	LOG_TRANSACTION,
	LOG_ACTOR_ID,
	LOG_DB_ROLE,
	LOG_DB_LOGIN,
	LOG_ACTION,
	LOG_RELATION,
	LOG_USER_ID,
	LOG_BEFORE,
	LOG_AFTER,
	LOG_COLUMNS
};

/* A row of the audited table, in its columns. */
typedef struct Row
{
	Datum	   *values;
	bool	   *nulls;
} Row;

/* What is written for one statement or row. */
typedef struct Trail
{
	TriggerData *trigger;
	TupleDesc	desc;			/* of the audited table */
	AttrNumber	org_column;		/* those of the arguments; 0 for none */
	AttrNumber	user_column;
	AttrNumber	noise;
	AttrNumber	secret;
	MemoryContext context;
	Oid			caller;			/* what SetUserIdAndSecContext is to restore */
	int			caller_context;

	/* Opened for the first entry. */
	Relation	log;			/* NULL: not yet */
	EState	   *estate;
	ResultRelInfo *target;
	TupleTableSlot *entry;
	Datum		values[LOG_COLUMNS];	/* the same for all entries, or NULL */
	bool		nulls[LOG_COLUMNS];
} Trail;

/* The role that the session acts as: by SET ROLE, or as its login. */
static Oid
session_role(void)
{
	Oid			role = GetCurrentRoleId();

	return OidIsValid(role) ? role : GetSessionUserId();
}

/*
 * is_restore
 *		Whether a dump is being loaded: pg_dump's scripts and pg_restore switch
 *		both settings off, and the session acts as the table's owner.
 *
 * Within a SECURITY DEFINER function it is still the caller who is looked at.
 * What is inserted then is in the dump's own trail.
 */
static bool
is_restore(TriggerData *trigger)
{
	return !row_security && !check_function_bodies &&
		has_privs_of_role(session_role(),
						  trigger->tg_relation->rd_rel->relowner);
}

/* The column that an argument of the trigger names; 0 for none.  The first two are of ids. */
static AttrNumber
argument_column(TriggerData *trigger, int number)
{
	const char *name = trigger->tg_trigger->tgargs[number];
	int			column;

	if (*name == '\0')
		return 0;
	column = SPI_fnumber(RelationGetDescr(trigger->tg_relation), name);
	if (column <= 0 ||
		(number < 2 && SPI_gettypeid(RelationGetDescr(trigger->tg_relation),
									 column) != UUIDOID))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table %s has no such column %s as its audit trigger names",
						RelationGetRelationName(trigger->tg_relation), name)));
	return column;
}

/*
 * begin_trail
 *		Begins to work as the owner of the table that a trigger was fired for.
 */
static void
begin_trail(Trail *trail, TriggerData *trigger)
{
	memset(trail, 0, sizeof(*trail));
	trail->trigger = trigger;
	trail->desc = RelationGetDescr(trigger->tg_relation);
	trail->context = CurrentMemoryContext;
	if (!TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		if (trigger->tg_trigger->tgnargs != 4)
			ereport(ERROR,
					(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					 errmsg("an audit trigger has four arguments")));
		trail->org_column = argument_column(trigger, 0);
		trail->user_column = argument_column(trigger, 1);
		trail->noise = argument_column(trigger, 2);
		trail->secret = argument_column(trigger, 3);
	}
	GetUserIdAndSecContext(&trail->caller, &trail->caller_context);
	SetUserIdAndSecContext(trigger->tg_relation->rd_rel->relowner,
						   trail->caller_context | SECURITY_LOCAL_USERID_CHANGE);
}

static const char *
action_of(TriggerData *trigger)
{
	return TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? "insert" :
		TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "update" :
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "delete" : "truncate";
}

static void
set_value(Trail *trail, int column, Datum value)
{
	trail->values[column] = value;
	trail->nulls[column] = false;
}

/*
 * open_log
 *		Opens audit_log for entries, and finds what all of them say.  What the
 *		table's defaults say in SQL is said here again.
 */
static void
open_log(Trail *trail)
{
	TriggerData *trigger = trail->trigger;
	MemoryContext caller = MemoryContextSwitchTo(trail->context);
	Oid			role = session_role();
	pg_uuid_t	actor;

	trail->log = table_open(orgusers_relation("audit_log"), RowExclusiveLock);
	trail->estate = CreateExecutorState();
	MemoryContextSwitchTo(trail->estate->es_query_cxt);
	trail->target = makeNode(ResultRelInfo);
	InitResultRelInfo(trail->target, trail->log, 0, NULL, 0);
	ExecOpenIndices(trail->target, false);
	trail->entry = table_slot_create(trail->log, &trail->estate->es_tupleTable);
	AfterTriggerBeginQuery();

	memset(trail->nulls, true, sizeof(trail->nulls));
	set_value(trail, LOG_TRANSACTION,
			  FullTransactionIdGetDatum(GetTopFullTransactionId()));
	if (orgusers_current_user(&actor))
		set_value(trail, LOG_ACTOR_ID,
				  datumCopy(UUIDPGetDatum(&actor), false, UUID_LEN));
	set_value(trail, LOG_DB_ROLE,
			  CStringGetTextDatum(GetUserNameFromId(role, false)));
	set_value(trail, LOG_DB_LOGIN,
			  CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false)));
	set_value(trail, LOG_ACTION, CStringGetTextDatum(action_of(trigger)));
	set_value(trail, LOG_RELATION,
			  CStringGetTextDatum(RelationGetRelationName(trigger->tg_relation)));
	MemoryContextSwitchTo(caller);
}

static void
end_trail(Trail *trail)
{
	if (trail->log != NULL)
	{
		AfterTriggerEndQuery(trail->estate);
		ExecCloseIndices(trail->target);
		ExecResetTupleTable(trail->estate->es_tupleTable, false);
		FreeExecutorState(trail->estate);
		table_close(trail->log, NoLock);
	}
	SetUserIdAndSecContext(trail->caller, trail->caller_context);
}

/* The columns of a row that a trigger was fired for. */
static Row
deform_row(Trail *trail, HeapTuple tuple)
{
	Row			row;

	row.values = palloc(sizeof(Datum) * trail->desc->natts);
	row.nulls = palloc(sizeof(bool) * trail->desc->natts);
	heap_deform_tuple(tuple, trail->desc, row.values, row.nulls);
	return row;
}

/* The id in a column of a row, NULL when there is none. */
static const pg_uuid_t *
row_id(const Row *row, AttrNumber column)
{
	if (column == 0 || row->nulls[column - 1])
		return NULL;
	return DatumGetUUIDP(row->values[column - 1]);
}

/*
 * write_entry
 *		Writes an entry into the trail of the row's organization, or of what
 *		all organizations share.
 */
static void
write_entry(Trail *trail, const Row *row, Jsonb *before, Jsonb *after)
{
	static const pg_uuid_t shared = {{0}};
	const pg_uuid_t *org_id = row_id(row, trail->org_column);
	const pg_uuid_t *user_id = row_id(row, trail->user_column);
	TupleTableSlot *entry;
	pg_uuid_t	id;

	if (trail->log == NULL)
		open_log(trail);
	orgusers_make_id(&id);
	entry = ExecClearTuple(trail->entry);
	for (int i = 0; i < entry->tts_tupleDescriptor->natts; i++)
	{
		entry->tts_values[i] = i < LOG_COLUMNS ? trail->values[i] : (Datum) 0;
		entry->tts_isnull[i] = i < LOG_COLUMNS ? trail->nulls[i] : true;
	}
#define SET(column, value) \
	(entry->tts_values[column] = (value), entry->tts_isnull[column] = false)
	SET(LOG_ORG_ID, UUIDPGetDatum(org_id != NULL ? org_id : &shared));
	SET(LOG_ID, UUIDPGetDatum(&id));
	SET(LOG_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	if (user_id != NULL)
		SET(LOG_USER_ID, UUIDPGetDatum(user_id));
	if (before != NULL)
		SET(LOG_BEFORE, JsonbPGetDatum(before));
	if (after != NULL)
		SET(LOG_AFTER, JsonbPGetDatum(after));
#undef SET
	ExecStoreVirtualTuple(entry);
	ExecSimpleRelationInsert(trail->target, trail->estate, entry);
}

/* What to_jsonb() makes of a value. */
static Jsonb *
call_to_jsonb(Form_pg_attribute column, Datum value)
{
	FmgrInfo	function;

	fmgr_info(F_TO_JSONB, &function);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID,
											 list_make1(makeNullConst(column->atttypid,
																	  column->atttypmod,
																	  column->attcollation)),
											 InvalidOid, column->attcollation,
											 COERCE_EXPLICIT_CALL),
					   &function);
	return DatumGetJsonbP(FunctionCall1Coll(&function, column->attcollation,
											value));
}

/*
 * push_value
 *		Adds a column's value to a JSON object or array, as to_jsonb() has it;
 *		what most columns are is written down here, since it is faster.
 */
static JsonbValue *
push_value(JsonbParseState **state, JsonbIteratorToken token,
		   Form_pg_attribute column, Datum value, bool isnull)
{
	JsonbValue	json;
	Jsonb	   *other;

	json.type = isnull ? jbvNull : jbvString;
	switch (isnull ? InvalidOid : column->atttypid)
	{
		case InvalidOid:
			break;
		case BOOLOID:
			json.type = jbvBool;
			json.val.boolean = DatumGetBool(value);
			break;
		case UUIDOID:
			json.val.string.val = DatumGetCString(DirectFunctionCall1(uuid_out,
																	  value));
			json.val.string.len = strlen(json.val.string.val);
			break;
		case TIMESTAMPTZOID:
			json.val.string.val = JsonEncodeDateTime(NULL, value,
													 TIMESTAMPTZOID, NULL);
			json.val.string.len = strlen(json.val.string.val);
			break;
		case TEXTOID:
			json.val.string.val = TextDatumGetCString(value);
			json.val.string.len = strlen(json.val.string.val);
			if (json.val.string.len <= JENTRY_OFFLENMASK)
				break;
			/* FALLTHROUGH */
		default:
			other = call_to_jsonb(column, value);
			json.type = jbvBinary;
			json.val.binary.data = &other->root;
			json.val.binary.len = VARSIZE_ANY_EXHDR(other);
	}
	return pushJsonbValue(state, token, &json);
}

/* A value by itself, to be compared. */
static Jsonb *
value_image(Form_pg_attribute column, Datum value, bool isnull)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	push_value(&state, WJB_ELEM, column, value, isnull);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* The columns of a row that are in a set (NULL: all), but for what is left out. */
static Jsonb *
row_image(Trail *trail, const Row *row, const Bitmapset *columns)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (AttrNumber number = 1; number <= trail->desc->natts; number++)
	{
		Form_pg_attribute column = TupleDescAttr(trail->desc, number - 1);
		JsonbValue	key;

		if (column->attisdropped || number == trail->noise ||
			number == trail->secret ||
			(columns != NULL &&
			 !bms_is_member(number - FirstLowInvalidHeapAttributeNumber,
							columns)))
			continue;
		key.type = jbvString;
		key.val.string.val = NameStr(column->attname);
		key.val.string.len = strlen(key.val.string.val);
		pushJsonbValue(&state, WJB_KEY, &key);
		push_value(&state, WJB_VALUE, column, row->values[number - 1],
				   row->nulls[number - 1]);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * changed_columns
 *		Adds the columns that an update has changed to a set; false when there
 *		is nothing to tell of.
 *
 * Told of is what is not the same by its bytes: values that compare as equal,
 * such as addresses in other letter case, can differ.  Columns whose values
 * are the same in JSON are not shown.
 */
static bool
changed_columns(Trail *trail, const Row *old, const Row *new,
				Bitmapset **columns)
{
	bool		changed = false;

	for (int i = 0; i < trail->desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(trail->desc, i);
		AttrNumber	number = i + 1;

		if (column->attisdropped || number == trail->noise ||
			(old->nulls[i] == new->nulls[i] &&
			 (old->nulls[i] || datum_image_eq(old->values[i], new->values[i],
											  column->attbyval,
											  column->attlen))))
			continue;
		changed = true;
		if (number != trail->secret &&
			compareJsonbContainers(&value_image(column, old->values[i], old->nulls[i])->root,
								   &value_image(column, new->values[i], new->nulls[i])->root) != 0)
			*columns = bms_add_member(*columns, number -
									  FirstLowInvalidHeapAttributeNumber);
	}
	return changed;
}

/* Whether two ids, of which either may be missing, are the same. */
static bool
same_id(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return a == NULL || b == NULL ? a == b : memcmp(a, b, UUID_LEN) == 0;
}

/* Writes what a row's update has changed; nothing when it has not. */
static void
write_update(Trail *trail)
{
	Row			old = deform_row(trail, trail->trigger->tg_trigtuple);
	Row			new = deform_row(trail, trail->trigger->tg_newtuple);
	Bitmapset  *columns =
		RelationGetIndexAttrBitmap(trail->trigger->tg_relation,
								   INDEX_ATTR_BITMAP_PRIMARY_KEY);
	Jsonb	   *before;
	Jsonb	   *after;

	if (!changed_columns(trail, &old, &new, &columns))
		return;
	before = row_image(trail, &old, columns);
	after = row_image(trail, &new, columns);
	write_entry(trail, &new, before, after);

	/* A row that goes from one organization or user to another is told of in both. */
	if (!same_id(row_id(&old, trail->org_column),
				 row_id(&new, trail->org_column)) ||
		!same_id(row_id(&old, trail->user_column),
				 row_id(&new, trail->user_column)))
		write_entry(trail, &old, before, after);
}

/*
 * write_table
 *		Writes the rows of a transition table, each in memory of its own.
 */
static void
write_table(Trail *trail, Tuplestorestate *rows)
{
	bool		deleted = TRIGGER_FIRED_BY_DELETE(trail->trigger->tg_event);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(trail->desc,
													&TTSOpsMinimalTuple);
	MemoryContext of_row = AllocSetContextCreate(CurrentMemoryContext,
												 "orgusers audited row",
												 ALLOCSET_SMALL_SIZES);

	/* Other triggers read the table, too. */
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(of_row);
		Row			row;
		Jsonb	   *image;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		row.values = slot->tts_values;
		row.nulls = slot->tts_isnull;
		image = row_image(trail, &row, NULL);
		write_entry(trail, &row, deleted ? image : NULL, deleted ? NULL : image);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(of_row);
		ResetPerTupleExprContext(trail->estate);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
refuse_call(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("%s", message)));
}

/*
 * orgusers_audit_statement
 *		Trigger after INSERT or DELETE, with their rows in a transition table,
 *		or after TRUNCATE.
 */
Datum
orgusers_audit_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Tuplestorestate *rows;
	Trail		trail;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		refuse_call("not called as an AFTER STATEMENT trigger for INSERT, DELETE or TRUNCATE");
	rows = TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? trigger->tg_oldtable :
		trigger->tg_newtable;

	if (!TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) && rows == NULL)
		refuse_call("not called with a transition table");
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) && is_restore(trigger))
		return PointerGetDatum(NULL);

	begin_trail(&trail, trigger);
	if (rows != NULL)
		write_table(&trail, rows);
	else
		write_entry(&trail, NULL, NULL, NULL);
	end_trail(&trail);
	return PointerGetDatum(NULL);
}

/*
 * orgusers_audit_row
 *		Trigger after the UPDATE of a row, or after an INSERT of which not all
 *		rows are told of.
 */
Datum
orgusers_audit_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Trail		trail;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		refuse_call("not called as an AFTER ROW trigger for INSERT or UPDATE");

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) && is_restore(trigger))
		return PointerGetDatum(NULL);

	begin_trail(&trail, trigger);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		write_update(&trail);
	else
	{
		Row			row = deform_row(&trail, trigger->tg_trigtuple);

		write_entry(&trail, &row, NULL, row_image(&trail, &row, NULL));
	}
	end_trail(&trail);
	return PointerGetDatum(NULL);
}
