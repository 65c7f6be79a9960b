#!/usr/bin/env bash
# Makes this clone ready and runs COMMAND in it: ./firmware-config/setup.sh COMMAND [ARGUMENT]...
#
# It may be run any number of times: what is there is left alone, what is missing is installed (Debian packages with apt,
# through sudo where needed; Python packages from the hashed lock into .venv), what was interrupted goes on. Once it
# has succeeded it needs no network. COMMAND runs in the caller's folder with .venv/bin first in PATH.
set -euo pipefail

speaker="edge set-up"
# shellcheck source-path=SCRIPTDIR source=machine.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/machine.sh"
venv=$repository/.venv
stamp=$venv/edge-setup

usage() {
  cat <<'TEXT'
Usage: ./firmware-config/setup.sh COMMAND [ARGUMENT]...

Makes this clone ready, then runs COMMAND in it. For example:
  ./firmware-config/setup.sh edge demo      people pass a gate on this machine
  ./firmware-config/setup.sh pytest         the test suite
  ./firmware-config/setup.sh true           only get ready

EDGE_PYTHON=/path/to/python chooses another Python (3.11 to 3.13, 64-bit) than the system's.
TEXT
}

# level_of COMMAND...: `test` needs the test suite's Debian packages and wheels, `long` and `qemu` those of these runs
# besides, `lint` only the wheels, `run` neither.
level_of() {
  local words=" $* "
  case "${1##*/}" in
    pytest | py.test)
      case "$words" in
        *" -m"*long*) echo long ;;
        *" -m"*qemu*) echo qemu ;;
        *) echo test ;;
      esac ;;
    ruff | mypy | lint-imports | codespell) echo lint ;;
    python*)
      case "$words" in
        *" -m pytest "* | *" -m tests."*) echo test ;;
        *" -m ruff "* | *" -m mypy "*) echo lint ;;
        *) echo run ;;
      esac ;;
    *) echo run ;;
  esac
}

# fingerprint LOCK: what a finished .venv of that lock says of itself. Another place, interpreter or lock reads otherwise.
fingerprint() {
  local sums
  sums=$(cd -- "$repository" && sha256sum pyproject.toml "$1")
  printf '%s\n' "$1" "$repository" "$(python_version "$venv/bin/python" || echo none)" "$sums"
}

# is_ready LOCK: the wheels of the test suite contain those of the runtime.
is_ready() {
  [[ -r $stamp ]] || return 1
  local said
  said=$(<"$stamp")
  [[ $said == "$(fingerprint "$1")" || $said == "$(fingerprint requirements-dev.lock)" ]] && chosen_python_stands
}

chosen_python_stands() {
  [[ -z ${EDGE_PYTHON:-} || $(python_version "$EDGE_PYTHON") == "$(python_version "$venv/bin/python")" ]]
}

# is_usable: an environment in this place whose pip works; anything else is made anew rather than repaired.
is_usable() {
  [[ -x $venv/bin/python ]] && chosen_python_stands && python_version "$venv/bin/python" >/dev/null \
    && grep -qsF -- "$venv/bin/python" "$venv/bin/pip" && "$venv/bin/python" -I -m pip --version >/dev/null 2>&1
}

require_writable() {
  local at
  for at in "$repository" "$venv"; do
    [[ ! -e $at || -w $at ]] && continue
    fail "$at belongs to $(stat -c %U "$at"), and this is $(id -un): set-up cannot go on in it." \
      "$([[ $at == "$venv" ]] && echo "Remove it and run the same command again: sudo rm -r ${venv@Q}" \
        || echo "Clone the repository as $(id -un), or run the same command as $(stat -c %U "$at").")"
  done
}

make_environment() {
  local python
  if [[ -n ${EDGE_PYTHON:-} ]]; then
    python=$(find_python "$EDGE_PYTHON") || fail "EDGE_PYTHON=$EDGE_PYTHON is not a 64-bit Python 3.11 to 3.13 with venv."
  else
    python=$(find_python /usr/bin/python3 python3 python3.13 python3.12 python3.11) \
      || fail "edge needs a 64-bit Python 3.11 to 3.13 with venv, and none was found ($(python3 --version 2>&1 || true))." \
        "Use Debian 12 or newer, or name one: EDGE_PYTHON=/path/to/python3.12 ./firmware-config/setup.sh ..."
  fi
  say "making .venv with $("$python" --version) ($python)"
  rm -rf -- "$venv"
  "$python" -m venv "$venv" || fail "no environment could be made in $venv (reason above)."
}

# get_ready LOCK: the stamp is written last, so whatever interrupts this leaves an environment known to be unfinished.
get_ready() {
  require_writable
  trap 'echo >&2; say "interrupted; the same command goes on from here"; exit 130' INT TERM
  is_usable || make_environment
  rm -f -- "$stamp"
  install_lock "$venv" "$repository/$1"
  install_edge "$venv" --editable "$repository"
  fingerprint "$1" >"$stamp.part"
  mv -- "$stamp.part" "$stamp"
  trap - INT TERM
  say "ready"
}

main() {
  case "${1:-}" in
    -h | --help)
      usage
      exit 0
      ;;
    "")
      usage >&2
      exit 2
      ;;
    -*) fail "unknown option $1" "$(usage)" ;;
  esac
  local level lock=requirements.lock lists=(runtime)
  level=$(level_of "$@")
  [[ $level == run ]] || lock=requirements-dev.lock
  case "$level" in
    test) lists+=(test) ;;
    long | qemu) lists+=(test "$level") ;;
  esac
  install_packages "${lists[@]}"
  if ! is_ready "$lock"; then
    # Two set-ups at once would spoil each other's work: the second waits and finds it done.
    exec 9<"${BASH_SOURCE[0]}"
    flock --nonblock 9 || { say "waiting for another set-up of this clone"; flock 9; }
    is_ready "$lock" || get_ready "$lock"
    exec 9<&-
  fi
  [[ -z $log ]] || rm -f -- "$log"
  export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
  unset PYTHONHOME
  exec "$@"
}

# Sourced, it only defines: the tests call single functions.
[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
