-- The same as cold.pgbench without the way to the client: microseconds for a user whom the session has not seen.
SELECT orgusers.act_as(bench.id('u', 1002), true) AS warm, orgusers.can(bench.id('o', 1), 'docs.read') \g /dev/null
SELECT bench.touch() \g /dev/null
CREATE TEMP TABLE result (what text, seconds double precision);
SELECT set_config('bench.first', :first::text, false) \g /dev/null
DO $$
DECLARE
    size    bench.size := s FROM bench.size s;
    users   uuid[];
    orgs    uuid[];
    began   timestamptz;
    answer  boolean;
    status  text;
BEGIN
    FOR block IN 0 .. 8 LOOP
        SELECT array_agg(bench.id('u', 1005 + n)), array_agg(bench.id('o', n * 2 * 7919 % size.organizations + 1)) INTO users, orgs
            FROM (SELECT (current_setting('bench.first')::bigint + (block * 500 + i) * 7919) % (size.numbered / 2) FROM generate_series(1, 500) i) AS u (n);
        began := clock_timestamp();
        CASE block % 3
        WHEN 0 THEN
            FOR i IN 1 .. 500 LOOP
                PERFORM set_config('orgusers.user_id', users[i]::text, true);
                answer := orgs[i] IS NULL;
            END LOOP;
        WHEN 1 THEN
            FOR i IN 1 .. 500 LOOP
                PERFORM set_config('orgusers.user_id', users[i]::text, true);
                SELECT m.status INTO status FROM orgusers.memberships m WHERE m.org_id = orgs[i] AND m.user_id = users[i];
            END LOOP;
        WHEN 2 THEN
            FOR i IN 1 .. 500 LOOP
                PERFORM set_config('orgusers.user_id', users[i]::text, true);
                answer := orgusers.can(orgs[i], 'docs.read');
            END LOOP;
        END CASE;
        INSERT INTO result VALUES ((ARRAY['nothing', 'look_up', 'cold'])[block % 3 + 1], extract(epoch FROM clock_timestamp() - began));
    END LOOP;
END $$;
-- The best of three rounds; every user is a new one in each.
SELECT what, min(seconds) * 1e6 / 500 FROM result GROUP BY what;
