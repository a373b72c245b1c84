-- The application's tables: 10,000 organizations, each in as many rows; one table by the policy that protects it.
-- Those named scan have no index, which leaves nothing but a sequential scan.
-- Only protect_table() is ours.  The rest is what people write by hand; they read the memberships alone and do
-- not ask for roles, which makes them faster than the same question would be.
\set ON_ERROR_STOP on
-- protect_table() warns of the missing index.
SET client_min_messages = error;

CREATE FUNCTION bench.my_orgs() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT org_id FROM orgusers.memberships WHERE user_id = orgusers.current_user_id() AND status = 'active' $$;
CREATE FUNCTION bench.is_mine_sql(org uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT EXISTS (SELECT FROM orgusers.memberships WHERE org_id = org AND user_id = orgusers.current_user_id() AND status = 'active') $$;
CREATE FUNCTION bench.is_mine_plpgsql(org uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ BEGIN
        RETURN EXISTS (SELECT FROM orgusers.memberships WHERE org_id = org AND user_id = orgusers.current_user_id() AND status = 'active');
    END $$;

CREATE FUNCTION bench.make_docs(name text, docs integer, condition text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE bench.%I (id bigint, org_id uuid, title text)', name);
    EXECUTE format('INSERT INTO bench.%I SELECT n, bench.id(''o'', n %% 10000 + 1), ''Document '' || n FROM generate_series(1, %s) n', name, docs);
    IF name NOT LIKE '%\_scan' THEN
        EXECUTE format('CREATE INDEX ON bench.%I (org_id)', name);
    END IF;
    EXECUTE format('GRANT SELECT ON bench.%I TO bench_app', name);
    IF condition = 'protect_table' THEN
        PERFORM orgusers.protect_table(format('bench.%I', name)::regclass, read => 'docs.read');
    ELSIF condition <> '' THEN
        EXECUTE format('ALTER TABLE bench.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY read ON bench.%I FOR SELECT USING (%s)', name, condition);
    END IF;
END $$;

SELECT orgusers.grant_to('bench_app', 'application');
GRANT USAGE ON SCHEMA bench TO bench_app;

SELECT bench.make_docs(p.name || d.suffix, d.docs, p.condition)
FROM (VALUES ('limit', ''),
             ('can', 'protect_table'),
             ('any', 'org_id = ANY (ARRAY(SELECT bench.my_orgs()))'),
             ('in', 'org_id IN (SELECT bench.my_orgs())')) AS p (name, condition),
     (VALUES ('', 1000000), ('_scan', 1000000), ('_100000', 100000), ('_10000', 10000)) AS d (suffix, docs);
SELECT bench.make_docs('sql', 1000000, 'bench.is_mine_sql(org_id)');
SELECT bench.make_docs('plpgsql', 1000000, 'bench.is_mine_plpgsql(org_id)');

-- Rows for the loop: nothing but an id.  It has no index, so it is always scanned.
CREATE TABLE bench.ids AS SELECT bench.id('o', n % 10000 + 1) AS org_id FROM generate_series(1, 1000000) n;
GRANT SELECT ON bench.ids TO bench_app;
