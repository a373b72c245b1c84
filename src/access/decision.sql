-- The decision: what a user may do in an organization and its spaces.  Everything that asks, asks these views.

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

-- Base permissions have the policy as their source, and no template.
CREATE VIEW orgusers.actor_roles AS
    SELECT m.user_id, m.org_id, o.policy, ''::text AS template, NULL::text AS permission
    FROM orgusers.memberships m JOIN orgusers.organizations o ON o.id = m.org_id
    WHERE m.status = 'active'
    UNION ALL
    SELECT m.user_id, m.org_id, r.policy, r.template, NULL
    FROM orgusers.memberships m
    JOIN orgusers.held_roles h USING (org_id, user_id)
    JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
    WHERE m.status = 'active'
    UNION ALL
    SELECT m.user_id, m.org_id, NULL, NULL, p.permission
    FROM orgusers.memberships m JOIN orgusers.membership_permissions p USING (org_id, user_id)
    WHERE m.status = 'active';
COMMENT ON VIEW orgusers.actor_roles IS 'What the rights of active users come from, a row each: the policy (template is empty), a role''s template, or a permission of their own. What the cache of rights loads. Internal';

CREATE VIEW orgusers.actor_role_names AS
    SELECT m.user_id, m.org_id, r.name
    FROM orgusers.memberships m
    JOIN orgusers.held_roles h USING (org_id, user_id)
    JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
    WHERE m.status = 'active';
COMMENT ON VIEW orgusers.actor_role_names IS 'Roles of active users by name. Internal';

CREATE VIEW orgusers.source_permissions AS
    SELECT p.policy, p.template, p.permission, t.all_spaces OR k.scope = 'organization' AS everywhere
    FROM orgusers.role_template_permissions p
    JOIN orgusers.role_templates t ON t.policy = p.policy AND t.id = p.template
    JOIN orgusers.permissions k ON k.key = p.permission
    UNION ALL
    SELECT b.policy, ''::text, b.permission, true FROM orgusers.base_permissions b;
COMMENT ON VIEW orgusers.source_permissions IS 'What a role template, or a policy (template is empty), permits: everywhere in the organization, or in assigned spaces only. Internal';

CREATE VIEW orgusers.rights AS
    SELECT a.user_id, a.org_id, p.permission, p.everywhere
    FROM orgusers.actor_roles a JOIN orgusers.source_permissions p USING (policy, template)
    UNION ALL
    SELECT a.user_id, a.org_id, a.permission, true FROM orgusers.actor_roles a WHERE a.permission IS NOT NULL;
COMMENT ON VIEW orgusers.rights IS 'The decision: a user may do in an organization what a row here says, in all of it (everywhere) or in the spaces that assigned_spaces names, and nothing else. Rows repeat when several sources say the same. Internal';
