-- The decision: what a user may do in an organization and its spaces.  Everything that asks in SQL, asks these
-- views; the loader of the cache (load.c) reads the tables by itself, and tests hold it to the view rights.

CREATE VIEW orgusers.held_roles AS
    SELECT org_id, user_id, role_id, NULL::uuid AS group_id FROM orgusers.membership_roles
    UNION ALL
    SELECT m.org_id, m.user_id, r.role_id, m.group_id
    FROM orgusers.group_members m JOIN orgusers.group_roles r USING (org_id, group_id);
COMMENT ON VIEW orgusers.held_roles IS 'Roles of users with their source: group_id is NULL for a role held directly. Internal';

CREATE VIEW orgusers.assigned_spaces AS
    SELECT org_id, user_id, space_id, NULL::uuid AS group_id FROM orgusers.space_members
    UNION ALL
    SELECT m.org_id, m.user_id, s.space_id, m.group_id
    FROM orgusers.group_members m JOIN orgusers.space_groups s USING (org_id, group_id);
COMMENT ON VIEW orgusers.assigned_spaces IS 'Spaces of users with their source: group_id is NULL for one assigned directly. Internal';

CREATE VIEW orgusers.role_rights AS
    SELECT r.org_id, r.id AS role_id, p.permission, t.all_spaces OR k.scope = 'organization' AS everywhere
    FROM orgusers.roles r
    JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
    CROSS JOIN LATERAL (SELECT tp.permission FROM orgusers.role_template_permissions tp
                        WHERE tp.policy = r.policy AND tp.template = r.template AND NOT r.edited
                        UNION ALL
                        SELECT rp.permission FROM orgusers.role_permissions rp
                        WHERE rp.org_id = r.org_id AND rp.role_id = r.id AND r.edited) AS p
    JOIN orgusers.permissions k ON k.key = p.permission;
COMMENT ON VIEW orgusers.role_rights IS 'What a role permits, by its template or (edited) by itself: everywhere in the organization, or in assigned spaces only. Internal';

CREATE FUNCTION orgusers.is_below(org_id uuid, account_id uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE above (id) AS (
        SELECT o.parent_id FROM orgusers.organizations o WHERE o.id = is_below.org_id
        UNION
        SELECT o.parent_id FROM orgusers.organizations o JOIN above a ON o.id = a.id)
    SELECT EXISTS (SELECT FROM above a WHERE a.id = is_below.account_id);
END;
COMMENT ON FUNCTION orgusers.is_below(uuid, uuid) IS 'Whether an organization is a sub-account of an account, or of a sub-account of it, and so on. Internal';

-- Who reaches down has a role in an account above; account_id is where the role is held.
CREATE VIEW orgusers.acting_roles AS
    SELECT m.user_id, m.org_id, m.org_id AS account_id, h.role_id, h.group_id
    FROM orgusers.memberships m JOIN orgusers.held_roles h USING (org_id, user_id)
    WHERE m.status = 'active'
    UNION ALL
    SELECT m.user_id, below.id, account.id, h.role_id, h.group_id
    FROM orgusers.memberships m
    JOIN orgusers.held_roles h USING (org_id, user_id)
    JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
    JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
    JOIN orgusers.organizations account ON account.id = m.org_id
    JOIN orgusers.organizations below ON below.root_id = account.root_id AND below.id <> account.id
    WHERE m.status = 'active' AND t.reaches_below AND below.parent_id IS NOT NULL
      AND (account.parent_id IS NULL OR orgusers.is_below(below.id, account.id));
COMMENT ON VIEW orgusers.acting_roles IS 'Roles that count for a user in an organization: those an active user holds there, and those held in an account above (account_id) that reach down. Internal';

CREATE VIEW orgusers.rights AS
    -- who reaches down is assigned to no space there
    SELECT a.user_id, a.org_id, p.permission, p.everywhere
    FROM orgusers.acting_roles a JOIN orgusers.role_rights p ON p.org_id = a.account_id AND p.role_id = a.role_id
    WHERE a.account_id = a.org_id OR p.everywhere
    UNION ALL
    SELECT m.user_id, m.org_id, p.permission, true
    FROM orgusers.memberships m JOIN orgusers.membership_permissions p USING (org_id, user_id)
    WHERE m.status = 'active'
    UNION ALL
    SELECT m.user_id, m.org_id, b.permission, true
    FROM orgusers.memberships m
    JOIN orgusers.organizations o ON o.id = m.org_id
    JOIN orgusers.base_permissions b ON b.policy = o.policy
    WHERE m.status = 'active';
COMMENT ON VIEW orgusers.rights IS 'The decision: a user may do in an organization what a row here says, in all of it (everywhere) or in the spaces that assigned_spaces names, and nothing else. Rows repeat when several sources say the same. Internal';
