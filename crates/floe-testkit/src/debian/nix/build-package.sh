# Turns one .deb into a store path that runs from the store alone.
#
# In: $src (the .deb), $dependencies (store paths), $libc (empty for libc's own foundation),
# $triplet and $loader (Debian's names for the platform). Out: $out with `usr/` merged up.
set -euo pipefail
shopt -s nullglob
export PATH=/usr/bin:/bin LC_ALL=C
umask 022
read -ra prefixes <<<"$out $dependencies"

# Without --same-permissions tar drops the setuid bits, which a store path cannot hold.
mkdir "$out"
dpkg-deb --fsys-tarfile "$src" |
  tar --extract --directory="$out" --no-same-owner --no-same-permissions --transform='s,^\./usr/,./,S'
rmdir "$out/usr" 2>/dev/null || true

# Says where Debian's absolute path lies now; fails when no dependency has it.
locate() {
  local path=${1#/} prefix
  while [[ $path == usr/* ]]; do
    path=${path#usr/}
  done
  for prefix in "${prefixes[@]}"; do
    if [[ -e $prefix/$path ]]; then
      located=$prefix/$path
      return 0
    fi
  done
  return 1
}

# Links that left the package in Debian's tree point to the store now.
while IFS= read -r -d '' link && IFS= read -r -d '' target; do
  [[ $target == /* ]] || target=/usr/${link%"${link##*/}"}$target
  if locate "$(realpath --canonicalize-missing --no-symlinks -- "$target")"; then
    ln -sfn "$located" "$out/$link"
  fi
done < <(find "$out" -type l \( -xtype l -o -lname '/*' \) -printf '%P\0%l\0')

# Libraries are looked for in the package itself and in what it depends on; Debian's choice between several
# builds of blas and lapack is a link that only installing makes.
rpath=
for prefix in "${prefixes[@]}"; do
  for directory in "$prefix/lib/$triplet" "$prefix/lib" "$prefix/lib/$triplet"/{blas,lapack}; do
    libraries=("$directory"/*.so*)
    if ((${#libraries[@]} > 0)); then
      rpath+=${rpath:+:}$directory
    fi
  done
done
interpreter=${libc:-$out}/lib/$triplet/$loader

# patchelf's complaints about files that have nothing to patch.
is_static() {
  [[ $1 == *"cannot find section '.interp'"* || $1 == *"cannot find section '.dynamic'"* ||
    $1 == *'no section headers'* || $1 == *'wrong ELF type'* || $1 == *'missing ELF header'* ||
    $1 == *'statically linked'* ]]
}

# Keeps what the file says about private directories (`$ORIGIN/../lib`, `/usr/lib/…/pulseaudio`) before $rpath.
full_rpath() {
  local -a own
  local directory
  full=
  IFS=: read -ra own <<<"$1"
  for directory in "${own[@]}"; do
    if [[ $directory == '$ORIGIN'* ]]; then
      full+=$directory:
    elif [[ -n $directory ]] && locate "$directory"; then
      full+=$located:
    fi
  done
  full=${full}$rpath
  full=${full%:}
}

patch_elf() {
  local file=$1 complaint
  if [[ -z $libc && $file == *.so* ]]; then
    return # libc's own libraries find one another because libc is loaded first.
  fi
  complaint=$(patchelf --print-rpath "$file" 2>&1) || {
    is_static "$complaint" || { echo >&2 "$file: $complaint"; exit 1; }
    return 0
  }
  full_rpath "$complaint"
  if [[ $file != *.so && $file != *.so.* ]]; then
    complaint=$(patchelf --set-interpreter "$interpreter" --set-rpath "$full" "$file" 2>&1) && return
    is_static "$complaint" || { echo >&2 "$file: $complaint"; exit 1; }
  fi
  if [[ -n $full ]]; then
    complaint=$(patchelf --set-rpath "$full" "$file" 2>&1) && return
    is_static "$complaint" || { echo >&2 "$file: $complaint"; exit 1; }
  fi
}

patch_script() {
  local file=$1 line interpreter arguments program prefix
  IFS= read -r line <"$file" || true
  read -r interpreter arguments <<<"${line#'#!'}"
  program=${interpreter##*/}
  if [[ $program == env ]]; then
    read -r program arguments <<<"$arguments"
  fi
  for prefix in "${prefixes[@]}"; do
    if [[ -n $program && -x $prefix/bin/$program ]]; then
      sed -i "1s|.*|#!$prefix/bin/$program${arguments:+ $arguments}|" "$file"
      return
    fi
  done
}

while IFS= read -r -d '' file; do
  IFS= read -r -d '' -n 4 magic <"$file" || true
  case $magic in
  $'\x7fELF') patch_elf "$file" ;;
  '#!'*) patch_script "$file" ;;
  esac
done < <(find "$out" -type f \( -perm /111 -o -name '*.so' -o -name '*.so.*' -o -name '*.node' \) -print0)

case $pname in
ca-certificates)
  # What the package's postinst does, under nixpkgs' file name.
  mkdir -p "$out/etc/ssl/certs"
  cat "$out"/share/ca-certificates/*/*.crt >"$out/etc/ssl/certs/ca-bundle.crt"
  ln -s ca-bundle.crt "$out/etc/ssl/certs/ca-certificates.crt"
  ;;
libnode*)
  # Debian's node reads a few of its built-in modules from /usr/share/nodejs when it starts.
  for library in "$out/lib/$triplet"/libnode.so.*; do
    [[ -f $library && ! -L $library ]] || continue
    pairs=()
    while IFS= read -r path; do
      locate "$path" || { echo >&2 "$library wants $path, which no dependency has"; exit 1; }
      pairs+=("$path=$located")
    done < <(grep --only-matching --text --extended-regexp '/usr/share/nodejs/[a-z/-]+\.js' "$library" | sort -u)
    if [[ $triplet == x86_64-* ]]; then
      perl "$relocateStrings" "$library" "$rpath" "${pairs[@]}"
    fi
  done
  ;;
esac

# Nix finds the dependencies by their hashes in this file, whatever the binaries mention.
mkdir -p "$out/nix-support"
echo "$dependencies" >"$out/nix-support/propagated-build-inputs"
