-- Spaces: containers within an organization (projects, cases, workspaces), to which users are assigned.

CREATE TABLE orgusers.spaces (
    org_id uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    id     uuid NOT NULL DEFAULT orgusers.new_id(),
    name   text NOT NULL CHECK (orgusers.is_name(name)),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
);
COMMENT ON TABLE orgusers.spaces IS 'Spaces of an organization';
SELECT pg_extension_config_dump('orgusers.spaces', '');

CREATE TABLE orgusers.space_members (
    org_id   uuid NOT NULL,
    space_id uuid NOT NULL,
    user_id  uuid NOT NULL,
    PRIMARY KEY (org_id, user_id, space_id),
    FOREIGN KEY (org_id, space_id) REFERENCES orgusers.spaces ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES orgusers.memberships ON DELETE CASCADE
);
CREATE INDEX space_members_org_id_space_id_idx ON orgusers.space_members (org_id, space_id);
COMMENT ON TABLE orgusers.space_members IS 'Spaces that are assigned to a user directly; further ones come with groups';
SELECT pg_extension_config_dump('orgusers.space_members', '');

CREATE TABLE orgusers.space_groups (
    org_id   uuid NOT NULL,
    space_id uuid NOT NULL,
    group_id uuid NOT NULL,
    PRIMARY KEY (org_id, space_id, group_id),
    FOREIGN KEY (org_id, space_id) REFERENCES orgusers.spaces ON DELETE CASCADE,
    FOREIGN KEY (org_id, group_id) REFERENCES orgusers.groups ON DELETE CASCADE
);
CREATE INDEX space_groups_org_id_group_id_idx ON orgusers.space_groups (org_id, group_id);
COMMENT ON TABLE orgusers.space_groups IS 'Spaces that are assigned to every user of a group';
SELECT pg_extension_config_dump('orgusers.space_groups', '');
