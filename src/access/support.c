/*
 * support.c
 *		What the planner is told about can(): that it is an index condition,
 *		how many rows it leaves, and what it costs.
 */
#include "orgusers.h"

#include "access/stratnum.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(orgusers_can_support);

/* Organizations of an average user, while there are no figures to tell. */
#define DEFAULT_ORGS_PER_USER 3.0

/* The number of rows that the last ANALYZE or VACUUM saw; < 0 for unknown. */
static double
rows_of(const char *table)
{
	Oid			relid = get_relname_relid(table,
										  get_namespace_oid(ORGUSERS_SCHEMA,
															true));
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows = -1;

	if (HeapTupleIsValid(row))
	{
		rows = ((Form_pg_class) GETSTRUCT(row))->reltuples;
		ReleaseSysCache(row);
	}
	return rows;
}

/*
 * fraction_of_orgs
 *		How much of a table an average user sees by can(column, ...): the
 *		user's organizations among the different ones in the column.
 */
static Selectivity
fraction_of_orgs(PlannerInfo *root, Node *column, int relid)
{
	VariableStatData vardata;
	double		memberships = rows_of("memberships");
	double		users = rows_of("users");
	double		orgs_per_user = DEFAULT_ORGS_PER_USER;
	double		distinct;
	bool		is_default;
	Selectivity result;

	if (memberships > 0 && users > 0)
		orgs_per_user = Max(memberships / users, 1.0);

	examine_variable(root, column, relid, &vardata);
	distinct = get_variable_numdistinct(&vardata, &is_default);
	ReleaseVariableStats(vardata);

	result = orgs_per_user / Max(distinct, 1.0);
	CLAMP_PROBABILITY(result);
	return result;
}

/*
 * index_condition
 *		can(org, permission) as an index condition on a btree that begins with
 *		the organization's column: column = ANY (orgs_with(permission)), which
 *		is exactly it.  can(org, space, permission) likewise, with
 *		orgs_reached, which lets through more; the rows are asked again.  NIL
 *		when the index or the expression is not such.
 *
 * Not on the space's column: rows of no space, whose column is NULL, can be
 * the actor's as well.
 *
 * The list is made when the scan starts, so a plan serves any actor.
 */
static List *
index_condition(SupportRequestIndexCondition *request)
{
	FuncExpr   *call = (FuncExpr *) request->node;
	Node	   *column;
	Node	   *permission;
	bool		in_space;
	Oid			equals;
	Oid			lister;
	Oid			text_type[] = {TEXTOID};
	FuncExpr   *list;
	ScalarArrayOpExpr *condition;

	if (!IsA(call, FuncExpr) || request->indexarg != 0 ||
		!request->index->amsearcharray)
		return NIL;

	/*
	 * A list for a lower column of the index loses the index's order before
	 * PostgreSQL 17.  The planner knows that of a list in the query, but not
	 * of this one, and would take the scan's rows for ordered.
	 */
	if (request->indexcol != 0)
		return NIL;
	column = linitial(call->args);
	permission = llast(call->args);
	in_space = list_length(call->args) == 3;
	equals = get_opfamily_member(request->opfamily, UUIDOID, UUIDOID,
								 BTEqualStrategyNumber);
	if (!OidIsValid(equals) ||
		request->index->relam != BTREE_AM_OID ||
		!is_pseudo_constant_for_index(request->root, permission,
									  request->index))
		return NIL;

	/* The function of the same extension as can() itself. */
	lister = LookupFuncName(list_make2(makeString(get_namespace_name(get_func_namespace(call->funcid))),
									   makeString(in_space ? "orgs_reached" : "orgs_with")),
							1, text_type, true);
	if (!OidIsValid(lister))
		return NIL;

	list = makeFuncExpr(lister, UUIDARRAYOID, list_make1(permission),
						InvalidOid, call->inputcollid, COERCE_EXPLICIT_CALL);
	condition = makeNode(ScalarArrayOpExpr);
	condition->opno = equals;
	condition->opfuncid = get_opcode(equals);
	condition->useOr = true;
	condition->args = list_make2(column, list);
	condition->location = -1;

	request->lossy = in_space;
	return list_make1(condition);
}

/*
 * orgusers_can_support
 *		Planner support function of both forms of can().  No opinion is NULL.
 */
Datum
orgusers_can_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	switch (nodeTag(request))
	{
		case T_SupportRequestIndexCondition:
			PG_RETURN_POINTER(index_condition((SupportRequestIndexCondition *) request));

		case T_SupportRequestSelectivity:
			{
				SupportRequestSelectivity *selectivity =
					(SupportRequestSelectivity *) request;

				if (selectivity->is_join)
					break;
				selectivity->selectivity =
					fraction_of_orgs(selectivity->root,
									 linitial(selectivity->args),
									 selectivity->varRelid);
				PG_RETURN_POINTER(request);
			}

		case T_SupportRequestCost:
			{
				SupportRequestCost *cost = (SupportRequestCost *) request;

				/* About what two comparisons of a uuid cost. */
				cost->startup = 0;
				cost->per_tuple = 2 * cpu_operator_cost;
				PG_RETURN_POINTER(request);
			}

		default:
			break;
	}
	PG_RETURN_POINTER(NULL);
}
