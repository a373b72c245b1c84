/*
 * check_now.c
 *		SQL function check_now: the checks that wait for the commit are made now.
 */
#include "orgusers.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(orgusers_check_now);

/* Whether a trigger event of one of the extension's tables is still to fire. */
static bool
check_waits(const char *const *tables, int count)
{
	Oid			schema = get_namespace_oid(ORGUSERS_SCHEMA, false);

	for (int i = 0; i < count; i++)
	{
		Oid			table = get_relname_relid(tables[i], schema);

		if (OidIsValid(table) && AfterTriggerPendingOnRel(table))
			return true;
	}
	return false;
}

/* SET CONSTRAINTS: puts the extension's checks of these names off, or runs them. */
static void
set_constraints(const char *const *names, int count, bool deferred)
{
	ConstraintsSetStmt *statement = makeNode(ConstraintsSetStmt);

	for (int i = 0; i < count; i++)
		statement->constraints = lappend(statement->constraints,
										 makeRangeVar(ORGUSERS_SCHEMA,
													  pstrdup(names[i]), -1));
	statement->deferred = deferred;
	AfterTriggerSetState(statement);
}

/*
 * orgusers_check_now
 *		SQL: runs the checks that wait for the commit.  For the extension's own
 *		functions, with the rights of the owner.
 *
 * SET CONSTRAINTS looks up every constraint of every name; what waits is known
 * for nothing.
 */
Datum
orgusers_check_now(PG_FUNCTION_ARGS)
{
	static const char *const roles[] = {"membership_roles"};
	static const char *const tables[] = {
		"memberships", "membership_roles", "roles", "subscriptions",
		"invitations", "users", "space_members", "space_groups",
	"group_members", "group_roles"};
	static const char *const checks[] = {
		"holders", "billing_admin",	/* those that wait by default */
		"seats", "seats_update", "most_spaces", "address_in_tree",
	"address_in_tree_update"};

	(void) fcinfo;
	CommandCounterIncrement();

	/* All that waits when roles were given only, as to who accepts an invitation. */
	if (check_waits(roles, lengthof(roles)))
	{
		set_constraints(checks, 1, false);
		set_constraints(checks, 1, true);
	}
	/* The rest, and what the transaction itself has put off. */
	if (check_waits(tables, lengthof(tables)))
	{
		set_constraints(checks, lengthof(checks), false);
		set_constraints(checks, 2, true);
	}
	PG_RETURN_VOID();
}
