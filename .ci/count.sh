# Runs checks one after the other, goes on after a failure, and counts.
passed=0 failed=0 failures=()

# check TITLE COMMAND...: one check, by the command's exit code.
check() {
  local title=$1 start=$SECONDS
  shift
  printf '\n=== %s\n' "$title"
  if "$@"; then
    passed=$((passed + 1))
    printf '=== passed in %d s\n' $((SECONDS - start))
  else
    fail "$title" 1
  fi
}

# tests TITLE COMMAND...: a run of Jest, counted by its own report; one that ends badly without a failed test is one failure.
tests() {
  local title=$1 start=$SECONDS log code totals bad good
  shift
  printf '\n=== %s\n' "$title"
  log=$(mktemp)
  "$@" 2>&1 | tee "$log"
  code=${PIPESTATUS[0]}
  totals=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep '^Tests: ' | tail -n 1)
  rm -f "$log"
  bad=$(grep -o '[0-9]* failed' <<<"$totals" | grep -o '[0-9]*')
  good=$(grep -o '[0-9]* passed' <<<"$totals" | grep -o '[0-9]*')
  passed=$((passed + ${good:-0}))
  if [ "$code" -ne 0 ]; then
    fail "$title" "${bad:-1}"
  else
    printf '=== passed in %d s\n' $((SECONDS - start))
  fi
}

fail() {
  failed=$((failed + $2))
  failures+=("$1")
  printf '=== FAILED: %s\n' "$1"
}

summary() {
  echo
  for title in ${failures[@]+"${failures[@]}"}; do echo "failed: $title"; done
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
