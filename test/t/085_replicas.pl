# Hot standbys answer what the primary answers and refuse to change anything; after a promotion all goes on, mail too.
# The small shared tables reach a server with organizations of its own by logical replication.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Installation;
use MailRoom;
use WarmSession;

my @users = @Installation::users;
my ($paid, $free) = ($Installation::paid, $Installation::free);

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$primary->start;
my $room = bless { node => $primary, dir => PostgreSQL::Test::Utils::tempdir, files => 0, running => [] }, 'MailRoom';
$room->{key} = "$room->{dir}/key";
my ($key) = ($room->command('keygen', '--out', $room->{key}))[1] =~ /'([^']{44})'/ or BAIL_OUT('no key');
$primary->safe_psql('postgres', $Installation::roles);
my ($token, $join) = Installation::make($primary, 'postgres', $key);
# Longer ago than what is noted again.
$primary->safe_psql('postgres', "UPDATE orgusers.last_activity SET at = at - interval '7 days'");
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));

# Every function that an audience may call, with arguments that are good where they matter.
my %argument = (
	org_id => "'$paid'", user_id => "'$users[3]'", id => "gen_random_uuid()", permission => "'users.view'", token => "'$token'", name => "'room'", policy => "'plans_and_groups'",
	email => "'new\@example.org'", plan => "'free'", role => "'USER'", roles => "'{USER}'", groups => "'{ops}'", spaces => "'{room}'", domain => "'corp.example'");
my @calls = split /\n/, $primary->safe_psql('postgres', q{
	SELECT concat_ws('|', p.proname, p.provolatile, coalesce((SELECT string_agg(coalesce(a.name, '') || ':' || format_type(a.type, NULL), ',' ORDER BY n)
			FROM unnest(p.proargtypes::oid[], p.proargnames[:p.pronargs]) WITH ORDINALITY a (type, name, n) WHERE n <= p.pronargs - p.pronargdefaults), ''))
		FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace AND p.proname !~ '^(email|invitation_token)_'
			AND p.proname IN (SELECT unnest(orgusers.audience_functions(a)) FROM unnest('{application,server,mailer}'::text[]) a) ORDER BY 1});
my %answers;
my %session = (primary => WarmSession->new($primary), standby => WarmSession->new($standby));
my %refused;
for (@calls)
{
	my ($name, $volatile, $arguments) = split /\|/, $_, 3;
	my @arguments = map {
		my ($argument, $type) = split /:/, $_;
		($argument{$argument} // ($type eq 'text' ? "'x'" : $type eq 'uuid' ? "'$paid'" : $type eq 'uuid[]' ? "'{}'" : $type eq 'text[]' ? "'{}'" : 'NULL')) . "::$type"
	} split /,/, $arguments;
	my $call = "BEGIN; SET LOCAL orgusers.user_id = '$users[0]'; SELECT * FROM orgusers.$name(" . join(', ', @arguments) . ')';
	$call =~ s/\Q$token\E/$join/ if $name =~ /^join_/;
	my ($here, $there) = map {
		my $answer = $session{$_}->ask($call) =~ s/\d\d:\d\d:\d\d\.\d+//r;	# how long a mail has been due
		$session{$_}->ask('ROLLBACK');
		$answer
	} qw(primary standby);
	if ($volatile ne 'v' || $name eq 'sign_in' || $name eq 'act_as')
	{
		is($there, $here, "standby: $name answers as the primary does");
	}
	elsif ($there eq 'ERROR 25006')
	{
		$refused{$name} = 1;
	}
	else
	{
		$answers{$name} = $there eq $here ? 'the same' : $there;
	}
}
cmp_ok(scalar(keys %refused), '>', 40, 'standby: ' . keys(%refused) . ' changing functions refuse with 25006');
is(join(' ', grep { $answers{$_} ne 'the same' } sort keys %answers), 'cache_stats new_id', 'standby: the others answer or refuse as the primary does') or diag(explain(\%answers));
is($answers{$_}, 'the same', "standby: $_ answers as the primary does") for qw(record_activity sign_out);
ok($refused{$_}, "standby: $_ is refused") for qw(invite_user accept_invitation set_user_roles remove_user claim_mail mail_sent create_organization set_plan update_profile);
is($session{standby}->ask("SET orgusers.user_id = '$users[0]'; UPDATE orgusers.organizations SET name = 'x'"), 'ERROR 25006', 'standby: so is direct DML');
like($session{standby}->ask("SELECT organization FROM orgusers.preview_invitation('$token')"), qr/^Paid$/, 'standby: an invitation is shown');
is($session{standby}->ask("SELECT severity FROM orgusers.health_check(true) WHERE severity = 'error'"), '', 'standby: health_check works, and finds nothing');
is($session{standby}->ask("RESET orgusers.user_id; BEGIN; SELECT orgusers.act_as('$users[5]'); SELECT orgusers.can('$paid', 'users.view'); COMMIT; SELECT orgusers.current_user_id() IS NULL"), "\nt\nt",
	'standby: who acts, for a transaction');

# A mailer that knows both servers.
my $smtp = $room->smtp;
{
	package Either;
	sub connstr { return sprintf 'host=%s,%s port=%s,%s dbname=postgres target_session_attrs=read-write connect_timeout=5', map { ($_[0]{one}->$_, $_[0]{other}->$_) } qw(host port) }
	sub stop { }
}
$room->{node} = $standby;
isnt(($room->send_due($smtp))[0], 0, 'a mailer at the standby fails');
is(scalar($room->mails($smtp)), 0, 'and sends nothing');

# A mail that is with a mailer when the primary is lost: its answer is taken by the new primary, or its lease runs out.
$primary->safe_psql('postgres', q{UPDATE orgusers.mail_outbox SET due_at = now() - interval '1 s' WHERE status IN ('queued', 'leased')});
my @leases = map { [ split /\|/ ] } split /\n/, $primary->safe_psql('postgres', q{SELECT org_id, id, fence FROM orgusers.claim_mail(2)});
is(scalar(@leases), 2, 'two mails are leased');
$primary->safe_psql('postgres', q{UPDATE orgusers.mail_outbox SET due_at = now() + interval '1 hour' WHERE status IN ('queued', 'leased')});
my $mails = $primary->safe_psql('postgres', q{SELECT queued, leased, sent, dead, withdrawn, held FROM orgusers.mail_status()});
my $contents = $primary->safe_psql('postgres', $Installation::contents);
$room->{node} = bless { one => $primary, other => $standby }, 'Either';
my $mailer = $room->start_mailer($smtp, '--poll', '1');

my $ask = "SELECT orgusers.can('$paid', 'docs.read'), orgusers.has_role('$paid', 'USER'), cardinality(orgusers.orgs_with('docs.read'))";
my $warm = WarmSession->new($standby);
is($warm->must("SET orgusers.user_id = '$users[3]'; $ask"), 't|t|1', 'a warm session of the standby');
$_->quit for values %session;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
$primary->stop('immediate');
$standby->promote;

is($standby->safe_psql('postgres', $Installation::contents), $contents, 'promoted: every row is there');
is($standby->safe_psql('postgres', q{SELECT queued, leased, sent, dead, withdrawn, held FROM orgusers.mail_status()}), $mails, 'promoted: mail is as it was, and not held');
is($warm->must($ask), 't|t|1', 'promoted: the warm session answers');
$standby->safe_psql('postgres', "SET orgusers.user_id = '$users[0]'; SELECT orgusers.set_user_roles('$paid', '$users[3]', '{}'); SELECT orgusers.set_user_groups('$paid', '$users[3]', '{}')");
is($warm->must($ask), 'f|f|0', 'promoted: and follows a revocation');
is($warm->ask("SET orgusers.user_id = '$users[0]'; SELECT orgusers.create_group('$paid', 'made', '{}') IS NOT NULL"), 't', 'promoted: it can change things');
is($standby->safe_psql('postgres', "SELECT orgusers.set_email_verified('$users[11]', 'user11\@example.org'); SELECT orgusers.accept_invitation('$token') FROM orgusers.act_as('$users[11]', true)") =~ s/^\n//r,
	$paid, 'promoted: a token from before is accepted');
is($standby->safe_psql('postgres', 'SELECT action, relation FROM orgusers.audit_log ORDER BY at DESC LIMIT 1') =~ s/\|.*//r, 'update', 'promoted: the trail goes on');
is($standby->safe_psql('postgres', "SELECT orgusers.mail_sent('$leases[0][0]', '$leases[0][1]', '$leases[0][2]'); SELECT status FROM orgusers.mail_outbox WHERE id = '$leases[0][1]'"), "\nsent",
	'promoted: the answer about a mail leased before is taken');
$standby->safe_psql('postgres', "SET orgusers.user_id = '$users[0]'; SELECT orgusers.invite_user('$paid', 'after\@example.org')");
ok(MailRoom::wait_until(sub { grep { $_->{to}[0] eq 'after@example.org' } $room->mails($smtp) }), 'promoted: the running mailer finds the new primary');
$standby->safe_psql('postgres', q{UPDATE orgusers.mail_outbox SET due_at = now() WHERE status IN ('queued', 'leased')});
ok(MailRoom::wait_until(sub { $standby->safe_psql('postgres', 'SELECT queued + leased FROM orgusers.mail_status()') eq '0' }), 'promoted: and sends the rest, the other lease too');
is($room->stop($mailer, 'TERM'), 0, 'the mailer ends well');
my %sent;
$sent{$_}++ for map { map { $_->[1] } grep { lc $_->[0] eq 'message-id' } @{ $_->{headers} } } $room->mails($smtp);
is(join(' ', grep { $sent{$_} > 1 } keys %sent), '', 'no mail was sent twice');
is($standby->safe_psql('postgres', "SELECT detail FROM orgusers.health_check(true) WHERE severity = 'error'"), '', 'promoted: health_check finds nothing');

# Shared tables, published whole; the subscriber has organizations of its own.
my @shared = map { "orgusers.$_" } qw(users plans permissions policies role_templates role_template_permissions role_template_grants base_permissions mail_templates);
my $shard = PostgreSQL::Test::Cluster->new('shard');
$shard->init(allows_streaming => 'logical');
$shard->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$shard->start;
$shard->safe_psql('postgres', 'CREATE EXTENSION orgusers');
$standby->safe_psql('postgres', 'CREATE PUBLICATION shared FOR TABLE ' . join ', ', @shared);
my $told = $standby->safe_psql('postgres', 'SELECT count(*) FROM orgusers.audit_log');
$shard->safe_psql('postgres', "CREATE SUBSCRIPTION shared CONNECTION '" . $standby->connstr . " dbname=postgres' PUBLICATION shared");
$shard->wait_for_subscription_sync($standby, 'shared');
my $rows = join ' UNION ALL ', map { "SELECT '$_' AS t, count(*), md5(string_agg(r::text, '|' ORDER BY r::text)) FROM $_ r" } @shared;
sub alike { my ($when) = @_; return is($shard->safe_psql('postgres', $rows), $standby->safe_psql('postgres', $rows), "shared tables: the same $when") }
alike('after the first copy');
is($shard->safe_psql('postgres', 'SELECT count(*) FROM orgusers.audit_log'), '0', 'shared tables: no word in the subscriber\'s trail');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM orgusers.audit_log'), $told, 'nor in the publisher\'s');

my $org = '00000000-0000-0000-0000-0000000000f1';
my $reader = WarmSession->new($shard);
my $mine = "SELECT orgusers.can('$org', 'docs.read'), orgusers.can('$org', 'users.view')";
$reader->must("SET orgusers.user_id = '$users[0]'; DO \$\$ BEGIN PERFORM orgusers.create_organization('Shard', 'plans_and_groups', '$org'); END \$\$");
is($reader->must("INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$users[1]'); SELECT orgusers.set_user_roles('$org', '$users[1]', '{USER}'); SET orgusers.user_id = '$users[1]'; $mine"),
	"\nt|f", 'shared tables: an organization of the subscriber, with rights by replicated templates');
for (
	[ 'a template\'s permission taken', "DELETE FROM orgusers.role_template_permissions WHERE (policy, template, permission) = ('plans_and_groups', 'user', 'docs.read')", 'f|f' ],
	[ 'and others given', "INSERT INTO orgusers.role_template_permissions SELECT 'plans_and_groups', 'user', p FROM unnest('{docs.read,users.view}'::text[]) p", 't|t' ],
	[ 'a policy\'s base permissions', "DELETE FROM orgusers.role_template_permissions WHERE (policy, template) = ('plans_and_groups', 'user'); INSERT INTO orgusers.base_permissions VALUES ('plans_and_groups', 'users.view')", 'f|t' ])
{
	my ($what, $change, $expected) = @$_;
	$standby->safe_psql('postgres', $change);
	$standby->wait_for_catchup('shared');
	is($reader->must($mine), $expected, "shared tables: $what, in a warm session");
}
$standby->safe_psql('postgres', "SELECT orgusers.change_email('$users[1]', 'elsewhere\@example.org'), orgusers.register_user('later\@example.org', id => '00000000-0000-0000-0000-0000000000fe');
	UPDATE orgusers.policies SET title = 'Another' WHERE id = 'plans_and_groups'; UPDATE orgusers.mail_templates SET subject = 'Changed' WHERE kind = 'user_removed'; UPDATE orgusers.plans SET seats = 4 WHERE id = 'free'");
$standby->wait_for_catchup('shared');
alike('after changes');
is($reader->must("SELECT email FROM orgusers.users WHERE id = '$users[1]'"), 'elsewhere@example.org', 'shared tables: a new address');
is($reader->ask("INSERT INTO orgusers.memberships (org_id, user_id) SELECT '$org', id FROM orgusers.users WHERE id::text BETWEEN '$users[2]' AND '$users[3]'"), '', 'shared tables: the fourth user of the plan');
is($reader->ask("INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$users[4]')"), 'ERROR OU301', 'shared tables: a cap that was changed there binds here');
is($shard->safe_psql('postgres', q{SELECT count(*) FROM orgusers.audit_log WHERE relation IN ('users', 'policies', 'plans', 'role_template_permissions')}), '0', 'shared tables: still no word in the trail');
is($shard->safe_psql('postgres', 'SELECT count(*) FROM orgusers.mail_outbox'), '0', 'shared tables: no mail');
is($shard->safe_psql('postgres', "SELECT detail FROM orgusers.health_check(true) WHERE severity = 'error'"), '', 'shared tables: health_check finds nothing');
# Foreign keys are not looked at when a deletion arrives: health_check tells.
my $gone = '00000000-0000-0000-0000-0000000000fe';
$shard->safe_psql('postgres', "UPDATE orgusers.subscriptions SET plan = (SELECT id FROM orgusers.plans WHERE NOT paid AND seats IS NULL LIMIT 1); INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$gone')");
$standby->safe_psql('postgres', "DELETE FROM orgusers.users WHERE id = '$gone'");
$standby->wait_for_catchup('shared');
alike('after a deletion');
like($shard->safe_psql('postgres', "SELECT detail FROM orgusers.health_check(true) WHERE severity = 'error'"), qr/memberships/, 'shared tables: health_check tells of memberships without a user');
$shard->safe_psql('postgres', "DELETE FROM orgusers.memberships WHERE user_id = '$gone'");
is($shard->safe_psql('postgres', "SELECT detail FROM orgusers.health_check(true) WHERE severity = 'error'"), '', 'shared tables: until they are deleted');
$reader->quit;
$warm->quit;
$shard->safe_psql('postgres', 'DROP SUBSCRIPTION shared');
$shard->stop;
$room->end;
$standby->stop;
done_testing();
