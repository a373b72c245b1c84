-- Joining without an invitation: links that many people use, and domains whose addresses may join.
-- Both give roles whose templates are joinable, and nothing else.

-- The mailer never sees it, but it is filled in like accept_url.
ALTER TABLE orgusers.policies ADD CONSTRAINT policies_join_url_is_template CHECK (orgusers.template_is_valid(join_url, '{token}'));

CREATE TABLE orgusers.join_links (
    org_id     uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    id         uuid NOT NULL DEFAULT orgusers.new_id(),
    digest     bytea NOT NULL CHECK (octet_length(digest) = 32),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (isfinite(expires_at)),
    most_uses  integer NOT NULL CHECK (most_uses > 0),
    uses       integer NOT NULL DEFAULT 0 CHECK (uses BETWEEN 0 AND most_uses),
    revoked_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, digest)
);
COMMENT ON TABLE orgusers.join_links IS 'Links with which people join an organization by themselves, each with a token of which only the keyed digest is kept';
COMMENT ON COLUMN orgusers.join_links.created_by IS 'User by whose authority the link gives its roles, at each use anew. No foreign key: the user may be gone';
COMMENT ON COLUMN orgusers.join_links.uses IS 'How many people have become users by it; it never counts down';
SELECT pg_extension_config_dump('orgusers.join_links', '');

CREATE TABLE orgusers.join_link_roles (
    org_id  uuid NOT NULL,
    link_id uuid NOT NULL,
    role_id uuid NOT NULL,
    PRIMARY KEY (org_id, link_id, role_id),
    FOREIGN KEY (org_id, link_id) REFERENCES orgusers.join_links ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_id) REFERENCES orgusers.roles ON DELETE CASCADE
);
CREATE INDEX join_link_roles_org_id_role_id_idx ON orgusers.join_link_roles (org_id, role_id);
COMMENT ON TABLE orgusers.join_link_roles IS 'Roles that a join link gives';
SELECT pg_extension_config_dump('orgusers.join_link_roles', '');

-- Several organizations can verify one domain, such as two departments of a company: the person chooses among their offers.
CREATE TABLE orgusers.join_domains (
    org_id      uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    domain      text NOT NULL CHECK (domain IS NOT DISTINCT FROM orgusers.normal_domain(domain)),
    challenge   text NOT NULL,
    claimed_by  uuid NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    PRIMARY KEY (org_id, domain)
);
CREATE INDEX join_domains_domain_idx ON orgusers.join_domains (domain) WHERE verified_at IS NOT NULL;
COMMENT ON TABLE orgusers.join_domains IS 'Domains whose addresses may join an organization, once it has been verified that the domain is the organization''s';
COMMENT ON COLUMN orgusers.join_domains.domain IS 'In lower case; an address is in it when it is all that follows the @';
COMMENT ON COLUMN orgusers.join_domains.challenge IS 'Text that has to stand in a TXT record of the domain to verify it';
COMMENT ON COLUMN orgusers.join_domains.claimed_by IS 'User who claimed it last. No foreign key, and asked for nothing later: the domain is the organization''s';
COMMENT ON COLUMN orgusers.join_domains.verified_at IS 'When the trusted server has last seen the challenge there; NULL if never: then nobody joins';
SELECT pg_extension_config_dump('orgusers.join_domains', '');

CREATE TABLE orgusers.join_domain_roles (
    org_id  uuid NOT NULL,
    domain  text NOT NULL,
    role_id uuid NOT NULL,
    PRIMARY KEY (org_id, domain, role_id),
    FOREIGN KEY (org_id, domain) REFERENCES orgusers.join_domains ON DELETE CASCADE,
    FOREIGN KEY (org_id, role_id) REFERENCES orgusers.roles ON DELETE CASCADE
);
CREATE INDEX join_domain_roles_org_id_role_id_idx ON orgusers.join_domain_roles (org_id, role_id);
COMMENT ON TABLE orgusers.join_domain_roles IS 'Roles that joining by a domain gives';
SELECT pg_extension_config_dump('orgusers.join_domain_roles', '');

-- What is asked of the roles of both, when they are chosen and at each use.

CREATE FUNCTION orgusers.require_joinable(org_id uuid, role_ids uuid[]) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused text;
BEGIN
    SELECT r.name INTO refused FROM orgusers.roles r JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
        WHERE r.org_id = require_joinable.org_id AND r.id = ANY (role_ids) AND NOT t.joinable ORDER BY r.name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU213', MESSAGE = format('the role %s is given by invitation only', quote_ident(refused)),
            HINT = 'Joining gives roles whose template in orgusers.role_templates is joinable.';
    END IF;
    IF role_ids = '{}' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU213', MESSAGE = 'joining needs a role that it gives',
            HINT = 'Name roles whose template in orgusers.role_templates is joinable.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_joinable(uuid, uuid[]) IS 'Returns when there are roles and the policy lets people join with all of them, else OU213. Internal';

CREATE FUNCTION orgusers.joining_roles(org_id uuid, names text[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen uuid[];
BEGIN
    IF cardinality(names) > 0 THEN
        chosen := orgusers.role_ids(joining_roles.org_id, names);
    ELSE
        chosen := ARRAY(SELECT r.id FROM orgusers.roles r JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
                        WHERE r.org_id = joining_roles.org_id AND t.by_default AND NOT r.further);
    END IF;
    PERFORM orgusers.require_joinable(joining_roles.org_id, chosen);
    PERFORM orgusers.takes_seat(joining_roles.org_id, chosen);
    PERFORM orgusers.require_grantable(joining_roles.org_id, chosen);
    RETURN chosen;
END $$;
COMMENT ON FUNCTION orgusers.joining_roles(uuid, text[]) IS 'Ids of the roles with these names (none named: the policy''s default ones), for people to join with. OU103 no such role, OU108 role not the actor''s to give, OU113 roles of both kinds, OU213 role not joinable. Internal';

-- The administrator's side of join links.

CREATE FUNCTION orgusers.create_join_link(org_id uuid, roles text[] DEFAULT NULL, most_uses integer DEFAULT 100, lifetime interval DEFAULT '7 days',
                                          OUT id uuid, OUT link text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen uuid[];
    token  orgusers.invitation_token;
BEGIN
    PERFORM orgusers.authorize_change(create_join_link.org_id, 'joining.manage');
    -- Months compare as 30 days each, so many years less some more days can pass for a short time; by their seconds, too,
    -- they are not both short.
    IF (most_uses > 0) IS NOT TRUE
       OR (lifetime BETWEEN '1 minute' AND '1 year' AND extract(epoch FROM lifetime) BETWEEN 60 AND 366 * 86400) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'a join link is for one use at least, and for one minute to one year',
            HINT = 'A link can be revoked earlier, with revoke_join_link().';
    END IF;
    chosen := orgusers.joining_roles(create_join_link.org_id, create_join_link.roles);
    token := orgusers.new_invitation_token(create_join_link.org_id);
    id := orgusers.new_id();
    INSERT INTO orgusers.join_links (org_id, id, digest, created_by, expires_at, most_uses)
        VALUES (create_join_link.org_id, create_join_link.id, orgusers.token_digest(token), orgusers.current_user_id(),
                clock_timestamp() + create_join_link.lifetime, create_join_link.most_uses);
    INSERT INTO orgusers.join_link_roles (org_id, link_id, role_id)
        SELECT create_join_link.org_id, create_join_link.id, unnest(chosen);
    SELECT replace(coalesce(p.join_url, p.accept_url), '{{token}}', orgusers.token_text(token)) INTO link
        FROM orgusers.policy_of(create_join_link.org_id) p;
END $$;
COMMENT ON FUNCTION orgusers.create_join_link(uuid, text[], integer, interval) IS 'Makes a link with which at most most_uses people (from 1) join the organization by themselves within the time lifetime (one minute to one year), with these roles, by name (NULL or none: the policy''s default ones). Returns its id and the link, which is the policy''s join_url, or else accept_url, with the token; it is shown this once. Needs joining.manage, and each role must be joinable and one that the actor''s roles may give; that is asked of the actor at each use again. OU009 bad number or time, OU103 no such role, OU108 role not the actor''s to give, OU113 roles of both kinds, OU213 role not joinable, and what require() raises';

CREATE FUNCTION orgusers.join_link_over(link orgusers.join_links) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN link.revoked_at IS NOT NULL OR link.uses >= link.most_uses OR link.expires_at <= clock_timestamp();
END $$;
COMMENT ON FUNCTION orgusers.join_link_over(orgusers.join_links) IS 'Whether a join link is revoked, used up or past its time by the clock. Internal';

CREATE FUNCTION orgusers.list_join_links(org_id uuid)
    RETURNS TABLE (id uuid, roles text[], created_by uuid, created_at timestamptz, expires_at timestamptz, most_uses integer, uses integer, status text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(list_join_links.org_id, 'joining.manage');
    RETURN QUERY
        SELECT l.id, orgusers.role_names(l.org_id, ARRAY(SELECT lr.role_id FROM orgusers.join_link_roles lr WHERE lr.org_id = l.org_id AND lr.link_id = l.id)),
               l.created_by, l.created_at, l.expires_at, l.most_uses, l.uses,
               CASE WHEN l.revoked_at IS NOT NULL THEN 'revoked' WHEN l.uses >= l.most_uses THEN 'used up'
                    WHEN orgusers.join_link_over(l) THEN 'expired' ELSE 'open' END
        FROM orgusers.join_links l WHERE l.org_id = list_join_links.org_id ORDER BY l.id DESC;
END $$;
COMMENT ON FUNCTION orgusers.list_join_links(uuid) IS 'Join links of the organization, newest first, without their tokens; status is open, revoked, used up or expired. Needs joining.manage. Raises what require() raises';

CREATE FUNCTION orgusers.revoke_join_link(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(revoke_join_link.org_id, 'joining.manage');
    UPDATE orgusers.join_links l SET revoked_at = coalesce(l.revoked_at, clock_timestamp())
        WHERE l.org_id = revoke_join_link.org_id AND l.id = revoke_join_link.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU215', MESSAGE = 'no such join link in this organization',
            HINT = 'list_join_links() lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.revoke_join_link(uuid, uuid) IS 'Ends a join link: from the commit on nobody joins by it; who has joined stays. Does nothing for one that is revoked. Needs joining.manage. OU215 no such join link, and what require() raises';

-- The joining person's side.

CREATE FUNCTION orgusers.join_link_by_token(token orgusers.invitation_token) RETURNS orgusers.join_links
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened orgusers.join_links;
BEGIN
    SELECT * INTO opened FROM orgusers.join_links l
        WHERE l.org_id = orgusers.token_organization(token) AND l.digest = orgusers.token_digest(token);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU203', MESSAGE = 'this token opens no join link',
            HINT = 'Ask for a new link.';
    END IF;
    RETURN opened;
END $$;
COMMENT ON FUNCTION orgusers.join_link_by_token(orgusers.invitation_token) IS 'The join link that a token opens; OU203, which says nothing more, when it opens none. Internal';

CREATE FUNCTION orgusers.require_open_link(link orgusers.join_links) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.join_link_over(link) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU214', MESSAGE = 'this join link is over',
            HINT = 'Ask for a new link.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_open_link(orgusers.join_links) IS 'Raises OU214 for a join link that is revoked, used up or expired. Internal';

CREATE FUNCTION orgusers.join_preview(token orgusers.invitation_token)
    RETURNS TABLE (org_id uuid, organization text, roles text[], expires_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened orgusers.join_links := orgusers.join_link_by_token(token);
BEGIN
    PERFORM orgusers.require_open_link(opened);
    RETURN QUERY
        SELECT o.id, o.name, orgusers.role_names(o.id, ARRAY(SELECT lr.role_id FROM orgusers.join_link_roles lr
                                                             WHERE lr.org_id = opened.org_id AND lr.link_id = opened.id)),
               opened.expires_at
        FROM orgusers.organizations o WHERE o.id = opened.org_id;
END $$;
COMMENT ON FUNCTION orgusers.join_preview(orgusers.invitation_token) IS 'What a join link leads to: organization, roles and expiry. Changes nothing. Whoever has the token may call it, also anonymously. OU203 the token opens no join link, OU214 revoked, used up or expired';

CREATE FUNCTION orgusers.require_verified() RETURNS orgusers.email
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor orgusers.users;
BEGIN
    -- Locked: the address stays what it is, and as proven, until the end of the transaction.
    SELECT * INTO actor FROM orgusers.users u WHERE u.id = orgusers.require_user() FOR NO KEY UPDATE;
    IF actor.email_verified_at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU207', MESSAGE = 'your address is not verified',
            HINT = 'Have the address verified first.';
    END IF;
    RETURN actor.email;
END $$;
COMMENT ON FUNCTION orgusers.require_verified() IS 'The actor''s address, which is verified, and locks the directory entry; OU001, OU007, OU207. Internal';

CREATE FUNCTION orgusers.join_organization(token orgusers.invitation_token) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor uuid := orgusers.require_user();
    link  orgusers.join_links;
    given uuid[];
BEGIN
    -- Asked before the lock, so that nobody takes one with a link that is over, and again behind it.
    FOR round IN 1 .. 2 LOOP
        link := orgusers.join_link_by_token(token);
        IF orgusers.is_member(link.org_id) THEN
            RETURN link.org_id;
        END IF;
        PERFORM orgusers.require_open_link(link);
        EXIT WHEN round = 2;
        PERFORM orgusers.require_verified();
        PERFORM orgusers.lock_organization(link.org_id);
    END LOOP;
    given := ARRAY(SELECT lr.role_id FROM orgusers.join_link_roles lr WHERE lr.org_id = link.org_id AND lr.link_id = link.id);
    PERFORM orgusers.require_joinable(link.org_id, given);
    IF NOT orgusers.has_right(link.created_by, link.org_id, 'joining.manage')
       OR EXISTS (SELECT FROM unnest(given) g (role_id) WHERE NOT orgusers.may_grant(link.created_by, link.org_id, g.role_id)) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU210', MESSAGE = 'who made this link may not let people join with these roles any more',
            HINT = 'Ask another user of the organization for a new link.';
    END IF;
    PERFORM orgusers.refuse_self(link.org_id, link.created_by, (orgusers.policy_of(link.org_id)).own_role_change, 'join by a link from');
    PERFORM orgusers.enroll(link.org_id, actor, given, link.created_by);
    UPDATE orgusers.join_links l SET uses = l.uses + 1 WHERE l.org_id = link.org_id AND l.id = link.id;
    PERFORM orgusers.check_now();
    RETURN link.org_id;
END $$;
COMMENT ON FUNCTION orgusers.join_organization(orgusers.invitation_token) IS 'Makes the actor a user of the organization that a join link leads to, with the link''s roles; returns its id, also when the actor is a user of it already: then nothing changes and no use is counted. Pass the token as a bound parameter of its type: then the server''s log shows no usable token. Any signed-in user with a verified address. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU109 made by the actor, where the policy forbids users to change their own roles, OU110 deactivated there, OU203 the token opens no join link, OU207 address not verified, OU210 the authority of who made the link has ended, OU213 role no longer joinable or gone, OU214 revoked, used up or expired, OU301 no seat left, OU304 too many holders of a role, OU307 a user elsewhere in the tree of account and sub-accounts, OU404 no mail template for the welcome';

-- Join domains.

CREATE FUNCTION orgusers.checked_domain(domain text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.normal_domain(checked_domain.domain) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU106', MESSAGE = 'this is not a domain',
            HINT = 'It is what follows the @ of an address, such as example.org.';
    END IF;
    RETURN orgusers.normal_domain(checked_domain.domain);
END $$;
COMMENT ON FUNCTION orgusers.checked_domain(text) IS 'The domain in lower case, or OU106. Internal';

CREATE FUNCTION orgusers.claim_join_domain(org_id uuid, domain text, roles text[] DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    claimed text;
    chosen  uuid[];
    answer  text;
BEGIN
    PERFORM orgusers.authorize_change(claim_join_domain.org_id, 'joining.manage');
    claimed := orgusers.checked_domain(claim_join_domain.domain);
    chosen := orgusers.joining_roles(claim_join_domain.org_id, claim_join_domain.roles);
    INSERT INTO orgusers.join_domains AS d (org_id, domain, challenge, claimed_by)
        VALUES (claim_join_domain.org_id, claimed, 'orgusers-verification=' || replace(gen_random_uuid()::text, '-', ''), orgusers.current_user_id())
        ON CONFLICT ON CONSTRAINT join_domains_pkey DO UPDATE SET claimed_by = excluded.claimed_by, claimed_at = excluded.claimed_at
        RETURNING d.challenge INTO answer;
    DELETE FROM orgusers.join_domain_roles dr WHERE dr.org_id = claim_join_domain.org_id AND dr.domain = claimed;
    INSERT INTO orgusers.join_domain_roles (org_id, domain, role_id)
        SELECT claim_join_domain.org_id, claimed, unnest(chosen);
    RETURN answer;
END $$;
COMMENT ON FUNCTION orgusers.claim_join_domain(uuid, text, text[]) IS 'Says that users with a verified address in exactly this domain (not below it) may join the organization with these roles, by name (NULL or none: the policy''s default ones), once the domain is verified. Returns the text that has to stand in a TXT record of the domain for that; see verify_join_domain(). Claimed again, the domain gets the new roles and keeps its text and its verification. Needs joining.manage, and each role must be joinable and one that the actor''s roles may give. OU103 no such role, OU106 not a domain, OU108 role not the actor''s to give, OU113 roles of both kinds, OU213 role not joinable, and what require() raises';

CREATE FUNCTION orgusers.verify_join_domain(org_id uuid, domain text, challenge text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE orgusers.join_domains d SET verified_at = clock_timestamp()
        WHERE d.org_id = verify_join_domain.org_id AND d.domain = orgusers.normal_domain(verify_join_domain.domain)
          AND d.challenge = verify_join_domain.challenge;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU215', MESSAGE = 'the organization has not claimed this domain with this text',
            HINT = 'Look for the text that claim_join_domain() has returned among the domain''s TXT records.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.verify_join_domain(uuid, text, text) IS 'Records that the text (challenge) stands in a TXT record of the domain, which the server has just looked up itself: from then on people join by it. Again, it renews the time of verification. For trusted servers. OU215 the organization has not claimed the domain, or with another text';

CREATE FUNCTION orgusers.drop_join_domain(org_id uuid, domain text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(drop_join_domain.org_id, 'joining.manage');
    DELETE FROM orgusers.join_domains d
        WHERE d.org_id = drop_join_domain.org_id AND d.domain = orgusers.normal_domain(drop_join_domain.domain);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU215', MESSAGE = 'the organization has not claimed this domain',
            HINT = 'list_join_domains() lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.drop_join_domain(uuid, text) IS 'Gives a domain up: from the commit on nobody joins by it; who has joined stays. Claimed later, it needs verification with a new text. Needs joining.manage. OU215 not claimed, and what require() raises';

CREATE FUNCTION orgusers.list_join_domains(org_id uuid)
    RETURNS TABLE (domain text, roles text[], challenge text, claimed_by uuid, claimed_at timestamptz, verified_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(list_join_domains.org_id, 'joining.manage');
    RETURN QUERY
        SELECT d.domain, orgusers.role_names(d.org_id, ARRAY(SELECT dr.role_id FROM orgusers.join_domain_roles dr WHERE dr.org_id = d.org_id AND dr.domain = d.domain)),
               d.challenge, d.claimed_by, d.claimed_at, d.verified_at
        FROM orgusers.join_domains d WHERE d.org_id = list_join_domains.org_id ORDER BY d.domain;
END $$;
COMMENT ON FUNCTION orgusers.list_join_domains(uuid) IS 'Domains that the organization has claimed, with their roles and the text for the TXT record; verified_at is NULL until verify_join_domain(). Needs joining.manage. Raises what require() raises';

CREATE FUNCTION orgusers.my_join_offers() RETURNS TABLE (org_id uuid, organization text, domain text, roles text[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT o.id, o.name, d.domain, offered.names
    FROM orgusers.users me
    JOIN orgusers.join_domains d ON d.domain = orgusers.email_domain(me.email) AND d.verified_at IS NOT NULL
    JOIN orgusers.organizations o ON o.id = d.org_id
    CROSS JOIN LATERAL (SELECT array_agg(r.name ORDER BY r.name) AS names
                        FROM orgusers.join_domain_roles dr
                        JOIN orgusers.roles r ON r.org_id = dr.org_id AND r.id = dr.role_id
                        JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
                        WHERE dr.org_id = d.org_id AND dr.domain = d.domain
                        HAVING bool_and(t.joinable)) AS offered
    WHERE me.id = orgusers.current_user_id() AND me.email_verified_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = d.org_id AND m.user_id = me.id)
    ORDER BY o.name, o.id;
END;
COMMENT ON FUNCTION orgusers.my_join_offers() IS 'Organizations that the actor may join with join_by_domain(), because the domain of the actor''s verified address is theirs, and with what roles; without those of which the actor is a user, deactivated or not. None for an anonymous session or an address that is not verified';

CREATE FUNCTION orgusers.join_by_domain(org_id uuid) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor   uuid := orgusers.require_user();
    address orgusers.email := orgusers.require_verified();
    offer   orgusers.join_domains;
    given   uuid[];
BEGIN
    -- As with a join link: an outsider must not get as far as the lock.
    FOR round IN 1 .. 2 LOOP
        SELECT * INTO offer FROM orgusers.join_domains d
            WHERE d.org_id = join_by_domain.org_id AND d.domain = orgusers.email_domain(address) AND d.verified_at IS NOT NULL;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'OU215', MESSAGE = 'no such organization among those that you may join',
                HINT = 'my_join_offers() lists them.';
        END IF;
        IF orgusers.is_member(offer.org_id) THEN
            RETURN offer.org_id;
        END IF;
        EXIT WHEN round = 2;
        PERFORM orgusers.lock_organization(offer.org_id);
    END LOOP;
    given := ARRAY(SELECT dr.role_id FROM orgusers.join_domain_roles dr WHERE dr.org_id = offer.org_id AND dr.domain = offer.domain);
    PERFORM orgusers.require_joinable(offer.org_id, given);
    PERFORM orgusers.enroll(offer.org_id, actor, given);
    PERFORM orgusers.check_now();
    RETURN offer.org_id;
END $$;
COMMENT ON FUNCTION orgusers.join_by_domain(uuid) IS 'Makes the actor a user of an organization from my_join_offers(), with the roles that it gives to addresses of the domain; returns its id, also when the actor is a user of it already: then nothing changes. A later change of the address ends nothing. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU110 deactivated there, OU207 address not verified, OU213 role no longer joinable or gone, OU215 no such offer for the actor''s address, OU301 no seat left, OU304 too many holders of a role, OU307 a user elsewhere in the tree of account and sub-accounts, OU404 no mail template for the welcome';
