/*
 * rights.c
 *		The cache of rights: remembering, believing, forgetting.
 *
 * There are two layers.  A numbering (numbering.h) holds what all
 * organizations share.  Each user's rights are one flat object: the
 * organizations in order of their ids, each pointing to its set of
 * permissions, and the spaces assigned to the user.  A change to what is
 * shared makes a new numbering and starts the users' layer anew; the old
 * numbering goes with the last rights that use it.
 *
 * Loading (load.h) reads what is so now, whatever the caller's role, row
 * security and isolation level, by the same decision as the view rights.
 * Rights that became outdated while they were loaded serve the statement that
 * asked, which began before, and are loaded again for the next.
 */
#include "access/rights.h"

#include "access/invalidation.h"
#include "access/load.h"
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

/* Where the search for an organization in the hash begins. */
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
remember(const pg_uuid_t *user_id, const OrgusersLoaded *loaded,
		 OrgusersStamp loaded_at)
{
	int			count = loaded->org_count;
	uint32		places = 4;
	Size		size;
	OrgusersRights *rights;
	RightsEntry *entry;

	while (places < 2 * (uint32) count)
		places *= 2;
	size = offsetof(OrgusersRights, orgs) +
		sizeof(OrgusersOrgRights) * count +
		sizeof(pg_uuid_t) * loaded->space_count +
		sizeof(uint32) * places;

	entry = hash_search(cache, user_id, HASH_FIND, NULL);
	if (entry != NULL)
		forget(entry->rights);
	entry = hash_search(cache, user_id, HASH_ENTER, NULL);
	rights = MemoryContextAllocExtended(cache_context, size,
										MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (rights == NULL)
	{
		hash_search(cache, user_id, HASH_REMOVE, NULL);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed on %zu bytes for the rights of a user.",
						   size)));
	}
	entry->rights = rights;

	rights->user_id = *user_id;
	rights->numbering = numbering;
	numbering->users++;
	rights->loaded_at = rights->checked_at = loaded_at;
	rights->user_slot = orgusers_slot(user_id);
	rights->org_slots = 0;
	rights->count = count;
	memcpy(rights->orgs, loaded->orgs, sizeof(OrgusersOrgRights) * count);
	rights->spaces = (pg_uuid_t *) &rights->orgs[count];
	if (loaded->space_count > 0)
		memcpy(rights->spaces, loaded->spaces, sizeof(pg_uuid_t) * loaded->space_count);
	rights->places = (uint32 *) &rights->spaces[loaded->space_count];
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
	OrgusersReading *reading;
	OrgusersLoaded loaded;

	reading = orgusers_reading_begin();
	orgusers_load(reading, numbering->content, user_id, &loaded);

	orgusers_invalidation_begin();
	if (ignore_change || orgusers_shared_changed() <= numbering->loaded_at)
		rights = remember(user_id, &loaded, loaded_at);
	orgusers_reading_end(reading);
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
				org->space_count, sizeof(pg_uuid_t), orgusers_compare_uuids) != NULL;
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
					orgusers_compare_uuids) == NULL)
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
