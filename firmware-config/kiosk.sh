#!/usr/bin/env bash
# Shows the gate's page on this machine's own screen: a browser that can do nothing else, in a compositor that can show
# nothing else. Run by edge-kiosk.service; ends when either ends, and is then started again.
set -euo pipefail

port=$(/opt/edge/venv/bin/python -I -c 'import tomllib
with open("/etc/edge/gate.toml", "rb") as file:
    print(int(tomllib.load(file).get("web", {}).get("port", 8080)))')

# The pages may be starting: the browser would stay on its error page.
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.5; done

browser=(
  /usr/bin/chromium --kiosk --incognito --ozone-platform=wayland --user-data-dir="$HOME/browser" --no-first-run
  --noerrdialogs --password-store=basic --disk-cache-size=1 --disable-background-networking --disable-component-update
  --disable-sync --disable-translate --disable-pinch --overscroll-history-navigation=0
  --autoplay-policy=no-user-gesture-required "--host-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
  "http://127.0.0.1:$port/"
)
# Not by exec: a cage that finds no screen waits for every child of its process, and systemd's PAM helper is a child of
# this one. It would hang instead of ending and being started again.
/usr/bin/cage -d -- "${browser[@]}" &
trap 'kill "$!"' TERM INT
wait "$!"
