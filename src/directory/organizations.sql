-- Organizations and who belongs to them.

-- PostgreSQL takes nearly any text with a digit in it for a zone by the POSIX rules.
CREATE FUNCTION orgusers.is_zone_name(time_zone text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN char_length(time_zone) <= 100 AND time_zone ~ '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$';
COMMENT ON FUNCTION orgusers.is_zone_name(text) IS 'Whether a text has the form of the name of a time zone such as Europe/Berlin or UTC; whether there is one is for AT TIME ZONE to say (22023). Internal';

-- fillfactor: the epoch is updated in place (HOT) by every change that the invariants guard.
CREATE TABLE orgusers.organizations (
    id         uuid PRIMARY KEY DEFAULT orgusers.new_id(),
    name       text NOT NULL CHECK (orgusers.is_name(name)),
    policy     text NOT NULL REFERENCES orgusers.policies,
    time_zone  text NOT NULL DEFAULT 'UTC' CHECK (orgusers.is_zone_name(time_zone) AND (timestamptz '2000-01-01 00:00:00+00' AT TIME ZONE time_zone) IS NOT NULL),
    epoch      bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, policy)
) WITH (fillfactor = 80);
COMMENT ON TABLE orgusers.organizations IS 'Organizations';
COMMENT ON COLUMN orgusers.organizations.policy IS 'Rule-book that the organization follows';
COMMENT ON COLUMN orgusers.organizations.time_zone IS 'Time zone of the organization, for times in its mails';
COMMENT ON COLUMN orgusers.organizations.epoch IS 'Counts the changes that the invariants guard. Updating it is the lock that such a change takes first, see lock_organization';
SELECT pg_extension_config_dump('orgusers.organizations', '');

CREATE TABLE orgusers.memberships (
    org_id         uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    user_id        uuid NOT NULL REFERENCES orgusers.users ON DELETE CASCADE,
    status         text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deactivated')),
    invited_by     uuid,
    joined_at      timestamptz NOT NULL DEFAULT now(),
    deactivated_at timestamptz,
    PRIMARY KEY (org_id, user_id),
    CHECK ((status = 'deactivated') = (deactivated_at IS NOT NULL))
);
CREATE INDEX memberships_user_id_org_id_idx ON orgusers.memberships (user_id, org_id);
COMMENT ON TABLE orgusers.memberships IS 'Who is a user of which organization';
COMMENT ON COLUMN orgusers.memberships.status IS 'active, or deactivated: kept with roles and groups, but without rights and without a seat';
COMMENT ON COLUMN orgusers.memberships.invited_by IS 'User whose invitation was accepted, who may be gone since; NULL for the founder';
SELECT pg_extension_config_dump('orgusers.memberships', '');

-- Apart from users and memberships: which organization a person works in is not for the administrators of another, and
-- whoever switches in a transaction that stays open must not be in the way of a removal.  Hence no foreign key to the
-- membership: a choice that has none counts for nothing.  The row is a user's, not an organization's.
CREATE TABLE orgusers.current_organizations (
    user_id uuid PRIMARY KEY REFERENCES orgusers.users ON DELETE CASCADE,
    org_id  uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE
);
CREATE INDEX current_organizations_org_id_idx ON orgusers.current_organizations (org_id);
COMMENT ON TABLE orgusers.current_organizations IS 'The organization that a user has chosen last, with switch_organization(). Gives no right; the membership may be gone';
SELECT pg_extension_config_dump('orgusers.current_organizations', '');
