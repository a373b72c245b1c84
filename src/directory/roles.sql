-- Roles of an organization and who holds them.

-- policy is the organization's own: the foreign keys tie role, template and organization together, so that an
-- organization cannot change its policy under its roles.
CREATE TABLE orgusers.roles (
    org_id   uuid NOT NULL,
    id       uuid NOT NULL DEFAULT orgusers.new_id(),
    policy   text NOT NULL,
    template text NOT NULL,
    name     text NOT NULL CHECK (orgusers.is_name(name)),
    edited   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name),
    FOREIGN KEY (org_id, policy) REFERENCES orgusers.organizations (id, policy) ON DELETE CASCADE,
    FOREIGN KEY (policy, template) REFERENCES orgusers.role_templates ON UPDATE CASCADE
);
COMMENT ON TABLE orgusers.roles IS 'Roles of an organization, made from its policy''s templates or later like one of them. Limits are always the template''s, permissions as long as the role is not edited';
COMMENT ON COLUMN orgusers.roles.edited IS 'What the role permits is in role_permissions; otherwise it is the template''s';
SELECT pg_extension_config_dump('orgusers.roles', '');

CREATE TABLE orgusers.role_permissions (
    org_id     uuid NOT NULL,
    role_id    uuid NOT NULL,
    permission text NOT NULL REFERENCES orgusers.permissions ON DELETE CASCADE,
    PRIMARY KEY (org_id, role_id, permission),
    FOREIGN KEY (org_id, role_id) REFERENCES orgusers.roles ON DELETE CASCADE
);
CREATE INDEX role_permissions_permission_idx ON orgusers.role_permissions (permission);
COMMENT ON TABLE orgusers.role_permissions IS 'What an edited role permits; rows of a role that is not edited count for nothing';
SELECT pg_extension_config_dump('orgusers.role_permissions', '');

CREATE TABLE orgusers.membership_roles (
    org_id  uuid NOT NULL,
    user_id uuid NOT NULL,
    role_id uuid NOT NULL,
    PRIMARY KEY (org_id, user_id, role_id),
    FOREIGN KEY (org_id, user_id) REFERENCES orgusers.memberships ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_id) REFERENCES orgusers.roles ON DELETE CASCADE
);
CREATE INDEX membership_roles_org_id_role_id_idx ON orgusers.membership_roles (org_id, role_id);
CREATE INDEX membership_roles_user_id_org_id_idx ON orgusers.membership_roles (user_id, org_id);
COMMENT ON TABLE orgusers.membership_roles IS 'Roles that a user holds directly; further ones come with groups';
SELECT pg_extension_config_dump('orgusers.membership_roles', '');

CREATE TABLE orgusers.membership_permissions (
    org_id     uuid NOT NULL,
    user_id    uuid NOT NULL,
    permission text NOT NULL REFERENCES orgusers.permissions ON DELETE CASCADE,
    PRIMARY KEY (org_id, user_id, permission),
    FOREIGN KEY (org_id, user_id) REFERENCES orgusers.memberships ON DELETE CASCADE
);
CREATE INDEX membership_permissions_permission_idx ON orgusers.membership_permissions (permission);
CREATE INDEX membership_permissions_user_id_org_id_idx ON orgusers.membership_permissions (user_id, org_id);
COMMENT ON TABLE orgusers.membership_permissions IS 'Permissions that a user has by itself, beside those of roles; in all spaces';
SELECT pg_extension_config_dump('orgusers.membership_permissions', '');
