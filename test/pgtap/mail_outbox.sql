-- Templates and the outbox: what the SQL functions do and refuse.
BEGIN;
\ir setup.psql
SELECT no_plan();

INSERT INTO orgusers.organizations (id, name, policy, time_zone)
    VALUES ('018f0000-0000-7000-8000-000000000001', 'Acme', 'plans_and_groups', 'Asia/Tokyo');
DELETE FROM orgusers.mail_outbox;

-- Enqueues as the flows do; what is wrong comes in by the arguments.
CREATE FUNCTION enqueue(kind text, variables jsonb DEFAULT '{}', recipient orgusers.email DEFAULT 'bob@example.com', name text DEFAULT NULL,
                        organization uuid DEFAULT org('Acme'), locale text DEFAULT 'en') RETURNS uuid LANGUAGE sql AS
    $$ SELECT orgusers.enqueue_mail(organization, kind, recipient, name, locale, variables) $$;
CREATE FUNCTION invite(invitation uuid DEFAULT gen_random_uuid(), expires timestamptz DEFAULT '2100-01-01 00:00+00') RETURNS uuid LANGUAGE sql AS
    $$ SELECT (orgusers.enqueue_mails(org('Acme'), 'invitation', '{"inviter": "Ann", "inviter_email": null}',
           ARRAY[ROW('bob@example.com', 'Bob', 'en', invitation, expires, 'USER',
                     CASE WHEN isfinite(expires) THEN orgusers.seal_invitation(key.public_key, org('Acme'), invitation, 'bob@example.com', expires,
                                                                               orgusers.new_invitation_token(org('Acme'))) END, key.id)::orgusers.mail]))[1]
       FROM orgusers.mailer_key() key $$;
CREATE FUNCTION row_of(mail uuid) RETURNS orgusers.mail_outbox LANGUAGE sql AS
    $$ SELECT m FROM orgusers.mail_outbox m WHERE id = mail $$;
CREATE FUNCTION make_due() RETURNS void LANGUAGE sql AS
    $$ UPDATE orgusers.mail_outbox SET due_at = clock_timestamp() - interval '1 s' WHERE status IN ('queued', 'leased') $$;

-- Templates
CREATE FUNCTION template(subject text, body_text text DEFAULT 'x', body_html text DEFAULT 'x', kind text DEFAULT 'user_removed', locale text DEFAULT 'xx')
    RETURNS void LANGUAGE sql AS
    $$ INSERT INTO orgusers.mail_templates VALUES ('plans_and_groups', kind, locale, subject, body_text, body_html)
       ON CONFLICT ON CONSTRAINT mail_templates_pkey DO UPDATE SET subject = excluded.subject, body_text = excluded.body_text, body_html = excluded.body_html $$;
SELECT results_eq('SELECT kind, string_agg(locale, '' '' ORDER BY locale) FROM orgusers.mail_templates GROUP BY kind ORDER BY kind COLLATE "C"',
    $$SELECT k, 'de en' FROM unnest(ARRAY['billing_admin_changed', 'invitation', 'invitation_canceled', 'invitation_declined', 'user_deactivated', 'user_left',
        'user_reactivated', 'user_removed', 'welcome']) k$$, 'a rule-book has a template of each kind in each language');
SELECT is_empty($$SELECT kind, locale, p FROM orgusers.mail_templates, unnest(orgusers.mail_placeholders(kind)) p
    WHERE p NOT IN ('customer_id', 'organization') AND (strpos(body_text, '{{' || p || '}}') = 0 OR strpos(body_html, '{{' || p || '}}') = 0)$$,
    'and each says all there is to say, as text and as HTML');
SELECT is_empty($$SELECT kind, locale FROM orgusers.mail_templates WHERE (locale = 'de') <> (body_text LIKE 'Guten Tag {{recipient}},%')
    OR strpos(body_html, '<html lang="' || locale || '">') = 0 OR body_html ~ '<p>\s*</p>'$$, 'in its language');
SELECT is_empty($$SELECT kind FROM orgusers.mail_templates GROUP BY kind HAVING count(DISTINCT (SELECT string_agg(m[1], ' ' ORDER BY m[1]) FROM regexp_matches(subject || body_text, '{{(\w+)}}', 'g') m)) > 1$$,
    'the languages say the same');
SELECT is(subject, 'Your invitation to join {{organization}} in {{product}} has been canceled', 'A13: subject of the mail about a withdrawn invitation')
    FROM orgusers.mail_templates WHERE kind = 'invitation_canceled' AND locale = 'en';
UPDATE orgusers.mail_templates SET subject = 'mine' WHERE kind = 'user_removed';
SELECT lives_ok($$SELECT orgusers.install_mail_templates('plans_and_groups')$$, 'installing again');
SELECT is(subject, 'mine', 'leaves edited templates alone') FROM orgusers.mail_templates WHERE kind = 'user_removed' AND locale = 'en';
SELECT throws_ok($$SELECT orgusers.install_mail_templates('nowhere')$$, 'OU105', NULL, 'templates need a policy');
SELECT lives_ok(format('SELECT template(%L, %L)', s, s), 'well formed: ' || s) FROM unnest(ARRAY[
    'plain', '{{organization}}', '{{product}}{{recipient}}', '{', '}}', '{ {', '{{{{', '{{{{name}}', 'a{b}c', 'ü {{product}} ü']) s;
SELECT throws_ok(format('SELECT template(%L)', s), 'OU406', m, 'malformed: ' || s) FROM (VALUES
    ('{{', 'no placeholder name after "{{" at character 1 of the template'),
    ('üü {{}}', 'no placeholder name after "{{" at character 4 of the template'),
    ('{{{', 'no placeholder name after "{{" at character 1 of the template'),
    ('{{ product }}', 'no placeholder name after "{{" at character 1 of the template'),
    ('{{Product}}', 'no placeholder name after "{{" at character 1 of the template'),
    ('{{1}}', 'no placeholder name after "{{" at character 1 of the template'),
    ('{{{product}}}', 'no placeholder name after "{{" at character 1 of the template'),
    ('{{product', 'placeholder does not end with "}}" at character 1 of the template'),
    ('{{product}', 'placeholder does not end with "}}" at character 1 of the template'),
    ('x{{product }}', 'placeholder does not end with "}}" at character 2 of the template'),
    ('漢{{' || repeat('a', 64) || '}}', 'placeholder name is too long at character 2 of the template'),
    ('x {{inviter}}', 'unknown placeholder "inviter" at character 3 of the template'),
    ('{{products}}', 'unknown placeholder "products" at character 1 of the template'),
    ('{{produc}}', 'unknown placeholder "produc" at character 1 of the template')) v(s, m);
SELECT throws_ok($$SELECT template('x', '{{', 'x')$$, 'OU406', NULL, 'text is checked');
SELECT throws_ok($$SELECT template('x', 'x', '{{nothing}}')$$, 'OU406', NULL, 'HTML is checked');
SELECT throws_ok($$SELECT template('{{link}}', kind => 'invitation')$$, 'OU406', NULL, 'no link in a subject');
SELECT lives_ok($$SELECT template('x', '{{link}}', '{{link}}', kind => 'invitation')$$, 'but in the bodies of an invitation');
SELECT throws_ok($$SELECT template('x', '{{link}}')$$, 'OU406', NULL, 'and nowhere else');
SELECT throws_ok($$SELECT template(E'x\ny')$$, '23514', NULL, 'a subject is one line');
SELECT throws_ok($$SELECT template('')$$, '23514', NULL, 'and not empty');
SELECT throws_ok($$SELECT template('x', kind => 'song')$$, '23514', NULL, 'unknown kind');
SELECT throws_ok($$SELECT template('x', locale => 'not a locale')$$, '23514', NULL, 'bad locale');
SELECT throws_ok($$SELECT template('x', repeat('x', 262145))$$, '23514', NULL, 'too long');
SELECT throws_ok($$UPDATE orgusers.policies SET accept_url = 'https://example.org/{{id}}#{{token}}'$$, 'OU406', NULL, 'accept_url has no other placeholder than token');
SELECT is(orgusers.mail_placeholders('song'), NULL, 'an unknown kind has no placeholders');
DELETE FROM orgusers.mail_templates WHERE locale = 'xx';

-- Enqueuing
SELECT enqueue('user_removed', recipient => 'Bob@Example.com') AS mail \gset
SELECT is((row_of(:'mail')).variables, '{"product": "Example", "organization": "Acme", "organization_line": "Acme", "customer_id": "", "recipient": "Bob@Example.com"}', 'product, organization and recipient are filled in');
SELECT is((row_of(:'mail')).status, 'queued', 'queued');
SELECT is((row_of(enqueue('user_removed', '{"product": "evil"}', name => 'Bob'))).variables ->> 'product', 'Example', 'and cannot be forged');
SELECT is((row_of(enqueue('user_removed', name => 'Bob'))).variables ->> 'recipient', 'Bob', 'the recipient by name');
SELECT is((row_of(enqueue('user_removed', name => ' '))).variables ->> 'recipient', 'bob@example.com', 'a blank is no name');
SELECT invite('018f0000-0000-7000-8000-0000000000aa') AS invitation \gset
SELECT is((row_of(:'invitation')).variables ->> 'expires_at', '2100-01-01 09:00 (Asia/Tokyo)', 'expiry in the organization''s time zone');
SELECT ok((row_of(:'invitation')).sealed_token IS NOT NULL, 'F4: the token is sealed');
SELECT is((row_of(:'invitation')).mailer_key_id, (SELECT id FROM orgusers.mailer_keys), 'under the key in use');
SELECT throws_ok(format('UPDATE orgusers.mail_outbox SET sealed_token = repeat(''x'', 1025)::bytea WHERE id = %L', :'invitation'), '23514', NULL, 'F4: a sealed token is short');
SELECT throws_ok(format($$UPDATE orgusers.mail_outbox SET sealed_token = convert_to(repeat('x', 20000000), 'UTF8') WHERE id = %L$$, :'invitation'), '23514', NULL, 'F4: not what stops all claims');
SELECT lives_ok(format($$UPDATE orgusers.mail_outbox SET sealed_token = orgusers.seal_invitation((orgusers.mailer_key()).public_key, org_id, invitation_id,
    (repeat('l', 64) || '@' || repeat('d', 63) || '.' || repeat('e', 63) || '.' || repeat('f', 61))::orgusers.email, expires_at, orgusers.new_invitation_token(org_id)) WHERE id = %L$$, :'invitation'),
    'F4: that for the longest address fits');
SELECT throws_ok(format('SELECT enqueue(%L, %s)', k, a), c, NULL, 'refused: ' || k || ' ' || a) FROM (VALUES
    ('user_removed', 'organization => gen_random_uuid()', 'OU101'), ('user_removed', 'organization => NULL', 'OU101'),
    ('song', 'name => NULL', 'OU404'), ('user_removed', 'recipient => NULL', 'OU009'),
    ('user_removed', 'variables => NULL', 'OU009'), ('user_removed', $q$variables => '[]'$q$, 'OU009'), ('user_removed', $q$variables => 'null'$q$, 'OU009'),
    ('user_removed', $q$variables => '{"a": 1}'$q$, 'OU009'), ('user_removed', $q$variables => '{"a": {}}'$q$, 'OU009'),
    ('user_removed', $q$variables => jsonb_build_object('a', repeat('x', 70000))$q$, 'OU009'),
    ('invitation', $q$variables => '{"inviter": "", "inviter_email": ""}'$q$, 'OU009'),
    ('billing_admin_changed', $q$variables => '{}'$q$, 'OU009')) v(k, a, c);
SELECT throws_ok($$SELECT invite(expires => 'infinity')$$, 'OU009', NULL, 'an invitation expires');
SELECT throws_ok($$SELECT invite(invitation => NULL)$$, 'OU009', NULL, 'and has an id');
SELECT throws_ok($$SELECT orgusers.enqueue_mails(org('Acme'), 'user_removed', '{}', ARRAY[ROW('a@b.c', NULL, 'en', NULL, NULL, NULL, 'x', NULL)::orgusers.mail])$$,
    'OU009', NULL, 'no other mail has a token');
DELETE FROM orgusers.mail_templates WHERE kind = 'invitation_declined';
SELECT throws_ok($$SELECT enqueue('invitation_declined', '{"user": "x"}')$$, 'OU404', NULL, 'no template of the kind');
UPDATE orgusers.mailer_keys SET retired_at = now();
SELECT throws_ok('SELECT invite()', 'OU401', NULL, 'F4: no key in use, no invitation');
UPDATE orgusers.mailer_keys SET retired_at = NULL;

-- Withdrawing
SELECT enqueue('user_removed') AS news \gset
UPDATE orgusers.mail_outbox SET invitation_id = '018f0000-0000-7000-8000-0000000000aa' WHERE id = :'news';
SELECT is(orgusers.withdraw_mail(org('Acme'), '018f0000-0000-7000-8000-0000000000aa'), 1::bigint, 'withdraw_mail says how many');
SELECT is((row_of(:'invitation')).status, 'withdrawn', 'withdrawn');
SELECT ok((row_of(:'invitation')).sealed_token IS NULL, 'F4: the token is wiped');
SELECT is((row_of(:'news')).status, 'queued', 'news of the invitation stays');
SELECT is(orgusers.withdraw_mail(org('Acme'), '018f0000-0000-7000-8000-0000000000aa'), 0::bigint, 'once');
SELECT is(orgusers.withdraw_mail(NULL, NULL), 0::bigint, 'nothing of nothing');
SELECT throws_ok(format($$UPDATE orgusers.mail_outbox SET sealed_token = 'x' WHERE id = %L$$, :'invitation'), '23514', NULL, 'F4: a withdrawn mail cannot keep a token');
SELECT throws_ok(format('UPDATE orgusers.mail_outbox SET %s WHERE id = %L', change, :'invitation'), '23514', NULL, 'no state of a mail: ' || change)
    FROM unnest(ARRAY['status = ''opened''', 'status = ''leased''', 'status = ''sent'', sealed_token = ''x''']) change;
SELECT is(array_agg(s ORDER BY s), '{dead,leased,queued,sent,withdrawn}', 'states of a mail')
    FROM unnest('{queued,leased,sent,dead,withdrawn,lease,sent2,"",pending}'::text[]) s WHERE orgusers.is_mail_state(s, gen_random_uuid(), NULL);
SELECT is(array_agg(s ORDER BY s), '{dead,leased,queued}', 'those in which it can keep a token')
    FROM unnest('{queued,leased,sent,dead,withdrawn}'::text[]) s WHERE orgusers.is_mail_state(s, gen_random_uuid(), 'x');
SELECT is(array_agg(s ORDER BY s), '{pending}', 'an invitation that is not closed is pending')
    FROM unnest('{pending,accepted,declined,canceled,expired,""}'::text[]) s WHERE orgusers.is_invitation_state(s, NULL);
SELECT is(array_agg(s ORDER BY s), '{accepted,canceled,declined}', 'and a closed one is accepted, declined or canceled')
    FROM unnest('{pending,accepted,declined,canceled,expired,""}'::text[]) s WHERE orgusers.is_invitation_state(s, now());

-- Claiming and answering
DELETE FROM orgusers.mail_outbox;
SELECT invite() AS mail \gset
SET LOCAL ROLE regress_ou_mailer;
SELECT throws_ok(format('SELECT orgusers.claim_mail(%s)', a), 'OU009', NULL, 'claim_mail(' || a || ')') FROM unnest(ARRAY[
    'NULL', '0', '-1', '1001', '10, NULL', '10, ''0''', '10, ''-1 s''', '10, ''2 days''', '10, ''999 ms''']) a;
SELECT * FROM orgusers.claim_mail() \gset claim_
SELECT is(:'claim_id'::text, :'mail', 'the due mail is claimed');
SELECT is(:'claim_attempts'::text, '1', 'first attempt');
SELECT is(:'claim_product_name' || ' ' || :'claim_mail_from', 'Example no-reply@example.org', 'with product and sender');
SELECT is(:'claim_expires_at_us'::text, '4102444800000000', 'and expiry in microseconds');
SELECT matches(:'claim_accept_url'::text, '\{\{token\}\}', 'and the page for the answer');
SELECT is_empty('SELECT * FROM orgusers.claim_mail()', 'one claim at a time');
SELECT throws_ok(format('SELECT orgusers.%s', c), 'OU403', NULL, c) FROM unnest(ARRAY[
    format('mail_sent(%L, %L, %L)', :'claim_org_id', :'mail', gen_random_uuid()), format('mail_sent(%L, %L, NULL)', :'claim_org_id', :'mail'),
    format('mail_failed(%L, %L, %L, %L)', :'claim_org_id', :'mail', gen_random_uuid(), 'x'),
    format('release_mail(%L, %L, %L)', :'claim_org_id', :'mail', gen_random_uuid())]) c;
SELECT throws_ok(format('SELECT orgusers.%s', c), 'OU405', NULL, c) FROM unnest(ARRAY[
    format('mail_sent(%L, %L, %L)', :'claim_org_id', gen_random_uuid(), :'claim_fence'), format('mail_sent(%L, %L, %L)', gen_random_uuid(), :'mail', :'claim_fence'),
    format('mail_failed(NULL, %L, %L, NULL)', :'mail', :'claim_fence'), 'release_mail(NULL, NULL, NULL)']) c;
SELECT lives_ok(format('SELECT orgusers.release_mail(%L, %L, %L)', :'claim_org_id', :'mail', :'claim_fence'), 'released');
SELECT * FROM orgusers.claim_mail() \gset claim_
SELECT is(:'claim_attempts'::text, '1', 'a release is no attempt');
SELECT lives_ok(format($$SELECT orgusers.mail_failed(%L, %L, %L, E'4xx\r\nplease ' || repeat('x', 2000))$$, :'claim_org_id', :'mail', :'claim_fence'), 'failed');
SELECT throws_ok(format('SELECT orgusers.mail_failed(%L, %L, %L, NULL)', :'claim_org_id', :'mail', :'claim_fence'), 'OU403', NULL, 'a mail fails once a claim');
SELECT is_empty('SELECT * FROM orgusers.claim_mail()', 'a failed mail waits');
RESET ROLE;
SELECT is((row_of(:'mail')).status, 'queued', 'queued again');
SELECT matches((row_of(:'mail')).last_error, '^4xx please x+$', 'the error is cleaned');
SELECT is(length((row_of(:'mail')).last_error), 999, 'and clipped');

-- The pause before each attempt: 30 s doubling to an hour, less up to a quarter
CREATE FUNCTION pause_after(attempts integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    m orgusers.mail_outbox;
BEGIN
    UPDATE orgusers.mail_outbox o SET attempts = pause_after.attempts, status = 'leased', fence = gen_random_uuid() RETURNING * INTO m;
    PERFORM orgusers.mail_failed(m.org_id, m.id, m.fence, 'x');
    SELECT * INTO m FROM orgusers.mail_outbox;
    RETURN CASE WHEN m.status = 'queued' THEN extract(epoch FROM m.due_at - m.changed_at) END;
END $$;
SELECT ok(pause_after(n) BETWEEN least(3600, 30 * 2 ^ (n - 1)) * 0.74 AND least(3600, 30 * 2 ^ (n - 1)) * 1.01, 'pause after attempt ' || n) FROM generate_series(1, 11) n;
SELECT isnt(pause_after(11), pause_after(11), 'pauses differ');
SELECT is(pause_after(12), NULL, 'none after the twelfth');
SELECT is((row_of(:'mail')).status, 'dead', 'it is dead');
SELECT throws_ok('SELECT orgusers.requeue_mail(NULL, NULL)', 'OU405', NULL, 'requeue_mail of nothing');
SELECT lives_ok(format('SELECT orgusers.requeue_mail(%L, %L)', org('Acme'), :'mail'), 'requeue_mail');
SELECT throws_ok(format('SELECT orgusers.requeue_mail(%L, %L)', org('Acme'), :'mail'), 'OU405', NULL, 'only what is dead');
SELECT * FROM orgusers.claim_mail() \gset claim_
SELECT is(:'claim_attempts'::text, '1', 'with all its attempts');
SELECT lives_ok(format('SELECT orgusers.mail_sent(%L, %L, %L)', :'claim_org_id', :'mail', :'claim_fence'), 'sent');
SELECT ok((row_of(:'mail')).sealed_token IS NULL, 'F4: the sent token is wiped');
SELECT lives_ok(format('SELECT orgusers.mail_sent(%L, %L, %L)', :'claim_org_id', :'mail', :'claim_fence'), 'saying so twice is no error');
SELECT throws_ok(format('SELECT orgusers.mail_failed(%L, %L, %L, NULL)', :'claim_org_id', :'mail', :'claim_fence'), 'OU403', NULL, 'a sent mail does not fail');

-- Leases that run out, permanent failures, mails that kill their mailers
DELETE FROM orgusers.mail_outbox;
SELECT enqueue('user_removed') AS mail \gset
SELECT * FROM orgusers.claim_mail(1, '1 hour') \gset claim_
SELECT ok((row_of(:'mail')).due_at - clock_timestamp() BETWEEN '59 min' AND '60 min', 'leased as long as asked');
SELECT make_due();
SELECT * FROM orgusers.claim_mail() \gset again_
SELECT is(:'again_attempts'::text, '2', 'a lease that has run out is claimed again');
SELECT throws_ok(format('SELECT orgusers.mail_sent(%L, %L, %L)', :'claim_org_id', :'mail', :'claim_fence'), 'OU403', NULL, 'the old fence is void');
SELECT lives_ok(format('SELECT orgusers.mail_failed(%L, %L, %L, NULL, true)', :'claim_org_id', :'mail', :'again_fence'), 'a permanent failure');
SELECT is((row_of(:'mail')).status || ' ' || (row_of(:'mail')).last_error, 'dead unknown', 'ends it');
UPDATE orgusers.mail_outbox SET status = 'leased', attempts = 12, fence = gen_random_uuid();
SELECT make_due();
SELECT is_empty('SELECT * FROM orgusers.claim_mail()', 'no thirteenth attempt');
SELECT is((row_of(:'mail')).status, 'dead', 'after twelve without an answer it is dead');

-- Oldest first, at most as many as asked; the template's locale
DELETE FROM orgusers.mail_outbox;
SELECT enqueue('user_removed', recipient => ('u' || i || '@example.com')::orgusers.email) FROM generate_series(1, 5) i \g /dev/null
SELECT make_due();
SELECT is((SELECT count(*) FROM orgusers.claim_mail(2)), 2::bigint, 'at most max_mails');
SELECT is((SELECT count(DISTINCT fence) FROM orgusers.claim_mail(1000)), 1::bigint, 'one fence for a claim');
DELETE FROM orgusers.mail_outbox;
DELETE FROM orgusers.mail_templates WHERE locale = 'de';
SELECT template('de', locale => 'de'), template('at', locale => 'de-AT'), template('br', locale => 'pt-BR') \g /dev/null
CREATE FUNCTION subject_for(locale text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enqueue('user_removed', locale => subject_for.locale);
    RETURN (SELECT subject FROM orgusers.claim_mail());
END $$;
SELECT is(subject_for(l), s, 'template for ' || coalesce(l, 'NULL')) FROM (VALUES
    ('de', 'de'), ('de-CH', 'de'), ('de-at', 'at'), ('de_AT', 'at'), ('fr', 'mine'), ('pt', 'mine'), ('', 'mine'), (NULL, 'mine')) v(l, s);
DELETE FROM orgusers.mail_templates WHERE kind = 'user_removed' AND locale <> 'pt-BR';
SELECT is(subject_for('fr'), 'br', 'any template rather than none');

-- Purging, counting, other installations
DELETE FROM orgusers.mail_outbox;
SELECT throws_ok('SELECT orgusers.purge_mail(NULL)', 'OU009', NULL, 'purge_mail(NULL)');
SELECT throws_ok($$SELECT orgusers.purge_mail('-1 s')$$, 'OU009', NULL, 'purge_mail of the future');
SELECT enqueue('user_removed') FROM generate_series(1, 6) \g /dev/null
UPDATE orgusers.mail_outbox m SET status = s.status, fence = gen_random_uuid(), changed_at = now() - interval '2 days'
    FROM (SELECT id, (ARRAY['queued', 'leased', 'sent', 'dead', 'withdrawn'])[row_number() OVER (ORDER BY id)] AS status FROM orgusers.mail_outbox) s
    WHERE s.id = m.id AND s.status IS NOT NULL;
UPDATE orgusers.mail_outbox SET installation = gen_random_uuid() WHERE status = 'queued' AND changed_at = now() - interval '2 days';
UPDATE orgusers.mail_outbox SET due_at = clock_timestamp() - interval '1 hour' WHERE status = 'queued';
SELECT results_eq('SELECT queued, leased, sent, dead, withdrawn, held FROM orgusers.mail_status()',
    $$VALUES (1::bigint, 1::bigint, 1::bigint, 1::bigint, 1::bigint, 1::bigint)$$, 'mail_status counts');
SELECT ok((SELECT oldest_due FROM orgusers.mail_status()) BETWEEN '1 hour' AND '61 min', 'and tells how long the oldest has been due');
SELECT is((SELECT count(*) FROM orgusers.claim_mail()), 2::bigint, 'another installation''s mail is not given out, nor what is not due');
SELECT is(orgusers.purge_mail('3 days'), 0::bigint, 'nothing is that old');
SELECT is(orgusers.purge_mail('1 day'), 3::bigint, 'what is over is purged');
SELECT is(orgusers.adopt_mail(), 1::bigint, 'adopt_mail');
SELECT is(orgusers.adopt_mail(), 0::bigint, 'once');
SELECT is((SELECT count(*) FROM orgusers.claim_mail()), 1::bigint, 'adopted mail is given out');

-- Who may
SET LOCAL ROLE regress_ou_app;
SELECT throws_ok('SELECT orgusers.' || c, '42501', NULL, 'not the application''s: ' || c) FROM unnest(ARRAY['claim_mail()', 'mail_sent(NULL, NULL, NULL)',
    'mail_failed(NULL, NULL, NULL, NULL)', 'release_mail(NULL, NULL, NULL)', 'requeue_mail(NULL, NULL)', 'purge_mail(''1 day'')', 'adopt_mail()', 'wake_mailer()',
    'withdraw_mail(NULL, NULL)', 'enqueue_mail(NULL, NULL, NULL, NULL, NULL, NULL)']) c;
SELECT throws_ok('TABLE orgusers.' || t, '42501', NULL, 'nor ' || t) FROM unnest(ARRAY['mail_outbox', 'mail_templates', 'installation']) t;
SELECT throws_ok('SET orgusers.mail_wake_up = off', '42501', NULL, 'nor the setting');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
