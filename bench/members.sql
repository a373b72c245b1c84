-- What a cold check costs by the number of users of the organization: makes four organizations with one role that
-- all of 100 to 100,000 new users hold, and prints microseconds for users whom the session has not seen.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE TEMP VIEW sized AS SELECT i, bench.id('o', 100000000 + i) AS org_id, bench.id('r', 100000000 + i) AS role_id, 10 ^ i AS users FROM generate_series(2, 5) i;
CREATE TEMP VIEW held AS SELECT *, bench.id('u', i * 100000000 + n) AS user_id FROM sized, generate_series(1, users::integer) n;
SET session_replication_role = replica;
INSERT INTO orgusers.organizations (id, root_id, name, policy) SELECT org_id, org_id, 'With ' || users, 'plans_and_groups' FROM sized;
INSERT INTO orgusers.roles (org_id, id, policy, template, name, holds_seat) SELECT org_id, role_id, 'plans_and_groups', 'user', 'USER', true FROM sized;
INSERT INTO orgusers.users (id, email) SELECT user_id, (user_id || '@example.org')::orgusers.email FROM held;
INSERT INTO orgusers.memberships (org_id, user_id) SELECT org_id, user_id FROM held;
INSERT INTO orgusers.membership_roles (org_id, user_id, role_id) SELECT org_id, user_id, role_id FROM held;
RESET session_replication_role;
VACUUM ANALYZE orgusers.users, orgusers.organizations, orgusers.roles, orgusers.memberships, orgusers.membership_roles;

SELECT orgusers.act_as(bench.id('u', 1002), true) AS warm, orgusers.can(bench.id('o', 1), 'docs.read') \g /dev/null
CREATE TEMP TABLE result (users integer, seconds double precision);
DO $$
DECLARE
    org    record;
    actors uuid[];
    began  timestamptz;
    answer boolean;
BEGIN
    FOR round IN 0 .. 2 LOOP
        FOR org IN SELECT * FROM sized LOOP
            actors := ARRAY(SELECT bench.id('u', org.i * 100000000 + 1 + (round * 33 + n) * (org.users::integer / 100)) FROM generate_series(0, 32) n);
            began := clock_timestamp();
            FOR n IN 1 .. 33 LOOP
                PERFORM set_config('orgusers.user_id', actors[n]::text, true);
                answer := orgusers.can(org.org_id, 'docs.read');
                IF answer IS NOT TRUE THEN
                    RAISE EXCEPTION 'a user of the organization may not read';
                END IF;
            END LOOP;
            INSERT INTO result VALUES (org.users, extract(epoch FROM clock_timestamp() - began));
        END LOOP;
    END LOOP;
END $$;
SELECT users, seconds * 1e6 / 33 FROM result ORDER BY users;
