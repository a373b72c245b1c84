/*
 * load.c
 *		Reads what a user may do, from the tables, as it is now.
 *
 * The same decision as the view rights; tests hold the two together.
 */
#include "access/load.h"

#include "access/invalidation.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* A group that the user is in. */
typedef struct GroupOf
{
	pg_uuid_t	org_id;
	pg_uuid_t	id;
} GroupOf;

/* A part of what a user may do in an organization. */
typedef struct Piece
{
	pg_uuid_t	org_id;
	OrgusersPart part;
} Piece;

/* What is loaded of a user's rights, in the memory of a reading. */
typedef struct Loading
{
	OrgusersReading *reading;
	OrgusersNumbering *numbering;
	const pg_uuid_t *user_id;
	int			active_count;
	pg_uuid_t  *active;			/* organizations, in order of their ids */
	int			group_count;
	GroupOf	   *groups;			/* in order of the organizations' ids */
	int			piece_count;
	Piece	   *pieces;
	OrgusersLoaded loaded;
} Loading;

/* Makes room for one more in an array, whose size is always a power of two. */
#define MAKE_ROOM(array, count) \
	do { \
		if ((count) == 0) \
			(array) = palloc(8 * sizeof(*(array))); \
		else if ((count) >= 8 && ((count) & ((count) - 1)) == 0) \
			(array) = repalloc_huge(array, 2 * (Size) (count) * sizeof(*(array))); \
	} while (0)

static void
add_piece(Loading *loading, const pg_uuid_t *org_id, OrgusersPart part)
{
	MAKE_ROOM(loading->pieces, loading->piece_count);
	loading->pieces[loading->piece_count].org_id = *org_id;
	loading->pieces[loading->piece_count++].part = part;
}

/* Whether the user is an active one of an organization. */
static bool
is_active(const Loading *loading, const pg_uuid_t *org_id)
{
	return bsearch(org_id, loading->active, loading->active_count,
				   sizeof(pg_uuid_t), orgusers_compare_uuids) != NULL;
}

/*
 * load_below
 *		Adds a part to every sub-account of an organization, down to the last.
 */
static void
load_below(Loading *loading, const pg_uuid_t *account_id, OrgusersPart part)
{
	HASHCTL		ctl = {0};
	HTAB	   *seen;
	pg_uuid_t  *accounts = NULL;
	int			count = 0;

	/* A tree has no circle, unless somebody made one without foreign keys. */
	ctl.keysize = sizeof(pg_uuid_t);
	ctl.entrysize = sizeof(pg_uuid_t);
	ctl.hcxt = CurrentMemoryContext;
	seen = hash_create("orgusers sub-accounts", 64, &ctl,
					   HASH_ELEM | HASH_CONTEXT | HASH_BLOBS);
	hash_search(seen, account_id, HASH_ENTER, NULL);
	MAKE_ROOM(accounts, count);
	accounts[count++] = *account_id;
	for (int i = 0; i < count; i++)
	{
		orgusers_read(loading->reading, ORGUSERS_SUBACCOUNTS, &accounts[i],
					  NULL);
		while (orgusers_read_next(loading->reading, ORGUSERS_SUBACCOUNTS))
		{
			pg_uuid_t	id = orgusers_read_uuid(loading->reading,
												ORGUSERS_SUBACCOUNTS, 0);
			bool		found;

			hash_search(seen, &id, HASH_ENTER, &found);
			if (found)
				continue;
			MAKE_ROOM(accounts, count);
			accounts[count++] = id;
			add_piece(loading, &id, part);
		}
	}
}

/*
 * load_role
 *		Adds what a role permits, by its template or (edited) by itself; and,
 *		for a role that reaches below, to the sub-accounts what of it holds
 *		everywhere: nobody is assigned to a space by it there.
 *
 * Editable templates do not reach below.
 */
static void
load_role(Loading *loading, const pg_uuid_t *org_id, const pg_uuid_t *role_id)
{
	OrgusersReading *reading = loading->reading;
	OrgusersNumbering *content = loading->numbering;
	const OrgusersSource *template;

	orgusers_read(reading, ORGUSERS_ROLE, org_id, role_id);
	if (!orgusers_read_next(reading, ORGUSERS_ROLE))
		return;
	template = orgusers_numbering_template(content,
										   orgusers_read_text(reading, ORGUSERS_ROLE, 0),
										   orgusers_read_text(reading, ORGUSERS_ROLE, 1));

	/* What is newer than the numbering makes us load again. */
	if (template == NULL)
		return;
	if (!orgusers_read_bool(reading, ORGUSERS_ROLE, 2))
	{
		add_piece(loading, org_id, ORGUSERS_PART_SOURCE(template));
		if (template->reaches_below)
			load_below(loading, org_id, ORGUSERS_PART_ABOVE(template));
		return;
	}
	orgusers_read(reading, ORGUSERS_ROLE_PERMISSIONS, org_id, role_id);
	while (orgusers_read_next(reading, ORGUSERS_ROLE_PERMISSIONS))
	{
		OrgusersPermission permission =
			orgusers_numbering_permission(content,
										  orgusers_read_text(reading, ORGUSERS_ROLE_PERMISSIONS, 0));

		if (permission < 0)
			continue;
		if (template->all_spaces ||
			!orgusers_numbering_of_spaces(content, permission))
			add_piece(loading, org_id, ORGUSERS_PART_PERMISSION(permission));
		else
			add_piece(loading, org_id, ORGUSERS_PART_IN_SPACES(permission));
	}
}

/* Adds the roles of one of the user's groups. */
static void
load_group(Loading *loading, const pg_uuid_t *org_id, const pg_uuid_t *group_id)
{
	orgusers_read(loading->reading, ORGUSERS_GROUP_ROLES, org_id, group_id);
	while (orgusers_read_next(loading->reading, ORGUSERS_GROUP_ROLES))
	{
		pg_uuid_t	role_id = orgusers_read_uuid(loading->reading,
												 ORGUSERS_GROUP_ROLES, 0);

		load_role(loading, org_id, &role_id);
	}
}

/* Adds a permission that the user has by itself. */
static void
load_own_permission(Loading *loading, const pg_uuid_t *org_id, const char *key)
{
	OrgusersPermission permission =
		orgusers_numbering_permission(loading->numbering, key);

	if (permission >= 0)
		add_piece(loading, org_id, ORGUSERS_PART_PERMISSION(permission));
}

/* Adds the base permissions of an organization's policy. */
static void
load_base(Loading *loading, const pg_uuid_t *org_id)
{
	const OrgusersSource *base;

	orgusers_read(loading->reading, ORGUSERS_ORGANIZATION, org_id, NULL);
	if (!orgusers_read_next(loading->reading, ORGUSERS_ORGANIZATION))
		return;
	base = orgusers_numbering_base(loading->numbering,
								   orgusers_read_text(loading->reading, ORGUSERS_ORGANIZATION, 0));
	if (base != NULL)
		add_piece(loading, org_id, ORGUSERS_PART_SOURCE(base));
}

/*
 * load_pieces
 *		Loads all that a user has, organization by organization or not.
 */
static void
load_pieces(Loading *loading)
{
	OrgusersReading *reading = loading->reading;

	orgusers_read(reading, ORGUSERS_MEMBERSHIPS, loading->user_id, NULL);
	while (orgusers_read_next(reading, ORGUSERS_MEMBERSHIPS))
	{
		pg_uuid_t	org_id = orgusers_read_uuid(reading, ORGUSERS_MEMBERSHIPS, 0);

		if (strcmp(orgusers_read_text(reading, ORGUSERS_MEMBERSHIPS, 1),
				   "active") != 0)
			continue;
		MAKE_ROOM(loading->active, loading->active_count);
		loading->active[loading->active_count++] = org_id;
		add_piece(loading, &org_id, ORGUSERS_PART_MEMBER);
		if (orgusers_numbering_any_base(loading->numbering))
			load_base(loading, &org_id);
	}
	if (loading->active_count == 0)
		return;

	orgusers_read(reading, ORGUSERS_DIRECT_ROLES, loading->user_id, NULL);
	while (orgusers_read_next(reading, ORGUSERS_DIRECT_ROLES))
	{
		pg_uuid_t	org_id = orgusers_read_uuid(reading, ORGUSERS_DIRECT_ROLES, 0);
		pg_uuid_t	role_id = orgusers_read_uuid(reading, ORGUSERS_DIRECT_ROLES, 1);

		if (is_active(loading, &org_id))
			load_role(loading, &org_id, &role_id);
	}

	orgusers_read(reading, ORGUSERS_GROUPS, loading->user_id, NULL);
	while (orgusers_read_next(reading, ORGUSERS_GROUPS))
	{
		GroupOf		group;

		group.org_id = orgusers_read_uuid(reading, ORGUSERS_GROUPS, 0);
		group.id = orgusers_read_uuid(reading, ORGUSERS_GROUPS, 1);
		if (!is_active(loading, &group.org_id))
			continue;
		MAKE_ROOM(loading->groups, loading->group_count);
		loading->groups[loading->group_count++] = group;
		load_group(loading, &group.org_id, &group.id);
	}

	orgusers_read(reading, ORGUSERS_OWN_PERMISSIONS, loading->user_id, NULL);
	while (orgusers_read_next(reading, ORGUSERS_OWN_PERMISSIONS))
	{
		pg_uuid_t	org_id = orgusers_read_uuid(reading, ORGUSERS_OWN_PERMISSIONS, 0);

		if (is_active(loading, &org_id))
			load_own_permission(loading, &org_id,
								orgusers_read_text(reading, ORGUSERS_OWN_PERMISSIONS, 1));
	}
}

/* Puts the pieces together, organization by organization in order of ids. */
static void
put_together(Loading *loading)
{
	OrgusersPart *parts = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(OrgusersPart) * (loading->piece_count + 1));
	int			next;

	qsort(loading->pieces, loading->piece_count, sizeof(Piece),
		  orgusers_compare_uuids);
	loading->loaded.orgs = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(OrgusersOrgRights) * (loading->piece_count + 1));
	for (int i = 0; i < loading->piece_count; i = next)
	{
		OrgusersOrgRights *org = &loading->loaded.orgs[loading->loaded.org_count++];
		int			count = 0;

		org->org_id = loading->pieces[i].org_id;
		org->member = false;
		org->first_space = org->space_count = 0;
		for (next = i; next < loading->piece_count &&
			 orgusers_compare_uuids(&loading->pieces[next], &org->org_id) == 0; next++)
		{
			parts[count] = loading->pieces[next].part;
			if (parts[count] == ORGUSERS_PART_MEMBER)
				org->member = true;
			count++;
		}
		org->roles = orgusers_numbering_role_set(loading->numbering, parts,
												 count);
	}
}

/* Adds the spaces that a path gives. */
static void
add_spaces(Loading *loading, OrgusersPath path, const pg_uuid_t *org_id,
		   const pg_uuid_t *holder)
{
	orgusers_read(loading->reading, path, org_id, holder);
	while (orgusers_read_next(loading->reading, path))
	{
		MAKE_ROOM(loading->loaded.spaces, loading->loaded.space_count);
		loading->loaded.spaces[loading->loaded.space_count++] =
			orgusers_read_uuid(loading->reading, path, 0);
	}
}

/*
 * load_spaces
 *		Adds the spaces that are assigned to the user in an organization,
 *		directly or by groups, in order of their ids.  The groups from *group on
 *		are those of this organization and later ones.
 */
static void
load_spaces(Loading *loading, OrgusersOrgRights *org, int *group)
{
	pg_uuid_t  *spaces;
	int			count;
	int			distinct = 0;
	int			cmp;

	org->first_space = loading->loaded.space_count;
	add_spaces(loading, ORGUSERS_DIRECT_SPACES, &org->org_id, loading->user_id);
	while (*group < loading->group_count &&
		   (cmp = orgusers_compare_uuids(&loading->groups[*group], &org->org_id)) <= 0)
	{
		if (cmp == 0)
			add_spaces(loading, ORGUSERS_GROUP_SPACES, &org->org_id,
					   &loading->groups[*group].id);
		(*group)++;
	}

	spaces = loading->loaded.spaces + org->first_space;
	count = loading->loaded.space_count - org->first_space;
	if (count > 1)
		qsort(spaces, count, sizeof(pg_uuid_t), orgusers_compare_uuids);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || orgusers_compare_uuids(&spaces[i], &spaces[i - 1]) != 0)
			spaces[distinct++] = spaces[i];
	}
	org->space_count = distinct;
	loading->loaded.space_count = org->first_space + distinct;
}

/*
 * orgusers_load
 *		Reads a user's organizations, in order of their ids, with the sets of
 *		permissions there, and the spaces assigned to the user, in the order of
 *		the organizations.  The result is in the reading's memory.
 */
void
orgusers_load(OrgusersReading *reading, OrgusersNumbering *numbering,
			  const pg_uuid_t *user_id, OrgusersLoaded *result)
{
	Loading		loading = {0};
	int			group = 0;

	loading.reading = reading;
	loading.numbering = numbering;
	loading.user_id = user_id;
	load_pieces(&loading);
	put_together(&loading);
	for (int i = 0; i < loading.loaded.org_count; i++)
	{
		OrgusersOrgRights *org = &loading.loaded.orgs[i];

		if (org->member && org->roles->in_spaces)
			load_spaces(&loading, org, &group);
	}
	*result = loading.loaded;
}

/*
 * orgusers_any_held_role
 *		Whether a role that an active user holds in an organization, directly or
 *		by a group, passes a test.
 */
bool
orgusers_any_held_role(OrgusersReading *reading, const pg_uuid_t *user_id,
					   const pg_uuid_t *org_id, OrgusersRoleTest test,
					   const void *arg)
{
	pg_uuid_t	role_id;

	orgusers_read(reading, ORGUSERS_MEMBERSHIPS, user_id, org_id);
	if (!orgusers_read_next(reading, ORGUSERS_MEMBERSHIPS) ||
		strcmp(orgusers_read_text(reading, ORGUSERS_MEMBERSHIPS, 1),
			   "active") != 0)
		return false;
	orgusers_read(reading, ORGUSERS_DIRECT_ROLES, user_id, org_id);
	while (orgusers_read_next(reading, ORGUSERS_DIRECT_ROLES))
	{
		role_id = orgusers_read_uuid(reading, ORGUSERS_DIRECT_ROLES, 1);
		if (test(reading, org_id, &role_id, arg))
			return true;
	}
	orgusers_read(reading, ORGUSERS_GROUPS, user_id, org_id);
	while (orgusers_read_next(reading, ORGUSERS_GROUPS))
	{
		pg_uuid_t	group_id = orgusers_read_uuid(reading, ORGUSERS_GROUPS, 1);

		orgusers_read(reading, ORGUSERS_GROUP_ROLES, org_id, &group_id);
		while (orgusers_read_next(reading, ORGUSERS_GROUP_ROLES))
		{
			role_id = orgusers_read_uuid(reading, ORGUSERS_GROUP_ROLES, 0);
			if (test(reading, org_id, &role_id, arg))
				return true;
		}
	}
	return false;
}

static bool
has_name(OrgusersReading *reading, const pg_uuid_t *org_id,
		 const pg_uuid_t *role_id, const void *name)
{
	orgusers_read(reading, ORGUSERS_ROLE_NAME, org_id, role_id);
	return orgusers_read_next(reading, ORGUSERS_ROLE_NAME) &&
		strcmp(orgusers_read_text(reading, ORGUSERS_ROLE_NAME, 0), name) == 0;
}

/*
 * orgusers_holds_role
 *		Whether an active user holds a role of that name in an organization,
 *		directly or by a group, as of now.  Not cached.
 */
bool
orgusers_holds_role(const pg_uuid_t *user_id, const pg_uuid_t *org_id,
					const char *name)
{
	OrgusersReading *reading;
	bool		holds;

	orgusers_invalidation_begin();
	reading = orgusers_reading_begin();
	holds = orgusers_any_held_role(reading, user_id, org_id, has_name, name);
	orgusers_reading_end(reading);
	return holds;
}
