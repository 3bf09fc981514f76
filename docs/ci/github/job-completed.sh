#!/bin/bash
# Executed by the runner on its host after each job: ACTIONS_RUNNER_HOOK_JOB_COMPLETED.
# Any exit code but 0 fails the job.
set -eu
# The job may have put directories of its own before PATH.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset BUILDWARDEN_CONFIG

# A job without a container has nothing to judge. Without these lines it fails.
containers=$(buildwarden list --this-job --json)
if [ "$containers" = '[]' ]; then
  echo 'buildwarden: no container of this job was traced'
  exit 0
fi

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
touch "$files/log" "$files/summary" "$files/annotations"
code=0
buildwarden report --this-job --fail-on critical --timeout 1m --format text --output "$files/log" \
  --format markdown --output "$files/summary" --format github --output "$files/annotations" ||
  code=$?

# What a build controls must not be taken for a command to the runner. Annotations are such
# commands; in them it is escaped.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$token"
cat "$files/log"
echo "::$token::"
cat "$files/annotations"
cat "$files/summary" >>"$GITHUB_STEP_SUMMARY"
exit "$code"
