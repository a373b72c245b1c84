-- The decision: what a user may do in an organization.  Everything that asks, asks these views.

CREATE VIEW orgusers.held_roles AS
    SELECT org_id, user_id, role_id, NULL::uuid AS group_id FROM orgusers.membership_roles
    UNION ALL
    SELECT m.org_id, m.user_id, r.role_id, m.group_id
    FROM orgusers.group_members m JOIN orgusers.group_roles r USING (org_id, group_id);
COMMENT ON VIEW orgusers.held_roles IS 'Roles of users with their source: group_id is NULL for a role held directly. Internal';

CREATE VIEW orgusers.actor_roles AS
    SELECT m.user_id, m.org_id, r.policy, r.template
    FROM orgusers.memberships m
    LEFT JOIN (orgusers.held_roles h JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id)
        ON h.org_id = m.org_id AND h.user_id = m.user_id
    WHERE m.status = 'active';
COMMENT ON VIEW orgusers.actor_roles IS 'Active users of organizations with the role templates that they hold, NULL without any: what the cache of rights loads. Rows repeat when a role is held in several ways. Internal';

CREATE VIEW orgusers.rights AS
    SELECT a.user_id, a.org_id, p.permission
    FROM orgusers.actor_roles a
    JOIN orgusers.role_template_permissions p ON p.policy = a.policy AND p.template = a.template;
COMMENT ON VIEW orgusers.rights IS 'The decision: a user may do in an organization what a row here says, and nothing else. Rows repeat when several roles say the same. Internal';
