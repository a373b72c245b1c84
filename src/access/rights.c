/*
 * rights.c
 *		The cache of rights: loading, believing, forgetting.
 *
 * There are two layers.  A "numbering" holds what all organizations share:
 * the permissions' numbers, the role templates' permissions, and every
 * combination of templates that somebody holds.  Each user's rights are one
 * flat object: the organizations in order of their ids, each pointing to its
 * combination.  A change to what is shared makes a new numbering and starts
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

typedef struct Numbering
{
	MemoryContext context;		/* holds all of it */
	OrgusersStamp loaded_at;
	int			users;			/* rights that use it */
	int			permissions;
	int			words;			/* of a set of permissions */
	HTAB	   *by_key;			/* text key -> PermissionEntry */
	HTAB	   *templates;		/* "policy/template" -> TemplateEntry */
	HTAB	   *role_sets;		/* combination of templates -> RoleSetEntry */
	int			template_count;
	const uint64 **template_bits;	/* by number of the template */
} Numbering;

typedef struct PermissionEntry
{
	char		key[NAMEDATALEN];	/* keys have 63 bytes at most */
	int			number;
} PermissionEntry;

/* policy and template have 63 bytes at most each */
#define TEMPLATE_KEY_LEN (2 * NAMEDATALEN)

typedef struct TemplateEntry
{
	char		key[TEMPLATE_KEY_LEN];
	int			number;
} TemplateEntry;

struct OrgusersRoleSet
{
	int			words;
	uint64		bits[FLEXIBLE_ARRAY_MEMBER];
};

/* The hash key is a digest of the templates' numbers, checked on a hit. */
typedef struct RoleSetEntry
{
	uint64		key;
	int			count;
	int		   *templates;
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
	int			count;
	OrgusersOrgRights orgs[FLEXIBLE_ARRAY_MEMBER];
};

typedef struct RightsEntry
{
	pg_uuid_t	user_id;		/* hash key */
	OrgusersRights *rights;
} RightsEntry;

int			orgusers_cache_size;	/* kB */

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static dlist_head lru = DLIST_STATIC_INIT(lru); /* most recently used first */
static Size cache_bytes = 0;
static Numbering *numbering = NULL;

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

	while (cache_bytes > (Size) orgusers_cache_size * 1024)
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

/* The hash key of a template: policy and template, which have no slash. */
static void
template_key(const char *policy, const char *template, char *key)
{
	memset(key, 0, TEMPLATE_KEY_LEN);
	snprintf(key, TEMPLATE_KEY_LEN, "%s/%s", policy, template);
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
		  "SELECT key, policy, template FROM orgusers.permissions p"
		  " LEFT JOIN orgusers.role_template_permissions r"
		  "  ON r.permission OPERATOR(pg_catalog.=) p.key",
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
	result->templates = make_hash("orgusers templates", TEMPLATE_KEY_LEN,
								  sizeof(TemplateEntry), HASH_STRINGS, context);
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

	/* At most as many templates as rows; each starts without permissions. */
	result->template_bits = palloc0(sizeof(uint64 *) * (rows + 1));
	for (uint64 i = 0; i < rows; i++)
	{
		char	   *policy = column_text(i, 2);
		char		key[TEMPLATE_KEY_LEN];
		bool		found;
		TemplateEntry *template;
		PermissionEntry *permission;
		uint64	   *bits;

		if (policy == NULL)
			continue;			/* a permission that no role has */
		template_key(policy, column_text(i, 3), key);
		template = hash_search(result->templates, key, HASH_ENTER, &found);
		if (!found)
		{
			template->number = result->template_count++;
			result->template_bits[template->number] =
				palloc0(sizeof(uint64) * result->words);
		}
		permission = hash_search(result->by_key, column_text(i, 1),
								 HASH_FIND, NULL);
		bits = unconstify(uint64 *, result->template_bits[template->number]);
		bits[permission->number / 64] |= UINT64CONST(1) << (permission->number % 64);
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
	while (numbering == NULL ||
		   orgusers_shared_changed() > numbering->loaded_at)
	{
		Numbering  *fresh = load_numbering();
		Numbering  *old = numbering;

		MemoryContextSetParent(fresh->context, cache_context);
		numbering = fresh;
		if (old != NULL)
		{
			old->users++;		/* outlive the loop */
			while (!dlist_is_empty(&lru))
				forget(dlist_tail_element(OrgusersRights, lru, &lru));
			unuse_numbering(old);
		}
		orgusers_invalidation_begin();
	}
}

static int
compare_ints(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/*
 * find_role_set
 *		The permissions of a combination of templates, made at its first use.
 */
static const OrgusersRoleSet *
find_role_set(int *templates, int count)
{
	RoleSetEntry *entry;
	OrgusersRoleSet *role_set;
	uint64		key;
	bool		found;
	int			distinct = 0;

	qsort(templates, count, sizeof(int), compare_ints);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || templates[i] != templates[i - 1])
			templates[distinct++] = templates[i];
	}
	key = hash_bytes_extended((unsigned char *) templates,
							  distinct * sizeof(int), 0);
	entry = hash_search(numbering->role_sets, &key, HASH_FIND, NULL);
	if (entry != NULL && entry->count == distinct &&
		memcmp(entry->templates, templates, distinct * sizeof(int)) == 0)
		return entry->role_set;

	role_set = MemoryContextAllocZero(numbering->context,
									  offsetof(OrgusersRoleSet, bits) +
									  sizeof(uint64) * numbering->words);
	role_set->words = numbering->words;
	for (int i = 0; i < distinct; i++)
	{
		for (int w = 0; w < numbering->words; w++)
			role_set->bits[w] |= numbering->template_bits[templates[i]][w];
	}

	/* Another combination of the same digest keeps its place. */
	if (entry == NULL)
	{
		int		   *copy = MemoryContextAlloc(numbering->context,
											  sizeof(int) * (distinct + 1));

		memcpy(copy, templates, sizeof(int) * distinct);
		entry = hash_search(numbering->role_sets, &key, HASH_ENTER, &found);
		entry->count = distinct;
		entry->templates = copy;
		entry->role_set = role_set;
	}
	return role_set;
}

/*
 * load_rights
 *		Loads a user's rights as they are now.  They are not in the cache yet.
 */
static OrgusersRights *
load_rights(const pg_uuid_t *user_id)
{
	static SPIPlanPtr plan = NULL;
	OrgusersRights *rights;
	OrgusersStamp loaded_at = orgusers_now();
	OrgusersOrgRights *orgs;
	int		   *templates;
	int			held = 0;
	int			count = 0;
	uint32		org_slots = 0;
	uint64		rows;
	Size		size;

	SPI_connect();
	fetch(&plan,
		  "SELECT org_id, policy, template FROM orgusers.actor_roles"
		  " WHERE user_id OPERATOR(pg_catalog.=) $1 ORDER BY org_id",
		  user_id);
	rows = SPI_processed;
	orgs = palloc(sizeof(OrgusersOrgRights) * (rows + 1));
	templates = palloc(sizeof(int) * (rows + 1));

	for (uint64 i = 0; i < rows; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		pg_uuid_t  *org_id = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
		char	   *policy = SPI_getvalue(row, desc, 2);

		if (count == 0 ||
			memcmp(&orgs[count - 1].org_id, org_id, UUID_LEN) != 0)
		{
			if (count > 0)
				orgs[count - 1].roles = find_role_set(templates, held);
			orgs[count++].org_id = *org_id;
			org_slots |= 1U << orgusers_slot(org_id);
			held = 0;
		}
		if (policy != NULL)
		{
			char		key[TEMPLATE_KEY_LEN];
			TemplateEntry *template;

			template_key(policy, SPI_getvalue(row, desc, 3), key);
			template = hash_search(numbering->templates, key, HASH_FIND, NULL);
			/* A template without permissions has no number. */
			if (template != NULL)
				templates[held++] = template->number;
		}
	}
	if (count > 0)
		orgs[count - 1].roles = find_role_set(templates, held);

	/* What can fail comes before the object that nobody owns yet. */
	orgusers_invalidation_begin();
	size = offsetof(OrgusersRights, orgs) + sizeof(OrgusersOrgRights) * count;
	rights = MemoryContextAllocHuge(cache_context, size);
	rights->user_id = *user_id;
	rights->numbering = numbering;
	numbering->users++;
	rights->loaded_at = rights->checked_at = loaded_at;
	rights->org_slots = org_slots;
	rights->user_slot = orgusers_slot(user_id);
	rights->pins = 0;
	rights->cached = false;
	rights->bytes = GetMemoryChunkSpace(rights) + sizeof(RightsEntry);
	rights->count = count;
	memcpy(rights->orgs, orgs, sizeof(OrgusersOrgRights) * count);
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
		rights = entry->rights;
		dlist_move_head(&lru, &rights->lru);
		rights->pins++;
		return rights;
	}

	/*
	 * Rights and numbering come from two snapshots, so they may be joined only
	 * when nothing shared changed in between.  Any other change that came
	 * while rights were loaded is for the next statement, which will find
	 * them outdated: waiting for quiet could take forever.
	 */
	for (;;)
	{
		refresh_numbering();
		rights = load_rights(user_id);
		if (orgusers_shared_changed() <= rights->numbering->loaded_at)
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

/* Whether the rights in an organization have a permission. */
bool
orgusers_org_rights_have(const OrgusersOrgRights *org,
						 OrgusersPermission permission)
{
	return permission >= 0 &&
		(org->roles->bits[permission / 64] >> (permission % 64) & 1) != 0;
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
							&orgusers_cache_size,
							4096, 64, MAX_KILOBYTES,
							PGC_SUSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
}
