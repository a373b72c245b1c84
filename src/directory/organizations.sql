-- Organizations and who belongs to them.

-- PostgreSQL takes nearly any text with a digit in it for a zone by the POSIX rules.
CREATE FUNCTION orgusers.is_zone_name(time_zone text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN char_length(time_zone) <= 100 AND time_zone ~ '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$';
END $$;
COMMENT ON FUNCTION orgusers.is_zone_name(text) IS 'Whether a text has the form of the name of a time zone such as Europe/Berlin or UTC; whether there is one is for AT TIME ZONE to say (22023). Internal';

-- fillfactor: the epoch is updated in place (HOT) by every change that the invariants guard.
CREATE TABLE orgusers.organizations (
    id          uuid PRIMARY KEY DEFAULT orgusers.new_id(),
    parent_id   uuid CHECK (parent_id <> id),
    root_id     uuid NOT NULL,
    name        text NOT NULL CHECK (orgusers.is_name(name)),
    external_id text CHECK (orgusers.is_name(external_id)),
    policy      text NOT NULL REFERENCES orgusers.policies,
    time_zone   text NOT NULL DEFAULT 'UTC' CHECK (orgusers.is_zone_name(time_zone) AND (timestamptz '2000-01-01 00:00:00+00' AT TIME ZONE time_zone) IS NOT NULL),
    epoch       bigint NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, policy),
    UNIQUE (id, root_id, policy),
    FOREIGN KEY (parent_id, root_id, policy) REFERENCES orgusers.organizations (id, root_id, policy),
    CONSTRAINT organizations_root_has_no_parent CHECK ((parent_id IS NULL) = (root_id = id))
) WITH (fillfactor = 80);
CREATE INDEX organizations_parent_id_idx ON orgusers.organizations (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX organizations_root_id_idx ON orgusers.organizations (root_id) WHERE parent_id IS NOT NULL;
COMMENT ON TABLE orgusers.organizations IS 'Organizations: accounts, and sub-accounts below them';
COMMENT ON COLUMN orgusers.organizations.parent_id IS 'Account that this is a sub-account of, of the same policy; NULL for an account. Never changes';
COMMENT ON COLUMN orgusers.organizations.root_id IS 'Account at the root of the tree, the own id for an account; held equal to the parent''s by the foreign key, made by a trigger when it is left out';
COMMENT ON COLUMN orgusers.organizations.external_id IS 'Number or key by which the application''s people know the organization, such as a customer number; NULL for none';
COMMENT ON COLUMN orgusers.organizations.policy IS 'Rule-book that the organization follows';
COMMENT ON COLUMN orgusers.organizations.time_zone IS 'Time zone of the organization: for times in its mails, the day that daily_invitations is about, and the months of its statements, past ones too. Edited by the database''s owner';
COMMENT ON COLUMN orgusers.organizations.epoch IS 'Counts the changes that the invariants guard. Updating it is the lock that such a change takes first, see lock_organization';
SELECT pg_extension_config_dump('orgusers.organizations', '');

-- A restore gives the root itself, in whatever order the rows come.
CREATE FUNCTION orgusers.set_root() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.root_id := CASE WHEN NEW.parent_id IS NULL THEN NEW.id
                        ELSE (SELECT o.root_id FROM orgusers.organizations o WHERE o.id = NEW.parent_id) END;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION orgusers.set_root() IS 'Trigger: a new organization without a root gets its parent''s, or itself';
CREATE TRIGGER set_root BEFORE INSERT ON orgusers.organizations FOR EACH ROW WHEN (NEW.root_id IS NULL) EXECUTE FUNCTION orgusers.set_root();
COMMENT ON TRIGGER set_root ON orgusers.organizations IS 'A new organization without a root gets its parent''s, or itself';

-- The root is read before anything is locked, so it must not change; nor the policy of a sub-account, hence of a tree.
-- After the row is written: another trigger could still have changed it before.
CREATE FUNCTION orgusers.keep_tree() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'OU115', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA, CONSTRAINT = TG_NAME,
        MESSAGE = 'an organization stays where it is in its tree, and a sub-account under its policy',
        HINT = 'Make a new organization there.';
END $$;
COMMENT ON FUNCTION orgusers.keep_tree() IS 'Trigger: an organization keeps its parent and root, and a sub-account its policy (OU115)';
CREATE TRIGGER keep_tree AFTER UPDATE ON orgusers.organizations FOR EACH ROW
    WHEN ((OLD.parent_id, OLD.root_id) IS DISTINCT FROM (NEW.parent_id, NEW.root_id) OR (OLD.policy <> NEW.policy AND NEW.parent_id IS NOT NULL))
    EXECUTE FUNCTION orgusers.keep_tree();
COMMENT ON TRIGGER keep_tree ON orgusers.organizations IS 'An organization keeps its parent and root, and a sub-account its policy';

-- The foreign key alone would take rows of one statement that are each other's parents, below any root.  At the end of
-- the statement, so a restore can bring the rows in any order.
CREATE FUNCTION orgusers.check_root() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT orgusers.is_below(NEW.id, NEW.root_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU115', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA, CONSTRAINT = TG_NAME,
            MESSAGE = 'the accounts above an organization do not lead to its root',
            HINT = 'Make the account before its sub-accounts.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.check_root() IS 'Trigger: from a sub-account, parent by parent, one comes to its root (OU115)';
CREATE TRIGGER check_root AFTER INSERT ON orgusers.organizations FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION orgusers.check_root();
COMMENT ON TRIGGER check_root ON orgusers.organizations IS 'From a sub-account, parent by parent, one comes to its root';

CREATE TABLE orgusers.memberships (
    org_id         uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    user_id        uuid NOT NULL REFERENCES orgusers.users ON DELETE CASCADE,
    status         text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deactivated')),
    invited_by     uuid,
    joined_at      timestamptz NOT NULL DEFAULT now(),
    deactivated_at timestamptz,
    holds_seat     boolean NOT NULL DEFAULT true,
    seat_since     timestamptz NOT NULL DEFAULT now() CHECK (isfinite(seat_since)),
    PRIMARY KEY (org_id, user_id),
    -- For the foreign keys that keep free roles apart; it is also how the organizations of a user are found.
    CONSTRAINT memberships_user_id_org_id_idx UNIQUE (user_id, org_id, holds_seat) INCLUDE (status),
    CHECK ((status = 'deactivated') = (deactivated_at IS NOT NULL))
);
COMMENT ON TABLE orgusers.memberships IS 'Who is a user of which organization';
COMMENT ON COLUMN orgusers.memberships.status IS 'active, or deactivated: kept with roles and groups, but without rights and without a seat';
COMMENT ON COLUMN orgusers.memberships.holds_seat IS 'Takes a seat of the plan while active; false for a free user, who holds free roles and nothing else. Without roles a user takes a seat, unless the last free role has been deleted';
COMMENT ON COLUMN orgusers.memberships.seat_since IS 'Since when the user has taken a seat of the organization without a break, or, deactivated or free, since when none. Kept by a trigger; the seat''s time before is in seat_ledger';
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
