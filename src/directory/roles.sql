-- Roles of an organization and who holds them.

-- policy is the organization's own: the foreign keys tie role, template and organization together, so that an
-- organization cannot change its policy under its roles.
CREATE TABLE orgusers.roles (
    org_id     uuid NOT NULL,
    id         uuid NOT NULL DEFAULT orgusers.new_id(),
    policy     text NOT NULL,
    template   text NOT NULL,
    name       text NOT NULL CHECK (orgusers.is_name(name)),
    edited     boolean NOT NULL DEFAULT false,
    further    boolean NOT NULL DEFAULT false,
    holds_seat boolean NOT NULL,
    editable   boolean GENERATED ALWAYS AS (CASE WHEN edited THEN true END) STORED,
    -- with what the cache of rights looks up of a role
    PRIMARY KEY (org_id, id) INCLUDE (policy, template, edited),
    UNIQUE (org_id, id, holds_seat),
    UNIQUE (org_id, name),
    FOREIGN KEY (org_id, policy) REFERENCES orgusers.organizations (id, policy) ON DELETE CASCADE,
    FOREIGN KEY (policy, template, holds_seat) REFERENCES orgusers.role_templates (policy, id, holds_seat) ON UPDATE CASCADE,
    FOREIGN KEY (policy, template, editable) REFERENCES orgusers.role_templates (policy, id, editable)
);
COMMENT ON TABLE orgusers.roles IS 'Roles of an organization, made from its policy''s templates or later like one of them. Limits are always the template''s, permissions as long as the role is not edited';
COMMENT ON COLUMN orgusers.roles.holds_seat IS 'The template''s own, made by a trigger when it is left out; held equal to it by the foreign key';
COMMENT ON COLUMN orgusers.roles.edited IS 'What the role permits is in role_permissions; otherwise it is the template''s';
COMMENT ON COLUMN orgusers.roles.further IS 'Made like the template beside the role that is the template''s own, with create_role(). It is never given by default';
COMMENT ON COLUMN orgusers.roles.editable IS 'What the foreign key asks of the template: true for an edited role, NULL (nothing) for any other';
SELECT pg_extension_config_dump('orgusers.roles', '');

CREATE FUNCTION orgusers.set_role_kind() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.holds_seat := (SELECT t.holds_seat FROM orgusers.role_templates t WHERE t.policy = NEW.policy AND t.id = NEW.template);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION orgusers.set_role_kind() IS 'Trigger: a new role is free if its template is';
CREATE TRIGGER set_role_kind BEFORE INSERT ON orgusers.roles FOR EACH ROW WHEN (NEW.holds_seat IS NULL) EXECUTE FUNCTION orgusers.set_role_kind();
COMMENT ON TRIGGER set_role_kind ON orgusers.roles IS 'A new role is free if its template is';

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

-- holds_seat is the user's and the role's: the two foreign keys keep free roles and others apart.
CREATE TABLE orgusers.membership_roles (
    org_id     uuid NOT NULL,
    user_id    uuid NOT NULL,
    role_id    uuid NOT NULL,
    holds_seat boolean NOT NULL DEFAULT true,
    PRIMARY KEY (org_id, user_id, role_id),
    FOREIGN KEY (org_id, user_id, holds_seat) REFERENCES orgusers.memberships (org_id, user_id, holds_seat) ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_id, holds_seat) REFERENCES orgusers.roles (org_id, id, holds_seat) ON DELETE CASCADE
);
CREATE INDEX membership_roles_org_id_role_id_idx ON orgusers.membership_roles (org_id, role_id);
CREATE INDEX membership_roles_user_id_org_id_idx ON orgusers.membership_roles (user_id, org_id, role_id);
COMMENT ON TABLE orgusers.membership_roles IS 'Roles that a user holds directly; further ones come with groups';
COMMENT ON COLUMN orgusers.membership_roles.holds_seat IS 'The user''s and the role''s own; held equal to both by the foreign keys';
SELECT pg_extension_config_dump('orgusers.membership_roles', '');

-- holds_seat: a free user would be a full one by single permissions.
CREATE TABLE orgusers.membership_permissions (
    org_id     uuid NOT NULL,
    user_id    uuid NOT NULL,
    permission text NOT NULL REFERENCES orgusers.permissions ON DELETE CASCADE,
    holds_seat boolean NOT NULL DEFAULT true CHECK (holds_seat),
    PRIMARY KEY (org_id, user_id, permission),
    FOREIGN KEY (org_id, user_id, holds_seat) REFERENCES orgusers.memberships (org_id, user_id, holds_seat) ON DELETE CASCADE
);
CREATE INDEX membership_permissions_permission_idx ON orgusers.membership_permissions (permission);
CREATE INDEX membership_permissions_user_id_org_id_idx ON orgusers.membership_permissions (user_id, org_id, permission);
COMMENT ON TABLE orgusers.membership_permissions IS 'Permissions that a user has by itself, beside those of roles; in all spaces';
COMMENT ON COLUMN orgusers.membership_permissions.holds_seat IS 'Always true: free users have none';
SELECT pg_extension_config_dump('orgusers.membership_permissions', '');
