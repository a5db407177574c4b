# SPDX-License-Identifier: Apache-2.0
# Running named stages one after another: log, minutes, counts, and the table at the end. Sourced by scripts/test.
#
# A stage is a function stage_NAME that writes to stdout and stderr (both go to its log). It counts its tests by
# calling count PASSED FAILED SKIPPED; a stage that counts nothing is one test, passed or failed by its exit status.

stage_rows=()   # "name minutes verdict passed failed skipped"
total_passed=0 total_failed=0 total_skipped=0

count() { printf '%s %s %s\n' "$1" "$2" "$3" >>"$counts_file"; }

# skip REASON: this stage has nothing to test here.
skip() { printf 'skipped: %s\n' "$*"; printf '%s\n' "$*" >"$skip_file"; exit 0; }

# count_junit FILE: counts from ctest's own report, which is exact where its last lines of text are not.
count_junit() {
  local line tests failures skipped disabled
  line=$(tr '\n\t' '  ' <"$1" | grep -o '<testsuite [^>]*>' | head -n 1)
  number() { grep -o " $1=\"[0-9]*\"" <<<"$line" | grep -o '[0-9]*' || echo 0; }
  tests=$(number tests) failures=$(number failures) skipped=$(number skipped) disabled=$(number disabled)
  skipped=$((skipped + disabled))
  count $((tests - failures - skipped)) "$failures" "$skipped"
}

minutes() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# run_stage NAME LOGS: runs stage_NAME in a subshell, so that no stage can change another's directory or settings.
run_stage() {
  local name=$1 logs=$2 begun=$SECONDS status passed=0 failed=0 skipped=0 verdict p f s took
  local log=$logs/$name.log
  counts_file=$logs/$name.counts skip_file=$logs/$name.skipped
  rm -f "$counts_file" "$skip_file"
  printf '== %-9s (log: %s)\n' "$name" "${log#"$PWD"/}"
  status=0
  # The subshell must not stand in a condition, or errexit would be off inside it.
  set +e
  (set -e; "stage_$name") >"$log" 2>&1 </dev/null
  status=$?
  set -e
  took=$((SECONDS - begun))
  if [ -e "$counts_file" ]; then
    while read -r p f s; do passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s)); done <"$counts_file"
  elif [ -e "$skip_file" ]; then
    skipped=1
  elif [ $status = 0 ]; then
    passed=1
  fi
  # A stage that ended badly without naming a failed test (a build that broke) is itself the failure.
  if [ $status != 0 ] && [ $failed = 0 ]; then failed=1; fi
  verdict=ok
  if [ -e "$skip_file" ]; then verdict="skipped: $(cat "$skip_file")"; fi
  if [ $failed != 0 ]; then
    verdict=FAILED
    printf -- '-- the last lines of %s:\n' "${log#"$PWD"/}"
    tail -n "${VGPU_LOG_TAIL:-80}" "$log"
  fi
  printf -- '-- %s: %s in %s min, %d passed, %d failed, %d skipped\n' "$name" "$verdict" "$(minutes $took)" $passed $failed $skipped
  stage_rows+=("$name|$(minutes $took)|$passed|$failed|$skipped|$verdict")
  total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed)) total_skipped=$((total_skipped + skipped))
}

print_stage_table() {
  local row name took passed failed skipped verdict
  printf '\n%-10s %8s %7s %7s %8s  %s\n' stage min:sec passed failed skipped verdict
  for row in "${stage_rows[@]}"; do
    IFS='|' read -r name took passed failed skipped verdict <<<"$row"
    printf '%-10s %8s %7s %7s %8s  %s\n' "$name" "$took" "$passed" "$failed" "$skipped" "$verdict"
  done
  printf '%-10s %8s\n\n' total "$(minutes "$SECONDS")"
  printf '%d passed, %d failed, %d skipped\n' $total_passed $total_failed $total_skipped
}
