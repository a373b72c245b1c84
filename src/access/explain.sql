-- Why somebody may or may not do something.

CREATE FUNCTION orgusers.explain_access(user_id uuid, org_id uuid, permission text, space_id uuid DEFAULT NULL)
    RETURNS TABLE (allowed boolean, reason text, role text, "group" text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    status text;
BEGIN
    -- Users may ask about themselves, and who sees an organization's users about these; the owner about all.
    IF NOT (orgusers.current_user_id() IS NULL AND pg_has_role(coalesce(nullif(current_setting('role'), 'none')::name, session_user), current_user, 'USAGE')) THEN
        PERFORM orgusers.require_user();
        IF explain_access.user_id IS DISTINCT FROM orgusers.current_user_id() THEN
            PERFORM orgusers.require(explain_access.org_id, 'users.view');
        END IF;
    END IF;

    -- From the views that can() is decided by; within assigned spaces only as far as a space is asked about.
    RETURN QUERY
        WITH sources AS (
            SELECT p.everywhere, r.name AS role, h.group_id
            FROM orgusers.memberships m
            JOIN orgusers.held_roles h USING (org_id, user_id)
            JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
            JOIN orgusers.source_permissions p ON p.policy = r.policy AND p.template = r.template
            WHERE m.user_id = explain_access.user_id AND m.org_id = explain_access.org_id AND m.status = 'active'
              AND p.permission = explain_access.permission
        ), assigned AS (
            SELECT a.group_id FROM orgusers.assigned_spaces a
            WHERE a.user_id = explain_access.user_id AND a.org_id = explain_access.org_id AND a.space_id = explain_access.space_id
        )
        SELECT true, 'base permission of the policy', NULL, NULL
        FROM orgusers.memberships m
        JOIN orgusers.organizations o ON o.id = m.org_id
        JOIN orgusers.base_permissions b ON b.policy = o.policy
        WHERE m.user_id = explain_access.user_id AND m.org_id = explain_access.org_id AND m.status = 'active'
          AND b.permission = explain_access.permission
        UNION ALL
        SELECT true, 'has the permission by itself', NULL, NULL
        FROM orgusers.memberships m JOIN orgusers.membership_permissions p USING (org_id, user_id)
        WHERE m.user_id = explain_access.user_id AND m.org_id = explain_access.org_id AND m.status = 'active'
          AND p.permission = explain_access.permission
        UNION ALL
        SELECT true, CASE WHEN s.group_id IS NULL THEN 'holds a role with the permission' ELSE 'is in a group that carries a role with the permission' END,
               s.role, g.name
        FROM sources s LEFT JOIN orgusers.groups g ON g.org_id = explain_access.org_id AND g.id = s.group_id
        WHERE s.everywhere
        UNION ALL
        SELECT true, CASE WHEN a.group_id IS NULL THEN 'the space is assigned, and a role has the permission in assigned spaces'
                          ELSE 'the space is assigned to a group, and a role has the permission in assigned spaces' END, s.role, g.name
        FROM sources s CROSS JOIN assigned a LEFT JOIN orgusers.groups g ON g.org_id = explain_access.org_id AND g.id = a.group_id
        WHERE NOT s.everywhere
        ORDER BY 3 NULLS FIRST, 4 NULLS FIRST, 2;
    IF FOUND THEN
        RETURN;
    END IF;

    SELECT m.status INTO status FROM orgusers.memberships m WHERE m.user_id = explain_access.user_id AND m.org_id = explain_access.org_id;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, 'is not a user of the organization', NULL, NULL;
    ELSIF status <> 'active' THEN
        RETURN QUERY SELECT false, 'is deactivated in the organization', NULL, NULL;
    ELSIF NOT EXISTS (SELECT FROM orgusers.permissions k WHERE k.key = explain_access.permission) THEN
        RETURN QUERY SELECT false, 'the permission is not registered', NULL, NULL;
    ELSE
        RETURN QUERY
            SELECT false, CASE WHEN h.role_id IS NULL THEN 'holds no role'
                               WHEN p.permission IS NULL THEN 'holds a role without the permission'
                               ELSE 'holds a role with the permission in assigned spaces only' END, r.name, g.name
            FROM (VALUES (1)) AS one
            LEFT JOIN orgusers.held_roles h ON h.user_id = explain_access.user_id AND h.org_id = explain_access.org_id
            LEFT JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
            LEFT JOIN orgusers.role_template_permissions p ON p.policy = r.policy AND p.template = r.template AND p.permission = explain_access.permission
            LEFT JOIN orgusers.groups g ON g.org_id = h.org_id AND g.id = h.group_id
            ORDER BY r.name, g.name NULLS FIRST;
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.explain_access(uuid, uuid, text, uuid) IS 'Why a user has a permission in an organization (or in a space of it) or has it not: a row for each role, direct or by a group, for a single permission, a base permission or an assigned space that gives it; else rows that say what is missing. Read from what can() is decided by. For users about themselves, for who has users.view in the organization, and anonymously for the database''s owner. OU001, and what require() raises';
