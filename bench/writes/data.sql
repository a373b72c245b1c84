-- For the write figures: organizations (0 is for bulk) with an administrator each, people to invite, and beside them the same done
-- by hand as products do it: a few tables, two PL/pgSQL functions, the token as plain text.
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
VACUUM ANALYZE;
