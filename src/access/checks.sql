-- The questions that applications, policies and the extension's own functions ask about the actor.
-- An anonymous session, an unknown organization and an unknown permission all get the answer no.

CREATE FUNCTION orgusers.can_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_can_support';
COMMENT ON FUNCTION orgusers.can_support(internal) IS 'Tells the planner that can(column, permission) is the index condition column = ANY (orgs_with(permission)). Internal';

CREATE FUNCTION orgusers.can(org_id uuid, permission text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE SUPPORT orgusers.can_support
    AS 'MODULE_PATHNAME', 'orgusers_can';
COMMENT ON FUNCTION orgusers.can(uuid, text) IS 'Whether the actor has the permission in the organization; false for an anonymous session and for NULLs. The rights are those of now, whatever the transaction''s snapshot, and stay the same within one statement. For policies: USING (orgusers.can(org_id, ''docs.read'')). OU010 when a cursor goes on that was opened for another user or before a right was taken away';

CREATE FUNCTION orgusers.orgs_with(permission text) RETURNS uuid[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_orgs_with';
COMMENT ON FUNCTION orgusers.orgs_with(text) IS 'Organizations in which the actor has the permission, in order of their ids; an empty array for an anonymous session. OU010 as can()';

CREATE FUNCTION orgusers.can(org_id uuid, space_id uuid, permission text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE SUPPORT orgusers.can_support
    AS 'MODULE_PATHNAME', 'orgusers_can_in_space';
COMMENT ON FUNCTION orgusers.can(uuid, uuid, text) IS 'Whether the actor has the permission in a space of the organization: by a right that holds everywhere in the organization, or because the space is assigned to the actor, directly or by a group, and a role of the actor gives the permission in assigned spaces. Whether there is such a space is for a foreign key to say. For a row of no space (NULL) only what holds everywhere counts. Otherwise as can(uuid, text)';

CREATE FUNCTION orgusers.orgs_reached(permission text) RETURNS uuid[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_orgs_reached';
COMMENT ON FUNCTION orgusers.orgs_reached(text) IS 'Organizations in which the actor has the permission, everywhere or in some space, in order of their ids; an empty array for an anonymous session. The index condition of can(uuid, uuid, text)';

CREATE FUNCTION orgusers.assigned_spaces_with(permission text) RETURNS uuid[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_assigned_spaces_with';
COMMENT ON FUNCTION orgusers.assigned_spaces_with(text) IS 'Spaces that are assigned to the actor and in which a role gives the permission. Internal';

CREATE FUNCTION orgusers.spaces_with(permission text) RETURNS uuid[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT ARRAY(SELECT s.id FROM orgusers.spaces s WHERE s.org_id = ANY (orgusers.orgs_with(spaces_with.permission))
                 UNION SELECT unnest(orgusers.assigned_spaces_with(spaces_with.permission)) ORDER BY 1);
END;
COMMENT ON FUNCTION orgusers.spaces_with(text) IS 'Spaces in which the actor has the permission: all of an organization where it holds everywhere, and assigned ones, in order of their ids; an empty array for an anonymous session. Rights are those of now; which spaces an organization has is read by the statement''s snapshot';

CREATE FUNCTION orgusers.has_role(org_id uuid, role text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_has_role';
COMMENT ON FUNCTION orgusers.has_role(uuid, text) IS 'Whether the actor holds the role of that name in the organization, directly or by a group, now. Looked up at each call. Prefer can(): it asks what a role is for, and is cached';

CREATE FUNCTION orgusers.has_right(user_id uuid, org_id uuid, permission text) RETURNS boolean
    LANGUAGE c VOLATILE COST 1000 AS 'MODULE_PATHNAME', 'orgusers_has_right';
COMMENT ON FUNCTION orgusers.has_right(uuid, uuid, text) IS 'Whether a user has the permission in all of the organization, at this moment; behind lock_organization() what the organization itself gives stays so until the transaction ends. Internal';

CREATE FUNCTION orgusers.is_member(org_id uuid) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_is_member';
COMMENT ON FUNCTION orgusers.is_member(uuid) IS 'Whether the actor is an active user of the organization; who only reaches it, by a role held in an account above, is not';

CREATE FUNCTION orgusers.reaches(org_id uuid) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_reaches';
COMMENT ON FUNCTION orgusers.reaches(uuid) IS 'Whether the actor is an active user of the organization, or holds a role in an account above that reaches it. Internal';

CREATE FUNCTION orgusers.cache_stats(OUT entries bigint, OUT hits bigint, OUT misses bigint, OUT invalidations bigint, OUT bytes bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'orgusers_cache_stats';
COMMENT ON FUNCTION orgusers.cache_stats() IS 'The cache of rights of this session: users in it, statements that found their actor''s rights in it (hits) or not (misses), misses because the rights there were outdated (invalidations), and the bytes it takes, which orgusers.cache_size bounds';

CREATE FUNCTION orgusers.require_user() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.current_user_id() IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU001', MESSAGE = 'nobody is signed in',
            HINT = 'Sign in with sign_in(), or let the trusted server call act_as(), in the same transaction.';
    END IF;
    IF NOT EXISTS (SELECT FROM orgusers.users u WHERE u.id = orgusers.current_user_id()) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU007', MESSAGE = 'the user who is signed in is no longer there',
            HINT = 'Sign in again.';
    END IF;
    RETURN orgusers.current_user_id();
END $$;
COMMENT ON FUNCTION orgusers.require_user() IS 'The actor; raises OU001 in an anonymous session, OU007 when the user is deleted meanwhile';

CREATE FUNCTION orgusers.refuse(org_id uuid, permission text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require_user();
    -- Who neither is a user of the organization nor reaches it does not learn whether it exists.
    IF orgusers.reaches(refuse.org_id) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU101', MESSAGE = 'no such organization among yours',
            HINT = 'my_organizations() lists them.';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'OU002', MESSAGE = format('permission %s is needed in this organization', coalesce(quote_ident(refuse.permission), 'NULL')),
        HINT = 'Ask a user of the organization who may assign roles.';
END $$;
COMMENT ON FUNCTION orgusers.refuse(uuid, text) IS 'Raises why the actor has not the permission: OU001, OU007, OU101 or OU002. Internal';

CREATE FUNCTION orgusers.require(org_id uuid, permission text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT orgusers.can(require.org_id, require.permission) THEN
        PERFORM orgusers.refuse(require.org_id, require.permission);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require(uuid, text) IS 'Returns when the actor has the permission in the organization, else raises: OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU101 the actor neither is an active user of the organization nor reaches it from an account above (whether it exists is not told), OU002 the permission is missing';

-- Dearer than what finds the rows that it is asked about, or a plan might ask it of every row.
CREATE FUNCTION orgusers.may_grant(user_id uuid, org_id uuid, role_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE COST 1000 AS 'MODULE_PATHNAME', 'orgusers_may_grant';
COMMENT ON FUNCTION orgusers.may_grant(uuid, uuid, uuid) IS 'Whether the user may give that role of the organization to others and take it, now, whatever the transaction''s snapshot: a role that counts for the user there (held there, or in an account above and reaching down) grants it, and, when what it permits is the organization''s to edit, the user has everywhere all that it permits. Internal';
