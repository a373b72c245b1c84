-- Invitations and the digests of their tokens.

CREATE FUNCTION orgusers.is_invitation_state(status text, closed_at timestamptz) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_is_invitation_state';
COMMENT ON FUNCTION orgusers.is_invitation_state(text, timestamptz) IS 'Whether an invitation can be in this state: pending, or accepted, declined or canceled at a time. Internal';

CREATE TABLE orgusers.invitations (
    org_id      uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    id          uuid NOT NULL DEFAULT orgusers.new_id(),
    email       orgusers.email NOT NULL,
    first_name  text CHECK (orgusers.is_name(first_name)),
    last_name   text CHECK (orgusers.is_name(last_name)),
    locale      text NOT NULL DEFAULT 'en' CHECK (orgusers.is_locale(locale)),
    status      text NOT NULL DEFAULT 'pending',
    invited_by  uuid,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    answered_by uuid,
    closed_at   timestamptz,
    PRIMARY KEY (org_id, id),
    CONSTRAINT invitations_state CHECK (orgusers.is_invitation_state(status, closed_at))
);
CREATE UNIQUE INDEX invitations_one_pending ON orgusers.invitations (org_id, email) WHERE status = 'pending';
CREATE INDEX invitations_org_id_email_id_idx ON orgusers.invitations (org_id, email, id DESC);
CREATE INDEX invitations_pending_email_idx ON orgusers.invitations (email) WHERE status = 'pending';
CREATE INDEX invitations_declined_email_idx ON orgusers.invitations (email) WHERE status = 'declined';
COMMENT ON TABLE orgusers.invitations IS 'Invitations of an organization, one row for each, whatever became of it';
COMMENT ON COLUMN orgusers.invitations.status IS 'pending, accepted, declined or canceled. A pending one past expires_at is expired: that is read from the clock, never stored';
COMMENT ON COLUMN orgusers.invitations.invited_by IS 'User who sent it last, and whose authority it needs when it is accepted. No foreign key: the user may be gone';
COMMENT ON COLUMN orgusers.invitations.answered_by IS 'User who accepted or declined it';
SELECT pg_extension_config_dump('orgusers.invitations', '');

CREATE FUNCTION orgusers.status_now(invitation orgusers.invitations) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN invitation.status = 'pending' AND invitation.expires_at <= clock_timestamp() THEN 'expired' ELSE invitation.status END;
COMMENT ON FUNCTION orgusers.status_now(orgusers.invitations) IS 'Status of an invitation by the clock: as stored, or expired. Internal';

CREATE TABLE orgusers.invitation_roles (
    org_id        uuid NOT NULL,
    invitation_id uuid NOT NULL,
    role_id       uuid NOT NULL,
    PRIMARY KEY (org_id, invitation_id, role_id),
    FOREIGN KEY (org_id, invitation_id) REFERENCES orgusers.invitations ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_id) REFERENCES orgusers.roles ON DELETE CASCADE
);
CREATE INDEX invitation_roles_org_id_role_id_idx ON orgusers.invitation_roles (org_id, role_id);
COMMENT ON TABLE orgusers.invitation_roles IS 'Roles that accepting the invitation gives';
SELECT pg_extension_config_dump('orgusers.invitation_roles', '');

CREATE TABLE orgusers.invitation_groups (
    org_id        uuid NOT NULL,
    invitation_id uuid NOT NULL,
    group_id      uuid NOT NULL,
    PRIMARY KEY (org_id, invitation_id, group_id),
    FOREIGN KEY (org_id, invitation_id) REFERENCES orgusers.invitations ON DELETE CASCADE,
    FOREIGN KEY (org_id, group_id) REFERENCES orgusers.groups ON DELETE CASCADE
);
CREATE INDEX invitation_groups_org_id_group_id_idx ON orgusers.invitation_groups (org_id, group_id);
COMMENT ON TABLE orgusers.invitation_groups IS 'Groups that accepting the invitation puts the user in';
SELECT pg_extension_config_dump('orgusers.invitation_groups', '');

CREATE TABLE orgusers.invitation_spaces (
    org_id        uuid NOT NULL,
    invitation_id uuid NOT NULL,
    space_id      uuid NOT NULL,
    PRIMARY KEY (org_id, invitation_id, space_id),
    FOREIGN KEY (org_id, invitation_id) REFERENCES orgusers.invitations ON DELETE CASCADE,
    FOREIGN KEY (org_id, space_id) REFERENCES orgusers.spaces ON DELETE CASCADE
);
CREATE INDEX invitation_spaces_org_id_space_id_idx ON orgusers.invitation_spaces (org_id, space_id);
COMMENT ON TABLE orgusers.invitation_spaces IS 'Spaces that accepting the invitation assigns to the user';
SELECT pg_extension_config_dump('orgusers.invitation_spaces', '');

CREATE TABLE orgusers.invitation_tokens (
    org_id        uuid NOT NULL,
    digest        bytea NOT NULL CHECK (octet_length(digest) = 32),
    invitation_id uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('mail', 'link')),
    created_by    uuid,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, digest),
    FOREIGN KEY (org_id, invitation_id) REFERENCES orgusers.invitations ON DELETE CASCADE
);
CREATE INDEX invitation_tokens_org_id_invitation_id_idx ON orgusers.invitation_tokens (org_id, invitation_id);
COMMENT ON TABLE orgusers.invitation_tokens IS 'Tokens that open an invitation, as keyed digests only: the token itself is kept nowhere';
COMMENT ON COLUMN orgusers.invitation_tokens.kind IS 'mail: went to the address by mail, so that having it proves the address. link: shown to an administrator, proves nothing';
SELECT pg_extension_config_dump('orgusers.invitation_tokens', '');
