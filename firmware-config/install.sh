#!/usr/bin/env bash
# Turns a Debian or Raspberry Pi OS machine into a gate: sudo ./firmware-config/install.sh
#
# It may be run any number of times and after every update of this clone. Settings in /etc/edge and the gate's state in
# /var/lib/edge are never overwritten. The program is built beside the one in use and put in its place at once, so that
# an interrupted run leaves the gate as it was.
set -euo pipefail
umask 022

speaker="edge install"
# shellcheck source-path=SCRIPTDIR source=machine.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/machine.sh"

root='' dry_run=false start=true kiosk=false troubles=0
# Stands until the parts were restarted, whatever interrupts this run; a boot has restarted them anyway.
restart_due=/run/edge-restart-due
units=(edge-gate.target edge-scanner.service edge-web.service edge-sync.service)

usage() {
  cat <<'TEXT'
Usage: sudo ./firmware-config/install.sh [--kiosk] [--no-start] [--dry-run] [--root DIR]

Makes this machine a gate: account, program, settings, camera access, services; ends with a list of checks.
  --kiosk      also show the gate's page on this machine's own screen
  --no-start   install and enable, start at the next boot
  --dry-run    only say what would be done
  --root DIR   lay everything into DIR (an image being made) instead of this machine; starts nothing
TEXT
}

parse() {
  while (($#)); do
    case "$1" in
      --kiosk) kiosk=true ;;
      --no-start) start=false ;;
      --dry-run) dry_run=true ;;
      --root)
        [[ -n ${2:-} && -d $2 ]] || fail "--root needs a folder that exists."
        root=$(cd -- "$2" && pwd -P)
        [[ $root != / ]] || root=''
        shift
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) fail "unknown option $1" "$(usage)" ;;
    esac
    shift
  done
  if $kiosk; then units+=(edge-kiosk.service); fi
}

# act WHAT COMMAND...: says WHAT and does it, or only says it.
act() {
  say "$1"
  shift
  if $dry_run; then return 0; fi
  "$@"
}

note_change() {
  $dry_run || [[ -n $root ]] || touch -- "$restart_due"
}

# place SOURCE TARGET [MODE]: puts a file of firmware-config at TARGET, if it is not already there just so.
place() {
  local target=$root$2
  cmp --silent -- "$folder/$1" "$target" && return 0
  note_change
  act "$2" install -D --mode="${3:-0644}" -- "$folder/$1" "$target"
}

install_machine_packages() {
  local lists=(runtime gate)
  if $kiosk; then lists+=(kiosk); fi
  if [[ -n $root ]]; then
    say "the image needs these Debian packages: $(package_names "${lists[@]}" | sort -u | paste -sd ' ')"
  elif $dry_run; then
    say "Debian packages still missing: $(missing_packages "${lists[@]}" | sort -u | paste -sd ' ')"
  else
    install_packages "${lists[@]}"
  fi
}

place_files() {
  local unit names=(edge)
  if $kiosk; then names+=(edge-kiosk); fi
  for unit in "${names[@]}"; do
    place "sysusers/$unit.conf" "/etc/sysusers.d/$unit.conf"
    place "tmpfiles/$unit.conf" "/etc/tmpfiles.d/$unit.conf"
  done
  if $kiosk; then place kiosk.sh /usr/local/lib/edge/kiosk.sh 0755; fi
  for unit in camera scanner; do place "udev/70-edge-$unit.rules" "/etc/udev/rules.d/70-edge-$unit.rules"; done
  for unit in "${units[@]}"; do place "systemd/$unit" "/etc/systemd/system/$unit"; done
  place systemd/edge-scanner.service.d/network-camera.conf.example \
    /etc/systemd/system/edge-scanner.service.d/network-camera.conf.example
  place ../docs/technician.md /usr/local/share/doc/edge/technician.md
  if [[ -e $root/etc/edge/gate.toml ]]; then
    say "/etc/edge/gate.toml is kept as it is"
  else
    place gate.toml /etc/edge/gate.toml
  fi
}

# release_name PYTHON: changes with anything the program is made of.
release_name() {
  (cd -- "$repository" && { python_version "$1"; find edge pyproject.toml requirements.lock -type f \
    ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum; }) | sha256sum | cut -c 1-16
}

# build_release PYTHON RELEASE: an environment at $root$RELEASE that believes it stands at RELEASE.
build_release() {
  local at=$root$2 source
  rm -rf -- "$at"
  mkdir -p -- "$at"
  "$1" -m venv "$at" || fail "no environment could be made in $at (reason above)."
  install_lock "$at" "$repository/requirements.lock"
  # Built from a copy: a build leaves folders behind, and the clone may belong to somebody else.
  source=$at/source
  mkdir -- "$source"
  (cd -- "$repository" && cp -R -- edge pyproject.toml LICENSE "$source/" && if [[ -f README.md ]]; then cp README.md "$source/"; fi)
  install_edge "$at" "$source"
  rm -rf -- "$source"
  [[ -z $root ]] || relocate "$at" "$2"
  touch -- "$at/edge-setup"
}

# relocate FROM TO: rewrites the few places where an environment names its own folder.
relocate() {
  grep -rlIZF -- "$1" "$1"/bin "$1"/pyvenv.cfg "$1"/lib/python*/site-packages/edge-*.dist-info | xargs -0 sed -i "s|$1|$2|g"
  "$1/bin/python" -m compileall -q -f -s "$1" -p "$2" "$1/lib"
}

install_program() {
  local python release previous
  python=$(find_python "${EDGE_PYTHON:-/usr/bin/python3}") \
    || { if $dry_run; then return 0; fi; fail "edge needs a 64-bit Python 3.11 to 3.13 at /usr/bin/python3." \
      "Use Debian 12 or newer, or Raspberry Pi OS of the same age (64-bit)."; }
  release=/opt/edge/releases/$(release_name "$python")
  previous=$(readlink -- "$root/opt/edge/venv" || true)
  if [[ ! -e $root$release/edge-setup ]]; then
    act "building $release" build_release "$python" "$release"
  fi
  if [[ $previous != "$release" ]]; then
    note_change
    act "/opt/edge/venv -> $release" put_in_place "$release"
  fi
  if [[ ! -L $root/usr/local/bin/edge ]]; then
    act "/usr/local/bin/edge" link /opt/edge/venv/bin/edge /usr/local/bin/edge
  fi
}

link() {
  mkdir -p -- "$(dirname -- "$root$2")"
  ln -sfn -- "$1" "$root$2"
}

# put_in_place RELEASE: one rename; then releases older than the one before are removed.
put_in_place() {
  local old
  link "$1" /opt/edge/venv.next
  mv -T -- "$root/opt/edge/venv.next" "$root/opt/edge/venv"
  while read -r old; do rm -rf -- "$old"; done < <(
    find "$root/opt/edge/releases" -mindepth 1 -maxdepth 1 ! -path "$root$1" -printf '%T@ %p\n' | sort -rn | tail -n +2 | cut -d ' ' -f 2-)
}

enable_parts() {
  if [[ -n $root ]]; then
    act "enabling ${units[*]}" systemctl --root="$root" --quiet enable "${units[@]}"
    return
  fi
  act "account edge" systemd-sysusers /etc/sysusers.d/edge.conf
  if $kiosk; then act "account edge-kiosk" systemd-sysusers /etc/sysusers.d/edge-kiosk.conf; fi
  act "/var/lib/edge" systemd-tmpfiles --create /etc/tmpfiles.d/edge.conf
  act "enabling ${units[*]}" systemctl --quiet enable "${units[@]}"
  is_booted || { say "systemd does not run here: the services start when this machine boots with it"; return 0; }
  act "reading the new units and rules" reload
  $start || return 0
  if [[ -e $restart_due ]]; then
    act "starting the gate" run_units restart
    $dry_run || rm -f -- "$restart_due"
  else
    act "starting the gate" run_units start
  fi
}

# run_units VERB: a part that does not start is a line of the list at the end, not the end of this.
run_units() { systemctl "$1" "${units[@]}" 2>/dev/null || true; }

# reload: a container has systemd and no udev; cameras and scanners are then the host's business.
reload() {
  systemctl daemon-reload
  [[ -S /run/udev/control ]] || return 0
  udevadm control --reload
  udevadm trigger --subsystem-match=video4linux --subsystem-match=input --subsystem-match=tty
}

is_booted() { [[ -d /run/systemd/system ]]; }

# check WHAT NEXT COMMAND...: one line of the list; NEXT says what to do where it fails.
check() {
  local what=$1 next=$2
  shift 2
  if "$@" >/dev/null 2>&1; then
    printf '  ok   %s\n' "$what"
  else
    printf '  !!   %s\n       %s\n' "$what" "$next"
    troubles=$((troubles + 1))
  fi
}

as_edge() { runuser --user edge -- "$@"; }
has_camera() { compgen -G '/dev/video*'; }
page_answers() {
  /opt/edge/venv/bin/python -I -c 'import time, urllib.request
end = time.monotonic() + 15
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/", timeout=2)
        break
    except OSError:
        if time.monotonic() > end:
            raise
        time.sleep(0.3)'
}

list_checks() {
  cd /
  printf '\nThis gate:\n'
  check "the program runs as the account edge: $(as_edge /opt/edge/venv/bin/edge --version 2>/dev/null || true)" \
    "See why: sudo -u edge edge --version" as_edge /opt/edge/venv/bin/edge --version
  check "its libraries load" "See which: sudo -u edge /opt/edge/venv/bin/python -c 'import cv2, zxingcpp, nacl.signing, pyzbar.pyzbar'" \
    as_edge /opt/edge/venv/bin/python -I -c 'import cv2, zxingcpp, nacl.signing, pyzbar.pyzbar'
  check "/etc/edge/gate.toml is accepted" "See why not: edge gate settings --config /etc/edge/gate.toml" \
    as_edge /opt/edge/venv/bin/edge gate settings --config /etc/edge/gate.toml
  check "the services are well formed" "See what is not: systemd-analyze verify ${units[*]}" \
    systemd-analyze verify "${units[@]}"
  if has_camera >/dev/null; then
    printf '  ok   a camera is there\n'
  else
    printf '  next plug in a camera (see it with v4l2-ctl --list-devices), or name another source in /etc/edge/gate.toml\n'
  fi
  if $start && is_booted; then
    local unit
    for unit in "${units[@]}"; do
      # By name, not by unit: what the screen says belongs to its login session.
      check "$unit is running" "See why not: journalctl --identifier ${unit%.*} --lines 20" systemctl is-active "$unit"
    done
    check "the page answers: http://127.0.0.1:8080/" "See why not: journalctl --identifier edge-web --lines 20" page_answers
  fi
  if [[ -e /var/lib/edge/enrolment.json ]]; then
    printf '  ok   the gate is enrolled\n'
  else
    printf '  next enrol it with the code from the hub (edge hub invite): sudo -u edge edge provision init, then enroll CODE\n'
  fi
}

main() {
  parse "$@"
  if ((EUID != 0)) && [[ -z $root ]] && ! $dry_run; then
    fail "this changes the machine and must be run by root." "Run: sudo $0 $*"
  fi
  install_machine_packages
  place_files
  install_program
  enable_parts
  if $dry_run; then
    say "nothing was changed (--dry-run)"
  elif [[ -n $root ]]; then
    say "laid into $root; accounts and /var/lib/edge are made when it boots"
  else
    list_checks
  fi
  return $((troubles > 0))
}

main "$@"
