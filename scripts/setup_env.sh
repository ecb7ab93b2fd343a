#!/usr/bin/env bash
# Makes .venv/<framework> from the pinned list in requirements/ and installs this project into it, editable.
#
#   scripts/setup_env.sh [framework]            framework: verl (default) or openrlhf
#
# uv installs, with pip's own sources and limits; pip where uv is not to be had or fails.
# Runs again only when the list, pyproject.toml or this script changed (stamp file in the environment).
# Variables:
#   PYTHON       interpreter, 3.11 or newer              default: python3.11, else python3
#   TORCH_INDEX  where torch's CPU wheel is looked for   default: https://download.pytorch.org/whl/cpu
#                when pip has no wheel folder (find-links) that holds it; empty: pip's own indexes only
#   UV           the uv to install with, empty: pip alone default: the one pinned in the list
set -euo pipefail
cd "$(dirname "$0")/.."

framework=${1:-verl}
torch_index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
venv=.venv/$framework
log=$venv/setup.log
started=$SECONDS

fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }
step() { printf '[%s/%s] %s\n' "$1" "$([[ $framework == openrlhf ]] && echo 5 || echo 4)" "$2"; }

# Python: the first candidate that runs and is new enough. A pyenv shim may exist and still not run.
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3}; do
        if is_new_enough "$candidate"; then command -v "$candidate"; return; fi
    done
    fail "no Python 3.11 or newer found (tried: ${PYTHON:-python3.11 python3})." \
        "Install Python 3.11, or name one: make setup PYTHON=/path/to/python3.11"
}

# On a machine with an NVIDIA GPU the same command takes the CUDA builds.
choose_requirements() {
    local device=cpu
    if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then device=cuda; fi
    requirements=requirements/$framework-$device.txt
    [[ -f $requirements ]] || fail "no $requirements: FRAMEWORK=$framework is not available here." \
        "Available lists: $(cd requirements && echo *.txt)"
}

# DeepSpeed, on the CPU, needs a compiler.
check_compiler() {
    if [[ $requirements == *openrlhf-cpu.txt ]] && ! command -v g++ >/dev/null; then
        fail "g++ is missing; DeepSpeed compiles its CPU operators with it. On Debian and Ubuntu: apt install g++"
    fi
}

# Everything the environment is made from, and where it is (an editable install points here).
fingerprint() {
    {
        "$python" -VV
        pwd
        cat "$requirements" requirements/vllm_alias/pyproject.toml pyproject.toml scripts/setup_env.sh
    } | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# One value of pip's configuration, lists as words: the variable's (PIP_…), `pip install`'s, or every command's.
pip_setting() {
    local section value
    for section in :env: install global; do
        value=$(sed -n "s/^$section\.$1='\(.*\)'$/\1/p" <<<"$pip_config")
        if [[ -n $value ]]; then printf '%s\n' ${value//\\n/ }; return; fi
    done
}

# uv reads nothing of pip's configuration: it is handed where packages come from, and which are not to be taken.
# By variables, which nothing prints and where one that is set stays; best-match is pip's way, the newest of all sources and not the first one's.
configure_uv() {
    local name value
    pip_config=$("$venv/bin/python" -m pip config list 2>/dev/null) || pip_config=
    while read -r name value; do
        [[ -z $value || -n ${!name-} ]] || export "$name=$value"
    done <<END
UV_DEFAULT_INDEX $(pip_setting index-url)
UV_INDEX $(pip_setting extra-index-url | paste -sd ' ')
UV_FIND_LINKS $(pip_setting find-links | paste -sd ,)
UV_CONSTRAINT $(pip_setting constraint | paste -sd ' ')
UV_NO_INDEX $(pip_setting no-index)
UV_INSECURE_HOST $(pip_setting trusted-host | paste -sd ' ')
UV_HTTP_TIMEOUT $( (pip_setting timeout; pip_setting default-timeout) | head -n 1)
SSL_CERT_FILE $(pip_setting cert)
END
    export UV_INDEX_STRATEGY=unsafe-best-match
}

# uv itself comes by pip. Where that fails, pip installs everything: the same packages, minutes later.
choose_uv() {
    uv=${UV-$venv/bin/uv}
    configure_uv
    if [[ -z ${UV+set} ]] && ! pip_install "$(grep '^uv==' "$requirements")"; then
        echo "      uv is not to be had here, pip installs (slower)"
        uv=
    fi
}

# The whole output goes to the log; of it, what tells that something moves.
pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off "$@" 2>&1 |
        tee -a "$log" |
        awk '/^(Collecting|Processing)/ && ++n % 20 == 0 { print "      " n " packages fetched"; fflush() }
             /^Installing collected/ && n > 20 { print "      unpacking " n " packages"; fflush() }'
}

# Compiled once here, as pip does it, and not by each process of a run: where PYTHONDONTWRITEBYTECODE is set, as in
# many images, each of Ray's workers would compile torch, transformers and vLLM again, 10 s at a time.
uv_install() {
    "$uv" pip install --compile-bytecode --python "$venv/bin/python" "$@" 2>&1 |
        tee -a "$log" |
        awk '/^ *Downloaded/ && ++n % 20 == 0 { print "      " n " large packages fetched"; fflush() }
             /^(Prepared|Installed)/ && $2 > 20 { print "      " tolower($0); fflush() }'
}

install() {
    if [[ -n $uv ]]; then
        if uv_install "$@"; then return; fi
        echo "      uv could not install this (why is in $log), pip tries"
    fi
    pip_install "$@" || { tail -n 15 "$log" >&2; fail "pip could not install $*; the whole output is in $log"; }
}

# Does a folder that pip searches (find-links) hold torch's CPU wheel?
has_local_torch() {
    local folder
    for folder in $(pip_setting find-links); do
        if compgen -G "${folder#file://}/torch-*+cpu*.whl" >/dev/null; then return 0; fi
    done
    return 1
}

# torch's CPU wheel is not on PyPI. It is installed on its own, so that no other package can come from its index.
install_cpu_torch() {
    local torch
    torch=$(grep '^torch==' "$requirements")
    if has_local_torch || [[ -z $torch_index ]]; then
        echo "      $torch from pip's own sources"
        install --no-deps "$torch"
    else
        echo "      $torch from $torch_index"
        (install --no-deps --extra-index-url "$torch_index" "$torch") || fail \
            "torch's CPU wheel was not found. Either make $torch_index reachable, name another index" \
            "(make setup TORCH_INDEX=https://...), or put the wheel in a folder and set PIP_FIND_LINKS to it."
    fi
}

python=$(find_python)
choose_requirements
check_compiler
stamp=$venv/.stamp
want=$(fingerprint)
if [[ -f $stamp && $(<"$stamp") == "$want" ]]; then
    echo "setup: $venv is up to date with $requirements"
    exit 0
fi

step 1 "environment $venv from $python ($("$python" -V))"
[[ $("$python" -V) == "Python 3.11."* ]] || echo "      note: the pins are made for and tested with Python 3.11"
rm -f "$stamp"
[[ -x $venv/bin/python ]] && is_new_enough "$venv/bin/python" || "$python" -m venv --clear "$venv" || fail \
    "$python could not make a virtual environment. On Debian and Ubuntu: apt install python3.11-venv"
: >"$log"
choose_uv
install "$(grep '^setuptools==' "$requirements")"

step 2 "torch"
if [[ $requirements == *-cpu.txt ]]; then install_cpu_torch; else echo "      with the CUDA builds, next step"; fi

step 3 "$(grep -c '==' "$requirements") pinned packages from $requirements (some minutes; details in $log)"
if [[ $requirements == *-cpu.txt ]]; then
    install --no-deps -r "$requirements"
    install --no-deps --no-build-isolation ./requirements/vllm_alias
else
    install -r "$requirements"
fi

step 4 "this project, editable"
install --no-deps --no-build-isolation -e .
# DeepSpeed compiles its CPU operators at first use, a minute or two: better here than inside a training run.
if [[ $requirements == *openrlhf-cpu.txt ]]; then
    step 5 "DeepSpeed's CPU operators"
    # With the environment's own ninja, as in every run: another version's records mean nothing to it, and it starts over.
    rm -f "$venv"/torch_extensions/*/lock  # of a set-up that was killed: torch would wait for it for ever
    PATH=$PWD/$venv/bin:$PATH DS_ACCELERATOR=cpu TORCH_EXTENSIONS_DIR=$PWD/$venv/torch_extensions "$venv/bin/python" -c '
from deepspeed.accelerator import get_accelerator
for name in ("FusedAdamBuilder", "ShareMemCommBuilder"):
    get_accelerator().create_op_builder(name).load()' >>"$log" 2>&1 ||
        { tail -n 15 "$log" >&2; fail "DeepSpeed could not compile its CPU operators; the whole output is in $log"; }
fi
echo "$want" >"$stamp"
echo "setup: $venv is ready after $((SECONDS - started)) s"
