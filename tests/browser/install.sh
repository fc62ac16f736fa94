#!/bin/sh
# Finds a Chromium for the browser tests, or installs one, and says which. The headless shell works least, so that it is
# installed beside another where apt knows it already.
set -eu
have() {
    command -v "$1" >/dev/null 2>&1 && echo "browser: $(command -v "$1"), already installed"
}
with_apt() {
    [ "$(id -u)" = 0 ] && apt-cache show "$1" >/dev/null 2>&1 || return 1
    echo "browser: installing $1 with apt"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" fonts-dejavu-core >/dev/null
}
read_lists() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 &&
        apt-get -o Acquire::Retries=3 -o Acquire::http::Timeout=10 update -qq
}
have chromium-headless-shell || with_apt chromium-headless-shell ||
    have chromium || have chromium-browser || have google-chrome ||
    { read_lists && { with_apt chromium-headless-shell || with_apt chromium; }; } || {
    echo "browser: installing Playwright's own Chromium"
    playwright install --only-shell --with-deps chromium || playwright install --only-shell chromium
}
