# A psql session that stays open, for tests of what a session keeps.
package WarmSession;

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More ();

sub new
{
	my ($class, $node) = @_;
	my $self = bless { in => "\\set VERBOSITY terse\n", out => '', errors => '', asked => 0,
		timer => IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default) }, $class;
	$self->{psql} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$self->{in}, '>&', \$self->{out}, $self->{timer});
	return $self;
}

# Sends statements without waiting for their answers.
sub send
{
	my ($self, $sql) = @_;
	my $end = 'end of answer ' . ++$self->{asked};
	# for each answer, not for all of them
	$self->{timer}->start($PostgreSQL::Test::Utils::timeout_default);
	$self->{in} .= "$sql;\n\\if :ERROR\n\\echo ERROR :SQLSTATE\n\\endif\n\\echo $end\n";
	$self->{psql}->pump_nb while length $self->{in};
	return;
}

# What was sent last has answered: its rows, and "ERROR sqlstate" when its last statement failed.
sub answer
{
	my ($self) = @_;
	my $end = "end of answer $self->{asked}\n";
	while (index($self->{out}, $end) < 0)
	{
		$self->{psql}->pumpable or Test::More::BAIL_OUT("psql is gone: $self->{out}");
		$self->{psql}->pump;
	}
	my $answer = $self->{out};
	$self->{out} = '';
	$answer =~ s/end of answer \d+\n//g;
	$self->{errors} = join '', $answer =~ /^(?:ERROR|FATAL|PANIC):.*\n/mg;
	$answer =~ s/^[A-Z]+: .*\n//mg;
	chomp $answer;
	return $answer;
}

sub ask
{
	my ($self, $sql) = @_;
	$self->send($sql);
	return $self->answer;
}

# As ask(), for what has to succeed.
sub must
{
	my ($self, $sql) = @_;
	my $answer = $self->ask($sql);
	Test::More::BAIL_OUT("$sql: $self->{errors}") if $self->{errors};
	return $answer;
}

sub quit
{
	my ($self) = @_;
	# It may have been idle for longer.
	$self->{timer}->start($PostgreSQL::Test::Utils::timeout_default);
	$self->{in} .= "\\q\n";
	return $self->{psql}->finish;
}

1;
