/*
 * numbering.h
 *		Permissions by number, and sets of them.
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
	uint64		bits[FLEXIBLE_ARRAY_MEMBER];
} OrgusersRoleSet;

extern OrgusersNumbering *orgusers_numbering_load(void);
extern MemoryContext orgusers_numbering_context(const OrgusersNumbering *numbering);
extern OrgusersPermission orgusers_numbering_permission(const OrgusersNumbering *numbering,
														const char *key);
extern int	orgusers_numbering_source(const OrgusersNumbering *numbering,
									  const char *policy, const char *template,
									  bool *in_spaces);
extern const OrgusersRoleSet *orgusers_numbering_role_set(OrgusersNumbering *numbering,
														  int *combination, int count);

#endif							/* ORGUSERS_NUMBERING_H */
