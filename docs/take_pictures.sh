#!/bin/sh
# Takes the pictures in docs/images from the installation in WATERSHED_HOME (default data), as it stands after a run.
# Needs Chromium: apt-get install -y --no-install-recommends chromium
set -eu
cd "$(dirname "$0")/.."
export WATERSHED_SCREENSHOT_DIR=docs/images
export WATERSHED_SCREENSHOT_HOME="${WATERSHED_HOME:-data}"
exec .venv/bin/python -m pytest -q -m "browser and not long" tests/browser
