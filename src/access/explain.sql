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
            SELECT p.everywhere, a.account_id, r.name AS role, g.name AS "group"
            FROM orgusers.acting_roles a
            JOIN orgusers.roles r ON r.org_id = a.account_id AND r.id = a.role_id
            JOIN orgusers.role_rights p ON p.org_id = a.account_id AND p.role_id = a.role_id
            LEFT JOIN orgusers.groups g ON g.org_id = a.account_id AND g.id = a.group_id
            WHERE a.user_id = explain_access.user_id AND a.org_id = explain_access.org_id AND p.permission = explain_access.permission
        ), assigned AS (
            SELECT a.group_id, g.name AS "group"
            FROM orgusers.assigned_spaces a LEFT JOIN orgusers.groups g ON g.org_id = a.org_id AND g.id = a.group_id
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
        SELECT true, CASE WHEN s.account_id <> explain_access.org_id THEN 'a role held in an account above has the permission'
                          WHEN s."group" IS NULL THEN 'holds a role with the permission'
                          ELSE 'is in a group that carries a role with the permission' END, s.role, s."group"
        FROM sources s WHERE s.everywhere
        UNION ALL
        SELECT true, CASE WHEN a.group_id IS NULL THEN 'the space is assigned, and a role has the permission in assigned spaces'
                          ELSE 'the space is assigned to a group, and a role has the permission in assigned spaces' END, s.role, a."group"
        FROM sources s CROSS JOIN assigned a
        WHERE NOT s.everywhere AND s.account_id = explain_access.org_id
        ORDER BY 3 NULLS FIRST, 4 NULLS FIRST, 2;
    IF FOUND THEN
        RETURN;
    END IF;

    IF NOT EXISTS (SELECT FROM orgusers.permissions k WHERE k.key = explain_access.permission)
       AND EXISTS (SELECT FROM orgusers.memberships m
                   WHERE m.user_id = explain_access.user_id AND m.org_id = explain_access.org_id AND m.status = 'active') THEN
        RETURN QUERY SELECT false, 'the permission is not registered', NULL, NULL;
        RETURN;
    END IF;
    -- Roles that count there but permit it nowhere, or in other spaces.
    RETURN QUERY
        SELECT false, CASE WHEN a.account_id <> explain_access.org_id THEN 'a role held in an account above '
                           ELSE 'holds a role ' END
                      || CASE WHEN p.permission IS NULL THEN 'without the permission'
                              WHEN a.account_id <> explain_access.org_id THEN 'has the permission in assigned spaces only'
                              ELSE 'with the permission in assigned spaces only' END, r.name, g.name
        FROM orgusers.acting_roles a
        JOIN orgusers.roles r ON r.org_id = a.account_id AND r.id = a.role_id
        LEFT JOIN orgusers.role_rights p ON p.org_id = a.account_id AND p.role_id = a.role_id AND p.permission = explain_access.permission
        LEFT JOIN orgusers.groups g ON g.org_id = a.account_id AND g.id = a.group_id
        WHERE a.user_id = explain_access.user_id AND a.org_id = explain_access.org_id
        ORDER BY r.name, g.name NULLS FIRST;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT m.status INTO status FROM orgusers.memberships m WHERE m.user_id = explain_access.user_id AND m.org_id = explain_access.org_id;
    RETURN QUERY SELECT false, CASE status WHEN 'active' THEN 'holds no role' WHEN 'deactivated' THEN 'is deactivated in the organization'
                                           ELSE 'is not a user of the organization' END, NULL, NULL;
END $$;
COMMENT ON FUNCTION orgusers.explain_access(uuid, uuid, text, uuid) IS 'Why a user has a permission in an organization (or in a space of it) or has it not: a row for each role, direct or by a group, for a role held in an account above, for a single permission, a base permission or an assigned space that gives it; else rows that say what is missing. Read from what can() is decided by. For users about themselves, for who has users.view in the organization, and anonymously for the database''s owner. OU001, and what require() raises';
