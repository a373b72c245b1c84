-- For the write figures: organizations (0 is for bulk) with an administrator each, people to invite, and beside them the same done
-- by hand as products do it: a few tables, two PL/pgSQL functions, the token as plain text; and once more in the schema recorded,
-- where triggers write an audit trail and an outbox.
--
-- Variables: organizations, people.
CREATE EXTENSION IF NOT EXISTS orgusers;
SELECT orgusers.install_plans_and_groups();
SELECT orgusers.add_mailer_key('2Dl7oW4h0VTqD8VdH6GC0Xe0gS0K3mDOUQm8o5mS0Eg=');
UPDATE orgusers.policies SET default_plan = 'paid';

CREATE SCHEMA writes;
CREATE FUNCTION writes.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN md5(kind || n)::uuid;

INSERT INTO orgusers.users (id, email, display_name, email_verified_at)
    SELECT writes.id('admin', n), ('admin' || n || '@example.org')::orgusers.email, 'Admin ' || n, now() FROM generate_series(0, :organizations) n
    UNION ALL
    SELECT writes.id('person', n), ('person' || n || '@example.org')::orgusers.email, 'Person ' || n, now() FROM generate_series(1, :people) n;
SELECT count(orgusers.create_organization('Organization ' || n, 'plans_and_groups', writes.id('org', n)))
    FROM generate_series(0, :organizations) n, LATERAL orgusers.act_as(writes.id('admin', n));

CREATE TABLE writes.users (id uuid PRIMARY KEY, email text NOT NULL UNIQUE, name text);
CREATE TABLE writes.organizations (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE writes.members (
    org_id uuid NOT NULL REFERENCES writes.organizations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES writes.users ON DELETE CASCADE,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, user_id)
);
CREATE TABLE writes.invitations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES writes.organizations ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL,
    token text NOT NULL UNIQUE DEFAULT encode(sha256(gen_random_uuid()::text::bytea), 'hex'),
    status text NOT NULL DEFAULT 'pending',
    invited_by uuid NOT NULL REFERENCES writes.users,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '7 days'
);
CREATE UNIQUE INDEX ON writes.invitations (org_id, email) WHERE status = 'pending';
INSERT INTO writes.users SELECT id, email::text, display_name FROM orgusers.users;
INSERT INTO writes.organizations SELECT id, name FROM orgusers.organizations;
INSERT INTO writes.members SELECT org_id, user_id, 'admin' FROM orgusers.memberships;

CREATE FUNCTION writes.invite(actor uuid, org uuid, address text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made text;
BEGIN
    IF NOT EXISTS (SELECT FROM writes.members m WHERE m.org_id = org AND m.user_id = actor AND m.role = 'admin') THEN
        RAISE EXCEPTION 'only administrators invite';
    END IF;
    INSERT INTO writes.invitations (org_id, email, role, invited_by) VALUES (org, lower(address), 'member', actor) RETURNING token INTO made;
    RETURN made;
END $$;
CREATE FUNCTION writes.accept(actor uuid, given text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    opened writes.invitations;
BEGIN
    SELECT i.* INTO opened FROM writes.invitations i JOIN writes.users u ON u.email = i.email
        WHERE i.token = given AND u.id = actor AND i.status = 'pending' AND i.expires_at > now() FOR UPDATE OF i;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such invitation';
    END IF;
    INSERT INTO writes.members (org_id, user_id, role) VALUES (opened.org_id, actor, opened.role);
    UPDATE writes.invitations SET status = 'accepted' WHERE id = opened.id;
    RETURN opened.org_id;
END $$;

CREATE SCHEMA recorded;
CREATE TABLE recorded.users (LIKE writes.users INCLUDING ALL);
CREATE TABLE recorded.organizations (LIKE writes.organizations INCLUDING ALL);
CREATE TABLE recorded.members (LIKE writes.members INCLUDING ALL,
    FOREIGN KEY (org_id) REFERENCES recorded.organizations ON DELETE CASCADE,
    FOREIGN KEY (user_id) REFERENCES recorded.users ON DELETE CASCADE
);
CREATE TABLE recorded.invitations (LIKE writes.invitations INCLUDING ALL,
    FOREIGN KEY (org_id) REFERENCES recorded.organizations ON DELETE CASCADE,
    FOREIGN KEY (invited_by) REFERENCES recorded.users
);
INSERT INTO recorded.users SELECT * FROM writes.users;
INSERT INTO recorded.organizations SELECT * FROM writes.organizations;
INSERT INTO recorded.members SELECT * FROM writes.members;
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('writes.invite'::regproc), 'writes.', 'recorded.');
    EXECUTE replace(pg_get_functiondef('writes.accept'::regproc), 'writes.', 'recorded.');
END $$;

CREATE TABLE recorded.audit (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES recorded.organizations ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor uuid,
    action text NOT NULL,
    before jsonb,
    after jsonb
);
CREATE INDEX ON recorded.audit (org_id, at);
CREATE TABLE recorded.outbox (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES recorded.organizations ON DELETE CASCADE,
    invitation_id uuid NOT NULL REFERENCES recorded.invitations ON DELETE CASCADE,
    recipient text NOT NULL,
    variables jsonb NOT NULL,
    status text NOT NULL DEFAULT 'waiting',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON recorded.outbox (created_at) WHERE status = 'waiting';
CREATE INDEX ON recorded.outbox (org_id, invitation_id);
CREATE FUNCTION recorded.write_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recorded.audit (org_id, actor, action, before, after)
        VALUES (NEW.org_id, nullif(current_setting('recorded.actor', true), '')::uuid, TG_OP || ' ' || TG_TABLE_NAME,
                CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) - 'token' END, to_jsonb(NEW) - 'token');
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON recorded.members FOR EACH ROW EXECUTE FUNCTION recorded.write_audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON recorded.invitations FOR EACH ROW EXECUTE FUNCTION recorded.write_audit();
CREATE FUNCTION recorded.write_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO recorded.outbox (org_id, invitation_id, recipient, variables)
            SELECT NEW.org_id, NEW.id, NEW.email, jsonb_build_object('organization', o.name, 'inviter', u.name, 'token', NEW.token)
            FROM recorded.organizations o, recorded.users u WHERE o.id = NEW.org_id AND u.id = NEW.invited_by;
    ELSE
        UPDATE recorded.outbox m SET status = 'withdrawn' WHERE m.org_id = NEW.org_id AND m.invitation_id = NEW.id AND m.status = 'waiting';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox AFTER INSERT OR UPDATE ON recorded.invitations FOR EACH ROW EXECUTE FUNCTION recorded.write_outbox();
VACUUM ANALYZE;
