-- Data for the benchmark: psql -v organizations=1000 -v memberships=20000.
--
-- Users 1 to 1000 are in ten organizations each, users 1001 to 1004 in 1, 5, 50 and 500 of them, all others in
-- two.  Memberships of the latter are numbered: number j belongs to user 1005 + j / 2 and organization
-- j * 7919 % organizations + 1.  The first to come to an organization is its administrator.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET maintenance_work_mem = '256MB';
SELECT (:memberships - 10556) / 2 AS others \gset

CREATE EXTENSION orgusers;
CREATE SCHEMA bench;

-- The id of the nth user (u), organization (o) or role (r): in the order of time, as version 7 is.
CREATE FUNCTION bench.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ('0' || to_hex(1700000000000 + n) || overlay(overlay(substr(md5(kind || n::text), 1, 20) PLACING '7' FROM 1) PLACING '8' FROM 5))::uuid;

-- Where docs.sql finds the sizes, and the scripts the number of the numbered memberships.
CREATE TABLE bench.size AS SELECT :organizations::bigint AS organizations, :others::bigint * 2 AS numbered;

SELECT orgusers.install_plans_and_groups();
SELECT orgusers.register_permission('docs.read', 'Read documents');
INSERT INTO orgusers.role_template_permissions (policy, template, permission)
    VALUES ('plans_and_groups', 'admin', 'docs.read'), ('plans_and_groups', 'user', 'docs.read');
INSERT INTO orgusers.plans (id, title, paid, seats) VALUES ('bench', 'No cap', false, NULL);

-- Foreign keys hold by construction, and organizations have their administrators.
SET session_replication_role = replica;
INSERT INTO orgusers.users (id, email)
    SELECT bench.id('u', n), ('user' || n || '@example.org')::orgusers.email FROM generate_series(1, 1004 + :others) n;
INSERT INTO orgusers.organizations (id, root_id, name, policy)
    SELECT bench.id('o', n), bench.id('o', n), 'Organization ' || n, 'plans_and_groups' FROM generate_series(1, :organizations) n;
INSERT INTO orgusers.subscriptions (org_id, plan, paid)
    SELECT bench.id('o', n), 'bench', false FROM generate_series(1, :organizations) n;
INSERT INTO orgusers.roles (org_id, id, policy, template, name, holds_seat)
    SELECT bench.id('o', n), bench.id('r', n * 2 + r), 'plans_and_groups', (ARRAY['user', 'admin'])[r + 1], (ARRAY['USER', 'ADMIN'])[r + 1], true
    FROM generate_series(1, :organizations) n, generate_series(0, 1) r;

-- Indexes that are not unique are made behind the rows, which is faster.
CREATE TEMP TABLE later AS
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
    WHERE i.indrelid IN ('orgusers.memberships'::regclass, 'orgusers.membership_roles'::regclass) AND NOT i.indisunique;
SELECT format('DROP INDEX %s', name) FROM later \gexec

CREATE TEMP VIEW held AS
    SELECT 1 + i / 10 AS u, i * 7919 % :organizations + 1 AS o, 0 AS r FROM generate_series(0, 9999) i
    UNION ALL
    SELECT a.u, (1000 / a.orgs) * k + 1, 0
    FROM (VALUES (1001, 1), (1002, 5), (1003, 50), (1004, 500)) a (u, orgs), generate_series(0, a.orgs - 1) k
    UNION ALL
    SELECT 1005 + j / 2, j * 7919 % :organizations + 1, (j < :organizations)::integer FROM generate_series(0, :others::bigint * 2 - 1) j;
INSERT INTO orgusers.memberships (org_id, user_id) SELECT bench.id('o', o), bench.id('u', u) FROM held;
INSERT INTO orgusers.membership_roles (org_id, user_id, role_id) SELECT bench.id('o', o), bench.id('u', u), bench.id('r', o * 2 + r) FROM held;
RESET session_replication_role;
SELECT definition FROM later \gexec

-- The table that is written to instead of the memberships: same columns, same keys, at most 100,000 rows.
CREATE TABLE bench.other AS
    SELECT j, bench.id('o', j * 7919 % :organizations + 1) AS org_id, bench.id('u', 1005 + j / 2) AS user_id,
           'active' AS status, NULL::timestamptz AS deactivated_at
    FROM generate_series(0, least(:others::bigint * 2, 100000) - 1) j;
ALTER TABLE bench.other ADD PRIMARY KEY (org_id, user_id);
CREATE INDEX ON bench.other (user_id, org_id);

-- Reads every page that a look-up can meet.  The first time a process touches a page of shared memory costs it a page
-- fault; a session of a server that has run for a while is behind that.
CREATE FUNCTION bench.touch() RETURNS bigint LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    first constant uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    RETURN (SELECT count(*) FROM orgusers.memberships WHERE org_id >= first)
        + (SELECT count(status) FROM orgusers.memberships WHERE user_id >= first)
        + (SELECT count(role_id) FROM orgusers.membership_roles WHERE user_id >= first)
        + (SELECT count(template) FROM orgusers.roles WHERE org_id >= first)
        + (SELECT count(*) FROM orgusers.organizations WHERE id >= first)
        + (SELECT count(joined_at) FROM orgusers.memberships);
END $$;
