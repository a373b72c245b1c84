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

-- Groups are for users who take a seat, and carry no free roles: their users would hold both kinds.
CREATE TABLE orgusers.group_members (
    org_id     uuid NOT NULL,
    group_id   uuid NOT NULL,
    user_id    uuid NOT NULL,
    holds_seat boolean NOT NULL DEFAULT true CHECK (holds_seat),
    PRIMARY KEY (org_id, user_id, group_id),
    FOREIGN KEY (org_id, group_id) REFERENCES orgusers.groups ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id, holds_seat) REFERENCES orgusers.memberships (org_id, user_id, holds_seat) ON DELETE CASCADE
);
CREATE INDEX group_members_org_id_group_id_idx ON orgusers.group_members (org_id, group_id);
CREATE INDEX group_members_user_id_org_id_idx ON orgusers.group_members (user_id, org_id, group_id);
COMMENT ON TABLE orgusers.group_members IS 'Who is in which group';
COMMENT ON COLUMN orgusers.group_members.holds_seat IS 'Always true: free users are in no group';
SELECT pg_extension_config_dump('orgusers.group_members', '');

CREATE TABLE orgusers.group_roles (
    org_id     uuid NOT NULL,
    group_id   uuid NOT NULL,
    role_id    uuid NOT NULL,
    holds_seat boolean NOT NULL DEFAULT true CHECK (holds_seat),
    PRIMARY KEY (org_id, group_id, role_id),
    FOREIGN KEY (org_id, group_id) REFERENCES orgusers.groups ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_id, holds_seat) REFERENCES orgusers.roles (org_id, id, holds_seat) ON DELETE CASCADE
);
CREATE INDEX group_roles_org_id_role_id_idx ON orgusers.group_roles (org_id, role_id);
COMMENT ON TABLE orgusers.group_roles IS 'Roles that every user of the group holds by being in it';
COMMENT ON COLUMN orgusers.group_roles.holds_seat IS 'Always true: groups carry no free roles';
SELECT pg_extension_config_dump('orgusers.group_roles', '');
