/*
 * rights.c
 *		The cache of rights: loading, believing, forgetting.
 *
 * There are two layers.  A "numbering" holds what all organizations share:
 * the permissions' numbers, what role templates permit, and every combination
 * of templates (and single permissions) that somebody has.  Each user's rights
 * are one flat object: the organizations in order of their ids, each pointing
 * to its combination, and the spaces assigned to the user.  A change to what is shared makes a new numbering and starts
 * the users' layer anew; the old numbering goes with the last rights that use
 * it.
 *
 * Loading is one prepared look-up as the owner of the tables under a snapshot
 * taken for it, whatever the caller's role, row security and isolation level.
 * Rights that became outdated while they were loaded serve the statement that
 * asked, which began before, and are loaded again for the next.
 */
#include "access/rights.h"

#include "access/invalidation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "identity/identity.h"

typedef struct Numbering
{
	MemoryContext context;		/* holds all of it */
	OrgusersStamp loaded_at;
	int			users;			/* rights that use it */
	int			permissions;
	int			words;			/* of a set of permissions */
	HTAB	   *by_key;			/* text key -> PermissionEntry */
	HTAB	   *sources;		/* "policy/template" -> SourceEntry */
	HTAB	   *role_sets;		/* combination of sources -> RoleSetEntry */
	int			source_count;
	OrgusersRoleSet **source_sets;	/* by number of the source */
} Numbering;

typedef struct PermissionEntry
{
	char		key[NAMEDATALEN];	/* keys have 63 bytes at most */
	int			number;
} PermissionEntry;

/* policy and template have 63 bytes at most each */
#define SOURCE_KEY_LEN (2 * NAMEDATALEN)

/* A role template, or (with an empty template) a policy's base permissions. */
typedef struct SourceEntry
{
	char		key[SOURCE_KEY_LEN];
	int			number;
	bool		in_spaces;		/* permits more in assigned spaces */
} SourceEntry;

/*
 * Two sets of permissions, one behind the other: what holds everywhere in the
 * organization, and what holds in assigned spaces.  The second contains the
 * first.
 */
struct OrgusersRoleSet
{
	int			words;			/* of each set */
	uint64		bits[FLEXIBLE_ARRAY_MEMBER];
};

#define ROLE_SET_SIZE(words) \
	(offsetof(OrgusersRoleSet, bits) + 2 * sizeof(uint64) * (words))

/*
 * The hash key is a digest of the combination, checked on a hit.  A source
 * stands there by its number, a single permission by -1 - its number.
 */
typedef struct RoleSetEntry
{
	uint64		key;
	int			count;
	int		   *combination;
	OrgusersRoleSet *role_set;
} RoleSetEntry;

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
	int			count;
	OrgusersOrgRights orgs[FLEXIBLE_ARRAY_MEMBER];
};

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

PG_FUNCTION_INFO_V1(orgusers_has_role);
PG_FUNCTION_INFO_V1(orgusers_cache_stats);

/*
 * unuse_numbering
 *		Gives up one use of a numbering; an old one goes with its last use.
 */
static void
unuse_numbering(Numbering *old)
{
	if (--old->users == 0 && old != numbering)
		MemoryContextDelete(old->context);
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
 * remember
 *		Puts rights into the cache, and the least recently used out of it as
 *		long as it is larger than it may be.  Rights that are too large for it
 *		by themselves serve their statement and go.
 */
static void
remember(OrgusersRights *rights)
{
	RightsEntry *entry;
	bool		found;

	entry = hash_search(cache, &rights->user_id, HASH_ENTER, &found);
	Assert(!found);
	entry->rights = rights;
	rights->cached = true;
	dlist_push_head(&lru, &rights->lru);
	cache_bytes += rights->bytes;

	while (cache_bytes > (Size) cache_size * 1024)
		forget(dlist_tail_element(OrgusersRights, lru, &lru));
}

/*
 * fetch
 *		Runs a look-up as the owner of the tables under a snapshot taken now.
 *
 * The result is SPI's; the caller is connected.  A catalog snapshot of a
 * table without a system cache is always new, and can be had in a parallel
 * worker too.
 */
static void
fetch(SPIPlanPtr *plan, const char *query, const pg_uuid_t *user_id)
{
	Oid			memberships;
	HeapTuple	class_row;
	Oid			owner;
	Oid			save_userid;
	int			save_sec_context;
	Datum		args[1];

	memberships = get_relname_relid("memberships",
									get_namespace_oid(ORGUSERS_SCHEMA, false));
	class_row = SearchSysCache1(RELOID, ObjectIdGetDatum(memberships));
	if (!HeapTupleIsValid(class_row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s.memberships of extension orgusers is missing",
						ORGUSERS_SCHEMA)));
	owner = ((Form_pg_class) GETSTRUCT(class_row))->relowner;
	ReleaseSysCache(class_row);

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(owner,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	if (*plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID};

		*plan = SPI_prepare_cursor(query, user_id ? 1 : 0, argtypes,
								   CURSOR_OPT_GENERIC_PLAN);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "could not prepare the look-up of rights");
	}
	PushActiveSnapshot(GetCatalogSnapshot(memberships));
	args[0] = UUIDPGetDatum(user_id);
	if (SPI_execute_plan(*plan, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look up rights");
	PopActiveSnapshot();
	SetUserIdAndSecContext(save_userid, save_sec_context);
}

/* A text column of a row of SPI's result, or NULL; in SPI's memory. */
static char *
column_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static HTAB *
make_hash(const char *name, Size keysize, Size entrysize, int flags,
		  MemoryContext context)
{
	HASHCTL		ctl = {0};

	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = context;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_CONTEXT | flags);
}

/* The hash key of a source: policy and template, which have no slash. */
static void
source_key(const char *policy, const char *template, char *key)
{
	memset(key, 0, SOURCE_KEY_LEN);
	snprintf(key, SOURCE_KEY_LEN, "%s/%s", policy, template);
}

static inline void
set_bit(uint64 *bits, int number)
{
	bits[number / 64] |= UINT64CONST(1) << (number % 64);
}

static inline bool
get_bit(const uint64 *bits, int number)
{
	return (bits[number / 64] >> (number % 64) & 1) != 0;
}

/* Puts a permission into a set, for everywhere or for assigned spaces only. */
static void
permit(OrgusersRoleSet *role_set, int number, bool everywhere)
{
	set_bit(role_set->bits + role_set->words, number);
	if (everywhere)
		set_bit(role_set->bits, number);
}

/*
 * load_numbering
 *		Makes a numbering of what is in the tables now, in its own context.
 */
static Numbering *
load_numbering(void)
{
	static SPIPlanPtr plan = NULL;
	Numbering  *result;
	MemoryContext context;
	MemoryContext caller = CurrentMemoryContext;
	OrgusersStamp loaded_at = orgusers_now();
	uint64		rows;

	SPI_connect();
	fetch(&plan,
		  "SELECT k.key, s.policy, s.template, s.everywhere"
		  " FROM orgusers.permissions k LEFT JOIN orgusers.source_permissions s"
		  "  ON s.permission OPERATOR(pg_catalog.=) k.key",
		  NULL);
	rows = SPI_processed;

	/* Below the caller's context until it is whole: an error frees it. */
	context = AllocSetContextCreate(caller, "orgusers numbering",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(context);
	result = palloc0(sizeof(Numbering));
	result->context = context;
	result->loaded_at = loaded_at;
	result->by_key = make_hash("orgusers permissions", NAMEDATALEN,
							   sizeof(PermissionEntry), HASH_STRINGS, context);
	result->sources = make_hash("orgusers sources", SOURCE_KEY_LEN,
								sizeof(SourceEntry), HASH_STRINGS, context);
	result->role_sets = make_hash("orgusers role sets", sizeof(uint64),
								  sizeof(RoleSetEntry), HASH_BLOBS, context);

	for (uint64 i = 0; i < rows; i++)
	{
		bool		found;
		PermissionEntry *permission = hash_search(result->by_key,
												  column_text(i, 1),
												  HASH_ENTER, &found);

		if (!found)
			permission->number = result->permissions++;
	}
	result->words = (result->permissions + 63) / 64;

	/* At most as many sources as rows. */
	result->source_sets = palloc0(sizeof(OrgusersRoleSet *) * (rows + 1));
	for (uint64 i = 0; i < rows; i++)
	{
		char	   *policy = column_text(i, 2);
		bool		everywhere;
		char		key[SOURCE_KEY_LEN];
		bool		found;
		SourceEntry *source;
		PermissionEntry *permission;

		if (policy == NULL)
			continue;			/* a permission that nothing gives */
		everywhere = column_text(i, 4)[0] == 't';
		source_key(policy, column_text(i, 3), key);
		source = hash_search(result->sources, key, HASH_ENTER, &found);
		if (!found)
		{
			source->number = result->source_count++;
			source->in_spaces = false;
			result->source_sets[source->number] =
				palloc0(ROLE_SET_SIZE(result->words));
			result->source_sets[source->number]->words = result->words;
		}
		if (!everywhere)
			source->in_spaces = true;
		permission = hash_search(result->by_key, column_text(i, 1),
								 HASH_FIND, NULL);
		permit(result->source_sets[source->number], permission->number,
			   everywhere);
	}
	MemoryContextSwitchTo(caller);
	SPI_finish();
	return result;
}

/*
 * refresh_numbering
 *		Makes the numbering current, and forgets all rights that used another.
 */
static void
refresh_numbering(void)
{
	Numbering  *fresh;
	Numbering  *old = numbering;

	if (old != NULL && orgusers_shared_changed() <= old->loaded_at)
		return;
	fresh = load_numbering();
	MemoryContextSetParent(fresh->context, cache_context);
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
compare_ints(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/*
 * find_role_set
 *		The permissions of a combination of sources and single permissions,
 *		made at its first use.  Sorts the combination in place.
 */
static const OrgusersRoleSet *
find_role_set(int *combination, int count)
{
	RoleSetEntry *entry;
	OrgusersRoleSet *role_set;
	uint64		key;
	int			distinct = 0;

	qsort(combination, count, sizeof(int), compare_ints);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || combination[i] != combination[i - 1])
			combination[distinct++] = combination[i];
	}
	key = hash_bytes_extended((unsigned char *) combination,
							  distinct * sizeof(int), 0);
	entry = hash_search(numbering->role_sets, &key, HASH_FIND, NULL);
	if (entry != NULL && entry->count == distinct &&
		memcmp(entry->combination, combination, distinct * sizeof(int)) == 0)
		return entry->role_set;

	role_set = MemoryContextAllocZero(numbering->context,
									  ROLE_SET_SIZE(numbering->words));
	role_set->words = numbering->words;
	for (int i = 0; i < distinct; i++)
	{
		OrgusersRoleSet *source;

		if (combination[i] < 0)
		{
			permit(role_set, -1 - combination[i], true);
			continue;
		}
		source = numbering->source_sets[combination[i]];
		for (int w = 0; w < 2 * numbering->words; w++)
			role_set->bits[w] |= source->bits[w];
	}

	/* Another combination of the same digest keeps its place. */
	if (entry == NULL)
	{
		int		   *copy = MemoryContextAlloc(numbering->context,
											  sizeof(int) * (distinct + 1));

		memcpy(copy, combination, sizeof(int) * distinct);
		entry = hash_search(numbering->role_sets, &key, HASH_ENTER, NULL);
		entry->count = distinct;
		entry->combination = copy;
		entry->role_set = role_set;
	}
	return role_set;
}

/*
 * load_orgs
 *		Looks up a user's organizations, in order of their ids, without
 *		spaces.  The result is in the caller's context of SPI; returns how
 *		many there are, and whether assigned spaces matter in any of them.
 */
static int
load_orgs(const pg_uuid_t *user_id, OrgusersOrgRights **orgs, bool *in_spaces)
{
	static SPIPlanPtr plan = NULL;
	uint64		rows;
	int		   *combination;
	int			held = 0;
	int			count = 0;

	fetch(&plan,
		  "SELECT org_id, policy, template, permission FROM orgusers.actor_roles"
		  " WHERE user_id OPERATOR(pg_catalog.=) $1 ORDER BY org_id",
		  user_id);
	rows = SPI_processed;
	*orgs = palloc0(sizeof(OrgusersOrgRights) * (rows + 1));
	*in_spaces = false;
	combination = palloc(sizeof(int) * (rows + 1));

	for (uint64 i = 0; i < rows; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		pg_uuid_t  *org_id = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
		char	   *policy = SPI_getvalue(row, desc, 2);

		if (count == 0 ||
			memcmp(&(*orgs)[count - 1].org_id, org_id, UUID_LEN) != 0)
		{
			if (count > 0)
				(*orgs)[count - 1].roles = find_role_set(combination, held);
			(*orgs)[count++].org_id = *org_id;
			held = 0;
		}
		if (policy != NULL)
		{
			char		key[SOURCE_KEY_LEN];
			SourceEntry *source;

			source_key(policy, SPI_getvalue(row, desc, 3), key);
			source = hash_search(numbering->sources, key, HASH_FIND, NULL);
			/* A source that permits nothing has no number. */
			if (source != NULL)
			{
				combination[held++] = source->number;
				*in_spaces |= source->in_spaces;
			}
		}
		else
		{
			PermissionEntry *permission =
				hash_search(numbering->by_key, SPI_getvalue(row, desc, 4),
							HASH_FIND, NULL);

			/* One that is newer than the numbering makes us load again. */
			if (permission != NULL)
				combination[held++] = -1 - permission->number;
		}
	}
	if (count > 0)
		(*orgs)[count - 1].roles = find_role_set(combination, held);
	return count;
}

/*
 * load_spaces
 *		Looks up the spaces assigned to a user, and enters into the user's
 *		organizations which are theirs.  Returns how many there are.
 */
static int
load_spaces(const pg_uuid_t *user_id, OrgusersOrgRights *orgs, int count,
			pg_uuid_t **spaces)
{
	static SPIPlanPtr plan = NULL;
	int			org = 0;
	int			found = 0;
	uint64		rows;

	fetch(&plan,
		  "SELECT DISTINCT org_id, space_id FROM orgusers.assigned_spaces"
		  " WHERE user_id OPERATOR(pg_catalog.=) $1 ORDER BY org_id, space_id",
		  user_id);
	rows = SPI_processed;
	*spaces = palloc(sizeof(pg_uuid_t) * (rows + 1));

	/* Both are in order of the organizations' ids. */
	for (uint64 i = 0; i < rows; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		pg_uuid_t  *org_id = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
		int			cmp = -1;

		while (org < count &&
			   (cmp = memcmp(&orgs[org].org_id, org_id, UUID_LEN)) < 0)
			org++;
		if (org == count || cmp != 0)
			continue;			/* deactivated there */
		if (orgs[org].space_count++ == 0)
			orgs[org].first_space = found;
		(*spaces)[found++] = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	}
	return found;
}

/*
 * load_rights
 *		Loads a user's rights as they are now.  They are not in the cache yet.
 */
static OrgusersRights *
load_rights(const pg_uuid_t *user_id)
{
	OrgusersRights *rights;
	OrgusersStamp loaded_at = orgusers_now();
	OrgusersOrgRights *orgs;
	pg_uuid_t  *spaces = NULL;
	bool		in_spaces;
	int			count;
	int			space_count = 0;
	Size		size;

	SPI_connect();
	count = load_orgs(user_id, &orgs, &in_spaces);
	if (in_spaces)
		space_count = load_spaces(user_id, orgs, count, &spaces);

	/* What can fail comes before the object that nobody owns yet. */
	orgusers_invalidation_begin();
	size = offsetof(OrgusersRights, orgs) + sizeof(OrgusersOrgRights) * count +
		sizeof(pg_uuid_t) * space_count;
	rights = MemoryContextAllocHuge(cache_context, size);
	rights->user_id = *user_id;
	rights->numbering = numbering;
	numbering->users++;
	rights->loaded_at = rights->checked_at = loaded_at;
	rights->user_slot = orgusers_slot(user_id);
	rights->org_slots = 0;
	for (int i = 0; i < count; i++)
		rights->org_slots |= 1U << orgusers_slot(&orgs[i].org_id);
	rights->pins = 0;
	rights->cached = false;
	rights->bytes = GetMemoryChunkSpace(rights) + sizeof(RightsEntry);
	rights->count = count;
	memcpy(rights->orgs, orgs, sizeof(OrgusersOrgRights) * count);
	rights->spaces = (pg_uuid_t *) &rights->orgs[count];
	if (space_count > 0)
		memcpy(rights->spaces, spaces, sizeof(pg_uuid_t) * space_count);
	SPI_finish();
	return rights;
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
		cache_context = AllocSetContextCreate(TopMemoryContext,
											  "orgusers rights",
											  ALLOCSET_DEFAULT_SIZES);
		cache = make_hash("orgusers rights", sizeof(pg_uuid_t),
						  sizeof(RightsEntry), HASH_BLOBS, cache_context);
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
		rights = load_rights(user_id);
		if (orgusers_shared_changed() <= rights->numbering->loaded_at ||
			round == MAX_ROUNDS)
			break;
		free_rights(rights);
		CHECK_FOR_INTERRUPTS();
	}

	/* The look-up may have come in between, with its own loads. */
	entry = hash_search(cache, user_id, HASH_FIND, NULL);
	if (entry != NULL)
		forget(entry->rights);
	rights->pins++;
	remember(rights);
	return rights;
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
	PermissionEntry *entry;

	if (length >= NAMEDATALEN)
		return -1;
	memcpy(name, key, length);
	name[length] = '\0';
	entry = hash_search(rights->numbering->by_key, name, HASH_FIND, NULL);
	return entry != NULL ? entry->number : -1;
}

/* Whether the rights have a permission everywhere in an organization. */
bool
orgusers_org_rights_have(const OrgusersOrgRights *org,
						 OrgusersPermission permission)
{
	return permission >= 0 && get_bit(org->roles->bits, permission);
}

/* Whether they have it in the organization's spaces that are assigned. */
static bool
have_in_assigned(const OrgusersOrgRights *org, OrgusersPermission permission)
{
	return permission >= 0 &&
		get_bit(org->roles->bits + org->roles->words, permission);
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

static int
compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
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

/* The rights in one organization, NULL for none. */
const OrgusersOrgRights *
orgusers_rights_in(const OrgusersRights *rights, const pg_uuid_t *org_id)
{
	int			low = 0;
	int			high = rights->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			cmp = memcmp(org_id, &rights->orgs[middle].org_id, UUID_LEN);

		if (cmp == 0)
			return &rights->orgs[middle];
		if (cmp < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
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
			if (new == NULL)
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
 * orgusers_has_role
 *		has_role(org_id uuid, role text): whether the actor holds a role of that
 *		name there, by a look-up of what is so now; false for NULLs.
 */
Datum
orgusers_has_role(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	pg_uuid_t	actor;
	char	   *role;
	bool		holds = false;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || !orgusers_current_user(&actor))
		PG_RETURN_BOOL(false);
	role = text_to_cstring(PG_GETARG_TEXT_PP(1));
	SPI_connect();
	fetch(&plan,
		  "SELECT org_id, name FROM orgusers.actor_role_names"
		  " WHERE user_id OPERATOR(pg_catalog.=) $1",
		  &actor);
	for (uint64 i = 0; i < SPI_processed && !holds; i++)
	{
		bool		isnull;
		Datum		org_id = SPI_getbinval(SPI_tuptable->vals[i],
										   SPI_tuptable->tupdesc, 1, &isnull);

		holds = memcmp(DatumGetUUIDP(org_id), PG_GETARG_UUID_P(0),
					   UUID_LEN) == 0 &&
			strcmp(column_text(i, 2), role) == 0;
	}
	SPI_finish();
	PG_RETURN_BOOL(holds);
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
