# Several sessions invite, answer, remove and change plans, the mailer delivers, and something dies; afterwards it is
# asked by plain SQL, and of the SMTP server, whether anything is half done or lost.
package CrashRoom;

use strict;
use warnings;
use IPC::Run ();
use Time::HiRes qw(sleep time);
use MailRoom;
use PostgreSQL::Test::Utils;
use Test::More;

our @ISA = ('MailRoom');

# load.done has a row for each transaction of the load, written in it.  What the extension did in the transaction is told
# apart by its id, which the audit trail has, and by its time, which the outbox has.
my $SETUP = <<'SQL';
CREATE SCHEMA load;
CREATE TABLE load.done (
	round int, client int, n int, what text NOT NULL, org uuid NOT NULL, subject uuid NOT NULL, epoch bigint NOT NULL,
	at timestamptz NOT NULL DEFAULT now(), transaction xid8 NOT NULL DEFAULT pg_current_xact_id(), PRIMARY KEY (round, client, n));
CREATE INDEX ON load.done (transaction);
CREATE INDEX ON load.done (at);
CREATE INDEX ON orgusers.mail_outbox (created_at);
CREATE TABLE load.orgs (org uuid PRIMARY KEY);
CREATE TABLE load.people (id uuid PRIMARY KEY, email orgusers.email UNIQUE);

CREATE FUNCTION load.step(round int, client int, n int) RETURNS text LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	what    text := (ARRAY['invite', 'invite', 'invite', 'stranger', 'accept', 'accept', 'accept', 'accept', 'decline', 'cancel', 'resend',
		'remove', 'remove', 'deactivate', 'reactivate', 'reactivate', 'role', 'plan'])[1 + floor(random() * 18)];
	org     uuid := (SELECT o.org FROM load.orgs o ORDER BY random() LIMIT 1);
	admin   uuid := (SELECT r.user_id FROM orgusers.rights r WHERE r.org_id = org AND r.permission = 'roles.assign' ORDER BY random() LIMIT 1);
	-- Whom or what it is about, in which way, and who does it.
	subject uuid;
	choice  text;
	actor   uuid := admin;
BEGIN
	-- Or another session could do the same meanwhile, and leave this one nothing to do.
	PERFORM FROM orgusers.organizations o WHERE o.id = org FOR NO KEY UPDATE;
	CASE
	WHEN what = 'invite' THEN
		SELECT p.email INTO choice FROM load.people p ORDER BY random() LIMIT 1;
	WHEN what = 'stranger' THEN
		choice := md5(random()::text) || '@example.net';
	WHEN what IN ('accept', 'decline') THEN
		SELECT i.id, p.id INTO STRICT subject, actor FROM orgusers.invitations i JOIN load.people p ON p.email = i.email
			WHERE i.org_id = org AND i.status = 'pending' ORDER BY random() LIMIT 1;
	WHEN what IN ('cancel', 'resend') THEN
		SELECT i.id INTO STRICT subject FROM orgusers.invitations i WHERE i.org_id = org AND i.status = 'pending' ORDER BY random() LIMIT 1;
	WHEN what = 'plan' THEN
		SELECT org, CASE s.plan WHEN 'free' THEN 'paid' ELSE 'free' END INTO STRICT subject, choice FROM orgusers.subscriptions s WHERE s.org_id = org;
	ELSE
		SELECT m.user_id, CASE WHEN EXISTS (SELECT FROM orgusers.membership_roles mr JOIN orgusers.roles r ON r.org_id = mr.org_id AND r.id = mr.role_id
				WHERE mr.org_id = org AND mr.user_id = m.user_id AND r.name = 'ADMIN') THEN 'USER' ELSE 'ADMIN' END
			INTO STRICT subject, choice FROM orgusers.memberships m
			WHERE m.org_id = org AND m.user_id <> admin AND (m.status = 'active') = (what <> 'reactivate') ORDER BY random() LIMIT 1;
	END CASE;

	PERFORM orgusers.act_as(actor);
	CASE what
	WHEN 'invite', 'stranger' THEN subject := orgusers.invite_user(org, choice::orgusers.email);
	WHEN 'accept' THEN PERFORM orgusers.accept_my_invitation(org, subject);
	WHEN 'decline' THEN PERFORM orgusers.decline_my_invitation(org, subject);
	WHEN 'cancel' THEN PERFORM orgusers.cancel_invitation(org, subject);
	WHEN 'resend' THEN PERFORM orgusers.resend_invitation(org, subject);
	WHEN 'remove' THEN PERFORM orgusers.remove_user(org, subject);
	WHEN 'deactivate' THEN PERFORM orgusers.deactivate_user(org, subject);
	WHEN 'reactivate' THEN PERFORM orgusers.reactivate_user(org, subject);
	WHEN 'role' THEN PERFORM orgusers.set_user_roles(org, subject, ARRAY[choice]);
	WHEN 'plan' THEN PERFORM orgusers.set_plan(org, choice, CASE choice WHEN 'paid' THEN admin END);
	END CASE;
	-- Who declines tells the inviter, if there is one still.
	IF what = 'decline' AND NOT EXISTS (SELECT FROM orgusers.invitations i JOIN orgusers.memberships m ON m.org_id = i.org_id AND m.user_id = i.invited_by
			WHERE i.org_id = org AND i.id = subject AND m.status = 'active') THEN
		what := 'decline_unheard';
	END IF;
	INSERT INTO load.done (round, client, n, what, org, subject, epoch)
		SELECT round, client, n, replace(what, 'stranger', 'invite'), org, subject, o.epoch FROM orgusers.organizations o WHERE o.id = org;
	RETURN (SELECT concat_ws(' ', d.round, d.client, d.n, d.what, d.org, d.subject, d.epoch) FROM load.done d
		WHERE d.round = round AND d.client = client AND d.n = n);
END $$;

-- A row for each thing of the load that is not whole.
CREATE VIEW load.half_done AS
	-- What a transaction of the load must have left in the trail, whatever has happened since.
	SELECT d.what || ' without its audit rows' AS fault, d.subject
	FROM load.done d CROSS JOIN LATERAL (VALUES
		('invite',     'invitations', 'insert'), ('invite', 'invitation_roles', 'insert'),
		('accept',     'invitations', 'update'), ('accept', 'memberships', 'insert'), ('accept', 'membership_roles', 'insert'),
		('decline',    'invitations', 'update'), ('decline_unheard', 'invitations', 'update'), ('cancel', 'invitations', 'update'), ('resend', 'invitations', 'update'),
		('remove',     'memberships', 'delete'), ('remove', 'membership_roles', 'delete'),
		('deactivate', 'memberships', 'update'), ('reactivate', 'memberships', 'update'),
		('role',       'membership_roles', 'insert'), ('role', 'membership_roles', 'delete'),
		('plan',       'subscriptions', 'update')) AS w (what, relation, action)
	LEFT JOIN orgusers.audit_log a ON a.transaction = d.transaction AND a.org_id = d.org AND a.relation = w.relation AND a.action = w.action
	WHERE w.what = d.what AND a.id IS NULL
	UNION ALL
	SELECT d.what || ' without its mail', d.subject
	FROM load.done d JOIN (VALUES
		('invite', 'invitation'), ('resend', 'invitation'), ('decline', 'invitation_declined'), ('cancel', 'invitation_canceled'),
		('remove', 'user_removed'), ('deactivate', 'user_deactivated'), ('reactivate', 'user_reactivated')) AS w (what, kind) ON w.what = d.what
	LEFT JOIN orgusers.mail_outbox m ON m.created_at = d.at AND m.org_id = d.org AND m.kind = w.kind
		AND (w.kind <> 'invitation' OR m.invitation_id = d.subject)
	WHERE m.id IS NULL
	UNION ALL
	-- And the other way round: nothing of a transaction that is not there.
	SELECT 'an audit row of no transaction', a.id FROM orgusers.audit_log a
	WHERE NOT EXISTS (SELECT FROM load.done d WHERE d.transaction = a.transaction)
	UNION ALL
	SELECT 'a mail of no transaction', m.id FROM orgusers.mail_outbox m WHERE NOT EXISTS (SELECT FROM load.done d WHERE d.at = m.created_at AND d.org = m.org_id)
	UNION ALL
	-- The trail, replayed, is what the tables have.
	SELECT relation || ' other than the trail has it', org_id
	FROM (SELECT a.relation, a.org_id, coalesce(a.after, a.before) - '{org_id,invited_by,holds_seat,seat_since,joined_at,status,deactivated_at}'::text[] AS key,
			CASE a.action WHEN 'insert' THEN 1 ELSE -1 END AS n
		FROM orgusers.audit_log a WHERE a.relation IN ('memberships', 'membership_roles') AND a.action <> 'update'
		UNION ALL
		SELECT 'memberships', m.org_id, jsonb_build_object('user_id', m.user_id), -1 FROM orgusers.memberships m
		UNION ALL
		SELECT 'membership_roles', m.org_id, jsonb_build_object('user_id', m.user_id, 'role_id', m.role_id), -1 FROM orgusers.membership_roles m) AS t
	GROUP BY relation, org_id, key HAVING sum(n) <> 0
	UNION ALL
	SELECT 'an invitation with another status than the trail has', coalesce(i.id, t.id)
	FROM orgusers.invitations i FULL JOIN (
		SELECT DISTINCT ON (a.org_id, a.after ->> 'id') a.org_id, (a.after ->> 'id')::uuid AS id, a.after ->> 'status' AS status
		FROM orgusers.audit_log a WHERE a.relation = 'invitations' AND a.after ? 'status' ORDER BY a.org_id, a.after ->> 'id', a.at DESC) AS t
		ON t.org_id = i.org_id AND t.id = i.id
	WHERE i.status IS DISTINCT FROM t.status
	UNION ALL
	SELECT 'a membership without an accepted invitation', m.user_id FROM orgusers.memberships m
	WHERE m.invited_by IS NOT NULL AND NOT EXISTS (
		SELECT FROM orgusers.invitations i WHERE i.org_id = m.org_id AND i.answered_by = m.user_id AND i.status = 'accepted')
	UNION ALL
	SELECT 'a membership whose invitation is pending', m.user_id FROM orgusers.memberships m JOIN orgusers.users u ON u.id = m.user_id
	JOIN orgusers.invitations i ON i.org_id = m.org_id AND i.email = u.email AND i.status = 'pending'
	UNION ALL
	SELECT 'a membership without a role', m.user_id FROM orgusers.memberships m
	WHERE NOT EXISTS (SELECT FROM orgusers.membership_roles mr WHERE mr.org_id = m.org_id AND mr.user_id = m.user_id)
	UNION ALL
	SELECT 'an invitation that is not pending has a mail to go out', o.invitation_id FROM orgusers.mail_outbox o
	WHERE o.sealed_token IS NOT NULL AND NOT EXISTS (
		SELECT FROM orgusers.invitations i WHERE i.org_id = o.org_id AND i.id = o.invitation_id AND i.status = 'pending')
	UNION ALL
	SELECT 'a pending invitation without one mailed token and one mail', i.id FROM orgusers.invitations i WHERE i.status = 'pending'
	  -- What was sent before it was sent anew stays.
	  AND ((SELECT count(*) FROM orgusers.mail_outbox o WHERE o.org_id = i.org_id AND o.invitation_id = i.id AND o.sealed_token IS NOT NULL) > 1
		OR NOT EXISTS (SELECT FROM orgusers.mail_outbox o WHERE o.org_id = i.org_id AND o.invitation_id = i.id AND o.kind = 'invitation' AND o.status <> 'withdrawn')
		OR (SELECT count(*) FROM orgusers.invitation_tokens t WHERE t.org_id = i.org_id AND t.invitation_id = i.id AND t.kind = 'mail') <> 1)
	UNION ALL
	SELECT 'two pending invitations of an address', i.org_id FROM orgusers.invitations i WHERE i.status = 'pending' GROUP BY i.org_id, lower(i.email::text) HAVING count(*) > 1
	UNION ALL
	SELECT 'more users than seats', s.org_id FROM orgusers.subscriptions s JOIN orgusers.plans p ON p.id = s.plan
	JOIN orgusers.memberships m ON m.org_id = s.org_id AND m.status = 'active' AND m.holds_seat GROUP BY s.org_id, p.seats HAVING count(*) > p.seats
	UNION ALL
	SELECT 'no billing admin on a paid plan, or one on a free plan', s.org_id FROM orgusers.subscriptions s JOIN orgusers.plans p ON p.id = s.plan
	WHERE p.paid <> EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = s.org_id AND m.user_id = s.billing_admin_id AND m.status = 'active')
	UNION ALL
	SELECT 'no active ADMIN', o.org FROM load.orgs o WHERE NOT EXISTS (
		SELECT FROM orgusers.roles r JOIN orgusers.membership_roles mr ON mr.org_id = r.org_id AND mr.role_id = r.id
		JOIN orgusers.memberships m ON m.org_id = mr.org_id AND m.user_id = mr.user_id AND m.status = 'active'
		WHERE r.org_id = o.org AND r.name = 'ADMIN')
	UNION ALL
	SELECT 'a role without a membership', mr.user_id FROM orgusers.membership_roles mr
	WHERE NOT EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = mr.org_id AND m.user_id = mr.user_id)
	UNION ALL
	SELECT 'an epoch older than what was done in it', o.id FROM orgusers.organizations o JOIN load.done d ON d.org = o.id GROUP BY o.id HAVING max(d.epoch) > o.epoch
	UNION ALL
	SELECT 'a mail that was given up: ' || coalesce(m.last_error, ''), m.id FROM orgusers.mail_outbox m WHERE m.status = 'dead'
	UNION ALL
	SELECT 'health_check: ' || h.finding || ': ' || h.detail, NULL FROM orgusers.health_check(true) h;
SQL

# A room with the load's tables, four organizations and 24 people.  Options as MailRoom has them.
sub new
{
	my ($class, $name, %o) = @_;
	my $self = MailRoom::new($class, $name, %o);
	%$self = (%$self, quiet => 1, clients => $o{clients} || 6, round => 0, told => {}, epoch => {}, deliveries => {}, links => {}, mail => 0);
	$self->sql($SETUP);
	$self->sql(<<'SQL');
BEGIN;
DELETE FROM orgusers.organizations;
UPDATE orgusers.plans SET seats = 8 WHERE id = 'free';
INSERT INTO load.people SELECT orgusers.register_user(('p' || n || '@example.org')::orgusers.email, email_verified => true), ('p' || n || '@example.org')::orgusers.email
	FROM generate_series(1, 24) n;
SELECT orgusers.act_as((SELECT id FROM load.people WHERE email = 'p1@example.org'));
INSERT INTO load.orgs SELECT orgusers.create_organization('Org ' || n, 'plans_and_groups') FROM generate_series(1, 4) n;
COMMIT;
TRUNCATE orgusers.audit_log;
SQL
	# The trail begins with the founders.
	$self->sql(<<'SQL');
BEGIN;
INSERT INTO orgusers.audit_log (org_id, action, relation, after) SELECT m.org_id, 'insert', 'memberships', jsonb_build_object('user_id', m.user_id) FROM orgusers.memberships m;
INSERT INTO orgusers.audit_log (org_id, action, relation, after)
	SELECT m.org_id, 'insert', 'membership_roles', jsonb_build_object('user_id', m.user_id, 'role_id', m.role_id) FROM orgusers.membership_roles m;
INSERT INTO load.done (round, client, n, what, org, subject, epoch) SELECT 0, 0, 0, 'founding', org, org, 0 FROM load.orgs LIMIT 1;
COMMIT;
SQL
	$self->{smtp} = $self->smtp('--brief');
	foreach my $client (1 .. $self->{clients})
	{
		my $script = "\\set told ''\n";
		foreach my $n (1 .. 400)
		{
			my $step = "SELECT load.step(:round, $client, $n) AS told \\gset\n";
			my $end = "\\set failed :ERROR\n\\if :failed\n\\echo failed :SQLSTATE\n";
			my $way = rand;
			# As one statement; with others before the commit; prepared.
			if ($way < 0.6)
			{
				$script .= "$step${end}\\else\n\\echo told :told\n\\endif\n";
			}
			else
			{
				my $gid = "':round-$client-$n'";
				my $commit = $way < 0.9 ? "COMMIT;\n" : "\\set gid :round '-$client-$n'\nPREPARE TRANSACTION :'gid';\n"
				  . "\\if :ERROR\n\\else\n\\echo prepared :told\n\\endif\nCOMMIT PREPARED :'gid';\n";
				$script .= "BEGIN;\n$step${end}ROLLBACK;\n\\else\nSELECT pg_sleep(random() / 200) \\g /dev/null\n$commit"
				  . "\\if :ERROR\n\\echo failed :SQLSTATE\n\\else\n\\echo told :told\n\\endif\n\\endif\n";
			}
			$script .= "SELECT pg_sleep(random() / 50) \\g /dev/null\n" if rand() < 0.5;
		}
		append_to_file("$self->{dir}/load$client.sql", $script);
	}
	return $self;
}

# Starts the load; when this returns, each session has done something, and all together some more.
sub start_load
{
	my ($self) = @_;
	my $round = ++$self->{round};
	# So that whatever dies mostly dies in the middle of a delivery.
	append_to_file("$self->{smtp}{directory}/slow", '');
	$self->{load} = [ map {
		my $file = "$self->{dir}/load$_";
		unlink "$file.out";
		{ file => $file, psql => IPC::Run::start([ 'psql', '-qXAt', '-d', $self->{node}->connstr('postgres') . ' application_name=load', '-v', "round=$round", '-v', 'VERBOSITY=sqlstate',
			'-f', "$file.sql" ], '<', \undef, '>', "$file.out", '2>', "$file.err", IPC::Run::timeout(300)) }
	} 1 .. $self->{clients} ];
	my $more = int rand 60;
	MailRoom::wait_until(sub { $self->sql("SELECT count(DISTINCT client) = $self->{clients} AND count(*) >= $self->{clients} + $more FROM load.done WHERE round = $round") eq 't' })
	  or die 'the load does not begin';
	return;
}

# Waits for the end of the load's sessions, and remembers what they were told.  Returns how often they got which SQLSTATE.
sub end_load
{
	my ($self) = @_;
	my %failed;
	unlink "$self->{smtp}{directory}/slow";
	foreach my $run (@{ delete $self->{load} })
	{
		$run->{psql}->finish;
		foreach (split /\n/, slurp_file("$run->{file}.out"))
		{
			$failed{$1}++ if /^failed (\w{5})$/;
			my ($how, $key, $what, $org, $subject, $epoch) = /^(told|prepared) (\d+ \d+ \d+) (\w+) (\S+) (\S+) (\d+)$/ or next;
			$self->{told}{$key} = { how => $how, what => $what, org => $org, subject => $subject };
			# What is prepared only can still be rolled back.
			$self->{epoch}{$org} = $epoch if $how eq 'told' && $epoch > ($self->{epoch}{$org} || 0);
		}
	}
	return \%failed;
}

# Ends the sessions of the load from the server's side.  What they have prepared stays, with its locks: see recover.
sub terminate_load
{
	my ($self) = @_;
	$self->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'load'");
	return $self->end_load;
}

# Whether the machine's first process takes note of the death of orphans; else they stay, and no server starts where one was.
sub orphans_are_reaped
{
	my $orphan = `sleep 0.1 >/dev/null & echo \$!`;
	my $until = time + 15;
	sleep 0.1 while kill(0, $orphan) && time < $until;
	return !kill 0, $orphan;
}

# The server's processes other than the postmaster, which stands still from now on so that it starts no more.
sub halt_postmaster
{
	my ($self) = @_;
	my $postmaster = $self->{node}->{_pid};
	kill 'STOP', $postmaster or die "no postmaster $postmaster";
	return grep { $_ } split ' ', `ps -o pid= --ppid $postmaster`;
}

# The server dies: all of it at once, or the postmaster before its children.
sub kill_server
{
	my ($self, $children_live) = @_;
	my @children = $self->halt_postmaster;
	my $postmaster = $self->{node}->{_pid};
	kill 'KILL', $postmaster, $children_live ? () : @children;
	if ($children_live)
	{
		sleep rand 0.1;
		kill 'KILL', @children;
	}
	MailRoom::wait_until(sub { !grep { kill 0, $_ } $postmaster, @children }) or die 'processes of the server do not die';
	$self->{node}->{_pid} = undef;
	return;
}

# One of the server's processes dies, whichever.
sub kill_backend
{
	my ($self) = @_;
	my @children = $self->halt_postmaster;
	kill 'KILL', $children[ rand @children ];
	kill 'CONT', $self->{node}->{_pid};
	return;
}

# Waits until the server answers, and decides about prepared transactions that it finds.
sub recover
{
	my ($self) = @_;
	$self->{node}->start if !defined $self->{node}->{_pid};
	MailRoom::wait_until(sub { $self->{node}->psql('postgres', 'SELECT 1') == 0 }) or die 'the server does not recover';
	$self->{prepared} = { map { $_ => 1 } split /\n/, $self->sql('SELECT gid FROM pg_prepared_xacts') };
	foreach my $gid (keys %{ $self->{prepared} })
	{
		$self->sql((rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
	}
	return;
}

# Reads the mails that have come to the SMTP server since the last time.
sub read_deliveries
{
	my ($self) = @_;
	while (-e (my $file = sprintf('%s/%05d.json', $self->{smtp}{directory}, $self->{mail} + 1)))
	{
		my $mail = JSON::PP::decode_json(slurp_file($file));
		$self->{mail}++;
		push @{ $self->{deliveries}{ $mail->{message_id} } }, $mail;
		$self->{links}{$_}{ $mail->{message_id} } = 1 foreach $mail->{link} || ();
	}
	return;
}

# What is wrong by now, a line each.
sub faults
{
	my ($self) = @_;
	my @faults;
	$self->read_deliveries;
	my @known = keys %{ $self->{deliveries} };
	$self->sql('ANALYZE');
	push @faults, split /\n/, $self->sql('SELECT fault, subject FROM load.half_done LIMIT 20');

	# What somebody was told, and nobody has to do it again.
	my %done = map { $_ => 1 } split /\n/, $self->sql("SELECT concat_ws(' ', round, client, n) FROM load.done");
	foreach my $key (sort keys %{ $self->{told} })
	{
		my $told = $self->{told}{$key};
		my $gid = $key =~ s/ /-/gr;
		push @faults, "$told->{how} to be committed and lost: $key $told->{what}" if !$done{$key} && !($told->{how} eq 'prepared' && $self->{prepared}{$gid});
	}
	$self->{checked} += keys %{ $self->{told} };
	$self->{told} = {};
	foreach (split /\n/, $self->sql('SELECT org_id, epoch FROM (SELECT id AS org_id, epoch FROM orgusers.organizations) o'))
	{
		my ($org, $epoch) = split /\|/;
		push @faults, "an epoch went back: $org" if $epoch < ($self->{epoch}{$org} || 0);
		$self->{epoch}{$org} = $epoch;
	}

	# Mail: what is said to be sent has arrived, what has arrived was enqueued, and always as the same mail.
	my %outbox;
	foreach (split /\n/, $self->sql('SELECT id, status, recipient FROM orgusers.mail_outbox'))
	{
		my ($id, $status, $recipient) = split /\|/;
		$outbox{"<$id\@example.org>"} = { status => $status, recipient => $recipient };
	}
	$self->read_deliveries;
	push @faults, "arrived and never enqueued: $_" foreach grep { !$outbox{$_} } @known;
	push @faults, "sent and never arrived: $_" foreach grep { $outbox{$_}{status} eq 'sent' && !$self->{deliveries}{$_} } keys %outbox;
	foreach my $id (grep { $outbox{$_} } @known)
	{
		push @faults, "arrived at another address: $id" if grep { join(' ', @{ $_->{to} }) ne $outbox{$id}{recipient} } @{ $self->{deliveries}{$id} };
		push @faults, "arrived with another link: $id" if grep { ($_->{link} || '') ne ($self->{deliveries}{$id}[0]{link} || '') } @{ $self->{deliveries}{$id} };
	}
	push @faults, "one link in two mails: " . join(' ', keys %{ $self->{links}{$_} }) foreach grep { keys %{ $self->{links}{$_} } > 1 } keys %{ $self->{links} };
	splice @faults, 20;
	diag($_) foreach @faults;
	return @faults;
}

# Sends what still waits, leases of the dead included; returns the faults.
sub drain
{
	my ($self) = @_;
	$self->make_due;
	my ($code) = $self->send_due($self->{smtp}, '--batch', '1000');
	my @faults = $self->faults;
	push @faults, "the mailer ends with $code" if $code != 0;
	push @faults, map { "left behind: $_" } split /\n/, $self->sql("SELECT id FROM orgusers.mail_outbox WHERE status NOT IN ('sent', 'withdrawn')");
	return @faults;
}

# How many deliveries were of a mail that had arrived before.
sub duplicates { my ($self) = @_; my $n = 0; $n += @$_ - 1 foreach values %{ $self->{deliveries} }; return $n }

1;
