# What the mailer's tests share: a server with an organization, SMTP servers, mailers.
package MailRoom;

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Spec;
use IPC::Run ();
use JSON::PP ();
use Time::HiRes qw(sleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our $ORG    = '018f0000-0000-7000-8000-000000000001';
our $OTHER  = '018f0000-0000-7000-8000-000000000002';
# All that was started, for a test that breaks off.
my @started;
our $MAILER = $ENV{ORGUSERS_MAILER} || 'orgusers-mailer';

# A cluster with the extension, a policy, two organizations, a mailer's role and its key.  conf: settings other than the
# default here, initdb: its arguments.
sub new
{
	my ($class, $name, %o) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => $o{initdb} || []);
	$node->append_conf('postgresql.conf', $o{conf} || 'fsync = off');
	$node->start;
	my $self = bless { node => $node, dir => PostgreSQL::Test::Utils::tempdir, files => 0, running => [] }, $class;
	$self->{key} = "$self->{dir}/key";

	my ($code, $out) = $self->command('keygen', '--out', $self->{key});
	die "keygen failed" if $code != 0;
	$self->sql('CREATE EXTENSION orgusers');
	$self->sql($out =~ /^(SELECT .*)$/m);
	$self->sql(<<"SQL");
SELECT orgusers.install_plans_and_groups('Example', 'https://example.org/i?a=1&t={{token}}', 'robot\@example.org');
INSERT INTO orgusers.organizations (id, name, policy) VALUES
	('$ORG', 'Acme', 'plans_and_groups'), ('$OTHER', 'Other', 'plans_and_groups');
CREATE ROLE mailer LOGIN;
SELECT orgusers.grant_to('mailer', 'mailer');
SQL
	return $self;
}

# Runs SQL as the superuser; returns its output, dies when it fails.
sub sql { my ($self, $sql) = @_; return $self->{node}->safe_psql('postgres', $sql) }

# Runs SQL that must fail; returns the SQLSTATE.
sub sqlstate
{
	my ($self, $sql) = @_;
	my ($out, $err);
	$self->{node}->psql('postgres', $sql, stderr => \$err, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : 'none';
}

# A text as an SQL literal.
sub quote { my ($text) = @_; $text =~ s/(['\\])/$1$1/g; return "E'$text'" }

# Enqueues an invitation; returns the mail's id.
sub invite
{
	my ($self, %o) = @_;
	my $org = $o{org} || $ORG;
	return $self->sql(($o{before} || '') . sprintf(
		"SELECT (orgusers.enqueue_mails(i.org_id, 'invitation', jsonb_build_object('inviter', %s, 'inviter_email', 'anna\@example.org'),"
		  . " ARRAY[ROW(i.email, %s, %s, i.id, i.expires_at, NULL, orgusers.seal_invitation(key.public_key, i.org_id, i.id, i.email, i.expires_at,"
		  . " orgusers.new_invitation_token(i.org_id)), key.id)::orgusers.mail]))[1]"
		  . " FROM (SELECT '%s'::uuid AS org_id, gen_random_uuid() AS id, %s::orgusers.email AS email, clock_timestamp() + %s AS expires_at OFFSET 0) i,"
		  . " orgusers.mailer_key() key",
		quote($o{inviter} || 'Anna'), defined $o{name} ? quote($o{name}) : 'NULL', quote($o{locale} || 'en'), $org,
		quote($o{to} || 'bob@example.com'), quote($o{lifetime} || '1 day')));
}

# Enqueues a mail without a token; returns its id.
sub notify
{
	my ($self, %o) = @_;
	return $self->sql(($o{before} || '')
		  . sprintf("SELECT orgusers.enqueue_mail('%s', 'user_removed', %s, NULL, 'en', '{}')", $ORG, quote($o{to} || 'bob@example.com')));
}

# A column of a mail's row.
sub row { my ($self, $id, $column) = @_; return $self->sql("SELECT $column FROM orgusers.mail_outbox WHERE id = '$id'") }

# Makes every waiting mail due now.
sub make_due { my ($self) = @_; $self->sql("UPDATE orgusers.mail_outbox SET due_at = now() - interval '1 s' WHERE status IN ('queued', 'leased')") }

# Forgets all mail.
sub forget { my ($self) = @_; $self->sql('DELETE FROM orgusers.mail_outbox') }

# Starts an SMTP server; returns a hash with its port and directory.
sub smtp
{
	my ($self, @options) = @_;
	my $directory = sprintf('%s/mails%d', $self->{dir}, $self->{files}++);
	mkdir $directory or die $!;
	return $self->smtp_again({ directory => $directory }, @options);
}

# Starts an SMTP server with the directory, and the port if any, of one before.
sub smtp_again
{
	my ($self, $server, @options) = @_;
	my $program = File::Spec->rel2abs(dirname(__FILE__) . '/../tools/smtp_server.py');
	my $out = '';
	my $run = IPC::Run::start([ '/usr/bin/python3', $program, '--directory', $server->{directory}, '--port', $server->{port} || 0, @options ],
		'<', \undef, '>', \$out, '2>', "$server->{directory}.log", IPC::Run::timer(60));
	$run->pump until $out =~ /^(\d+)\n/;
	push @{ $self->{running} }, $run;
	push @started, $run;
	return { directory => $server->{directory}, port => $1, run => $run };
}

# The mails that a server has taken, parsed, in order.
sub mails
{
	my ($self, $server) = @_;
	return map { JSON::PP::decode_json(slurp_file($_)) } sort glob("$server->{directory}/*.json");
}

# Runs the mailer with arguments as they are; returns exit code, output, log.
sub command
{
	my ($self, @arguments) = @_;
	my ($out, $err);
	IPC::Run::run([ $MAILER, @arguments ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	note $err if $err ne '' && !$self->{quiet};
	return ($? >> 8, $out, $err);
}

# The arguments of a mailer that sends to a server.
sub run_arguments
{
	my ($self, $server, @options) = @_;
	my $url = ref $server ? "smtp://127.0.0.1:$server->{port}" : $server;
	return ('run', '--database', $self->{node}->connstr('postgres') . ' user=mailer', '--smtp', $url, '--key', $self->{key}, @options);
}

# Sends what is due; returns exit code and log.
sub send_due
{
	my ($self, $server, @options) = @_;
	return ($self->command($self->run_arguments($server, '--once', @options)))[ 0, 2 ];
}

# Starts a mailer in the background; returns a hash with its run and log file.
sub start_mailer
{
	my ($self, $server, @options) = @_;
	my $log = sprintf('%s/mailer%d.log', $self->{dir}, $self->{files}++);
	my $run = IPC::Run::start([ $MAILER, $self->run_arguments($server, @options) ], '<', \undef, '>', '/dev/null', '2>', $log);
	push @{ $self->{running} }, $run;
	push @started, $run;
	my $mailer = { run => $run, log => $log };
	wait_until(sub { slurp_file($log) =~ /connected/ }) or die 'mailer did not connect';
	return $mailer;
}

# Sends a signal to a started program and waits for its end; returns the exit code.
sub stop
{
	my ($self, $started, $signal) = @_;
	$started->{run}->signal($signal);
	$started->{run}->finish;
	note slurp_file($started->{log}) if $started->{log} && !$self->{quiet};
	return $started->{run}->full_result >> 8;
}

# Waits until something is true; returns the seconds it took (at least a trifle), or 0 after a minute.
sub wait_until
{
	my ($condition) = @_;
	my $start = time;
	while (time - $start < 60)
	{
		return time - $start + 1e-6 if $condition->();
		sleep 0.05;
	}
	return 0;
}

# Keeps a line for the campaign's table.
sub result
{
	my ($what, $tried, $failed) = @_;
	append_to_file($ENV{ORGUSERS_RESULTS}, "result\t$what\t$tried\t$failed\n") if $ENV{ORGUSERS_RESULTS};
	return;
}

# Ends what still runs.
sub end
{
	my ($self) = @_;
	$_->kill_kill foreach @{ $self->{running} };
	$self->{node}->stop;
}

END
{
	my $status = $?;
	$_->kill_kill foreach grep { eval { $_->pumpable } } @started;
	$? = $status;
}

1;
