-- What the planner makes of can() in conditions, and that every plan gives the same rows.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL jit = off;
SELECT orgusers.install_plans_and_groups();
SELECT orgusers.register_permission('docs.read', 'Read.'), orgusers.register_permission('docs.write', 'Write.');
INSERT INTO orgusers.role_template_permissions VALUES
    ('plans_and_groups', 'user', 'docs.read'), ('plans_and_groups', 'admin', 'docs.read'), ('plans_and_groups', 'admin', 'docs.write');
SELECT orgusers.register_user('ann@example.org', id => '00000000-0000-0000-0000-00000000000a') IS NULL AS ann,
       orgusers.register_user('bob@example.org', id => '00000000-0000-0000-0000-00000000000b') IS NULL AS bob;

-- ann is ADMIN in organization 1, USER in 2, without roles in 3, and not in the 17 others.
CREATE FUNCTION pg_temp.org(n integer) RETURNS uuid IMMUTABLE
    RETURN ('00000000-0000-0000-0000-0000000001' || lpad(n::text, 2, '0'))::uuid;
DO $$
BEGIN
    PERFORM orgusers.act_as('00000000-0000-0000-0000-00000000000b');
    FOR i IN 1 .. 20 LOOP
        PERFORM orgusers.create_organization('org ' || i, 'plans_and_groups', pg_temp.org(i));
    END LOOP;
    INSERT INTO orgusers.memberships (org_id, user_id) SELECT pg_temp.org(i), '00000000-0000-0000-0000-00000000000a' FROM generate_series(1, 3) i;
    INSERT INTO orgusers.membership_roles SELECT org_id, '00000000-0000-0000-0000-00000000000a', id FROM orgusers.roles
        WHERE (org_id, template) IN ((pg_temp.org(1), 'admin'), (pg_temp.org(2), 'user'));
END $$;

CREATE TABLE plain (id integer PRIMARY KEY, org_id uuid, x integer, permission text);
INSERT INTO plain SELECT i, CASE WHEN i % 50 <> 0 THEN pg_temp.org(i % 20 + 1) END, i * 7919 % 1009,
                         CASE i % 3 WHEN 0 THEN 'docs.read' WHEN 1 THEN 'docs.write' END FROM generate_series(1, 4000) i;
CREATE TABLE by_org (LIKE plain);      CREATE INDEX by_org_idx ON by_org (org_id);
CREATE TABLE by_org_x (LIKE plain);    CREATE INDEX by_org_x_idx ON by_org_x (org_id, x);
CREATE TABLE by_x_org (LIKE plain);    CREATE INDEX by_x_org_idx ON by_x_org (x, org_id);
CREATE TABLE by_hash (LIKE plain);     CREATE INDEX by_hash_idx ON by_hash USING hash (org_id);
CREATE TABLE by_expr (LIKE plain);     CREATE INDEX by_expr_idx ON by_expr ((coalesce(org_id, '00000000-0000-0000-0000-000000000101')));
CREATE TABLE hashed (LIKE plain) PARTITION BY HASH (org_id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX ON hashed (org_id);
CREATE TABLE listed (LIKE plain) PARTITION BY LIST (org_id);
CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN ('00000000-0000-0000-0000-000000000101');
CREATE TABLE listed_rest PARTITION OF listed DEFAULT;
CREATE INDEX ON listed (org_id);
INSERT INTO by_org TABLE plain;
INSERT INTO by_org_x TABLE plain;
INSERT INTO by_x_org TABLE plain;
INSERT INTO by_hash TABLE plain;
INSERT INTO by_expr TABLE plain;
INSERT INTO hashed TABLE plain;
INSERT INTO listed TABLE plain;
ANALYZE;
SELECT orgusers.act_as('00000000-0000-0000-0000-00000000000a');

-- The index is offered and nothing cheaper: these tables are small.
-- Dear, not disabled: that would be told in the plans since 18.
SET LOCAL seq_page_cost = 1000000;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE orgusers.can(org_id, 'docs.read');
EXPLAIN (COSTS OFF) SELECT * FROM by_org WHERE orgusers.can(org_id, 'docs.read');
EXPLAIN (COSTS OFF) SELECT * FROM by_org_x WHERE orgusers.can(org_id, 'docs.read') AND x = 5;
EXPLAIN (COSTS OFF) SELECT org_id, x FROM by_org_x WHERE orgusers.can(org_id, 'docs.read') ORDER BY org_id, x;
-- On a lower column a list would lose the order that the planner counts on.
EXPLAIN (COSTS OFF) SELECT x, org_id FROM by_x_org WHERE orgusers.can(org_id, 'docs.read') ORDER BY x;
EXPLAIN (COSTS OFF) SELECT * FROM by_x_org WHERE orgusers.can(org_id, 'docs.read') AND x = 5;
EXPLAIN (COSTS OFF) SELECT * FROM by_hash WHERE orgusers.can(org_id, 'docs.read');
EXPLAIN (COSTS OFF) SELECT * FROM hashed WHERE orgusers.can(org_id, 'docs.read');
EXPLAIN (COSTS OFF) SELECT * FROM listed WHERE orgusers.can(org_id, 'docs.read');
EXPLAIN (COSTS OFF) SELECT * FROM by_expr WHERE orgusers.can(coalesce(org_id, '00000000-0000-0000-0000-000000000101'), 'docs.read');
EXPLAIN (COSTS OFF) UPDATE by_org SET x = 0 WHERE orgusers.can(org_id, 'docs.write');
EXPLAIN (COSTS OFF) DELETE FROM by_org WHERE orgusers.can(org_id, 'docs.write');
-- The permission from a column of the table itself, an unknown one, none, and one of a scan outside.
EXPLAIN (COSTS OFF) SELECT * FROM by_org WHERE orgusers.can(org_id, permission);
EXPLAIN (COSTS OFF) SELECT * FROM by_org WHERE orgusers.can(org_id, NULL);
EXPLAIN (COSTS OFF) SELECT * FROM by_org WHERE orgusers.can(pg_temp.org(1), 'docs.read');
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_material = off;
EXPLAIN (COSTS OFF) SELECT * FROM (VALUES ('docs.read'), ('docs.write')) p (permission) JOIN by_org ON orgusers.can(by_org.org_id, p.permission);
EXPLAIN (COSTS OFF) SELECT * FROM plain p JOIN by_org d ON d.org_id = p.org_id WHERE orgusers.can(d.org_id, 'docs.read') AND p.id = 7;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
EXPLAIN (COSTS OFF) SELECT * FROM by_org WHERE NOT orgusers.can(org_id, 'docs.read');
EXPLAIN (COSTS OFF) SELECT * FROM by_org WHERE orgusers.can(org_id, 'docs.read') AND orgusers.can(org_id, 'docs.write');
RESET seq_page_cost;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = on;
EXPLAIN (COSTS OFF) SELECT * FROM by_org WHERE orgusers.can(org_id, 'docs.read') OR orgusers.can(org_id, 'docs.write');
-- One plan serves any actor and any permission.
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE generic(text) AS SELECT count(*) FROM by_org WHERE orgusers.can(org_id, $1);
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) EXECUTE generic('docs.read');
EXECUTE generic('docs.read');
EXECUTE generic('docs.write');
EXECUTE generic(NULL);
SELECT orgusers.act_as('00000000-0000-0000-0000-00000000000b');
EXECUTE generic('docs.read');
SELECT orgusers.sign_out();
EXECUTE generic('docs.read');
SELECT orgusers.act_as('00000000-0000-0000-0000-00000000000a');
DEALLOCATE generic;

-- Every way gives the rows that the sequential scan gives, and in order where that is asked.
CREATE FUNCTION pg_temp.rows(condition text, relation text, rest text DEFAULT '', selected text DEFAULT 'id') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT count(*) || '' '' || md5(coalesce(string_agg(%s::text, '',''), '''')) FROM (SELECT * FROM %I WHERE %s %s) s',
                   selected, relation, condition, rest) INTO result;
    RETURN result;
END $$;
CREATE FUNCTION pg_temp.compare(rest text, selected text) RETURNS TABLE (condition text, rows text, differing text) LANGUAGE plpgsql AS $$
DECLARE
    relation text;
    scan text;
BEGIN
    FOREACH condition IN ARRAY ARRAY[
        $c$orgusers.can(org_id, 'docs.read')$c$, $c$orgusers.can(org_id, 'docs.write')$c$, $c$orgusers.can(org_id, 'unknown.key')$c$,
        $c$orgusers.can(org_id, NULL)$c$, $c$NOT orgusers.can(org_id, 'docs.read')$c$, $c$orgusers.can(org_id, permission)$c$,
        $c$orgusers.can(org_id, 'docs.read') AND NOT orgusers.can(org_id, 'docs.write')$c$,
        $c$orgusers.can(org_id, 'docs.read') AND x > 100$c$, $c$orgusers.can(org_id, 'docs.write') AND x = 5$c$,
        $c$(orgusers.can(org_id, 'docs.read') AND x < 50 OR orgusers.can(org_id, 'docs.write'))$c$,
        $c$orgusers.can(coalesce(org_id, '00000000-0000-0000-0000-000000000101'), 'docs.read')$c$,
        $c$orgusers.is_member(org_id)$c$,
        $c$orgusers.can(org_id, 'docs.read') AND org_id IN ('00000000-0000-0000-0000-000000000102', '00000000-0000-0000-0000-000000000105')$c$] LOOP
        PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true),
                set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'on', true);
        rows := pg_temp.rows(condition, 'plain', rest, selected);
        differing := NULL;
        FOREACH scan IN ARRAY ARRAY['seq', 'index', 'bitmap'] LOOP
            PERFORM set_config('enable_seqscan', (scan = 'seq')::text, true), set_config('enable_indexscan', (scan = 'index')::text, true),
                    set_config('enable_indexonlyscan', (scan = 'index')::text, true), set_config('enable_bitmapscan', (scan = 'bitmap')::text, true),
                    set_config('enable_sort', (scan <> 'index')::text, true);
            FOREACH relation IN ARRAY ARRAY['by_org', 'by_org_x', 'by_x_org', 'by_hash', 'by_expr', 'hashed', 'listed'] LOOP
                IF pg_temp.rows(condition, relation, rest, selected) <> rows THEN
                    differing := concat_ws(', ', differing, relation || ' ' || scan);
                END IF;
            END LOOP;
        END LOOP;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM pg_temp.compare('ORDER BY id', 'id');
-- Without OFFSET 0 the sort would be left out where the order does not matter.
SELECT * FROM pg_temp.compare('ORDER BY x OFFSET 0', 'x');
SELECT * FROM pg_temp.compare('ORDER BY org_id DESC, x DESC LIMIT 100', 'x');
SELECT * FROM pg_temp.compare('ORDER BY x LIMIT 3', 'x');
SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = on;
SELECT relation, low, high FROM (
    SELECT 'plain' AS relation, min(x) AS low, max(x) AS high FROM plain WHERE orgusers.can(org_id, 'docs.read')
    UNION ALL SELECT 'by_x_org', min(x), max(x) FROM by_x_org WHERE orgusers.can(org_id, 'docs.read')) s ORDER BY relation;
SELECT count(*), count(*) FILTER (WHERE p.permission = 'docs.write')
    FROM (VALUES ('docs.read'), ('docs.write'), (NULL), ('unknown.key')) p (permission) JOIN by_org ON orgusers.can(by_org.org_id, p.permission);

-- Workers decide as the leader does.
SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off;
SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL min_parallel_index_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 2; SET LOCAL parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM plain WHERE orgusers.can(org_id, 'docs.read');
SELECT count(*) FROM plain WHERE orgusers.can(org_id, 'docs.read');
SELECT count(*) FROM plain WHERE orgusers.is_member(org_id);
SELECT count(*) FROM plain WHERE org_id = ANY (orgusers.orgs_with('docs.write'));
SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on;
EXPLAIN (COSTS OFF) SELECT count(x) FROM by_org WHERE orgusers.can(org_id, 'docs.read');
SELECT count(x) FROM by_org WHERE orgusers.can(org_id, 'docs.read');
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET parallel_leader_participation;
SET LOCAL max_parallel_workers_per_gather = 0;

-- Policies are conditions like any other.
CREATE ROLE regress_plans_app;
SELECT orgusers.grant_to('regress_plans_app', 'application');
ALTER TABLE by_org ENABLE ROW LEVEL SECURITY;
CREATE POLICY reads ON by_org FOR SELECT USING (orgusers.can(org_id, 'docs.read'));
CREATE POLICY changes ON by_org FOR UPDATE USING (orgusers.can(org_id, 'docs.write')) WITH CHECK (orgusers.can(org_id, 'docs.write'));
CREATE POLICY deletes ON by_org FOR DELETE USING (orgusers.can(org_id, 'docs.write'));
GRANT SELECT, UPDATE, DELETE ON by_org TO regress_plans_app;
SET LOCAL ROLE regress_plans_app;
EXPLAIN (COSTS OFF) SELECT * FROM by_org;
EXPLAIN (COSTS OFF) UPDATE by_org SET x = 1;
EXPLAIN (COSTS OFF) DELETE FROM by_org WHERE x = 1;
SELECT count(*), count(DISTINCT org_id) FROM by_org;
WITH changed AS (UPDATE by_org SET x = 1 RETURNING org_id) SELECT count(*), count(DISTINCT org_id) FROM changed;
SAVEPOINT before;
UPDATE by_org SET org_id = '00000000-0000-0000-0000-000000000102';
ROLLBACK TO before;
WITH gone AS (DELETE FROM by_org RETURNING org_id) SELECT count(*), count(DISTINCT org_id) FROM gone;
SELECT count(*), count(DISTINCT org_id) FROM by_org;
ROLLBACK;
