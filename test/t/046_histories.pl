# A few histories of many sessions; see Histories.pm.  ORGUSERS_SEED=n repeats the mix, if not its timing, ORGUSERS_THEME=step
# has only histories that are about this step.
# ORGUSERS_HISTORIES=n runs so many, as far as they begin within ORGUSERS_MINUTES=n; ORGUSERS_RESULTS=file gets what came of it.

use strict;
use warnings;

use Histories;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{ORGUSERS_SEED} || int(time);
my $wanted = $ENV{ORGUSERS_HISTORIES} || 4;
my $until = time + 60 * ($ENV{ORGUSERS_MINUTES} || 600);
diag("seed $seed");

my $histories = Histories->new(seed => $seed);
while ($histories->{number} < $wanted && time < $until)
{
	$histories->run;
}
my $deadlocks = $histories->deadlocks;
diag(sprintf('%d histories, %d transactions, %d looks between, %d answers about rights: %s', $histories->{number}, $histories->{transactions}, $histories->{looked}, $histories->{compared},
	join(', ', map { "$histories->{states}{$_} $_" } sort keys %{ $histories->{states} })));
append_to_file($ENV{ORGUSERS_RESULTS}, join '', map { "$_\n" } $histories->results, $histories->failures || (), map { "deadlock: $deadlocks->{$_} $_" } sort keys %$deadlocks)
  if $ENV{ORGUSERS_RESULTS};

is($histories->failures, '', 'what must hold holds');
is(join("\n", $histories->unexplained), '', 'transactions of one call do not deadlock');
# Of about seventy; a single history has had more than forty in every mix.
cmp_ok(scalar keys %{ $histories->{done} }, '>', 30, 'many kinds of steps succeeded');
is($histories->while_a_commit_lingers, 'OU002', 'what a commit takes away is gone behind the lock, even before it has told everybody');
$histories->finish;
done_testing();
