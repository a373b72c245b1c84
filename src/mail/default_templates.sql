-- Templates that a policy begins with: those of locales/, which are texts, with their HTML made from them.

-- One column, system fonts, nothing loaded from elsewhere.
CREATE FUNCTION orgusers.mail_html(locale text, body_text text, button text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '<!DOCTYPE html>
<html lang="' || locale || '">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="margin:0;padding:24px;background:#f4f4f5">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#ffffff;border-radius:8px"><tr>
<td style="padding:32px;font-family:-apple-system,''Segoe UI'',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5;color:#18181b">
' || (SELECT string_agg(CASE paragraph
        WHEN '{{link}}' THEN '<p style="margin:24px 0"><a href="{{link}}" style="display:inline-block;padding:12px 24px;background:#1d4ed8;color:#ffffff;text-decoration:none;border-radius:6px">'
            || button || '</a></p>
<p><a href="{{link}}" style="color:#1d4ed8;word-break:break-all">{{link}}</a></p>'
        ELSE '<p>' || replace(replace(replace(replace(paragraph, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), E'\n', E'<br>\n') || '</p>' END, E'\n' ORDER BY n)
    FROM string_to_table(body_text, E'\n\n') WITH ORDINALITY AS t (paragraph, n)) || '
</td></tr></table>
</td></tr></table>
</body>
</html>
';
COMMENT ON FUNCTION orgusers.mail_html(text, text, text) IS 'The HTML of a template, made from its text: a paragraph for each, and a button with this label above the link. Internal';

CREATE FUNCTION orgusers.install_mail_templates(policy text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT EXISTS (SELECT FROM orgusers.policies p WHERE p.id = install_mail_templates.policy) THEN
        RAISE EXCEPTION 'no such policy' USING ERRCODE = 'OU105';
    END IF;
    INSERT INTO orgusers.mail_templates (policy, kind, locale, subject, body_text, body_html)
        SELECT install_mail_templates.policy, t.kind, t.locale, t.subject, t.body_text || E'\n', orgusers.mail_html(t.locale, t.body_text, t.button)
        FROM (SELECT 'en' AS locale, en.* FROM orgusers.mails_en() en
              UNION ALL
              SELECT 'de', de.* FROM orgusers.mails_de() de) t
    ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION orgusers.install_mail_templates(text) IS 'Gives a policy the English and German templates that it lacks; those it has stay as they are. Called by the rule-books'' installers. For the database''s owner. OU105 no such policy';
