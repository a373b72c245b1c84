-- The mail that greets who has become a user under a policy for the first time.

CREATE TABLE orgusers.welcomed (
    user_id uuid NOT NULL REFERENCES orgusers.users ON DELETE CASCADE,
    policy  text NOT NULL REFERENCES orgusers.policies ON UPDATE CASCADE ON DELETE CASCADE,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, policy)
);
COMMENT ON TABLE orgusers.welcomed IS 'Who has got a policy''s welcome mail, or needed none, being a user under it before; kept also when the user leaves';
SELECT pg_extension_config_dump('orgusers.welcomed', '');

CREATE FUNCTION orgusers.welcome(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    greeting text;
BEGIN
    SELECT p.id INTO greeting FROM orgusers.organizations o JOIN orgusers.policies p ON p.id = o.policy
        WHERE o.id = welcome.org_id AND p.welcome_mail;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Who accepts two invitations at once is welcomed by one of them.
    INSERT INTO orgusers.welcomed (user_id, policy) VALUES (welcome.user_id, greeting) ON CONFLICT DO NOTHING;
    IF NOT FOUND
       OR EXISTS (SELECT FROM orgusers.memberships m JOIN orgusers.organizations o ON o.id = m.org_id
                  WHERE m.user_id = welcome.user_id AND m.org_id <> welcome.org_id AND o.policy = greeting) THEN
        RETURN;
    END IF;
    PERFORM orgusers.enqueue_mail(welcome.org_id, 'welcome', u.email, u.display_name, u.locale, '{}')
        FROM orgusers.users u WHERE u.id = welcome.user_id;
END $$;
COMMENT ON FUNCTION orgusers.welcome(uuid, uuid) IS 'Called by enroll(), when a user has become one of the organization: sends the mail of the kind welcome, if the policy has welcome_mail and the person was never a user under it before. OU404 no mail template. Internal';
