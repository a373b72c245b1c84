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

CREATE FUNCTION orgusers.send_invitations(org_id uuid, ids uuid[], role_names text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    key   orgusers.mailer_keys := orgusers.mailer_key();
    mails orgusers.mail[];
BEGIN
    -- Tokens stay within the innermost query, which passes row after row on: what is kept meanwhile, perhaps in a file,
    -- is digests and sealed boxes.
    WITH made AS MATERIALIZED (
        SELECT n.id, n.email, n.name, n.locale, n.expires_at, n.invited_by, s.role_names, orgusers.token_digest(n.token) AS digest,
               orgusers.seal_invitation(key.public_key, send_invitations.org_id, n.id, n.email, n.expires_at, n.token) AS sealed
        FROM unnest(send_invitations.ids, send_invitations.role_names) AS s (id, role_names),
             LATERAL (SELECT i.id, i.email, concat_ws(' ', i.first_name, i.last_name) AS name, i.locale, i.expires_at, i.invited_by,
                             orgusers.new_invitation_token(i.org_id) AS token
                      FROM orgusers.invitations i WHERE i.org_id = send_invitations.org_id AND i.id = s.id OFFSET 0) AS n),
    stored AS (
        INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind, created_by)
            SELECT send_invitations.org_id, m.digest, m.id, 'mail', m.invited_by FROM made m)
    SELECT array_agg(ROW(m.email, m.name, m.locale, m.id, m.expires_at, m.role_names, m.sealed, key.id)::orgusers.mail) INTO mails FROM made m;
    PERFORM orgusers.enqueue_mails(send_invitations.org_id, 'invitation', orgusers.mail_people(NULL), mails);
END $$;
COMMENT ON FUNCTION orgusers.send_invitations(uuid, uuid[], text[]) IS 'Mails invitations, each with a new token; the mails say by which names the roles go that they give. OU401 no mailer key, OU404 no mail template. Internal';

CREATE TYPE orgusers.wanted_invitation AS (
    place      integer,
    address    text,
    email      orgusers.email,
    roles      text[],
    groups     text[],
    spaces     text[],
    first_name text,
    last_name  text,
    locale     text,
    gift       integer,
    refusal    text[],
    id         uuid,
    role_ids   uuid[],
    role_names text,
    group_ids  uuid[],
    space_ids  uuid[],
    former     uuid
);
COMMENT ON TYPE orgusers.wanted_invitation IS 'An invitation that somebody wants to send. Rows of a call that give the same roles, groups and spaces have the same gift, counted from 1; former is the expired one that it replaces. When it cannot be sent, refusal has the SQLSTATE, the message, the hint and perhaps a detail. Internal';

-- As text: pg_upgrade makes functions before the operators by which a parsed one would tell addresses apart.
CREATE FUNCTION orgusers.read_invitations(invitations jsonb) RETURNS SETOF orgusers.wanted_invitation
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.place, n.address, n.email, n.roles, n.groups, n.spaces, n.first_name, n.last_name, n.locale,
           dense_rank() OVER (ORDER BY n.roles, n.groups, n.spaces)::integer,
           CASE WHEN n.refusal IS NULL AND n.email IS NOT NULL AND row_number() OVER (PARTITION BY n.email ORDER BY n.place) > 1
                THEN ARRAY['OU208', 'this address is in an earlier row of the call', 'An address is invited once.']
                ELSE n.refusal END,
           NULL::uuid, NULL::uuid[], NULL::text, NULL::uuid[], NULL::uuid[], NULL::uuid
    FROM (
        SELECT r.place::integer AS place, r.address, CASE WHEN r.fault IS NULL THEN r.address::orgusers.email END AS email,
               CASE jsonb_typeof(r.e -> 'roles') WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(r.e -> 'roles')) ELSE '{}' END AS roles,
               CASE jsonb_typeof(r.e -> 'groups') WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(r.e -> 'groups')) ELSE '{}' END AS groups,
               CASE jsonb_typeof(r.e -> 'spaces') WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(r.e -> 'spaces')) ELSE '{}' END AS spaces,
               r.e ->> 'first_name' AS first_name, r.e ->> 'last_name' AS last_name, coalesce(r.e ->> 'locale', 'en') AS locale,
               CASE WHEN r.e IS NULL
                    THEN ARRAY['OU009', 'this is not an invitation',
                               'An invitation is an object of email, first_name, last_name and locale (texts), roles, groups and spaces (arrays of names); only email must be there.']
                    WHEN r.fault IS NOT NULL THEN ARRAY['OU201', 'invalid e-mail address', r.fault] END AS refusal
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
                    FROM jsonb_array_elements(invitations) WITH ORDINALITY AS j (e, place) OFFSET 0) AS s OFFSET 0) AS r OFFSET 0) AS n
    ORDER BY n.place;
$$;
COMMENT ON FUNCTION orgusers.read_invitations(jsonb) IS 'Rows of an array of invitations as invite_users() takes it, in their order, with a refusal (SQLSTATE, message, hint) for what is none (OU009, OU201) and for an address that an earlier row has (OU208). Internal';

CREATE FUNCTION orgusers.require_few_spaces(org_id uuid, role_ids uuid[], group_ids uuid[], space_ids uuid[]) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused record;
BEGIN
    IF group_ids = '{}' AND space_ids = '{}' THEN
        RETURN;
    END IF;
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

CREATE TYPE orgusers.invitation_gift AS (
    role_ids   uuid[],
    role_names text,
    group_ids  uuid[],
    space_ids  uuid[],
    takes_seat boolean,
    refusal    text[]
);
COMMENT ON TYPE orgusers.invitation_gift IS 'What an invitation gives, and whether who accepts it takes a seat; or the refusal (SQLSTATE, message, hint and perhaps a detail) when the actor cannot give it. Internal';

CREATE FUNCTION orgusers.wanted_gift(org_id uuid, roles text[], groups text[], spaces text[]) RETURNS orgusers.invitation_gift
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gift      orgusers.invitation_gift;
    grantable boolean;
BEGIN
    IF wanted_gift.roles <> '{}' THEN
        gift.role_ids := orgusers.role_ids(wanted_gift.org_id, wanted_gift.roles);
    ELSE
        gift.role_ids := ARRAY(SELECT r.id FROM orgusers.roles r
                               JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
                               WHERE r.org_id = wanted_gift.org_id AND t.by_default AND NOT r.further);
    END IF;
    -- In one look, mostly without fault; else these say what it is.
    SELECT string_agg(r.name, ', ' ORDER BY r.name), coalesce(bool_and(r.holds_seat), true),
           bool_and(orgusers.may_grant(orgusers.current_user_id(), r.org_id, r.id))
        INTO gift.role_names, gift.takes_seat, grantable
        FROM orgusers.roles r WHERE r.org_id = wanted_gift.org_id AND r.id = ANY (gift.role_ids);
    IF NOT gift.takes_seat THEN
        gift.takes_seat := orgusers.takes_seat(wanted_gift.org_id, gift.role_ids);
    END IF;
    IF NOT grantable THEN
        PERFORM orgusers.require_grantable(wanted_gift.org_id, gift.role_ids);
    END IF;
    gift.group_ids := '{}';
    gift.space_ids := '{}';
    IF wanted_gift.groups = '{}' AND wanted_gift.spaces = '{}' THEN
        RETURN gift;
    END IF;
    IF wanted_gift.groups <> '{}' THEN
        gift.group_ids := orgusers.group_ids(wanted_gift.org_id, wanted_gift.groups);
        PERFORM orgusers.require_kind(gift.takes_seat, 'a free user is in no group');
        PERFORM orgusers.require_groups(wanted_gift.org_id, NULL, gift.group_ids);
    END IF;
    IF wanted_gift.spaces <> '{}' THEN
        PERFORM orgusers.require(wanted_gift.org_id, 'spaces.assign');
        gift.space_ids := orgusers.space_ids(wanted_gift.org_id, wanted_gift.spaces);
        PERFORM orgusers.limit_new_spaces(wanted_gift.org_id, gift.space_ids);
    END IF;
    PERFORM orgusers.require_few_spaces(wanted_gift.org_id, gift.role_ids, gift.group_ids, gift.space_ids);
    RETURN gift;
END $$;
COMMENT ON FUNCTION orgusers.wanted_gift(uuid, text[], text[], text[]) IS 'What an invitation gives with these roles (none named: the policy''s default ones), groups and spaces. Raises when the actor cannot give them: OU002, OU103, OU104, OU108, OU111, OU113, OU118, OU306. Internal';

-- One look-up by an index after the other: a query of them all takes longer to begin than to carry out.
CREATE FUNCTION orgusers.check_invitation(org_id uuid, rules orgusers.policies, wanted orgusers.wanted_invitation, OUT former uuid, OUT refusal text[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expired boolean;
    person  uuid;
BEGIN
    -- Whoever answers or cancels the address's invitation is waited for; what comes next reads by new commands.
    SELECT i.id, i.expires_at <= clock_timestamp() INTO former, expired FROM orgusers.invitations i
        WHERE i.org_id = check_invitation.org_id AND i.email = wanted.email AND i.status = 'pending' FOR UPDATE;
    -- A join could be planned as reading all users of the organization.
    SELECT u.id INTO person FROM orgusers.users u WHERE u.email = wanted.email;
    IF FOUND THEN
        PERFORM FROM orgusers.memberships m WHERE m.org_id = check_invitation.org_id AND m.user_id = person;
        IF FOUND THEN
            refusal := ARRAY['OU209', 'this address is a user''s of the organization', 'A deactivated user comes back with reactivate_user().'];
            RETURN;
        END IF;
    END IF;
    IF rules.declined_blocks THEN
        PERFORM FROM orgusers.invitations i
            WHERE i.org_id = check_invitation.org_id AND i.email = wanted.email AND i.status = 'declined' LIMIT 1;
        IF FOUND THEN
            refusal := ARRAY['OU208', 'this address has declined an invitation', 'Remove that invitation first, with remove_invitation().'];
            RETURN;
        END IF;
    END IF;
    IF NOT expired THEN
        refusal := ARRAY['OU208', 'this address has a pending invitation to the organization',
                         'Send it again with resend_invitation(), or cancel it with cancel_invitation().'];
        RETURN;
    END IF;
    IF rules.unique_in_tree THEN
        refusal := orgusers.tree_refusal(check_invitation.org_id, wanted.email);
        IF refusal IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    IF NOT orgusers.is_locale(wanted.locale) THEN
        refusal := ARRAY['OU106', 'this locale is not usable', 'A locale is a language tag such as en or pt-BR.'];
    ELSIF NOT (orgusers.is_name(coalesce(wanted.first_name, 'none')) AND orgusers.is_name(coalesce(wanted.last_name, 'none'))) THEN
        refusal := ARRAY['OU106', format('this %s name is not usable', CASE WHEN orgusers.is_name(wanted.first_name) IS FALSE THEN 'first' ELSE 'last' END),
                         'A name has 1 to 200 characters, no control characters, and no blank at either end.'];
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.check_invitation(uuid, orgusers.policies, orgusers.wanted_invitation) IS 'Why the person cannot be invited under these rules (SQLSTATE, message, hint): OU106, OU208, OU209, OU307, or NULL; and the expired invitation that stands in the way (former), locked. Internal';

CREATE FUNCTION orgusers.insert_invitations(org_id uuid, wanted orgusers.wanted_invitation[], expires_at timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one  orgusers.wanted_invitation;
    more boolean := false;
    due  bigint := 0;
    made bigint;
BEGIN
    FOREACH one IN ARRAY wanted LOOP
        CONTINUE WHEN one.refusal IS NOT NULL;
        due := due + 1;
        more := more OR one.group_ids <> '{}' OR one.space_ids <> '{}';
        -- An expired invitation makes room for a new one.
        IF one.former IS NOT NULL THEN
            UPDATE orgusers.invitations i SET status = 'canceled', closed_at = clock_timestamp()
                WHERE i.org_id = insert_invitations.org_id AND i.id = one.former;
            PERFORM orgusers.withdraw_mail(insert_invitations.org_id, one.former);
        END IF;
    END LOOP;
    INSERT INTO orgusers.invitations (org_id, id, email, first_name, last_name, locale, invited_by, expires_at)
        SELECT insert_invitations.org_id, w.id, w.email, w.first_name, w.last_name, w.locale, orgusers.current_user_id(), insert_invitations.expires_at
        FROM unnest(wanted) w WHERE w.refusal IS NULL
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    -- The owner can insert invitations without the organization's lock.
    IF made < due THEN
        RAISE EXCEPTION USING ERRCODE = 'OU208', MESSAGE = 'this address was invited at the same moment',
            HINT = 'list_invitations() lists its invitation.';
    END IF;
    INSERT INTO orgusers.invitation_roles (org_id, invitation_id, role_id)
        SELECT insert_invitations.org_id, w.id, unnest(w.role_ids) FROM unnest(wanted) w WHERE w.refusal IS NULL;
    IF more THEN
        INSERT INTO orgusers.invitation_groups (org_id, invitation_id, group_id)
            SELECT insert_invitations.org_id, w.id, unnest(w.group_ids) FROM unnest(wanted) w WHERE w.refusal IS NULL;
        INSERT INTO orgusers.invitation_spaces (org_id, invitation_id, space_id)
            SELECT insert_invitations.org_id, w.id, unnest(w.space_ids) FROM unnest(wanted) w WHERE w.refusal IS NULL;
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.insert_invitations(uuid, orgusers.wanted_invitation[], timestamptz) IS 'Makes the rows of those invitations that are not refused, and cancels the expired ones that they replace. OU208 when one of the addresses was invited meanwhile. Internal';

-- Planned once: plans made anew for each call would take longer than carrying them out.  And by indexes: a plan from
-- when the tables were new, which reads them whole, would be kept while they grow.
CREATE FUNCTION orgusers.invite(org_id uuid, wanted orgusers.wanted_invitation[], send boolean, catch boolean) RETURNS orgusers.wanted_invitation[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    rules   orgusers.policies;
    expires timestamptz;
    seats   bigint;
    quota   integer;
    asked   orgusers.wanted_invitation;
    gifts   orgusers.invitation_gift[];
    gift    orgusers.invitation_gift;
    checked record;
    made    uuid[];
    names   text[];
    hint    text;
    detail  text;
BEGIN
    PERFORM orgusers.authorize_change(invite.org_id, 'users.invite');
    rules := orgusers.policy_of(invite.org_id);
    seats := orgusers.free_seats(invite.org_id);
    IF rules.daily_invitations IS NOT NULL THEN
        quota := orgusers.quota_left(invite.org_id);
    END IF;

    FOR n IN 1 .. cardinality(wanted) LOOP
        asked := wanted[n];
        CONTINUE WHEN asked.refusal IS NOT NULL;
        IF asked.email IS NULL THEN
            wanted[n].refusal := ARRAY['OU201', 'an invitation needs an e-mail address', 'Give the address of the person to invite.'];
            CONTINUE;
        END IF;
        -- Asked once for all rows that give the same.
        gift := gifts[asked.gift];
        IF gift IS NULL THEN
            IF catch THEN
                BEGIN
                    gift := orgusers.wanted_gift(invite.org_id, asked.roles, asked.groups, asked.spaces);
                EXCEPTION WHEN OTHERS THEN
                    -- What it refuses is the row's; anything else is everybody's.
                    IF SQLSTATE NOT LIKE 'OU%' THEN
                        RAISE;
                    END IF;
                    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
                    gift.refusal := ARRAY[SQLSTATE, SQLERRM, hint, nullif(detail, '')];
                END;
            ELSE
                gift := orgusers.wanted_gift(invite.org_id, asked.roles, asked.groups, asked.spaces);
            END IF;
            gifts[asked.gift] := gift;
        END IF;
        asked.refusal := gift.refusal;
        IF asked.refusal IS NULL THEN
            checked := orgusers.check_invitation(invite.org_id, rules, asked);
            asked.refusal := checked.refusal;
        END IF;
        IF asked.refusal IS NULL AND gift.takes_seat THEN
            -- A courtesy to who invites: what counts is the seat at acceptance.
            IF seats < 1 THEN
                asked.refusal := ARRAY['OU301', 'the organization has no seat left to invite somebody to', 'Remove or deactivate a user, or change the plan.'];
            ELSIF rules.pending_holds_seat THEN
                seats := seats - 1;
            END IF;
        END IF;
        IF asked.refusal IS NULL THEN
            IF quota < 1 THEN
                asked.refusal := orgusers.quota_refusal(invite.org_id);
            END IF;
            quota := quota - 1;
        END IF;
        IF asked.refusal IS NULL THEN
            asked.id := orgusers.new_id();
            asked.role_ids := gift.role_ids;
            asked.role_names := gift.role_names;
            asked.group_ids := gift.group_ids;
            asked.space_ids := gift.space_ids;
            asked.former := checked.former;
        END IF;
        wanted[n] := asked;
    END LOOP;

    expires := clock_timestamp() + rules.invitation_lifetime;
    IF catch THEN
        BEGIN
            PERFORM orgusers.insert_invitations(invite.org_id, wanted, expires);
        EXCEPTION WHEN OTHERS THEN
            -- What an invariant has against one of them is that row's: then they are made one by one.
            IF SQLSTATE NOT LIKE 'OU%' THEN
                RAISE;
            END IF;
            FOR n IN 1 .. cardinality(wanted) LOOP
                CONTINUE WHEN wanted[n].refusal IS NOT NULL;
                BEGIN
                    PERFORM orgusers.insert_invitations(invite.org_id, wanted[n:n], expires);
                EXCEPTION WHEN OTHERS THEN
                    IF SQLSTATE NOT LIKE 'OU%' THEN
                        RAISE;
                    END IF;
                    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
                    wanted[n].refusal := ARRAY[SQLSTATE, SQLERRM, hint, nullif(detail, '')];
                END;
            END LOOP;
        END;
    ELSE
        PERFORM orgusers.insert_invitations(invite.org_id, wanted, expires);
    END IF;
    SELECT array_agg(w.id), array_agg(w.role_names) INTO made, names FROM unnest(wanted) w WHERE w.refusal IS NULL;
    IF made IS NOT NULL THEN
        IF quota IS NOT NULL THEN
            PERFORM orgusers.take_quota(invite.org_id, cardinality(made));
        END IF;
        IF invite.send IS NOT FALSE THEN
            PERFORM orgusers.send_invitations(invite.org_id, made, names);
        END IF;
    END IF;
    RETURN wanted;
END $$;
COMMENT ON FUNCTION orgusers.invite(uuid, orgusers.wanted_invitation[], boolean, boolean) IS 'Makes the invitations that somebody wants, and returns them with what became of each. The one way to invite: one call authorizes, locks and mails once for all its rows, and, with catch, a row that is refused does not hold up others. A call for one row goes without, and without the subtransactions that it takes: then a refusal may be raised as well as returned. Internal';

CREATE FUNCTION orgusers.invite_user(org_id uuid, email orgusers.email, roles text[] DEFAULT NULL, groups text[] DEFAULT NULL,
                                     first_name text DEFAULT NULL, last_name text DEFAULT NULL, locale text DEFAULT 'en',
                                     send boolean DEFAULT true, spaces text[] DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made orgusers.wanted_invitation;
BEGIN
    made.place := 1;
    made.email := invite_user.email;
    made.roles := coalesce(invite_user.roles, '{}');
    made.groups := coalesce(invite_user.groups, '{}');
    made.spaces := coalesce(invite_user.spaces, '{}');
    made.first_name := invite_user.first_name;
    made.last_name := invite_user.last_name;
    made.locale := coalesce(invite_user.locale, 'en');
    made.gift := 1;
    made := (orgusers.invite(invite_user.org_id, ARRAY[made], invite_user.send, false))[1];
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
        FROM unnest(orgusers.invite(invite_users.org_id, ARRAY(SELECT r FROM orgusers.read_invitations(invite_users.invitations) r), invite_users.send, true)) w;
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
    PERFORM orgusers.require_inviter(renewed, orgusers.given_by(renewed), 'OU108');
    RETURN renewed;
END $$;
COMMENT ON FUNCTION orgusers.renew_invitation(uuid, uuid) IS 'A pending or expired invitation, locked, with the actor as its inviter. Needs users.invite and the right to give its roles. Internal';

CREATE FUNCTION orgusers.given_by(invitation orgusers.invitations) RETURNS orgusers.invitation_gift
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gift orgusers.invitation_gift;
BEGIN
    SELECT ARRAY(SELECT r.role_id FROM orgusers.invitation_roles r
                 WHERE r.org_id = invitation.org_id AND r.invitation_id = invitation.id),
           ARRAY(SELECT g.group_id FROM orgusers.invitation_groups g
                 WHERE g.org_id = invitation.org_id AND g.invitation_id = invitation.id),
           ARRAY(SELECT s.space_id FROM orgusers.invitation_spaces s
                 WHERE s.org_id = invitation.org_id AND s.invitation_id = invitation.id)
        INTO gift.role_ids, gift.group_ids, gift.space_ids;
    RETURN gift;
END $$;
COMMENT ON FUNCTION orgusers.given_by(orgusers.invitations) IS 'Ids of the roles, groups and spaces that an invitation gives. Internal';

CREATE FUNCTION orgusers.require_inviter(invitation orgusers.invitations, gift orgusers.invitation_gift, sqlstate text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    inviter uuid := invitation.invited_by;
    allowed boolean := orgusers.has_right(inviter, invitation.org_id, 'users.invite');
    role_id uuid;
BEGIN
    FOREACH role_id IN ARRAY gift.role_ids || CASE WHEN gift.group_ids <> '{}' THEN orgusers.roles_by_groups(invitation.org_id, gift.group_ids) END LOOP
        EXIT WHEN allowed IS NOT TRUE;
        allowed := orgusers.may_grant(inviter, invitation.org_id, role_id);
    END LOOP;
    IF gift.space_ids <> '{}' OR gift.group_ids <> '{}'
       AND EXISTS (SELECT FROM orgusers.space_groups sg WHERE sg.org_id = invitation.org_id AND sg.group_id = ANY (gift.group_ids)) THEN
        allowed := allowed AND orgusers.has_right(inviter, invitation.org_id, 'spaces.assign');
    END IF;
    IF allowed IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = require_inviter.sqlstate,
            MESSAGE = CASE require_inviter.sqlstate WHEN 'OU108' THEN 'you may not give the roles of this invitation'
                      ELSE 'the inviter may not invite with these roles any more' END,
            HINT = 'Another user of the organization, whose role may give them, can send the invitation again.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_inviter(orgusers.invitations, orgusers.invitation_gift, text) IS 'Raises the SQLSTATE when the inviter may not, or no longer, invite with the roles, groups and spaces that the invitation gives. Internal';

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
    PERFORM orgusers.send_invitations(renewed.org_id, ARRAY[renewed.id],
        ARRAY[array_to_string(orgusers.role_names(renewed.org_id, (orgusers.given_by(renewed)).role_ids), ', ')]);
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
