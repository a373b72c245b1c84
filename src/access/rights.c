/*
 * rights.c
 *		The cache of rights: loading, believing, forgetting.
 *
 * There are two layers.  A numbering (numbering.h) holds what all
 * organizations share.  Each user's rights are one flat object: the
 * organizations in order of their ids, each pointing to its set of
 * permissions, and the spaces assigned to the user.  A change to what is
 * shared makes a new numbering and starts the users' layer anew; the old
 * numbering goes with the last rights that use it.
 *
 * Loading reads what is so now (lookup.h), whatever the caller's role, row
 * security and isolation level, by the same decision as the view rights.
 * Rights that became outdated while they were loaded serve the statement that
 * asked, which began before, and are loaded again for the next.
 */
#include "access/rights.h"

#include "access/invalidation.h"
#include "access/lookup.h"
#include "funcapi.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* A numbering in use. */
typedef struct Numbering
{
	OrgusersNumbering *content;
	OrgusersStamp loaded_at;
	int			users;			/* rights that use it */
} Numbering;

struct OrgusersRights
{
	pg_uuid_t	user_id;
	Numbering  *numbering;
	OrgusersStamp loaded_at;
	OrgusersStamp checked_at;	/* found current at that moment */
	uint32		org_slots;		/* slots of its organizations, as bits */
	int			user_slot;
	int			pins;
	bool		cached;
	dlist_node	lru;
	Size		bytes;
	pg_uuid_t  *spaces;			/* behind the organizations, in their order */
	uint32	   *places;			/* hash: 1 + index of an organization, 0 for none */
	uint32		mask;			/* of its size, a power of two */
	int			count;
	OrgusersOrgRights orgs[FLEXIBLE_ARRAY_MEMBER];
};

/* Where an organization stands in the hash, or the first place behind. */
static inline uint32
hash_org(const pg_uuid_t *org_id)
{
	uint64		halves[2];

	memcpy(halves, org_id, UUID_LEN);
	return (uint32) (((halves[0] + 31 * halves[1]) *
					  UINT64CONST(0x9E3779B97F4A7C15)) >> 32);
}

typedef struct RightsEntry
{
	pg_uuid_t	user_id;		/* hash key */
	OrgusersRights *rights;
} RightsEntry;

static int	cache_size;			/* orgusers.cache_size, in kB */

/* Loads of rights while what is shared keeps changing. */
#define MAX_ROUNDS 4

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static dlist_head lru = DLIST_STATIC_INIT(lru); /* most recently used first */
static Size cache_bytes = 0;
static Numbering *numbering = NULL;

/* For cache_stats(). */
static int64 hits = 0;
static int64 misses = 0;
static int64 invalidated = 0;

PG_FUNCTION_INFO_V1(orgusers_cache_stats);

/*
 * unuse_numbering
 *		Gives up one use of a numbering; an old one goes with its last use.
 */
static void
unuse_numbering(Numbering *old)
{
	/* It lives in its content's context itself. */
	if (--old->users == 0 && old != numbering)
		MemoryContextDelete(orgusers_numbering_context(old->content));
}

static void
free_rights(OrgusersRights *rights)
{
	Assert(!rights->cached && rights->pins == 0);
	unuse_numbering(rights->numbering);
	pfree(rights);
}

/*
 * forget
 *		Takes rights out of the cache; they go when nobody has a pin on them.
 */
static void
forget(OrgusersRights *rights)
{
	Assert(rights->cached);
	hash_search(cache, &rights->user_id, HASH_REMOVE, NULL);
	dlist_delete(&rights->lru);
	cache_bytes -= rights->bytes;
	rights->cached = false;
	if (rights->pins == 0)
		free_rights(rights);
}

/*
 * refresh_numbering
 *		Makes the numbering current, and forgets all rights that used another.
 */
static void
refresh_numbering(void)
{
	Numbering  *old = numbering;
	OrgusersStamp loaded_at = orgusers_now();
	OrgusersNumbering *content;
	Numbering  *fresh;

	if (old != NULL && orgusers_shared_changed() <= old->loaded_at)
		return;
	content = orgusers_numbering_load();
	fresh = MemoryContextAllocZero(orgusers_numbering_context(content),
								   sizeof(Numbering));
	fresh->content = content;
	fresh->loaded_at = loaded_at;
	MemoryContextSetParent(orgusers_numbering_context(content), cache_context);
	numbering = fresh;
	if (old != NULL)
	{
		old->users++;			/* outlive the loop */
		while (!dlist_is_empty(&lru))
			forget(dlist_tail_element(OrgusersRights, lru, &lru));
		unuse_numbering(old);
	}
}

static int
compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

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
	const pg_uuid_t *user_id;
	int			active_count;
	pg_uuid_t  *active;			/* organizations, in order of their ids */
	int			group_count;
	GroupOf	   *groups;			/* in order of the organizations' ids */
	int			piece_count;
	Piece	   *pieces;
	int			org_count;
	OrgusersOrgRights *orgs;
	int			space_count;
	pg_uuid_t  *spaces;
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
				   sizeof(pg_uuid_t), compare_uuids) != NULL;
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
	OrgusersNumbering *content = numbering->content;
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
		orgusers_numbering_permission(numbering->content, key);

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
	base = orgusers_numbering_base(numbering->content,
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
		if (orgusers_numbering_any_base(numbering->content))
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
		  compare_uuids);
	loading->orgs = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(OrgusersOrgRights) * (loading->piece_count + 1));
	for (int i = 0; i < loading->piece_count; i = next)
	{
		OrgusersOrgRights *org = &loading->orgs[loading->org_count++];
		int			count = 0;

		org->org_id = loading->pieces[i].org_id;
		org->member = false;
		org->first_space = org->space_count = 0;
		for (next = i; next < loading->piece_count &&
			 compare_uuids(&loading->pieces[next], &org->org_id) == 0; next++)
		{
			parts[count] = loading->pieces[next].part;
			if (parts[count] == ORGUSERS_PART_MEMBER)
				org->member = true;
			count++;
		}
		org->roles = orgusers_numbering_role_set(numbering->content, parts,
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
		MAKE_ROOM(loading->spaces, loading->space_count);
		loading->spaces[loading->space_count++] =
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

	org->first_space = loading->space_count;
	add_spaces(loading, ORGUSERS_DIRECT_SPACES, &org->org_id, loading->user_id);
	while (*group < loading->group_count &&
		   (cmp = compare_uuids(&loading->groups[*group], &org->org_id)) <= 0)
	{
		if (cmp == 0)
			add_spaces(loading, ORGUSERS_GROUP_SPACES, &org->org_id,
					   &loading->groups[*group].id);
		(*group)++;
	}

	spaces = loading->spaces + org->first_space;
	count = loading->space_count - org->first_space;
	if (count > 1)
		qsort(spaces, count, sizeof(pg_uuid_t), compare_uuids);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || compare_uuids(&spaces[i], &spaces[i - 1]) != 0)
			spaces[distinct++] = spaces[i];
	}
	org->space_count = distinct;
	loading->space_count = org->first_space + distinct;
}

/*
 * remember
 *		Makes the object of what was loaded, with one pin, and puts it into the
 *		cache; the least recently used go out of it as long as it is larger
 *		than it may be.  Rights that are too large for it by themselves serve
 *		their statement and go.
 *
 * An error on the way (out of memory) leaves nothing behind.
 */
static OrgusersRights *
remember(const Loading *loading, OrgusersStamp loaded_at)
{
	int			count = loading->org_count;
	uint32		places = 4;
	Size		size;
	OrgusersRights *rights;
	RightsEntry *entry;

	while (places < 2 * (uint32) count)
		places *= 2;
	size = offsetof(OrgusersRights, orgs) +
		sizeof(OrgusersOrgRights) * count +
		sizeof(pg_uuid_t) * loading->space_count +
		sizeof(uint32) * places;

	entry = hash_search(cache, loading->user_id, HASH_FIND, NULL);
	if (entry != NULL)
		forget(entry->rights);
	entry = hash_search(cache, loading->user_id, HASH_ENTER, NULL);
	rights = MemoryContextAllocExtended(cache_context, size,
										MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (rights == NULL)
	{
		hash_search(cache, loading->user_id, HASH_REMOVE, NULL);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed on %zu bytes for the rights of a user.",
						   size)));
	}
	entry->rights = rights;

	rights->user_id = *loading->user_id;
	rights->numbering = numbering;
	numbering->users++;
	rights->loaded_at = rights->checked_at = loaded_at;
	rights->user_slot = orgusers_slot(loading->user_id);
	rights->org_slots = 0;
	rights->count = count;
	memcpy(rights->orgs, loading->orgs, sizeof(OrgusersOrgRights) * count);
	rights->spaces = (pg_uuid_t *) &rights->orgs[count];
	if (loading->space_count > 0)
		memcpy(rights->spaces, loading->spaces, sizeof(pg_uuid_t) * loading->space_count);
	rights->places = (uint32 *) &rights->spaces[loading->space_count];
	rights->mask = places - 1;
	memset(rights->places, 0, sizeof(uint32) * places);
	for (int i = 0; i < count; i++)
	{
		uint32		at = hash_org(&rights->orgs[i].org_id);

		while (rights->places[at & rights->mask] != 0)
			at++;
		rights->places[at & rights->mask] = i + 1;
		rights->org_slots |= 1U << orgusers_slot(&rights->orgs[i].org_id);
	}

	rights->pins = 1;
	rights->cached = true;
	rights->bytes = GetMemoryChunkSpace(rights) + sizeof(RightsEntry);
	dlist_push_head(&lru, &rights->lru);
	cache_bytes += rights->bytes;
	while (cache_bytes > (Size) cache_size * 1024)
		forget(dlist_tail_element(OrgusersRights, lru, &lru));
	return rights;
}

/*
 * load_rights
 *		Loads a user's rights as they are now, with a pin for the caller; NULL
 *		when what is shared changed meanwhile, unless that is to be ignored.
 */
static OrgusersRights *
load_rights(const pg_uuid_t *user_id, bool ignore_change)
{
	OrgusersStamp loaded_at = orgusers_now();
	OrgusersRights *rights = NULL;
	Loading		loading = {0};
	int			group = 0;

	loading.reading = orgusers_reading_begin();
	loading.user_id = user_id;
	load_pieces(&loading);
	put_together(&loading);
	for (int i = 0; i < loading.org_count; i++)
	{
		if (loading.orgs[i].member && loading.orgs[i].roles->in_spaces)
			load_spaces(&loading, &loading.orgs[i], &group);
	}

	orgusers_invalidation_begin();
	if (ignore_change || orgusers_shared_changed() <= numbering->loaded_at)
		rights = remember(&loading, loaded_at);
	orgusers_reading_end(loading.reading);
	return rights;
}

static bool
has_name(OrgusersReading *reading, const pg_uuid_t *org_id,
		 const pg_uuid_t *role_id, const char *name)
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
	bool		holds = false;

	orgusers_invalidation_begin();
	reading = orgusers_reading_begin();
	orgusers_read(reading, ORGUSERS_MEMBERSHIPS, user_id, org_id);
	if (orgusers_read_next(reading, ORGUSERS_MEMBERSHIPS) &&
		strcmp(orgusers_read_text(reading, ORGUSERS_MEMBERSHIPS, 1),
			   "active") == 0)
	{
		orgusers_read(reading, ORGUSERS_DIRECT_ROLES, user_id, org_id);
		while (!holds && orgusers_read_next(reading, ORGUSERS_DIRECT_ROLES))
		{
			pg_uuid_t	role_id = orgusers_read_uuid(reading, ORGUSERS_DIRECT_ROLES, 1);

			holds = has_name(reading, org_id, &role_id, name);
		}
		orgusers_read(reading, ORGUSERS_GROUPS, user_id, org_id);
		while (!holds && orgusers_read_next(reading, ORGUSERS_GROUPS))
		{
			pg_uuid_t	group_id = orgusers_read_uuid(reading, ORGUSERS_GROUPS, 1);

			orgusers_read(reading, ORGUSERS_GROUP_ROLES, org_id, &group_id);
			while (!holds && orgusers_read_next(reading, ORGUSERS_GROUP_ROLES))
			{
				pg_uuid_t	role_id = orgusers_read_uuid(reading, ORGUSERS_GROUP_ROLES, 0);

				holds = has_name(reading, org_id, &role_id, name);
			}
		}
	}
	orgusers_reading_end(reading);
	return holds;
}

/*
 * orgusers_rights_current
 *		Whether nothing that these rights are made of has changed since they
 *		were loaded, as far as this backend has been told.
 */
bool
orgusers_rights_current(OrgusersRights *rights)
{
	OrgusersStamp loaded_at = rights->loaded_at;

	if (rights->checked_at == orgusers_now())
		return true;
	if (orgusers_user_slot_changed(rights->user_slot) > loaded_at ||
		orgusers_shared_changed() > loaded_at)
		return false;
	for (int slot = 0; slot < ORGUSERS_SLOTS; slot++)
	{
		if ((rights->org_slots & (1U << slot)) != 0 &&
			orgusers_org_slot_changed(slot) > loaded_at)
			return false;
	}
	rights->checked_at = orgusers_now();
	return true;
}

/*
 * orgusers_rights_pin
 *		The rights that a user has now, with a pin for the caller.
 *
 * Takes in what other backends have told, so that what they committed before
 * is in it.
 */
OrgusersRights *
orgusers_rights_pin(const pg_uuid_t *user_id)
{
	OrgusersRights *rights;
	RightsEntry *entry;

	orgusers_invalidation_begin();
	if (cache == NULL)
	{
		HASHCTL		ctl = {0};

		cache_context = AllocSetContextCreate(TopMemoryContext,
											  "orgusers rights",
											  ALLOCSET_DEFAULT_SIZES);
		ctl.keysize = sizeof(pg_uuid_t);
		ctl.entrysize = sizeof(RightsEntry);
		ctl.hcxt = cache_context;
		cache = hash_create("orgusers rights", 64, &ctl,
							HASH_ELEM | HASH_CONTEXT | HASH_BLOBS);
	}

	entry = hash_search(cache, user_id, HASH_FIND, NULL);
	if (entry != NULL && orgusers_rights_current(entry->rights))
	{
		hits++;
		rights = entry->rights;
		dlist_move_head(&lru, &rights->lru);
		rights->pins++;
		return rights;
	}

	/*
	 * Rights and numbering come from two snapshots, so they are joined when
	 * nothing shared changed in between.  Any other change that came while
	 * rights were loaded is for the next statement, which will find them
	 * outdated.  So is one to what is shared, after a few rounds: waiting for
	 * quiet could take forever.
	 */
	misses++;
	if (entry != NULL)
		invalidated++;
	for (int round = 1;; round++)
	{
		refresh_numbering();
		rights = load_rights(user_id, round == MAX_ROUNDS);
		if (rights != NULL)
			return rights;
	}
}

/* One more pin on rights that the caller has. */
void
orgusers_rights_pin_again(OrgusersRights *rights)
{
	Assert(rights->pins > 0);
	rights->pins++;
}

/* Gives a pin back. */
void
orgusers_rights_unpin(OrgusersRights *rights)
{
	Assert(rights->pins > 0);
	if (--rights->pins == 0 && !rights->cached)
		free_rights(rights);
}

/* Whose rights these are. */
const pg_uuid_t *
orgusers_rights_user(const OrgusersRights *rights)
{
	return &rights->user_id;
}

/* The number of a permission, -1 for one that is not registered. */
OrgusersPermission
orgusers_rights_number(const OrgusersRights *rights, const char *key, int length)
{
	char		name[NAMEDATALEN];

	if (length >= NAMEDATALEN)
		return -1;
	memcpy(name, key, length);
	name[length] = '\0';
	return orgusers_numbering_permission(rights->numbering->content, name);
}

static bool
has_bit(const uint64 *bits, int number)
{
	return (bits[number / 64] >> (number % 64) & 1) != 0;
}

/* Whether the rights have a permission everywhere in an organization. */
bool
orgusers_org_rights_have(const OrgusersOrgRights *org,
						 OrgusersPermission permission)
{
	return permission >= 0 && has_bit(org->roles->bits, permission);
}

/* Whether they have it in the organization's spaces that are assigned. */
static bool
have_in_assigned(const OrgusersOrgRights *org, OrgusersPermission permission)
{
	return permission >= 0 &&
		has_bit(org->roles->bits + org->roles->words, permission);
}

/* Whether they have it everywhere or in some space. */
bool
orgusers_org_rights_reach(const OrgusersOrgRights *org,
						  OrgusersPermission permission)
{
	return orgusers_org_rights_have(org, permission) ||
		(org->space_count > 0 && have_in_assigned(org, permission));
}

/* The spaces assigned in an organization: org->space_count of them, in order. */
const pg_uuid_t *
orgusers_org_rights_spaces(const OrgusersRights *rights,
						   const OrgusersOrgRights *org)
{
	return rights->spaces + org->first_space;
}

/* Whether the rights have a permission in a space of an organization. */
bool
orgusers_rights_in_space(const OrgusersRights *rights,
						 const OrgusersOrgRights *org,
						 const pg_uuid_t *space_id,
						 OrgusersPermission permission)
{
	if (orgusers_org_rights_have(org, permission))
		return true;
	return org->space_count > 0 && have_in_assigned(org, permission) &&
		bsearch(space_id, orgusers_org_rights_spaces(rights, org),
				org->space_count, sizeof(pg_uuid_t), compare_uuids) != NULL;
}

/* The organizations, in order of their ids; returns how many. */
int
orgusers_rights_orgs(const OrgusersRights *rights,
					 const OrgusersOrgRights **orgs)
{
	*orgs = rights->orgs;
	return rights->count;
}

/* As orgusers_rights_in(), for what is asked of each row. */
static inline const OrgusersOrgRights *
find_org(const OrgusersRights *rights, const pg_uuid_t *org_id)
{
	uint32		place;

	for (uint32 at = hash_org(org_id);
		 (place = rights->places[at & rights->mask]) != 0;
		 at++)
	{
		const OrgusersOrgRights *org = &rights->orgs[place - 1];

		if (memcmp(&org->org_id, org_id, UUID_LEN) == 0)
			return org;
	}
	return NULL;
}

/* The rights in one organization, NULL for none. */
const OrgusersOrgRights *
orgusers_rights_in(const OrgusersRights *rights, const pg_uuid_t *org_id)
{
	return find_org(rights, org_id);
}

/* Whether the rights have a permission everywhere in an organization. */
bool
orgusers_rights_have(const OrgusersRights *rights, const pg_uuid_t *org_id,
					 OrgusersPermission permission)
{
	const OrgusersOrgRights *org = find_org(rights, org_id);

	return org != NULL && orgusers_org_rights_have(org, permission);
}

/* Whether a's spaces in an organization are all among b's. */
static bool
spaces_within(const OrgusersRights *a, const OrgusersOrgRights *in_a,
			  const OrgusersRights *b, const OrgusersOrgRights *in_b)
{
	const pg_uuid_t *spaces = orgusers_org_rights_spaces(a, in_a);

	for (int i = 0; i < in_a->space_count; i++)
	{
		if (bsearch(&spaces[i], orgusers_org_rights_spaces(b, in_b),
					in_b->space_count, sizeof(pg_uuid_t),
					compare_uuids) == NULL)
			return false;
	}
	return true;
}

/*
 * orgusers_rights_cover
 *		Whether nothing is lost of what a user had before: of a permission, or
 *		(NULL) of membership.
 */
bool
orgusers_rights_cover(const OrgusersRights *now, const OrgusersRights *before,
					  const char *permission)
{
	OrgusersPermission old_number = -1;
	OrgusersPermission number = -1;

	if (now == before)
		return true;
	if (permission != NULL)
	{
		old_number = orgusers_rights_number(before, permission,
											strlen(permission));
		number = orgusers_rights_number(now, permission, strlen(permission));
	}
	for (int i = 0; i < before->count; i++)
	{
		const OrgusersOrgRights *old = &before->orgs[i];
		const OrgusersOrgRights *new = orgusers_rights_in(now, &old->org_id);

		if (permission == NULL)
		{
			if (new == NULL || (old->member && !new->member))
				return false;
		}
		else if (orgusers_org_rights_reach(old, old_number) &&
				 !(new != NULL && orgusers_org_rights_have(new, number)))
		{
			/* Not everywhere now: then not before, and in the same spaces. */
			if (new == NULL || orgusers_org_rights_have(old, old_number) ||
				!have_in_assigned(new, number) ||
				!spaces_within(before, old, now, new))
				return false;
		}
	}
	return true;
}

/*
 * orgusers_cache_stats
 *		cache_stats(): users whose rights are cached in this session, how often
 *		rights were asked for and were there (hits), were not (misses), or were
 *		outdated (invalidations, among the misses), and the bytes in use.
 */
Datum
orgusers_cache_stats(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(cache != NULL ? hash_get_num_entries(cache) : 0);
	values[1] = Int64GetDatum(hits);
	values[2] = Int64GetDatum(misses);
	values[3] = Int64GetDatum(invalidated);
	values[4] = Int64GetDatum(cache_context != NULL ?
							  MemoryContextMemAllocated(cache_context, true) : 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * orgusers_rights_init
 *		Defines the room's setting.
 */
void
orgusers_rights_init(void)
{
	DefineCustomIntVariable("orgusers.cache_size",
							"Most memory for cached rights in each session.",
							"The rights that were used least recently go first. Nothing is lost: they are looked up again.",
							&cache_size,
							4096, 64, MAX_KILOBYTES,
							PGC_SUSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
}
