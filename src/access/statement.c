/*
 * statement.c
 *		Within one statement, rights do not change.
 *
 * A statement here is one run of the executor: of a client's statement, of a
 * statement in a function, of a FETCH.  The first question about the actor in
 * a run pins the actor's rights of that moment, and all others in that run get
 * the same.  A question outside of a run, such as an expression that PL/pgSQL
 * evaluates by itself, is a statement of its own.
 */
#include "access/statement.h"

#include "executor/executor.h"
#include "lib/ilist.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "identity/identity.h"

/* A run of the executor.  Lives on the stack of the hook below. */
typedef struct Statement
{
	struct Statement *outer;
	uint64		id;				/* never used twice in a backend */
	MemoryContext query_context;
	OrgusersRights *rights;		/* pinned once somebody has asked */
} Statement;

/*
 * What a query has asked.  Later runs of it (FETCH) go on with what came of
 * it: an index scan with its list of organizations, a sort with its rows.
 */
typedef struct Reliance
{
	dlist_node	node;
	MemoryContext query_context;
	OrgusersRights *rights;		/* pinned */
	OrgusersPermission number;	/* among those rights' permissions */
	char	   *permission;		/* NULL for membership alone */
} Reliance;

static Statement *current_statement = NULL;
static uint64 last_statement_id = 0;
static dlist_head reliances = DLIST_STATIC_INIT(reliances);
static ExecutorRun_hook_type previous_ExecutorRun = NULL;
static ExecutorFinish_hook_type previous_ExecutorFinish = NULL;

/*
 * refuse_outdated
 *		Errors when a query that goes on has asked what would be answered
 *		otherwise now: somebody else acts, or a right is gone.
 */
static void
refuse_outdated(MemoryContext query_context)
{
	dlist_iter	iter;

	dlist_foreach(iter, &reliances)
	{
		Reliance   *reliance = dlist_container(Reliance, node, iter.cur);
		pg_uuid_t	actor;
		OrgusersRights *now;
		bool		kept;

		if (reliance->query_context != query_context)
			continue;
		if (!orgusers_current_user(&actor) ||
			memcmp(&actor, orgusers_rights_user(reliance->rights), UUID_LEN) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OU_CURSOR_OUTDATED),
					 errmsg("the cursor was opened for another user"),
					 errhint("Open it again.")));

		now = orgusers_rights_pin(&actor);
		kept = orgusers_rights_cover(now, reliance->rights,
									 reliance->permission);
		orgusers_rights_unpin(now);
		if (!kept)
			ereport(ERROR,
					(errcode(ERRCODE_OU_CURSOR_OUTDATED),
					 errmsg("rights have been taken away since the cursor was opened"),
					 errhint("Open it again.")));
	}
}

/* Begins a statement of a query; it is not current yet. */
static void
begin_statement(Statement *statement, QueryDesc *query)
{
	statement->outer = current_statement;
	statement->id = ++last_statement_id;
	statement->query_context = query->estate->es_query_cxt;
	statement->rights = NULL;
}

/* Ends the current statement, whatever came of it. */
static void
end_statement(Statement *statement)
{
	current_statement = statement->outer;
	if (statement->rights != NULL)
		orgusers_rights_unpin(statement->rights);
}

/*
 * run_statement
 *		ExecutorRun hook: a statement begins and ends.
 */
static void
run_statement(ORGUSERS_RUN_PARAMETERS)
{
	Statement	statement;

	begin_statement(&statement, query);
	if (!dlist_is_empty(&reliances))
		refuse_outdated(statement.query_context);

	current_statement = &statement;
	PG_TRY();
	{
		if (previous_ExecutorRun)
			previous_ExecutorRun(ORGUSERS_RUN_ARGUMENTS);
		else
			standard_ExecutorRun(ORGUSERS_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		end_statement(&statement);
	}
	PG_END_TRY();
}

/*
 * finish_statement
 *		ExecutorFinish hook: WITH queries that nobody has read to their end are
 *		run here.  They belong to the statement that the query's last run was,
 *		and go on with its rights.  It comes at the end of a cursor, too, and
 *		refuses nothing.
 */
static void
finish_statement(QueryDesc *query)
{
	Statement	statement;
	dlist_iter	iter;

	begin_statement(&statement, query);
	dlist_foreach(iter, &reliances)
	{
		Reliance   *reliance = dlist_container(Reliance, node, iter.cur);

		if (reliance->query_context == statement.query_context)
		{
			statement.rights = reliance->rights;
			orgusers_rights_pin_again(statement.rights);
			break;
		}
	}

	current_statement = &statement;
	PG_TRY();
	{
		if (previous_ExecutorFinish)
			previous_ExecutorFinish(query);
		else
			standard_ExecutorFinish(query);
	}
	PG_FINALLY();
	{
		end_statement(&statement);
	}
	PG_END_TRY();
}

/* Gives back the pin of a place that asked, when its query ends. */
static void
asking_ends(void *arg)
{
	OrgusersAsking *asking = arg;

	if (asking->rights != NULL)
		orgusers_rights_unpin(asking->rights);
	asking->rights = NULL;
}

/* Gives back the pin of what a query relies on, when the query ends. */
static void
reliance_ends(void *arg)
{
	Reliance   *reliance = arg;

	dlist_delete(&reliance->node);
	orgusers_rights_unpin(reliance->rights);
}

/*
 * rely
 *		Notes that the query of the statement has asked for a permission (NULL:
 *		for membership), so that a later FETCH from it can be refused.
 *
 * Once for each permission, however many rows and rescans ask.
 */
static void
rely(Statement *statement, OrgusersRights *rights, OrgusersPermission number,
	 text *permission)
{
	MemoryContext query_context = statement->query_context;
	MemoryContextCallback *callback;
	Reliance   *reliance;
	dlist_iter	iter;

	if (permission != NULL && number < 0)
		return;					/* what is not registered cannot be lost */
	dlist_foreach(iter, &reliances)
	{
		reliance = dlist_container(Reliance, node, iter.cur);
		if (reliance->query_context == query_context &&
			reliance->rights == rights && reliance->number == number)
			return;
	}

	reliance = MemoryContextAlloc(query_context, sizeof(Reliance));
	callback = MemoryContextAlloc(query_context, sizeof(MemoryContextCallback));
	reliance->query_context = query_context;
	reliance->rights = rights;
	reliance->number = number;
	reliance->permission = NULL;
	if (permission != NULL)
	{
		char	   *key = text_to_cstring(permission);

		reliance->permission = MemoryContextStrdup(query_context, key);
		pfree(key);
	}
	callback->func = reliance_ends;
	callback->arg = reliance;
	orgusers_rights_pin_again(rights);
	dlist_push_head(&reliances, &reliance->node);
	MemoryContextRegisterResetCallback(query_context, callback);
}

/*
 * renew
 *		Gives a place that asks the rights that hold in its statement now: the
 *		ones another place of the statement has got, or those of this moment.
 *		No statement stands for one of its own.
 */
static void
renew(OrgusersAsking *asking, Statement *statement, const pg_uuid_t *actor)
{
	OrgusersRights *old = asking->rights;
	OrgusersRights *rights;

	if (statement != NULL && statement->rights != NULL &&
		memcmp(orgusers_rights_user(statement->rights), actor, UUID_LEN) == 0)
	{
		rights = statement->rights;
		orgusers_rights_pin_again(rights);
	}
	else
	{
		rights = orgusers_rights_pin(actor);
		if (statement != NULL)
		{
			if (statement->rights != NULL)
				orgusers_rights_unpin(statement->rights);
			orgusers_rights_pin_again(rights);
			statement->rights = rights;
		}
	}

	asking->rights = rights;
	asking->statement_id = statement != NULL ? statement->id : 0;
	if (old != NULL)
		orgusers_rights_unpin(old);
}

/*
 * ask
 *		As orgusers_ask(), at the first row of a run, or for another actor.
 */
static pg_noinline OrgusersAsking *
ask(FunctionCallInfo fcinfo, int permission_arg)
{
	OrgusersAsking *asking = fcinfo->flinfo->fn_extra;
	Statement  *statement = current_statement;
	pg_uuid_t	actor;

	if (!orgusers_current_user(&actor))
		return NULL;

	if (asking == NULL)
	{
		MemoryContextCallback *callback;

		callback = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt,
									  sizeof(MemoryContextCallback));
		asking = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
										sizeof(OrgusersAsking));
		asking->constant = permission_arg == ORGUSERS_NO_PERMISSION_ARG ||
			get_fn_expr_arg_stable(fcinfo->flinfo, permission_arg);
		callback->func = asking_ends;
		callback->arg = asking;
		MemoryContextRegisterResetCallback(fcinfo->flinfo->fn_mcxt, callback);
		fcinfo->flinfo->fn_extra = asking;
	}

	/*
	 * Not part of the run that goes on: a statement of its own.  (A row that
	 * somebody changed meanwhile is looked at again in a context below.)
	 */
	if (statement != NULL &&
		statement->query_context != fcinfo->flinfo->fn_mcxt &&
		statement->query_context != MemoryContextGetParent(fcinfo->flinfo->fn_mcxt))
		statement = NULL;

	if (statement == NULL || asking->statement_id != statement->id ||
		asking->rights == NULL ||
		memcmp(orgusers_rights_user(asking->rights), &actor, UUID_LEN) != 0)
	{
		renew(asking, statement, &actor);
		asking->numbered = false;
	}
	asking->actor_changes = orgusers_actor_changes;

	/*
	 * A parameter counts as a constant, but only within a run: PL/pgSQL keeps
	 * its expressions from one call of a function to the next.
	 */
	if (!asking->numbered)
	{
		text	   *key = NULL;

		asking->permission = -1;
		if (permission_arg != ORGUSERS_NO_PERMISSION_ARG)
		{
			key = PG_GETARG_TEXT_PP(permission_arg);
			asking->permission = orgusers_rights_number(asking->rights,
														VARDATA_ANY(key),
														VARSIZE_ANY_EXHDR(key));
		}
		asking->numbered = asking->constant && statement != NULL;
		if (statement != NULL)
			rely(statement, asking->rights, asking->permission, key);
	}
	return asking;
}

/*
 * orgusers_ask
 *		The actor's rights that hold at this place of a query, with the number
 *		of the permission that it asks for (if it does); NULL for an anonymous
 *		session.
 *
 * The caller has looked that the permission is not NULL.  Between rows of one
 * statement this costs comparing two numbers.
 */
OrgusersAsking *
orgusers_ask(FunctionCallInfo fcinfo, int permission_arg)
{
	OrgusersAsking *asking = fcinfo->flinfo->fn_extra;

	if (asking != NULL && asking->numbered && current_statement != NULL &&
		asking->statement_id == current_statement->id &&
		asking->actor_changes == orgusers_actor_changes)
		return asking;
	return ask(fcinfo, permission_arg);
}

/*
 * orgusers_statement_init
 *		Installs the hooks.
 */
void
orgusers_statement_init(void)
{
	previous_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = run_statement;
	previous_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_statement;
}
