#!/usr/bin/env bash
# EMR bootstrap action: gives a node a Python 3.11 of its own, from the wheelhouse in the bucket, without internet.
# Usage: install_python.sh s3://bucket/code/<release>/wheels/ /opt/fruits
# A second call with the same requirements finds the finished install and does nothing; two at once take turns.
set -euo pipefail

started=$SECONDS
step="read the arguments"
work=
say() { echo "install_python: $*"; }
fail() { step=; echo "install_python: FAILED: $*" >&2; exit 1; }
at_exit() {
  local code=$?
  [[ -z $work ]] || rm -rf "$work"
  [[ $code -eq 0 || -z $step ]] || echo "install_python: FAILED to $step (exit code $code); the reason stands above" >&2
}
trap at_exit EXIT

[[ $# -eq 2 ]] || fail "found $# arguments, expected 2: install_python.sh s3://bucket/code/<release>/wheels/ /opt/fruits"
source=${1%/}/
target=${2%/}
[[ $source == s3://* && $target == /?* ]] || fail "expected an s3:// folder and an absolute path, found '$1' and '$2'"
# YARN runs the tasks as another user: what is installed must be readable by everybody.
umask 022

# EMR runs bootstrap actions as the user hadoop, and /opt belongs to root.
as_root() {
  command -v sudo >/dev/null || fail "$target cannot be made by the user $(id -un), and there is no sudo; choose another folder"
  sudo "$@"
}
step="create $target"
if ! mkdir -p "$target" 2>/dev/null || [[ ! -w $target ]]; then
  as_root install -d -m 755 -o "$(id -un)" "$target"
fi
step="lock $target.lock"
if ! { : >>"$target.lock"; } 2>/dev/null; then
  as_root touch "$target.lock"
  as_root chown "$(id -un)" "$target.lock"
fi
exec 9>>"$target.lock"
flock --timeout 900 9 || fail "another install has held $target.lock for 15 minutes"

step="fetch ${source}requirements.txt"
work=$(mktemp -d)
wheels=$work/wheels
aws s3 cp --only-show-errors "${source}requirements.txt" "$wheels/requirements.txt"
digest=$(sha256sum <"$wheels/requirements.txt" | cut -d' ' -f1)
if [[ -f $target/.installed && $(<"$target/.installed") == "$digest" && -x $target/bin/python ]]; then
  say "$target is complete already (requirements ${digest:0:12})"
  exit 0
fi
if [[ -n $(ls -A "$target") && ! -f $target/.installed && ! -f $target/.installing ]]; then
  fail "$target holds files that are not of an earlier install; expected an empty or a new folder: choose another, or empty it"
fi

step="fetch $source"
aws s3 cp --recursive --only-show-errors "$source" "$wheels/"
say "fetched $(find "$wheels" -name '*.whl' | wc -l) wheels from $source in $((SECONDS - started)) s"

step="unpack uv"
# uv instead of pip: seconds instead of a minute, and the minute is billed on every node.
uv_wheel=$(find "$wheels" -name 'uv-*.whl')
[[ -f $uv_wheel ]] || fail "found '${uv_wheel}' in $source, expected one wheel uv-*.whl; publish the release anew"
python3 -m zipfile -e "$uv_wheel" "$work/uv"
uv=$(find "$work/uv" -path '*/scripts/uv' -type f)
chmod +x "$uv"
export UV_PYTHON_DOWNLOADS=never UV_NO_INDEX=1 UV_OFFLINE=1 UV_NO_CONFIG=1 UV_CACHE_DIR=$target/.cache
unset UV_INDEX_URL UV_DEFAULT_INDEX UV_INDEX UV_FIND_LINKS VIRTUAL_ENV

step="make a Python 3.11 environment in $target"
# .installing turns into .installed at the very end, so an install that was cut off is done again.
echo "$digest" >"$target/.installing"
find "$target" -mindepth 1 ! -name .installing -delete
"$uv" venv --quiet --no-project --allow-existing --python 3.11 "$target"

step="install the wheels into $target"
# Compiled now, because the user who runs Spark's workers cannot write here and would compile at every start.
"$uv" pip install --quiet --compile-bytecode --no-index --find-links "$wheels" --require-hashes --only-binary :all: \
  --python "$target/bin/python" -r "$wheels/requirements.txt"
rm -rf "$target/.cache"  # inside the target, so that uv links files from it rather than copying them
chmod -R a+rX "$target"
mv "$target/.installing" "$target/.installed"
say "$("$target/bin/python" --version) with $(grep -c '==' "$wheels/requirements.txt") pinned packages in $target, $((SECONDS - started)) s"
