#!/bin/bash
# Executed by the runner on its host after each job: ACTIONS_RUNNER_HOOK_JOB_COMPLETED.
# Any exit code but 0 fails the job.
#
# In a shell with -p, which takes neither functions nor BASH_ENV from the job's environment.
/bin/bash -p /dev/fd/3 3<<'HOOK'
set -eu
# The job may have put directories of its own before PATH.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset BASH_ENV BUILDWARDEN_CONFIG TMPDIR

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
touch "$files/log" "$files/summary" "$files/annotations"
# What a build controls must not be taken for a command to the runner. Annotations are such
# commands; in them it is escaped.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$token"
code=0
# A job without a container has nothing to judge.
buildwarden report --this-job --none-ok --fail-on critical --timeout 1m \
  --format text --output "$files/log" --format markdown --output "$files/summary" \
  --format github --output "$files/annotations" || code=$?
cat "$files/log"
echo "::$token::"
cat "$files/annotations"
cat "$files/summary" >>"$GITHUB_STEP_SUMMARY"
exit "$code"
HOOK
