/*
 * numbering.h
 *		Permissions and role templates by number, and sets of permissions.
 */
#ifndef ORGUSERS_NUMBERING_H
#define ORGUSERS_NUMBERING_H

#include "orgusers.h"

/* Number of a permission in one numbering; < 0 for none. */
typedef int OrgusersPermission;

typedef struct OrgusersNumbering OrgusersNumbering;

/*
 * Two sets of permissions, one behind the other: what holds everywhere in the
 * organization, and what holds in assigned spaces.  The second contains the
 * first.
 */
typedef struct OrgusersRoleSet
{
	int			words;			/* of each set */
	bool		in_spaces;		/* the second set has more */
	uint64		bits[FLEXIBLE_ARRAY_MEMBER];
} OrgusersRoleSet;

/* A role template or, without a template, a policy's base permissions. */
typedef struct OrgusersSource
{
	int			number;
	bool		all_spaces;
	bool		reaches_below;
	OrgusersRoleSet *permits;
} OrgusersSource;

/*
 * Part of what somebody may do in an organization.  Being an active user
 * permits nothing by itself.
 */
typedef int OrgusersPart;

#define ORGUSERS_PART_MEMBER	(-1)
#define ORGUSERS_PART_SOURCE(source)	((source)->number * 4)
/* of the source, only what holds everywhere */
#define ORGUSERS_PART_ABOVE(source)		((source)->number * 4 + 1)
#define ORGUSERS_PART_PERMISSION(number)	((number) * 4 + 2)
#define ORGUSERS_PART_IN_SPACES(number)		((number) * 4 + 3)

extern OrgusersNumbering *orgusers_numbering_load(void);
extern MemoryContext orgusers_numbering_context(const OrgusersNumbering *numbering);
extern OrgusersPermission orgusers_numbering_permission(const OrgusersNumbering *numbering,
														const char *key);
extern bool orgusers_numbering_of_spaces(const OrgusersNumbering *numbering,
										 OrgusersPermission permission);
extern const OrgusersSource *orgusers_numbering_template(const OrgusersNumbering *numbering,
														 const char *policy,
														 const char *template);
extern bool orgusers_numbering_any_base(const OrgusersNumbering *numbering);
extern const OrgusersSource *orgusers_numbering_base(const OrgusersNumbering *numbering,
													 const char *policy);
extern const OrgusersRoleSet *orgusers_numbering_role_set(OrgusersNumbering *numbering,
														  OrgusersPart *parts,
														  int count);

#endif							/* ORGUSERS_NUMBERING_H */
