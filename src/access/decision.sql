-- The decision: what a user may do in an organization.  Everything that asks, asks these two views.

CREATE VIEW orgusers.held_roles AS
    SELECT org_id, user_id, role_id, NULL::uuid AS group_id FROM orgusers.membership_roles
    UNION ALL
    SELECT m.org_id, m.user_id, r.role_id, m.group_id
    FROM orgusers.group_members m JOIN orgusers.group_roles r USING (org_id, group_id);
COMMENT ON VIEW orgusers.held_roles IS 'Roles of users with their source: group_id is NULL for a role held directly. Internal';

CREATE VIEW orgusers.rights AS
    SELECT m.user_id, m.org_id, p.permission
    FROM orgusers.memberships m
    JOIN orgusers.held_roles h USING (org_id, user_id)
    JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
    JOIN orgusers.role_template_permissions p ON p.policy = r.policy AND p.template = r.template
    WHERE m.status = 'active';
COMMENT ON VIEW orgusers.rights IS 'The decision: a user may do in an organization what a row here says, and nothing else. Rows repeat when several roles say the same. Internal';
