-- Every function that applications and servers call, with every argument missing, unknown, another organization's,
-- or absurd: an SQLSTATE that is documented, and nothing changed.
BEGIN;
\ir setup.psql
SELECT no_plan();

-- A role that organizations may change.
INSERT INTO orgusers.role_templates (policy, id, name, editable) VALUES ('plans_and_groups', 'editor', 'EDITOR', true);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'editor');
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'admin', 'subaccounts.manage');
UPDATE orgusers.role_templates SET reaches_below = true WHERE id = 'admin';

-- ann's organization Acme is paid, with all there is in one; Other has the same things, for taking them from there.
DO $$
DECLARE
    called text;
BEGIN
    FOREACH called IN ARRAY ARRAY['Acme', 'Other'] LOOP
        PERFORM act(CASE called WHEN 'Acme' THEN 'ann' ELSE 'eve' END);
        PERFORM orgusers.create_organization(called, 'plans_and_groups');
        PERFORM enlist(called, CASE called WHEN 'Acme' THEN 'bob' ELSE 'fay' END);
        PERFORM orgusers.set_plan(org(called), 'paid', CASE called WHEN 'Acme' THEN person('ann') ELSE person('eve') END);
        PERFORM orgusers.create_group(org(called), CASE called WHEN 'Acme' THEN 'ours' ELSE 'theirs' END, '{USER}');
        PERFORM orgusers.create_space(org(called), CASE called WHEN 'Acme' THEN 'ours' ELSE 'theirs' END);
        PERFORM orgusers.create_space(org(called), 'held');
        PERFORM orgusers.set_user_spaces(org(called), CASE called WHEN 'Acme' THEN person('bob') ELSE person('fay') END, '{held}');
        PERFORM orgusers.invite_user(org(called), (CASE called WHEN 'Acme' THEN 'cyd@example.org' ELSE 'dan@example.org' END)::orgusers.email);
    END LOOP;
    UPDATE orgusers.role_templates SET joinable = true WHERE id = 'user';
    PERFORM act('ann');
    PERFORM orgusers.claim_join_domain(org('Acme'), 'example.net');
    PERFORM act('eve');
    PERFORM orgusers.verify_join_domain(org('Other'), 'example.org', orgusers.claim_join_domain(org('Other'), 'example.org'));
    PERFORM set_config('test.join_token', link_token(link), true) FROM orgusers.create_join_link(org('Other'));
    PERFORM orgusers.invite_user(org('Other'), 'ann@example.org');
    -- ann can leave Third.
    PERFORM act('gus');
    PERFORM orgusers.create_organization('Third', 'plans_and_groups');
    PERFORM orgusers.invite_user(org('Third'), 'fresh@example.org');
    PERFORM enlist('Third', 'ann');
    PERFORM act('ann');
    PERFORM orgusers.create_join_link(org('Acme'));
    PERFORM and_commit('');
END $$;

-- A good call of each function: an expression for each argument, in order. A new function needs a row here.
CREATE TEMP TABLE calls (name text PRIMARY KEY, arguments text[]);
INSERT INTO calls VALUES
    ('version', '{}'), ('sign_out', '{}'), ('current_user_id', '{}'), ('my_profile', '{}'), ('my_organizations', '{}'),
    ('current_organization_id', '{}'), ('my_invitations', '{}'),
    ('sign_in', ARRAY['''x.y.z''', 'false']),
    ('update_profile', ARRAY['''Ann''', '''https://example.org/ann.png''', '''en''']),
    ('can', ARRAY['org(''Acme'')', '''users.view''']),
    ('require', ARRAY['org(''Acme'')', '''users.view''']),
    ('has_role', ARRAY['org(''Acme'')', '''ADMIN''']),
    ('is_member', ARRAY['org(''Acme'')']),
    ('orgs_with', ARRAY['''users.view''']),
    ('create_organization', ARRAY['''New''', '''plans_and_groups''', 'gen_random_uuid()', '''Europe/Vienna''', '''4711''']),
    ('set_external_id', ARRAY['org(''Acme'')', '''4711''']),
    ('preview_leaving', ARRAY['org(''Acme'')']),
    ('leave_organization', ARRAY['org(''Third'')', '(SELECT confirmation FROM orgusers.preview_leaving(org(''Third'')))']),
    ('access_state', ARRAY['org(''Acme'')']), ('new_areas', ARRAY['org(''Acme'')']), ('record_activity', ARRAY['org(''Acme'')']),
    ('create_my_organization', ARRAY['''New''', '''plans_and_groups''', '''Europe/Vienna''']),
    ('new_id', '{}'), ('require_user', '{}'), ('explain_access', ARRAY['person(''bob'')', 'org(''Acme'')', '''users.view''', 'NULL']),
    ('orgs_reached', ARRAY['''users.view''']), ('spaces_with', ARRAY['''users.view''']), ('cache_stats', '{}'),
    ('create_space', ARRAY['org(''Acme'')', '''further''']), ('rename_space', ARRAY['org(''Acme'')', '''ours''', '''mine''']), ('delete_space', ARRAY['org(''Acme'')', '''ours''']),
    ('set_user_spaces', ARRAY['org(''Acme'')', 'person(''bob'')', '''{ours}''']), ('set_group_spaces', ARRAY['org(''Acme'')', '''ours''', '''{ours}''']),
    ('set_user_permissions', ARRAY['org(''Acme'')', 'person(''bob'')', '''{users.view}''']),
    ('rename_organization', ARRAY['org(''Acme'')', '''Acme 2''']),
    ('delete_organization', ARRAY['org(''Acme'')']),
    ('switch_organization', ARRAY['org(''Acme'')']),
    ('list_users', ARRAY['org(''Acme'')', '''a''', '''a@example.org''', '10', '''{pending}''']),
    ('set_user_roles', ARRAY['org(''Acme'')', 'person(''bob'')', '''{ADMIN}''']),
    ('set_user_groups', ARRAY['org(''Acme'')', 'person(''bob'')', '''{ours}''']),
    ('remove_user', ARRAY['org(''Acme'')', 'person(''bob'')']),
    ('deactivate_user', ARRAY['org(''Acme'')', 'person(''bob'')']),
    ('reactivate_user', ARRAY['org(''Acme'')', 'person(''bob'')']),
    ('create_group', ARRAY['org(''Acme'')', '''further''', '''{USER}''']),
    ('rename_group', ARRAY['org(''Acme'')', '''ours''', '''mine''']),
    ('delete_group', ARRAY['org(''Acme'')', '''ours''']),
    ('set_group_roles', ARRAY['org(''Acme'')', '''ours''', '''{ADMIN}''']),
    ('set_billing_admin', ARRAY['org(''Acme'')', 'person(''bob'')']),
    ('set_billing_cc', ARRAY['org(''Acme'')', '''{x@example.org}''']),
    ('billing_contact', ARRAY['org(''Acme'')']),
    ('invite_user', ARRAY['org(''Acme'')', '''x@example.org''', '''{USER}''', '''{ours}''', '''X''', '''Y''', '''en''', 'true', '''{ours}''']),
    ('list_invitations', ARRAY['org(''Acme'')', '''pending''', '''ffffffff-ffff-ffff-ffff-ffffffffffff''', '10']),
    ('resend_invitation', ARRAY['org(''Acme'')', 'inv(''Acme'', ''cyd'')']),
    ('invitation_link', ARRAY['org(''Acme'')', 'inv(''Acme'', ''cyd'')']),
    ('cancel_invitation', ARRAY['org(''Acme'')', 'inv(''Acme'', ''cyd'')']),
    ('remove_invitation', ARRAY['org(''Acme'')', 'inv(''Acme'', ''cyd'')']),
    ('assign_spaces', ARRAY['org(''Acme'')', 'person(''bob'')', '''{ours}''']), ('unassign_spaces', ARRAY['org(''Acme'')', 'person(''bob'')', '''{held}''']),
    ('list_spaces', ARRAY['org(''Acme'')', '''o''', '''a''', '10']), ('list_space_users', ARRAY['org(''Acme'')', '''ours''', '''a@example.org''', '10']),
    ('set_invitation_spaces', ARRAY['org(''Acme'')', 'inv(''Acme'', ''cyd'')', '''{ours}''']),
    ('invitations_left', ARRAY['org(''Acme'')']),
    ('preview_invitation', ARRAY['token()::orgusers.invitation_token']),
    ('accept_invitation', ARRAY['token()::orgusers.invitation_token']),
    ('decline_invitation', ARRAY['token()::orgusers.invitation_token']),
    ('register_and_accept', ARRAY['new_token()::orgusers.invitation_token', '''fresh@example.org''', '''Fresh''', '''de''', 'gen_random_uuid()']),
    ('accept_my_invitation', ARRAY['org(''Other'')', 'inv(''Other'', ''ann'')']),
    ('decline_my_invitation', ARRAY['org(''Other'')', 'inv(''Other'', ''ann'')']),
    ('invite_users', ARRAY['org(''Acme'')', '''[{"email": "x@example.org", "groups": ["ours"]}]''', 'true']),
    ('create_join_link', ARRAY['org(''Acme'')', '''{USER}''', '10', '''1 day''']), ('list_join_links', ARRAY['org(''Acme'')']),
    ('revoke_join_link', ARRAY['org(''Acme'')', 'join_link()']),
    ('join_preview', ARRAY['join_token()::orgusers.invitation_token']), ('join_organization', ARRAY['join_token()::orgusers.invitation_token']),
    ('claim_join_domain', ARRAY['org(''Acme'')', '''example.com''', '''{USER}''']), ('list_join_domains', ARRAY['org(''Acme'')']),
    ('verify_join_domain', ARRAY['org(''Acme'')', '''example.net''', 'challenge()']), ('drop_join_domain', ARRAY['org(''Acme'')', '''example.net''']),
    ('my_join_offers', '{}'), ('join_by_domain', ARRAY['org(''Other'')']),
    ('list_audit', ARRAY['org(''Acme'')', '''ffffffff-ffff-ffff-ffff-ffffffffffff''', '10', '''memberships''', 'person(''ann'')', 'person(''bob'')']),
    ('act_as', ARRAY['person(''bob'')', 'false']),
    ('register_user', ARRAY['''new@example.org''', '''New''', 'gen_random_uuid()', 'true', '''de''']),
    ('set_email_verified', ARRAY['person(''una'')', '''una@example.org''']),
    ('change_email', ARRAY['person(''bob'')', '''robert@example.org''', 'true']),
    ('set_plan', ARRAY['org(''Acme'')', '''paid''', 'person(''bob'')']),
    ('billing_addresses', ARRAY['org(''Acme'')']),
    ('seat_usage', ARRAY['org(''Acme'')', 'now() - interval ''1 day''', 'now()']), ('seat_usage_of', ARRAY['org(''Acme'')', 'now() - interval ''1 day''', 'now()']),
    ('billing_statement', ARRAY['org(''Acme'')', '''2020-02-29''']), ('billing_statement_of', ARRAY['org(''Acme'')', '''2020-02-29''']),
    ('create_role', ARRAY['org(''Acme'')', '''new role''', '''{users.view}''', '''editor''']),
    ('edit_role', ARRAY['org(''Acme'')', '''EDITOR''', '''AUTHOR''', '''{users.view}''']),
    ('delete_role', ARRAY['org(''Acme'')', '''EDITOR''']),
    ('role_usage', ARRAY['org(''Acme'')', '''EDITOR''']),
    ('list_roles', ARRAY['org(''Acme'')']),
    ('hand_over', ARRAY['org(''Acme'')', 'person(''bob'')', 'true']),
    ('create_sub_account', ARRAY['org(''Acme'')', '''Below''', '''y@example.org''', '''B-1''', '''Europe/Vienna''', '''{USER}''', '''X''', '''Y''', '''en''']),
    ('list_sub_accounts', ARRAY['org(''Acme'')']);
SELECT mail_token('Other', 'ann') AS token \gset
SELECT set_config('test.token', :'token', true) AS token \gset
CREATE FUNCTION join_token() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('test.join_token') $$;
CREATE FUNCTION join_link() RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT id FROM orgusers.join_links WHERE org_id = org('Acme') $$;
CREATE FUNCTION challenge() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT challenge FROM orgusers.join_domains WHERE org_id = org('Acme') $$;
SELECT mail_token('Third', 'fresh') AS token \gset
SELECT set_config('test.new_token', :'token', true) AS token \gset
CREATE FUNCTION new_token() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('test.new_token') $$;
CREATE FUNCTION token() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('test.token') $$;

CREATE TEMP VIEW public_functions AS
    SELECT p.oid::regprocedure AS called, p.proname::text AS name, p.pronargs AS arity
    FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace AND p.proname !~ '^(email|invitation_token)_'
      AND p.proname = ANY (orgusers.audience_functions('application') || orgusers.audience_functions('server'))
      AND NOT (p.proname = 'can' AND p.pronargs = 3);  -- in spaces.sql
SELECT set_eq('SELECT name, arity::int FROM public_functions', 'SELECT name, cardinality(arguments) FROM calls', 'every function that applications and servers call is called here');
SELECT is((SELECT count(*)::int FROM public_functions), (SELECT count(DISTINCT name)::int FROM public_functions), 'none has a second form that is not');

-- Everything there is, as one value.
CREATE FUNCTION everything() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    t     regclass;
    part  text;
    whole text := '';
BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'orgusers'::regnamespace AND relkind = 'r' ORDER BY relname LOOP
        EXECUTE format('SELECT md5(coalesce(string_agg(x::text, E''\n'' ORDER BY x::text), '''')) FROM %s x', t) INTO part;
        whole := whole || part;
    END LOOP;
    RETURN md5(whole);
END $$;

-- What comes of a call, which is taken back.
CREATE FUNCTION outcome(of_name text, VARIADIC arguments text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before text := everything();
    what   text;
BEGIN
    BEGIN
        -- A query over the function's rows, so that they are made.
        EXECUTE format('SELECT count(*) FROM (SELECT orgusers.%I(%s) OFFSET 0) AS made', of_name, array_to_string(arguments, ', '));
        SET CONSTRAINTS ALL IMMEDIATE;
        what := CASE WHEN everything() = before THEN 'nothing changed' ELSE 'changed' END;
        RAISE EXCEPTION USING ERRCODE = 'ZZ000';
    EXCEPTION
        WHEN SQLSTATE 'ZZ000' THEN RETURN what;
        WHEN OTHERS THEN RETURN SQLSTATE;
    END;
END $$;

-- The call of a function with one argument exchanged.
CREATE FUNCTION outcome_with(of_name text, good text[], place int, other text) RETURNS text LANGUAGE sql AS
    $$ SELECT outcome(of_name, VARIADIC good[:place - 1] || other || good[place + 1:]) $$;
CREATE FUNCTION type_of(called regprocedure, place int) RETURNS regtype LANGUAGE sql AS
    $$ SELECT (proargtypes::oid[])[place - 1]::regtype FROM pg_proc WHERE oid = called $$;
CREATE FUNCTION name_of(called regprocedure, place int) RETURNS text LANGUAGE sql AS
    $$ SELECT proargnames[place] FROM pg_proc WHERE oid = called $$;
GRANT SELECT ON calls, public_functions TO PUBLIC;
SELECT as_owner('GRANT EXECUTE ON FUNCTION orgusers.audience_functions(text) TO regress_ou_server');

SET LOCAL ROLE regress_ou_server;

-- The good calls are good, or the rest shows nothing.
SELECT is(outcome(name, VARIADIC arguments), CASE
        WHEN name = 'sign_in' THEN 'OU003'
        WHEN name = 'remove_invitation' THEN 'OU205'
        WHEN name IN ('new_id', 'require_user', 'explain_access', 'orgs_reached', 'spaces_with', 'cache_stats', 'version', 'sign_out', 'current_user_id', 'my_profile', 'my_organizations', 'current_organization_id', 'my_invitations',
                      'can', 'require', 'has_role', 'is_member', 'orgs_with', 'list_users', 'reactivate_user', 'billing_contact', 'preview_leaving', 'access_state',
                      'list_invitations', 'invitations_left', 'list_spaces', 'list_space_users', 'preview_invitation', 'act_as', 'billing_addresses',
                      'seat_usage', 'seat_usage_of', 'billing_statement', 'billing_statement_of',
                      'list_join_links', 'join_preview', 'list_join_domains', 'my_join_offers', 'role_usage', 'list_roles', 'list_sub_accounts', 'list_audit') THEN 'nothing changed'
        ELSE 'changed' END, 'a good call of ' || name) FROM calls ORDER BY name;

-- NULL, one argument after the other. What may be left out is named here; everything else is refused or changes nothing.
SELECT matches(outcome_with(c.name, c.arguments, place, 'NULL'),
        CASE WHEN may.be_left_out THEN '^(changed|nothing changed|OU\d\d\d)$' ELSE '^(nothing changed|OU\d\d\d)$' END,
        format('%s without %s', c.name, name_of(f.called, place)))
    FROM calls c JOIN public_functions f USING (name), generate_series(1, cardinality(c.arguments)) place,
         LATERAL (SELECT (c.name, name_of(f.called, place)) IN (VALUES
            ('update_profile', 'display_name'), ('update_profile', 'avatar_url'), ('update_profile', 'locale'),
            ('create_organization', 'id'), ('create_organization', 'time_zone'), ('create_organization', 'external_id'), ('set_external_id', 'external_id'), ('create_my_organization', 'time_zone'), ('set_user_roles', 'roles'), ('set_user_spaces', 'spaces'), ('set_user_groups', 'groups'), ('set_group_roles', 'roles'), ('create_group', 'roles'),
            ('set_billing_cc', 'addresses'), ('set_plan', 'billing_admin_id'),
            ('invite_user', 'roles'), ('invite_user', 'groups'), ('invite_user', 'first_name'), ('invite_user', 'last_name'), ('invite_user', 'locale'), ('invite_user', 'send'), ('invite_user', 'spaces'), ('invite_users', 'send'),
            ('create_join_link', 'roles'), ('claim_join_domain', 'roles'),
            ('invite_user', 'roles'), ('invite_user', 'groups'), ('invite_user', 'first_name'), ('invite_user', 'last_name'), ('invite_user', 'locale'), ('invite_user', 'send'),
            ('register_and_accept', 'display_name'), ('register_and_accept', 'locale'), ('register_and_accept', 'id'),
            ('register_user', 'display_name'), ('register_user', 'id'), ('register_user', 'email_verified'), ('register_user', 'locale'),
            ('create_role', 'permissions'), ('create_role', 'like'), ('edit_role', 'new_name'), ('edit_role', 'permissions'), ('hand_over', 'keep_roles'),
            ('create_sub_account', 'person'), ('create_sub_account', 'external_id'), ('create_sub_account', 'time_zone'), ('create_sub_account', 'roles'),
            ('create_sub_account', 'first_name'), ('create_sub_account', 'last_name'), ('create_sub_account', 'locale'),
            ('change_email', 'verified'))) AS may (be_left_out)
    ORDER BY c.name, place;
SELECT matches(outcome(c.name, VARIADIC array_fill('NULL'::text, ARRAY[cardinality(c.arguments)])), '^(nothing changed|OU\d\d\d)$', c.name || ' with nothing but NULLs')
    FROM calls c WHERE c.arguments <> '{}' AND c.name <> 'update_profile' ORDER BY c.name;

-- Ids of nothing, of the wrong thing, and of another organization's
SELECT matches(outcome_with(c.name, c.arguments, place, other), '^(nothing changed|OU\d\d\d)$', format('%s with %s for %s', c.name, other, name_of(f.called, place)))
    FROM calls c JOIN public_functions f USING (name), generate_series(1, cardinality(c.arguments)) place,
         unnest(ARRAY['gen_random_uuid()', '''00000000-0000-0000-0000-000000000000''', 'org(''Acme'')', 'org(''Other'')', 'person(''fay'')', 'inv(''Other'', ''dan'')']) other
    WHERE type_of(f.called, place) = 'uuid'::regtype
      AND NOT (c.name IN ('create_organization', 'register_user', 'register_and_accept') AND name_of(f.called, place) = 'id')
      AND other <> c.arguments[place]
      -- The server's directory is of all people, and the plan of every organization.
      AND NOT (c.name IN ('change_email', 'set_plan', 'set_external_id') AND other IN ('person(''fay'')', 'org(''Other'')'))
    ORDER BY c.name, place, other;
SELECT is(outcome('set_plan', 'org(''Other'')', '''paid''', 'person(''bob'')'), 'OU102', 'set_plan with another organization''s user');
SELECT is(outcome('register_and_accept', 'new_token()::orgusers.invitation_token', '''fresh@example.org''', 'NULL', 'NULL', 'person(''fay'')'), 'OU107', 'register_and_accept with an id in use');
SELECT is(outcome('create_organization', '''New''', '''plans_and_groups''', 'org(''Other'')', '''UTC'''), 'OU107', 'create_organization with an id in use');
SELECT is(outcome('register_user', '''new@example.org''', 'NULL', 'person(''fay'')', 'true', '''en'''), 'OU107', 'register_user with an id in use');
SELECT is(outcome('register_user', '''FAY@example.org''', 'NULL', 'NULL', 'true', '''en'''), 'OU107', 'register_user with an address in use');
SELECT is(outcome('change_email', 'person(''bob'')', '''FAY@example.org''', 'true'), 'OU107', 'change_email with an address in use');
SELECT is(outcome('set_user_groups', 'org(''Acme'')', 'person(''bob'')', '''{theirs}'''), 'OU104', 'set_user_groups with another organization''s group');
SELECT is(outcome('set_group_roles', 'org(''Acme'')', '''theirs''', '''{USER}'''), 'OU104', 'set_group_roles of another organization''s group');
SELECT is(outcome('delete_group', 'org(''Acme'')', '''theirs'''), 'OU104', 'delete_group of another organization''s');
SELECT is(outcome('rename_group', 'org(''Acme'')', '''theirs''', '''x'''), 'OU104', 'rename_group of another organization''s');

-- Absurd texts. 22P02, 22023: the value itself is none of its type, or no time zone.
CREATE TEMP TABLE absurd (what text, value text);
INSERT INTO absurd VALUES ('an empty text', ''), ('a blank', ' '), ('a line feed', E'a\nb'), ('a quote', ''''), ('a semicolon', '''; DROP SCHEMA orgusers; --'),
    ('a brace', '{'), ('a percent sign', '%'), ('a placeholder', '{{token}}'), ('a backslash', '\'), ('a long text', repeat('x', 100000)), ('an escape sequence', E'\x1b[31m'),
    ('a change of direction', U&'a\202Eb');
GRANT SELECT ON absurd TO PUBLIC;
SELECT matches(outcome_with(c.name, c.arguments, place, quote_literal(a.value)), '^(nothing changed|OU\d\d\d|22023)$', format('%s with %s for %s', c.name, a.what, name_of(f.called, place)))
    FROM calls c JOIN public_functions f USING (name), generate_series(1, cardinality(c.arguments)) place, absurd a
    WHERE type_of(f.called, place) IN ('text'::regtype, 'orgusers.email'::regtype, 'orgusers.invitation_token'::regtype)
      -- Those are names like others, or take away what there is.
      AND NOT (a.what IN ('a quote', 'a semicolon', 'a brace', 'a percent sign', 'a placeholder', 'a backslash')
               AND (c.name, name_of(f.called, place)) IN (VALUES ('create_organization', 'name'), ('create_organization', 'external_id'), ('set_external_id', 'external_id'), ('register_and_accept', 'display_name'), ('create_my_organization', 'name'), ('create_space', 'name'), ('rename_space', 'new_name'), ('create_role', 'name'), ('edit_role', 'new_name'), ('create_sub_account', 'name'), ('create_sub_account', 'external_id'), ('create_sub_account', 'first_name'), ('create_sub_account', 'last_name'), ('rename_organization', 'name'), ('create_group', 'name'), ('rename_group', 'new_name'),
                    ('invite_user', 'first_name'), ('invite_user', 'last_name'), ('register_user', 'display_name'), ('update_profile', 'display_name')))
      AND NOT (a.what = 'an empty text' AND c.name = 'update_profile')
    ORDER BY c.name, place, a.what;
SELECT matches(outcome_with(c.name, c.arguments, place, other), '^(nothing changed|OU\d\d\d|22P02)$', format('%s with %s for %s', c.name, other, name_of(f.called, place)))
    FROM calls c JOIN public_functions f USING (name), generate_series(1, cardinality(c.arguments)) place,
         unnest(ARRAY['''{NULL}''', '''{""}''', '''{" "}''', '''{x''', 'ARRAY[repeat(''x'', 100000)]::text[]::' || type_of(f.called, place),
                      'array_fill(''nobody''::text, ARRAY[10000])::' || type_of(f.called, place), '''[-2:-1]={x,y}''', '''{{x},{y}}''']) other
    WHERE type_of(f.called, place) IN ('text[]'::regtype, 'orgusers.email[]'::regtype)
      AND NOT (c.name = 'set_billing_cc' AND other = '''{NULL}''')
    ORDER BY c.name, place, other;
SELECT is(outcome('set_user_roles', 'org(''Acme'')', 'person(''bob'')', '''{{USER},{ADMIN}}'''), 'changed', 'set_user_roles takes names from an array of any shape');
SELECT matches(outcome_with(c.name, c.arguments, place, other), '^(nothing changed|OU\d\d\d)$', format('%s with %s for %s', c.name, other, name_of(f.called, place)))
    FROM calls c JOIN public_functions f USING (name), generate_series(1, cardinality(c.arguments)) place, unnest(ARRAY['0', '-1', '2147483647', '-2147483648']) other
    WHERE type_of(f.called, place) = 'integer'::regtype AND NOT (c.name = 'create_join_link' AND other = '2147483647')
    ORDER BY c.name, place, other;

SELECT is(outcome('create_organization', '''New''', '''plans_and_groups''', 'NULL', quote_literal(zone)), '22023', 'a time zone is one of the list of them, not ' || replace(zone, E'\n', '\n'))
    FROM unnest(ARRAY['', 'Nowhere', E'a\nBcc: x@example.org\n5', '<b>x</b>5', 'utc+5 or so']) zone;

-- Names
RESET ROLE;
SELECT is(orgusers.is_name(chr(c)), false, 'no name has U+' || upper(to_hex(c))) FROM unnest(ARRAY[7, 127, 133, 159, 173, 1564, 6158, 8203, 8206, 8207, 8232, 8233, 8234, 8238, 8288, 8292, 8294, 8297, 8303, 65279]) c;
SELECT is(orgusers.is_name(n), true, 'a name: ' || n) FROM unnest(ARRAY[U&'\0645\06CC\200C\062E\0648\0627\0647\0645', U&'\+01F469\200D\+01F467', U&'\05D0\05D1', U&'\5C71\7530', 'O''Brien & Co.', U&'\2027\202F\2070']) n;

-- A double of every function and operator of pg_catalog that can have one, and of tables, found before the real ones:
-- no function of the extension takes it.
CREATE SCHEMA doubles;
GRANT USAGE, CREATE ON SCHEMA doubles TO PUBLIC;
CREATE FUNCTION pg_temp.doubled(statement text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 1;
EXCEPTION WHEN OTHERS THEN
    RETURN 0;
END $$;
SELECT cmp_ok(sum(pg_temp.doubled(format('CREATE FUNCTION doubles.%I(%s) RETURNS %s LANGUAGE plpgsql AS $d$ BEGIN RAISE EXCEPTION USING ERRCODE = ''ZZ666'', MESSAGE = %L; END $d$',
        p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), p.oid::regprocedure)))::int, '>', 1500, 'functions have doubles')
    FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'internal'::regtype;
SELECT cmp_ok(sum(pg_temp.doubled(format('CREATE OPERATOR doubles.%s (%sRIGHTARG = %s, FUNCTION = doubles.%I)',
        o.oprname, CASE WHEN o.oprleft <> 0 THEN format('LEFTARG = %s, ', o.oprleft::regtype) ELSE '' END, o.oprright::regtype, p.proname)))::int, '>', 500, 'and operators')
    FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND p.pronamespace = 'pg_catalog'::regnamespace;
SELECT ok(bool_and(pg_temp.doubled(format('CREATE FUNCTION doubles.double_%s(orgusers.email, orgusers.email) RETURNS boolean LANGUAGE plpgsql AS $d$ BEGIN RAISE EXCEPTION USING ERRCODE = ''ZZ666''; END $d$;
        CREATE OPERATOR doubles.%s (LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = doubles.double_%1$s)', n, op)) = 1), 'those of addresses, too')
    FROM unnest(ARRAY['=', '<>', '<', '<=', '>', '>=']) WITH ORDINALITY AS o (op, n);
-- A call with its arguments as literals, so that nothing but the call is looked up.
CREATE FUNCTION literal_call(of_name text, arguments text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    argument text;
    literal  text;
    literals text[] := '{}';
BEGIN
    FOREACH argument IN ARRAY arguments LOOP
        EXECUTE format('SELECT quote_nullable((%s)::text)', regexp_replace(argument, '::orgusers.invitation_token$', '')) INTO literal;
        literals := literals || literal;
    END LOOP;
    RETURN format('SELECT FROM orgusers.%I(%s)', of_name, array_to_string(literals, ', '));
END $$;
CREATE FUNCTION outcome_under(path text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', path, true);
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'ZZ000';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SET LOCAL ROLE regress_ou_server;
SELECT is(outcome_under('doubles, pg_catalog, public', 'SELECT now()'), 'ZZ666', 'a double is found first');
SELECT is(outcome_under('doubles, pg_catalog, public', 'SELECT 1 = 1'), 'ZZ666', 'an operator''s as well');
SELECT as_owner(format('CREATE TABLE doubles.%I (); CREATE TEMP TABLE %1$I (); GRANT ALL ON doubles.%1$I, pg_temp.%1$I TO PUBLIC', name))
    FROM unnest(ARRAY['pg_class', 'pg_proc', 'pg_attribute', 'pg_roles', 'pg_settings', 'users', 'organizations', 'memberships', 'invitations', 'roles']) name;
SELECT is(outcome_under('doubles, pg_catalog, public', c.call), outcome_under('pg_catalog, public', c.call), 'among doubles: ' || c.name)
    FROM (SELECT name, literal_call(name, arguments) AS call FROM calls ORDER BY name) AS c;
SELECT cmp_ok(count(*)::int, '>', 90, 'most of which succeed') FROM calls WHERE outcome_under('doubles, pg_catalog, public', literal_call(name, arguments)) = 'ZZ000';
SELECT is(outcome_under('doubles, pg_catalog, public', format('TABLE orgusers.%I', t)), 'ZZ000', 'policies among doubles: ' || t)
    FROM unnest(ARRAY['users', 'organizations', 'memberships', 'spaces', 'space_members', 'current_organizations', 'last_activity', 'invitation_spaces', 'audit_log']) t;
SELECT as_owner(format('DROP TABLE pg_temp.%I', relname)) FROM pg_catalog.pg_class WHERE relnamespace = pg_my_temp_schema() AND relnatts = 0 AND relkind = 'r';

-- The same by somebody who is nobody: nothing but what is everybody's.
SELECT act(NULL);
SELECT matches(outcome(name, VARIADIC arguments), CASE
        WHEN name IN ('register_user', 'register_and_accept', 'set_email_verified', 'change_email', 'set_plan', 'verify_join_domain', 'set_external_id') THEN '^changed$'
        WHEN name IN ('rename_organization', 'switch_organization', 'create_organization', 'create_my_organization', 'update_profile') OR arguments[1] = 'org(''Acme'')' AND name NOT IN ('can', 'has_role', 'is_member', 'access_state', 'billing_addresses', 'seat_usage_of', 'billing_statement_of') THEN '^OU001$'
        ELSE '^(nothing changed|OU001|OU003)$' END, 'anonymously: ' || name) FROM calls ORDER BY name;
SELECT throws_ok('SELECT orgusers.require_user()', 'OU001', NULL, 'require_user refuses nobody');
SELECT results_eq($$SELECT orgusers.can(org('Acme'), 'organization.view'), orgusers.has_role(org('Acme'), 'ADMIN'), orgusers.is_member(org('Acme')), orgusers.orgs_with('users.view')$$,
    $$VALUES (false, false, false, '{}'::uuid[])$$, 'every question about rights gets the answer no, not NULL');
SELECT act('ann');
SELECT results_eq($$SELECT orgusers.can(NULL, NULL), orgusers.can(org('Acme'), NULL), orgusers.can(NULL, 'users.view'), orgusers.can(org('Acme'), 'no.such'),
                           orgusers.has_role(NULL, NULL), orgusers.has_role(org('Acme'), NULL), orgusers.is_member(NULL), orgusers.orgs_with(NULL), orgusers.orgs_with('no.such')$$,
    $$VALUES (false, false, false, false, false, false, false, '{}'::uuid[], '{}'::uuid[])$$, 'and so does a question with NULL in it');

-- A user who is deleted while acting
SELECT as_owner($$SELECT orgusers.register_user('late@example.org')$$);
SELECT act('late');
SELECT as_owner($$DELETE FROM orgusers.users WHERE email = 'late@example.org'$$);
SELECT matches(outcome(name, VARIADIC arguments), CASE
        WHEN name IN ('register_user', 'set_email_verified', 'change_email', 'set_plan', 'verify_join_domain', 'set_external_id') THEN '^changed$'
        ELSE '^(nothing changed|OU\d\d\d)$' END, 'by a user who is deleted meanwhile: ' || name) FROM calls ORDER BY name;

-- Whatever else there is, called by the owner with nothing but NULLs: an answer or an error, and the server goes on.
RESET ROLE;
CREATE FUNCTION pg_temp.answer(called regprocedure, arity int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT orgusers.%I(%s)', (SELECT proname FROM pg_proc WHERE oid = called),
        (SELECT string_agg('NULL::' || t::regtype, ', ') FROM pg_proc p, unnest(p.proargtypes) t WHERE p.oid = called));
    RETURN 'an answer';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT matches(pg_temp.answer(p.oid, p.pronargs), '^(an answer|OU\d\d\d|22004|23502|23514|23503)$', format('%s of NULLs', p.oid::regprocedure))
    FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace AND p.prorettype <> 'trigger'::regtype AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[])
      AND NOT 'cstring'::regtype = ANY (p.proargtypes::oid[])
    ORDER BY p.oid::regprocedure::text;

-- The trigger functions in C behind a trigger of another kind
CREATE TEMP TABLE elsewhere (org_id uuid);
CREATE FUNCTION pg_temp.fired(called regproc) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER before BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION %s()', called);
    INSERT INTO elsewhere DEFAULT VALUES;
    RETURN 'fired';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT is(pg_temp.fired(p.oid), '39P01', format('%s behind a trigger of another kind', p.oid::regproc))
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = 'orgusers'::regnamespace AND p.prorettype = 'trigger'::regtype AND l.lanname = 'c' ORDER BY p.proname;

SELECT * FROM finish();
ROLLBACK;
