-- The outbox: mails are rows, written in the transaction that causes them and sent by orgusers-mailer.

-- Not dumped: a restored database is another installation, and holds back what the first may have sent.
CREATE TABLE orgusers.installation (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    only_one   boolean NOT NULL DEFAULT true UNIQUE CHECK (only_one),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE orgusers.installation IS 'One row that tells this installation from the one a dump came from';
INSERT INTO orgusers.installation DEFAULT VALUES;

CREATE FUNCTION orgusers.is_mail_state(status text, fence uuid, sealed_token bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_is_mail_state';
COMMENT ON FUNCTION orgusers.is_mail_state(text, uuid, bytea) IS 'Whether a mail can be in this state: queued, leased (with a fence), dead, or sent or withdrawn (without a token). Internal';

-- Neither organization nor policy is a foreign key: mail about what is gone is still delivered.
CREATE TABLE orgusers.mail_outbox (
    org_id         uuid NOT NULL,
    id             uuid NOT NULL DEFAULT orgusers.new_id(),
    policy         text NOT NULL,
    kind           text NOT NULL CHECK (orgusers.mail_placeholders(kind) IS NOT NULL),
    recipient      orgusers.email NOT NULL,
    recipient_name text,
    locale         text NOT NULL,
    variables      jsonb NOT NULL CHECK (jsonb_typeof(variables) = 'object'),
    invitation_id  uuid,
    expires_at     timestamptz CHECK (isfinite(expires_at)),
    sealed_token   bytea CHECK (octet_length(sealed_token) <= 1024), -- or one row could be too long for any claim
    mailer_key_id  text,
    status         text NOT NULL DEFAULT 'queued',
    attempts       integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    fence          uuid,
    last_error     text,
    installation   uuid NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (org_id, id),
    CONSTRAINT mail_outbox_state CHECK (orgusers.is_mail_state(status, fence, sealed_token))
);
CREATE INDEX mail_outbox_due_idx ON orgusers.mail_outbox (installation, due_at) WHERE status IN ('queued', 'leased');
CREATE INDEX mail_outbox_sealed_idx ON orgusers.mail_outbox (org_id, invitation_id) WHERE sealed_token IS NOT NULL;
COMMENT ON TABLE orgusers.mail_outbox IS 'Mails of organizations and what became of them. Written by the functions only';
COMMENT ON COLUMN orgusers.mail_outbox.id IS 'Id of the mail, which makes its Message-ID';
COMMENT ON COLUMN orgusers.mail_outbox.variables IS 'Values of the template''s placeholders, texts or null; link is made by the mailer';
COMMENT ON COLUMN orgusers.mail_outbox.sealed_token IS 'Invitation token in a box that only the mailer opens; gone when the mail is sent or withdrawn';
COMMENT ON COLUMN orgusers.mail_outbox.mailer_key_id IS 'Key of the box';
COMMENT ON COLUMN orgusers.mail_outbox.status IS 'queued; leased to a mailer; sent; dead: given up, see last_error and requeue_mail; withdrawn: its invitation was closed first';
COMMENT ON COLUMN orgusers.mail_outbox.attempts IS 'Leases given so far that did not come back unused';
COMMENT ON COLUMN orgusers.mail_outbox.due_at IS 'When a queued mail may be claimed, and when a leased one may be claimed again';
COMMENT ON COLUMN orgusers.mail_outbox.fence IS 'Proof of the last lease: who holds an older one can no longer acknowledge';
COMMENT ON COLUMN orgusers.mail_outbox.installation IS 'Installation that enqueued it; another gives it out after adopt_mail only';
COMMENT ON COLUMN orgusers.mail_outbox.changed_at IS 'When the status last changed';
SELECT pg_extension_config_dump('orgusers.mail_outbox', '');

CREATE FUNCTION orgusers.wake_mailer() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'orgusers_wake_mailer';
COMMENT ON FUNCTION orgusers.wake_mailer() IS 'Asks for one wake-up of the mailers (NOTIFY orgusers_mail, without a payload) at the commit of this transaction; nothing when the setting orgusers.mail_wake_up is off. Internal';

CREATE TYPE orgusers.mail AS (
    recipient      orgusers.email,
    recipient_name text,
    locale         text,
    invitation_id  uuid,
    expires_at     timestamptz,
    role_names     text,
    sealed_token   bytea,
    mailer_key_id  text
);
COMMENT ON TYPE orgusers.mail IS 'One of the mails that enqueue_mails() enqueues. Internal';

CREATE FUNCTION orgusers.enqueue_mails(org_id uuid, kind text, variables jsonb, mails orgusers.mail[]) RETURNS uuid[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS
$$
DECLARE
    about record;
    ids   uuid[];
BEGIN
    SELECT o.name AS organization, o.external_id, o.policy, o.time_zone, p.product_name AS product,
           EXISTS (SELECT FROM orgusers.mail_templates t WHERE t.policy = o.policy AND t.kind = enqueue_mails.kind) AS has_template,
           g.addressed, g.fitting INTO about
        FROM orgusers.organizations o JOIN orgusers.policies p ON p.id = o.policy,
             (SELECT bool_and(m.recipient IS NOT NULL) AS addressed,
                     bool_and(CASE enqueue_mails.kind
                              WHEN 'invitation' THEN num_nulls(m.invitation_id, m.expires_at, m.sealed_token, m.mailer_key_id) = 0 AND isfinite(m.expires_at)
                              ELSE m.sealed_token IS NULL END) AS fitting
              FROM unnest(mails) m) AS g
        WHERE o.id = enqueue_mails.org_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown organization' USING ERRCODE = 'OU101';
    END IF;
    IF NOT about.has_template THEN
        RAISE EXCEPTION 'policy "%" has no template for mail of kind "%"', about.policy, kind
            USING ERRCODE = 'OU404', HINT = 'orgusers.install_mail_templates(policy) adds the default ones.';
    END IF;
    IF NOT about.addressed OR coalesce(jsonb_typeof(variables), '') <> 'object' OR octet_length(variables::text) > 65536
        OR variables @? 'strict $.* ? (@.type() != "string" && @.type() != "null")' THEN
        RAISE EXCEPTION 'mail needs a recipient and an object of texts' USING ERRCODE = 'OU009';
    END IF;
    IF NOT about.fitting THEN
        RAISE EXCEPTION 'mail of kind "%" and its token do not fit', kind
            USING ERRCODE = 'OU009', DETAIL = 'An invitation has an id, an expiry and a token; no other mail has a token.';
    END IF;

    variables := variables - 'link' || jsonb_build_object(
        'product', about.product,
        'organization', about.organization,
        'organization_line', about.organization || coalesce(' (' || about.external_id || ')', ''),
        'customer_id', coalesce(about.external_id, ''));
    -- These are each mail's own, or the mailer's.
    IF NOT variables || '{"link": null, "recipient": null, "expires_at": null, "roles": null}' ?& orgusers.mail_placeholders(kind) THEN
        RAISE EXCEPTION 'mail of kind "%" lacks variables: %', kind,
            (SELECT string_agg(name, ', ') FROM unnest(orgusers.mail_placeholders(kind)) name
             WHERE NOT variables ? name AND name NOT IN ('link', 'recipient', 'expires_at', 'roles')) USING ERRCODE = 'OU009';
    END IF;
    WITH enqueued AS (
        INSERT INTO orgusers.mail_outbox AS o (org_id, policy, kind, recipient, recipient_name, locale, variables,
                                               invitation_id, expires_at, sealed_token, mailer_key_id, installation)
            SELECT enqueue_mails.org_id, about.policy, enqueue_mails.kind, m.recipient, m.recipient_name, coalesce(m.locale, 'en'),
                   enqueue_mails.variables
                       || jsonb_build_object('recipient', coalesce(nullif(btrim(m.recipient_name), ''), m.recipient::text))
                       || CASE kind WHEN 'invitation' THEN jsonb_build_object(
                              'expires_at', to_char(m.expires_at AT TIME ZONE about.time_zone, 'YYYY-MM-DD HH24:MI') || ' (' || about.time_zone || ')',
                              'roles', coalesce(nullif(left(m.role_names, 1000), ''), '-'))
                          ELSE '{}' END,
                   m.invitation_id, m.expires_at, m.sealed_token, m.mailer_key_id, i.id
            FROM orgusers.installation i, unnest(mails) m
            RETURNING o.id)
    SELECT array_agg(e.id) INTO ids FROM enqueued e;
    PERFORM orgusers.wake_mailer();
    RETURN ids;
END
$$;
COMMENT ON FUNCTION orgusers.enqueue_mails(uuid, text, jsonb, orgusers.mail[]) IS 'Enqueues mails of one kind about an organization and returns their ids; they are sent if this transaction commits. variables, the same for all: an object of texts or nulls with what mail_placeholders lists for the kind and the extension does not make itself. Invitations come with their token, sealed by seal_invitation() for mailer_key(). OU101 unknown organization, OU404 no template, OU009 arguments that do not fit. Internal';

CREATE FUNCTION orgusers.enqueue_mail(org_id uuid, kind text, recipient orgusers.email, recipient_name text, locale text, variables jsonb) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (orgusers.enqueue_mails(org_id, kind, variables, ARRAY[ROW(recipient, recipient_name, locale, NULL, NULL, NULL, NULL, NULL)::orgusers.mail]))[1];
END
$$;
COMMENT ON FUNCTION orgusers.enqueue_mail(uuid, text, orgusers.email, text, text, jsonb) IS 'Enqueues one mail without a token, as enqueue_mails() does, and returns its id. Internal';

CREATE FUNCTION orgusers.withdraw_mail(org_id uuid, invitation_id uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    withdrawn bigint;
BEGIN
    UPDATE orgusers.mail_outbox m
        SET status = 'withdrawn', sealed_token = NULL, fence = NULL, changed_at = clock_timestamp()
        WHERE m.org_id = withdraw_mail.org_id AND m.invitation_id = withdraw_mail.invitation_id AND m.sealed_token IS NOT NULL;
    GET DIAGNOSTICS withdrawn = ROW_COUNT;
    RETURN withdrawn;
END
$$;
COMMENT ON FUNCTION orgusers.withdraw_mail(uuid, uuid) IS 'Withdraws the mails with a token of an invitation that are not sent yet, wipes their tokens, and returns how many there were; one that a mailer has in hand may still arrive. Mails that only tell of the invitation stay. Internal';

CREATE FUNCTION orgusers.withdraw_deleted_invitations() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM orgusers.withdraw_mail(org_id, id) FROM gone;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION orgusers.withdraw_deleted_invitations() IS 'Trigger: withdraws the mails of invitations that are deleted, alone or with their organization';
CREATE TRIGGER withdraw_mail AFTER DELETE ON orgusers.invitations
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION orgusers.withdraw_deleted_invitations();
COMMENT ON TRIGGER withdraw_mail ON orgusers.invitations IS 'No mail goes out with the token of an invitation that is gone';

CREATE FUNCTION orgusers.withdraw_all_invitations() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE orgusers.mail_outbox m
        SET status = 'withdrawn', sealed_token = NULL, fence = NULL, changed_at = clock_timestamp()
        WHERE m.sealed_token IS NOT NULL;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION orgusers.withdraw_all_invitations() IS 'Trigger: withdraws every mail with a token when the invitations are truncated';
CREATE TRIGGER withdraw_all_mail AFTER TRUNCATE ON orgusers.invitations
    FOR EACH STATEMENT EXECUTE FUNCTION orgusers.withdraw_all_invitations();
COMMENT ON TRIGGER withdraw_all_mail ON orgusers.invitations IS 'No mail goes out with the token of an invitation that is gone';

CREATE FUNCTION orgusers.claim_mail(max_mails integer DEFAULT 10, lease interval DEFAULT '5 minutes')
    RETURNS TABLE (
        org_id uuid, id uuid, fence uuid, attempts integer, kind text, recipient text, recipient_name text,
        mail_from text, product_name text, accept_url text, subject text, body_text text, body_html text,
        variables jsonb, invitation_id uuid, expires_at_us bigint, sealed_token bytea, mailer_key_id text
    )
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_column
DECLARE
    new_fence constant uuid := gen_random_uuid();
BEGIN
    IF max_mails IS NULL OR max_mails NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'max_mails must be between 1 and 1000' USING ERRCODE = 'OU009';
    END IF;
    IF lease IS NULL OR lease NOT BETWEEN interval '1 second' AND interval '1 day' THEN
        RAISE EXCEPTION 'lease must be between 1 second and 1 day' USING ERRCODE = 'OU009';
    END IF;

    -- A mail that was leased 12 times without an answer may be what kills its mailer: it is given up.
    RETURN QUERY
    WITH due AS (
        SELECT o.org_id, o.id FROM orgusers.mail_outbox o
            WHERE o.status IN ('queued', 'leased') AND o.due_at <= clock_timestamp()
                AND o.installation = (SELECT i.id FROM orgusers.installation i)
            ORDER BY o.due_at LIMIT max_mails FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE orgusers.mail_outbox m
            SET status     = CASE WHEN m.attempts < 12 THEN 'leased' ELSE 'dead' END,
                attempts   = CASE WHEN m.attempts < 12 THEN m.attempts + 1 ELSE m.attempts END,
                fence      = CASE WHEN m.attempts < 12 THEN new_fence END,
                due_at     = CASE WHEN m.attempts < 12 THEN clock_timestamp() + lease ELSE m.due_at END,
                last_error = CASE WHEN m.attempts < 12 THEN m.last_error ELSE coalesce(m.last_error, 'no answer from a mailer') END,
                changed_at = clock_timestamp()
            FROM due WHERE m.org_id = due.org_id AND m.id = due.id
            RETURNING m.*
    )
    SELECT c.org_id, c.id, c.fence, c.attempts, c.kind, c.recipient::text, c.recipient_name,
           p.mail_from::text, p.product_name, p.accept_url, t.subject, t.body_text, t.body_html,
           c.variables, c.invitation_id, (extract(epoch FROM c.expires_at) * 1000000)::bigint, c.sealed_token, c.mailer_key_id
        FROM claimed c
        LEFT JOIN orgusers.policies p ON p.id = c.policy
        LEFT JOIN LATERAL (
            SELECT l.subject, l.body_text, l.body_html FROM orgusers.mail_templates l,
                   lower(replace(c.locale, '_', '-')) AS wanted
                WHERE l.policy = c.policy AND l.kind = c.kind
                ORDER BY lower(l.locale) = wanted DESC, lower(l.locale) = split_part(wanted, '-', 1) DESC, l.locale = 'en' DESC, l.locale
                LIMIT 1
        ) t ON true
        WHERE c.status = 'leased';
END
$$;
COMMENT ON FUNCTION orgusers.claim_mail(integer, interval) IS 'Leases at most max_mails (1 to 1000) due mails to the caller for the time lease (1 second to 1 day), with all that a mailer needs to send them; also mails whose lease has run out. Each has a fence, with which mail_sent, mail_failed or release_mail answers. Two callers never hold one mail. Templates and sender are NULL when the policy or the template is gone; expires_at_us is in microseconds since 1970. OU009 for other numbers. For the mailer';

CREATE FUNCTION orgusers.refuse_acknowledgement(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF EXISTS (SELECT FROM orgusers.mail_outbox m WHERE m.org_id = refuse_acknowledgement.org_id AND m.id = refuse_acknowledgement.id) THEN
        RAISE EXCEPTION 'mail is not leased under that fence' USING ERRCODE = 'OU403';
    END IF;
    RAISE EXCEPTION 'unknown mail' USING ERRCODE = 'OU405';
END
$$;
COMMENT ON FUNCTION orgusers.refuse_acknowledgement(uuid, uuid) IS 'Raises why an answer about a mail is not taken: OU403 the lease is another''s or over, OU405 no such mail. Internal';

CREATE FUNCTION orgusers.mail_sent(org_id uuid, id uuid, fence uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE orgusers.mail_outbox m
        SET status = 'sent', sealed_token = NULL, last_error = NULL, changed_at = clock_timestamp()
        WHERE m.org_id = mail_sent.org_id AND m.id = mail_sent.id AND m.fence = mail_sent.fence AND m.status = 'leased';
    -- A mailer that did not learn that this committed says it again.
    IF NOT FOUND AND NOT EXISTS (
        SELECT FROM orgusers.mail_outbox m
            WHERE m.org_id = mail_sent.org_id AND m.id = mail_sent.id AND m.fence = mail_sent.fence AND m.status = 'sent') THEN
        PERFORM orgusers.refuse_acknowledgement(org_id, id);
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.mail_sent(uuid, uuid, uuid) IS 'Acknowledges a mail as delivered and wipes its token; saying it twice is no error. OU403 when the lease is another''s by now, OU405 when there is no such mail. For the mailer';

CREATE FUNCTION orgusers.mail_failed(org_id uuid, id uuid, fence uuid, error text, permanent boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    -- Half a minute doubling up to an hour, less up to a quarter, so that mails which failed together spread.
    UPDATE orgusers.mail_outbox m
        SET status     = CASE WHEN permanent OR m.attempts >= 12 THEN 'dead' ELSE 'queued' END,
            due_at     = clock_timestamp()
                         + least(3600, 30 * 2 ^ (least(m.attempts, 12) - 1)) * (1 - random() / 4) * interval '1 second',
            fence      = NULL,
            last_error = regexp_replace(left(coalesce(mail_failed.error, 'unknown'), 1000), '[[:cntrl:]]+', ' ', 'g'),
            changed_at = clock_timestamp()
        WHERE m.org_id = mail_failed.org_id AND m.id = mail_failed.id AND m.fence = mail_failed.fence AND m.status = 'leased';
    IF NOT FOUND THEN
        PERFORM orgusers.refuse_acknowledgement(org_id, id);
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.mail_failed(uuid, uuid, uuid, text, boolean) IS 'Gives a mail back that could not be delivered: it is due again after 30 seconds, doubling with each attempt up to an hour, and dead after 12 attempts or at once when the failure is permanent. error is kept without control characters, 1000 characters at most. OU403 when the lease is another''s by now, OU405 when there is no such mail. For the mailer';

CREATE FUNCTION orgusers.release_mail(org_id uuid, id uuid, fence uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE orgusers.mail_outbox m
        SET status = 'queued', attempts = m.attempts - 1, due_at = clock_timestamp(), fence = NULL, changed_at = clock_timestamp()
        WHERE m.org_id = release_mail.org_id AND m.id = release_mail.id AND m.fence = release_mail.fence AND m.status = 'leased';
    IF NOT FOUND THEN
        PERFORM orgusers.refuse_acknowledgement(org_id, id);
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.release_mail(uuid, uuid, uuid) IS 'Gives a mail back that was not tried: it is due at once, and the lease does not count as an attempt. OU403 when the lease is another''s by now, OU405 when there is no such mail. For the mailer';

CREATE FUNCTION orgusers.requeue_mail(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE orgusers.mail_outbox m
        SET status = 'queued', attempts = 0, due_at = clock_timestamp(), changed_at = clock_timestamp(),
            installation = (SELECT i.id FROM orgusers.installation i)
        WHERE m.org_id = requeue_mail.org_id AND m.id = requeue_mail.id AND m.status = 'dead';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such dead mail' USING ERRCODE = 'OU405';
    END IF;
    PERFORM orgusers.wake_mailer();
END
$$;
COMMENT ON FUNCTION orgusers.requeue_mail(uuid, uuid) IS 'Makes a dead mail due again, with all its attempts. OU405 when there is no such dead mail. For the database''s owner';

CREATE FUNCTION orgusers.purge_mail(older_than interval) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    purged bigint;
BEGIN
    IF older_than IS NULL OR older_than < interval '0' THEN
        RAISE EXCEPTION 'older_than must not be negative' USING ERRCODE = 'OU009';
    END IF;
    DELETE FROM orgusers.mail_outbox m
        WHERE m.status IN ('sent', 'dead', 'withdrawn') AND m.changed_at < clock_timestamp() - older_than;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$$;
COMMENT ON FUNCTION orgusers.purge_mail(interval) IS 'Deletes mails that were sent, given up or withdrawn longer ago than older_than, and returns how many. OU009 for a negative time. For the database''s owner';

CREATE FUNCTION orgusers.adopt_mail() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    adopted bigint;
BEGIN
    UPDATE orgusers.mail_outbox m
        SET installation = i.id, status = 'queued', fence = NULL, due_at = clock_timestamp(), changed_at = clock_timestamp()
        FROM orgusers.installation i
        WHERE m.installation <> i.id AND m.status IN ('queued', 'leased');
    GET DIAGNOSTICS adopted = ROW_COUNT;
    PERFORM orgusers.wake_mailer();
    RETURN adopted;
END
$$;
COMMENT ON FUNCTION orgusers.adopt_mail() IS 'Makes the unsent mails of another installation this one''s, to be sent from here, and returns how many. For the database''s owner, after a restore that replaces the database the dump came from: what that one sent after the dump is sent again';

CREATE FUNCTION orgusers.mail_status(
    OUT queued bigint, OUT leased bigint, OUT sent bigint, OUT dead bigint, OUT withdrawn bigint, OUT held bigint, OUT oldest_due interval
)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT count(*) FILTER (WHERE m.status = 'queued' AND NOT m.other),
           count(*) FILTER (WHERE m.status = 'leased' AND NOT m.other),
           count(*) FILTER (WHERE m.status = 'sent'),
           count(*) FILTER (WHERE m.status = 'dead'),
           count(*) FILTER (WHERE m.status = 'withdrawn'),
           count(*) FILTER (WHERE m.status IN ('queued', 'leased') AND m.other),
           clock_timestamp() - min(m.due_at) FILTER (WHERE m.status IN ('queued', 'leased') AND NOT m.other AND m.due_at <= clock_timestamp())
        FROM (SELECT o.status, o.due_at, o.installation <> i.id AS other
                  FROM orgusers.mail_outbox o, orgusers.installation i) m;
END;
COMMENT ON FUNCTION orgusers.mail_status() IS 'Counts the mails by status; held are the unsent ones of another installation, see adopt_mail. oldest_due is how long the mail that waits longest has been due: when it grows, no mailer keeps up. For operators and the mailer';
