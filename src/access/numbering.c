/*
 * numbering.c
 *		What all organizations share of rights: the permissions' numbers, what
 *		role templates permit, and every combination of sources that somebody
 *		has, each made once.
 *
 * A numbering never changes but for combinations that are added.  A change to
 * what is shared makes another one.
 */
#include "access/numbering.h"

#include "access/lookup.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

struct OrgusersNumbering
{
	MemoryContext context;		/* holds all of it */
	int			permissions;
	int			words;			/* of a set of permissions */
	HTAB	   *by_key;			/* text key -> PermissionEntry */
	HTAB	   *sources;		/* "policy/template" -> SourceEntry */
	HTAB	   *role_sets;		/* combination of sources -> RoleSetEntry */
	int			source_count;
	OrgusersRoleSet **source_sets;	/* by number of the source */
};

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

/* Puts a permission into a set, for everywhere or for assigned spaces only. */
static void
permit(OrgusersRoleSet *role_set, int number, bool everywhere)
{
	set_bit(role_set->bits + role_set->words, number);
	if (everywhere)
		set_bit(role_set->bits, number);
}

/*
 * orgusers_numbering_load
 *		Makes a numbering of what is in the tables now, in its own context.
 */
OrgusersNumbering *
orgusers_numbering_load(void)
{
	static SPIPlanPtr plan = NULL;
	OrgusersNumbering *result;
	MemoryContext context;
	MemoryContext caller = CurrentMemoryContext;
	uint64		rows;

	SPI_connect();
	orgusers_look_up(&plan,
		  "SELECT k.key, s.policy, s.template, s.everywhere"
		  " FROM orgusers.permissions k LEFT JOIN orgusers.source_permissions s"
		  "  ON s.permission OPERATOR(pg_catalog.=) k.key",
		  NULL);
	rows = SPI_processed;

	/* Below the caller's context: an error frees it. */
	context = AllocSetContextCreate(caller, "orgusers numbering",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(context);
	result = palloc0(sizeof(OrgusersNumbering));
	result->context = context;
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
												  orgusers_column_text(i, 1),
												  HASH_ENTER, &found);

		if (!found)
			permission->number = result->permissions++;
	}
	result->words = (result->permissions + 63) / 64;

	/* At most as many sources as rows. */
	result->source_sets = palloc0(sizeof(OrgusersRoleSet *) * (rows + 1));
	for (uint64 i = 0; i < rows; i++)
	{
		char	   *policy = orgusers_column_text(i, 2);
		bool		everywhere;
		char		key[SOURCE_KEY_LEN];
		bool		found;
		SourceEntry *source;
		PermissionEntry *permission;

		if (policy == NULL)
			continue;			/* a permission that nothing gives */
		everywhere = orgusers_column_text(i, 4)[0] == 't';
		source_key(policy, orgusers_column_text(i, 3), key);
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
		permission = hash_search(result->by_key, orgusers_column_text(i, 1),
								 HASH_FIND, NULL);
		permit(result->source_sets[source->number], permission->number,
			   everywhere);
	}
	MemoryContextSwitchTo(caller);
	SPI_finish();
	return result;
}

static int
compare_ints(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/*
 * orgusers_numbering_role_set
 *		The permissions of a combination of sources and single permissions,
 *		made at its first use.  Sorts the combination in place.
 */
const OrgusersRoleSet *
orgusers_numbering_role_set(OrgusersNumbering *numbering, int *combination,
							int count)
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


/* The context that a numbering lives in. */
MemoryContext
orgusers_numbering_context(const OrgusersNumbering *numbering)
{
	return numbering->context;
}

/* The number of a permission, -1 for one that is not registered. */
OrgusersPermission
orgusers_numbering_permission(const OrgusersNumbering *numbering,
							  const char *key)
{
	PermissionEntry *entry = hash_search(numbering->by_key, key, HASH_FIND,
										 NULL);

	return entry != NULL ? entry->number : -1;
}

/*
 * orgusers_numbering_source
 *		The number of a role template or (with an empty template) of a policy's
 *		base permissions, -1 for one that permits nothing; and whether it
 *		permits more in assigned spaces.
 */
int
orgusers_numbering_source(const OrgusersNumbering *numbering,
						  const char *policy, const char *template,
						  bool *in_spaces)
{
	char		key[SOURCE_KEY_LEN];
	SourceEntry *entry;

	source_key(policy, template, key);
	entry = hash_search(numbering->sources, key, HASH_FIND, NULL);
	*in_spaces = entry != NULL && entry->in_spaces;
	return entry != NULL ? entry->number : -1;
}
