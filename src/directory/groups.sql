-- Groups of an organization: users who are named together and share the roles that the group carries.

CREATE TABLE orgusers.groups (
    org_id uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    id     uuid NOT NULL DEFAULT orgusers.new_id(),
    name   text NOT NULL CHECK (orgusers.is_name(name)),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
);
COMMENT ON TABLE orgusers.groups IS 'Groups of users of an organization';
SELECT pg_extension_config_dump('orgusers.groups', '');

CREATE TABLE orgusers.group_members (
    org_id   uuid NOT NULL,
    group_id uuid NOT NULL,
    user_id  uuid NOT NULL,
    PRIMARY KEY (org_id, user_id, group_id),
    FOREIGN KEY (org_id, group_id) REFERENCES orgusers.groups ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES orgusers.memberships ON DELETE CASCADE
);
CREATE INDEX group_members_org_id_group_id_idx ON orgusers.group_members (org_id, group_id);
CREATE INDEX group_members_user_id_org_id_idx ON orgusers.group_members (user_id, org_id);
COMMENT ON TABLE orgusers.group_members IS 'Who is in which group';
SELECT pg_extension_config_dump('orgusers.group_members', '');

CREATE TABLE orgusers.group_roles (
    org_id   uuid NOT NULL,
    group_id uuid NOT NULL,
    role_id  uuid NOT NULL,
    PRIMARY KEY (org_id, group_id, role_id),
    FOREIGN KEY (org_id, group_id) REFERENCES orgusers.groups ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_id) REFERENCES orgusers.roles ON DELETE CASCADE
);
CREATE INDEX group_roles_org_id_role_id_idx ON orgusers.group_roles (org_id, role_id);
COMMENT ON TABLE orgusers.group_roles IS 'Roles that every user of the group holds by being in it';
SELECT pg_extension_config_dump('orgusers.group_roles', '');
