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
 * A query that has turned a permission into a list of organizations, such as
 * an index scan has: later runs of it (FETCH) go on with that list.
 */
typedef struct ListUser
{
	dlist_node	node;
	MemoryContext query_context;
	OrgusersRights *rights;		/* pinned */
	char	   *permission;
} ListUser;

static Statement *current_statement = NULL;
static uint64 last_statement_id = 0;
static dlist_head list_users = DLIST_STATIC_INIT(list_users);
static ExecutorRun_hook_type previous_ExecutorRun = NULL;

/*
 * refuse_outdated_lists
 *		Errors when a query that goes on has a list of organizations that is
 *		no longer the actor's: somebody else acts now, or a right is gone.
 */
static void
refuse_outdated_lists(MemoryContext query_context)
{
	dlist_iter	iter;

	dlist_foreach(iter, &list_users)
	{
		ListUser   *user = dlist_container(ListUser, node, iter.cur);
		pg_uuid_t	actor;
		OrgusersRights *now;
		const OrgusersOrgRights *orgs;
		int			count;
		bool		kept = true;

		if (user->query_context != query_context)
			continue;
		if (!orgusers_current_user(&actor) ||
			memcmp(&actor, orgusers_rights_user(user->rights), UUID_LEN) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OU_CURSOR_OUTDATED),
					 errmsg("the cursor was opened for another user"),
					 errhint("Open it again.")));

		now = orgusers_rights_pin(&actor);
		if (now != user->rights)
		{
			int			length = strlen(user->permission);
			OrgusersPermission old_number =
				orgusers_rights_number(user->rights, user->permission, length);
			OrgusersPermission new_number =
				orgusers_rights_number(now, user->permission, length);

			count = orgusers_rights_orgs(user->rights, &orgs);
			for (int i = 0; i < count && kept; i++)
			{
				const OrgusersOrgRights *org;

				if (!orgusers_org_rights_have(&orgs[i], old_number))
					continue;
				org = orgusers_rights_in(now, &orgs[i].org_id);
				kept = org != NULL && orgusers_org_rights_have(org, new_number);
			}
		}
		orgusers_rights_unpin(now);
		if (!kept)
			ereport(ERROR,
					(errcode(ERRCODE_OU_CURSOR_OUTDATED),
					 errmsg("rights have been taken away since the cursor was opened"),
					 errhint("Open it again.")));
	}
}

/*
 * run_statement
 *		ExecutorRun hook: a statement begins and ends.
 */
static void
run_statement(QueryDesc *query, ScanDirection direction, uint64 count,
			  bool execute_once)
{
	Statement	statement = {0};

	statement.outer = current_statement;
	statement.id = ++last_statement_id;
	statement.query_context = query->estate->es_query_cxt;

	if (!dlist_is_empty(&list_users))
		refuse_outdated_lists(statement.query_context);

	current_statement = &statement;
	PG_TRY();
	{
		if (previous_ExecutorRun)
			previous_ExecutorRun(query, direction, count, execute_once);
		else
			standard_ExecutorRun(query, direction, count, execute_once);
	}
	PG_FINALLY();
	{
		current_statement = statement.outer;
		if (statement.rights != NULL)
			orgusers_rights_unpin(statement.rights);
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

/* Gives back the pin of a query with a list, when the query ends. */
static void
list_user_ends(void *arg)
{
	ListUser   *user = arg;

	dlist_delete(&user->node);
	orgusers_rights_unpin(user->rights);
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
 * orgusers_ask
 *		The actor's rights that hold at this place of a query, with the number
 *		of the permission that it asks for; NULL for an anonymous session.
 *
 * The caller has looked that the permission is not NULL.  Between rows of one
 * statement this costs comparing two ids.
 */
OrgusersAsking *
orgusers_ask(FunctionCallInfo fcinfo, int permission_arg)
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
		asking->constant = get_fn_expr_arg_stable(fcinfo->flinfo,
												  permission_arg);
		callback->func = asking_ends;
		callback->arg = asking;
		MemoryContextRegisterResetCallback(fcinfo->flinfo->fn_mcxt, callback);
		fcinfo->flinfo->fn_extra = asking;
	}

	/* Not part of the run that goes on: a statement of its own. */
	if (statement != NULL &&
		statement->query_context != fcinfo->flinfo->fn_mcxt)
		statement = NULL;

	if (statement == NULL || asking->statement_id != statement->id ||
		asking->rights == NULL ||
		memcmp(orgusers_rights_user(asking->rights), &actor, UUID_LEN) != 0)
	{
		renew(asking, statement, &actor);
		asking->numbered = false;
	}

	/*
	 * A parameter counts as a constant, but only within a run: PL/pgSQL keeps
	 * its expressions from one call of a function to the next.
	 */
	if (!asking->numbered)
	{
		text	   *key = PG_GETARG_TEXT_PP(permission_arg);

		asking->permission = orgusers_rights_number(asking->rights,
													VARDATA_ANY(key),
													VARSIZE_ANY_EXHDR(key));
		asking->numbered = asking->constant && statement != NULL;
	}
	return asking;
}

/*
 * orgusers_statement_uses_orgs
 *		Notes that the query goes on with a list of organizations made now, so
 *		that a later FETCH from it can be refused.
 */
void
orgusers_statement_uses_orgs(FunctionCallInfo fcinfo, OrgusersAsking *asking)
{
	MemoryContext query_context = fcinfo->flinfo->fn_mcxt;
	MemoryContextCallback *callback;
	ListUser   *user;

	/* Outside of a run nothing goes on. */
	if (asking->statement_id == 0)
		return;
	user = MemoryContextAlloc(query_context, sizeof(ListUser));
	callback = MemoryContextAlloc(query_context, sizeof(MemoryContextCallback));
	user->permission =
		MemoryContextStrdup(query_context,
							text_to_cstring(PG_GETARG_TEXT_PP(0)));
	user->query_context = query_context;
	user->rights = asking->rights;
	callback->func = list_user_ends;
	callback->arg = user;
	orgusers_rights_pin_again(user->rights);
	dlist_push_head(&list_users, &user->node);
	MemoryContextRegisterResetCallback(query_context, callback);
}

/*
 * orgusers_statement_init
 *		Installs the hook.
 */
void
orgusers_statement_init(void)
{
	previous_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = run_statement;
}
