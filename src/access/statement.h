/*
 * statement.h
 *		The rights that hold within one statement.
 */
#ifndef ORGUSERS_STATEMENT_H
#define ORGUSERS_STATEMENT_H

#include "access/rights.h"

/* What one place in a query that asks about the actor keeps between rows. */
typedef struct OrgusersAsking
{
	uint64		statement_id;	/* 0: a statement of its own, each time */
	uint64		actor_changes;	/* count at which it got its rights */
	OrgusersRights *rights;
	OrgusersPermission permission;
	bool		constant;		/* the permission is the same for a whole run */
	bool		numbered;		/* its number above holds for the next row */
} OrgusersAsking;

/* For who asks about membership alone. */
#define ORGUSERS_NO_PERMISSION_ARG (-1)

extern OrgusersAsking *orgusers_ask(FunctionCallInfo fcinfo, int permission_arg);
extern void orgusers_statement_init(void);

#endif							/* ORGUSERS_STATEMENT_H */
