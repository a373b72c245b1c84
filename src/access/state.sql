-- What a user's start page asks: is there anything beyond the base, and what is new.

CREATE FUNCTION orgusers.held_permissions(org_id uuid) RETURNS TABLE (permission text, is_base boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT k.key, EXISTS (SELECT FROM orgusers.organizations o JOIN orgusers.base_permissions b ON b.policy = o.policy
                          WHERE o.id = held_permissions.org_id AND b.permission = k.key)
    FROM orgusers.permissions k
    WHERE held_permissions.org_id = ANY (orgusers.orgs_reached(k.key));
END $$;
COMMENT ON FUNCTION orgusers.held_permissions(uuid) IS 'What the actor may do in the organization, everywhere or in some space, and whether every active user of it may. Internal';

CREATE FUNCTION orgusers.access_state(org_id uuid) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT CASE bool_or(NOT h.is_base) WHEN true THEN 'full' WHEN false THEN 'restricted' ELSE 'none' END
            FROM orgusers.held_permissions(access_state.org_id) h);
END $$;
COMMENT ON FUNCTION orgusers.access_state(uuid) IS 'How far the actor has access to the organization now: full, something beyond the policy''s base permissions, everywhere or in an assigned space; restricted, the base permissions only, so that a banner may say that rights are still to be given; none, no permission at all, as for an outsider, a deactivated user, an anonymous session, or somebody whose roles hold in spaces only and who is assigned to none';

CREATE FUNCTION orgusers.new_areas(org_id uuid) RETURNS text[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor    uuid := orgusers.require_user();
    reported text[];
BEGIN
    WITH now AS (SELECT DISTINCT split_part(h.permission, '.', 1) AS area FROM orgusers.held_permissions(new_areas.org_id) h WHERE NOT h.is_base),
         noted AS (INSERT INTO orgusers.seen_areas (org_id, user_id, area)
                       SELECT m.org_id, m.user_id, now.area FROM orgusers.memberships m CROSS JOIN now
                       WHERE m.org_id = new_areas.org_id AND m.user_id = actor AND m.status = 'active'
                       ORDER BY now.area
                       ON CONFLICT DO NOTHING RETURNING area)
    SELECT array_agg(n.area ORDER BY n.area) INTO reported FROM noted n;
    RETURN coalesce(reported, '{}');
EXCEPTION WHEN foreign_key_violation THEN
    -- The organization has been deleted since it was asked for.
    RETURN '{}';
END $$;
COMMENT ON FUNCTION orgusers.new_areas(uuid) IS 'Areas of the organization in which the actor, an active user of it, has rights beyond the policy''s base permissions now, and which this function has not reported to the actor before: for a tour of what is new, once. An area is what stands before the first dot of a permission''s key. Empty when there is none. OU001 nobody is signed in, OU007 the actor was deleted meanwhile';
