-- The administrator's side: inviting, sending again, canceling.

CREATE FUNCTION orgusers.mail_people(about uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor  orgusers.users;
    person orgusers.users;
BEGIN
    SELECT * INTO actor FROM orgusers.users u WHERE u.id = orgusers.current_user_id();
    IF about IS NOT NULL THEN
        SELECT * INTO person FROM orgusers.users u WHERE u.id = about;
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'inviter', coalesce(actor.display_name, actor.email::text),
        'inviter_email', actor.email::text,
        'user', coalesce(person.display_name, person.email::text)));
END $$;
COMMENT ON FUNCTION orgusers.mail_people(uuid) IS 'Mail placeholders for the actor (inviter, inviter_email) and the user it is about (user). Internal';

CREATE FUNCTION orgusers.wants_seat(invitation orgusers.invitations) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM orgusers.invitation_roles ir JOIN orgusers.roles r ON r.org_id = ir.org_id AND r.id = ir.role_id
                       WHERE ir.org_id = invitation.org_id AND ir.invitation_id = invitation.id AND NOT r.holds_seat);
END $$;
COMMENT ON FUNCTION orgusers.wants_seat(orgusers.invitations) IS 'Whether whoever accepts the invitation takes a seat: its roles are not free. Internal';

CREATE FUNCTION orgusers.free_seats(org_id uuid) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seats bigint;
BEGIN
    SELECT p.seats INTO seats FROM orgusers.subscriptions s JOIN orgusers.plans p ON p.id = s.plan WHERE s.org_id = free_seats.org_id;
    IF seats IS NULL THEN
        RETURN NULL;
    END IF;
    seats := seats - (SELECT count(*) FROM orgusers.memberships m WHERE m.org_id = free_seats.org_id AND m.status = 'active' AND m.holds_seat);
    IF (orgusers.policy_of(free_seats.org_id)).pending_holds_seat THEN
        seats := seats - (SELECT count(*) FROM orgusers.invitations i
                          WHERE i.org_id = free_seats.org_id AND i.status = 'pending' AND i.expires_at > clock_timestamp() AND orgusers.wants_seat(i));
    END IF;
    RETURN seats;
END $$;
COMMENT ON FUNCTION orgusers.free_seats(uuid) IS 'Seats that the organization can still give; NULL without a cap. Internal';

CREATE FUNCTION orgusers.require_seat(org_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A courtesy to who invites: what counts is the seat at acceptance.
    IF orgusers.free_seats(require_seat.org_id) <= 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'OU301', MESSAGE = 'the organization has no seat left to invite somebody to',
            HINT = 'Remove or deactivate a user, or change the plan.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_seat(uuid) IS 'Raises OU301 when the organization has no seat to invite somebody to. Internal';

CREATE FUNCTION orgusers.send_invitations(org_id uuid, ids uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    key   orgusers.mailer_keys := orgusers.mailer_key();
    mails orgusers.mail[];
BEGIN
    -- Tokens stay within the innermost query, which passes row after row on: what is kept meanwhile, perhaps in a file,
    -- is digests and sealed boxes.
    WITH made AS MATERIALIZED (
        SELECT n.id, n.email, n.name, n.locale, n.expires_at, n.invited_by, orgusers.token_digest(n.token) AS digest,
               orgusers.seal_invitation(key.public_key, send_invitations.org_id, n.id, n.email, n.expires_at, n.token) AS sealed
        FROM unnest(send_invitations.ids) AS s (id),
             LATERAL (SELECT i.id, i.email, concat_ws(' ', i.first_name, i.last_name) AS name, i.locale, i.expires_at, i.invited_by,
                             orgusers.new_invitation_token(i.org_id) AS token
                      FROM orgusers.invitations i WHERE i.org_id = send_invitations.org_id AND i.id = s.id OFFSET 0) AS n),
    stored AS (
        INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind, created_by)
            SELECT send_invitations.org_id, m.digest, m.id, 'mail', m.invited_by FROM made m)
    SELECT array_agg(ROW(m.email, m.name, m.locale, m.id, m.expires_at, m.sealed, key.id)::orgusers.mail ORDER BY m.id) INTO mails FROM made m;
    PERFORM orgusers.enqueue_mails(send_invitations.org_id, 'invitation', orgusers.mail_people(NULL), mails);
END $$;
COMMENT ON FUNCTION orgusers.send_invitations(uuid, uuid[]) IS 'Mails invitations, each with a new token. OU401 no mailer key, OU404 no mail template. Internal';

CREATE FUNCTION orgusers.read_invitations(invitations jsonb)
    RETURNS TABLE (place integer, address text, email orgusers.email, roles text[], groups text[], spaces text[],
                   first_name text, last_name text, locale text, refusal text[])
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.place::integer, r.address, CASE WHEN r.fault IS NULL THEN r.address::orgusers.email END,
           CASE jsonb_typeof(r.e -> 'roles') WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(r.e -> 'roles')) ELSE '{}' END,
           CASE jsonb_typeof(r.e -> 'groups') WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(r.e -> 'groups')) ELSE '{}' END,
           CASE jsonb_typeof(r.e -> 'spaces') WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(r.e -> 'spaces')) ELSE '{}' END,
           r.e ->> 'first_name', r.e ->> 'last_name', coalesce(r.e ->> 'locale', 'en'),
           CASE WHEN r.e IS NULL
                THEN ARRAY['OU009', 'this is not an invitation',
                           'An invitation is an object of email, first_name, last_name and locale (texts), roles, groups and spaces (arrays of names); only email must be there.']
                WHEN r.address IS NULL THEN ARRAY['OU201', 'an invitation needs an e-mail address', 'Give the address of the person to invite.']
                WHEN r.fault IS NOT NULL THEN ARRAY['OU201', 'invalid e-mail address', r.fault] END
    -- OFFSET 0: looked at once.
    FROM (SELECT s.place, s.e, s.e ->> 'email' AS address, orgusers.email_fault(s.e ->> 'email') AS fault
          FROM (SELECT j.place,
                       CASE WHEN jsonb_typeof(j.e) <> 'object' THEN NULL
                            WHEN j.e - '{email,roles,groups,spaces,first_name,last_name,locale}'::text[] <> '{}' THEN NULL
                            WHEN jsonb_build_array(j.e -> 'email', j.e -> 'first_name', j.e -> 'last_name', j.e -> 'locale')
                                 @? 'strict $[*] ? (@.type() != "string" && @.type() != "null")' THEN NULL
                            WHEN jsonb_build_array(j.e -> 'roles', j.e -> 'groups', j.e -> 'spaces')
                                 @? 'strict $[*] ? (@.type() != "array" && @.type() != "null")' THEN NULL
                            ELSE j.e END AS e
                FROM jsonb_array_elements(invitations) WITH ORDINALITY AS j (e, place) OFFSET 0) AS s OFFSET 0) AS r;
END;
COMMENT ON FUNCTION orgusers.read_invitations(jsonb) IS 'Rows of an array of invitations as invite_users() takes it, with a refusal (SQLSTATE, message, hint) for what is none: OU009, OU201. Internal';

CREATE FUNCTION orgusers.require_few_spaces(org_id uuid, role_ids uuid[], group_ids uuid[], space_ids uuid[]) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused record;
BEGIN
    SELECT r.name, t.most_spaces INTO refused
        FROM orgusers.roles r JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
        WHERE r.org_id = require_few_spaces.org_id
          AND r.id = ANY (role_ids || orgusers.roles_by_groups(require_few_spaces.org_id, group_ids))
          AND t.most_spaces < (SELECT count(*) FROM (SELECT unnest(space_ids)
                                                     UNION
                                                     SELECT sg.space_id FROM orgusers.space_groups sg
                                                     WHERE sg.org_id = require_few_spaces.org_id AND sg.group_id = ANY (group_ids)) AS given)
        ORDER BY t.most_spaces, r.name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU306', MESSAGE = format('a user with the role %s would have too many spaces', quote_ident(refused.name)),
            DETAIL = format('The most spaces that can be assigned to such a user, directly and by groups, is %s.', refused.most_spaces),
            HINT = 'Name fewer spaces, or another role.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_few_spaces(uuid, uuid[], uuid[], uuid[]) IS 'Raises OU306 when an invitation with these roles, groups and spaces would give more spaces than a role of it can have. A courtesy to who invites: what counts is the check at acceptance. Internal';

-- Asked once for all rows of a call that give the same.
CREATE FUNCTION orgusers.invitation_gift(org_id uuid, roles text[], groups text[], spaces text[],
                                         OUT role_ids uuid[], OUT group_ids uuid[], OUT space_ids uuid[],
                                         OUT takes_seat boolean, OUT refusal text[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hint   text;
    detail text;
BEGIN
    IF invitation_gift.roles <> '{}' THEN
        role_ids := orgusers.role_ids(invitation_gift.org_id, invitation_gift.roles);
    ELSE
        role_ids := ARRAY(SELECT r.id FROM orgusers.roles r
                          JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
                          WHERE r.org_id = invitation_gift.org_id AND t.by_default AND NOT r.further);
    END IF;
    group_ids := orgusers.group_ids(invitation_gift.org_id, invitation_gift.groups);
    takes_seat := orgusers.takes_seat(invitation_gift.org_id, role_ids);
    PERFORM orgusers.require_kind(takes_seat OR group_ids = '{}', 'a free user is in no group');
    PERFORM orgusers.require_grantable(invitation_gift.org_id, role_ids);
    PERFORM orgusers.require_groups(invitation_gift.org_id, NULL, group_ids);
    IF invitation_gift.spaces <> '{}' THEN
        PERFORM orgusers.require(invitation_gift.org_id, 'spaces.assign');
    END IF;
    space_ids := orgusers.space_ids(invitation_gift.org_id, invitation_gift.spaces);
    PERFORM orgusers.limit_new_spaces(invitation_gift.org_id, space_ids);
    PERFORM orgusers.require_few_spaces(invitation_gift.org_id, role_ids, group_ids, space_ids);
EXCEPTION WHEN OTHERS THEN
    -- What the functions above refuse is the row's; anything else is everybody's.
    IF SQLSTATE NOT LIKE 'OU%' THEN
        RAISE;
    END IF;
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
    refusal := ARRAY[SQLSTATE, SQLERRM, hint, nullif(detail, '')];
END $$;
COMMENT ON FUNCTION orgusers.invitation_gift(uuid, text[], text[], text[]) IS 'Ids of the roles (none named: the policy''s default ones), groups and spaces that an invitation gives, and whether who accepts it takes a seat, or a refusal (SQLSTATE, message, hint) when the actor cannot give them: OU002, OU103, OU104, OU108, OU111, OU113, OU118, OU306. Internal';

CREATE TYPE orgusers.wanted_invitation AS (
    place      integer,
    address    text,
    id         uuid,
    email      orgusers.email,
    first_name text,
    last_name  text,
    locale     text,
    role_ids   uuid[],
    group_ids  uuid[],
    space_ids  uuid[],
    former     uuid,
    refusal    text[]
);
COMMENT ON TYPE orgusers.wanted_invitation IS 'An invitation that somebody wants to send; former is the expired one that it replaces. When it cannot be sent, refusal has the SQLSTATE, the message, the hint and perhaps a detail. Internal';

CREATE FUNCTION orgusers.insert_invitations(org_id uuid, wanted orgusers.wanted_invitation[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expired uuid;
BEGIN
    -- An expired invitation makes room for a new one.
    FOR expired IN SELECT w.former FROM unnest(wanted) w WHERE w.refusal IS NULL AND w.former IS NOT NULL LOOP
        UPDATE orgusers.invitations i SET status = 'canceled', closed_at = clock_timestamp()
            WHERE i.org_id = insert_invitations.org_id AND i.id = expired;
        PERFORM orgusers.withdraw_mail(insert_invitations.org_id, expired);
    END LOOP;
    INSERT INTO orgusers.invitations (org_id, id, email, first_name, last_name, locale, invited_by, expires_at)
        SELECT insert_invitations.org_id, w.id, w.email, w.first_name, w.last_name, w.locale, orgusers.current_user_id(),
               clock_timestamp() + (orgusers.policy_of(insert_invitations.org_id)).invitation_lifetime
        FROM unnest(wanted) w WHERE w.refusal IS NULL ORDER BY w.place;
END $$;
COMMENT ON FUNCTION orgusers.insert_invitations(uuid, orgusers.wanted_invitation[]) IS 'Makes the rows of those invitations that are not refused, and cancels the expired ones that they replace. Internal';

-- The plan is the same however many rows there are, and takes longer to make than to carry out for one.
CREATE FUNCTION orgusers.invite(org_id uuid, invitations jsonb, send boolean) RETURNS SETOF orgusers.wanted_invitation
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    rules  orgusers.policies;
    seats  bigint;
    quota  integer;
    wanted orgusers.wanted_invitation[];
    made   uuid[];
    hint   text;
    detail text;
BEGIN
    PERFORM orgusers.authorize_change(invite.org_id, 'users.invite');
    rules := orgusers.policy_of(invite.org_id);
    seats := orgusers.free_seats(invite.org_id);
    quota := orgusers.quota_left(invite.org_id);

    -- Whoever answers or cancels an invitation to one of the addresses is waited for; what comes next reads by new commands.
    PERFORM FROM orgusers.read_invitations(invite.invitations) r,
        LATERAL (SELECT FROM orgusers.invitations i
                 WHERE i.org_id = invite.org_id AND i.email = r.email AND i.status = 'pending' FOR UPDATE) AS locked;

    WITH asked AS MATERIALIZED (
        SELECT r.*, orgusers.new_id() AS id FROM orgusers.read_invitations(invite.invitations) r),
    gifts AS MATERIALIZED (
        SELECT g.roles, g.groups, g.spaces, gift.role_ids, gift.group_ids, gift.space_ids, gift.takes_seat, gift.refusal
        FROM (SELECT DISTINCT a.roles, a.groups, a.spaces FROM asked a WHERE a.refusal IS NULL) AS g,
             LATERAL orgusers.invitation_gift(invite.org_id, g.roles, g.groups, g.spaces) AS gift),
    checked AS (
        SELECT a.place, a.address, a.id, a.email, a.first_name, a.last_name, a.locale, g.role_ids, g.group_ids, g.space_ids, g.takes_seat, former.id AS former,
               CASE WHEN a.refusal IS NOT NULL THEN a.refusal
                    WHEN row_number() OVER (PARTITION BY a.email ORDER BY a.place) > 1
                    THEN ARRAY['OU208', 'this address is in an earlier row of the call', 'An address is invited once.']
                    WHEN g.refusal IS NOT NULL THEN g.refusal
                    -- One look-up a row, by an index: EXISTS could be planned as reading all users of the organization.
                    WHEN (SELECT true FROM orgusers.users u JOIN orgusers.memberships m ON m.user_id = u.id
                          WHERE u.email = a.email AND m.org_id = invite.org_id)
                    THEN ARRAY['OU209', 'this address is a user''s of the organization', 'A deactivated user comes back with reactivate_user().']
                    WHEN rules.declined_blocks AND (SELECT true FROM orgusers.invitations i
                                                    WHERE i.email = a.email AND i.status = 'declined' AND i.org_id = invite.org_id LIMIT 1)
                    THEN ARRAY['OU208', 'this address has declined an invitation', 'Remove that invitation first, with remove_invitation().']
                    WHEN NOT former.expired
                    THEN ARRAY['OU208', 'this address has a pending invitation to the organization',
                               'Send it again with resend_invitation(), or cancel it with cancel_invitation().']
                    WHEN rules.unique_in_tree AND orgusers.tree_refusal(invite.org_id, a.email) IS NOT NULL
                    THEN orgusers.tree_refusal(invite.org_id, a.email)
                    WHEN NOT orgusers.is_locale(a.locale)
                    THEN ARRAY['OU106', 'this locale is not usable', 'A locale is a language tag such as en or pt-BR.']
                    WHEN NOT (orgusers.is_name(coalesce(a.first_name, 'none')) AND orgusers.is_name(coalesce(a.last_name, 'none')))
                    THEN ARRAY['OU106', format('this %s name is not usable', CASE WHEN orgusers.is_name(a.first_name) IS FALSE THEN 'first' ELSE 'last' END),
                               'A name has 1 to 200 characters, no control characters, and no blank at either end.']
               END AS fault
        FROM asked a
        LEFT JOIN gifts g ON g.roles = a.roles AND g.groups = a.groups AND g.spaces = a.spaces
        LEFT JOIN LATERAL (SELECT i.id, i.expires_at <= clock_timestamp() AS expired FROM orgusers.invitations i
                           WHERE i.org_id = invite.org_id AND i.email = a.email AND i.status = 'pending' OFFSET 0) AS former ON true),
    seated AS (
        SELECT c.*, CASE WHEN c.fault IS NULL
                              AND c.takes_seat AND seats < CASE WHEN rules.pending_holds_seat
                                                                THEN count(*) FILTER (WHERE c.fault IS NULL AND c.takes_seat) OVER (ORDER BY c.place)
                                                                ELSE 1 END
                         -- A courtesy to who invites: what counts is the seat at acceptance.
                         THEN ARRAY['OU301', 'the organization has no seat left to invite somebody to', 'Remove or deactivate a user, or change the plan.']
                         ELSE c.fault END AS seat_fault
        FROM checked c),
    counted AS (
        SELECT s.*, CASE WHEN s.seat_fault IS NULL AND count(*) FILTER (WHERE s.seat_fault IS NULL) OVER (ORDER BY s.place) > quota
                         THEN orgusers.quota_refusal(invite.org_id) ELSE s.seat_fault END AS refusal
        FROM seated s)
    SELECT array_agg(ROW(c.place, c.address, c.id, c.email, c.first_name, c.last_name, c.locale,
                         c.role_ids, c.group_ids, c.space_ids, c.former, c.refusal)::orgusers.wanted_invitation ORDER BY c.place)
        INTO wanted FROM counted c;

    BEGIN
        PERFORM orgusers.insert_invitations(invite.org_id, wanted);
    EXCEPTION WHEN OTHERS THEN
        -- What an invariant has against one of them, in a trigger or an index, is that row's: then they are made one by one.
        IF SQLSTATE NOT LIKE 'OU%' AND SQLSTATE <> '23505' THEN
            RAISE;
        END IF;
        FOR n IN 1 .. cardinality(wanted) LOOP
            CONTINUE WHEN wanted[n].refusal IS NOT NULL;
            BEGIN
                PERFORM orgusers.insert_invitations(invite.org_id, wanted[n:n]);
            EXCEPTION WHEN unique_violation THEN
                wanted[n].refusal := ARRAY['OU208', 'this address was invited at the same moment',
                                           'list_invitations() lists its invitation.'];
            WHEN OTHERS THEN
                IF SQLSTATE NOT LIKE 'OU%' THEN
                    RAISE;
                END IF;
                GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
                wanted[n].refusal := ARRAY[SQLSTATE, SQLERRM, hint, nullif(detail, '')];
            END;
        END LOOP;
    END;
    made := ARRAY(SELECT w.id FROM unnest(wanted) w WHERE w.refusal IS NULL);
    PERFORM orgusers.take_quota(invite.org_id, cardinality(made));
    INSERT INTO orgusers.invitation_roles (org_id, invitation_id, role_id)
        SELECT invite.org_id, w.id, unnest(w.role_ids) FROM unnest(wanted) w WHERE w.refusal IS NULL;
    IF EXISTS (SELECT FROM unnest(wanted) w WHERE w.group_ids <> '{}' OR w.space_ids <> '{}') THEN
        INSERT INTO orgusers.invitation_groups (org_id, invitation_id, group_id)
            SELECT invite.org_id, w.id, unnest(w.group_ids) FROM unnest(wanted) w WHERE w.refusal IS NULL;
        INSERT INTO orgusers.invitation_spaces (org_id, invitation_id, space_id)
            SELECT invite.org_id, w.id, unnest(w.space_ids) FROM unnest(wanted) w WHERE w.refusal IS NULL;
    END IF;
    IF made <> '{}' AND invite.send IS NOT FALSE THEN
        PERFORM orgusers.send_invitations(invite.org_id, made);
    END IF;
    RETURN QUERY SELECT * FROM unnest(wanted) w ORDER BY w.place;
END $$;
COMMENT ON FUNCTION orgusers.invite(uuid, jsonb, boolean) IS 'Makes the invitations of an array as invite_users() takes it, and says what became of each row. The one way to invite: one call authorizes, locks and mails once for all its rows, and a row that is refused does not hold up others. Internal';

CREATE FUNCTION orgusers.invite_user(org_id uuid, email orgusers.email, roles text[] DEFAULT NULL, groups text[] DEFAULT NULL,
                                     first_name text DEFAULT NULL, last_name text DEFAULT NULL, locale text DEFAULT 'en',
                                     send boolean DEFAULT true, spaces text[] DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made orgusers.wanted_invitation;
BEGIN
    SELECT * INTO made FROM orgusers.invite(invite_user.org_id,
        jsonb_build_array(jsonb_build_object('email', invite_user.email::text, 'roles', invite_user.roles, 'groups', invite_user.groups, 'spaces', invite_user.spaces,
            'first_name', invite_user.first_name, 'last_name', invite_user.last_name, 'locale', invite_user.locale)),
        invite_user.send);
    IF made.refusal[4] IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = made.refusal[1], MESSAGE = made.refusal[2], HINT = made.refusal[3], DETAIL = made.refusal[4];
    ELSIF made.refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = made.refusal[1], MESSAGE = made.refusal[2], HINT = made.refusal[3];
    END IF;
    RETURN made.id;
END $$;
COMMENT ON FUNCTION orgusers.invite_user(uuid, orgusers.email, text[], text[], text, text, text, boolean, text[]) IS 'Invites an address to the organization with roles, groups and spaces, by name (no role named: the policy''s default ones), and mails the invitation, unless send is false: then invitation_link() gives a token. Returns the invitation''s id. Needs users.invite, and each role, also one that a group carries, must be one that the actor''s roles may give; spaces need spaces.assign. An invitation counts for the policy''s daily_invitations, sent or not. OU103 no such role, OU104 no such group, OU106 bad name or locale, OU108 role not the actor''s to give, OU111 no such space, OU113 roles of both kinds, or a free one with a group, OU118 more spaces than the policy allows at once, OU201 no address, OU208 pending or blocking invitation, OU209 a user already, OU212 the day''s invitations are used up, OU301 no seat left, OU306 more spaces than a role can have, OU307 used elsewhere in the tree, OU401 no mailer key, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.invite_users(org_id uuid, invitations jsonb, send boolean DEFAULT true)
    RETURNS TABLE (place integer, email text, invitation_id uuid, sqlstate text, message text, hint text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(jsonb_typeof(invite_users.invitations), '') <> 'array' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'invitations come in a JSON array',
            HINT = 'Each is an object such as {"email": "ann@example.org", "roles": ["USER"]}.';
    END IF;
    RETURN QUERY SELECT w.place, w.address, CASE WHEN w.refusal IS NULL THEN w.id END, w.refusal[1], w.refusal[2], w.refusal[3]
        FROM orgusers.invite(invite_users.org_id, invite_users.invitations, invite_users.send) w;
END $$;
COMMENT ON FUNCTION orgusers.invite_users(uuid, jsonb, boolean) IS 'Invites many addresses in one call. invitations is a JSON array of objects {email, roles, groups, spaces, first_name, last_name, locale} as invite_user() takes them, of which only email must be there; send as there. Returns a row for each, in their order: its place from 1, the address, and the invitation''s id, or else the SQLSTATE, message and hint with which it was refused; a refused one does not hold up the others. An address is invited once a call: a later row with it is refused (OU208). A row of another shape is refused with OU009. Needs users.invite, asked once. Raised for the whole call: OU009 no array, OU401 no mailer key, OU404 no mail template, and what require() raises; a row can be refused with what invite_user() raises';

CREATE FUNCTION orgusers.invitation(org_id uuid, id uuid) RETURNS orgusers.invitations
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one orgusers.invitations;
BEGIN
    SELECT * INTO found_one FROM orgusers.invitations i
        WHERE i.org_id = invitation.org_id AND i.id = invitation.id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU211', MESSAGE = 'no such invitation in this organization',
            HINT = 'list_invitations() lists them.';
    END IF;
    RETURN found_one;
END $$;
COMMENT ON FUNCTION orgusers.invitation(uuid, uuid) IS 'The invitation, locked until the end of the transaction, or OU211. Internal';

CREATE FUNCTION orgusers.require_pending(invitation orgusers.invitations) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF invitation.status <> 'pending' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU205', MESSAGE = format('the invitation is %s', invitation.status),
            HINT = 'Only a pending invitation allows this.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_pending(orgusers.invitations) IS 'Raises OU205 for an invitation that is accepted, declined or canceled. Internal';

CREATE FUNCTION orgusers.renew_invitation(org_id uuid, id uuid) RETURNS orgusers.invitations
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renewed orgusers.invitations;
BEGIN
    PERFORM orgusers.authorize_change(renew_invitation.org_id, 'users.invite');
    renewed := orgusers.invitation(renew_invitation.org_id, renew_invitation.id);
    PERFORM orgusers.require_pending(renewed);
    -- From here on it lives by the authority of the actor.
    renewed.invited_by := orgusers.current_user_id();
    PERFORM orgusers.require_inviter(renewed, 'OU108');
    RETURN renewed;
END $$;
COMMENT ON FUNCTION orgusers.renew_invitation(uuid, uuid) IS 'A pending or expired invitation, locked, with the actor as its inviter. Needs users.invite and the right to give its roles. Internal';

CREATE VIEW orgusers.spaces_by_invitation AS
    SELECT org_id, invitation_id, space_id FROM orgusers.invitation_spaces
    UNION ALL
    SELECT g.org_id, g.invitation_id, s.space_id
    FROM orgusers.invitation_groups g JOIN orgusers.space_groups s USING (org_id, group_id);
COMMENT ON VIEW orgusers.spaces_by_invitation IS 'Spaces that accepting an invitation assigns, by itself or by its groups. Internal';

CREATE FUNCTION orgusers.require_inviter(invitation orgusers.invitations, sqlstate text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.has_right(invitation.invited_by, invitation.org_id, 'users.invite')
       AND NOT EXISTS (
            SELECT FROM (SELECT ir.role_id FROM orgusers.invitation_roles ir
                         WHERE ir.org_id = invitation.org_id AND ir.invitation_id = invitation.id
                         UNION
                         SELECT gr.role_id FROM orgusers.invitation_groups ig JOIN orgusers.group_roles gr USING (org_id, group_id)
                         WHERE ig.org_id = invitation.org_id AND ig.invitation_id = invitation.id) AS given
            WHERE NOT orgusers.may_grant(invitation.invited_by, invitation.org_id, given.role_id))
       AND (NOT EXISTS (SELECT FROM orgusers.spaces_by_invitation s
                        WHERE s.org_id = invitation.org_id AND s.invitation_id = invitation.id)
            OR orgusers.has_right(invitation.invited_by, invitation.org_id, 'spaces.assign'))
    THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = require_inviter.sqlstate,
        MESSAGE = CASE require_inviter.sqlstate WHEN 'OU108' THEN 'you may not give the roles of this invitation'
                  ELSE 'the inviter may not invite with these roles any more' END,
        HINT = 'Another user of the organization, whose role may give them, can send the invitation again.';
END $$;
COMMENT ON FUNCTION orgusers.require_inviter(orgusers.invitations, text) IS 'Raises the SQLSTATE when the inviter may not, or no longer, invite with the invitation''s roles, groups and spaces. Internal';

CREATE FUNCTION orgusers.set_invitation_spaces(org_id uuid, id uuid, spaces text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed orgusers.invitations;
    wanted  uuid[];
BEGIN
    PERFORM orgusers.authorize_change(set_invitation_spaces.org_id, 'spaces.assign');
    changed := orgusers.invitation(set_invitation_spaces.org_id, set_invitation_spaces.id);
    PERFORM orgusers.require_pending(changed);
    wanted := orgusers.space_ids(changed.org_id, set_invitation_spaces.spaces);
    PERFORM orgusers.limit_new_spaces(changed.org_id,
        ARRAY(SELECT unnest(wanted) EXCEPT SELECT s.space_id FROM orgusers.invitation_spaces s
              WHERE s.org_id = changed.org_id AND s.invitation_id = changed.id));
    DELETE FROM orgusers.invitation_spaces s
        WHERE s.org_id = changed.org_id AND s.invitation_id = changed.id AND s.space_id <> ALL (wanted);
    INSERT INTO orgusers.invitation_spaces (org_id, invitation_id, space_id)
        SELECT changed.org_id, changed.id, unnest(wanted) ON CONFLICT DO NOTHING;
    PERFORM orgusers.require_few_spaces(changed.org_id,
        ARRAY(SELECT ir.role_id FROM orgusers.invitation_roles ir WHERE ir.org_id = changed.org_id AND ir.invitation_id = changed.id),
        ARRAY(SELECT ig.group_id FROM orgusers.invitation_groups ig WHERE ig.org_id = changed.org_id AND ig.invitation_id = changed.id),
        wanted);
    -- They will be assigned by the inviter's authority; without it the invitation could not be accepted.
    IF wanted <> '{}' AND NOT orgusers.has_right(changed.invited_by, changed.org_id, 'spaces.assign') THEN
        RAISE EXCEPTION USING ERRCODE = 'OU210', MESSAGE = 'the user who has sent this invitation may not assign spaces',
            HINT = 'Send it again first, with resend_invitation(): from then on it is yours.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.set_invitation_spaces(uuid, uuid, text[]) IS 'Makes a pending or expired invitation assign exactly these spaces, by name, when it is accepted; NULL or an empty array: none. Those of its groups come besides. Needs spaces.assign, which the inviter needs, too, now and at acceptance: resend_invitation() makes the actor the inviter. OU111 no such space, OU118 more new ones than the policy allows at once, OU205 answered or canceled, OU210 the inviter may not assign spaces, OU211 no such invitation, OU306 more than a role of the invitation can have, and what require() raises';

CREATE FUNCTION orgusers.resend_invitation(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renewed orgusers.invitations := orgusers.renew_invitation(org_id, id);
BEGIN
    IF renewed.expires_at <= clock_timestamp() AND orgusers.wants_seat(renewed) THEN
        PERFORM orgusers.require_seat(renewed.org_id);
    END IF;
    PERFORM orgusers.take_quota(renewed.org_id, 1);
    UPDATE orgusers.invitations i
        SET invited_by = renewed.invited_by,
            expires_at = clock_timestamp() + (orgusers.policy_of(i.org_id)).invitation_lifetime
        WHERE i.org_id = renewed.org_id AND i.id = renewed.id
        RETURNING * INTO renewed;
    PERFORM orgusers.refuse_in_tree(renewed.org_id, renewed.email);
    -- What was mailed before, or waits to be, opens nothing any more.
    PERFORM orgusers.withdraw_mail(renewed.org_id, renewed.id);
    DELETE FROM orgusers.invitation_tokens t WHERE t.org_id = renewed.org_id AND t.invitation_id = renewed.id AND t.kind = 'mail';
    PERFORM orgusers.send_invitations(renewed.org_id, ARRAY[renewed.id]);
END $$;
COMMENT ON FUNCTION orgusers.resend_invitation(uuid, uuid) IS 'Mails a pending or expired invitation again with a new token and the whole lifetime; tokens mailed earlier end. The actor becomes its inviter. Needs users.invite and the right to give its roles. OU108 roles not the actor''s to give, OU205 answered or canceled, OU208 declined elsewhere in the tree, OU211 no such invitation, OU212 the day''s invitations are used up, OU301 expired, and no seat left, OU307 used elsewhere in the tree, OU401 no mailer key, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.invitation_link(org_id uuid, id uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renewed orgusers.invitations := orgusers.renew_invitation(org_id, id);
    token   orgusers.invitation_token := orgusers.new_invitation_token(renewed.org_id);
BEGIN
    IF renewed.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'OU204', MESSAGE = 'the invitation has expired',
            HINT = 'resend_invitation() revives it.';
    END IF;
    INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind, created_by)
        VALUES (renewed.org_id, orgusers.token_digest(token), renewed.id, 'link', orgusers.current_user_id());
    RETURN replace((orgusers.policy_of(renewed.org_id)).accept_url, '{{token}}', orgusers.token_text(token));
END $$;
COMMENT ON FUNCTION orgusers.invitation_link(uuid, uuid) IS 'A further link that opens a pending invitation; the ones already sent keep working. Whoever follows it must be signed in with the invited address, verified. Needs users.invite and the right to give its roles. OU108 roles not the actor''s to give, OU204 expired, OU205 answered or canceled, OU211 no such invitation, and what require() raises';

CREATE FUNCTION orgusers.cancel_invitation(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    canceled orgusers.invitations;
BEGIN
    PERFORM orgusers.require(cancel_invitation.org_id, 'users.invite');
    canceled := orgusers.invitation(cancel_invitation.org_id, cancel_invitation.id);
    PERFORM orgusers.require_pending(canceled);
    UPDATE orgusers.invitations i SET status = 'canceled', closed_at = clock_timestamp()
        WHERE i.org_id = canceled.org_id AND i.id = canceled.id;
    PERFORM orgusers.withdraw_mail(canceled.org_id, canceled.id);
    PERFORM orgusers.enqueue_mail(canceled.org_id, 'invitation_canceled', canceled.email,
        concat_ws(' ', canceled.first_name, canceled.last_name), canceled.locale, orgusers.mail_people(NULL));
END $$;
COMMENT ON FUNCTION orgusers.cancel_invitation(uuid, uuid) IS 'Cancels a pending or expired invitation: none of its tokens opens it any more, and the address gets mail about it. Needs users.invite. OU205 answered or canceled, OU211 no such invitation, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.remove_invitation(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed orgusers.invitations;
BEGIN
    PERFORM orgusers.require(remove_invitation.org_id, 'users.invite');
    removed := orgusers.invitation(remove_invitation.org_id, remove_invitation.id);
    IF removed.status = 'pending' AND removed.expires_at > clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'OU205', MESSAGE = 'the invitation is pending',
            HINT = 'Cancel it first, with cancel_invitation().';
    END IF;
    PERFORM orgusers.withdraw_mail(removed.org_id, removed.id);
    DELETE FROM orgusers.invitations i WHERE i.org_id = removed.org_id AND i.id = removed.id;
END $$;
COMMENT ON FUNCTION orgusers.remove_invitation(uuid, uuid) IS 'Takes an invitation that is not pending off the list for good; no mail goes out. Needs users.invite. OU205 pending, OU211 no such invitation, and what require() raises';
