/*
 * numbering.c
 *		What all organizations share of rights: the permissions' numbers, what
 *		role templates permit, and every combination of parts that somebody
 *		has, each made once.
 *
 * A numbering never changes but for combinations that are added.  A change to
 * what is shared makes another one.
 */
#include "access/numbering.h"

#include "access/lookup.h"
#include "common/hashfn.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

struct OrgusersNumbering
{
	MemoryContext context;		/* holds all of it */
	int			permissions;
	int			words;			/* of a set of permissions */
	OrgusersRoleSet *of_spaces; /* permissions whose scope is space */
	bool		any_base;		/* some policy has base permissions */
	HTAB	   *by_key;			/* text key -> PermissionEntry */
	HTAB	   *sources;		/* "policy/template" -> SourceEntry */
	HTAB	   *role_sets;		/* parts -> RoleSetEntry */
	OrgusersSource **by_number; /* sources */
};

typedef struct PermissionEntry
{
	char		key[NAMEDATALEN];	/* keys have 63 bytes at most */
	int			number;
} PermissionEntry;

/* policy and template have 63 bytes at most each */
#define SOURCE_KEY_LEN (2 * NAMEDATALEN)

typedef struct SourceEntry
{
	char		key[SOURCE_KEY_LEN];
	OrgusersSource source;
} SourceEntry;

#define ROLE_SET_SIZE(words) \
	(offsetof(OrgusersRoleSet, bits) + 2 * sizeof(uint64) * (words))

/* The hash key is a digest of the parts, which are checked on a hit. */
typedef struct RoleSetEntry
{
	uint64		key;
	int			count;
	OrgusersPart *parts;
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
	size_t		length = Min(strlcpy(key, policy, NAMEDATALEN), NAMEDATALEN - 1);

	key[length] = '/';
	strlcpy(key + length + 1, template, NAMEDATALEN);
}

static inline void
set_bit(uint64 *bits, int number)
{
	bits[number / 64] |= UINT64CONST(1) << (number % 64);
}

static inline bool
has_bit(const uint64 *bits, int number)
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

static OrgusersRoleSet *
make_role_set(OrgusersNumbering *numbering)
{
	OrgusersRoleSet *role_set;

	role_set = MemoryContextAllocZero(numbering->context,
									  ROLE_SET_SIZE(numbering->words));
	role_set->words = numbering->words;
	return role_set;
}

/* The source of this name, made when there is none yet. */
static OrgusersSource *
enter_source(OrgusersNumbering *numbering, const char *policy,
			 const char *template)
{
	char		key[SOURCE_KEY_LEN];
	bool		found;
	SourceEntry *entry;

	source_key(policy, template, key);
	entry = hash_search(numbering->sources, key, HASH_ENTER, &found);
	if (!found)
	{
		entry->source.number = hash_get_num_entries(numbering->sources) - 1;
		entry->source.all_spaces = true;
		entry->source.reaches_below = false;
		entry->source.permits = make_role_set(numbering);
	}
	return &entry->source;
}

/* Reads the permissions: gives them numbers, and the sets their size. */
static void
read_permissions(OrgusersNumbering *numbering, OrgusersReading *reading)
{
	List	   *of_spaces = NIL;
	ListCell   *lc;

	orgusers_read(reading, ORGUSERS_PERMISSIONS, NULL, NULL);
	while (orgusers_read_next(reading, ORGUSERS_PERMISSIONS))
	{
		char	   *key = orgusers_read_text(reading, ORGUSERS_PERMISSIONS, 0);
		char	   *scope = orgusers_read_text(reading, ORGUSERS_PERMISSIONS, 1);
		PermissionEntry *entry = hash_search(numbering->by_key, key,
											 HASH_ENTER, NULL);

		entry->number = numbering->permissions++;
		if (strcmp(scope, "space") == 0)
			of_spaces = lappend_int(of_spaces, entry->number);
	}
	numbering->words = (numbering->permissions + 63) / 64;
	numbering->of_spaces = make_role_set(numbering);
	foreach(lc, of_spaces)
		permit(numbering->of_spaces, lfirst_int(lc), true);
}

/* Reads the sources, and what they permit. */
static void
read_sources(OrgusersNumbering *numbering, OrgusersReading *reading)
{
	HASH_SEQ_STATUS entries;
	SourceEntry *entry;

	orgusers_read(reading, ORGUSERS_TEMPLATES, NULL, NULL);
	while (orgusers_read_next(reading, ORGUSERS_TEMPLATES))
	{
		OrgusersSource *source;

		source = enter_source(numbering,
							  orgusers_read_text(reading, ORGUSERS_TEMPLATES, 0),
							  orgusers_read_text(reading, ORGUSERS_TEMPLATES, 1));
		source->all_spaces = orgusers_read_bool(reading, ORGUSERS_TEMPLATES, 2);
		source->reaches_below = orgusers_read_bool(reading, ORGUSERS_TEMPLATES, 3);
	}

	orgusers_read(reading, ORGUSERS_TEMPLATE_PERMISSIONS, NULL, NULL);
	while (orgusers_read_next(reading, ORGUSERS_TEMPLATE_PERMISSIONS))
	{
		char	   *policy = orgusers_read_text(reading,
											   ORGUSERS_TEMPLATE_PERMISSIONS, 0);
		char	   *template = orgusers_read_text(reading,
												 ORGUSERS_TEMPLATE_PERMISSIONS, 1);
		char	   *key = orgusers_read_text(reading,
											ORGUSERS_TEMPLATE_PERMISSIONS, 2);
		OrgusersPermission permission = orgusers_numbering_permission(numbering,
																	  key);
		OrgusersSource *source = enter_source(numbering, policy, template);

		/* Without foreign keys (session_replication_role) it may be missing. */
		if (permission >= 0)
			permit(source->permits, permission,
				   source->all_spaces ||
				   !orgusers_numbering_of_spaces(numbering, permission));
	}

	orgusers_read(reading, ORGUSERS_BASE_PERMISSIONS, NULL, NULL);
	while (orgusers_read_next(reading, ORGUSERS_BASE_PERMISSIONS))
	{
		char	   *policy = orgusers_read_text(reading,
											   ORGUSERS_BASE_PERMISSIONS, 0);
		char	   *key = orgusers_read_text(reading,
											ORGUSERS_BASE_PERMISSIONS, 1);
		OrgusersPermission permission = orgusers_numbering_permission(numbering,
																	  key);

		if (permission >= 0)
			permit(enter_source(numbering, policy, "")->permits, permission,
				   true);
		numbering->any_base = true;
	}

	numbering->by_number =
		MemoryContextAlloc(numbering->context,
						   sizeof(OrgusersSource *) *
						   (hash_get_num_entries(numbering->sources) + 1));
	hash_seq_init(&entries, numbering->sources);
	while ((entry = hash_seq_search(&entries)) != NULL)
		numbering->by_number[entry->source.number] = &entry->source;
}

/*
 * orgusers_numbering_load
 *		Makes a numbering of what is in the tables now, in its own context.
 */
OrgusersNumbering *
orgusers_numbering_load(void)
{
	OrgusersNumbering *result;
	OrgusersReading *reading;
	MemoryContext context;

	/* Below the caller's context: an error frees it. */
	context = AllocSetContextCreate(CurrentMemoryContext, "orgusers numbering",
									ALLOCSET_SMALL_SIZES);
	result = MemoryContextAllocZero(context, sizeof(OrgusersNumbering));
	result->context = context;
	result->by_key = make_hash("orgusers permissions", NAMEDATALEN,
							   sizeof(PermissionEntry), HASH_STRINGS, context);
	result->sources = make_hash("orgusers sources", SOURCE_KEY_LEN,
								sizeof(SourceEntry), HASH_STRINGS, context);
	result->role_sets = make_hash("orgusers role sets", sizeof(uint64),
								  sizeof(RoleSetEntry), HASH_BLOBS, context);

	reading = orgusers_reading_begin();
	read_permissions(result, reading);
	read_sources(result, reading);
	orgusers_reading_end(reading);
	return result;
}

static int
compare_ints(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/* Adds one part to a set of permissions. */
static void
add_part(OrgusersNumbering *numbering, OrgusersRoleSet *role_set,
		 OrgusersPart part)
{
	const OrgusersRoleSet *permits;

	if (part == ORGUSERS_PART_MEMBER)
		return;
	switch (part % 4)
	{
		case 0:					/* ORGUSERS_PART_SOURCE */
			permits = numbering->by_number[part / 4]->permits;
			for (int w = 0; w < 2 * numbering->words; w++)
				role_set->bits[w] |= permits->bits[w];
			break;
		case 1:					/* ORGUSERS_PART_ABOVE */
			permits = numbering->by_number[part / 4]->permits;
			for (int w = 0; w < numbering->words; w++)
			{
				role_set->bits[w] |= permits->bits[w];
				role_set->bits[numbering->words + w] |= permits->bits[w];
			}
			break;
		default:
			permit(role_set, part / 4, part % 4 == 2);
			break;
	}
}

/*
 * orgusers_numbering_role_set
 *		The permissions that parts amount to, made at the first use of just
 *		these parts.  Sorts the parts in place.
 */
const OrgusersRoleSet *
orgusers_numbering_role_set(OrgusersNumbering *numbering, OrgusersPart *parts,
							int count)
{
	RoleSetEntry *entry;
	OrgusersRoleSet *role_set;
	uint64		key;
	int			distinct = 0;

	qsort(parts, count, sizeof(OrgusersPart), compare_ints);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || parts[i] != parts[i - 1])
			parts[distinct++] = parts[i];
	}
	key = hash_bytes_extended((unsigned char *) parts,
							  distinct * sizeof(OrgusersPart), 0);
	entry = hash_search(numbering->role_sets, &key, HASH_FIND, NULL);
	if (entry != NULL && entry->count == distinct &&
		memcmp(entry->parts, parts, distinct * sizeof(OrgusersPart)) == 0)
		return entry->role_set;

	role_set = make_role_set(numbering);
	for (int i = 0; i < distinct; i++)
		add_part(numbering, role_set, parts[i]);
	role_set->in_spaces = memcmp(role_set->bits,
								 role_set->bits + role_set->words,
								 sizeof(uint64) * role_set->words) != 0;

	/* Other parts of the same digest keep their place. */
	if (entry == NULL)
	{
		OrgusersPart *copy = MemoryContextAlloc(numbering->context,
												sizeof(OrgusersPart) * (distinct + 1));

		memcpy(copy, parts, sizeof(OrgusersPart) * distinct);
		entry = hash_search(numbering->role_sets, &key, HASH_ENTER, NULL);
		entry->count = distinct;
		entry->parts = copy;
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

/* Whether a permission is about what is in spaces. */
bool
orgusers_numbering_of_spaces(const OrgusersNumbering *numbering,
							 OrgusersPermission permission)
{
	return has_bit(numbering->of_spaces->bits, permission);
}

/* A role template, NULL for one that is not there. */
const OrgusersSource *
orgusers_numbering_template(const OrgusersNumbering *numbering,
							const char *policy, const char *template)
{
	char		key[SOURCE_KEY_LEN];
	SourceEntry *entry;

	source_key(policy, template, key);
	entry = hash_search(numbering->sources, key, HASH_FIND, NULL);
	return entry != NULL ? &entry->source : NULL;
}

/* Whether any policy has base permissions. */
bool
orgusers_numbering_any_base(const OrgusersNumbering *numbering)
{
	return numbering->any_base;
}

/* A policy's base permissions, NULL for none. */
const OrgusersSource *
orgusers_numbering_base(const OrgusersNumbering *numbering, const char *policy)
{
	return orgusers_numbering_template(numbering, policy, "");
}
