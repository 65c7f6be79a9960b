# shellcheck shell=bash
# What set-up and install share: Debian packages, an interpreter, a virtual environment from the hashed lock.
# It is sourced, and leaves to its callers what is made where. Everything it says goes to standard error.

folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
repository=$(dirname -- "$folder")
log=
speaker=${speaker:-edge}

say() { printf '%s: %s\n' "$speaker" "$1" >&2; }

fail() {
  say "$1"
  shift
  local step
  for step in "$@"; do printf '%*s  %s\n' "${#speaker}" '' "$step" >&2; done
  exit 1
}

# open_log: one file for what quiet commands say, gone when the script ends.
open_log() {
  [[ -n $log ]] && return 0
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
}

# package_names LIST...: the names in packages/LIST.txt.
package_names() {
  local list
  for list in "$@"; do sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$folder/packages/$list.txt"; done
}

# missing_packages LIST...: those not installed. A name that an installed package provides counts: libzbar0t64 stands for
# libzbar0 from Debian 13 on.
missing_packages() {
  local name known
  # shellcheck disable=SC2016  # the braces are dpkg-query's
  known=$(dpkg-query --show --showformat='${db:Status-Status}, ${Package}, ${Provides},\n' 2>/dev/null \
    | sed -n 's/^installed,//p')
  known=" $(tr -d '\n' <<<"$known")"
  while read -r name; do
    [[ $known == *" $name,"* || $known == *" $name ("* ]] || printf '%s\n' "$name"
  done < <(package_names "$@")
}

# install_packages LIST...: installs what is missing, through sudo where this is not root.
install_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this is not Debian: see to it that these are installed: $(package_names "$@" | paste -sd ' ')"
    return
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  local as_root=()
  if ((EUID != 0)); then
    as_root=(sudo)
    may_sudo || fail "Debian packages are missing and this user cannot install them." \
      "Ask somebody who may to run: apt-get install --yes --no-install-recommends ${missing[*]}"
    say "installing Debian packages with sudo: ${missing[*]}"
  else
    say "installing Debian packages: ${missing[*]}"
  fi
  apt_install "${missing[@]}"
}

# may_sudo: whether sudo will do something for us, asked without a question where nobody could answer it.
may_sudo() {
  command -v sudo >/dev/null || return 1
  sudo --non-interactive true 2>/dev/null && return 0
  [[ -t 0 && -t 2 ]] && sudo --validate
}

# apt_install NAME...: the caller's `as_root` stands in front. Lists are fetched only when the first try shows the need.
apt_install() {
  local apt
  open_log
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2
    -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0)
  if ! "${apt[@]}" install --yes --no-install-recommends "$@" >"$log" 2>&1 </dev/null; then
    if ! { "${apt[@]}" update && "${apt[@]}" install --yes --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
      if grep -qE 'Temporary failure resolving|Could not (resolve|connect)|Network is unreachable|timed out' "$log"; then
        fail "Debian packages are still to be fetched and the network cannot be reached: $*" \
          "Connect this machine once and run the same command again."
      fi
      tail -n 8 "$log" >&2
      fail "Debian packages could not be installed (last lines above): $*" \
        "Often this repairs it: dpkg --configure -a && apt-get --fix-broken install"
    fi
  fi
}

# python_version PYTHON: "3.11" if edge runs on it (there are no 32-bit wheels) and it can make environments.
python_version() {
  "$1" -I -c 'import sys, venv, ensurepip
assert (3, 11) <= sys.version_info[:2] <= (3, 13) and sys.maxsize > 2**32
print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# find_python CANDIDATE...: the first that edge runs on.
find_python() {
  local candidate
  for candidate in "$@"; do
    [[ -n $candidate ]] && python_version "$candidate" >/dev/null && command -v "$candidate" && return 0
  done
  return 1
}

# run_pip VENV ARGUMENT...: quietly; on failure the reason in words, then the tail of what pip said.
run_pip() {
  local venv=$1
  shift
  open_log
  if ! env -u PIP_USER -u PIP_TARGET -u PIP_PREFIX -u PIP_REQUIRE_HASHES -u PYTHONPATH -u PYTHONHOME \
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input --retries 2 "$@" >"$log" 2>&1 </dev/null; then
    explain_pip
  fi
}

explain_pip() {
  local said
  local unreachable='NewConnectionError|establish a new connection|Temporary failure|Network is unreachable|NameResolution'
  unreachable+='|ConnectTimeout|ReadTimeout|Connection timed out|timed out'
  said=$(<"$log")
  if grep -qE 'DO NOT MATCH THE HASHES' <<<"$said"; then
    fail "a downloaded package is not the one whose hash stands in the lock: it was not installed." \
      "Try again on another network. If that does not help, tell the maintainers what follows:" \
      "$(grep -A 12 'DO NOT MATCH THE HASHES' <<<"$said")"
  elif grep -qE "$unreachable" <<<"$said"; then
    fail "Python packages are still to be fetched and the network cannot be reached." \
      "Connect this machine once and run the same command again; what was fetched is kept."
  elif grep -qE 'CERTIFICATE_VERIFY_FAILED' <<<"$said"; then
    fail "somebody on the way to the package index shows a certificate that pip does not trust." \
      "Behind a proxy that inspects traffic, name its certificates: PIP_CERT=/etc/ssl/certs/ca-certificates.crt" \
      "Otherwise check this machine's clock: $(date --iso-8601=minutes)"
  elif grep -qE 'No space left on device' <<<"$said"; then
    fail "the disk is full." "Free 500 MB and run the same command again; what was fetched is kept."
  fi
  tail -n 15 <<<"$said" >&2
  fail "Python packages could not be installed (last lines above)." "Run the same command again; what was fetched is kept."
}

# install_lock VENV LOCK: exactly what the lock names, every file checked against its hash.
install_lock() {
  say "installing $(grep -c '^[a-z]' "$2") locked packages from $(basename -- "$2")"
  run_pip "$1" install --require-hashes --no-deps --only-binary :all: --requirement "$2"
}

# install_edge VENV ARGUMENT...: the package itself, built with the locked setuptools and no network.
install_edge() {
  local venv=$1
  shift
  run_pip "$venv" install --no-index --no-deps --no-build-isolation "$@"
}
