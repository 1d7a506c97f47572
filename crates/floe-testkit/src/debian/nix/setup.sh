# A minimal stdenv: the phases of nixpkgs' setup.sh, without hooks and without a compiler.
set -euo pipefail
export PATH=/usr/bin:/bin
for input in ${nativeBuildInputs:-}; do
  PATH=$input/bin:$PATH
done

runPhase() {
  local phase=$1
  if [[ -n ${!phase:-} ]]; then
    eval "${!phase}"
  elif [[ $(type -t "$phase") == function ]]; then
    "$phase"
  fi
}

unpackPhase() {
  cp --recursive --no-preserve=mode "$src" source
  if [[ -d source ]]; then
    cd source
  fi
}

# Rewrites `#!/usr/bin/env node` to the `node` of a build input, as nixpkgs does.
patchShebangs() {
  local file line interpreter arguments program found input
  while IFS= read -r -d '' file; do
    IFS= read -r line <"$file" || true
    [[ $line == '#!'* && $line != '#!'*"$NIX_STORE"* ]] || continue
    read -r interpreter arguments <<<"${line#'#!'}"
    program=${interpreter##*/}
    if [[ $program == env ]]; then
      read -r program arguments <<<"$arguments"
    fi
    found=
    for input in ${buildInputs:-} "${shell%/bin/bash}"; do
      if [[ -x $input/bin/$program ]]; then
        found=$input/bin/$program
        break
      elif [[ $program == sh && -x $input/bin/bash ]]; then
        found=$input/bin/bash
        break
      fi
    done
    [[ -n $found ]] || continue
    sed -i "1s|.*|#!$found${arguments:+ $arguments}|" "$file"
  done < <(find "$@" -type f -perm /111 -print0)
}

fixupPhase() {
  if [[ -z ${dontPatchShebangs:-} && -d $out ]]; then
    patchShebangs "$out"
  fi
}

genericBuild() {
  if [[ -n ${buildCommand:-} ]]; then
    eval "$buildCommand"
    return
  fi
  if [[ -z ${dontUnpack:-} ]]; then
    runPhase unpackPhase
  fi
  for phase in patchPhase configurePhase buildPhase checkPhase; do
    runPhase "$phase"
  done
  runPhase installPhase
  if [[ -z ${dontFixup:-} ]]; then
    runPhase fixupPhase
  fi
}
runHook() { eval "${!1:-}"; }
